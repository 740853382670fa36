"""The health of a run from its journal, for the doctor, the report page and measurements.

A training feeds its Health as it goes. `replay` feeds another one with the figures in metrics.jsonl, so that every
reader judges a run by the same metric and the same rules as the training did.
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
from myxtts.health.signs import BestRule
from myxtts.health.tracker import Health
from myxtts.speakers import count_speakers
from myxtts.storage.files import read_regular_file
from myxtts.storage.run_directory import RunDirectory

L = TypeVar("L", "UpdateLine", "ValidationLine")
_MOST_BYTES = 64 << 20
_DEFAULT_RULE = BestRule(TrainingConfig().early_stopping_min_delta, TrainingConfig().best_tolerance)


@dataclass(frozen=True)
class Measure:
    """What a run is judged by, from its settings and its corpus."""

    best_metric: str
    """training.best_metric: the figure of a validation that must not rise."""
    adaptive_weights: bool
    """loss.adaptive_weights: the loss of the updates is not comparable with the total of a validation."""
    clip_norm: float | None = None
    """optimizer.clip_norm; None if not known."""
    people: int | None = None
    """Training speakers; None if not known."""
    rule: BestRule = _DEFAULT_RULE
    """Which validation is the best."""


@dataclass(frozen=True, slots=True)
class UpdateLine:
    """A line of an update; None for a figure that is missing or not finite."""

    update: int
    loss: float | None
    grad_norm: float | None
    wait_share: float | None
    skipped: bool
    overflow: bool
    reset: bool
    """Whether the loss function changed with this update."""

    @property
    def counts_as_skipped(self) -> bool:
        """Whether it is a fault that it was skipped: an overflow of fp16 only lowers the loss scale."""
        return self.skipped and not self.overflow


@dataclass(frozen=True, slots=True)
class ValidationLine:
    """A line of a validation, with NaN for a figure that is not finite."""

    update: int
    metrics: Mapping[str, float]
    reset: bool
    """Whether the best is chosen again from this validation on."""
    voices_of: tuple[int, int] | None
    """How many speakers took part in the speaker verification, and how many of them are unseen."""


def measure_of(config: Mapping[str, Any], corpus: Mapping[str, Any]) -> Measure:
    """The measure of a run from the content of its config.yaml and corpus.json, with defaults for missing settings."""
    training, loss, optimizer = (_mapping(config.get(name)) for name in ("training", "loss", "optimizer"))
    metric, adaptive = training.get("best_metric"), loss.get("adaptive_weights")
    clip = finite_number(optimizer.get("clip_norm"))
    delta, tolerance = (finite_number(training.get(n)) for n in ("early_stopping_min_delta", "best_tolerance"))
    speakers = corpus.get("speakers")
    named = isinstance(speakers, list) and all(isinstance(name, str) for name in speakers)
    named = named and config.get("trains") != "vocoder"
    return Measure(
        best_metric=metric if isinstance(metric, str) else TrainingConfig().best_metric,
        adaptive_weights=adaptive if isinstance(adaptive, bool) else LossConfig().adaptive_weights,
        clip_norm=clip if clip is not None and clip > 0.0 else None,
        people=count_speakers(speakers) if named and speakers else None,
        rule=BestRule(
            _DEFAULT_RULE.min_delta if delta is None or delta < 0.0 else delta,
            _DEFAULT_RULE.tolerance if tolerance is None or tolerance < 0.0 else tolerance,
        ),
    )


def read_measure(run: Path) -> Measure:
    """The measure of a run directory; a missing or damaged file counts as empty."""
    directory = RunDirectory(run)
    config = _read(directory.config_path, yaml.safe_load)
    return measure_of(config, _read(directory.corpus_path, json.loads))


def replay(
    records: Iterable[Mapping[str, Any]],
    measure: Measure,
    after: Callable[[UpdateLine | ValidationLine, Health], None] | None = None,
) -> Health:
    """The health of a run at its end, from the records of its metrics.jsonl; foreign records are ignored.

    Args:
        records: in the order of the file, as `storage.journal.read_metrics` returns them. An update that was made
            again after a rollback or a resume counts once.
        measure: what the run is judged by (`read_measure`).
        after: called after each line that counts, with the health at that line.
    """
    health = Health()
    if measure.people is not None:
        health.set_people(measure.people)
    for line in _lines(records):
        if isinstance(line, UpdateLine):
            if line.reset:
                _forget_losses(health, measure)
            health.observe(
                line.update,
                loss=line.loss,
                grad_norm=line.grad_norm,
                clip_norm=measure.clip_norm,
                skipped=line.counts_as_skipped,
                wait_share=line.wait_share,
            )
        else:
            _observe_validation(health, line, measure)
        if after is not None:
            after(line, health)
    return health


def voices_of(record: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many speakers a validation's record verified, and how many of them are unseen."""
    voices = _mapping(record.get("voices"))
    speakers, unseen = update_number(voices.get("speakers")), update_number(voices.get("unseen"))
    return None if speakers is None or unseen is None else (speakers, unseen)


def _forget_losses(health: Health, measure: Measure) -> None:
    """As training.run_state does it."""
    health.forget_losses()
    if measure.best_metric == "total":
        health.forget_best()


def _observe_validation(health: Health, line: ValidationLine, measure: Measure) -> None:
    """As training.validation does it."""
    metrics = line.metrics
    if line.reset:
        health.forget_best()
    if measure.best_metric in metrics:
        value = metrics[measure.best_metric]
        health.observe_validation(line.update, value, measure.rule.updated(health.best, line.update, value))
    if not measure.adaptive_weights:
        health.observe_total(line.update, metrics.get("total", math.nan))
    health.observe_voices(
        line.update,
        metrics.get("voice_equal_error_rate", math.nan),
        same=metrics.get("voice_same"),
        other=metrics.get("voice_other"),
        of=line.voices_of,
    )


def _lines(records: Iterable[Mapping[str, Any]]) -> list[UpdateLine | ValidationLine]:
    """The lines that count: when the update number goes back, the lines that follow replace the earlier ones."""
    updates: list[tuple[int, UpdateLine]] = []
    validations: list[tuple[int, ValidationLine]] = []
    for place, record in enumerate(records):
        update, kind = update_number(record.get("update")), record.get("kind")
        if update is None or kind not in ("train", "validation"):
            continue
        if kind == "validation":
            _drop_from(validations, update)
            metrics = _mapping(record.get("metrics"))
            figures = {name: math.nan if (f := finite_number(v)) is None else f for name, v in metrics.items()}
            line = ValidationLine(update, figures, record.get("reset") is True, voices_of(record))
            validations.append((place, line))
            continue
        newest = updates[-1][1] if updates else None
        # a skipped update is followed by the next attempt at the same number
        if newest is not None and (update < newest.update or (update == newest.update and not newest.skipped)):
            _drop_from(updates, update)
            _drop_from(validations, update)
        made = UpdateLine(
            update,
            finite_number(record.get("loss")),
            finite_number(record.get("grad_norm")),
            finite_number(record.get("wait_share")),
            record.get("skipped") is True,
            record.get("overflow") is True,
            record.get("reset") is True,
        )
        updates.append((place, made))
    both: list[tuple[int, UpdateLine | ValidationLine]] = [*updates, *validations]
    return [line for _, line in sorted(both, key=lambda item: item[0])]


def _drop_from(lines: list[tuple[int, L]], update: int) -> None:
    """Remove the lines at and after `update`, which are at the end."""
    while lines and lines[-1][1].update >= update:
        lines.pop()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(path: Path, parse: Callable[[bytes], object]) -> Mapping[str, Any]:
    try:
        return _mapping(parse(bytes(read_regular_file(path, _MOST_BYTES))))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
