#!/usr/bin/env bash
# check_wheel.sh PYTHON WHEEL: installs the wheel into an empty environment and runs a policy at 1 kHz there.
set -euo pipefail
python=$1 wheel=$(realpath "$2")
size=$(stat -c %s "$wheel")
[ "$size" -lt 5000000 ] || { echo "$wheel has $size bytes, more than 5 MB" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "$wheel"
cd "$folder"
venv/bin/python - <<'EOF'
import sys

import numpy as np
import vla_rt as vr

robot = vr.robots.SimulatedRobot(vr.robots.panda_limits(), position=[0, -0.3, 0, -2.2, 0, 2.0, 0.8])
policy = lambda observation: observation["observation.state"] + np.linspace(0, 0.1, 16)[:, None]
report = vr.ControlLoop(robot, policy, vr.ControlConfig(chunk_period_s=0.05, record="run")).run(1.0)
assert report.limit_violations == 0 and report.fault is None
assert report.trace["command_position"][-1].min() > -2.2
assert vr.FlightRecording("run").replay()["difference"] is None
assert "torch" not in sys.modules
print(f"vla_rt {vr.__version__}: {report.ticks} ticks, {report.limit_violations} limit violations")
EOF
test -f "$(venv/bin/python -m vla_rt --cmake-dir)/vla_rt-config.cmake"
echo "wheel: $(basename "$wheel"), $size bytes, runs in an empty environment"
