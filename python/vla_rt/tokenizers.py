"""Action tokenizers, computed in C++: actions to the ids a language model predicts, and back.

| class               | of                                 | ids for one action or chunk                     |
|---------------------|------------------------------------|-------------------------------------------------|
| `UniformTokenizer`  | equal bins between bounds          | one per number                                  |
| `RT1Tokenizer`      | RT-1                               | one per number, one for a one-hot choice        |
| `OpenVLATokenizer`  | OpenVLA: the end of the vocabulary | one per number                                  |
| `QuantileTokenizer` | bins of equal share, as Octo       | one per number                                  |
| `MotionTokenizer`   | 256 small motions of a tool        | one each for position, rotation and gripper     |
| `FastTokenizer`     | FAST: DCT and byte-pair encoding   | a list, as long as the chunk needs              |

All take any leading dimensions, contiguous or not, any real dtype. NaN, infinity, ids outside the vocabulary
and shapes that do not fit raise `ConfigError` naming the element. `encode` gives int64 (`FastTokenizer`:
lists of ids), `decode` float64.
"""

from vla_rt._core import (
    FastTokenizer,
    MotionTokenizer,
    OpenVLATokenizer,
    QuantileTokenizer,
    RT1Tokenizer,
    Tokenizer,
    UniformTokenizer,
)

__all__ = [
    "FastTokenizer",
    "MotionTokenizer",
    "OpenVLATokenizer",
    "QuantileTokenizer",
    "RT1Tokenizer",
    "Tokenizer",
    "UniformTokenizer",
]
