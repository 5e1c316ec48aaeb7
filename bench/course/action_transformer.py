"""(d) ActionTransformer: learned queries read image, language and joint tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course.policy import HORIZON, CourseConfig, CoursePolicy


class ActionTransformer(CoursePolicy):
    """Context 196 + 16 + 1 tokens, each kind projected to the width; position 3, quaternion 4, gripper 1."""

    def __init__(
        self, width: int = 512, layers: int = 4, heads: int = 8, patches: int = 196, words: int = 16
    ) -> None:
        super().__init__()
        features = (("image", (patches, 768), "float32"), ("language", (words, 768), "float32"))
        self.config = CourseConfig((*features, ("joints", (12,), "float32")), action_dim=8)
        self.image, self.language = nn.Linear(768, width), nn.Linear(768, width)
        self.joints = nn.Linear(12, width)
        self.queries = nn.Parameter(torch.randn(1, HORIZON, width))
        layer = nn.TransformerDecoderLayer(width, heads, 4 * width, batch_first=True)
        self.decoder = nn.TransformerDecoder(layer, layers)
        self.position, self.rotation, self.gripper = (nn.Linear(width, n) for n in (3, 4, 1))

    def denoise(self, x: Tensor, t: Tensor, image: Tensor, language: Tensor, joints: Tensor) -> Tensor:
        """Actions (B, T, 8); the noisy chunk and the time do not matter."""
        context = torch.cat([self.image(image), self.language(language), self.joints(joints)[:, None]], dim=1)
        h = self.decoder(self.queries.expand(x.shape[0], -1, -1), context)
        rotation = F.normalize(self.rotation(h), dim=-1)
        return torch.cat([self.position(h), rotation, torch.sigmoid(self.gripper(h))], dim=-1)
