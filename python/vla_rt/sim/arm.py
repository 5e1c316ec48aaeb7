"""An arm in MuJoCo: position servos, real dynamics, a tool and a goal marker."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt.errors import ConfigError, FormatError, error, require

__all__ = ["DEFAULT_MODEL", "ArmSimulation"]

DEFAULT_MODEL = Path(__file__).with_name("arm.xml")  #: the mesh-free seven-joint arm that ships with vla_rt
_Array = NDArray[np.float64]


def import_mujoco() -> Any:
    """The simulator, told how to render where there is no display.

    Raises:
        ConfigError: It is not installed.
    """
    if sys.platform == "linux" and "DISPLAY" not in os.environ:
        os.environ.setdefault("MUJOCO_GL", "egl")  # read when mujoco is imported
    try:
        import mujoco
    except ImportError as cause:
        raise error(
            ConfigError, "mujoco", "", "the simulator is not installed; run: pip install 'vla-rt[sim]'"
        ) from cause
    return mujoco


class ArmSimulation:
    """A serial arm in MuJoCo whose joints are driven by position servos.

    A file must hold one hinge or slide joint per position servo, in the same order and nothing else that
    moves, a site ``tool`` and a mocap body ``goal``. A keyframe ``home`` gives the rest posture (else the
    joints' zero). In a scene of ``vla_rt.sim.scenes`` other joints may come after those with servos.

    A command is a position and a velocity. The servo's torque is ``kp (q_cmd - q) + kv (dq_cmd - dq)``: the
    velocity is fed forward, so a moving command is not followed late.

    Not thread safe: one thread steps it.

    Args:
        model_path: MJCF or URDF file; None for the arm that ships with vla_rt.
        model: A scene of ``vla_rt.sim.scenes`` instead of a file.

    Raises:
        ConfigError: MuJoCo is not installed or the file does not exist.
        FormatError: The model cannot be read or lacks what is listed above.
    """

    def __init__(self, model_path: str | Path | None = None, *, model: Any = None) -> None:
        mujoco = import_mujoco()
        path = DEFAULT_MODEL if model_path is None else Path(model_path)
        if model is None:
            require(path.is_file(), "model_path", path, "no such file")
            try:
                model = mujoco.MjModel.from_xml_path(str(path))
            except ValueError as cause:
                raise error(FormatError, "model_path", path, f"MuJoCo cannot read it: {cause}") from cause
            _check_model(mujoco, model, path)
        # a diverged simulation must be seen as such, not begin anew by itself
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        self.model: Any = model  #: mujoco.MjModel
        self.data: Any = mujoco.MjData(model)  #: mujoco.MjData
        self._mujoco = mujoco
        self._step = mujoco.mj_step
        self._tool = model.site("tool").id
        self._goal = model.body("goal").mocapid[0]
        self._lead = -model.actuator_biasprm[:, 2] / model.actuator_gainprm[:, 0]  # kv/kp [s]
        self._n = int(model.nu)
        home = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_KEY, "home")
        self.home: _Array = np.zeros(self._n)
        if home >= 0:
            self.home[:] = model.key_qpos[home, : self._n]
        self.reset()

    @property
    def num_joints(self) -> int:
        """N."""
        return self._n

    @property
    def timestep_s(self) -> float:
        """Length of one physics step [s]."""
        return float(self.model.opt.timestep)

    @property
    def min_position(self) -> _Array:
        """Lower end of the joints' ranges (N,) [rad]."""
        return np.array(self.model.jnt_range[: self._n, 0])

    @property
    def max_position(self) -> _Array:
        """Upper end of the joints' ranges (N,) [rad]."""
        return np.array(self.model.jnt_range[: self._n, 1])

    @property
    def time_s(self) -> float:
        """Simulated time since the last reset [s]."""
        return float(self.data.time)

    @property
    def position(self) -> _Array:
        """Measured joint positions (N,) [rad], a view: copy it to keep it."""
        return self.data.qpos[: self._n]  # type: ignore[no-any-return]

    @property
    def velocity(self) -> _Array:
        """Measured joint velocities (N,) [rad/s], a view."""
        return self.data.qvel[: self._n]  # type: ignore[no-any-return]

    @property
    def tool(self) -> _Array:
        """Tool position (3,) [m], a view; as of the beginning of the last physics step."""
        return self.data.site_xpos[self._tool]  # type: ignore[no-any-return]

    @property
    def goal(self) -> _Array:
        """Position of the goal marker (3,) [m], a view."""
        return self.data.mocap_pos[self._goal]  # type: ignore[no-any-return]

    @goal.setter
    def goal(self, position: ArrayLike) -> None:
        self.data.mocap_pos[self._goal] = position

    @property
    def num_contacts(self) -> int:
        """Contacts of all that moves, with itself or the world."""
        return int(self.data.ncon)

    @property
    def finite(self) -> bool:
        """Whether every position and velocity is a finite number."""
        return bool(np.isfinite(self.data.qpos).all() and np.isfinite(self.data.qvel).all())

    def reset(self, position: ArrayLike | None = None) -> None:
        """Puts the arm at rest at ``position`` (N,) [rad], at home when None, and holds it there; time starts
        at 0.

        Raises:
            ConfigError: Wrong length or a number that is not finite.
        """
        q = self.home if position is None else np.asarray(position, dtype=np.float64)
        require(q.shape == (self.num_joints,), "position.shape", q.shape, f"must be ({self.num_joints},)")
        for joint in np.flatnonzero(~np.isfinite(q)):
            raise error(ConfigError, f"position[{joint}]", q[joint], "must be finite")
        goal = self.goal.copy()
        self._mujoco.mj_resetData(self.model, self.data)
        self.goal = goal
        self.data.qpos[: self._n] = q
        self.data.ctrl[:] = q
        self._mujoco.mj_forward(self.model, self.data)

    def command(self, position: ArrayLike, velocity: ArrayLike | None = None) -> None:
        """Sets what the servos follow: position (N,) [rad], velocity (N,) [rad/s], zero when None."""
        self.data.ctrl[:] = position if velocity is None else position + self._lead * velocity

    def step(self, count: int = 1) -> None:
        """Advances by ``count`` physics steps; releases the GIL."""
        self._step(self.model, self.data, count)

    def joint_limits_violation(self) -> float:
        """Largest distance of a measured joint position beyond its range [rad]; 0 when within."""
        q = self.position
        return float(max(0.0, (self.min_position - q).max(), (q - self.max_position).max()))


def _check_model(mujoco: Any, model: Any, path: Path) -> None:
    def refuse(what: str, value: object, bound: str) -> FormatError:
        return error(FormatError, f"{path}: {what}", value, bound)

    scalar = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
    if model.njnt == 0 or any(int(kind) not in scalar for kind in model.jnt_type):
        raise refuse("joints", model.njnt, "needs hinge or slide joints and no others")
    if model.nu != model.njnt or any(model.actuator_trnid[i, 0] != i for i in range(model.nu)):
        raise refuse(
            "actuators", model.nu, f"needs one position servo per joint ({model.njnt}), in the joints' order"
        )
    for i in range(model.nu):
        gain, bias = model.actuator_gainprm[i, 0], model.actuator_biasprm[i, 1]
        if gain <= 0 or bias != -gain:
            raise refuse(f"actuator[{i}]", gain, "must be a <position> servo with kp > 0")
    if mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, "tool") < 0:
        raise refuse("site", "tool", "not found")
    if mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, "goal") < 0 or model.body("goal").mocapid[0] < 0:
        raise refuse("body", "goal", "not found or not mocap")
    if not all(model.jnt_limited):
        raise refuse("joints", "", "every joint needs a range")
