"""Images of a dataset: PNG bytes in a column, or frames of a video file."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt._extras import require_extra
from vla_rt.errors import ConfigError, FormatError, error, require

__all__ = ["VideoWriter", "as_pixels", "decode_png", "encode_png", "video_frame"]

_CODECS = ("libsvtav1", "libx264", "mpeg4")
_OPTIONS = {
    "libsvtav1": {"crf": "30", "g": "2", "preset": "8"},
    "libx264": {"crf": "18", "g": "2"},
    "mpeg4": {"g": "2"},
}


def as_pixels(value: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    """Takes an image as uint8 (H, W, C) or as float in [0, 1], (H, W, C) or (C, H, W), and returns the first.

    Raises:
        ConfigError: Another shape or type, or a number outside [0, 1].
    """
    image = np.asarray(value)
    if image.shape != shape and image.shape == (shape[2], *shape[:2]):
        image = np.moveaxis(image, 0, 2)
    require(image.shape == shape, f"{name}.shape", image.shape, f"must be {shape}")
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    require(image.dtype.kind == "f", f"{name}.dtype", image.dtype, "must be uint8 or float")
    bad = np.argwhere(~((image >= 0.0) & (image <= 1.0)))
    if bad.size:
        at = tuple(bad[0].tolist())
        raise error(ConfigError, f"{name}{list(at)}", image[at], "must be in [0, 1]")
    return np.ascontiguousarray(np.rint(image * 255.0).astype(np.uint8))


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """PNG of (H, W, 1 or 3)."""
    pil = _pillow()
    file = io.BytesIO()
    pil.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def decode_png(data: bytes | None, shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
    """Pixels in [0, 1], (C, H, W), of any picture Pillow reads.

    Raises:
        FormatError: No picture, or one of another size than ``shape`` (H, W, C).
    """
    pil = _pillow()
    try:
        with pil.open(io.BytesIO(data or b"")) as picture:
            pixels = np.asarray(picture.convert("L" if shape[2] == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError) as cause:
        raise error(FormatError, where, "", f"is no picture: {cause}") from cause
    return _scaled(pixels.reshape(*pixels.shape[:2], -1), shape, where)


def video_frame(
    path: Path, time_s: float, tolerance_s: float, shape: tuple[int, ...], where: str
) -> NDArray[np.float32]:
    """Frame of a video at a time, pixels in [0, 1], (C, H, W).

    Raises:
        FormatError: The file cannot be read, or has no frame within the tolerance of the time.
        ImportError: PyAV is not installed.
    """
    if not path.is_file():
        raise error(FormatError, str(path), "", f"is missing ({where})")
    return _scaled(
        _decoder(str(path), os.stat(path).st_mtime_ns).frame(time_s, tolerance_s, where), shape, where
    )


def _scaled(pixels: NDArray[np.uint8], shape: tuple[int, ...], where: str) -> NDArray[np.float32]:
    if pixels.shape != shape:
        raise error(FormatError, where, f"picture of {pixels.shape}", f"must be {shape}")
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0), dtype=np.float32) / np.float32(255.0)


class VideoWriter:
    """One video file, a frame at a time; it is not there before ``finish``.

    The codec is the first of AV1 (as LeRobot), H.264 and MPEG-4 that this PyAV has; every second frame is a
    key frame, so that single frames are found quickly. Compression loses something: use images for data that
    must come back bit for bit.

    Args:
        path: The file to make.
        fps: Frames per second.
        shape: (H, W, 3), both even.
        codecs: Encoders of FFmpeg, the first that there is.

    Raises:
        ConfigError: A size is odd, or PyAV has none of the codecs.
        ImportError: PyAV is not installed.
    """

    def __init__(self, path: Path, fps: float, shape: tuple[int, ...], codecs: Sequence[str] = ()) -> None:
        from fractions import Fraction

        av = _av()
        require(shape[0] % 2 == 0 and shape[1] % 2 == 0, "shape", shape, "videos need even height and width")
        require(shape[2] == 3, "shape", shape, "videos need 3 channels")
        codecs = codecs or _CODECS
        codec = next((name for name in codecs if name in av.codecs_available), None)
        require(codec is not None, "av", av.__version__, f"has none of the encoders {', '.join(codecs)}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._partial = path.with_name(f".{path.stem}.partial{path.suffix}")
        self._av = av
        self._container = av.open(str(self._partial), "w")
        rate = Fraction(fps).limit_denominator(1000)
        self._stream = self._container.add_stream(codec, rate=rate, options=_OPTIONS[str(codec)])
        self._stream.height, self._stream.width = shape[:2]
        self._stream.pix_fmt = "yuv420p"

    def add(self, image: NDArray[np.uint8]) -> None:
        """Appends (H, W, 3)."""
        frame = self._av.VideoFrame.from_ndarray(image, format="rgb24")
        with _scheduling_kept():
            for packet in self._stream.encode(frame):
                self._container.mux(packet)

    def finish(self) -> None:
        """Completes the file and puts it in place."""
        from vla_rt._files import sync

        with _scheduling_kept():
            for packet in self._stream.encode():
                self._container.mux(packet)
            self._container.close()
        sync(self._partial)
        self._partial.replace(self.path)
        sync(self.path.parent)

    def discard(self) -> None:
        """Leaves nothing behind."""
        self._container.close()
        self._partial.unlink(missing_ok=True)


@contextmanager
def _scheduling_kept() -> Iterator[None]:
    """SVT-AV1 makes the thread that calls it a real-time one where it may, and leaves it so."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)


class _Decoder:
    """Finds frames by their time; goes on decoding where it is as long as that is the shorter way."""

    def __init__(self, path: str) -> None:
        av = _av()
        self._path, self._errors = path, (av.error.FFmpegError, EOFError)
        try:
            self._container = av.open(path)
            self._stream = self._container.streams.video[0]
        except (*self._errors, IndexError) as cause:
            raise error(FormatError, path, "", f"cannot be read as video: {cause}") from cause
        self._frames: Iterator[Any] = iter(())
        self._last = float("inf")

    def frame(self, time_s: float, tolerance_s: float, where: str) -> NDArray[np.uint8]:
        try:
            if not self._last < time_s <= self._last + 1.0:
                self._container.seek(int(time_s / self._stream.time_base), stream=self._stream)
                self._frames = self._container.decode(self._stream)
            for frame in self._frames:
                self._last = float(frame.time)
                if self._last >= time_s - tolerance_s:
                    if self._last > time_s + tolerance_s:
                        break
                    return np.asarray(frame.to_ndarray(format="rgb24"))
        except self._errors as cause:
            raise error(FormatError, self._path, "", f"cannot be decoded ({where}): {cause}") from cause
        self._last = float("inf")
        raise error(FormatError, f"{self._path} ({where})", f"{time_s:g} s", "no frame at this time")


@lru_cache(maxsize=16)
def _decoder(path: str, _changed: int) -> _Decoder:
    return _Decoder(path)


def _pillow() -> Any:
    require_extra("PIL", "images of datasets", "train", "Pillow")
    from PIL import Image

    return Image


def _av() -> Any:
    require_extra("av", "videos of datasets", "video", "PyAV")
    import av

    return av
