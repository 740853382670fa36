"""`python -m myxtts doctor RUN`: health, the recovery ladder, the worst utterances, and what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.arguments import OneLineParser
from myxtts.cli.fix_nan_loss import Speaker
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.messages import escaped

if TYPE_CHECKING:
    from myxtts.doctor.run.look import Seen

_LATEST_SHOWN = 10


def main(argv: Sequence[str]) -> int:
    """Prints the state of the run named in `argv` and what to do about it; returns the exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    parser = OneLineParser(
        prog="python -m myxtts doctor",
        allow_abbrev=False,
        description="Health of a run, what the recovery ladder did, the worst utterances, and what to do.",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory, as given with --checkpoint-dir")
    parser.add_argument("--language", default="en", choices=("en", "fa"), help="language of the messages (en)")
    namespace, unknown = parser.parse_known(argv)
    if unknown:
        raise ConfigError(unknown)
    from myxtts.doctor.run.look import look_at_run  # Imported here: --help and a wrong option answer without numpy.

    screen = Screen()
    speaker = Speaker(screen, namespace.language)
    try:
        seen = look_at_run(Path(namespace.run), screen.progress)
    finally:
        screen.close()
    _say_health(speaker, seen)
    _say_checkpoints(speaker, seen)
    _say_ladder(speaker, seen)
    _say_worst(speaker, seen)
    speaker.say("do_head")
    for advice in seen.do:
        speaker.say(advice, 2)
    return EXIT_DONE


def _say_health(speaker: Speaker, seen: Seen) -> None:
    from myxtts.doctor.messages import message
    from myxtts.doctor.run.checkpoints import sign_name

    speaker.say("doctor_head", run=str(seen.run))
    if seen.health is None:
        speaker.say("health_unknown")
        return
    verdict, source, update = seen.health
    speaker.say(f"health_from_{source}", sign=message(f"health_{verdict.sign}"), update=update)
    speaker.say("signs_head")
    for check in verdict.checks:
        state = message(f"health_{check.sign}")
        speaker.say("sign_line", 2, sign=message(sign_name(check)), state=state, sentence=check.sentence)


def _say_checkpoints(speaker: Speaker, seen: Seen) -> None:
    speaker.say("checkpoints_head")
    good = sum(examined.bad is None for examined in seen.checkpoints)
    speaker.say("run_checkpoints", 2, all=len(seen.checkpoints), good=good)
    if seen.good is not None:
        speaker.say("run_newest", 2, name=seen.good.path.name, update=seen.good.update)
    if seen.best is not None:
        speaker.say("run_best", 2, name=seen.best.path.name, update=seen.best.update)
    for examined in seen.checkpoints:
        if examined.bad is not None:
            speaker.say("checkpoint_bad", 2, name=examined.path.name, why=examined.bad)


def _say_ladder(speaker: Speaker, seen: Seen) -> None:
    from myxtts.doctor.messages import message
    from myxtts.doctor.run.look import NEUTRAL_FACTORS, factor, mapping

    history = seen.history
    speaker.say("ladder_head")
    if not history.there:
        speaker.say("ladder_no_events", 2)
    elif not history.counts:
        speaker.say("ladder_never", 2)
    for rung in sorted(history.counts):
        speaker.say("ladder_count", 2, rung=rung, meaning=message(f"rung_{rung}"), count=history.counts[rung])
    if history.newest:
        speaker.say("ladder_newest", 2)
    for step in history.newest[-_LATEST_SHOWN:]:
        what = f"{step.message} [{step.incident}]" if step.incident else step.message
        speaker.say("ladder_event", 4, update=step.update, rung=step.rung, message=what)
    if history.repaired:
        speaker.say("ladder_repaired", 2, count=history.repaired)
    if seen.recovery is None:
        speaker.say("ladder_unknown", 2)
        return
    factors = {name: factor(seen.recovery, name) for name in NEUTRAL_FACTORS}
    if any(value != 1.0 for value in factors.values()):
        speaker.say("ladder_factors", 2, **factors)
    quarantine = mapping(seen.recovery.get("quarantine"))
    if quarantine:
        speaker.say("quarantined", 2, count=len(quarantine), names=", ".join(sorted(quarantine)[:20]))


def _say_worst(speaker: Speaker, seen: Seen) -> None:
    speaker.say("worst_head")
    if seen.worst is None:
        speaker.say("worst_unknown", 2)
        return
    if not seen.worst:
        speaker.say("worst_none", 2)
        return
    rows = [tuple(speaker.text("worst_columns").split("|"))]
    for worst in seen.worst:
        loss = "-" if math.isnan(worst.loss) else f"{worst.loss:.3f}"
        strikes = str(worst.strikes) if worst.strikes else "-"
        rows.append((escaped(worst.id), loss, str(worst.seen), strikes, escaped(worst.quarantined or "-")))
    speaker.screen.table(rows)
