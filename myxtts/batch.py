"""The batch contract: the arrays of a batch with their keys, shapes, dtypes and padding; and the shape letters.

A batch has one of a few shapes: T, M and R are bucket sizes, and B is always the full batch size. A row that holds no
clip has weight 0 and utterance -1, and contributes to no loss.

The names of arrays end in their shape, one letter for each dimension: mel_BMC is [utterances, mel frames, channels].
Each letter has one meaning in all of myxtts (tests/test_shape_letters.py):

    A   any other count of items, such as clips, voices, results or pixels
    B   utterances of a batch
    C   mel channels
    D   width of a network layer
    E   width of a voice (speaker embedding)
    F   frequency bins of a Fourier transform
    G   groups of layers
    H   attention heads
    I   pitches of the harmonic table
    J   patches of the critic along time
    K   loss terms
    L   patches of the critic along frequency
    M   mel frames
    N   waveform samples
    P   pairs of items
    Q   prosody figures of a speaker (3)
    R   reference frames
    S   frames of the decoder segment
    T   text tokens
    U   text tokens near the segment
    V   coefficients of a cepstrum
    W   weights (variables) of a network
    X   candidates for the pitch of a frame
    Y   width of a style
    Z   speakers
    1, 2, ...   a constant size
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    Field("mel_length_B", "B", "int32", 1, "frames in each row, at least the number of tokens other than blanks"),
    Field(
        "target_BS",
        "BS",
        "int32",
        0,
        "consecutive frames that the decoder predicts; arbitrary after the last one",
    ),
    Field("target_length_B", "B", "int32", 1, "number of those frames in the mel losses, at least 1"),
    Field("pitch_BM", "BM", "float32", 0.0, "ln F0, normalized by the corpus; 0 where unvoiced"),
    Field("voiced_BM", "BM", "float32", 0.0, "1 where the pitch tracker found voicing, else 0"),
    Field("energy_BM", "BM", "float32", 0.0, "log frame energy, normalized by the corpus"),
    Field("speaker_B", "B", "int32", 0, "index in the corpus's list of training speakers; -1 for an unseen speaker"),
    Field("language_B", "B", "int32", 0, "index in the corpus's list of languages"),
    Field("reference_BRC", "BRC", "float32", 0.0, "normalized log-mel of the reference recording"),
    Field("reference_length_B", "B", "int32", 1, "frames of the reference, at least 1"),
    Field("spectrum_BC", "BC", "float32", 0.0, "the speaker's long-term mean of the normalized mel"),
    Field("prosody_BQ", "BQ", "float32", 0.0, "the speaker's pitch mean, pitch range and speaking rate, normalized"),
    Field("weight_B", "B", "float32", 0.0, "1 for an utterance, 0 for a row without a clip"),
    Field("utterance_B", "B", "int32", -1, "row of the utterance in its feature store"),
    Field("seed_B", "B", "int32", 0, "random seed of this utterance in this epoch, from (seed, epoch, utterance)"),
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
"""Lowest and highest value of lengths, indices and flags: a letter is that size, a word the last index of a table."""

Batch = dict[str, npt.NDArray[Any]]


def problems(
    batch: Batch, tables: Mapping[str, int] | None = None, *, finite: bool = True, fields: Sequence[Field] = FIELDS
) -> list[str]:
    """All violations of the contract in `batch`, one line each.

    Args:
        batch: arrays by key.
        tables: sizes of "symbols", "speakers" and "languages"; without them no ranges are checked.
        finite: whether NaN and infinity are violations; they always are in lengths, indices and flags.
        fields: the arrays of the contract; `tables` are for those of a voice model.
    """
    found: list[str] = []
    sizes: dict[str, int] = {"Q": len(PROSODY_FIGURES)}
    for field in fields:
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
    found += [f"{key[:40]!r}: unknown key" for key in batch if key not in {f.key for f in fields}]
    if found or tables is None:
        return found
    return _out_of_range(batch, {**sizes, "frames": sizes["M"] - 1, **{k: n - 1 for k, n in tables.items()}})


def _out_of_range(batch: Batch, last: Mapping[str, int]) -> list[str]:
    """The first value of each array that is out of range, and the first row with fewer frames than tokens."""
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
        found.append(f"mel_length_B[{row}] is {frames}, expected at least {spoken[row]}, its tokens without blanks")
    return found
