"""LeRobot datasets: windows, both versions, recording, killed recordings, damaged files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vla_rt as vr

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from lerobot_v21 import as_v21  # noqa: E402
from vla_rt.datasets import Demonstrations, LeRobotDataset  # noqa: E402
from vla_rt.datasets.feature_statistics import of_pixels, of_rows, pooled  # noqa: E402

FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["a", "b", "c"]},
    "action": {"dtype": "float32", "shape": (2,)},
    "next.done": {"dtype": "bool", "shape": (1,)},
}


def frames(lengths: list[int], seed: int = 0) -> list[list[dict[str, Any]]]:
    random = np.random.default_rng(seed)
    return [
        [
            {
                "observation.state": random.normal(size=3).astype(np.float32),
                "action": random.normal(size=2).astype(np.float32),
                "next.done": i == n - 1,
            }
            for i in range(n)
        ]
        for n in lengths
    ]


def write(root: Path, lengths: list[int], seed: int = 0, fps: float = 10) -> list[list[dict[str, Any]]]:
    dataset = LeRobotDataset.create(root, fps, FEATURES)
    content = frames(lengths, seed)
    for e, episode in enumerate(content):
        for frame in episode:
            dataset.add_frame(frame, task=f"task {e % 2}")
        dataset.save_episode()
    return content


@pytest.fixture
def recorded(tmp_path):
    write(tmp_path / "data", [4, 5, 3])
    return tmp_path / "data"


def rewrite(path: Path, change) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def set_column(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    deltas=st.lists(st.integers(-9, 9), min_size=1, max_size=6),
    off=st.floats(-0.9e-4, 0.9e-4),
)
def test_windows_repeat_the_ends_of_their_episode(tmp_path_factory, lengths, deltas, off):
    root = tmp_path_factory.mktemp("windows") / "data"
    content = write(root, lengths, fps=30)
    times = [d / 30 + off for d in deltas]
    dataset = LeRobotDataset(root, {"action": times, "observation.state": [0.0]})
    assert len(dataset) == sum(lengths)
    i = 0
    for episode in content:
        for f, frame in enumerate(episode):
            sample = dataset[i]
            at = [min(max(f + d, 0), len(episode) - 1) for d in deltas]
            np.testing.assert_array_equal(sample["action"], [episode[k]["action"] for k in at])
            pads = [not 0 <= f + d < len(episode) for d in deltas]
            assert sample["action_is_pad"].tolist() == pads
            assert sample["action_is_pad"].dtype == bool
            np.testing.assert_array_equal(sample["observation.state"], [frame["observation.state"]])
            assert not sample["observation.state_is_pad"].any()
            i += 1


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_what_is_written_is_read(recorded, tmp_path, version):
    root = recorded
    if version == "v2.1":
        root = tmp_path / "old"
        as_v21(recorded, root)
    dataset = LeRobotDataset(root)
    assert (len(dataset), dataset.num_episodes, dataset.fps) == (12, 3, 10)
    assert dataset.tasks == ["task 0", "task 1"]
    assert dataset.episode_lengths.tolist() == [4, 5, 3]
    i = 0
    for e, episode in enumerate(frames([4, 5, 3])):
        for f, frame in enumerate(episode):
            sample = dataset[i]
            for name in ("observation.state", "action"):
                np.testing.assert_array_equal(sample[name], frame[name])
                assert sample[name].dtype == np.float32
            scalars = {
                n: sample[n] for n in ("episode_index", "frame_index", "index", "task_index", "next.done")
            }
            assert all(value.shape == () for value in scalars.values())
            assert [int(v) for v in scalars.values()] == [e, f, i, e % 2, f == len(episode) - 1]
            assert sample["timestamp"].shape == ()
            assert sample["timestamp"] == np.float32(f / 10)
            assert sample["task"] == f"task {e % 2}"
            assert set(sample) == {*FEATURES, "timestamp", *scalars, "task"}
            i += 1
    for index in (12, -13):
        with pytest.raises(IndexError):
            dataset[index]
    np.testing.assert_array_equal(dataset[-1]["action"], dataset[11]["action"])
    batch = dataset.windowed({"action": [0.0, 0.1]}).batch([0, 11])
    assert batch["action"].shape == (2, 2, 2)
    assert batch["action_is_pad"].tolist() == [[False, False], [False, True]]


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_statistics_are_those_of_all_frames(recorded, tmp_path, version):
    root = recorded
    if version == "v2.1":
        root = tmp_path / "old"
        as_v21(recorded, root)
    stats = LeRobotDataset(root).stats
    for name in ("action", "observation.state"):
        rows = np.array([f[name] for episode in frames([4, 5, 3]) for f in episode], dtype=np.float64)
        for key, value in of_rows(rows).items():
            np.testing.assert_allclose(stats[name][key], value, rtol=1e-12, atol=1e-12)
    assert stats["action"]["count"].tolist() == [12]
    np.testing.assert_allclose(
        stats["action"]["q10"],
        np.quantile([f["action"] for e in frames([4, 5, 3]) for f in e], 0.1, axis=0),
        rtol=1e-6,
    )


def test_the_files_are_those_of_version_3(recorded):
    info = json.loads((recorded / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["fps"], info["total_episodes"], info["total_frames"], info["total_tasks"]) == (10, 3, 12, 2)
    assert info["features"]["action"] == {"dtype": "float32", "shape": [2], "names": None}
    assert info["features"]["timestamp"]["dtype"] == "float32"
    assert info["splits"] == {"train": "0:3"}
    data = pq.read_table(recorded / "data/chunk-000/file-000.parquet")
    assert data.column("index").to_pylist() == list(range(12))
    assert data.schema.field("action").type == pa.list_(pa.float32(), 2)
    episodes = pq.read_table(recorded / "meta/episodes/chunk-000/file-000.parquet")
    assert episodes.column("length").to_pylist() == [4, 5, 3]
    assert episodes.column("dataset_from_index").to_pylist() == [0, 4, 9]
    assert episodes.column("dataset_to_index").to_pylist() == [4, 9, 12]
    assert episodes.column("tasks").to_pylist() == [["task 0"], ["task 1"], ["task 0"]]
    assert pq.read_table(recorded / "meta/tasks.parquet").column("__index_level_0__").to_pylist() == [
        "task 0",
        "task 1",
    ]
    stats = json.loads((recorded / "meta/stats.json").read_text())
    assert set(stats["action"]) == {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}
    assert vr.load_stats(recorded, "action").mode == "mean_std"
    assert not list(recorded.rglob("*.partial*"))


def test_pandas_finds_the_tasks_as_index(recorded):
    pandas = pytest.importorskip("pandas")
    tasks = pandas.read_parquet(recorded / "meta/tasks.parquet")
    assert tasks.loc["task 1"].task_index == 1


def test_the_delta_rule(recorded):
    LeRobotDataset(recorded, {"action": [0.1 + 0.99e-4, -0.2]})
    for time in (0.1 + 1.1e-4, 0.05, float("nan")):
        with pytest.raises(vr.ConfigError, match=r"delta_timestamps\['action'\]\[1\]"):
            LeRobotDataset(recorded, {"action": [0.0, time]})
    with pytest.raises(vr.ConfigError, match="nothing"):
        LeRobotDataset(recorded, {"nothing": [0.0]})
    with pytest.raises(vr.ConfigError, match="action"):
        LeRobotDataset(recorded, {"action": []})


def test_recording_goes_on_where_it_was(tmp_path):
    write(tmp_path / "whole", [4, 5, 3])
    write(tmp_path / "parts", [4, 5])
    again = LeRobotDataset(tmp_path / "parts")
    assert len(again) == 9
    for frame in frames([4, 5, 3])[2]:
        again.add_frame({**frame, "task": "task 0"})
    again.save_episode()
    assert len(again) == 12
    assert again[11]["task"] == "task 0"
    for path in sorted(p for p in (tmp_path / "whole").rglob("*") if p.is_file()):
        other = tmp_path / "parts" / path.relative_to(tmp_path / "whole")
        if path.suffix == ".json":
            assert other.read_text() == path.read_text()
        else:
            assert pq.read_table(other).equals(pq.read_table(path))


def test_a_full_file_is_followed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr("vla_rt.datasets.lerobot_writer._FILE_BYTES", 1)
    content = write(tmp_path / "data", [2, 3, 2])
    assert len(list((tmp_path / "data/data/chunk-000").iterdir())) == 3
    dataset = LeRobotDataset(tmp_path / "data")
    np.testing.assert_array_equal(dataset[5]["action"], content[2][0]["action"])


def test_what_a_killed_save_left_behind_does_not_count(recorded, tmp_path):
    """Stop after every file that a save writes, as SIGKILL would: the old dataset is there, and goes on."""
    import vla_rt.datasets.lerobot_writer as writer

    class Killed(BaseException):
        pass

    stopped = []
    for step in range(6):
        root = tmp_path / f"cut{step}"
        shutil.copytree(recorded, root)
        dataset = LeRobotDataset(root)
        written = []

        def guarded(original, written=written, step=step):
            def write(*arguments, **options):
                if len(written) == step:
                    raise Killed
                original(*arguments, **options)
                written.append(1)

            return write

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "write_table", guarded(writer.write_table))
            write_object = guarded(writer.write_object)
            patch.setattr(writer, "write_object", write_object)
            patch.setattr("vla_rt.datasets.lerobot_info.write_object", write_object)
            for frame in frames([3, 2], seed=5)[0]:
                dataset.add_frame(frame, "a new task")
            try:
                dataset.save_episode()
            except Killed:
                stopped.append(step)
        after = LeRobotDataset(root)
        assert after.num_episodes == (4 if len(written) >= 4 else 3)  # data, tasks, episodes, info
        if after.num_episodes == 3:
            for frame in frames([3, 2], seed=5)[0]:
                after.add_frame(frame, "a new task")
            after.save_episode()
            after = LeRobotDataset(root)
        assert after.episode_lengths.tolist() == [4, 5, 3, 3]
        assert after[12]["task"] == "a new task"
        assert len(pq.read_table(root / "data/chunk-000/file-000.parquet")) == 15
    assert stopped == [0, 1, 2, 3, 4]


def test_a_recording_killed_at_any_moment_is_whole(tmp_path):
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_lerobot_dataset import *
write(Path({str(tmp_path / "data")!r}), [3] * 10_000)
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        info = tmp_path / "data/meta/info.json"
        while process.poll() is None and not (
            info.exists() and json.loads(info.read_text())["total_episodes"] > 3
        ):
            pass
    finally:
        process.kill()
        process.wait()
    dataset = LeRobotDataset(tmp_path / "data")
    assert dataset.num_episodes > 3
    assert len(dataset) == 3 * dataset.num_episodes
    np.testing.assert_array_equal(dataset[10]["action"], frames([3] * 10_000)[3][1]["action"])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"action": None}, r"action = \(episode 3, frame 1\): is missing"),
        ({"extra": 1.0}, r"extra = \(episode 3, frame 1\)"),
        ({"action": [1.0, float("nan")]}, r"action\[1\] \(episode 3, frame 1\)"),
        ({"action": [1.0, 2.0, 3.0]}, r"action.shape \(episode 3, frame 1\)"),
        ({"action": ["a", "b"]}, r"action \(episode 3, frame 1\)"),
        ({"action": [1e300, 0.0]}, "does not fit into float32"),
        ({"next.done": 2}, "does not fit into bool"),
        ({"task": ""}, "task"),
    ],
)
def test_bad_frames_are_refused_and_leave_no_trace(recorded, frame, message):
    dataset = LeRobotDataset(recorded)
    good = frames([2], seed=9)[0]
    dataset.add_frame(good[0], "t")
    bad = {name: value for name, value in {**good[1], **frame}.items() if value is not None}
    with pytest.raises(vr.ConfigError, match=message):
        dataset.add_frame(bad, "t")
    dataset.add_frame(good[1], "t")
    dataset.save_episode()
    assert dataset.episode_lengths[-1] == 2
    np.testing.assert_array_equal(dataset[13]["action"], good[1]["action"])


def test_episodes_need_frames_and_tasks(recorded):
    dataset = LeRobotDataset(recorded)
    with pytest.raises(vr.ConfigError, match="frames"):
        dataset.save_episode()
    dataset.add_frame(frames([1])[0][0])
    with pytest.raises(vr.ConfigError, match="task"):
        dataset.save_episode()
    dataset.clear_episode()
    with pytest.raises(vr.ConfigError, match="frames"):
        dataset.save_episode(task="t")
    assert len(dataset) == 12


def test_what_cannot_be_created_is_refused(recorded, tmp_path):
    with pytest.raises(vr.ConfigError, match="already"):
        LeRobotDataset.create(recorded, 10, FEATURES)
    for features, message in [
        ({}, "features"),
        ({"a": {"dtype": "complex64", "shape": (1,)}}, "dtype"),
        ({"a": {"dtype": "float32", "shape": (0,)}}, "shape"),
        ({"a": {"dtype": "image", "shape": (4, 4)}}, "height"),
        ({"a": 3}, "features"),
    ]:
        with pytest.raises(vr.ConfigError, match=message):
            LeRobotDataset.create(tmp_path / "new", 10, features)
    with pytest.raises(vr.ConfigError, match="fps"):
        LeRobotDataset.create(tmp_path / "new", 0, FEATURES)
    with pytest.raises(vr.ConfigError, match=r"info\.json is missing"):
        LeRobotDataset(tmp_path / "new")


DATA = "data/chunk-000/file-000.parquet"


def _values(table, name, change):
    rows = table.column(name).to_pylist()
    change(rows)
    kind = pa.list_(pa.float32()) if name == "action" else table.schema.field(name).type
    return set_column(table, name, pa.array(rows, kind))


def _nan(rows):
    rows[6] = [0.0, float("nan")]


def _short(rows):
    rows[6] = [0.0]


def _null(rows):
    rows[6] = None


def _jump(rows):
    rows[6] += 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: _values(t, "action", _nan), r"action\[1\] \(episode 1, frame 2\) = nan"),
        (lambda t: _values(t, "action", _short), r"action \(episode 1, frame 2\) = 1 values"),
        (lambda t: _values(t, "action", _null), r"action \(episode 1, frame 2\) = null"),
        (lambda t: _values(t, "frame_index", _jump), r"frame_index \(episode 1, frame 2\) = 3"),
        (lambda t: _values(t, "timestamp", _jump), r"timestamp \(episode 1, frame 2\)"),
        (lambda t: _values(t, "task_index", _jump), r"task_index \(episode 1, frame 2\) = 2"),
        (lambda t: t.drop_columns(["action"]), "action: column is missing"),
        (lambda t: t.slice(0, 11), r"2 frames: the episode has 3 \(episode 2, frame 2\)"),
        (lambda t: pa.concat_tables([t, t.slice(11, 1)]), r"4 frames: the episode has 3 \(episode 2"),
        (lambda t: set_column(t, "action", pa.array(["a"] * 12)), "must hold float32"),
    ],
)
def test_damaged_data_is_named(recorded, damage, message):
    rewrite(recorded / DATA, damage)
    with pytest.raises(vr.FormatError, match=message) as caught:
        LeRobotDataset(recorded)
    assert "file-000.parquet" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        DATA,
        "meta/tasks.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "meta/info.json",
        "meta/stats.json",
    ],
)
@pytest.mark.parametrize("part", [0, 1, 2])
def test_files_cut_short_are_named(recorded, name, part):
    content = (recorded / name).read_bytes()
    (recorded / name).write_bytes(content[: len(content) * part // 3])
    with pytest.raises(vr.FormatError, match=Path(name).name):
        LeRobotDataset(recorded)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fps", 0),
        ("fps", None),
        ("total_frames", 13),
        ("total_episodes", 4),
        ("features", []),
        ("features", {"a": {"dtype": "float32"}}),
        ("data_path", "../{chunk_index}{file_index}"),
        ("data_path", "{nothing}"),
        ("codebase_version", "v1.6"),
    ],
)
def test_an_impossible_description_is_refused(recorded, field, value):
    path = recorded / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(vr.FormatError):
        LeRobotDataset(recorded)


@pytest.mark.parametrize("name", ["tasks.jsonl", "episodes.jsonl", "episodes_stats.jsonl"])
def test_damaged_lines_of_version_21_are_named(recorded, tmp_path, name):
    as_v21(recorded, tmp_path / "old")
    path = tmp_path / "old/meta" / name
    path.write_text(path.read_text() + "{")
    with pytest.raises(vr.FormatError, match=f"{name}: line"):
        LeRobotDataset(tmp_path / "old")
    path.write_text("{}\n")
    with pytest.raises(vr.FormatError, match="line 1"):
        LeRobotDataset(tmp_path / "old")


def test_version_21_is_only_read(recorded, tmp_path):
    as_v21(recorded, tmp_path / "old")
    with pytest.raises(vr.ConfigError, match=r"v2\.1"):
        LeRobotDataset(tmp_path / "old").add_frame(frames([1])[0][0], "t")


def picture(seed: int, shape=(8, 6, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_images_come_back_bit_for_bit(tmp_path):
    pytest.importorskip("PIL")
    features = {
        "observation.image": {"dtype": "image", "shape": (8, 6, 3), "names": ["height", "width", "channels"]},
        "action": {"dtype": "float32", "shape": (1,)},
        "note": {"dtype": "string", "shape": (1,)},
    }
    dataset = LeRobotDataset.create(tmp_path, 5, features)
    for i in range(4):
        image = picture(i) if i % 2 else np.moveaxis(picture(i).astype(np.float32) / 255, 2, 0)
        dataset.add_frame({"observation.image": image, "action": [i], "note": f"n{i}"}, "look")
    dataset.save_episode()
    again = LeRobotDataset(tmp_path, {"observation.image": [-0.2, 0.0]})
    for i in range(4):
        sample = dataset[i]
        assert sample["observation.image"].dtype == np.float32
        np.testing.assert_array_equal(
            np.rint(sample["observation.image"] * 255), np.moveaxis(picture(i), 2, 0)
        )
        np.testing.assert_array_equal(again[i]["observation.image"][1], sample["observation.image"])
        assert (sample["action"].shape, sample["note"]) == ((1,), f"n{i}")
    assert again[0]["observation.image_is_pad"].tolist() == [True, False]
    pixels = np.stack([picture(i) for i in range(4)]) / 255
    stats = dataset.stats["observation.image"]
    assert stats["mean"].shape == (3, 1, 1)
    np.testing.assert_allclose(stats["mean"].reshape(3), pixels.mean((0, 1, 2)))
    np.testing.assert_allclose(stats["std"].reshape(3), pixels.std((0, 1, 2)))
    np.testing.assert_allclose(stats["max"].reshape(3), pixels.max((0, 1, 2)))
    np.testing.assert_allclose(
        stats["q10"].reshape(3), np.quantile(pixels, 0.1, (0, 1, 2), method="inverted_cdf")
    )
    with pytest.raises(vr.ConfigError, match=r"observation\.image"):
        dataset.add_frame({"observation.image": np.full((8, 6, 3), 1.5), "action": 0.0, "note": ""}, "look")
    rewrite(
        tmp_path / DATA,
        lambda t: set_column(t, "observation.image", pa.array([{"bytes": b"no", "path": None}] * 4)),
    )
    with pytest.raises(vr.FormatError, match=r"file-000\.parquet: observation.image \(episode 0, frame 2\)"):
        LeRobotDataset(tmp_path)[2]


def test_videos_are_nearly_what_was_recorded(tmp_path):
    pytest.importorskip("av")
    scheduling = os.sched_getscheduler(0)
    features = {
        "observation.image": {"dtype": "video", "shape": (32, 48, 3)},
        "action": {"dtype": "float32", "shape": (2,)},
    }
    dataset = LeRobotDataset.create(tmp_path, 20, features)
    y, x = np.mgrid[0:32, 0:48]

    def image(e: int, i: int) -> np.ndarray:
        return (
            np.stack([4 * x + 10 * i, 7 * y, np.full_like(x, 30 + 80 * e)], axis=2)
            .clip(0, 255)
            .astype(np.uint8)
        )

    for e, length in enumerate((7, 5)):
        for i in range(length):
            dataset.add_frame({"observation.image": image(e, i), "action": [e, i]}, "look")
        assert not list(tmp_path.rglob("file-*.mp4"))[e:]
        dataset.save_episode()
    dataset.add_frame({"observation.image": image(0, 0), "action": [0, 0]}, "look")
    dataset.clear_episode()
    assert len(list(tmp_path.rglob("*.mp4"))) == 2
    for index in [11, 3, 4, 5, 0, 6, 8, 7]:
        e, i = (0, index) if index < 7 else (1, index - 7)
        sample = LeRobotDataset(tmp_path)[index] if index % 2 else dataset[index]
        difference = np.abs(sample["observation.image"] * 255 - np.moveaxis(image(e, i), 2, 0))
        assert difference.mean() < 4.0  # its neighbours differ by 10 in one channel: 3.3 and more over all
        assert np.abs(sample["observation.image"][0].mean() * 255 - image(e, i)[:, :, 0].mean()) < 3.0
    other = LeRobotDataset.create(tmp_path / "odd", 20, {"v": {"dtype": "video", "shape": (3, 4, 3)}})
    with pytest.raises(vr.ConfigError, match="even"):
        other.add_frame({"v": picture(0, (3, 4, 3))}, "t")
    path = next(iter(sorted(tmp_path.rglob("file-001.mp4"))))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(vr.FormatError, match=r"file-001\.mp4"):
        LeRobotDataset(tmp_path)[9]
    path.unlink()
    with pytest.raises(vr.FormatError, match=r"file-001\.mp4.*missing"):
        LeRobotDataset(tmp_path)[9]
    assert os.sched_getscheduler(0) == scheduling  # an encoder may take real-time priority for itself


@settings(max_examples=30)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_pooling_is_exact_but_for_quantiles(lengths, seed):
    random = np.random.default_rng(seed)
    parts = [random.normal(random.normal(), 2.0, (n, 3)) for n in lengths]
    found, exact = pooled(of_rows(part) for part in parts), of_rows(np.concatenate(parts))
    for name in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(found[name], exact[name], rtol=1e-10, atol=1e-12)
    assert (found["q01"] >= found["min"]).all()
    assert (found["q99"] <= found["max"]).all()


def test_statistics_of_pixels():
    pixels = picture(3, (5, 40, 40, 2))
    histogram = np.stack([np.bincount(pixels[..., c].reshape(-1), minlength=256) for c in range(2)])
    stats = of_pixels(histogram, 5)
    np.testing.assert_allclose(stats["std"].reshape(2), (pixels / 255).std((0, 1, 2)))
    np.testing.assert_allclose(stats["min"].reshape(2), (pixels / 255).min((0, 1, 2)))
    assert stats["count"] == [5]


def test_demonstrations_become_a_dataset(tmp_path):
    random = np.random.default_rng(0)
    columns = {
        "observation.state": random.normal(size=(9, 3)),
        "action": random.normal(size=(9, 2)),
        "episode_index": np.repeat([0, 1], [4, 5]),
        "frame_index": np.r_[np.arange(4), np.arange(5)],
        "timestamp": np.r_[np.arange(4), np.arange(5)] / 10,
    }
    demonstrations = Demonstrations(columns, 10.0, 3, segment=[0, 0, 1, 1, 0, 0, 0, 1, 1])
    dataset = demonstrations.to_lerobot(tmp_path / "a", "reach")
    assert dataset.episode_lengths.tolist() == [2, 2, 3, 2]
    np.testing.assert_array_equal(dataset.batch(range(9))["action"], columns["action"].astype(np.float32))
    window = dataset.windowed({"action": [0.0, 0.1, 0.2]})
    np.testing.assert_allclose(
        window.batch(range(9))["action"], demonstrations.batch(range(9))["action"], rtol=1e-6
    )
    np.testing.assert_array_equal(
        window.batch(range(9))["action_is_pad"], demonstrations.batch(range(9))["action_is_pad"]
    )
    assert len(demonstrations.to_lerobot(tmp_path / "a", "reach")) == 9
    with pytest.raises(vr.ConfigError, match="fps"):
        Demonstrations(columns, 20.0).to_lerobot(tmp_path / "a", "reach")
