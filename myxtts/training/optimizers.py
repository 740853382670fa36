"""The optimizers by name behind one interface. Accumulation, clipping, schedule, EMA and loss scale are the step's.

AdamW drives TensorFlow's fused Adam kernel (one pass over weights and moments): Keras's AdamW, composed of single
operations, takes 2.2 times as long on a processor (bench/optimizer_cost).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.config.schema import OptimizerConfig
from myxtts.errors import CheckpointError

UNDECAYED = ("bias", "gain", "log_variance")
"""Last parts of the names of weights that weight decay leaves alone."""
UNMATRIX = ("/symbol/", "/language/", "/speaker$", "out/")
"""Weights that Muon leaves to AdamW, as expressions found in their paths: tables, and layers that give an output."""


class Optimizer(Protocol):
    """What the step needs of an optimizer."""

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """Move the weights; callable inside tf.cond."""

    def moments(self) -> dict[str, tf.Variable]:
        """All state by name, the number of steps included."""


class AdamW:
    """AdamW with decoupled decay: w -= lr x (m' / (sqrt(v') + eps) + decay x w).

    Source: arXiv 1412.6980, algorithm 1; arXiv 1711.05101, algorithm 2.
    Differs: epsilon is added before the bias correction of v, as in the paper's closing remark of section 2.
    """

    def __init__(self, settings: OptimizerConfig, weights: Sequence[keras.Variable]) -> None:
        self.settings, self.weights = settings, list(weights)
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.first = [tf.Variable(tf.zeros(w.shape), trainable=False) for w in self.weights]
        self.second = [tf.Variable(tf.zeros(w.shape), trainable=False) for w in self.weights]

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """One step."""
        s = self.settings
        count = tf.cast(self.steps.assign_add(1), tf.float32)
        powers = tf.pow(s.beta_1, count), tf.pow(s.beta_2, count)
        for weight, first, second, gradient in zip(self.weights, self.first, self.second, gradients, strict=True):
            variable = weight.value
            if s.weight_decay > 0.0 and not weight.path.rsplit("/", 1)[-1].endswith(UNDECAYED):
                variable.assign(variable * (1.0 - learning_rate * s.weight_decay))
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=learning_rate,
                beta1=s.beta_1,
                beta2=s.beta_2,
                epsilon=s.epsilon,
                grad=gradient,
            )

    def moments(self) -> dict[str, tf.Variable]:
        """first/PATH, second/PATH and steps."""
        named = {"steps": self.steps}
        for weight, first, second in zip(self.weights, self.first, self.second, strict=True):
            named[f"first/{weight.path}"], named[f"second/{weight.path}"] = first, second
        return named


class Muon:
    """Keras's Muon for matrices (https://kellerjordan.github.io/posts/muon), its AdamW for tables and the rest."""

    def __init__(self, settings: OptimizerConfig, weights: Sequence[keras.Variable]) -> None:
        self.weights = list(weights)
        self.keras = keras.optimizers.Muon(
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            adam_weight_decay=settings.weight_decay,
            adam_beta_1=settings.beta_1,
            adam_beta_2=settings.beta_2,
            epsilon=settings.epsilon,
            exclude_layers=list(UNMATRIX),
            rms_rate=0.2,
            name="muon",  # or else the second one of a process has other names for its state
        )
        self.keras.exclude_from_weight_decay(var_names=list(UNDECAYED))
        self.keras.build(self.weights)

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """One step."""
        self.keras.learning_rate.assign(learning_rate)
        self.keras.apply(list(gradients), self.weights)

    def moments(self) -> dict[str, tf.Variable]:
        """Keras's own variables by their paths."""
        return {v.path: v.value for v in self.keras.variables}


OPTIMIZERS: dict[str, type[AdamW] | type[Muon]] = {"adamw": AdamW, "muon": Muon}


def make(settings: OptimizerConfig, weights: Sequence[keras.Variable]) -> Optimizer:
    """The optimizer of the settings for `weights`; all its state exists before the first step is traced."""
    return OPTIMIZERS[settings.name](settings, weights)


def restore(optimizer: Optimizer, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Put the state back that `moments` named.

    Raises:
        CheckpointError: a name or a shape does not fit.
    """
    own = optimizer.moments()
    odd = sorted(set(own) ^ set(arrays)) + [n for n in own if n in arrays and tuple(own[n].shape) != arrays[n].shape]
    if odd:
        raise CheckpointError(
            f"the optimizer's state in the checkpoint does not fit ({odd[0]!r} and {len(odd) - 1} more): "
            "resume with the optimizer and model it was saved with, or start a new run with --init-from"
        )
    for name, variable in own.items():
        variable.assign(arrays[name])
