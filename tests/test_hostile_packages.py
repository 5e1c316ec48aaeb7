"""Packages that nobody vouches for: every answer is a package or one of our errors, and nothing crashes."""

import json
import random
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest

import vla_rt as vr
from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

from exportable import OBSERVATION, TinyPolicy


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vr.export_policy(TinyPolicy(), tmp_path_factory.mktemp("hostile") / "tiny")


@pytest.fixture
def copy(package: Path, tmp_path: Path) -> Path:
    shutil.copytree(package, tmp_path / "p")
    return tmp_path / "p"


WEIRD: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 2**64, -(2**70), 1e308, 0.5, "", "x", "\x00", "é" * 200, "a" * 300,
    [], [[]], [1] * 70, {}, {"a": 1}, [None], "../../etc/passwd",
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value, the root left out."""
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    found = []
    for key, inner in items:
        found += [(*path, key), *places(inner, (*path, key))]
    return found


def changed(spec: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(json.dumps(spec))
    *parents, last = rng.choice(places(result))
    target: Any = result
    for key in parents:
        target = target[key]
    match rng.randrange(4):
        case 0:
            del target[last]
        case 1 if isinstance(target, dict):
            target[rng.choice(["extra", "mode", "name", "é", ""])] = rng.choice(WEIRD)
        case 2 if isinstance(target, list):
            target.append(rng.choice(WEIRD))
        case _:
            target[last] = rng.choice(WEIRD)
    return result


def parsed(text: str) -> tuple[vr.PolicySpec | None, vr.FormatError | None]:
    try:
        return _core.parse_policy_spec(text), None
    except vr.FormatError as error:
        return None, error


def test_changed_documents_are_refused_or_fit(package: Path) -> None:
    spec = json.loads((package / "policy.json").read_text())
    rng = random.Random(0)
    accepted = 0
    for _ in range(5000):
        text = json.dumps(changed(spec, rng))
        read, error = parsed(text)
        if read is None:
            assert error is not None
            assert error.name.startswith("policy.json")
            assert len(str(error)) < 1000
        else:
            accepted += 1
            assert _core.parse_policy_spec(json.dumps(read.to_dict())) == read
    assert 0 < accepted < 2500


def test_packages_that_pass_the_reader_never_crash_the_loader(copy: Path) -> None:
    """A description that is fine in itself but not this network's: ModelError, not a crash."""
    spec = json.loads((copy / "policy.json").read_text())
    rng = random.Random(1)
    opened = 0
    for _ in range(400):
        text = json.dumps(changed(spec, rng))
        (copy / "policy.json").write_text(text)
        try:
            _core.parse_policy_spec(text)
        except vr.FormatError:
            continue
        try:
            vr.load_policy(copy).sample(OBSERVATION)
            opened += 1
        except vr.VlaRtError:
            pass
    assert opened > 0


@pytest.mark.parametrize("change", [{"horizon": 5}, {"action_dim": 1}, {"observation": "reversed"}])
def test_a_network_that_does_not_fit_its_description(copy: Path, change: dict[str, Any]) -> None:
    spec = json.loads((copy / "policy.json").read_text())
    if "observation" in change:
        change = {"observation": spec["observation"][::-1]}
    if "action_dim" in change:
        spec["action_normalizer"] = {"mode": "identity", "convention": "lerobot"}
    (copy / "policy.json").write_text(json.dumps(spec | change))
    with pytest.raises(vr.ModelError):
        vr.load_policy(copy)


def test_cut_description(copy: Path) -> None:
    text = (copy / "policy.json").read_bytes().rstrip()
    for length in range(len(text)):
        assert parsed(text[:length].decode())[0] is None
    for length in range(0, len(text), len(text) // 20):
        (copy / "policy.json").write_bytes(text[:length])
        with pytest.raises(vr.FormatError, match=r"policy\.json"):
            vr.load_policy(copy)


def test_cut_network_names_the_file(copy: Path) -> None:
    data = (copy / "model.ts").read_bytes()
    for length in [*range(0, len(data), len(data) // 20), len(data) - 1]:
        (copy / "model.ts").write_bytes(data[:length])
        with pytest.raises(vr.FormatError) as error:
            vr.load_policy(copy)
        assert error.value.name == "policy.json#/files/model.ts"
    (copy / "model.ts").unlink()
    with pytest.raises(vr.FormatError, match="missing"):
        vr.load_policy(copy)


def test_a_changed_network_of_the_right_size_is_named(copy: Path) -> None:
    data = (copy / "model.ts").read_bytes()
    flipped = [
        data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(0, len(data), len(data) // 20)
    ]
    for changed in [*flipped, bytes(len(data)), b"\xff" * len(data)]:
        (copy / "model.ts").write_bytes(changed)
        with pytest.raises(vr.FormatError) as error:
            vr.load_policy(copy)
        assert error.value.name == "policy.json#/files/model.ts/crc32"


def test_a_network_that_is_none_is_a_model_error(copy: Path) -> None:
    description = json.loads((copy / "policy.json").read_text())
    for content in (b"", b"PK\x03\x04", bytes(1000)):
        (copy / "model.ts").write_bytes(content)
        entry = {"bytes": len(content), "crc32": f"{zlib.crc32(content):08x}"}
        description["files"]["model.ts"] = entry
        (copy / "policy.json").write_text(json.dumps(description))
        with pytest.raises(vr.ModelError):
            vr.load_policy(copy, backend="torchscript")


def test_a_network_that_is_not_listed_is_missing(copy: Path) -> None:
    description = json.loads((copy / "policy.json").read_text())
    description["files"] = {}
    (copy / "policy.json").write_text(json.dumps(description))
    with pytest.raises(vr.FormatError, match=r"lacks \"plan\.json\""):
        vr.load_policy(copy)


def test_duplicate_keys_unknown_fields_and_versions(copy: Path) -> None:
    text = (copy / "policy.json").read_text()
    for old, new, field in (
        ('"horizon": 4', '"horizon": 4, "horizon": 8', "/horizon"),
        ('"horizon": 4', '"horizon": 4, "horizonn": 8', "/horizonn"),
        ('"schema_version": 1', '"schema_version": 99', "/schema_version"),
        ('"period_s": 0.05', '"period_s": NaN', ""),
        ('"period_s": 0.05', '"period_s": 1e999', ""),
    ):
        assert old in text
        (copy / "policy.json").write_text(text.replace(old, new, 1))
        with pytest.raises(vr.FormatError) as error:
            vr.load_policy(copy)
        assert error.value.name == "policy.json" + (f"#{field}" if field else "")


def test_what_is_no_package(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", __file__):
        with pytest.raises(vr.FormatError, match="not a policy package"):
            vr.load_policy(path)
    (tmp_path / "policy.json").mkdir()
    with pytest.raises(vr.FormatError):
        vr.load_policy(tmp_path)
    import os

    other = tmp_path / "fifo"
    other.mkdir()
    os.mkfifo(other / "policy.json")  # must not be waited for
    with pytest.raises(vr.FormatError):
        vr.load_policy(other)
