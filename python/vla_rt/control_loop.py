"""A complete controller from Python: robot in, policy in, `run`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import isclose
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike, NDArray

from vla_rt import _core
from vla_rt.config_file import LIMIT_FIELDS
from vla_rt.control_config import ControlConfig
from vla_rt.errors import ConfigError, error, require
from vla_rt.tool_actions import meaning_for

if TYPE_CHECKING:
    from vla_rt.mcap_log import LiveMcap, LogView

__all__ = ["ControlLoop", "RunReport"]

_UNNAMED_RECORD_MB = 64.0  # of a recording that is only read by what logs the run

#: What a policy in Python may be: observation features by name -> actions (T, N).
PolicyFunction = Callable[[dict[str, NDArray[Any]]], ArrayLike]


@dataclass(frozen=True)
class RunReport:
    """What one run came to. Everything about motion is measured on the emitted commands.

    Attributes:
        ticks: Control ticks, the final stop included.
        duration_s: From the first tick to the end of the last.
        deadline_misses: Periods in which no tick ran because one before was late.
        wakeup_us: {p50, p99, p999, max} of how much later than due a tick began [us].
        compute_us: {p50, p99, p999, max} of read, tick, write and bookkeeping [us].
        limit_violations: Position, velocity, acceleration or jerk beyond its limit in an emitted command;
            every command is judged.
        worst_limit_ratio: {velocity, acceleration, jerk}: largest value relative to its limit.
        status_counts: Ticks by status.
        limited_ticks: {cause: [N]}: ticks in which position, velocity, acceleration, jerk, workspace,
            collision or non_finite changed the wish of each joint.
        dropped_violations: Entries missing in `violation_log`.
        unrecorded: Records missing in `record`, because ring or disk was full.
        fault: Why the controller stopped for good ("watchdog", "following_error", "driver_error", ...) or
            None.
        fault_text: The same in one sentence.
        interrupted: Ended early by Ctrl-C or `request_stop`.
        inference: chunks, failures, refused, last_error, latency_ms {p50, p99, p999, max} of the policy,
            delay_ms {p50, p99, p999, max} from observation to hand-over, expected_delay_ms {p50, max},
            later_than_expected (chunks), remaining_plan_ms {min, p50} at hand-over, abandoned (the policy did
            not return in time and was let go), in_tick (with `inline_budget_s`, else None: budget_us,
            encode_us, step_us, hand_over_us measured at set-up, num_steps per chunk, ticks that did a piece,
            over_budget of them, most_ticks per chunk).
        executor: Counts of the `ChunkExecutor`: accepted, dropped, refused and superseded chunks, dropped
            rows, starved_s, ...
        seam: Largest {position, velocity, acceleration} jump between two chunks before blending, the same of
            its `p50` and `p99`, and their `count`.
        tracking_rms: Of measured - commanded position [rad] or [m].
        limiting_rms: Of wished - commanded position while the wish was followed [rad] or [m].
        realtime: What the kernel granted, and `refused`: one sentence per refusal.
        mcap: Of the log for Foxglove, where there is one: messages, and error, why it ended early, or None.
        dropped_records: Ticks missing in `trace` and the rms because the recorder was behind.
        trace: The newest ticks: time_s, wakeup_us, compute_us (n,), measured_position,
            measured_velocity, command_position,
            command_velocity, command_acceleration, target (n, N), status, chunk_sequence (n,) of the chunk
            that was followed.
        handovers: The newest chunks: time_s, delay_s, expected_delay_s, remaining_s (plan left when it came),
            dropped_rows, sequence (m,); times as the trace's.
        seams: The newest seams: time_s (s,), position, velocity, acceleration (s, D) of the plan: joints; for
            actions of the tool position, quaternion and gripper.
        limits: What the commands were held to: min_position, max_position, max_velocity, max_acceleration,
            max_jerk (N,).
    """

    ticks: int
    duration_s: float
    deadline_misses: int
    wakeup_us: dict[str, float]
    compute_us: dict[str, float]
    limit_violations: int
    worst_limit_ratio: dict[str, float]
    status_counts: dict[str, int]
    limited_ticks: dict[str, list[int]]
    dropped_violations: int
    unrecorded: int
    fault: str | None
    fault_text: str | None
    interrupted: bool
    inference: dict[str, Any]
    executor: dict[str, Any]
    seam: dict[str, Any]
    tracking_rms: float
    limiting_rms: float
    realtime: dict[str, Any]
    dropped_records: int
    trace: dict[str, NDArray[Any]] = field(repr=False, compare=False)
    handovers: dict[str, NDArray[Any]] = field(repr=False, compare=False)
    seams: dict[str, NDArray[Any]] = field(repr=False, compare=False)
    limits: dict[str, NDArray[Any]] = field(repr=False, compare=False)
    mcap: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON."""
        values = asdict(self)
        for name in ("trace", "handovers", "seams", "limits"):
            del values[name]
        return values


class ControlLoop:
    """Runs a policy on a robot: control tick, inference and recording in C++ threads of their own.

    Args:
        robot: A robot of `vla_rt.robots`.
        policy: A policy package from `load_policy`, an object with `sample(observation)`, a policy of LeRobot
            (wrapped in `vla_rt.integrations.lerobot.LivePolicy`), or a callable
            `policy(observation: dict[str, ndarray]) -> (T, N) array`. Python ones run in the inference
            thread; what they raise is counted and reported, and never ends the run. One that has a
            parameter `guidance` is given the `vla_rt.rtc.Guidance` to continue in mode "rtc".
        config: How to run; the default where None.

    Raises:
        ConfigError: Robot, limits and policy do not fit together, or limits are missing.
    """

    def __init__(
        self, robot: _core.Robot, policy: Any, config: ControlConfig | Mapping[str, Any] | None = None
    ) -> None:
        if not isinstance(robot, _core.Robot):
            raise error(ConfigError, "robot", type(robot).__name__, "must be a robot of vla_rt.robots")
        config = ControlConfig() if config is None else config
        if isinstance(config, Mapping):
            config = ControlConfig.from_dict(config)
        if not isinstance(config, ControlConfig):
            raise error(ConfigError, "config", type(config).__name__, "must be a ControlConfig")
        limits = getattr(robot, "limits", None)
        if config.limits is None and limits is None:
            raise error(ConfigError, "limits", "None", "must be given: this robot has none of its own")
        period_s = getattr(robot, "period_s", config.period_s)
        if not isclose(period_s, config.period_s, rel_tol=1e-9):
            bound = f"must be the period of the simulated robot, {period_s:g} s"
            raise error(ConfigError, "period_s", config.period_s, bound)
        actions = meaning_for(
            config.action_space,
            _known_to(policy, "action_space"),
            has_kinematics=config.kinematics is not None,
            has_walls=config.workspace is not None or config.collision is not None,
        )
        if actions is not None:
            actions.require_joints(robot.num_joints)
            relative = actions.is_of_the_tool and config.relative_to is not None
            require(not relative, "relative_to", config.relative_to, f"is not for {actions.kind}")
        core = config.to_core(
            limits, _known_to(policy, "period_s"), _known_to(policy, "execution_horizon"), actions
        )
        self._source = _source_of(policy, core.chunk_period_s, config, robot.num_joints)
        self._config = config
        self._limits = config.limits if config.limits is not None else limits
        self._record = config.record if config.mcap is None else _recording_for(config, robot.num_joints)
        if config.mcap is not None:
            core.record = str(self._record)
            core.record_pictures = True
            core.record_max_mb = config.record_max_mb if config.record is not None else _UNNAMED_RECORD_MB
        self._core = _core.ControlLoop(robot, self._source, core)

    @property
    def config(self) -> ControlConfig:
        """As given."""
        return self._config

    def run(self, duration_s: float) -> RunReport:
        """Run for `duration_s` seconds, then follow the certified stop until the commanded motion is at rest.

        A fault or Ctrl-C ends the run early, with the same stop; the report says so (`fault`, `interrupted`).

        Raises:
            ConfigError: The duration is not in (0, 1e6] s, or the robot stands outside the limits.
            RealtimeError: A privilege that was enforced is refused.
            VlaRtError: The robot posts no first state in time.
        """
        given: object = duration_s
        is_number = isinstance(given, Real) and not isinstance(given, bool)
        require(is_number, "duration_s", duration_s, "must be a number in (0, 1e6] s")
        with self._logging() as log:
            report = self._core.run(duration_s)
        return RunReport(
            mcap=None if log is None else log.result,
            **report.to_dict(),
            trace=report.trace(),
            handovers=report.handovers(),
            seams=report.seams(),
            limits={name: getattr(self._limits, name) for name in LIMIT_FIELDS},
        )

    @contextmanager
    def _logging(self) -> Iterator[LiveMcap | None]:
        """The thread that writes `mcap` from the recording, which is removed where nobody asked for it."""
        config = self._config
        if config.mcap is None:
            yield None
            return
        from vla_rt.mcap_log import LiveMcap

        recording = Path(str(self._record))
        try:
            with LiveMcap(recording, Path(config.mcap), _view(config)) as log:
                yield log
        finally:
            if config.record is None:
                for file in (recording, recording.with_name(recording.name + ".1")):
                    file.unlink(missing_ok=True)

    def request_stop(self) -> None:
        """End the run in progress early, with the certified stop. Any thread."""
        self._core.request_stop()

    def stop_inference(self) -> None:
        """End the inference of the run in progress: the plan is finished, then the watchdog faults."""
        self._core.stop_inference()


def _view(config: ControlConfig) -> LogView:
    from vla_rt.mcap_log import LogView

    return LogView(config.mcap_rate_hz, config.joint_names, config.kinematics, config.chain_joints)


def _recording_for(config: ControlConfig, joints: int) -> str | Path:
    """Where a run records that is logged for Foxglove; raises what the logging would."""
    from vla_rt.mcap_log import mcap_writer

    mcap_writer()
    view = _view(config)
    view.names(joints)
    if view.kinematics is not None:
        view.chain(joints)
    assert config.mcap is not None
    file = Path(config.mcap)
    return config.record if config.record is not None else file.with_name(f".{file.name}.flight")


def _known_to(policy: Any, name: str) -> Any:
    """What the policy, its specification or its configuration says about itself, or None."""
    for owner in (policy, getattr(policy, "spec", None), getattr(policy, "config", None)):
        value = owner.get(name) if isinstance(owner, Mapping) else getattr(owner, name, None)
        if value is not None:
            return value
    return None


def _source_of(policy: Any, period_s: float, config: ControlConfig, dims: int) -> _core.ChunkSource:
    source = _absolute_source_of(policy, period_s, config)
    if config.relative_to is None:
        return source
    chosen = config.relative_dims
    if chosen is None:
        chosen = tuple(d for d in range(dims) if d not in config.discrete_dims)
    return _core.AnchoredSource(source, config.relative_to, chosen)


def _absolute_source_of(policy: Any, period_s: float, config: ControlConfig) -> _core.ChunkSource:
    if isinstance(policy, _core.ChunkSource):
        return policy
    guidance = config.guidance_options()
    if isinstance(policy, _core.Policy):
        return _core.PolicySource(policy, config.seed, guidance)
    if hasattr(policy, "predict_action_chunk") or hasattr(policy, "select_action"):
        from vla_rt.integrations.lerobot import LivePolicy

        policy = LivePolicy(policy, fps=1.0 / period_s)
    function = getattr(policy, "sample", None) or getattr(policy, "predict", None) or policy
    if not callable(function):
        raise error(
            ConfigError,
            "policy",
            type(policy).__name__,
            "must be a policy package, have `sample`, or be callable",
        )
    steps = getattr(policy, "n_obs_steps", 1)
    if not _takes_guidance(function):
        return _core.PythonChunkSource(function, period_s, n_obs_steps=steps)

    def guided(observation: dict[str, NDArray[Any]], previous: Any = None) -> ArrayLike:
        chunk: ArrayLike = function(observation, guidance=previous)
        return chunk

    return _core.PythonChunkSource(guided, period_s, guidance, steps)


def _takes_guidance(function: Callable[..., Any]) -> bool:
    import inspect  # as slow to import as half the package

    try:
        return "guidance" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
