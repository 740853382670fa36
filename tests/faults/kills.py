"""Many kills of real trainings, and what they cost: `python -m tests.faults.kills --count 200 --json FILE`.

Kills at every stage of a save and of the loop, and at random moments. Runs of some hundred updates are killed and
resumed until they are done, and are then compared with an unbroken run: the losses of every update and the hashes of
all tensors. If interrupted, the same command continues from FILE (and, with --work, with the run it was killing).
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from myxtts.storage.files import write_text_atomic
from tests.faults.chain import HOT_SECONDS, LAST_STAGE, SLACK_SECONDS, STAGES, Broken, Chain, random_kill
from tests.faults.served import Server

START_UP_SECONDS = 10.0
MOST_PROCESSES = 300


def plan(count: int, seed: int) -> list[str]:
    """What each kill is: a stage, or `random`; every stage twice if there are enough, in a shuffled order."""
    stages = [*STAGES, *STAGES][: count // 2]
    kinds = stages + ["random"] * (count - len(stages))
    random.Random(seed).shuffle(kinds)
    return kinds


class Results:
    """Everything measured so far, in a JSON file that is whole at any moment."""

    def __init__(self, path: Path, count: int, seed: int) -> None:
        self.path = path
        self.value: dict[str, Any] = {"count": count, "seed": seed, "kills": [], "runs": []}
        if path.exists():
            before = json.loads(path.read_text("utf-8"))
            if (before["count"], before["seed"]) == (count, seed):
                self.value = before

    @property
    def kills(self) -> list[dict[str, Any]]:
        return list(self.value["kills"])

    def unfinished(self, folder: Path) -> str | None:
        """The run of the last kill, if it is not yet compared and still there."""
        last = self.kills[-1]["run"] if self.kills else ""
        done = {run["run"] for run in self.value["runs"]}
        return last if last and last not in done and (folder / last).is_dir() else None

    def kill(self, broken: Broken, run: str) -> None:
        """One more kill."""
        self.value["kills"].append({**asdict(broken), "lost": broken.lost, "run": run})
        self._write()

    def end_of_run(self, run: str, differences: list[str], codes: list[int]) -> None:
        """A run is done."""
        self.value["runs"].append({"run": run, "differences": differences, "codes": codes})
        self._write()

    def _write(self) -> None:
        self.value["hot_seconds"] = HOT_SECONDS
        write_text_atomic(self.path, json.dumps(self.value, indent=1) + "\n")


def measure(results: Results, folder: Path, updates: int, bar: Any) -> None:
    """Kills until there are enough of them."""
    count, seed = results.value["count"], results.value["seed"]
    kinds = plan(count, seed)
    with Server(folder / "server") as server:
        unbroken = Chain(server, folder, "unbroken", updates)
        if not (unbroken.run / "report.html").exists():
            shutil.rmtree(unbroken.run, ignore_errors=True)
            done = unbroken.finish()
            if done.code:
                raise SystemExit(f"the unbroken run ended with {done.code}; its words are in {folder / 'server'}")
        while len(results.kills) < count:
            name = results.unfinished(folder) or f"run-{len(results.value['runs']):02d}-{time.time():.0f}"
            chain = Chain(server, folder, name, updates)
            codes = one_run(chain, kinds, results, bar)
            results.end_of_run(name, chain.differences(unbroken.run), codes)
            shutil.rmtree(chain.run)


def one_run(chain: Chain, kinds: list[str], results: Results, bar: Any) -> list[int]:
    """Kill and resume one run until it is done; the exit codes of its processes."""
    codes: list[int] = []
    for number in range(MOST_PROCESSES):
        at = len(results.kills)
        chance = random.Random(f"{results.value['seed']} {at} {number}")
        if at >= len(kinds):
            broken = chain.finish()
        elif chain.updates - chain.saved() <= 60 and not any(k["how"].startswith(LAST_STAGE) for k in results.kills):
            broken = chain.kill_at(LAST_STAGE, 1, patience=30.0)
        elif kinds[at] == "random":
            broken = random_kill(chain, chance, START_UP_SECONDS)
        else:
            broken = chain.kill_at(kinds[at], chance.randint(1, 4))
        codes.append(broken.code)
        if broken.code == 0:
            return codes
        if broken.code != -9:
            raise SystemExit(f"a process ended with {broken.code}: see the newest log in {chain.server.folder}")
        results.kill(broken, chain.run.name)
        bar.update(1)
    raise SystemExit(f"{chain.run.name} is not done after {MOST_PROCESSES} processes")


def table(value: dict[str, Any]) -> list[str]:
    """The figures in lines."""
    kills, runs = value["kills"], value["runs"]
    bad = [f"{run['run']}: {'; '.join(run['differences'])}" for run in runs if run["differences"]]
    struck = sorted({kill["how"].partition(":")[0] for kill in kills} - {"random"})
    slowest = max((kill["lost_seconds"] for kill in kills if kill["made"] > kill["start"]), default=0.0)
    late = [k for k in kills if k["made"] > k["start"] and k["lost_seconds"] > HOT_SECONDS + SLACK_SECONDS]
    return [
        f"kills                      {len(kills)} of {value['count']}",
        f"  at a stage               {sum(k['how'] != 'random' for k in kills)} ({len(struck)} different)",
        f"  at a random moment       {sum(k['how'] == 'random' for k in kills)}",
        f"  before the first update  {sum(k['where'] == 'start-up' for k in kills)}",
        f"resumed                    {len(kills)}, all: a run that is not resumed ends this program",
        f"runs compared              {len(runs)}",
        f"losses and hashes equal    {len(runs) - len(bad)} of {len(runs)}",
        f"lost updates, most         {max((kill['lost'] for kill in kills), default=0)}",
        f"lost updates, mean         {sum(kill['lost'] for kill in kills) / max(1, len(kills)):.1f}",
        f"lost time, most            {slowest:.2f} s (hot interval {HOT_SECONDS:g} s)",
        f"over the interval + {SLACK_SECONDS:g} s  {len(late)}",
        f"seconds of all processes   {sum(kill['seconds'] for kill in kills):.0f}",
        *(f"DIFFERENT: {line}" for line in bad),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Kills, prints a table; 0 if every run came out equal."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="kills")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="figures; read to go on")
    parser.add_argument("--updates", type=int, default=600, help="updates of a run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--work", type=Path, help="folder for the runs (default: a temporary one)")
    options = parser.parse_args(argv)
    results = Results(options.json, options.count, options.seed)
    with tempfile.TemporaryDirectory(prefix="myxtts-kills-") as temporary:
        folder = options.work or Path(temporary)
        with tqdm(total=options.count, initial=len(results.kills), unit="kill", file=sys.stderr) as bar:
            measure(results, folder, options.updates, bar)
    print("\n".join(table(results.value)))
    return int(any(run["differences"] for run in results.value["runs"]))


if __name__ == "__main__":
    sys.exit(main())
