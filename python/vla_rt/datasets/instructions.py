"""Words of instructions as numbers, and a dataset's task texts as a feature of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt.datasets.json_files import read_object, write_object
from vla_rt.errors import FormatError, error, require

if TYPE_CHECKING:
    from vla_rt.datasets.lerobot_dataset import LeRobotDataset

__all__ = ["INSTRUCTION", "InstructedDataset", "InstructionVocabulary"]

INSTRUCTION = "instruction"  #: name of the feature that holds an instruction's ids
_FILE = "vocabulary.json"

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

    def save(self, folder: Path) -> None:
        """Writes ``vocabulary.json`` into a policy package."""
        write_object(folder / _FILE, {"words": list(self.words), "length": self.length})

    @classmethod
    def load(cls, folder: Path) -> InstructionVocabulary | None:
        """What ``save`` wrote; None where there is none.

        Raises:
            FormatError: The file is damaged.
        """
        path = folder / _FILE
        if not path.exists():
            return None
        content = read_object(path)
        words, length = content.get("words"), content.get("length")
        if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
            raise error(FormatError, f"{path}: words", words, "must be a list of words")
        if not isinstance(length, int) or isinstance(length, bool):
            raise error(FormatError, f"{path}: length", length, "must be a whole number")
        vocabulary = cls(tuple(words), length)
        vocabulary.validate()
        return vocabulary


class InstructedDataset:
    """A LeRobot dataset whose task texts are a feature, ``instruction`` (L,) of word ids.

    Args:
        dataset: Frames with a task each.
        vocabulary: Of the words.

    Raises:
        ConfigError: A task has more words than the vocabulary's length.
    """

    def __init__(self, dataset: LeRobotDataset, vocabulary: InstructionVocabulary) -> None:
        vocabulary.validate()
        self._dataset, self._vocabulary = dataset, vocabulary
        self._ids = np.stack([vocabulary.encode(text) for text in dataset.tasks])
        self.stats = dataset.stats  #: by feature and name; ids have none

    def for_policy(self, config: Any) -> InstructedDataset:
        """As of ``LeRobotDataset.for_policy``."""
        return InstructedDataset(self._dataset.for_policy(config), self._vocabulary)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        """Frame ``index`` with its instruction."""
        sample = self._dataset[index]
        return {**sample, INSTRUCTION: self._ids[int(sample["task_index"])]}

    def batch(self, indices: ArrayLike) -> dict[str, NDArray[Any]]:
        """Frames ``indices`` (B,) with their instructions (B, L)."""
        batch = self._dataset.batch(indices)
        return {**batch, INSTRUCTION: self._ids[batch["task_index"].reshape(-1)]}
