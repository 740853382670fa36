"""From layers of settings, weakest first, to one checked configuration with the origin of every value.

The order of precedence is defined here (`Rank`) and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from myxtts.config.check import contradictions
from myxtts.config.fields import LEAVES, Value, build, coerce, unknown_key, value_of
from myxtts.config.presets import BUILT_IN_CORPUS_OVERRIDES, LEVELS, SIZES
from myxtts.config.schema import Config
from myxtts.errors import ConfigError
from myxtts.messages import quoted


class Rank(IntEnum):
    """The sources of settings; the higher rank wins."""

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
        """Whether the user set it."""
        return self >= Rank.FILE


@dataclass(frozen=True)
class Given:
    """One setting as a layer gives it: the raw value (text or a Python value), its origin, and the reason."""

    key: str
    value: object
    origin: str
    reason: str = ""


@dataclass(frozen=True)
class Layer:
    """Settings of one rank, and the problems found while reading them. A later setting overrides an earlier one."""

    rank: Rank
    name: str
    settings: tuple[Given, ...] = ()
    problems: tuple[str, ...] = ()

    def sets(self, *keys: str) -> bool:
        """Whether this layer gives any of `keys`."""
        return any(given.key in keys for given in self.settings)


SOURCE_KEYS = tuple(
    key
    for key in LEAVES
    if key in ("model_size", "text.symbols", "text.blank_between") or key.startswith(("audio.", "model."))
)
"""Settings that trained weights depend on: networks, tokens, and the mel convention."""


def program_layer(program: str, settings: Mapping[str, object]) -> Layer:
    """The settings of an entry point, such as its run directory."""
    return Layer(Rank.PROGRAM, program, tuple(Given(key, value, program) for key, value in settings.items()))


def size_layer(size: str) -> Layer:
    """The overrides of a model size."""
    origin = f"size {size}"
    return Layer(Rank.SIZE, origin, tuple(Given(key, value, origin) for key, value in SIZES[size].items()))


def level_layer(level: str, size: str) -> Layer:
    """The overrides of an optimization level at a model size. A later override of a level replaces an earlier one."""
    origin = f"level {level}"
    last = {override.key: override for override in LEVELS[level]}
    return Layer(
        Rank.LEVEL,
        origin,
        tuple(Given(key, override.value_for(size), origin, override.reason) for key, override in last.items()),
    )


def built_in_corpus_layer() -> Layer:
    """What a run on the built-in corpus sets, unless the user sets a length."""
    origin = "built-in corpus"
    settings = tuple(Given(row.key, row.value, origin, row.reason) for row in BUILT_IN_CORPUS_OVERRIDES)
    return Layer(Rank.BUILT_IN_CORPUS, origin, settings)


def epochs_layer() -> Layer:
    """What a number of epochs that the user sets implies: it counts, however few updates it gives."""
    given = Given("training.min_updates", 0, "the number of epochs is set")
    return Layer(Rank.BUILT_IN_CORPUS, given.origin, (given,))


def source_layer(source: Config, name: str) -> Layer:
    """The settings that the initial weights depend on, from their run; `name` describes that run.

    A decoder that was trained with a critic keeps it from the first update on, and a trained aligner needs no diagonal
    prior.
    """
    reason = "the initial weights were trained with it"
    rows = [Given(key, value_of(source, key), name, reason) for key in SOURCE_KEYS]
    rows += [
        Given("text.language", source.text.language, name, "the language of the initial weights"),
        Given("schedule.diagonal_prior_updates", 0, name, "the aligner of the initial weights is trained"),
    ]
    if source.model.critic_width:
        reason = "the critic of the initial weights is trained"
        rows += [Given(f"schedule.adversarial_{key}_updates", 0, name, reason) for key in ("start", "ramp")]
    return Layer(Rank.SOURCE_RUN, name, tuple(rows))


def strongest(layers: Sequence[Layer], key: str) -> object:
    """The raw value of `key` in the strongest of `layers`, or the default of the schema."""
    values = [
        given.value for layer in sorted(layers, key=lambda x: x.rank) for given in layer.settings if given.key == key
    ]
    return values[-1] if values else LEAVES[key].default


@dataclass(frozen=True)
class ValueSource:
    """Where a value comes from: 'default', 'size tiny', 'level basic', 'file x.yaml:12', 'command line --lr'."""

    layer: str
    value: Value
    reason: str = ""
    named: bool = False


@dataclass(frozen=True)
class Difference:
    """A setting that is not at its schema default."""

    key: str
    value: Value
    source: str
    reason: str


@dataclass(frozen=True)
class Resolved:
    """A complete configuration, and for every leaf its sources from the weakest to the one in effect."""

    config: Config
    provenance: Mapping[str, tuple[ValueSource, ...]]

    @property
    def named(self) -> frozenset[str]:
        """Keys that the user set, in a file or on the command line."""
        return frozenset(key for key, chain in self.provenance.items() if chain[-1].named)

    def source(self, key: str) -> ValueSource:
        """Where the value of `key` comes from."""
        return self.provenance[key][-1]

    def differing(self) -> list[Difference]:
        """Every setting that differs from its schema default, in the order of the schema."""
        return [
            Difference(key, chain[-1].value, chain[-1].layer, chain[-1].reason)
            for key, chain in self.provenance.items()
            if chain[-1].value != LEAVES[key].default
        ]

    def written_as(self, values: Mapping[str, Value]) -> Resolved:
        """The same with equivalent values, such as absolute paths; the origins are kept."""
        provenance = {
            key: (*chain[:-1], replace(chain[-1], value=values.get(key, chain[-1].value)))
            for key, chain in self.provenance.items()
        }
        return Resolved(build({key: chain[-1].value for key, chain in provenance.items()}), provenance)

    def changed(self, values: Mapping[str, Value], origin: str, reason: str) -> Resolved:
        """The same with other values of an origin of their own, found out when the program runs."""
        provenance = {
            key: (*chain, ValueSource(origin, values[key], reason, True)) if key in values else chain
            for key, chain in self.provenance.items()
        }
        return Resolved(build({key: chain[-1].value for key, chain in provenance.items()}), provenance)


def resolve(layers: Sequence[Layer], pinned: Mapping[str, tuple[str, str]] | None = None) -> Resolved:
    """The configuration of `layers` in the order of their ranks, on top of schema defaults, model size and level.

    `layers` may have any rank but DEFAULT, SIZE and LEVEL, which are added here. `pinned` maps a key to its only
    allowed value and the advice for a user who sets another. Raises ConfigError with every problem.
    """
    problems = [problem for layer in layers for problem in layer.problems]
    chains: dict[str, list[ValueSource]] = {
        key: [ValueSource("default", field.default)] for key, field in LEAVES.items()
    }
    invalid: set[str] = set()
    ordered = sorted(layers, key=lambda layer: layer.rank)
    for layer in ordered:
        _choose(layer, chains, invalid, problems)
    size, level = str(chains["model_size"][-1].value), str(chains["optimization_level"][-1].value)
    ordered = sorted([*layers, size_layer(size), level_layer(level, size)], key=lambda layer: layer.rank)
    for layer in ordered:
        _apply(layer, chains, invalid, problems)
    for key, (value, advice) in (pinned or {}).items():
        problems += [
            f"{key} is pinned to {value}, got {quoted(source.value)} ({source.layer}); {advice}"
            for source in chains[key]
            if source.named and source.value != value
        ]
    provenance = {key: tuple(chain) for key, chain in chains.items()}
    config = build({key: chain[-1].value for key, chain in provenance.items()})
    resolved = Resolved(config, provenance)
    problems += _contradictions(resolved, invalid)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return resolved


_CHOOSERS = ("model_size", "optimization_level")


def _choose(layer: Layer, chains: dict[str, list[ValueSource]], invalid: set[str], problems: list[str]) -> None:
    """Applies size and level first: they choose further layers."""
    for given in layer.settings:
        if given.key in _CHOOSERS:
            _take(given.key, given.value, given.origin, given.reason, layer.rank, chains, invalid, problems)


def _apply(layer: Layer, chains: dict[str, list[ValueSource]], invalid: set[str], problems: list[str]) -> None:
    for given in layer.settings:
        if given.key not in _CHOOSERS:
            _take(given.key, given.value, given.origin, given.reason, layer.rank, chains, invalid, problems)


def _take(
    key: str,
    raw: object,
    origin: str,
    reason: str,
    rank: Rank,
    chains: dict[str, list[ValueSource]],
    invalid: set[str],
    problems: list[str],
) -> None:
    unknown = unknown_key(key)
    if unknown:
        problems.append(f"{unknown} ({origin})")
        return
    try:
        value = coerce(LEAVES[key], raw)
    except ValueError as error:
        problems.append(f"{key} is {quoted(raw)} ({origin}); {error}")
        invalid.add(key)
        return
    chains[key].append(ValueSource(origin, value, reason, rank.named))


def _contradictions(resolved: Resolved, invalid: set[str]) -> list[str]:
    """Settings that contradict each other, with their origins; skips settings whose value is invalid."""
    chosen = frozenset(key for key in resolved.named if resolved.source(key).value != _without_user(resolved, key))
    lines = []
    for found in contradictions(resolved.config, chosen):
        if invalid.isdisjoint(found.keys):
            sources = [(key, resolved.source(key)) for key in found.keys]
            origins = ", ".join(f"{key} = {quoted(source.value)} from {source.layer}" for key, source in sources)
            lines.append(f"{found.message} ({origins}); {found.advice}")
    return lines


def _without_user(resolved: Resolved, key: str) -> Value:
    return next(source.value for source in reversed(resolved.provenance[key]) if not source.named)
