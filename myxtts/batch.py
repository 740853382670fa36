"""The batch contract: what a batch holds, under which key, in which shape and dtype, and what padding looks like.

Letters: B utterances, T text tokens, M mel frames, S frames of the target, R reference frames, C mel channels,
Q prosody figures (3).
A batch has few shapes: T, M and R are bucket sizes, B is always the full batch size; a row that only fills the
batch has weight 0 and utterance -1, and counts in no loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PADDING_TOKEN, BLANK_TOKEN = 0, 1
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

_LAST = 2**31 - 1
_RANGES: dict[str, tuple[int, int | str]] = {
    "text_BT": (0, "symbols"),
    "text_length_B": (1, "T"),
    "mel_length_B": (1, "M"),
    "target_BS": (0, "frames"),
    "target_length_B": (1, "S"),
    "speaker_B": (-1, "speakers"),
    "language_B": (0, "languages"),
    "reference_length_B": (1, "R"),
    "weight_B": (0, 1),
    "utterance_B": (-1, _LAST),
    "seed_B": (0, _LAST),
}
"""Lowest and highest value of what counts or points: a letter is that size, a word the last index of that table."""

Batch = dict[str, npt.NDArray[Any]]


def problems(batch: Batch, tables: Mapping[str, int] | None = None, *, finite: bool = True) -> list[str]:
    """Everything in which `batch` breaks the contract, one line each; empty if it keeps it.

    Args:
        batch: arrays by key.
        tables: numbers of "symbols", "speakers" and "languages"; without them no value is looked at.
        finite: without it, values that are not finite keep the contract, but for those that count or point.
    """
    found: list[str] = []
    sizes: dict[str, int] = {"Q": len(PROSODY_FIGURES)}
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
            if sizes.setdefault(letter, size) != size or not size:
                found.append(f"{field.key}: {letter} is {size}, expected {sizes[letter] or 'at least 1'}")
        if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
            found.append(f"{field.key}: a value is not finite")
    found += [f"{key[:40]!r}: unknown key" for key in batch if key not in {f.key for f in FIELDS}]
    if found or tables is None:
        return found
    return _out_of_range(batch, {**sizes, "frames": sizes["M"] - 1, **{k: n - 1 for k, n in tables.items()}})


def _out_of_range(batch: Batch, last: Mapping[str, int]) -> list[str]:
    """The first value of each array that is out of its range, and a row with too few frames for its tokens."""
    found = []
    for key, (low, limit) in _RANGES.items():
        high = limit if isinstance(limit, int) else last[limit]
        bad = ~((batch[key] >= low) & (batch[key] <= high))
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            found.append(f"{key}{list(place)} is {batch[key][place]}, expected {low} to {high}")
    text, length = batch["text_BT"], batch["text_length_B"]
    spoken = ((text != BLANK_TOKEN) & (np.arange(text.shape[1]) < length[:, None])).sum(axis=1)
    for row in np.flatnonzero(spoken > batch["mel_length_B"])[:1]:
        frames = batch["mel_length_B"][row]
        found.append(f"mel_length_B[{row}] is {frames}, expected at least {spoken[row]}, the tokens that are no blanks")
    return found
