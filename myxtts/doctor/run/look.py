"""Reads a run directory: settings, checkpoints, the recovery ladder, health, the worst utterances, where NaN began."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from myxtts.doctor.findings import Certainty, Report
from myxtts.doctor.messages import Message, message
from myxtts.doctor.metrics import check_log
from myxtts.doctor.run.checkpoints import Examined, add_checkpoint, examine_all, health_of, sign_name
from myxtts.doctor.settings.check import add_findings
from myxtts.doctor.settings.read import read_settings
from myxtts.errors import ConfigError, DataError
from myxtts.figures import finite_number, short_text, update_number
from myxtts.health.replay import read_measure, replay
from myxtts.health.signs import Verdict
from myxtts.progress import Progress
from myxtts.storage.files import read_regular_file, strict_json
from myxtts.storage.journal import Record, read_events, read_metrics
from myxtts.storage.run_directory import RunDirectory

RUN_ENTRIES = ("config.yaml", "metrics.jsonl", "events.jsonl", "checkpoints")
"""One of these makes a folder a run directory."""
REPAIRED_EVENT = "repaired"
"""Written by a repair: earlier events in events.jsonl are no longer relevant."""
LADDER_EVENTS: Mapping[str, int | None] = {
    "skip_micro_batches": 0,
    "skip": 1,
    "quarantine": 2,
    "rollback": None,
    "gave_up": 7,
}
"""Events of the ladder and their rungs; a rollback event holds its rung."""
MOST_EVENTS = 30
WORST = 20
_LARGEST_JSON = 16 << 20
_LARGEST_IDS = 1 << 30
NEUTRAL_FACTORS = ("rate_factor", "clip_factor", "mel_factor")


@dataclass(frozen=True)
class LadderEvent:
    """One step on the ladder."""

    rung: int
    name: str
    update: int
    message: str
    incident: str


@dataclass(frozen=True)
class Worst:
    """An utterance among the worst: running mean of its loss, how often it was trained on, strikes, quarantine."""

    id: str
    loss: float
    seen: int
    strikes: int
    quarantined: str
    """Why it is quarantined; empty if it is not."""


@dataclass
class History:
    """What events.jsonl records: how often each rung was taken, the newest steps, and whether the run gave up."""

    counts: Counter[int] = field(default_factory=Counter)
    newest: list[LadderEvent] = field(default_factory=list)
    gave_up: bool = False
    skips: int = 0
    """Skipped updates since the last repair, among the last 200 updates of the run."""
    skips_in_a_row: int = 0
    """The largest number of skips of the same update among them."""
    repaired: int = 0
    """Number of repairs by fix_nan_loss.py."""
    torn: int = 0
    there: bool = False


def read_history(run: Path) -> History:
    """The steps on the ladder that events.jsonl holds."""
    path = RunDirectory(run).events_path
    history = History(there=path.is_file())
    reader = read_events(path)
    skipped: list[int] = []
    last = 0
    for event in reader:
        name, at = short_text(event.get("event")), update_number(event.get("update")) or 0
        last = max(last, at)
        if name == REPAIRED_EVENT:
            history.repaired += 1
            history.gave_up = False
            skipped.clear()
        if name not in LADDER_EVENTS:
            continue
        rung = _rung(name, event.get("rung"))
        history.counts[rung] += 1
        incident = event.get("incident")
        text = short_text(event.get("message", ""))
        step = LadderEvent(rung, name, at, text, incident if isinstance(incident, str) else "")
        history.newest = [*history.newest, step][-MOST_EVENTS:]
        history.gave_up = history.gave_up or name == "gave_up"
        if name == "skip":
            skipped.append(at)
    recent = Counter(update for update in skipped if update > last - 200)
    history.skips, history.skips_in_a_row = recent.total(), max(recent.values(), default=0)
    history.torn = reader.torn
    return history


def _rung(name: str, given: object) -> int:
    if type(given) is int and 0 <= given <= 7:
        return given
    return LADDER_EVENTS[name] or 3


def read_recovery(run: Path, newest: Examined | None) -> dict[str, Any] | None:
    """The state of the ladder, the newer of recovery.json and the newest checkpoint; None if neither has one."""
    written = mapping(_json_of(RunDirectory(run).recovery_path))
    in_file = written.get("recovery")
    saved = None if newest is None or newest.checkpoint is None else newest.checkpoint.state.get("recovery")
    found = [dict(state) for state in (in_file, saved) if isinstance(state, dict)]
    return max(found, key=_attempts, default=None)  # with equal attempts the file, which is written first


def _attempts(recovery: Mapping[str, Any]) -> int:
    """Attempted updates; unlike the update number, a rollback does not decrease them."""
    attempts = recovery.get("attempts")
    return attempts if type(attempts) is int else -1


def _json_of(path: Path) -> object:
    """The value in a small JSON file; None if it is missing or damaged."""
    try:
        return strict_json(read_regular_file(path, _LARGEST_JSON))
    except (OSError, ValueError):
        return None


def factor(recovery: Mapping[str, Any] | None, name: str) -> float:
    """A factor of the ladder; 1 if it is missing or not a positive number."""
    value = finite_number((recovery or {}).get(name, 1.0))
    return value if value is not None and value > 0.0 else 1.0


def mapping(value: object) -> Mapping[str, Any]:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def worst_utterances(run: Path, newest: Examined | None, recovery: Mapping[str, Any] | None) -> list[Worst] | None:
    """The worst utterances by running mean loss, quarantined ones and those with strikes first; None if unknown."""
    strikes = mapping((recovery or {}).get("strikes"))
    quarantine = mapping((recovery or {}).get("quarantine"))
    losses = _losses(run, newest)
    if losses is None and not strikes and not quarantine:
        return None
    known = losses or {}
    every = known.keys() | strikes.keys() | quarantine.keys()
    rows = [
        Worst(
            name,
            known.get(name, (math.nan, 0))[0],
            known.get(name, (math.nan, 0))[1],
            len(strikes[name]) if isinstance(strikes.get(name), list) else 0,
            short_text(mapping(quarantine.get(name)).get("cause", "?")) if name in quarantine else "",
        )
        for name in every
    ]
    rows = [row for row in rows if row.seen or row.strikes or row.quarantined]
    rows.sort(key=lambda row: (not row.quarantined, -row.strikes, -row.loss if row.seen else 0.0, row.id))
    return rows[:WORST]


def _losses(run: Path, newest: Examined | None) -> dict[str, tuple[float, int]] | None:
    """Utterance -> (running mean loss, times trained on), from the newest checkpoint."""
    checkpoint = newest.checkpoint if newest is not None else None
    path = RunDirectory(run).utterances_path
    if checkpoint is None or "utterances" not in checkpoint.arrays:
        return None
    arrays = checkpoint.arrays["utterances"]
    if "loss" not in arrays or "seen" not in arrays:
        return None
    try:
        ids = read_regular_file(path, _LARGEST_IDS).decode("utf-8", "replace").split("\n")
    except (OSError, ValueError):
        return None
    loss_A, seen_A = arrays["loss"].reshape(-1), arrays["seen"].reshape(-1)
    rows = zip(ids, loss_A.tolist(), seen_A.tolist(), strict=False)
    return {name: (float(loss), int(seen)) for name, loss, seen in rows if name}


def verdict_of(run: Path, newest: Examined | None, progress: Progress) -> tuple[Verdict, str, int] | None:
    """(verdict, "checkpoint" or "metrics", update) of a run; None if neither can be read."""
    measure = read_measure(run)
    if newest is not None and newest.checkpoint is not None:
        state = newest.checkpoint.state.get("health")
        health = health_of(state)
        if health is not None:
            return health.verdict(), "checkpoint", newest.update
    updates: list[int] = []
    records = _with_progress(RunDirectory(run).metrics_path, progress)
    health = replay(records, measure, lambda line, _: updates.append(line.update))
    return (health.verdict(), "metrics", updates[-1]) if updates else None


def _with_progress(path: Path, progress: Progress) -> Iterator[Record]:
    """The records of metrics.jsonl; reports progress in lines."""
    total = _line_count(path)
    for count, record in enumerate(read_metrics(path), 1):
        if count % 1_000 == 0:
            progress("metrics", min(count, total), total)
        yield record
    progress("metrics", total, total)


def _line_count(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except OSError:
        return 0


@dataclass
class RunSummary:
    """What the files of a run directory record."""

    run: Path
    checkpoints: list[Examined]
    history: History
    recovery: dict[str, object] | None
    health: tuple[Verdict, str, int] | None
    worst: list[Worst] | None
    do: list[Message] = field(default_factory=list)

    @property
    def good(self) -> Examined | None:
        """The newest checkpoint that a run can resume from."""
        return next((examined for examined in self.checkpoints if examined.bad is None), None)

    @property
    def best(self) -> Examined | None:
        """The newest good checkpoint that was saved as the best one."""
        marked = (e for e in self.checkpoints if e.bad is None and e.checkpoint is not None and e.checkpoint.best)
        return next(marked, None)


def is_run(path: Path) -> bool:
    """Whether a folder is a run directory."""
    return any((path / name).exists() for name in RUN_ENTRIES)


def look_at_run(run: Path, progress: Progress) -> RunSummary:
    """Reads a run directory. Errors: DataError if it is not one; CheckpointError if checkpoints cannot be listed."""
    if not run.is_dir():
        what = "is a file" if run.exists() else "does not exist"
        raise DataError(f"run directory {str(run)!r} {what}; name the folder given as --checkpoint-dir")
    if not is_run(run):
        raise DataError(
            f"{str(run)!r} is not a run directory: it has none of {', '.join(RUN_ENTRIES)}; "
            "name the folder given as --checkpoint-dir"
        )
    checkpoints = examine_all(RunDirectory(run).checkpoints_path, progress)
    good = next((examined for examined in checkpoints if examined.bad is None), None)
    history = read_history(run)
    recovery = read_recovery(run, good)
    summary = RunSummary(
        run, checkpoints, history, recovery, verdict_of(run, good, progress), worst_utterances(run, good, recovery)
    )
    summary.do = _advice(summary)
    return summary


def _advice(summary: RunSummary) -> list[Message]:
    """What to do, most urgent first."""
    advice: list[Message] = []
    bad = [examined for examined in summary.checkpoints if examined.bad is not None]
    ill = summary.health is not None and summary.health[0].sign == "ill"
    if not summary.checkpoints:
        advice.append(message("do_no_checkpoint"))
    elif summary.good is None:
        advice.append(message("do_none_intact"))
    elif summary.history.gave_up or bad or (ill and summary.good.ill):
        advice.append(message("do_fix_run", run=quote(str(summary.run))))
    if mapping((summary.recovery or {}).get("quarantine")):
        advice.append(message("do_quarantine"))
    if summary.health is not None and summary.health[0].sign in ("watch", "ill"):
        advice.append(message("do_signs"))
    return advice or [message("do_nothing")]


def check_run(run: Path, progress: Progress) -> Report:
    """Causes of NaN in a run directory, most certain first."""
    report = Report(str(run), "run")
    summary = look_at_run(run, progress)
    _add_settings(report, run)
    good = [examined for examined in summary.checkpoints if examined.bad is None]
    report.facts.append(message("run_checkpoints", all=len(summary.checkpoints), good=len(good)))
    if good:
        report.facts.append(message("run_newest", name=good[0].path.name, update=good[0].update))
    for examined in summary.checkpoints:
        if examined.bad is not None or examined is summary.good:
            add_checkpoint(report, examined, message("fix_run", run=quote(str(run))))
    _add_ladder(report, summary)
    metrics = RunDirectory(run).metrics_path
    if metrics.is_file():
        try:
            log = check_log(metrics, progress)
        except DataError:
            report.facts.append(message("no_metrics"))
        else:
            report.facts += log.facts
            report.findings += log.findings
    else:
        report.facts.append(message("no_metrics"))
    return report


def _add_settings(report: Report, run: Path) -> None:
    config = RunDirectory(run).config_path
    if not config.exists():
        report.facts.append(message("no_config"))
        return
    try:
        add_findings(report, read_settings(config))
    except ConfigError as error:
        do = message("fix_run", run=quote(str(run)))
        report.add(Certainty.POSSIBLE, message("settings_invalid", problem=str(error)), str(config), do)


def _add_ladder(report: Report, summary: RunSummary) -> None:
    """Adds what the ladder did, and signs of health that are ill."""
    history, events = summary.history, str(RunDirectory(summary.run).events_path)
    if history.gave_up:
        report.add(
            Certainty.CERTAIN, message("ladder_gave_up"), events, message("fix_run", run=quote(str(summary.run)))
        )
    elif any(factor(summary.recovery, name) != 1.0 for name in NEUTRAL_FACTORS):
        values = {name: factor(summary.recovery, name) for name in NEUTRAL_FACTORS}
        report.add(Certainty.LIKELY, message("ladder_factors", **values), events, message("ladder_wait"))
    quarantine = mapping((summary.recovery or {}).get("quarantine"))
    if quarantine:
        names = ", ".join(sorted(quarantine)[:5])
        report.add(
            Certainty.LIKELY,
            message("quarantined", count=len(quarantine), names=names),
            events,
            message("listen_to_clips"),
        )
    if summary.health is None:
        return
    verdict, source, update = summary.health
    sign = message(f"health_{verdict.sign}")
    report.facts.append(message(f"health_from_{source}", sign=sign, update=update))
    found = {finding.what for finding in report.findings}
    for check in verdict.checks:
        what = message("ill_sign", sign=message(sign_name(check)), sentence=check.sentence)
        if check.sign == "ill" and what not in found:
            report.add(Certainty.LIKELY, what, f"{summary.run}", message("see_sign"))
