"""`myxtts replay BUNDLE`: what went wrong in an incident, operation by operation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.arguments import OneLineParser
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, CheckpointError, ConfigError
from myxtts.messages import escaped, quoted

if TYPE_CHECKING:
    from myxtts.training.replay import Replayed

_WORST = 5


def main(argv: Sequence[str]) -> int:
    """Prints what a replay shows; returns the exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    parser = OneLineParser(
        prog="myxtts replay",
        allow_abbrev=False,
        description="Recomputes a bad micro-batch with its weights and seeds, and names the first operation whose "
        "result is not finite. It trains nothing and writes nothing.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="a folder in RUN/incidents")
    namespace, unknown = parser.parse_known(argv)
    if unknown:
        raise ConfigError(unknown)
    bundle = Path(namespace.bundle)
    if not (bundle / "incident.json").is_file():  # told before seconds of importing TensorFlow
        what = "has no incident.json" if bundle.is_dir() else "is a file" if bundle.exists() else "does not exist"
        raise CheckpointError(f"incident {quoted(str(bundle), 200)} {what}; give a folder of RUN/incidents")
    with quiet_loading():
        from myxtts.training.replay import replay
    Screen().say(*lines_of(replay(bundle)))
    return EXIT_DONE


def lines_of(replayed: Replayed) -> list[str]:
    """The findings for a reader."""
    facts = replayed.incident.facts
    found = [f"update {facts['update']}, micro-batch {facts['micro_batch']}: {escaped(facts['cause'])}"]
    if facts["knobs"]["term_fault"] or facts["knobs"]["group_fault"]:
        found.append("a fail point (MYXTTS_FAULT) struck here; it strikes again in this replay")
    found += [f"not finite in the batch itself: {line}" for line in replayed.bad_inputs]
    if replayed.operation:
        part = "gradient" if replayed.operation.in_gradient else "forward computation"
        found.append(f"first operation that is not finite: {replayed.operation.name} in the {part}")
        found.append(f"  asked for at myxtts/{replayed.operation.place}")
    elif replayed.result.good:
        most = facts["most_norm"]
        found.append(
            "everything is finite" + (f"; a clip is guilty of a spike from norm {most:.3g} on" if most else "")
        )
    else:
        found.append("not finite as a graph, finite operation by operation: a matter of the order of operations")
    found.append("total loss of the clips, worst first:")
    found += [f"  {value:12.4g}  {escaped(name)}" for name, value in replayed.utterances[:_WORST]]
    found.append("gradient norm of the layers, worst first:")
    found += [f"  {value:12.4g}  {name}" for name, value in replayed.groups[:_WORST]]
    return found
