"""Exports a checkpoint: loads it, writes one format into a temporary folder, verifies it, and moves it into place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from myxtts.export.hub import write_hub
from myxtts.export.litert import write_litert
from myxtts.export.onnx_file import ExportError, import_onnx
from myxtts.export.onnx_folder import write_folder
from myxtts.export.place import new_folder
from myxtts.export.player import write_player
from myxtts.export.saved_model import write_saved_model
from myxtts.export.source import Source, voices_of
from myxtts.progress import Progress, silent
from myxtts.synthesis.opened import OpenedCheckpoint, language_index
from myxtts.vocoder.files import NEURAL, find_vocoder


@dataclass(frozen=True)
class ExportRequest:
    """What to export: the format, a new folder, voices by speaker and by file, storage of the weights, the licence, the
    language of a player, and the vocoder (vocoder.files.find_vocoder)."""

    format: str
    out: Path
    speakers: tuple[str, ...] = ()
    voices: tuple[Path, ...] = ()
    weights: str = "fp32"
    license_name: str = ""
    language: str | None = None
    vocoder: str = NEURAL


@dataclass(frozen=True)
class ExportResult:
    """Name and size of the files, notes, and lines with what was verified."""

    files: Mapping[str, int]
    notes: tuple[str, ...]
    lines: tuple[str, ...]


def _player(folder: Path, source: Source, request: ExportRequest, *, sherpa: bool) -> list[str]:
    language, _ = language_index(source.opened, request.language)
    return write_player(folder, source, language, request.weights, request.license_name, sherpa=sherpa)


WRITERS: dict[str, Callable[[Path, Source, ExportRequest], list[str]]] = {
    "onnx": lambda folder, source, request: write_folder(folder, source, request.weights, request.license_name),
    "piper": lambda folder, source, request: _player(folder, source, request, sherpa=False),
    "sherpa": lambda folder, source, request: _player(folder, source, request, sherpa=True),
    "savedmodel": lambda folder, source, request: write_saved_model(folder, source, request.license_name),
    "litert": lambda folder, source, request: write_litert(folder, source, request.weights, request.license_name),
    "hub": lambda folder, source, request: write_hub(folder, source, request.weights, request.license_name),
}
"""Format -> function that writes it into an empty folder, verifies it, and returns lines for the user."""
_WITHOUT_ONNX = ("savedmodel", "litert")
"""Formats that TensorFlow itself writes."""


def export(opened: OpenedCheckpoint, request: ExportRequest, progress: Progress = silent) -> ExportResult:
    """Exports a checkpoint to `request.out`, which appears complete or not at all.

    Raises:
        DataError, CheckpointError, ConfigError: a voice, the checkpoint or an option cannot be used.
        StorageError: the files cannot be written.
        ExportError: the result is not what TensorFlow computes; nothing is left.
    """
    if request.format not in _WITHOUT_ONNX:
        import_onnx()
    vocoder = find_vocoder(request.vocoder, opened.config.audio)
    voices, notes = voices_of(opened, request.speakers, request.voices)
    progress("loading the model", 0, 2)
    source = Source(opened, opened.load(), tuple(voices), tuple(notes), vocoder)
    if not voices and request.format not in ("piper", "sherpa"):
        notes.append("no voice is exported: it speaks in the voice of a recording; --speaker or --voice adds one")
    if untrained := source.untrained:
        notes.append(f"{len(untrained)} of {len(opened.table)} symbols never occurred in training and are not spoken")
    with new_folder(request.out) as folder:
        progress("exporting", 1, 2)
        lines = WRITERS[request.format](folder, source, request)
        if path := _path_inside(folder, opened):
            raise ExportError(f"{path} contains a path of this machine")
        files = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*"))
                 if path.is_file()}  # fmt: skip
    progress("exporting", 2, 2)
    return ExportResult(files, tuple(notes), tuple(lines))


def _path_inside(folder: Path, opened: OpenedCheckpoint) -> str | None:
    """The first file that contains the path of the checkpoint or of the training data."""
    secrets = [str(opened.path.absolute()), str(opened.path.absolute().parent), opened.config.data.train_path]
    wanted = [text.encode() for text in secrets if text.count("/") > 1]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and any(text in path.read_bytes() for text in wanted):
            return str(path.relative_to(folder))
    return None
