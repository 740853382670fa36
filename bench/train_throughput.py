"""Mel frames a second in training, everything included: making batches, the step, journals, hot checkpoints.

Left out is what happens once: reading the data, building graphs, the first updates of each batch shape. The program's
own loop and trainer run here, in a run directory that is thrown away.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import results
from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.quiet import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.cli.train import resolve_request
from myxtts.config.layers import program_layer
from myxtts.config.schema import DataConfig
from myxtts.errors import EXIT_DONE, EXIT_STOPPED

if TYPE_CHECKING:
    from myxtts.config.resolve import Resolved
    from myxtts.data.prepare import Prepared
    from myxtts.storage.journal import Journal
    from myxtts.training.loop import Loop

NEVER = 10_000_000
FEWEST_UPDATES, MOST_UPDATES = 20, 100


@dataclass(frozen=True)
class Window:
    """Some updates in a row."""

    updates: int
    seconds: float
    frames: int
    wait_share: float

    @property
    def frames_per_second(self) -> float:
        """Mel frames without padding, over the time on the wall."""
        return self.frames / self.seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("train_throughput", "Mel frames a second in training, everything included.")
    made.add_argument("--data", metavar="ROOT", help="data root (the built-in corpus)")
    made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--level", metavar="LEVEL", default="enhanced", help="optimization level (enhanced)")
    made.add_argument("--precision", metavar="KIND", help="fp32, bf16 or fp16 (what the level says)")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting")
    made.add_argument("--windows", metavar="N", type=int, default=5, help="windows; the median counts (5)")
    made.add_argument(
        "--updates", metavar="N", type=int, default=0, help="updates of a window (0: an epoch, 20 to 100)"
    )
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    screen = Screen()
    resolved, prepared = _prepared(given, screen)
    threads = resolved.config.training.threads or len(os.sched_getaffinity(0))
    windows = measured(resolved, prepared, given.windows, given.updates, screen)
    screen.close()
    if windows is None:
        return EXIT_STOPPED
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


def _row(name: str, window: Window) -> tuple[str, ...]:
    return (
        name,
        str(window.updates),
        f"{window.frames:,}",
        f"{window.seconds:.1f}",
        f"{window.frames_per_second:,.0f}",
        f"{window.wait_share:.1%}",
    )


def _prepared(given: Namespace, screen: Screen) -> tuple[Resolved, Prepared]:
    """Settings and data, as the training command makes them."""
    from myxtts.data import demo_corpus
    from myxtts.data.prepare import prepare

    root = given.data or str(demo_corpus.ensure(Path(DataConfig().cache_path).expanduser(), screen.progress))
    words = ["--train-data", root, "--val-data", root, "--model-size", given.size, "--optimization-level", given.level]
    words += ["--precision", given.precision] if given.precision else []
    for setting in (f"training.validation_every_updates={NEVER}", *given.set):
        words += ["--set", setting]
    entry = program_layer("train_main.py", {})
    resolved, _ = resolve_request(request_of(*training_parser(entry.name, None).parse_known(words)), entry, None)
    prepared = prepare(resolved.config, screen.progress, named=resolved.named)
    screen.close()
    screen.say(*prepared.audit.table())
    return resolved, prepared


def measured(resolved: Resolved, prepared: Prepared, windows: int, updates: int, screen: Screen) -> list[Window] | None:
    """Trains through a warm-up of one window and then `windows` of them; None if a signal ended it."""
    from myxtts.storage.journal import Journal
    from myxtts.storage.run_directory import RunDirectory

    with quiet_loading():
        from myxtts.training.run import prepare_tensorflow
    from myxtts.training.signals import StopSignals

    prepare_tensorflow(resolved.config.training.threads)
    per_epoch = len(prepared.training_batches(resolved.config)) // resolved.config.training.grad_accum
    updates = updates or min(MOST_UPDATES, max(FEWEST_UPDATES, per_epoch))
    with ExitStack() as stack:
        directory = RunDirectory(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="myxtts-bench-"))))
        journal = stack.enter_context(Journal(directory.metrics_path))
        loop = _loop(resolved, prepared, directory, journal, screen, stack)
        signals = stack.enter_context(StopSignals())
        done = []
        for number in range(windows + 1):
            loop.total_updates = loop.trainer.position.update + updates
            begun = time.perf_counter()
            if loop.run(signals) != "updates":
                return None
            seconds = time.perf_counter() - begun
            journal.flush()
            if number:
                done.append(_window(directory, updates, seconds))
        return done


def _loop(
    resolved: Resolved, prepared: Prepared, directory: Any, journal: Journal, screen: Screen, stack: ExitStack
) -> Loop:
    """The program's loop with everything that belongs to it but validation."""
    from myxtts.data.loader import Loader
    from myxtts.models.generate import Generator
    from myxtts.storage.store import CheckpointStore
    from myxtts.training.loop import Loop
    from myxtts.training.saving import PatientJournal, Saver
    from myxtts.training.tensorboard_log import TensorBoardLog
    from myxtts.training.trainer import Trainer

    config = resolved.config
    trainer = Trainer(config, prepared.corpus)
    batches = prepared.training_batches(config)
    store = CheckpointStore(
        directory.checkpoints_path, config.training.keep_checkpoints, config.training.checkpoint_every_updates
    )
    metrics = PatientJournal(journal, screen.warn)

    def tell(event: str, message: str, **more: object) -> None:
        if event not in ("checkpoint", "best"):
            screen.warn(f"{event}: {message}")

    return Loop(
        trainer,
        stack.enter_context(Loader(batches)),
        Saver(trainer, store, Generator(trainer.average), batches, {}, metrics, tell),
        metrics,
        stack.enter_context(TensorBoardLog(directory.tensorboard_path)),
        screen,
        tell,
        lambda: False,
        [utterance.id for utterance in prepared.train.utterances],
        total_updates=0,
    )


def _window(directory: Any, updates: int, seconds: float) -> Window:
    """The newest `updates` lines of the journal as a window that took `seconds`."""
    from myxtts.storage.journal import read_metrics

    records = [record for record in read_metrics(directory.metrics_path) if record["kind"] == "train"][-updates:]
    spent = [record["frames"] / record["frames_per_second"] for record in records]
    waited = sum(record["wait_share"] * time for record, time in zip(records, spent, strict=True))
    return Window(updates, seconds, sum(record["frames"] for record in records), waited / sum(spent))


if __name__ == "__main__":
    sys.exit(main())
