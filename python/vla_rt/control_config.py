"""Set-up of a control loop: one flat dataclass, checked as a whole, readable from a dict or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from vla_rt import _core
from vla_rt._core import (
    MAX_ACTION_DIM,
    ActionSpace,
    CollisionModel,
    GripperJoint,
    JointLimits,
    Kinematics,
    Workspace,
)
from vla_rt.config_file import known_fields, limits_from_dict, parse_file, refuse_unknown
from vla_rt.control_fields import MOST, SEQUENCES, check_type, none_is_off
from vla_rt.errors import ConfigError, error, require
from vla_rt.tool_actions import ActionMeaning

__all__ = ["ControlConfig"]


@dataclass(frozen=True)
class ControlConfig:
    """How a `ControlLoop` runs. Every number is checked when the object is made.

    Attributes:
        period_s: Time between control ticks [s], 1e-5 to 1.
        mode: When a new chunk takes over: "receding", "ensemble", "async" or "rtc"; see `ChunkExecutor`.
        execution_horizon: Rows of a chunk that are executed before the next is due; None takes the policy's
            own, or all where it has none.
        limits: Limits of the N joints; None takes the robot's own.
        watchdog_s: Longest time without a fresh chunk before the controller faults [s]; None is never.
        realtime: "best_effort" runs without the privileges that the kernel refuses, and reports them;
            "enforce" raises `RealtimeError` instead.
        priority: SCHED_FIFO priority, 1 to 99.
        cpu: CPU the control thread stays on; None is anywhere.
        blend_s: How long a change of chunks is blended [s]; 0 is not at all.
        interpolation: Motion between rows: "linear", "cubic" or "quintic".
        merge: What "async" does with rows that both chunks have: "crossfade", "replace" or "average".
        merge_weights: Of the old and the new rows, for "average".
        discrete_dims: Dimensions that are switched, not interpolated.
        rotation_dims: Pairs (first dimension, format) of dimensions that are one rotation; see
            `ChunkExecutor`.
        on_starvation: When a plan ends before the next chunk: "hold" the last row or "decelerate".
        rtc_max_weight: Largest strength with which "rtc" holds a chunk to the one before; >= 0.
        rtc_schedule: How that falls from the delay to the horizon less `execution_horizon`: "exp", "linear",
            "ones" or "zeros".
        rtc_jacobian: "identity", "vjp" or "finite_differences"; see `vla_rt.rtc.Guidance`.
        relative_to: Observation feature that the policy's actions are relative to; None is absolute actions.
        relative_dims: The relative dimensions; None is all but `discrete_dims`.
        temporal_ensemble_coeff: m of the weights exp(-m i) of "ensemble".
        chunk_period_s: Time between the rows of a chunk [s]; None takes the policy's own, or 0.05 where it
            has none.
        action_space: What the numbers of an action are: an `ActionSpace` or the name of its kind; None takes
            what the policy says, or joint positions where it says nothing.
        delta_frame: Whose axes end-effector deltas are along: "base" or "tool"; see
            `DifferentialIk.update_delta`.
        gripper: Joint that the gripper's number moves; None where the arm has none, or nothing shall move.
        posture: Joint positions that the arm drifts to where the tool leaves it free (N,); None is where a
            run begins.
        rotation_scale: For actions of the tool: one radian of orientation error counts as so many metres
            [m/rad].
        path_preserving: Slow all joints together where one is limited, so that the path keeps its shape.
        smoothing_s: Time constant of target smoothing for noisy policies [s]; 0 is off.
        state_timeout_s: An older measurement is stale [s].
        plan_timeout_s: A plan from an older observation is stale [s]; None is until it ends.
        max_following_error: Largest distance between command and measurement of any joint [rad] or [m]; None
            is off.
        seed: Of the noise that a policy package samples from; equal seeds give equal chunks for equal
            observations.
        inference_rate_hz: Inferences per second; None is as often as `execution_horizon` asks for.
        inline_budget_s: Time per tick for a small native package that then runs inside the tick, a few
            evaluations of its network at a time [s], at most 4/5 of `period_s`; None is a thread of its own.
        inference_stop_timeout_s: Longest wait for a busy policy at the end of a run [s].
        lock_memory: Lock the memory of the process while and after it runs.
        spin_s: Busy wait before each tick [s], at most half a period is spent.
        first_state_timeout_s: How long to wait for the robot's first measurement [s].
        trace_s: Newest part of a run that is kept for plots [s]; 0 is none.
        kinematics: `Kinematics` of the robot's joints; needed with a workspace, else taken from `collision`;
            and for actions of the tool, which are of its tip in the frame of its base (a gripper's joint is
            no part of it).
        workspace: `Workspace` or a list of them that points of the robot must stay in; None is anywhere.
        collision: `CollisionModel` of what must not touch; None is not checked.
        chain_joints: Which of the robot's joints those of `kinematics` are, where workspace or collision are
            checked; None is all of them, less the `gripper`'s for actions of the tool.
        violation_log: File for every wish that was not granted, see `ViolationLog`; None is none.
        record: File that keeps every tick and every chunk, see `FlightRecording`; None is none.
        record_max_mb: Largest size of that file and of the part before it together [MiB].
        record_pictures: Keep the pictures that the policy sees in it too.
        mcap: File for Foxglove that is written while the run goes on, pictures included; see `write_mcap`.
            None is none; takes `pip install 'vla-rt[mcap]'`.
        mcap_rate_hz: Of joints and ticks in that file; None is every tick.
        joint_names: For logs; None is those of `kinematics` where they are as many.

    Raises:
        ConfigError: A value is outside its bounds; names field, value and bound.
    """

    period_s: float = 0.001
    mode: str = "receding"
    execution_horizon: int | None = None
    limits: JointLimits | None = None
    watchdog_s: float | None = 5.0
    realtime: str = "best_effort"
    priority: int = 80
    cpu: int | None = None
    blend_s: float = 0.1
    interpolation: str = "cubic"
    merge: str = "crossfade"
    merge_weights: tuple[float, float] = (0.3, 0.7)
    discrete_dims: tuple[int, ...] = ()
    on_starvation: str = "hold"
    rtc_max_weight: float = 5.0
    rtc_schedule: str = "exp"
    rtc_jacobian: str = "identity"
    relative_to: str | None = None
    relative_dims: tuple[int, ...] | None = None
    rotation_dims: tuple[tuple[int, str], ...] = ()
    temporal_ensemble_coeff: float = 0.01
    chunk_period_s: float | None = None
    action_space: ActionSpace | str | None = None
    delta_frame: str = "base"
    gripper: GripperJoint | None = None
    posture: tuple[float, ...] | None = None
    rotation_scale: float = 0.25
    path_preserving: bool = False
    smoothing_s: float = 0.0
    state_timeout_s: float = 0.1
    plan_timeout_s: float | None = None
    max_following_error: float | None = 0.5
    seed: int = 0
    inference_rate_hz: float | None = None
    inline_budget_s: float | None = None
    inference_stop_timeout_s: float = 1.0
    lock_memory: bool = True
    spin_s: float = 0.0002
    first_state_timeout_s: float = 5.0
    trace_s: float = 60.0
    kinematics: Kinematics | None = None
    workspace: Workspace | Sequence[Workspace] | None = None
    collision: CollisionModel | None = None
    chain_joints: tuple[int, ...] | None = None
    violation_log: str | Path | None = None
    record: str | Path | None = None
    record_max_mb: float = 1024.0
    record_pictures: bool = False
    mcap: str | Path | None = None
    mcap_rate_hz: float | None = 100.0
    joint_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Check every field.

        Raises:
            ConfigError: A value is outside its bounds; names field, value and bound.
        """
        self.to_core()

    def to_core(
        self,
        limits: JointLimits | None = None,
        chunk_period_s: float | None = None,
        execution_horizon: int | None = None,
        actions: ActionMeaning | None = None,
    ) -> _core.ControlConfig:
        """The same for the C++ core, with what robot and policy say where this leaves it open.

        Args:
            limits: Taken where `self.limits` is None.
            chunk_period_s: Taken where `self.chunk_period_s` is None.
            execution_horizon: Taken where `self.execution_horizon` is None.
            actions: Taken where `self.action_space` is None.
        """
        for field in fields(self):
            check_type(field.name, getattr(self, field.name))
        require(self.seed >= 0, "seed", self.seed, "must be >= 0")
        self.guidance_options()
        off_or = {name: none_is_off(name, getattr(self, name)) for name in MOST}
        period = self.chunk_period_s if self.chunk_period_s is not None else chunk_period_s
        if period is not None:
            check_type("chunk_period_s", period)
            require(1e-6 <= period <= 60, "chunk_period_s", period, "must be in [1e-6, 60] s")
        check_type("execution_horizon", execution_horizon)
        word = f'"{self.delta_frame}"'
        require(self.delta_frame in ("base", "tool"), "delta_frame", word, "must be base | tool")
        for dim in self.discrete_dims:
            whole = isinstance(dim, (int, np.integer)) and 0 <= dim < MAX_ACTION_DIM
            require(whole, "discrete_dims", dim, f"must be whole numbers in 0..{MAX_ACTION_DIM - 1}")
        core = _core.ControlConfig(
            period_s=self.period_s,
            chunk_period_s=period if period is not None else 0.05,
            mode=self.mode,
            execution_horizon=execution_horizon if self.execution_horizon is None else self.execution_horizon,
            blend_s=self.blend_s,
            interpolation=self.interpolation,
            merge=self.merge,
            merge_weights=self.merge_weights,
            discrete_dims=self.discrete_dims,
            on_starvation=self.on_starvation,
            temporal_ensemble_coeff=self.temporal_ensemble_coeff,
            cartesian=self._cartesian(actions),
            limits=self.limits if self.limits is not None else limits,
            path_preserving=self.path_preserving,
            smoothing_s=self.smoothing_s,
            state_timeout_s=self.state_timeout_s,
            inference_stop_timeout_s=self.inference_stop_timeout_s,
            realtime=self.realtime,
            priority=self.priority,
            cpu=self.cpu,
            lock_memory=self.lock_memory,
            spin_s=self.spin_s,
            first_state_timeout_s=self.first_state_timeout_s,
            trace_s=self.trace_s,
            rotation_dims=self.rotation_dims,
            **off_or,
        )
        has_walls = self.workspace is not None or self.collision is not None
        kinematics = self.kinematics if has_walls else None
        core.surround(kinematics, self.workspace, self.collision, self.chain_joints)
        if self.violation_log is not None:
            core.violation_log = str(self.violation_log)
        if self.record is not None:
            core.record = str(self.record)
        require(
            1 <= self.record_max_mb <= 1e6, "record_max_mb", self.record_max_mb, "must be in [1, 1e6] MiB"
        )
        core.record_max_mb = self.record_max_mb
        core.record_pictures = self.record_pictures
        rate = self.mcap_rate_hz
        require(rate is None or rate > 0, "mcap_rate_hz", rate, "must be > 0")
        return core

    def guidance_options(self) -> _core.GuidanceOptions:
        """How chunks continue the one before in mode "rtc", for the C++ core."""
        try:
            return _core.GuidanceOptions(self.rtc_max_weight, self.rtc_schedule, self.rtc_jacobian)
        except ConfigError as cause:
            raise error(ConfigError, f"rtc_{cause.name}", cause.value, cause.bound) from cause

    def _cartesian(self, known: ActionMeaning | None) -> _core.CartesianConfig | None:
        actions = ActionMeaning.of(self.action_space) or known
        if actions is None or not actions.is_of_the_tool or self.kinematics is None:
            return None
        return _core.CartesianConfig(
            kinematics=self.kinematics,
            action_space=actions.kind,
            action_dim=actions.dimension,
            delta_frame=self.delta_frame,
            gripper=self.gripper,
            posture=self.posture if self.posture is not None else (),
            rotation_scale=self.rotation_scale,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ControlConfig:
        """From a mapping of field names, as a configuration file holds them.

        `limits`, `kinematics` (path, tip, base) and `gripper` may be mappings too.

        Raises:
            ConfigError: An unknown field (the nearest known one is named) or a value outside its bounds.
        """
        given = type(values).__name__
        require(isinstance(values, Mapping), "values", given, "must be a mapping of field names")
        known = [field.name for field in fields(cls)]
        refuse_unknown(values, known, "")
        chosen = dict(values)
        for name in SEQUENCES:
            if isinstance(chosen.get(name), list):
                chosen[name] = tuple(chosen[name])
        if isinstance(chosen.get("limits"), Mapping):
            chosen["limits"] = limits_from_dict(chosen["limits"])
        if isinstance(chosen.get("kinematics"), Mapping):
            chosen["kinematics"] = Kinematics.from_urdf(
                **known_fields(chosen["kinematics"], "kinematics", ("path", "tip"), ("base",))
            )
        if isinstance(chosen.get("gripper"), Mapping):
            needed = ("joint", "open_position", "closed_position")
            chosen["gripper"] = GripperJoint(**known_fields(chosen["gripper"], "gripper", needed))
        return cls(**chosen)

    @classmethod
    def from_file(cls, path: str | Path) -> ControlConfig:
        """From a .json, .toml (Python 3.11) or .yaml (with PyYAML) file.

        Raises:
            ConfigError: No such file, a file that cannot be read, an unknown field or a bad value.
        """
        file = Path(path)
        require(file.is_file(), "path", file, "no such file")
        values = parse_file(file)
        require(
            isinstance(values, Mapping),
            str(file),
            type(values).__name__,
            "must hold a mapping of field names",
        )
        return cls.from_dict(values)
