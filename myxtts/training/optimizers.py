"""The optimizers by name behind one interface, and the precision of the networks with the loss scale of fp16.

Accumulation, clipping, schedule and EMA belong to the step.

AdamW uses TensorFlow's fused Adam kernel (one pass over weights and moments): Keras's AdamW, which consists of single
operations, takes 2.2 times as long on a CPU (bench/optimizer_cost).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.config.hardware import processor_has_bf16
from myxtts.config.schema import OptimizerConfig
from myxtts.errors import CheckpointError
from myxtts.training.packing import PackedPart, Packing

UNDECAYED = ("bias", "gain", "log_variance")
"""Suffixes of the names of weights without weight decay."""
UNMATRIX = ("/symbol/", "/language/", "/speaker$", "out/")
"""Expressions for the paths of weights that Muon leaves to AdamW: embedding tables and output layers."""
BF16_COMPUTE_CAPABILITY = (8, 0)
INITIAL_SCALE = 2.0**13
GROWTH_UPDATES = 1_000
LARGEST_SCALE = 2.0**16
SMALLEST_SCALE = 1.0


class Optimizer(Protocol):
    """The interface of an optimizer."""

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """Update the weights; callable inside tf.cond."""

    def moments(self) -> dict[str, tf.Variable | PackedPart]:
        """All state by name, including the number of steps."""


class AdamW:
    """AdamW with decoupled decay: w -= lr x (m' / (sqrt(v') + eps) + decay x w).

    Source: arXiv 1412.6980, algorithm 1; arXiv 1711.05101, algorithm 2.
    Differs: epsilon is added before the bias correction of v, as in the paper's closing remark of section 2.
    """

    def __init__(self, settings: OptimizerConfig, weights: Sequence[keras.Variable]) -> None:
        self.settings, self.weights = settings, list(weights)
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.packing = Packing([w.shape for w in self.weights])
        self.first, self.second = self.packing.zeros(), self.packing.zeros()
        small = self.packing.small_vector([w.value for w in self.weights])
        self._small = [tf.Variable(block, trainable=False) for block in small]
        """The small weights, packed while a step changes them."""

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """One step."""
        s = self.settings
        count = tf.cast(self.steps.assign_add(1), tf.float32)
        powers = tf.pow(s.beta_1, count), tf.pow(s.beta_2, count)
        kept = 1.0 - learning_rate * s.weight_decay
        values = [w.value for w in self.weights]
        for packed, small in zip(self._small, self.packing.small_vector(values), strict=True):
            packed.assign(small)
        blocks = [*self._small, *(values[i] for i in self.packing.large)]
        has_decay = [not w.path.rsplit("/", 1)[-1].endswith(UNDECAYED) for w in self.weights]
        decays, packed_gradients = self.packing.of_blocks(has_decay), self.packing.pack(gradients)
        rows = zip(blocks, decays, self.first, self.second, packed_gradients, strict=True)
        for variable, decayed, first, second, gradient in rows:
            if s.weight_decay > 0.0 and decayed.any():
                variable.assign(variable * (tf.where(decayed, kept, 1.0) if decayed.shape else kept))
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
        for place, value in self.packing.small_tensors(self._small).items():
            values[place].assign(value)

    def moments(self) -> dict[str, tf.Variable | PackedPart]:
        """first/PATH, second/PATH and steps."""
        named: dict[str, tf.Variable | PackedPart] = {"steps": self.steps}
        moments = self.packing.parts(self.first), self.packing.parts(self.second)
        for weight, first, second in zip(self.weights, *moments, strict=True):
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
            name="muon",  # without it, a second instance in a process has other names for its state
        )
        self.keras.exclude_from_weight_decay(var_names=list(UNDECAYED))
        self.keras.build(self.weights)

    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """One step."""
        self.keras.learning_rate.assign(learning_rate)
        self.keras.apply(list(gradients), self.weights)

    def moments(self) -> dict[str, tf.Variable | PackedPart]:
        """Keras's own variables by their paths."""
        return {v.path: v.value for v in self.keras.variables}


OPTIMIZERS: dict[str, type[AdamW] | type[Muon]] = {"adamw": AdamW, "muon": Muon}


def make(settings: OptimizerConfig, weights: Sequence[keras.Variable]) -> Optimizer:
    """The optimizer for `weights`; all its state exists before the first step is traced."""
    return OPTIMIZERS[settings.name](settings, weights)


def move_average(averages: Sequence[keras.Variable], weights: Sequence[keras.Variable], share: tf.Tensor) -> None:
    """Move the average of the weights: average += share x (weight - average). As many averages as weights."""
    pairs = [(average.value, weight.value) for average, weight in zip(averages, weights, strict=True)]
    means, values = [mean for mean, _ in pairs], [value for _, value in pairs]
    packing = Packing([v.shape for v in values])
    for mean, value in zip(packing.small_vector(means), packing.small_vector(values), strict=True):
        for place, moved in packing.small_tensors([mean - share * (mean - value)]).items():
            means[place].assign(moved)
    for place in packing.large:
        handle, apart = means[place].handle, means[place] - values[place]
        tf.raw_ops.ResourceApplyGradientDescent(var=handle, alpha=share, delta=apart)  # one kernel


def restore(optimizer: Optimizer, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Restore the state returned by `moments`.

    Raises:
        CheckpointError: a name or a shape does not match.
    """
    own = optimizer.moments()
    odd = sorted(set(own) ^ set(arrays)) + [n for n in own if n in arrays and tuple(own[n].shape) != arrays[n].shape]
    if odd:
        raise CheckpointError(
            f"the optimizer state in the checkpoint does not match ({odd[0]!r} and {len(odd) - 1} more): "
            "resume with the optimizer and model it was saved with, or start a new run with --init-from"
        )
    for name, variable in own.items():
        variable.assign(arrays[name])


def chosen_precision(setting: str) -> str:
    """fp32, bf16 or fp16: the setting itself, or for `auto` bf16 where it is native and fp32 elsewhere."""
    if setting != "auto":
        return setting
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "bf16" if tuple(capability) >= BF16_COMPUTE_CAPABILITY else "fp32"
    return "bf16" if processor_has_bf16() else "fp32"


class LossScale:
    """A factor on the loss: 1 in fp32 and bf16; in fp16 halved after an overflow, doubled after many good updates.

    The loss is multiplied by it before the gradient is computed, and the gradient is divided by it afterwards. Keras's
    own loss scale does not fit: it sees one replica only and lives in the optimizer, behind the test for finite values.
    """

    def __init__(self, precision: str) -> None:
        self.is_dynamic = precision == "fp16"
        self.value = tf.Variable(INITIAL_SCALE if self.is_dynamic else 1.0, trainable=False, dtype=tf.float32)
        self.good_updates = 0

    @property
    def has_room(self) -> bool:
        """Whether an overflow may be due to the scale: fp16, and the scale can still fall."""
        return self.is_dynamic and float(self.value) > SMALLEST_SCALE

    def after_update(self, *, applied: bool, finite: bool) -> None:
        """Adjust the scale after an update; `finite` says whether every gradient of its window was finite."""
        if not self.is_dynamic:
            return
        if not finite:
            self.value.assign(max(SMALLEST_SCALE, float(self.value) / 2.0))
            self.good_updates = 0
        elif applied:
            self.good_updates += 1
            if self.good_updates >= GROWTH_UPDATES:
                self.value.assign(min(LARGEST_SCALE, float(self.value) * 2.0))
                self.good_updates = 0

    def state(self) -> dict[str, float]:
        """The state for a checkpoint."""
        return {"value": float(self.value), "good_updates": float(self.good_updates), "moves": float(self.is_dynamic)}

    def restore(self, state: dict[str, float]) -> None:
        """Restore what `state` returned, if both runs are fp16: in another precision the scale was fixed at 1."""
        was_dynamic = bool(state["moves"])
        if self.is_dynamic and was_dynamic:
            self.value.assign(state["value"])
            self.good_updates = int(state["good_updates"])
