from collections import Counter

import numpy as np
import pytest

import vla_rt as vr
from vla_rt.samplers import AutoregressiveSampler

V = 12


def logits(tokens: np.ndarray) -> np.ndarray:
    """Depends on every token before, and on their order."""
    rng = np.random.default_rng(5)
    table = rng.normal(size=(20, V, V)) * 2
    result = np.tile(rng.normal(size=V), (len(tokens), 1))
    for row, sequence in zip(result, tokens, strict=True):
        for position, token in enumerate(sequence):
            row += table[position, token]
    return result


def test_greedy_is_the_argmax_of_the_right_prefix() -> None:
    seen: list[np.ndarray] = []

    def spy(tokens: np.ndarray) -> np.ndarray:
        assert tokens.dtype == np.int64
        seen.append(tokens.copy())
        tokens[:] = -1  # the callable owns what it was given
        return logits(seen[-1])

    result = AutoregressiveSampler(6).sample(spy, batch=2)
    assert result.dtype == np.int64
    assert result.shape == (2, 6)
    assert [s.shape for s in seen] == [(2, n) for n in range(6)]
    for n in range(6):
        assert np.array_equal(seen[n], result[:, :n])
        assert np.array_equal(result[:, n], logits(result[:, :n]).argmax(axis=1))


def test_greedy_takes_the_first_of_equal_logits() -> None:
    assert AutoregressiveSampler(2).sample(lambda t: np.zeros((1, 5))).tolist() == [[0, 0]]


def fixed(weights: list[float], batch: int) -> object:
    return lambda tokens: np.tile(np.log(np.maximum(weights, 1e-300)), (batch, 1))


def frequencies(weights: list[float], **options: float) -> np.ndarray:
    batch = 40_000
    sampler = AutoregressiveSampler(1, mode="sample", **options)
    drawn = Counter(sampler.sample(fixed(weights, batch), batch=batch, seed=3)[:, 0].tolist())
    return np.array([drawn[i] / batch for i in range(len(weights))])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.1, 0.4, 0.2, 0.3]),
        ({"temperature": 0.5}, np.square([0.1, 0.4, 0.2, 0.3]) / np.square([0.1, 0.4, 0.2, 0.3]).sum()),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_k": 100}, [0.1, 0.4, 0.2, 0.3]),
        ({"top_p": 0.65}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.75}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"top_p": 1e-9}, [0, 1, 0, 0]),
        ({"top_k": 3, "top_p": 0.5}, [0, 4 / 7, 0, 3 / 7]),
    ],
)
def test_frequencies(options: dict[str, float], expected: list[float]) -> None:
    np.testing.assert_allclose(frequencies([0.1, 0.4, 0.2, 0.3], **options), expected, atol=0.012)


def test_seeds_reproduce_and_sequences_differ() -> None:
    sampler = AutoregressiveSampler(8, mode="sample", temperature=2.0)
    flat = lambda tokens: np.zeros((len(tokens), V))  # noqa: E731
    a = sampler.sample(flat, batch=3, seed=4)
    assert np.array_equal(a, sampler.sample(flat, batch=3, seed=4))
    assert not np.array_equal(a, sampler.sample(flat, batch=3, seed=5))
    assert len({tuple(row) for row in a.tolist()}) == 3
    assert np.array_equal(a[:2], sampler.sample(flat, batch=2, seed=4)), "a sequence knows nothing of others"


def test_stop_token_ends_each_sequence() -> None:
    stop_at = [2, 4]

    def model(tokens: np.ndarray) -> np.ndarray:
        result = np.zeros((2, 5))
        for row, at in enumerate(stop_at):
            result[row, 3 if tokens.shape[1] == at else 1] = 9
        return result

    result = AutoregressiveSampler(10, stop_token=3).sample(model, batch=2)
    assert result.tolist() == [[1, 1, 3, 3, 3], [1, 1, 1, 1, 3]]


def test_forbidden_tokens_are_never_drawn() -> None:
    def model(tokens: np.ndarray) -> np.ndarray:
        result = np.full((len(tokens), 6), -np.inf)
        result[:, [1, 4]] = 0
        return result

    drawn = AutoregressiveSampler(50, mode="sample").sample(model, batch=20)
    assert set(np.unique(drawn).tolist()) == {1, 4}


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (lambda t: np.full((1, 4), np.nan), vr.ModelError),
        (lambda t: np.array([[0, np.inf]]), vr.ModelError),
        (lambda t: np.full((1, 4), -np.inf), vr.ModelError),
        (lambda t: np.zeros((1, 0)), vr.ModelError),
        (lambda t: np.zeros((1, 4 + t.shape[1])), vr.ModelError),
        (lambda t: np.zeros(4), vr.ConfigError),
        (lambda t: np.zeros((2, 4)), vr.ConfigError),
        (lambda t: None, vr.ConfigError),
        (lambda t: 1 / 0, ZeroDivisionError),
    ],
)
@pytest.mark.parametrize("mode", ["greedy", "sample"])
def test_bad_models(model: object, kind: type[Exception], mode: str) -> None:
    with pytest.raises(kind):
        AutoregressiveSampler(3, mode=mode).sample(model)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"num_tokens": 0}, "num_tokens"),
        ({"num_tokens": 10**6}, "num_tokens"),
        ({"mode": "beam"}, "mode"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"stop_token": -1}, "stop_token"),
    ],
)
def test_bad_options(options: dict, field: str) -> None:
    with pytest.raises(vr.ConfigError) as error:
        AutoregressiveSampler(**({"num_tokens": 3} | options))
    assert error.value.name == field


@pytest.mark.parametrize("batch", [0, -1, 10**6])
def test_bad_batch(batch: int) -> None:
    with pytest.raises(vr.ConfigError, match="batch"):
        AutoregressiveSampler(3).sample(logits, batch=batch)


def test_parallel_decoding_chooses_every_position_from_one_call() -> None:
    rng = np.random.default_rng(8)
    answer = rng.normal(size=(2, 5, V))
    calls = []

    def all_logits(tokens: np.ndarray) -> np.ndarray:
        calls.append(tokens.shape)
        return answer

    assert np.array_equal(
        AutoregressiveSampler(5, parallel=True).sample(all_logits, batch=2), answer.argmax(2)
    )
    assert calls == [(2, 0)]
    # Drawn by the same numbers as one at a time.
    one_by_one = AutoregressiveSampler(5, mode="sample", top_k=4).sample(
        lambda t: answer[:, t.shape[1]], 2, seed=3
    )
    at_once = AutoregressiveSampler(5, mode="sample", top_k=4, parallel=True).sample(all_logits, 2, seed=3)
    assert np.array_equal(at_once, one_by_one)
    stop = int(answer[0, 2].argmax())
    stopped = AutoregressiveSampler(5, stop_token=stop, parallel=True).sample(lambda t: answer[:1])
    assert stopped.tolist() == [answer[0, :3].argmax(1).tolist()]
    with pytest.raises(vr.ConfigError, match="shape"):
        AutoregressiveSampler(5, parallel=True).sample(lambda t: answer[:, 0], batch=2)
