"""A run of a tiny model that does everything a run does, and the memory, files, threads and graphs it holds.

Synthetic recordings of many lengths give batches of many shapes; validations with samples, checkpoints of every kind,
skipped updates and skipped micro-batches (2% and 2%, seeded) are included.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from bench.process_figures import Sample, after_warm_up, memory_slope, sample
from myxtts import faults
from myxtts.audio.waveform import write_wav
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen
from myxtts.config.resolve import Given, Layer, Rank, resolve
from myxtts.errors import ConfigError
from myxtts.progress import silent

if TYPE_CHECKING:
    from myxtts.config.resolve import Resolved

RATE = 22_050
CLIPS = 40
FAULTS = "step.layer_gradient:3:inf,step.gradient:1%1:scale=1e12,step.loss.kl:1%2:nan,step.micro_batch:1%3:inf"
"""The first one is early: the graph with gradient factors, which only faults and fp16 need, is built before the samples
count."""
SETTINGS: dict[str, object] = {
    "text.symbols": "characters",
    "data.num_workers": 1,
    "data.validation_share": 0.1,
    "data.reference_seconds": 0.5,
    "data.length_buckets": 8,
    "model.width": 16,
    "model.heads": 2,
    "model.text_blocks": 1,
    "model.decoder_blocks": 1,
    "model.predictor_width": 8,
    "model.speaker_width": 8,
    "model.voice_width": 8,
    "model.style_width": 4,
    "training.precision": "fp32",
    "training.batch_size": 2,
    "training.grad_accum": 2,
    "training.epochs": 1_000_000,
    "training.hot_checkpoint_seconds": 5,
    "training.checkpoint_every_updates": 500,
    "training.candidate_every_updates": 100,
    "training.validation_every_updates": 250,
    "training.early_stopping_validations": 1_000_000,
    "training.threads": 1,
    "optimizer.learning_rate": 1e-4,
    "schedule.warmup_updates": 100,
}


class Watcher:
    """A screen for a run that measures the process at every `every`-th attempt of an update."""

    def __init__(self, screen: Screen, updates: int) -> None:
        self._screen, self._updates, self._every = screen, updates, max(1, min(100, updates // 20))
        self.attempts = 0
        self.samples: list[Sample] = []

    def say(self, *lines: str) -> None:
        """Nothing is printed: the run is measured, not read."""

    warn = say

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        """An attempt."""
        self.attempts += 1
        if self.attempts % self._every == 0 and (found := sample("self", done)):
            self.samples.append(found)
            self._screen.progress("updates", done, self._updates)

    def progress(self, task: str, done: int, total: int) -> None:
        """Of the validation."""


def measure(work: Path, updates: int, settings: Sequence[str], screen: Screen, warm_up_share: float) -> dict[str, Any]:
    """Trains in WORK and gives all figures; the caller's own faults are disarmed."""
    from myxtts.data.prepare import prepare

    make_root(work / "root")
    resolved = _resolved(work, updates, settings)
    prepared = prepare(resolved.config, silent, named={"data.train_path"})
    with quiet_loading():
        from myxtts.models.generate import Generator
        from myxtts.training import examine, run
        from myxtts.training.run_state import RunState
        from myxtts.training.trainer import Trainer
    trainers: list[Any] = []
    states: list[Any] = []
    generators: list[Any] = []
    watcher = Watcher(screen, updates)
    with (
        mock.patch.object(run, "Trainer", _noted(Trainer, trainers)),
        mock.patch.object(run, "RunState", _noted(RunState, states)),
        mock.patch.object(examine, "Generator", _noted(Generator, generators)),
        mock.patch.dict(os.environ, {faults.VARIABLE: FAULTS}),
    ):
        try:
            done = run.train(resolved, prepared, fresh=True, init_from=None, command="", screen=watcher)
        finally:
            faults.disarm()
    samples = after_warm_up(watcher.samples, warm_up_share)
    if len(samples) < 3:
        raise ConfigError(f"--updates is {updates}, too few for a slope")
    position = states[0].position
    return {
        "updates": done,
        "attempts": watcher.attempts,
        "skipped": position.skipped,
        "buckets": len(prepared.buckets),
        "graphs": {**graphs(trainers[0].step), **graphs(generators[0])},
        "allocated_mb_per_1000_updates": memory_slope([samples], allocated=True),
        "files_ends": (samples[0].files, samples[-1].files),
        "threads_ends": (samples[0].threads, samples[-1].threads),
    }


def _noted(kind: Any, made: list[Any]) -> Any:
    def make(*args: Any, **more: Any) -> Any:
        made.append(kind(*args, **more))
        return made[-1]

    return make


def graphs(owner: Any) -> dict[str, int]:
    """Name -> graphs built of every tf.function that an object holds."""
    import tensorflow as tf

    kind = type(tf.function(lambda: None))
    held: dict[str, Any] = {}
    for name, value in vars(owner).items():
        # a dictionary of them holds one for each of a few sizes
        held |= {f"{name}[{key}]": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return {
        f"{type(owner).__name__}.{name.lstrip('_')}": int(value.experimental_get_tracing_count())
        for name, value in held.items()
        if isinstance(value, kind)
    }


def _resolved(work: Path, updates: int, settings: Sequence[str]) -> Resolved:
    own: dict[str, object] = {
        **SETTINGS,
        "data.train_path": str(work / "root"),
        "data.cache_path": str(work / "cache"),
        "training.checkpoint_dir": str(work / "run"),
        "training.max_updates": updates,
        **dict(setting.split("=", 1) for setting in settings),
    }
    given = tuple(Given(key, str(value), "leak_run") for key, value in own.items())
    return resolve([Layer(Rank.COMMAND_LINE, "bench", given)])


def make_root(root: Path) -> Path:
    """Recordings of 0.4 to 3 seconds by two voices."""
    (root / "wavs").mkdir(parents=True, exist_ok=True)
    lines = ["id|text|speaker"]
    for number in range(CLIPS):
        time_N = np.arange(int(RATE * (0.4 + 2.6 * number / CLIPS))) / RATE
        hz = 110.0 + 80.0 * (number % 2)
        tone_N = sum(np.sin(2 * np.pi * k * hz * time_N + k) / k for k in range(1, 9))
        noise_N = np.random.default_rng(number).normal(0.0, 0.02, len(time_N))
        samples_N = 0.2 * tone_N * (0.6 + 0.4 * np.sin(9 * time_N)) + noise_N
        write_wav(root / "wavs" / f"c{number}.wav", samples_N.astype(np.float32), RATE)
        lines.append(f"c{number}|{'Say ' * (1 + number // 8)}{'abcdefgh'[number % 8]}.|s{number % 2}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def failed_counts(found: Mapping[str, Any]) -> list[str]:
    """What leaks of that which is counted: graphs, open files, threads."""
    said = []
    for name, count in found["graphs"].items():
        if count > found["buckets"]:
            said.append(f"H2: {count} graphs of {name}, there are {found['buckets']} batch shapes")
    for name in ("files", "threads"):
        first, last = found[f"{name}_ends"]
        if last > first:
            said.append(f"H2: {name} grow from {first} to {last}")
    return said
