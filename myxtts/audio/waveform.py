"""Reads recordings of any sample rate, channel count and encoding as mono float samples; writes 16-bit WAV files.

Any defect of a file is a DataError of one line. The sizes in a header are used only for early checks: samples are
decoded block by block, so that a false header cannot cause large allocations.
"""

from __future__ import annotations

import io
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from myxtts.audio.framing import frames_view
from myxtts.config.schema import AudioConfig
from myxtts.errors import DataError, NonFiniteError
from myxtts.messages import quoted
from myxtts.storage.files import write_bytes_atomic
from myxtts.units import samples_of_seconds, seconds_of_samples

Array = npt.NDArray[np.float32]

LOWEST_RATE_HZ = 4_000
HIGHEST_RATE_HZ = 768_000
LOUDEST_SAMPLE = 16.0
"""Full scale is 1. A float file with far larger samples contains integers or noise, unlike its header claims."""
_SILENT_RMS = 1e-4  # -80 dBFS
_TRIM_KEPT_SECONDS = 0.05
_BLOCK_SAMPLES = 262_144
_STREAMED_BYTES = 0x7FFF_0000
"""Lengths in WAV headers from here on, and 0, mean unknown: programs that write to a pipe use them."""
_SLACK_BYTES = 64
"""Tolerance for the stated length: some programs include the header, or a few more bytes."""
_MOST_CHUNKS = 1_000


@dataclass(frozen=True)
class AudioInfo:
    """The header of a recording; `samples` are per channel."""

    sample_rate_hz: int
    channels: int
    samples: int
    seconds: float


def probe(path: Path) -> AudioInfo:
    """Reads the header of a recording without decoding it. Raises DataError."""
    with _opened(Path(path)) as file:
        return _info(file)


def read(path: Path, audio: AudioConfig, max_seconds: float | None = None) -> Array:
    """A recording as mono float32[N] at `audio.sample_rate_hz`, full scale -1..1, channels averaged.

    Raises DataError where the file is missing, not a regular file, truncated (WAV and FLAC only), not decodable, empty,
    not finite, of an unsupported sample rate, or longer than `max_seconds` (checked before decoding).
    """
    path = Path(path)
    with _opened(path) as file:
        info = _info(file)
        if max_seconds is not None and info.seconds > max_seconds:
            raise DataError(
                f"{quoted(path, 200)}: {info.seconds:.1f} s long, at most {max_seconds:g} s are allowed; cut it"
            )
        if not LOWEST_RATE_HZ <= info.sample_rate_hz <= HIGHEST_RATE_HZ:
            raise DataError(
                f"{quoted(path, 200)}: sample rate {info.sample_rate_hz} Hz, supported are {LOWEST_RATE_HZ} to "
                f"{HIGHEST_RATE_HZ} Hz; convert it"
            )
        samples_N = _decoded_mono(file, path, max_seconds)
    _check(samples_N, path)
    if info.sample_rate_hz != audio.sample_rate_hz:
        samples_N = soxr.resample(samples_N, info.sample_rate_hz, audio.sample_rate_hz, quality="HQ")
        if len(samples_N) == 0:
            raise DataError(f"{quoted(path, 200)}: too short for one sample at {audio.sample_rate_hz} Hz; remove it")
    return np.ascontiguousarray(samples_N, np.float32)


def faster(samples_N: Array, speed: float) -> Array:
    """Speed perturbation: the clip resampled to play `speed` times as fast, with pitch and formants raised accordingly.

    Source: Ko et al. (2015), "Audio augmentation for speech recognition", section 2.
    """
    if speed == 1.0:
        return samples_N
    return np.ascontiguousarray(soxr.resample(samples_N, speed, 1.0, quality="HQ"), np.float32)


def trim(samples_N: Array, audio: AudioConfig) -> Array:
    """The clip without leading and trailing parts `trim_db` below its loudest frame; 50 ms of them are kept."""
    if audio.trim_db <= 0.0 or len(samples_N) == 0:
        return samples_N
    hop = audio.hop_samples
    padded = np.pad(samples_N, (0, -len(samples_N) % hop))
    rms = np.sqrt(np.square(frames_view(padded, hop, hop), dtype=np.float64).mean(axis=1))
    loud = np.flatnonzero(rms > rms.max() * 10.0 ** (-audio.trim_db / 20.0))
    if len(loud) == 0:
        return samples_N
    kept = samples_of_seconds(_TRIM_KEPT_SECONDS, audio.sample_rate_hz)
    return samples_N[max(0, int(loud[0]) * hop - kept) : (int(loud[-1]) + 1) * hop + kept]


def is_silent(samples_N: Array) -> bool:
    """Whether a clip is inaudible: no samples, or an RMS below -80 dBFS without the DC offset."""
    return len(samples_N) == 0 or float(np.std(samples_N, dtype=np.float64)) < _SILENT_RMS


def write_wav(path: Path, samples_N: Array, sample_rate_hz: int) -> None:
    """Writes mono samples float[N] as 16-bit WAV, clipped to -1..1, atomically and with the permissions of the umask.

    Raises NonFiniteError for samples that are not finite, StorageError where writing fails.
    """
    path = Path(path)
    samples_N = np.asarray(samples_N)
    if not np.isfinite(samples_N).all():
        bad = int(np.flatnonzero(~np.isfinite(samples_N))[0])
        raise NonFiniteError(f"{quoted(path, 200)}: sample {bad} is {samples_N[bad]}; nothing was written")
    integers = np.rint(np.clip(samples_N, -1.0, 1.0) * 32_767.0).astype(np.int16)
    encoded = io.BytesIO()
    soundfile.write(encoded, integers, sample_rate_hz, format="WAV", subtype="PCM_16")
    write_bytes_atomic(path, encoded.getvalue(), "writing the recording")


def _opened(path: Path) -> soundfile.SoundFile:
    """Opens a file for decoding; FIFOs and devices are rejected before they can block."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{quoted(path, 200)}: cannot be opened ({reason}); check the path") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{quoted(path, 200)}: not a regular file; give the path of a recording")
    if status.st_size == 0:
        raise DataError(f"{quoted(path, 200)}: the file is empty (0 bytes); record or copy it again")
    if path.suffix.lower() == ".raw":
        raise DataError(f"{quoted(path, 200)}: raw samples have no known sample rate; convert it to wav or flac")
    _check_length(path, status.st_size)
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"{quoted(path, 200)}: not a readable recording ({_reason(error)}); convert it to wav, flac, ogg or mp3"
        ) from error


def _check_length(path: Path, size: int) -> None:
    """Raises DataError for a truncated WAV, which soundfile would read without an error."""
    try:
        place = _wav_data(path)
    except OSError:
        return  # soundfile reports the reason
    if place is None:
        return
    begin, stated = place
    if stated < _STREAMED_BYTES and stated > max(size, size + _SLACK_BYTES - begin):
        raise DataError(
            f"{quoted(path, 200)}: truncated: its header states {stated} bytes of samples, the file has "
            f"{max(0, size - begin)}; copy it again"
        )


def _wav_data(path: Path) -> tuple[int, int] | None:
    """Offset and stated number of bytes of the samples of a WAV file; None for another format. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        for _ in range(_MOST_CHUNKS):
            chunk = file.read(8)
            if len(chunk) < 8:
                return None
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                return file.tell(), length
            file.seek(length + length % 2, os.SEEK_CUR)
    return None


def _info(file: soundfile.SoundFile) -> AudioInfo:
    samples = max(0, int(file.frames))
    return AudioInfo(file.samplerate, file.channels, samples, seconds_of_samples(samples, max(1, file.samplerate)))


def _decoded_mono(file: soundfile.SoundFile, path: Path, max_seconds: float | None) -> Array:
    """All samples, averaged over channels block by block; stops where the file exceeds the limit despite its header."""
    limit = None if max_seconds is None else samples_of_seconds(max_seconds, file.samplerate) + 1
    blocks: list[Array] = []
    done = 0
    block_samples = max(1, _BLOCK_SAMPLES // file.channels)  # a header may claim a thousand channels
    try:
        while True:
            block = file.read(block_samples, dtype="float32", always_2d=True)
            if len(block) == 0:
                break
            blocks.append(block[:, 0] if file.channels == 1 else block.mean(axis=1, dtype=np.float32))
            done += len(block)
            if limit is not None and done > limit:
                raise DataError(f"{quoted(path, 200)}: longer than {max_seconds:g} s, unlike its header; cut it")
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"{quoted(path, 200)}: damaged after {seconds_of_samples(done, file.samplerate):.2f} s ({_reason(error)}); "
            "record or copy it again"
        ) from error
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _check(samples_N: Array, path: Path) -> None:
    """Raises DataError where there are no samples, or samples that are not finite or far above full scale."""
    if len(samples_N) == 0:
        raise DataError(f"{quoted(path, 200)}: contains no samples; record or copy it again")
    finite = np.isfinite(samples_N)
    if not finite.all():
        bad = int(np.flatnonzero(~finite)[0])
        raise DataError(
            f"{quoted(path, 200)}: {len(finite) - int(finite.sum())} samples are not finite, the first at index {bad} "
            f"({samples_N[bad]}); export it again as 16-bit"
        )
    peak = float(np.abs(samples_N).max())
    if peak > LOUDEST_SAMPLE:
        raise DataError(f"{quoted(path, 200)}: samples reach {peak:.3g}, full scale is 1; export it again as 16-bit")


def _reason(error: soundfile.LibsndfileError) -> str:
    return " ".join(str(error.error_string).split()).rstrip(".")
