import numpy as np
import pytest

import vla_rt as vr
from vla_rt.samplers import DirectSampler, noise

B, T, D = 3, 4, 2


def normal_head(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.normal(size=(B, T, D)), rng.uniform(0.1, 2, size=(B, T, D))], axis=1)


def mixture_head(weights: list[float]) -> np.ndarray:
    rng = np.random.default_rng(1)
    m = len(weights)
    logits = np.broadcast_to(np.log(weights)[None, :, None], (B, m, 1)) + rng.normal(size=(B, 1, 1))
    means = rng.normal(size=(B, m, T * D)) + 100 * np.arange(m)[None, :, None]
    return np.concatenate([logits, means, np.full((B, m, T * D), 0.5)], axis=2)


def test_the_value_head_is_the_answer_itself() -> None:
    seen = []

    def network(x: np.ndarray, t: float) -> np.ndarray:
        seen.append((x.copy(), t))
        return 2 * x + 1

    z = noise(0, 0, 0, (B, T, D))
    assert np.array_equal(DirectSampler().sample(network, z), 2 * z + np.float32(1))
    assert np.array_equal(
        DirectSampler(clip_sample=True, clip_range=0.5).sample(network, z), np.clip(2 * z + 1, -0.5, 0.5)
    )
    assert len(seen) == 2
    assert np.array_equal(seen[0][0], z)
    assert seen[0][1] == 0.0
    assert DirectSampler().timesteps.tolist() == [0.0]


def test_normal_head() -> None:
    head = normal_head()
    z = np.zeros((B, T, D))
    mean = head[:, 0].astype(np.float32)
    for mode in ("mean", "mode"):
        assert np.array_equal(DirectSampler("normal", mode).sample(lambda x, t: head, z), mean)
    given = np.random.default_rng(2).normal(size=(1, B, T, D)).astype(np.float32)
    drawn = DirectSampler("normal", "sample").sample(lambda x, t: head, z, step_noise=given)
    np.testing.assert_allclose(drawn, head[:, 0] + head[:, 1] * given[0], rtol=0, atol=1e-6)
    own = DirectSampler("normal", "sample").sample(lambda x, t: head, z, seed=9)
    expected = np.stack([head[b, 0] + head[b, 1] * noise(9, b, 1, (T, D)) for b in range(B)])
    np.testing.assert_allclose(own, expected, rtol=0, atol=1e-6)
    clipped = DirectSampler("normal", "sample", clip_sample=True).sample(lambda x, t: head, z, seed=9)
    assert np.array_equal(clipped, np.clip(own, -1, 1))


def test_mixture_head() -> None:
    weights = [0.5, 0.3, 0.2]
    head = mixture_head(weights)
    means = head[:, :, 1 : 1 + T * D].reshape(B, 3, T, D)
    z = np.zeros((B, T, D))

    def sample(mode: str, seed: int = 0) -> np.ndarray:
        return DirectSampler("mixture", mode, num_components=3).sample(lambda x, t: head, z, seed=seed)

    np.testing.assert_allclose(sample("mean"), np.einsum("m,bmtd->btd", weights, means), rtol=1e-5)
    np.testing.assert_allclose(sample("mode"), means[:, 0], rtol=1e-6)
    counts = np.zeros(3)
    residuals = []
    for seed in range(1000):
        chunks = sample("sample", seed)
        assert np.array_equal(chunks, sample("sample", seed))
        of = np.rint(chunks.mean(axis=(1, 2)) / 100).astype(int)  # all rows of a chunk are of one component
        for b in range(B):
            counts[of[b]] += 1
            residuals.append(chunks[b] - means[b, of[b]])
    assert np.abs(counts / counts.sum() - weights).max() < 5 * 0.5 / np.sqrt(3000)
    spread = np.concatenate([r.ravel() for r in residuals])
    assert abs(spread.mean()) < 5 * 0.5 / np.sqrt(spread.size)
    assert abs(spread.std() - 0.5) < 0.02


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"head": "laplace"}, "head"),
        ({"mode": "median"}, "mode"),
        ({"mode": "sample"}, "mode"),
        ({"head": "normal", "num_components": 2}, "num_components"),
        ({"head": "mixture", "num_components": 0}, "num_components"),
        ({"clip_range": 0.0}, "clip_range"),
        ({"clip_range": float("nan")}, "clip_range"),
    ],
)
def test_options_are_checked(options: dict[str, object], field: str) -> None:
    with pytest.raises(vr.ConfigError) as error:
        DirectSampler(**options)
    assert error.value.name == field


def test_bad_answers_and_noise() -> None:
    z = np.zeros((B, T, D), np.float32)
    head = normal_head()
    with pytest.raises(vr.ConfigError, match="shape"):
        DirectSampler("normal").sample(lambda x, t: head[:, 0], z)
    bad = head.copy()
    bad[1, 1, 2, 0] = -1e-3
    with pytest.raises(vr.ModelError, match="standard deviation"):
        DirectSampler("normal").sample(lambda x, t: bad, z)
    bad[1, 1, 2, 0] = np.nan
    with pytest.raises(vr.ModelError, match=r"denoiser output\[1, 1, 2, 0\]"):
        DirectSampler("normal").sample(lambda x, t: bad, z)
    with pytest.raises(vr.ConfigError, match=r"noise\[0, 0, 1\]"):
        DirectSampler().sample(lambda x, t: x, np.array([[[0, np.inf]]]))
    for shape in ((T, D), (0, T, D)):
        with pytest.raises(vr.ConfigError, match="noise"):
            DirectSampler().sample(lambda x, t: x, np.zeros(shape))
    with pytest.raises(vr.ConfigError, match="step_noise"):
        DirectSampler("normal", "sample").sample(lambda x, t: head, z, step_noise=np.zeros((2, B, T, D)))
    with pytest.raises(ZeroDivisionError):
        DirectSampler().sample(lambda x, t: 1 / 0, z)
