"""A node's ports as ROS 2 topics over DDS, without ROS (`pip install 'vla-rt[ros2]'`)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from vla_rt._extras import require_extra
from vla_rt.errors import ConfigError, error
from vla_rt.integrations.ros2.node_core import Rate
from vla_rt.integrations.ros2.node_ports import BridgeCounts, NodePorts, Topics
from vla_rt.integrations.ros2.policy_node import PolicyNode
from vla_rt.integrations.ros2.task_node import TaskNode

require_extra("cyclonedds", __name__, "ros2")

from cyclonedds.core import (  # noqa: E402
    DDSException,
    InstanceState,
    Policy,
    Qos,
    ReadCondition,
    SampleState,
    ViewState,
    WaitSet,
)
from cyclonedds.domain import DomainParticipant  # noqa: E402
from cyclonedds.pub import DataWriter  # noqa: E402
from cyclonedds.sub import DataReader  # noqa: E402
from cyclonedds.topic import Topic  # noqa: E402
from cyclonedds.util import duration  # noqa: E402

from vla_rt.integrations.ros2.dds_types import kind_of  # noqa: E402

__all__ = ["DdsBridge", "Topics"]

_BATCH, _MOST_BATCHES = 256, 64  # of messages in one step, however many come
_LISTEN_NS = 50_000_000
_ANYTHING = SampleState.Any | ViewState.Any | InstanceState.Any
#: QoS of ROS 2: sensor data may be lost, the rest may not. A reader that accepts loss matches every writer.
_SENSOR = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(5), Policy.Durability.Volatile)
_DEFAULT = Qos(
    Policy.Reliability.Reliable(duration(milliseconds=100)),
    Policy.History.KeepLast(4096),  # four seconds of joint states at 1 kHz
    Policy.Durability.Volatile,
)


class DdsBridge:
    """Feeds a node from topics and sends what it answers.

    Ages are measured from when a message arrives here: clocks of other machines are not trusted. A message
    that the node refuses is counted, and one that DDS does not take. Thread: the one that calls `step` or
    `run`; `run` takes messages in a thread of its own, as they arrive, while the policy thinks.

    Args:
        node: A `TaskNode` or a `PolicyNode`.
        topics: Their names.
        domain_id: ROS_DOMAIN_ID.
        clock: Time of arrival [ns].
        stamp: Time that messages are stamped with [ns], the system's as ROS 2 has it.

    Attributes:
        counts: What crossed the bridge.
    """

    def __init__(
        self,
        node: TaskNode | PolicyNode,
        topics: Topics | None = None,
        domain_id: int = 0,
        clock: Callable[[], int] = time.monotonic_ns,
        stamp: Callable[[], int] = time.time_ns,
    ) -> None:
        self._clock = clock
        self._ports = NodePorts(node, topics if topics is not None else Topics(), kind_of, clock, stamp)
        self._participant = DomainParticipant(domain_id)
        self._readers = [
            (
                DataReader(
                    self._participant,
                    self._topic(port.topic, port.kind),
                    qos=_SENSOR if port.is_sensor else _DEFAULT,
                ),
                port.take,
            )
            for port in self._ports.inputs
        ]
        self._waiting = WaitSet(self._participant)
        for reader, _ in self._readers:
            self._waiting.attach(ReadCondition(reader, _ANYTHING))
        self._writers = {
            name: DataWriter(self._participant, self._topic(port.topic, port.kind), qos=_DEFAULT)
            for name, port in self._ports.outputs.items()
        }

    @property
    def counts(self) -> BridgeCounts:
        """What crossed the bridge."""
        return self._ports.counts

    def step(self, now_ns: int) -> None:
        """Takes what arrived, asks the node, sends what it answers."""
        self.receive()
        self._ask(now_ns)

    def _ask(self, now_ns: int) -> None:
        self._ports.step(now_ns, lambda port, message: self._writers[port].write(message))

    def receive(self) -> None:
        """Takes what arrived, oldest first."""
        for reader, take in self._readers:
            for sample in self._taken(reader):
                take(sample)

    def run(self, rate_hz: float, keep_on: Callable[[], bool]) -> None:
        """Steps at a rate until `keep_on` is false."""
        ended = threading.Event()
        listener = threading.Thread(target=self._listen, args=(ended,), name="vla_rt-dds", daemon=True)
        listener.start()
        try:
            Rate(rate_hz, self._clock).run(self._ask, keep_on)
        finally:
            ended.set()
            listener.join()

    def _listen(self, ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                self._waiting.wait(_LISTEN_NS)
                self.receive()
            except DDSException as cause:  # of one message: the next may be well
                self.counts.unread += 1
                self.counts.last_failure = str(cause)

    def _taken(self, reader: Any) -> Iterator[Any]:
        for _ in range(_MOST_BATCHES):
            taken = reader.take(N=_BATCH)
            yield from (s for s in taken if s.sample_info.valid_data)
            if len(taken) < _BATCH:
                return

    def _topic(self, name: str, kind: str) -> Any:
        if not name.startswith("/") or name.endswith("/"):
            raise error(ConfigError, "topic", name, "must begin with / and not end with it")
        return Topic(self._participant, f"rt{name}", kind_of(kind))
