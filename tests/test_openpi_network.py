"""A policy over the network: openpi's client and server, and networks and servers that do their worst."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

import vla_rt as vr
from seven_joints import check_safe
from vla_rt.integrations import openpi

TYPED_ROWS, JOINTS = 8, 7
REPLY = {"actions": np.zeros((TYPED_ROWS, JOINTS)), "policy_timing": {"infer_ms": 3.5}}


@contextlib.contextmanager
def other_server(answer: Callable[[ServerConnection, bytes], None], metadata: Any = None) -> Iterator[int]:
    """A server of somebody else's that does `answer` with every request; yields its port."""

    def handle(connection: ServerConnection) -> None:
        connection.send(openpi.pack({}) if metadata is None else metadata)
        with contextlib.suppress(ConnectionClosed, OSError):
            while True:
                answer(connection, connection.recv())

    with serve(handle, "127.0.0.1", 0, compression=None, close_timeout=0.05) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(5)


def good(connection: ServerConnection, request: bytes) -> None:
    state = openpi.unpack(request)["observation.state"]
    connection.send(openpi.pack({"actions": np.tile(state, (TYPED_ROWS, 1))}))


def remote(port: int, **options: Any) -> openpi.RemotePolicy:
    return openpi.RemotePolicy("127.0.0.1", port, **{"timeout_s": 5.0, "backoff_s": 0.001, **options})


def observation(value: float = 0.25) -> dict[str, np.ndarray]:
    return {"observation.state": np.full(JOINTS, value, np.float32)}


def test_a_chunk_comes_over_the_network() -> None:
    seen: list[dict[Any, Any]] = []

    def answer(connection: ServerConnection, request: bytes) -> None:
        seen.append(openpi.unpack(request))
        connection.send(openpi.pack(REPLY))

    def prepare(values: dict[str, np.ndarray]) -> dict[str, Any]:
        return {"state": values["observation.state"]}

    with (
        other_server(answer, openpi.pack({"robot": "aloha"})) as port,
        remote(port, prepare=prepare, extra={"prompt": "fold"}) as policy,
    ):
        np.testing.assert_array_equal(policy.sample(observation()), REPLY["actions"])
        assert policy.metadata == {"robot": "aloha"}
        assert policy.statistics.server_ms == 3.5
        assert policy.statistics.replies == policy.statistics.connections == 1
        assert policy.period_s is None
    assert seen[0]["prompt"] == "fold"
    np.testing.assert_array_equal(seen[0]["state"], observation()["observation.state"])


def wrong(actions: Any) -> Callable[[ServerConnection, bytes], None]:
    return lambda connection, _: connection.send(openpi.pack({"actions": actions}))


def with_nan() -> np.ndarray:
    actions = np.zeros((TYPED_ROWS, JOINTS))
    actions[3, 2] = np.nan
    return actions


LIES: dict[str, tuple[Callable[[ServerConnection, bytes], None], str]] = {
    "one axis": (wrong(np.zeros(JOINTS)), "must answer numbers"),
    "other joints": (wrong(np.zeros((4, 6))), r"\(1..256, 7\)"),
    "no rows": (wrong(np.zeros((0, JOINTS))), r"\(1..256, 7\)"),
    "too many rows": (wrong(np.zeros((300, JOINTS))), r"\(1..256, 7\)"),
    "a list": (wrong([[0.0] * JOINTS]), "actions = list"),
    "texts": (wrong(np.array([["a"] * JOINTS])), "must answer numbers"),
    "NaN": (wrong(with_nan()), r"actions\[3\]\[2\] = nan: must be finite"),
    "no actions": (lambda c, _: c.send(openpi.pack({"state": 1})), "must answer numbers"),
    "garbage": (lambda c, _: c.send(b"\xc1\x00"), "no message of openpi"),
    "a traceback": (lambda c, _: c.send("Traceback\n line 1\nKeyError: 'x'"), "reports: KeyError: 'x'"),
    "closed": (lambda c, _: c.close(1011, "boom"), "broke"),
    "cut": (lambda c, _: c.socket.close(), "broke"),
    "a huge message": (lambda c, _: c.send(b"\0" * 200_000), "broke"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lying_server_is_a_failure_and_the_next_call_connects_anew(name: str) -> None:
    lie, text = LIES[name]
    calls = iter(range(10**9))

    def answer(connection: ServerConnection, request: bytes) -> None:
        (lie if next(calls) == 0 else good)(connection, request)

    with other_server(answer) as port, remote(port, action_dim=JOINTS, max_message_bytes=100_000) as policy:
        with pytest.raises(vr.ModelError, match=text):
            policy.sample(observation())
        time.sleep(0.002)
        np.testing.assert_allclose(policy.sample(observation(0.5)), 0.5)
        assert policy.statistics.connections == 2
        assert policy.statistics.failures == 1


def test_a_late_reply_is_never_taken_for_the_next_one() -> None:
    calls = iter(range(10**9))

    def answer(connection: ServerConnection, request: bytes) -> None:
        if next(calls) == 0:
            time.sleep(0.3)
        good(connection, request)

    with other_server(answer) as port, remote(port, timeout_s=0.1, action_dim=JOINTS) as policy:
        begin = time.monotonic()
        with pytest.raises(vr.ModelError, match=r"did not answer within 0\.1 s"):
            policy.sample(observation(1.0))
        assert time.monotonic() - begin < 5.0
        for value in (2.0, 3.0):
            for _ in range(200):
                with contextlib.suppress(vr.ModelError):
                    np.testing.assert_allclose(policy.sample(observation(value)), value)
                    break
                time.sleep(0.01)
            else:
                pytest.fail("never answered again")


def test_a_second_reply_to_one_request_is_noticed() -> None:
    def answer(connection: ServerConnection, request: bytes) -> None:
        good(connection, request)
        good(connection, request)

    with other_server(answer) as port, remote(port) as policy:
        np.testing.assert_allclose(policy.sample(observation(1.0)), 1.0)
        time.sleep(0.1)
        with pytest.raises(vr.ModelError, match="nobody had asked for"):
            policy.sample(observation(2.0))


@pytest.mark.parametrize("draws_noise", [False, True])
def test_a_second_reply_that_comes_too_late_to_be_noticed_is_not_taken(draws_noise: bool) -> None:
    """Told by the numbers that it repeats, or by the time it says that it took."""
    seen: list[np.ndarray] = []

    def reply(noise: float) -> bytes:
        rows = np.tile(seen[-1], (TYPED_ROWS, 1)) + noise
        timing = {"server_timing": {"infer_ms": 40.0}} if draws_noise else {}
        return openpi.pack({"actions": rows, **timing})

    def answer(connection: ServerConnection, request: bytes) -> None:
        if len(seen) == 1:  # another answer to the first request
            connection.send(reply(1e-4 * draws_noise))
        seen.append(openpi.unpack(request)["observation.state"])
        time.sleep(0.05)
        connection.send(reply(0.0))

    with other_server(answer) as port, remote(port) as policy:
        for value in (1.0, 2.0, 2.0, 3.0):
            np.testing.assert_allclose(policy.sample(observation(value)), value)
        assert policy.statistics.repeated == 1
        assert policy.statistics.connections == 2
        assert policy.statistics.failures == 0


def test_numbered_replies_cannot_be_stale() -> None:
    def answer(connection: ServerConnection, request: bytes) -> None:
        number = openpi.unpack(request)["vla_rt/request"]
        connection.send(openpi.pack({**REPLY, "vla_rt/request": number - (number == 2)}))

    metadata = openpi.pack({"vla_rt": {"numbers": True, "action_dim": JOINTS, "period_s": 0.1}})
    with other_server(answer, metadata) as port, remote(port) as policy:
        assert policy.period_s == 0.1
        policy.sample(observation())
        with pytest.raises(vr.ModelError, match="stale reply"):
            policy.sample(observation())
        time.sleep(0.002)
        policy.sample(observation())


def test_reconnecting_backs_off_and_never_blocks() -> None:
    with other_server(good) as port:
        policy = remote(port, backoff_s=0.2, max_backoff_s=10.0)
        policy.sample(observation())
    texts = []
    for _ in range(3):
        with pytest.raises(vr.ModelError) as failure:
            policy.sample(observation())
        texts.append(str(failure.value))
    assert "the next attempt is in" in texts[-1]
    waits = []
    for _ in range(3):
        policy._retry_at = 0.0
        with pytest.raises(vr.ModelError, match="no connection"):
            policy.sample(observation())
        waits.append(policy._wait_s)
    assert waits[1] == 2 * waits[0]
    assert waits[2] == 2 * waits[1]
    with pytest.raises(vr.ModelError, match="no connection"):
        remote(port, connect_timeout_s=0.2)


def test_bad_arguments_are_named() -> None:
    for name in ("timeout_s", "connect_timeout_s", "backoff_s", "max_message_bytes"):
        with pytest.raises(vr.ConfigError, match=name):
            openpi.RemotePolicy(**{name: 0})


class Faults:
    """Does something else with every request: often what it should, else a lie, silence or an echo."""

    def __init__(self, seed: int, silence_s: float) -> None:
        self.random, self.silence_s = random.Random(seed), silence_s
        self.seen = self.faults = 0

    def __call__(self, connection: ServerConnection, request: bytes) -> None:
        self.seen += 1
        choice = self.random.random()
        if choice < 0.5:
            return good(connection, request)
        self.faults += 1
        if choice < 0.9:
            return LIES[self.random.choice(list(LIES))][0](connection, request)
        if choice < 0.95:
            time.sleep(self.silence_s)
            return good(connection, request)
        good(connection, request)
        return good(connection, request)


def test_a_thousand_requests_with_injected_faults() -> None:
    faults = Faults(0, 0.02)
    with (
        other_server(faults) as port,
        remote(
            port, action_dim=JOINTS, timeout_s=0.5, max_backoff_s=0.002, max_message_bytes=100_000
        ) as policy,
    ):
        asked = 0
        while faults.seen < 1000 and asked < 4000:
            asked += 1
            try:
                chunk = policy.sample(observation(asked * 1e-3))
            except vr.ModelError:
                time.sleep(0.001)
            else:
                np.testing.assert_allclose(chunk, asked * 1e-3, rtol=1e-6)  # never that of another request
        assert faults.seen >= 1000
        assert faults.faults > 300
        assert policy.statistics.replies > 300
        assert policy.statistics.repeated > 0
        assert policy.statistics.failures == policy.statistics.requests - policy.statistics.replies


def test_an_arm_at_the_end_of_a_broken_network_keeps_its_limits() -> None:
    def answer(connection: ServerConnection, request: bytes) -> None:
        if faults.random.random() < 0.6:
            state = openpi.unpack(request)["observation.state"]
            rows = state + np.linspace(0.05, 0.4, TYPED_ROWS)[:, None]  # on from where it is
            return connection.send(openpi.pack({"actions": np.clip(rows, -0.5, 0.5)}))
        return faults(connection, request)

    faults = Faults(1, 0.1)
    one = np.ones(JOINTS)
    limits = vr.JointLimits(-one, one, 2 * one, 10 * one, 500 * one)
    robot = vr.robots.SimulatedRobot(limits, 0 * one)
    config = vr.ControlConfig(
        lock_memory=False, mode="async", chunk_period_s=0.05, inference_rate_hz=100.0, watchdog_s=None
    )
    with (
        other_server(answer) as port,
        remote(
            port, action_dim=JOINTS, timeout_s=0.05, max_backoff_s=0.01, max_message_bytes=100_000
        ) as policy,
    ):
        report = vr.ControlLoop(robot, policy, config).run(2.0)
    check_safe(report)
    assert report.limit_violations == 0
    assert report.fault is None
    assert report.inference["failures"] > 0
    assert report.inference["chunks"] > 0


def test_a_server_that_dies_ends_in_the_starvation_policy_without_a_jump() -> None:
    one = np.ones(JOINTS)
    limits = vr.JointLimits(-one, one, 2 * one, 10 * one, 500 * one)
    robot = vr.robots.SimulatedRobot(limits, 0 * one)
    config = vr.ControlConfig(
        lock_memory=False, mode="async", chunk_period_s=0.02, on_starvation="decelerate", watchdog_s=None
    )
    with contextlib.ExitStack() as stack:
        served = contextlib.ExitStack()
        port = served.enter_context(
            other_server(lambda c, r: wrong(np.outer(np.linspace(0, 0.3, 8), one))(c, r))
        )
        policy = stack.enter_context(remote(port, timeout_s=0.05))
        threading.Timer(0.5, served.close).start()
        report = vr.ControlLoop(robot, policy, config).run(1.5)
    check_safe(report)
    assert report.status_counts["starved"] > 0
    assert report.inference["failures"] > 0
    assert report.fault is None


# --- the server -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    from exportable import TinyPolicy

    return vr.export_policy(TinyPolicy(), tmp_path_factory.mktemp("serve") / "tiny", backends="native")


@pytest.fixture
def server(package: Path) -> Iterator[openpi.PolicyServer]:
    with openpi.PolicyServer(vr.load_policy(package), port=0, seed=5, max_message_bytes=100_000) as running:
        yield running


def tiny() -> dict[str, Any]:
    from exportable import OBSERVATION

    return {name: np.asarray(value) for name, value in OBSERVATION.items()}


def test_a_package_answers_as_it_does_here(server: openpi.PolicyServer, package: Path) -> None:
    alone = vr.load_policy(package)
    with remote(server.port) as policy:
        assert policy.period_s == alone.spec.period_s
        assert policy.execution_horizon == alone.spec.execution_horizon
        for i in range(2):
            np.testing.assert_array_equal(policy.sample(tiny()), alone.sample(tiny(), seed=5 + i))
        guidance = vr.rtc.Guidance(np.full((3, 2), 9.0), 1, 2)
        continued = policy.sample(tiny(), guidance=guidance)
        np.testing.assert_array_equal(continued, alone.sample(tiny(), seed=7, guidance=guidance))
        assert policy.statistics.server_ms is not None


def test_real_time_chunking_works_over_the_network(server: openpi.PolicyServer) -> None:
    one = np.ones(2)
    limits = vr.JointLimits(-20 * one, 20 * one, 200 * one, 1e4 * one, 1e7 * one)
    robot = vr.robots.SimulatedRobot(limits, 10 * one)
    for name, value in tiny().items():
        robot.post_feature(name, value)
    config = vr.ControlConfig(
        mode="rtc", execution_horizon=2, lock_memory=False, max_following_error=None, inference_rate_hz=20.0
    )
    with remote(server.port) as policy:
        continued: list[Any] = []
        plain = policy.sample

        def sample(observation: Any, guidance: Any = None) -> Any:
            continued.append(guidance)
            return plain(observation, guidance)

        report = vr.ControlLoop(robot, sample, config).run(0.6)
    check_safe(report)
    assert report.inference["failures"] == 0, report.inference["last_error"]
    assert continued[0] is None
    assert any(guidance is not None for guidance in continued)


def test_openpis_own_client_is_answered(server: openpi.PolicyServer) -> None:
    with connect(f"ws://127.0.0.1:{server.port}", compression=None, max_size=None) as client:
        metadata = openpi.unpack(client.recv())
        assert metadata["vla_rt"]["action_dim"] == 2
        replies = []
        for _ in range(2):
            client.send(openpi.pack({**tiny(), "prompt": "ignored"}))
            replies.append(openpi.unpack(client.recv()))
        assert replies[0]["actions"].shape == (4, 2)
        assert set(replies[0]["server_timing"]) == {"infer_ms"}
        assert set(replies[1]["server_timing"]) == {"infer_ms", "prev_total_ms"}
        assert client.ping().wait(5)
        client.send(openpi.pack({"observation.state": np.zeros(2)}))
        refusal = client.recv()
        assert isinstance(refusal, str)
        assert "\n" not in refusal
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()
        assert closed.value.rcvd.code == 1011


@pytest.mark.parametrize("request_", [b"\xc1", "text", b"\x80\x80", openpi.pack({"vla_rt/guidance": 3})])
def test_bad_requests_end_their_own_connection(server: openpi.PolicyServer, request_: Any) -> None:
    with (
        connect(f"ws://127.0.0.1:{server.port}") as other,
        connect(f"ws://127.0.0.1:{server.port}") as client,
    ):
        client.recv(), other.recv()
        client.send(request_)
        assert isinstance(client.recv(), str)
        other.send(openpi.pack(tiny()))
        assert isinstance(other.recv(), bytes)


def test_health_length_and_raw_bytes(server: openpi.PolicyServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"OK\n")
    with connect(f"ws://127.0.0.1:{server.port}") as client:
        client.recv()
        client.send(b"\0" * 200_000)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()
        assert closed.value.rcvd.code == 1009
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(struct.pack("<IQ", 7, 9) * 20)
    with remote(server.port) as policy:
        assert policy.sample(tiny()).shape == (4, 2)


def test_a_token_is_asked_for(package: Path) -> None:
    policy = vr.load_policy(package)
    with pytest.raises(vr.ConfigError, match="token"):
        openpi.PolicyServer(policy, "0.0.0.0", 0)
    with openpi.PolicyServer(policy, "0.0.0.0", 0, "secret") as server:
        for headers in ({}, {"Authorization": "Api-Key wrong"}, {"Authorization": "Bearer secret"}):
            with pytest.raises(InvalidStatus, match="401"):
                connect(f"ws://127.0.0.1:{server.port}", additional_headers=headers)
        with remote(server.port, api_key="secret") as client:
            assert client.sample(tiny()).shape == (4, 2)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(vr.ConfigError, match="port"):
        openpi.PolicyServer(policy, port=taken.getsockname()[1])


def test_the_command_serves(package: Path) -> None:
    words = [sys.executable, "-m", "vla_rt.cli.main", "serve", str(package), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.split(",")[0].rsplit(":", 1)[1])
        with remote(port) as policy:
            assert policy.sample(tiny()).shape == (4, 2)
        process.terminate()
        assert process.wait(20) == 0
