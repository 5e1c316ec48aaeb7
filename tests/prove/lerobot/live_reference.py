"""Runs inside an environment with the real LeRobot and vla_rt: its policy objects exported and in the loop.

    python live_reference.py SITE FOLDER

SITE is where vla_rt is installed. Makes the packages FOLDER/smolvla and FOLDER/smolvla_told, and says in
FOLDER/smolvla.npz what LeRobot answers, in FOLDER/live.json what came of its policies in a control loop.
"""

from __future__ import annotations

import json
import os
import site
import sys
import types
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
site.addsitedir(sys.argv[1])

import numpy as np
import torch
import without_torchvision  # noqa: F401
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.act.processor_act import make_act_pre_post_processors
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from lerobot.policies.diffusion.processor_diffusion import make_diffusion_pre_post_processors
from lerobot.policies.smolvla import smolvlm_with_expert
from lerobot.policies.smolvla.configuration_smolvla import SmolVLAConfig
from lerobot.policies.smolvla.modeling_smolvla import SmolVLAPolicy
from lerobot.policies.smolvla.processor_smolvla import make_smolvla_pre_post_processors
from transformers import PreTrainedTokenizerFast, SmolVLMConfig

import vla_rt as vr
from tokenizers import Tokenizer, models, pre_tokenizers
from vla_rt.integrations import lerobot

JOINTS, FPS, TASK = 4, 20.0, "fold the towel"
STATE = PolicyFeature(FeatureType.STATE, (JOINTS,))
IMAGE = PolicyFeature(FeatureType.VISUAL, (3, 40, 48))
SIZES: dict[str, Any] = {
    "input_features": {"observation.state": STATE, "observation.images.top": IMAGE},
    "output_features": {"action": PolicyFeature(FeatureType.ACTION, (JOINTS,))},
    "device": "cpu",
}
WORDS = ("<pad>", "<unk>", "<fake>", "<global>", "fold", "the", "towel", "touch", "it")


def backbone(folder: Path) -> None:
    """A vision-language model as small as can be, and a tokenizer of its own: nothing of the hub."""
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>")
    tokenizer.save_pretrained(folder)
    text = {
        "model_type": "llama", "vocab_size": 16, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "pad_token_id": 0,
    }  # fmt: skip
    vision = {
        "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 8,
    }  # fmt: skip
    SmolVLMConfig(
        text_config=text, vision_config=vision, scale_factor=2, image_token_id=3, pad_token_id=0
    ).save_pretrained(folder)
    ids = types.SimpleNamespace(fake_image_token_id=2, global_image_token_id=3)
    processor = types.SimpleNamespace(tokenizer=ids)
    smolvlm_with_expert.AutoProcessor = types.SimpleNamespace(from_pretrained=lambda name: processor)


def statistics() -> dict[str, dict[str, torch.Tensor]]:
    random = np.random.default_rng(5)
    made = {}
    for name in ("observation.state", "action"):
        low, size = random.normal(size=JOINTS), random.uniform(0.5, 2.0, JOINTS)
        values = {"min": low, "max": low + size, "mean": low + size / 2, "std": size / 4}
        made[name] = {key: torch.from_numpy(value).float() for key, value in values.items()}
    white = {"mean": 0.5, "std": 0.25, "min": 0.0, "max": 1.0}
    made["observation.images.top"] = {key: torch.full((3, 1, 1), v) for key, v in white.items()}
    return made


def policies(folder: Path) -> dict[str, tuple[Any, Any, Any]]:
    """(policy, preprocessor, postprocessor) by name, of random weights."""
    backbone(folder)
    configs = {
        "act": ACTConfig(
            **SIZES, dim_model=32, n_heads=4, dim_feedforward=48, chunk_size=12, n_action_steps=7,
            latent_dim=6, pretrained_backbone_weights=None,
        ),
        "diffusion": DiffusionConfig(
            **SIZES, down_dims=(16, 32), diffusion_step_embed_dim=16, n_groups=4, horizon=16,
            crop_shape=(32, 32), num_inference_steps=4,
        ),
        "smolvla": SmolVLAConfig(
            **SIZES, vlm_model_name=str(folder), load_vlm_weights=False, chunk_size=8, n_action_steps=6,
            max_state_dim=8, max_action_dim=7, resize_imgs_with_padding=(32, 32), num_vlm_layers=2,
            num_steps=4, tokenizer_max_length=8,
        ),
    }  # fmt: skip
    kinds: dict[str, tuple[Any, Any]] = {
        "act": (ACTPolicy, make_act_pre_post_processors),
        "diffusion": (DiffusionPolicy, make_diffusion_pre_post_processors),
        "smolvla": (SmolVLAPolicy, make_smolvla_pre_post_processors),
    }
    torch.manual_seed(2)
    made = {}
    for name, config in configs.items():
        policy, processors = kinds[name]
        made[name] = (policy(config).eval(), *processors(config, statistics()))
    return made


def answer(policy: Any, before: Any, after: Any, values: dict[str, np.ndarray], noise: np.ndarray) -> Any:
    """LeRobot's own answer."""
    frame = {name: torch.from_numpy(value) for name, value in values.items()}
    policy.reset()
    batch = before({**frame, "task": TASK})
    chunk = policy.predict_action_chunk(batch, noise=torch.from_numpy(noise)[None])
    return torch.stack([after(chunk[:, t])[0] for t in range(chunk.shape[1])]).numpy()


def in_the_loop(policy: Any, before: Any, after: Any) -> dict[str, Any]:
    one = np.ones(JOINTS)
    limits = vr.JointLimits(-9 * one, 9 * one, 5 * one, 50 * one, 5e3 * one)
    robot = vr.robots.SimulatedRobot(limits, 0 * one)
    robot.post_feature("observation.images.top", np.full((40, 48, 3), 127, np.uint8))
    live = lerobot.LivePolicy(policy, before, after, task=TASK, fps=FPS)
    config = vr.ControlConfig(mode="async", lock_memory=False, max_following_error=None)
    report = vr.ControlLoop(robot, live, config).run(2.0)
    kept = ("chunks", "failures", "refused", "last_error")
    moved = float(np.ptp(report.trace["command_position"], axis=0).max())
    return {**{k: report.inference[k] for k in kept}, "violations": report.limit_violations, "moved": moved}


def main(root: Path) -> None:
    made = policies(root / "backbone")
    random = np.random.default_rng(7)
    observation = {
        "observation.state": random.normal(size=JOINTS).astype(np.float32),
        "observation.images.top": random.uniform(size=(3, 40, 48)).astype(np.float32),
    }
    policy, before, after = made["smolvla"]
    noise = random.normal(size=(8, 7)).astype(np.float32)
    expected = answer(policy, before, after, observation, noise)
    lerobot.export_policy(policy, root / "smolvla", before, after, task=TASK, fps=FPS)
    lerobot.export_policy(policy, root / "smolvla_told", before, after, fps=FPS, backends="torchscript")
    assert np.array_equal(answer(policy, before, after, observation, noise), expected)
    tokens = before({**{k: torch.from_numpy(v) for k, v in observation.items()}, "task": TASK})
    np.savez(
        root / "smolvla.npz", noise=noise, actions=expected,
        tokens=tokens["observation.language.tokens"][0].numpy(), **observation,
    )  # fmt: skip
    live: dict[str, Any] = {name: in_the_loop(*parts) for name, parts in made.items()}
    policy, before, after = made["act"]
    chunk = lerobot.LivePolicy(policy, before, after, task=TASK, fps=FPS)(observation)
    frame = before({name: torch.from_numpy(value) for name, value in observation.items()})
    rows = policy.predict_action_chunk(frame)
    own = torch.stack([after(rows[:, t])[0] for t in range(rows.shape[1])]).numpy()
    live["act"]["difference"] = float(np.abs(chunk - own).max())
    lerobot.export_policy(policy, root / "act", before, after, fps=FPS, backends="native")
    exported = vr.load_policy(root / "act").sample(observation)
    live["act"]["exported_difference"] = float(np.abs(exported - own).max() / np.ptp(own, axis=0).max())
    (root / "live.json").write_text(json.dumps(live))


if __name__ == "__main__":
    main(Path(sys.argv[2]))
