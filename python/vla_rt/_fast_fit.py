"""Fitting of `FastTokenizer`: the `tokenizers` library, which only this module loads, learns the merges."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vla_rt._core import ConfigError, FastTokenizer, ModelError
from vla_rt.errors import error, require

_MAX_CHARACTERS = 0xD800


def fit(chunks: ArrayLike | Sequence[ArrayLike], vocab_size: int, scale: float) -> FastTokenizer:
    """See `FastTokenizer.fit`."""
    arrays = [np.asarray(chunk) for chunk in _sequence(chunks)]
    require(len(arrays) > 0, "chunks", "none", "must hold at least one chunk (T, D)")
    width = arrays[0].shape[-1] if arrays[0].ndim else 0
    quantized = []
    for i, chunk in enumerate(arrays):
        good = chunk.ndim == 2 and chunk.shape[1] == width
        require(good, f"chunks[{i}]", f"shape {chunk.shape}", f"must have shape (T, {width})")
        try:
            quantized.append(FastTokenizer.quantize(chunk, scale))
        except ConfigError as cause:
            raise error(ConfigError, f"chunks[{i}], {cause.name}", cause.value, cause.bound) from cause
    low = int(min(q.min() for q in quantized))
    high = int(max(q.max() for q in quantized))
    size = high - low + 1
    require(vocab_size >= size, "vocab_size", vocab_size, f"must be >= {size}, all values {low}..{high}")
    require(size <= _MAX_CHARACTERS, "chunks", f"{size} values", "must be <= 55296; normalise to [-1, 1]")

    try:
        from tokenizers.trainers import BpeTrainer

        from tokenizers import ByteLevelBPETokenizer
    except ImportError as cause:
        raise ModelError(
            "FastTokenizer.fit needs the `tokenizers` library: pip install 'vla-rt[fast]'"
        ) from cause
    bpe: Any = ByteLevelBPETokenizer()._tokenizer
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        show_progress=False,
        special_tokens=[],
        initial_alphabet=[chr(i) for i in range(size)],
        max_token_length=10000,
    )
    bpe.train_from_iterator(("".join(map(chr, q - low)) for q in quantized), trainer=trainer)
    horizons = {chunk.shape[0] for chunk in arrays}
    return FastTokenizer(
        bpe.to_str(),
        scale=scale,
        min_token=low,
        vocab_size=vocab_size,
        horizon=horizons.pop() if len(horizons) == 1 else None,
        action_dim=arrays[0].shape[1],
    )


def _sequence(chunks: Any) -> list[Any]:
    if isinstance(chunks, np.ndarray):
        require(chunks.ndim == 3, "chunks", f"shape {chunks.shape}", "must have shape (n, T, D)")
    try:
        return list(chunks)
    except TypeError as cause:
        kind = type(chunks).__name__
        raise error(ConfigError, "chunks", kind, "must be an array (n, T, D) or a list of (T, D)") from cause
