"""A training step without the guard, for bench.safety_cost.

Loss, gradient, accumulation, clipping by the global norm, AdamW and the average of the weights are those of the
program; there are no tests for finite values, no norms by layer group, no fail points, no detector, and no `tf.cond`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from myxtts.config.schema import Config
from myxtts.errors import ConfigError
from myxtts.loss_terms import TERMS
from myxtts.models.voice_cloner import VoiceCloner
from myxtts.training import losses, optimizers
from myxtts.training.task import VoiceTask


class PlainStep:
    """Micro-batches and updates on a model, and the average of its weights; ConfigError for unsupported settings."""

    def __init__(self, model: VoiceCloner, average: VoiceCloner, config: Config) -> None:
        if config.loss.adaptive_weights or config.training.precision == "fp16":
            raise ConfigError("the step without a guard supports neither adaptive weights nor fp16; use another level")
        self.model, self.average, self.config = model, average, config
        self.term_weights = {t: w for t, w in losses.weights_of(config.loss).items() if w > 0.0}
        self.weights = list(model.trainable_variables)
        self.optimizer = optimizers.make(config.optimizer, self.weights)
        self.accumulated = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.weights]
        self.utterances = tf.Variable(0.0, trainable=False)
        self.done = tf.Variable(0.0, trainable=False)
        scalar = tf.TensorSpec([], tf.float32)
        knobs = [tf.TensorSpec([2], tf.int32), scalar, tf.TensorSpec([len(self.term_weights)], tf.float32)]
        self._micro = tf.function(self._micro_graph, input_signature=[VoiceTask(config).signature, *knobs])
        self._apply = tf.function(self._apply_graph, input_signature=[scalar, scalar])

    def _micro_graph(self, batch: dict[str, Any], seed: Any, prior: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = self.model(batch, prior, seed)
            terms = losses.terms(outputs, batch, self.config.loss)
            total_B = tf.add_n([weights[i] * terms[term] for i, term in enumerate(self.term_weights)])
            summed = tf.reduce_sum(tf.where(batch["weight_B"] > 0.0, total_B, 0.0))
        gradients = tape.gradient(summed, [v.value for v in self.weights], unconnected_gradients="zero")
        for total, gradient in zip(self.accumulated, gradients, strict=True):
            total.assign_add(tf.cast(gradient, tf.float32))
        self.utterances.assign_add(tf.reduce_sum(batch["weight_B"]))
        return tf.stack([terms[t] for t in TERMS]), total_B

    def micro(self, batch: Mapping[str, object], seed: tuple[int, int], prior: float) -> Any:
        """Add the gradient of a micro-batch; terms (K, B) and total (B,), read as the loop reads them."""
        terms_KB, total_B = self._micro(
            {k: tf.convert_to_tensor(v) for k, v in batch.items()},
            tf.constant(seed, tf.int32),
            tf.constant(prior, tf.float32),
            tf.constant(list(self.term_weights.values()), tf.float32),
        )
        return terms_KB.numpy(), total_B.numpy()

    def _apply_graph(self, learning_rate: Any, clip_norm: Any) -> Any:
        divisor = tf.maximum(self.utterances, 1.0)
        norm = tf.linalg.global_norm(self.accumulated) / divisor
        factor = tf.minimum(1.0, clip_norm / tf.maximum(norm, 1e-12)) / divisor
        self.optimizer.apply([a * factor for a in self.accumulated], learning_rate)
        self.done.assign_add(1.0)
        decay = tf.minimum(self.config.training.ema_decay, (1.0 + self.done) / (10.0 + self.done))
        for mean, weight in zip(self.average.trainable_variables, self.model.trainable_variables, strict=True):
            mean.assign(mean.value + (1.0 - decay) * (weight.value - mean.value))
        for total in self.accumulated:
            total.assign(tf.zeros_like(total))
        self.utterances.assign(0.0)
        return norm

    def update(self, learning_rate: float) -> float:
        """Clip and apply the window; its gradient norm."""
        clip = self.config.optimizer.clip_norm
        return float(self._apply(tf.constant(learning_rate, tf.float32), tf.constant(clip, tf.float32)))
