"""Shared by benchmarks of single updates: settings, the batches of an update, a clock."""

from __future__ import annotations

import argparse
import itertools
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.train import resolve_request
from myxtts.config.resolve import program_layer

if TYPE_CHECKING:
    from myxtts.config.resolve import Resolved
    from myxtts.data.prepare import PreparedData


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
