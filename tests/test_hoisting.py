"""The exporter's split of a network: what it moves, and that the answer stays."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from exportable import TinyConfig, TinyPolicy
from vla_rt.export import torchscript
from vla_rt.export.network import Network, capture, example_inputs
from vla_rt.export.stages import Stages, count_operators, split

T, D, OBS, H = 4, 3, 5, 16
CONFIG = TinyConfig(observation=(("o", (OBS,), "float32"),), horizon=T, action_dim=D)


class Denoiser(nn.Module):
    """A policy as far as the exporter's capture looks."""

    config = CONFIG

    def __init__(self) -> None:
        super().__init__()
        self.x, self.t, self.o = nn.Linear(T * D, H), nn.Linear(1, H), nn.Linear(OBS, H)
        self.joint = nn.Linear(T * D + 1 + OBS, H)
        self.middle, self.film, self.out = nn.Linear(H, H), nn.Linear(H, 2 * H), nn.Linear(H, T * D)


class Concatenation(Denoiser):
    """The course's form: one linear of everything."""

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        h = F.mish(self.joint(torch.cat([x.flatten(1), t[:, None], o], dim=1)))
        return self.out(F.mish(self.middle(h))).view(-1, T, D)


class FilmOfSum(Denoiser):
    """Scale and shift from a linear of a sum of time and observation, as in the conditional U-Net."""

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        condition = self.t(t[:, None]) + self.o(o)
        scale, shift = self.film(self.middle(condition) * 0.5 + 1).chunk(2, dim=1)
        return self.out(F.silu(self.x(x.flatten(1)) * (1 + scale) + shift)).view(-1, T, D)


class FilmOfActivation(Denoiser):
    """Mish between the sum and the scales: the sum cannot be taken apart, the rest can."""

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        condition = F.mish(self.t(t[:, None]) + self.o(o))
        scale, shift = self.film(condition).view(-1, 2, H).unbind(1)
        return self.out(F.silu(self.x(x.flatten(1)) * (1 + scale) + shift)).view(-1, T, D)


class SumOfThree(Denoiser):
    """(x + time) + observation + constant, per row of the chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.row, self.place = nn.Linear(D, H), nn.Parameter(torch.randn(T, H))
        self.end = nn.Linear(H, D, bias=False)

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        h = self.row(x) + self.t(t[:, None])[:, None] + self.o(o)[:, None] + self.place
        return self.end(torch.relu(h))


class Attention(Denoiser):
    """Cross attention: keys and values belong to the observation."""

    def __init__(self) -> None:
        super().__init__()
        self.row, self.key, self.end = nn.Linear(D, H), nn.Linear(1, H), nn.Linear(H, D)
        self.layer = nn.TransformerDecoderLayer(H, 2, 40, batch_first=True)

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        return self.end(self.layer(self.row(x) + self.t(t[:, None])[:, None], self.key(o[..., None])))


class ObservationAlone(Denoiser):
    """A direct policy: nothing is left for the loop."""

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        return self.out(torch.tanh(self.o(o))).view(-1, T, D)


class LearnedQueries(Denoiser):
    """As the course's action transformer: attention without dropout is no random number."""

    def __init__(self) -> None:
        super().__init__()
        self.queries, self.key, self.end = (
            nn.Parameter(torch.randn(1, T, H)),
            nn.Linear(1, H),
            nn.Linear(H, D),
        )
        self.layer = nn.TransformerDecoderLayer(H, 2, 40, batch_first=True)

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        return self.end(self.layer(self.queries.expand(x.shape[0], -1, -1), self.key(o[..., None])))


class TimeAlone(Denoiser):
    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        return self.out(torch.tanh(self.t(t[:, None]))).view(-1, T, D)


class ChunkAlone(Denoiser):
    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        return x.transpose(1, 2).transpose(1, 2)


class Constant(Denoiser):
    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        return self.out.bias.view(1, T, D)


class TiedWeights(Denoiser):
    """A linear whose weight depends on the observation is left as it is; a reused value is computed once."""

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        h = self.x(x.flatten(1))
        h = h + self.t(t[:, None])
        twice = F.linear(h, self.o(o).view(H, 1) * self.middle.weight) + F.linear(
            h, self.o(o).view(H, 1) * self.middle.weight
        )
        return self.out(twice + h).view(-1, T, D)


class WritingInPlace(Denoiser):
    """Into the chunk, which is the call's own, and into slices of copies."""

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        x *= 2
        y = x.clone()
        y[:, 0] += o[:, :D]
        y[:, 1].zero_()
        y[:, 2] = 0.5
        y[:, 3].fill_(-1)
        return self.out(torch.tanh_(self.x(y.flatten(1)))).view(-1, T, D) - x


class NarrowAndWide(Denoiser):
    """Weights and buffers in bfloat16, an answer in double."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(H)
        self.register_buffer("scale", torch.linspace(0.5, 2, D))
        self.to(torch.bfloat16)
        self.register_buffer("offset", torch.linspace(0, 1, D, dtype=torch.float64))

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        h = self.norm(self.x(x.flatten(1)) + self.o(o))
        return self.out(h).view(-1, T, D) * self.scale + self.offset


NETWORKS: Sequence[tuple[type[Denoiser], int]] = [  # with the most calls that a step may make
    (Concatenation, 8),  # view, 3 linears, sum of the vectors, 2 activations, view
    (FilmOfSum, 9),  # view, linear, 2 sums, scale, shift, activation, linear, view
    (FilmOfActivation, 13),
    (SumOfThree, 4),
    (Attention, 47),
    (ObservationAlone, 1),
    (LearnedQueries, 1),
    (TimeAlone, 1),
    (ChunkAlone, 2),
    (Constant, 1),
    (TiedWeights, 12),
    (WritingInPlace, 24),
    (NarrowAndWide, 9),
]


def stages_of(policy: nn.Module) -> tuple[Network, Stages]:
    network = Network(policy)  # type: ignore[arg-type]
    return network, split(capture(network, example_inputs(policy, policy.config.observation)))  # type: ignore[arg-type]


def targets(graph: fx.GraphModule) -> set[object]:
    return {node.target for node in graph.graph.nodes if node.op == "call_function"}


@pytest.mark.parametrize(("kind", "most_operators"), NETWORKS)
def test_the_split_network_answers_as_the_whole(kind: type[Denoiser], most_operators: int) -> None:
    torch.manual_seed(0)
    policy = kind()
    network, stages = stages_of(policy)
    traced = torchscript.trace(stages)
    for seed in range(4):
        inputs = example_inputs(policy, CONFIG.observation, seed=seed + 1)  # type: ignore[arg-type]
        t = torch.rand(1, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            expected = network(inputs.x.clone(), t, *inputs.observation)
            split_answer = stages.step(inputs.x, *stages.prepare(t), *stages.encode(*inputs.observation))
            traced_answer = traced.step(inputs.x, traced.prepare(t), traced.encode(*inputs.observation))
        assert expected.dtype == torch.float32
        torch.testing.assert_close(split_answer, expected, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(traced_answer, expected, rtol=1e-6, atol=1e-6)
    assert stages.step_operators == count_operators(stages.step) <= most_operators
    assert stages.step_operators <= stages.network_operators + 2


def test_only_the_chunk_is_left_in_the_loop() -> None:
    _, stages = stages_of(Concatenation())
    weights = [tuple(b.shape) for b in stages.step.buffers() if b.dim() == 2]
    assert sorted(weights) == sorted([(H, T * D), (H, H), (T * D, H)])
    assert {r.numel() for r in (*stages.rows, *stages.context)} == {H}
    _, stages = stages_of(Attention())
    projections = [tuple(b.shape) for b in stages.encode.buffers() if b.dim() == 2]
    assert (2 * H, H) in projections  # of keys and values
    assert not any(tuple(b.shape) == (2 * H, H) for b in stages.step.buffers())


class AttendingPolicy(TinyPolicy):
    """Attends to the observation alone before it looks at the chunk."""

    def denoise(self, x: Tensor, t: Tensor, state: Tensor, goal: Tensor, task: Tensor) -> Tensor:
        h = self.goal(goal.flatten(1)).reshape(-1, 1, 2, 4).transpose(1, 2)
        seen = torch.nn.functional.scaled_dot_product_attention(h, h, h).transpose(1, 2).flatten(1)
        return self.out(torch.tanh(self.x(x.flatten(1)) + seen + self.state(state))).view_as(x)


def test_attention_over_the_observation_leaves_the_loop() -> None:
    policy = AttendingPolicy()
    stages = split(capture(Network(policy), example_inputs(policy, policy.config.observation)))
    attention = torch.ops.aten.scaled_dot_product_attention.default
    assert attention in [node.target for node in stages.encode.graph.nodes]
    assert attention not in [node.target for node in stages.step.graph.nodes]


def test_a_direct_policy_does_its_work_once() -> None:
    _, stages = stages_of(ObservationAlone())
    assert targets(stages.step) == {torch.ops.aten.clone.default}
    assert torch.ops.aten.linear.default in targets(stages.encode)


def test_what_a_policy_split_by_hand_is_split_further() -> None:
    network, stages = stages_of(TinyPolicy())
    assert stages.step_operators < stages.network_operators
    assert sum(n.target is torch.ops.aten.linear.default for n in stages.step.graph.nodes) == 2
    assert network.policy.training is False


def test_the_stages_share_no_memory_with_their_inputs() -> None:
    class Passing(Denoiser):
        def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
            return x * o.view(1, 1, OBS).sum() + t.view(1, 1, 1) + o[:, 1:4].view(1, 1, D)

    _, stages = stages_of(Passing())
    observation = torch.randn(1, OBS)
    for value in stages.encode(observation):
        assert value.is_contiguous()
        assert value.untyped_storage().data_ptr() != observation.untyped_storage().data_ptr()


class OwnBuffer(Denoiser):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        self.count += 1
        return x * self.count


class TwoAnswers(Denoiser):
    def denoise(self, x: Tensor, t: Tensor, o: Tensor) -> Tensor:
        return x, t  # type: ignore[return-value]


@pytest.mark.parametrize(("kind", "text"), [(OwnBuffer, "count"), (TwoAnswers, "one tensor")])
def test_what_cannot_be_captured_is_said_plainly(kind: type[Denoiser], text: str) -> None:
    with pytest.raises(_core.ModelError, match=text) as error:
        stages_of(kind())
    assert "\n" not in str(error.value)
