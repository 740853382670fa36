"""The kind of a target path, and the targets in the usual places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from myxtts.data.layouts import METADATA_NAMES
from myxtts.doctor.run.look import is_run
from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.storage.checkpoint import MANIFEST, update_of_name

Kind = Literal["settings", "dataset", "run", "checkpoint", "log"]

USUAL: tuple[str, ...] = ("checkpoints_stable", "checkpoints")
"""Run directories of train_stable.py and train_main.py."""
USUAL_DATA: tuple[str, ...] = ("../dataset/dataset_train", "../dataset/dataset_eval")
_SETTINGS_SUFFIXES = (".yaml", ".yml", ".json")
_METADATA = {name for names in METADATA_NAMES.values() for name in names}


def kind_of(path: Path) -> Kind:
    """The kind of `path`. Errors: DataError for what this tool cannot check."""
    name = quoted(str(path), 200)
    takes = "name a settings file, a data root, a run directory, a checkpoint or a log"
    try:
        if path.is_dir():
            return _folder_kind(path)
        if path.is_file():
            return _file_kind(path)
        there = path.exists() or path.is_symlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{name}: cannot be read: {reason}; {takes}") from None
    if there:
        raise DataError(f"{name}: is neither a file nor a folder; {takes}")
    raise DataError(f"{name}: does not exist; {takes}")


def _folder_kind(path: Path) -> Kind:
    if (path / MANIFEST).exists() or update_of_name(path.name) is not None:
        return "checkpoint"
    metadata = any((path / name).is_file() for name in _METADATA)
    if is_run(path) and not metadata:
        return "run"
    if any(update_of_name(inner.name) is not None for inner in path.iterdir()):
        raise DataError(f"{quoted(str(path), 200)}: is a folder of checkpoints; name the run directory that holds it")
    return "dataset"


def _file_kind(path: Path) -> Kind:
    if path.suffix.lower() in _SETTINGS_SUFFIXES:
        return "settings"
    if path.suffix.lower() in (".safetensors", ".h5", ".keras", ".ckpt", ".index", ".pt", ".pth"):
        raise DataError(f"{quoted(str(path), 200)}: a file with weights only; name its step-... folder or the run")
    if path.name in _METADATA:
        raise DataError(f"{quoted(str(path), 200)}: is the metadata of a data root; name its folder")
    return "log"


def usual_places(here: Path) -> Iterator[tuple[Path, Kind]]:
    """The targets in the usual places, seen from the folder `here`."""
    for name in USUAL:
        if (here / name).is_dir() and is_run(here / name):
            yield Path(name), "run"
    for path in sorted(here.glob("config*.yaml")):
        yield path.relative_to(here), "settings"
    for name in USUAL_DATA:
        if (here / name).is_dir():
            yield Path(name), "dataset"
