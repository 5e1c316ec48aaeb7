"""A policy that thinks on another machine, behind openpi's WebSocket protocol.

openpi's protocol numbers no request, so that a reply can be told from a late one by its connection alone:
whatever goes wrong, and a reply that is not there in time, ends the connection; the next call opens a new
one. A server that answers a request twice puts its second answer in place of the next one. What such an
answer cannot help is that it repeats the one before, or was computed for longer than the request is old:
then the request is sent once more on a new connection, whose first reply can be of no other request. Servers
of vla_rt number their replies, which makes all of this needless.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt import MAX_ACTION_DIM, MAX_HORIZON
from vla_rt._extras import require_extra
from vla_rt.errors import ConfigError, FormatError, ModelError, error, require
from vla_rt.integrations.openpi.packing import pack
from vla_rt.integrations.openpi.unpacking import unpack

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from vla_rt.rtc import Guidance

__all__ = ["RemotePolicy", "RemoteStatistics"]

_CLOSE_S = 0.05


@dataclass(frozen=True)
class RemoteStatistics:
    """What a `RemotePolicy` has been through.

    Attributes:
        requests: Calls of `sample`.
        replies: Chunks that were answered and taken.
        failures: Calls that raised.
        connections: Times that it got a connection.
        repeated: Requests that were sent once more because their reply may have been of an older one.
        last_ms: Time of the newest chunk from call to answer [ms].
        server_ms: What the server says its policy took for it [ms], or None.
    """

    requests: int = 0
    replies: int = 0
    failures: int = 0
    connections: int = 0
    repeated: int = 0
    last_ms: float | None = None
    server_ms: float | None = None


class RemotePolicy:
    """A policy for a `ControlLoop`, asked over the network.

    A call never blocks longer than `timeout_s`. What a broken network or a lying server does raises a
    ModelError: the loop counts it, finishes the plan it has and then starves as its configuration says.
    Reconnecting waits from `backoff_s` up to `max_backoff_s`, doubling; a call in that time fails at once.

    Args:
        host: Name, address, or "ws://..." or "wss://..." with everything.
        port: Of the server.
        api_key: Sent as "Authorization: Api-Key ...".
        timeout_s: Longest time from a call to its answer [s].
        connect_timeout_s: Longest wait for the server here, in the constructor [s].
        action_dim: D of the chunks; None takes the server's word, else the first chunk's.
        period_s: Time between two rows [s]; None takes the server's word, where it gives it.
        prepare: What makes the server's request of an observation; by default the same names and values.
        extra: Sent with every request, such as {"prompt": "pick up the cube"}.
        backoff_s: First wait before reconnecting [s].
        max_backoff_s: Longest [s].
        max_message_bytes: A longer message ends the connection.

    Attributes:
        metadata: What the server said about itself.

    Raises:
        ConfigError: An argument is out of its bounds.
        ModelError: No connection within `connect_timeout_s`.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int | None = 8000,
        api_key: str | None = None,
        *,
        timeout_s: float = 1.0,
        connect_timeout_s: float = 5.0,
        action_dim: int | None = None,
        period_s: float | None = None,
        prepare: Callable[[dict[str, NDArray[Any]]], Mapping[str, Any]] | None = None,
        extra: Mapping[str, Any] | None = None,
        backoff_s: float = 0.05,
        max_backoff_s: float = 2.0,
        max_message_bytes: int = 64 << 20,
    ) -> None:
        require_extra("websockets", "RemotePolicy", "openpi")
        require(0.0 < timeout_s <= 600.0, "timeout_s", timeout_s, "must be in (0, 600] s")
        require(
            0.0 < connect_timeout_s <= 3600.0,
            "connect_timeout_s",
            connect_timeout_s,
            "must be in (0, 3600] s",
        )
        require(0.0 < backoff_s <= max_backoff_s, "backoff_s", backoff_s, "must be in (0, max_backoff_s]")
        require(max_message_bytes > 0, "max_message_bytes", max_message_bytes, "must be > 0")
        self._url = host if "://" in host else f"ws://{host}" + (f":{port}" if port is not None else "")
        self._headers = {"Authorization": f"Api-Key {api_key}"} if api_key else {}
        self._timeout_s, self._max_bytes = timeout_s, max_message_bytes
        self._prepare, self._extra = prepare, dict(extra or {})
        self._backoff_s, self._max_backoff_s, self._wait_s = backoff_s, max_backoff_s, 0.0
        self._retry_at = 0.0
        self._connection: ClientConnection | None = None
        self._opened = contextlib.ExitStack()
        self._statistics = RemoteStatistics()
        self._before: tuple[bytes, NDArray[np.float64]] | None = None  # newest answer on this connection
        self.metadata: dict[str, Any] = {}
        self._open_before(time.monotonic() + connect_timeout_s)
        said = self.metadata.get("vla_rt")
        known = said if isinstance(said, dict) else {}
        self._action_dim = action_dim if action_dim is not None else known.get("action_dim")
        if self._action_dim is not None:
            fits = type(self._action_dim) is int and 1 <= self._action_dim <= MAX_ACTION_DIM
            require(fits, "action_dim", self._action_dim, f"must be in 1..{MAX_ACTION_DIM}")
        self._period_s = period_s if period_s is not None else known.get("period_s")
        self._execution_horizon = known.get("execution_horizon")
        steps = known.get("n_obs_steps")
        self._n_obs_steps = steps if type(steps) is int and steps > 0 else 1
        self._continues = known.get("guidance") is True
        self._numbers = known.get("numbers") is True

    @property
    def period_s(self) -> float | None:
        """Time between two rows [s], where it is known."""
        return self._period_s

    @property
    def n_obs_steps(self) -> int:
        """Observations that the policy looks at, one per row; 1 where the server does not say it."""
        return self._n_obs_steps

    @property
    def execution_horizon(self) -> int | None:
        """Rows to execute before the next chunk is due, where the server says it."""
        return self._execution_horizon

    @property
    def statistics(self) -> RemoteStatistics:
        """What happened so far."""
        return self._statistics

    def sample(
        self, observation: Mapping[str, NDArray[Any]], guidance: Guidance | None = None
    ) -> NDArray[np.float64]:
        """Asks for the chunk of an observation.

        Args:
            observation: Raw features by name.
            guidance: The chunk to continue; only a server of vla_rt can.

        Returns:
            Raw actions (T, D).

        Raises:
            ModelError: No connection, no reply in time, an error that the server reports, or a reply that is
                no chunk: no binary message, no `actions` of two axes with the D of the ones before, too many
                rows, or a number that is not finite.
            ConfigError: The observation cannot travel, or the server cannot continue chunks.
        """
        begin = time.monotonic()
        self._count(requests=1)
        try:
            if guidance is not None and not self._continues:
                raise error(
                    ConfigError,
                    "guidance",
                    "",
                    'cannot be sent to this server: choose another mode than "rtc"',
                )
            request = self._request(dict(observation), guidance)
            deadline = begin + self._timeout_s
            connection = self._ready(deadline)
            try:
                actions, is_certain = self._ask(connection, request, deadline)
                if not is_certain:
                    self._drop()
                    self._count(repeated=1)
                    self._open(deadline)
                    actions, _ = self._ask(self._ready(deadline), request, deadline)
            except BaseException:
                self._drop()
                raise
            self._before = request, actions
        except BaseException:
            self._count(failures=1)
            raise
        self._wait_s = 0.0
        self._count(replies=1, last_ms=1e3 * (time.monotonic() - begin))
        return actions

    def close(self) -> None:
        """Ends the connection; a later call opens a new one."""
        self._drop()
        self._retry_at = 0.0

    def __enter__(self) -> RemotePolicy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, observation: dict[str, NDArray[Any]], guidance: Guidance | None) -> bytes:
        message = dict(observation if self._prepare is None else self._prepare(observation)) | self._extra
        if self._numbers:
            message["vla_rt/request"] = self._statistics.requests
        if guidance is not None:
            message["vla_rt/guidance"] = {
                "previous": np.asarray(guidance.previous),
                "delay": guidance.delay,
                "execution_horizon": guidance.execution_horizon,
                "max_weight": guidance.max_weight,
                "schedule": guidance.schedule,
                "jacobian": guidance.jacobian,
            }
        return pack(message)

    def _ask(
        self, connection: ClientConnection, request: bytes, deadline: float
    ) -> tuple[NDArray[np.float64], bool]:
        """The actions that are answered, and whether they can be the answer to no older request."""
        from websockets.exceptions import WebSocketException

        try:
            with contextlib.suppress(TimeoutError):
                connection.recv(timeout=0)
                raise ModelError(f"{self._url} sent a message that nobody had asked for")
            sent = time.monotonic()
            connection.send(request)
            reply = connection.recv(timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError as cause:
            raise ModelError(f"{self._url} did not answer within {self._timeout_s:g} s") from cause
        except (WebSocketException, OSError) as cause:
            raise ModelError(f"the connection to {self._url} broke: {_reason(cause)}") from cause
        if isinstance(reply, str):
            lines = reply.strip().splitlines() or [""]
            raise ModelError(f"{self._url} reports: {lines[-1][:200]}")
        actions = self._actions(reply)
        if self._numbers or self._before is None or self._before[0] == request:
            return actions, True
        was_asked_s = time.monotonic() - sent
        took_ms = self._statistics.server_ms
        is_repeated = np.array_equal(actions, self._before[1])
        return actions, not is_repeated and (took_ms is None or 1e-3 * took_ms <= was_asked_s)

    def _actions(self, reply: bytes) -> NDArray[np.float64]:
        try:
            message = unpack(reply)
        except FormatError as cause:
            raise ModelError(f"{self._url} answered no message of openpi: {cause}") from cause
        if self._numbers and message.get("vla_rt/request") != self._statistics.requests:
            number = message.get("vla_rt/request")
            raise error(
                ModelError, "vla_rt/request", number, f"must be {self._statistics.requests}: a stale reply"
            )
        given = message.get("actions")
        if not isinstance(given, np.ndarray) or given.ndim != 2 or given.dtype.kind not in "fiu":
            shape = (
                f"shape {given.shape}, {given.dtype}"
                if isinstance(given, np.ndarray)
                else type(given).__name__
            )
            raise error(ModelError, "actions", shape, f"{self._url} must answer numbers (T, D)")
        rows, columns = given.shape
        if self._action_dim is None and 1 <= columns <= MAX_ACTION_DIM:
            self._action_dim = columns
        if not 1 <= rows <= MAX_HORIZON or columns != self._action_dim:
            bound = f"{self._url} must answer (1..{MAX_HORIZON}, {self._action_dim})"
            raise error(ModelError, "actions", f"shape {given.shape}", bound)
        actions = given.astype(np.float64)
        bad = np.argwhere(~np.isfinite(actions))
        if len(bad):
            row, column = bad[0]
            raise error(ModelError, f"actions[{row}][{column}]", actions[row, column], "must be finite")
        timing = message.get("policy_timing") or message.get("server_timing")
        took = timing.get("infer_ms") if isinstance(timing, dict) else None
        is_time = isinstance(took, int | float) and not isinstance(took, bool)
        self._statistics = replace(self._statistics, server_ms=float(took) if is_time else None)  # type: ignore[arg-type]
        return actions

    def _ready(self, deadline: float) -> ClientConnection:
        if self._connection is None:
            left = self._retry_at - time.monotonic()
            if left > 0:
                raise ModelError(f"no connection to {self._url}; the next attempt is in {left:.2g} s")
            self._open(deadline)
        assert self._connection is not None
        return self._connection

    def _open_before(self, deadline: float) -> None:
        while True:
            try:
                return self._open(deadline)
            except ModelError:
                if self._retry_at > deadline:
                    raise
                time.sleep(max(0.0, self._retry_at - time.monotonic()))

    def _open(self, deadline: float) -> None:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        left = max(1e-3, deadline - time.monotonic())
        opened = contextlib.ExitStack()
        try:
            connection: ClientConnection = opened.enter_context(
                connect(
                    self._url,
                    additional_headers=self._headers,
                    compression=None,
                    open_timeout=left,
                    close_timeout=_CLOSE_S,
                    max_size=self._max_bytes,
                    proxy=None,
                )
            )
            first = connection.recv(timeout=max(1e-3, deadline - time.monotonic()))
            if isinstance(first, str):
                raise FormatError(f"it reports: {first[:200]}")
            self.metadata = unpack(first)
        except (WebSocketException, OSError, TimeoutError, FormatError, ValueError) as cause:
            self._opened = opened
            self._drop()
            raise ModelError(f"no connection to {self._url}: {_reason(cause)}") from cause
        self._connection, self._opened = connection, opened
        self._count(connections=1)

    def _drop(self) -> None:
        """Ends the connection and sets when the next may be opened."""
        from websockets.exceptions import WebSocketException

        opened, self._connection, self._opened = self._opened, None, contextlib.ExitStack()
        self._before = None
        self._wait_s = min(self._max_backoff_s, 2.0 * self._wait_s) or self._backoff_s
        self._retry_at = time.monotonic() + self._wait_s
        with contextlib.suppress(WebSocketException, OSError):  # it is given up whatever it says
            opened.close()

    def _count(self, last_ms: float | None = None, **more: int) -> None:
        counts = {name: getattr(self._statistics, name) + n for name, n in more.items()}
        if last_ms is not None:
            counts["last_ms"] = last_ms
        self._statistics = replace(self._statistics, **counts)


def _reason(cause: BaseException) -> str:
    text = " ".join(str(cause).split())
    return text[:200] or type(cause).__name__
