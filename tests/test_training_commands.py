"""`vla-rt record`, `train` and `eval`, one after the other, with settings that take seconds."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
pytest.importorskip("torch")
pytest.importorskip("pyarrow")
if "torchscript" not in vr._backends.available():
    pytest.skip("this build has no torch backend", allow_module_level=True)

from vla_rt.cli.main import main
from vla_rt.datasets import LeRobotDataset
from vla_rt.tasks import RecordingConfig, record_dataset, record_demonstrations


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    root = tmp_path_factory.mktemp("record") / "data"
    out = root.with_name("record.json")
    assert main(["record", "--out", str(root), "--episodes", "2", "--json", str(out)]) == 0
    return root


def train_words(root, out, *more):
    words = ["train", "--dataset", str(root), "--out", str(out), "--steps", "12", "--batch-size", "16"]
    return [
        *words,
        "--num-threads",
        "1",
        "--set",
        "hidden=16",
        "encoder_hidden=(16,)",
        "prediction=action",
        *more,
    ]


@pytest.fixture(scope="module")
def trained(recorded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    assert main(train_words(recorded, folder / "package", "--json", str(folder / "train.json"))) == 0
    return folder


def test_the_recording_is_that_of_the_demonstrations(recorded):
    result = json.loads(recorded.with_name("record.json").read_text())
    dataset = LeRobotDataset(recorded)
    demonstrations, _ = record_demonstrations(RecordingConfig(episodes=2), progress=False)
    assert (result["episodes"], result["frames"]) == (6, len(demonstrations))
    assert result["expert"]["reached"] == 6
    columns = dataset.batch(np.arange(len(dataset)))
    for name in ("action", "observation.state", "observation.environment_state"):
        np.testing.assert_array_equal(columns[name], demonstrations.columns[name].astype(np.float32))
    np.testing.assert_array_equal(
        np.diff(columns["episode_index"]) != 0,
        np.diff(demonstrations.segment + 10 * demonstrations.columns["episode_index"]) != 0,
    )
    assert dataset.tasks == ["bring the tool to the goal"]


def test_a_recording_cut_off_inside_an_episode_is_completed(recorded, tmp_path):
    """Keep four of six goals, as a killed recording does; then record again, and two episodes more."""
    shutil.copytree(recorded, tmp_path / "data")
    info = tmp_path / "data/meta/info.json"
    content = json.loads(info.read_text())
    frames = int(LeRobotDataset(recorded).episode_lengths[:4].sum())
    info.write_text(json.dumps({**content, "total_episodes": 4, "total_frames": frames}))
    again, _ = record_dataset(tmp_path / "data", RecordingConfig(episodes=2), progress=False)
    whole = LeRobotDataset(recorded)
    assert again.num_episodes == 6
    rows = np.arange(len(whole))
    np.testing.assert_array_equal(again.batch(rows)["action"], whole.batch(rows)["action"])
    for name, values in whole.stats["action"].items():
        np.testing.assert_allclose(again.stats["action"][name], values)
    with pytest.raises(vr.ConfigError, match="seed"):
        record_dataset(tmp_path / "data", RecordingConfig(episodes=3, seed=1), progress=False)
    (tmp_path / "data/meta/recording.json").unlink()
    with pytest.raises(vr.ConfigError, match="was not recorded by this"):
        record_dataset(tmp_path / "data", RecordingConfig(episodes=2), progress=False)


def test_training_writes_a_package_a_log_and_a_result(recorded, trained):
    result = json.loads((trained / "train.json").read_text())
    assert (result["policy"], result["steps"], result["resumed_at"]) == ("FlowMatchingPolicy", 12, 0)
    assert result["dataset"]["episodes"] == 6
    with (trained / "package.training/log.csv").open() as file:
        assert int(list(csv.DictReader(file))[-1]["step"]) == 12
    spec = vr.load_policy(trained / "package").spec.to_dict()
    assert (spec["horizon"], spec["execution_horizon"], spec["period_s"]) == (16, 8, 0.05)
    assert [f["name"] for f in spec["observation"]] == ["observation.state", "observation.environment_state"]
    stats = LeRobotDataset(recorded).stats
    assert spec["action_normalizer"]["mode"] == "min_max"
    np.testing.assert_allclose(spec["action_normalizer"]["min"], stats["action"]["min"])


def test_a_finished_training_resumes_to_the_same_package(recorded, trained, tmp_path):
    shutil.copytree(trained / "package.training", tmp_path / "package.training")
    out = tmp_path / "train.json"
    assert main(train_words(recorded, tmp_path / "package", "--resume", "--json", str(out))) == 0
    assert json.loads(out.read_text())["resumed_at"] == 12
    observation = {"observation.state": np.zeros(7), "observation.environment_state": np.zeros(6)}
    chunks = [
        vr.load_policy(folder / "package").sample(observation, seed=3) for folder in (trained, tmp_path)
    ]
    np.testing.assert_array_equal(chunks[0], chunks[1])


def test_evaluation_gives_numbers_and_a_picture(trained, capsys):
    pytest.importorskip("matplotlib")
    words = ["eval", str(trained / "package"), "--goals", "2", "--delay", "0.02"]
    page = trained / "eval.html"
    words += ["--html", str(page)]
    assert main([*words, "--json", str(trained / "eval.json"), "--plot", str(trained / "eval.png")]) == 0
    text = page.read_text()
    assert re.search(r"<th>success</th><td>[\d.]+ %, \d of \d", text)
    assert text.count("data:image/png;base64,") == 1
    assert not re.search(r"<script|(src|href)=\"(?!data:)", text)
    result = json.loads((trained / "eval.json").read_text())
    assert result["task"]["attempted"] == 2
    low, high = result["success_interval"]
    assert low <= (result["task"]["success_rate"] or 0.0) <= high
    assert result["limit_violations"] == 0
    assert result["path_length_m"] > 0
    assert result["spectral_arc_length"] < -1
    assert result["squared_jerk"] > 0
    assert result["inference_ms"]["p50"] <= result["inference_ms"]["p99"] <= result["inference_ms"]["max"]
    assert result["config"] == {"goals": 2, "seed": 1, "delay_s": 0.02, "replan_s": 0.4}
    assert (trained / "eval.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    for word in ("success", "of 2", "interval", "smoothness", "emitted violations", "inference"):
        assert word in shown


def test_a_rollout_is_filmed_on_request(trained, capsys):
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    film = trained / "rollout.mp4"
    words = ["eval", str(trained / "package"), "--goals", "1", "--video", str(film), "--video-seconds", "0.4"]
    assert main(words) == 0
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 25
    assert len(frames) == 10
    assert frames[0].shape == (360, 480, 3)
    assert 20 < frames[0].mean() < 235
    assert (frames[0] != frames[-1]).any()
    assert main([*words[:-3], str(trained / "none" / "rollout.mp4")]) == 2
    assert "video" in capsys.readouterr().err


def test_a_policy_is_told_what_to_touch(tmp_path, capsys):
    """Pictures and words from the recording to the trial, and the opposite instruction."""
    root, package = tmp_path / "data", tmp_path / "package"
    assert main(["record", "--task", "blocks", "--out", str(root), "--episodes", "1"]) == 0
    dataset = LeRobotDataset(root)
    assert dataset.features["observation.image"].shape == (96, 96, 3)
    assert all("block" in text or "one" in text for text in dataset.tasks)
    small = ["obs_dim=16", "multimodal.image_width=4", "multimodal.image_stages=1", "multimodal.text_width=8"]
    words = ["train", "--dataset", str(root), "--out", str(package), "--policy", "direct_action_predictor"]
    words += [
        "--instruction",
        "6",
        "--steps",
        "2",
        "--batch-size",
        "4",
        "--num-threads",
        "1",
        "--set",
        *small,
    ]
    assert main(words) == 0
    vocabulary = vr.datasets.InstructionVocabulary.load(package)
    assert vocabulary == vr.datasets.InstructionVocabulary.of(dataset.tasks, 6)
    told = vr.load_policy(package).spec.to_dict()["observation"][-1]
    assert (told["name"], tuple(told["shape"])) == ("instruction", (6,))
    for more, said in (([], False), (["--mislead"], True)):
        out = tmp_path / "eval.json"
        words = ["eval", str(package), "--task", "blocks", "--goals", "1", "--json", str(out), *more]
        assert main(words) == 0
        result = json.loads(out.read_text())
        assert result["task"]["attempted"] == 1
        assert result["config"]["mislead"] is said
    assert main(["eval", str(package), "--mislead"]) == 2
    assert "mislead" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "multimodal.nothing=3"], "MultimodalConfig has"),
        (["--set", "hidden.nothing=3"], "holds no configuration"),
        (["--instruction", "2"], "words"),
        (["--policy", "nothing"], "flow_matching"),
        (["--set", "hidden"], "name=value"),
        (["--set", "nothing=3"], "FlowMatchingConfig has"),
        (["--set", "hidden=wide"], "do not fit"),
        (["--set", "hidden=0"], "hidden"),
        (["--observation", "observation.image"], "the dataset has"),
        (["--period", "0.07"], "period_s"),
        (["--steps", "0"], "steps"),
    ],
)
def test_wrong_words_are_one_line(recorded, tmp_path, capsys, words, message):
    base = ["train", "--dataset", str(recorded), "--out", str(tmp_path / "p"), "--num-threads", "1"]
    assert main([*base, *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "p").exists()


def test_a_missing_dataset_is_one_line(tmp_path, capsys):
    assert main(["train", "--dataset", str(tmp_path / "none"), "--out", str(tmp_path / "p")]) == 2
    assert "meta/info.json is missing" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["record", "train", "eval"])
def test_help(name):
    done = subprocess.run(
        [sys.executable, "-m", "vla_rt.cli.main", name, "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--json" in done.stdout
