"""Several processes, started by ``torchrun``, that train one policy on parts of the same batches."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vla_rt.errors import require
from vla_rt.training.shared_draws import SharedDraws


class ProcessGroup:
    """What the processes of a run say to each other; alone, nothing.

    Each takes its part of the rows of every batch. Gradients and losses are summed, weighted by the rows of
    actions that are no padding, as the mean over a whole batch weighs them: so the weights follow those of
    one process with the same batches, up to the rounding of sums.
    """

    def __init__(self) -> None:
        together = dist.is_available() and dist.is_initialized()
        self.rank: int = dist.get_rank() if together else 0  #: number of this process
        self.size: int = dist.get_world_size() if together else 1  #: how many there are

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def part(self, batch_size: int) -> slice:
        """Rows of a batch that this process takes.

        Raises:
            ConfigError: There are fewer rows than processes.
        """
        require(
            batch_size >= self.size, "batch_size", batch_size, f"must be >= {self.size}, one row a process"
        )
        return slice(batch_size * self.rank // self.size, batch_size * (self.rank + 1) // self.size)

    def draws(self, batch_size: int) -> contextlib.AbstractContextManager[Any]:
        """Within it, this process draws what one process would for its rows of a batch."""
        return contextlib.nullcontext() if self.size == 1 else SharedDraws(batch_size, self.part(batch_size))

    def share_weights(self, module: nn.Module) -> None:
        """Gives every process the first one's parameters and buffers."""
        if self.size > 1:
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor.detach(), src=0)

    def share(self, value: Any) -> Any:
        """The first process's value."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def combine(
        self, parameters: Sequence[Tensor], loss: Tensor, batch: Mapping[str, Tensor], flag: bool
    ) -> tuple[float, bool]:
        """Puts the whole batch's gradient in place of this part's.

        Args:
            parameters: Whose gradients are combined.
            loss: Of this part.
            batch: This part; says how much it weighs.
            flag: Of this process.

        Returns:
            The whole batch's loss, and whether any process raised its flag.
        """
        if self.size == 1:
            return float(loss), flag
        weight = _rows(batch)
        used = torch.tensor([p.grad is not None for p in parameters], dtype=loss.dtype, device=loss.device)
        gradients = [(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in parameters]
        own = loss.new_tensor([float(loss) * weight, weight, float(flag)])
        total = torch.cat([*(g.to(loss.dtype) * weight for g in gradients), used, own])
        dist.all_reduce(total)
        weights = total[-2].clamp(min=1.0)
        begin = 0
        for parameter, count in zip(parameters, total[-3 - len(parameters) : -3].tolist(), strict=True):
            end = begin + parameter.numel()
            if count:
                parameter.grad = (total[begin:end] / weights).to(parameter.dtype).reshape(parameter.shape)
            begin = end
        return float(total[-3] / weights), bool(total[-1] > 0)


@contextlib.contextmanager
def process_group(device: str) -> Iterator[ProcessGroup]:
    """The group that ``torchrun`` started this process in: gloo on the CPU, NCCL on a GPU.

    One that the program has set up itself is used and left as it is.
    """
    begin = dist.is_available() and not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1
    if begin:
        on_gpu = device.startswith("cuda")
        if on_gpu:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        group = ProcessGroup()
        yield group
        if group.size > 1:
            dist.barrier()  # when it returns the files of the first process are there
    finally:
        if begin:
            dist.destroy_process_group()


def _rows(batch: Mapping[str, Tensor]) -> float:
    pad = batch.get("action_is_pad")
    return float((~pad.bool()).sum()) if pad is not None else float(len(next(iter(batch.values()))))
