"""Layers of settings, weakest first: the order of precedence stands here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from myxtts.config.leaves import LEAVES, value_of
from myxtts.config.levels import LEVELS, Override
from myxtts.config.schema import Config
from myxtts.config.sizes import SIZES


class Rank(IntEnum):
    """Who may set a value; the higher rank wins."""

    DEFAULT = 0
    PROGRAM = 1
    SIZE = 2
    LEVEL = 3
    SOURCE_RUN = 4
    BUILT_IN_CORPUS = 5
    FILE = 6
    COMMAND_LINE = 7

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


SOURCE_KEYS = tuple(
    key
    for key in LEAVES
    if key in ("model_size", "text.symbols", "text.blank_between") or key.startswith(("audio.", "model."))
)
"""What weights are bound to: the networks, what a token is, and how a recording becomes a mel."""


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


def source_layer(source: Config, name: str) -> Layer:
    """What the weights that learn on are bound to, as the run they come from had it; `name` tells of that run.

    A decoder that has heard a critic goes on hearing it from the first update, or it would unlearn what it was told;
    an aligner that knows its alignment is not told a diagonal.
    """
    reason = "the weights that learn on were made with it"
    rows = [Given(key, value_of(source, key), name, reason) for key in SOURCE_KEYS]
    rows += [
        Given("text.language", source.text.language, name, "what the weights learned to speak"),
        Given("schedule.diagonal_prior_updates", 0, name, "the aligner that comes with the weights has learned"),
    ]
    if source.model.critic_width:
        heard = "the critic that comes with the weights has learned, and they with it"
        rows += [Given(f"schedule.adversarial_{key}_updates", 0, name, heard) for key in ("start", "ramp")]
    return Layer(Rank.SOURCE_RUN, name, tuple(rows))


def strongest(layers: Sequence[Layer], key: str) -> object:
    """The raw value that the strongest of `layers` gives to `key`, the schema's default where none does."""
    values = [
        given.value for layer in sorted(layers, key=lambda x: x.rank) for given in layer.settings if given.key == key
    ]
    return values[-1] if values else LEAVES[key].default
