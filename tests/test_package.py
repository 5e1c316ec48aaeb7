import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import vla_rt as vr
from vla_rt import _core

if _core.TORCH_VERSION is None:
    pytest.skip("built without torch", allow_module_level=True)

import torch

from exportable import OBSERVATION, TinyConfig, TinyPolicy, torch_loop
from vla_rt import _backends


@pytest.fixture(scope="module")
def policy() -> TinyPolicy:
    return TinyPolicy()


@pytest.fixture(scope="module")
def package(policy: TinyPolicy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vr.export_policy(policy, tmp_path_factory.mktemp("packages") / "tiny")


@pytest.fixture(scope="module")
def loaded(package: Path) -> vr.Policy:
    return vr.load_policy(package)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, 2))


@pytest.mark.parametrize("noise_at", [0, 1])
def test_cpp_loop_equals_the_same_loop_in_pytorch(tmp_path: Path, noise_at: int) -> None:
    tiny = TinyPolicy(TinyConfig(noise_at=noise_at), seed=3)
    p = vr.load_policy(vr.export_policy(tiny, tmp_path / "p"))
    for seed in range(5):
        actions = p.sample(OBSERVATION, noise=noise(seed))
        assert actions.shape == (4, 2)
        assert actions.dtype == np.float64
        np.testing.assert_allclose(actions, torch_loop(tiny, OBSERVATION, noise(seed)), rtol=0, atol=1e-5)


DIFFUSION = {
    "num_train_steps": 50,
    "beta_schedule": "squaredcos_cap_v2",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "prediction": "epsilon",
    "clip_sample": True,
    "clip_range": 1.0,
    "num_steps": 8,
    "timestep_spacing": "leading",
    "steps_offset": 0,
}
SAMPLERS = {
    "ddpm": (vr.samplers.DDPMSampler, DIFFUSION),
    "ddim": (vr.samplers.DDIMSampler, DIFFUSION | {"eta": 0.5, "set_alpha_to_one": True}),
    "dpm_solver": (
        vr.samplers.DPMSolverSampler,
        DIFFUSION
        | {
            "algorithm_type": "sde-dpmsolver++",
            "solver_order": 3,
            "solver_type": "midpoint",
            "lower_order_final": True,
            "final_sigmas_type": "zero",
            "use_karras_sigmas": False,
        },
    ),
    "consistency": (
        vr.samplers.ConsistencySampler,
        {"num_steps": 3, "sigma_min": 0.02, "sigma_max": 80.0, "rho": 7.0, "sigma_data": 0.5},
    ),
}


class Sampled(TinyPolicy):
    """`TinyPolicy` under another sampler; normalisers left out, the samplers' own numbers show."""

    stored: dict

    @property
    def normalizers(self) -> dict[str, vr.Normalizer]:
        return {}

    def sampler_spec(self) -> dict:
        return self.stored


@pytest.mark.parametrize("kind", SAMPLERS)
def test_every_sampler_in_a_package(tmp_path: Path, kind: str) -> None:
    sampler_class, options = SAMPLERS[kind]
    tiny = Sampled().eval()
    tiny.stored = {"type": kind, **options}
    p = vr.load_policy(vr.export_policy(tiny, tmp_path / "p"))
    assert p.spec.sampler == tiny.stored
    with torch.inference_mode():
        context = tiny.encode(
            *(
                torch.as_tensor(OBSERVATION[n], dtype=d)[None]
                for n, d in (
                    ("observation.state", torch.float32),
                    ("goal", torch.float32),
                    ("task", torch.int64),
                )
            )
        )

        def denoiser(x: np.ndarray, t: float) -> np.ndarray:
            return tiny.step(torch.from_numpy(x), torch.full((1,), float(t)), context).numpy()

        start = vr.samplers.noise(5, 0, 0, (1, 4, 2))
        expected = sampler_class(**options).sample(denoiser, start, seed=5)[0]
    actual = p.sample(OBSERVATION, seed=5)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))
    steps = len(sampler_class(**options).timesteps)
    added = np.stack([vr.samplers.noise(5, 0, k + 1, (4, 2)) for k in range(steps)])
    assert np.array_equal(actual, p.sample(OBSERVATION, noise=start[0], step_noise=added))


def test_every_input_matters(loaded: vr.Policy) -> None:
    base = loaded.sample(OBSERVATION)
    for name, value in (("observation.state", [0.3, -1.0, 2.1]), ("goal", [[0, 0], [0, 0]]), ("task", [1])):
        assert np.abs(loaded.sample({**OBSERVATION, name: value}) - base).max() > 1e-4


def test_seeds_reproduce_bit_exactly(package: Path, loaded: vr.Policy) -> None:
    a = loaded.sample(OBSERVATION, seed=7)
    assert np.array_equal(a, vr.load_policy(package).sample(OBSERVATION, seed=7))
    assert np.array_equal(a, loaded.sample(OBSERVATION, noise=vr.samplers.noise(7, 0, 0, (4, 2))))
    assert not np.array_equal(a, loaded.sample(OBSERVATION, seed=8))


def test_layouts_and_types_are_converted(loaded: vr.Policy) -> None:
    base = loaded.sample(OBSERVATION)
    other = {
        "observation.state": np.array([0.3, 9, -1.0, 9, 2.0, 9], dtype=np.float32)[::2],
        "goal": np.asfortranarray(OBSERVATION["goal"]),
        "task": np.array([2], dtype=np.int32),
        "ignored": "text",
    }
    assert np.array_equal(loaded.sample(other), base)


def test_spec(loaded: vr.Policy) -> None:
    spec = loaded.spec
    assert (spec.kind, spec.horizon, spec.action_dim, spec.execution_horizon) == ("tiny", 4, 2, 2)
    assert spec.period_s == 0.05
    assert [tuple(f) for f in spec.observation] == list(TinyConfig().observation)
    assert spec.sampler == {"type": "flow_matching", "num_steps": 5, "solver": "heun", "noise_at": 0}
    assert spec.backends == ["native", "torchscript"]
    assert spec.checks["torchscript_max_error"] <= 1e-5
    assert spec.checks["native_max_error"] <= 1e-5
    assert _core.parse_policy_spec(json.dumps(spec.to_dict())) == spec
    assert loaded.backend == "native"


def test_benchmark(loaded: vr.Policy) -> None:
    result = loaded.benchmark(50)
    assert result["n"] == 50
    assert 0 < result["p50_us"] <= result["p99_us"] <= result["p999_us"] <= result["max_us"]
    for n in (0, -1):
        with pytest.raises(vr.ConfigError):
            loaded.benchmark(n)


BAD_OBSERVATIONS = {
    "missing": ({"goal": None}, "goal"),
    "shape": ({"goal": np.zeros(4)}, "goal"),
    "transposed": ({"observation.state": np.zeros((3, 1))}, "observation.state"),
    "nan": ({"observation.state": [0, np.nan, 0]}, "observation.state[1]"),
    "inf": ({"goal": [[0, 0], [0, -np.inf]]}, "goal[3]"),
    "float for int": ({"task": [1.5]}, "task"),
    "text": ({"goal": "left"}, "goal"),
    "ragged": ({"goal": [[0], [0, 0]]}, "goal"),
    "complex": ({"goal": np.zeros((2, 2), dtype=complex)}, "goal"),
    "object": ({"goal": object()}, "goal"),
    "id past the table": ({"task": [3]}, "task[0]"),
    "negative id": ({"task": [-1]}, "task[0]"),
    "huge id": ({"task": [2**62]}, "task[0]"),
}


@pytest.mark.parametrize("case", BAD_OBSERVATIONS)
def test_bad_observations_name_feature_and_index(loaded: vr.Policy, case: str) -> None:
    change, field = BAD_OBSERVATIONS[case]
    observation = {k: v for k, v in {**OBSERVATION, **change}.items() if v is not None}
    with pytest.raises(vr.ConfigError) as error:
        loaded.sample(observation)
    assert error.value.name == field
    loaded.sample(OBSERVATION)


def test_ids_outside_a_table_are_refused_by_every_backend(package: Path) -> None:
    with pytest.raises(vr.ConfigError, match=r"task\[0\] = 3: must be in 0..2"):
        vr.load_policy(package).sample({**OBSERVATION, "task": [3]})
    other = vr.load_policy(package, backend="torchscript")
    with pytest.raises(vr.ModelError, match="index out of range"):
        other.sample({**OBSERVATION, "task": [3]})
    np.testing.assert_allclose(
        other.sample(OBSERVATION), vr.load_policy(package).sample(OBSERVATION), atol=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"noise": np.zeros((2, 4))}, "noise"),
        ({"noise": np.full((4, 2), np.nan)}, "noise[0, 0]"),
        ({"step_noise": np.zeros((4, 4, 2))}, "step_noise"),
        ({"seed": -1}, "seed"),
        ({"seed": "a"}, "seed"),
    ],
)
def test_bad_arguments(loaded: vr.Policy, arguments: dict, field: str) -> None:
    with pytest.raises(vr.ConfigError) as error:
        loaded.sample(OBSERVATION, **arguments)
    assert error.value.name == field
    loaded.sample(OBSERVATION, step_noise=np.zeros((5, 4, 2)))


def test_threads_share_one_policy(loaded: vr.Policy) -> None:
    expected = [loaded.sample(OBSERVATION, seed=i) for i in range(8)]
    results: dict[int, bool] = {}

    def work(i: int) -> None:
        results[i] = all(np.array_equal(loaded.sample(OBSERVATION, seed=i), expected[i]) for _ in range(50))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == dict.fromkeys(range(8), True)


def test_sampling_releases_the_gil(loaded: vr.Policy) -> None:
    progress = {"main": 0, "during": 0}
    done = threading.Event()

    def work() -> None:
        loaded.benchmark(200_000)
        progress["during"] = progress["main"]
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        progress["main"] += 1
    thread.join()
    assert progress["during"] > 1000


def test_torch_settings_of_the_program_stay(package: Path) -> None:
    threads, grad = torch.get_num_threads(), torch.is_grad_enabled()
    p = vr.load_policy(package, backend="torchscript")
    p.sample(OBSERVATION)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled() == grad
    assert not torch.is_inference_mode_enabled()


def test_export_leaves_the_policy_alone(tmp_path: Path) -> None:
    tiny = TinyPolicy()
    tiny.train()
    before = {k: v.clone() for k, v in tiny.state_dict().items()}
    vr.export_policy(tiny, tmp_path / "p")
    assert tiny.training
    assert all(p.requires_grad for p in tiny.parameters())
    assert all(torch.equal(v, before[k]) for k, v in tiny.state_dict().items())


def test_export_replaces_a_package_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "p"
    vr.export_policy(TinyPolicy(seed=1), target)
    first = vr.load_policy(target).sample(OBSERVATION)
    vr.export_policy(TinyPolicy(seed=2), str(target))
    assert not np.array_equal(first, vr.load_policy(target).sample(OBSERVATION))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["p"]
    assert sorted(f.name for f in target.iterdir()) == [
        "model.safetensors",
        "model.ts",
        "plan.json",
        "policy.json",
    ]
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(vr.ConfigError, match="not a policy package"):
        vr.export_policy(TinyPolicy(), other)
    assert (other / "thesis.tex").read_text() == "years of work"


class Drawing(TinyPolicy):
    def step(self, x, t, context):  # type: ignore[no-untyped-def]
        return super().step(x, t, context) + torch.randn_like(x)


class Branching(TinyPolicy):
    def step(self, x, t, context):  # type: ignore[no-untyped-def]
        return super().step(x, t, context) * (1.0 if float(t[0]) < 0.6 else 2.0)


class WrongShape(TinyPolicy):
    def step(self, x, t, context):  # type: ignore[no-untyped-def]
        return super().step(x, t, context)[:, :2]


class ChangingItsObservation(TinyPolicy):
    def encode(self, state, goal, task):  # type: ignore[no-untyped-def]
        state *= 2
        return super().encode(state, goal, task)


class Failing(TinyPolicy):
    def encode(self, *observation):  # type: ignore[no-untyped-def]
        raise RuntimeError("no such camera")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Drawing, "differs from the policy"),
        (Branching, "cannot be exported"),
        (WrongShape, "the policy has 8"),
        (ChangingItsObservation, "changes feature 0 in place"),
        (Failing, "no such camera"),
    ],
)
def test_a_network_that_cannot_be_exported_leaves_nothing(tmp_path: Path, kind: type, text: str) -> None:
    with pytest.raises(vr.ModelError, match=text):
        vr.export_policy(kind(), tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"backends": ["quantum"]}, vr.ModelError, "quantum"),
        ({"backends": []}, vr.ConfigError, "backends"),
        ({"precision": "float16"}, vr.ConfigError, "float16"),
        ({"precision": "int8", "backends": ["torchscript"]}, vr.ModelError, "int8"),
        ({"precision": "int8", "max_error": 0.0}, vr.ConfigError, "max_error"),
        ({"precision": "int8", "max_error": float("nan")}, vr.ConfigError, "max_error"),
        ({"precision": "bfloat16", "calibration": []}, vr.ConfigError, "calibration"),
        ({"precision": "bfloat16", "calibration": [{}]}, vr.ConfigError, "observation.state"),
        ({"precision": "bfloat16", "max_error": 1e-9}, vr.ModelError, "must be at most 1e-09"),
        ({"device": "gpu"}, vr.ConfigError, "device"),
        ({"device": 5}, vr.ConfigError, "device = 5"),
        ({"device": "cuda:99"}, vr.ModelError, "cuda:99 is not there|cuda:99: is not there"),
        ({"period_s": 0.0}, vr.ConfigError, "period_s"),
        ({"period_s": float("nan")}, vr.ConfigError, "nan"),
        ({"normalizer": vr.Normalizer("min_max", min=[0.0], max=[1.0])}, vr.ConfigError, "action_normalizer"),
        ({"observation_spec": [("observation.state", (3,), "float64")]}, vr.ConfigError, "dtype"),
    ],
)
def test_bad_export_arguments(tmp_path: Path, arguments: dict, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        vr.export_policy(TinyPolicy(), tmp_path / "p", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(vr.ConfigError, match="denoise"):
        vr.export_policy(torch.nn.Linear(1, 1), tmp_path / "p")  # type: ignore[arg-type]


def test_arguments_override_the_config(tmp_path: Path) -> None:
    identity = vr.Normalizer("identity")
    renamed = [("s", (3,), "float32"), ("goal", (2, 2), "float32"), ("task", (1,), "int64")]
    path = vr.export_policy(
        TinyPolicy(),
        tmp_path / "a" / "p",
        backends="torchscript",
        period_s=0.2,
        normalizer={"action": identity, "goal": identity},
        observation_spec=renamed,
    )
    spec = vr.load_policy(path).spec
    assert spec.period_s == 0.2
    assert [f[0] for f in spec.observation] == ["s", "goal", "task"]
    assert spec.to_dict()["action_normalizer"]["mode"] == "identity"


def test_missing_torch_is_said_plainly(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backends, "_installed_torch", lambda: "2.99.0")
    monkeypatch.setattr(_core, "backend_names", list)
    with pytest.raises(vr.ModelError, match=r"torch 2\.99\.0 is installed"):
        vr.load_policy(package, backend="torchscript")


@pytest.mark.parametrize("backend", ["aotinductor", "quantum", ""])
def test_a_backend_the_package_lacks(package: Path, backend: str) -> None:
    with pytest.raises(vr.ModelError, match="torchscript"):
        vr.load_policy(package, backend=backend)


def test_a_device_that_is_not_here_is_said_plainly(package: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(package, tmp_path / "p")
    spec = json.loads((moved / "policy.json").read_text())
    (moved / "policy.json").write_text(json.dumps({**spec, "device": "cuda:99"}))
    assert _core.read_policy_spec(moved).device == "cuda:99"
    with pytest.raises(vr.ModelError, match="no such GPU") as error:
        vr.load_policy(moved, backend="torchscript")
    assert (error.value.name, error.value.value) == ("device", "cuda:99")
    with pytest.raises(vr.ModelError, match="must be cpu"):
        vr.load_policy(moved, backend="native")
    for device in ("tpu", "cuda:", "cuda:x", "cuda:1234", "CPU", 1):
        with pytest.raises(vr.FormatError, match="device"):
            _core.parse_policy_spec(json.dumps({**spec, "device": device}))
    del spec["device"]
    assert _core.parse_policy_spec(json.dumps(spec)).device == "cpu"
