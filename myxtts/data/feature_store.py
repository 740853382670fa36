"""Clips that are ready to train on: tokens in memory, features in one cache file per clip, mapped on access.

Layout of a feature file, little-endian: 64 bytes of header, mel [M, C], pitch [M], energy [M], all float32.
The header holds a hash of the file's own name, which is the cache key of its clip: a file that was renamed or copied
under another name counts as absent.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from myxtts.audio.activity import SoundFigures
from myxtts.data.records import Utterance
from myxtts.errors import StorageError
from myxtts.storage.files import read_regular_file, write_atomic

FloatArray = npt.NDArray[np.float32]
TokenArray = npt.NDArray[np.int32]

MAGIC = b"MYXTTSF2"
HEADER = struct.Struct("<8sIIIIQQ16sII")
"""Magic, the fields of `ClipFacts`, a hash of the file's name, checksum of the header, checksum of the arrays."""


@dataclass(frozen=True)
class ClipFacts:
    """Facts about a clip that are known without its arrays: frames after trimming, and the recording as on disk."""

    frames: int
    mel_channels: int
    sample_rate_hz: int
    channels: int
    samples: int
    trimmed_samples: int


@dataclass(frozen=True)
class StoredClip:
    """An accepted utterance with its tokens and its feature file."""

    utterance: Utterance
    tokens: TokenArray
    entry: Path
    facts: ClipFacts
    sound: SoundFigures = field(default_factory=SoundFigures)


class FeatureStore:
    """Clips by row, in the order of the metadata. No file stays open between two reads."""

    def __init__(self, clips: Sequence[StoredClip]) -> None:
        """Takes the accepted clips in their order."""
        self._clips = list(clips)
        self.utterances: list[Utterance] = [clip.utterance for clip in self._clips]
        self._text_lengths = np.array([len(clip.tokens) for clip in self._clips], dtype=np.int64)
        self._mel_lengths = np.array([clip.facts.frames for clip in self._clips], dtype=np.int64)

    def __len__(self) -> int:
        """Number of clips."""
        return len(self._clips)

    @property
    def lengths(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Number of tokens and of frames of every clip: int64 [A], int64 [A]."""
        return self._text_lengths, self._mel_lengths

    @property
    def speakers(self) -> list[str]:
        """Speaker of every clip."""
        return [utterance.speaker for utterance in self.utterances]

    def facts(self, row: int) -> ClipFacts:
        """Facts about a clip and its recording."""
        return self._clips[row].facts

    def sound(self, row: int) -> SoundFigures:
        """What was measured of the sound of a clip's recording."""
        return self._clips[row].sound

    def text_tokens(self, row: int) -> TokenArray:
        """Token ids of a clip, int32 [T]."""
        return self._clips[row].tokens

    def features(self, row: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Raw log-mel [M, C], pitch in Hz [M] (0 where unvoiced) and log energy [M] of a clip, float32, read-only."""
        clip = self._clips[row]
        return map_entry(clip.entry, clip.facts)

    def mel(self, row: int) -> FloatArray:
        """Raw natural-log mel of a clip, float32 [M, C]."""
        return self.features(row)[0]

    def entry_path(self, row: int) -> Path:
        """The feature file of a clip."""
        return self._clips[row].entry


def write_entry(path: Path, facts: ClipFacts, mel_MC: FloatArray, pitch_M: FloatArray, energy_M: FloatArray) -> None:
    """Writes a feature file atomically. Errors: StorageError if it cannot be written."""
    payload = b"".join(np.ascontiguousarray(array, dtype="<f4").tobytes() for array in (mel_MC, pitch_M, energy_M))
    fields = (*dataclasses.astuple(facts), _name_hash(path))
    header_check = zlib.crc32(repr(fields).encode())
    header = HEADER.pack(MAGIC, *fields, header_check, zlib.crc32(payload))
    write_to_cache(path, header + payload)


def _name_hash(path: Path) -> bytes:
    return hashlib.blake2b(path.name.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def write_to_cache(path: Path, content: bytes) -> None:
    """Writes a file of the cache atomically. Errors: StorageError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not durable: a file torn by a crash of the machine fails its checksum and is computed again.
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
    """The facts in a feature file whose checksums match; None if the file is absent or damaged."""
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
    """The facts in a header; None if it is damaged or belongs to a file of another name."""
    if len(header) != HEADER.size:
        return None
    magic, *fields, header_check, _ = HEADER.unpack(header)
    if magic != MAGIC or zlib.crc32(repr(tuple(fields)).encode()) != header_check:
        return None
    *facts, name_hash = fields
    return ClipFacts(*facts) if name_hash == _name_hash(path) else None


def map_entry(path: Path, facts: ClipFacts) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mel [M, C], pitch [M] and energy [M] of a feature file, memory-mapped and read-only.

    Errors: StorageError if the file was removed or truncated since it was checked.
    """
    count = facts.frames * (facts.mel_channels + 2)
    try:
        flat = np.memmap(path, dtype="<f4", mode="r", offset=HEADER.size, shape=(count,))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: the cached features are gone or cut; start the same command again") from error
    mel_end = facts.frames * facts.mel_channels
    mel = flat[:mel_end].reshape(facts.frames, facts.mel_channels)
    return mel, flat[mel_end : mel_end + facts.frames], flat[mel_end + facts.frames :]
