"""Policy networks (torch): raw observations and actions outside, normalised inside.

Every policy is an ``nn.Module`` with a frozen ``.config``, ``.loss(batch)`` and ``.predict(observation)``;
statistics are buffers, so that they travel with the weights. Importing this package imports torch.
"""

# ruff: noqa: E402  (what is missing is said before anything needs it)
from vla_rt._extras import require_torch

require_torch("vla_rt.policies")

from vla_rt.policies.feature_normalizer import FeatureNormalizer
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.flow_matching import FlowMatchingPolicy
from vla_rt.policies.flow_matching_config import FlowMatchingConfig

__all__ = ["FeatureNormalizer", "FeatureSpec", "FlowMatchingConfig", "FlowMatchingPolicy"]
