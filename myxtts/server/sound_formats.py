"""Samples to bytes in the formats of OpenAI's API, part by part where the format allows it."""

from __future__ import annotations

import io
from typing import Any, Protocol

import numpy as np
import soundfile
import soxr

from myxtts.audio.sound_file import FloatArray, pcm16, wav_header

NETWORK_RATE_HZ = 24_000
"""Rate of pcm and opus, which clients of OpenAI's API expect."""
MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "opus": "audio/ogg",
    "pcm": "audio/pcm",
}


class Encoder(Protocol):
    """Encodes samples as they come."""

    def write(self, samples_N: FloatArray) -> bytes:
        """The next bytes, possibly none."""
        ...

    def close(self) -> bytes:
        """The last bytes."""
        ...

    def release(self) -> None:
        """Frees what it holds; also where it was not closed."""
        ...


def encoder(name: str, sample_rate_hz: int) -> Encoder:
    """The encoder of a format for samples float32 in -1 to 1, mono."""
    if name == "wav":
        return _Pcm(sample_rate_hz, sample_rate_hz, wav_header(sample_rate_hz, None))
    if name == "pcm":
        return _Pcm(sample_rate_hz, NETWORK_RATE_HZ, b"")
    if name == "opus":
        return _File(sample_rate_hz, NETWORK_RATE_HZ, streams=True, format="OGG", subtype="OPUS")
    if name == "mp3":
        # constant: with a variable rate the first frame is rewritten at the end, which was sent long ago; the mode is
        # only applied together with a level
        kind = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.5}
        return _File(sample_rate_hz, sample_rate_hz, streams=True, **kind)
    if name == "flac":
        return _File(sample_rate_hz, sample_rate_hz, streams=False, format="FLAC")
    raise ValueError(name)


class _Resampler:
    """Changes the sample rate of a stream; nothing where it is the same."""

    def __init__(self, rate_hz: int, wanted_hz: int) -> None:
        self._stream = None if rate_hz == wanted_hz else soxr.ResampleStream(rate_hz, wanted_hz, 1, dtype="float32")

    def __call__(self, samples_N: FloatArray, last: bool = False) -> FloatArray:
        if self._stream is None:
            return samples_N
        resampled: FloatArray = self._stream.resample_chunk(samples_N, last=last)
        return resampled


class _Pcm:
    """16-bit samples behind a header."""

    def __init__(self, rate_hz: int, wanted_hz: int, header: bytes) -> None:
        self._resample, self._header = _Resampler(rate_hz, wanted_hz), header

    def write(self, samples_N: FloatArray) -> bytes:
        header, self._header = self._header, b""
        return header + pcm16(self._resample(samples_N))

    def close(self) -> bytes:
        return pcm16(self._resample(np.zeros(0, np.float32), last=True))

    def release(self) -> None:
        pass


class _File:
    """A file of libsndfile in memory. Bytes that were sent are removed; a format that seeks is sent at the end."""

    def __init__(self, rate_hz: int, wanted_hz: int, *, streams: bool, **kind: Any) -> None:
        self._resample, self._streams, self._sent = _Resampler(rate_hz, wanted_hz), streams, 0
        self._buffer = io.BytesIO()
        self._file = soundfile.SoundFile(self._buffer, "w", wanted_hz, 1, **kind)

    def write(self, samples_N: FloatArray) -> bytes:
        self._file.write(self._resample(samples_N))
        return self._next() if self._streams else b""

    def close(self) -> bytes:
        self._file.write(self._resample(np.zeros(0, np.float32), last=True))
        self._file.close()
        return self._next()

    def release(self) -> None:
        self._file.close()  # else libsndfile would end the file when the buffer is gone

    def _next(self) -> bytes:
        content = self._buffer.getbuffer()[self._sent :].tobytes()
        self._sent += len(content)
        return content
