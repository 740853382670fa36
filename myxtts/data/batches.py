"""Makes the arrays of planned batches according to the batch contract (myxtts.batch)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from myxtts.batch import FIELDS, PROSODY_FIGURES, Batch
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus, measure_speakers
from myxtts.data.feature_store import FeatureStore, FloatArray
from myxtts.data.plan import (
    FILL_ROW,
    STEP,
    Bucket,
    PlannedBatch,
    batches_per_epoch,
    choose_buckets,
    epoch_plan,
    generator,
    utterance_seed,
    without,
)
from myxtts.data.references import ReferenceChoice, References, augment, concatenate, prepare_reference
from myxtts.units import frames_of_seconds

_STREAM_AUGMENT = 3
REFERENCE_SHAPES = 12
"""Shapes of the references of a batch: a batch of short ones has fewer columns."""


def frames_of(seconds: float, config: Config) -> int:
    """Frames of a duration, rounded up to a multiple of 16; 0 for 0."""
    frames = frames_of_seconds(seconds, config.audio.sample_rate_hz, config.audio.hop_samples)
    return -(-frames // STEP) * STEP


def reference_frames(config: Config) -> int:
    """Frames of the longest reference, a multiple of 16."""
    return frames_of(config.data.reference_seconds, config)


def shape_of_reference(longest: int, most: int) -> int:
    """Frames of the references of a batch, the longest of which has `longest`: one of REFERENCE_SHAPES, up to `most`.

    Few shapes, since kernels are prepared for each one on GPUs.
    """
    step = -(-most // (REFERENCE_SHAPES * STEP)) * STEP
    return min(-(-longest // step) * step, most)


def buckets_of(stores: Sequence[FeatureStore], count: int) -> tuple[Bucket, ...]:
    """The batch shapes of a run, which fit every clip of every store."""
    text = np.concatenate([store.lengths[0] for store in stores])
    mel = np.concatenate([store.lengths[1] for store in stores])
    return choose_buckets(text, mel, count)


class Batches:
    """The batches of one feature store: `plan` lists them, `build` makes one; both depend on their arguments only."""

    def __init__(
        self,
        store: FeatureStore,
        corpus: Corpus,
        buckets: Sequence[Bucket],
        config: Config,
        training: bool = True,
    ) -> None:
        """Takes the clips, the statistics for normalization, the batch shapes and the settings.

        `training` False (validation): rows in order, the same references every time, and no augmentation.
        """
        self.store = store
        self.corpus = corpus
        self.buckets = tuple(buckets)
        self.batch_size = config.training.batch_size
        self.training = training
        self.reference_frames = reference_frames(config)
        self._config = config
        self._seed = config.training.seed
        self.segment_frames = frames_of(config.training.segment_seconds, config) if training else 0
        """Most frames of an utterance that the decoder predicts; 0: all."""
        least = frames_of(config.data.reference_min_seconds, config)
        self._references = References(
            store.speakers, store.lengths[1], least, self.reference_frames, self.segment_frames
        )
        self._language_of = {name: index for index, name in enumerate(corpus.languages)}
        self._figures = _figures_by_speaker(store, corpus)
        self.quarantined: frozenset[int] = frozenset()
        """Rows excluded from batches and references. A loader must be restarted to follow a change."""

    def __len__(self) -> int:
        """Number of batches of an epoch."""
        return batches_per_epoch(len(self.store), self.batch_size)

    def plan(self, epoch: int) -> list[PlannedBatch]:
        """The batches of an epoch, quarantined rows left empty; validation always has epoch 0."""
        text_lengths, mel_lengths = self.store.lengths
        planned = epoch_plan(
            text_lengths,
            mel_lengths,
            self.buckets,
            self.batch_size,
            self._seed,
            epoch if self.training else 0,
            shuffle=self.training,
        )
        return without(planned, self.quarantined)

    def build(self, planned: PlannedBatch, epoch: int) -> Batch:
        """The arrays of a planned batch according to the contract."""
        epoch = epoch if self.training else 0
        segment = min(self.segment_frames or planned.bucket.mel_cap, planned.bucket.mel_cap)
        rows = {at: row for at, row in enumerate(planned.rows) if row != FILL_ROW}
        choices = {at: self._references.choose(row, self._seed, epoch, self.quarantined) for at, row in rows.items()}
        references = {at: self._reference(choices[at], row, epoch) for at, row in rows.items()}
        longest = max(map(len, references.values()), default=1)
        frames, channels = shape_of_reference(longest, self.reference_frames), len(self.corpus.mel_mean_C)
        batch = empty_batch(len(planned.rows), planned.bucket, segment, frames, channels)
        for at, row in rows.items():
            self._fill(batch, at, row, epoch)
            target_S = choices[at].target.start + np.arange(segment)
            batch["target_BS"][at] = np.minimum(target_S, planned.bucket.mel_cap - 1)
            batch["target_length_B"][at] = choices[at].target.frames
            batch["reference_BRC"][at, : len(references[at])] = references[at]
            batch["reference_length_B"][at] = len(references[at])
        return batch

    def all(self) -> Iterator[Batch]:
        """The batches of epoch 0 in order, for validation."""
        for planned in self.plan(0):
            yield self.build(planned, 0)

    def _fill(self, batch: Batch, at: int, row: int, epoch: int) -> None:
        """Writes one utterance to row `at` of a batch, without reference and decoder segment."""
        speaker = self.store.speakers[row]
        tokens = self.store.text_tokens(row)
        mel_MC, pitch_M, energy_M = self.store.features(row)
        frames = len(mel_MC)
        batch["text_BT"][at, : len(tokens)] = tokens
        batch["text_length_B"][at] = len(tokens)
        batch["mel_BMC"][at, :frames] = self.corpus.normalize_mel(mel_MC)
        batch["mel_length_B"][at] = frames
        batch["pitch_BM"][at, :frames], batch["voiced_BM"][at, :frames] = self.corpus.normalize_pitch(pitch_M)
        batch["energy_BM"][at, :frames] = self.corpus.normalize_energy(energy_M)
        batch["spectrum_BC"][at], batch["prosody_BQ"][at] = self._figures[speaker]
        batch["speaker_B"][at] = self.corpus.speaker_index(speaker)
        batch["language_B"][at] = self._language_of[self.store.languages[row]]
        batch["weight_B"][at] = 1.0
        batch["utterance_B"][at] = row
        batch["seed_B"][at] = utterance_seed(self._seed, epoch, row)

    def _reference(self, choice: ReferenceChoice, row: int, epoch: int) -> FloatArray:
        """The chosen reference (R, C) as input of the voice encoder."""
        excerpts = [self.store.mel(e.row, e.start, e.frames) for e in choice.reference]
        mel_RC, audio = concatenate(excerpts), self._config.audio
        if self.training:
            random = generator(_STREAM_AUGMENT, self._seed, epoch, row)
            mel_RC = augment(mel_RC, self._config.data, audio, random)
        return prepare_reference(mel_RC, self.corpus, audio)[: self.reference_frames]


def empty_batch(rows: int, bucket: Bucket, segment: int, reference_frames: int, mel_channels: int) -> Batch:
    """A batch without clips: every array holds the padding of the contract."""
    sizes = {
        "B": rows,
        "T": bucket.text_cap,
        "M": bucket.mel_cap,
        "S": segment,
        "R": reference_frames,
        "C": mel_channels,
        "Q": len(PROSODY_FIGURES),
    }
    shapes = {field: [sizes[letter] for letter in field.letters] for field in FIELDS}
    return {
        field.key: np.full(shape, field.padding, field.dtype) if field.padding else np.zeros(shape, field.dtype)
        for field, shape in shapes.items()
    }


def _figures_by_speaker(store: FeatureStore, corpus: Corpus) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Spectrum [C] and prosody [Q] of each speaker of a store; those of unseen speakers are measured on the store."""
    figures = {
        name: (corpus.speaker_spectrum_ZC[index], corpus.speaker_prosody_ZQ[index])
        for index, name in enumerate(corpus.speakers)
    }
    if set(store.speakers) - set(figures):
        measured = measure_speakers(store, corpus)
        prosody = corpus.normalize_prosody(measured.raw_prosody_ZQ)
        for index, name in enumerate(measured.names):
            figures.setdefault(name, (measured.spectrum_ZC[index], prosody[index]))
    return figures
