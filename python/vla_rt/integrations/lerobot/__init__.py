"""LeRobot's checkpoints as policy packages, without LeRobot: its files and networks, read and built here.

`import_checkpoint` takes ACT and diffusion checkpoints as `save_pretrained` writes them; `export_policy`
takes policies that LeRobot has in memory, flow-matching heads such as SmolVLA's among them.
"""

from vla_rt._extras import require_extra

require_extra("torch", __name__, "lerobot", "PyTorch")
require_extra("safetensors", __name__, "lerobot")

from vla_rt.integrations.lerobot.checkpoint import Checkpoint, read_checkpoint  # noqa: E402
from vla_rt.integrations.lerobot.flow_policy import FlowPolicy, export_policy  # noqa: E402
from vla_rt.integrations.lerobot.imported_policy import (  # noqa: E402
    ImportedPolicy,
    import_checkpoint,
    load_checkpoint,
)
from vla_rt.integrations.lerobot.live_policy import LivePolicy  # noqa: E402

__all__ = [
    "Checkpoint",
    "FlowPolicy",
    "ImportedPolicy",
    "LivePolicy",
    "export_policy",
    "import_checkpoint",
    "load_checkpoint",
    "read_checkpoint",
]
