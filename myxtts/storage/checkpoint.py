"""A checkpoint on disk: a folder with tensors, JSON and texts, and a manifest with the hash of every file.

    step-00001000/
        weights.safetensors, ema.safetensors, ...   one file for each stem
        state.json                                  the rest of the state, small
        config.yaml, ...                            texts under the names the writer gave
        manifest.json                               written last: size and SHA-256 of every file, and of itself

A folder without a manifest, without a listed file, or with one bit that differs from the manifest does not load. Files
that the manifest does not list (written by users or other programs) are never read or deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from myxtts.errors import CheckpointError, NonFiniteError
from myxtts.storage import tensors
from myxtts.storage.files import canonical_json, read_regular_file, strict_json

Arrays = Mapping[str, Mapping[str, tensors.Array]]
"""File stem (weights, ema, ...) -> name -> array."""

FORMAT = "myxtts-checkpoint"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
STATE = "state.json"
TENSORS_SUFFIX = ".safetensors"
TEXTS = ("config.yaml", "corpus.json")
"""Texts that training saves with a checkpoint."""
_STEP = re.compile(r"step-(\d{8,12})")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_MANIFEST_LIMIT = 1 << 20
_TEXT_LIMIT = 64 << 20


class FutureFormatError(CheckpointError):
    """The checkpoint is intact but has a later format than this version reads."""


@dataclass(frozen=True)
class Damage:
    """A checkpoint that must not be loaded, and the reason."""

    path: Path
    reason: str


class DamagedError(CheckpointError):
    """The checkpoint in `damage.path` must not be loaded."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.damage = Damage(folder, reason)
        super().__init__(f"checkpoint {str(folder)!r} cannot be used: {reason}")


@dataclass(frozen=True)
class FileRecord:
    """The manifest's entry for one file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class CheckpointManifest:
    """The files of a checkpoint, its update, and whether it was the best one."""

    update: int
    best: bool
    files: Mapping[str, FileRecord]

    def to_bytes(self) -> bytes:
        """The content of manifest.json: canonical JSON with a hash of itself, so that any change is detected."""
        files = {name: {"sha256": record.sha256, "size": record.size} for name, record in self.files.items()}
        body: dict[str, object] = {
            "best": self.best, "files": files, "format": FORMAT, "update": self.update, "version": FORMAT_VERSION,
        }  # fmt: skip
        return _sealed(body)


def _sealed(body: Mapping[str, object]) -> bytes:
    return canonical_json({**body, "digest": hashlib.sha256(canonical_json(body)).hexdigest()}) + b"\n"


class TensorFiles(Mapping[str, Mapping[str, tensors.Array]]):
    """Stem (weights, ema, ...) -> named arrays; a file is read and verified when it is first accessed."""

    def __init__(self, folder: Path, records: Mapping[str, FileRecord]) -> None:
        self._folder = folder
        self._records = dict(records)
        self._read: dict[str, Mapping[str, tensors.Array]] = {}

    def __getitem__(self, stem: str) -> Mapping[str, tensors.Array]:
        if stem not in self._read:
            name = stem + TENSORS_SUFFIX
            self._read[stem] = _read_tensors(self._folder / name, self._records[stem])
        return self._read[stem]

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint."""

    path: Path
    update: int
    best: bool
    """Whether it was the best one when it was saved."""
    arrays: Mapping[str, Mapping[str, tensors.Array]]
    """Stem -> name -> array, read-only, finite."""
    state: Mapping[str, Any]
    texts: Mapping[str, str]
    """File name -> text."""
    passed_over: tuple[Damage, ...] = field(default=())
    """Newer or better checkpoints that were passed over because they are damaged."""


def step_name(update: int) -> str:
    """Name of the folder of the checkpoint after `update` updates."""
    return f"step-{update:08d}"


def update_of_name(name: str) -> int | None:
    """The update in a folder's name, or None if it is not the name of a checkpoint."""
    match = _STEP.fullmatch(name)
    return int(match[1]) if match and step_name(int(match[1])) == name else None


def check_file_name(name: str) -> None:
    """Raises ValueError if `name` is not a valid file name in a checkpoint, which is a bug in the caller."""
    if not _FILE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid file name in a checkpoint")


def read_manifest(folder: Path) -> CheckpointManifest:
    """The verified manifest of the checkpoint in `folder`; its files are not verified. Raises DamagedError."""
    try:
        content = _read_file(folder / MANIFEST, limit=_MANIFEST_LIMIT).tobytes()
        value = strict_json(content)
    except OSError as error:
        reason = "an unfinished or foreign folder" if isinstance(error, FileNotFoundError) else error.strerror
        raise DamagedError(folder, f"{MANIFEST} cannot be read: {reason}") from error
    except ValueError as error:
        raise DamagedError(folder, f"{MANIFEST} is damaged: {error}") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise DamagedError(folder, f"{MANIFEST} is not the manifest of a {FORMAT}")
    body = {key: item for key, item in value.items() if key != "digest"}
    if content != _sealed(body):
        raise DamagedError(folder, f"{MANIFEST} is damaged: it differs from its own hash")
    version = body.get("version")
    if type(version) is int and version > FORMAT_VERSION:
        raise FutureFormatError(
            f"checkpoint {str(folder)!r} has format {version}, and this MyXTTS reads up to {FORMAT_VERSION}: "
            "upgrade MyXTTS, or start over with --fresh"
        )
    manifest = _manifest_of(folder, body)
    named = update_of_name(folder.name)
    if named is not None and named != manifest.update:
        raise DamagedError(folder, f"{MANIFEST} is for update {manifest.update}, the folder's name says {named}")
    return manifest


def _manifest_of(folder: Path, body: Mapping[str, Any]) -> CheckpointManifest:
    update, best, files = body.get("update"), body.get("best"), body.get("files")
    if type(update) is not int or update < 0 or type(best) is not bool or not isinstance(files, dict):
        raise DamagedError(folder, f"{MANIFEST} lacks update, best or files")
    records = {}
    for name, entry in files.items():
        size = entry.get("size") if isinstance(entry, dict) else None
        sha256 = entry.get("sha256") if isinstance(entry, dict) else None
        if not _FILE_NAME.fullmatch(name) or type(size) is not int or size < 0 or not isinstance(sha256, str):
            raise DamagedError(folder, f"{MANIFEST} has an invalid entry for {name[:80]!r}")
        records[name] = FileRecord(size, sha256)
    return CheckpointManifest(update, best, records)


def check_sizes(folder: Path) -> CheckpointManifest:
    """Verifies the manifest, and that its files exist with the right sizes; cheap. Raises DamagedError."""
    manifest = read_manifest(folder)
    try:
        found = {entry.name: entry.stat(follow_symlinks=False) for entry in os.scandir(folder)}
    except OSError as error:
        raise DamagedError(folder, f"it cannot be listed: {error.strerror}") from error
    for name, record in manifest.files.items():
        if name not in found:
            raise DamagedError(folder, f"{name} is missing")
        if not stat.S_ISREG(found[name].st_mode):
            raise DamagedError(folder, f"{name} is not a regular file")
        if found[name].st_size != record.size:
            raise DamagedError(folder, f"{name} has {found[name].st_size} bytes, the manifest says {record.size}")
    return manifest


def foreign_entries(folder: Path) -> list[Path]:
    """Files and folders that users or other programs put into a step folder. Raises OSError.

    If the manifest is damaged, those whose names no checkpoint uses.
    """
    own: set[str] | None = None
    with contextlib.suppress(CheckpointError):
        own = {MANIFEST, *read_manifest(folder).files}
    usual = (MANIFEST, STATE, *TEXTS)
    return sorted(
        path
        for path in folder.iterdir()
        if (path.name not in own if own is not None else path.name not in usual and path.suffix != TENSORS_SUFFIX)
    )


def read_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`, with every byte verified and every float finite. Raises DamagedError."""
    manifest = check_sizes(folder)
    stems = {}
    texts = {}
    state: object = None
    for name, record in manifest.files.items():
        if name.endswith(TENSORS_SUFFIX):
            _read_tensors(folder / name, record)  # only verified here and read again when needed, to save memory
            stems[name.removesuffix(TENSORS_SUFFIX)] = record
            continue
        content = _read_verified(folder / name, record, limit=_TEXT_LIMIT).tobytes()
        try:
            if name == STATE:
                state = strict_json(content)
            else:
                texts[name] = content.decode("utf-8", "surrogatepass")
        except ValueError as error:
            raise DamagedError(folder, f"{name} is unreadable: {error}") from error
    if not isinstance(state, dict):
        raise DamagedError(folder, f"{STATE} is missing or not a JSON object")
    return Checkpoint(folder, manifest.update, manifest.best, TensorFiles(folder, stems), state, texts)


def _read_tensors(path: Path, record: FileRecord) -> dict[str, tensors.Array]:
    content = _read_verified(path, record)
    try:
        arrays = tensors.parse_tensors(content)
    except ValueError as error:
        raise DamagedError(path.parent, f"{path.name} is unreadable: {error}") from error
    for name, array in arrays.items():
        if bad := tensors.count_nonfinite(array):
            reason = f"{path.name} holds {bad} of {array.size} values that are not finite in {name!r}"
            raise DamagedError(path.parent, reason)
    return arrays


def _read_verified(path: Path, record: FileRecord, limit: int | None = None) -> npt.NDArray[np.uint8]:
    """The bytes of a file whose hash was checked; the same bytes are used, even if the file changes later."""
    try:
        content = _read_file(path, limit=limit)
    except OSError as error:
        raise DamagedError(path.parent, f"{path.name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DamagedError(path.parent, f"{path.name} is damaged: {error}") from error
    if content.size != record.size or hashlib.sha256(content.data).hexdigest() != record.sha256:
        raise DamagedError(path.parent, f"{path.name} is damaged: its SHA-256 is not the one in the manifest")
    return content


def _read_file(path: Path, limit: int | None) -> npt.NDArray[np.uint8]:
    """The bytes of a regular file as a NumPy array; raises as `read_regular_file`."""
    return np.frombuffer(read_regular_file(path, limit), np.uint8)


def check_arrays(update: int, arrays: Arrays) -> None:
    """Raises NonFiniteError naming the tensors with values that are not finite; TypeError or ValueError for bugs."""
    found = []
    for stem, named in arrays.items():
        check_file_name(stem + TENSORS_SUFFIX)
        for name, array in named.items():
            tensors.check_storable(name, array)
            if bad := tensors.count_nonfinite(array):
                found.append(f"{stem}/{name} ({bad} of {array.size})")
    if found:
        more = f" and {len(found) - 3} more tensors" if len(found) > 3 else ""
        raise NonFiniteError(
            f"the checkpoint of update {update} was not written: values that are not finite in "
            f"{', '.join(found[:3])}{more}; the previous checkpoint is untouched"
        )


def small_files(update: int, state: Mapping[str, object], texts: Mapping[str, str]) -> dict[str, bytes]:
    """File name -> content of state and texts. Raises NonFiniteError naming floats of the state that are not finite."""
    found: list[str] = []
    contents = {STATE: canonical_json(_plain(state, "state", found)) + b"\n"}
    if found:
        raise NonFiniteError(
            f"the checkpoint of update {update} was not written: {', '.join(found[:3])} not finite; "
            "the previous checkpoint is untouched"
        )
    for name, text in texts.items():
        check_file_name(name)
        if name in (MANIFEST, STATE) or name.endswith(TENSORS_SUFFIX):
            raise ValueError(f"{name!r} is a reserved file name")
        contents[name] = text.encode("utf-8", "surrogatepass")
    return contents


def _plain(value: object, where: str, found: list[str]) -> object:
    """`value` with plain numbers for NumPy scalars; a float that is not finite is added to `found` and becomes null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        found.append(f"{where} is {value}")
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}, but JSON keys are strings")
        return {key: _plain(item, f"{where}.{key}", found) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]", found) for index, item in enumerate(value)]
    return value


def write_files(folder: Path, arrays: Arrays, contents: Mapping[str, bytes]) -> dict[str, FileRecord]:
    """Writes and fsyncs all files except the manifest into `folder`. Raises OSError."""
    records = {}
    for name, content in contents.items():
        write_durable(folder / name, content)
        records[name] = FileRecord(len(content), hashlib.sha256(content).hexdigest())
    for stem, named in arrays.items():
        name = stem + TENSORS_SUFFIX
        records[name] = FileRecord(*tensors.write_tensors(folder / name, named))
    return records


def write_durable(path: Path, content: bytes) -> None:
    """Writes a new small file and fsyncs it. Raises OSError."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
