"""The charts of a run, and the table of its loss terms."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from myxtts.health.signs import LOSS_HIGH, LOSS_LOW, NORM_HIGH, WAIT_HIGH
from myxtts.health.state import WINDOW_UPDATES
from myxtts.loss_terms import ADVERSARIAL_TERMS
from myxtts.report.charts import Chart, Floats, Line, ReferenceLine, chart, train_lines
from myxtts.report.run_files import MAX_NAMES, Run
from myxtts.speakers import describe_speakers

MAX_MARKS = 200
VOICE_METRICS = ("voice_same", "voice_other", "voice_equal_error_rate")


@dataclass(frozen=True)
class TermRow:
    """The current value of a loss term: median of the last updates, newest validation, and percentage of the total.

    The share is NaN for what is not part of the total (a metric, an adversarial term).
    """

    name: str
    train: float
    validation: float
    weighted: float
    share: float


def main_charts(run: Run) -> list[Chart]:
    """Total loss, gradient norm, learning rate, speed and wait share, if the run has measured them."""
    end = _end(run)
    marks = [update for update, skipped in zip(run.train.updates, run.train.skipped, strict=True) if skipped]
    marks = marks[-MAX_MARKS:]
    charts = []
    if lines := _lines(run, "loss", "total"):
        shown = _within(lines, LOSS_LOW, LOSS_HIGH)
        about = f"Shaded: the healthy range, {LOSS_LOW:g} to {LOSS_HIGH:g}." if shown else ""
        charts.append(
            chart(
                "Total loss",
                lines,
                end,
                log=None,
                band=(LOSS_LOW, LOSS_HIGH) if shown else None,
                marks=marks,
                about=about,
            )
        )
    if lines := _lines(run, "grad_norm", log=True):
        clip = run.number("optimizer.clip_norm", math.nan)
        rules = [ReferenceLine("healthy under 1", NORM_HIGH)]
        if abs(clip - NORM_HIGH) < 1e-9:
            rules = [ReferenceLine("clip and healthy limit 1", clip)]
        elif math.isfinite(clip):
            rules.append(ReferenceLine(f"clip {clip:g}", clip))
        charts.append(chart("Gradient norm", lines, end, unit="before clipping", log=True, rules=rules, marks=marks))
    if lines := _lines(run, "learning_rate"):
        charts.append(
            chart("Learning rate", [replace(line, style="train") for line in lines if line.style == "raw"], end)
        )
    if lines := _lines(run, "frames_per_second"):
        charts.append(chart("Speed", lines, end, unit="mel frames per second"))
    if lines := _lines(run, "wait_share"):
        rules = [ReferenceLine(f"healthy under {WAIT_HIGH:.0%}", WAIT_HIGH)]
        charts.append(chart("Waiting for data", lines, end, unit="share of the time", rules=rules, percent=True))
    return charts


def term_charts(run: Run) -> list[Chart]:
    """One chart per loss term (unweighted) and per other validation metric."""
    end = _end(run)
    of = next((run.voices_of[update] for update, _ in reversed(run.validations) if update in run.voices_of), None)
    speakers = f"Newest: of {describe_speakers(*of)}." if of else ""
    return [
        chart(_words(name), lines, end, log=None, about=speakers if name in VOICE_METRICS else "")
        for name in term_names(run)
        if (lines := _lines(run, f"terms.{name}", name))
    ]


def term_names(run: Run) -> list[str]:
    """Names of the terms in the order in which training wrote them, then metrics that only validation has.

    Terms that were always 0 are omitted: they belong to a part that this model does not have.
    """
    terms = run.newest.get("terms")
    names = [name[:100] for name in islice(terms, MAX_NAMES)] if isinstance(terms, dict) else []
    names += sorted(key[6:] for key in run.train.values if key.startswith("terms.") and key[6:] not in names)
    for _, metrics in run.validations:
        names += [name for name in metrics if name not in names and name != "total" and len(names) < MAX_NAMES]
    return [name for name in dict.fromkeys(names) if _is_there(run, name)]


def _is_there(run: Run, name: str) -> bool:
    values = run.train.values.get(f"terms.{name}", [])
    return not values or any(value != 0.0 for value in values)


def term_table(run: Run) -> list[TermRow]:
    """The current loss terms, largest share first."""
    newest = run.validations[-1][1] if run.validations else {}
    weighted = {name: recent(run, f"weighted.{name}") for name in term_names(run)}
    counted = {
        name: abs(value) for name, value in weighted.items() if math.isfinite(value) and name not in ADVERSARIAL_TERMS
    }
    total = sum(counted.values()) or math.nan
    rows = [
        TermRow(
            _words(name),
            recent(run, f"terms.{name}"),
            newest.get(name, math.nan),
            weighted[name],
            100.0 * counted[name] / total if name in counted else math.nan,
        )
        for name in weighted
    ]
    return sorted(rows, key=lambda row: -row.share if math.isfinite(row.share) else 1.0)


def recent(run: Run, name: str) -> float:
    """Median of the finite values of the last updates; NaN if there are none."""
    values = np.asarray(run.train.values.get(name, [])[-WINDOW_UPDATES:], np.float64)
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else math.nan


def _end(run: Run) -> float:
    last_validation = run.validations[-1][0] if run.validations else 0
    return float(max(run.train.updates[-1] if run.train.updates else 0, last_validation, 1))


def _lines(run: Run, key: str, metric: str = "", log: bool = False) -> list[Line]:
    """The curves of a training value and of the validation metric of that name, if they have finite values."""
    lines: list[Line] = []
    y = np.asarray(run.train.values.get(key, []), np.float64)
    y = np.where(np.asarray(run.train.skipped, bool), np.nan, y) if y.size else y
    if np.isfinite(y).any():
        lines += train_lines("training", np.asarray(run.train.updates, np.float64), y, log)
    points = [(update, metrics[metric]) for update, metrics in run.validations if metric in metrics]
    if points:
        pairs = np.asarray(points, np.float64)
        if np.isfinite(pairs[:, 1]).any():
            lines.append(Line("validation", pairs[:, 0], pairs[:, 1], "validation"))
    return lines


def _within(lines: list[Line], low: float, high: float) -> bool:
    """Whether part of the curve is in low..high, so that shading the range is useful."""
    values: Floats = np.concatenate([line.y for line in lines])
    return bool(((values >= low) & (values <= high)).any())


def _words(name: str) -> str:
    if name == "kl":
        return "KL divergence"
    return name.replace("_", " ").strip().capitalize() or name
