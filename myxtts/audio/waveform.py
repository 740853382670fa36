"""Reads recordings of any sample rate, channel count and encoding as mono float samples; writes 16-bit WAV files.

Any defect of a file is a DataError of one line. The sizes in a header are used only for early checks: samples are
decoded block by block, so that a false header cannot cause large allocations.
"""

from __future__ import annotations

import io
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from myxtts.audio.activity import clipped_share, speech_bounds
from myxtts.audio.containers import READ_SUFFIXES, can_convert, converted, source_of
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
_UNKNOWN_FORMAT = 1
"""libsndfile's code for a content that it does not recognize."""
_LARGEST_OFFSET = 0.01
"""A larger DC offset is removed: it would be energy in the lowest mel channel."""
_CANCELLED = 0.2
"""Power of the mean of the channels relative to the loudest one. A silent second channel gives 0.25, a louder one more;
below it the channels cancel each other."""


@dataclass(frozen=True)
class AudioInfo:
    """The header of a recording; `samples` are per channel."""

    sample_rate_hz: int
    channels: int
    samples: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Recording:
    """Decoded mono samples float32[N], their DC offset, the share of clipped samples, whether channels cancelled."""

    samples_N: Array
    offset: float
    clipped: float
    inverted: bool


def probe(path: Path) -> AudioInfo:
    """Reads the header of a recording without decoding it. Raises DataError."""
    with open_recording(Path(path)) as file:
        return _info(file)


def read(path: Path, audio: AudioConfig, max_seconds: float | None = None) -> Array:
    """A recording as mono float32[N] at `audio.sample_rate_hz`, full scale -1..1; see `read_recording`."""
    return read_recording(path, audio, max_seconds).samples_N


def read_recording(path: Path, audio: AudioConfig, max_seconds: float | None = None) -> Recording:
    """A recording as mono samples at `audio.sample_rate_hz`, with what is wrong with its sound.

    Channels are averaged; where they cancel each other, as an inverted one does, the loudest is taken. A DC offset over
    0.01 of full scale is removed.

    Raises DataError where the file is missing, not a regular file, truncated (WAV and FLAC only), not decodable, empty,
    not finite, of an unsupported sample rate, or longer than `max_seconds` (checked before decoding).
    """
    path = Path(path)
    with open_recording(path) as file:
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
        samples_N, inverted = _decoded_mono(file, path, max_seconds)
    _check(samples_N, path)
    offset, clipped = float(samples_N.mean(dtype=np.float64)), clipped_share(samples_N)
    if abs(offset) > _LARGEST_OFFSET and not is_silent(samples_N):
        samples_N = samples_N - np.float32(offset)
    if info.sample_rate_hz != audio.sample_rate_hz:
        samples_N = soxr.resample(samples_N, info.sample_rate_hz, audio.sample_rate_hz, quality="HQ")
        if len(samples_N) == 0:
            raise DataError(f"{quoted(path, 200)}: too short for one sample at {audio.sample_rate_hz} Hz; remove it")
    return Recording(np.ascontiguousarray(samples_N, np.float32), offset, clipped, inverted)


def faster(samples_N: Array, speed: float) -> Array:
    """Speed perturbation: the clip resampled to play `speed` times as fast, with pitch and formants raised accordingly.

    Source: Ko et al. (2015), "Audio augmentation for speech recognition", section 2.
    """
    if speed == 1.0:
        return samples_N
    return np.ascontiguousarray(soxr.resample(samples_N, speed, 1.0, quality="HQ"), np.float32)


def trim(samples_N: Array, audio: AudioConfig) -> Array:
    """The clip without what is not speech at its ends: silence, noise, clicks; 50 ms of it are kept.

    Silence is what is `trim_db` below the loudest frame; 0 turns trimming off.
    """
    if audio.trim_db <= 0.0 or len(samples_N) == 0:
        return samples_N
    bounds = speech_bounds(samples_N, audio)
    if bounds is None:
        return samples_N
    kept, hop = samples_of_seconds(_TRIM_KEPT_SECONDS, audio.sample_rate_hz), audio.hop_samples
    return samples_N[max(0, bounds[0] * hop - kept) : (bounds[1] + 1) * hop + kept]


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


def open_recording(path: Path) -> soundfile.SoundFile:
    """Opens a recording for decoding; FIFOs and devices are rejected before they can block. Raises DataError."""
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
    source = source_of(path, status.st_size)
    try:
        return soundfile.SoundFile(source)
    except soundfile.LibsndfileError as error:
        if path.suffix.lower() in READ_SUFFIXES and error.code == _UNKNOWN_FORMAT and can_convert():
            return soundfile.SoundFile(io.BytesIO(converted(path)))  # such as AAC in a file named .wav
        raise DataError(
            f"{quoted(path, 200)}: not a readable recording ({_reason(error)}); convert it to wav, flac, ogg or mp3"
        ) from error


def _info(file: soundfile.SoundFile) -> AudioInfo:
    samples = max(0, int(file.frames))
    return AudioInfo(file.samplerate, file.channels, samples, seconds_of_samples(samples, max(1, file.samplerate)))


def _decoded_mono(file: soundfile.SoundFile, path: Path, max_seconds: float | None) -> tuple[Array, bool]:
    """All samples as one channel, and whether the channels cancelled each other, so that only the loudest is used."""
    mono, mean_power, powers = _decoded(file, path, max_seconds, None)
    if len(powers) < 2 or mean_power >= _CANCELLED * float(powers.max()):
        return mono, False
    file.seek(0)
    return _decoded(file, path, max_seconds, int(powers.argmax()))[0], True


def _decoded(
    file: soundfile.SoundFile, path: Path, max_seconds: float | None, channel: int | None
) -> tuple[Array, float, npt.NDArray[np.float64]]:
    """The mean of the channels or one of them, its power, and the power of each channel, without DC offsets.

    Decoded block by block; stops where the file exceeds the limit despite its header.
    """
    limit = None if max_seconds is None else samples_of_seconds(max_seconds, file.samplerate) + 1
    blocks: list[Array] = []
    done = 0
    sums, squares = np.zeros((2, file.channels + 1))
    block_samples = max(1, _BLOCK_SAMPLES // file.channels)  # a header may claim a thousand channels
    try:
        while True:
            block = file.read(block_samples, dtype="float32", always_2d=True)
            if len(block) == 0:
                break
            if file.channels == 1:
                blocks.append(block[:, 0])
            else:
                blocks.append(block.mean(axis=1, dtype=np.float32) if channel is None else block[:, channel].copy())
                with np.errstate(over="ignore", invalid="ignore"):  # samples that are not finite are reported later
                    for at, values in enumerate((blocks[-1], *block.T)):
                        sums[at] += values.sum(dtype=np.float64)
                        squares[at] += np.square(values, dtype=np.float64).sum()
            done += len(block)
            if limit is not None and done > limit:
                raise DataError(f"{quoted(path, 200)}: longer than {max_seconds:g} s, unlike its header; cut it")
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"{quoted(path, 200)}: damaged after {seconds_of_samples(done, file.samplerate):.2f} s ({_reason(error)}); "
            "record or copy it again"
        ) from error
    with np.errstate(invalid="ignore"):
        power = squares / max(1, done) - np.square(sums / max(1, done))
    samples_N = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    return samples_N, float(power[0]), power[1:] if file.channels > 1 else np.zeros(0)


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
