"""A long recording as samples on the disk, and the level of each of its frames, so that its length needs no memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.signal
import soxr

from myxtts.config.schema import AudioConfig
from myxtts.dataset.recordings import LongRecording, mono_blocks
from myxtts.progress import Progress
from myxtts.storage.files import write_atomic
from myxtts.units import samples_of_seconds

Array = npt.NDArray[np.float32]
Levels = npt.NDArray[np.float32]

ANALYSIS = AudioConfig()
"""Levels, pitch and spectra are those of the default settings, whatever the sample rate of the clips."""
FRAME_SECONDS = ANALYSIS.hop_samples / ANALYSIS.sample_rate_hz
HIGHEST_CLIP_RATE_HZ = 48_000
_RUMBLE_HZ = 200.0
_FLOOR_DB = -120.0


@dataclass(frozen=True, eq=False)
class Sound:
    """Samples of a recording, mapped from a file, at the rate of its clips, and the level of each frame in dB."""

    samples_N: Array
    rate_hz: int
    level_M: Levels

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return len(self.samples_N) / self.rate_hz

    def between(self, start: float, end: float, rate_hz: int | None = None) -> Array:
        """The samples from `start` to `end` in seconds, at another rate if one is named."""
        first, last = (samples_of_seconds(max(0.0, at), self.rate_hz) for at in (start, end))
        part = np.array(self.samples_N[first:last], np.float32)
        if rate_hz is None or rate_hz == self.rate_hz or len(part) == 0:
            return part
        return np.ascontiguousarray(soxr.resample(part, self.rate_hz, rate_hz, quality="HQ"), np.float32)


def clip_rate(recording: LongRecording, wanted_hz: int) -> int:
    """Sample rate of the clips of a recording: its own, at most 48 kHz, or the requested one."""
    return wanted_hz or min(recording.sample_rate_hz, HIGHEST_CLIP_RATE_HZ)


def load_sound(recording: LongRecording, rate_hz: int, work: Path, progress: Progress) -> Sound:
    """The sound of a recording, decoded into the folder `work` unless it exists. Raises DataError, StorageError."""
    samples = work / f"{recording.key}-{rate_hz}.f32"
    levels = samples.with_suffix(".levels")
    if not (samples.is_file() and levels.is_file()):
        found: list[Levels] = []
        write_atomic(
            samples, lambda to: found.append(_decode(recording, rate_hz, to, progress)), "decoding a recording"
        )
        write_atomic(levels, lambda to: found[0].tofile(to), "writing the levels of a recording")
    mapped = np.memmap(samples, np.float32, "r") if samples.stat().st_size else np.zeros(0, np.float32)
    return Sound(mapped, rate_hz, np.fromfile(levels, np.float32))


def forget_sound(recording: LongRecording, rate_hz: int, work: Path) -> None:
    """Deletes the samples and levels that `load_sound` wrote."""
    for suffix in (".f32", ".levels"):
        (work / f"{recording.key}-{rate_hz}{suffix}").unlink(missing_ok=True)


def _decode(recording: LongRecording, rate_hz: int, target: Path, progress: Progress) -> Levels:
    """Writes the samples at `rate_hz` to `target`, and returns the levels."""
    source_hz, meter = recording.sample_rate_hz, _Meter(recording.sample_rate_hz)
    resample = soxr.ResampleStream(source_hz, rate_hz, 1, dtype="float32", quality="HQ")
    task, total, done = f"reading {recording.name}", round(recording.seconds), 0
    with target.open("xb") as file:
        for block in mono_blocks(recording.path):
            meter.add(block)
            (block if source_hz == rate_hz else resample.resample_chunk(block)).tofile(file)
            done += len(block)
            progress(task, min(total, done // source_hz), total + 1)
        if source_hz != rate_hz:
            resample.resample_chunk(np.zeros(0, np.float32), last=True).tofile(file)
    progress(task, total + 1, total + 1)
    return meter.levels()


class _Meter:
    """Level of each frame without rumble, block by block."""

    def __init__(self, source_hz: int) -> None:
        self._source_hz = source_hz
        self._resample = soxr.ResampleStream(source_hz, ANALYSIS.sample_rate_hz, 1, dtype="float32", quality="HQ")
        self._sections = scipy.signal.butter(2, _RUMBLE_HZ, "highpass", fs=ANALYSIS.sample_rate_hz, output="sos")
        self._state: npt.NDArray[np.float64] | None = None
        self._rest = np.zeros(0, np.float32)
        self._powers: list[npt.NDArray[np.float64]] = []

    def add(self, block: Array, last: bool = False) -> None:
        """Adds samples of the recording."""
        if self._source_hz != ANALYSIS.sample_rate_hz:
            block = self._resample.resample_chunk(block, last=last)
        if len(block) == 0:
            return
        if self._state is None:  # as if the first sample had always been there: no click from a DC offset
            self._state = scipy.signal.sosfilt_zi(self._sections) * float(block[0])
        filtered, self._state = scipy.signal.sosfilt(self._sections, block, zi=self._state)
        together = np.concatenate([self._rest, np.asarray(filtered, np.float32)])
        frames = len(together) // ANALYSIS.hop_samples
        cut = frames * ANALYSIS.hop_samples
        self._rest = together[cut:]
        framed = together[:cut].reshape(frames, ANALYSIS.hop_samples)
        self._powers.append(np.square(framed, dtype=np.float64).mean(axis=1))

    def levels(self) -> Levels:
        """The levels of all frames; the last, incomplete one is that of the samples it has."""
        self.add(np.zeros(0, np.float32), last=True)
        if len(self._rest):
            self._powers.append(np.array([np.square(self._rest, dtype=np.float64).mean()]))
        power = np.concatenate(self._powers) if self._powers else np.zeros(0)
        return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (_FLOOR_DB / 10.0))), np.float32)
