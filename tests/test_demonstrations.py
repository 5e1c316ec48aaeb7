"""Demonstrations: windows, padding, statistics, files, refusal of bad columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vla_rt as vr
from vla_rt.datasets import Demonstrations


def _columns(lengths: list[int], seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    frames = sum(lengths)
    frame = np.concatenate([np.arange(n) for n in lengths])
    return {
        "observation.state": random.standard_normal((frames, 3)),
        "action": random.standard_normal((frames, 2)),
        "episode_index": np.repeat(np.arange(len(lengths)), lengths),
        "frame_index": frame,
        "timestamp": frame / 10.0,
    }


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    horizon=st.integers(1, 15),
    cuts=st.integers(0, 2**31),
)
def test_windows_end_with_their_segment(lengths: list[int], horizon: int, cuts: int):
    columns = _columns(lengths)
    segment = np.cumsum(np.random.default_rng(cuts).integers(0, 2, sum(lengths)))
    demonstrations = Demonstrations(columns, 10.0, horizon, segment)
    for i in range(len(demonstrations)):
        item = demonstrations[i]
        expected, pad = [], []
        j = i
        for k in range(horizon):
            inside = (
                i + k < len(segment)
                and all(columns[c][i + k] == columns[c][i] for c in ("episode_index",))
                and segment[i + k] == segment[i]
            )
            j = i + k if inside else j
            expected.append(columns["action"][j])
            pad.append(not inside)
        np.testing.assert_array_equal(item["action"], expected)
        np.testing.assert_array_equal(item["action_is_pad"], pad)
        np.testing.assert_array_equal(item["observation.state"], columns["observation.state"][i])


def test_windows_past_an_end_at_rest_are_not_marked():
    columns = _columns([4, 5])
    marked, at_rest = (Demonstrations(columns, 10.0, 6, ends_at_rest=flag) for flag in (False, True))
    assert marked[3]["action_is_pad"].tolist() == [False] + [True] * 5
    assert not at_rest[3]["action_is_pad"].any()
    np.testing.assert_array_equal(at_rest[3]["action"], marked[3]["action"])


def test_a_batch_is_its_items_and_indices_are_checked():
    demonstrations = Demonstrations(_columns([4, 5]), 10.0, 3)
    batch = demonstrations.batch([0, 8, 3])
    assert batch["action"].shape == (3, 3, 2)
    for row, index in enumerate((0, 8, 3)):
        for name, value in demonstrations[index].items():
            np.testing.assert_array_equal(batch[name][row], value)
    np.testing.assert_array_equal(demonstrations[-1]["action"], demonstrations[8]["action"])
    for index in (9, -10):
        with pytest.raises(IndexError):
            demonstrations[index]
    with pytest.raises(IndexError):
        demonstrations.batch([0, 9])


def test_statistics():
    demonstrations = Demonstrations(_columns([100, 50]), 10.0)
    values = demonstrations.columns["action"]
    stats = demonstrations.stats["action"]
    np.testing.assert_allclose(stats["mean"], values.mean(0))
    np.testing.assert_allclose(stats["std"], values.std(0))
    np.testing.assert_array_equal(stats["min"], values.min(0))
    np.testing.assert_array_equal(stats["max"], values.max(0))
    np.testing.assert_allclose(stats["q01"], np.quantile(values, 0.01, axis=0))
    np.testing.assert_allclose(stats["q99"], np.quantile(values, 0.99, axis=0))
    assert set(demonstrations.stats) == {"action", "observation.state"}


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("action", None, "action"),
        ("action", np.zeros((0, 2)), "0 frames"),
        ("action", np.zeros(9), r"action\.shape"),
        ("timestamp", np.zeros(8), r"timestamp\.shape"),
        ("observation.state", np.array([[0.0]] * 5 + [[np.nan]] + [[0.0]] * 3), r"observation.state\[5, 0\]"),
        ("episode_index", np.array([0, 0, 0, 0, 2, 2, 2, 2, 2]), r"episode_index\[4\]"),
        ("episode_index", np.arange(9) + 1, r"episode_index\[0\]"),
        ("frame_index", np.arange(9), r"frame_index\[4\]"),
    ],
)
def test_bad_columns_are_refused(name: str, values: Any, message: str):
    columns = _columns([4, 5])
    if values is None:
        del columns[name]
    else:
        columns[name] = values
    with pytest.raises(vr.ConfigError, match=message):
        Demonstrations(columns, 10.0)


def test_a_bad_rate_or_horizon_is_refused():
    with pytest.raises(vr.ConfigError, match="fps"):
        Demonstrations(_columns([4]), 0.0)
    with pytest.raises(vr.ConfigError, match="horizon"):
        Demonstrations(_columns([4]), 10.0, 0)


def test_a_damaged_file_is_refused(tmp_path: Path):
    path = tmp_path / "demonstrations.npz"
    Demonstrations(_columns([4, 5]), 10.0).save(path)
    content = path.read_bytes()
    for damaged in (b"", b"no archive", content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(vr.FormatError, match="holds no demonstrations"):
            Demonstrations.load(path)
    np.savez(path, action=np.zeros((3, 2)))
    with pytest.raises(vr.FormatError, match="holds no demonstrations"):
        Demonstrations.load(path)
    np.savez(path, action=np.array([object()], dtype=object))
    with pytest.raises(vr.FormatError, match="holds no demonstrations"):
        Demonstrations.load(path)
    with pytest.raises(vr.ConfigError, match="no such file"):
        Demonstrations.load(tmp_path / "none.npz")
