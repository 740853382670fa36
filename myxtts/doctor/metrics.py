"""Finds where NaN began in a log and what led to it: metrics.jsonl of MyXTTS, or a text log of any program."""

from __future__ import annotations

import math
import os
import re
import statistics
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from myxtts.doctor.findings import Certainty, Report
from myxtts.doctor.messages import message
from myxtts.errors import DataError
from myxtts.figures import finite_number, update_number
from myxtts.progress import Progress
from myxtts.storage.files import strict_json

WINDOW = 200
"""Lines before the first NaN that are looked at."""
NEWEST = 10
NORM_RISE, LOSS_RISE, RATE_JUMP = 3.0, 1.3, 2.0
"""Factor between the newest lines and those before them that counts as a rise."""
CERTAIN_SHARE, LIKELY_SHARE = 0.5, 0.05
"""Share of bad lines from the first one on, or among the newest: a run survives a few."""
_LONGEST_LINE, _LONGEST_NAME = 4_000, 100
_FIGURE = re.compile(
    r"([a-z][a-z0-9_/. -]{0,40}?)['\"]?\s*[:=]\s*"
    r"([-+]?(?:nan|inf(?:inity)?|\d[\d_]*(?:\.\d*)?(?:e[-+]?\d+)?))(?![\w.])",
    re.IGNORECASE,
)
_UPDATE = re.compile(r"\b(?:step|update|iter|iteration)s?\b[ :=#]*(\d{1,12})", re.IGNORECASE)
_BARE_NAN = re.compile(r"(loss|grad\w*|norm)\b[^\n:=]{0,20}?\b(?:is |was |became )?nan\b", re.IGNORECASE)


@dataclass(frozen=True)
class LogLine:
    """One line of a log: its number, its update if it has one, and figures; `bad` names those that are not finite."""

    line: int
    update: int | None
    loss: float | None
    norm: float | None
    rate: float | None
    bad: tuple[str, ...] = ()
    skipped: bool = False


def check_log(path: Path, progress: Progress) -> Report:
    """Where NaN began in a log and what led to it. Errors: DataError if the file cannot be read or has no figures."""
    report = Report(str(path), "log")
    before: deque[LogLine] = deque(maxlen=WINDOW)
    since: deque[bool] = deque(maxlen=WINDOW)
    first: LogLine | None = None
    count = bad = healthy = 0
    for row in _rows(path, progress):
        count += 1
        if row.bad or row.skipped:
            bad += 1
            first = first or row
        elif first is None:
            before.append(row)
        else:
            healthy += 1
        if first is not None:
            since.append(bool(row.bad or row.skipped))
    if not count:
        raise DataError(f"{str(path)!r}: no line holds a loss, a norm or a learning rate; name a training log")
    report.facts.append(message("log_read", lines=count, bad=bad))
    if first is not None:
        certainty = _certainty(max(bad / (bad + healthy), sum(since) / len(since)))
        _add_first(report, path, first, certainty)
        _add_causes(report, path, first, list(before), certainty)
    return report


def _certainty(share: float) -> Certainty:
    if share >= CERTAIN_SHARE:
        return Certainty.CERTAIN
    return Certainty.LIKELY if share >= LIKELY_SHARE else Certainty.POSSIBLE


def _rows(path: Path, progress: Progress) -> Iterator[LogLine]:
    """Every line with figures."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            total = os.fstat(descriptor).st_size
            done = 0
            for number, raw in enumerate(file, 1):
                done += len(raw)
                if number % 2_000 == 0:
                    progress("log", done, total)
                for part in raw.split(b"\r"):  # a progress bar redrawn within one line
                    row = row_of(part[:_LONGEST_LINE], number)
                    if row is not None:
                        yield row
            progress("log", total, total)
    except OSError as error:
        raise DataError(f"{str(path)!r}: cannot be read: {error.strerror}; name a training log") from None


def row_of(raw: bytes, number: int) -> LogLine | None:
    """A line's figures; None if it has none."""
    text = raw.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            record = strict_json(text.encode())
        except ValueError:
            record = None
        if isinstance(record, dict) and "update" in record:
            return _journal_row(record, number)
    return _text_row(text, number)


def _journal_row(record: dict[str, object], number: int) -> LogLine | None:
    if record.get("kind") != "train":
        return None
    nonfinite = record.get("nonfinite")
    bad = (
        tuple(name[:_LONGEST_NAME] for name in nonfinite if isinstance(name, str))
        if isinstance(nonfinite, list)
        else ()
    )
    return LogLine(
        number,
        update_number(record.get("update")),
        finite_number(record.get("loss")),
        finite_number(record.get("grad_norm")),
        finite_number(record.get("learning_rate")),
        bad,
        record.get("skipped") is True,
    )


def _text_row(text: str, number: int) -> LogLine | None:
    loss = norm = rate = None
    numbered = _UPDATE.search(text)
    update = int(numbered[1]) if numbered else None
    bad = []
    for name, figure in _FIGURE.findall(text):
        kind = _kind(name.strip().lower())
        if not kind:
            continue
        value = _read(figure)
        if not math.isfinite(value):
            bad.append(name.strip()[-40:])
        elif kind == "loss":
            loss = value if loss is None else loss
        elif kind == "norm":
            norm = value if norm is None else norm
        else:
            rate = value
    bare = _BARE_NAN.search(text)
    if bare and not bad:
        bad.append(bare[1])
    if not bad and loss is None and norm is None and rate is None:
        return None
    return LogLine(number, update, loss, norm, rate, tuple(bad))


def _read(figure: str) -> float:
    try:
        return float(figure.replace("_", ""))
    except (ValueError, OverflowError):
        return math.nan


def _kind(name: str) -> str:
    words = set(re.split(r"[^a-z]+", name))
    if "loss" in name or "total" in words:
        return "loss"
    if "norm" in name or "grad" in name:
        return "norm"
    return "rate" if words & {"lr", "learning", "learningrate"} else ""


def _where(path: Path, row: LogLine) -> str:
    return f"{path}:{row.line}"


def _add_first(report: Report, path: Path, first: LogLine, certainty: Certainty) -> None:
    at: object = first.update if first.update is not None else "?"
    if first.bad:
        what = message("first_nan", names=", ".join(first.bad[:5]), update=at)
    else:
        what = message("first_skip", update=at)
    report.add(certainty, what, _where(path, first), message("look_before"))


def _add_causes(report: Report, path: Path, first: LogLine, before: list[LogLine], certainty: Certainty) -> None:
    """What the lines before the first NaN show: the schedule, a rising norm, a rising loss, or nothing."""
    where, likely = _where(path, first), max(certainty, Certainty.LIKELY)
    found = False
    rates = [row.rate for row in before if row.rate is not None]
    if any(_kind(name.lower()) == "rate" for name in first.bad):
        found = True
        report.add(certainty, message("rate_nan"), where, message("fix_schedule"))
    elif len(rates) > 1 and first.rate is not None and first.rate > RATE_JUMP * rates[-1]:
        found = True
        report.add(likely, message("rate_jump", before=rates[-1], now=first.rate), where, message("fix_schedule"))
    rise = _rise([row.norm for row in before])
    if rise and rise[1] > NORM_RISE * rise[0]:
        found = True
        report.add(likely, message("norm_rises", before=rise[0], now=rise[1]), where, message("lower_clip_and_rate"))
    rise = _rise([row.loss for row in before])
    if rise and rise[1] > LOSS_RISE * abs(rise[0]):
        found = True
        report.add(likely, message("loss_rises", before=rise[0], now=rise[1]), where, message("lower_rate"))
    if not found and len(rates) > NEWEST and rates[-1] > 1.01 * rates[0]:
        found = True
        what = message("rate_rises", before=rates[0], now=rates[-1])
        report.add(Certainty.POSSIBLE, what, where, message("longer_warmup"))
    if not found:
        report.add(Certainty.POSSIBLE, message("nothing_rose", lines=len(before)), where, message("look_at_data"))


def _rise(values: list[float | None]) -> tuple[float, float] | None:
    """(usual value, median of the newest) of a series; None if it is too short."""
    known = [value for value in values if value is not None]
    if len(known) < 6:
        return None
    newest = min(NEWEST, max(3, len(known) // 4))
    return statistics.median(known[:-newest]), max(statistics.median(known[-newest:]), known[-1])
