"""Random numbers of a part of a batch as if the whole batch had been drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_FACTORIES = {torch.rand, torch.randn}
_LIKE = {torch.rand_like, torch.randn_like, torch.randint_like}
_IN_PLACE = {
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    torch.Tensor.exponential_,
    torch.Tensor.random_,
    torch.Tensor.bernoulli_,
}
# their first argument is a tensor of probabilities, concentrations or rates
_OF_TENSOR = {
    torch.bernoulli,
    torch.multinomial,
    torch.poisson,
    torch._standard_gamma,
    torch._sample_dirichlet,
}
_DROPOUT = {F.dropout}


class SharedDraws(TorchFunctionMode):
    """Draws for all rows of a batch and keeps those of one part.

    Every process has the same seed; so all of them together use exactly the numbers that one process draws
    for the whole batch. Tensors whose first axis is not the batch are drawn as they are, the same in each.
    Dropout inside a fused attention is not covered: there the parts differ from the whole as two seeds do.

    Args:
        total: Rows of the whole batch.
        part: Rows of this process.
    """

    def __init__(self, total: int, part: slice) -> None:
        super().__init__()
        self._total, self._part = total, part
        self._own = part.stop - part.start

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called by torch in place of ``func``."""
        options: dict[str, Any] = dict(kwargs or {})
        return self._call(func, args, options)

    def _call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in _FACTORIES:
            size = kwargs.pop("size", args)
            size = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else tuple(size)
            return self._cut(size, lambda whole: func(whole, **kwargs))
        if func is torch.randint:
            kwargs = {**dict(zip(_randint_names(args), args, strict=True)), **kwargs}
            size = tuple(kwargs.pop("size"))
            low = kwargs.pop("low", 0)
            high = kwargs.pop("high")
            return self._cut(size, lambda whole: func(low, high, whole, **kwargs))
        if func in _LIKE:
            first, *rest = args
            return self._cut(tuple(first.shape), lambda whole: func(first.new_empty(whole), *rest, **kwargs))
        if func is torch.normal and isinstance(args[0], Tensor):
            mean, std = args[0], args[1] if len(args) > 1 else kwargs.get("std", 1.0)
            shape = (mean + std).shape
            return (
                self._cut(tuple(shape), lambda whole: torch.randn(whole, dtype=mean.dtype)).to(mean) * std
                + mean
            )
        if func in _IN_PLACE:
            first, *rest = args
            if first.dim() and len(first) == self._own:
                whole = first.new_empty((self._total, *first.shape[1:]))
                return first.copy_(func(whole, *self._widened(rest), **kwargs)[self._part])
        if func in _OF_TENSOR and args[0].dim() and len(args[0]) == self._own:
            return func(self._widened(args[:1])[0], *args[1:], **kwargs)[self._part]
        if func in _DROPOUT and args[0].dim() and len(args[0]) == self._own:
            ones = args[0].new_ones((self._total, *args[0].shape[1:]))
            inplace = kwargs.pop("inplace", args[3] if len(args) > 3 else False)
            kept = func(ones, *args[1:3], **kwargs)[self._part]
            return args[0].mul_(kept) if inplace else args[0] * kept
        return func(*args, **kwargs)

    def _cut(self, size: tuple[int, ...], draw: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
        if size and size[0] == self._own:
            return draw((self._total, *size[1:]))[self._part].contiguous()
        return draw(size)

    def _widened(self, values: Any) -> list[Any]:
        """Tensors over this part's rows as tensors over all rows; the others' values do not matter."""
        widened = []
        for value in values:
            if isinstance(value, Tensor) and value.dim() and len(value) == self._own:
                whole = value[:1].expand(self._total, *value.shape[1:]).clone()
                whole[self._part] = value
                widened.append(whole)
            else:
                widened.append(value)
        return widened


def _randint_names(args: tuple[Any, ...]) -> tuple[str, ...]:
    """torch.randint(high, size) or torch.randint(low, high, size)."""
    if len(args) >= 2 and not isinstance(args[1], int):
        return ("high", "size")[: len(args)]
    return ("low", "high", "size")[: len(args)]
