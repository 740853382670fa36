"""The validation sentences of a run as pictures and audio players inside the page."""

from __future__ import annotations

import base64
import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myxtts.audio.drawing import alignment_png, mel_png, mel_range
from myxtts.figures import short_text
from myxtts.report.charts import Tick, label, linear_ticks
from myxtts.report.run_files import Run, finite
from myxtts.storage.files import read_regular_file, strict_json
from myxtts.units import seconds_of_frames

MAX_MEDIA_BYTES = 25_000_000
MAX_EARLIER = 3
MAX_FILE_BYTES = 64_000_000
MAX_FRAMES = 4_000
MAX_ROWS = 1_000
MAX_INDEX_BYTES = 1_000_000
FOLDER_PREFIX = "update-"
# what NumPy and zipfile raise for a file that is not an archive of arrays: encrypted, unknown compression, bad header
_UNREADABLE = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, SyntaxError, MemoryError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip

_ARRAYS = {"true_mel_MC": "True mel", "predicted_mel_MC": "Predicted mel", "alignment_TM": "Alignment"}


@dataclass(frozen=True)
class Picture:
    """A mel or an alignment as a data URI, `rows` bands or tokens high."""

    title: str
    uri: str
    rows: int
    ticks: list[Tick]


@dataclass
class Take:
    """A sentence as the model spoke it at one validation."""

    update: int
    pictures: list[Picture] = field(default_factory=list)
    audio: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class Sentence:
    """A validation sentence with its newest take and some earlier ones, newest first."""

    name: str
    text: str
    details: str
    newest: Take
    earlier: list[Take] = field(default_factory=list)


@dataclass
class Gallery:
    """All sentences of the newest validation; `notes` say what is missing or omitted."""

    update: int = 0
    sentences: list[Sentence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Budget:
    """The bytes that are left for pictures and audio, and what did not fit."""

    def __init__(self, most: int) -> None:
        self.left = most
        self.omitted: dict[int, int] = {}

    def uri(self, kind: str, content: bytes, update: int) -> str:
        """The content as a data URI; empty if it does not fit."""
        needed = 4 * math.ceil(len(content) / 3)
        if needed > self.left:
            self.omitted[update] = self.omitted.get(update, 0) + 1
            return ""
        self.left -= needed
        return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def gallery(run: Run, max_bytes: int = MAX_MEDIA_BYTES) -> Gallery:
    """The sentences of the newest validation, each with a few earlier takes of the same name.

    Samples of updates after the end of the metrics were made before a rollback and are omitted.
    """
    everything = _indexes(run)
    measured = [*run.train.updates[-1:], *(update for update, _ in run.validations[-1:])]
    indexes = [index for index in everything if not measured or index[0] <= max(measured)]
    notes = []
    if len(indexes) < len(everything):
        omitted = ", ".join(f"{update:,}" for update, *_ in everything[len(indexes) :])
        notes.append(
            f"Omitted: samples of update {omitted}; the metrics end at {max(measured):,} (the run was rolled back, or "
            "is still writing them)."
        )
    if not indexes:
        return Gallery(notes=["No samples yet: they are written at every validation.", *notes])
    update, folder, entries = indexes[-1]
    shown = Gallery(update, notes=notes)
    budget = _Budget(max_bytes)
    for entry in entries:
        take = _take(run, update, folder, entry, budget)
        shown.sentences.append(Sentence(_name(entry), _text(entry), _details(entry), take))
    for earlier_update, earlier_folder, earlier_entries in _some_earlier(indexes[:-1], update):
        by_name = {_name(entry): entry for entry in earlier_entries}
        for sentence in shown.sentences:
            if sentence.name in by_name:
                earlier = _take(run, earlier_update, earlier_folder, by_name[sentence.name], budget, False)
                sentence.earlier.append(earlier)
    if budget.omitted:
        omitted = ", ".join(f"{count} of update {at:,}" for at, count in sorted(budget.omitted.items(), reverse=True))
        shown.notes.append(
            f"Pictures and sounds are limited to {max_bytes / 1e6:.0f} MB, newest first. Omitted: {omitted}; "
            "they are in the folder samples."
        )
    return shown


def _indexes(run: Run) -> list[tuple[int, Path, list[dict[str, Any]]]]:
    """Every readable index.json below samples/ with its update, oldest first."""
    found: list[tuple[int, Path, list[dict[str, Any]]]] = []
    root = run.path / "samples"
    for folder in root.iterdir() if root.is_dir() else ():
        number = folder.name.removeprefix(FOLDER_PREFIX)
        if not folder.name.startswith(FOLDER_PREFIX) or not (number.isascii() and number.isdigit()):
            continue
        try:
            listed = strict_json(read_regular_file(folder / "index.json", MAX_INDEX_BYTES))
        except (OSError, ValueError):
            run.notes.append(f"samples/{folder.name}/index.json is missing or not readable.")
            continue
        entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
        if entries:
            found.append((int(number), folder, entries))
    return sorted(found, key=lambda item: item[0])


def _some_earlier(
    indexes: Sequence[tuple[int, Path, list[dict[str, Any]]]], newest: int
) -> list[tuple[int, Path, list[dict[str, Any]]]]:
    """The first and those nearest to a quarter and a half of the newest, newest first: speech changes early."""
    if len(indexes) <= MAX_EARLIER:
        return list(reversed(indexes))
    wanted = [indexes[0][0], newest / 4, newest / 2]
    chosen = {min(range(len(indexes)), key=lambda i: abs(indexes[i][0] - target)) for target in wanted}
    return [indexes[i] for i in sorted(chosen, reverse=True)]


def _name(entry: dict[str, Any]) -> str:
    return short_text(entry.get("name", ""), 200)


def _text(entry: dict[str, Any]) -> str:
    return short_text(entry.get("text", ""), 5_000)


def _details(entry: dict[str, Any]) -> str:
    seconds = finite(entry.get("seconds"))
    parts = [short_text(entry.get("speaker") or ""), short_text(entry.get("language") or "")]
    parts.append(f"{seconds:.1f} s" if math.isfinite(seconds) else "")
    return " · ".join(part[:100] for part in parts if part)


def _take(
    run: Run, update: int, folder: Path, entry: dict[str, Any], budget: _Budget, with_true_mel: bool = True
) -> Take:
    """Pictures and player of one sentence at one validation; the audio is added first, as it matters most."""
    take = Take(update)
    if wav := _content(folder, entry.get("wav"), take):
        take.audio = budget.uri("audio/wav", wav, update)
    arrays = _arrays(folder, entry.get("npz"), take)
    mels = [arrays[key] for key in ("true_mel_MC", "predicted_mel_MC") if key in arrays]
    value_range = mel_range(*mels)
    for key, title in _ARRAYS.items():
        if key not in arrays or (key == "true_mel_MC" and not with_true_mel):
            continue
        array = arrays[key]
        is_mel = key.endswith("_MC")
        picture = mel_png(array, value_range) if is_mel else alignment_png(array)
        frames, rows = array.shape if is_mel else array.shape[::-1]
        if uri := budget.uri("image/png", picture, update):
            take.pictures.append(Picture(title, uri, rows, _seconds(run, frames)))
    return take


def _seconds(run: Run, frames: int) -> list[Tick]:
    """Labels of the time axis of a picture of `frames` frames."""
    rate = int(run.number("audio.sample_rate_hz", 22_050))
    total = seconds_of_frames(frames, rate, int(run.number("audio.hop_samples", 256)))
    return [Tick(round(100 * at / total, 2), f"{label(at)} s") for at in linear_ticks(0.0, total, 4)]


def _content(folder: Path, name: Any, take: Take) -> bytes:
    """The file of that name in the folder itself; an index must not name files elsewhere."""
    if not name:
        return b""
    label_text = short_text(name, 80)
    if not isinstance(name, str) or Path(name).name != name:
        take.notes.append(f"{label_text!r} is missing.")
        return b""
    try:
        return bytes(read_regular_file(folder / name, MAX_FILE_BYTES))
    except FileNotFoundError:
        take.notes.append(f"{label_text!r} is missing.")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        take.notes.append(f"{label_text!r} cannot be read ({reason}).")
    return b""


def _arrays(folder: Path, name: Any, take: Take) -> dict[str, NDArray[Any]]:
    """The known arrays of an .npz file: two dimensions, cut to what a page can show."""
    content = _content(folder, name, take)
    if not content:
        return {}
    arrays: dict[str, NDArray[Any]] = {}
    if not content.startswith(b"PK"):
        take.notes.append(f"{name!r} is not an archive of arrays.")
        return arrays
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            for key in _ARRAYS:
                if key not in stored:
                    continue
                if (
                    stored.zip.getinfo(f"{key}.npy").file_size > MAX_FILE_BYTES
                ):  # a few bytes may hold gigabytes of zeros
                    take.notes.append(f"{key} of {name!r} is larger than {MAX_FILE_BYTES / 1e6:.0f} MB and omitted.")
                    continue
                array = stored[key]
                if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
                    take.notes.append(f"{key} of {name!r} is not a picture: {array.dtype} of shape {array.shape}.")
                    continue
                most = (MAX_FRAMES, MAX_ROWS) if key.endswith("_MC") else (MAX_ROWS, MAX_FRAMES)
                arrays[key] = array[: most[0], : most[1]]
    except _UNREADABLE as error:
        take.notes.append(f"{name!r} cannot be read ({type(error).__name__}).")
    return arrays
