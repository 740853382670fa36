"""Writing sound while it is produced: WAV or raw samples, to a file or a pipe."""

from __future__ import annotations

import select
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from myxtts.errors import NonFiniteError

FloatArray = npt.NDArray[np.float32]

UNKNOWN_LENGTH = 0xFFFFFFFF
"""Conventional length in a WAV header that cannot be updated later."""
HEADER_BYTES = 44


def pcm16(samples_N: FloatArray) -> bytes:
    """Samples as signed 16-bit little-endian integers, clipped to -1..1. Raises NonFiniteError."""
    samples_N = np.asarray(samples_N)
    if not np.isfinite(samples_N).all():
        raise NonFiniteError("the speech contains samples that are not finite; use another checkpoint")
    integers: npt.NDArray[np.int16] = np.rint(np.clip(samples_N, -1.0, 1.0) * 32_767.0).astype("<i2")
    return integers.tobytes()


def wav_header(sample_rate_hz: int, data_bytes: int | None) -> bytes:
    """The 44-byte header of 16-bit mono samples of `data_bytes`; None where the length is not known yet."""
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
    """Writes sound chunk by chunk to an unbuffered binary file, which is complete after each chunk.

    Args:
        file: opened for writing without a buffer, at its start.
        sample_rate_hz: of the sound.
        raw: write 16-bit little-endian samples without a header.
        rewrites_header: update the length in the header after each chunk, for which the file must be seekable; else
            the header states an unknown length.
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
        """Seconds of sound written so far."""
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
            if written is None:  # a full non-blocking pipe
                _wait_for_room(self._file)
            else:
                rest = rest[written:]


def _wait_for_room(file: BinaryIO) -> None:
    """Returns once the file can be written, or its reader has closed it."""
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    poll.poll()
