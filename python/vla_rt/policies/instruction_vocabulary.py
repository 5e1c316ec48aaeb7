"""Words of instructions as numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_rt.errors import require

_WORD = re.compile(r"[a-z0-9]+")
PADDING, UNKNOWN, FIRST = 0, 1, 2


@dataclass(frozen=True)
class InstructionVocabulary:
    """Ids of words: 0 is padding, 1 any unknown word, the others follow in order.

    Attributes:
        words: Known words in lower case.
        length: L, ids of an instruction; longer ones are refused.
    """

    words: tuple[str, ...]
    length: int = 16

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple(self.words))

    @classmethod
    def of(cls, instructions: Iterable[str], length: int = 16) -> InstructionVocabulary:
        """The vocabulary of all words that occur, in alphabetical order."""
        return cls(tuple(sorted({w for text in instructions for w in _WORD.findall(text.lower())})), length)

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self.words) + FIRST

    def validate(self) -> None:
        """Raises ConfigError naming the first field that is out of its bounds."""
        require(self.length >= 1, "length", self.length, "must be >= 1")
        for i, word in enumerate(self.words):
            require(bool(_WORD.fullmatch(word)), f"words[{i}]", word, "must be letters a-z and digits")
            require(word not in self.words[:i], f"words[{i}]", word, "must be there once")

    def encode(self, text: str) -> NDArray[np.int64]:
        """Ids (L,) of an instruction.

        Raises:
            ConfigError: It has more than ``length`` words.
        """
        found = _WORD.findall(text.lower())
        require(len(found) <= self.length, "instruction", f"{len(found)} words", f"at most {self.length}")
        places = {word: i + FIRST for i, word in enumerate(self.words)}
        ids = np.full(self.length, PADDING, dtype=np.int64)
        ids[: len(found)] = [places.get(word, UNKNOWN) for word in found]
        return ids
