"""What the policies promise beyond shapes and learning."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import vla_rt as vr

torch = pytest.importorskip("torch")

from vla_rt import policies as vp  # noqa: E402
from vla_rt.policies.networks.spatial_softmax import SpatialSoftmax  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def shaken(policy):
    """Weights far from their start, so that nothing holds by initialisation alone."""
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return policy.eval()


def small_transformer():
    return vp.ActionTransformer(
        vp.ActionTransformerConfig(
            observation=(("vision", (3, 6)), ("observation.state", (5,))), horizon=6, execution_horizon=6,
            width=32, layers=1, heads=2, dropout=0.0,
        )
    )  # fmt: skip


def test_poses_are_poses():
    policy = shaken(small_transformer())
    with torch.no_grad():
        actions = policy.answer(torch.randn(50, 3, 6) * 3, torch.randn(50, 5) * 3)
    assert actions.shape == (50, 6, 8)
    torch.testing.assert_close(actions[:, :, 3:7].norm(dim=2), torch.ones(50, 6))
    assert (actions[:, 0, 6] >= 0).all()
    assert (actions[:, :, 7] > 0).all()
    assert (actions[:, :, 7] < 1).all()


def test_the_loss_of_a_rotation_does_not_know_its_two_quaternions():
    policy = shaken(small_transformer())
    q = torch.nn.functional.normalize(torch.randn(4, 6, 4), dim=2)
    batch = {"vision": torch.randn(4, 3, 6), "observation.state": torch.randn(4, 5)}
    actions = [torch.cat([torch.zeros(4, 6, 3), s * q, torch.ones(4, 6, 1)], dim=2) for s in (1.0, -1.0)]
    flipped = actions[0].clone()
    flipped[:, 1::2, 3:7] *= -1
    losses = [policy.loss({**batch, "action": a}).item() for a in (*actions, flipped)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert losses[2] == pytest.approx(losses[0], rel=1e-6)
    for change, name in ((slice(3, 7), "action[2, 3, 3:7]"), (slice(7, 8), "action[2, 3, 7]")):
        bad = actions[0].clone()
        bad[2, 3, change] = 0.0 if change.start == 3 else 1.5
        with pytest.raises(vr.ConfigError) as caught:
            policy.loss({**batch, "action": bad})
        assert caught.value.name == name


@pytest.mark.parametrize("kind", ["predictor", "vla", "planner"])
def test_generation_matches_teacher_forcing(kind):
    """Drawn one by one with caches, every token is the argmax of the logits of the whole sequence."""
    if kind == "predictor":
        policy = vp.ActionTokenPredictor(
            vp.ActionTokenPredictorConfig(
                observation=(("context", (5, 8)),),
                horizon=2,
                action_dim=3,
                vocabulary_size=16,
                width=16,
                layers=2,
                heads=2,
            )
        )
        observation = (torch.randn(1, 5, 8),)
    elif kind == "vla":
        policy = vp.OpenVLATokenPolicy(
            vp.OpenVLATokenConfig(
                observation=(("observation.image", (3, 8, 8)), ("instruction", (5,), "int64")),
                horizon=2,
                action_dim=3,
                vocabulary_size=16,
                backbone=vp.VisionLanguageConfig(9, width=16, layers=2, heads=2, patch_size=4),
            )
        )
        observation = (torch.rand(1, 3, 8, 8), torch.tensor([[3, 1, 4, 0, 0]]))
    else:
        policy = vp.HierarchicalActionPlanner(
            vp.HierarchicalActionPlannerConfig(
                observation=(("vision", (8,)), ("text", (8,))),
                horizon=4,
                execution_horizon=4,
                high_actions=3,
                low_actions=7,
                vocabulary_size=7,
                high_hidden=(8,),
                low_hidden=(8,),
                update_hidden=8,
            )
        )
        observation = (torch.randn(1, 8), torch.randn(1, 8))
    shaken(policy)
    with torch.no_grad():
        for seed in range(4):
            observation = tuple(o + 0.5 * seed if o.is_floating_point() else o for o in observation)
            context = policy.encode(*observation)
            caches = tuple(torch.zeros(1, *shape) for shape in policy.cache_shapes())
            count = policy.config.num_tokens
            tokens = torch.randint(0, 3, (1, count))
            whole = policy.logits(tokens, context)[0]
            before = [policy.start_token, *tokens[0].tolist()]
            for k in range(count):
                row = policy.next_token_logits(torch.tensor([before[k]]), torch.tensor([k]), caches, context)
                torch.testing.assert_close(row[0], whole[k], atol=1e-4, rtol=1e-4)
            changed = tokens.clone()
            changed[0, -2] = (changed[0, -2] + 1) % 3
            other = policy.logits(changed, context)[0]
            assert torch.equal(other[:-1], whole[:-1])  # no token is seen before its time
            assert (other[-1] - whole[-1]).abs().max() > 1e-4


def test_a_planned_sequence_is_what_it_predicts():
    policy = shaken(vp.HierarchicalActionPlanner())
    observation = {"vision": np.linspace(-1, 1, 512), "text": np.linspace(1, 0, 512)}
    sequence = policy.get_action_sequence(observation)
    assert sequence.high_probabilities.shape == (5, 10)
    assert sequence.low_probabilities.shape == (5, 50)
    torch.testing.assert_close(sequence.high_probabilities.sum(dim=1), torch.ones(5))
    torch.testing.assert_close(sequence.low_probabilities.sum(dim=1), torch.ones(5))
    assert (sequence.features[1:] - sequence.features[:-1]).abs().amax(dim=1).min() > 0
    chunk = policy.predict(observation)
    np.testing.assert_array_equal(chunk[:, 0], sequence.high.numpy())
    np.testing.assert_array_equal(chunk[:, 1], sequence.low.numpy())
    assert len(policy.get_action_sequence(observation, 2).high) == 2
    with pytest.raises(vr.ConfigError, match="length"):
        policy.get_action_sequence(observation, 0)


def test_tasks():
    policy = shaken(vp.TaskOrientedActionGenerator())
    assert policy.config.tasks[:2] == ("navigation", "grasping")
    assert len(policy.config.tasks) == 10
    with torch.no_grad():
        found = policy.evaluate(torch.randn(6, 512), torch.randn(6, 512))
    assert found.actions.shape == (6, 10, 1, 7)
    assert found.values.shape == (6, 10)
    assert found.actions.abs().max() <= 1
    for b, task in enumerate(found.task.tolist()):
        assert task == found.task_logits[b].argmax()
        assert torch.equal(found.action[b], found.actions[b, task])
        assert found.value[b] == found.values[b, task]
    batch = {"vision": torch.randn(2, 512), "text": torch.randn(2, 512), "action": torch.zeros(2, 1, 7)}
    for tasks, name in ((None, "task_index"), (torch.tensor([0, 10]), "task_index[1]")):
        with pytest.raises(vr.ConfigError) as caught:
            policy.loss(batch if tasks is None else {**batch, "task_index": tasks})
        assert caught.value.name == name


def test_discrete_actions():
    policy = vp.DiscreteActionGenerator()
    linears = [m for m in policy.layers if isinstance(m, torch.nn.Linear)]
    assert [m.out_features for m in linears] == [512, 256, 128, 20]
    assert vp.DiscreteActionDecoder().layers[0].out_features == 256
    observation = {"vision": np.zeros(512), "text": np.zeros(512)}
    with torch.no_grad():
        linears[-1].weight.zero_()
        linears[-1].bias.copy_(torch.log(torch.arange(1, 21) / 210.0))
    drawn = np.array([policy.predict(observation, seed=s)[0, 0] for s in range(3000)])
    assert set(drawn) <= set(range(20))
    frequencies = np.bincount(drawn.astype(int), minlength=20) / len(drawn)
    assert np.abs(frequencies - np.arange(1, 21) / 210).max() < 0.02
    batch = {"vision": torch.zeros(1, 512), "text": torch.zeros(1, 512)}
    for value in (20.0, -1.0, 0.5):
        with pytest.raises(vr.ConfigError) as caught:
            policy.loss({**batch, "action": torch.full((1, 1, 1), value)})
        assert caught.value.name == "action[0, 0, 0]"


def test_the_actor_follows_the_advantage_and_the_critic_the_return():
    policy = vp.ActorCritic(vp.ActorCriticConfig(observation=(("o", (3,)),), action_dim=2, hidden=(16,)))
    observation = torch.randn(8, 3)
    with torch.no_grad():
        mean = policy.distribution({"o": observation}).mean
        value = policy.value({"o": observation})
    assert mean.shape == (8, 2)
    better = (mean + 0.3)[:, None]
    batch = {"o": observation, "action": better}
    for sign in (1.0, -1.0):
        policy.zero_grad()
        policy.loss({**batch, "return": value + sign}).backward()
        # a step down the gradient raises the mean where the action was better than expected
        assert (torch.sign(policy.actor.bias.grad) == -sign).all()
        assert torch.sign(policy.critic.bias.grad) == -sign
    policy.zero_grad()
    policy.loss({**batch, "return": value}).backward()
    assert policy.actor.bias.grad.abs().max() < 1e-6


def test_raw_distributions_are_those_of_what_it_predicts():
    config = vp.ContinuousActionDecoderConfig(observation=(("o", (3,)),), action_dim=2)
    policy = vp.ContinuousActionDecoder(config)
    policy.set_statistics({"action": {"min": [-2.0, 1.0], "max": [0.0, 11.0]}})
    observation = np.array([0.3, -1.0, 2.0], dtype="f4")
    with torch.no_grad():
        found = policy.distribution({"o": torch.from_numpy(observation)[None]})
    drawn = np.stack([policy.predict({"o": observation}, seed=s)[0] for s in range(2000)])
    std = found.stddev[0].numpy()
    assert np.abs(drawn.mean(0) - found.mean[0].numpy()).max() < 5 * std.max() / np.sqrt(2000)
    np.testing.assert_allclose(drawn.std(0), std, rtol=0.1)


class Target:
    """One step: the reward is how near the action is to the observation."""

    def reset(self, seed):
        self.place = np.random.default_rng(seed).uniform(-1, 1, 1).astype("f4")
        return {"o": self.place}

    def step(self, action):
        return {"o": self.place}, -float(np.abs(action - self.place).sum()), True


def test_the_actor_critic_learns_from_reward():
    from vla_rt.training import PolicyGradientConfig, actor_critic

    config = vp.ActorCriticConfig(observation=(("o", (1,)),), action_dim=1, hidden=(16,))
    policy = vp.ActorCritic(config)
    settings = PolicyGradientConfig(iterations=60, episodes=32, max_steps=1, learning_rate=2e-2)
    returns = actor_critic(policy, Target(), settings).returns
    assert np.mean(returns[-5:]) > 0.6 * np.mean(returns[:5])  # both negative


def test_act_uses_its_style_in_training_alone():
    policy = vp.ACT(
        vp.ACTConfig(
            observation=(("observation.image", (3, 32, 32)), ("observation.state", (3,))), horizon=4,
            execution_horizon=4, action_dim=2, width=16, heads=2, feed_forward=32, encoder_layers=1, latent=3,
            image_width=4, dropout=0.0,
        )
    )  # fmt: skip
    image, state = torch.rand(2, 3, 32, 32), torch.randn(2, 3)
    batch = {"observation.image": image, "observation.state": state, "action": torch.randn(2, 4, 2)}
    policy.loss(batch).backward()
    assert policy.style_head.weight.grad.abs().max() > 0
    shaken(policy)
    with torch.no_grad():
        pad = torch.tensor([[False, False, True, True]] * 2)
        mean, log_variance = policy.style(state, batch["action"], pad)
        changed = batch["action"].clone()
        changed[:, 2:] = 7.0
        torch.testing.assert_close(policy.style(state, changed, pad)[0], mean)
        assert not torch.allclose(policy.style(state, changed, None)[0], mean)
        assert mean.shape == log_variance.shape == (2, 3)
        before = policy.answer(image, state)
        policy.style_head.weight.mul_(5.0)
        torch.testing.assert_close(policy.answer(image, state), before)
        assert not torch.allclose(policy.answer(image.flip(3), state), before)  # places matter
    default = vp.ACTConfig()
    assert (default.horizon, default.width, default.heads, default.feed_forward) == (100, 512, 8, 3200)
    assert (default.encoder_layers, default.decoder_layers, default.latent) == (4, 1, 32)


def test_constraints_of_the_call_hold():
    rng = np.random.default_rng(0)
    policy = shaken(
        vp.ConstrainedActionDecoder(vp.ConstrainedActionDecoderConfig(horizon=5, execution_horizon=5))
    )
    limited = 0
    for _ in range(50):
        lower = rng.uniform(-3, 0, 7)
        upper = lower + rng.uniform(0.1, 4, 7)
        position, fastest = rng.uniform(lower, upper), rng.uniform(0, 5, 7)
        observation = {
            "features": rng.normal(size=768), "observation.state": position,
            "joint_limits": np.stack([lower, upper]), "max_velocity": fastest,
        }  # fmt: skip
        chunk = policy.predict(observation)
        assert (chunk >= lower - 1e-6).all()
        assert (chunk <= upper + 1e-6).all()
        steps = np.abs(np.diff(np.vstack([position, chunk]), axis=0))
        assert (steps <= fastest * policy.config.period_s + 1e-6).all()
        limited += (steps > fastest * policy.config.period_s - 1e-6).any()
    assert limited > 10
    outside = {**observation, "observation.state": upper + 1.0}
    chunk = policy.predict(outside)
    assert (np.abs(chunk[0] - upper - 1.0) <= fastest * policy.config.period_s + 1e-6).all()
    with pytest.raises(vr.ConfigError, match=r"joint_limits\[0\]"):
        policy.predict({**observation, "joint_limits": np.stack([upper, lower])})
    with pytest.raises(vr.ConfigError, match=r"max_velocity\[2\]"):
        policy.predict({**observation, "max_velocity": np.where(np.arange(7) == 2, -1.0, 1.0)})


LIMITS = vr.JointLimits([-1.0] * 3, [1.0] * 3, [2.0] * 3, [8.0] * 3, [80.0] * 3)


class Wild(torch.nn.Module):
    """Far outside every limit."""

    config = vp.PolicyConfig(observation=(("observation.state", (3,)),), horizon=6, action_dim=4)

    def predict(self, observation, noise=None, step_noise=None, seed=0):
        return np.hstack([np.full((6, 3), 50.0), np.arange(6.0)[:, None]])


def test_a_wrapped_policy_is_safe():
    wrapper = vp.SafeActionWrapper(Wild(), vp.SafeActionConfig(LIMITS))
    chunk = wrapper.predict({"observation.state": np.zeros(3)})
    assert chunk.shape == (6, 4)
    assert (np.abs(chunk[:, :3]) <= 1.0).all()
    assert (np.abs(np.diff(np.vstack([np.zeros(3), chunk[:, :3]]), axis=0)) <= 0.2 + 1e-9).all()
    np.testing.assert_array_equal(chunk[:, 3], np.arange(6.0))  # the gripper is none of the joints
    assert wrapper.report.limited.all()
    assert wrapper.report.deviation.min() > 40
    calm = np.linspace(0, 0.02, 6)[:, None] * np.ones(3)
    for output in (calm, torch.from_numpy(calm), {"action": torch.from_numpy(calm).float(), "x": 1}):
        safe = wrapper.filter(output, np.zeros(3))
        assert type(safe) is type(output)
        values = safe["action"] if isinstance(safe, dict) else safe
        assert values.dtype == (output["action"] if isinstance(output, dict) else output).dtype
        assert np.abs(np.asarray(values) - calm).max() < 5e-3
    assert safe["x"] == 1
    assert wrapper.filter(np.full(3, 9.0), np.zeros(3)).shape == (3,)
    with pytest.raises(vr.ConfigError, match="action"):
        wrapper.filter({"wrong": calm}, np.zeros(3))
    with pytest.raises(vr.ConfigError, match="shape"):
        wrapper.filter(calm[:, :2], np.zeros(3))


def test_a_wrapper_cannot_be_exported(tmp_path):
    with pytest.raises(vr.ConfigError, match="sampler_spec"):
        vr.export_policy(vp.SafeActionWrapper(Wild(), vp.SafeActionConfig(LIMITS)), tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_the_validator_learns_what_is_safe_and_shrinks_to_it():
    validator = vp.ActionSafetyValidator(vp.ActionSafetyConfig(action_dim=3))
    linears = [m.out_features for m in vp.ActionSafetyValidator().critic if isinstance(m, torch.nn.Linear)]
    assert linears == [128, 64, 32, 1]
    actions = torch.rand(512, 3) * 2 - 1
    batch = {"action": actions, "safe": (actions.norm(dim=1) < 0.8).float()}
    optimizer = torch.optim.Adam(validator.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        validator.loss(batch).backward()
        optimizer.step()
    fresh = torch.rand(1000, 3) * 2 - 1
    judged = validator.is_safe(fresh)
    assert (judged == (fresh.norm(dim=1) < 0.8)).float().mean() > 0.85
    safe = validator.safe_action_generation(5 * fresh)
    assert validator.is_safe(safe).float().mean() > 0.99
    assert safe.norm(dim=1).max() < 1.1
    kept = validator.safe_action_generation(fresh[judged])
    assert torch.equal(kept, fresh[judged])
    with torch.no_grad():
        validator.critic[-1].bias.fill_(-100.0)
    assert validator.safe_action_generation(fresh).abs().max() == 0  # nothing is safe
    with pytest.raises(vr.ConfigError, match="safe"):
        validator.loss({"action": actions})


def test_the_encoder_listens_and_ignores_padding():
    encoder = vp.MultimodalEncoder(
        vp.MultimodalConfig(
            observation=(("observation.image", (3, 32, 32)), ("instruction", (6,), "int64"), ("s", (2,)))
        )
    ).eval()
    image, state = torch.rand(1, 3, 32, 32), torch.randn(1, 2)
    words = torch.tensor([[2, 3, 4, 0, 0, 0]])
    with torch.no_grad():
        encoded = encoder(image, words, state)
        assert encoded.shape == (1, 512)
        for other in ((image.flip(3), words, state), (image, words.flip(1), state), (image, words, -state)):
            assert (encoder(*other) - encoded).abs().max() > 1e-4
        encoder.texts[0].words.weight[0] += 9.0
        torch.testing.assert_close(encoder(image, words, state), encoded)
        assert torch.isfinite(encoder(image, torch.zeros_like(words), state)).all()


def test_places_in_a_feature_map_are_its_softmax_means_and_stand_out_from_the_start():
    places = SpatialSoftmax(temperature=0.5)
    features = torch.randn(2, 3, 5, 7)
    weights = scipy.special.softmax(features.numpy().reshape(2, 3, -1) / 0.5, axis=2).reshape(features.shape)
    x, y = np.linspace(-1, 1, 7), np.linspace(-1, 1, 5)
    expected = np.stack(
        [(weights.sum(axis=2) * x).sum(axis=2), (weights.sum(axis=3) * y).sum(axis=2)], axis=2
    )
    np.testing.assert_allclose(places(features).detach().reshape(2, 3, 2), expected, atol=1e-6)
    spot = torch.zeros(1, 1, 24, 24)  # of a policy's picture of 96 x 96
    spot[0, 0, 3, 20] = 2.0
    found = SpatialSoftmax()(spot)[0].detach().numpy()
    assert np.abs(found).min() > 0.4 * (1 - 2 * 3 / 23)


def test_unknown_word_ids_are_named():
    multimodal = vp.MultimodalConfig(width=8, vocabulary_size=4, text_width=8, text_heads=2)
    config = vp.FlowMatchingConfig(
        observation=(("instruction", (3,), "int64"),), obs_dim=8, multimodal=multimodal
    )
    policy = vp.FlowMatchingPolicy(config)
    assert policy.predict({"instruction": np.array([3, 1, 0])}).shape == (16, 7)
    for words, at in (([1, 4, 0], 1), ([1, 2, -1], 2)):
        with pytest.raises(vr.ConfigError) as caught:
            policy.predict({"instruction": np.array(words)})
        assert caught.value.name == f"instruction[{at}]"
        with pytest.raises(vr.ConfigError, match="instruction"):
            policy.loss({"instruction": torch.tensor([words]), "action": torch.zeros(1, 16, 7)})
    with pytest.raises(vr.ConfigError, match="whole numbers"):
        policy.predict({"instruction": np.array([1.0, 2.0, 0.0])})


def test_words():
    vocabulary = vp.InstructionVocabulary.of(["Touch the red block!", "touch the blue block"], length=6)
    assert vocabulary.words == ("block", "blue", "red", "the", "touch")
    assert vocabulary.encode("Touch the GREEN block.").tolist() == [6, 5, 1, 2, 0, 0]
    with pytest.raises(vr.ConfigError, match="at most 6"):
        vocabulary.encode("one two three four five six seven")
    with pytest.raises(vr.ConfigError, match=r"words\[1\]"):
        vp.InstructionVocabulary(("a", "B")).validate()


def test_a_vla_reads_text():
    vocabulary = vp.InstructionVocabulary(("red", "blue"), length=4)
    config = vp.OpenVLAConfig(
        observation=(("observation.image", (3, 8, 8)), ("instruction", (4,), "int64")),
        instruction_vocabulary=vocabulary,
        backbone=vp.VisionLanguageConfig(6, width=16, layers=1, heads=2, patch_size=4),
    )
    policy = shaken(vp.OpenVLAPolicy(config))
    assert not any(p.requires_grad for p in policy.backbone.parameters())
    assert all(p.requires_grad for p in policy.action_head.parameters())
    policy.freeze(False)
    assert all(p.requires_grad for p in policy.parameters())
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    chunk = policy.predict(image, "red")
    ids = {"observation.image": image.transpose(2, 0, 1) / 255.0, "instruction": np.array([2, 0, 0, 0])}
    np.testing.assert_allclose(policy.predict(ids), chunk, atol=1e-6)
    np.testing.assert_array_equal(policy.predict({**ids, "instruction": "red"}), policy.predict(ids))
    assert np.abs(policy.predict(image, "blue") - chunk).max() > 1e-4
    with pytest.raises(vr.ConfigError, match=r"instruction\[0\]"):
        policy.predict(image, np.array([6, 0, 0, 0]))
    with pytest.raises(vr.ConfigError, match="instruction"):
        policy.predict(image)
    silent = vp.OpenVLAPolicy(vp.OpenVLAConfig(observation=config.observation, backbone=config.backbone))
    with pytest.raises(vr.ConfigError, match="instruction_vocabulary"):
        silent.predict(image, "red")


class Branching(torch.nn.Module):
    """A backbone of the user's own that looks at values."""

    width = 4

    def forward(self, image, words):
        return image.mean(dim=(1, 2, 3))[:, None].expand(-1, 4) * (1.0 if words.sum() > 3 else -1.0)


def test_a_backbone_that_cannot_be_exported_says_so_at_export(tmp_path):
    if vr._core.TORCH_VERSION is None:
        pytest.skip("built without torch")
    observation = (("observation.image", (3, 8, 8)), ("instruction", (4,), "int64"))
    policy = vp.OpenVLAPolicy(vp.OpenVLAConfig(observation=observation), Branching())
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    assert policy.predict(image, np.array([1, 1, 1, 1])).shape == (1, 7)
    with pytest.raises(vr.ModelError, match="cannot be exported"):
        vr.export_policy(policy, tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_model_of_the_hub_is_a_backbone(tmp_path):
    transformers = pytest.importorskip("transformers")
    tiny = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = transformers.CLIPVisionConfig(**tiny, image_size=16, patch_size=8)
    text = transformers.LlamaConfig(**tiny, vocab_size=40)
    config = transformers.LlavaConfig(vision_config=vision, text_config=text, image_token_id=39)
    model = transformers.LlavaForConditionalGeneration(config).eval()
    backbone = vp.HubBackbone(model)
    image, words = torch.rand(2, 3, 16, 16), torch.tensor([[3, 4, 0, 0], [5, 6, 7, 0]])
    with torch.no_grad():
        hidden = backbone(image, words)
        assert hidden.shape == (2, 16)
        for b, count in ((0, 2), (1, 3)):  # padding changes nothing
            alone = backbone(image[b : b + 1], words[b : b + 1, :count])
            torch.testing.assert_close(alone[0], hidden[b], atol=1e-5, rtol=1e-4)
        assert (backbone(image.flip(0), words) - hidden).abs().max() > 1e-4
    observation = (("observation.image", (3, 16, 16)), ("instruction", (4,), "int64"))
    policy = vp.OpenVLAPolicy(vp.OpenVLAConfig(observation=observation), backbone)
    loss = policy.loss({"observation.image": image, "instruction": words, "action": torch.zeros(2, 1, 7)})
    loss.backward()
    assert all(p.grad is None for p in model.parameters())
    assert policy.predict(image[0].numpy(), words[0].numpy()).shape == (1, 7)
    with pytest.raises(vr.ConfigError, match="vision_config"):
        vp.HubBackbone(transformers.LlamaForCausalLM(text))


def test_training_hands_over_what_a_policy_asks_for():
    from vla_rt.training import TrainConfig, train

    config = vp.TaskOrientedConfig(
        observation=(("o", (3,)),), action_dim=2, hidden=(8,), tasks=("a", "b"), classifier_hidden=8
    )
    policy = vp.TaskOrientedActionGenerator(config)
    rng = np.random.default_rng(0)
    samples = [
        {
            "o": rng.normal(size=3).astype("f4"), "action": rng.normal(size=(1, 2)).astype("f4"),
            "task_index": np.int64(i % 2), "return": np.float32(i),
        }
        for i in range(8)
    ]  # fmt: skip
    before = [p.clone() for p in policy.estimators.parameters()]
    train(policy, samples, TrainConfig(steps=3, batch_size=4, warmup_steps=0, progress=False, ema_decay=0.0))
    assert any(not torch.equal(a, b) for a, b in zip(before, policy.estimators.parameters(), strict=True))
    del samples[0]["task_index"]
    with pytest.raises(vr.ConfigError, match="task_index"):
        train(policy, samples, TrainConfig(steps=3, batch_size=4, progress=False))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: vp.ActionTransformerConfig(action_dim=7), "action_dim"),
        (lambda: vp.ActionTransformerConfig(width=30), "width"),
        (lambda: vp.ActionTokenPredictorConfig(vocabulary_size=1), "vocabulary_size"),
        (lambda: vp.DiscreteActionDecoderConfig(action_normalization="min_max"), "action_normalization"),
        (lambda: vp.DiscreteActionDecoderConfig(vocabulary="motion"), "action_dim"),
        (lambda: vp.HierarchicalActionPlannerConfig(high_actions=51), "high_actions"),
        (lambda: vp.TaskOrientedConfig(tasks=()), "tasks"),
        (lambda: vp.ActorCriticConfig(initial_std=0.0), "initial_std"),
        (lambda: vp.ACTConfig(observation=(("observation.image", (3, 32, 32)),)), "observation"),
        (lambda: vp.ConstrainedActionDecoderConfig(action_normalization="min_max"), "action_normalization"),
        (lambda: vp.ConstrainedActionDecoderConfig(action_dim=6), "observation.observation.state"),
        (lambda: vp.OpenVLAConfig(observation=(("s", (3,)),)), "observation"),
        (lambda: vp.FlowMatchingConfig(obs_dim=8, multimodal=vp.MultimodalConfig()), "multimodal.width"),
        (lambda: vp.DiffusionConfig(channels=(256, 500)), "channels[1]"),
        (lambda: vp.ActionSafetyConfig(threshold=1.0), "threshold"),
        (lambda: vp.VisionBCConfig(observation=(("s", (3,)),)), "observation"),
    ],
)  # fmt: skip
def test_bad_configurations_are_named(make, name):
    with pytest.raises(vr.ConfigError) as caught:
        make().validate()
    assert caught.value.name == name
