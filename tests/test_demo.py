"""`vla-rt demo`: cache, preparation, run, picture, command line; with settings that take seconds."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("mujoco", reason="the extra `sim` is not installed")
torch = pytest.importorskip("torch")
if "torchscript" not in vr._backends.available():
    pytest.skip("this build has no torch backend", allow_module_level=True)

from vla_rt.cli.main import main  # noqa: E402
from vla_rt.demo import PreparationConfig, SafeRunConfig, prepare, run_policy  # noqa: E402
from vla_rt.demo.cache import SOURCES, CacheEntry, cache_key, code_fingerprint, default_cache_dir  # noqa: E402
from vla_rt.demo.table import result_table  # noqa: E402

TINY = PreparationConfig(
    episodes=2, steps=12, batch_size=32, hidden=32, encoder_hidden=(32,), evaluation_s=1.0
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def preparation(cache):
    return prepare(TINY, cache, progress=False)


@pytest.fixture(scope="module")
def result(preparation):
    policy = vr.load_policy(preparation.package)
    return run_policy(policy, preparation.goals, SafeRunConfig(duration_s=1.5, seed=3))


def test_the_key_depends_on_everything_that_shapes_the_package(tmp_path):
    settings, versions = {"steps": 3, "hidden": (4,)}, {"torch": "2.13"}
    key = cache_key(settings, versions, "code")
    assert key == cache_key(dict(reversed(settings.items())), versions, "code")
    assert len({key, cache_key({**settings, "steps": 4}, versions, "code")}) == 2
    assert key != cache_key(settings, {"torch": "2.14"}, "code")
    assert key != cache_key(settings, versions, "other code")
    for name in SOURCES:
        file = tmp_path / name if name.endswith(".py") else tmp_path / name / "module.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    source = tmp_path / "policies" / "a.py"
    source.write_text("one")
    before = code_fingerprint(tmp_path)
    (tmp_path / "policies" / "note.txt").write_text("no code")
    assert code_fingerprint(tmp_path) == before
    source.write_text("two")
    changed = code_fingerprint(tmp_path)
    assert changed != before
    source.rename(tmp_path / "training" / "a.py")
    assert code_fingerprint(tmp_path) not in (before, changed)


def test_every_setting_but_the_length_of_the_trial_is_part_of_the_key():
    keys = {TINY.key()}
    for field in dataclasses.fields(TINY):
        value = getattr(TINY, field.name)
        changed = (*value, 8) if isinstance(value, tuple) else value * 2 + 1
        keys.add(dataclasses.replace(TINY, **{field.name: changed}).key())
    assert len(keys) == len(dataclasses.fields(TINY))
    assert dataclasses.replace(TINY, evaluation_s=7.0).key() == TINY.key()


def test_the_cache_is_where_xdg_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "vla_rt" / "demo"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/not/allowed")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_dir() == tmp_path / "home" / ".cache" / "vla_rt" / "demo"


def test_an_entry_is_there_as_a_whole_or_not_at_all(tmp_path):
    entry = CacheEntry(tmp_path / "cache", "key")
    with entry.locked():
        work = entry.begin()
        (work / "preparation.json").write_text("{}")
        assert not entry.complete
        assert CacheEntry(tmp_path / "cache", "key").begin() == work  # an interrupted run's work is kept
        entry.finish()
    assert entry.complete
    assert not work.exists()
    entry.discard()
    assert not entry.complete


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(vr.ConfigError, match="cache_dir"), CacheEntry(tmp_path / "cache", "key").locked():
        pass


def test_a_cache_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(vr.ConfigError, match="cache_dir"):
        prepare(TINY, tmp_path / "file" / "cache", progress=False)


def test_preparation_makes_a_package_and_notes_what_it_is(preparation):
    assert not preparation.cached
    policy = vr.load_policy(preparation.package)
    assert (policy.spec.horizon, policy.spec.action_dim) == (16, 7)
    assert preparation.goals.shape == (6, 3)
    info = preparation.info
    assert info["config"]["steps"] == info["training"]["steps"] == 12
    assert info["recording"]["attempted"] == 6
    assert info["trial"]["limit_violations"] == 0
    files = {p.name for p in preparation.package.parent.iterdir()}
    assert files == {"package", "goals.npy", "preparation.json", "recording.json", "training"}
    assert not (preparation.package.parent / "training" / "checkpoint.pt").exists()


def test_the_second_time_it_is_there_unless_it_is_to_be_made_anew(preparation, cache):
    said = []
    again = prepare(TINY, cache, announce=said.append, progress=False)
    assert again.cached
    assert again.package == preparation.package
    assert said == []
    np.testing.assert_array_equal(again.goals, preparation.goals)
    assert again.info == preparation.info
    assert again.info["training"] == preparation.info["training"]


def test_the_same_settings_give_the_same_policy(preparation, tmp_path):
    """Bit for bit on one thread; --retrain makes it anew."""
    network = (preparation.package / "policy.json").stat().st_mtime_ns
    other = prepare(TINY, tmp_path, progress=False)
    assert not other.cached
    remade = prepare(TINY, tmp_path, retrain=True, progress=False)
    assert not remade.cached
    spec = vr.load_policy(remade.package).spec
    observation = {name: np.full(shape, 0.1) for name, shape, _ in spec.observation}
    samples = [vr.load_policy(p.package).sample(observation, seed=1) for p in (preparation, other, remade)]
    np.testing.assert_allclose(samples[1], samples[0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(samples[2], samples[0], rtol=0, atol=1e-4)
    assert (preparation.package / "policy.json").stat().st_mtime_ns == network


def test_a_damaged_entry_is_made_again(tmp_path):
    config = dataclasses.replace(TINY, evaluation_s=0.0)
    first = prepare(config, tmp_path, progress=False)
    assert first.info["trial"] is None
    (first.package / "policy.json").write_text("{")
    said = []
    second = prepare(config, tmp_path, announce=said.append, progress=False)
    assert not second.cached
    assert "damaged" in said[0]
    assert vr.load_policy(second.package).spec.horizon == 16


def test_predict_and_the_package_agree(tmp_path):
    """The same raw observation and noise: eager PyTorch and the C++ runtime, to 1e-4 of the range."""
    from vla_rt.policies import FlowMatchingConfig, FlowMatchingPolicy

    torch.manual_seed(0)
    observation = (("observation.state", (7,)), ("observation.environment_state", (6,)))
    rng = np.random.default_rng(0)
    for prediction in ("velocity", "action"):
        policy = FlowMatchingPolicy(FlowMatchingConfig(observation=observation, prediction=prediction))
        policy.set_statistics(
            {
                name: {
                    "mean": rng.normal(size=n),
                    "std": rng.uniform(0.1, 2, n),
                    "min": -np.ones(n),
                    "max": np.full(n, 2.0),
                }
                for name, n in (("observation.state", 7), ("observation.environment_state", 6), ("action", 7))
            }
        )
        package = vr.load_policy(vr.export_policy(policy, tmp_path / prediction))
        for seed in range(3):
            raw = {name: rng.normal(size=shape) for name, shape in observation}
            noise = rng.normal(size=(16, 7)).astype(np.float32)
            ours = policy.predict(raw, noise=noise)
            np.testing.assert_allclose(
                package.sample(raw, noise=noise), ours, rtol=0, atol=1e-4 * np.ptp(ours)
            )
            ours = policy.predict(raw, seed=seed)
            np.testing.assert_allclose(package.sample(raw, seed=seed), ours, rtol=0, atol=1e-4 * np.ptp(ours))


def test_a_run_keeps_the_limits_whatever_the_policy_says(result):
    """Twelve steps of training make no policy, and still nothing is broken."""
    report = result.report
    assert report.limit_violations == 0
    assert report.ticks >= 1000
    assert report.inference["chunks"] > 5
    assert result.nearest_training_goal_m > 1e-4
    assert result.shown[0][0] == 0.0
    assert all(goal.shape == (3,) for _, goal in result.shown)
    for name in ("wakeup_us", "compute_us"):
        assert len(report.trace[name]) == len(report.trace["time_s"]) > 0
        assert np.median(report.trace[name]) <= getattr(report, name)["max"]


def test_a_goal_that_was_shown_in_training_is_an_error(preparation, result):
    shown = np.array([goal for _, goal in result.shown])
    with pytest.raises(vr.ModelError, match=r"goals.*shown in training"):
        run_policy(vr.load_policy(preparation.package), shown, SafeRunConfig(duration_s=0.2, seed=3))


def test_the_picture(result, tmp_path):
    mpl = pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    path = tmp_path / "run.png"
    vr.plots.plot_run(result, path)
    picture = imread(path)
    assert picture.shape[0] > 800
    assert picture.shape[1] > 1200
    assert picture.std() > 0.05
    assert [p.name for p in tmp_path.iterdir()] == ["run.png"]
    empty = {name: values[:0] for name, values in result.report.trace.items()}
    without = dataclasses.replace(result, report=dataclasses.replace(result.report, trace=empty), shown=[])
    vr.plots.plot_run(without, tmp_path / "empty.png")
    assert mpl.rcParams["axes.grid"] is False or mpl.rcParams == mpl.rcParamsDefault
    with pytest.raises(vr.ConfigError, match="path"):
        vr.plots.plot_run(result, tmp_path / "nowhere" / "run.png")


def test_the_table(result):
    from rich.console import Console

    console = Console(width=140, file=io.StringIO())
    console.print(result_table(result))
    text = console.file.getvalue()
    for words in (
        "limit violations",
        "0 in",
        "p99.9",
        "deadline misses",
        "never seen",
        "real time",
        "chunk seams",
    ):
        assert words in text


KEYS = {
    "success_rate",
    "ticks",
    "deadline_misses",
    "wakeup_us",
    "compute_us",
    "limit_violations",
    "seam",
    "tracking_rms",
    "realtime",
}


def test_the_command(tmp_path, capsys):
    words = ["demo", "--duration", "1", "--seed", "2", "--episodes", "2", "--steps", "10", "--trial", "0"]
    words += ["--cache-dir", str(tmp_path / "cache")]
    words += ["--json", str(tmp_path / "out.json"), "--plot", str(tmp_path / "out.png")]
    assert main(words) in (0, 1)
    assert "limit violations" in capsys.readouterr().out
    result = json.loads((tmp_path / "out.json").read_text())
    assert result.keys() >= KEYS
    for name in ("wakeup_us", "compute_us"):
        assert result[name].keys() >= {"p50", "p99", "p999", "max"}
    assert result["seam"].keys() >= {"position", "velocity", "acceleration"}
    assert result["limit_violations"] == 0
    assert result["preparation"]["cached"] is False
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert main(words) in (0, 1)
    assert json.loads((tmp_path / "out.json").read_text())["preparation"]["cached"] is True


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--duration", "0"], "duration_s"),
        (["--duration", "nan"], "duration_s"),
        (["--seed", "-1"], "seed"),
        (["--steps", "0"], "steps"),
        (["--episodes", "0"], "episodes"),
        (["--json", "/nowhere/at/all.json"], "json"),
        (["--plot", "/nowhere/at/all.png"], "plot"),
    ],
)
def test_bad_flags_are_refused_before_any_work(words, name, tmp_path, capsys):
    assert main(["demo", *words, "--cache-dir", str(tmp_path / "cache")]) == 2
    assert name in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


def interrupted_demo(tmp_path, after: str, pattern: str, *words: str) -> tuple[int, str]:
    """Exit code and output of a demo that gets a Ctrl-C a second after these words and this file."""
    command = [sys.executable, "-u", "-m", "vla_rt.cli.main", "demo", "--episodes", "2", "--trial", "0"]
    command += ["--cache-dir", str(tmp_path / "cache"), "--json", str(tmp_path / "out.json"), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if after in line:
                while not any(tmp_path.glob(pattern)) and process.poll() is None:
                    time.sleep(0.05)
                time.sleep(1.0)
                process.send_signal(signal.SIGINT)
                break
        lines += process.stdout
    return process.returncode, "".join(lines)


def test_ctrl_c_in_the_run_ends_in_a_stop_and_still_reports(tmp_path):
    code, text = interrupted_demo(tmp_path, "running for", "cache/*", "--steps", "10", "--duration", "60")
    assert code == 130, text
    assert "Traceback" not in text
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["interrupted"] is True
    assert result["limit_violations"] == 0
    assert result["duration_s"] < 30


def test_ctrl_c_in_the_training_is_gone_on_with(tmp_path):
    code, text = interrupted_demo(
        tmp_path, "training a", "cache/*.work/training/log.csv", "--steps", "100000"
    )
    assert code == 130, text
    assert "Traceback" not in text
    assert "goes on from there" in text
    (work,) = (tmp_path / "cache").glob("*.work")
    assert (work / "demonstrations.npz").exists()
    assert (work / "training" / "checkpoint.pt").exists()
    assert not (tmp_path / "out.json").exists()
