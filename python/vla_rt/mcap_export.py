"""Flight recordings as MCAP files, which Foxglove opens: a topic each for joints, tick and chunks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vla_rt._core import FlightRecording, Status, steady_now_ns
from vla_rt._files import write_whole
from vla_rt.errors import ModelError, error

__all__ = ["write_mcap"]

_NUMBERS = {"type": "array", "items": {"type": "number"}}
_NAMES = {int(status): str(status).rsplit(".", 1)[-1].lower() for status in Status.__members__.values()}
#: Topic -> fields and the columns of a recording that they are.
_JOINTS = {
    "/measured": {"position": "measured_position", "velocity": "measured_velocity"},
    "/target": {"position": "target", "velocity": "target_velocity"},
    "/command": {
        "position": "command_position",
        "velocity": "command_velocity",
        "acceleration": "command_acceleration",
    },
}
_TICK = {
    "status": {"type": "string"},
    "follows_plan": {"type": "boolean"},
    "chunk_sequence": {"type": "integer"},
    "wakeup_us": {"type": "number"},
    "compute_us": {"type": "number"},
}
_CHUNK = {
    "sequence": {"type": "integer"},
    "result": {"type": "string"},
    "start_time_s": {"type": "number"},
    "period_s": {"type": "number"},
    "inference_ms": {"type": "number"},
    "actions": {"type": "array", "items": _NUMBERS},
}


def write_mcap(recording: FlightRecording, path: Path) -> int:
    """Write a recording as MCAP, JSON messages with JSON schemas.

    Times are of the wall clock, as far as the steady clock of this machine's present boot can say.

    Args:
        recording: What to write.
        path: The file, replaced in one step or not at all.

    Returns:
        Messages written.

    Raises:
        ModelError: The package `mcap` is not installed.
        ConfigError: The file cannot be written.
    """
    try:
        from mcap.writer import Writer
    except ImportError as cause:
        raise error(
            ModelError, "mcap", "", "writing MCAP needs it; run: pip install 'vla-rt[mcap]'"
        ) from cause
    count = 0

    def write(file: Path) -> None:
        nonlocal count
        with file.open("wb") as stream:
            writer: Any = Writer(stream)
            writer.start(profile="", library="vla_rt")
            channels = {topic: _channel(writer, topic, fields) for topic, fields in _schemas().items()}
            for at, topic, message in _messages(recording):
                data = json.dumps(message, allow_nan=False).encode()
                writer.add_message(channels[topic], log_time=at, data=data, publish_time=at)
                count += 1
            writer.finish()

    write_whole(path, write)
    return count


def _schemas() -> dict[str, dict[str, Any]]:
    joints = {topic: dict.fromkeys(fields, _NUMBERS) for topic, fields in _JOINTS.items()}
    return {**joints, "/tick": _TICK, "/chunk": _CHUNK}


def _channel(writer: Any, topic: str, fields: dict[str, Any]) -> int:
    text = json.dumps({"type": "object", "properties": fields}).encode()
    schema = writer.register_schema(name=f"vla_rt{topic.replace('/', '.')}", encoding="jsonschema", data=text)
    return int(writer.register_channel(schema_id=schema, topic=topic, message_encoding="json"))


def _messages(recording: FlightRecording) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """In order of time: (wall clock [ns], topic, message)."""
    offset = time.time_ns() - steady_now_ns()
    chunks = iter(sorted(recording.chunks(), key=lambda chunk: int(chunk["time_ns"])))
    chunk = next(chunks, None)
    ticks = recording.ticks()
    for row, now in enumerate(ticks["time_ns"].tolist()):
        while chunk is not None and chunk["time_ns"] <= now:
            yield chunk["time_ns"] + offset, "/chunk", _chunk_message(chunk)
            chunk = next(chunks, None)
        at = now + offset
        for topic, fields in _JOINTS.items():
            yield at, topic, {name: _finite(ticks[column][row]) for name, column in fields.items()}
        yield (
            at,
            "/tick",
            {
                "status": _NAMES[int(ticks["status"][row])],
                "follows_plan": bool(ticks["follows_plan"][row]),
                "chunk_sequence": int(ticks["chunk_sequence"][row]),
                "wakeup_us": int(ticks["wakeup_ns"][row]) / 1e3,
                "compute_us": int(ticks["compute_ns"][row]) / 1e3,
            },
        )
    while chunk is not None:
        yield chunk["time_ns"] + offset, "/chunk", _chunk_message(chunk)
        chunk = next(chunks, None)


def _chunk_message(chunk: dict[str, Any]) -> dict[str, Any]:
    return {
        "sequence": chunk["sequence"],
        "result": chunk["result"],
        "start_time_s": chunk["start_time_ns"] / 1e9,
        "period_s": chunk["period_ns"] / 1e9,
        "inference_ms": chunk["inference_ns"] / 1e6,
        "actions": [_finite(row) for row in chunk["actions"]],
    }


def _finite(values: Any) -> list[float | None]:
    """Numbers as JSON holds them: null for NaN and infinity, which a broken sensor may have measured."""
    return [x if abs(x) <= 1.8e308 else None for x in values.tolist()]
