"""Pictures of a simulation without a display."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import ConfigError, error, require
from vla_rt.sim.arm import import_mujoco

__all__ = ["Camera"]


class Camera:
    """A camera of a scene, rendered off screen.

    On Linux without a display it needs EGL (packages libegl1 and libgl1-mesa-dri of Debian) or OSMesa
    (libosmesa6): ``MUJOCO_GL=egl``, which is the default here, or ``MUJOCO_GL=osmesa``. Use it in the thread
    that made it.

    Args:
        model: mujoco.MjModel of what it looks at.
        name: Of the camera in the model.
        height: Rows.
        width: Columns.

    Raises:
        ConfigError: No such camera, or nothing here can render.
    """

    def __init__(self, model: Any, name: str, height: int, width: int) -> None:
        mujoco = import_mujoco()
        names = [model.camera(i).name for i in range(model.ncam)]
        require(name in names, "camera", name, f"the model has {', '.join(names)}")
        self._name = name
        try:
            self._renderer: Any = mujoco.Renderer(model, height, width)
        except Exception as cause:  # whatever the graphics library raises
            backend = os.environ.get("MUJOCO_GL", "")
            raise error(
                ConfigError,
                "camera",
                name,
                f"cannot be rendered with MUJOCO_GL={backend!r}: {cause}; set it to egl or osmesa before "
                "mujoco is imported, and install libegl1 or libosmesa6",
            ) from cause

    def picture(self, data: Any) -> NDArray[np.uint8]:
        """What it sees of a state (mujoco.MjData): (H, W, 3)."""
        self._renderer.update_scene(data, self._name)
        return np.array(self._renderer.render(), dtype=np.uint8)

    def close(self) -> None:
        """Gives the graphics library's memory back."""
        self._renderer.close()
