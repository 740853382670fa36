"""Which clips form which batch of which shape: a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

STEP = 16
"""Shapes are multiples of this."""

FILL_ROW = -1
"""A row of a batch that holds no clip."""

_STREAM_ORDER, _STREAM_SEED = 0, 2  # references.py has 1, batches.py 3, vocoder/segments.py 5


@dataclass(frozen=True, order=True)
class Bucket:
    """A batch shape: no clip in it has more frames or more tokens."""

    mel_cap: int
    text_cap: int


@dataclass(frozen=True)
class PlannedBatch:
    """A batch before its arrays exist: its shape, and its rows of the feature store (FILL_ROW: no clip)."""

    bucket: Bucket
    rows: tuple[int, ...]

    @property
    def clips(self) -> int:
        """Number of rows that hold a clip."""
        return sum(row != FILL_ROW for row in self.rows)


def generator(stream: int, seed: int, epoch: int, row: int = 0) -> np.random.Generator:
    """Random numbers for one purpose; they depend on (seed, epoch, row) only, so that no draw affects another."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([stream, seed, epoch, row])))


def utterance_seed(seed: int, epoch: int, row: int) -> int:
    """Seed of an utterance in an epoch, 0 to 2^31 - 1, for random numbers drawn inside the model."""
    return int(np.random.SeedSequence([_STREAM_SEED, seed, epoch, row]).generate_state(1)[0]) & 0x7FFFFFFF


def choose_buckets(text_lengths: IntArray, mel_lengths: IntArray, count: int) -> tuple[Bucket, ...]:
    """At most `count` shapes for clips of these lengths, shortest first; the last one holds every clip.

    Args:
        text_lengths: tokens of each clip, int [A].
        mel_lengths: frames of each clip, int [A].
        count: most shapes.

    The frame caps are the multiples of 16 that minimize padding over all clips. The text cap of a shape holds 98% of
    the clips whose frames fit; a few dense texts would widen every batch, and take the next shape instead.
    """
    if not len(mel_lengths):
        return ()
    rounded = _up(np.asarray(mel_lengths))
    caps = _least_padding_caps(rounded, count)
    buckets: list[Bucket] = []
    low, text_cap = 0, STEP
    for cap in caps:
        inside = np.asarray(text_lengths)[(rounded > low) & (rounded <= cap)]
        text_cap = max(text_cap, int(_up(np.ceil(np.percentile(inside, 98)).astype(np.int64))))
        buckets.append(Bucket(mel_cap=cap, text_cap=text_cap))
        low = cap
    buckets[-1] = Bucket(mel_cap=caps[-1], text_cap=int(_up(np.max(text_lengths))))
    return tuple(Bucket(b.mel_cap, min(b.text_cap, buckets[-1].text_cap)) for b in buckets)


def _up(lengths: npt.ArrayLike) -> IntArray:
    """Lengths rounded up to a multiple of 16, at least 16."""
    return np.maximum(-(-np.asarray(lengths, dtype=np.int64) // STEP) * STEP, STEP)


def _least_padding_caps(rounded: IntArray, count: int) -> list[int]:
    """The caps, chosen among the lengths, that minimize the sum of the caps over all clips (dynamic programming)."""
    values, counts = np.unique(rounded, return_counts=True)
    clips_to = np.concatenate([[0], np.cumsum(counts)])
    size = len(values)
    best = np.full((min(count, size) + 1, size + 1), np.inf)
    best[:, 0] = 0.0
    cut = np.zeros(best.shape, dtype=np.int64)
    for stage in range(1, len(best)):
        for end in range(1, size + 1):
            costs = best[stage - 1, :end] + values[end - 1] * (clips_to[end] - clips_to[:end])
            cut[stage, end] = int(np.argmin(costs))
            best[stage, end] = costs[cut[stage, end]]
    caps: list[int] = []
    stage, end = len(best) - 1, size
    while end > 0:
        caps.append(int(values[end - 1]))
        end = int(cut[stage, end])
        stage -= 1
    return caps[::-1]


def bucket_of(buckets: Sequence[Bucket], text_lengths: IntArray, mel_lengths: IntArray) -> IntArray:
    """Index of the first shape that holds each clip, int [A].

    Errors: ValueError if a clip fits none, as the shapes are not from `choose_buckets` over all clips.
    """
    found = np.full(len(mel_lengths), -1, dtype=np.int64)
    for index in reversed(range(len(buckets))):
        bucket = buckets[index]
        fits = (np.asarray(mel_lengths) <= bucket.mel_cap) & (np.asarray(text_lengths) <= bucket.text_cap)
        found[fits] = index
    if (found < 0).any():
        row = int(np.argmax(found < 0))
        raise ValueError(f"clip {row} of {text_lengths[row]} tokens and {mel_lengths[row]} frames fits no batch shape")
    return found


def batches_per_epoch(clips: int, batch_size: int) -> int:
    """Number of batches of an epoch over `clips` clips; at most one is not full."""
    return -(-clips // batch_size)


def total_updates(
    max_updates: int, epochs: int, batches_per_epoch: int, accumulation: int, min_updates: int = 0
) -> int:
    """Updates of a run: those of its epochs, at least `min_updates` and 1, at most `max_updates` (0 is no limit).

    A window of `accumulation` batches may span two epochs.
    """
    by_epochs = max(1, min_updates, epochs * batches_per_epoch // accumulation)
    return min(max_updates, by_epochs) if max_updates else by_epochs


def epoch_plan(
    text_lengths: IntArray,
    mel_lengths: IntArray,
    buckets: Sequence[Bucket],
    batch_size: int,
    seed: int,
    epoch: int,
    shuffle: bool = True,
) -> list[PlannedBatch]:
    """The batches of an epoch: a pure function of its arguments. Every clip is in exactly one of them.

    The clips of each shape are shuffled and cut into full batches, longest shape first. The remaining clips are
    combined with those of the next shorter shape, so that at most one batch of an epoch is not full, and that one is
    short. Then the batches are shuffled. `shuffle` False (validation) keeps the rows of a shape in order, and the
    batches from the longest shape to the shortest.
    """
    shape_of = bucket_of(buckets, text_lengths, mel_lengths)
    random = generator(_STREAM_ORDER, seed, epoch)
    batches: list[PlannedBatch] = []
    waiting: IntArray = np.zeros(0, dtype=np.int64)
    for index in reversed(range(len(buckets))):
        members = np.flatnonzero(shape_of == index)
        if shuffle:
            members = random.permutation(members)
        # Clips of the longer shape come first, so that they widen one batch only.
        members = np.concatenate([waiting, members])
        full = len(members) // batch_size * batch_size
        for start in range(0, full, batch_size):
            batches.append(_batch(buckets, shape_of, members[start : start + batch_size], batch_size))
        waiting = members[full:]
    if len(waiting):
        batches.append(_batch(buckets, shape_of, waiting, batch_size))
    if shuffle:
        batches = [batches[index] for index in random.permutation(len(batches))]
    return batches


def _batch(buckets: Sequence[Bucket], shape_of: IntArray, rows: IntArray, batch_size: int) -> PlannedBatch:
    """A batch of the smallest shape that holds its rows, padded to the batch size."""
    filled = [*(int(row) for row in rows), *([FILL_ROW] * (batch_size - len(rows)))]
    return PlannedBatch(buckets[int(shape_of[rows].max())], tuple(filled))


def without(batches: Sequence[PlannedBatch], rows: Collection[int]) -> list[PlannedBatch]:
    """The same batches with these rows (quarantined clips) empty; every other clip keeps its place."""
    if not rows:
        return list(batches)
    return [PlannedBatch(b.bucket, tuple(FILL_ROW if row in rows else row for row in b.rows)) for b in batches]
