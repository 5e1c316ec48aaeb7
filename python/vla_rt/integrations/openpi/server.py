"""A policy package behind openpi's WebSocket protocol: what openpi's own client can talk to.

It reads openpi's messages and nothing else (no pickle), answers `GET /healthz`, listens on the loopback
interface unless there is a token, and keeps answering pings while the policy thinks.
"""

from __future__ import annotations

import hmac
import ipaddress
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vla_rt._core import Policy
from vla_rt._extras import require_extra
from vla_rt.errors import ConfigError, FormatError, VlaRtError, error, require
from vla_rt.integrations.openpi.packing import pack
from vla_rt.integrations.openpi.unpacking import unpack
from vla_rt.rtc import Guidance

if TYPE_CHECKING:
    from websockets.http11 import Request, Response
    from websockets.sync.server import ServerConnection

__all__ = ["PolicyServer"]

_INTERNAL_ERROR = 1011
_GUIDANCE = {"previous", "delay", "execution_horizon", "max_weight", "schedule", "jacobian"}


class PolicyServer:
    """Serves a policy package.

    A connection gets the metadata first and then an answer per request: `actions` (T, D) raw, `policy_timing`
    and `server_timing`. A request that cannot be answered gets one line of text, and the connection is closed
    with 1011, as openpi does.

    Args:
        policy: From `load_policy`.
        host: Address to listen on.
        port: 0 takes a free one, see `port`.
        token: What clients must send as "Authorization: Api-Key ...". Needed when `host` is not of this
            machine alone.
        max_message_bytes: A longer request ends its connection.
        max_connections: Further ones are turned away.
        seed: Of the noise; request i gets that of seed + i.
        metadata: Sent with what the server says itself, under "vla_rt".

    Raises:
        ConfigError: An argument is out of its bounds, or the address cannot be had.
    """

    def __init__(
        self,
        policy: Policy,
        host: str = "127.0.0.1",
        port: int = 8000,
        token: str | None = None,
        *,
        max_message_bytes: int = 16 << 20,
        max_connections: int = 8,
        seed: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        require_extra("websockets", "PolicyServer", "openpi")
        require(0 <= port <= 65535, "port", port, "must be in 0..65535")
        require(max_message_bytes > 0, "max_message_bytes", max_message_bytes, "must be > 0")
        require(max_connections > 0, "max_connections", max_connections, "must be > 0")
        require(seed >= 0, "seed", seed, "must be >= 0")
        if token is None:
            require(_is_loopback(host), "token", "None", f"must be given to listen on {host}")
        else:
            require(bool(token) and token.isascii(), "token", "***", "must be ASCII and not empty")
        self._policy, self._token = policy, token
        self._seed, self._requests = seed, 0
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(max_connections)
        self._metadata = pack({**dict(metadata or {}), "vla_rt": _description(policy)})
        from websockets.sync.server import serve

        try:
            self._server = serve(
                self._serve,
                host,
                port,
                process_request=self._before,
                compression=None,
                max_size=max_message_bytes,
                close_timeout=1.0,
            )
        except OSError as cause:
            raise error(
                ConfigError, "port", port, f"{host} cannot be listened on ({cause.strerror})"
            ) from cause
        self._port = int(self._server.socket.getsockname()[1])
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def requests(self) -> int:
        """Requests answered or refused so far."""
        return self._requests

    def run(self) -> None:
        """Serves until `close` is called."""
        self._server.serve_forever()

    def start(self) -> PolicyServer:
        """Serves in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="vla_rt-serve", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stops listening; `run` returns."""
        self._server.shutdown()
        if self._thread is not None:
            self._thread.join(5.0)

    def __enter__(self) -> PolicyServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _before(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answers what is no WebSocket, and turns away who has no token."""
        if request.path == "/healthz":
            return connection.respond(HTTPStatus.OK, "OK\n")
        if self._token is not None:
            given = request.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, f"Api-Key {self._token}".encode()):
                return connection.respond(
                    HTTPStatus.UNAUTHORIZED, "a token is needed: Authorization: Api-Key ...\n"
                )
        return None

    def _serve(self, connection: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        if not self._places.acquire(blocking=False):
            connection.close(1013, "too many connections")
            return
        try:
            connection.send(self._metadata)
            before: float | None = None
            while True:
                request = connection.recv()
                begin = time.monotonic()
                try:
                    reply = self._answer(request, before)
                except VlaRtError as refusal:
                    connection.send(" ".join(str(refusal).split()))
                    connection.close(_INTERNAL_ERROR, "the request cannot be answered")
                    return
                connection.send(reply)
                before = 1e3 * (time.monotonic() - begin)
        except ConnectionClosed:
            pass
        finally:
            self._places.release()

    def _answer(self, request: str | bytes, before_ms: float | None) -> bytes:
        begin = time.monotonic()
        if isinstance(request, str):
            raise FormatError("the request: must be a binary message")
        message = unpack(request)
        guidance = _guidance(message.get("vla_rt/guidance"))
        number = message.get("vla_rt/request")
        names = {name for name, _, _ in self._policy.spec.observation}
        observation = {name: value for name, value in message.items() if name in names}
        with self._lock:
            seed = self._seed + self._requests
            self._requests += 1
        start = time.monotonic()
        actions: NDArray[np.float64] = self._policy.sample(observation, seed=seed, guidance=guidance)
        end = time.monotonic()
        timing = {"infer_ms": 1e3 * (end - begin)}
        if before_ms is not None:
            timing["prev_total_ms"] = before_ms
        reply: dict[str, Any] = {"actions": actions, "server_timing": timing}
        reply["policy_timing"] = {"infer_ms": 1e3 * (end - start)}
        return pack(reply if type(number) is not int else {**reply, "vla_rt/request": number})


def _description(policy: Policy) -> dict[str, Any]:
    spec = policy.spec
    return {
        "kind": spec.kind,
        "horizon": spec.horizon - spec.first_row,
        "action_dim": spec.action_dim,
        "execution_horizon": spec.execution_horizon,
        "period_s": spec.period_s,
        "n_obs_steps": spec.n_obs_steps,
        "observation": [[name, list(shape), dtype] for name, shape, dtype in spec.observation],
        "numbers": True,
        "guidance": spec.sampler["type"] not in ("direct", "consistency", "autoregressive"),
    }


def _guidance(given: Any) -> Guidance | None:
    if given is None:
        return None
    if not isinstance(given, dict) or set(given) != _GUIDANCE:
        raise error(FormatError, "vla_rt/guidance", "", f"must have {', '.join(sorted(_GUIDANCE))}")
    try:
        return Guidance(**given)
    except TypeError as cause:
        raise error(FormatError, "vla_rt/guidance", "", "must hold an array, numbers and words") from cause


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
