"""Everything that takes long lets other Python threads run, and answers the same from several threads."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vla_rt as vr
from vla_rt import samplers, tokenizers

RNG = np.random.default_rng(0)
N = 400_000
SMALL = RNG.uniform(-1, 1, size=(N, 7))
FLAT = np.ascontiguousarray(SMALL.reshape(-1))
STATE = RNG.normal(size=(100, 200, 50)).astype(np.float32)


def fast() -> vr.tokenizers.FastTokenizer:
    alphabet = {chr(c): i for i, c in enumerate([*range(33, 127), *range(0xA1, 0xAD)])}
    import json

    model = {"type": "BPE", "vocab": alphabet, "merges": []}
    text = json.dumps({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}, "model": model})
    return tokenizers.FastTokenizer(text, scale=4, min_token=-80)


def calls() -> dict[str, Callable[[], Any]]:
    uniform = tokenizers.UniformTokenizer(-1.0, 1.0)
    openvla = tokenizers.OpenVLATokenizer()
    quantile = tokenizers.QuantileTokenizer.fit(SMALL[:1000])
    motion = tokenizers.MotionTokenizer()
    motion_tokens = motion.encode(SMALL[:20_000])
    chunks = SMALL.reshape(-1, 16, 7)
    fitted = fast()
    ids = fitted.encode(chunks[0])
    many_ids = fitted.encode(chunks)
    long_ids = [ids[0]] * 3_000_000
    text = "ab12-" * 200_000
    delta = vr.EndEffectorDeltaSpace()
    box = vr.ContinuousActionSpace([-1.0] * 7, [1.0] * 7)
    choice = vr.DiscreteActionSpace(7)
    hybrid = vr.HybridActionSpace({"go": vr.ContinuousActionSpace([-1.0] * 7, [1.0] * 7), "stop": None})
    normalizer = vr.Normalizer("mean_std", mean=[0.0] * 7, std=[2.0] * 7)
    packed = hybrid.pack("go", SMALL)
    quaternions = RNG.normal(size=(N, 4))
    logits = RNG.normal(size=(1, 1_000_000)).astype(np.float32)
    head = np.abs(RNG.normal(size=(100, 2, 200, 50))).astype(np.float32)
    return {
        "noise": lambda: samplers.noise(0, 0, 0, (3_000_000,)),
        "flow": lambda: samplers.FlowMatchingSampler(4).sample(lambda x, t: x, STATE),
        "ddpm": lambda: samplers.DDPMSampler(num_steps=2).sample(lambda x, t: x, STATE),
        "schedules": lambda: samplers.DDIMSampler(10_000, "squaredcos_cap_v2", num_steps=10_000),
        "direct": lambda: samplers.DirectSampler("normal", "sample").sample(lambda x, t: head, STATE),
        "tokens": lambda: samplers.AutoregressiveSampler(1, "sample").sample(lambda t: logits),
        "uniform encode": lambda: uniform.encode(FLAT),
        "uniform decode": lambda: uniform.decode(np.zeros(10 * N, np.int64)),
        "openvla encode": lambda: openvla.encode(FLAT),
        "quantile fit": lambda: tokenizers.QuantileTokenizer.fit(SMALL),
        "quantile encode": lambda: quantile.encode(SMALL),
        "motion encode": lambda: motion.encode(SMALL[:20_000]),
        "motion decode": lambda: [motion.decode(motion_tokens) for _ in range(20)],
        "fast quantize": lambda: fitted.quantize(FLAT[: 1024 * 2000].reshape(1024, 2000)),
        "fast encode": lambda: fitted.encode(chunks),
        "fast decode": lambda: fitted.decode(many_ids, 16, 7),
        "fast text": lambda: fitted.encode_text(text),
        "fast coefficients": lambda: fitted.coefficients(long_ids, 1, 1, strict=False),
        "delta transform": lambda: delta.to_transform(SMALL),
        "normalize": lambda: box.normalize(SMALL),
        "squash": lambda: box.squash(SMALL),
        "gaussian": lambda: box.sample(SMALL, np.full(7, 0.1)),
        "choice": lambda: choice.sample(logits=SMALL),
        "hybrid pack": lambda: [hybrid.pack("go", SMALL) for _ in range(4)],
        "hybrid normalize": lambda: hybrid.normalize(packed),
        "normalizer": lambda: [normalizer.normalize(SMALL) for _ in range(4)],
        "rotations": lambda: vr.rotations.convert(quaternions, "quaternion", "matrix"),
    }


CALLS = calls()


def longest_wait(call: Callable[[], Any]) -> float:
    """Longest time that another thread had to wait, as a share of the call's duration."""
    state = [0]
    times = [0.0, 0.0]

    def work() -> None:
        times[0] = time.perf_counter()
        state[0] = 1
        try:
            call()
        finally:
            times[1] = time.perf_counter()
            state[0] = 2

    thread = threading.Thread(target=work)
    thread.start()
    seen = []
    while state[0] != 2:
        seen.append(time.perf_counter())
        time.sleep(0)
    thread.join()
    inside = [times[0], *[t for t in seen if times[0] < t < times[1]], times[1]]
    return float(np.diff(inside).max() / (times[1] - times[0]))


@pytest.mark.parametrize("name", list(CALLS))
def test_other_threads_run_meanwhile(name: str) -> None:
    # A busy machine makes the wait longer, never shorter: one good attempt proves that the lock was free.
    assert any(longest_wait(CALLS[name]) < 0.5 for _ in range(8))


def test_the_measurement_sees_a_held_lock() -> None:
    values = list(range(400_000)) * 4
    assert min(longest_wait(lambda: sorted(values, reverse=True)) for _ in range(3)) > 0.5


def test_two_threads_sample_the_same_bits() -> None:
    weights = RNG.normal(size=(7, 7)) / 7
    shape = (2, 16, 7)
    makers = [
        lambda: samplers.FlowMatchingSampler(5, "rk4"),
        lambda: samplers.DDPMSampler(num_steps=10),
        lambda: samplers.DPMSolverSampler(num_steps=8, algorithm_type="sde-dpmsolver++"),
        lambda: samplers.ConsistencySampler(num_steps=3),
    ]

    def network(x: np.ndarray, t: float) -> np.ndarray:
        return np.tanh(x @ weights + t / 1000)

    shared = [make() for make in makers]
    expected = [
        [s.sample(network, samplers.noise(seed, 0, 0, shape), seed=seed).tobytes() for seed in range(12)]
        for s in shared
    ]
    found: dict[int, list[list[bytes]]] = {}

    def work(index: int) -> None:
        found[index] = [
            [s.sample(network, samplers.noise(seed, 0, 0, shape), seed=seed).tobytes() for seed in range(12)]
            for s in shared
        ]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: expected, 1: expected}


def test_an_error_in_one_thread_stays_there() -> None:
    sampler = samplers.FlowMatchingSampler(20)
    failures: list[BaseException] = []

    def broken(x: np.ndarray, t: float) -> np.ndarray:
        if t > 0.5:
            raise ZeroDivisionError("mine")
        return x

    def fail() -> None:
        for _ in range(50):
            try:
                sampler.sample(broken, np.zeros((1, 4, 2)))
            except ZeroDivisionError as error:
                failures.append(error)

    thread = threading.Thread(target=fail)
    thread.start()
    for _ in range(50):
        assert np.array_equal(
            sampler.sample(lambda x, t: x * 0 + 1, np.zeros((1, 4, 2))).round(5), np.ones((1, 4, 2))
        )
    thread.join()
    assert len(failures) == 50
