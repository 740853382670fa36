"""Many stops of real trainings by signals: `python -m tests.faults.stops --count 50 --json FILE`.

SIGTERM and Ctrl-C by turns at random moments of one run, resumed after each: exit code 75, and the checkpoint is of
the last update made. Every tenth gets a second signal while the training is held up, and must leave at once. In the
end the run is compared with an unbroken one.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from myxtts.errors import EXIT_STOPPED
from myxtts.storage.files import write_text_atomic
from myxtts.training.signals import ONE_REQUEST_SECONDS
from tests.faults.chain import Broken, Chain
from tests.faults.served import Server

TURNS = (signal.SIGTERM, signal.SIGINT)


def stop(chain: Chain, number: signal.Signals, seconds: float) -> Broken:
    """A process that gets a signal that long after its first update."""
    start, child = chain.saved(), chain.start()
    if child.wait_for_updates(1):
        child.wait(seconds)
    child.send(number)
    child.wait()
    return chain.after(child, start, number.name)


def stop_twice(chain: Chain, first: signal.Signals, second: signal.Signals) -> tuple[Broken, float]:
    """A process that is held up after an update and gets two signals; and how long it lived after the second."""
    start, child = chain.saved(), chain.start("loop.update:2:sleep=600")
    child.wait_for_updates(2)
    time.sleep(0.1)
    child.send(first)
    time.sleep(ONE_REQUEST_SECONDS + 0.5)
    if child.wait(0.0) is not None:
        raise AssertionError(f"one signal ended it while it was held up: {child.code}")
    sent = time.monotonic()
    child.send(second)
    child.wait(300.0)  # half of the time that it is held up for
    return chain.after(child, start, f"{first.name}, {second.name}"), time.monotonic() - sent


def problems(broken: Broken, second: signal.Signals | None, left_seconds: float) -> list[str]:
    """In what a stop was not as promised."""
    found = []
    code = EXIT_STOPPED if second is None else 128 + second
    if broken.code not in (code, 0):
        found.append(f"exit code {broken.code}, not {code}")
    if second is None and broken.lost:
        found.append(f"{broken.lost} updates lost")
    if left_seconds > 3.0:
        found.append(f"{left_seconds:.1f} s until it left")
    return found


def measure(count: int, seed: int, updates: int, folder: Path, path: Path) -> dict[str, Any]:
    """All stops, and the comparison."""
    chance = random.Random(seed)
    value: dict[str, Any] = {"count": count, "stops": []}
    with Server(folder / "server") as server, tqdm(total=count, unit="stop", file=sys.stderr) as bar:
        unbroken = Chain(server, folder, "unbroken", updates)
        unbroken.finish()
        chain = Chain(server, folder, "stopped", updates)
        while len(value["stops"]) < count:
            number = len(value["stops"])
            first, second, left_seconds = TURNS[number % 2], None, 0.0
            if number % 10 == 9:
                second = TURNS[number // 10 % 2]
                broken, left_seconds = stop_twice(chain, first, second)
            else:
                broken = stop(chain, first, chance.uniform(0.0, 1.5))
            if broken.code == 0:
                raise SystemExit(f"the run was done after {number} stops: give it more --updates")
            facts = {"lost": broken.lost, "left_seconds": left_seconds, "twice": second is not None}
            value["stops"].append({**asdict(broken), **facts, "problems": problems(broken, second, left_seconds)})
            write_text_atomic(path, json.dumps(value, indent=1) + "\n")
            bar.update(1)
        chain.finish()
        value["differences"] = chain.differences(unbroken.run)
    write_text_atomic(path, json.dumps(value, indent=1) + "\n")
    return value


def table(value: dict[str, Any]) -> list[str]:
    """The figures in lines."""
    once = [stop for stop in value["stops"] if not stop["twice"]]
    twice = [stop for stop in value["stops"] if stop["twice"]]
    wrong = [f"{stop['how']} at update {stop['made']}: {line}" for stop in value["stops"] for line in stop["problems"]]
    return [
        f"stops                      {len(value['stops'])} of {value['count']}",
        f"  exit code {EXIT_STOPPED}             {sum(stop['code'] == EXIT_STOPPED for stop in once)} of {len(once)}",
        f"  lost updates             {sum(stop['lost'] for stop in once)}",
        f"second signals             {len(twice)}",
        f"  left after, at most      {max((stop['left_seconds'] for stop in twice), default=0.0):.2f} s",
        f"equal to an unbroken run   {'no: ' + '; '.join(value['differences']) if value['differences'] else 'yes'}",
        *(f"WRONG: {line}" for line in wrong),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Stops, prints a table; 0 if all was as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.stops", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=50, help="stops")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="figures")
    parser.add_argument("--updates", type=int, default=2_500, help="updates of the run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="myxtts-stops-") as temporary:
        value = measure(options.count, options.seed, options.updates, Path(temporary), options.json)
    print("\n".join(table(value)))
    return int(bool(value["differences"]) or any(stop["problems"] for stop in value["stops"]))


if __name__ == "__main__":
    sys.exit(main())
