"""Pictures of a simulated scene, made beside the thread that moves it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt.sim.arm import import_mujoco
from vla_rt.tasks.scene import Scene

__all__ = ["PictureThread"]


class PictureThread:
    """Renders the newest state it was offered, and again when there is a newer one.

    Args:
        scene: Whose camera it is.
        take: Given each picture (H, W, 3), in this thread.
        fail: Given what ends this thread early.
    """

    def __init__(
        self,
        scene: Scene,
        take: Callable[[NDArray[np.uint8]], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._scene, self._take, self._fail = scene, take, fail
        self._lock = threading.Lock()
        self._newest: tuple[NDArray[Any], NDArray[Any]] | None = None
        self._offered, self.first = threading.Event(), threading.Event()  #: first: a picture was made
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="vla_rt-camera", daemon=True)
        self._thread.start()

    def offer(self, data: Any) -> None:
        """Copies a state (mujoco.MjData), to be seen as soon as the picture before it is made."""
        with self._lock:
            self._newest = (data.qpos.copy(), data.mocap_pos.copy())
        self._offered.set()

    def stop(self, timeout_s: float) -> None:
        """Ends the thread."""
        self._stopping = True
        self._offered.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            mujoco = import_mujoco()
            model = self._scene.arm.model
            data, camera = mujoco.MjData(model), self._scene.camera()
            while self._offered.wait() and not self._stopping:
                self._offered.clear()
                with self._lock:
                    assert self._newest is not None
                    data.qpos[:], data.mocap_pos[:] = self._newest
                mujoco.mj_kinematics(model, data)
                mujoco.mj_comPos(model, data)
                mujoco.mj_camlight(model, data)
                self._take(camera.picture(data))
                self.first.set()
            camera.close()
        except BaseException as cause:  # the controller must learn of it
            self._fail(cause)
        finally:
            self.first.set()
