"""Layers of settings, weakest first: the order of precedence stands here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from myxtts.config.levels import LEVELS, Override
from myxtts.config.sizes import SIZES


class Rank(IntEnum):
    """Who may set a value; the higher rank wins."""

    DEFAULT = 0
    PROGRAM = 1
    SIZE = 2
    LEVEL = 3
    BUILT_IN_CORPUS = 4
    FILE = 5
    COMMAND_LINE = 6

    @property
    def named(self) -> bool:
        """Whether the user set it himself."""
        return self >= Rank.FILE


@dataclass(frozen=True)
class Given:
    """One setting as a layer gives it: the raw value (text, or a Python value), where it stands, and why."""

    key: str
    value: object
    origin: str
    reason: str = ""


@dataclass(frozen=True)
class Layer:
    """Settings of one rank, and what was found wrong while they were read. A later setting beats an earlier one."""

    rank: Rank
    name: str
    settings: tuple[Given, ...] = ()
    problems: tuple[str, ...] = ()

    def sets(self, *keys: str) -> bool:
        """Whether this layer gives any of `keys`."""
        return any(given.key in keys for given in self.settings)


BUILT_IN_CORPUS_OVERRIDES: tuple[Override, ...] = (
    Override("training.max_minutes", 9.0, "a first run on the built-in corpus ends in about ten minutes"),
)


def program_layer(program: str, settings: Mapping[str, object]) -> Layer:
    """What an entry point sets of its own, such as its run directory."""
    return Layer(Rank.PROGRAM, program, tuple(Given(key, value, program) for key, value in settings.items()))


def size_layer(size: str) -> Layer:
    """The overrides of a model size."""
    origin = f"size {size}"
    return Layer(Rank.SIZE, origin, tuple(Given(key, value, origin) for key, value in SIZES[size].items()))


def level_layer(level: str, size: str) -> Layer:
    """The overrides of an optimization level at a model size. A later override of a level beats an earlier one."""
    origin = f"level {level}"
    last = {override.key: override for override in LEVELS[level]}
    return Layer(
        Rank.LEVEL,
        origin,
        tuple(Given(key, override.value_for(size), origin, override.reason) for key, override in last.items()),
    )


def built_in_corpus_layer() -> Layer:
    """What a first run on the built-in corpus sets, as long as the user sets no length himself."""
    origin = "built-in corpus"
    settings = tuple(Given(row.key, row.value, origin, row.reason) for row in BUILT_IN_CORPUS_OVERRIDES)
    return Layer(Rank.BUILT_IN_CORPUS, origin, settings)
