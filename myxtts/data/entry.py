"""The file of one clip's features: a checked header, then raw float32 that is mapped into memory, not read.

Layout, little-endian: 64 bytes of header, mel [M, C], pitch [M], energy [M].
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from myxtts.errors import StorageError

FloatArray = npt.NDArray[np.float32]

MAGIC = b"MYXTTSF1"
HEADER = struct.Struct("<8sIIIIQQII16x")
"""Magic, frames, channels, rate of the recording, its channels, its samples, samples after trimming, two checksums."""


@dataclass(frozen=True)
class ClipFacts:
    """What is known of a clip without its arrays: frames, and the recording as it was found."""

    frames: int
    mel_channels: int
    sample_rate_hz: int
    channels: int
    samples: int
    trimmed_samples: int


def write_entry(path: Path, facts: ClipFacts, mel_MC: FloatArray, pitch_M: FloatArray, energy_M: FloatArray) -> None:
    """Writes an entry whole or not at all: into a file beside it, which is then renamed.

    Errors: StorageError if the disk refuses.
    """
    payload = b"".join(np.ascontiguousarray(array, dtype="<f4").tobytes() for array in (mel_MC, pitch_M, energy_M))
    fields = dataclasses.astuple(facts)
    header_check = zlib.crc32(repr(fields).encode())
    header = HEADER.pack(MAGIC, *fields, header_check, zlib.crc32(payload))
    write_atomically(path, header + payload)


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all. Errors: StorageError if the disk refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the first error is the one that says why
            temporary.unlink(missing_ok=True)
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}); free space there or name another folder with "
            f"--set data.cache_path=..."
        ) from error


def check_entry(path: Path, mel_channels: int) -> ClipFacts | None:
    """What an entry says of its clip, after its checksums were compared; None if it is absent or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    facts = _facts(content[: HEADER.size])
    if facts is None or facts.mel_channels != mel_channels or facts.frames < 1:
        return None
    payload = memoryview(content)[HEADER.size :]
    if len(payload) != 4 * facts.frames * (mel_channels + 2):
        return None
    return facts if zlib.crc32(payload) == HEADER.unpack(content[: HEADER.size])[-1] else None


def _facts(header: bytes) -> ClipFacts | None:
    """The header's facts, or None if it is none."""
    if len(header) != HEADER.size:
        return None
    magic, *fields, header_check, _ = HEADER.unpack(header)
    if magic != MAGIC or zlib.crc32(repr(tuple(fields)).encode()) != header_check:
        return None
    return ClipFacts(*fields)


def map_entry(path: Path, facts: ClipFacts) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mel [M, C], pitch [M] and energy [M] of an entry, mapped into memory and read-only.

    Errors: StorageError if the file is gone or was cut since it was checked.
    """
    count = facts.frames * (facts.mel_channels + 2)
    try:
        flat = np.memmap(path, dtype="<f4", mode="r", offset=HEADER.size, shape=(count,))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: the cached features are gone or cut; start the same command again") from error
    mel_end = facts.frames * facts.mel_channels
    mel = flat[:mel_end].reshape(facts.frames, facts.mel_channels)
    return mel, flat[mel_end : mel_end + facts.frames], flat[mel_end + facts.frames :]
