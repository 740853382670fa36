"""Outcomes of earlier runs, so that no work is repeated: recordings by path and stat, tokens by text.

The features themselves are in separate files (feature_store.py), named by the content of the recording and the
settings. A damaged list counts as empty. A start with a full cache reads these lists and no features.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
import struct
import zlib
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from myxtts.audio.activity import SoundFigures
from myxtts.data.clip_sums import Place, SumArray
from myxtts.data.feature_store import write_to_cache
from myxtts.data.jobs import AudioOutcome, TextOutcome, is_key
from myxtts.data.records import REASONS
from myxtts.storage.files import read_regular_file, strict_json

Stamp = tuple[int, int, int]
"""Size in bytes, and the times in ns at which the content and the inode last changed."""
_OUTCOME_FIELDS, _SOUND_FIELDS = len(dataclasses.fields(AudioOutcome)), len(dataclasses.fields(SoundFigures))
_SUMS_MAGIC = b"MYXTTSS1"
_SUMS_HEADER = struct.Struct("<8sIIQ16s24x")
"""Magic, mel channels, checksum of the records, number of records, a hash of the file's name."""
_KEY_BYTES = 16


def short_hash(*parts: str) -> str:
    """32 hex digits that depend on the texts and their order."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def stamp_of(path: Path) -> Stamp | None:
    """A value that changes with the file, or None if it is not a regular file."""
    try:
        status = os.stat(path)  # noqa: PTH116  # the faster call, once per clip and start
    except (OSError, ValueError):
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns) if stat.S_ISREG(status.st_mode) else None


def write_list(path: Path, values: dict[str, Any]) -> None:
    """Writes a JSON object after a checksum of it and its file name. Errors: StorageError if it cannot be written."""
    body = json.dumps(values, ensure_ascii=True, separators=(",", ":")).encode()
    write_to_cache(path, _checksum(path, body) + b"\n" + body)


def read_list(path: Path) -> dict[str, Any]:
    """A JSON object as `write_list` wrote it; empty if the file is absent, damaged, renamed or not an object."""
    try:
        check, _, body = bytes(read_regular_file(path, None)).partition(b"\n")
        values = strict_json(body) if _checksum(path, body) == check else None
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _checksum(path: Path, body: bytes) -> bytes:
    return hashlib.blake2b(path.name.encode() + b"\n" + body, digest_size=16).hexdigest().encode()


class _Outcomes:
    """Outcomes by name, kept in the list at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = read_list(path)
        self._changed = False

    def _put(self, name: str, record: list[Any]) -> None:
        self._records[name] = record
        self._changed = True

    def save(self) -> None:
        """Writes the list if it changed."""
        if self._changed:
            self._records = {**read_list(self._path), **self._records}  # another process may have written it meanwhile
            write_list(self._path, self._records)
            self._changed = False


class RecordingIndex(_Outcomes):
    """Outcomes of the recordings of one root under one set of audio settings."""

    def __init__(self, cache: Path, root: Path, settings: str) -> None:
        super().__init__(cache / "recordings" / f"{short_hash(os.path.realpath(root), settings)}.json")
        self._prefix = f"{root}/"

    def get(self, path: Path, stamp: Stamp, speed: float = 1.0) -> AudioOutcome | None:
        """The outcome of a file that has not changed since; None if it is not known."""
        record = self._records.get(self._name(path, speed))
        if not _is_recording(record) or tuple(record[: len(stamp)]) != stamp:
            return None
        fields: list[Any] = [*record[len(stamp) : -1], SoundFigures(*record[-1])]
        return AudioOutcome(*fields)

    def put(self, path: Path, stamp: Stamp, outcome: AudioOutcome, speed: float = 1.0) -> None:
        """Remembers the outcome of a file as it was when `stamp` was taken."""
        figures = list(dataclasses.astuple(outcome.sound))
        self._put(self._name(path, speed), [*stamp, *dataclasses.astuple(outcome)[:-1], figures])

    def _name(self, path: Path, speed: float) -> str:
        """A file's name in the list: its path relative to the root; the speed of a copy follows after a NUL."""
        name = str(path).removeprefix(self._prefix)
        return name if speed == 1.0 else f"{name}\0{speed!r}"


def _is_recording(record: Any) -> TypeGuard[list[Any]]:
    """Whether a record of the list is one that `put` could have written."""
    if not isinstance(record, list) or len(record) != 3 + _OUTCOME_FIELDS:
        return False
    reason, value, key, *figures, sound = record[3:]
    if not isinstance(sound, list) or len(sound) != _SOUND_FIELDS:
        return False
    if not all(type(figure) is int and figure >= 0 for figure in sound):
        return False
    if not isinstance(value, str) or not (reason in REASONS if reason else reason == "" and is_key(key)):
        return False
    return all(type(figure) is int and figure >= 0 for figure in figures) and (bool(reason) or min(figures) > 0)


class TokenCache(_Outcomes):
    """Tokens of the texts of one root under one set of text settings and a symbol table of the given size."""

    def __init__(self, cache: Path, root: Path, settings: str, symbols: int) -> None:
        super().__init__(cache / "tokens" / f"{short_hash(os.path.realpath(root), settings)}.json")
        self._symbols = symbols

    def get(self, text: str, language: str) -> TextOutcome | None:
        """The remembered outcome of a text; None if it is not known."""
        record = self._records.get(short_hash(text, language))
        if not self._is_text(record):
            return None
        return TextOutcome(np.array(record[0], dtype=np.int32), record[1], record[2])

    def _is_text(self, record: Any) -> TypeGuard[list[Any]]:
        """Whether a record of the list is one that `put` could have written."""
        if not isinstance(record, list) or len(record) != 3:
            return False
        tokens, reason, value = record
        if not isinstance(tokens, list) or set(map(type, tokens)) - {int}:
            return False
        if tokens and not 0 <= min(tokens) <= max(tokens) < self._symbols:
            return False
        return isinstance(value, str) and (reason in REASONS if reason else reason == "" and bool(tokens))

    def put(self, text: str, language: str, outcome: TextOutcome) -> None:
        """Remembers the outcome of a text."""
        self._put(short_hash(text, language), [outcome.tokens.tolist(), outcome.reason, outcome.value])


class SumsFile:
    """The sums of the clips of one root (clip_sums.py), in one file.

    It is read, not mapped into memory: another machine may replace it at any time.

    The stamp of a feature file says whether it is still the one that was summed. A file of sums that is damaged, or of
    another number of channels, counts as empty.

    Layout, little-endian: 64 bytes of header, then records of key, stamp and sums.
    """

    def __init__(self, cache: Path, root: Path, settings: str, channels: int) -> None:
        self._path = cache / "recordings" / f"{short_hash(os.path.realpath(root), settings)}.sums"
        self._channels = channels
        self._record = np.dtype([("key", "u1", _KEY_BYTES), ("stamp", "<i8", 3), ("sums", "<f8", 2 * channels + 6)])
        self._new: dict[bytes, tuple[Stamp, SumArray]] = {}
        self._take(self._read())

    def knows(self, key: str, stamp: Stamp) -> bool:
        """Whether the sums of this key are those of the feature file with this stamp."""
        name = bytes.fromhex(key)
        if name in self._new:
            return self._new[name][0] == stamp
        row = self._rows.get(name)
        return row is not None and tuple(self._records["stamp"][row].tolist()) == stamp

    def put(self, key: str, stamp: Stamp, sums: SumArray) -> None:
        """Takes the sums of a clip."""
        self._new[bytes.fromhex(key)] = (stamp, sums)

    def places(self, keys: Sequence[str]) -> list[Place | None]:
        """Where the sums of these keys are; None for a key without sums. New sums count after `save`."""
        rows = [self._rows.get(bytes.fromhex(key)) for key in keys]
        found = [row for row in rows if row is not None]
        if 2 * len(found) > len(self._rows):  # a copy beside the content of the file would take its memory again
            return [None if row is None else Place(self._sums, row) for row in rows]
        table, at = self._sums[found], count()
        return [None if row is None else Place(table, next(at)) for row in rows]

    def save(self) -> None:
        """Writes the file if there are new sums; they have places then. Errors: StorageError if it cannot be."""
        if not self._new:
            return
        on_disk = self._read()  # another process may have written it meanwhile
        kept = np.array([key not in self._new for key in _keys(on_disk)], bool)
        older = int(kept.sum())
        records = np.zeros(older + len(self._new), self._record)
        records[:older] = on_disk if kept.all() else on_disk[kept]
        for record, (key, (stamp, sums)) in zip(records[older:], self._new.items(), strict=True):
            record["key"], record["stamp"], record["sums"] = np.frombuffer(key, np.uint8), stamp, sums
        self._take(records)
        self._new = {}
        body = records.view(np.uint8).data  # no copy: a thousand hours have 0.8 GB
        header = _SUMS_HEADER.pack(_SUMS_MAGIC, self._channels, zlib.crc32(body), len(records), self._name_hash())
        write_to_cache(self._path, header, body)

    def _take(self, records: npt.NDArray[np.void]) -> None:
        self._records, self._sums = records, records["sums"]
        self._rows = {key: row for row, key in enumerate(_keys(records))}

    def _read(self) -> npt.NDArray[np.void]:
        """The records of the file; none if it is absent or damaged."""
        nothing = np.zeros(0, self._record)
        try:
            content = memoryview(read_regular_file(self._path, None))
        except (OSError, ValueError):
            return nothing
        if len(content) < _SUMS_HEADER.size:
            return nothing
        magic, channels, check, records, name = _SUMS_HEADER.unpack(content[: _SUMS_HEADER.size])
        body = content[_SUMS_HEADER.size :]
        right = (magic, channels, name) == (_SUMS_MAGIC, self._channels, self._name_hash())
        if not right or len(body) != records * self._record.itemsize or zlib.crc32(body) != check:
            return nothing
        return np.frombuffer(body, self._record)

    def _name_hash(self) -> bytes:
        return hashlib.blake2b(self._path.name.encode(), digest_size=16).digest()


def _keys(records: npt.NDArray[np.void]) -> list[bytes]:
    block = records["key"].tobytes()
    return [block[at : at + _KEY_BYTES] for at in range(0, len(block), _KEY_BYTES)]
