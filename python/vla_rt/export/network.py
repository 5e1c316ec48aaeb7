"""What a policy computes, as one function of flat inputs: the form in which it is captured."""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind, OutputKind

from vla_rt._core import ModelError
from vla_rt.export.dependence import Dependence, DependenceGraph, dependence, example
from vla_rt.export.description import generated_dim
from vla_rt.export.failures import as_model_error
from vla_rt.export.protocol import AnyPolicy, Feature, TokenPolicy

_DTYPES = {"float32": torch.float32, "int64": torch.int64, "uint8": torch.uint8}
_aten = torch.ops.aten
#: Calls that answer their first argument.
_IDENTITIES = (
    _aten.detach.default,
    _aten.alias.default,
    _aten.lift_fresh_copy.default,
    _aten.detach_.default,
)
_CHECKS = (_aten._assert_tensor_metadata.default, _aten._assert_scalar.default, _aten._assert_async.msg)


@dataclass(frozen=True)
class Inputs:
    """Example inputs of a network, batch 1.

    Attributes:
        x: Noisy chunk (1, T, D), or the token before (1, 1) of a network over tokens, a whole number.
        t: Time of the step (1,), or position of the token (1,), a whole number.
        caches: Keys and values of the tokens before, empty at the start; none of a network over chunks.
        observation: Normalised features (1, *shape) in order.
    """

    x: Tensor
    t: Tensor
    caches: tuple[Tensor, ...]
    observation: tuple[Tensor, ...]


class Network(nn.Module):
    """``network(x, t, *caches, *observation)`` of a policy in evaluation mode, in float32.

    The policy itself stays as it is.

    Args:
        policy: Copied.
        device: Where the copy lives.

    Attributes:
        cache_shapes: Of the caches, without batch dimension.
    """

    def __init__(self, policy: AnyPolicy, device: str = "cpu") -> None:
        super().__init__()
        module: Any = copy.deepcopy(policy, _shared(policy))
        module = module.to(device).eval()
        for parameter in module.parameters():
            parameter.requires_grad_(False)
            if parameter.is_floating_point():
                parameter.data = parameter.data.float()
        for buffer in module.buffers():
            if buffer.dtype in (torch.float16, torch.bfloat16):
                buffer.data = buffer.data.float()
        self.policy = module
        self.cache_shapes = policy.cache_shapes() if is_over_tokens(policy) else ()

    def forward(self, x: Tensor, t: Tensor, *inputs: Tensor) -> Tensor:
        caches, observation = inputs[: len(self.cache_shapes)], inputs[len(self.cache_shapes) :]
        result: Tensor
        if is_over_tokens(self.policy):
            token, position = x.reshape(1).to(torch.int64), t.to(torch.int64)
            result = self.policy.next_logits(token, position, caches, *observation)
        elif hasattr(self.policy, "denoise"):
            result = self.policy.denoise(x, t, *observation)
        else:
            result = self.policy.step(x, t, self.policy.encode(*observation))
        is_other = isinstance(result, Tensor) and result.dtype != torch.float32
        return result.float() if is_other else result


def _shared(policy: Any) -> dict[int, Any]:
    """Memo for `deepcopy`: objects of the core, such as tokenizers, never change and cannot be copied."""
    values = [value for module in policy.modules() for value in vars(module).values()]
    return {id(value): value for value in values if type(value).__module__.startswith("vla_rt._core")}


def is_over_tokens(policy: AnyPolicy) -> TypeGuard[TokenPolicy]:
    """Whether the policy answers logits of a next token rather than a chunk."""
    return hasattr(policy, "next_logits")


def example_inputs(
    policy: AnyPolicy, features: Sequence[Feature], seed: int = 0, device: str = "cpu"
) -> Inputs:
    """Standard normal numbers, zeros for whole numbers."""
    generator = torch.Generator().manual_seed(seed)
    observation = []
    for _, shape, dtype in features:
        if dtype == "float32":
            observation.append(torch.randn((1, *shape), generator=generator).to(device))
        else:
            observation.append(torch.zeros((1, *shape), dtype=_DTYPES[dtype], device=device))
    if is_over_tokens(policy):
        caches = tuple(torch.zeros((1, *shape), device=device) for shape in policy.cache_shapes())
        token, position = torch.zeros((1, 1), device=device), torch.zeros(1, device=device)
        return Inputs(token, position, caches, tuple(observation))
    x = torch.randn((1, policy.config.horizon, generated_dim(policy)), generator=generator)
    return Inputs(x.to(device), torch.full((1,), 0.5, device=device), (), tuple(observation))


@dataclass(frozen=True)
class CapturedNetwork:
    """A network as a graph that knows what every value depends on.

    Attributes:
        graph: Its nodes and constants; no output node.
        result: Node of the answer.
        cache_updates: (node of the new contents, placeholder) of every cache that the network writes.
        x, t, caches, observation: Placeholders.
        operators: Calls that the policy itself makes per step.
    """

    graph: DependenceGraph
    result: fx.Node
    cache_updates: tuple[tuple[fx.Node, fx.Node], ...]
    x: fx.Node
    t: fx.Node
    caches: tuple[fx.Node, ...]
    observation: tuple[fx.Node, ...]
    operators: int


def capture(network: Network, inputs: Inputs) -> CapturedNetwork:
    """Captures `network` by `torch.export` and rebuilds it as a `DependenceGraph`.

    Raises:
        ModelError: The network branches on values, changes its own buffers or fails.
    """
    flat = (inputs.x, inputs.t, *inputs.caches, *inputs.observation)
    with (
        as_model_error("the policy cannot be exported"),
        torch.no_grad(),
        warnings.catch_warnings(),
        torch.random.fork_rng(devices=()),
    ):
        warnings.simplefilter("ignore")
        program = torch.export.export(network, flat, strict=False).run_decompositions({})
        return _rebuild(program, inputs)


def _rebuild(program: torch.export.ExportedProgram, inputs: Inputs) -> CapturedNetwork:
    graph = DependenceGraph()
    x = graph.input("x", inputs.x, Dependence.CHUNK)
    t = graph.input("t", inputs.t, Dependence.TIME)
    caches = [graph.input(f"cache_{i}", c, Dependence.CHUNK) for i, c in enumerate(inputs.caches)]
    observation = [graph.input(f"o_{i}", o, Dependence.OBSERVATION) for i, o in enumerate(inputs.observation)]
    given = iter((x, t, *caches, *observation))
    specs = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
    by_name: dict[str, fx.Node] = {}
    values: dict[fx.Node, Any] = {}
    operators = 0
    for node in program.graph.nodes:
        if node.op == "placeholder":
            spec = specs[node.name]
            if spec.kind == InputKind.USER_INPUT:
                by_name[node.name] = values[node] = next(given)
            elif spec.target in program.state_dict:
                values[node] = program.state_dict[spec.target].detach()
            else:
                values[node] = program.constants[spec.target]
        elif node.op == "call_function":
            if node.target in _CHECKS:
                continue
            args, kwargs = fx.map_arg((node.args, node.kwargs), values.__getitem__)
            graph.module = _module_of(node)
            target, args, kwargs = _traceable(graph, node.target, args, kwargs)
            is_identity = _is_identity(target, args, kwargs)
            # the strides of a value are those of the kernel that ran, which may be another one next time
            target = _aten.reshape.default if target is _aten.view.default else target
            value = args[0] if is_identity else graph.call(target, args, kwargs)
            if isinstance(value, fx.Node):
                value.meta["uses"] = value.meta.get("uses", 0) + len(node.users)
                operators += target is not operator.getitem and not is_identity
            values[node] = value
        elif node.op == "output":
            (result,), updates = _outputs(program, node, values, by_name, caches)
        else:
            raise ModelError(f"the policy cannot be exported: it uses {node.op} {node.target}")
    if not isinstance(result, fx.Node):
        result = graph.call(_aten.add.Tensor, (result, graph.call(_aten.mul.Tensor, (t, 0), {})), {})
    return CapturedNetwork(graph, result, updates, x, t, tuple(caches), tuple(observation), operators)


def _traceable(
    graph: DependenceGraph, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """A call in a spelling that TorchScript records rightly; it takes `zero` and `fill` for others."""
    if target is _aten.zero.default:
        return _aten.zeros_like.default, args, kwargs
    if target is _aten.fill.Scalar:
        return _aten.full_like.default, args, kwargs
    if target is _aten.fill.Tensor:
        like = example(args[0])
        value = graph.call(_aten._to_copy.default, (args[1],), {"dtype": like.dtype})
        return _aten.expand.default, (value, list(like.shape)), {}
    return target, args, kwargs


def _module_of(node: fx.Node) -> str:
    """Dotted name of the innermost module that made a call, inside the policy."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]).removeprefix("policy").lstrip(".") if stack else ""


def _is_identity(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call answers its first argument; memory is never shared with an input that changes."""
    if target is _aten.clone.default:
        return not kwargs or bool(example(args[0]).is_contiguous())
    if target is _aten.dropout.default:
        return not args[2]
    return target in _IDENTITIES


def _outputs(
    program: torch.export.ExportedProgram,
    node: fx.Node,
    values: dict[fx.Node, Any],
    by_name: dict[str, fx.Node],
    caches: Sequence[fx.Node],
) -> tuple[list[Any], tuple[tuple[fx.Node, fx.Node], ...]]:
    results, updates = [], []
    for spec, argument in zip(program.graph_signature.output_specs, node.args[0], strict=True):  # type: ignore[arg-type]
        value = values[argument] if isinstance(argument, fx.Node) else argument
        if spec.kind == OutputKind.USER_OUTPUT:
            results.append(value)
        elif spec.kind == OutputKind.USER_INPUT_MUTATION:
            changed = by_name[str(spec.target)]
            if changed in caches:
                updates.append((value, changed))
            elif dependence(changed) == Dependence.OBSERVATION:
                index = changed.name.removeprefix("o_")
                raise ModelError(f"the policy cannot be exported: it changes feature {index} in place")
            # x and t are its own at every call: what it leaves in them is read by nobody
        else:
            raise ModelError(f"the policy cannot be exported: it changes its own {spec.target}")
    if len(results) != 1 or not isinstance(example(results[0]), Tensor):
        raise ModelError("the policy cannot be exported: it must answer one tensor")
    return results, tuple(updates)
