"""From layers of settings to one checked configuration, with the origin of every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from myxtts.config.check import contradictions
from myxtts.config.layers import Given, Layer, Rank, level_layer, size_layer
from myxtts.config.leaves import LEAVES, Value, build, coerce, shown, unknown_key
from myxtts.config.load import load_file
from myxtts.config.schema import Config
from myxtts.errors import ConfigError


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
            f"{key} is pinned to {value}, got {shown(source.value)} ({source.layer}); {advice}"
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


def config_of_file(path: str | Path) -> Config:
    """The configuration in a complete settings file, such as the config.yaml of a run. Raises ConfigError.

    What a file does not name that was complete when it was written is `BEFORE`, whatever its level says today.
    """
    before = tuple(Given(key, value, "settings of before it") for key, value in BEFORE.items())
    return resolve([Layer(Rank.SOURCE_RUN, "settings of before it", before), load_file(path)]).config


BEFORE: Mapping[str, Value] = {"model.critic_width": 0}
"""What a run had before a setting was there, where levels set it now."""

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
        problems.append(f"{key} is {shown(raw)} ({origin}); {error}")
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
            origins = ", ".join(f"{key} = {shown(source.value)} from {source.layer}" for key, source in sources)
            lines.append(f"{found.message} ({origins}); {found.advice}")
    return lines


def _without_user(resolved: Resolved, key: str) -> Value:
    return next(source.value for source in reversed(resolved.provenance[key]) if not source.named)
