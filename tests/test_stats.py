"""load_stats: the four layouts as their projects write them, and every way a file can be broken."""

import json

import numpy as np
import pytest

import vla_rt as vr


def block(dim, offset=0.0):
    base = np.arange(dim) + offset
    return {
        "mean": (base + 0.5).tolist(),
        "std": np.full(dim, 0.25).tolist(),
        "min": (base - 1).tolist(),
        "max": (base + 2).tolist(),
        "q01": (base - 0.5).tolist(),
        "q99": (base + 1.5).tolist(),
    }


def lerobot():
    image = {name: [[[0.5]], [[0.5]], [[0.5]]] for name in ("mean", "std", "min", "max")}
    action = {**block(3), "count": [100], "q10": [0.0, 1.0, 2.0], "q50": [0.5] * 3, "q90": [1.0, 2.0, 3.0]}
    return {
        "observation.images.top": {**image, "count": [10]},
        "action": action,
        "observation.state": block(2),
    }


def openvla():
    def dataset(offset):
        action = {**block(2, offset), "mask": [True, False]}
        return {"action": action, "proprio": block(3, offset), "num_transitions": 7, "num_trajectories": 1}

    return {"bridge_orig": dataset(0.0), "fractal": dataset(10.0)}


def openpi():
    names = ("mean", "std", "q01", "q99")
    return {"norm_stats": {key: {n: block(3)[n] for n in names} for key in ("state", "actions")}}


def groot():
    body = {"left_arm": block(2, 5.0), "gripper": block(1, 1.0)}
    return {"gr1": {"state": {"left_arm": block(2)}, "action": body}, "so100": {"action": {"arm": block(4)}}}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def same(normalizer, mode, convention, **stats):
    assert (normalizer.mode, normalizer.convention) == (mode, convention)
    assert sorted(normalizer.stats) == sorted(stats)
    for name, values in stats.items():
        np.testing.assert_array_equal(normalizer.stats[name], values)


def test_lerobot(tmp_path):
    file = write(tmp_path / "meta/stats.json", lerobot())
    for path in (file, str(file), tmp_path, tmp_path / "meta"):
        same(vr.load_stats(path), "mean_std", "lerobot", mean=[0.5, 1.5, 2.5], std=[0.25] * 3)
    same(vr.load_stats(file, mode="quantile10"), "quantile10", "lerobot", q10=[0, 1, 2], q90=[1, 2, 3])
    same(vr.load_stats(file, "observation.state", "min_max"), "min_max", "lerobot", min=[-1, 0], max=[2, 3])
    same(vr.load_stats(file, "observation.images.top"), "mean_std", "lerobot", mean=[0.5] * 3, std=[0.5] * 3)
    assert vr.load_stats(file, mode="identity") == vr.Normalizer("identity")


def test_lerobot_episodes_are_pooled(tmp_path):
    rng = np.random.default_rng(0)
    episodes = [rng.normal(i, 1 + i, size=(20 + 7 * i, 2)) for i in range(4)]
    lines = []
    for i, data in enumerate(episodes):
        stats = {name: getattr(data, name)(0).tolist() for name in ("mean", "std", "min", "max")}
        lines.append(json.dumps({"episode_index": i, "stats": {"action": {**stats, "count": [len(data)]}}}))
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/episodes_stats.jsonl").write_text("\n".join(lines) + "\n")
    whole = np.concatenate(episodes)
    normalizer = vr.load_stats(tmp_path)
    np.testing.assert_allclose(normalizer.stats["mean"], whole.mean(0), rtol=1e-13)
    np.testing.assert_allclose(normalizer.stats["std"], whole.std(0), rtol=1e-13)
    same(vr.load_stats(tmp_path, mode="min_max"), "min_max", "lerobot", min=whole.min(0), max=whole.max(0))
    (tmp_path / "meta/episodes_stats.jsonl").write_text(lines[0] + "\n" + lines[1][:30])
    with pytest.raises(vr.FormatError, match="line 2: not JSON"):
        vr.load_stats(tmp_path)
    broken = lines[1].replace('"count": [27]', '"count": [0]')
    (tmp_path / "meta/episodes_stats.jsonl").write_text(lines[0] + "\n" + broken)
    with pytest.raises(vr.FormatError, match=r"line 2, action\.count\[0\] = 0"):
        vr.load_stats(tmp_path)


def test_openvla(tmp_path):
    file = write(tmp_path / "dataset_statistics.json", openvla())
    normalizer = vr.load_stats(tmp_path, dataset="fractal")
    q = {"q01": [9.5, 10.5], "q99": [11.5, 12.5], "min": [9, 10], "max": [12, 13]}
    same(normalizer, "quantiles", "openvla", **q)
    assert normalizer.mask.tolist() == [True, False]
    assert vr.load_stats(file, "proprio", dataset="fractal").mask is None
    with pytest.raises(vr.ConfigError, match="must be one of bridge_orig, fractal"):
        vr.load_stats(file)
    with pytest.raises(vr.ConfigError, match=r"dataset = 'libero'.*bridge_orig"):
        vr.load_stats(file, dataset="libero")
    one = write(tmp_path / "one.json", {"bridge_orig": openvla()["bridge_orig"]})
    same(vr.load_stats(one, mode="mean_std"), "mean_std", "openvla", mean=[0.5, 1.5], std=[0.25] * 2)
    # The model's own config.json holds the same table under another name.
    config = write(tmp_path / "config.json", {"norm_stats": openvla(), "vocab_size": 32000})
    assert vr.load_stats(config, dataset="fractal") == normalizer


def test_openpi(tmp_path):
    file = write(tmp_path / "norm_stats.json", openpi())
    same(vr.load_stats(file), "mean_std", "openpi", mean=[0.5, 1.5, 2.5], std=[0.25] * 3)
    same(vr.load_stats(tmp_path, "actions", "quantiles"), "quantiles", "openpi",
         q01=[-0.5, 0.5, 1.5], q99=[1.5, 2.5, 3.5])  # fmt: skip
    assert vr.load_stats(file, "state") == vr.load_stats(file)
    with pytest.raises(vr.ConfigError, match="only one"):
        vr.load_stats(file, dataset="droid")


def test_groot_concatenates_in_file_order(tmp_path):
    file = write(tmp_path / "statistics.json", groot())
    normalizer = vr.load_stats(file, dataset="gr1")
    same(normalizer, "min_max", "groot", min=[4, 5, 0], max=[7, 8, 3])
    same(vr.load_stats(file, "state", dataset="gr1"), "min_max", "groot", min=[-1, 0], max=[2, 3])
    with pytest.raises(vr.ConfigError, match="must be one of gr1, so100"):
        vr.load_stats(file)
    with pytest.raises(vr.FormatError, match=r"so100\.state: missing; there are: action"):
        vr.load_stats(file, "state", dataset="so100")


def test_convention_is_checked(tmp_path):
    file = write(tmp_path / "s.json", openpi())
    assert vr.load_stats(file, convention="openpi").convention == "openpi"
    with pytest.raises(vr.FormatError, match="layout = openpi: must be groot's"):
        vr.load_stats(file, convention="groot")
    for kwargs, name in [({"mode": "max"}, "mode"), ({"convention": "octo"}, "convention")]:
        with pytest.raises(vr.ConfigError) as error:
            vr.load_stats(file, **kwargs)
        assert error.value.name == name


def changed(content, *path, to):
    node = content
    for name in path[:-1]:
        node = node[name]
    if to is None:
        del node[path[-1]]
    else:
        node[path[-1]] = to
    return content


BROKEN = [
    (changed(lerobot(), "action", "mean", to=None), {}, "action.mean", "there are: std"),
    (changed(lerobot(), "action", "mean", to="zero"), {}, "action.mean", "list of numbers"),
    (changed(lerobot(), "action", "mean", to=[]), {}, "action.mean", "list of numbers"),
    (changed(lerobot(), "action", "mean", 1, to="1.0"), {}, "action.mean[1]", "must be a number"),
    (changed(lerobot(), "action", "mean", 1, to=True), {}, "action.mean[1]", "must be a number"),
    (changed(lerobot(), "action", "mean", 1, to=[1.0, 2.0]), {}, "action.mean[1]", "must be a number"),
    (changed(lerobot(), "action", "mean", 1, to=float("nan")), {}, "action.mean[1]", "finite"),
    (changed(lerobot(), "action", "mean", 1, to=float("inf")), {}, "action.mean[1]", "finite"),
    (changed(lerobot(), "action", "mean", 1, to=10**400), {}, "action.mean[1]", "finite"),
    (changed(lerobot(), "action", "std", to=[0.25, 0.25]), {}, "action.std", "must have 3"),
    (changed(lerobot(), "action", "std", 2, to=-0.5), {}, "action.std[2]", ">= 0"),
    (changed(lerobot(), "action", "min", 2, to=9.0), {"mode": "min_max"}, "action.min[2]", "<= max"),
    (changed(lerobot(), "action", to=[1, 2]), {}, "action", "object"),
    (lerobot(), {"key": "actoin"}, "actoin", "there are: observation.images.top, action, observation.state"),
    (
        changed(openvla(), "fractal", "action", "mask", to="yes"),
        {"dataset": "fractal"},
        "fractal.action.mask",
        "list",
    ),
    (
        changed(openvla(), "fractal", "action", "mask", 1, to=1),
        {"dataset": "fractal"},
        "fractal.action.mask[1]",
        "true",
    ),
    (
        changed(openvla(), "fractal", "action", "mask", to=[True]),
        {"dataset": "fractal"},
        "fractal.action.mask",
        "have 2",
    ),
    (
        changed(openpi(), "norm_stats", "actions", "q99", to=None),
        {"mode": "quantiles"},
        "actions.q99",
        "missing",
    ),
    (
        changed(groot(), "gr1", "action", "gripper", "max", to=None),
        {"dataset": "gr1"},
        "gr1.action.gripper.max",
        "missing",
    ),
    (changed(groot(), "gr1", "action", "gripper", to=3), {"dataset": "gr1"}, "gr1.action.gripper", "object"),
    (changed(groot(), "gr1", "action", to={}), {"dataset": "gr1"}, "gr1.action", "at least one group"),
    ({"a": {"b": {"c": {"d": {"mean": [1.0]}}}}}, {}, "layout", "none of"),
    ({}, {}, "layout", "none of"),
    ([1, 2], {}, "layout", "none of"),
    ({"norm_stats": {}}, {}, "layout", "none of"),
]


@pytest.mark.parametrize(("content", "kwargs", "name", "bound"), BROKEN)
def test_broken_files_are_named(tmp_path, content, kwargs, name, bound):
    file = write(tmp_path / "file.json", content)
    with pytest.raises(vr.FormatError) as error:
        vr.load_stats(file, **kwargs)
    assert error.value.name == name
    assert bound in error.value.bound
    assert str(file) in str(error.value)


def test_what_the_mode_does_not_use_may_be_broken(tmp_path):
    file = write(tmp_path / "f.json", changed(lerobot(), "action", "q01", to=[float("nan")]))
    assert vr.load_stats(file).mode == "mean_std"


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_truncated(tmp_path, cut):
    file = tmp_path / "file.json"
    file.write_text(json.dumps(lerobot())[:cut])
    with pytest.raises(vr.FormatError, match="not JSON"):
        vr.load_stats(file)


def test_unreadable(tmp_path):
    file = tmp_path / "file.json"
    file.write_bytes(b'{"action": "\xff\xfe"}')
    with pytest.raises(vr.FormatError, match="byte 12: must be UTF-8"):
        vr.load_stats(file)
    file.write_text('{"a":' * 100_000)
    with pytest.raises(vr.FormatError):
        vr.load_stats(file)
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(vr.ConfigError) as error:
            vr.load_stats(path)
        assert error.value.name == "path"
