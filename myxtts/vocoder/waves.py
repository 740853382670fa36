"""The waveforms of clips, as their features were computed from: one cache file per clip, read on access.

Layout of a file, little-endian: 32 bytes of header, then 16-bit samples. It lies in `waves` beside the folder of
features and has the same key, so features and waveform of a clip belong together.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.signal

from myxtts.audio import waveform
from myxtts.config.schema import AudioConfig, Config
from myxtts.data.feature_store import FeatureStore, write_to_cache
from myxtts.data.pool import Died, job_limits, run_isolated
from myxtts.errors import DataError, StorageError
from myxtts.messages import quoted
from myxtts.progress import Progress
from myxtts.storage.files import read_regular_file

HEADER = struct.Struct("<8sQfII4x")
"""Magic, samples, bandwidth in Hz, checksum of the samples, checksum of the fields before."""
MAGIC = b"MYXTTSW1"
FULL_SCALE = 32_767.0
FloatArray = npt.NDArray[np.float32]

_FFT_SAMPLES = 2_048
_EDGE_HZ = 500.0
_DROP_DB = 20.0
"""A filter's edge falls by more than this within _EDGE_HZ; the long-term spectrum of a voice never does."""
_LOWEST_HZ = 3_000.0
_MARGIN_HZ = 200.0
_QUIETEST = 1e-12
"""Power density of -120 dB, below any recording's noise: an edge into less than this is one."""


@dataclass(frozen=True)
class WaveJob:
    """A recording whose waveform is to be cached in `entry`."""

    path: Path
    entry: Path
    audio: AudioConfig
    speed: float


def wave_path(entry: Path) -> Path:
    """Where the waveform of the clip with the feature file `entry` lies."""
    return entry.parent.parent.parent / "waves" / entry.parent.name / f"{entry.stem}.i16"


class Waves:
    """The waveforms of the clips of a feature store, by row.

    Args:
        store: the clips.
        config: sections audio and data.
        progress: called for the task "waveforms".

    Raises:
        DataError: a recording can no longer be read.
        StorageError: the cache cannot be written.
    """

    def __init__(self, store: FeatureStore, config: Config, progress: Progress) -> None:
        self._paths = [wave_path(store.entry_path(row)) for row in range(len(store))]
        found = [_header(path) for path in self._paths]
        missing = [row for row, header in enumerate(found) if header is None]
        jobs = [_job(store, row, config.audio) for row in missing]
        for done, (index, result) in enumerate(run_isolated(write_wave, jobs, config.data.num_workers), 1):
            reason = "its decoder crashed" if isinstance(result, Died) else result
            if reason:
                raise DataError(f"{quoted(jobs[index].path, 200)}: {reason}; remove the clip or convert it")
            found[missing[index]] = _header(jobs[index].entry)
            progress("waveforms", done, len(jobs))
        self._headers = found

    def bandwidth_hz(self, row: int) -> float:
        """Frequency up to which a recording has content."""
        return self._known(row)[1]

    def samples(self, row: int, start: int, count: int) -> FloatArray:
        """`count` samples (N,) of a clip from `start` on, full scale -1 to 1; zeros beyond its end."""
        total, _ = self._known(row)
        there = max(0, min(count, total - start))
        try:
            kept = np.fromfile(self._paths[row], "<i2", there, offset=HEADER.size + 2 * start)
        except OSError as error:
            raise self._gone(row) from error
        if len(kept) < there:
            raise self._gone(row)
        part = kept.astype(np.float32) / FULL_SCALE
        return np.pad(part, (0, count - len(part)))

    def _known(self, row: int) -> tuple[int, float]:
        header = self._headers[row]
        if header is None:
            raise self._gone(row)
        return header

    def _gone(self, row: int) -> StorageError:
        return StorageError(
            f"{self._paths[row]}: the cached waveform is missing or truncated; start the same command again"
        )


def write_wave(job: WaveJob) -> str:
    """Caches a waveform; returns why it could not be read, or nothing. Raises StorageError if it cannot be written."""
    with job_limits():
        try:
            samples_N = waveform.read(job.path, job.audio)
        except (DataError, OSError, MemoryError) as error:
            return str(error)
        samples_N = waveform.faster(waveform.trim(samples_N, job.audio), job.speed)
        bandwidth = bandwidth_hz(samples_N, job.audio.sample_rate_hz)
        content = np.rint(np.clip(samples_N, -1.0, 1.0) * FULL_SCALE).astype("<i2").tobytes()
        fields = HEADER.pack(MAGIC, len(samples_N), bandwidth, zlib.crc32(content), 0)
        header = HEADER.pack(MAGIC, len(samples_N), bandwidth, zlib.crc32(content), zlib.crc32(fields))
        write_to_cache(job.entry, header + content)
    return ""


def _job(store: FeatureStore, row: int, audio: AudioConfig) -> WaveJob:
    utterance = store.utterances[row]
    return WaveJob(utterance.audio_path, wave_path(store.entry_path(row)), audio, utterance.speed)


def _header(path: Path) -> tuple[int, float] | None:
    """Samples and bandwidth of a cached waveform; None if it is absent or damaged."""
    try:
        content = bytes(read_regular_file(path, None))
        magic, samples, bandwidth, check, header_check = HEADER.unpack(content[: HEADER.size])
    except (OSError, ValueError, struct.error):
        return None
    fields = HEADER.pack(magic, samples, bandwidth, check, 0)
    whole = magic == MAGIC and zlib.crc32(fields) == header_check and len(content) == HEADER.size + 2 * samples
    return (samples, bandwidth) if whole and zlib.crc32(content[HEADER.size :]) == check else None


def bandwidth_hz(samples_N: FloatArray, sample_rate_hz: int) -> float:
    """Frequency in Hz up to which a recording float32 (N,) has content; half the sample rate if no edge is found.

    The sample rate does not show it: much speech at 22 kHz was 16 kHz before.
    """
    nyquist = sample_rate_hz / 2.0
    if len(samples_N) < _FFT_SAMPLES:
        return nyquist
    hz, power = scipy.signal.welch(samples_N, sample_rate_hz, nperseg=_FFT_SAMPLES)
    bins = max(1, round(0.5 * _EDGE_HZ / (hz[1] - hz[0])))
    level_db = 10.0 * np.log10(np.maximum(power, _QUIETEST))
    smooth = np.convolve(level_db, np.full(bins, 1.0 / bins), mode="valid")
    drop = smooth[: -2 * bins] - smooth[2 * bins :]
    edges = hz[bins : bins + len(drop)] + 0.5 * _EDGE_HZ
    steep = np.flatnonzero((drop > _DROP_DB) & (edges > _LOWEST_HZ) & (edges < nyquist - _EDGE_HZ))
    if not len(steep):
        return nyquist
    near = drop[steep[0] : steep[0] + 2 * bins]
    return float(edges[steep[0] + int(np.argmax(near))] - _MARGIN_HZ)
