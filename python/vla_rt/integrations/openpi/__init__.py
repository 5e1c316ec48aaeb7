"""openpi's wire: its message format, a client that is a policy here, a server for its clients.

`pack` and `unpack` need numpy alone; `RemotePolicy` and `PolicyServer` need `pip install 'vla-rt[openpi]'`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vla_rt.integrations.openpi.packing import pack
from vla_rt.integrations.openpi.unpacking import unpack

if TYPE_CHECKING:
    from vla_rt.integrations.openpi.client import RemotePolicy
    from vla_rt.integrations.openpi.server import PolicyServer

__all__ = ["PolicyServer", "RemotePolicy", "pack", "unpack"]


def __getattr__(name: str) -> Any:
    if name == "RemotePolicy":
        from vla_rt.integrations.openpi.client import RemotePolicy

        return RemotePolicy
    if name == "PolicyServer":
        from vla_rt.integrations.openpi.server import PolicyServer

        return PolicyServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
