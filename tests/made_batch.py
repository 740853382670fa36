"""Small batches with made-up numbers, and the small model that takes them. A row is the same in every batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from myxtts import batch as contract
from myxtts.audio.harmonics import HarmonicTable
from myxtts.config.schema import ModelConfig
from myxtts.text.symbols import BLANK

CHANNELS, SYMBOLS, LANGUAGES, SPEAKERS = 8, 20, 2, 3
HARMONICS = HarmonicTable(-3.0, 3.0, np.random.default_rng(9).normal(size=(16, CHANNELS)).astype(np.float32))
SIZES: dict[str, Any] = {
    "channels": CHANNELS,
    "symbols": SYMBOLS,
    "languages": LANGUAGES,
    "speakers": SPEAKERS,
    "harmonics": HARMONICS,
}
SHAPES = ((7, 19, 15), (5, 12, 24), (3, 9, 9), (9, 24, 17))
"""Tokens, mel frames and reference frames of the rows."""


def model_config(**changes: Any) -> ModelConfig:
    """Widths of a few numbers, no dropout."""
    small: dict[str, Any] = {
        "width": 16,
        "heads": 2,
        "text_blocks": 1,
        "decoder_blocks": 1,
        "predictor_width": 8,
        "speaker_width": 8,
        "voice_width": 8,
        "style_width": 4,
        "flow_steps": 2,
        "flow_draft_blocks": 1,
        "dropout": 0.0,
        "predictor_dropout": 0.0,
    }
    return ModelConfig(**{**small, **changes})


def make_batch(
    rows: Sequence[int] = (0, 1, 2, 3), *, pad: tuple[int, int, int] = (0, 0, 0), fill: int = 0, seed: int = 0
) -> contract.Batch:
    """A batch of the rows numbered so.

    Args:
        rows: row r has shape SHAPES[r % 4]; its numbers depend on (seed, r) alone.
        pad: tokens, frames and reference frames that the longest row is padded by.
        fill: rows of weight 0 at the end.
        seed: of everything.
    """
    shapes = [SHAPES[r % len(SHAPES)] for r in rows]
    tokens, frames, reference = (max(s[i] for s in shapes) + pad[i] for i in range(3))
    sizes = {"B": len(rows) + fill, "T": tokens, "M": frames, "S": frames, "R": reference, "C": CHANNELS, "Q": 3}
    batch = {f.key: np.full([sizes[x] for x in f.letters], f.padding, f.dtype) for f in contract.FIELDS}
    for at, (r, (t, m, ref)) in enumerate(zip(rows, shapes, strict=True)):
        rng = np.random.default_rng([seed, r])
        batch["text_BT"][at, :t:2] = BLANK
        batch["text_BT"][at, 1:t:2] = rng.integers(3, SYMBOLS, len(range(1, t, 2)))
        batch["text_length_B"][at], batch["mel_length_B"][at], batch["reference_length_B"][at] = t, m, ref
        batch["target_BS"][at], batch["target_length_B"][at] = np.arange(frames), m
        batch["mel_BMC"][at, :m] = rng.normal(size=(m, CHANNELS))
        batch["voiced_BM"][at, :m] = voiced = rng.random(m) < 0.6
        batch["pitch_BM"][at, :m] = rng.normal(size=m) * voiced
        batch["energy_BM"][at, :m] = rng.normal(size=m)
        batch["speaker_B"][at], batch["language_B"][at] = r % SPEAKERS, r % LANGUAGES
        batch["reference_BRC"][at, :ref] = rng.normal(size=(ref, CHANNELS))
        batch["spectrum_BC"][at] = 0.3 * rng.normal(size=CHANNELS)
        batch["prosody_BQ"][at] = rng.normal(size=3)
        batch["weight_B"][at], batch["utterance_B"][at] = 1.0, r
        batch["seed_B"][at] = rng.integers(1 << 30)
    assert contract.problems(batch) == []
    return batch


def tensors(batch: contract.Batch) -> dict[str, Any]:
    """The batch as TensorFlow takes it."""
    import tensorflow as tf

    return {key: tf.constant(value) for key, value in batch.items()}


def build(seed: int = 1, precision: str = "fp32", **changes: Any) -> Any:
    """The small model; its weights that begin at zero or next to it are moved, so that everything has an effect."""
    from myxtts.models.build import build_voice_cloner

    sizes = {**SIZES, **{key: changes.pop(key) for key in list(changes) if key in SIZES}}
    cloner = build_voice_cloner(model_config(**changes), precision=precision, seed=seed, **sizes)
    stir(cloner.trainable_variables, seed)
    return cloner


def stir(variables: Sequence[Any], seed: int = 1) -> None:
    """Adds a little noise to every weight."""
    rng = np.random.default_rng(seed)
    for variable in variables:
        variable.assign(variable.numpy() + 0.1 * rng.normal(size=variable.shape).astype(np.float32))
