"""Looks at a run directory: settings, checkpoints, the ladder, health, and where its metrics went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from myxtts.doctor.checkpoints import Examined, add_checkpoint, examine_all, sign_name
from myxtts.doctor.findings import Certainty as Rank
from myxtts.doctor.findings import Report
from myxtts.doctor.history import (
    NEUTRAL_FACTORS,
    History,
    Worst,
    factor,
    mapping,
    read_history,
    read_recovery,
    verdict_of,
    worst_utterances,
)
from myxtts.doctor.messages import Message as Said
from myxtts.doctor.messages import message as said
from myxtts.doctor.metrics import check_log
from myxtts.doctor.settings.check import add_findings
from myxtts.doctor.settings.read import read_settings
from myxtts.errors import ConfigError, DataError
from myxtts.health.signs import Verdict
from myxtts.progress import Progress
from myxtts.storage.run_directory import RunDirectory

MARKS = ("config.yaml", "metrics.jsonl", "events.jsonl", "checkpoints")
"""One of these makes a folder a run directory."""


@dataclass
class Seen:
    """Everything that a run directory tells."""

    run: Path
    checkpoints: list[Examined]
    history: History
    recovery: dict[str, object] | None
    health: tuple[Verdict, str, int] | None
    worst: list[Worst] | None
    do: list[Said] = field(default_factory=list)

    @property
    def good(self) -> Examined | None:
        """The newest checkpoint that a run can go on from."""
        return next((examined for examined in self.checkpoints if examined.bad is None), None)


def is_run(path: Path) -> bool:
    """Whether a folder is a run directory."""
    return any((path / name).exists() for name in MARKS)


def look_at_run(run: Path, progress: Progress) -> Seen:
    """Reads a run directory. Errors: DataError if it is none, CheckpointError if its checkpoints cannot be listed."""
    if not run.is_dir():
        what = "is a file" if run.exists() else "does not exist"
        raise DataError(f"run directory {str(run)!r} {what}; name the folder given as --checkpoint-dir")
    if not is_run(run):
        raise DataError(
            f"{str(run)!r} is not a run directory: it has none of {', '.join(MARKS)}; "
            "name the folder given as --checkpoint-dir"
        )
    checkpoints = examine_all(RunDirectory(run).checkpoints_path, progress)
    good = next((examined for examined in checkpoints if examined.bad is None), None)
    history = read_history(run)
    recovery = read_recovery(run, good)
    seen = Seen(
        run, checkpoints, history, recovery, verdict_of(run, good, progress), worst_utterances(run, good, recovery)
    )
    seen.do = _advice(seen)
    return seen


def _advice(seen: Seen) -> list[Said]:
    """What to do, the most pressing first."""
    advice: list[Said] = []
    bad = [examined for examined in seen.checkpoints if examined.bad is not None]
    ill = seen.health is not None and seen.health[0].sign == "ill"
    if not seen.checkpoints:
        advice.append(said("do_no_checkpoint"))
    elif seen.good is None:
        advice.append(said("do_none_whole"))
    elif seen.history.gave_up or bad or (ill and seen.good.ill):
        advice.append(said("do_fix_run", run=quote(str(seen.run))))
    if mapping((seen.recovery or {}).get("quarantine")):
        advice.append(said("do_quarantine"))
    if seen.health is not None and seen.health[0].sign in ("watch", "ill"):
        advice.append(said("do_signs"))
    return advice or [said("do_nothing")]


def check_run(run: Path, progress: Progress) -> Report:
    """Causes of NaN in a run directory, the surest first."""
    report = Report(str(run), "run")
    seen = look_at_run(run, progress)
    _add_settings(report, run)
    good = [examined for examined in seen.checkpoints if examined.bad is None]
    report.facts.append(said("run_checkpoints", all=len(seen.checkpoints), good=len(good)))
    if good:
        report.facts.append(said("run_newest", name=good[0].path.name, update=good[0].update))
    for examined in seen.checkpoints:
        if examined.bad is not None or examined is seen.good:
            add_checkpoint(report, examined, said("fix_run", run=quote(str(run))))
    _add_ladder(report, seen)
    metrics = RunDirectory(run).metrics_path
    if metrics.is_file():
        try:
            log = check_log(metrics, progress)
        except DataError:
            report.facts.append(said("no_metrics"))
        else:
            report.facts += log.facts
            report.findings += log.findings
    else:
        report.facts.append(said("no_metrics"))
    return report


def _add_settings(report: Report, run: Path) -> None:
    config = RunDirectory(run).config_path
    if not config.exists():
        report.facts.append(said("no_config"))
        return
    try:
        add_findings(report, read_settings(config))
    except ConfigError as error:
        do = said("fix_run", run=quote(str(run)))
        report.add(Rank.POSSIBLE, said("refused", problem=str(error)), str(config), do)


def _add_ladder(report: Report, seen: Seen) -> None:
    """What the ladder did, and the health."""
    history, events = seen.history, str(RunDirectory(seen.run).events_path)
    if history.gave_up:
        report.add(Rank.CERTAIN, said("ladder_gave_up"), events, said("fix_run", run=quote(str(seen.run))))
    elif any(factor(seen.recovery, name) != 1.0 for name in NEUTRAL_FACTORS):
        values = {name: factor(seen.recovery, name) for name in NEUTRAL_FACTORS}
        report.add(Rank.LIKELY, said("ladder_factors", **values), events, said("ladder_wait"))
    quarantine = mapping((seen.recovery or {}).get("quarantine"))
    if quarantine:
        names = ", ".join(sorted(quarantine)[:5])
        report.add(Rank.LIKELY, said("quarantined", count=len(quarantine), names=names), events, said("hear_clips"))
    if seen.health is None:
        return
    verdict, source, update = seen.health
    sign = said(f"health_{verdict.sign}")
    report.facts.append(said(f"health_from_{source}", sign=sign, update=update))
    told = {finding.what for finding in report.findings}
    for check in verdict.checks:
        what = said("ill_sign", sign=said(sign_name(check)), sentence=check.sentence)
        if check.sign == "ill" and what not in told:
            report.add(Rank.LIKELY, what, f"{seen.run}", said("see_sign"))
