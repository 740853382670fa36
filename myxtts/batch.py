"""The batch contract: what a batch holds, under which key, in which shape and dtype, and what padding looks like.

Letters: B utterances, T text tokens, M mel frames, S frames of the target, R reference frames, C mel channels,
Q prosody figures (3).
A batch has few shapes: T, M and R are bucket sizes, B is always the full batch size; a row that only fills the
batch has weight 0 and utterance -1, and counts in no loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PADDING_TOKEN = 0
PROSODY_FIGURES = ("pitch_mean", "pitch_range", "rate")


@dataclass(frozen=True)
class Field:
    """One array of a batch."""

    key: str
    letters: str
    dtype: str
    padding: float
    meaning: str


FIELDS: tuple[Field, ...] = (
    Field("text_BT", "BT", "int32", PADDING_TOKEN, "token ids"),
    Field("text_length_B", "B", "int32", 1, "tokens in each row, at least 1"),
    Field("mel_BMC", "BMC", "float32", 0.0, "log-mel, normalized by the corpus statistics"),
    Field("mel_length_B", "B", "int32", 1, "frames in each row, at least the tokens that are no blanks"),
    Field("target_BS", "BS", "int32", 0, "frames that the decoder makes, neighbours; behind the last one anything"),
    Field("target_length_B", "B", "int32", 1, "how many of them count in the losses of the mel, at least 1"),
    Field("pitch_BM", "BM", "float32", 0.0, "ln F0, normalized by the corpus; 0 where unvoiced"),
    Field("voiced_BM", "BM", "float32", 0.0, "1 where the pitch tracker heard a voice, else 0"),
    Field("energy_BM", "BM", "float32", 0.0, "log frame energy, normalized by the corpus"),
    Field("speaker_B", "B", "int32", 0, "index in the corpus's list of training speakers; -1 unknown"),
    Field("language_B", "B", "int32", 0, "index in the corpus's list of languages"),
    Field("reference_BRC", "BRC", "float32", 0.0, "normalized log-mel of the reference recording"),
    Field("reference_length_B", "B", "int32", 1, "frames of the reference, at least 1"),
    Field("spectrum_BC", "BC", "float32", 0.0, "the speaker's long-term mean of the normalized mel"),
    Field("prosody_BQ", "BQ", "float32", 0.0, "the speaker's pitch mean, pitch range and rate, normalized"),
    Field("weight_B", "B", "float32", 0.0, "1 for an utterance, 0 for a row that only fills the batch"),
    Field("utterance_B", "B", "int32", -1, "row of the utterance in its feature store"),
    Field("seed_B", "B", "int32", 0, "randomness of this utterance in this epoch, from (seed, epoch, utterance)"),
)

Batch = dict[str, npt.NDArray[Any]]


def problems(batch: Batch) -> list[str]:
    """Everything in which `batch` breaks the contract, one line each; empty if it keeps it."""
    found: list[str] = []
    sizes: dict[str, int] = {}
    for field in FIELDS:
        array = batch.get(field.key)
        if array is None:
            found.append(f"{field.key}: missing")
            continue
        if str(array.dtype) != field.dtype:
            found.append(f"{field.key}: dtype {array.dtype}, expected {field.dtype}")
        if array.ndim != len(field.letters):
            found.append(f"{field.key}: {array.ndim} dimensions, expected {field.letters}")
            continue
        for letter, size in zip(field.letters, array.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                found.append(f"{field.key}: {letter} is {size}, elsewhere {sizes[letter]}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            found.append(f"{field.key}: a value is not finite")
    found += [f"{key}: unknown key" for key in batch if key not in {f.key for f in FIELDS}]
    return found
