"""`myxtts doctor RUN`: health, the recovery ladder, the worst utterances, and what to do; `--gpu`: can a GPU train."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.arguments import OneLineParser
from myxtts.cli.fix_nan_loss import MessagePrinter
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_BAD_INPUT, EXIT_DONE
from myxtts.messages import escaped

if TYPE_CHECKING:
    from myxtts.doctor.run.look import RunSummary

_LATEST_SHOWN = 10


def main(argv: Sequence[str]) -> int:
    """Prints the state of the run in `argv` and what to do; returns the exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    parser = OneLineParser(
        prog="myxtts doctor",
        usage="myxtts doctor RUN [--language fa]\n       myxtts doctor --gpu",
        description="Shows the health of a run, its checkpoints, what the recovery ladder did, the worst utterances, "
        "and what to do.",
    )
    parser.add_argument("run", metavar="RUN", nargs="?", help="the run directory, as given with --checkpoint-dir")
    parser.add_argument(
        "--gpu",
        action="store_true",
        help="instead of a run: check the GPU: missing libraries, losses against the processor, kernel launches",
    )
    parser.add_argument("--language", default="en", choices=("en", "fa"), help="language of the messages (en)")
    namespace = parser.parse(argv, _problems)
    if namespace.gpu:
        return _try_gpu(Screen())
    from myxtts.doctor.run.look import look_at_run  # Imported here, so that --help is quick.

    screen = Screen()
    printer = MessagePrinter(screen, namespace.language)
    try:
        summary = look_at_run(Path(namespace.run), screen.progress)
    finally:
        screen.close()
    _say_health(printer, summary)
    _say_checkpoints(printer, summary)
    _say_ladder(printer, summary)
    _say_worst(printer, summary)
    printer.print("do_head")
    for advice in summary.do:
        printer.print(advice, 2)
    return EXIT_DONE


def _problems(given: argparse.Namespace) -> list[str]:
    if given.gpu == (given.run is not None):
        return ["name a run directory, or --gpu without one; --help lists the options of myxtts doctor"]
    return []


def _try_gpu(screen: Screen) -> int:
    """Prints what is found, each line as soon as it is known; the exit code says whether something is wrong."""
    screen.say("Trying the GPU: a minute or two. Send the lines below if you ask for help.")
    with quiet_loading():
        from myxtts.training.gpu_trial import trial_config, try_gpu
    failed = 0
    for finding in try_gpu(trial_config(small=True), trial_config(small=False)):
        failed += finding.failed
        screen.say(f"  {'wrong: ' if finding.failed else ''}{finding.text}")
    screen.say(f"{failed} of these are wrong." if failed else "All is well.")
    screen.close()
    return EXIT_BAD_INPUT if failed else EXIT_DONE


def _say_health(printer: MessagePrinter, summary: RunSummary) -> None:
    from myxtts.doctor.messages import message
    from myxtts.doctor.run.checkpoints import sign_name

    printer.print("doctor_head", run=str(summary.run))
    if summary.health is None:
        printer.print("health_unknown")
        return
    verdict, source, update = summary.health
    printer.print(f"health_from_{source}", sign=message(f"health_{verdict.sign}"), update=update)
    printer.print("signs_head")
    for check in verdict.checks:
        state = message(f"health_{check.sign}")
        printer.print("sign_line", 2, sign=message(sign_name(check)), state=state, sentence=check.sentence)


def _say_checkpoints(printer: MessagePrinter, summary: RunSummary) -> None:
    printer.print("checkpoints_head")
    good = sum(examined.bad is None for examined in summary.checkpoints)
    printer.print("run_checkpoints", 2, all=len(summary.checkpoints), good=good)
    if summary.good is not None:
        printer.print("run_newest", 2, name=summary.good.path.name, update=summary.good.update)
    if summary.best is not None:
        printer.print("run_best", 2, name=summary.best.path.name, update=summary.best.update)
    for examined in summary.checkpoints:
        if examined.bad is not None:
            printer.print("checkpoint_bad", 2, name=examined.path.name, why=examined.bad)


def _say_ladder(printer: MessagePrinter, summary: RunSummary) -> None:
    from myxtts.doctor.messages import message
    from myxtts.doctor.run.look import NEUTRAL_FACTORS, factor, mapping

    history = summary.history
    printer.print("ladder_head")
    if not history.there:
        printer.print("ladder_no_events", 2)
    elif not history.counts:
        printer.print("ladder_never", 2)
    for rung in sorted(history.counts):
        printer.print("ladder_count", 2, rung=rung, meaning=message(f"rung_{rung}"), count=history.counts[rung])
    if history.newest:
        printer.print("ladder_newest", 2)
    for step in history.newest[-_LATEST_SHOWN:]:
        what = f"{step.message} [{step.incident}]" if step.incident else step.message
        printer.print("ladder_event", 4, update=step.update, rung=step.rung, message=what)
    if history.repaired:
        printer.print("ladder_repaired", 2, count=history.repaired)
    if summary.recovery is None:
        printer.print("ladder_unknown", 2)
        return
    factors = {name: factor(summary.recovery, name) for name in NEUTRAL_FACTORS}
    if any(value != 1.0 for value in factors.values()):
        printer.print("ladder_factors", 2, **factors)
    quarantine = mapping(summary.recovery.get("quarantine"))
    if quarantine:
        printer.print("quarantined", 2, count=len(quarantine), names=", ".join(sorted(quarantine)[:20]))


def _say_worst(printer: MessagePrinter, summary: RunSummary) -> None:
    printer.print("worst_head")
    if summary.worst is None:
        printer.print("worst_unknown", 2)
        return
    if not summary.worst:
        printer.print("worst_none", 2)
        return
    rows = [tuple(printer.text("worst_columns").split("|"))]
    for worst in summary.worst:
        loss = "-" if math.isnan(worst.loss) else f"{worst.loss:.3f}"
        strikes = str(worst.strikes) if worst.strikes else "-"
        rows.append((escaped(worst.id), loss, str(worst.seen), strikes, escaped(worst.quarantined or "-")))
    printer.screen.table(rows)
