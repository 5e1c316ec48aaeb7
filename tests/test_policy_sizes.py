"""The policies in their published sizes."""

from __future__ import annotations

import numpy as np
import pytest

import vla_rt as vr

torch = pytest.importorskip("torch")

from vla_rt import policies as vp  # noqa: E402


def widths(module) -> list[int]:
    linears = [m for m in module.modules() if isinstance(m, torch.nn.Linear)]
    return [linears[0].in_features, *(m.out_features for m in linears)]


def parameters(module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_heads():
    decoder = vp.ActionDecoder()
    assert widths(decoder.head_layers) == [768, 256, 128, 7]
    with torch.no_grad():
        decoder.head_layers.scale.copy_(torch.linspace(0.1, 0.7, 7))
        actions = decoder.answer(torch.randn(5, 768) * 1e4)
    assert actions.shape == (5, 1, 7)
    assert (actions.abs().amax(dim=(0, 1)) - torch.linspace(0.1, 0.7, 7)).abs().max() < 1e-6
    continuous = vp.ContinuousActionDecoder()
    with torch.no_grad():
        found = continuous.action_distribution(torch.randn(5, 768) * 1e4)
    assert found.mean.shape == found.stddev.shape == (5, 1, 7)
    assert found.stddev.min() >= 1e-5
    generator = vp.RobotActionGenerator().eval()
    assert widths(generator.fusion) == [1024, 1024, 512, 256]
    assert [m.p for m in generator.fusion if isinstance(m, torch.nn.Dropout)] == [0.1] * 3
    with torch.no_grad():
        made = generator.generate(torch.randn(3, 512) * 100, torch.randn(3, 512) * 100)
    assert made.action.shape == made.mean.shape == made.std.shape == (3, 1, 7)
    assert made.features.shape == (3, 256)
    assert made.action.abs().max() <= 1.0
    assert made.mean.abs().max() > 1.0


def test_chunkers():
    for chunker in (vp.ActionChunker(), vp.LSTMActionChunker()):
        with torch.no_grad():
            chunk = chunker.answer(torch.randn(2, 768))
        assert chunk.shape == (2, 10, 7)
        assert (chunk[:, 1:] - chunk[:, :-1]).abs().min() > 0  # every action is its own
    assert vp.LSTMActionChunker().lstm.num_layers == 2


def test_cloning():
    assert widths(vp.BCPolicy().layers) == [7, 256, 256, 256, 7]
    vision = vp.VisionBCPolicy()
    assert parameters(vision.images[0]) == 11_176_512  # ResNet-18 without its classifier
    assert widths(vision.state) == [14, 64, 64]
    assert widths(vision.layers) == [576, 256, 256, 7]
    with torch.no_grad():
        features = vision.images[0](torch.rand(1, 3, 64, 64))
        assert vision.answer(torch.rand(1, 3, 64, 64), torch.randn(1, 14)).shape == (1, 1, 7)
    assert features.shape == (1, 512)


def test_unet():
    network = vp.ConditionalUNet1D()
    assert parameters(network) == 26_520_327
    with torch.no_grad():
        for horizon in (4, 16, 20):
            x = torch.randn(2, horizon, 7)
            assert network(x, torch.tensor([3, 50]), torch.randn(2, 512)).shape == x.shape
        with pytest.raises(vr.ConfigError, match="multiple of 4"):
            network(torch.randn(2, 18, 7), torch.zeros(2), torch.randn(2, 512))
    with pytest.raises(vr.ConfigError) as caught:
        vp.DiffusionConfig(horizon=18).validate()
    assert caught.value.name == "horizon"
    vp.DiffusionConfig(horizon=18, network="mlp").validate()
    assert network.down[0].first.in_channels == 7
    assert [block.first.in_channels for block in network.up] == [1536, 768]


def test_noise_predictor():
    network = vp.NoisePredictor()
    assert widths(network.layers) == [112 + 256 + 256, 256, 256, 256, 112]
    assert widths(network.observation) == [512, 256, 256]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_training_noise_is_that_of_the_published_process(prediction):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(100, beta_start=1e-4, beta_end=0.02, prediction_type=prediction)
    torch.manual_seed(0)
    policy = vp.DiffusionPolicy(
        vp.DiffusionConfig(network="mlp", obs_dim=16, hidden=16, time_dim=8, prediction=prediction)
    )
    action, noise, t = torch.randn(9, 16, 7), torch.randn(9, 16, 7), torch.arange(9) * 12
    torch.testing.assert_close(policy.noised(action, noise, t), scheduler.add_noise(action, noise, t))
    batch = {"observation.state": torch.randn(9, 7), "action": action}
    torch.manual_seed(4)
    loss = policy.loss(batch)
    torch.manual_seed(4)
    noise, t = torch.randn_like(action), torch.randint(0, 100, (9,))
    target = noise if prediction == "epsilon" else scheduler.get_velocity(action, noise, t)
    with torch.no_grad():
        answer = policy.denoise(scheduler.add_noise(action, noise, t), t, batch["observation.state"])
    torch.testing.assert_close(loss.detach(), (answer - target).square().mean())


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm_solver"])
def test_every_diffusion_sampler_is_fully_named(sampler, tmp_path):
    if vr._core.TORCH_VERSION is None:
        pytest.skip("built without torch")
    torch.manual_seed(0)
    config = vp.DiffusionConfig(
        horizon=4, execution_horizon=2, network="mlp", obs_dim=16, hidden=16, time_dim=8, sampler=sampler,
        num_steps=7,
    )  # fmt: skip
    policy = vp.DiffusionPolicy(config)
    package = vr.load_policy(vr.export_policy(policy, tmp_path / "p"))
    observation = {"observation.state": np.linspace(-1, 1, 7)}
    rng = np.random.default_rng(0)
    step_noise = rng.normal(size=(7, 4, 7)).astype("f4")
    expected = policy.predict(observation, step_noise=step_noise, seed=3)
    np.testing.assert_allclose(
        package.sample(observation, step_noise=step_noise, seed=3), expected, atol=1e-4
    )
    own = policy.predict(observation, seed=3)
    assert np.allclose(own, expected) == (sampler != "ddpm")
