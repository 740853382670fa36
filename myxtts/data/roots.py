"""Where the data is: the folders in the settings, validation metadata beside them, or the built-in corpus."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from myxtts.config.schema import NO_DICTIONARY, NO_MODEL, Config, DataConfig
from myxtts.data.layouts import METADATA_NAMES, has_validation_files
from myxtts.data.manifest import expected
from myxtts.demo import corpus as demo_corpus
from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.progress import Progress

TRAIN_KEY = "data.train_path"
VALIDATION_KEY = "data.val_path"
SEPARATOR = ":"
"""Between several data roots in one setting."""


@dataclass(frozen=True)
class Roots:
    """Where the data is. If `validation` is empty, a share of the training data is held out."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    notes: list[str]


def find_roots(config: Config, named: Collection[str], progress: Progress) -> Roots:
    """Where training and validation data are; the built-in corpus if the default path does not exist.

    Errors: DataError if a path that the user set does not exist, or if a path cannot be accessed.
    """
    try:
        return _find_roots(config, named, progress)
    except OSError as error:
        raise DataError(
            f"{TRAIN_KEY} or {VALIDATION_KEY}: {quoted(str(error.filename), 200)} cannot be accessed "
            f"({error.strerror}); check the path and its permissions"
        ) from error


def _find_roots(config: Config, named: Collection[str], progress: Progress) -> Roots:
    """As `find_roots`, but raises OSError where the disk fails."""
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
    # The default validation data belongs to the default training data and cannot validate other recordings.
    there = validation[0].exists()
    belongs = len(train) == 1 and train[0].resolve() == Path(default.train_path).expanduser().resolve()
    if belongs and there:
        return Roots(train, validation, notes)
    why = f"there is no {data.val_path}"
    if there:
        why = f"{data.val_path} belongs to {default.train_path} and is not used (set it with --val-data)"
    names = METADATA_NAMES["val"][:3]
    own = [
        root / next((n for n in names if (root / n).is_file()), "its validation files")
        for root in train
        if has_validation_files(root)
    ]
    if len(own) < len(train):
        notes.append(f"{why}: {data.validation_share:.0%} of the training clips are held out for validation")
        return Roots(train, (), notes)
    if not built_in:
        notes += [f"{why}: {path} is used for validation" for path in own]
    return Roots(train, train, notes)


def roots_in(value: str) -> tuple[Path, ...]:
    """The data roots in a path setting: one folder, or several separated by colons."""
    whole = Path(value).expanduser()
    if whole.exists() or SEPARATOR not in value:
        return (whole,)
    return tuple(Path(part).expanduser() for part in value.split(SEPARATOR) if part) or (whole,)


def absolute_paths(config: Config) -> dict[str, str]:
    """The path settings by key as absolute paths.

    What does not exist stays as it is: it may be the default, which other data replaces, or a name.
    """
    data, mels_from, dictionary = config.data, config.vocoder.mels_from, config.text.dictionary
    return {
        TRAIN_KEY: _absolute(data.train_path),
        VALIDATION_KEY: _absolute(data.val_path),
        "text.dictionary": dictionary if dictionary == NO_DICTIONARY else _absolute(dictionary),
        "vocoder.mels_from": mels_from if mels_from == NO_MODEL else _absolute(mels_from),
    }


def _absolute(value: str) -> str:
    try:
        roots = roots_in(value)
        if not all(root.exists() for root in roots):
            return value
        return SEPARATOR.join(_without_dots(root.absolute()) for root in roots)
    except OSError:  # a path that cannot be accessed
        return value


def _without_dots(path: Path) -> str:
    """An absolute path without "..", unless the result would be another folder because of a symbolic link."""
    plain = os.path.normpath(path)
    return plain if os.path.realpath(plain) == os.path.realpath(path) else str(path)


def _check_once(key: str, roots: Sequence[Path]) -> None:
    """Raises DataError if a root is given twice: its clips would be in both sets under two names."""
    seen: dict[Path, Path] = {}
    for root in roots:
        if (first := seen.setdefault(root.resolve(), root)) is not root:
            same = "" if str(first) == str(root) else f" (as {quoted(str(first), 120)} too)"
            raise DataError(f"{key}: {quoted(str(root), 200)} is given twice{same}; name each folder once")


def _absent(key: str, value: str, option: str) -> DataError:
    """The error for a path that the user set and that does not exist."""
    return DataError(
        f"{key}: {quoted(value, 200)} does not exist (looked in {quoted(str(Path.cwd()), 120)}); name a folder with "
        f"{expected('val' if key == VALIDATION_KEY else 'train')} by {option}"
    )
