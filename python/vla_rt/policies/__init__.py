"""Policy networks (torch): raw observations and actions outside, normalised inside.

Every policy is an ``nn.Module`` with a frozen ``.config``, ``.loss(batch)`` and ``.predict(observation)``;
statistics are buffers, so that they travel with the weights. Importing this package imports torch.
"""

# ruff: noqa: E402  (what is missing is said before anything needs it)
from vla_rt._extras import require_torch

require_torch("vla_rt.policies")

from vla_rt.datasets.instructions import InstructionVocabulary
from vla_rt.policies.act import ACT, ACTConfig
from vla_rt.policies.action_chunker import (
    ActionChunker,
    ActionChunkerConfig,
    LSTMActionChunker,
    LSTMActionChunkerConfig,
)
from vla_rt.policies.action_decoder import ActionDecoder, ActionDecoderConfig
from vla_rt.policies.action_predictors import (
    DirectActionPredictor,
    DirectActionPredictorConfig,
    HierarchicalActionPredictor,
    HierarchicalActionPredictorConfig,
)
from vla_rt.policies.action_safety import (
    ActionSafetyConfig,
    ActionSafetyValidator,
    SafeActionConfig,
    SafeActionReport,
    SafeActionWrapper,
)
from vla_rt.policies.action_token_predictor import ActionTokenPredictor, ActionTokenPredictorConfig
from vla_rt.policies.action_transformer import ActionTransformer, ActionTransformerConfig
from vla_rt.policies.actor_critic import ActorCritic, ActorCriticConfig
from vla_rt.policies.behavior_cloning import BCConfig, BCPolicy, VisionBCConfig, VisionBCPolicy
from vla_rt.policies.chunk_policy import ChunkPolicy
from vla_rt.policies.constrained_action_decoder import (
    ConstrainedActionDecoder,
    ConstrainedActionDecoderConfig,
)
from vla_rt.policies.continuous_action_decoder import ContinuousActionDecoder, ContinuousActionDecoderConfig
from vla_rt.policies.denoising_policy import DenoisingPolicy
from vla_rt.policies.diffusion import DiffusionConfig, DiffusionPolicy
from vla_rt.policies.discrete_actions import (
    DiscreteActionDecoder,
    DiscreteActionDecoderConfig,
    DiscreteActionGenerator,
    DiscreteActionGeneratorConfig,
)
from vla_rt.policies.feature_normalizer import FeatureNormalizer
from vla_rt.policies.features import FeatureSpec
from vla_rt.policies.flow_matching import FlowMatchingPolicy
from vla_rt.policies.flow_matching_config import FlowMatchingConfig
from vla_rt.policies.hierarchical_planner import (
    ActionSequence,
    HierarchicalActionPlanner,
    HierarchicalActionPlannerConfig,
)
from vla_rt.policies.hub_backbone import HubBackbone
from vla_rt.policies.multimodal_encoder import MultimodalConfig, MultimodalEncoder
from vla_rt.policies.networks.noise_predictor import NoisePredictor, NoisePredictorConfig
from vla_rt.policies.networks.unet import ConditionalUNet1D, UNetConfig
from vla_rt.policies.networks.vision_language import VisionLanguageConfig, VisionLanguageModel
from vla_rt.policies.open_vla import OpenVLAConfig, OpenVLAPolicy, OpenVLATokenConfig, OpenVLATokenPolicy
from vla_rt.policies.policy_config import PolicyConfig
from vla_rt.policies.robot_action_generator import RobotActionGenerator, RobotActionGeneratorConfig
from vla_rt.policies.task_oriented import TaskActions, TaskOrientedActionGenerator, TaskOrientedConfig
from vla_rt.policies.token_policy import TokenChunkPolicy

__all__ = [
    "ACT",
    "ACTConfig",
    "ActionChunker",
    "ActionChunkerConfig",
    "ActionDecoder",
    "ActionDecoderConfig",
    "ActionSafetyConfig",
    "ActionSafetyValidator",
    "ActionSequence",
    "ActionTokenPredictor",
    "ActionTokenPredictorConfig",
    "ActionTransformer",
    "ActionTransformerConfig",
    "ActorCritic",
    "ActorCriticConfig",
    "BCConfig",
    "BCPolicy",
    "ChunkPolicy",
    "ConditionalUNet1D",
    "ConstrainedActionDecoder",
    "ConstrainedActionDecoderConfig",
    "ContinuousActionDecoder",
    "ContinuousActionDecoderConfig",
    "DenoisingPolicy",
    "DiffusionConfig",
    "DiffusionPolicy",
    "DirectActionPredictor",
    "DirectActionPredictorConfig",
    "DiscreteActionDecoder",
    "DiscreteActionDecoderConfig",
    "DiscreteActionGenerator",
    "DiscreteActionGeneratorConfig",
    "FeatureNormalizer",
    "FeatureSpec",
    "FlowMatchingConfig",
    "FlowMatchingPolicy",
    "HierarchicalActionPlanner",
    "HierarchicalActionPlannerConfig",
    "HierarchicalActionPredictor",
    "HierarchicalActionPredictorConfig",
    "HubBackbone",
    "InstructionVocabulary",
    "LSTMActionChunker",
    "LSTMActionChunkerConfig",
    "MultimodalConfig",
    "MultimodalEncoder",
    "NoisePredictor",
    "NoisePredictorConfig",
    "OpenVLAConfig",
    "OpenVLAPolicy",
    "OpenVLATokenConfig",
    "OpenVLATokenPolicy",
    "PolicyConfig",
    "RobotActionGenerator",
    "RobotActionGeneratorConfig",
    "SafeActionConfig",
    "SafeActionReport",
    "SafeActionWrapper",
    "TaskActions",
    "TaskOrientedActionGenerator",
    "TaskOrientedConfig",
    "TokenChunkPolicy",
    "UNetConfig",
    "VisionBCConfig",
    "VisionBCPolicy",
    "VisionLanguageConfig",
    "VisionLanguageModel",
]
