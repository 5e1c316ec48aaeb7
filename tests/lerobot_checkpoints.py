"""LeRobot checkpoints of small random policies, as its `save_pretrained` writes them, without it.

Weights, statistics, observations and noises depend on their names alone, so that what the real LeRobot answered to
them could be recorded (`lerobot_recorded.json`, made and checked by `tests/prove/test_lerobot.py`).
"""

# ruff: noqa: C408, E501

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Array = NDArray[np.float32]
#: Actions of the real LeRobot by name of the case.
ANSWERS = Path(__file__).with_name("lerobot_recorded.json")

STATE = {"type": "STATE", "shape": [5]}
ENV = {"type": "ENV", "shape": [3]}
IMAGE = {"type": "VISUAL", "shape": [3, 40, 72]}
VECTORS = {"observation.state": STATE, "observation.environment_state": ENV}
MODES = {"VISUAL": "MEAN_STD", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
ACT = dict(
    type="act",
    n_obs_steps=1,
    chunk_size=6,
    n_action_steps=4,
    dim_model=16,
    n_heads=2,
    dim_feedforward=24,
    latent_dim=4,
    n_encoder_layers=1,
    n_decoder_layers=1,
    n_vae_encoder_layers=1,
    pre_norm=False,
    feedforward_activation="relu",
    vision_backbone="resnet18",
    use_vae=False,
    normalization_mapping=MODES,
    pretrained_backbone_weights=None,
)
DIFFUSION = dict(
    type="diffusion",
    n_obs_steps=2,
    horizon=8,
    n_action_steps=4,
    down_dims=[8, 16],
    kernel_size=3,
    n_groups=4,
    diffusion_step_embed_dim=8,
    noise_scheduler_type="DDPM",
    num_train_timesteps=20,
    num_inference_steps=10,
    normalization_mapping={**MODES, "STATE": "MIN_MAX", "ACTION": "MIN_MAX"},
)

#: Name: (fields of config.json, inputs, whether statistics are buffers among the weights).
RECORDED: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "act": (ACT, VECTORS, False),
    "act_quantiles": (
        {**ACT, "pre_norm": True, "normalization_mapping": dict.fromkeys((*MODES, "ENV"), "QUANTILES")},
        VECTORS,
        False,
    ),
    "act_image": (
        {**ACT, "n_encoder_layers": 2},
        {"observation.state": STATE, "observation.images.top": IMAGE},
        False,
    ),
    "act_old": ({**ACT, "feedforward_activation": "gelu", "n_decoder_layers": 2}, VECTORS, True),
    "diffusion": (DIFFUSION, VECTORS, False),
    "diffusion_old": (
        {**DIFFUSION, "n_obs_steps": 1, "noise_scheduler_type": "DDIM", "use_film_scale_modulation": False},
        VECTORS,
        True,
    ),
    "diffusion_quantile10": (
        {
            **DIFFUSION,
            "n_obs_steps": 3,
            "normalization_mapping": dict.fromkeys((*MODES, "ENV"), "QUANTILE10"),
        },
        VECTORS,
        False,
    ),
}


def normal(name: str, shape: tuple[int, ...]) -> Array:
    """Standard normal numbers that depend on the name."""
    state = np.random.RandomState(zlib.crc32(name.encode()))
    return state.standard_normal(shape).astype(np.float32)


def write(
    folder: Path,
    fields: dict[str, Any],
    inputs: dict[str, Any] = VECTORS,
    old: bool = False,
    actions: int = 4,
    shapes: dict[str, tuple[int, ...]] | None = None,
) -> Path:
    """Writes a checkpoint; the weights have the shapes that the configuration asks for, or the given ones."""
    folder.mkdir(parents=True, exist_ok=True)
    output = {"action": {"type": "ACTION", "shape": [actions]}}
    config = {**fields, "input_features": inputs, "output_features": output, "device": "cpu"}
    (folder / "config.json").write_text(json.dumps(config))
    prefix = "model." if fields["type"] == "act" else "diffusion."
    shapes = shapes if shapes is not None else weight_shapes(fields, inputs, actions)
    tensors = {prefix + name: weight(name, shape) for name, shape in shapes.items()}
    features = {**inputs, **output}
    if old:
        for name, feature in features.items():
            groups = (
                ("normalize_inputs",) if name != "action" else ("normalize_targets", "unnormalize_outputs")
            )
            if feature["type"] in fields["normalization_mapping"]:
                for group in groups:
                    for key, value in statistics(name, feature).items():
                        if key in ("mean", "std", "min", "max"):
                            tensors[f"{group}.buffer_{name.replace('.', '_')}.{key}"] = value
    else:
        write_processors(folder, features, fields["normalization_mapping"])
    save_file(tensors, folder / "model.safetensors")
    return folder


def write_processors(folder: Path, features: dict[str, Any], modes: dict[str, str]) -> None:
    values = {f"{name}.{k}": v for name, f in features.items() for k, v in statistics(name, f).items()}
    config = {"eps": 1e-8, "features": features, "norm_map": modes}
    device = {"registry_name": "device_processor", "config": {"device": "cpu", "float_dtype": None}}
    first = [
        {"registry_name": "rename_observations_processor", "config": {"rename_map": {}}},
        {"registry_name": "to_batch_processor", "config": {}},
        device,
    ]
    for name, word, steps in (
        ("policy_preprocessor", "normalizer", first),
        ("policy_postprocessor", "unnormalizer", []),
    ):
        file = f"{name}_step_{len(steps)}_{word}_processor.safetensors"
        save_file(values, folder / file)
        step = {"registry_name": f"{word}_processor", "config": config, "state_file": file}
        after = [device] if word == "unnormalizer" else []
        (folder / f"{name}.json").write_text(json.dumps({"name": name, "steps": [*steps, step, *after]}))


def weight_shapes(fields: dict[str, Any], inputs: dict[str, Any], actions: int) -> dict[str, tuple[int, ...]]:
    """Of the network that the configuration describes; the real LeRobot loads them strictly."""
    from vla_rt import Normalizer
    from vla_rt.integrations.lerobot.act import ACTNetwork
    from vla_rt.integrations.lerobot.checkpoint import Checkpoint, InputFeature
    from vla_rt.integrations.lerobot.diffusion import _LISTED, DiffusionNetwork
    from vla_rt.integrations.lerobot.fields import Fields
    from vla_rt.integrations.lerobot.normalization import NormalizerTable

    features = tuple(InputFeature(name, f["type"], tuple(f["shape"])) for name, f in inputs.items())
    table = NormalizerTable({}, Normalizer("identity"))
    checkpoint = Checkpoint(fields["type"], Fields(fields, "config.json#"), features, actions, {}, table)
    network = ACTNetwork(checkpoint) if fields["type"] == "act" else DiffusionNetwork(checkpoint)
    shapes = {}
    for name, tensor in network.state_dict().items():
        if fields["type"] == "diffusion" and "backbone." in name:
            head, _, tail = name.partition("backbone.")
            stage, _, rest = tail.partition(".")
            name = f"{head}backbone.{_LISTED.index(stage)}.{rest}"
        shapes[name] = tuple(tensor.shape)
    return shapes


def weight(name: str, shape: tuple[int, ...]) -> Array:
    if name.endswith("pos_grid"):  # a constant of the real network
        side = int(np.sqrt(shape[0]))
        x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, shape[0] // side))
        return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    values = normal(name, shape)
    if name.endswith("running_var"):
        return np.exp(0.2 * values)
    if len(shape) > 1:
        return values / np.float32(np.sqrt(np.prod(shape[1:])))
    return np.float32(0.1) * values + np.float32(name.endswith("weight"))


def statistics(name: str, feature: dict[str, Any]) -> dict[str, Array]:
    """Of a feature; the last value of a vector is constant."""
    shape = (3, 1, 1) if feature["type"] == "VISUAL" else tuple(feature["shape"])
    steps = np.cumsum(0.1 + np.abs(normal(f"{name}.steps", (7, *shape))), axis=0) * 0.3
    values = {"min": normal(f"{name}.min", shape) * 0.3}
    for i, key in enumerate(("q01", "q10", "mean", "q90", "q99", "max")):
        values[key] = values["min"] + steps[i]
    values["std"] = 0.2 + np.abs(normal(f"{name}.std", shape))
    if feature["type"] != "VISUAL":
        for key in values:
            values[key][-1] = 0.0 if key == "std" else values["min"][-1]
    return values


def case(fields: dict[str, Any], inputs: dict[str, Any] = VECTORS, actions: int = 4) -> dict[str, Array]:
    """Arrays `in/<feature>`, and the noises of a diffusion policy."""
    steps = fields["n_obs_steps"]
    arrays: dict[str, Array] = {}
    for name, feature in inputs.items():
        values = normal(f"in/{name}", (steps, *feature["shape"]))
        if feature["type"] == "VISUAL":
            values = (np.sin(values) + 1) / 2
        else:
            known = statistics(name, feature)
            values = values * 0.5 + known["mean"]
            values[:, -1] = known["min"][-1]
        arrays[f"in/{name}"] = values if steps > 1 else values[0]
    if fields["type"] == "diffusion":
        shape = (fields["horizon"], actions)
        arrays["noise"] = normal("noise", shape)
        arrays["step_noise"] = normal("step_noise", (fields["num_inference_steps"], *shape))
    return arrays
