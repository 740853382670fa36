"""`myxtts replay BUNDLE`: recomputes an incident, operation by operation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.arguments import OneLineParser
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, CheckpointError
from myxtts.messages import escaped, quoted

if TYPE_CHECKING:
    from myxtts.training.recovery.replay import Replayed

_WORST = 5


def main(argv: Sequence[str]) -> int:
    """Prints the result of a replay; returns the exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    parser = OneLineParser(
        prog="myxtts replay",
        usage="myxtts replay BUNDLE",
        description="Recomputes a bad micro-batch with its weights and seeds, and names the first operation whose "
        "result is not finite. It does not train and writes nothing.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="a folder in RUN/incidents of the run directory")
    namespace = parser.parse(argv)
    bundle = Path(namespace.bundle)
    if not (bundle / "incident.json").is_file():  # before TensorFlow is imported, which takes seconds
        what = "has no incident.json" if bundle.is_dir() else "is a file" if bundle.exists() else "does not exist"
        raise CheckpointError(f"incident {quoted(str(bundle), 200)} {what}; give a folder of RUN/incidents")
    with quiet_loading():
        from myxtts.training.recovery.replay import replay
    Screen().say(*lines_of(replay(bundle)))
    return EXIT_DONE


def lines_of(replayed: Replayed) -> list[str]:
    """The findings as lines."""
    facts = replayed.incident.facts
    found = [f"update {facts['update']}, micro-batch {facts['micro_batch']}: {escaped(facts['cause'])}"]
    if facts["knobs"]["term_fault"] or facts["knobs"]["group_fault"]:
        found.append("a fault of MYXTTS_FAULT was injected here; the replay injects it again")
    found += [f"not finite in the batch: {line}" for line in replayed.bad_inputs]
    if replayed.operation:
        part = "gradient" if replayed.operation.in_gradient else "forward computation"
        found.append(f"first operation whose result is not finite: {replayed.operation.name} in the {part}")
        found.append(f"  called at myxtts/{replayed.operation.place}")
    elif replayed.result.good:
        most = facts["most_norm"]
        found.append(
            "everything is finite" + (f"; a clip with a gradient norm over {most:.3g} causes a spike" if most else "")
        )
    else:
        found.append("not finite as a graph, finite operation by operation: it depends on the order of operations")
    found.append("total loss per clip, worst first:")
    found += [f"  {value:12.4g}  {escaped(name)}" for name, value in replayed.utterances[:_WORST]]
    found.append("gradient norm per layer, worst first:")
    found += [f"  {value:12.4g}  {name}" for name, value in replayed.groups[:_WORST]]
    return found
