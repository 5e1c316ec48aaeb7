"""Runs inside an environment with openpi's own client.

python reference.py bytes            what openpi makes of the fixtures, JSON of hexadecimal text by name
python reference.py ask PORT [KEY]   its client at a server: metadata, two answers, an error; as JSON
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from openpi_client import msgpack_numpy
from openpi_client.websocket_client_policy import WebsocketClientPolicy

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from openpi_fixtures import VALUES


def write_bytes() -> dict[str, str]:
    return {name: msgpack_numpy.packb({"value": value}).hex() for name, value in VALUES.items()}


def ask(port: str, key: str | None = None) -> dict[str, object]:
    client = WebsocketClientPolicy("127.0.0.1", int(port), key)
    observation = {
        "observation.state": np.array([0.3, -1.0, 2.0]),
        "goal": np.array([[0.1, 0.2], [0.3, 4.0]]),
        "task": np.array([2]),
        "prompt": "fold the towel",
    }
    answers = [client.infer(observation) for _ in range(2)]
    try:
        client.infer({"prompt": "nothing else"})
        refusal = ""
    except RuntimeError as cause:
        refusal = str(cause)
    return {
        "metadata": client.get_server_metadata(),
        "actions": [answer["actions"].tolist() for answer in answers],
        "timing": [sorted(answer["server_timing"]) for answer in answers],
        "refusal": refusal,
    }


if __name__ == "__main__":
    print(json.dumps({"bytes": write_bytes, "ask": ask}[sys.argv[1]](*sys.argv[2:])))
