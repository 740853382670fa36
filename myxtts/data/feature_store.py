"""Clips that are ready to train on: tokens in memory, features in one cache file per clip, read on access.

Layout of a feature file, little-endian: 64 bytes of header, mel [M, C], pitch [M], energy [M], all float32.
The header holds a hash of the file's own name, which is the cache key of its clip: a file that was renamed or copied
under another name counts as absent.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from myxtts import faults
from myxtts.audio.activity import SoundFigures
from myxtts.data.clip_columns import Arrays, Paths, Utterances, compact
from myxtts.data.clip_sums import Place, SumArray, sums_of
from myxtts.data.records import Utterance
from myxtts.errors import StorageError
from myxtts.storage.files import read_regular_file, write_atomic

Buffer = bytes | memoryview
FloatArray = npt.NDArray[np.float32]
TokenArray = npt.NDArray[np.int32]

MAGIC = b"MYXTTSF2"
HEADER = struct.Struct("<8sIIIIQQ16sII")
"""Magic, the fields of `ClipFacts`, a hash of the file's name, checksum of the header, checksum of the arrays."""
_ROWS_AT_ONCE = 4_096
_GONE = "the cached features are missing or truncated; start the same command again"


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
    sums: Place | None = None
    """Where the sums of its features are; None: they are computed when they are needed."""


class FeatureStore:
    """Clips by row, in the order of the metadata, in columns (clip_columns.py). No file stays open between two reads.

    The checksum of a feature file is tested when it is first read.
    """

    def __init__(self, clips: Sequence[StoredClip]) -> None:
        """Takes the accepted clips in their order."""
        self.utterances = Utterances([clip.utterance for clip in clips])
        self._tokens = Arrays([clip.tokens for clip in clips])
        self._entries = Paths([clip.entry for clip in clips])
        self._facts = [compact(column) for column in _columns(ClipFacts, [clip.facts for clip in clips])]
        self._sound = [compact(column) for column in _columns(SoundFigures, [clip.sound for clip in clips])]
        self._mel_lengths = self._facts[0].astype(np.int64)
        self._checked = np.zeros(len(clips), bool)
        tables = {id(clip.sums.table): clip.sums.table for clip in clips if clip.sums is not None}
        numbers = {key: number for number, key in enumerate(tables, 1)}
        self._tables = list(tables.values())
        self._table_of = compact([numbers[id(clip.sums.table)] if clip.sums else 0 for clip in clips])
        self._row_in_table = compact([clip.sums.row if clip.sums else 0 for clip in clips])

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.utterances)

    @property
    def lengths(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Number of tokens and of frames of every clip: int64 [A], int64 [A]."""
        return self._tokens.lengths, self._mel_lengths

    @property
    def speakers(self) -> Sequence[str]:
        """Speaker of every clip."""
        return self.utterances.speakers

    @property
    def languages(self) -> Sequence[str]:
        """Language of every clip."""
        return self.utterances.languages

    @property
    def sample_rates_hz(self) -> list[int]:
        """Sample rate of every recording."""
        return _column(self._facts, ClipFacts, "sample_rate_hz")

    @property
    def seconds(self) -> list[float]:
        """Length of every recording on the disk, before trimming."""
        samples = _column(self._facts, ClipFacts, "samples")
        return [count / rate for count, rate in zip(samples, self.sample_rates_hz, strict=True)]

    @property
    def cut_ms(self) -> list[int]:
        """What trimming cut of every recording."""
        return _column(self._sound, SoundFigures, "cut_ms")

    def facts(self, row: int) -> ClipFacts:
        """Facts about a clip and its recording."""
        return ClipFacts(*(int(column[row]) for column in self._facts))

    def sound(self, row: int) -> SoundFigures:
        """What was measured of the sound of a clip's recording."""
        return SoundFigures(*(int(column[row]) for column in self._sound))

    def text_tokens(self, row: int) -> TokenArray:
        """Token ids of a clip, int32 [T]."""
        return self._tokens[row]

    def features(self, row: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Raw log-mel [M, C], pitch in Hz [M] (0 where unvoiced) and log energy [M] of a clip, float32, read-only.

        Errors: StorageError if the file was removed or damaged since the start.
        """
        arrays = load_entry(self._entries.text(row), self.facts(row), check=not self._checked[row])
        self._checked[row] = True
        return arrays

    def mel(self, row: int, start: int = 0, frames: int | None = None) -> FloatArray:
        """Raw natural-log mel of a clip, float32 [M, C], or some frames of it. Errors: as `features`."""
        if frames is None or not self._checked[row]:
            return self.features(row)[0][start : None if frames is None else start + frames]
        channels = int(self._facts[1][row])
        return load_frames(self._entries.text(row), start, min(frames, int(self._mel_lengths[row]) - start), channels)

    def sums(self, rows: npt.NDArray[np.int64]) -> SumArray:
        """Sums of clips (clip_sums.py), (A, 2 C + 6), from the cache where it has them."""
        found = np.zeros([len(rows), 2 * self.facts(int(rows[0])).mel_channels + 6])
        table_of = self._table_of[rows]
        for number, table in enumerate(self._tables, 1):
            here = table_of == number
            found[here] = table[self._row_in_table[rows[here]]]
        for at in np.flatnonzero(table_of == 0):
            found[at] = sums_of(*self.features(int(rows[at])))
        return found

    def sums_in_parts(self, rows: npt.NDArray[np.int64]) -> Iterator[SumArray]:
        """As `sums`, a part at a time."""
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            yield self.sums(rows[start : start + _ROWS_AT_ONCE])

    def forget_sums(self) -> None:
        """Frees the sums from the cache, which are larger than all other facts about a clip."""
        self._tables.clear()
        self._table_of[:] = 0

    def entry_path(self, row: int) -> Path:
        """The feature file of a clip."""
        return self._entries[row]


def _columns(kind: type, values: Sequence[object]) -> list[list[int]]:
    return [[getattr(value, item.name) for value in values] for item in dataclasses.fields(kind)]


def _column(columns: Sequence[npt.NDArray[np.generic]], kind: type, name: str) -> list[int]:
    return columns[[item.name for item in dataclasses.fields(kind)].index(name)].tolist()


def write_entry(path: Path, facts: ClipFacts, mel_MC: FloatArray, pitch_M: FloatArray, energy_M: FloatArray) -> None:
    """Writes a feature file atomically. Errors: StorageError if it cannot be written."""
    payload = b"".join(np.ascontiguousarray(array, dtype="<f4").tobytes() for array in (mel_MC, pitch_M, energy_M))
    fields = (*dataclasses.astuple(facts), _name_hash(path))
    header_check = zlib.crc32(repr(fields).encode())
    header = HEADER.pack(MAGIC, *fields, header_check, zlib.crc32(payload))
    write_to_cache(path, header + payload)


def _name_hash(path: Path) -> bytes:
    return hashlib.blake2b(path.name.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def write_to_cache(path: Path, *parts: Buffer) -> None:
    """Writes a file of the cache, which consists of these parts, atomically. Errors: StorageError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not durable: a file torn by a crash of the machine fails its checksum and is computed again.
        write_atomic(path, lambda temporary: _write_new(temporary, parts), "writing the cache", durable=False)
    except (OSError, StorageError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StorageError(
            f"{path}: cannot be written ({reason}); name another folder with --set data.cache_path=..."
        ) from (error)


def _write_new(path: Path, parts: Sequence[Buffer]) -> None:
    with path.open("xb") as file:
        for part in parts:
            file.write(part)
    faults.point("cache.write")


def check_entry(path: Path, mel_channels: int) -> ClipFacts | None:
    """The facts in a feature file whose checksums match; None if the file is absent or damaged."""
    read = read_entry(path, mel_channels)
    return None if read is None else read[0]


def read_entry(path: Path, mel_channels: int) -> tuple[ClipFacts, tuple[FloatArray, FloatArray, FloatArray]] | None:
    """The facts and arrays of a feature file whose checksums match; None if the file is absent or damaged."""
    try:
        content = read_regular_file(path, None)
    except (OSError, ValueError):
        return None
    facts = _facts(bytes(content[: HEADER.size]), path)
    if facts is None or facts.mel_channels != mel_channels or facts.frames < 1:
        return None
    if len(content) != entry_bytes(facts) or not _is_intact(content):
        return None
    return facts, _arrays(bytes(content), facts)


def entry_bytes(facts: ClipFacts) -> int:
    """Size of a feature file."""
    return HEADER.size + 4 * facts.frames * (facts.mel_channels + 2)


def _is_intact(content: bytes | bytearray) -> bool:
    """Whether the arrays of a feature file are those of its checksum."""
    return zlib.crc32(memoryview(content)[HEADER.size :]) == HEADER.unpack_from(content)[-1]


def _facts(header: bytes, path: Path) -> ClipFacts | None:
    """The facts in a header; None if it is damaged or belongs to a file of another name."""
    if len(header) != HEADER.size:
        return None
    magic, *fields, header_check, _ = HEADER.unpack(header)
    if magic != MAGIC or zlib.crc32(repr(tuple(fields)).encode()) != header_check:
        return None
    *facts, name_hash = fields
    return ClipFacts(*facts) if name_hash == _name_hash(path) else None


def load_entry(path: Path | str, facts: ClipFacts, *, check: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mel [M, C], pitch [M] and energy [M] of a feature file, read-only.

    Errors: StorageError if the file was removed or truncated since it was checked or, with `check`, damaged; a damaged
    file is removed, so that the next start computes it again.
    """
    content = _read(path, 0, entry_bytes(facts) + 1)
    if len(content) != entry_bytes(facts):
        raise StorageError(f"{path}: {_GONE}")
    if check and (_facts(content[: HEADER.size], Path(path)) != facts or not _is_intact(content)):
        Path(path).unlink(missing_ok=True)
        raise StorageError(
            f"{path}: the cached features were damaged and were removed; start the same command again, which computes "
            "them again"
        )
    return _arrays(content, facts)


def load_frames(path: str, start: int, frames: int, channels: int) -> FloatArray:
    """Some frames of the mel [M, C] of a feature file that was checked, read-only.

    Errors: StorageError if the file was removed or truncated since then.
    """
    size = 4 * channels * frames
    content = _read(path, HEADER.size + 4 * channels * start, size)
    if len(content) != size:
        raise StorageError(f"{path}: {_GONE}")
    return np.frombuffer(content, "<f4").reshape(frames, channels)


def _read(path: Path | str, offset: int, size: int) -> bytes:
    """At most this many bytes of a file. Raises StorageError."""
    try:
        descriptor = os.open(path, os.O_RDONLY)  # once per clip and reference: in a third of the time of a file object
        try:
            content = os.pread(descriptor, size, offset)
            while len(content) < size and (more := os.pread(descriptor, size - len(content), offset + len(content))):
                content += more  # a read may return less than was asked for; only the end of the file is empty
            return content
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"{path}: {_GONE}") from error


def _arrays(content: bytes, facts: ClipFacts) -> tuple[FloatArray, FloatArray, FloatArray]:
    flat = np.frombuffer(content, "<f4", offset=HEADER.size)
    mel_end = facts.frames * facts.mel_channels
    mel = flat[:mel_end].reshape(facts.frames, facts.mel_channels)
    return mel, flat[mel_end : mel_end + facts.frames], flat[mel_end + facts.frames :]
