"""The robot's driver, a process of its own: follows commands, and misbehaves for a while as it is told.

`{"mode": MODE, "seconds": S}` on standard input; every change of the driver's advice goes to standard output.
"""

from __future__ import annotations

import json
import mmap
import queue
import sys
import threading
import time
from pathlib import Path

import numpy as np

import vla_rt as vr
from limits import JOINTS, LIMITS

CYCLE_S = 0.001
#: Words before `state` in struct vla_rt_shm: the header, then the driver's own eight.
STATE = 8 + 5 * 64 + 8
STEP_NS = 300_000_000


def main() -> None:
    """Drive until standard input ends."""
    name = sys.argv[1]
    orders: queue.SimpleQueue[dict[str, object] | None] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            orders.put(json.loads(line))
        orders.put(None)

    threading.Thread(target=listen, daemon=True).start()
    position, velocity, said = np.zeros(JOINTS), np.zeros(JOINTS), ""
    mode, until = "", 0.0
    rng = np.random.default_rng(0)
    with vr.robots.SharedMemoryDriver(name, LIMITS, late_s=0.05, timeout_s=1.0) as driver:
        with Path(f"/dev/shm/{name}").open("r+b") as file:
            words = np.frombuffer(mmap.mmap(file.fileno(), 0), np.uint64)
        print(json.dumps({"advice": "ready"}), flush=True)
        while True:
            if not orders.empty():
                order = orders.get()
                if order is None:
                    return
                mode, until = str(order["mode"]), time.monotonic() + float(str(order["seconds"]))
            if time.monotonic() > until:
                mode = ""
            measured, stamp = position.copy(), vr.steady_now_ns()
            if mode == "peer_freezes":
                time.sleep(until - time.monotonic() if until > time.monotonic() else 0)
            elif mode == "peer_fails":
                driver.fail(7)
            elif mode == "peer_writes_torn":  # a write that does not end
                words[STATE] |= np.uint64(1)
            elif mode == "peer_babbles":
                words[STATE : STATE + 8 + 2 * 64] = rng.integers(0, 1 << 63, 8 + 2 * 64, dtype=np.uint64)
            if mode == "peer_measures_nan":
                measured[2] = np.nan
            elif mode == "peer_slips":
                measured[1] += 0.8
            elif mode == "peer_clock_back":
                stamp -= STEP_NS
            elif mode == "peer_clock_ahead":
                stamp += STEP_NS
            if mode not in ("peer_writes_torn", "peer_babbles", "peer_fails"):
                driver.post_state(measured, velocity, stamp)
            advice, wanted, speed = driver.follow()
            if wanted is not None:
                position, velocity = wanted, speed
            if (np.abs(position) > 1.2 * (1 + 1e-6)).any():
                print(json.dumps({"beyond": position.tolist()}), flush=True)
            if advice == "stop" and not velocity.any():
                advice = "at rest"
            if advice != said:
                print(json.dumps({"advice": advice}), flush=True)
                said = advice
            time.sleep(CYCLE_S)


if __name__ == "__main__":
    main()
