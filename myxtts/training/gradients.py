"""The trained weights, their accumulated gradients, and the losses and gradients of a micro-batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from myxtts.config.schema import LossConfig
from myxtts.loss_terms import ADVERSARIAL_TERMS
from myxtts.models.layers import Module
from myxtts.training import losses
from myxtts.training.packing import Packing
from myxtts.training.task import Task

CRITIC = "critic"
"""The layer group of the adversarial network."""


class AdaptiveWeights(keras.layers.Layer):
    """A learned log-variance for every loss term with a weight."""

    def __init__(self, terms: Sequence[str], **kwargs: object) -> None:
        super().__init__(name="adaptive_weights", dtype="float32", **kwargs)
        self.log_variance = {t: self.add_weight(name=f"{t}_log_variance", shape=(), initializer="zeros") for t in terms}
        self.built = True


@dataclass(frozen=True)
class MicroTensors:
    """What is computed of a micro-batch in this process. K terms, B utterances, G layer groups."""

    good: tf.Tensor
    """Whether loss and gradient are finite."""
    gradients: list[tf.Tensor]
    """The blocks of `Gradients.packing`."""
    terms_KB: tf.Tensor
    total_B: tf.Tensor
    """Without the adversarial terms."""
    group_norm_G: tf.Tensor


class Gradients:
    """The trained weights of a model, and their accumulated gradients.

    Args:
        task: computes the loss terms of a model.
        model: the trained model.
        terms: names of the loss terms with a weight.
    """

    def __init__(self, task: Task, model: Module, terms: Sequence[str]) -> None:
        self.task, self.model, self.terms = task, model, terms
        self.loss: LossConfig = task.config.loss
        adaptive = [term for term in terms if term not in ADVERSARIAL_TERMS]
        self.adaptive = AdaptiveWeights(adaptive if self.loss.adaptive_weights else ())
        self.weights: list[keras.Variable] = [*model.trainable_variables, *self.adaptive.trainable_variables]
        self.packing = Packing([v.shape for v in self.weights])
        self.accumulated = self.packing.zeros()
        self.groups = sorted({_group(v) for v in self.weights})
        self.group_index = [self.groups.index(_group(v)) for v in self.weights]
        self.critics_G = np.array([group == CRITIC for group in self.groups])
        """Which layer groups belong to the critic."""

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
    ) -> MicroTensors:
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
        blocks = self.packing.pack(gradients)
        group_square = self.group_squares(blocks)
        good = tf.math.is_finite(summed) & tf.math.is_finite(tf.reduce_sum(group_square))
        terms_KB = tf.stack([terms[t] for t in self.task.terms])
        return MicroTensors(good, blocks, terms_KB, total_B, tf.sqrt(group_square))

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

    def group_squares(self, blocks: Sequence[tf.Tensor | tf.Variable]) -> tf.Tensor:
        """Squared norm of the packed gradients of each layer group, (G,)."""
        squares = self.packing.squares(blocks)
        return tf.math.unsorted_segment_sum(squares, tf.constant(self.group_index), len(self.groups))


def _group(variable: keras.Variable) -> str:
    parts: list[str] = variable.path.split("/")
    return parts[1] if parts[0] in ("voice_cloner", "vocoder") and len(parts) > 2 else parts[0]
