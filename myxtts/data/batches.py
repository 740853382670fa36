"""Makes the batches that a plan names, in the form of the batch contract (myxtts.batch)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from myxtts.batch import FIELDS, Batch
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus, FloatArray, measure_speakers
from myxtts.data.plan import (
    FILL_ROW,
    STEP,
    Bucket,
    PlannedBatch,
    batches_per_epoch,
    choose_buckets,
    epoch_plan,
    utterance_seed,
    without,
)
from myxtts.data.references import References
from myxtts.data.store import FeatureStore
from myxtts.units import frames_of_seconds


def reference_frames(config: Config) -> int:
    """Frames of the longest reference, a multiple of 16: the one reference shape of a run."""
    audio = config.audio
    frames = frames_of_seconds(config.data.reference_seconds, audio.sample_rate_hz, audio.hop_samples)
    return -(-frames // STEP) * STEP


def buckets_of(stores: Sequence[FeatureStore], count: int) -> tuple[Bucket, ...]:
    """The batch shapes of a run: they hold every clip of every store."""
    text = np.concatenate([store.lengths[0] for store in stores])
    mel = np.concatenate([store.lengths[1] for store in stores])
    return choose_buckets(text, mel, count)


class Batches:
    """The batches of one feature store: which (`plan`) and made (`build`), both pure functions of their arguments."""

    def __init__(
        self,
        store: FeatureStore,
        corpus: Corpus,
        buckets: Sequence[Bucket],
        config: Config,
        training: bool = True,
    ) -> None:
        """Takes the clips, the statistics to normalize by, the shapes and the settings.

        `training` False (validation): the order of the rows, and the same references every time.
        """
        self.store = store
        self.corpus = corpus
        self.buckets = tuple(buckets)
        self.batch_size = config.training.batch_size
        self.training = training
        self.reference_frames = reference_frames(config)
        self._seed = config.training.seed
        self._references = References(store.speakers, store.lengths[1], self.reference_frames)
        self._speaker_of = {name: index for index, name in enumerate(corpus.speakers)}
        self._language_of = {name: index for index, name in enumerate(corpus.languages)}
        self._figures = _figures_by_speaker(store, corpus)
        self.quarantined: frozenset[int] = frozenset()
        """Rows that no batch and no reference may have any more; a loader must be started anew to follow."""

    def __len__(self) -> int:
        """Batches of every epoch."""
        return batches_per_epoch(len(self.store), self.batch_size)

    def plan(self, epoch: int) -> list[PlannedBatch]:
        """The batches of an epoch; validation has the one epoch 0. Rows in quarantine are left empty."""
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
        """The arrays of a planned batch; keeps the contract of myxtts.batch."""
        epoch = epoch if self.training else 0
        batch = empty_batch(len(planned.rows), planned.bucket, self.reference_frames, len(self.corpus.mel_mean_C))
        for at, row in enumerate(planned.rows):
            if row != FILL_ROW:
                self._fill(batch, at, row, epoch)
        return batch

    def all(self) -> Iterator[Batch]:
        """The batches of epoch 0 one after the other, for validation."""
        for planned in self.plan(0):
            yield self.build(planned, 0)

    def _fill(self, batch: Batch, at: int, row: int, epoch: int) -> None:
        """Writes one utterance into row `at` of a batch."""
        utterance = self.store.utterances[row]
        tokens = self.store.text_tokens(row)
        mel_MC, pitch_M, energy_M = self.store.features(row)
        frames = len(mel_MC)
        batch["text_BT"][at, : len(tokens)] = tokens
        batch["text_length_B"][at] = len(tokens)
        batch["mel_BMC"][at, :frames] = self.corpus.normalize_mel(mel_MC)
        batch["mel_length_B"][at] = frames
        batch["pitch_BM"][at, :frames], batch["voiced_BM"][at, :frames] = self.corpus.normalize_pitch(pitch_M)
        batch["energy_BM"][at, :frames] = self.corpus.normalize_energy(energy_M)
        reference = self._references.choose(row, self._seed, epoch, self.quarantined)
        piece = self.store.mel(reference.row)[reference.start : reference.start + reference.frames]
        batch["reference_BRC"][at, : reference.frames] = self.corpus.normalize_mel(piece)
        batch["reference_length_B"][at] = reference.frames
        batch["spectrum_BC"][at], batch["prosody_BP"][at] = self._figures[utterance.speaker]
        batch["speaker_B"][at] = self._speaker_of.get(utterance.speaker, -1)
        batch["language_B"][at] = self._language_of[utterance.language]
        batch["weight_B"][at] = 1.0
        batch["utterance_B"][at] = row
        batch["seed_B"][at] = utterance_seed(self._seed, epoch, row)


def empty_batch(rows: int, bucket: Bucket, reference_frames: int, mel_channels: int) -> Batch:
    """A batch of rows that only fill, with the contract's padding in every array."""
    sizes = {
        "B": rows,
        "T": bucket.text_cap,
        "M": bucket.mel_cap,
        "R": reference_frames,
        "C": mel_channels,
        "P": 3,
    }
    return {
        field.key: np.full([sizes[letter] for letter in field.letters], field.padding, dtype=field.dtype)
        for field in FIELDS
    }


def _figures_by_speaker(store: FeatureStore, corpus: Corpus) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Spectrum [C] and prosody [3] of every speaker of a store; of one who is no training speaker, from the store."""
    figures = {
        name: (corpus.speaker_spectrum_SC[index], corpus.speaker_prosody_S3[index])
        for index, name in enumerate(corpus.speakers)
    }
    if set(store.speakers) - set(figures):
        measured = measure_speakers(store, corpus)
        prosody = corpus.normalize_prosody(measured.raw_prosody_S3)
        for index, name in enumerate(measured.names):
            figures.setdefault(name, (measured.spectrum_SC[index], prosody[index]))
    return figures
