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


@dataclass(frozen=True)
class Source:
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
    """A complete configuration; for every leaf the chain of its sources, the one that holds last."""

    config: Config
    provenance: Mapping[str, tuple[Source, ...]]

    @property
    def named(self) -> frozenset[str]:
        """Keys that the user set himself, in a file or on the command line."""
        return frozenset(key for key, chain in self.provenance.items() if chain[-1].named)

    def source(self, key: str) -> Source:
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
        """The same with other values of the same meaning, such as an absolute path; the origins stay."""
        provenance = {
            key: (*chain[:-1], replace(chain[-1], value=values.get(key, chain[-1].value)))
            for key, chain in self.provenance.items()
        }
        return Resolved(build({key: chain[-1].value for key, chain in provenance.items()}), provenance)


def resolve(layers: Sequence[Layer], pinned: Mapping[str, tuple[str, str]] | None = None) -> Resolved:
    """The configuration of `layers` in the order of their ranks, on top of schema defaults, model size and level.

    `layers` may be of any rank but DEFAULT, SIZE and LEVEL, which are put beneath them here. `pinned` maps a key to
    its only allowed value and to what a user who asks for another is told. Raises ConfigError with every problem.
    """
    problems = [problem for layer in layers for problem in layer.problems]
    chains: dict[str, list[Source]] = {key: [Source("default", field.default)] for key, field in LEAVES.items()}
    spoiled: set[str] = set()
    ordered = sorted(layers, key=lambda layer: layer.rank)
    for layer in ordered:
        _choose(layer, chains, spoiled, problems)
    size, level = str(chains["model_size"][-1].value), str(chains["optimization_level"][-1].value)
    ordered = sorted([*layers, size_layer(size), level_layer(level, size)], key=lambda layer: layer.rank)
    for layer in ordered:
        _apply(layer, chains, spoiled, problems)
    for key, (value, advice) in (pinned or {}).items():
        problems += [
            f"{key} is pinned to {value}, got {quoted(source.value)} ({source.layer}); {advice}"
            for source in chains[key]
            if source.named and source.value != value
        ]
    provenance = {key: tuple(chain) for key, chain in chains.items()}
    config = build({key: chain[-1].value for key, chain in provenance.items()})
    resolved = Resolved(config, provenance)
    problems += _contradictions(resolved, spoiled)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return resolved


_CHOOSERS = ("model_size", "optimization_level")


def _choose(layer: Layer, chains: dict[str, list[Source]], spoiled: set[str], problems: list[str]) -> None:
    """Takes size and level first: they decide which layers lie beneath the others."""
    for given in layer.settings:
        if given.key in _CHOOSERS:
            _take(given.key, given.value, given.origin, given.reason, layer.rank, chains, spoiled, problems)


def _apply(layer: Layer, chains: dict[str, list[Source]], spoiled: set[str], problems: list[str]) -> None:
    for given in layer.settings:
        if given.key not in _CHOOSERS:
            _take(given.key, given.value, given.origin, given.reason, layer.rank, chains, spoiled, problems)


def _take(
    key: str,
    raw: object,
    origin: str,
    reason: str,
    rank: Rank,
    chains: dict[str, list[Source]],
    spoiled: set[str],
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
        spoiled.add(key)
        return
    chains[key].append(Source(origin, value, reason, rank.named))


def _contradictions(resolved: Resolved, spoiled: set[str]) -> list[str]:
    """Settings that exclude one another, with where each was set; those with a spoiled value are not judged."""
    chosen = frozenset(key for key in resolved.named if resolved.source(key).value != _without_user(resolved, key))
    lines = []
    for found in contradictions(resolved.config, chosen):
        if spoiled.isdisjoint(found.keys):
            sources = [(key, resolved.source(key)) for key in found.keys]
            origins = ", ".join(f"{key} = {quoted(source.value)} from {source.layer}" for key, source in sources)
            lines.append(f"{found.message} ({origins}); {found.advice}")
    return lines


def _without_user(resolved: Resolved, key: str) -> Value:
    return next(source.value for source in reversed(resolved.provenance[key]) if not source.named)
