"""Datasets of version 2.1, which vla_rt reads and does not write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def as_v21(root: Path, target: Path) -> None:
    """The same data as version 2.1 lays it out, written with nothing of vla_rt but the columns' values."""
    info = json.loads((root / "meta/info.json").read_text())
    info |= {
        "codebase_version": "v2.1",
        "total_chunks": 1,
        "total_videos": 0,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": None,
    }
    (target / "meta").mkdir(parents=True)
    (target / "meta/info.json").write_text(json.dumps(info))
    rows = pq.read_table(root / "data/chunk-000/file-000.parquet").to_pylist()
    tasks = pq.read_table(root / "meta/tasks.parquet").to_pylist()
    with (target / "meta/tasks.jsonl").open("w") as file:
        for task in tasks:
            line = {"task_index": task["task_index"], "task": task["__index_level_0__"]}
            file.write(json.dumps(line) + "\n")
    with (
        (target / "meta/episodes.jsonl").open("w") as episodes,
        (target / "meta/episodes_stats.jsonl").open("w") as stats,
    ):
        for e in range(info["total_episodes"]):
            own = [row for row in rows if row["episode_index"] == e]
            path = target / info["data_path"].format(episode_chunk=0, episode_index=e)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(own), path)  # variable lists, float64
            episodes.write(json.dumps({"episode_index": e, "tasks": [], "length": len(own)}) + "\n")
            blocks = {}
            for key in ("action", "observation.state"):
                values = np.array([row[key] for row in own])
                blocks[key] = {n: getattr(values, n)(0).tolist() for n in ("min", "max", "mean", "std")}
                blocks[key]["count"] = [len(own)]
            stats.write(json.dumps({"episode_index": e, "stats": blocks}) + "\n")
