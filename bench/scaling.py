"""A model of the speed of N devices, computed from measured parts and checked against real processes on this machine.

An update of N processes, L of which share the memory of a machine, takes

    A x (micro(B / N) x slower(L) x slowest(N) + sum(small, N)) + apply x slower(L) + sum(weights, N) + host
    where sum(bytes, N) = 2 (N - 1) (delay + bytes / N / rate)
          slower(L) = 1 + contention (L - 1)
          slowest(N) = 1 + spread x (expected maximum of N standard normal values)

A: micro-batches of an update; B: clips of a micro-batch; micro(rows): a constant and a part per row; sum: a ring
all-reduce, N - 1 steps of adding up and N - 1 of passing on, with 1/N of the vector each; host: what an update takes
beyond its parts, which a faster device does not shorten. All wait for the slowest process, so a micro-batch takes the
longest of N times, which vary by `spread`; in processor time, where waiting is no work, it is 0.

The constants are fitted to one process, and to the sums and single micro-batches of several; whole updates of several
processes are not part of the fit, but compared with it. Batches are synthetic.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench import results
from bench.stepping import made_step, resolved_with
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import guarded
from myxtts.errors import EXIT_DONE, ConfigError

DEVICES = tuple(2**n for n in range(11))
TOKENS, FRAMES = 96, 544
"""Tokens and mel frames of every clip."""
EXCHANGED_BYTES = 400
"""About the size of the exchanged result of a micro-batch."""
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}


@dataclass(frozen=True)
class Costs:
    """The measured parts in seconds; `rate` in bytes per second."""

    micro_constant: float
    micro_per_row: float
    apply: float
    delay: float
    rate: float
    bytes: float
    """Of the gradient of all weights."""
    contention: float = 0.0
    """By how much each further process on the same memory slows the others down, as a share."""
    spread: float = 0.0
    """Standard deviation of the time of a micro-batch, as a share."""
    host: float = 0.0

    def sum(self, size: float, devices: int) -> float:
        """Time of an all-reduce of `size` bytes."""
        return 2.0 * (devices - 1) * (self.delay + size / devices / self.rate)

    def micro(self, rows: float) -> float:
        """Time of a micro-batch in one process alone; less than a clip takes as long as one."""
        return self.micro_constant + self.micro_per_row * max(1.0, rows)

    def update(self, devices: int, rows: float, accumulation: int, together: int = 1) -> float:
        """Time of an update with `rows` clips per micro-batch and device; `together` devices share a memory."""
        slower = 1.0 + self.contention * (min(devices, together) - 1)
        slowest = 1.0 + self.spread * expected_maximum(devices)
        micro = self.micro(rows) * slower * slowest + self.sum(EXCHANGED_BYTES, devices)
        return accumulation * micro + self.apply * slower + self.sum(self.bytes, devices) + self.host


def expected_maximum(count: int) -> float:
    """Of so many standard normal values, by Blom's approximation (1958): within 0.03."""
    return statistics.NormalDist().inv_cdf((count - 0.375) / (count + 0.25)) if count > 1 else 0.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("scaling", "Speed of 1 to 1,024 devices, from measured parts.")
    made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--level", metavar="LEVEL", default="enhanced", help="optimization level (enhanced)")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting")
    made.add_argument("--processes", metavar="N", type=int, nargs="+", default=[2, 3], help="groups to measure (2 3)")
    made.add_argument("--rounds", metavar="N", type=int, default=9, help="measurements of each part (9)")
    made.add_argument("--clock", choices=tuple(CLOCKS), default="wall", help="processor: where cores are shared (wall)")
    made.add_argument("--from", metavar="FILE", type=Path, dest="measured", help="parts from an earlier --json FILE")
    made.add_argument("--speed", metavar="X", type=float, default=1.0, help="a device X times as fast as this one")
    made.add_argument("--rate", metavar="GB/S", type=float, help="bytes that a device sends per second, not measured")
    made.add_argument("--delay", metavar="US", type=float, help="microseconds of a step of a sum, not measured")
    made.add_argument("--per-machine", metavar="N", type=int, default=1, help="devices that share a memory (1)")
    made.add_argument("--measure", metavar="FILE", type=Path, help="only measure, in this process, into FILE")
    given = made.parse_args(argv)
    return guarded(lambda: _measure(given) if given.measure else _run(given))


def _run(given: Namespace) -> int:
    if given.measured:
        figures = json.loads(given.measured.read_text(encoding="utf-8"))
        found = {int(size): parts for size, parts in figures["measured"].items()}
    else:
        found = {size: _group(given, size) for size in sorted({1, *given.processes})}
    config = _config(given)
    rows, accumulation = config.training.batch_size, config.training.grad_accum
    costs = fitted(found, accumulation, waits=given.clock == "wall")
    checks = [("processes", "update, measured", "by the model", "measured / model")]
    for size, parts in found.items():
        expected = costs.update(size, parts["own_rows"], accumulation, together=size)
        checks.append(
            (
                f"{size}",
                f"{1e3 * parts['update']:.0f} ms",
                f"{1e3 * expected:.0f} ms",
                f"{parts['update'] / expected:.2f}",
            )
        )
    scaled = replace(
        costs,
        micro_constant=costs.micro_constant / given.speed,
        micro_per_row=costs.micro_per_row / given.speed,
        apply=costs.apply / given.speed,
        delay=costs.delay if given.delay is None else 1e-6 * given.delay,
        rate=costs.rate if given.rate is None else 1e9 * given.rate,
    )
    table = predicted(scaled, rows, accumulation, given.per_machine)
    kept = {"measured": found, "costs": asdict(costs), "assumed": asdict(scaled), "table": table}
    results.show(f"Model of several devices against this machine, {given.clock} time", checks, {}, None, heads=True)
    print(
        f"micro-batch {1e3 * costs.micro_constant:.1f} ms + {1e3 * costs.micro_per_row:.1f} ms per clip, update "
        f"{1e3 * costs.apply:.1f} ms, host {1e3 * costs.host:.1f} ms; each further process slows by "
        f"{costs.contention:.1%}, spread {costs.spread:.1%}; a step of a sum {1e6 * costs.delay:.0f} us, "
        f"{costs.rate / 1e9:.2f} GB/s"
    )
    heads = ("devices", "fixed batch: update", "sums", "speed-up", "fixed rows: update", "sums", "efficiency")
    lines = [heads] + [
        (
            f"{row['devices']:,}",
            f"{1e3 * row['fixed_batch']:.1f} ms",
            f"{row['fixed_batch_sums']:.0%}",
            f"{row['speed_up']:.1f}",
            f"{1e3 * row['fixed_rows']:.1f} ms",
            f"{row['fixed_rows_sums']:.0%}",
            f"{row['efficiency']:.0%}",
        )
        for row in table
    ]
    title = f"Size {config.model_size}, {rows} clips x {accumulation} per update (fixed batch) or device (fixed rows)"
    results.show(title, lines, kept, given.json, heads=True)
    return EXIT_DONE


def fitted(found: Mapping[int, Mapping[str, Any]], accumulation: int, *, waits: bool) -> Costs:
    """The constants that fit the parts of one process, and the sums and micro-batches of several.

    Args:
        found: number of processes -> what `_measure` wrote.
        accumulation: micro-batches of an update.
        waits: whether the clock runs while a process waits for another one.

    Raises:
        ConfigError: there is no group of several processes.
    """
    import numpy as np

    one, several = found[1], {size: parts for size, parts in found.items() if size > 1}
    if not several:
        raise ConfigError("--processes names no group of several processes")
    rows = np.array([[1.0, float(count)] for count in one["micro"]])
    constant, per_row = np.linalg.lstsq(rows, np.array(list(one["micro"].values())), rcond=None)[0]
    # each equation is divided by its value, so that the short sums count as much as the long ones
    sums = [(size, kind, parts[kind]) for size, parts in several.items() for kind in ("small", "large")]
    sizes = {"small": EXCHANGED_BYTES, "large": one["bytes"]}
    factors = np.array([[2.0 * (n - 1) / t, 2.0 * (n - 1) / n * sizes[kind] / t] for n, kind, t in sums])
    delay, per_byte = np.linalg.lstsq(factors, np.ones(len(sums)), rcond=None)[0]
    costs = Costs(
        max(0.0, float(constant)),
        max(1e-9, float(per_row)),
        one["apply"],
        max(0.0, float(delay)),
        1.0 / max(1e-12, float(per_byte)),
        one["bytes"],
        spread=float(one["spread"]) if waits else 0.0,
    )
    own = float(one["update"]) - costs.update(1, one["own_rows"], accumulation)
    return replace(costs, contention=_contention(costs, several), host=max(0.0, own))


def _contention(costs: Costs, several: Mapping[int, Mapping[str, Any]]) -> float:
    """How much slower the micro-batches of several processes are than the model says, for each further process."""
    slower = []
    for size, parts in several.items():
        slowest = 1.0 + costs.spread * expected_maximum(size)
        for rows, seconds in parts["micro"].items():
            alone = costs.micro(float(rows)) * slowest
            slower.append(((seconds - parts["small"]) / alone - 1.0) / (size - 1))
    return max(0.0, statistics.median(slower))


def predicted(costs: Costs, rows: int, accumulation: int, together: int = 1) -> list[dict[str, float]]:
    """Update time, share of the sums and gain of each number of devices: of one batch split, and of rows kept."""
    alone = costs.update(1, rows, accumulation)
    table: list[dict[str, float]] = []
    for devices in DEVICES:
        sums = accumulation * costs.sum(EXCHANGED_BYTES, devices) + costs.sum(costs.bytes, devices)
        split, kept = (costs.update(devices, own, accumulation, together) for own in (rows / devices, rows))
        table.append(
            {
                "devices": devices,
                "fixed_batch": split,
                "fixed_batch_sums": sums / split,
                "speed_up": alone / split,
                "fixed_rows": kept,
                "fixed_rows_sums": sums / kept,
                "efficiency": alone / kept,
            }
        )
    return table


def _group(given: Namespace, size: int) -> dict[str, Any]:
    """What the first of `size` processes measures."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        taken = [stack.enter_context(socket.socket()) for _ in range(size)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in taken]
        stack.pop_all().close()
        out = Path(folder) / "parts.json"
        words = [sys.executable, "-m", "bench.scaling", "--measure", str(out), "--rounds", str(given.rounds)]
        words += ["--size", given.size, "--level", given.level, "--clock", given.clock]
        words += [word for setting in given.set for word in ("--set", setting)]
        processes = []
        for rank in range(size):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
            environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
            processes.append(subprocess.Popen(words, env=environment))
        if any([process.wait() for process in processes]):
            raise ConfigError(f"a group of {size} processes failed; its output is above")
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def _spread(taken: Sequence[float]) -> float:
    """Standard deviation as a share of the median, from the quartiles, so that a single disturbance does not count."""
    if len(taken) < 4:
        return 0.0
    low, middle, high = statistics.quantiles(taken, n=4)
    return (high - low) / 1.349 / middle


def _config(given: Namespace) -> Any:
    return resolved_with(given, ".", []).config


def _measure(given: Namespace) -> int:
    """Measures the parts in this process, one of a group; the first one writes them."""
    from myxtts.training.members import member_of

    member = member_of(os.environ)
    config = _config(given)
    import numpy as np

    with quiet_loading():
        from myxtts.training.cluster import cluster_of
        from myxtts.training.gpu import prepare_tensorflow
    prepare_tensorflow(config.training)
    cluster = cluster_of(member, "the same command")
    step, batch_of = made_step(config, TOKENS, FRAMES, cluster)
    clock = CLOCKS[given.clock]

    def times(work: Callable[[], object]) -> list[float]:
        taken = []
        for _ in range(given.rounds + 1):
            begun = clock()
            work()
            taken.append(clock() - begun)
        return taken[1:]

    def median(work: Callable[[], object]) -> float:
        return statistics.median(times(work))

    rows, accumulation = config.training.batch_size, config.training.grad_accum
    own = -(-rows // cluster.size)
    micro = {str(count): batch_of(count) for count in sorted({own, max(1, -(-own // 2)), max(1, -(-own // 3))})}
    parts: dict[str, Any] = {"micro": {}, "own_rows": own}
    knobs: dict[str, Any] = {"seed": (1, 1), "prior_strength": 0.5}
    for count, batch in micro.items():
        taken = times(lambda batch=batch: step.micro(batch, **knobs))  # type: ignore[misc]
        parts["micro"][count] = statistics.median(taken)
        if int(count) == own:
            parts["spread"] = _spread(taken)
        step.discard()
    step.micro(batch_of(own), **knobs)
    parts["apply"] = median(lambda: step.update(1e-4))
    weights = sum(int(np.prod(w.shape)) for w in step.weights)
    parts["bytes"] = 4.0 * weights
    for kind, size in (("small", EXCHANGED_BYTES // 4), ("large", weights)):
        vector = np.ones(size, np.float32)
        parts[kind] = median(lambda vector=vector: cluster.sum_now(vector))  # type: ignore[misc]

    def update() -> None:
        for _ in range(accumulation):
            step.micro(batch_of(own), **knobs)
        step.update(1e-4)

    parts["update"] = median(update)
    found = cluster.gather(parts)
    if cluster.chief:
        # processor time differs by process; the wall time of all is that of the slowest
        means = {name: statistics.fmean(one[name] for one in found) for name in ("apply", "small", "large", "update")}
        micros = {count: statistics.fmean(one["micro"][count] for one in found) for count in micro}
        results.write_json(given.measure, {**parts, **means, "micro": micros})
    cluster.part()
    sys.stdout.flush()
    os._exit(EXIT_DONE)


if __name__ == "__main__":
    sys.exit(main())
