import subprocess
import sys
from pathlib import Path

import pytest

import vla_rt as vr
from vla_rt import _backends, _core

needs_torch = pytest.mark.skipif(_core.TORCH_VERSION is None, reason="built without torch")


def linked_libraries(path: str) -> str:
    return subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout


def test_core_links_no_torch() -> None:
    for library in ("libtorch", "libc10", "libgomp"):
        assert library not in linked_libraries(_core.__file__)


@needs_torch
def test_torch_backend_is_small_and_opens() -> None:
    _backends.open_backend("torchscript")
    from vla_rt import _torch

    assert "torchscript" in _core.backend_names()
    assert _torch.TORCH_VERSION == _core.TORCH_VERSION
    folder = Path(_torch.__file__).parent
    assert sum(f.stat().st_size for f in folder.glob("*_torch*.so")) < 1_000_000


@needs_torch
@pytest.mark.parametrize("installed", ["2.12.1", "2.14.0+cu130", "3.0.0"])
def test_another_torch_minor_is_one_plain_sentence(monkeypatch: pytest.MonkeyPatch, installed: str) -> None:
    monkeypatch.setattr(_backends, "_installed_torch", lambda: installed)
    with pytest.raises(vr.ModelError) as error:
        _backends.open_backend("torchscript")
    text = str(error.value)
    assert f"built against torch {_core.TORCH_VERSION}" in text
    assert f"torch {installed} is installed" in text
    assert "pip install" in text
    assert "\n" not in text


@needs_torch
def test_same_minor_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    major, minor, _ = _core.TORCH_VERSION.split(".")
    monkeypatch.setattr(_backends, "_installed_torch", lambda: f"{major}.{minor}.99+cpu")
    assert _backends.torch_problem() is None


@needs_torch
def test_missing_torch_is_one_plain_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backends, "_installed_torch", lambda: None)
    with pytest.raises(vr.ModelError, match="torch is not installed"):
        _backends.open_backend("torchscript")
    assert "torchscript" not in _backends.available() or "torchscript" in _core.backend_names()


def test_not_built_is_one_plain_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "TORCH_VERSION", None)
    with pytest.raises(vr.ModelError, match=r"compiled without torch.*VLA_RT_TORCH=1"):
        _backends.open_backend("torchscript")


@needs_torch
def test_import_error_keeps_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vla_rt._torch", None)
    with pytest.raises(vr.ModelError, match="built against torch") as error:
        _backends.open_torch()
    assert isinstance(error.value.__cause__, ImportError)


def test_unknown_backend_names_those_that_exist() -> None:
    with pytest.raises(vr.ModelError, match="quantum"):
        _backends.open_backend("quantum")


def test_without_torch_the_training_side_says_what_to_install() -> None:
    code = "import sys; sys.modules['torch'] = None; import vla_rt as vr\n"
    for name in ("policies", "training"):
        run = subprocess.run(
            [sys.executable, "-c", f"{code}vr.{name}"], capture_output=True, text=True, check=False
        )
        assert run.stderr.splitlines()[-1] == (
            f"ImportError: vla_rt.{name} needs PyTorch, which is not installed; "
            "run: pip install 'vla-rt[train]'"
        )
