"""Causes of NaN in settings: compared with the stable level, and by reasoning about values and the schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from myxtts.config.fields import LEAVES, Value, expected
from myxtts.config.files import load_file
from myxtts.config.presets import LEVELS, Override
from myxtts.config.resolve import Layer, Rank, Resolved, resolve
from myxtts.config.schema import OPTIMIZATION_LEVELS
from myxtts.doctor.findings import Certainty, Report
from myxtts.doctor.messages import message
from myxtts.doctor.settings.read import Settings, is_nothing, nearest_name, read_settings
from myxtts.errors import ConfigError
from myxtts.messages import plain, quoted

STABLE_LEVEL = "basic"

STABLE: Mapping[str, Override] = {override.key: override for override in LEVELS[STABLE_LEVEL]}
"""The stable settings, each with its reason."""


@dataclass(frozen=True)
class StabilityRule:
    """Values on the `safe` side of the stable one are accepted; one on the other side causes NaN with `certainty`.

    Without `cause` it does not lead to NaN, but more work is lost when NaN occurs.
    """

    safe: Literal["lower", "higher", "equal"]
    certainty: Certainty
    cause: bool = True


_LIKELY, _POSSIBLE = Certainty.LIKELY, Certainty.POSSIBLE

RULES: Mapping[str, StabilityRule] = {
    "optimizer.learning_rate": StabilityRule("lower", _LIKELY),
    "schedule.warmup_updates": StabilityRule("higher", _LIKELY),
    "schedule.decay": StabilityRule("equal", _POSSIBLE),
    "schedule.diagonal_prior_updates": StabilityRule("higher", _POSSIBLE),
    "optimizer.clip_norm": StabilityRule("lower", _LIKELY),
    "training.batch_size": StabilityRule("lower", _POSSIBLE),
    "training.grad_accum": StabilityRule("higher", _POSSIBLE),
    "training.min_updates": StabilityRule("higher", _POSSIBLE, cause=False),
    "training.precision": StabilityRule("equal", _LIKELY),
    "loss.mel_weight": StabilityRule("lower", _LIKELY),
    "loss.flow_weight": StabilityRule("lower", _POSSIBLE),
    "loss.kl_weight": StabilityRule("lower", _LIKELY),
    "loss.voice_similarity_weight": StabilityRule("lower", _POSSIBLE),
    "loss.speaker_classification_weight": StabilityRule("lower", _POSSIBLE),
    "loss.voice_reconstruction_weight": StabilityRule("lower", _POSSIBLE),
    "loss.prosody_matching_weight": StabilityRule("lower", _POSSIBLE),
    "loss.spectral_consistency_weight": StabilityRule("lower", _POSSIBLE),
    "loss.duration_weight": StabilityRule("lower", _POSSIBLE),
    "loss.pitch_weight": StabilityRule("lower", _POSSIBLE),
    "loss.energy_weight": StabilityRule("lower", _POSSIBLE),
    "loss.huber_delta": StabilityRule("equal", _POSSIBLE),
    "loss.label_smoothing": StabilityRule("lower", _POSSIBLE),
    "loss.adaptive_weights": StabilityRule("equal", _LIKELY),
    "optimizer.name": StabilityRule("equal", _POSSIBLE),
    "optimizer.beta_1": StabilityRule("lower", _POSSIBLE),
    "optimizer.beta_2": StabilityRule("equal", _POSSIBLE),
    "optimizer.epsilon": StabilityRule("higher", _POSSIBLE),
    "optimizer.weight_decay": StabilityRule("lower", _POSSIBLE),
    "model.decoder": StabilityRule("equal", _POSSIBLE),
    "model.critic_width": StabilityRule("lower", _POSSIBLE),
    "training.checkpoint_every_updates": StabilityRule("lower", _POSSIBLE, cause=False),
    "training.validation_every_updates": StabilityRule("lower", _POSSIBLE, cause=False),
    "training.log_every_updates": StabilityRule("lower", _POSSIBLE, cause=False),
    "training.early_stopping_validations": StabilityRule("lower", _POSSIBLE, cause=False),
    "training.early_stopping_min_delta": StabilityRule("higher", _POSSIBLE, cause=False),
}
"""Stable setting -> its rule."""


def is_safe(key: str, value: Value, than: Value) -> bool:
    """Whether `value` is as safe as `than`, or safer."""
    if value == than or isinstance(value, (str, bool)) or isinstance(than, (str, bool)):
        return value == than
    side = RULES[key].safe
    return (side == "lower" and value < than) or (side == "higher" and value > than)


CLIP_HIGH = 0.5
"""Clipping above this hardly limits single bad clips; the stable value is lower."""
RATE_FACTOR_CERTAIN = 100.0
"""No run is known to survive a learning rate this many times the stable one, except at a level that sets it."""


def check_settings(path: Path) -> Report:
    """Causes of NaN in a settings file. Errors: ConfigError if it is not a settings file."""
    settings = read_settings(path)
    report = Report(str(path), "settings")
    report.facts.append(message("settings_read", known=len(settings.known), unknown=len(settings.unknown)))
    if settings.older:
        report.facts.append(message("settings_older"))
    add_findings(report, settings)
    _add_odd_lines(report, settings)
    if not settings.older and not any(finding.certainty == Certainty.CERTAIN for finding in report.findings):
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
            _certainty(key, value, stable),
            message("differs", written=setting.written, value=setting.text, key=key, stable=stable),
            settings.where(key),
            message("set_to", key=key, value=stable, reason=override.reason),
        )
    if costly:
        report.facts.append(message("costly", settings="; ".join(costly)))
    _add_clip(report, settings)


def _value(key: str, raw: object) -> Value:
    """A value of a level in the type of its setting."""
    assert isinstance(raw, (bool, int, float, str))
    return float(raw) if LEAVES[key].kind == "float" else raw


def _certainty(key: str, value: Value, stable: Value) -> Certainty:
    if key == "optimizer.learning_rate" and float(value) >= RATE_FACTOR_CERTAIN * float(stable):
        return Certainty.CERTAIN
    if key == "training.precision" and value in ("bf16", "auto"):
        return Certainty.POSSIBLE
    if key == "optimizer.clip_norm" and float(value) <= CLIP_HIGH:
        return Certainty.POSSIBLE
    return RULES[key].certainty


def _of_its_level(settings: Settings, key: str, value: Value) -> bool:
    """Whether the level named in the file sets this value, or a less safe one: the level was measured with it."""
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
            continue  # reported by _add_clip
        stable = STABLE[key].value if key in STABLE else LEAVES[key].default
        report.add(
            Certainty.CERTAIN if key in STABLE else Certainty.POSSIBLE,
            message("unusable", written=setting.written, raw=quoted(setting.raw), expected=expected(LEAVES[key])),
            settings.where(key),
            message("set_plain", key=key, value=stable),
        )


def _add_clip(report: Report, settings: Settings) -> None:
    """Gradient clipping that is missing in a file of the older system, or switched off."""
    key = "optimizer.clip_norm"
    stable = STABLE[key]
    do = message("set_to", key=key, value=stable.value, reason=stable.reason)
    if key not in settings.known:
        if settings.older and ("optimizer.learning_rate" in settings.known or "training.batch_size" in settings.known):
            report.add(Certainty.LIKELY, message("clip_missing"), str(settings.path), do)
        return
    setting = settings.known[key]
    if setting.problem:
        what = "clip_off" if is_nothing(setting.raw) or _is_zero(setting.raw) else "clip_unusable"
        report.add(
            Certainty.CERTAIN if what == "clip_unusable" else Certainty.LIKELY,
            message(what, written=setting.written, raw=quoted(setting.raw)),
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
            Certainty.CERTAIN if certain else Certainty.POSSIBLE,
            message(
                "restarts_die", growth=growth, first=int(first), warmup=int(warmup), sum=round(first / (1 - growth)),
                update=death,
            ),
            settings.where(key),
            message("set_to", key="schedule.decay", value="constant", reason=STABLE["schedule.decay"].reason),
        )  # fmt: skip
    elif "schedule.restart_growth" in settings.known and settings.known["schedule.restart_growth"].problem:
        setting = settings.known["schedule.restart_growth"]
        report.add(
            Certainty.CERTAIN,
            message(
                "unusable", written=setting.written, raw=quoted(setting.raw),
                expected=expected(LEAVES["schedule.restart_growth"]),
            ),
            settings.where("schedule.restart_growth"),
            message("set_plain", key="schedule.restart_growth", value=LEAVES["schedule.restart_growth"].default),
        )  # fmt: skip
    elif decay == "cosine_restarts" and not _of_its_level(settings, "schedule.decay", decay):
        report.add(
            Certainty.POSSIBLE,
            message("restarts_jump"),
            settings.where("schedule.decay"),
            message("set_to", key="schedule.decay", value="constant", reason=STABLE["schedule.decay"].reason),
        )
    if 0 < last < warmup:
        share = round(100 * last / warmup)
        where = settings.where("schedule.warmup_updates")
        report.facts.append(message("warmup_over", warmup=int(warmup), last=int(last), share=share, where=where))


def _add_odd_lines(report: Report, settings: Settings) -> None:
    """Lines that set nothing: a misspelt name leaves a setting at its default. Of an older system many are expected."""
    for line, note in settings.notes:
        report.add(Certainty.POSSIBLE, note, f"{settings.path}:{line}", message("keep_one"))
    if settings.older and settings.unknown:
        report.facts.append(message("unknown_names", count=len(settings.unknown), names=settings.unknown_names()))
        return
    for written, line in settings.unknown:
        near = nearest_name(written)
        do = message("rename", near=near) if near else message("delete_line")
        report.add(Certainty.POSSIBLE, message("unknown_key", written=written), f"{settings.path}:{line}", do)


def _add_contradictions(report: Report, path: Path) -> None:
    """What the strict reader of --config rejects, beyond what was found."""
    places = [str(value) for fact in report.facts for name, value in fact.values if name == "where"]
    reported = " ".join([*places, *(finding.where for finding in report.findings)])
    for problem in problems_of([load_file(path)]):
        if not any(f"{path}:{line}" in reported for line in _lines(problem, path)):
            report.add(
                Certainty.CERTAIN, message("settings_invalid", problem=problem), str(path), message("correct_it")
            )


def _lines(problem: str, path: Path) -> list[str]:
    """Line numbers of `path` that a problem names."""
    return [part.split(":")[0].split(")")[0].split(",")[0] for part in problem.split(f"{path}:")[1:]]


def problems_of(layers: list[Layer]) -> list[str]:
    """The problems of `layers`, one line each."""
    resolved = resolved_or_problems(layers)
    return resolved if isinstance(resolved, list) else []


def resolved_or_problems(layers: list[Layer]) -> Resolved | list[str]:
    """The configuration of `layers`, or every problem with them."""
    assert all(layer.rank != Rank.LEVEL for layer in layers)
    try:
        return resolve(layers)
    except ConfigError as error:
        return error.problems
