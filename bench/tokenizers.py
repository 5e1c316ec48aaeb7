"""Tokenizers against numpy, and FAST against scipy with the `tokenizers` library.

Each call handles one chunk of 16 x 7 actions that no engine has seen before, as a policy's does; the second
FAST case has the long words of the universal vocabulary. Every engine's answers are compared with the other's
before its times count; `error` is their largest difference (encode: 0 when all ids are equal).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

# This file has the name of the library that it measures: its folder must not come first.
sys.path.append(sys.path.pop(0))

import numpy as np

import harness
import vla_rt as vr

HORIZON, DIM = 16, 7


def chunks(n: int, seed: int) -> np.ndarray:
    """Smooth normalised chunks (n, T, D) with a little noise."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, HORIZON)[None, :, None]
    level, slope, rate = (rng.normal(size=(n, 1, DIM)) for _ in range(3))
    noise = rng.normal(size=(n, HORIZON, DIM)) * 0.02
    return np.clip(level / 2 + slope / 2 * t + np.sin(6 * rate * t) / 3 + noise, -1, 1)


def compare(
    report: harness.Report,
    case: str,
    rounds: list[list[Any]],
    engines: dict[str, Callable[[Any], Any]],
    difference: Callable[[Any, Any], float],
    limit: float,
) -> None:
    """Times two engines on the same inputs, round by round in turn, and compares all their answers."""
    samples: dict[str, list[np.ndarray]] = {name: [] for name in engines}
    worst = 0.0
    for inputs in rounds:
        answers: dict[str, list[Any]] = {}
        for name, call in engines.items():
            times, answers[name] = np.empty(len(inputs)), []
            for i, x in enumerate(inputs):
                start = time.perf_counter_ns()
                answer = call(x)
                times[i] = (time.perf_counter_ns() - start) / 1e3
                answers[name].append(answer)
            samples[name].append(times)
        worst = max(worst, *map(difference, *answers.values()))
    ours, peer = engines
    if worst > limit:
        raise SystemExit(f"{case}: {ours} and {peer} differ by {worst}, more than {limit}")
    for name in engines:
        report.add(harness.from_rounds(case, name, samples[name], error=worst))
    report.ratio(f"{case}: p50 {peer} / {ours}", report.p50(case, peer), report.p50(case, ours))


def apart(a: Any, b: Any) -> float:
    """Largest difference of two arrays; for lists of ids 0 or 1."""
    if isinstance(a, list):
        return float(a != b)
    return float(np.abs(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)).max())


def bins(report: harness.Report, data: list[list[np.ndarray]]) -> None:
    """Uniform, RT-1, OpenVLA and quantile bins."""
    low, high = np.full(DIM, -1.0), np.full(DIM, 1.0)
    edges = np.linspace(-1.0, 1.0, 256)
    centers = (edges[:-1] + edges[1:]) / 2
    quantile = vr.tokenizers.QuantileTokenizer.fit(chunks(400, 2))
    table = quantile.edges

    def quantile_encode(x: np.ndarray) -> np.ndarray:
        columns = [np.searchsorted(table[d, 1:-1], x[:, d], side="right") for d in range(DIM)]
        return np.stack(columns, axis=1)

    def quantile_decode(tokens: np.ndarray) -> np.ndarray:
        column = np.arange(DIM)
        return (table[column, tokens] + table[column, tokens + 1]) / 2

    cases: dict[str, tuple[Any, Callable[..., Any], Callable[..., Any]]] = {
        "uniform": (
            vr.tokenizers.UniformTokenizer(low, high),
            lambda x: np.clip(np.floor((np.clip(x, low, high) - low) / (high - low) * 256), 0, 255).astype(
                np.int64
            ),
            lambda t: low + (t + 0.5) / 256 * (high - low),
        ),
        "rt1": (
            vr.tokenizers.RT1Tokenizer(low, high),
            lambda x: ((np.clip(x, low, high) - low) / (high - low) * 255).astype(np.int64),
            lambda t: t / 255 * (high - low) + low,
        ),
        "openvla": (
            vr.tokenizers.OpenVLATokenizer(),
            lambda x: 32000 - np.digitize(np.clip(x, -1.0, 1.0), edges),
            lambda t: centers[np.clip(32000 - t - 1, 0, 254)],
        ),
        "quantile": (quantile, quantile_encode, quantile_decode),
    }
    for name, (tokenizer, encode, decode) in cases.items():
        engines = {"vla_rt": tokenizer.encode, "numpy": encode}
        compare(report, f"{name} encode", data, engines, apart, 0.0)
        tokens = [[tokenizer.encode(x) for x in inputs] for inputs in data]
        engines = {"vla_rt": tokenizer.decode, "numpy": decode}
        compare(report, f"{name} decode", tokens, engines, apart, 1e-15)


def fast(report: harness.Report, data: list[list[np.ndarray]]) -> None:
    """FAST with a vocabulary of its own, and with one of two-byte letters like the public universal one."""
    try:
        from scipy.fft import dct, idct

        import tokenizers as peer_library
    except ImportError as error:
        for case in ("fast encode", "fast decode", "fast universal encode", "fast universal decode"):
            report.add(harness.missing(case, "scipy + tokenizers", f"not installed: {error.name}"))
        return
    fitted = vr.tokenizers.FastTokenizer.fit(chunks(1500, 4))
    cases = {"fast": (fitted.tokenizer_json(), fitted.min_token)}

    peer = peer_library.Tokenizer(peer_library.models.BPE())
    peer.pre_tokenizer = peer_library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    peer.decoder = peer_library.decoders.ByteLevel()
    trainer = peer_library.trainers.BpeTrainer(
        vocab_size=2048,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=peer_library.pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=10000,
    )

    def text_of(x: np.ndarray, min_token: int) -> str:
        quantized = np.around(dct(x[None], axis=1, norm="ortho") * 10)[0]
        return "".join(map(chr, np.maximum(quantized.flatten() - min_token, 0).astype(int)))

    peer.train_from_iterator((text_of(x, -354) for x in chunks(1500, 4)), trainer=trainer)
    cases["fast universal"] = (peer.to_str(), -354)

    for case, (text, min_token) in cases.items():
        ours = vr.tokenizers.FastTokenizer(text, scale=10, min_token=min_token)
        theirs = peer_library.Tokenizer.from_str(text)

        def encode(x: np.ndarray, theirs: Any = theirs, min_token: int = min_token) -> list[int]:
            return theirs.encode(text_of(x, min_token)).ids

        def decode(ids: list[int], theirs: Any = theirs, min_token: int = min_token) -> np.ndarray:
            characters = theirs.decode(ids, skip_special_tokens=False)
            coefficients = np.array(list(map(ord, characters))) + min_token
            return idct(coefficients.reshape(HORIZON, DIM) / 10, axis=0, norm="ortho")

        def our_decode(ids: list[int], ours: Any = ours) -> np.ndarray:
            return ours.decode(ids, HORIZON, DIM)

        engines = {"vla_rt": ours.encode, "scipy + tokenizers": encode}
        compare(report, f"{case} encode", data, engines, apart, 0.0)
        ids = [[ours.encode(x) for x in inputs] for inputs in data]
        engines = {"vla_rt": our_decode, "scipy + tokenizers": decode}
        compare(report, f"{case} decode", ids, engines, apart, 1e-12)


def main() -> None:
    """Runs the comparison."""
    options = harness.parse(__doc__)
    count, rounds = (100, 3) if options.quick else (500, 15)
    report = harness.Report("tokenizers")
    data = [list(chunks(count, 100 + r)) for r in range(rounds)]
    bins(report, data)
    fast(report, data)
    report.finish(options)


if __name__ == "__main__":
    main()
