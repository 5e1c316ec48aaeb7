"""``meta/info.json`` of a LeRobot dataset: what it holds and where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vla_rt.datasets.json_files import read_object, write_object
from vla_rt.errors import ConfigError, FormatError, error, require

__all__ = ["DEFAULT_FEATURES", "DatasetInfo", "Feature"]

VERSIONS = ("v3.0", "v2.1")
_NUMBERS = (
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "bool",
)
_DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_FILE_SIZES_MB = {"data_files_size_in_mb": 100, "video_files_size_in_mb": 200}
_VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"


@dataclass(frozen=True)
class Feature:
    """One column.

    Attributes:
        dtype: A numpy dtype's name, "image" (PNG in the column), "video" or "string".
        shape: Of one frame's value; (1,) is a single number; images are (H, W, C).
        names: Of the values; anything.
    """

    dtype: str
    shape: tuple[int, ...]
    names: Any = None

    @property
    def is_visual(self) -> bool:
        """Whether it holds images, stored one way or the other."""
        return self.dtype in ("image", "video")

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers in the parquet files."""
        return self.dtype in _NUMBERS

    @classmethod
    def parse(
        cls, name: str, value: Any, kind: type[ConfigError] | type[FormatError] = ConfigError
    ) -> Feature:
        """Reads {"dtype", "shape", "names"}; ``kind`` is raised about what is wrong."""
        if isinstance(value, Feature):
            return value
        if not isinstance(value, Mapping) or "dtype" not in value or "shape" not in value:
            raise error(kind, f"features[{name!r}]", value, "must be {'dtype': ..., 'shape': ...}")
        dtype, shape = value["dtype"], value["shape"]
        if dtype not in (*_NUMBERS, "image", "video", "string"):
            raise error(
                kind, f"features[{name!r}].dtype", dtype, "must be a number's, image, video or string"
            )
        if not isinstance(shape, (list, tuple)) or not all(
            isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape
        ):
            raise error(kind, f"features[{name!r}].shape", shape, "must be a list of sizes > 0")
        feature = cls(dtype, tuple(shape) or (1,), value.get("names"))
        if feature.is_visual and len(feature.shape) != 3:
            raise error(kind, f"features[{name!r}].shape", shape, "must be (height, width, channels)")
        return feature

    def channels_last(self) -> Feature:
        """With the shape as (H, W, C), also if it was written as (C, H, W)."""
        names = [str(n) for n in self.names] if isinstance(self.names, (list, tuple)) else []
        first = names[:1] in (["channels"], ["channel"])
        if self.is_visual and (
            first or (not names and self.shape[0] in (1, 3) and self.shape[2] not in (1, 3))
        ):
            return Feature(self.dtype, (*self.shape[1:], self.shape[0]), ["height", "width", "channels"])
        return self

    def to_dict(self) -> dict[str, Any]:
        """As info.json holds it."""
        return {"dtype": self.dtype, "shape": list(self.shape), "names": self.names}


#: Columns that every dataset has.
DEFAULT_FEATURES: dict[str, Feature] = {
    "timestamp": Feature("float32", (1,)),
    "frame_index": Feature("int64", (1,)),
    "episode_index": Feature("int64", (1,)),
    "index": Feature("int64", (1,)),
    "task_index": Feature("int64", (1,)),
}


@dataclass(frozen=True)
class DatasetInfo:
    """The fields of info.json that have a meaning here; ``rest`` carries the others along.

    Attributes:
        version: "v3.0" or "v2.1".
        fps: Frames per second.
        features: By name, those of ``DEFAULT_FEATURES`` included.
        total_episodes: Episodes that count; what files hold beyond is an unfinished save.
        total_frames: Frames in these.
        total_tasks: Number of different task texts.
        chunks_size: Files in a folder.
        data_path: Template of the parquet files.
        video_path: Template of the video files.
        robot_type: Free text.
        rest: Further fields.
    """

    version: str
    fps: float
    features: Mapping[str, Feature]
    total_episodes: int = 0
    total_frames: int = 0
    total_tasks: int = 0
    chunks_size: int = 1000
    data_path: str = _DATA_PATH
    video_path: str | None = _VIDEO_PATH
    robot_type: str | None = None
    rest: Mapping[str, Any] | None = None

    @classmethod
    def new(cls, fps: float, features: Mapping[str, Any], robot_type: str | None) -> DatasetInfo:
        """Of an empty v3.0 dataset.

        Raises:
            ConfigError: ``fps`` or a feature is malformed.
        """
        require(math.isfinite(fps) and fps > 0, "fps", fps, "must be finite and > 0")
        require(bool(features), "features", features, "needs at least one")
        parsed = {}
        for name, value in features.items():
            if name in DEFAULT_FEATURES:
                continue
            require(bool(name) and "/" not in name, f"features[{name!r}]", name, "must be a name without '/'")
            parsed[name] = Feature.parse(name, value).channels_last()
        return cls("v3.0", float(fps), {**parsed, **DEFAULT_FEATURES}, robot_type=robot_type)

    @classmethod
    def read(cls, root: Path) -> DatasetInfo:
        """Reads meta/info.json.

        Raises:
            ConfigError: There is none.
            FormatError: It is malformed, or of a version that is not read here.
        """
        path = root / "meta" / "info.json"
        require(path.is_file(), "root", root, "is no LeRobot dataset: meta/info.json is missing")
        content = read_object(path)
        version = content.pop("codebase_version", None)
        if version not in VERSIONS:
            raise error(
                FormatError, f"{path}: codebase_version", version, f"must be one of {', '.join(VERSIONS)}"
            )

        def field(name: str, kinds: tuple[type, ...], least: float, default: Any = None) -> Any:
            value = content.pop(name, default)
            good = isinstance(value, kinds) and not isinstance(value, bool)
            if good and isinstance(value, (int, float)):
                good = math.isfinite(value) and value >= least
            if not good:
                raise error(FormatError, f"{path}: {name}", value, "is missing or has no meaning")
            return value

        fps = float(field("fps", (int, float), 1e-9))
        features = {
            str(name): Feature.parse(str(name), value, FormatError).channels_last()
            for name, value in field("features", (dict,), 0).items()
        }
        episodes, frames = (field(name, (int,), 0) for name in ("total_episodes", "total_frames"))
        tasks = field("total_tasks", (int,), 0, 0)
        chunks_size, data_path = field("chunks_size", (int,), 1, 1000), field("data_path", (str,), 0)
        video_path = content.pop("video_path", None)
        return cls(
            version,
            fps,
            {**features, **{n: f for n, f in DEFAULT_FEATURES.items() if n not in features}},
            episodes,
            frames,
            tasks,
            chunks_size,
            data_path,
            video_path,
            content.pop("robot_type", None),
            content,
        )

    def write(self, root: Path) -> None:
        """Puts meta/info.json in place, durably and in one step."""
        rest = dict(self.rest or {})
        sizes = {name: rest.pop(name) for name in _FILE_SIZES_MB if name in rest} or _FILE_SIZES_MB
        has_videos = any(feature.dtype == "video" for feature in self.features.values())
        content = {  # in LeRobot's order
            "codebase_version": self.version,
            "robot_type": self.robot_type,
            "total_episodes": self.total_episodes,
            "total_frames": self.total_frames,
            "total_tasks": self.total_tasks,
            "chunks_size": self.chunks_size,
            **sizes,
            "fps": int(self.fps) if self.fps.is_integer() else self.fps,
            "splits": {"train": f"0:{self.total_episodes}"},
            "data_path": self.data_path,
            "video_path": self.video_path if has_videos else None,
            "features": {name: feature.to_dict() for name, feature in self.features.items()},
        }
        write_object(
            root / "meta" / "info.json", {**content, **{k: rest[k] for k in rest if k not in content}}
        )

    def grown(self, episodes: int, frames: int, tasks: int) -> DatasetInfo:
        """With these totals."""
        return replace(self, total_episodes=episodes, total_frames=frames, total_tasks=tasks)

    def data_file(self, root: Path, **place: int) -> Path:
        """Parquet file by ``chunk_index`` and ``file_index``, or ``episode_chunk`` and ``episode_index``."""
        return _below(root, self.data_path, place)

    def video_file(self, root: Path, key: str, **place: int) -> Path:
        """Video file of feature ``key``."""
        return _below(root, self.video_path or "", {"video_key": key, **place})


def _below(root: Path, template: str, place: Mapping[str, Any]) -> Path:
    try:
        relative = template.format(**place)
    except (KeyError, IndexError, ValueError, AttributeError) as cause:
        raise error(
            FormatError, f"{root}/meta/info.json: path", template, f"is no template: {cause!r}"
        ) from cause
    parts = Path(relative).parts
    if not parts or Path(relative).is_absolute() or ".." in parts:
        raise error(FormatError, f"{root}/meta/info.json: path", relative, "must stay below the dataset")
    return root / relative
