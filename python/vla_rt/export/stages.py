"""The three stages of a network: what is done at load, once per chunk, and at every step of the sampler.

    rows    = prepare(t)                  once per step time, at load
    context = encode(*observation)        once per chunk
    answer  = step(x, *rows, *context)    at every step

Every stage is an `fx.GraphModule` of plain ATen calls that answers a tuple of dense tensors (`step`: one
tensor), so that any backend can take it. A network over tokens writes its caches, which are the last tensors
of the context, in place.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from vla_rt.export.dependence import Dependence, dependence, example
from vla_rt.export.network import CapturedNetwork

_aten = torch.ops.aten
#: Functional writes and what does the same in place.
_IN_PLACE = {
    _aten.index_copy.default: _aten.index_copy_.default,
    _aten.index_put.default: _aten.index_put_.default,
    _aten.scatter.src: _aten.scatter_.src,
}


@dataclass(frozen=True)
class Stages:
    """A network split by what its parts depend on.

    Attributes:
        prepare: (t) -> rows, at least one.
        encode: (*observation) -> context, at least one; ends with the caches, empty.
        step: (x, *rows, *context) -> answer.
        rows: Example of what `prepare` answers.
        context: Example of what `encode` answers.
        x: Example of the step's first input.
        t: Example of the time.
        observation: Examples of the features.
        network_operators: Calls of the network in one piece, which the loop would make at every step.
    """

    prepare: fx.GraphModule
    encode: fx.GraphModule
    step: fx.GraphModule
    rows: tuple[Tensor, ...]
    context: tuple[Tensor, ...]
    x: Tensor
    t: Tensor
    observation: tuple[Tensor, ...]
    network_operators: int

    @property
    def step_operators(self) -> int:
        """Calls that one step makes."""
        return count_operators(self.step)


def count_operators(module: fx.GraphModule) -> int:
    """Calls of a graph, taking a tuple apart not counted."""
    return sum(n.op == "call_function" and n.target is not operator.getitem for n in module.graph.nodes)


def split(network: CapturedNetwork) -> Stages:
    """Splits a network by the dependence of its nodes."""
    in_step = _reachable([network.result, *(new for new, _ in network.cache_updates)])
    rows, context = (
        [n for n in network.graph.graph.nodes if n in in_step and dependence(n) == depends_on]
        for depends_on in (Dependence.TIME, Dependence.OBSERVATION)
    )
    build = _StageBuilder(network)
    prepare = build.tuple_stage([network.t], rows or [network.t])
    encode = build.tuple_stage(network.observation, context or network.observation[:1], network.caches)
    step = build.step_stage(rows or [network.t], context or network.observation[:1])
    with torch.no_grad():
        t, observation = example(network.t), tuple(example(o) for o in network.observation)
        return Stages(
            prepare,
            encode,
            step,
            rows=prepare(t),
            context=encode(*observation),
            x=example(network.x),
            t=t,
            observation=observation,
            network_operators=network.operators,
        )


def _reachable(results: Iterable[fx.Node]) -> set[fx.Node]:
    """Nodes that a step needs: as far as those that depend on time alone or the observation alone."""
    single = (Dependence.TIME, Dependence.OBSERVATION)
    seen: set[fx.Node] = set()
    waiting = list(results)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            if dependence(node) not in single:
                waiting += node.all_input_nodes
    return seen


class _StageBuilder:
    def __init__(self, network: CapturedNetwork) -> None:
        self._network = network

    def tuple_stage(
        self, inputs: Sequence[fx.Node], results: Sequence[fx.Node], caches: Sequence[fx.Node] = ()
    ) -> fx.GraphModule:
        """A stage that answers `results` as dense tensors that share no memory with the inputs."""
        graph, env = fx.Graph(), {}
        for node in inputs:
            env[node] = graph.placeholder(node.name)
        self._copy(graph, env, results)
        answers = []
        for node in results:
            is_own = node.op != "placeholder" and _is_dense(example(node))
            answers.append(env[node] if is_own else _dense_copy(graph, env[node]))
        for cache in caches:  # made from an input, so that no compiler takes the caches for constants
            arguments = (env[inputs[0]], list(example(cache).shape))
            dtype: dict[str, Any] = {"dtype": example(cache).dtype}
            answers.append(graph.call_function(_aten.new_zeros.default, arguments, dtype))
        graph.output(tuple(answers))
        return self._module(graph)

    def step_stage(self, rows: Sequence[fx.Node], context: Sequence[fx.Node]) -> fx.GraphModule:
        network = self._network
        graph, env = fx.Graph(), {}
        for node in (network.x, *rows, *context, *network.caches):
            env[node] = graph.placeholder(node.name)
        self._copy(graph, env, [network.result, *(new for new, _ in network.cache_updates)])
        for new, cache in network.cache_updates:
            _write(graph, env[new], env[cache])
        result = env[network.result]
        if result.op == "placeholder" or not example(network.result).is_contiguous():
            result = _dense_copy(graph, result)
        graph.output(result)
        return self._module(graph)

    def _copy(self, graph: fx.Graph, env: dict[fx.Node, fx.Node], results: Iterable[fx.Node]) -> None:
        """Copies what `results` need besides what `env` already has, in the order of the network."""
        needed: set[fx.Node] = set()
        waiting = [node for node in results if node not in env]
        while waiting:
            node = waiting.pop()
            if node not in needed:
                needed.add(node)
                waiting += [n for n in node.all_input_nodes if n not in env]
        for node in self._network.graph.graph.nodes:
            if node in needed:
                env[node] = graph.node_copy(node, env.__getitem__)

    def _module(self, graph: fx.Graph) -> fx.GraphModule:
        root = nn.Module()
        for node in graph.nodes:
            if node.op == "get_attr" and not hasattr(root, node.target):
                root.register_buffer(node.target, self._network.graph.tensors[node.target])
        graph.lint()
        return fx.GraphModule(root, graph)


def _dense_copy(graph: fx.Graph, node: fx.Node) -> fx.Node:
    layout: dict[str, Any] = {"memory_format": torch.contiguous_format}
    return graph.call_function(_aten.clone.default, (node,), layout)


def _is_dense(value: Any) -> bool:
    return bool(
        value.is_contiguous() and value.numel() * value.element_size() == value.untyped_storage().nbytes()
    )


def _write(graph: fx.Graph, new: fx.Node, cache: fx.Node) -> None:
    """Makes `cache` hold `new`: in place where the network only ever reads the result, else by a copy."""
    in_place = _IN_PLACE.get(new.target)  # type: ignore[call-overload]
    order = {node: i for i, node in enumerate(graph.nodes)}
    reads_are_over = all(order[user] <= order[new] for user in cache.users)
    if in_place is not None and new.args[0] is cache and reads_are_over:
        new.target = in_place
    else:
        graph.call_function(_aten.copy_.default, (cache, new))
