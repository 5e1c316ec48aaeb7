"""The command `vla-rt` and its first subcommand."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import vla_rt as vr
from vla_rt.cli import checks, machine, main, result

NAMES = {
    "kernel",
    "preempt_rt",
    "clock_source",
    "rtprio",
    "memlock",
    "governor",
    "isolated_cpus",
    "nohz_full",
    "smt",
    "thp",
    "sched_rt_runtime_us",
    "cpu_dma_latency",
    "virtualisation",
    "torch_backend",
    "cpu_features",
    "native_engine",
    "wakeup",
}


def vla_rt(*words, **options):
    command = [sys.executable, "-m", "vla_rt.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def check(found):
    assert set(found) == {"machine", "items", "wakeup_us", "realtime", "verdict"}
    assert set(found["wakeup_us"]) == {"p50", "p99", "p999", "max"}
    assert {item["name"] for item in found["items"]} >= NAMES
    for item in found["items"]:
        assert set(item) == {"name", "value", "verdict", "why", "fix"}
        assert item["verdict"] in ("ok", "warn", "bad")
        assert item["value"], item
        assert item["why"] or item["verdict"] == "ok", item
    order = ["ok", "warn", "bad"]
    assert found["verdict"] == max((item["verdict"] for item in found["items"]), key=order.index)


def test_doctor_prints_a_table_and_writes_json(tmp_path):
    file = tmp_path / "doctor.json"
    run = vla_rt("doctor", "--duration", "0.2", "--json", str(file))
    assert run.returncode == 0, run.stderr
    found = json.loads(file.read_text())
    check(found)
    for item in found["items"]:
        assert item["name"] in run.stdout
    assert f"verdict: {found['verdict']}" in run.stdout


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not installed")
def test_doctor_says_what_a_plain_user_may_not_do():
    code = (
        "import json, resource as r; from vla_rt.cli.doctor import examine;"
        "r.setrlimit(r.RLIMIT_RTPRIO, (0, 0)); r.setrlimit(r.RLIMIT_MEMLOCK, (1 << 20, 1 << 20));"
        "print(json.dumps(examine(0.1)))"
    )
    # Not another user, who may not be allowed to read the interpreter: root without capabilities is as plain.
    powerless = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    run = subprocess.run(
        [*powerless, sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    check(found)
    items = {item["name"]: item for item in found["items"]}
    assert items["rtprio"]["verdict"] == "bad"
    assert "limits.conf" in items["rtprio"]["fix"]
    assert items["memlock"]["verdict"] == "bad"
    assert not found["realtime"]["fifo"]
    assert not found["realtime"]["memory_locked"]
    refused = " ".join(found["realtime"]["refused"])
    assert "SCHED_FIFO" in refused
    assert "RLIMIT_MEMLOCK" in refused
    assert "EPERM" in refused


@pytest.mark.parametrize(
    ("files", "check_", "verdict", "value"),
    [
        ({"current_clocksource": "hpet"}, checks.clock_source, "bad", "hpet"),
        ({"current_clocksource": "tsc"}, checks.clock_source, "ok", "tsc"),
        ({}, checks.clock_source, "warn", "not readable"),
        ({"sched_rt_runtime_us": "0"}, checks.rt_throttling, "bad", "0"),
        ({"sched_rt_runtime_us": "-1"}, checks.rt_throttling, "ok", "-1"),
        ({"isolated": "2-3"}, checks.isolated_cpus, "ok", "2-3"),
        ({"isolated": ""}, checks.isolated_cpus, "warn", "none"),
        ({"nohz_full": "(null)"}, checks.nohz_full, "ok", "none"),
        ({"active": "1"}, checks.smt, "warn", "active"),
        ({"enabled": "[always] madvise never"}, checks.thp, "warn", "always"),
        ({"enabled": "always [madvise] never"}, checks.thp, "ok", "madvise"),
        ({"current_driver": "none"}, checks.cpu_idle, "ok", "no idle states"),
        ({"loadavg": "64.0 1 1 1/1 1"}, checks.load, "warn", "64.00 on"),
        ({"realtime": "1"}, checks.preempt_rt, "ok", "yes"),
    ],
)
def test_each_finding_follows_from_what_the_kernel_says(monkeypatch, files, check_, verdict, value):
    monkeypatch.setattr(machine, "read", lambda path: files.get(os.path.basename(path)))
    item = check_()
    assert item.verdict == verdict
    assert item.value.startswith(value)
    assert item.fix or verdict == "ok" or value == "not readable"


def test_an_error_is_one_line_and_exit_code_2(tmp_path):
    for words in (["doctor", "--duration", "-1"], ["doctor", "--duration", "nan"]):
        run = vla_rt(*words)
        assert run.returncode == 2
        assert run.stderr.startswith("vla-rt doctor: duration = ")
        assert run.stderr.count("\n") == 1
        assert run.stdout == ""
    run = vla_rt("doctor", "--duration", "0", "--json", str(tmp_path / "absent" / "file.json"))
    assert run.returncode == 2
    assert "its folder does not exist" in run.stderr
    assert vla_rt("doctor", "--duration", "0", "--json", str(tmp_path)).returncode == 2
    run = vla_rt("dctor")
    assert run.returncode == 2
    assert "doctor" in run.stderr


def test_ctrl_c_ends_a_measurement_with_130():
    child = subprocess.Popen(
        [sys.executable, "-m", "vla_rt.cli.main", "doctor", "--duration", "600"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The measuring thread names itself.
    tasks = f"/proc/{child.pid}/task"
    limit = time.monotonic() + 60
    while time.monotonic() < limit and child.poll() is None:
        names = [machine.read(f"{tasks}/{task}/comm") for task in os.listdir(tasks)]
        if "vla_rt" in names:
            break
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert "Traceback" not in errors


def test_help_lists_the_subcommands_without_loading_their_libraries():
    code = (
        "import sys; from vla_rt.cli.main import main; status = main(['--help']);"
        "heavy = {'tyro', 'rich', 'torch', 'mujoco', 'matplotlib'} & set(sys.modules);"
        "sys.exit(status or len(heavy))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0
    for name in main.COMMANDS:
        assert name in run.stdout


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_subcommand_has_help_and_json(name):
    run = vla_rt(name, "--help")
    assert run.returncode == 0
    assert "--json" in run.stdout


def test_version_and_no_words(capsys):
    assert main.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"vla-rt {vr.__version__}"
    assert main.main([]) == 2


def test_a_result_harms_neither_links_nor_devices(tmp_path):
    target, link, pipe = tmp_path / "target.json", tmp_path / "link.json", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    result.require_writable(link)
    result.write_json(link, {"a": 1})
    assert link.is_symlink()
    assert json.loads(target.read_text()) == {"a": 1}
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    result.require_writable(pipe)
    result.write_json(pipe, {"a": 2})
    assert json.loads(reader.communicate(timeout=10)[0]) == {"a": 2}
    assert pipe.is_fifo()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link.json", "pipe", "target.json"]


def test_results_are_strict_json(tmp_path):
    import numpy as np

    file = tmp_path / "out.json"
    result.write_json(
        file,
        {"a": np.float64("nan"), "b": np.arange(3), "c": (1, np.int64(2)), "d": {"e": float("inf")}, 5: True},
    )
    assert json.loads(file.read_text()) == {
        "a": None,
        "b": [0, 1, 2],
        "c": [1, 2],
        "d": {"e": None},
        "5": True,
    }
    assert list(tmp_path.iterdir()) == [file]
