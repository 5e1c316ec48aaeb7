"""Runs as MCAP files, which Foxglove opens: of a flight recording, finished or still being written."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from vla_rt._core import FlightFollower
from vla_rt._files import write_whole
from vla_rt.errors import ConfigError, ModelError, VlaRtError, error
from vla_rt.foxglove_messages import FoxgloveMessages, LogView, schema_of

__all__ = ["LiveMcap", "LogView", "mcap_writer", "write_mcap"]

_POLL_S = 0.1
_CHUNK_BYTES = 256 * 1024  # what a crash may cost


def mcap_writer() -> Any:
    """The class that writes MCAP.

    Raises:
        ModelError: The package `mcap` is not installed.
    """
    try:
        from mcap.writer import Writer
    except ModuleNotFoundError as cause:
        if (cause.name or "").partition(".")[0] != "mcap":
            raise  # it is there; what it needs is not
        raise error(
            ModelError, "mcap", "", "writing MCAP needs it; run: pip install 'vla-rt[mcap]'"
        ) from cause
    return Writer


def write_mcap(recording: Path, out: Path, view: LogView | None = None) -> int:
    """Write a flight recording as MCAP: messages of Foxglove's schemas, as JSON.

    Args:
        recording: As `ControlConfig(record=...)` left it.
        out: The file, replaced in one step or not at all.
        view: What is shown; None is every tick.

    Returns:
        Messages written.

    Raises:
        ModelError: The package `mcap` is not installed.
        ConfigError: A file cannot be read or written, or the view does not fit the robot.
        FormatError: The recording is none.
    """
    mcap_writer()
    count = 0

    def write(file: Path) -> None:
        nonlocal count
        with file.open("wb") as stream:
            log = _Log(stream, recording, LogView() if view is None else view)
            while log.write(is_over=True):
                pass
            log.finish()
            count = log.count

    try:
        write_whole(out, write)
    except OSError as cause:
        raise error(ConfigError, "mcap", out, f"cannot be written: {cause.strerror}") from cause
    return count


class LiveMcap:
    """Writes a run as MCAP while it goes on, in a thread of its own that reads the growing flight recording.

    Control and inference threads know nothing of it. A context: what is left is written at its end.

    Args:
        recording: Where the run will record; what is there now is not its recording.
        out: The file.
        view: What is shown.

    Raises:
        ConfigError: The file cannot be written.
    """

    def __init__(self, recording: Path, out: Path, view: LogView) -> None:
        self._recording, self._view = recording, view
        self._before = _stamp(recording)
        self._over = threading.Event()
        self._log: _Log | None = None
        self._error: str | None = "the thread that writes it failed"  # until it has ended as it should
        try:
            self._stream = out.open("wb")
        except OSError as cause:
            raise error(ConfigError, "mcap", out, f"cannot be written: {cause.strerror}") from cause
        self._thread = threading.Thread(target=self._run, name="vla_rt-mcap", daemon=True)

    def __enter__(self) -> LiveMcap:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        try:
            self._stream.close()
        except OSError as cause:
            self._error = self._error or str(cause)

    @property
    def result(self) -> dict[str, Any]:
        """After the end: messages written, and error, a text where writing ended early, else None."""
        return {"messages": self._log.count if self._log is not None else 0, "error": self._error}

    def _run(self) -> None:
        try:
            self._write()
            self._error = None
        except (OSError, VlaRtError) as cause:  # the disk is full, say: the run goes on
            self._error = str(cause)

    def _write(self) -> None:
        while _stamp(self._recording) in (self._before, None):
            if self._over.wait(_POLL_S):
                break
        if _stamp(self._recording) in (self._before, None):
            return  # the run ended before it began
        self._log = _Log(self._stream, self._recording, self._view)
        while not self._over.wait(_POLL_S):
            while self._log.write(is_over=False):
                pass
        while self._log.write(is_over=True):
            pass
        self._log.finish()


class _Log:
    """An MCAP file that grows by what a follower reads."""

    def __init__(self, stream: Any, recording: Path, view: LogView) -> None:
        recording.open("rb").close()  # raises where there is none
        self._follower = FlightFollower(recording)
        self._view = view
        self._messages: FoxgloveMessages | None = None
        self._writer = mcap_writer()(stream, chunk_size=_CHUNK_BYTES)
        self._writer.start(profile="", library="vla_rt")
        self._channels: dict[str, int] = {}
        self._newest = 0
        self.count = 0

    def write(self, is_over: bool) -> bool:
        """Writes what is new; False when there is nothing more at present."""
        part = self._follower.read(is_over)
        if part is None:
            if is_over:
                raise error(ConfigError, "recording", "", "holds no set-up: it is cut at its beginning")
            return False
        if self._messages is None:
            self._messages = FoxgloveMessages(self._follower, self._view)
        for at, topic, message in self._messages.of(part):
            self._newest = max(self._newest, at)  # a picture may be older than the tick that came before it
            data = json.dumps(message, allow_nan=False).encode()
            channel = self._channels.get(topic)
            if channel is None:
                channel = self._channels[topic] = self._channel(topic)
            self._writer.add_message(channel, log_time=self._newest, data=data, publish_time=at)
            self.count += 1
        return bool(part["has_more"])

    def finish(self) -> None:
        """Writes the index."""
        self._writer.finish()

    def _channel(self, topic: str) -> int:
        name, schema = schema_of(topic)
        number = self._writer.register_schema(
            name=name, encoding="jsonschema", data=json.dumps(schema).encode()
        )
        return int(self._writer.register_channel(schema_id=number, topic=topic, message_encoding="json"))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Changes when the file does; None as long as there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
