"""The file of one clip's features: a checked header, then raw float32 that is mapped into memory, not read.

Layout, little-endian: 64 bytes of header, mel [M, C], pitch [M], energy [M].

An entry knows its name, which is the key of its clip: one that was renamed or copied to another name counts as absent.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from myxtts.errors import StorageError
from myxtts.storage.files import read_regular_file, write_atomic

FloatArray = npt.NDArray[np.float32]

MAGIC = b"MYXTTSF2"
HEADER = struct.Struct("<8sIIIIQQ16sII")
"""Magic, frames, channels, rate of the recording, its channels, its samples, samples after trimming, a hash of the
entry's name, two checksums."""


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
    fields = (*dataclasses.astuple(facts), _name_hash(path))
    header_check = zlib.crc32(repr(fields).encode())
    header = HEADER.pack(MAGIC, *fields, header_check, zlib.crc32(payload))
    write_to_cache(path, header + payload)


def _name_hash(path: Path) -> bytes:
    return hashlib.blake2b(path.name.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def write_to_cache(path: Path, content: bytes) -> None:
    """Writes a file of the cache whole or not at all. Errors: StorageError if the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # not durable: a file that a crash of the machine tears fails its checksum, and is made again
        write_atomic(path, lambda temporary: _write_new(temporary, content), "writing the cache", durable=False)
    except (OSError, StorageError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StorageError(
            f"{path}: cannot be written ({reason}); name another folder with --set data.cache_path=..."
        ) from (error)


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)


def check_entry(path: Path, mel_channels: int) -> ClipFacts | None:
    """What an entry says of its clip, after its checksums were compared; None if it is absent or damaged."""
    try:
        content = read_regular_file(path, None)
    except (OSError, ValueError):
        return None
    facts = _facts(bytes(content[: HEADER.size]), path)
    if facts is None or facts.mel_channels != mel_channels or facts.frames < 1:
        return None
    payload = memoryview(content)[HEADER.size :]
    if len(payload) != 4 * facts.frames * (mel_channels + 2):
        return None
    return facts if zlib.crc32(payload) == HEADER.unpack(content[: HEADER.size])[-1] else None


def _facts(header: bytes, path: Path) -> ClipFacts | None:
    """The header's facts, or None if it is none, or of another entry than that in `path`."""
    if len(header) != HEADER.size:
        return None
    magic, *fields, header_check, _ = HEADER.unpack(header)
    if magic != MAGIC or zlib.crc32(repr(tuple(fields)).encode()) != header_check:
        return None
    *facts, name_hash = fields
    return ClipFacts(*facts) if name_hash == _name_hash(path) else None


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
