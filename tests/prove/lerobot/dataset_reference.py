"""Runs inside an environment with the real LeRobot: datasets that it writes, reads and converts.

python dataset_reference.py write FOLDER        a dataset of LeRobot's own
python dataset_reference.py read FOLDER OUT     every frame as LeRobot gives it, and two windows
python dataset_reference.py convert FOLDER      version 2.1 becomes version 3.0 in its place
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import without_torchvision  # noqa: F401
from lerobot.datasets.lerobot_dataset import LeRobotDataset

NAME = "vla_rt/check"
FPS = 10
FEATURES: dict[str, dict[str, Any]] = {
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["a", "b", "c"]},
    "observation.images.top": {
        "dtype": "image",
        "shape": (16, 24, 3),
        "names": ["height", "width", "channels"],
    },
    "action": {"dtype": "float32", "shape": (2,), "names": ["a", "b"]},
    "next.done": {"dtype": "bool", "shape": (1,), "names": None},
}
LENGTHS = (7, 4, 9)


def frames(seed: int = 0) -> list[list[dict[str, Any]]]:
    random = np.random.default_rng(seed)
    return [
        [
            {
                "observation.state": random.normal(size=3).astype(np.float32),
                "observation.images.top": random.integers(0, 256, (16, 24, 3), dtype=np.uint8),
                "action": random.normal(size=2).astype(np.float32),
                "next.done": np.array([i == n - 1]),
            }
            for i in range(n)
        ]
        for n in LENGTHS
    ]


def task_of(episode: int) -> str:
    return f"task {episode % 2}"


def write(root: Path) -> None:
    dataset = LeRobotDataset.create(NAME, FPS, FEATURES, root=root, robot_type="arm", use_videos=False)
    for e, episode in enumerate(frames()):
        for frame in episode:
            dataset.add_frame({**frame, "task": task_of(e)})
        dataset.save_episode()
    dataset.finalize()


def read(root: Path, out: Path) -> None:
    dataset = LeRobotDataset(NAME, root=root)
    values: dict[str, Any] = {}
    for i in range(len(dataset)):
        for key, value in dataset[i].items():
            array = value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
            values.setdefault(key, []).append(array)
    arrays = {key: np.stack(v) for key, v in values.items()}
    deltas = {"action": [-0.1, 0.0, 0.1, 0.2]}
    windows = LeRobotDataset(NAME, root=root, delta_timestamps=deltas)
    for i in (0, len(dataset) - 1):
        for key in ("action", "action_is_pad"):
            arrays[f"window{i}/{key}"] = windows[i][key].numpy()
    np.savez(out, **arrays)


def convert(root: Path) -> None:
    from lerobot.datasets.v30.convert_dataset_v21_to_v30 import convert_dataset

    convert_dataset(root.name, root=root.parent, push_to_hub=False)


if __name__ == "__main__":
    {"write": write, "read": read, "convert": convert}[sys.argv[1]](*map(Path, sys.argv[2:]))
