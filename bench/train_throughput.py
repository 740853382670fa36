"""Mel frames per second in training, everything included: making batches, the step, journals, hot checkpoints.

What happens once is not counted: reading the data, building graphs, the first updates of each batch shape. The
program's own loop and trainer run here, in a temporary run directory."""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import results
from bench.stepping import add_options, prepared_with, resolved_with
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE

if TYPE_CHECKING:
    from myxtts.data.prepare import PreparedData

NEVER = 10_000_000
FEWEST_UPDATES, MOST_UPDATES = 20, 100


@dataclass(frozen=True)
class ThroughputWindow:
    """Some updates in a row."""

    updates: int
    seconds: float
    frames: int
    wait_share: float

    @property
    def frames_per_second(self) -> float:
        """Mel frames without padding per second of wall time."""
        return self.frames / self.seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("train_throughput", "Mel frames per second in training, everything included.")
    add_options(made, "enhanced")
    made.add_argument("--precision", metavar="KIND", help="fp32, bf16 or fp16 (that of the level)")
    made.add_argument("--windows", metavar="N", type=int, default=5, help="windows; the median counts (5)")
    made.add_argument(
        "--updates", metavar="N", type=int, default=0, help="updates of a window (0: an epoch, 20 to 100)"
    )
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    screen = Screen()
    resolved, prepared = prepared_with(given, _quiet(given), screen)
    screen.say(*prepared.audit.table())
    threads = resolved.config.training.threads or len(os.sched_getaffinity(0))
    per_epoch = len(prepared.training_batches(resolved.config)) // resolved.config.training.grad_accum
    updates = given.updates or min(MOST_UPDATES, max(FEWEST_UPDATES, per_epoch))
    windows = measured(given, resolved.config.data.train_path, prepared, updates, screen)
    screen.close()
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    rate = statistics.median(window.frames_per_second for window in windows)
    rows: list[tuple[str, ...]] = [("window", "updates", "frames", "seconds", "frames/s", "waiting")]
    rows += [_row(str(number), window) for number, window in enumerate(windows, 1)]
    config = resolved.config
    results.show(
        f"Training, size {config.model_size}, level {config.optimization_level}, {config.training.precision}, "
        f"{config.effective_batch} clips an update",
        rows,
        {
            "data": config.data.train_path,
            "size": config.model_size,
            "level": config.optimization_level,
            "precision": config.training.precision,
            "threads": threads,
            "frames_per_second": rate,
            "wait_share": statistics.median(window.wait_share for window in windows),
            "peak_memory_gb": usage,
            "windows": [{**asdict(w), "frames_per_second": w.frames_per_second} for w in windows],
        },
        given.json,
        heads=True,
    )
    wait = statistics.median(window.wait_share for window in windows)
    print(f"median {rate:,.0f} frames/s, threads: {threads}; waiting for data {wait:.1%}; peak memory {usage:.2f} GB")
    return EXIT_DONE


def _row(name: str, window: ThroughputWindow) -> tuple[str, ...]:
    return (
        name,
        str(window.updates),
        f"{window.frames:,}",
        f"{window.seconds:.1f}",
        f"{window.frames_per_second:,.0f}",
        f"{window.wait_share:.1%}",
    )


def _quiet(given: Namespace) -> list[str]:
    """Settings besides those of `given`: nothing validates while it is measured."""
    precision = [f"training.precision={given.precision}"] if given.precision else []
    return [f"training.validation_every_updates={NEVER}", *precision]


class _Watch:
    """The screen of a run that is measured: it notes the moment of every update."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.moments: list[float] = []

    def say(self, *lines: str) -> None:
        """Nothing: the table is what is printed."""

    def warn(self, *lines: str) -> None:
        """Warnings are shown."""
        self._screen.warn(*lines)

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        """An update."""
        self.moments.append(time.perf_counter())
        self._screen.progress("updates", done, total)

    def progress(self, task: str, done: int, total: int) -> None:
        """Of the validation at the end, which is not counted."""


def measured(
    given: Namespace, root: str, prepared: PreparedData, updates: int, screen: Screen
) -> list[ThroughputWindow]:
    """Trains through a warm-up of one window and then those that were requested."""
    from myxtts.storage.journal import read_metrics
    from myxtts.storage.run_directory import RunDirectory

    with quiet_loading():
        from myxtts.training.run import train

    watch = _Watch(screen)
    with tempfile.TemporaryDirectory(prefix="myxtts-bench-") as folder:
        total = updates * (given.windows + 1)
        own = [f"training.checkpoint_dir={folder}", f"training.max_updates={total}"]
        resolved = resolved_with(given, root, [*_quiet(given), *own])
        train(resolved, prepared, fresh=False, init_from=None, command="", screen=watch)
        records = [r for r in read_metrics(RunDirectory(Path(folder)).metrics_path) if r["kind"] == "train"]
    done = []
    for first in range(updates, len(records) - updates + 1, updates):
        seconds = watch.moments[first + updates - 1] - watch.moments[first - 1]
        done.append(_window(records[first : first + updates], seconds))
    return done


def _window(records: Sequence[Mapping[str, Any]], seconds: float) -> ThroughputWindow:
    """Lines of the journal as a window that took `seconds`."""
    spent = [record["frames"] / record["frames_per_second"] for record in records]
    waited = sum(record["wait_share"] * time for record, time in zip(records, spent, strict=True))
    return ThroughputWindow(len(records), seconds, sum(record["frames"] for record in records), waited / sum(spent))


if __name__ == "__main__":
    sys.exit(main())
