"""Outcomes of earlier runs, so that no work is repeated: recordings by path and stat, tokens by text.

The features themselves are in files of their own (feature_store.py), named by the content of the recording and the
settings. A list that is damaged counts as empty.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from myxtts.audio.activity import SoundFigures
from myxtts.data.feature_store import write_to_cache
from myxtts.data.jobs import AudioOutcome, TextOutcome, is_key
from myxtts.data.records import REASONS
from myxtts.storage.files import read_regular_file, strict_json

Stamp = tuple[int, int, int]
"""Size in bytes, and the times in ns at which the content and the inode last changed."""


def short_hash(*parts: str) -> str:
    """32 hex digits that depend on the texts and their order."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def stamp_of(path: Path) -> Stamp | None:
    """What changes when a file changes, or None if it is not a regular file."""
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


class RecordingIndex:
    """Outcomes of the recordings of one root under one set of audio settings."""

    def __init__(self, cache: Path, root: Path, settings: str) -> None:
        self._prefix = f"{root}/"
        self._path = cache / "recordings" / f"{short_hash(os.path.realpath(root), settings)}.json"
        self._records = read_list(self._path)
        self._changed = False

    def get(self, path: Path, stamp: Stamp, speed: float = 1.0) -> AudioOutcome | None:
        """The outcome of a file that has not changed since; None if it is not known."""
        record = self._records.get(self._name(path, speed))
        if not _is_recording(record) or tuple(record[: len(stamp)]) != stamp:
            return None
        outcome = AudioOutcome(*record[len(stamp) : -1])
        return dataclasses.replace(outcome, sound=SoundFigures(*record[-1]))

    def put(self, path: Path, stamp: Stamp, outcome: AudioOutcome, speed: float = 1.0) -> None:
        """Remembers the outcome of a file as it was when `stamp` was taken."""
        self._records[self._name(path, speed)] = [*stamp, *dataclasses.astuple(outcome)[:-1], _figures(outcome.sound)]
        self._changed = True

    def save(self) -> None:
        """Writes the list if it changed."""
        if self._changed:
            self._records = {**read_list(self._path), **self._records}  # another process may have written it since
            write_list(self._path, self._records)
            self._changed = False

    def _name(self, path: Path, speed: float) -> str:
        """A file's name in the list: its path relative to the root; the speed of a copy follows after a NUL."""
        name = str(path).removeprefix(self._prefix)
        return name if speed == 1.0 else f"{name}\0{speed!r}"


def _figures(sound: SoundFigures) -> list[int]:
    return list(dataclasses.astuple(sound))


def _is_recording(record: Any) -> TypeGuard[list[Any]]:
    """Whether a record of the list is one that `put` could have written."""
    if not isinstance(record, list) or len(record) != 3 + len(dataclasses.fields(AudioOutcome)):
        return False
    reason, value, key, *figures, sound = record[3:]
    if not isinstance(sound, list) or len(sound) != len(dataclasses.fields(SoundFigures)):
        return False
    if not all(type(figure) is int and figure >= 0 for figure in sound):
        return False
    if not isinstance(value, str) or not (reason in REASONS if reason else reason == "" and is_key(key)):
        return False
    return all(type(figure) is int and figure >= 0 for figure in figures) and (bool(reason) or min(figures) > 0)


class TokenCache:
    """Tokens of the texts of one root under one set of text settings and a symbol table of the given size."""

    def __init__(self, cache: Path, root: Path, settings: str, symbols: int) -> None:
        self._symbols = symbols
        self._path = cache / "tokens" / f"{short_hash(os.path.realpath(root), settings)}.json"
        self._records = read_list(self._path)
        self._changed = False

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
        if not isinstance(tokens, list) or not all(type(t) is int and 0 <= t < self._symbols for t in tokens):
            return False
        return isinstance(value, str) and (reason in REASONS if reason else reason == "" and bool(tokens))

    def put(self, text: str, language: str, outcome: TextOutcome) -> None:
        """Remembers the outcome of a text."""
        self._records[short_hash(text, language)] = [outcome.tokens.tolist(), outcome.reason, outcome.value]
        self._changed = True

    def save(self) -> None:
        """Writes the list if it changed."""
        if self._changed:
            self._records = {**read_list(self._path), **self._records}  # another process may have written it since
            write_list(self._path, self._records)
            self._changed = False
