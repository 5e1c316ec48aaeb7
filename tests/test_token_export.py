"""Policies over tokens: decoding with caches answers what recomputing everything answers."""

from __future__ import annotations

import pytest

from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import vla_rt as vr
from token_policy import LAYERS, POSITIONS, START, VOCABULARY, WIDTH, SmallTokenPolicy
from vla_rt.export import torchscript
from vla_rt.export.network import Network, capture, example_inputs
from vla_rt.export.stages import Stages, split


@pytest.fixture(scope="module")
def policy() -> SmallTokenPolicy:
    return SmallTokenPolicy().eval()


@pytest.fixture(scope="module")
def stages(policy: SmallTokenPolicy) -> Stages:
    return split(capture(Network(policy), example_inputs(policy, policy.config.observation)))


def observation(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((1, 3), generator=generator), torch.randint(0, 7, (1, 5), generator=generator)


def test_cached_decoding_equals_recomputation(policy: SmallTokenPolicy, stages: Stages) -> None:
    traced = torchscript.trace(stages)
    rows = [traced.prepare(torch.tensor([float(k)])) for k in range(POSITIONS)]
    with torch.inference_mode():
        for seed in range(5):
            tokens = torch.randint(0, VOCABULARY, (1, POSITIONS - 1))
            expected = policy(tokens, *observation(seed))[0]
            context = traced.encode(*observation(seed))
            before = [START, *tokens[0].tolist()]
            answers = [
                traced.step(torch.tensor([[float(before[k])]]), rows[k], context)[0] for k in range(POSITIONS)
            ]
            torch.testing.assert_close(torch.stack(answers), expected, rtol=0, atol=1e-5)
            assert torch.equal(torch.stack(answers).argmax(1), expected.argmax(1))
            assert (expected[1:] - expected[:-1]).abs().max() > 0.1  # the tokens matter


def test_chunks_start_with_empty_caches_of_their_own(stages: Stages) -> None:
    traced = torchscript.trace(stages)
    row, token = traced.prepare(torch.zeros(1)), torch.full((1, 1), float(START))
    with torch.inference_mode():
        first = traced.encode(*observation(0))
        traced.step(token, row, first)
        second = traced.encode(*observation(0))
    caches, fresh = first[-2 * LAYERS :], second[-2 * LAYERS :]
    assert all(c.abs().max() > 0 for c in caches)
    assert all(c.abs().max() == 0 for c in fresh)
    assert not {c.data_ptr() for c in caches} & {c.data_ptr() for c in fresh}


def test_a_step_writes_its_caches_in_place_and_projects_one_token(stages: Stages) -> None:
    targets = [node.target for node in stages.step.graph.nodes]
    assert targets.count(torch.ops.aten.index_copy_.default) == 2 * LAYERS
    assert torch.ops.aten.copy_.default not in targets
    per_layer = 4 + 2 + 2  # q, k, v, out of self attention; q, out of cross attention; feed-forward
    linears = [n for n in stages.step.graph.nodes if n.target is torch.ops.aten.linear.default]
    assert len(linears) == LAYERS * per_layer + 1  # and the head
    assert [n.target for n in stages.encode.graph.nodes].count(
        torch.ops.aten.linear.default
    ) == 2 * LAYERS + 1


class ReadsAfterWriting(SmallTokenPolicy):
    """Reads the cache as it was after having written it: the write must not be in place."""

    def next_logits(  # type: ignore[override]
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], *o: Tensor
    ) -> Tensor:
        old = caches[0].clone()
        caches[0].add_(self.token(token)[:, None, None, : WIDTH // 2])
        return (caches[0] * 2 - old).sum(dim=(1, 2)).repeat(1, 2)[:, :VOCABULARY]


def test_a_cache_read_after_its_write_is_copied() -> None:
    policy = ReadsAfterWriting()
    stages = split(capture(Network(policy), example_inputs(policy, policy.config.observation)))
    context = stages.encode(*observation(0))
    network, caches = Network(policy), [torch.zeros((1, *s)) for s in policy.cache_shapes()]
    with torch.no_grad():
        for token in (3.0, 5.0, 1.0):
            x, t = torch.tensor([[token]]), torch.zeros(1)
            expected = network(x, t, *caches, *observation(0))
            torch.testing.assert_close(stages.step(x, *stages.rows, *context), expected)


def recomputed(policy: SmallTokenPolicy, seed: int) -> np.ndarray:
    """The chunk of greedy decoding without any cache, decoded by hand."""
    state, words = observation(seed)
    tokens = torch.zeros((1, 0), dtype=torch.int64)
    with torch.no_grad():
        for _ in range(POSITIONS):
            best = policy(tokens, state, words)[:, -1].argmax(1, keepdim=True)
            tokens = torch.cat([tokens, best], dim=1)
    centres = -1 + (tokens.numpy().reshape(3, 2) + 0.5) * 2 / VOCABULARY
    low, high = np.array([-2.0, 10.0]), np.array([3.0, 11.0])
    return (centres + 1) / 2 * (high - low) + low


def test_a_package_decodes_tokens_as_recomputation_does(policy: SmallTokenPolicy, tmp_path: Path) -> None:
    package = vr.load_policy(vr.export_policy(policy, tmp_path / "p"))
    assert package.spec.step_shapes == ((1,), (VOCABULARY,))
    chunks = []
    for seed in range(12):
        state, words = observation(seed)
        raw = state[0].double().numpy() * np.array([0.5, 1, 2]) + [1, 2, 3]
        chunks.append(package.sample({"observation.state": raw, "words": words[0].numpy()}))
        np.testing.assert_allclose(chunks[-1], recomputed(policy, seed), rtol=0, atol=1e-5)
    assert len({chunk.tobytes() for chunk in chunks}) > 3  # the observation matters


class FastPolicy(SmallTokenPolicy):
    """Speaks FAST, of any length up to a stop token."""

    def __init__(self, seed: int, strict: bool) -> None:
        super().__init__(seed)
        chunks = np.random.default_rng(0).normal(size=(50, 3, 2)).clip(-1, 1) * 0.2
        self.tokenizer = vr.tokenizers.FastTokenizer.fit(chunks, vocab_size=300)
        self.strict = strict
        self.head = torch.nn.Linear(WIDTH, self.tokenizer.vocab_size + 1)
        self.token = torch.nn.Embedding(self.tokenizer.vocab_size + 1, WIDTH)

    def sampler_spec(self) -> dict:
        stop = self.tokenizer.vocab_size
        return {**super().sampler_spec(), "vocab_size": stop + 1, "stop_token": stop}

    def tokenizer_spec(self) -> dict:
        return {"type": "fast", "strict": self.strict}


def test_the_files_of_a_fast_tokenizer_travel_with_the_package(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    path = vr.export_policy(FastPolicy(0, strict=False), tmp_path / "p")
    assert {"processor_config.json", "tokenizer.json"} <= set(vr.load_policy(path).spec.files)
    assert vr.load_policy(path).spec.checks["torchscript_max_error"] <= 1e-6


def test_a_token_policy_without_its_parts_is_refused(tmp_path: Path) -> None:
    class NoTokenizer(SmallTokenPolicy):
        tokenizer_spec = property(lambda self: self.nothing)  # type: ignore[assignment]

    with pytest.raises(vr.ConfigError, match="tokenizer_spec"):
        vr.export_policy(NoTokenizer(), tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


class OtherEnds(FastPolicy):
    """Caches with room for one token less, or an embedding without the start token."""

    def __init__(self, rows: int, words: int) -> None:
        super().__init__(0, strict=False)
        self.rows = rows
        self.token = torch.nn.Embedding(words, WIDTH)

    def cache_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.rows, WIDTH),)

    def next_logits(  # type: ignore[override]
        self, token: Tensor, position: Tensor, caches: tuple[Tensor, ...], *o: Tensor
    ) -> Tensor:
        caches[0].index_copy_(1, position, self.token(token)[:, None])
        stop = torch.nn.functional.one_hot(torch.tensor([self.tokenizer.vocab_size])) * 100.0
        return self.head(caches[0].sum(1)) + stop  # so that no chunk gets to the last position


@pytest.mark.parametrize(
    ("rows", "words", "text"),
    [
        (POSITIONS - 1, 301, f"fails at token {POSITIONS - 1} .*cache_shapes = "),
        (POSITIONS, START, f"fails at token 0 after id {START}"),
    ],
)
def test_what_fails_only_at_one_end_is_found_at_export(
    rows: int, words: int, text: str, tmp_path: Path
) -> None:
    pytest.importorskip("tokenizers")
    with pytest.raises(vr.ModelError, match=text):
        vr.export_policy(OtherEnds(rows, words), tmp_path / "p", backends="torchscript")
    assert list(tmp_path.iterdir()) == []
