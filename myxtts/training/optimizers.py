"""The optimizers by name, made from settings. Accumulation, clipping, schedule, EMA and loss scale are the step's."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from myxtts.config.schema import OptimizerConfig

UNDECAYED = ("bias", "gain", "log_variance")
"""Names of weights that weight decay leaves alone."""


def _adamw(settings: OptimizerConfig) -> keras.optimizers.Optimizer:
    return keras.optimizers.AdamW(
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
        epsilon=settings.epsilon,
    )


def _muon(settings: OptimizerConfig) -> keras.optimizers.Optimizer:
    """Muon for matrices (https://kellerjordan.github.io/posts/muon), AdamW for embeddings and for the rest."""
    return keras.optimizers.Muon(
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adam_weight_decay=settings.weight_decay,
        adam_beta_1=settings.beta_1,
        adam_beta_2=settings.beta_2,
        epsilon=settings.epsilon,
        exclude_layers=["symbol", "language", "speaker", "out"],
        rms_rate=0.2,
    )


OPTIMIZERS = {"adamw": _adamw, "muon": _muon}


def make(settings: OptimizerConfig, weights: Sequence[keras.Variable]) -> keras.optimizers.Optimizer:
    """The optimizer of the settings, built for `weights`: all its state exists before the first step is traced."""
    optimizer = OPTIMIZERS[settings.name](settings)
    optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    optimizer.build(list(weights))
    return optimizer
