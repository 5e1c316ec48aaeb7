"""What a sampler's loop in C++ adds to the network's own time, and the same loop written in PyTorch.

    python bench/samplers.py --json out.json [--quick]

The network is the course's flow MLP (16 x 7 actions) as TorchScript, the same file for every row. In C++, in
turn: the chunk (`encode` and the sampler over `step`), the same calls of the network on the same inputs
without the sampler, and the sampler over answers from memory. The ratio "added per step" is the median
difference of the first two, over the number of steps; allocations are per chunk. The peers call the file from
Python: flow matching and consistency as plain PyTorch, the diffusion samplers with the schedulers of
diffusers; `error` is their largest difference from our chunk over its largest number, with the same noise.
Stochastic samplers draw their noise inside the measured time.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import allocations
import harness
import vla_rt as vr
from course import FlowMlp, randomized
from vla_rt import _backends, _core

TOLERANCE = 2e-4
OURS, CALLS, LOOP, PEER = "vla_rt, C++", "network alone, C++", "loop alone, C++", "PyTorch loop"

#: x, step noise (K, 1, T, D) or None to draw -> the chunk (1, T, D).
Peer = Callable[[Tensor, Tensor | None], Tensor]


def specs() -> dict[str, dict[str, Any]]:
    """Name and options of every sampler."""
    found: dict[str, dict[str, Any]] = {
        f"flow, {solver}": {"type": "flow_matching", "num_steps": 10, "solver": solver, "noise_at": 0}
        for solver in ("euler", "midpoint", "heun", "rk4")
    }
    diffusion = {
        "num_train_steps": 100,
        "beta_schedule": "squaredcos_cap_v2",
        "beta_start": 1e-4,
        "beta_end": 0.02,
        "prediction": "epsilon",
        "clip_sample": True,
        "clip_range": 1.0,
        "timestep_spacing": "leading",
        "steps_offset": 0,
    }
    found["DDPM, 100 steps"] = {"type": "ddpm", **diffusion, "num_steps": 100}
    for eta in (0.0, 1.0):
        own = {"eta": eta, "set_alpha_to_one": True}
        found[f"DDIM, eta {eta:.0f}"] = {"type": "ddim", **diffusion, "num_steps": 10, **own}
    for kind, name in (("dpmsolver++", "DPM++"), ("sde-dpmsolver++", "SDE-DPM++")):
        for order in (1, 2, 3):
            own = {"solver_order": order, "solver_type": "midpoint", "algorithm_type": kind}
            own |= {"lower_order_final": True, "final_sigmas_type": "zero", "use_karras_sigmas": False}
            found[f"{name} {order}"] = {"type": "dpm_solver", **diffusion, "num_steps": 10, **own}
            found[f"{name} {order}"]["clip_sample"] = False  # diffusers has none here
    levels = {"sigma_min": 0.02, "sigma_max": 80.0, "rho": 7.0, "sigma_data": 0.5}
    found["consistency, 4 steps"] = {"type": "consistency", "num_steps": 4, **levels}
    return found


class Network:
    """The stages of a package's TorchScript file, called from Python."""

    def __init__(self, folder: Path, observation: Tensor) -> None:
        self.module, self.observation = torch.jit.load(folder / "model.ts").eval(), observation
        self.rows: dict[float, Any] = {}
        self.context: Any = None

    def encode(self) -> None:
        """Once per chunk."""
        self.context = self.module.encode(self.observation)

    def __call__(self, x: Tensor, t: float) -> Tensor:
        if t not in self.rows:
            self.rows[t] = self.module.prepare(torch.tensor([float(t)]))
        answer: Tensor = self.module.step(x, self.rows[t], self.context)
        return answer


def flow_peer(network: Network, spec: dict[str, Any]) -> Peer:
    """The textbook forms of the four solvers."""
    steps, solver = spec["num_steps"], spec["solver"]
    h = 1.0 / steps

    def sample(x: Tensor, _: Tensor | None) -> Tensor:
        for k in range(steps):
            v = network(x, k / steps)
            if solver == "midpoint":
                v = network(x + h / 2 * v, (k + 0.5) / steps)
            elif solver == "heun":
                v = (v + network(x + h * v, (k + 1) / steps)) / 2
            elif solver == "rk4":
                v2 = network(x + h / 2 * v, (k + 0.5) / steps)
                v3 = network(x + h / 2 * v2, (k + 0.5) / steps)
                v4 = network(x + h * v3, (k + 1) / steps)
                v = (v + 2 * v2 + 2 * v3 + v4) / 6
            x = x + h * v
        return x

    return sample


def consistency_peer(network: Network, spec: dict[str, Any]) -> Peer:
    """The published algorithm."""
    sigmas = vr.samplers.from_spec(spec).timesteps.tolist()

    def sample(x: Tensor, noise: Tensor | None) -> Tensor:
        x = network(x * sigmas[0], sigmas[0])
        for k, sigma in enumerate(sigmas[1:]):
            z = torch.randn_like(x) if noise is None else noise[k]
            x = network(x + (sigma**2 - spec["sigma_min"] ** 2) ** 0.5 * z, sigma)
        return x

    return sample


def diffusers_peer(network: Network, spec: dict[str, Any]) -> Peer:
    """The scheduler of the same name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers

    options = {k: v for k, v in spec.items() if k not in ("type", "num_steps", "eta")}
    options["num_train_timesteps"] = options.pop("num_train_steps")
    options["prediction_type"] = options.pop("prediction")
    options["clip_sample_range"] = options.pop("clip_range")
    kind = {
        "ddpm": diffusers.DDPMScheduler,
        "ddim": diffusers.DDIMScheduler,
        "dpm_solver": diffusers.DPMSolverMultistepScheduler,
    }[spec["type"]]
    if spec["type"] == "dpm_solver":
        del options["clip_sample"], options["clip_sample_range"]
    scheduler = kind(**options)
    own = {"eta": spec["eta"]} if spec["type"] == "ddim" else {}
    drawing = diffusers.schedulers.scheduling_ddpm

    def sample(x: Tensor, noise: Tensor | None) -> Tensor:
        scheduler.set_timesteps(spec["num_steps"])
        for k, t in enumerate(scheduler.timesteps.tolist()):
            given = {}
            if noise is not None and spec["type"] != "ddpm":
                given = {"variance_noise": noise[k]}
            x = scheduler.step(network(x, t), t, x, **own, **given).prev_sample
        return x

    def sample_ddpm(x: Tensor, noise: Tensor | None) -> Tensor:
        if noise is None:
            return sample(x, None)
        drawn, original = iter(noise), drawing.randn_tensor
        drawing.randn_tensor = lambda *_, **__: next(drawn)
        try:
            return sample(x, noise)
        finally:
            drawing.randn_tensor = original

    return sample_ddpm if spec["type"] == "ddpm" else sample


def make_peer(network: Network, spec: dict[str, Any]) -> Peer:
    """The same loop in PyTorch."""
    kinds = {"flow_matching": flow_peer, "consistency": consistency_peer}
    inner = kinds.get(spec["type"], diffusers_peer)(network, spec)

    def sample(x: Tensor, noise: Tensor | None) -> Tensor:
        with torch.inference_mode():
            network.encode()
            return inner(x, noise)

    return sample


def difference(policy: vr.Policy, peer: Peer, spec: dict[str, Any]) -> float:
    """Largest difference of the two chunks over the largest number, with the same noise."""
    rng = np.random.default_rng(0)
    (name, shape, _) = policy.spec.observation[0]
    size = (policy.spec.horizon, policy.spec.action_dim)
    noise = rng.normal(size=size).astype(np.float32)
    steps = rng.normal(size=(spec["num_steps"], *size)).astype(np.float32)
    ours = policy.sample({name: np.zeros(shape, np.float32)}, noise=noise, step_noise=steps)
    theirs = peer(torch.from_numpy(noise)[None], torch.from_numpy(steps)[:, None])[0].numpy()
    return float(np.abs(ours - theirs).max() / np.abs(ours).max())


def measure(
    report: harness.Report, case: str, spec: dict[str, Any], folder: Path, plan: tuple[int, int]
) -> None:
    """Rows of one sampler: rounds of C++ and PyTorch in turn."""
    rounds, count = plan
    policy = vr.load_policy(folder, "torchscript")
    (_, shape, _) = policy.spec.observation[0]
    heap = allocations.counter()
    try:
        peer: Peer | None = make_peer(Network(folder, torch.zeros((1, *shape))), spec)
    except ImportError as why:
        peer = None
        report.add(harness.missing(case, PEER, f"not installed: {why.name}"))
    error = None if peer is None else difference(policy, peer, spec)
    if error is not None and not error <= TOLERANCE:
        raise SystemExit(f"{case}: our chunk and the peer's differ by {error}")
    samples: dict[str, list[Any]] = {name: [] for name in (OURS, CALLS, LOOP, PEER)}
    added, heap_calls = [], {}
    x = torch.randn((1, policy.spec.horizon, policy.spec.action_dim))
    for _ in range(rounds):
        result = _core.benchmark_sampler(folder, "torchscript", count, heap.address if heap else 0)
        for name, key in ((OURS, "whole"), (CALLS, "calls"), (LOOP, "loop")):
            samples[name].append(result[f"{key}_ns"] / 1e3)
            heap_calls[name] = None if heap is None else result[f"{key}_allocations"] / count
        added.append(np.median(result["whole_ns"] - result["calls_ns"]) / 1e3)
        if peer is not None:
            times = np.empty(max(5, count // 10))
            for i in range(len(times)):
                start = time.perf_counter_ns()
                peer(x, None)
                times[i] = (time.perf_counter_ns() - start) / 1e3
            samples[PEER].append(times)
    for name, rows in samples.items():
        if rows:
            shown = error if name == OURS else None
            report.add(harness.from_rounds(case, name, rows, heap_calls.get(name), shown))
    report.ratio(f"{case}: added per step [us]", float(np.median(added)), spec["num_steps"])
    report.ratio(f"{case}: p50 {PEER} / {OURS}", report.p50(case, PEER), report.p50(case, OURS))


def main() -> None:
    """Measure and report."""
    options = harness.parse(__doc__)
    allocations.counter()
    _backends.open_backend("torchscript")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    report = harness.Report("samplers")
    policy = randomized(FlowMlp())
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # diffusers calls numpy in ways that numpy has deprecated
        for i, (case, spec) in enumerate(specs().items()):
            policy.sampler_spec = lambda spec=spec: spec  # type: ignore[method-assign]
            folder = vr.export_policy(policy, Path(scratch) / str(i), backends="torchscript")  # type: ignore[arg-type]
            measure(report, case, spec, folder, (3, 50) if options.quick else (5, 400))
    report.notes.append("one thread; batch 1; microseconds per chunk; peers called from Python")
    report.finish(options)


if __name__ == "__main__":
    main()
