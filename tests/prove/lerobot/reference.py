"""Runs inside an environment with the real LeRobot: checkpoints of random weights, and what they answer.

    python reference.py make FOLDER [CASE...]

makes one folder per case: the checkpoint as LeRobot saves it, and `case.npz` with an observation, the noises and the
answer of LeRobot's own preprocessor, policy and postprocessor.

    python reference.py answer FOLDER

loads the checkpoint of every folder in FOLDER and adds the answer to its `case.npz`.
"""

# ruff: noqa: C408, E501

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import without_torchvision  # noqa: F401
from diffusers.schedulers import scheduling_ddpm as ddpm
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.act.processor_act import make_act_pre_post_processors
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from lerobot.policies.diffusion.processor_diffusion import make_diffusion_pre_post_processors
from lerobot.policies.utils import populate_queues
from lerobot.processor import PolicyProcessorPipeline
from lerobot.processor.converters import policy_action_to_transition, transition_to_policy_action
from safetensors.torch import load_file, save_file

STATE = PolicyFeature(FeatureType.STATE, (5,))
ENV = PolicyFeature(FeatureType.ENV, (3,))
ACTION = PolicyFeature(FeatureType.ACTION, (4,))


def image(height: int, width: int) -> PolicyFeature:
    return PolicyFeature(FeatureType.VISUAL, (3, height, width))


VECTORS = {"observation.state": STATE, "observation.environment_state": ENV}
CAMERAS = {"observation.images.top": image(64, 80), "observation.images.wrist": image(64, 80)}
SMALL_ACT: dict[str, Any] = dict(
    dim_model=32,
    n_heads=4,
    dim_feedforward=48,
    chunk_size=12,
    n_action_steps=7,
    latent_dim=6,
    n_vae_encoder_layers=1,
    pretrained_backbone_weights=None,
)
SMALL_DIFFUSION: dict[str, Any] = dict(
    down_dims=(16, 32), diffusion_step_embed_dim=16, n_groups=4, horizon=16
)


def modes(mode: str, env: bool = True) -> dict[str, NormalizationMode]:
    kinds = ["VISUAL", "STATE", "ACTION"] + (["ENV"] if env else [])
    return dict.fromkeys(kinds, NormalizationMode(mode))


def mixed(visual: str, state: str, action: str) -> dict[str, NormalizationMode]:
    return {
        "VISUAL": NormalizationMode(visual),
        "STATE": NormalizationMode(state),
        "ACTION": NormalizationMode(action),
    }


CASES: dict[str, tuple[str, dict[str, PolicyFeature], dict[str, Any]]] = {
    "act_mean_std": ("act", VECTORS, dict(SMALL_ACT, normalization_mapping=modes("MEAN_STD"))),
    "act_min_max": (
        "act",
        VECTORS,
        dict(SMALL_ACT, normalization_mapping=modes("MIN_MAX"), n_decoder_layers=3),
    ),
    "act_quantiles": (
        "act",
        VECTORS,
        dict(SMALL_ACT, normalization_mapping=modes("QUANTILES"), pre_norm=True),
    ),
    "act_quantile10": (
        "act",
        {"observation.environment_state": ENV, "observation.state": STATE},
        dict(SMALL_ACT, normalization_mapping=modes("QUANTILE10"), feedforward_activation="gelu"),
    ),
    "act_identity": ("act", VECTORS, dict(SMALL_ACT, normalization_mapping=modes("IDENTITY"), use_vae=False)),
    "act_old": ("act", VECTORS, dict(SMALL_ACT, normalization_mapping=modes("MEAN_STD", env=False))),
    "act_old_min_max": ("act", VECTORS, dict(SMALL_ACT, normalization_mapping=modes("MIN_MAX"))),
    "act_images": ("act", {"observation.state": STATE, **CAMERAS}, dict(SMALL_ACT)),
    "act_images_old": ("act", {**CAMERAS, **VECTORS}, dict(SMALL_ACT, n_encoder_layers=1)),
    "act_image_sizes": (
        "act",
        {
            "observation.images.b": image(96, 64),
            "observation.state": STATE,
            "observation.images.a": image(64, 96),
        },
        dict(SMALL_ACT, normalization_mapping=mixed("MIN_MAX", "QUANTILES", "QUANTILE10")),
    ),
    "act_dilated": (
        "act",
        {"observation.state": STATE, "observation.image": image(64, 64)},
        dict(
            SMALL_ACT,
            vision_backbone="resnet50",
            replace_final_stride_with_dilation=True,
            pre_norm=True,
            n_encoder_layers=1,
        ),
    ),
    "diffusion_default": ("diffusion", VECTORS, dict(SMALL_DIFFUSION)),
    "diffusion_mean_std": (
        "diffusion",
        VECTORS,
        dict(
            SMALL_DIFFUSION,
            normalization_mapping=modes("MEAN_STD"),
            n_obs_steps=1,
            use_film_scale_modulation=False,
        ),
    ),
    "diffusion_quantiles": (
        "diffusion",
        VECTORS,
        dict(
            SMALL_DIFFUSION,
            normalization_mapping=modes("QUANTILES"),
            n_obs_steps=3,
            noise_scheduler_type="DDIM",
            num_inference_steps=10,
            n_action_steps=5,
        ),
    ),
    "diffusion_quantile10": (
        "diffusion",
        VECTORS,
        dict(
            SMALL_DIFFUSION,
            normalization_mapping=modes("QUANTILE10"),
            beta_schedule="linear",
            prediction_type="sample",
            down_dims=(16, 24, 32),
            num_inference_steps=13,
        ),
    ),
    "diffusion_identity": (
        "diffusion",
        VECTORS,
        dict(
            SMALL_DIFFUSION,
            normalization_mapping=modes("IDENTITY"),
            clip_sample=False,
            num_train_timesteps=20,
            kernel_size=3,
        ),
    ),
    "diffusion_old": ("diffusion", VECTORS, dict(SMALL_DIFFUSION, num_inference_steps=10)),
    "diffusion_images": (
        "diffusion",
        {"observation.state": STATE, **CAMERAS},
        dict(SMALL_DIFFUSION, crop_shape=(57, 60), num_inference_steps=5),
    ),
    "diffusion_separate": (
        "diffusion",
        {**CAMERAS, **VECTORS},
        dict(
            SMALL_DIFFUSION,
            use_separate_rgb_encoder_per_camera=True,
            use_group_norm=False,
            n_obs_steps=1,
            noise_scheduler_type="DDIM",
            num_inference_steps=4,
            normalization_mapping=mixed("IDENTITY", "MEAN_STD", "MIN_MAX"),
        ),
    ),
    "diffusion_resized": (
        "diffusion",
        {"observation.state": STATE, "observation.image": image(90, 70)},
        dict(
            SMALL_DIFFUSION,
            resize_shape=(64, 80),
            crop_ratio=0.9,
            num_inference_steps=4,
            normalization_mapping=mixed("MIN_MAX", "QUANTILES", "MEAN_STD"),
        ),
    ),
}


def statistics(
    features: dict[str, PolicyFeature], rng: np.random.Generator
) -> dict[str, dict[str, torch.Tensor]]:
    """Of every feature; the last value of each is constant."""
    found = {}
    for name, feature in features.items():
        shape = (3, 1, 1) if feature.type is FeatureType.VISUAL else feature.shape
        low = (
            rng.normal(size=shape) if feature.type is not FeatureType.VISUAL else rng.uniform(0.0, 0.2, shape)
        )
        steps = np.cumsum(rng.uniform(0.1, 0.5, (4, *shape)), axis=0)
        values = {
            "min": low,
            "q01": low + steps[0],
            "mean": low + steps[1],
            "q90": low + steps[2],
            "max": low + steps[3],
            "std": rng.uniform(0.2, 2.0, shape),
        }
        values["q10"] = (values["q01"] + values["mean"]) / 2
        values["q99"] = (values["q90"] + values["max"]) / 2
        if feature.type is not FeatureType.VISUAL:
            for key in values:
                values[key][-1] = 0.0 if key == "std" else values["min"][-1]
        found[name] = {key: torch.from_numpy(np.asarray(v)).float() for key, v in values.items()}
        found[name]["count"] = torch.tensor([100])
    return found


def observation(
    features: dict[str, PolicyFeature], stats: Any, rng: np.random.Generator
) -> dict[str, torch.Tensor]:
    values = {}
    for name, feature in features.items():
        if feature.type is FeatureType.VISUAL:
            values[name] = torch.from_numpy(rng.uniform(size=feature.shape)).float()
            continue
        raw = stats[name]["mean"].numpy() + rng.normal(size=feature.shape)
        raw[-1] = stats[name]["min"][-1]  # what the statistics say is constant
        values[name] = torch.from_numpy(raw).float()
    return values


def randomize(policy: torch.nn.Module) -> None:
    """Weights of the size that training leaves, and statistics of the batch norms that are none of an identity."""
    with torch.no_grad():
        for name, buffer in policy.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0.0, 0.2)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
        for parameter in policy.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)


def make(name: str, folder: Path) -> None:
    kind, inputs, options = CASES[name]
    torch.manual_seed(len(name))
    rng = np.random.default_rng(len(name))
    features = {"input_features": inputs, "output_features": {"action": ACTION}, "device": "cpu"}
    if kind == "act":
        config: Any = ACTConfig(**features, **options)
        policy: Any = ACTPolicy(config)
        processors = make_act_pre_post_processors
    else:
        config = DiffusionConfig(**features, **options)
        policy = DiffusionPolicy(config)
        processors = make_diffusion_pre_post_processors
    randomize(policy)
    policy.eval()
    stats = statistics({**inputs, "action": ACTION}, rng)
    before, after = processors(config, stats)
    policy.save_pretrained(folder)
    if "old" in name:
        add_buffers(folder, config, stats)
    else:
        before.save_pretrained(folder)
        after.save_pretrained(folder)

    seen = [observation(inputs, stats, rng) for _ in range(config.n_obs_steps)]
    arrays = {f"in/{key}": np.stack([o[key].numpy() for o in seen]) for key in inputs}
    if config.n_obs_steps == 1:
        arrays = {key: value[0] for key, value in arrays.items()}
    if kind == "diffusion":
        shape = (config.horizon, ACTION.shape[0])
        arrays["noise"] = rng.normal(size=shape).astype(np.float32)
        steps = policy.diffusion.num_inference_steps
        arrays["step_noise"] = rng.normal(size=(steps, *shape)).astype(np.float32)
    np.savez(folder / "case.npz", actions=answer(policy, before, after, arrays), **arrays)


def answer(policy: Any, before: Any, after: Any, arrays: Any) -> np.ndarray:
    """The actions of a raw observation, from the present on."""
    steps = policy.config.n_obs_steps
    values = {
        key.removeprefix("in/"): torch.from_numpy(v) for key, v in arrays.items() if key.startswith("in/")
    }
    seen = [{key: v[k] if steps > 1 else v for key, v in values.items()} for k in range(steps)]
    with torch.no_grad():
        if isinstance(policy, ACTPolicy):
            rows = policy.predict_action_chunk(before(seen[0]))
        else:
            noise = torch.from_numpy(arrays["noise"])[None]
            rows = denoise(policy, [before(o) for o in seen], noise, arrays["step_noise"])
        return torch.stack([after(rows[:, t])[0] for t in range(rows.shape[1])]).numpy()


def answer_folder(folder: Path) -> None:
    """Loads a checkpoint that others wrote, of either form."""
    kind = json.loads((folder / "config.json").read_text())["type"]
    policy: Any = (ACTPolicy if kind == "act" else DiffusionPolicy).from_pretrained(folder)
    if (folder / "policy_preprocessor.json").is_file():
        before = PolicyProcessorPipeline.from_pretrained(folder, config_filename="policy_preprocessor.json")
        after = PolicyProcessorPipeline.from_pretrained(
            folder,
            config_filename="policy_postprocessor.json",
            to_transition=policy_action_to_transition,
            to_output=transition_to_policy_action,
        )
    else:
        buffers = load_file(folder / "model.safetensors")
        stats: dict[str, dict[str, torch.Tensor]] = {}
        names = {name.replace(".", "_"): name for name in (*policy.config.input_features, "action")}
        for key, tensor in buffers.items():
            group, _, rest = key.partition(".buffer_")
            if rest and group in ("normalize_inputs", "unnormalize_outputs"):
                feature, _, statistic = rest.rpartition(".")
                stats.setdefault(names[feature], {})[statistic] = tensor
        make_processors = (
            make_act_pre_post_processors if kind == "act" else make_diffusion_pre_post_processors
        )
        before, after = make_processors(policy.config, stats)
    arrays = dict(np.load(folder / "case.npz"))
    arrays["actions"] = answer(policy, before, after, arrays)
    np.savez(folder / "case.npz", **arrays)


def denoise(policy: Any, batches: list[Any], noise: torch.Tensor, added: np.ndarray) -> torch.Tensor:
    """The whole chunk from the present on; what LeRobot executes of it must be its beginning."""
    config = policy.config
    scheduler = policy.diffusion.noise_scheduler

    def prepare() -> dict[str, torch.Tensor]:
        policy.reset()
        for batch in batches:
            values = {key: value for key, value in batch.items() if key in config.input_features}
            if config.image_features:
                values["observation.images"] = torch.stack([values[k] for k in config.image_features], dim=-4)
            policy._queues = populate_queues(policy._queues, values)
        return {k: torch.stack(list(q), dim=1) for k, q in policy._queues.items() if k != "action"}

    drawn = {"next": 0}

    def recorded(shape: Any, **_: Any) -> torch.Tensor:
        # a step without variance draws nothing: the entry is that of the time step
        at = list(scheduler.timesteps).index(drawn["t"])
        return torch.from_numpy(added[at]).reshape(shape)

    plain_step = type(scheduler).step

    def step(model_output: Any, t: Any, *args: Any, **kwargs: Any) -> Any:
        drawn["t"] = t
        return plain_step(scheduler, model_output, t, *args, **kwargs)

    original, ddpm.randn_tensor = ddpm.randn_tensor, recorded
    scheduler.step = step
    try:
        batch = prepare()
        condition = policy.diffusion._prepare_global_conditioning(batch)
        whole = policy.diffusion.conditional_sample(1, global_cond=condition, noise=noise)[
            :, config.n_obs_steps - 1 :
        ]
        executed = policy.predict_action_chunk(prepare(), noise=noise)
    finally:
        ddpm.randn_tensor = original
    assert torch.equal(executed, whole[:, : config.n_action_steps])
    return whole


def add_buffers(folder: Path, config: Any, stats: Any) -> None:
    """The form of checkpoints before LeRobot 0.4: statistics among the weights, no processors."""
    tensors = load_file(folder / "model.safetensors")
    needed = {"MEAN_STD": ("mean", "std"), "MIN_MAX": ("min", "max")}
    for group, features in (
        ("normalize_inputs", config.input_features),
        ("normalize_targets", config.output_features),
        ("unnormalize_outputs", config.output_features),
    ):
        for name, feature in features.items():
            mode = config.normalization_mapping.get(feature.type.value)
            for key in needed.get(mode.value if mode else "", ()):
                tensors[f"{group}.buffer_{name.replace('.', '_')}.{key}"] = stats[name][key].clone()
    save_file(tensors, folder / "model.safetensors")


def main() -> None:
    what, root = sys.argv[1], Path(sys.argv[2])
    if what == "answer":
        for folder in sorted(root.iterdir()):
            answer_folder(folder)
        return
    for name in sys.argv[3:] or CASES:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        make(name, folder)


if __name__ == "__main__":
    main()
