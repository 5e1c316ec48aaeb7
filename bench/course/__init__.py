"""The five networks of the course that the inference benchmark measures, in their published sizes."""

from course.action_transformer import ActionTransformer
from course.flow_mlp import FlowMlp
from course.noise_mlp import NoiseMlp
from course.policy import CoursePolicy, randomized
from course.token_predictor import TokenPredictor
from course.unet import ConditionalUnet

__all__ = [
    "ActionTransformer",
    "ConditionalUnet",
    "CoursePolicy",
    "FlowMlp",
    "NoiseMlp",
    "TokenPredictor",
    "randomized",
]
