"""Video of an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_rt.datasets.pictures import VideoWriter
from vla_rt.tasks.scene import Scene

__all__ = ["RolloutVideo"]


class RolloutVideo:
    """Films the scene that it watches: give ``watch`` to `evaluate`, then ``finish``.

    Args:
        path: Video file; its ending chooses the container, such as .mp4.
        duration_s: Frames later than this are left out [s].
        fps: Frames per second of simulated time.
        height: Rows.
        width: Columns.

    Raises:
        ConfigError: A size is odd, or PyAV has none of the codecs.
        ImportError: PyAV is not installed.
    """

    def __init__(
        self, path: Path, duration_s: float = 30.0, fps: float = 25.0, height: int = 360, width: int = 480
    ) -> None:
        self._writer = VideoWriter(path, fps, (height, width, 3), ("libx264", "mpeg4"))
        self._duration_s, self._interval_s, self._size = duration_s, 1.0 / fps, (height, width)
        self._camera: Any = None
        self.frames = 0  #: so far

    def watch(self, scene: Scene, time_s: float) -> None:
        """Takes a picture when one is due."""
        if time_s > self._duration_s or time_s < self.frames * self._interval_s:
            return
        if self._camera is None:
            from vla_rt.sim.camera import Camera

            self._camera = Camera(scene.arm.model, "front", *self._size)
        self._writer.add(self._camera.picture(scene.arm.data))
        self.frames += 1

    def finish(self) -> None:
        """Completes the file."""
        self._writer.finish()
        if self._camera is not None:
            self._camera.close()

    def discard(self) -> None:
        """Leaves no file behind."""
        self._writer.discard()
