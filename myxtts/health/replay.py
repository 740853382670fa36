"""How a run stands by what it wrote: the one replay of its journal, for the doctor, the report page and measurements.

A training feeds its Health as it goes. Whoever reads a run afterwards lets `replay` feed another one with the same
figures, so that nobody judges by another metric than the training did.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from myxtts.config.schema import LossConfig, TrainingConfig
from myxtts.figures import finite_number, update_number
from myxtts.health.tracker import Health
from myxtts.speakers import people_of
from myxtts.storage.files import read_regular_file
from myxtts.storage.run_directory import RunDirectory

L = TypeVar("L", "Update", "Validated")
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Measure:
    """What a run is judged by, of its settings and its corpus."""

    best_metric: str
    """training.best_metric: which figure of a validation must not rise."""
    adaptive_weights: bool
    """loss.adaptive_weights: the loss of the updates is another sum than the total of a validation."""
    clip_norm: float | None = None
    """optimizer.clip_norm; None where it is not known."""
    people: int | None = None
    """Training speakers; None where they are not known."""


@dataclass(frozen=True, slots=True)
class Update:
    """A line of an update: None for what was not measured or is no figure; `anew`: its loss is another than before."""

    update: int
    loss: float | None
    grad_norm: float | None
    wait_share: float | None
    skipped: bool
    overflow: bool
    anew: bool

    @property
    def refused(self) -> bool:
        """Whether it was refused; by an overflow of fp16 it was not, the scale finds its place so."""
        return self.skipped and not self.overflow


@dataclass(frozen=True, slots=True)
class Validated:
    """A line of a validation: its figures, NaN for one that went bad; `anew`: the best is chosen anew from here on.

    `voices_of`: how many speakers its voices are of, and how many of them were never trained on.
    """

    update: int
    metrics: Mapping[str, float]
    anew: bool
    voices_of: tuple[int, int] | None


def measure_of(config: Mapping[str, Any], corpus: Mapping[str, Any]) -> Measure:
    """The measure of a run by the values of its config.yaml and corpus.json; the schema's where they do not say."""
    training, loss, optimizer = (_mapping(config.get(name)) for name in ("training", "loss", "optimizer"))
    metric, adaptive = training.get("best_metric"), loss.get("adaptive_weights")
    clip = finite_number(optimizer.get("clip_norm"))
    speakers = corpus.get("speakers")
    named = isinstance(speakers, list) and all(isinstance(name, str) for name in speakers)
    return Measure(
        best_metric=metric if isinstance(metric, str) else TrainingConfig().best_metric,
        adaptive_weights=adaptive if isinstance(adaptive, bool) else LossConfig().adaptive_weights,
        clip_norm=clip if clip is not None and clip > 0.0 else None,
        people=people_of(speakers) if named and speakers else None,
    )


def read_measure(run: Path) -> Measure:
    """The measure of a run directory; a file that is missing or damaged says nothing."""
    directory = RunDirectory(run)
    config = _read(directory.config_path, yaml.safe_load)
    return measure_of(config, _read(directory.corpus_path, json.loads))


def replay(
    records: Iterable[Mapping[str, Any]],
    measure: Measure,
    after: Callable[[Update | Validated, Health], None] | None = None,
) -> Health:
    """The health of a run at its end, by the records of its metrics.jsonl; foreign ones count for nothing.

    Args:
        records: in the order of the file, as `storage.journal.read_metrics` gives them. An update that was made again
            after going back counts once.
        measure: what the run is judged by (`read_measure`).
        after: called after each line that counts, with the health as it stood then.
    """
    health = Health()
    if measure.people is not None:
        health.know_people(measure.people)
    for line in _lines(records):
        if isinstance(line, Update):
            if line.anew:
                _forget_losses(health, measure)
            health.observe(
                line.update,
                loss=line.loss,
                grad_norm=line.grad_norm,
                clip_norm=measure.clip_norm,
                skipped=line.refused,
                wait_share=line.wait_share,
            )
        else:
            _observe_validation(health, line, measure)
        if after is not None:
            after(line, health)
    return health


def voices_of(record: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many speakers the voices of a validation's record are of, and how many of them were never trained on."""
    voices = _mapping(record.get("voices"))
    speakers, strangers = update_number(voices.get("speakers")), update_number(voices.get("strangers"))
    return None if speakers is None or strangers is None else (speakers, strangers)


def _forget_losses(health: Health, measure: Measure) -> None:
    """As training.trainer does it."""
    health.forget_losses()
    if measure.best_metric == "total":
        health.forget_best()


def _observe_validation(health: Health, line: Validated, measure: Measure) -> None:
    """As training.validation does it."""
    metrics = line.metrics
    if line.anew:
        health.forget_best()
    if measure.best_metric in metrics:
        health.observe_validation(line.update, metrics[measure.best_metric])
    if not measure.adaptive_weights:
        health.observe_total(line.update, metrics.get("total", math.nan))
    health.observe_voices(
        line.update,
        metrics.get("voice_equal_error_rate", math.nan),
        same=metrics.get("voice_same"),
        other=metrics.get("voice_other"),
        of=line.voices_of,
    )


def _lines(records: Iterable[Mapping[str, Any]]) -> list[Update | Validated]:
    """The lines that count: where the number goes back, what follows is made again, and the repetition counts."""
    updates: list[tuple[int, Update]] = []
    validations: list[tuple[int, Validated]] = []
    for place, record in enumerate(records):
        update, kind = update_number(record.get("update")), record.get("kind")
        if update is None or kind not in ("train", "validation"):
            continue
        if kind == "validation":
            _drop_from(validations, update)
            metrics = _mapping(record.get("metrics"))
            figures = {name: math.nan if (f := finite_number(v)) is None else f for name, v in metrics.items()}
            line = Validated(update, figures, record.get("anew") is True, voices_of(record))
            validations.append((place, line))
            continue
        newest = updates[-1][1] if updates else None
        # an update that was skipped is followed by the next attempt at it
        if newest is not None and (update < newest.update or (update == newest.update and not newest.skipped)):
            _drop_from(updates, update)
            _drop_from(validations, update)
        made = Update(
            update,
            finite_number(record.get("loss")),
            finite_number(record.get("grad_norm")),
            finite_number(record.get("wait_share")),
            record.get("skipped") is True,
            record.get("overflow") is True,
            record.get("anew") is True,
        )
        updates.append((place, made))
    both: list[tuple[int, Update | Validated]] = [*updates, *validations]
    return [line for _, line in sorted(both, key=lambda item: item[0])]


def _drop_from(lines: list[tuple[int, L]], update: int) -> None:
    """Takes away the lines at and after `update`, which stand at the end."""
    while lines and lines[-1][1].update >= update:
        lines.pop()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(path: Path, parse: Callable[[bytes], object]) -> Mapping[str, Any]:
    try:
        return _mapping(parse(bytes(read_regular_file(path, _MOST_BYTES))))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
