"""Serve a policy package to robots: openpi's WebSocket protocol, `GET /healthz`.

Listens on this machine alone; other addresses need a token, which clients send as
"Authorization: Api-Key ...". Ctrl-C ends it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vla_rt.cli.result import write_json


@dataclass(frozen=True)
class Arguments:
    """What is served, and where."""

    package: Annotated[Path, tyro.conf.Positional]
    """Folder of the policy package."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    token: str | None = None
    """What clients must send; by default that of the environment variable VLA_RT_TOKEN, if there is one."""
    backend: str | None = None
    """Network of the package to run; by default the first that this installation can open."""
    seed: int = 0
    """Of the noise."""
    max_message_mb: float = 16.0
    """Longest request [MB]."""
    json: Path | None = None
    """Write what was served to this file when it ends."""


def run(arguments: Arguments) -> int:
    """Serves until Ctrl-C; returns 0."""
    from vla_rt.errors import ConfigError, require
    from vla_rt.integrations.openpi import PolicyServer
    from vla_rt.package import load_policy

    require(
        0 < arguments.max_message_mb <= 1024,
        "max_message_mb",
        arguments.max_message_mb,
        "must be in (0, 1024]",
    )
    token = arguments.token if arguments.token is not None else os.environ.get("VLA_RT_TOKEN")
    policy = load_policy(arguments.package, arguments.backend)
    try:
        server = PolicyServer(
            policy,
            arguments.host,
            arguments.port,
            token,
            seed=arguments.seed,
            max_message_bytes=int(arguments.max_message_mb * 1e6),
        )
    except ImportError as cause:
        raise ConfigError(str(cause)) from cause
    print(f"{arguments.package} at ws://{arguments.host}:{server.port}, backend {policy.backend}", flush=True)
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
    write_json(
        arguments.json, {"package": arguments.package, "port": server.port, "requests": server.requests}
    )
    return 0
