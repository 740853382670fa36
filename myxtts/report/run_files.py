"""Reads the files of a run directory, also while training writes them or after a kill left them incomplete."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from myxtts.errors import DataError
from myxtts.figures import finite_number, update_number
from myxtts.health.replay import voices_of
from myxtts.rungs import RUNGS
from myxtts.storage.files import open_regular, read_regular_file, storage_error

MAX_EVENTS = 20_000
MAX_LADDER_EVENTS = 200
HIGHEST_RUNG = max(RUNGS)
GOES_BACK = ("start", "resume", "rollback", "rollback_ended", "repaired")
"""Events after which the run continues from their update: later checkpoints no longer count."""
MARKER_FILES = ("config.yaml", "metrics.jsonl", "events.jsonl")

MAX_NAMES = 100
"""Largest number of loss terms and metrics that are drawn; a run has about twenty."""
_MOST_BYTES = 64 << 20
_LONGEST_LINE = 1 << 20

Series = dict[str, list[float]]


@dataclass
class TrainCurve:
    """One entry per update, in order: its number and every measured value, NaN if there is none."""

    updates: list[int] = field(default_factory=list)
    skipped: list[bool] = field(default_factory=list)
    values: Series = field(default_factory=dict)

    def append(self, update: int, skipped: bool, measured: Mapping[str, float]) -> None:
        """Adds an update; a new value is NaN for all earlier updates."""
        for name in measured:
            if name not in self.values and len(self.values) < MAX_NAMES:
                self.values[name] = [math.nan] * len(self.updates)
        for name, values in self.values.items():
            values.append(measured.get(name, math.nan))
        self.updates.append(update)
        self.skipped.append(skipped)

    def drop_from(self, update: int) -> None:
        """Removes updates from `update` on: training went back to an earlier checkpoint."""
        kept = len(self.updates)
        while kept and self.updates[kept - 1] >= update:
            kept -= 1
        del self.updates[kept:], self.skipped[kept:]
        for values in self.values.values():
            del values[kept:]


@dataclass
class Run:
    """The content of a run directory. `notes` are sentences about missing or damaged files."""

    path: Path
    config: dict[str, Any] = field(default_factory=dict)
    provenance: Any = None
    corpus: dict[str, Any] = field(default_factory=dict)
    train: TrainCurve = field(default_factory=TrainCurve)
    validations: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    best_reset_at: list[int] = field(default_factory=list)
    """Updates of the validations that restart the choice of the best checkpoint."""
    best_updates: list[int] = field(default_factory=list)
    """Updates of the checkpoints that the run saved as the best, in order."""
    voices_of: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Update of a validation -> number of speakers in its speaker verification, and how many of them are unseen."""
    newest: dict[str, Any] = field(default_factory=dict)
    first_time: float | None = None
    last_time: float | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    ladder: list[dict[str, Any]] = field(default_factory=list)
    """The newest events of the recovery ladder."""
    rungs: Counter[int] = field(default_factory=Counter)
    """Rung -> how often it was taken."""
    notes: list[str] = field(default_factory=list)

    @property
    def best_update(self) -> int | None:
        """Update of the best checkpoint, as the run marked it; None if there is none."""
        return self.best_updates[-1] if self.best_updates else None

    @property
    def skipped(self) -> list[bool]:
        """Whether each update was skipped; fp16 overflows do not count, since the loss scale is found by them."""
        overflow = self.train.values.get("overflow", [math.nan] * len(self.train.skipped))
        return [skipped and not over > 0.0 for skipped, over in zip(self.train.skipped, overflow, strict=True)]

    def setting(self, key: str, default: Any = None) -> Any:
        """The setting `section.key` or `key` of config.yaml, or `default` if it is not there."""
        value: Any = self.config
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return default
            value = value[part]
        return value

    def number(self, key: str, default: float) -> float:
        """The setting if it is a finite number over 0, else `default`."""
        value = finite_number(self.setting(key, default))
        return value if value is not None and value > 0.0 else default


def read_run(path: Path) -> Run:
    """Reads a run directory. Raises DataError if it is not one; missing or damaged files are noted, not raised."""
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise DataError(f"run directory {str(path)!r} {what}; name the folder given as --checkpoint-dir")
    if not any((path / name).is_file() for name in MARKER_FILES):
        raise DataError(
            f"{str(path)!r} is not a run directory: it has none of {', '.join(MARKER_FILES)}; "
            "name the folder given as --checkpoint-dir"
        )
    run = Run(path)
    run.config = _read_config(run)
    run.provenance = _read_json(run, "provenance.json")
    corpus = _read_json(run, "corpus.json")
    run.corpus = corpus if isinstance(corpus, dict) else {}
    _read_metrics(run)
    for event in _lines(run, "events.jsonl"):
        run.events.append(event)
        if len(run.events) > MAX_EVENTS:
            del run.events[: MAX_EVENTS // 2]
        _follow_best(run, event)
        rung = update_number(event.get("rung"))
        if rung is not None and rung <= HIGHEST_RUNG:
            run.rungs[rung] += 1
            run.ladder = [*run.ladder[-MAX_LADDER_EVENTS + 1 :], event]
    return run


def _follow_best(run: Run, event: Mapping[str, Any]) -> None:
    """Follows which checkpoint the run marked as its best: a rollback or an earlier resume undoes later marks."""
    kind, update = event.get("event"), update_number(event.get("update"))
    if update is None:
        return
    if kind == "best":
        run.best_updates.append(update)
    elif kind in GOES_BACK:
        run.best_updates = [best for best in run.best_updates if best <= update]


def finite(value: object) -> float:
    """The value as a float, NaN if it is not a finite number."""
    number = finite_number(value)
    return math.nan if number is None else number


def _read_text(run: Run, name: str) -> str | None:
    path = run.path / name
    if not path.is_file():
        run.notes.append(f"There is no {name}.")
        return None
    try:
        return read_regular_file(path, _MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise storage_error("reading", path, error) from error
    except ValueError as error:
        run.notes.append(f"{name} is not read: {error}.")
        return None


def _read_config(run: Run) -> dict[str, Any]:
    text = _read_text(run, "config.yaml")
    if text is None:
        return {}
    try:
        config = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        run.notes.append("config.yaml is not readable as settings.")
        return {}
    return config


def _read_json(run: Run, name: str) -> Any:
    text = _read_text(run, name)
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        run.notes.append(f"{name} is not readable as JSON.")
        return None


def _lines(run: Run, name: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a file of lines; other lines are counted and noted."""
    path = run.path / name
    if not path.is_file():
        run.notes.append(f"There is no {name}.")
        return
    torn, first_torn = 0, 0
    try:
        with open_regular(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line.decode("utf-8", "replace"))
                except (ValueError, RecursionError):
                    record = None
                if isinstance(record, dict):
                    yield record
                else:
                    torn, first_torn = torn + 1, first_torn or number
    except OSError as error:
        raise storage_error("reading", path, error) from error
    if torn == 1:
        run.notes.append(f"Line {first_torn:,} of {name} could not be read and is ignored.")
    elif torn:
        run.notes.append(f"{torn:,} lines of {name} could not be read and are ignored (first: line {first_torn:,}).")


def _read_metrics(run: Run) -> None:
    unusable = 0
    for record in _lines(run, "metrics.jsonl"):
        update = update_number(record.get("update"))
        if update is None:
            unusable += 1
            continue
        moment = finite(record.get("time"))
        if math.isfinite(moment):
            run.first_time = moment if run.first_time is None else run.first_time
            run.last_time = moment
        if record.get("kind") == "train":
            _add_update(run, update, record)
        elif record.get("kind") == "validation":
            metrics = _figures(record.get("metrics"))
            _drop_validations(run, update)
            run.validations.append((update, metrics))
            if (of := voices_of(record)) is not None:
                run.voices_of[update] = of
            if record.get("reset") is True:
                run.best_reset_at.append(update)
    if unusable:
        run.notes.append(f"{unusable:,} entries of metrics.jsonl have no update number and are ignored.")


def _drop_validations(run: Run, update: int) -> None:
    """Removes validations from `update` on: they are repeated."""
    while run.validations and run.validations[-1][0] >= update:
        at, _ = run.validations.pop()
        run.voices_of.pop(at, None)
    while run.best_reset_at and run.best_reset_at[-1] >= update:
        run.best_reset_at.pop()


def _add_update(run: Run, update: int, record: Mapping[str, Any]) -> None:
    """Adds an update; if its number goes back, a resumed run repeats what follows, and only the repeat counts."""
    curve = run.train
    skipped = record.get("skipped") is True
    if curve.updates and update <= curve.updates[-1]:
        repeats_skipped = update == curve.updates[-1] and curve.skipped[-1]
        if not repeats_skipped:
            curve.drop_from(update)
            _drop_validations(run, update)
    names = ("loss", "grad_norm", "learning_rate", "frames", "frames_per_second", "wait_share", "epoch")
    measured = {name: finite(record.get(name)) for name in names}
    measured |= {name: float(record.get(name) is True) for name in ("overflow", "reset")}
    for group in ("terms", "weighted"):
        measured |= {f"{group}.{term}": value for term, value in _figures(record.get(group)).items()}
    curve.append(update, skipped, measured)
    run.newest = dict(record)


def _figures(value: object) -> dict[str, float]:
    """The first MAX_NAMES figures of a JSON object; empty for any other value."""
    named = islice(value.items(), MAX_NAMES) if isinstance(value, dict) else ()
    return {name[:100]: finite(figure) for name, figure in named}
