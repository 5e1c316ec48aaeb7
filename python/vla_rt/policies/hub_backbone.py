"""Vision-language models of the Hugging Face hub as a backbone."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from vla_rt.errors import ConfigError, ModelError, error, require

PADDING = 0


class HubBackbone(nn.Module):
    """The last hidden state of the last word of a model of the library ``transformers``.

    For models that take image tokens in front of the words and put the features of the image in their place
    (LLaVA, PaliGemma and their like: ``AutoModelForImageTextToText``).

    Args:
        model: Has ``config.vision_config``, ``config.text_config`` and ``config.image_token_id``.
        tokenizer: Of ``tokenize``; None where ids are given.
        mean: Mean of the image's channels that the model was trained with.
        std: Their standard deviation.

    Attributes:
        width: Of what it answers.

    Raises:
        ConfigError: The model is of another kind.
    """

    _mean: Tensor
    _std: Tensor

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any = None,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.5, 0.5, 0.5),
    ) -> None:
        super().__init__()
        config: Any = getattr(model, "config", None)
        for part in ("vision_config", "text_config", "image_token_id"):
            bound = "the model takes no image tokens"
            require(hasattr(config, part), f"model.config.{part}", "missing", bound)
        self.model, self._tokenizer = model, tokenizer
        self.width = int(config.text_config.hidden_size)
        self._image_size = int(config.vision_config.image_size)
        self._image_tokens = (self._image_size // int(config.vision_config.patch_size)) ** 2
        self._image_token = int(config.image_token_id)
        self.register_buffer("_mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).reshape(1, -1, 1, 1), persistent=False)

    @classmethod
    def from_pretrained(cls, name: str, **options: Any) -> HubBackbone:
        """Loads a model, its tokenizer and the statistics of its images from the hub or a folder.

        Args:
            name: Such as ``google/paligemma-3b-pt-224``.
            options: Of ``AutoModelForImageTextToText.from_pretrained``: ``dtype``, ``revision``, ...

        Raises:
            ModelError: ``transformers`` is not installed, or the model cannot be loaded.
        """
        try:
            transformers: Any = importlib.import_module("transformers")
        except ImportError as cause:
            raise ModelError("a backbone of the hub needs transformers: pip install transformers") from cause
        try:
            model = transformers.AutoModelForImageTextToText.from_pretrained(name, **options)
            processor = transformers.AutoProcessor.from_pretrained(name)
        except (OSError, ValueError) as cause:
            reason = str(cause).strip().split("\n")[0]
            raise error(ModelError, "backbone", name, f"cannot be loaded: {reason}") from cause
        images = processor.image_processor
        return cls(model, processor.tokenizer, tuple(images.image_mean), tuple(images.image_std))

    def tokenize(self, text: str, length: int) -> NDArray[np.int64]:
        """Ids (L,) of an instruction, 0 for padding.

        Raises:
            ConfigError: There is no tokenizer, or the instruction has more than ``length`` tokens.
        """
        if self._tokenizer is None:
            raise error(ConfigError, "tokenizer", None, "must be given to tokenise text")
        found = self._tokenizer(text)["input_ids"]
        require(len(found) <= length, "instruction", f"{len(found)} tokens", f"must be at most {length}")
        ids = np.full(length, PADDING, dtype=np.int64)
        ids[: len(found)] = found
        return ids

    def forward(self, image: Tensor, words: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] and ids (B, L) to (B, width)."""
        size = (self._image_size, self._image_size)
        if tuple(image.shape[2:]) != size:
            image = F.interpolate(image, size, mode="bilinear", antialias=True)
        pixels = (image - self._mean) / self._std
        places = words.new_full((len(words), self._image_tokens), self._image_token)
        there = torch.cat([torch.ones_like(places), (words != PADDING).to(places)], dim=1)
        answer = self.model(
            input_ids=torch.cat([places, words], dim=1),
            attention_mask=there,
            pixel_values=pixels.to(next(self.model.parameters()).dtype),
            output_hidden_states=True,
            use_cache=False,
        )
        hidden = answer.hidden_states[-1]
        last = (torch.arange(there.shape[1], device=there.device) * there).argmax(dim=1)
        result: Tensor = hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[2]))[:, 0]
        return result.float()
