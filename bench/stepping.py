"""Shared by benchmarks of single updates: settings, the batches of an update, a clock."""

from __future__ import annotations

import argparse
import itertools
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.train import resolve_request
from myxtts.config.resolve import program_layer
from myxtts.config.schema import DataConfig

if TYPE_CHECKING:
    from myxtts.cli.screen import Screen
    from myxtts.config.resolve import Resolved
    from myxtts.data.prepare import PreparedData
    from myxtts.training.step import Step


def add_options(made: argparse.ArgumentParser, level: str) -> None:
    """The options for data, networks and settings."""
    made.add_argument("--data", metavar="ROOT", help="data root (the built-in corpus)")
    made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--level", metavar="LEVEL", default=level, help=f"optimization level ({level})")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting")


def resolved_with(given: Namespace, root: str, more: Sequence[str]) -> Resolved:
    """The settings of `given` (size, level, set) on the data root `root`, with `more` on top."""
    words = ["--train-data", root, "--val-data", root, "--model-size", given.size, "--optimization-level", given.level]
    for setting in (*given.set, *more):
        words += ["--set", setting]
    entry = program_layer("train_main.py", {})
    return resolve_request(request_of(*training_parser(entry.name, None).parse_known(words)), entry, None)[0]


def built_in_corpus(screen: Screen) -> Path:
    """The folder of the built-in corpus, spoken on first use."""
    from myxtts.demo import corpus

    return corpus.ensure(Path(DataConfig().cache_path).expanduser(), screen.progress)


def prepared_with(given: Namespace, more: Sequence[str], screen: Screen) -> tuple[Resolved, PreparedData]:
    """The settings of `given` with `more` on top, and the data of --data, else the built-in corpus."""
    from myxtts.data.prepare import prepare

    resolved = resolved_with(given, given.data or str(built_in_corpus(screen)), more)
    prepared = prepare(resolved.config, screen.progress, named=resolved.named)
    screen.close()
    return resolved, prepared


def windows(prepared: PreparedData, config: Any) -> Iterator[list[Any]]:
    """Batches of an update, endlessly."""
    batches = prepared.training_batches(config)
    for epoch in itertools.count():
        planned = iter(batches.plan(epoch))
        while len(window := list(itertools.islice(planned, config.training.grad_accum))) == config.training.grad_accum:
            yield [batches.build(one, epoch) for one in window]


def timed(call: Callable[..., None], *arguments: object) -> float:
    """Seconds that a call takes."""
    begun = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - begun


def made_step(
    config: Any, tokens: int, frames: int, cluster: Any = None
) -> tuple[Step, Callable[[int], dict[str, Any]]]:
    """A step of the settings with new weights, and made-up batches of a number of rows.

    Args:
        config: the settings.
        tokens, frames: of every clip.
        cluster: the processes that share each batch; one by default.
    """
    import numpy as np

    from myxtts.audio.harmonics import harmonic_table
    from myxtts.data.batches import empty_batch, reference_frames
    from myxtts.data.plan import Bucket
    from myxtts.models.build import build_voice_cloner
    from myxtts.text.symbols import default_table
    from myxtts.training.optimizers import chosen_precision
    from myxtts.training.step import Step
    from myxtts.training.task import VoiceTask

    symbols, channels = len(default_table(config.text.symbols)), config.audio.mel_channels

    def build() -> Any:
        return build_voice_cloner(
            config.model,
            channels=channels,
            symbols=symbols,
            languages=1,
            speakers=1,
            harmonics=harmonic_table(config.audio, 5.0, 0.3),
            precision=chosen_precision(config.training.precision),
            seed=1,
            recompute=config.training.recompute,
        )

    random = np.random.default_rng([1, cluster.rank if cluster else 0])

    def batch_of(rows: int) -> dict[str, Any]:
        batch = empty_batch(rows, Bucket(frames, tokens), frames, reference_frames(config), channels)
        batch["text_BT"][:] = random.integers(3, symbols, batch["text_BT"].shape)
        lengths = {"text_length_B": tokens, "mel_length_B": frames, "target_length_B": frames}
        for key, length in (lengths | {"reference_length_B": batch["reference_BRC"].shape[1]}).items():
            batch[key][:] = length
        batch["target_BS"][:] = np.arange(frames)
        for key in ("mel_BMC", "pitch_BM", "energy_BM", "reference_BRC", "spectrum_BC", "prosody_BQ"):
            batch[key][:] = random.standard_normal(batch[key].shape)
        batch["voiced_BM"][:], batch["weight_B"][:], batch["speaker_B"][:] = 1.0, 1.0, 0
        batch["utterance_B"][:] = np.arange(rows)
        return batch

    return Step(VoiceTask(config), build(), build(), cluster), batch_of
