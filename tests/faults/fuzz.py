"""Fuzzes all that comes from outside: recordings, texts, metadata, settings, checkpoints. See reliability.md, D1.

    python -m tests.faults.fuzz --count 1000 --seed 1 [--only audio|text|metadata|config|checkpoint] --json FILE

Exit code 0: nothing ended in a traceback, nothing that is not finite came through, every rejection had file, line and
reason. The same seed makes the same inputs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from tests.faults import fuzz_audio, fuzz_checkpoints, fuzz_config, fuzz_metadata, fuzz_texts
from tests.faults.fuzzed import Kind, Outcome

KINDS: dict[str, Kind] = {
    "audio": fuzz_audio.fuzz,
    "text": fuzz_texts.fuzz,
    "metadata": fuzz_metadata.fuzz,
    "config": fuzz_config.fuzz,
    "checkpoint": fuzz_checkpoints.fuzz,
}
SHARES = {"audio": 0.3, "text": 0.2, "metadata": 0.2, "config": 0.15, "checkpoint": 0.15}


@dataclass
class Figures:
    """What came of the inputs of one kind."""

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, state: str) -> int:
        return sum(outcome.state == state for outcome in self.outcomes)

    @property
    def nonfinite(self) -> int:
        return sum(outcome.nonfinite for outcome in self.outcomes)

    @property
    def bad(self) -> list[Outcome]:
        return [o for o in self.outcomes if o.state in ("traceback", "wrong") or o.nonfinite]


def run(count: int, seed: int, kinds: list[str], show: bool = True) -> dict[str, Figures]:
    """Fuzzes `count` inputs of these kinds, shared out among them."""
    total = sum(SHARES[kind] for kind in kinds)
    counts = {kind: round(count * SHARES[kind] / total) for kind in kinds}
    found: dict[str, Figures] = {}
    with tqdm(total=sum(counts.values()), unit="input", dynamic_ncols=True, disable=not show) as bar:
        for kind in kinds:
            bar.set_description(kind)
            begun = time.perf_counter()
            found[kind] = Figures(list(KINDS[kind](counts[kind], seed, bar.update)))
            found[kind].seconds = time.perf_counter() - begun
    return found


def table(found: dict[str, Figures]) -> list[str]:
    """The result in lines."""
    columns = ("kind", "inputs", "rejected", "accepted", "traceback", "wrong", "not finite", "seconds")
    rows = [columns]
    for kind, figures in found.items():
        counts = [figures.count(state) for state in ("rejected", "accepted", "traceback", "wrong")]
        row = [kind, len(figures.outcomes), *counts, figures.nonfinite, round(figures.seconds)]
        rows.append(tuple(str(value) for value in row))
    sums = [sum(int(row[at]) for row in rows[1:]) for at in range(1, len(columns))]
    rows.append(("all", *map(str, sums)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="inputs in all (1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(KINDS), help="one kind alone")
    parser.add_argument("--json", type=Path, help="file for every input with what came of it")
    options = parser.parse_args()
    found = run(options.count, options.seed, [options.only] if options.only else list(KINDS))
    print("\n".join(table(found)))
    bad = [(kind, outcome) for kind, figures in found.items() for outcome in figures.bad]
    for kind, outcome in bad[:20]:
        print(f"\n{kind}, {outcome.item}: {outcome.state}, {outcome.nonfinite} not finite\n{outcome.message[-1500:]}")
    if options.json:
        values = {
            "seed": options.seed,
            "kinds": {
                kind: {
                    "seconds": figures.seconds,
                    "items": dict(Counter(f"{o.item}: {o.state}" for o in figures.outcomes)),
                    "outcomes": [o.to_json() for o in figures.outcomes],
                }
                for kind, figures in found.items()
            },
        }
        options.json.write_text(json.dumps(values, indent=1, ensure_ascii=True))
    return 1 if bad else 0


if __name__ == "__main__":  # worker processes import this module again
    sys.exit(main())
