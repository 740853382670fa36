"""Where the data is: what the settings name, what stands beside it, or the built-in corpus."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from myxtts.config.schema import Config, DataConfig
from myxtts.data.manifest import METADATA_NAMES, expected
from myxtts.data.records import shown
from myxtts.demo import corpus as demo_corpus
from myxtts.errors import DataError
from myxtts.progress import Progress

TRAIN_KEY = "data.train_path"
VALIDATION_KEY = "data.val_path"


@dataclass(frozen=True)
class Roots:
    """Where the data is. `validation` empty: a share of the training data is kept."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    notes: list[str]


def find_roots(config: Config, named: Collection[str], progress: Progress) -> Roots:
    """Where training and validation data are; the built-in corpus where the default does not exist.

    Errors: DataError for a path that the user named and that does not exist, or that cannot be looked at.
    """
    try:
        return _find_roots(config, named, progress)
    except OSError as error:
        raise DataError(
            f"{TRAIN_KEY} or {VALIDATION_KEY}: {shown(str(error.filename), 200)} cannot be looked at "
            f"({error.strerror}); check the path and its permissions"
        ) from error


def _find_roots(config: Config, named: Collection[str], progress: Progress) -> Roots:
    """As `find_roots`, with the errors of the disk as they come."""
    data, default = config.data, DataConfig()
    notes: list[str] = []
    train = roots_in(data.train_path)
    built_in = not train[0].exists() and data.train_path == default.train_path and TRAIN_KEY not in named
    if built_in:
        train = (demo_corpus.ensure(Path(data.cache_path).expanduser(), progress),)
        notes.append(
            f"there is no {data.train_path}: training on the built-in corpus (synthetic speech of eSpeak NG, not human "
            f"voices) in {train[0]}; name your recordings with --train-data"
        )
    elif absent := [root for root in train if not root.exists()]:
        raise _absent(TRAIN_KEY, str(absent[0]), "--train-data")
    _check_once(TRAIN_KEY, train)
    validation = roots_in(data.val_path)
    if data.val_path != default.val_path or VALIDATION_KEY in named:
        if absent := [root for root in validation if not root.exists()]:
            raise _absent(VALIDATION_KEY, str(absent[0]), "--val-data")
        _check_once(VALIDATION_KEY, validation)
        return Roots(train, validation, notes)
    # The default validation data belongs to the default training data: it says nothing of other recordings.
    there = validation[0].exists()
    belongs = len(train) == 1 and train[0].resolve() == Path(default.train_path).expanduser().resolve()
    if belongs and there:
        return Roots(train, validation, notes)
    why = f"there is no {data.val_path}"
    if there:
        why = f"{data.val_path} belongs to {default.train_path} and is not taken (--val-data names what is)"
    names = METADATA_NAMES["val"][:3]
    own = [root / name for root in train if (name := next((n for n in names if (root / n).is_file()), None))]
    if len(own) < len(train):
        notes.append(f"{why}: {data.validation_share:.0%} of the training clips validate")
        return Roots(train, (), notes)
    if not built_in:
        notes += [f"{why}: {path} validates" for path in own]
    return Roots(train, train, notes)


def roots_in(value: str) -> tuple[Path, ...]:
    """The data roots that a path setting names: one, or several with the system's path separator between them."""
    whole = Path(value).expanduser()
    if whole.exists() or os.pathsep not in value:
        return (whole,)
    return tuple(Path(part).expanduser() for part in value.split(os.pathsep) if part) or (whole,)


def absolute_paths(data: DataConfig) -> dict[str, str]:
    """The path settings by key, written so that they mean the same from every folder.

    A setting of which a root is not there stays as it is: it may be the default, in whose place other data is taken.
    """
    return {TRAIN_KEY: _absolute(data.train_path), VALIDATION_KEY: _absolute(data.val_path)}


def _absolute(value: str) -> str:
    try:
        roots = roots_in(value)
        if not all(root.exists() for root in roots):
            return value
        return os.pathsep.join(_without_dots(root.absolute()) for root in roots)
    except OSError:  # what cannot be looked at
        return value


def _without_dots(path: Path) -> str:
    """An absolute path without "..", unless it leads out of a link and would mean another folder then."""
    plain = os.path.normpath(path)
    return plain if os.path.realpath(plain) == os.path.realpath(path) else str(path)


def _check_once(key: str, roots: Sequence[Path]) -> None:
    """Raises DataError for a root that is named twice: its clips would train and validate under two names."""
    seen: dict[Path, Path] = {}
    for root in roots:
        if (first := seen.setdefault(root.resolve(), root)) is not root:
            same = "" if str(first) == str(root) else f" (as {shown(str(first), 120)} too)"
            raise DataError(f"{key}: {shown(str(root), 200)} is named twice{same}; name each folder once")


def _absent(key: str, value: str, option: str) -> DataError:
    """The error for a named path that is not there."""
    return DataError(
        f"{key}: {shown(value, 200)} does not exist (looked in {shown(str(Path.cwd()), 120)}); name a folder with "
        f"{expected('val' if key == VALIDATION_KEY else 'train')} by {option}"
    )
