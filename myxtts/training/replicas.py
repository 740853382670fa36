"""Replicas: the model on every device of a step, and how a batch is split among them.

A replica has its own weights and accumulated gradients, and nothing else. Optimizer, average, detector and loss scale
exist once, on the first device: gradients are summed there before they are measured or clipped, and the updated
weights are copied to the other devices. A checkpoint does not depend on the number of devices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.batch import Field
from myxtts.config.schema import LossConfig
from myxtts.errors import ConfigError
from myxtts.loss_terms import ADVERSARIAL_TERMS
from myxtts.models.layers import Module
from myxtts.training import losses
from myxtts.training.task import Task

CRITIC = "critic"
"""The layer group of the adversarial network."""
SEED_STRIDE = 1_000_003
"""Difference between the seeds of two replicas, far above the offsets of the layers."""


def chosen_devices(setting: int) -> tuple[str, ...]:
    """TensorFlow names of the devices to train on; 0 means every GPU, or the CPU without one.

    Raises:
        ConfigError: there are fewer devices.
    """
    gpus = tf.config.list_logical_devices("GPU")
    there = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    if setting > len(there):
        raise ConfigError(
            f"training.devices {setting}: TensorFlow sees {describe_devices(there)}: give at most {len(there)}, or 0 "
            "for every GPU, or the CPU without one"
        )
    return tuple(there[: setting or (len(there) if gpus else 1)])


def describe_devices(devices: Sequence[str]) -> str:
    """Devices as text for messages: 'CPU:0', '2 devices (GPU:0, GPU:1)'."""
    short = [device.rsplit("device:", 1)[-1] for device in devices]
    return short[0] if len(short) == 1 else f"{len(short)} devices ({', '.join(short)})"


def empty_rows(batch_size: int, devices: int) -> str:
    """A warning if the batch size is not a multiple of the devices; empty if it is."""
    empty = -batch_size % devices
    if not empty:
        return ""
    rows = f"{empty} of {batch_size + empty} rows of every micro-batch {'stays' if empty == 1 else 'stay'} empty"
    return f"training.batch_size {batch_size} is not a multiple of {devices} devices: {rows}"


class AdaptiveWeights(keras.layers.Layer):
    """A learned log-variance for every loss term with a weight."""

    def __init__(self, terms: Sequence[str], **kwargs: object) -> None:
        super().__init__(name="adaptive_weights", dtype="float32", **kwargs)
        self.log_variance = {t: self.add_weight(name=f"{t}_log_variance", shape=(), initializer="zeros") for t in terms}
        self.built = True


@dataclass(frozen=True)
class ReplicaResult:
    """Tensors that a replica computes for a micro-batch. K terms, B utterances, G layer groups."""

    good: tf.Tensor
    """Whether loss and gradient are finite."""
    gradients: list[tf.Tensor]
    terms_KB: tf.Tensor
    total_B: tf.Tensor
    """Without the adversarial terms."""
    group_norm_G: tf.Tensor


class Replica:
    """The trained weights on one device.

    Args:
        task: computes the loss terms of a model.
        model: built on that device.
        terms: names of the loss terms with a weight.
        device: name of the device; None for the default placement of TensorFlow, with a single device.
    """

    def __init__(self, task: Task, model: Module, terms: Sequence[str], device: str | None = None) -> None:
        self.task, self.model, self.terms, self.device = task, model, terms, device
        self.loss: LossConfig = task.config.loss
        with self.scope():
            adaptive = [term for term in terms if term not in ADVERSARIAL_TERMS]
            self.adaptive = AdaptiveWeights(adaptive if self.loss.adaptive_weights else ())
            self.weights: list[keras.Variable] = [*model.trainable_variables, *self.adaptive.trainable_variables]
            self.accumulated = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.weights]
        self.groups = sorted({_group(v) for v in self.weights})
        self.group_index = [self.groups.index(_group(v)) for v in self.weights]
        self.critics_G = np.array([group == CRITIC for group in self.groups])
        """Which layer groups belong to the critic."""

    def scope(self) -> AbstractContextManager[object]:
        """A context that places operations on the device."""
        return nullcontext() if self.device is None else tf.device(self.device)

    def copy_weights(self, first: Replica) -> None:
        """Copy the weights of another replica."""
        with self.scope():
            for own, weight in zip(self.weights, first.weights, strict=True):
                own.value.assign(weight.value)

    def differs(self, first: Replica) -> tf.Tensor:
        """Whether each weight differs from that of another replica in any bit, (W,) bool."""
        with self.scope():
            return tf.stack(
                [
                    tf.reduce_any(tf.bitcast(own.value, tf.int32) != tf.bitcast(weight.value, tf.int32))
                    for own, weight in zip(self.weights, first.weights, strict=True)
                ]
            )

    def compute(
        self,
        batch: Mapping[str, tf.Tensor],
        seed: tf.Tensor,
        prior: tf.Tensor,
        weights: tf.Tensor,
        term_fault: tf.Tensor,
        group_fault: tf.Tensor,
        scale: tf.Tensor,
        critic_plays: bool,
        with_factors: bool,
    ) -> ReplicaResult:
        """Losses of its rows, and the gradient of their sum; `scale` applies to the loss, not to the result.

        Without `with_factors`, `scale` and every `group_fault` must be 1: multiplying the gradients by them takes an
        eighth of the time for building a graph.
        """
        with tf.GradientTape() as tape:
            terms = self.task.losses(self.model, batch, prior, seed, critic_plays)
            terms = {name: value * term_fault[i] for i, (name, value) in enumerate(terms.items())}
            total_B, adversarial_B = self._total(terms, weights)
            # `where`, not a product: a padding row must not count even if it is not finite
            summed = tf.reduce_sum(tf.where(batch["weight_B"] > 0.0, total_B + adversarial_B, 0.0))
            scaled = summed * scale if with_factors else summed
        gradients = tape.gradient(scaled, [v.value for v in self.weights], unconnected_gradients="zero")
        gradients = [tf.convert_to_tensor(g) for g in gradients]
        if with_factors:
            factors = group_fault / scale
            gradients = [g * factors[i] for g, i in zip(gradients, self.group_index, strict=True)]
        group_square = self.group_squares(gradients)
        good = tf.math.is_finite(summed) & tf.math.is_finite(tf.reduce_sum(group_square))
        terms_KB = tf.stack([terms[t] for t in self.task.terms])
        return ReplicaResult(good, gradients, terms_KB, total_B, tf.sqrt(group_square))

    def _total(self, terms: Mapping[str, tf.Tensor], weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The weighted sum (B,) of the reported terms, and that of the adversarial terms."""
        weighted = {term: weights[i] * terms[term] for i, term in enumerate(self.terms)}
        nothing = tf.zeros_like(terms[self.task.terms[0]])
        adversarial = tf.add_n([nothing, *(weighted.pop(term) for term in ADVERSARIAL_TERMS if term in weighted)])
        if self.loss.adaptive_weights:
            return losses.adaptive_total(
                weighted, {t: v.value for t, v in self.adaptive.log_variance.items()}
            ), adversarial
        return tf.add_n([nothing, *weighted.values()]), adversarial

    def group_squares(self, gradients: Sequence[tf.Tensor]) -> tf.Tensor:
        """Squared norm of the gradients of each layer group, (G,)."""
        squares = 2.0 * tf.stack([tf.nn.l2_loss(g) for g in gradients])
        return tf.math.unsorted_segment_sum(squares, tf.constant(self.group_index), len(self.groups))


def _group(variable: keras.Variable) -> str:
    parts: list[str] = variable.path.split("/")
    return parts[1] if parts[0] in ("voice_cloner", "vocoder") and len(parts) > 2 else parts[0]


def pad_rows(batch: Mapping[str, object], replicas: int, fields: Sequence[Field]) -> dict[str, npt.NDArray[Any]]:
    """The batch with padding rows of weight 0, so that it splits evenly among the replicas."""
    arrays = {key: np.asarray(value) for key, value in batch.items()}
    rows = -len(arrays["weight_B"]) % replicas
    if not rows:
        return arrays
    return {
        field.key: np.concatenate([x, np.full([rows, *x.shape[1:]], field.padding, field.dtype)])
        for field in fields
        for x in [arrays[field.key]]
    }


def split_rows(x: tf.Tensor, replicas: int, axis: int = 0) -> list[tf.Tensor]:
    """Consecutive rows for each replica; concatenating them gives the batch."""
    return [x] if replicas == 1 else list(tf.split(x, replicas, axis=axis))


def replica_seed(seed: tf.Tensor, number: int) -> tf.Tensor:
    """Dropout seed (2,) of replica `number`: that of the batch on the first, a different one on each other."""
    return seed if number == 0 else seed + tf.constant([number * SEED_STRIDE, 0], tf.int32)
