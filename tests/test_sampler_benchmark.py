"""What `bench/samplers.py` measures with: counts, answers and refusals, never times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

from exportable import TinyPolicy
from token_policy import SmallTokenPolicy


def test_whole_chunks_and_their_calls_are_counted(tmp_path: Path) -> None:
    package = vr.export_policy(TinyPolicy(), tmp_path / "p", backends="torchscript")
    vr.load_policy(package)
    result = _core.benchmark_sampler(package, "torchscript", 20)
    assert result["evaluations"] == 10  # five steps of Heun
    for kind in ("whole", "calls", "loop"):
        assert result[f"{kind}_ns"].shape == (20,)
        assert (result[f"{kind}_ns"] > 0).all()
        assert result[f"{kind}_allocations"] is None
    assert np.median(result["loop_ns"]) < np.median(result["calls_ns"])


def test_what_it_cannot_measure_is_refused(tmp_path: Path) -> None:
    tokens = vr.export_policy(SmallTokenPolicy(), tmp_path / "t", backends="torchscript")
    vr.load_policy(tokens)
    with pytest.raises(vr.ConfigError, match="draws tokens"):
        _core.benchmark_sampler(tokens, "torchscript", 1)
    with pytest.raises(vr.ConfigError, match="n"):
        _core.benchmark_sampler(tokens, "torchscript", 0)
    with pytest.raises(vr.ModelError, match="quantum"):
        _core.benchmark_sampler(tokens, "quantum", 1)
    with pytest.raises(vr.FormatError, match=r"policy\.json"):
        _core.benchmark_sampler(tmp_path, "torchscript", 1)
