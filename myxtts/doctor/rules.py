"""Which way each setting of the stable level is safe, and how surely a value on the other side leads to NaN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from myxtts.config.fields import Value
from myxtts.config.presets import LEVELS, Override
from myxtts.doctor.findings import Rank

STABLE_LEVEL = "basic"

STABLE: Mapping[str, Override] = {override.key: override for override in LEVELS[STABLE_LEVEL]}
"""The stable settings, each with its reason."""


@dataclass(frozen=True)
class Rule:
    """`safe`: a value on this side of the stable one is left alone. `rank`: of a value on the other side.

    A value that is no `cause` does not lead to NaN: it makes NaN cost more, once it is there.
    """

    safe: Literal["lower", "higher", "equal"]
    rank: Rank
    cause: bool = True


_LIKELY, _POSSIBLE = Rank.LIKELY, Rank.POSSIBLE

RULES: Mapping[str, Rule] = {
    "optimizer.learning_rate": Rule("lower", _LIKELY),
    "schedule.warmup_updates": Rule("higher", _LIKELY),
    "schedule.decay": Rule("equal", _POSSIBLE),
    "schedule.diagonal_prior_updates": Rule("higher", _POSSIBLE),
    "optimizer.clip_norm": Rule("lower", _LIKELY),
    "training.batch_size": Rule("lower", _POSSIBLE),
    "training.grad_accum": Rule("higher", _POSSIBLE),
    "training.precision": Rule("equal", _LIKELY),
    "loss.mel_weight": Rule("lower", _LIKELY),
    "loss.flow_weight": Rule("lower", _POSSIBLE),
    "loss.kl_weight": Rule("lower", _LIKELY),
    "loss.voice_similarity_weight": Rule("lower", _POSSIBLE),
    "loss.speaker_classification_weight": Rule("lower", _POSSIBLE),
    "loss.voice_reconstruction_weight": Rule("lower", _POSSIBLE),
    "loss.prosody_matching_weight": Rule("lower", _POSSIBLE),
    "loss.spectral_consistency_weight": Rule("lower", _POSSIBLE),
    "loss.duration_weight": Rule("lower", _POSSIBLE),
    "loss.pitch_weight": Rule("lower", _POSSIBLE),
    "loss.energy_weight": Rule("lower", _POSSIBLE),
    "loss.huber_delta": Rule("equal", _POSSIBLE),
    "loss.label_smoothing": Rule("lower", _POSSIBLE),
    "loss.adaptive_weights": Rule("equal", _LIKELY),
    "optimizer.name": Rule("equal", _POSSIBLE),
    "optimizer.beta_1": Rule("lower", _POSSIBLE),
    "optimizer.beta_2": Rule("equal", _POSSIBLE),
    "optimizer.epsilon": Rule("higher", _POSSIBLE),
    "optimizer.weight_decay": Rule("lower", _POSSIBLE),
    "model.decoder": Rule("equal", _POSSIBLE),
    "model.critic_width": Rule("lower", _POSSIBLE),
    "training.checkpoint_every_updates": Rule("lower", _POSSIBLE, cause=False),
    "training.validation_every_updates": Rule("lower", _POSSIBLE, cause=False),
    "training.log_every_updates": Rule("lower", _POSSIBLE, cause=False),
    "training.early_stopping_validations": Rule("lower", _POSSIBLE, cause=False),
    "training.early_stopping_min_delta": Rule("higher", _POSSIBLE, cause=False),
}
"""One rule for each stable setting; a test holds the two together."""


def is_safe(key: str, value: Value, than: Value) -> bool:
    """Whether `value` is as safe as `than`, or safer."""
    if value == than or isinstance(value, (str, bool)) or isinstance(than, (str, bool)):
        return value == than
    side = RULES[key].safe
    return (side == "lower" and value < than) or (side == "higher" and value > than)
