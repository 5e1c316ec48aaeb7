"""A graph that knows what each of its values depends on, and moves work out of the sampling loop as it grows.

Values that depend on nothing are computed at once. The others are nodes that carry, besides the value they
have for the example inputs, their `Dependence`: on the step index (`TIME`), the observation (`OBSERVATION`),
the noisy chunk (`CHUNK`), or several. Four identities move work to where it is done less often; all are exact
up to rounding:

* linear of a concatenation: one linear per dependence, the weight's columns split;
* linear of a sum of a time part and an observation part: the sum of two linears. Such a sum is remembered as
  its two terms, and scaling, shape changes and selections go through it to the terms;
* a linear plus a vector that the chunk does not touch: the vector becomes the linear's bias;
* equal nodes are one node.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.node import map_aggregate

_aten = torch.ops.aten
_LINEAR = _aten.linear.default
_MATMUL = _aten.matmul.default
_ADD = _aten.add.Tensor
_SCALINGS = (_aten.mul.Tensor, _aten.div.Tensor)
_SPLITS = (_aten.split.Tensor, _aten.split_with_sizes.default, _aten.chunk.default, _aten.unbind.int)
_RESHAPE = _aten.reshape.default
_VIEWS = (_aten.view.default, _aten._unsafe_view.default)
_RESHAPES = (
    _RESHAPE,
    _aten.flatten.using_ints,
    _aten.unsqueeze.default,
    _aten.squeeze.default,
    _aten.squeeze.dim,
    _aten.select.int,
    _aten.slice.Tensor,
    _aten.transpose.int,
    _aten.permute.default,
)


class Dependence(enum.IntFlag):
    """What a value depends on besides the network's parameters."""

    TIME = 1
    OBSERVATION = 2
    CHUNK = 4


_BOTH = Dependence.TIME | Dependence.OBSERVATION


def dependence(value: Any) -> Dependence:
    """That of a node; anything else is a constant and depends on nothing."""
    return value.meta["dependence"] if isinstance(value, fx.Node) else Dependence(0)


def example(value: Any) -> Any:
    """What a node is for the example inputs; constants are themselves."""
    return value.meta["example"] if isinstance(value, fx.Node) else value


class DependenceGraph:
    """An `fx.Graph` under construction; `graph` and `tensors` are its results.

    Attributes:
        module: Name of the module whose calls are being added; nodes keep it as `meta["module"]`.
        graph: Placeholders, constants (`get_attr`) and calls; the output is for the caller to add.
        tensors: Constants by the name that `get_attr` nodes use.
    """

    def __init__(self) -> None:
        self.graph = fx.Graph()
        self.tensors: dict[str, Tensor] = {}
        self.module = ""
        self._constants: dict[tuple[Any, ...], fx.Node] = {}
        self._known: dict[tuple[Any, ...], fx.Node] = {}

    def input(self, name: str, value: Tensor, depends_on: Dependence) -> fx.Node:
        """A placeholder with its example."""
        node = self.graph.placeholder(name)
        node.meta = {"example": value, "dependence": depends_on}
        return node

    def call(self, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of ``target(*args, **kwargs)``, computed as seldom as the identities allow.

        Views become reshapes: what they look at may be laid out otherwise than in the policy.
        """
        target = _RESHAPE if target in _VIEWS else target
        if not _nodes(args, kwargs):
            is_random = _is_random(target, args, kwargs)
            return self._emit(target, args, kwargs) if is_random else target(*args, **kwargs)
        if target is _LINEAR:
            return self._linear(*args, **kwargs)
        if target is _MATMUL and isinstance(args[1], Tensor) and args[1].dim() == 2:
            return self._linear(args[0], args[1].t())
        if target is _ADD and not kwargs:
            return self._add(*args)
        separated = self._through_terms(target, args, kwargs)
        return self._emit(target, args, kwargs) if separated is None else separated

    def _linear(self, x: Any, weight: Any, bias: Any = None) -> Any:
        if isinstance(weight, fx.Node) or isinstance(bias, fx.Node) or not isinstance(x, fx.Node):
            return self._emit(_LINEAR, (x, weight, bias), {})
        terms = x.meta.get("terms")
        if terms is not None:
            first = self.call(_LINEAR, (terms[0], weight, bias), {})
            return self._add(first, self.call(_LINEAR, (terms[1], weight, None), {}))
        parts = _last_axis_parts(x)
        if len({dependence(part) for part, _ in parts}) < 2:
            return self._emit(_LINEAR, (x, weight, bias), {})
        result: Any = None
        for depends_on in sorted({dependence(part) for part, _ in parts}):  # the chunk comes last
            own = [(part, columns) for part, columns in parts if dependence(part) == depends_on]
            joined = (
                own[0][0] if len(own) == 1 else self.call(_aten.cat.default, ([p for p, _ in own], -1), {})
            )
            columns = torch.cat([weight[:, c] for _, c in own], dim=1)
            term = self.call(_LINEAR, (joined, columns, bias), {})
            bias = None
            result = term if result is None else self._add(term, result)
        return result

    def _add(self, a: Any, b: Any) -> Any:
        if not isinstance(example(a), Tensor):
            a, b = b, a
        if not _nodes((a, b), {}):
            return _ADD(a, b)
        if (dependence(a) | dependence(b)) == _BOTH:
            terms_a, terms_b = _terms(a), _terms(b)
            if terms_a is not None and terms_b is not None:
                return self._sum(
                    self._add_present(terms_a[0], terms_b[0]), self._add_present(terms_a[1], terms_b[1])
                )
        for x, other in ((a, b), (b, a)):
            fused = self._as_bias(x, other)
            if fused is not None:
                return fused
            chained = self._past_chunk(x, other)
            if chained is not None:
                return chained
        return self._emit(_ADD, (a, b), {})

    def _add_present(self, a: Any, b: Any) -> Any:
        if a is None or b is None:
            return b if a is None else a
        return self._add(a, b)

    def _sum(self, time: Any, observation: Any) -> Any:
        """The sum of two terms, which stays known by these terms where both have its shape."""
        node = self._emit(_ADD, (time, observation), {})
        if all(
            isinstance(example(t), Tensor) and example(t).shape == example(node).shape
            for t in (time, observation)
        ):
            node.meta["terms"] = (time, observation)
        return node

    def _as_bias(self, x: Any, vector: Any) -> Any:
        """linear(h, W) + vector as linear(h, W, vector), or None where that does not hold."""
        if not isinstance(x, fx.Node) or x.target is not _LINEAR or not _leaves_to_chunk(x, vector):
            return None
        h, weight, bias = map(_unwrapped, x.args)
        if isinstance(bias, fx.Node):
            return None
        shape, width = example(vector).shape, example(x).shape[-1]
        if shape[-1:] != (width,) or shape.numel() != width or len(shape) > example(x).dim():
            return None
        flat = self.call(_RESHAPE, (vector, [width]), {}) if len(shape) > 1 else vector
        return self._emit(_LINEAR, (h, weight, self._add_present(flat, bias)), {})

    def _past_chunk(self, x: Any, other: Any) -> Any:
        """(h + a) + other as h + (a + other) where only h depends on the chunk, or None."""
        if not isinstance(x, fx.Node) or x.target is not _ADD or not _leaves_to_chunk(x, other):
            return None
        left, right = map(_unwrapped, x.args)
        for h, a in ((left, right), (right, left)):
            if Dependence.CHUNK not in dependence(a) and example(h).shape == example(x).shape:
                return self._add(h, self._add(a, other))
        return None

    def _through_terms(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """f(time + observation) as f(time) + f(observation) for a linear f of one node, or None."""
        first = args[0] if args else None
        if not isinstance(first, fx.Node) or len(_nodes(args, kwargs)) != 1:
            return None
        if target in _RESHAPES or target in _SCALINGS:
            terms = first.meta.get("terms")
            if terms is None:
                return None
            return self._sum(*(self.call(target, (term, *args[1:]), kwargs) for term in terms))
        if target is operator.getitem and first.target in _SPLITS:
            source: Any = first.args[0]
            terms = source.meta.get("terms")
            if terms is None:
                return None
            pieces = [self.call(first.target, (t, *first.args[1:]), dict(first.kwargs)) for t in terms]
            return self._sum(*(self.call(operator.getitem, (piece, args[1]), {}) for piece in pieces))
        return None

    def _emit(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> fx.Node:
        args = map_aggregate(args, self._as_node)
        kwargs = map_aggregate(kwargs, self._as_node)
        key = (target, _key(args), _key(kwargs))
        if key in self._known:
            return self._known[key]
        node = self.graph.call_function(target, args, kwargs)
        values: Any = map_aggregate((args, kwargs), example)
        if _is_random(target, *values):
            depends_on = Dependence.CHUNK  # drawn at every step
        else:
            depends_on = Dependence(0)
            for used in node.all_input_nodes:
                depends_on |= dependence(used)
            self._known[key] = node
        node.meta = {
            "example": target(*values[0], **values[1]),
            "dependence": depends_on,
            "module": self.module,
        }
        return node

    def _as_node(self, value: Any) -> Any:
        """The `get_attr` node of a constant tensor; anything else unchanged."""
        if not isinstance(value, Tensor):
            return value
        key = (value.data_ptr(), value.dtype, tuple(value.shape), value.stride())
        if key not in self._constants:
            name = f"constant_{len(self.tensors)}"
            self.tensors[name] = value.detach().contiguous()
            node = self.graph.get_attr(name)
            # the value itself is kept, so that no other takes its memory and with it its key
            node.meta = {"example": self.tensors[name], "dependence": Dependence(0), "value": value}
            self._constants[key] = node
        return self._constants[key]


def _nodes(args: Any, kwargs: Any) -> list[fx.Node]:
    found: list[fx.Node] = []
    map_aggregate((args, kwargs), lambda v: found.append(v) if isinstance(v, fx.Node) else None)
    return found


def _is_random(target: Any, args: Any, kwargs: Any) -> bool:
    """Whether a call draws random numbers; those that could, such as attention with dropout 0, are tried."""
    if torch.Tag.nondeterministic_seeded not in getattr(target, "tags", ()):
        return False
    first, second = target(*args, **kwargs), target(*args, **kwargs)
    pairs = zip(first, second, strict=True) if isinstance(first, tuple) else [(first, second)]
    return not all(torch.equal(a, b) for a, b in pairs)


def _key(value: Any) -> Any:
    """Hashable form of arguments; numbers of different type differ."""
    if isinstance(value, tuple | list):
        return tuple(map(_key, value))
    if isinstance(value, dict):
        return tuple((k, _key(v)) for k, v in sorted(value.items()))
    return (type(value), value)


def _last_axis_parts(x: fx.Node) -> list[tuple[Any, slice]]:
    """What `x` joins along its last axis, with the place of each part; `x` alone when it joins nothing."""
    if x.target is not _aten.cat.default:
        return [(x, slice(None))]
    axis = x.args[1] if len(x.args) > 1 else x.kwargs.get("dim", 0)
    if axis not in (-1, example(x).dim() - 1):
        return [(x, slice(None))]
    parts, start = [], 0
    for part in map(_unwrapped, _items(x.args[0])):
        width = example(part).shape[-1]
        parts.append((part, slice(start, start + width)))
        start += width
    return parts


def _unwrapped(value: Any) -> Any:
    """The constant behind a `get_attr` node; anything else unchanged."""
    return example(value) if isinstance(value, fx.Node) and value.op == "get_attr" else value


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, tuple | list) else ()


def _terms(value: Any) -> tuple[Any, Any] | None:
    """(time, observation) terms of a value, None for one that is absent; constants count as time."""
    if isinstance(value, fx.Node) and "terms" in value.meta:
        terms: tuple[Any, Any] = value.meta["terms"]
        return terms
    depends_on = dependence(value)
    if Dependence.CHUNK in depends_on or depends_on == _BOTH:
        return None
    return (None, value) if depends_on == Dependence.OBSERVATION else (value, None)


def _leaves_to_chunk(x: Any, other: Any) -> bool:
    """Whether only `x`, used nowhere else, depends on the chunk, and `other` is a tensor."""
    if Dependence.CHUNK not in dependence(x) or Dependence.CHUNK in dependence(other):
        return False
    return isinstance(example(other), Tensor) and x.meta.get("uses", 1) == 1
