"""Task texts as a feature of word ids."""

from __future__ import annotations

import json

import numpy as np
import pytest

import vla_rt as vr

pytest.importorskip("pyarrow")
from vla_rt.datasets import InstructedDataset, InstructionVocabulary, LeRobotDataset

TEXTS = ["touch the red block", "tap the blue one", "Touch the red block!"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    features = {name: {"dtype": "float32", "shape": (2,)} for name in ("observation.state", "action")}
    dataset = LeRobotDataset.create(tmp_path_factory.mktemp("told") / "data", 10.0, features)
    for text in TEXTS:
        for _ in range(3):
            dataset.add_frame({"observation.state": np.zeros(2), "action": np.ones(2)}, task=text)
        dataset.save_episode()
    return dataset


def test_every_frame_has_the_words_of_its_task(recorded):
    vocabulary = InstructionVocabulary.of(TEXTS, 5)
    dataset = InstructedDataset(recorded, vocabulary)
    assert len(dataset) == 9
    batch = dataset.batch([0, 4, 8])
    expected = [vocabulary.encode(text) for text in TEXTS]
    np.testing.assert_array_equal(batch["instruction"], expected)
    np.testing.assert_array_equal(expected[0], expected[2])  # neither case nor marks count
    np.testing.assert_array_equal(dataset[4]["instruction"], expected[1])
    assert dataset.stats.keys() == recorded.stats.keys()


def test_a_task_that_is_too_long_is_named(recorded):
    with pytest.raises(vr.ConfigError, match="instruction = 4 words: at most 3"):
        InstructedDataset(recorded, InstructionVocabulary.of(TEXTS, 3))


def test_the_vocabulary_travels_in_a_file(tmp_path):
    vocabulary = InstructionVocabulary.of(TEXTS, 5)
    assert InstructionVocabulary.load(tmp_path) is None
    vocabulary.save(tmp_path)
    assert InstructionVocabulary.load(tmp_path) == vocabulary


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": "red"}, "words"),
        ({"words": ["red", 3]}, "words"),
        ({"words": ["red", "red"]}, r"words\[1\]"),
        ({"length": 0}, "length"),
        ({"length": True}, "length"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, change, message):
    content = {"words": ["red", "blue"], "length": 3, **change}
    (tmp_path / "vocabulary.json").write_text(json.dumps(content))
    with pytest.raises(vr.VlaRtError, match=message):
        InstructionVocabulary.load(tmp_path)
