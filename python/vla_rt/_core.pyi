"""
C++ core of vla_rt. Use the names of the package `vla_rt`; this module is their home.
"""

from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import os
import typing

__all__: list[str] = [
    "ActionSpace",
    "AnchoredSource",
    "AutoregressiveSampler",
    "BoundedActionSpace",
    "Box",
    "ButterworthFilter",
    "Capsule",
    "CartesianConfig",
    "ChunkExecutor",
    "ChunkSource",
    "CollisionModel",
    "ConfigError",
    "ConsistencySampler",
    "ConstraintEnforcer",
    "ContinuousActionSpace",
    "ControlConfig",
    "ControlLoop",
    "Controller",
    "DDIMSampler",
    "DDPMSampler",
    "DPMSolverSampler",
    "DelayEstimator",
    "DifferentialIk",
    "DifferentialIkReport",
    "DirectSampler",
    "DiscreteActionSpace",
    "EndEffectorDeltaSpace",
    "EndEffectorPoseSpace",
    "EnforcerReport",
    "FastTokenizer",
    "FlightFollower",
    "FlightRecording",
    "FlowMatchingSampler",
    "FormatError",
    "GripperJoint",
    "Guidance",
    "GuidanceOptions",
    "HalfSpace",
    "HybridActionSpace",
    "InlinePolicy",
    "JointLimits",
    "JointPositionSpace",
    "JointVelocitySpace",
    "Kinematics",
    "LatencyHistogram",
    "LowPassFilter",
    "MAX_ACTION_DIM",
    "MAX_HORIZON",
    "MailboxRobot",
    "ModelError",
    "MotionTokenizer",
    "Network",
    "Normalizer",
    "OpenVLATokenizer",
    "OrientationCone",
    "Policy",
    "PolicySource",
    "PolicySpec",
    "PythonChunkSource",
    "QuantileTokenizer",
    "RT1Tokenizer",
    "RealtimeError",
    "RealtimeMode",
    "Robot",
    "RobotCommand",
    "RowInterpolator",
    "RunReport",
    "Sampler",
    "SharedMemoryDriver",
    "SharedMemoryRobot",
    "SimulatedRobot",
    "Sphere",
    "Status",
    "TORCH_VERSION",
    "TemporalEnsembler",
    "Tokenizer",
    "UniformTokenizer",
    "ViolationCounter",
    "ViolationLog",
    "VlaRtError",
    "Workspace",
    "action_space_dict",
    "backend_names",
    "benchmark_chunk_executor",
    "benchmark_control_tick",
    "benchmark_enforcer_tick",
    "benchmark_sampler",
    "best_instruction_set",
    "convert_rotations",
    "instruction_set",
    "machine_limits",
    "measure_wakeup",
    "noise",
    "normalizer_dict",
    "parse_policy_spec",
    "prefix_weights",
    "read_policy_spec",
    "steady_now_ns",
]

class VlaRtError(Exception):
    """Base of every error of vla_rt: `name` is the offending field, `value` what it had, `bound` what it broke."""

    name: str
    value: str
    bound: str

class ConfigError(VlaRtError, ValueError):
    """A parameter, shape or input is wrong."""

class ModelError(VlaRtError):
    """A model could not be built, exported or run."""

class FormatError(VlaRtError):
    """A file does not hold what its format promises."""

class RealtimeError(VlaRtError):
    """A real-time privilege that was enforced could not be had."""

class Status:
    """
    What a tick has to say; the worst of several is the larger one.

    Members:

      Ok

      Limited

      Starved

      Stale

      NonFinite

      Fault
    """

    Fault: typing.ClassVar[Status]
    Limited: typing.ClassVar[Status]
    NonFinite: typing.ClassVar[Status]
    Ok: typing.ClassVar[Status]
    Stale: typing.ClassVar[Status]
    Starved: typing.ClassVar[Status]
    __members__: typing.ClassVar[dict[str, Status]]
    @typing.overload
    def __eq__(self, other: Status) -> bool: ...
    @typing.overload
    def __eq__(self, other: typing.Any) -> bool: ...
    def __getstate__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __index__(self) -> int: ...
    def __init__(self, value: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __int__(self) -> int: ...
    @typing.overload
    def __ne__(self, other: Status) -> bool: ...
    @typing.overload
    def __ne__(self, other: typing.Any) -> bool: ...
    def __repr__(self) -> str: ...
    def __setstate__(self, state: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @typing.overload
    def __str__(self) -> str: ...
    @typing.overload
    def __str__(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class Normalizer:
    """
    Maps raw values to the numbers a policy was trained on, and back.

    Formulas, epsilons, clipping and asymmetries are those of the project named by `convention`; the C++ header `vla_rt/action_space/normalizer.hpp` lists them.
    """

    __hash__: typing.ClassVar[None] = None
    def __eq__(self, arg0: Normalizer) -> bool: ...
    def __getstate__(self) -> tuple[str, str, typing.Any, dict[str, typing.Any]]: ...
    def __init__(self, mode: str, convention: str = "lerobot", mask: typing.Any = None, **kwargs) -> None:
        """
        Args:
            mode: identity, mean_std (needs mean, std), min_max (min, max), quantiles (q01, q99) or quantile10
                (q10, q90).
            convention: lerobot, openvla, openpi or groot.
            mask: (D,) bool; False leaves that dimension alone.
            **stats: (D,) each, in the raw unit: mean, std, min, max, q01, q99, q10, q90. Those that the mode does
                not use are dropped; LeRobot's count and q50 are ignored.

        Raises:
            ConfigError: a missing statistic, unequal lengths, a number that is not finite, std < 0, lower > upper.
        """
    def __repr__(self) -> str: ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None: ...
    def denormalize(self, y: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Normalised (..., D) to raw (..., D), float64.

        Raises ConfigError for NaN, infinity or another D.
        """
    def normalize(self, x: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Raw (..., D) to normalised (..., D), float64.

        Raises ConfigError for NaN, infinity or another D.
        """
    @property
    def convention(self) -> str: ...
    @property
    def dimension(self) -> int:
        """
        D; 0 where any D is accepted (identity).
        """
    @property
    def mask(self) -> typing.Any:
        """
        (D,) bool, or None.
        """
    @property
    def mode(self) -> str: ...
    @property
    def stats(self) -> dict[str, typing.Any]:
        """
        The statistics in use: name -> (D,) float64, a copy.
        """

class ActionSpace:
    """
    What the D numbers of a raw action mean, and how they map to [-1, 1] and back. Immutable.
    """

    __hash__: typing.ClassVar[None] = None
    @staticmethod
    def from_dict(values: dict[str, typing.Any]) -> ActionSpace:
        """
        The space that `to_dict` described.

        Raises ConfigError naming the field that is wrong.
        """
    def __eq__(self, arg0: ActionSpace) -> bool: ...
    def __repr__(self) -> str: ...
    def denormalize(self, x: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        [-1, 1] (..., D) to raw (..., D) float64. Nothing is clipped.

        Raises ConfigError naming the element for NaN or infinity, or the shape for another D.
        """
    def normalize(self, a: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Raw (..., D) to [-1, 1], (..., D) float64. Nothing is clipped.

        Raises ConfigError naming the element for NaN or infinity, or the shape for another D.
        """
    def to_dict(self) -> dict[str, typing.Any]:
        """
        The space as plain values, ready for JSON; `ActionSpace.from_dict` reads it back.
        """
    @property
    def dimension(self) -> int:
        """
        D.
        """
    @property
    def kind(self) -> str: ...

class BoundedActionSpace(ActionSpace):
    """
    Every dimension has a lower and an upper bound.
    """
    def clip(self, a: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Raw (..., D) with every number moved into its bounds.
        """
    @property
    def lower(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (D,) in the raw unit.
        """
    @property
    def upper(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (D,) in the raw unit.
        """

class JointPositionSpace(BoundedActionSpace):
    """
    Joint positions [rad] or [m], D = N joints.
    """
    def __getstate__(self) -> dict[str, typing.Any]: ...
    def __init__(self, lower: numpy.typing.ArrayLike, upper: numpy.typing.ArrayLike) -> None:
        """
        Bounds (N,), lower < upper. Raises ConfigError naming the entry.
        """
    def __setstate__(self, arg0: dict[str, typing.Any]) -> None: ...

class JointVelocitySpace(BoundedActionSpace):
    """
    Joint velocities [rad/s] or [m/s], D = N.
    """
    def __getstate__(self) -> dict[str, typing.Any]: ...
    def __init__(self, max_velocity: numpy.typing.ArrayLike) -> None:
        """
        Symmetric bounds (N,), > 0. Raises ConfigError naming the entry.
        """
    def __setstate__(self, arg0: dict[str, typing.Any]) -> None: ...

class ContinuousActionSpace(BoundedActionSpace):
    """
    Continuous actions of any meaning within [low, high].
    """
    def __getstate__(self) -> dict[str, typing.Any]: ...
    def __init__(self, low: numpy.typing.ArrayLike, high: numpy.typing.ArrayLike) -> None:
        """
        Bounds (D,), low < high. Raises ConfigError naming the entry.
        """
    def __setstate__(self, arg0: dict[str, typing.Any]) -> None: ...
    def sample(
        self,
        mean: numpy.typing.ArrayLike,
        std: numpy.typing.ArrayLike,
        seed: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> numpy.typing.NDArray[numpy.float64]:
        """
        mean + std * normal noise, moved into the bounds.

        Args:
            mean: (..., D), raw.
            std: >= 0, raw; anything that broadcasts to mean.
            seed: equal seeds give equal noise on every platform.
        """
    def squash(self, logits: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Logits (..., D) to raw actions: (tanh + 1)/2 of the way from low to high.
        """

class EndEffectorPoseSpace(BoundedActionSpace):
    """
    Pose of the tool: position x, y, z [m] and quaternion x, y, z, w; D = 7. With the gripper, 0 open .. 1 closed, D = 8.
    """
    def __getstate__(self) -> dict[str, typing.Any]: ...
    def __init__(self, lower: numpy.typing.ArrayLike, upper: numpy.typing.ArrayLike) -> None:
        """
        Bounds of the position (3,), the quaternion's being +-1 then, of all seven numbers (7,), or of those and the gripper (8,).
        """
    def __setstate__(self, arg0: dict[str, typing.Any]) -> None: ...
    def to_transform(self, a: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Poses (..., D) to transforms (..., 4, 4); the quaternion is normalised, 0 is a ConfigError.
        """

class EndEffectorDeltaSpace(BoundedActionSpace):
    """
    Small motion of the tool: dx, dy, dz [m], droll, dpitch, dyaw [rad], gripper 0 open .. 1 closed; D = 7.
    """
    def __getstate__(self) -> dict[str, typing.Any]: ...
    def __init__(
        self,
        max_translation: typing.SupportsFloat | typing.SupportsIndex = 0.05,
        max_rotation: typing.SupportsFloat | typing.SupportsIndex = 0.1,
    ) -> None:
        """
        Bounds per axis [m] and [rad], > 0. Raises ConfigError.
        """
    def __setstate__(self, arg0: dict[str, typing.Any]) -> None: ...
    def to_transform(self, a: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Raw actions (..., 7), or (..., 6) without gripper, to transforms (..., 4, 4). The angles turn about the
        fixed axes x, y, z (scipy's lower-case 'xyz'). Nothing is clipped.
        """
    @property
    def max_rotation(self) -> float:
        """
        [rad]
        """
    @property
    def max_translation(self) -> float:
        """
        [m]
        """

class DiscreteActionSpace(ActionSpace):
    """
    One of n actions, written as its index; D = 1, and arrays of indices may have any shape.

    The indices map to n evenly spaced points of [-1, 1] (0 where n is 1); back, the nearest index is taken.
    """
    def __getstate__(self) -> dict[str, typing.Any]: ...
    def __init__(self, n: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Raises ConfigError unless 1 <= n < 2^31.
        """
    def __setstate__(self, arg0: dict[str, typing.Any]) -> None: ...
    def denormalize(self, x: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.int64]:
        """
        [-1, 1] of any shape to the nearest indices, int64; beyond +-1 the first or the last.
        """
    def normalize(self, a: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Indices of any shape to [-1, 1]. Raises ConfigError naming an index outside 0..n-1.
        """
    def sample(
        self,
        probabilities: typing.Any = None,
        seed: typing.SupportsInt | typing.SupportsIndex = 0,
        logits: typing.Any = None,
    ) -> numpy.typing.NDArray[numpy.int64]:
        """
        Draws an index per row.

        Args:
            probabilities: (..., n), >= 0, summing to 1 within 1e-3; or
            logits: (..., n), softmaxed first.
            seed: equal seeds give equal draws on every platform.

        Returns:
            (...) int64.
        """
    @property
    def num_actions(self) -> int:
        """
        n.
        """

class HybridActionSpace(ActionSpace):
    """
    A choice of skill with that skill's own parameters.

    An action is [skill index, parameters, zeros]; D = 1 + the largest number of parameters. The index maps as in
    a DiscreteActionSpace, the parameters as in their own space; the numbers behind them are 0 and ignored.
    """
    def __getstate__(self) -> dict[str, typing.Any]: ...
    def __init__(self, skills: dict[str, typing.Any]) -> None:
        """
        Args:
            skills: name -> space of its parameters, or None for a skill without any.
        """
    def __setstate__(self, arg0: dict[str, typing.Any]) -> None: ...
    def pack(self, skill: str, parameters: typing.Any = None) -> numpy.typing.NDArray[numpy.float64]:
        """
        The action of a skill by name: parameters (..., P) to (..., D).
        """
    def unpack(self, a: numpy.typing.ArrayLike) -> tuple[str, numpy.typing.NDArray[numpy.float64]]:
        """
        One action (D,) to (skill name, parameters (P,)).
        """
    @property
    def skills(self) -> dict[str, typing.Any]:
        """
        name -> space of its parameters, or None.
        """

class Tokenizer:
    """
    Turns actions into a fixed number of tokens each, and back. Immutable.

    Errors are ConfigErrors naming the element: NaN, infinity, an id outside the vocabulary, or a shape that does not fit.
    """
    def decode(self, tokens: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Tokens (..., n) to actions (..., D), float64.
        """
    def encode(self, actions: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.int64]:
        """
        Actions (..., D) to tokens (..., n), int64; n = D unless said.
        """
    @property
    def action_dim(self) -> int:
        """
        D; 1 where any shape is accepted.
        """
    @property
    def max_token(self) -> int:
        """
        Highest id.
        """
    @property
    def min_token(self) -> int:
        """
        Lowest id.
        """
    @property
    def tokens_per_action(self) -> int:
        """
        n.
        """

class UniformTokenizer(Tokenizer):
    """
    Equal bins between two bounds; decoded to the middle of the bin, so that the error is at most half a bin.
    """
    def __getstate__(
        self,
    ) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], int]: ...
    def __init__(
        self,
        low: numpy.typing.ArrayLike,
        high: numpy.typing.ArrayLike,
        num_bins: typing.SupportsInt | typing.SupportsIndex = 256,
    ) -> None:
        """
        Args:
            low, high: bounds, (D,) each, or numbers for actions of any shape.
            num_bins: ids are 0..num_bins-1.

        Raises ConfigError unless low < high, all finite.
        """
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None: ...
    @property
    def high(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (D,)
        """
    @property
    def low(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (D,)
        """
    @property
    def num_bins(self) -> int: ...

class RT1Tokenizer(Tokenizer):
    """
    RT-1's tokens: (clip(x) - low)/(high - low)*(vocab_size - 1), truncated; decoded to that point of the range.
    """
    def __getstate__(
        self,
    ) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], int, int]: ...
    def __init__(
        self,
        low: numpy.typing.ArrayLike,
        high: numpy.typing.ArrayLike,
        vocab_size: typing.SupportsInt | typing.SupportsIndex = 256,
        one_hot: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> None:
        """
        Args:
            low, high: bounds, (D,) each, or numbers for actions of any shape.
            vocab_size: ids are 0..vocab_size-1.
            one_hot: how many more numbers at the end of an action are a one-hot choice; they become one token.

        Raises ConfigError unless low < high, all finite.
        """
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None: ...
    @property
    def high(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (D,)
        """
    @property
    def low(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (D,)
        """
    @property
    def one_hot(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...

class OpenVLATokenizer(Tokenizer):
    """
    OpenVLA's tokens: the last num_bins ids of a vocabulary stand for num_bins - 1 bins of [-1, 1]. Any shape.

    token = vocab_size - digitize(clip(x), linspace(-1, 1, num_bins)); x = 1 takes the last bin's centre.
    """
    def __getstate__(self) -> tuple[int, int]: ...
    def __init__(
        self,
        vocab_size: typing.SupportsInt | typing.SupportsIndex = 32000,
        num_bins: typing.SupportsInt | typing.SupportsIndex = 256,
    ) -> None:
        """
        Raises ConfigError unless 2 <= num_bins <= vocab_size.
        """
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None: ...
    @property
    def centers(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (num_bins - 1,)
        """
    @property
    def edges(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (num_bins,)
        """
    @property
    def num_bins(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...

class QuantileTokenizer(Tokenizer):
    """
    Bins that each hold the same share of the data; decoded to the middle of the bin's two edges.
    """
    @staticmethod
    def fit(
        actions: numpy.typing.ArrayLike, num_bins: typing.SupportsInt | typing.SupportsIndex = 256
    ) -> QuantileTokenizer:
        """
        Edges at the quantiles 0, 1/num_bins, ..., 1 of each dimension of actions (..., D), as numpy.quantile.
        """
    def __getstate__(self) -> tuple[numpy.typing.NDArray[numpy.float64], int]: ...
    def __init__(self, edges: numpy.typing.ArrayLike) -> None:
        """
        Edges (D, num_bins + 1), not descending along a row.
        """
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None: ...
    @property
    def edges(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (D, num_bins + 1)
        """
    @property
    def num_bins(self) -> int: ...

class MotionTokenizer:
    """
    A vocabulary of 256 small motions for actions [dx, dy, dz, droll, dpitch, dyaw, gripper].

    Tokens 0..127 are steps along one axis (+-0.5 to 50 mm, log-spaced; 126 and 127: none), 128..191 turns about one
    axis (+-2 to 100 mrad; 188..191: none), 192..255 gripper levels (254 open = 0, 255 closed = 1).
    """
    def __getstate__(self) -> tuple[()]: ...
    def __init__(self) -> None: ...
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None: ...
    def decode(
        self, tokens: numpy.typing.ArrayLike, gripper: numpy.typing.ArrayLike = 0.0
    ) -> numpy.typing.NDArray[numpy.float64]:
        """
        Sequences of tokens (..., n) to one action (..., 7) each: translations and rotations add up, the last gripper
        token counts, and without one the gripper holds the value given (a number, or one per sequence).
        """
    def encode(
        self, actions: numpy.typing.ArrayLike, per_axis: bool = False
    ) -> numpy.typing.NDArray[numpy.int64]:
        """
        Actions (..., 7) to tokens (..., 3): per group (position, rotation, gripper) the token nearest to the action.
        With per_axis, (..., 7): the nearest of each axis, then the gripper's.
        """
    @property
    def motions(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (256, 7): what each token does; the numbers of the other groups are 0.
        """

class FastTokenizer:
    """
    FAST: a chunk of actions as the byte-pair codes of its rounded frequencies.

    DCT-II along time, round(scale*coefficient), one character each, byte-level BPE. Actions should be normalised to
    [-1, 1]. Ids equal those of the public processor (physical-intelligence/fast) with the same tokenizer.json.
    """
    @staticmethod
    def fit(
        chunks: typing.Any,
        vocab_size: typing.SupportsInt | typing.SupportsIndex = 1024,
        scale: typing.SupportsFloat | typing.SupportsIndex = 10.0,
    ) -> FastTokenizer:
        """
        Learns the merges from normalised chunks (n, T, D), or a list of (T_i, D), with the `tokenizers` library.

        Raises ConfigError when vocab_size is below the range of the coefficients, ModelError without `tokenizers`.
        """
    @staticmethod
    def load(dir: os.PathLike[str] | str | bytes) -> FastTokenizer:
        """
        Reads processor_config.json and tokenizer.json from a folder. Raises FormatError naming file and field.
        """
    @staticmethod
    def quantize(
        actions: numpy.typing.ArrayLike, scale: typing.SupportsFloat | typing.SupportsIndex = 10.0
    ) -> numpy.typing.NDArray[numpy.int32]:
        """
        round(scale*DCT) of a chunk (T, D), flattened: (T*D,) int32.
        """
    def __getstate__(self) -> tuple[str, float, int, int, int | None, int | None]: ...
    def __init__(
        self,
        tokenizer_json: str,
        scale: typing.SupportsFloat | typing.SupportsIndex = 10.0,
        min_token: typing.SupportsInt | typing.SupportsIndex = 0,
        vocab_size: typing.SupportsInt | typing.SupportsIndex = 0,
        horizon: typing.SupportsInt | typing.SupportsIndex | None = None,
        action_dim: typing.SupportsInt | typing.SupportsIndex | None = None,
    ) -> None:
        """
        From the text of a tokenizer.json and the fields of processor_config.json. Raises FormatError, ConfigError.
        """
    def __setstate__(self, arg0: tuple[typing.Any, ...]) -> None: ...
    def coefficients(
        self,
        tokens: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        horizon: typing.SupportsInt | typing.SupportsIndex,
        action_dim: typing.SupportsInt | typing.SupportsIndex,
        strict: bool = True,
    ) -> numpy.typing.NDArray[numpy.int64]:
        """
        The quantised coefficients (horizon, action_dim) that one list of ids spells, int64.
        """
    def decode(
        self,
        tokens: typing.Any,
        horizon: typing.SupportsInt | typing.SupportsIndex | None = None,
        action_dim: typing.SupportsInt | typing.SupportsIndex | None = None,
        strict: bool = True,
    ) -> numpy.typing.NDArray[numpy.float64]:
        """
        Ids, or lists of them, to chunks (..., horizon, action_dim).

        Args:
            tokens: a list[typing.Any] of ids, or nested lists.
            horizon, action_dim: None takes those of the files, where they are known.
            strict: ids that spell broken characters or another number of coefficients raise ConfigError; else
                broken bytes are left out, missing coefficients are 0 and surplus ones are cut off.
        """
    def encode(self, actions: numpy.typing.ArrayLike) -> list[typing.Any]:
        """
        Chunks (..., T, D) to lists of ids, nested as the leading dimensions: one list for (T, D).

        Raises ConfigError for NaN or infinity, another D than the files', and where a coefficient's bytes are
        missing from the vocabulary.
        """
    def encode_text(self, text: str) -> list[int]:
        """
        The byte-pair encoder alone: ids of a text.
        """
    def pieces(self, text: str) -> list[str]:
        """
        The pieces that the encoder cuts a text into before it merges.
        """
    def save(self, dir: os.PathLike[str] | str | bytes) -> None:
        """
        Writes processor_config.json and tokenizer.json; makes the folder.
        """
    def tokenizer_json(self) -> str:
        """
        Text of tokenizer.json.
        """
    @property
    def action_dim(self) -> int | None:
        """
        D, or None.
        """
    @property
    def horizon(self) -> int | None:
        """
        T, or None.
        """
    @property
    def min_token(self) -> int: ...
    @property
    def num_ids(self) -> int:
        """
        Ids are below this; some may be unused.
        """
    @property
    def scale(self) -> float: ...
    @property
    def vocab_size(self) -> int: ...

class Network:
    """
    A stored network by itself, without sampler and normalisers.
    """
    def __init__(
        self,
        folder: os.PathLike[str] | str | bytes,
        backend: str,
        observation: collections.abc.Sequence[
            tuple[str, collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], str]
        ],
        input_shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        output_shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        threads: typing.SupportsInt | typing.SupportsIndex = 1,
    ) -> None:
        """
        Opens the network in a folder.

        Args:
            folder: holds the backend's files.
            backend: native, torchscript, ...
            observation: (name, shape, dtype) of every input of `encode`.
            input_shape: what `step` takes, no batch dimension.
            output_shape: what it answers.
            threads: 1 or 2, of the native backend.

        Raises:
            FormatError: the files are damaged. ModelError: they hold another network.
        """
    def encode(self, observation: collections.abc.Sequence[numpy.typing.ArrayLike]) -> None:
        """
        Takes one array per input.
        """
    def prepare(self, times: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> None:
        """
        Announces the times of the steps.
        """
    def prepare_vjp(self) -> None:
        """
        Makes `vjp` possible where that takes preparation.
        """
    def step(
        self, x: numpy.typing.ArrayLike, k: typing.SupportsInt | typing.SupportsIndex
    ) -> numpy.typing.NDArray[numpy.float32]:
        """
        The answer at x and the k-th time.
        """
    def time(
        self, n: typing.SupportsInt | typing.SupportsIndex, steps: typing.SupportsInt | typing.SupportsIndex
    ) -> tuple[typing.Any, ...]:
        """
        Durations [ns] of n encodes (n,) and of the steps after each (n, steps), of zeros.
        """
    def vjp(
        self,
        x: numpy.typing.ArrayLike,
        k: typing.SupportsInt | typing.SupportsIndex,
        c: numpy.typing.ArrayLike,
    ) -> numpy.typing.NDArray[numpy.float32]:
        """
        (d answer / d x) transposed, times c, at x and the k-th time.
        """

class Sampler:
    """
    What all samplers share.
    """
    def sample(
        self,
        denoiser: collections.abc.Callable[..., typing.Any],
        noise: numpy.typing.ArrayLike,
        seed: typing.Any = 0,
        guidance: typing.Any = None,
        step_noise: typing.Any = None,
    ) -> numpy.typing.NDArray[numpy.float32]:
        """
        Turns noise into a sample.

        Args:
            denoiser: callable (x, t) -> array (B, T, D); x is float32 (B, T, D), t a float (flow) or an int
                (diffusion). Called once per stage, in order.
            noise: (B, T, D), standard normal, finite.
            seed: of the noise that a stochastic sampler adds; equal seeds give equal bits.
            guidance: a `vla_rt.rtc.Guidance`: the previous chunk that the sample shall continue. With
                jacobian="vjp" the denoiser has a method vjp(x, t, c) -> (d network / d x)^T c (B, T, D).
            step_noise: (K, B, T, D), replaces that noise. Deterministic samplers check and do not use it.

        Returns:
            (B, T, D) float32.

        Raises:
            ConfigError: a wrong shape, also of what the denoiser returns, NaN or infinity in noise,
                guidance that sampler or denoiser do not offer.
            ModelError: the denoiser returned NaN or infinity. What it raises itself passes through.
        """
    @property
    def timesteps(self) -> typing.Any:
        """
        (K,) time at the start of every step.
        """

class FlowMatchingSampler(Sampler):
    """
    Integrates a velocity field from noise to data in `num_steps` equal steps; the denoiser returns dx/dt.
    """
    def __init__(
        self,
        num_steps: typing.SupportsInt | typing.SupportsIndex = 10,
        solver: str = "euler",
        noise_at: typing.SupportsInt | typing.SupportsIndex = 0,
        max_delay: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> None:
        """
        Args:
            num_steps: K, 1..1000.
            solver: euler, midpoint, heun or rk4.
            noise_at: 0: noise at t=0, data at t=1; 1: noise at t=1, data at t=0 (pi0), integrated backwards.
            max_delay: of a network trained for real-time chunking: up to so many rows at the front are given
                clean, those of the guidance before its delay; t + 2 d says that the first d rows are.

        Raises ConfigError.
        """
    def __repr__(self) -> str: ...

class ConsistencySampler(Sampler):
    """
    One-step and chained sampling; the denoiser (x, sigma) is the consistency function itself. The noise given to
    `sample` is scaled by sigma_max; step_noise k is added after evaluation k, the last one is not used.
    """
    def __init__(
        self,
        num_steps: typing.SupportsInt | typing.SupportsIndex = 1,
        sigma_min: typing.SupportsFloat | typing.SupportsIndex = 0.02,
        sigma_max: typing.SupportsFloat | typing.SupportsIndex = 80.0,
        rho: typing.SupportsFloat | typing.SupportsIndex = 7.0,
        sigma_data: typing.SupportsFloat | typing.SupportsIndex = 0.5,
    ) -> None:
        """
        Args:
            num_steps: K, 1..1000; the levels are the first K of K+1 Karras points from sigma_max to sigma_min.
            sigma_min, sigma_max, rho: of the levels.
            sigma_data: of the scalings inside the consistency function; carried for its sake.

        Raises ConfigError.
        """

class DDPMSampler(Sampler):
    """
    Ancestral sampling with the posterior variance, as diffusers.DDPMScheduler.
    """
    def __init__(
        self,
        num_train_steps: typing.SupportsInt | typing.SupportsIndex = 1000,
        beta_schedule: str = "linear",
        beta_start: typing.SupportsFloat | typing.SupportsIndex = 0.0001,
        beta_end: typing.SupportsFloat | typing.SupportsIndex = 0.02,
        prediction: str = "epsilon",
        clip_sample: bool = True,
        clip_range: typing.SupportsFloat | typing.SupportsIndex = 1.0,
        num_steps: typing.SupportsInt | typing.SupportsIndex | None = None,
        timestep_spacing: str = "leading",
        steps_offset: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> None:
        """
        Args:
            num_train_steps: N, 1..10000.
            beta_schedule: linear, scaled_linear or squaredcos_cap_v2.
            beta_start, beta_end: in (0, 1).
            prediction: what the denoiser returns: epsilon, sample or v_prediction.
            clip_sample: clamp the predicted clean sample to +-clip_range.
            num_steps: K, 1..N; None visits all training steps.
            timestep_spacing: leading, linspace or trailing.
            steps_offset: added to every timestep of leading spacing.

        Raises ConfigError.
        """
    def __repr__(self) -> str: ...

class DDIMSampler(Sampler):
    """
    Implicit sampling, as diffusers.DDIMScheduler.
    """
    def __init__(
        self,
        num_train_steps: typing.SupportsInt | typing.SupportsIndex = 1000,
        beta_schedule: str = "linear",
        beta_start: typing.SupportsFloat | typing.SupportsIndex = 0.0001,
        beta_end: typing.SupportsFloat | typing.SupportsIndex = 0.02,
        prediction: str = "epsilon",
        clip_sample: bool = True,
        clip_range: typing.SupportsFloat | typing.SupportsIndex = 1.0,
        num_steps: typing.SupportsInt | typing.SupportsIndex | None = None,
        timestep_spacing: str = "leading",
        steps_offset: typing.SupportsInt | typing.SupportsIndex = 0,
        eta: typing.SupportsFloat | typing.SupportsIndex = 0.0,
        set_alpha_to_one: bool = True,
    ) -> None:
        """
        Args:
            num_train_steps: N, 1..10000.
            beta_schedule: linear, scaled_linear or squaredcos_cap_v2.
            beta_start, beta_end: in (0, 1).
            prediction: what the denoiser returns: epsilon, sample or v_prediction.
            clip_sample: clamp the predicted clean sample to +-clip_range.
            num_steps: K, 1..N; None visits all training steps.
            timestep_spacing: leading, linspace or trailing.
            steps_offset: added to every timestep of leading spacing.
            eta: 0 (deterministic) .. 1 (as much noise as DDPM).
            set_alpha_to_one: end at the clean sample, otherwise at timestep 0.

        Raises ConfigError.
        """
    def __repr__(self) -> str: ...

class DPMSolverSampler(Sampler):
    """
    DPM-Solver++ and its SDE form, multistep, as diffusers.DPMSolverMultistepScheduler.
    """
    def __init__(
        self,
        num_train_steps: typing.SupportsInt | typing.SupportsIndex = 1000,
        beta_schedule: str = "linear",
        beta_start: typing.SupportsFloat | typing.SupportsIndex = 0.0001,
        beta_end: typing.SupportsFloat | typing.SupportsIndex = 0.02,
        prediction: str = "epsilon",
        clip_sample: bool = False,
        clip_range: typing.SupportsFloat | typing.SupportsIndex = 1.0,
        num_steps: typing.SupportsInt | typing.SupportsIndex = 10,
        timestep_spacing: str = "linspace",
        steps_offset: typing.SupportsInt | typing.SupportsIndex = 0,
        algorithm_type: str = "dpmsolver++",
        solver_order: typing.SupportsInt | typing.SupportsIndex = 2,
        solver_type: str = "midpoint",
        lower_order_final: bool = True,
        final_sigmas_type: str = "zero",
        use_karras_sigmas: bool = False,
    ) -> None:
        """
        Args:
            num_train_steps: N, 1..10000.
            beta_schedule: linear, scaled_linear or squaredcos_cap_v2.
            beta_start, beta_end: in (0, 1).
            prediction: what the denoiser returns: epsilon, sample or v_prediction.
            clip_sample: clamp the predicted clean sample to +-clip_range.
            num_steps: K, 1..N; None visits all training steps.
            timestep_spacing: leading, linspace or trailing.
            steps_offset: added to every timestep of leading spacing.
            algorithm_type: dpmsolver++ or sde-dpmsolver++.
            solver_order: 1, 2 or 3.
            solver_type: midpoint or heun, the second-order update.
            lower_order_final: below 15 steps, use a lower order in the last ones.
            final_sigmas_type: zero or sigma_min.
            use_karras_sigmas: noise levels of Karras et al. instead of the spacing.

        Raises ConfigError.
        """
    def __repr__(self) -> str: ...

class DirectSampler(Sampler):
    """
    One evaluation of the network is the answer: regression, Gaussian and mixture heads, one-step generators.
    """
    def __init__(
        self,
        head: str = "value",
        mode: str = "mean",
        num_components: typing.SupportsInt | typing.SupportsIndex = 1,
        clip_sample: bool = False,
        clip_range: typing.SupportsFloat | typing.SupportsIndex = 1.0,
    ) -> None:
        """
        Args:
            head: what the network answers: value, the actions (B, T, D); normal, means and standard
                deviations (B, 2, T, D); mixture, the logit, means and standard deviations of each of M
                possible chunks (B, M, 1 + 2 T D).
            mode: mean, mode (of a mixture the mean of its likeliest component) or sample.
            num_components: M of a mixture.
            clip_sample: clamp the actions to +-clip_range.

        Raises ConfigError.
        """
    def __repr__(self) -> str: ...
    def sample(
        self,
        denoiser: collections.abc.Callable[..., typing.Any],
        noise: numpy.typing.ArrayLike,
        seed: typing.Any = 0,
        guidance: typing.Any = None,
        step_noise: typing.Any = None,
    ) -> numpy.typing.NDArray[numpy.float32]:
        """
        Turns the network's answer into actions.

        Args:
            denoiser: callable (x, t) -> array of the head's shape; called once, with the noise and 0.0.
            noise: (B, T, D), finite; gives the shape, and is what a one-step generator starts from.
            seed: of what mode sample draws; row b of the batch is chunk b of the seed.
            step_noise: (1, B, T, D), replaces the normal numbers that mode sample draws.

        Returns:
            (B, T, D) float32.

        Raises:
            ConfigError: a wrong shape, also of what the denoiser returns, NaN or infinity in noise.
            ModelError: the denoiser returned NaN, infinity or a standard deviation below 0.
        """

class AutoregressiveSampler:
    """
    Draws token sequences one token at a time: position i from the tokens before it.
    """
    def __init__(
        self,
        num_tokens: typing.SupportsInt | typing.SupportsIndex,
        mode: str = "greedy",
        temperature: typing.SupportsFloat | typing.SupportsIndex = 1.0,
        top_k: typing.SupportsInt | typing.SupportsIndex = 0,
        top_p: typing.SupportsFloat | typing.SupportsIndex = 1.0,
        stop_token: typing.SupportsInt | typing.SupportsIndex | None = None,
        parallel: bool = False,
    ) -> None:
        """
        Args:
            num_tokens: most tokens of a sequence.
            mode: greedy (largest logit) or sample (temperature, then top-k, then top-p).
            temperature: > 0.
            top_k: keep the k largest logits; 0 keeps all.
            top_p: keep the fewest tokens whose probabilities reach p, in (0, 1].
            stop_token: ends a sequence, which is filled up with it.
            parallel: one call gives the logits of all positions (OpenVLA-OFT).

        Raises ConfigError.
        """
    def __repr__(self) -> str: ...
    def sample(
        self,
        logits: collections.abc.Callable[..., typing.Any],
        batch: typing.SupportsInt | typing.SupportsIndex = 1,
        seed: typing.Any = 0,
    ) -> numpy.typing.NDArray[numpy.int64]:
        """
        Args:
            logits: callable (tokens (B, n) int64) -> (B, V) logits of the next token; -inf forbids one.
                With parallel, called once with tokens (B, 0), it returns (B, num_tokens, V).
            batch: B.
            seed: equal seeds give equal tokens.

        Returns:
            (B, n) int64; n is num_tokens, or less when every sequence has stopped.

        Raises:
            ConfigError: a wrong shape of what logits returns.
            ModelError: NaN, +inf, or all tokens forbidden.
        """

class PolicySpec:
    """
    What a policy package says about itself; read-only.
    """

    __hash__: typing.ClassVar[None] = None
    def __eq__(self, arg0: PolicySpec) -> bool: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, typing.Any]:
        """
        The contents of policy.json as plain Python values.
        """
    @property
    def action_dim(self) -> int:
        """
        D, values of a row.
        """
    @property
    def action_space(self) -> typing.Any:
        """
        What the D numbers mean, a dict with `type`, or None where that was not said.
        """
    @property
    def backends(self) -> list[str]:
        """
        Backends that the package has a network for.
        """
    @property
    def checks(self) -> dict[str, float | str]:
        """
        What was verified at export.
        """
    @property
    def device(self) -> str:
        """
        Where the network runs: cpu, cuda, cuda:1.
        """
    @property
    def execution_horizon(self) -> int:
        """
        Rows to execute before the next chunk is due.
        """
    @property
    def files(self) -> dict[str, typing.Any]:
        """
        Sizes in bytes of the files beside policy.json, a dict by name.
        """
    @property
    def first_row(self) -> int:
        """
        Rows of the past at the front of the T, left out of a chunk.
        """
    @property
    def generated_dim(self) -> int:
        """
        Values of a row of the network and its noise, the first D of which are the action.
        """
    @property
    def horizon(self) -> int:
        """
        T, rows that the network answers.
        """
    @property
    def kind(self) -> str:
        """
        Family of the policy.
        """
    @property
    def n_obs_steps(self) -> int:
        """
        Observations it sees, one per row period; with more than one, the first axis of every feature.
        """
    @property
    def observation(self) -> list[typing.Any]:
        """
        Inputs: (name, shape, dtype) in the network's order.
        """
    @property
    def period_s(self) -> float:
        """
        Time between two rows [s].
        """
    @property
    def precision(self) -> str: ...
    @property
    def sampler(self) -> typing.Any:
        """
        Type and options of the sampler, a dict.
        """
    @property
    def step_shapes(self) -> tuple[tuple[typing.Any, ...], tuple[typing.Any, ...]]:
        """
        Shapes of what the network's `step` takes and answers, without the batch dimension.
        """
    @property
    def tokenizer(self) -> typing.Any:
        """
        The tokenizer of a token policy, a dict with `type`, or None.
        """

class Policy:
    """
    A policy package ready to act: raw observation in, raw actions out. Open with `load_policy`.
    """
    @staticmethod
    def load(
        folder: os.PathLike[str] | str | bytes,
        backend: str = "",
        threads: typing.SupportsInt | typing.SupportsIndex = 1,
    ) -> Policy: ...
    def __repr__(self) -> str: ...
    def benchmark(self, n: typing.SupportsInt | typing.SupportsIndex = 100) -> dict[str, typing.Any]:
        """
        Samples n chunks for an observation of zeros and returns {backend, n, p50_us, p99_us, p999_us, max_us}.
        """
    def sample(
        self,
        observation: dict[str, typing.Any],
        seed: typing.Any = 0,
        noise: typing.Any = None,
        step_noise: typing.Any = None,
        guidance: typing.Any = None,
    ) -> numpy.typing.NDArray[numpy.float64]:
        """
        Samples one chunk. The GIL is released; calls from several threads take turns.

        Args:
            observation: raw values by feature name, each of the shape in `spec.observation`, no batch
                dimension; an image also as uint8 (H, W, C). With `spec.n_obs_steps` > 1 the first axis of every
                feature is time, oldest first. Other keys are ignored.
            seed: of the noise; equal seeds give equal bits.
            noise: (T, spec.generated_dim) initial noise in normalised units, replaces the seed's.
            step_noise: (K, T, spec.generated_dim), what a stochastic sampler adds; the others check and do not use it.
            guidance: a `vla_rt.rtc.Guidance` whose `previous` is raw (L, D): the chunk to continue.

        Returns:
            (T - spec.first_row, D) float64, raw actions; row 0 is the action for now.

        Raises:
            ConfigError: a missing feature, a wrong shape, NaN or infinity; names feature and index.
            ModelError: the network failed or answered NaN.
        """
    @property
    def action_space(self) -> ActionSpace:
        """
        What the D numbers of an action mean, or None where that was not said.
        """
    @property
    def backend(self) -> str:
        """
        The backend in use.
        """
    @property
    def spec(self) -> PolicySpec:
        """
        What the package says about itself.
        """

class LatencyHistogram:
    """
    Histogram of latencies in fixed memory; every value is kept to better than 1 %.

    Log-linear buckets (HdrHistogram): percentiles are at most 0.79 % too high and never too low, from 1 ns to 137 s; count, mean and max are exact.
    """
    def __init__(self) -> None:
        """
        An empty histogram.
        """
    def __len__(self) -> int: ...
    def __repr__(self) -> str: ...
    def clear(self) -> None:
        """
        Forget every value.
        """
    def merge(self, other: LatencyHistogram) -> None:
        """
        Add all values of `other`.
        """
    def percentile(self, percent: typing.SupportsFloat | typing.SupportsIndex) -> int:
        """
        Smallest latency [ns] that at least `percent` % of the values do not exceed (nearest rank); 0 when empty.

        Raises:
            ConfigError: `percent` is not in [0, 100].
        """
    def record(self, latency_ns: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Count one latency [ns]; a negative one counts as 0.
        """
    def summary(self) -> dict[str, typing.Any]:
        """
        {p50, p99, p999, max} in microseconds; zeros when empty.
        """
    @property
    def count(self) -> int:
        """
        Number of recorded values.
        """
    @property
    def max(self) -> int:
        """
        Largest value [ns]; 0 when empty.
        """
    @property
    def mean(self) -> float:
        """
        Mean [ns]; 0 when empty.
        """

class RealtimeMode:
    """
    What happens when the kernel refuses a real-time privilege.

    Members:

      Enforce : RealtimeError, and nothing runs

      BestEffort : it runs, and the report says what was refused
    """

    BestEffort: typing.ClassVar[RealtimeMode]
    Enforce: typing.ClassVar[RealtimeMode]
    __members__: typing.ClassVar[dict[str, RealtimeMode]]
    @typing.overload
    def __eq__(self, other: RealtimeMode) -> bool: ...
    @typing.overload
    def __eq__(self, other: typing.Any) -> bool: ...
    def __getstate__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __index__(self) -> int: ...
    def __init__(self, value: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __int__(self) -> int: ...
    @typing.overload
    def __ne__(self, other: RealtimeMode) -> bool: ...
    @typing.overload
    def __ne__(self, other: typing.Any) -> bool: ...
    def __repr__(self) -> str: ...
    def __setstate__(self, state: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __str__(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class Kinematics:
    """
    Forward kinematics and Jacobian of a serial chain read from a URDF.

    Joints: fixed, revolute, continuous, prismatic; mimic tags are ignored with a warning. Links that hang on the chain by
    fixed joints belong to it. Immutable: any number of threads may use one object.
    """
    @staticmethod
    def from_urdf(path: str, tip: str, base: str | None = None) -> Kinematics:
        """
        Reads the chain from link `base` (the root when None) to link `tip`.

        Raises:
            FormatError: the file is not a well-formed URDF; names file, line, element and value.
            ConfigError: no such link, the tip does not descend from the base, or an unsupported joint lies between.
        """
    def forward(self, q: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Pose of the tip in the base frame, (4, 4), for joint positions q (N,) [rad or m].
        """
    def jacobian(self, q: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Geometric Jacobian at the tip, (6, N): linear rows first, axes of the base frame.
        """
    def link_transforms(self, q: numpy.typing.ArrayLike) -> dict[str, typing.Any]:
        """
        Poses of all links in the base frame: dict of name to (4, 4).
        """
    @property
    def joint_names(self) -> list[str]:
        """
        Names of the N joints, base first.
        """
    @property
    def limits(self) -> dict[str, typing.Any]:
        """
        dict of (N,) arrays: min_position, max_position [rad or m], max_velocity [rad/s], max_acceleration, max_jerk; infinite where the URDF leaves them open.
        """
    @property
    def link_names(self) -> list[str]:
        """
        Links on the chain and on what hangs on it.
        """
    @property
    def num_joints(self) -> int:
        """
        N: movable joints between base and tip.
        """

class HalfSpace:
    """
    All points x of the base frame with normal . x <= offset.

    Args:
        normal: (3,), need not be unit.
        offset: in the normal's length; [m] for a unit normal.
    """
    def __init__(
        self, normal: numpy.typing.ArrayLike, offset: typing.SupportsFloat | typing.SupportsIndex
    ) -> None: ...
    @property
    def normal(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (3,) float64, a copy.
        """
    @property
    def offset(self) -> float:
        """
        normal . x of its face.
        """

class Capsule:
    """
    All points within `radius` of a line segment, on a link or in the world.

    Args:
        start: (3,) [m], in the link's frame (the base's without one).
        end: (3,) [m].
        radius: [m].
        link: name of the link that carries it; None: the world.
    """
    def __init__(
        self,
        start: numpy.typing.ArrayLike,
        end: numpy.typing.ArrayLike,
        radius: typing.SupportsFloat | typing.SupportsIndex,
        link: typing.Any = None,
    ) -> None: ...
    def __repr__(self) -> str: ...
    @property
    def end(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (3,) float64 [m], a copy.
        """
    @property
    def link(self) -> typing.Any:
        """
        Name of the link, None for the world.
        """
    @property
    def radius(self) -> float:
        """
        [m].
        """
    @property
    def start(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (3,) float64 [m], a copy.
        """

class Box:
    """
    A solid box in the world.

    Args:
        center: (3,) [m] in the base frame.
        size: (3,) full edges [m].
        rotation: (3, 3) from the box's axes to the base frame; None: aligned.
    """
    def __init__(
        self, center: numpy.typing.ArrayLike, size: numpy.typing.ArrayLike, rotation: typing.Any = None
    ) -> None: ...
    @property
    def center(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (3,) float64 [m], a copy.
        """
    @property
    def size(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (3,) float64 [m], a copy.
        """

class OrientationCone:
    """
    How far an axis of a link may be tilted away from a direction.

    Args:
        max_angle: [rad] between the two, 0.05 to 3.1.
        axis: (3,) in the link's frame, need not be unit; None: its z.
        direction: (3,) in the base frame, need not be unit; None: down, -z.
    """
    def __init__(
        self,
        max_angle: typing.SupportsFloat | typing.SupportsIndex,
        axis: typing.Any = None,
        direction: typing.Any = None,
    ) -> None: ...
    @property
    def axis(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (3,) float64, a copy.
        """
    @property
    def direction(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (3,) float64, a copy.
        """
    @property
    def max_angle(self) -> float:
        """
        [rad].
        """

class Workspace:
    """
    Where one point of the robot may be, in a box and in half-spaces of the base frame, and how its link may be tilted.

    Args:
        lower: (3,) [m], -inf where open; None: open.
        upper: (3,) [m], inf where open; None: open.
        link: name of the link that carries the point; None: the kinematics' tip.
        half_spaces: HalfSpace or (normal, offset) each: normal . x <= offset must hold.
        offset: (3,) the point in the link's frame [m]; None: its origin.
        cone: OrientationCone of an axis of the link; None: any orientation.

    Raises:
        ConfigError: NaN, lower not below upper, a zero normal, a bad cone, or no wall at all.
    """
    def __init__(
        self,
        lower: typing.Any = None,
        upper: typing.Any = None,
        link: typing.Any = None,
        half_spaces: typing.Any = (),
        offset: typing.Any = None,
        cone: OrientationCone | None = None,
    ) -> None: ...
    @property
    def link(self) -> typing.Any:
        """
        Name of the link, None for the tip.
        """
    @property
    def lower(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (3,) float64 [m], a copy.
        """
    @property
    def upper(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (3,) float64 [m], a copy.
        """

class CollisionModel:
    """
    Capsules on a robot's links, each against the others and against the world.

    Links joined by one joint, and what does not move relative to each other, are never checked.

    Args:
        kinematics: Kinematics of the robot.
        capsules: on links: Capsule or Sphere with a link, (link, start, end, radius),
            (link, center, radius), or dicts of these names. None: fitted to the URDF's collision
            spheres, cylinders, boxes and STL meshes, one each.
        world: Box, Sphere, Capsule, HalfSpace (solid where normal . x <= offset) or dicts of their
            fields; a box also as lower, upper.
        ignore: pairs of links that may touch; 'world' stands for all of the world.

    Raises:
        ConfigError: an unknown link, a number that is not finite, a negative size, a mesh that is
            not found or no STL file, or no capsule.
        FormatError: an STL file that is broken.
    """
    @staticmethod
    def capsules_of(kinematics: Kinematics) -> list[Capsule]:
        """
        List of Capsule around the URDF's collision spheres, cylinders, boxes and STL meshes.

        Raises:
            ConfigError: a mesh is not found or no STL file.
            FormatError: an STL file is broken.
        """
    def __init__(
        self,
        kinematics: Kinematics,
        capsules: typing.Any = None,
        world: typing.Any = (),
        ignore: typing.Any = (),
    ) -> None: ...
    def closest(self, q: numpy.typing.ArrayLike) -> tuple[float, str, str]:
        """
        (distance [m], link, link or 'world') of the pair with the smallest distance.
        """
    def distance(self, q: numpy.typing.ArrayLike) -> float:
        """
        Smallest distance between any two things that must not touch at q (N,) [m], exact where positive;
        negative where they overlap; inf where no pair is left to check.

        Raises:
            ConfigError: a wrong shape or a number that is not finite.
        """
    def overlaps(self, q: numpy.typing.ArrayLike) -> list[tuple[str, str]]:
        """
        Pairs (link, link or 'world') that overlap at q (N,). At a pose where the robot does not touch, these
        are the pairs that capsules are too coarse for: ignore them.

        Raises:
            ConfigError: a wrong shape or a number that is not finite.
        """
    @property
    def num_pairs(self) -> int:
        """
        Pairs of things that are checked.
        """

class JointLimits:
    """
    Limits of N joints on the commanded motion, exact at and between ticks.

    Args:
        min_position: (N,) [rad] or [m].
        max_position: (N,), above min_position.
        max_velocity: (N,) [rad/s], symmetric.
        max_acceleration: (N,) [rad/s^2], symmetric.
        max_jerk: (N,) [rad/s^3], symmetric.

    Raises:
        ConfigError: shapes differ, N is not in 1..64, or a number is not finite or out of its
            bounds. Scalars are not broadcast.
    """
    @staticmethod
    def from_urdf(
        path: os.PathLike[str] | str | bytes,
        tip: str | None = None,
        base: str | None = None,
        max_velocity: numpy.typing.ArrayLike | None = None,
        max_acceleration: numpy.typing.ArrayLike | None = None,
        max_jerk: numpy.typing.ArrayLike | None = None,
    ) -> JointLimits:
        """
        Limits as a URDF gives them: positions and velocities; the rest from arguments or defaults.

        A URDF knows no acceleration and no jerk. Where the file has none as an extension (`<limit acceleration= jerk=>`) and
        none is given here, max_acceleration is max_velocity / 0.5 s and max_jerk is max_acceleration / 10 ms. That is cautious:
        Franka's arms are given velocity / 0.13 to 0.3 s and acceleration / 2 ms; MoveIt's defaults are 10 rad/s^2 and 1000
        rad/s^3. Continuous joints get +-1e9 rad.

        Args:
            path: The file.
            tip: Last link of a chain: its joints, in the order of `Kinematics.from_urdf(path, tip, base)`. None: all movable
                joints, parents before children; joints that mimic another one are left out with a warning.
            base: First link of that chain; None is the root.
            max_velocity: Instead of the file's: one number, or one per joint [rad/s] or [m/s].
            max_acceleration: As above [rad/s^2] or [m/s^2].
            max_jerk: As above [rad/s^3] or [m/s^3].

        Raises:
            FormatError: The file is not a well-formed URDF; names file, line, element and value.
            ConfigError: A limit is missing, zero or inverted (names the joint), a bad argument, no such link, or an
                unsupported joint.
        """
    def __init__(
        self,
        min_position: numpy.typing.ArrayLike,
        max_position: numpy.typing.ArrayLike,
        max_velocity: numpy.typing.ArrayLike,
        max_acceleration: numpy.typing.ArrayLike,
        max_jerk: numpy.typing.ArrayLike,
    ) -> None: ...
    def __repr__(self) -> str: ...
    @property
    def max_acceleration(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) float64 [rad/s^2], a copy.
        """
    @property
    def max_jerk(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) float64 [rad/s^3], a copy.
        """
    @property
    def max_position(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) float64 [rad], a copy.
        """
    @property
    def max_velocity(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) float64 [rad/s], a copy.
        """
    @property
    def min_position(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) float64 [rad], a copy.
        """
    @property
    def num_joints(self) -> int:
        """
        N.
        """

class ViolationCounter:
    """
    Judge of emitted positions, independent of whoever made them: re-differentiates positions alone.

    A violation is |d^k q| / dt^k > limit (1 + 1e-6) + 2^k 8 eps max(1, |q|) / dt^k for k = 1, 2, 3, or a position
    outside its range, counted once per joint, tick and order. NaN breaks all of them.

    Args:
        limits: JointLimits of N joints.
        period_s: time between positions in [1e-6, 1] s.

    Raises:
        ConfigError: bad limits or period.
    """
    def __init__(
        self, limits: JointLimits, period_s: typing.SupportsFloat | typing.SupportsIndex
    ) -> None: ...
    def add(self, positions: numpy.typing.ArrayLike) -> int:
        """
        Judges emitted positions, (N,) or (n, N) [rad] in order; returns the number of violations found in them.

        Raises:
            ConfigError: a wrong shape.
        """
    def forgive(self) -> None:
        """
        Forgets what was counted, keeps the history.
        """
    def reset(self, position: numpy.typing.ArrayLike) -> None:
        """
        Starts anew with the robot at rest at position (N,) [rad].
        """
    def set_limits(self, limits: JointLimits) -> None:
        """
        Judges by other limits from now on.
        """
    def worst_ratio(self, order: typing.SupportsInt | typing.SupportsIndex) -> float:
        """
        Largest |d^k q| / dt^k relative to its limit so far; 1 velocity, 2 acceleration, 3 jerk.
        """
    @property
    def total(self) -> int:
        """
        Violations since reset.
        """

class EnforcerReport:
    """
    What one `ConstraintEnforcer.apply` did.
    """
    def __repr__(self) -> str: ...
    @property
    def causes(self) -> numpy.typing.NDArray[numpy.uint8]:
        """
        (N,) uint8 bit mask per joint: 1 position, 2 velocity, 4 acceleration, 8 jerk,
        16 workspace, 32 collision, 64 non_finite.
        """
    @property
    def deviation(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) float64 [rad]: target (the held one if it was not finite) minus command.
        """
    @property
    def distance_to_limit(self) -> dict[str, typing.Any]:
        """
        dict cause -> how much the command leaves, >= 0: position, velocity, acceleration, jerk: (N,) to
        the nearer limit [rad], [rad/s], ...; workspace: from the nearest point to the nearest wall [m];
        collision: the smallest distance between things that must not touch [m]. inf without any.
        """
    @property
    def limited(self) -> frozenset[typing.Any]:
        """
        frozenset of the causes that changed the wish, over all joints: position, velocity,
        acceleration, jerk, workspace, collision, non_finite. Empty when the target was followed as it was.
        """
    @property
    def log(self) -> list[typing.Any]:
        """
        list of dicts joint, cause, wanted, given, time_s, oldest first: every wish since reset
        that could not be granted, the newest 256. An entry is written when a cause begins to act
        on a joint, not again while it lasts. wanted: of a position the target; of a rate what
        reaching the target in that tick would have taken.
        """
    @property
    def status(self) -> Status:
        """
        Status: Ok, Limited, NonFinite or Fault.
        """

class ConstraintEnforcer:
    """
    Turns any stream of targets into commands within position, velocity, acceleration and jerk limits at once.

    After every tick a certified stop exists that respects all limits, so no input can break one. Time is nominal:
    every call advances the command by exactly period_s. Proof and limits of the claim: docs/safety.md.

    Args:
        limits: JointLimits of N joints.
        period_s: control period in [1e-6, 1] s.
        kinematics: Kinematics of the same joints; needed for a workspace, else taken from collision.
        workspace: Workspace or a list[typing.Any] of them: points of the robot that must stay inside walls.
        collision: CollisionModel: links that must not touch each other or the world.
            Workspace and collision hold at and between ticks and over the whole stop in hand; 0.1 mm is
            kept from everything at rest, 0.01 mm in motion. Near a wall the robot slides along it.
        path_preserving: slow all joints by one common time scale while any is saturated, so that a move from rest
            is a straight line in joint space; clipping joint by joint is the last resort.
        smoothing_s: time constant of target smoothing for noisy targets, 0 (off) to 0.05 s. Costs lag on steps.
        chain_joints: which of the N joints those of the kinematics are, in its order; None: all of them. The
            others, such as a gripper's, are filtered alone.

    Raises:
        ConfigError: a bad limit, period or option; kinematics missing or of another number of joints.
    """
    def __init__(
        self,
        limits: JointLimits,
        period_s: typing.SupportsFloat | typing.SupportsIndex,
        kinematics: Kinematics | None = None,
        workspace: typing.Any = None,
        collision: CollisionModel | None = None,
        path_preserving: bool = False,
        *,
        smoothing_s: typing.SupportsFloat | typing.SupportsIndex = 0.0,
        chain_joints: typing.Any = None,
    ) -> None: ...
    def apply(
        self, target: numpy.typing.ArrayLike, feedforward_velocity: numpy.typing.ArrayLike | None = None
    ) -> tuple[typing.Any, ...]:
        """
        One tick.

        Args:
            target: (N,) [rad]. A non-finite entry holds that joint's last good target.
            feedforward_velocity: (N,) [rad/s], the target's own velocity; non-finite entries count as absent.

        Returns:
            (command (N,) float64 [rad], EnforcerReport).

        Raises:
            ConfigError: a wrong shape, or no reset before the first call.
        """
    def reset(
        self,
        position: numpy.typing.ArrayLike,
        velocity: numpy.typing.ArrayLike | None = None,
        acceleration: numpy.typing.ArrayLike | None = None,
    ) -> None:
        """
        Starts from a commanded state; clears a fault and the log.

        Args:
            position: (N,) [rad].
            velocity: (N,) [rad/s], zero if None.
            acceleration: (N,) [rad/s^2], zero if None.

        Raises:
            ConfigError: not finite, outside the limits, the workspace or free space, or the stop from there leaves
                them; says what and by how much; nothing changes.
        """
    def run(
        self,
        targets: numpy.typing.ArrayLike,
        feedforward: numpy.typing.ArrayLike | None = None,
        substeps: typing.SupportsInt | typing.SupportsIndex = 1,
    ) -> dict[str, typing.Any]:
        """
        n ticks in C++ without the GIL, equal to repeated `apply` bit for bit.

        Args:
            targets: (n, N) [rad].
            feedforward: (n, N) [rad/s] or None.
            substeps: look at the commanded motion at so many instants per tick.

        Returns:
            dict of position [rad], velocity [rad/s], acceleration [rad/s^2], jerk [rad/s^3], each
            (n * substeps, N) float64, and limited (n,) bool: some wish of that tick was changed. Row r is the state
            at time (r + 1) * period_s / substeps; every substeps-th row is a command. jerk is the mean since the
            row before.

        Raises:
            ConfigError: a wrong shape, substeps not in 1..1000, or no reset before.
        """
    def set_limits(self, limits: JointLimits) -> None:
        """
        Changes the limits between two ticks, N unchanged. A joint whose state allows it has the new ones at once;
        others follow their certified stop until it does. If that stop leaves the new range, `apply` reports
        Status.Fault and everything stops until `reset`.

        Raises:
            ConfigError: bad limits; nothing changes.
        """
    def stop(self) -> None:
        """
        One tick along the certified stop.
        """
    @property
    def acceleration(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) float64 [rad/s^2] of the last command, a copy.
        """
    @property
    def at_rest(self) -> bool:
        """
        True when velocity and acceleration are exactly zero.
        """
    @property
    def limits(self) -> JointLimits:
        """
        JointLimits asked for last, a copy.
        """
    @property
    def num_joints(self) -> int:
        """
        N.
        """
    @property
    def period_s(self) -> float:
        """
        Control period [s].
        """
    @property
    def position(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) float64 [rad]: the last command, a copy.
        """
    @property
    def ticks_limited(self) -> dict[str, typing.Any]:
        """
        dict cause -> (N,) int64: ticks since reset in which it changed the wish of each joint.
        """
    @property
    def velocity(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) float64 [rad/s] of the last command, a copy.
        """

class ViolationLog:
    """
    Keeps every wish that an enforcer could not grant in a file, one JSON object per line.

    A line has joint, cause, wanted, given and time_s, as `EnforcerReport.log`; null stands for a number
    that is not finite. It is written when a cause begins to act on a joint, not again while it lasts, by
    a thread of this object's own: the tick only hands entries over.

        with vr.ViolationLog("violations.jsonl") as log:
            command, report = enforcer.apply(target)
            log.take(enforcer)

    Args:
        path: The file, made or emptied.

    Raises:
        ConfigError: The file cannot be written.
    """
    def __enter__(self) -> ViolationLog: ...
    def __exit__(self, arg0: typing.Any, arg1: typing.Any, arg2: typing.Any) -> None: ...
    def __init__(self, path: os.PathLike[str] | str | bytes) -> None: ...
    def close(self) -> None:
        """
        Writes what was handed over and closes the file.
        """
    def take(self, enforcer: ConstraintEnforcer) -> None:
        """
        Hands over what the enforcer, always the same one, has logged since the last call. Call it after
        every tick: an enforcer keeps its newest 256 entries.
        """
    @property
    def dropped(self) -> int:
        """
        Entries that came too fast, or that the file refused.
        """
    @property
    def written(self) -> int:
        """
        Lines in the file.
        """

class DifferentialIkReport:
    """
    What one tick of a DifferentialIk came to.
    """
    @property
    def position_error(self) -> float:
        """
        Left after this tick [m].
        """
    @property
    def rotation_error(self) -> float:
        """
        Left after this tick [rad].
        """
    @property
    def singular_value(self) -> float:
        """
        Estimate of the smallest one of the scaled Jacobian [m/rad]; 0 in a singularity.
        """
    @property
    def status(self) -> Status:
        """
        ok; limited: the pose was not met within 1e-4 m and 1e-3 rad; non_finite: the pose was refused and the last good one is kept.
        """

class DifferentialIk:
    """
    Tool poses in, joint positions out: differential inverse kinematics, one bounded step per tick.

    Damped least squares within the joints' position limits, slowed to their velocity limits; damping varies with the
    nearness of singularities (Nakamura and Hanafusa 1986; Chiaverini 1997) and with the error, so that an arm that cannot
    reach comes to rest. Orientation errors are rotation vectors: q and -q are the same, no Euler angle is interpolated.
    Feed its result to a `ConstraintEnforcer`, which keeps the last word.

    Poses are (7,): position x, y, z [m] and unit quaternion x, y, z, w, in the base frame of the chain. Twists are (6,):
    linear [m/s] above angular [rad/s] velocity, axes of the base frame.

    Args:
        kinematics: The chain; its tip is the tool.
        limits: Of its N joints.
        period_s: Between ticks, in (0, 1] s.
        rotation_scale: One radian of orientation error counts as so many metres [m/rad]; matters where position and
            orientation cannot both be met.
        singular_value: Singular values of the scaled Jacobian below this are damped [m/rad].
        posture: Where joints drift to that the tool leaves free (N,); None is the position of `reset`.
        posture_gain: How fast [1/s]; 0 is not at all.

    Raises:
        ConfigError: Kinematics and limits differ in joints, or a value is out of its bounds.
    """
    def __init__(
        self,
        kinematics: Kinematics,
        limits: JointLimits,
        period_s: typing.SupportsFloat | typing.SupportsIndex,
        *,
        rotation_scale: typing.SupportsFloat | typing.SupportsIndex = 0.25,
        singular_value: typing.SupportsFloat | typing.SupportsIndex = 0.02,
        posture: numpy.typing.ArrayLike | None = None,
        posture_gain: typing.SupportsFloat | typing.SupportsIndex = 1.0,
    ) -> None: ...
    def follow(self, position: numpy.typing.ArrayLike) -> None:
        """
        Take joint positions (N,) as its own, within the limits, with the tool's pose there as the target.
        """
    def reset(self, position: numpy.typing.ArrayLike) -> None:
        """
        Start at joint positions (N,), with the tool's pose there as the target.

        Raises:
            ConfigError: A wrong number of joints, a number that is not finite or outside the limits; nothing changes.
        """
    def run(
        self, poses: numpy.typing.ArrayLike, twists: numpy.typing.ArrayLike | None = None
    ) -> dict[str, typing.Any]:
        """
        `update` for every row of `poses` (n, 7) and `twists` (n, 6), in C++.

        Returns:
            dict[str, typing.Any]: position, velocity (n, N), position_error [m], rotation_error [rad], singular_value (n,), limited (n,) bool.

        Raises:
            ConfigError: A wrong shape, or no `reset` yet.
        """
    def update(
        self, pose: numpy.typing.ArrayLike, twist: numpy.typing.ArrayLike | None = None
    ) -> tuple[typing.Any, ...]:
        """
        One tick towards `pose` (7,), which moves with `twist` (6,).

        Without a twist it is taken from the change of the pose since the last tick, unless that is more than the joints can
        do: then it is a jump to a pose at rest.

        NaN, infinity and quaternions whose length is not 1 within 1e-3 are refused with `report.status`: the last good target
        is kept.

        Returns:
            (position (N,), velocity (N,), DifferentialIkReport): target and feed-forward for `ConstraintEnforcer.apply`.

        Raises:
            ConfigError: A wrong shape, or no `reset` yet.
        """
    def update_delta(self, delta: numpy.typing.ArrayLike, frame: str = "base") -> tuple[typing.Any, ...]:
        """
        One tick towards the present target moved by `delta` (6,), which becomes the target.

        Deltas accumulate on what was asked for, not on what was reached.

        Args:
            delta: Translation [m], then roll, pitch, yaw [rad] about fixed axes x, y, z, as `EndEffectorDeltaSpace` has them.
            frame: "base": translation along and rotation about the base's axes, the tool turning about its own origin.
                "tool": both along the tool's own axes, pose · delta.

        Returns:
            As `update`.

        Raises:
            ConfigError: A wrong shape, another frame, or no `reset` yet.
        """
    @property
    def num_joints(self) -> int:
        """
        N.
        """
    @property
    def period_s(self) -> float:
        """
        Between ticks [s].
        """
    @property
    def pose(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        The tool's pose at `position` (7,).
        """
    @property
    def position(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        Joint positions after the last tick (N,) [rad] or [m].
        """
    @property
    def target(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        Where the tool shall be (7,).
        """
    @property
    def velocity(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) [rad/s].
        """

class LowPassFilter:
    """
    Exponential smoothing: y = alpha * y_previous + (1 - alpha) * x; the first output is the first input.

    Slow signals come out alpha / (1 - alpha) samples late (`delay_samples`).

    Args:
        alpha: weight of the past, 0 <= alpha < 1.

    Raises:
        ConfigError: alpha is out of its range.
    """
    def __init__(self, alpha: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    def filter(self, X: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Samples (n, D), or (n,) of one signal, in, as many out; the same as `update` row by row.

        Raises:
            ConfigError: another D than the first sample's, or no numbers.
        """
    def reset(self) -> None:
        """
        Forgets the past.
        """
    def update(self, x: numpy.typing.ArrayLike) -> typing.Any:
        """
        One sample (D,) in, one out; D is that of the first sample. A plain number gives a plain number.

        A number that is not finite counts as a repetition of that signal's last good one.

        Raises:
            ConfigError: another D than the first sample's, or no numbers.
        """
    @property
    def alpha(self) -> float:
        """
        Weight of the past.
        """
    @property
    def delay_samples(self) -> float:
        """
        How late slow signals come out.
        """

class ButterworthFilter:
    """
    Butterworth low-pass, the one of scipy.signal.butter(order, cutoff_hz, fs=rate_hz), settled on the first sample.

    Slow signals come out `delay_s` late, about 0.225 / cutoff_hz for order 2; at the cutoff the gain is -3 dB and the lag 45
    degrees per order.

    Args:
        cutoff_hz: between 0 and rate_hz / 2.
        rate_hz: samples per second.
        order: 1..8.

    Raises:
        ConfigError: a value is out of its range.
    """
    def __init__(
        self,
        cutoff_hz: typing.SupportsFloat | typing.SupportsIndex,
        rate_hz: typing.SupportsFloat | typing.SupportsIndex,
        order: typing.SupportsInt | typing.SupportsIndex = 2,
    ) -> None: ...
    def filter(self, X: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Samples (n, D), or (n,) of one signal, in, as many out; the same as `update` row by row.

        Raises:
            ConfigError: another D than the first sample's, or no numbers.
        """
    def reset(self) -> None:
        """
        Forgets the past.
        """
    def update(self, x: numpy.typing.ArrayLike) -> typing.Any:
        """
        One sample (D,) in, one out; D is that of the first sample. A plain number gives a plain number.

        A number that is not finite counts as a repetition of that signal's last good one.

        Raises:
            ConfigError: another D than the first sample's, or no numbers.
        """
    @property
    def delay_s(self) -> float:
        """
        How late slow signals come out [s].
        """
    @property
    def order(self) -> int:
        """
        Poles of the filter.
        """

class RowInterpolator:
    """
    The motion through rows (T, D) of even spacing.

    Args:
        rows: (T, D), row t at t * period_s.
        period_s: time between rows [s].
        interpolation: "linear"; "cubic", the not-a-knot spline of scipy.interpolate.CubicSpline; or "quintic", pieces that
            match velocity and acceleration estimated at the rows (local, and also continuous in acceleration).

    Raises:
        ConfigError: wrong shape, a number that is not finite, or a period that is not > 0.
    """
    @staticmethod
    def minimum_jerk(
        start: numpy.typing.ArrayLike,
        goal: numpy.typing.ArrayLike,
        duration_s: typing.SupportsFloat | typing.SupportsIndex,
    ) -> RowInterpolator:
        """
        The motion of least squared jerk from rest at `start` (D,) to rest at `goal` (D,) in `duration_s`.
        """
    def __init__(
        self,
        rows: numpy.typing.ArrayLike,
        period_s: typing.SupportsFloat | typing.SupportsIndex,
        interpolation: str = "cubic",
    ) -> None: ...
    def at(self, time_s: numpy.typing.ArrayLike) -> tuple[typing.Any, ...]:
        """
        Position, velocity and acceleration at a time after row 0, (D,) each, or at times (n,), (n, D) each.

        A time outside the rows is taken as the nearest end.
        """
    @property
    def action_dim(self) -> int:
        """
        D.
        """
    @property
    def duration_s(self) -> float:
        """
        From the first row to the last [s].
        """
    @property
    def horizon(self) -> int:
        """
        T.
        """

class ChunkExecutor:
    """
    Late, jittery, contradictory chunks in; one continuous motion out.

    `now` is the latest time given to `at`. A pushed chunk takes over at s = max(now, its start); before s the old plan
    stands, from s + blend_s on the motion is exactly the new chunk's. Position, velocity and acceleration are continuous
    across chunks when `interpolation` is "cubic" or "quintic" and `blend_s` > 0; the other settings promise the row values
    and report their seams.

    One thread calls `at`; `push` may be called from others. Everything is computed in `push`; `at` only evaluates.

    Args:
        action_dim: D, 1..64.
        period_s: time between the rows of a chunk [s].
        mode: "receding": takes over when `execution_horizon` rows of the old chunk are done; "ensemble": at once, rows
            averaged over all chunks with ACT's weights; "async": at once, rows merged as `merge` says; "rtc": at once and
            without a blend, because the chunk already continues the old one.
        execution_horizon: rows executed before the next chunk is due; None: all T.
        blend_s: how long a splice is blended [s]; 0: not at all.
        interpolation: "linear", "cubic" (not-a-knot spline through the rows) or "quintic" (velocity and acceleration
            estimated at the rows).
        merge: "crossfade" (the old plan fades out over blend_s), "replace" (the new rows at once; the jump decays over
            blend_s) or "average" (the weighted mean of old plan and new row wherever both exist).
        merge_weights: of old and new, for "average".
        discrete_dims: dims that hold the current row and are never blended or averaged.
        on_starvation: "hold" the last row at velocity 0, or "decelerate" from the last velocity within `limits`.
        limits: JointLimits of the dims that are not discrete; needed for "decelerate".
        temporal_ensemble_coeff: m of the weights exp(-m i), i = 0 the oldest chunk.
        rotation_dims: pairs (first dim, format) of dims that are one rotation: "quaternion" (x, y, z, w),
            "rotation_vector" or "rotation_6d". They move, blend and average as rotations, on the short way.

    Raises:
        ConfigError: a value is out of its range.
    """
    def __init__(
        self,
        action_dim: typing.SupportsInt | typing.SupportsIndex,
        period_s: typing.SupportsFloat | typing.SupportsIndex,
        mode: str = "receding",
        execution_horizon: typing.SupportsInt | typing.SupportsIndex | None = None,
        blend_s: typing.SupportsFloat | typing.SupportsIndex = 0.1,
        interpolation: str = "cubic",
        merge: str = "crossfade",
        merge_weights: numpy.typing.ArrayLike = (0.3, 0.7),
        discrete_dims: numpy.typing.ArrayLike = (),
        on_starvation: str = "hold",
        limits: JointLimits | None = None,
        temporal_ensemble_coeff: typing.SupportsFloat | typing.SupportsIndex = 0.01,
        rotation_dims: typing.Any = (),
    ) -> None: ...
    def at(self, time_s: typing.SupportsFloat | typing.SupportsIndex) -> tuple[typing.Any, ...]:
        """
        Position (D,), velocity (D,) and Status at a time [s].

        A time before the latest one is answered for the latest one, and counted. Status.Starved while no chunk covers it;
        before any chunk the position is the one given to `reset`, or zeros.
        """
    def previous_rows(
        self,
        start_time_s: typing.SupportsFloat | typing.SupportsIndex,
        rows: typing.SupportsInt | typing.SupportsIndex,
    ) -> tuple[typing.Any, ...]:
        """
        The plan sampled for a new chunk that starts at `start_time_s`: what it has to continue (RTC).

        Returns:
            (rows, D) array, the last row held beyond the plan's end, and how many of its rows lie within the plan.
        """
    def push(
        self, chunk: numpy.typing.ArrayLike, start_time_s: typing.SupportsFloat | typing.SupportsIndex
    ) -> str:
        """
        Plans with a chunk (T, D) whose row 0 is for `start_time_s`.

        Returns "accepted"; "past" when all its rows lie before the time it would take over; "far_future" when it starts more
        than 10 s after now; "queue_full" when too many chunks wait. The last three change nothing but a counter.

        Raises:
            ConfigError: wrong shape, or a number that is not finite; nothing changes.
        """
    def reset(self, position: numpy.typing.ArrayLike | None = None) -> None:
        """
        Forgets plan, time, seams and counters; the first chunk then blends from `position` (D,), if given.
        """
    @property
    def counters(self) -> dict[str, typing.Any]:
        """
        Counts since the last reset: accepted, dropped, refused and superseded chunks, dropped rows, splices, queries, late and starved ones, starved_s, overtaken splices.
        """
    @property
    def due_time_s(self) -> typing.Any:
        """
        When the next chunk is due: start of the newest one + execution_horizon rows; None before the first.
        """
    @property
    def remaining_s(self) -> typing.Any:
        """
        How much longer the plan reaches [s]; 0 without one, None before the first `at`.
        """
    @property
    def seams(self) -> list[typing.Any]:
        """
        The latest splices, oldest first: dicts of time_s and the jumps |old - new| of position, velocity and acceleration (D,) before the blend. The first chunk makes none.
        """

class TemporalEnsembler:
    """
    ACT's temporal ensembling, one chunk per control step.

    The action is the mean of all predictions made for this step, weighted exp(-coeff * i) with i = 0 the oldest. For chunks
    that come late or not every step use ChunkExecutor(mode="ensemble").

    Args:
        horizon: T, rows of a chunk.
        action_dim: D.
        coeff: positive trusts old predictions more, negative new ones; >= -2.

    Raises:
        ConfigError: a value is out of its range.
    """
    def __init__(
        self,
        horizon: typing.SupportsInt | typing.SupportsIndex,
        action_dim: typing.SupportsInt | typing.SupportsIndex,
        coeff: typing.SupportsFloat | typing.SupportsIndex = 0.01,
    ) -> None: ...
    def reset(self) -> None:
        """
        Forgets all chunks.
        """
    def update(self, chunk: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        Takes the chunk (T, D) whose row 0 is for this step; returns this step's action (D,).

        Raises:
            ConfigError: wrong shape, or a number that is not finite; nothing changes.
        """
    @property
    def action_dim(self) -> int:
        """
        D.
        """
    @property
    def coeff(self) -> float:
        """
        m of the weights exp(-m i).
        """
    @property
    def horizon(self) -> int:
        """
        T.
        """

class GuidanceOptions:
    """
    How chunks continue the one before; see `Guidance`.
    """
    def __init__(
        self,
        max_weight: typing.SupportsFloat | typing.SupportsIndex = 5.0,
        schedule: str = "exp",
        jacobian: str = "identity",
    ) -> None: ...

class Guidance:
    """
    Makes a sampled chunk continue a previous one (real-time chunking).

    For the `guidance` of samplers and policies. Flow matching is guided as Black, Galliker and Levine (2025) say, at every
    stage; DDPM, DDIM and DPM-Solver by the same step on the predicted clean sample (identity Jacobian only).

    Args:
        previous: (L, D) or (B, L, D), L at most the horizon T: the previous chunk, shifted so that its row 0 is for the new
            chunk's row 0, in the units the sampler works in (raw for `Policy.sample`). Its last row is held beyond L.
        delay: rows executed while the policy computes; they keep weight 1. At most T.
        execution_horizon: first row that is free again (the prefix end); clipped to T.
        max_weight: largest guidance strength, finite and >= 0.
        schedule: how the weights fall from delay to execution_horizon; see `prefix_weights`.
        jacobian: "identity" (the error itself), "vjp" (the network's vector-Jacobian product: a denoiser's
            `vjp(x, t, c)`, TorchScript packages by autograd) or "finite_differences" (the same from 2 T D evaluations per
            stage, for any network).

    Raises:
        ConfigError: a value is out of its range, or `previous` is not finite. What does not fit the sample is refused
            when sampling.
    """
    def __init__(
        self,
        previous: numpy.typing.ArrayLike,
        delay: typing.Any,
        execution_horizon: typing.Any,
        max_weight: typing.SupportsFloat | typing.SupportsIndex = 5.0,
        schedule: str = "exp",
        jacobian: str = "identity",
    ) -> None: ...
    @property
    def delay(self) -> int:
        """
        Rows of weight 1.
        """
    @property
    def execution_horizon(self) -> int:
        """
        First free row.
        """
    @property
    def jacobian(self) -> str:
        """
        What stands for the Jacobian.
        """
    @property
    def max_weight(self) -> float:
        """
        Largest strength.
        """
    @property
    def previous(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        The previous chunk, a copy.
        """
    @property
    def schedule(self) -> str:
        """
        How the weights fall.
        """

class DelayEstimator:
    """
    How long the next inference will take, from the last ones.

    A quantile of the last 128 latencies; each weighs half of one that is `half_life` inferences younger. The first one does
    not count (cold caches), and none counts for more rows than were really executed meanwhile.

    Args:
        period_s: time between rows [s].
        quantile: in (0, 1].
        half_life: in inferences, > 0.

    Raises:
        ConfigError: a value is out of its range.
    """
    def __init__(
        self,
        period_s: typing.SupportsFloat | typing.SupportsIndex,
        quantile: typing.SupportsFloat | typing.SupportsIndex = 0.95,
        half_life: typing.SupportsFloat | typing.SupportsIndex = 20.0,
    ) -> None: ...
    def add(
        self,
        latency_s: typing.SupportsFloat | typing.SupportsIndex,
        moved_rows: typing.SupportsInt | typing.SupportsIndex | None = None,
    ) -> None:
        """
        One inference: its latency [s], and how many rows the execution moved on meanwhile, if known.
        """
    def reset(self) -> None:
        """
        Forgets all; the next inference is cold again.
        """
    @property
    def count(self) -> int:
        """
        Latencies the estimate rests on.
        """
    @property
    def delay_rows(self) -> int:
        """
        The estimate in rows, rounded up.
        """
    @property
    def delay_s(self) -> float:
        """
        The estimate [s]; 0 before the second inference.
        """

class RobotCommand:
    """
    One safe command: always finite, always within the limits.
    """
    @property
    def acceleration(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) [rad/s^2].
        """
    @property
    def position(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) [rad] or [m].
        """
    @property
    def sequence(self) -> int:
        """
        Counts ticks.
        """
    @property
    def status(self) -> Status:
        """
        What the tick had to say.
        """
    @property
    def time_ns(self) -> int:
        """
        The tick it was made for [ns, steady clock].
        """
    @property
    def velocity(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N,) [rad/s].
        """

class Robot:
    """
    The boundary to a robot driver.
    """
    @property
    def num_joints(self) -> int:
        """
        N.
        """

class MailboxRobot(Robot):
    """
    A robot whose driver has a cycle of its own.

    The driver posts what it measured and takes the newest command whenever its cycle wants one; neither side waits for the
    other. A subclass may override `start()` and `stop()`, which a ControlLoop calls before the first and after the last tick,
    from the thread that runs it.

    Args:
        num_joints: N, 1..MAX_ACTION_DIM.

    Raises:
        ConfigError: N is outside its bounds.
    """
    def __init__(self, num_joints: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def fail(self, reason: str) -> None:
        """
        Report that the driver can go on no longer: the controller faults and stops. Any thread.
        """
    def latest_command(self) -> typing.Any:
        """
        The newest RobotCommand, or None before the first. One driver thread.
        """
    def post_feature(self, name: str, value: numpy.typing.ArrayLike) -> None:
        """
        Give the policy something besides the joints: a goal, an image, token ids.

        Floats of any width arrive as float32, integers as int64, uint8 as it is. Replaces the feature of that name. Any thread.

        Args:
            name: Feature name, as the policy knows it.
            value: Array of any shape.

        Raises:
            ConfigError: The dtype is neither real, integer nor uint8.
        """
    def post_state(
        self,
        position: numpy.typing.ArrayLike,
        velocity: numpy.typing.ArrayLike | None = None,
        time_ns: typing.SupportsInt | typing.SupportsIndex | None = None,
    ) -> None:
        """
        Hand over a measurement. One driver thread.

        Args:
            position: (N,) [rad] or [m]. A NaN is handed on: the controller refuses it.
            velocity: (N,) [rad/s] or [m/s]; None is zero.
            time_ns: When it was measured [ns, as `vla_rt.steady_now_ns()`]; None is now.

        Raises:
            ConfigError: A wrong shape or dtype.
        """
    def start(self) -> None:
        """
        Called before the first state is read; override it to begin driving.
        """
    def stop(self) -> None:
        """
        Called after the last command; override it to end driving.
        """

class SimulatedRobot(Robot):
    """
    Joints that follow the commanded position as damped second-order servos.

    Deterministic: every command moves time by exactly `period_s`, solved exactly.

    Args:
        limits: JointLimits of the N joints.
        position: (N,) where it stands at rest [rad] or [m].
        natural_frequency_hz: Of the undamped servo, > 0.
        damping_ratio: 1 is critically damped, > 0.
        period_s: Motion per command [s]; the period of the loop.

    Raises:
        ConfigError: A number is not finite or outside its bounds, or the position is outside the limits.
    """
    def __init__(
        self,
        limits: JointLimits,
        position: numpy.typing.ArrayLike,
        natural_frequency_hz: typing.SupportsFloat | typing.SupportsIndex = 20.0,
        damping_ratio: typing.SupportsFloat | typing.SupportsIndex = 1.0,
        period_s: typing.SupportsFloat | typing.SupportsIndex = 0.001,
    ) -> None: ...
    def post_feature(self, name: str, value: numpy.typing.ArrayLike) -> None:
        """
        Give the policy something besides the joints: a goal, an image, token ids.

        Floats of any width arrive as float32, integers as int64, uint8 as it is. Replaces the feature of that name. Any thread.

        Args:
            name: Feature name, as the policy knows it.
            value: Array of any shape.

        Raises:
            ConfigError: The dtype is neither real, integer nor uint8.
        """
    @property
    def limits(self) -> JointLimits:
        """
        The limits it was made with.
        """
    @property
    def period_s(self) -> float:
        """
        Motion per command [s].
        """

class SharedMemoryRobot(Robot):
    """
    A robot whose driver is another process, in any language, behind POSIX shared memory.

    The layout is `vla_rt/execution/shared_memory.h`; `examples/shared_memory_driver` is a driver in C, `SharedMemoryDriver` one
    for Python. What the driver says is taken as hostile: torn or backward states are refused and counted. A heartbeat that
    stands still, or nothing usable, for `timeout_s` is a driver error, which ends a run in the certified stop. Should this
    process die instead, the driver brings the robot to rest by the stop that every command carries.

    Args:
        name: Of the segment, as its driver made it.
        timeout_s: (0, 60] s.

    Raises:
        ConfigError: The name is none of a segment, or the timeout is outside its bounds.
        VlaRtError: There is no such segment.
        FormatError: It is not of this layout, or its limits are none.
    """
    def __init__(self, name: str, timeout_s: typing.SupportsFloat | typing.SupportsIndex = 0.1) -> None: ...
    def post_feature(self, name: str, value: numpy.typing.ArrayLike) -> None:
        """
        Give the policy something besides the joints: a goal, an image, token ids.

        Floats of any width arrive as float32, integers as int64, uint8 as it is. Replaces the feature of that name. Any thread.

        Args:
            name: Feature name, as the policy knows it.
            value: Array of any shape.

        Raises:
            ConfigError: The dtype is neither real, integer nor uint8.
        """
    @property
    def limits(self) -> JointLimits:
        """
        As the driver stated them.
        """
    @property
    def refused(self) -> int:
        """
        States refused since the run began.
        """

class SharedMemoryDriver:
    """
    The driver's end of a SharedMemoryRobot: makes the segment, posts states, follows commands.

    Every command carries the way to rest from it, so that the robot ends within its limits when the controller dies or babbles.
    One thread. A context manager; closing removes the segment.

    Args:
        name: Of the segment.
        limits: JointLimits of the N joints.
        late_s: A command older than this is followed on its way to rest: one and a half periods of the controller.
        timeout_s: The controller is given up after this, at most 60 s.

    Raises:
        ConfigError: A bad name or limits, or not 0 < late_s <= timeout_s <= 60.
        VlaRtError: A living driver has that segment, or it cannot be made.
    """
    def __enter__(self) -> SharedMemoryDriver: ...
    def __exit__(self, *args) -> None: ...
    def __init__(
        self,
        name: str,
        limits: JointLimits,
        late_s: typing.SupportsFloat | typing.SupportsIndex = 0.0015,
        timeout_s: typing.SupportsFloat | typing.SupportsIndex = 0.05,
    ) -> None: ...
    def close(self) -> None:
        """
        Say that the driver has gone, and remove the segment.
        """
    def fail(self, code: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Report that the driver can go on no longer: the controller faults.
        """
    def follow(
        self, now_ns: typing.SupportsInt | typing.SupportsIndex | None = None
    ) -> tuple[typing.Any, ...]:
        """
        Where to be now; once per cycle.

        Returns:
            (advice, position (N,), velocity (N,)). Advice is "hold" (no run: stay; the other two are None), "follow" (the newest
            command), "late" (on the way to rest until the next one comes) or "stop" (to rest for good: the controller is dead or
            babbling).
        """
    def post_state(
        self,
        position: numpy.typing.ArrayLike,
        velocity: numpy.typing.ArrayLike | None = None,
        time_ns: typing.SupportsInt | typing.SupportsIndex | None = None,
    ) -> None:
        """
        Hand over a measurement.

        Args:
            position: (N,) [rad] or [m].
            velocity: (N,) [rad/s] or [m/s]; None is zero.
            time_ns: When it was measured [ns, as `vla_rt.steady_now_ns()`]; None is now.

        Raises:
            ConfigError: A wrong shape or dtype.
        """
    @property
    def num_joints(self) -> int:
        """
        N.
        """

class FlightRecording:
    """
    A recording that a run with `ControlConfig(record=...)` left, opened up to its last whole record.

    Args:
        path: The file.

    Raises:
        ConfigError: It cannot be read.
        FormatError: It is no recording; names the field.
    """
    def __init__(self, path: os.PathLike[str] | str | bytes) -> None: ...
    def chunks(self) -> list[typing.Any]:
        """
        One dict per chunk: time_ns, sequence, start_time_ns, period_ns, inference_ns, result, actions (T, D).
        """
    def replay(self) -> dict[str, typing.Any]:
        """
        Run executor and enforcer again on the recorded inputs and compare bit by bit.

        Bit-exact for the same build on the same kind of processor.

        Returns:
            ticks, executor_ticks, enforcer_ticks (that were compared), gaps, missing_ticks, missing_chunks, resumed_at (ticks from
            which on commands are compared again after a gap) and difference: None, or tick, time_ns, signal, joint, recorded,
            replayed of the first.
        """
    def ticks(self) -> dict[str, typing.Any]:
        """
        Columns: tick, time_ns, wakeup_ns, compute_ns, state_time_ns, chunk_sequence, status, follows_plan (n,), measured_position, measured_velocity, target, target_velocity, command_position, command_velocity, command_acceleration (n, N).
        """
    @property
    def cut_bytes(self) -> int:
        """
        Bytes after the last whole record.
        """
    @property
    def has_surroundings(self) -> bool:
        """
        Walls or obstacles: only the executor is replayed.
        """
    @property
    def has_tool_actions(self) -> bool:
        """
        Chunks are of the tool: only the enforcer is replayed.
        """
    @property
    def num_chunks(self) -> int:
        """
        Chunks in the file.
        """
    @property
    def num_joints(self) -> int:
        """
        N.
        """
    @property
    def num_pictures(self) -> int:
        """
        Pictures in the file.
        """
    @property
    def num_ticks(self) -> int:
        """
        Ticks in the file.
        """
    @property
    def part(self) -> int:
        """
        0 for a file from the first tick on; else earlier parts were rotated out.
        """
    @property
    def period_s(self) -> float:
        """
        Of the ticks [s].
        """

class FlightFollower:
    """
    Reads a flight recording from its beginning on, also while it is being written.

    Executor and enforcer are run again on what is read, which tells seams and violations.

    Args:
        path: The file; it need not be there yet.
    """
    def __init__(self, path: os.PathLike[str] | str | bytes) -> None: ...
    def read(self, is_over: bool = False) -> typing.Any:
        """
        What is new since the last call.

        Args:
            is_over: The run has ended: what is in the file is all there will be. Else the newest 0.2 s are held back.

        Returns:
            None as long as there is no recording; ticks and chunks, as `FlightRecording` has them; pictures: time_ns, name,
            pixels (H, W, 3); seams: time_ns, sequence, position, velocity, acceleration (D,); violations: time_ns, joint, cause,
            wanted, given; has_more: True when another call may find more at once.

        Raises:
            FormatError: The file is no recording.
        """
    @property
    def has_surroundings(self) -> bool:
        """
        Walls or obstacles: no violations are told.
        """
    @property
    def has_tool_actions(self) -> bool:
        """
        Chunks are of the tool: no seams are told.
        """
    @property
    def limits(self) -> JointLimits:
        """
        What commands are held to.
        """
    @property
    def num_joints(self) -> int:
        """
        N.
        """
    @property
    def period_s(self) -> float:
        """
        Of the ticks [s].
        """
    @property
    def wall_offset_ns(self) -> int:
        """
        What the wall clock was ahead of the steady clock as the run began [ns]; 0: not recorded.
        """

class ChunkSource:
    """
    Whatever turns an observation into a chunk of actions.
    """

class PythonChunkSource(ChunkSource):
    """
    A Python callable as a policy.

    It is called in the inference thread with a dict of arrays (copies: float32, int64 or uint8, by feature name) and returns
    (T, D) actions, raw, T <= MAX_HORIZON, D <= MAX_ACTION_DIM. Whatever it raises is a counted failure with its text.

    Args:
        policy: The callable.
        period_s: Time between the rows of its chunks [s], in (0, 60].
        n_obs_steps: With more than one, every array has time as its first axis, oldest first: one observation per period.
        guidance: Where given, `policy` takes a second argument in mode "rtc": a `vla_rt.rtc.Guidance` made with these
            options, the chunk to continue. It is left out while there is none.

    Raises:
        ConfigError: `policy` is not callable, or the period or n_obs_steps is outside its bounds.
    """
    def __init__(
        self,
        policy: typing.Any,
        period_s: typing.SupportsFloat | typing.SupportsIndex,
        guidance: GuidanceOptions | None = None,
        n_obs_steps: typing.SupportsInt | typing.SupportsIndex = 1,
    ) -> None: ...
    @property
    def period_s(self) -> float:
        """
        Time between rows [s].
        """

class PolicySource(ChunkSource):
    """
    A policy package as the source of chunks.

    Args:
        policy: From `load_policy`.
        seed: Of the noise; chunk i is sampled with that of (seed, i).
        guidance: How chunks continue the one before in mode "rtc"; None: as GuidanceOptions() says.
    """
    def __init__(
        self,
        policy: Policy,
        seed: typing.SupportsInt | typing.SupportsIndex = 0,
        guidance: GuidanceOptions | None = None,
    ) -> None: ...

class AnchoredSource(ChunkSource):
    """
    A policy with relative actions, as absolute ones.

    Adds the state that the policy saw to its rows, and subtracts it from the rows that its chunk shall continue.

    Args:
        source: The policy.
        feature: Observation feature (float32) whose element d is the state of dim d.
        dims: The relative dims.

    Raises:
        ConfigError: A dim is there twice or out of range.
    """
    def __init__(self, source: typing.Any, feature: str, dims: numpy.typing.ArrayLike) -> None: ...

class GripperJoint:
    """
    The joint that opens and closes a robot's gripper.

    An action's gripper number g, 0 open .. 1 closed, asks for open_position + g (closed_position - open_position).

    Args:
        joint: Which of the robot's N joints; the others are the arm's, in order.
        open_position: [rad] or [m].
        closed_position: [rad] or [m].
    """
    def __eq__(self, arg0: typing.Any) -> bool: ...
    def __hash__(self) -> int: ...
    def __init__(
        self,
        joint: typing.SupportsInt | typing.SupportsIndex,
        open_position: typing.SupportsFloat | typing.SupportsIndex,
        closed_position: typing.SupportsFloat | typing.SupportsIndex,
    ) -> None: ...
    @property
    def closed_position(self) -> float:
        """
        [rad] or [m].
        """
    @property
    def joint(self) -> int:
        """
        Which of the robot's N joints.
        """
    @property
    def open_position(self) -> float:
        """
        [rad] or [m].
        """

class CartesianConfig:
    """
    How actions of the tool move a robot, checked; made by `vla_rt.ControlConfig`.
    """
    def __init__(
        self,
        *,
        kinematics: Kinematics,
        action_space: str,
        action_dim: typing.SupportsInt | typing.SupportsIndex,
        delta_frame: str,
        gripper: GripperJoint | None,
        posture: numpy.typing.ArrayLike,
        rotation_scale: typing.SupportsFloat | typing.SupportsIndex,
    ) -> None: ...

class ControlConfig:
    """
    Set-up of a ControlLoop, checked; made by `vla_rt.ControlConfig`.
    """
    def __init__(
        self,
        *,
        period_s: typing.SupportsFloat | typing.SupportsIndex,
        chunk_period_s: typing.SupportsFloat | typing.SupportsIndex,
        mode: str,
        execution_horizon: typing.SupportsInt | typing.SupportsIndex | None,
        blend_s: typing.SupportsFloat | typing.SupportsIndex,
        interpolation: str,
        merge: str,
        merge_weights: numpy.typing.ArrayLike,
        discrete_dims: numpy.typing.ArrayLike,
        on_starvation: str,
        temporal_ensemble_coeff: typing.SupportsFloat | typing.SupportsIndex,
        cartesian: CartesianConfig | None,
        limits: JointLimits | None,
        path_preserving: bool,
        smoothing_s: typing.SupportsFloat | typing.SupportsIndex,
        state_timeout_s: typing.SupportsFloat | typing.SupportsIndex,
        plan_timeout_s: typing.SupportsFloat | typing.SupportsIndex,
        max_following_error: typing.SupportsFloat | typing.SupportsIndex,
        watchdog_s: typing.SupportsFloat | typing.SupportsIndex,
        inference_rate_hz: typing.SupportsFloat | typing.SupportsIndex,
        inference_stop_timeout_s: typing.SupportsFloat | typing.SupportsIndex,
        realtime: str,
        priority: typing.SupportsInt | typing.SupportsIndex,
        cpu: typing.SupportsInt | typing.SupportsIndex | None,
        lock_memory: bool,
        spin_s: typing.SupportsFloat | typing.SupportsIndex,
        first_state_timeout_s: typing.SupportsFloat | typing.SupportsIndex,
        trace_s: typing.SupportsFloat | typing.SupportsIndex,
        inline_budget_s: typing.SupportsFloat | typing.SupportsIndex = 0.0,
        rotation_dims: typing.Any = (),
    ) -> None: ...
    def surround(
        self,
        kinematics: Kinematics | None,
        workspace: typing.Any,
        collision: CollisionModel | None,
        chain_joints: typing.Any,
    ) -> None:
        """
        What the commands keep clear of, as `ConstraintEnforcer`.
        """
    @property
    def chunk_period_s(self) -> float:
        """
        Time between the rows of a chunk [s].
        """
    @property
    def record(self) -> str:
        """
        File, empty: none; see `FlightRecording`.
        """
    @record.setter
    def record(self, arg0: str) -> None: ...
    @property
    def record_max_mb(self) -> float:
        """
        [MiB] of it and the part before it.
        """
    @record_max_mb.setter
    def record_max_mb(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def record_pictures(self) -> bool:
        """
        Pictures the policy sees, too.
        """
    @record_pictures.setter
    def record_pictures(self, arg0: bool) -> None: ...
    @property
    def violation_log(self) -> str:
        """
        File, empty: none; see `ViolationLog`.
        """
    @violation_log.setter
    def violation_log(self, arg0: str) -> None: ...

class Controller:
    """
    The control tick without threads: chunks and measurements in, one safe command out.

    What a ControlLoop runs every period, for tests, replays and callbacks of one's own. Times are seconds of one clock of
    the caller's choice.

    Args:
        config: A `_core.ControlConfig` with limits and chunk period, as `vla_rt.ControlConfig.to_core()` makes it.

    Raises:
        ConfigError: Limits or chunk period are missing.
    """
    def __init__(self, config: ControlConfig) -> None: ...
    def push(
        self, chunk: numpy.typing.ArrayLike, start_time_s: typing.SupportsFloat | typing.SupportsIndex
    ) -> str:
        """
        Hand over a chunk (T, D) of actions, row 0 at `start_time_s`.

        Returns:
            str: "accepted", or why it was dropped: "past", "far_future", "queue_full".

        Raises:
            ConfigError: A wrong shape, or a number that is not finite; the plan stays.
        """
    def report_driver_error(self) -> None:
        """
        Fault at the next tick.
        """
    def request_stop(self) -> None:
        """
        From the next tick on: the certified stop, until `reset()`.
        """
    def reset(self, position: numpy.typing.ArrayLike) -> None:
        """
        Start anew at rest at the measured position (N,): no plan, no fault.

        Raises:
            ConfigError: It is not finite, has another size or lies outside the limits; nothing changes.
        """
    def tick(
        self,
        time_s: typing.SupportsFloat | typing.SupportsIndex,
        position: numpy.typing.ArrayLike,
        velocity: numpy.typing.ArrayLike | None = None,
        state_time_s: typing.SupportsFloat | typing.SupportsIndex | None = None,
    ) -> RobotCommand:
        """
        One tick at `time_s`.

        Args:
            time_s: Now [s].
            position: Measured (N,) [rad] or [m]; NaN is an answerable input, not an error.
            velocity: Measured (N,) [rad/s]; None is zero.
            state_time_s: When that was measured; None is now.

        Returns:
            RobotCommand: Always finite and within the limits; its `status` says what the tick had to say.

        Raises:
            ConfigError: A wrong shape.
        """
    @property
    def action_dim(self) -> int:
        """
        D of the chunks it takes.
        """
    @property
    def at_rest(self) -> bool:
        """
        True when the last command was at rest.
        """
    @property
    def fault(self) -> typing.Any:
        """
        None, or {reason, text, time_s, joint, value, bound} of the first fault since the last reset.
        """
    @property
    def num_joints(self) -> int:
        """
        N.
        """

class RunReport:
    """
    What one run came to, measured on the emitted commands.
    """
    def handovers(self) -> dict[str, typing.Any]: ...
    def seams(self) -> dict[str, typing.Any]: ...
    def to_dict(self) -> dict[str, typing.Any]: ...
    def trace(self) -> dict[str, typing.Any]: ...

class ControlLoop:
    """
    Threads around a Controller; use `vla_rt.ControlLoop`.
    """
    def __init__(self, robot: typing.Any, policy: typing.Any, config: ControlConfig) -> None: ...
    def request_stop(self) -> None:
        """
        End the run in progress early, with the certified stop.
        """
    def run(self, duration_s: typing.SupportsFloat | typing.SupportsIndex) -> RunReport:
        """
        Run for `duration_s` [s] and the certified stop.
        """
    def stop_inference(self) -> None:
        """
        End the inference of the run in progress.
        """

class InlinePolicy:
    """
    A small native policy that runs inside the control tick, a few pieces at a time.

    What a ControlLoop with `inline_budget_s` runs after every command, for tests, replays and callbacks of one's own:
    `controller.tick(...)`, then `advance(...)`, in one thread. Before each piece of a chunk (an encode, one evaluation of
    the network, the hand-over) the longest time it took at set-up is held against what is left of the budget.

    Args:
        policy: A package from `load_policy`, opened with the native backend; it is in use as long as this lives.
        controller: What the chunks are handed to.
        budget_s: Longest time that the policy may take of one tick [s], in (0, 1].
        rate_hz: Chunks per second; 0 is as late as possible.
        seed: Chunk i has the noise of (seed, i).

    Raises:
        ConfigError: The policy cannot run piece by piece, does not fit the controller, or has a piece that takes longer
            than the budget; both figures are named.
    """
    def __init__(
        self,
        policy: Policy,
        controller: Controller,
        budget_s: typing.SupportsFloat | typing.SupportsIndex,
        rate_hz: typing.SupportsFloat | typing.SupportsIndex = 0.0,
        seed: typing.Any = 0,
    ) -> None: ...
    def advance(
        self,
        time_s: typing.SupportsFloat | typing.SupportsIndex,
        position: numpy.typing.ArrayLike,
        state_time_s: typing.SupportsFloat | typing.SupportsIndex | None = None,
    ) -> bool:
        """
        The share of one tick.

        Args:
            time_s: Now [s], on the controller's clock.
            position: Measured (N,) [rad] or [m].
            state_time_s: When that was measured; None is now.

        Returns:
            bool: True when a chunk was handed over.
        """
    def post(self, observation: dict[str, typing.Any]) -> None:
        """
        The newest value of every feature but the measured positions, by name.

        Raises:
            ConfigError: One is missing or has another shape.
        """
    def reset(self) -> None:
        """
        Give up the chunk in the making, forget features and counts; the noise goes on with the next chunk.
        """
    def stats(self) -> dict[str, typing.Any]:
        """
        What came of it, as `RunReport.inference`; `in_tick` has budget, longest pieces and ticks.
        """

def Sphere(
    center: numpy.typing.ArrayLike,
    radius: typing.SupportsFloat | typing.SupportsIndex,
    link: typing.Any = None,
) -> Capsule:
    """
    A Capsule whose ends are one point, center (3,) [m]; radius [m]; link None: in the world.
    """

def action_space_dict(space: ActionSpace) -> dict[str, typing.Any]:
    """
    An action space as policy.json holds it.
    """

def backend_names() -> list[str]:
    """
    Names of the backends registered with this process, in alphabetical order.
    """

def benchmark_chunk_executor(
    executor: ChunkExecutor,
    chunks: numpy.typing.ArrayLike,
    ticks: typing.SupportsInt | typing.SupportsIndex,
    tick_s: typing.SupportsFloat | typing.SupportsIndex,
    counter: typing.SupportsInt | typing.SupportsIndex = 0,
) -> dict[str, typing.Any]:
    """
    Plays chunks (n, T, D) from time 0, one every `ticks` ticks of `tick_s`, in C++, and times every call.

    `counter` is the address of a C function that returns the allocations so far, or 0.

    Returns:
        dict of at_ns (n * ticks,), push_ns (n,), position (n * ticks, D) and allocations (None without a counter).
    """

def benchmark_control_tick(
    config: ControlConfig,
    rows: numpy.typing.ArrayLike,
    horizon: typing.SupportsInt | typing.SupportsIndex = 16,
    every: typing.SupportsInt | typing.SupportsIndex = 8,
    allocation_counter: typing.SupportsInt | typing.SupportsIndex = 0,
) -> dict[str, typing.Any]:
    """
    Measure Controller.tick in C++ along a given motion.

    Args:
        config: `ControlConfig.to_core()` with limits and chunk period.
        rows: (R, N) the motion at the chunk period [rad]; the first row is the start.
        horizon: T, rows of a chunk.
        every: Rows between two chunks.
        allocation_counter: Address of a C function `long f()` that counts this thread's allocations; 0: not counted.

    Returns:
        dict[str, typing.Any]: duration_ns (ticks,), position (ticks, N) as commanded, allocations (int or None) inside the ticks.

    Raises:
        ConfigError: A wrong shape or number.
    """

def benchmark_enforcer_tick(
    enforcer: ConstraintEnforcer,
    targets: numpy.typing.ArrayLike,
    allocation_counter: typing.SupportsInt | typing.SupportsIndex = 0,
) -> dict[str, typing.Any]:
    """
    Measure ConstraintEnforcer.apply in C++, tick by tick.

    Args:
        enforcer: After its `reset`; it moves.
        targets: (n, N) [rad].
        allocation_counter: Address of a C function `long f()` that counts this thread's allocations; 0: not counted.

    Returns:
        dict[str, typing.Any]: duration_ns (n,), cpu_ns (n,) without preemption but with two readings of its clock, causes (n,) uint8
        mask over all joints, position (n, N) as commanded, allocations (int or None) inside the ticks.

    Raises:
        ConfigError: A wrong shape or number, or no reset before.
    """

def benchmark_sampler(
    folder: os.PathLike[str] | str | bytes,
    backend: str = "torchscript",
    n: typing.SupportsInt | typing.SupportsIndex = 1000,
    allocation_counter: typing.SupportsInt | typing.SupportsIndex = 0,
) -> dict[str, typing.Any]:
    """
    Measure what a sampler's loop adds to the calls of its network, in C++.

    In turn: `whole` is `encode` and the sampler over the network, `calls` the same calls of the network on the
    inputs that they had there, without the sampler, `loop` the sampler over the recorded answers. The
    observation is zeros, the noise always the same; stochastic samplers draw theirs inside.

    Args:
        folder: A package whose sampler makes chunks.
        backend: The one to run it with.
        n: Chunks of each kind.
        allocation_counter: Address of a C function `long f()` that counts this thread's allocations; 0: not counted.

    Returns:
        dict[str, typing.Any]: evaluations (of the network per chunk), and for each kind <kind>_ns (n,) and <kind>_allocations (int of
        all n, or None).

    Raises:
        ConfigError: n, or a package that draws tokens.
        FormatError: The package is not what it should be.
        ModelError: No such backend, or the network failed.
    """

def best_instruction_set() -> str:
    """
    The best that this processor and build have.
    """

def convert_rotations(
    rotations: numpy.typing.ArrayLike, source: str, target: str
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Rotations from one format to another, any leading dims; see `vla_rt.rotations`.
    """

def instruction_set() -> str:
    """
    Instructions that a native network opened now would use: portable, avx2, avx512 or avx512_bf16.
    Raises ConfigError for a bad VLA_RT_INSTRUCTION_SET.
    """

def machine_limits(
    bytes: typing.SupportsInt | typing.SupportsIndex,
    seconds: typing.SupportsFloat | typing.SupportsIndex = 0.2,
) -> dict[str, typing.Any]:
    """
    What one thread can do at most: {read_gb_s: reading `bytes` over and over, gflop_s: of float32 fused
    multiply-adds}, measured for `seconds`, the fastest of all rounds.
    """

def measure_wakeup(
    duration_s: typing.SupportsFloat | typing.SupportsIndex,
    period_s: typing.SupportsFloat | typing.SupportsIndex = 0.001,
    priority: typing.SupportsInt | typing.SupportsIndex = 80,
    cpu: typing.SupportsInt | typing.SupportsIndex | None = None,
    spin_s: typing.SupportsFloat | typing.SupportsIndex = 0.0002,
    mode: RealtimeMode = RealtimeMode.BestEffort,
    lock_memory: bool = True,
) -> dict[str, typing.Any]:
    """
    Measure how late the thread of the control loop wakes up here.

    The thread does nothing but wake up once per period: an absolute sleep until `spin_s` before the deadline, then a
    spin on the clock. The first 32 ticks (a tenth of all, if fewer) are not counted. The GIL is released meanwhile.

    Args:
        duration_s: How long [s]: two periods to a day.
        period_s: Period [s], 1e-5 to 10.
        priority: SCHED_FIFO priority, 1..99.
        cpu: CPU to stay on; None is anywhere.
        spin_s: Busy wait before each deadline [s]: 0 up to the period, of which at most half is spent.
        mode: Whether a refused privilege is an error.
        lock_memory: Lock the memory of this process, which stays locked afterwards.

    Returns:
        dict[str, typing.Any]: p50, p99, p999, max, mean [us]; count, missed (deadlines without a tick); grant: fifo, affinity,
        memory_locked, stack_prefaulted, cpu_awake, priority, cpu (None: not bound), refused (one sentence each).

    Raises:
        ConfigError: A parameter is outside its bounds.
        RealtimeError: `mode` is Enforce and a privilege was refused.
    """

def noise(
    seed: typing.Any, chunk: typing.Any, step: typing.Any, shape: typing.Any
) -> numpy.typing.NDArray[numpy.float32]:
    """
    Standard normal float32 array of `shape`: Philox4x32-10, key = seed, counter = (chunk, step, element
    block), Box-Muller in double. Step 0 is a chunk's initial noise, step k+1 what sampling step k adds.

    Raises ConfigError for negative numbers or a shape of more than 2^34 elements.
    """

def normalizer_dict(normalizer: Normalizer) -> dict[str, typing.Any]:
    """
    A normaliser as policy.json holds it.
    """

def parse_policy_spec(text: str) -> PolicySpec:
    """
    Reads the text of a policy.json. Raises FormatError naming the field as a JSON pointer.
    """

def prefix_weights(
    delay: typing.SupportsInt | typing.SupportsIndex,
    end: typing.SupportsInt | typing.SupportsIndex,
    horizon: typing.SupportsInt | typing.SupportsIndex,
    schedule: str = "linear",
) -> numpy.typing.NDArray[numpy.float64]:
    """
    How strongly each row of a new chunk is held to the previous one (real-time chunking).

    Args:
        delay: rows executed while the policy computes: weight 1.
        end: first row that is free again; clipped to the horizon. Between the two the weights fall.
        horizon: T, 1..256.
        schedule: "linear", "exp" (falls fast at first), "ones" (1 to the end) or "zeros" (0 after the delay).

    Returns:
        (T,) weights in [0, 1].

    Raises:
        ConfigError: a negative delay or end, or an unknown schedule.
    """

def read_policy_spec(folder: os.PathLike[str] | str | bytes) -> PolicySpec:
    """
    Reads and checks a package without opening its network. Raises FormatError.
    """

def steady_now_ns() -> int:
    """
    Nanoseconds of the steady clock (CLOCK_MONOTONIC).
    """

MAX_ACTION_DIM: int = 64
MAX_HORIZON: int = 256
TORCH_VERSION: str | None
__version__: str = "0.1.0"
