"""Policy networks (torch): raw observations and actions outside, normalised inside.

Every policy is an ``nn.Module`` with a frozen ``.config``, ``.loss(batch)`` and ``.predict(observation)``;
statistics are buffers, so that they travel with the weights. Importing this package imports torch.
"""

# ruff: noqa: E402  (what is missing is said before anything needs it)
from vla_rt._extras import require_torch

require_torch("vla_rt.policies")

from vla_rt.policies.action_chunker import (
    ActionChunker,
    ActionChunkerConfig,
    LSTMActionChunker,
    LSTMActionChunkerConfig,
)
from vla_rt.policies.action_decoder import ActionDecoder, ActionDecoderConfig
from vla_rt.policies.behavior_cloning import BCConfig, BCPolicy, VisionBCConfig, VisionBCPolicy
from vla_rt.policies.chunk_policy import ChunkPolicy
from vla_rt.policies.continuous_action_decoder import ContinuousActionDecoder, ContinuousActionDecoderConfig
from vla_rt.policies.diffusion import DiffusionConfig, DiffusionPolicy
from vla_rt.policies.feature_normalizer import FeatureNormalizer
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.flow_matching import FlowMatchingPolicy
from vla_rt.policies.flow_matching_config import FlowMatchingConfig
from vla_rt.policies.multimodal_encoder import MultimodalConfig, MultimodalEncoder
from vla_rt.policies.networks.noise_predictor import NoisePredictor, NoisePredictorConfig
from vla_rt.policies.networks.unet import ConditionalUNet1D, UNetConfig
from vla_rt.policies.policy_config import PolicyConfig
from vla_rt.policies.robot_action_generator import RobotActionGenerator, RobotActionGeneratorConfig

__all__ = [
    "ActionChunker",
    "ActionChunkerConfig",
    "ActionDecoder",
    "ActionDecoderConfig",
    "BCConfig",
    "BCPolicy",
    "ChunkPolicy",
    "ConditionalUNet1D",
    "ContinuousActionDecoder",
    "ContinuousActionDecoderConfig",
    "DiffusionConfig",
    "DiffusionPolicy",
    "FeatureNormalizer",
    "FeatureSpec",
    "FlowMatchingConfig",
    "FlowMatchingPolicy",
    "LSTMActionChunker",
    "LSTMActionChunkerConfig",
    "MultimodalConfig",
    "MultimodalEncoder",
    "NoisePredictor",
    "NoisePredictorConfig",
    "PolicyConfig",
    "RobotActionGenerator",
    "RobotActionGeneratorConfig",
    "UNetConfig",
    "VisionBCConfig",
    "VisionBCPolicy",
]
