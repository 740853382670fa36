"""Causes of NaN in settings: against the stable level, and by reasoning about values and the schedule."""

from __future__ import annotations

import math
from pathlib import Path

from myxtts.config.fields import LEAVES, Value, expected
from myxtts.config.files import load_file
from myxtts.config.presets import LEVELS
from myxtts.config.resolve import Layer, Resolved, resolve
from myxtts.config.resolve import Rank as LayerRank
from myxtts.config.schema import OPTIMIZATION_LEVELS
from myxtts.doctor.findings import Rank, Report, said
from myxtts.doctor.rules import RULES, STABLE, is_safe
from myxtts.doctor.settings_file import Settings, is_nothing, nearest_name, read_settings
from myxtts.errors import ConfigError
from myxtts.messages import plain, quoted

CLIP_HIGH = 0.5
"""A clip over this lets single clips through; the stable one is under it."""
RATE_FACTOR_CERTAIN = 100.0
"""A learning rate this many times the stable one, at no level that has it, has never been seen to hold."""


def check_settings(path: Path) -> Report:
    """What in a settings file leads to NaN, the surest first. Errors: ConfigError for what is no settings file."""
    settings = read_settings(path)
    report = Report(str(path), "settings")
    report.facts.append(said("settings_read", known=len(settings.known), unknown=len(settings.unknown)))
    if settings.older:
        report.facts.append(said("settings_older"))
    add_findings(report, settings)
    _add_odd_lines(report, settings)
    if not settings.older and not any(finding.rank == Rank.CERTAIN for finding in report.findings):
        _add_contradictions(report, path)
    return report


def add_findings(report: Report, settings: Settings) -> None:
    """Adds every cause that the values show."""
    _add_unusable(report, settings)
    _add_schedule(report, settings)
    costly: list[str] = []
    for key, override in STABLE.items():
        value = settings.value(key)
        if value is None or key == "schedule.decay":
            continue
        stable = _value(key, override.value)
        if is_safe(key, value, stable) or _of_its_level(settings, key, value):
            continue
        setting = settings.known[key]
        if not RULES[key].cause:
            costly.append(f"{setting.written} {setting.text} -> {key} {plain(stable)}")
            continue
        report.add(
            _rank(key, value, stable),
            said("differs", written=setting.written, value=setting.text, key=key, stable=stable),
            settings.where(key),
            said("set_to", key=key, value=stable, reason=override.reason),
        )
    if costly:
        report.facts.append(said("costly", settings="; ".join(costly)))
    _add_clip(report, settings)


def _value(key: str, raw: object) -> Value:
    """A value of a level in the type of its setting."""
    assert isinstance(raw, (bool, int, float, str))
    return float(raw) if LEAVES[key].kind == "float" else raw


def _rank(key: str, value: Value, stable: Value) -> Rank:
    if key == "optimizer.learning_rate" and float(value) >= RATE_FACTOR_CERTAIN * float(stable):
        return Rank.CERTAIN
    if key == "training.precision" and value in ("bf16", "auto"):
        return Rank.POSSIBLE
    if key == "optimizer.clip_norm" and float(value) <= CLIP_HIGH:
        return Rank.POSSIBLE
    return RULES[key].rank


def _of_its_level(settings: Settings, key: str, value: Value) -> bool:
    """Whether the level that the file names has this value itself, or a less careful one: it was measured with it."""
    level, size = str(settings.value("optimization_level")), str(settings.value("model_size") or "tiny")
    if level not in OPTIMIZATION_LEVELS or settings.older:
        return False
    own = {override.key: override.value_for(size) for override in LEVELS[level]}
    return key in own and is_safe(key, value, _value(key, own[key]))


def _add_unusable(report: Report, settings: Settings) -> None:
    for key, setting in settings.known.items():
        if not setting.problem or key in ("schedule.restart_growth",):
            continue
        if key == "optimizer.clip_norm":
            continue  # no clip at all is told by _add_clip
        stable = STABLE[key].value if key in STABLE else LEAVES[key].default
        report.add(
            Rank.CERTAIN if key in STABLE else Rank.POSSIBLE,
            said("unusable", written=setting.written, raw=quoted(setting.raw), expected=expected(LEAVES[key])),
            settings.where(key),
            said("set_plain", key=key, value=stable),
        )


def _add_clip(report: Report, settings: Settings) -> None:
    """No clip of the gradient norm: not set by the older system's file, or set to nothing."""
    key = "optimizer.clip_norm"
    stable = STABLE[key]
    do = said("set_to", key=key, value=stable.value, reason=stable.reason)
    if key not in settings.known:
        if settings.older and ("optimizer.learning_rate" in settings.known or "training.batch_size" in settings.known):
            report.add(Rank.LIKELY, said("clip_missing"), str(settings.path), do)
        return
    setting = settings.known[key]
    if setting.problem:
        what = "clip_off" if is_nothing(setting.raw) or _is_zero(setting.raw) else "clip_unusable"
        report.add(
            Rank.CERTAIN if what == "clip_unusable" else Rank.LIKELY,
            said(what, written=setting.written, raw=quoted(setting.raw)),
            settings.where(key),
            do,
        )


def _is_zero(raw: object) -> bool:
    try:
        return float(str(raw)) == 0.0
    except ValueError:
        return False


def death_of_restarts(first: float, growth: float, warmup: float) -> int | None:
    """The first update at which cosine restarts in Keras's form give NaN; None if they never do.

    Keras finds the period from log(1 - t (1 - growth) / first) / log(growth), t counted after the warmup: with a growth
    under 1 the periods sum to first / (1 - growth), and there the logarithm's argument has fallen to 0.
    Source: arXiv 1608.03983, section 3; CosineDecayRestarts of Keras 3.15.
    """
    if not 0.0 < growth < 1.0 or first <= 0.0:
        return None
    return math.ceil(round(warmup + first / (1.0 - growth), 6))


def _number(settings: Settings, key: str, otherwise: float) -> float:
    if key not in settings.known:
        return otherwise
    try:
        value = float(str(settings.known[key].raw))
    except ValueError:
        return otherwise
    return value if math.isfinite(value) else otherwise


def _add_schedule(report: Report, settings: Settings) -> None:
    growth = _number(settings, "schedule.restart_growth", 1.0)
    warmup = _number(settings, "schedule.warmup_updates", 0.0)
    first = _number(settings, "schedule.decay_updates", 1_000.0 if settings.older else 20_000.0)
    decay = settings.value("schedule.decay")
    restarts = decay == "cosine_restarts" or "schedule.restart_growth" in settings.known
    death = death_of_restarts(first, growth, warmup) if restarts else None
    last = _number(settings, "training.max_updates", 0.0)
    if death is not None:
        key = "schedule.restart_growth" if "schedule.restart_growth" in settings.known else "schedule.decay"
        certain = decay in ("cosine_restarts", None) and not 0 < last < death
        report.add(
            Rank.CERTAIN if certain else Rank.POSSIBLE,
            said(
                "restarts_die", growth=growth, first=int(first), warmup=int(warmup), sum=round(first / (1 - growth)),
                update=death,
            ),
            settings.where(key),
            said("set_to", key="schedule.decay", value="constant", reason=STABLE["schedule.decay"].reason),
        )  # fmt: skip
    elif "schedule.restart_growth" in settings.known and settings.known["schedule.restart_growth"].problem:
        setting = settings.known["schedule.restart_growth"]
        report.add(
            Rank.CERTAIN,
            said(
                "unusable", written=setting.written, raw=quoted(setting.raw),
                expected=expected(LEAVES["schedule.restart_growth"]),
            ),
            settings.where("schedule.restart_growth"),
            said("set_plain", key="schedule.restart_growth", value=LEAVES["schedule.restart_growth"].default),
        )  # fmt: skip
    elif decay == "cosine_restarts" and not _of_its_level(settings, "schedule.decay", decay):
        report.add(
            Rank.POSSIBLE,
            said("restarts_jump"),
            settings.where("schedule.decay"),
            said("set_to", key="schedule.decay", value="constant", reason=STABLE["schedule.decay"].reason),
        )
    if 0 < last < warmup:
        share = round(100 * last / warmup)
        where = settings.where("schedule.warmup_updates")
        report.facts.append(said("warmup_over", warmup=int(warmup), last=int(last), share=share, where=where))


def _add_odd_lines(report: Report, settings: Settings) -> None:
    """Lines that set nothing here; a misspelt name leaves a setting at a value that nobody chose."""
    for line, note in settings.notes:
        report.add(Rank.POSSIBLE, note, f"{settings.path}:{line}", said("keep_one"))
    for written, line in settings.unknown:
        near = nearest_name(written)
        do = said("rename", near=near) if near else said("delete_line")
        report.add(Rank.POSSIBLE, said("unknown_key", written=written), f"{settings.path}:{line}", do)
    if settings.without_counterpart:
        names = ", ".join(written for written, _ in settings.without_counterpart[:8])
        count = len(settings.without_counterpart)
        report.facts.append(said("without_counterpart", count=count, names=names))


def _add_contradictions(report: Report, path: Path) -> None:
    """What the strict reader of --config would refuse, beyond what was found."""
    places = [str(value) for fact in report.facts for name, value in fact.values if name == "where"]
    told = " ".join([*places, *(finding.where for finding in report.findings)])
    for problem in problems_of([load_file(path)]):
        if not any(f"{path}:{line}" in told for line in _lines(problem, path)):
            report.add(Rank.CERTAIN, said("refused", problem=problem), str(path), said("correct_it"))


def _lines(problem: str, path: Path) -> list[str]:
    """Line numbers of `path` that a problem names."""
    return [part.split(":")[0].split(")")[0].split(",")[0] for part in problem.split(f"{path}:")[1:]]


def problems_of(layers: list[Layer]) -> list[str]:
    """What `resolve` finds wrong with `layers`, one line each."""
    resolved = resolved_or_problems(layers)
    return resolved if isinstance(resolved, list) else []


def resolved_or_problems(layers: list[Layer]) -> Resolved | list[str]:
    """The configuration of `layers`, or every problem with them."""
    assert all(layer.rank != LayerRank.LEVEL for layer in layers)
    try:
        return resolve(layers)
    except ConfigError as error:
        return error.problems
