"""Batches that train the vocoder: segments of recordings with their mels, pitch and excitation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from myxtts.audio.excitation import fundamental
from myxtts.audio.source_filter import driving_pulses
from myxtts.batch import Batch, Field
from myxtts.config.schema import Config
from myxtts.data.feature_store import FeatureStore
from myxtts.data.plan import (
    FILL_ROW,
    Bucket,
    PlannedBatch,
    batches_per_epoch,
    epoch_plan,
    generator,
    utterance_seed,
    without,
)
from myxtts.units import frames_of_seconds
from myxtts.vocoder.waves import Waves

FIELDS: tuple[Field, ...] = (
    Field("wave_BN", "BN", "float32", 0.0, "samples of the recording, full scale -1 to 1"),
    Field("mel_BMC", "BMC", "float32", 0.0, "natural-log mel of the same samples, of a voice model or smoothed"),
    Field("pitch_BM", "BM", "float32", 120.0, "pitch in Hz, interpolated over unvoiced frames"),
    Field("voiced_BM", "BM", "float32", 0.0, "1 where the pitch tracker found voicing, else 0"),
    Field("pulses_BN", "BN", "float32", 0.0, "pulses at the pitch (audio.source_filter)"),
    Field("phase_BN", "BN", "float32", 0.0, "phase of the pitch in radians"),
    Field("noise_BN", "BN", "float32", 0.0, "white noise of variance 1"),
    Field("other_noise_BN", "BN", "float32", 0.0, "another draw of it"),
    Field("bandwidth_hz_B", "B", "float32", 11_025.0, "frequency up to which the recording has content"),
    Field("mel_length_B", "B", "int32", 1, "frames of the segment"),
    Field("weight_B", "B", "float32", 0.0, "1 for a segment, 0 for a row without a clip"),
    Field("utterance_B", "B", "int32", -1, "row of the clip in its feature store"),
    Field("seed_B", "B", "int32", 0, "random seed of this clip in this epoch"),
)
MARGIN_FRAMES = 4
"""Frames at both ends of a segment that are synthesized and not compared: there the network lacks its context."""
LEAST_FRAMES = 24
"""Frames that are compared at least: the longest window of the comparison must fit in."""
_STREAM = 5
_LEVEL = (0.15, 1.0)
"""Range of the peak level of a training segment."""
_MOST_BLUR_FRAMES, _MOST_BLUR_CHANNELS, _LEAST_BLUR = 2.0, 1.5, 0.05
_FALSE_VOICING_SHARE = 0.1
FloatArray = npt.NDArray[np.float32]


def segment_frames(config: Config) -> int:
    """Frames of a training segment."""
    audio = config.audio
    frames = frames_of_seconds(config.training.segment_seconds, audio.sample_rate_hz, audio.hop_samples)
    return max(frames, 2 * MARGIN_FRAMES + LEAST_FRAMES)


class Segments:
    """The batches of one feature store: `plan` lists them, `build` makes one; both depend on their arguments only.

    Args:
        store: the clips.
        waves: their waveforms.
        config: the settings.
        training: validation takes the middle of each clip, as it is.
        mels: the mel (M, C) that a voice model predicts for a row, which takes turns with the recorded one; None where
            it predicts none.
    """

    def __init__(
        self,
        store: FeatureStore,
        waves: Waves,
        config: Config,
        training: bool = True,
        mels: Callable[[int], FloatArray | None] | None = None,
    ) -> None:
        self.store, self.waves, self.config, self.training = store, waves, config, training
        self._predicted_mel = mels
        self.batch_size = config.training.batch_size
        self.segment_frames = segment_frames(config)
        self.buckets = (Bucket(int(store.lengths[1].max(initial=16)), int(store.lengths[0].max(initial=16))),)
        self.quarantined: frozenset[int] = frozenset()

    def __len__(self) -> int:
        """Number of batches of an epoch."""
        return batches_per_epoch(len(self.store), self.batch_size)

    def plan(self, epoch: int) -> list[PlannedBatch]:
        """The batches of an epoch, quarantined rows left empty; validation always has epoch 0."""
        epoch, (text_A, mel_A) = epoch if self.training else 0, self.store.lengths
        planned = epoch_plan(
            text_A, mel_A, self.buckets, self.batch_size, self.config.training.seed, epoch, shuffle=self.training
        )
        return without(planned, self.quarantined)

    def build(self, planned: PlannedBatch, epoch: int) -> Batch:
        """The arrays of a planned batch."""
        audio = self.config.audio
        sizes = {
            "B": len(planned.rows),
            "N": self.segment_frames * audio.hop_samples,
            "M": self.segment_frames,
            "C": audio.mel_channels,
        }
        batch = {f.key: np.full([sizes[x] for x in f.letters], f.padding, f.dtype) for f in FIELDS}
        for at, row in enumerate(planned.rows):
            if row != FILL_ROW:
                self._fill(batch, at, row, epoch if self.training else 0)
        return batch

    def all(self) -> Iterator[Batch]:
        """The batches of epoch 0 in order, for validation."""
        for planned in self.plan(0):
            yield self.build(planned, 0)

    def _fill(self, batch: Batch, at: int, row: int, epoch: int) -> None:
        """Writes a segment of one clip to row `at` of a batch."""
        audio, frames, hop = self.config.audio, self.segment_frames, self.config.audio.hop_samples
        mel_MC, pitch_M, _ = self.store.features(row)
        random = generator(_STREAM, self.config.training.seed, epoch, row)
        spare = max(0, len(mel_MC) - frames)
        start = int(random.integers(0, spare + 1)) if self.training else spare // 2
        count = min(frames, len(mel_MC))
        wave_N = self.waves.samples(row, start * hop, frames * hop)
        mel_MC = np.full([frames, audio.mel_channels], np.log(audio.log_floor), np.float32)
        mel_MC[:count] = self.store.mel(row)[start : start + count]
        phase_N, hz_N = fundamental(pitch_M[start : start + count], audio)
        phase_N, hz_N = (np.pad(x, (0, frames * hop - len(x)), mode="edge") for x in (phase_N, hz_N))
        phase_N = phase_N + random.uniform(0.0, 2.0 * np.pi)
        voiced_M = np.zeros(frames, np.float32)
        voiced_M[:count] = pitch_M[start : start + count] > 0.0
        gain = np.float32(1.0)
        if self.training:
            level = np.exp(random.uniform(*np.log(_LEVEL)))
            gain = np.float32(level / max(np.abs(wave_N).max(), 1e-2))
            predicted_MC = self._predicted(row, random)
            if predicted_MC is not None:
                mel_MC[:count] = predicted_MC[start : start + count]
            mel_MC = np.maximum(mel_MC + np.log(gain), np.log(audio.log_floor))
            if predicted_MC is None:
                mel_MC = self._smoothed(mel_MC, random)
            if random.random() < _FALSE_VOICING_SHARE:
                voiced_M[:] = random.random()
            gain *= random.choice([-1.0, 1.0])
        batch["wave_BN"][at] = gain * wave_N
        batch["mel_BMC"][at] = mel_MC
        batch["pitch_BM"][at] = hz_N[hop // 2 :: hop]
        batch["voiced_BM"][at] = voiced_M
        batch["pulses_BN"][at], batch["phase_BN"][at] = driving_pulses(phase_N, hz_N, audio)
        for key in ("noise_BN", "other_noise_BN"):
            batch[key][at] = random.standard_normal(frames * hop, np.float32)
        batch["bandwidth_hz_B"][at] = self.waves.bandwidth_hz(row)
        batch["mel_length_B"][at] = frames
        batch["weight_B"][at] = 1.0
        batch["utterance_B"][at] = row
        batch["seed_B"][at] = utterance_seed(self.config.training.seed, epoch, row)

    def _predicted(self, row: int, random: np.random.Generator) -> FloatArray | None:
        """The predicted mel of a clip in a share of its segments."""
        if self._predicted_mel is None or random.random() >= self.config.vocoder.predicted_share:
            return None
        return self._predicted_mel(row)

    def _smoothed(self, mel_MC: FloatArray, random: np.random.Generator) -> FloatArray:
        """The mel of a training segment, smoothed in a share of them as if a voice model had predicted it."""
        if random.random() >= self.config.vocoder.blur_share:
            return mel_MC
        along = gaussian_filter1d(mel_MC, random.uniform(_LEAST_BLUR, _MOST_BLUR_FRAMES), axis=0)
        blurred: FloatArray = gaussian_filter1d(along, random.uniform(_LEAST_BLUR, _MOST_BLUR_CHANNELS), axis=1)
        return blurred
