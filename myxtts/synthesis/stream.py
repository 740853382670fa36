"""Speech as it becomes ready: its sentences one by one, a limiter for each, and sound written while it grows."""

from __future__ import annotations

import select
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from myxtts.audio.framing import hann
from myxtts.errors import NonFiniteError
from myxtts.synthesis.speech import HIGHEST_PEAK, FloatArray, SpokenSentence

UNKNOWN_LENGTH = 0xFFFFFFFF
"""What stands for a length in a WAV header that cannot be written again, by custom."""
HEADER_BYTES = 44
_LIMITER_SECONDS = 0.02


@dataclass(frozen=True, eq=False)
class Piece:
    """A sentence that is ready, the pause before it included.

    `samples` float32[N]; `mel_MC` float32[M, C] natural-log mel, N = M * hop. `voice`, `language` and `notes` are the
    same for all pieces of a text. `capped` tokens were predicted too long and cut; `squeezed`: so was the sentence.
    `gain`: what its loudest peak was multiplied by so that it does not clip, 1 where it would not.
    `pitch_kept` of its `voiced` frames were to have a pitch out of `pitch_range_hz` and were kept within.
    """

    samples: FloatArray
    sample_rate_hz: int
    mel_MC: FloatArray
    sentence: SpokenSentence
    number: int
    total: int
    voice: str
    language: str
    notes: tuple[str, ...]
    capped: int
    squeezed: bool
    gain: float = 1.0
    voiced: int = 0
    pitch_kept: int = 0
    pitch_range_hz: tuple[float, float] = (0.0, 0.0)


def limited(samples_N: FloatArray, sample_rate_hz: int) -> FloatArray:
    """The same samples where no peak clips; else softer around each peak that would, for some milliseconds.

    A stream cannot be made softer as a whole, since the loudest peak may be yet to come, and a sentence softer than
    its neighbours would be heard. The gain falls and rises along a window of 20 ms, ahead of the peak and behind it, so
    no wave is bent, and never lets a sample over 0.98.
    """
    samples_N = np.asarray(samples_N, np.float32)
    peak_N = np.abs(samples_N)
    if float(peak_N.max(initial=0.0)) <= HIGHEST_PEAK:
        return samples_N
    window = hann(2 * round(_LIMITER_SECONDS * sample_rate_hz / 2) + 1).astype(np.float64)
    # The least gain that any sample within half a window needs, then its mean over the window: each value that a
    # sample's mean is made of is no more than the gain that this sample needs itself.
    needed_N = HIGHEST_PEAK / np.maximum(peak_N.astype(np.float64), HIGHEST_PEAK)
    least_N = scipy.ndimage.minimum_filter1d(needed_N, len(window), mode="nearest")
    gain_N = scipy.ndimage.convolve1d(least_N, window / window.sum(), mode="nearest")
    quiet: FloatArray = (samples_N * gain_N).astype(np.float32)
    return quiet


def pcm16(samples_N: FloatArray) -> bytes:
    """Samples as 16-bit little-endian whole numbers, clipped to -1..1. Raises NonFiniteError."""
    samples_N = np.asarray(samples_N)
    if not np.isfinite(samples_N).all():
        raise NonFiniteError("the speech holds samples that are not finite; take another checkpoint")
    whole: npt.NDArray[np.int16] = np.rint(np.clip(samples_N, -1.0, 1.0) * 32_767.0).astype("<i2")
    return whole.tobytes()


def wav_header(sample_rate_hz: int, data_bytes: int | None) -> bytes:
    """The 44 bytes before 16-bit mono sound of `data_bytes`, None: of a length that nobody knows yet."""
    known = data_bytes is not None and data_bytes + HEADER_BYTES - 8 < UNKNOWN_LENGTH
    data = data_bytes if data_bytes is not None and known else UNKNOWN_LENGTH
    riff = data + HEADER_BYTES - 8 if known else UNKNOWN_LENGTH

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little")

    sound = number(1, 2) + number(1, 2) + number(sample_rate_hz, 4) + number(2 * sample_rate_hz, 4)
    return (
        b"RIFF" + number(riff, 4) + b"WAVE"
        + b"fmt " + number(16, 4) + sound + number(2, 2) + number(16, 2)
        + b"data" + number(data, 4)
    )  # fmt: skip


class SoundWriter:
    """Writes sound piece by piece into an unbuffered binary file; after each piece the file holds all of it.

    Args:
        file: opened for writing without a buffer, at its start.
        sample_rate_hz: of the sound.
        raw: 16-bit little-endian samples without a header.
        rewrites_header: the file can seek, and its header tells the true length after each piece; else no length.
    """

    def __init__(self, file: BinaryIO, sample_rate_hz: int, *, raw: bool, rewrites_header: bool) -> None:
        self._file = file
        self._rate = sample_rate_hz
        self._rewrites = rewrites_header and not raw
        self._bytes = 0
        if not raw:
            self._write(wav_header(sample_rate_hz, 0 if self._rewrites else None))

    @property
    def seconds(self) -> float:
        """Of sound written so far."""
        return self._bytes / (2 * self._rate)

    def write(self, samples_N: FloatArray) -> None:
        """Appends samples. Raises OSError, NonFiniteError."""
        content = pcm16(samples_N)
        self._write(content)
        self._bytes += len(content)
        if self._rewrites:
            end = self._file.tell()
            self._file.seek(0)
            self._write(wav_header(self._rate, self._bytes))
            self._file.seek(end)

    def _write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            written = self._file.write(rest)
            if written is None:  # a pipe that never waits, and is full
                _wait_for_room(self._file)
            else:
                rest = rest[written:]


def _wait_for_room(file: BinaryIO) -> None:
    """Returns once a file can be written, or whoever reads it has left."""
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    poll.poll()
