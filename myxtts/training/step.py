"""The guarded step: gradients of a micro-batch, and the update that a window of them makes, or does not make.

A micro-batch whose loss or gradient is not finite is dropped before accumulation and the divisor shrinks. Over the
window the gradient is averaged over the utterances, measured, and only then clipped; one `tf.cond` covers clipping,
optimizer, average of the weights, detector and counters, so that a refused update changes nothing. Nothing is ever
masked from NaN to zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.batch import FIELDS, PROSODY_FIGURES
from myxtts.config.schema import LossConfig, OptimizerConfig, TrainingConfig
from myxtts.models.voice_cloner import VoiceCloner
from myxtts.training import losses, optimizers
from myxtts.training.precision import LossScale

DETECTOR_SIZE = 64
DETECTOR_WARMUP = 32
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MicroResult:
    """What one micro-batch gave. K terms, B utterances, G layer groups."""

    good: bool
    terms_KB: FloatArray
    total_B: FloatArray
    group_norm_G: FloatArray


@dataclass(frozen=True)
class UpdateResult:
    """What an update did: `applied` is False if it changed nothing."""

    applied: bool
    utterances: float
    grad_norm: float
    spike: bool
    overflow: bool
    """Refused because fp16 overflowed; the loss scale, which has room left, is lowered."""
    group_norm_G: FloatArray


def batch_signature(channels: int) -> dict[str, tf.TensorSpec]:
    """What a graph takes for a batch: any B, T, M and R, so that one graph serves every bucket."""
    sizes = {"C": channels, "P": len(PROSODY_FIGURES)}
    return {f.key: tf.TensorSpec([sizes.get(letter) for letter in f.letters], f.dtype, f.key) for f in FIELDS}


class AdaptiveWeights(keras.layers.Layer):
    """A learned log-variance for every loss term of a weight over 0."""

    def __init__(self, terms: Sequence[str], **kwargs: object) -> None:
        super().__init__(name="adaptive_weights", dtype="float32", **kwargs)
        self.log_variance = {t: self.add_weight(name=f"{t}_log_variance", shape=(), initializer="zeros") for t in terms}
        self.built = True


class Step:
    """Owns the weights that learn, their average, the optimizer, the accumulators and the detector."""

    def __init__(
        self,
        model: VoiceCloner,
        average: VoiceCloner,
        *,
        loss: LossConfig,
        optimizer: OptimizerConfig,
        training: TrainingConfig,
    ) -> None:
        self.model, self.average = model, average
        self.loss, self.settings, self.training = loss, optimizer, training
        self.term_weights = {term: w for term, w in losses.weights_of(loss).items() if w > 0.0}
        self.adaptive = AdaptiveWeights(list(self.term_weights) if loss.adaptive_weights else [])
        self.weights = [*model.trainable_variables, *self.adaptive.trainable_variables]
        self.optimizer = optimizers.make(optimizer, self.weights)
        self.groups = sorted({self._group(v) for v in self.weights})
        self.group_index = [self.groups.index(self._group(v)) for v in self.weights]
        self.loss_scale = LossScale(training.precision)
        self.accumulated = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.weights]
        self.utterances = tf.Variable(0.0, trainable=False)
        self._window_finite = True
        self.norms = tf.Variable(tf.zeros([DETECTOR_SIZE]), trainable=False)
        self.accepted = tf.Variable(0, dtype=tf.int64, trainable=False)
        batch = batch_signature(model.channels)
        f32, i32 = tf.float32, tf.int32
        knobs = [
            tf.TensorSpec([len(self.term_weights)], f32, "weights"),
            tf.TensorSpec([len(losses.TERMS), None], f32, "term_fault"),
            tf.TensorSpec([len(self.groups)], f32, "group_fault"),
        ]
        self._micro = tf.function(
            self._micro_graph, input_signature=[batch, tf.TensorSpec([2], i32), tf.TensorSpec([], f32), *knobs]
        )
        self._apply = tf.function(self._apply_graph, input_signature=[tf.TensorSpec([], f32)] * 2)
        self._validate = tf.function(self._validate_graph, input_signature=[batch])

    @staticmethod
    def _group(variable: keras.Variable) -> str:
        parts: list[str] = variable.path.split("/")
        return parts[1] if parts[0] == "voice_cloner" and len(parts) > 2 else parts[0]

    # --- micro-batch -----------------------------------------------------------------------------------------

    def _total(self, terms: Mapping[str, tf.Tensor], weights: tf.Tensor) -> tf.Tensor:
        weighted = {term: weights[i] * terms[term] for i, term in enumerate(self.term_weights)}
        if self.loss.adaptive_weights:
            return losses.adapted(weighted, {t: v.value for t, v in self.adaptive.log_variance.items()})
        return tf.add_n(list(weighted.values()))

    def _micro_graph(
        self,
        batch: dict[str, tf.Tensor],
        seed: tf.Tensor,
        prior: tf.Tensor,
        weights: tf.Tensor,
        term_fault: tf.Tensor,
        group_fault: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            outputs = self.model(batch, prior, seed)
            terms = losses.terms(outputs, batch, self.loss)
            terms = {name: value * term_fault[i] for i, (name, value) in enumerate(terms.items())}
            total_B = self._total(terms, weights)
            # `where`, not a product: a row that only fills the batch must not count even if it is not finite
            summed = tf.reduce_sum(tf.where(batch["weight_B"] > 0.0, total_B, 0.0))
            scaled = summed * self.loss_scale.value
        gradients = tape.gradient(scaled, [v.value for v in self.weights], unconnected_gradients="zero")
        unscale = 1.0 / self.loss_scale.value
        gradients = [
            tf.cast(g, tf.float32) * (unscale * group_fault[i])
            for g, i in zip(gradients, self.group_index, strict=True)
        ]
        group_square = self._group_squares(gradients)
        good = tf.math.is_finite(summed) & tf.math.is_finite(tf.reduce_sum(group_square))

        def accumulate() -> tf.Tensor:
            for total, gradient in zip(self.accumulated, gradients, strict=True):
                total.assign_add(gradient)
            self.utterances.assign_add(tf.reduce_sum(batch["weight_B"]))
            return tf.constant(True)

        accepted = tf.cond(good, accumulate, lambda: tf.constant(False))
        terms_KB = tf.stack([terms[t] for t in losses.TERMS])
        return accepted, terms_KB, total_B, tf.sqrt(group_square)

    def _group_squares(self, gradients: Sequence[tf.Tensor]) -> tf.Tensor:
        squares = tf.stack([2.0 * tf.nn.l2_loss(g) for g in gradients])
        return tf.math.unsorted_segment_sum(squares, tf.constant(self.group_index), len(self.groups))

    def micro(
        self,
        batch: Mapping[str, object],
        *,
        seed: tuple[int, int],
        prior_strength: float,
        weights: Mapping[str, float] | None = None,
        term_fault: Mapping[str, float | FloatArray] | None = None,
        group_fault: Mapping[str, float] | None = None,
    ) -> MicroResult:
        """Add the gradient of a micro-batch to the window, unless it is not finite.

        Args:
            batch: see myxtts.batch.
            seed: (run seed, micro-batch number): dropout and noise follow from it alone.
            prior_strength: of the aligner's diagonal prior.
            weights: weight x scale of each loss term; without them `term_weights`.
            term_fault: factor on a loss term, for all or for each (B,) of the utterances, for fail points.
            group_fault: factor on the gradient of a layer group, for fail points.
        """
        weights = self.term_weights if weights is None else weights
        faults_KB = np.ones([len(losses.TERMS), len(np.asarray(batch["weight_B"]))], np.float32)
        for term, factor in (term_fault or {}).items():
            faults_KB[losses.TERMS.index(term)] = factor
        faults_G = np.array([(group_fault or {}).get(g, 1.0) for g in self.groups], np.float32)
        good, terms_KB, total_B, group_norm = self._micro(
            {k: tf.convert_to_tensor(v) for k, v in batch.items()},
            tf.constant(seed, tf.int32),
            tf.constant(prior_strength, tf.float32),
            tf.constant([weights[t] for t in self.term_weights], tf.float32),
            faults_KB,
            faults_G,
        )
        # a loss that is not finite before its scale is applied is no overflow of the scale
        losses_finite = bool(np.isfinite(total_B.numpy()[np.asarray(batch["weight_B"]) > 0]).all())
        self._window_finite &= bool(good) or not losses_finite
        return MicroResult(bool(good), terms_KB.numpy(), total_B.numpy(), group_norm.numpy())

    def discard(self) -> None:
        """Empty the window without an update: what was added to it (by a search for the guilty) never counts."""
        for total in (*self.accumulated, self.utterances):
            total.assign(tf.zeros_like(total))
        self._window_finite = True

    # --- update ----------------------------------------------------------------------------------------------

    def _apply_graph(self, learning_rate: tf.Tensor, clip_norm: tf.Tensor) -> tuple[tf.Tensor, ...]:
        divisor = tf.maximum(self.utterances, 1.0)
        group_norm = tf.sqrt(self._group_squares(self.accumulated)) / divisor
        norm = tf.norm(group_norm)
        spike = self._is_spike(norm, clip_norm)
        accept = tf.math.is_finite(norm) & (self.utterances > 0.0) & ~spike

        def update() -> tf.Tensor:
            # one factor averages and clips: the gradient is read once
            factor = tf.minimum(1.0, clip_norm / tf.maximum(norm, 1e-12)) / divisor
            self.optimizer.apply([a * factor for a in self.accumulated], learning_rate)
            slot = tf.cast(self.accepted % DETECTOR_SIZE, tf.int32)
            self.norms.scatter_nd_update([[slot]], [norm])
            self.accepted.assign_add(1)
            done = tf.cast(self.accepted, tf.float32)
            decay = (
                tf.minimum(self.training.ema_decay, (1.0 + done) / (10.0 + done)) if self.training.ema_decay else 0.0
            )
            for mean, weight in zip(self.average.trainable_variables, self.model.trainable_variables, strict=True):
                mean.assign(mean.value + (1.0 - decay) * (weight.value - mean.value))
            return tf.constant(True)

        applied = tf.cond(accept, update, lambda: tf.constant(False))
        count = tf.identity(self.utterances)
        with tf.control_dependencies([applied, count]):
            for total in self.accumulated:
                total.assign(tf.zeros_like(total))
            self.utterances.assign(0.0)
        return applied, count, norm, spike, group_norm

    def _is_spike(self, norm: tf.Tensor, clip_norm: tf.Tensor) -> tf.Tensor:
        """Whether the norm is clipped and exceeds the median of the last accepted ones by the spike factor."""
        known = tf.minimum(tf.cast(self.accepted, tf.int32), DETECTOR_SIZE)
        filled = tf.where(tf.range(DETECTOR_SIZE) < known, self.norms, tf.fill([DETECTOR_SIZE], np.float32(np.inf)))
        median = tf.sort(filled)[tf.maximum(known // 2, 0)]
        return (known >= DETECTOR_WARMUP) & (norm > self.training.spike_factor * median) & (norm > clip_norm)

    def median_norm(self) -> float | None:
        """Median of the last accepted gradient norms; None until the detector has enough of them."""
        known = min(int(self.accepted.numpy()), DETECTOR_SIZE)
        return float(np.median(self.norms.numpy()[:known])) if known >= DETECTOR_WARMUP else None

    def update(self, learning_rate: float, clip_norm: float | None = None) -> UpdateResult:
        """Average the window, measure, clip and apply it; or change nothing if it must not be applied.

        Without `clip_norm` the norm is clipped at that of the settings.
        """
        clip_norm = self.settings.clip_norm if clip_norm is None else clip_norm
        applied, count, norm, spike, groups = self._apply(
            tf.constant(learning_rate, tf.float32), tf.constant(clip_norm, tf.float32)
        )
        finite = self._window_finite and bool(np.isfinite(norm.numpy()))
        overflow = not finite and not bool(applied) and self.loss_scale.has_room
        self.loss_scale.after_update(applied=bool(applied), finite=finite)
        self._window_finite = True
        return UpdateResult(bool(applied), float(count), float(norm), bool(spike), overflow, groups.numpy())

    # --- validation ------------------------------------------------------------------------------------------

    def _validate_graph(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        outputs = self.average(batch, tf.constant(0.0))
        terms = losses.terms(outputs, batch, self.loss)
        terms_KB = tf.stack([terms[t] for t in losses.TERMS])
        return terms_KB, outputs["mel_BMC"], outputs["path_BMT"]

    def validate(self, batch: Mapping[str, object]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Terms (K, B), predicted mel (B, M, C) and alignment (B, M, T) of a batch on the averaged weights."""
        terms, mel, path = self._validate({k: tf.convert_to_tensor(v) for k, v in batch.items()})
        return terms.numpy(), mel.numpy(), path.numpy()
