"""A stretch of a flight recording as messages that Foxglove shows: its well-known schemas, as JSON.

Schemas: https://docs.foxglove.dev/docs/sdk/schemas (foxglove.JointStates, SceneUpdate, FrameTransforms,
CompressedImage, Log); what has none there is `vla_rt.*`.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_rt import rotations
from vla_rt._core import FlightFollower, Kinematics, Status
from vla_rt.config_file import LIMIT_FIELDS
from vla_rt.errors import ConfigError, error, require

__all__ = ["FoxgloveMessages", "LogView", "schema_of", "schemas"]

#: (time of the wall clock [ns], topic, content)
Message = tuple[int, str, dict[str, Any]]

_STATUS = {int(status): str(status).rsplit(".", 1)[-1].lower() for status in Status.__members__.values()}
_INFO, _WARNING, _ERROR = 2, 3, 4  # foxglove.Log
_LINE_STRIP = 0
_LIMITS_EVERY_NS = 1_000_000_000
_CHUNKS_SHOWN = 8
_FRAMES = ("base", "tool")
_JOINTS = {
    "/joints/measured": {"position": "measured_position", "velocity": "measured_velocity"},
    "/joints/wished": {"position": "target", "velocity": "target_velocity"},
    "/joints/command": {
        "position": "command_position",
        "velocity": "command_velocity",
        "acceleration": "command_acceleration",
    },
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT, _NUMBER, _WHOLE, _FLAG = ({"type": name} for name in ("string", "number", "integer", "boolean"))
_TIME = {**_object(sec=_WHOLE, nsec=_WHOLE), "title": "time"}
_DURATION = {**_object(sec=_WHOLE, nsec=_WHOLE), "title": "duration"}
_NUMBERS = _list(_NUMBER)
_VECTOR = _object(x=_NUMBER, y=_NUMBER, z=_NUMBER)
_QUATERNION = _object(x=_NUMBER, y=_NUMBER, z=_NUMBER, w=_NUMBER)
_COLOR = _object(r=_NUMBER, g=_NUMBER, b=_NUMBER, a=_NUMBER)
_LINE = _object(
    type=_WHOLE,
    pose=_object(position=_VECTOR, orientation=_QUATERNION),
    thickness=_NUMBER,
    scale_invariant=_FLAG,
    points=_list(_VECTOR),
    color=_COLOR,
    colors=_list(_COLOR),
    indices=_list(_WHOLE),
)
_NO_PRIMITIVES = ("arrows", "cubes", "spheres", "cylinders", "triangles", "texts", "models")
_ENTITY = _object(
    timestamp=_TIME,
    frame_id=_TEXT,
    id=_TEXT,
    lifetime=_DURATION,
    frame_locked=_FLAG,
    metadata=_list(_object(key=_TEXT, value=_TEXT)),
    lines=_list(_LINE),
    **dict.fromkeys(_NO_PRIMITIVES, _list(_object())),
)
_TRANSFORM = _object(
    timestamp=_TIME,
    parent_frame_id=_TEXT,
    child_frame_id=_TEXT,
    translation=_VECTOR,
    rotation=_QUATERNION,
)
_JOINT = _object(name=_TEXT, position=_NUMBER, velocity=_NUMBER, acceleration=_NUMBER)
_SCHEMAS: dict[str, dict[str, Any]] = {
    "foxglove.JointStates": _object(timestamp=_TIME, joints=_list(_JOINT)),
    "foxglove.FrameTransforms": _object(transforms=_list(_TRANSFORM)),
    "foxglove.SceneUpdate": _object(
        deletions=_list(_object(timestamp=_TIME, type=_WHOLE, id=_TEXT)), entities=_list(_ENTITY)
    ),
    "foxglove.CompressedImage": _object(
        timestamp=_TIME, frame_id=_TEXT, data={**_TEXT, "contentEncoding": "base64"}, format=_TEXT
    ),
    "foxglove.Log": _object(
        timestamp=_TIME, level=_WHOLE, message=_TEXT, name=_TEXT, file=_TEXT, line=_WHOLE
    ),
    "vla_rt.Limits": _object(names=_list(_TEXT), **dict.fromkeys(LIMIT_FIELDS, _NUMBERS)),
    "vla_rt.Tick": _object(
        tick=_WHOLE,
        status=_TEXT,
        follows_plan=_FLAG,
        chunk_sequence=_WHOLE,
        wakeup_us=_NUMBER,
        compute_us=_NUMBER,
        position_share=_NUMBERS,
        velocity_share=_NUMBERS,
        acceleration_share=_NUMBERS,
    ),
    "vla_rt.Chunk": _object(
        sequence=_WHOLE,
        result=_TEXT,
        inference_ms=_NUMBER,
        delay_ms=_NUMBER,
        time_s=_NUMBERS,
        actions=_list(_NUMBERS),
    ),
    "vla_rt.Seam": _object(sequence=_WHOLE, position=_NUMBERS, velocity=_NUMBERS, acceleration=_NUMBERS),
}
_TOPICS = {
    **dict.fromkeys(_JOINTS, "foxglove.JointStates"),
    "/limits": "vla_rt.Limits",
    "/tick": "vla_rt.Tick",
    "/status": "foxglove.Log",
    "/chunk": "vla_rt.Chunk",
    "/chunk/path": "foxglove.SceneUpdate",
    "/seam": "vla_rt.Seam",
    "/violations": "foxglove.Log",
    "/tf": "foxglove.FrameTransforms",
}
_CAMERA = "/camera/"


def schema_of(topic: str) -> tuple[str, dict[str, Any]]:
    """Name and JSON Schema of a topic's messages."""
    name = "foxglove.CompressedImage" if topic.startswith(_CAMERA) else _TOPICS[topic]
    return name, _SCHEMAS[name]


def schemas() -> dict[str, dict[str, Any]]:
    """All of them by name."""
    return dict(_SCHEMAS)


@dataclass(frozen=True)
class LogView:
    """What of a run is shown.

    Attributes:
        rate_hz: Of joints, ticks and transforms; latencies are the largest in between. None is every tick.
        joint_names: None is those of `kinematics` where they are as many, else joint 1, joint 2, ...
        kinematics: Shows tool and chunks in space; None does not.
        chain_joints: Which of the joints those of `kinematics` are; None is the first ones.
    """

    rate_hz: float | None = None
    joint_names: tuple[str, ...] | None = None
    kinematics: Kinematics | None = None
    chain_joints: tuple[int, ...] | None = None

    def names(self, joints: int) -> tuple[str, ...]:
        """Of so many joints; raises ConfigError where names or chain do not fit them."""
        given = self.joint_names
        require(
            given is None or len(given) == joints, "joint_names", len(given or ()), f"must be {joints} names"
        )
        if self.kinematics is not None and given is None and self.kinematics.num_joints == joints:
            given = tuple(self.kinematics.joint_names)
        return given if given is not None else tuple(f"joint {j + 1}" for j in range(joints))

    def chain(self, joints: int) -> list[int]:
        """The joints of `kinematics`, which is given, among so many."""
        assert self.kinematics is not None
        needed = self.kinematics.num_joints
        chosen = list(range(needed)) if self.chain_joints is None else list(self.chain_joints)
        fits = len(chosen) == needed and all(0 <= j < joints for j in chosen)
        if not fits:
            bound = f"must be {needed} joints of the {joints} recorded ones"
            raise error(ConfigError, "chain_joints", chosen, bound)
        return chosen


class FoxgloveMessages:
    """Makes messages of what a `FlightFollower` reads, part by part.

    Args:
        follower: Whose set-up has been read.
        view: What is shown.
    """

    def __init__(self, follower: FlightFollower, view: LogView) -> None:
        self._offset = follower.wall_offset_ns
        self._limits = {name: np.asarray(getattr(follower.limits, name)) for name in LIMIT_FIELDS}
        self._names = view.names(follower.num_joints)
        self._kinematics = view.kinematics
        self._chain = view.chain(follower.num_joints) if view.kinematics is not None else []
        self._in_joints = not follower.has_tool_actions
        low, high = self._limits["min_position"], self._limits["max_position"]
        self._middle, self._half = (low + high) / 2, np.maximum((high - low) / 2, 1e-12)
        if view.rate_hz is not None:
            require(view.rate_hz > 0, "rate_hz", view.rate_hz, "must be > 0")
        period_ns = follower.period_s * 1e9
        self._every_ns = 0.0 if view.rate_hz is None else 1e9 / view.rate_hz - period_ns / 2
        self._next_ns, self._next_limits_ns = -(2**63), -(2**63)
        self._first_ns: int | None = None
        self._worst = (0, 0)
        self._status = -1

    def of(self, part: dict[str, Any]) -> list[Message]:
        """The messages of a part in order of time."""
        ticks = part["ticks"]
        if self._first_ns is None and len(ticks["time_ns"]):
            self._first_ns = int(ticks["time_ns"][0])
        made = [*self._of_ticks(ticks)]
        for chunk in part["chunks"]:
            made += self._of_chunk(chunk)
        made += [self._of_seam(seam) for seam in part["seams"]]
        made += [self._of_violation(violation) for violation in part["violations"]]
        made += [self._of_picture(picture) for picture in part["pictures"]]
        made.sort(key=lambda message: message[0])
        return made

    def _of_ticks(self, ticks: dict[str, NDArray[Any]]) -> Iterator[Message]:
        shares = {
            "position_share": (ticks["command_position"] - self._middle) / self._half,
            "velocity_share": ticks["command_velocity"] / self._limits["max_velocity"],
            "acceleration_share": ticks["command_acceleration"] / self._limits["max_acceleration"],
        }
        for row, now in enumerate(ticks["time_ns"].tolist()):
            at, status = now + self._offset, int(ticks["status"][row])
            if status != self._status:
                self._status = status
                level = _INFO if status == 0 else _ERROR if _STATUS[status] == "fault" else _WARNING
                yield at, "/status", _log(at, level, _STATUS[status], "controller")
            latency = (int(ticks["wakeup_ns"][row]), int(ticks["compute_ns"][row]))
            self._worst = (max(self._worst[0], latency[0]), max(self._worst[1], latency[1]))
            if now < self._next_ns:
                continue
            self._next_ns = now + self._every_ns
            if now >= self._next_limits_ns:
                self._next_limits_ns = now + _LIMITS_EVERY_NS
                limits = {name: values.tolist() for name, values in self._limits.items()}
                yield at, "/limits", {"names": list(self._names), **limits}
            for topic, columns in _JOINTS.items():
                values = {name: ticks[column][row].tolist() for name, column in columns.items()}
                yield at, topic, {"timestamp": _time(at), "joints": self._joints(values)}
            yield (
                at,
                "/tick",
                {
                    "tick": int(ticks["tick"][row]),
                    "status": _STATUS[status],
                    "follows_plan": bool(ticks["follows_plan"][row]),
                    "chunk_sequence": int(ticks["chunk_sequence"][row]),
                    "wakeup_us": self._worst[0] / 1e3,
                    "compute_us": self._worst[1] / 1e3,
                    **{name: values[row].tolist() for name, values in shares.items()},
                },
            )
            self._worst = (0, 0)
            measured = ticks["measured_position"][row]
            if self._kinematics is not None and np.isfinite(measured).all():
                yield at, "/tf", {"transforms": [self._transform(at, measured)]}

    def _joints(self, values: dict[str, list[float]]) -> list[dict[str, Any]]:
        """Of each joint what is a number: a broken sensor may have measured none."""
        joints: list[dict[str, Any]] = [{"name": name} for name in self._names]
        for quantity, row in values.items():
            for joint, value in zip(joints, row, strict=True):
                if abs(value) <= 1.8e308:
                    joint[quantity] = value
        return joints

    def _transform(self, at: int, positions: NDArray[np.float64]) -> dict[str, Any]:
        assert self._kinematics is not None
        pose = np.asarray(self._kinematics.forward(positions[self._chain]))
        quaternion = rotations.matrix_to_quaternion(pose[:3, :3])
        return {
            "timestamp": _time(at),
            "parent_frame_id": _FRAMES[0],
            "child_frame_id": _FRAMES[1],
            "translation": _xyz(pose[:3, 3]),
            "rotation": dict(zip("xyzw", np.asarray(quaternion).tolist(), strict=True)),
        }

    def _of_chunk(self, chunk: dict[str, Any]) -> list[Message]:
        at = int(chunk["time_ns"]) + self._offset
        actions = chunk["actions"]
        first_ns = self._first_ns if self._first_ns is not None else int(chunk["start_time_ns"])
        begins = (chunk["start_time_ns"] - first_ns) / 1e9
        made: list[Message] = [
            (
                at,
                "/chunk",
                {
                    "sequence": chunk["sequence"],
                    "result": chunk["result"],
                    "inference_ms": chunk["inference_ns"] / 1e6,
                    "delay_ms": (chunk["time_ns"] - chunk["start_time_ns"]) / 1e6,
                    "time_s": (begins + np.arange(len(actions)) * chunk["period_ns"] / 1e9).tolist(),
                    "actions": actions.tolist(),
                },
            )
        ]
        if self._kinematics is not None and self._in_joints:
            made.append((at, "/chunk/path", {"deletions": [], "entities": [self._fan(at, chunk)]}))
        return made

    def _fan(self, at: int, chunk: dict[str, Any]) -> dict[str, Any]:
        """Where the chunk would lead the tool; the newest few stand side by side."""
        assert self._kinematics is not None
        rows = chunk["actions"][:, self._chain]
        points = [_xyz(np.asarray(self._kinematics.forward(row))[:3, 3]) for row in rows]
        fade = np.linspace(1.0, 0.25, len(points)).tolist()
        accepted = chunk["result"] == "accepted"
        color = {"r": 0.04, "g": 0.41, "b": 0.85} if accepted else {"r": 0.81, "g": 0.13, "b": 0.18}
        line = {
            "type": _LINE_STRIP,
            "pose": {"position": _xyz(np.zeros(3)), "orientation": {"x": 0, "y": 0, "z": 0, "w": 1}},
            "thickness": 2.0,
            "scale_invariant": True,
            "points": points,
            "color": {**color, "a": 1.0},
            "colors": [{**color, "a": a} for a in fade],
            "indices": [],
        }
        return {
            "timestamp": _time(at),
            "frame_id": _FRAMES[0],
            "id": f"chunk {chunk['sequence'] % _CHUNKS_SHOWN}",
            "lifetime": _time(2_000_000_000),
            "frame_locked": False,
            "metadata": [{"key": "sequence", "value": str(chunk["sequence"])}],
            "lines": [line],
            **{name: [] for name in _NO_PRIMITIVES},
        }

    def _of_seam(self, seam: dict[str, Any]) -> Message:
        jumps = {name: seam[name].tolist() for name in ("position", "velocity", "acceleration")}
        return int(seam["time_ns"]) + self._offset, "/seam", {"sequence": seam["sequence"], **jumps}

    def _of_violation(self, violation: dict[str, Any]) -> Message:
        at = int(violation["time_ns"]) + self._offset
        name = self._names[violation["joint"]]
        text = f"{violation['cause']}: wanted {violation['wanted']:.6g}, given {violation['given']:.6g}"
        return at, "/violations", _log(at, _WARNING, text, name)

    def _of_picture(self, picture: dict[str, Any]) -> Message:
        at = int(picture["time_ns"]) + self._offset
        topic = _CAMERA + picture["name"].removeprefix("observation.").replace("images.", "")
        data = base64.b64encode(png(picture["pixels"])).decode()
        return at, topic, {"timestamp": _time(at), "frame_id": "camera", "data": data, "format": "png"}


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (H, W, 3) as a PNG file (ISO/IEC 15948): one filter, up, for all rows."""
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, 3 * width)
    differences = np.diff(rows, axis=0, prepend=np.zeros((1, 3 * width), np.uint8))
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), differences], axis=1)

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), 1)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head) + block(b"IDAT", body) + block(b"IEND", b"")


def _log(at: int, level: int, message: str, name: str) -> dict[str, Any]:
    return {
        "timestamp": _time(at),
        "level": level,
        "message": message,
        "name": name,
        "file": "",
        "line": 0,
    }


def _time(nanoseconds: int) -> dict[str, int]:
    return {"sec": nanoseconds // 1_000_000_000, "nsec": nanoseconds % 1_000_000_000}


def _xyz(point: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip("xyz", point.tolist(), strict=True))
