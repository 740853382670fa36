"""The guarded step: gradients of micro-batches, and the update from a window of them, which is applied or skipped.

A micro-batch whose loss or gradient is not finite is skipped, and the divisor of the window shrinks. The gradient of
the window is averaged over its utterances, measured, and only then clipped. One `tf.cond` covers clipping, optimizer,
weight average, detector and counters, so that a skipped update changes nothing. No NaN is ever masked to zero.

Model and critic are clipped by separate norms. The spike detector considers the norm of the model only: when the critic
starts to learn, its gradient is tens of times that of the model, and harmless once clipped.

A gradient is accumulated as soon as it is computed, while the rest of the graph still runs: waiting for the finite test
of all gradients would cost 2.6% of a step (bench/safety_cost). In the rare case of a bad micro-batch the accumulators
are cleared, and the good micro-batches of the window are recomputed bit-exactly.

With several processes (training.cluster), each one computes its share of the rows and accumulates its own gradients.
The results of all shares are exchanged, so that every process has the bit-exact same MicroResult, and a micro-batch is
good only if all its shares are. The update adds up the gradients of all processes before measuring them; every process
then makes the same update of its own weights.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.loss_terms import ADVERSARIAL_TERMS
from myxtts.models.layers import Module
from myxtts.training import optimizers
from myxtts.training.cluster import Alone, Cluster
from myxtts.training.gradients import Gradients
from myxtts.training.optimizers import LossScale
from myxtts.training.task import Task

DETECTOR_SIZE = 64
DETECTOR_WARMUP = 32
SEED_STRIDE = 1_000_003
"""Difference between the seeds of two processes, far above the offsets of the layers."""
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MicroResult:
    """The result of one micro-batch over all processes. K terms, B utterances, G layer groups."""

    good: bool
    terms_KB: FloatArray
    total_B: FloatArray
    """Weighted sum of the terms, without the adversarial ones."""
    group_norm_G: FloatArray
    """Gradient norms; with several processes the sums of their norms, an upper bound."""
    real_B: npt.NDArray[np.bool_]
    """Which rows are utterances."""
    orders: tuple[float, ...] = ()
    """The sums over all processes of the orders that each one gave."""


@dataclass(frozen=True)
class UpdateResult:
    """The result of an update; a skipped one is not `applied` and changed nothing."""

    applied: bool
    utterances: float
    grad_norm: float
    """Of the model before clipping, without the critic; that of the critic if it is not finite."""
    spike: bool
    overflow: bool
    """fp16 overflowed in one or all micro-batches, and the loss scale, which can still fall, is halved."""
    group_norm_G: FloatArray


def _graph(made: Callable[..., Any], signature: Sequence[Any], compiled: bool = False) -> Any:
    """A graph without AutoGraph: Python's `if` and `for` run while tracing.

    AutoGraph would convert the code at every start, which takes time. `compiled`: by XLA.
    """
    return tf.function(made, input_signature=signature, autograph=False, jit_compile=compiled or None)


class Step:
    """Owns the trained weights, their average, the optimizer, the accumulators and the spike detector.

    Args:
        task: what is trained: its loss terms, its batches, its settings.
        model: the trained model.
        average: a model for the average of its weights.
        cluster: the processes that share each batch; their models must have the same weights.
    """

    def __init__(self, task: Task, model: Module, average: Module, cluster: Cluster | None = None) -> None:
        self.task, self.model, self.average = task, model, average
        self.cluster: Cluster = cluster or Alone()
        self.terms, self.settings, self.training = task.terms, task.config.optimizer, task.config.training
        self.term_weights = {term: w for term, w in task.term_weights.items() if w > 0.0}
        self.gradients = Gradients(task, model, tuple(self.term_weights))
        self.adaptive, self.weights = self.gradients.adaptive, self.gradients.weights
        self.accumulated, self.groups = self.gradients.accumulated, self.gradients.groups
        self.optimizer = optimizers.make(self.settings, self.weights)
        self.loss_scale = LossScale(self.training.precision)
        self.utterances = tf.Variable(0.0, trainable=False)
        self._window_finite = True
        self.mixed = False
        """Whether the weights may be a mixture, since an exception interrupted an update or a restore."""
        self._window: list[tuple[Any, ...]] = []
        """Arguments of the micro-batches in the accumulators."""
        self.norms = tf.Variable(tf.zeros([DETECTOR_SIZE]), trainable=False)
        self.accepted = tf.Variable(0, dtype=tf.int64, trainable=False)
        batch = task.signature
        f32, i32 = tf.float32, tf.int32
        knobs = [
            tf.TensorSpec([len(self.term_weights)], f32, "weights"),
            tf.TensorSpec([len(self.terms), None], f32, "term_fault"),
            tf.TensorSpec([len(self.groups)], f32, "group_fault"),
        ]
        micro = [batch, tf.TensorSpec([2], i32), tf.TensorSpec([], f32), *knobs]
        # the critic costs an eighth of a step; graphs with and without it are built on first use
        self._micro = {
            (plays, factors): _graph(partial(self._micro_graph, plays, factors), micro, task.compiled)
            for plays in (False, True)
            for factors in (False, True)
        }
        adversarial = [i for i, term in enumerate(self.term_weights) if term in ADVERSARIAL_TERMS]
        self._adversarial = adversarial if task.has_critic else []
        self._apply = _graph(self._apply_graph, [tf.TensorSpec([], f32)] * 2)
        self._validate = _graph(self._validate_graph, [batch])

    # --- weights ---------------------------------------------------------------------------------------------

    @contextmanager
    def weights_as(self, values: Mapping[str, npt.NDArray[np.generic]] | None) -> Iterator[None]:
        """A context in which the model has these weights, by path; None leaves them unchanged."""
        if values is None:
            yield
            return
        now = {v.path: v.numpy() for v in self.weights}
        try:
            with self.changing():
                self._set_weights(values)
            yield
        finally:
            with self.changing():
                self._set_weights(now)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """A context in which weights or moments change; if an exception ends it, they are `mixed`."""
        before, self.mixed = self.mixed, True
        yield
        self.mixed = before

    def _set_weights(self, values: Mapping[str, npt.NDArray[np.generic]]) -> None:
        for variable in self.weights:
            variable.assign(values[variable.path])

    def disagreement(self) -> str:
        """A message naming the processes whose weights differ from the chief's in any bit; empty if none do."""
        if self.cluster.size == 1:
            return ""
        sums = self.cluster.gather(self.checksum())
        odd = [str(rank) for rank, other in enumerate(sums) if other != sums[0]]
        return f"process {', '.join(odd)} of {self.cluster.size}" if odd else ""

    def checksum(self) -> int:
        """CRC-32 of all weights."""
        found = 0
        for weight in self.weights:
            found = zlib.crc32(np.ascontiguousarray(weight.numpy()).tobytes(), found)
        return found

    # --- micro-batch -----------------------------------------------------------------------------------------

    def _micro_graph(
        self,
        critic_plays: bool,
        with_factors: bool,
        batch: dict[str, tf.Tensor],
        seed: tf.Tensor,
        prior: tf.Tensor,
        weights: tf.Tensor,
        term_fault: tf.Tensor,
        group_fault: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        result = self.gradients.compute(
            batch, seed, prior, weights, term_fault, group_fault, self.loss_scale.value, critic_plays, with_factors
        )
        for total, gradient in zip(self.accumulated, result.gradients, strict=True):
            total.assign_add(gradient)
        self.utterances.assign_add(tf.reduce_sum(batch["weight_B"]))
        return result.good, result.terms_KB, result.total_B, result.group_norm_G

    def micro(
        self,
        batch: Mapping[str, object],
        *,
        seed: tuple[int, int],
        prior_strength: float,
        weights: Mapping[str, float] | None = None,
        term_fault: Mapping[str, float | FloatArray] | None = None,
        group_fault: Mapping[str, float] | None = None,
        orders: Sequence[float] = (),
    ) -> MicroResult:
        """Add the gradient of a micro-batch to the window if it is finite. All processes must call it alike.

        Args:
            batch: see myxtts.batch; with several processes the rows of this one, as many as of every other one.
            seed: (run seed, micro-batch number); determines dropout and noise.
            prior_strength: of the aligner's diagonal prior.
            weights: weight x scale of each loss term, by default `term_weights`. If no adversarial term has a
                weight, the critic is not computed.
            term_fault: factor on a loss term, for all or each (B,) of the utterances of all processes; for fault
                injection.
            group_fault: factor on the gradient of a layer group; for fault injection.
            orders: numbers to add up over all processes.
        """
        weights = self.term_weights if weights is None else weights
        arrays = {key: np.asarray(value) for key, value in batch.items()}
        rows, rank = len(arrays["weight_B"]), self.cluster.rank
        faults_KB = np.ones([len(self.terms), rows * self.cluster.size], np.float32)
        for term, factor in (term_fault or {}).items():
            faults_KB[self.terms.index(term)] = factor
        faults_G = np.array([(group_fault or {}).get(g, 1.0) for g in self.groups], np.float32)
        own_seed = np.array(seed, np.int32) + np.array([rank * SEED_STRIDE, 0], np.int32)
        weights_K = np.array([weights[t] for t in self.term_weights], np.float32)
        own_faults_KB = faults_KB[:, rank * rows : (rank + 1) * rows]
        call = (arrays, own_seed, np.float32(prior_strength), weights_K, own_faults_KB, faults_G)
        result = self._add(*call, orders=orders)
        if result.good:
            self._window.append(call)
        else:
            self._recompute_window()
        # a loss that is not finite before scaling is not an overflow due to the scale
        losses_finite = bool(np.isfinite(result.terms_KB[:, result.real_B]).all())
        self._window_finite &= result.good or not losses_finite
        return result

    def _add(
        self,
        arrays: Mapping[str, Any],
        seed: Any,
        prior: Any,
        weights_K: FloatArray,
        faults_KB: FloatArray,
        faults_G: FloatArray,
        orders: Sequence[float] = (),
    ) -> MicroResult:
        """Compute a micro-batch and add it to the accumulators of this process, finite or not; the result of all."""
        with_factors = self.loss_scale.is_dynamic or bool((faults_G != 1.0).any())
        micro = self._micro[bool((weights_K[self._adversarial] > 0.0).any()), with_factors]
        batch = {key: tf.convert_to_tensor(values) for key, values in arrays.items()}
        good, *numbers = micro(batch, seed, prior, weights_K, faults_KB, faults_G)
        terms_KB, total_B, group_norm_G = (x.numpy() for x in numbers)
        own = MicroResult(bool(good), terms_KB, total_B, group_norm_G, arrays["weight_B"] > 0.0, tuple(orders))
        return own if self.cluster.size == 1 else self._exchanged(own)

    def _exchanged(self, own: MicroResult) -> MicroResult:
        """The result over all processes, from one sum: each writes its rows into a table of zeros."""
        size, rows, groups = self.cluster.size, len(own.total_B), len(self.groups)
        table = np.zeros([size, rows, len(self.terms) + 2], np.float32)
        table[self.cluster.rank] = np.concatenate([own.terms_KB, [own.total_B], [own.real_B]]).T
        tail = np.array([*own.group_norm_G, not own.good, *own.orders], np.float32)
        total = self.cluster.sum_now(np.concatenate([table.ravel(), tail]))
        table_KB = total[: table.size].reshape(size * rows, -1).T
        norm_G, bad, orders = np.split(total[table.size :], [groups, groups + 1])
        return MicroResult(
            not bad.any(), table_KB[:-2], table_KB[-2], norm_G, table_KB[-1] > 0.0, tuple(map(float, orders))
        )

    def _recompute_window(self) -> None:
        """Recompute the accumulators from the good micro-batches."""
        complete = False
        while not complete:
            self._clear_accumulators()
            good = [call for call in self._window if self._add(*call).good]
            # seeds are fixed, so a good one is good again; if a processor computes otherwise, it is skipped
            complete, self._window = len(good) == len(self._window), good

    def discard(self) -> None:
        """Clear the window without an update, after a search for the cause of a bad micro-batch."""
        self._clear_accumulators()
        self._window, self._window_finite = [], True

    def _clear_accumulators(self) -> None:
        for total in self.accumulated:
            total.assign(tf.zeros_like(total))
        self.utterances.assign(0.0)

    # --- update ----------------------------------------------------------------------------------------------

    def _apply_graph(self, learning_rate: tf.Tensor, clip_norm: tf.Tensor) -> tuple[tf.Tensor, ...]:
        summed, utterances = self._sums()
        divisor = tf.maximum(utterances, 1.0)
        group_norm = tf.sqrt(self.gradients.group_squares(summed)) / divisor
        critics_G = self.gradients.critics_G
        own, critics = tf.norm(group_norm[~critics_G]), tf.norm(group_norm[critics_G])
        norm = tf.where(tf.math.is_finite(critics), own, critics)
        spike = self._is_spike(norm, clip_norm)
        accept = tf.math.is_finite(norm) & (utterances > 0.0) & ~spike

        def update() -> tf.Tensor:
            # one factor averages and clips, so that each gradient is read once
            factors = [tf.minimum(1.0, clip_norm / tf.maximum(n, 1e-12)) / divisor for n in (own, critics)]
            packing = self.gradients.packing
            is_critic = packing.of_blocks(critics_G[self.gradients.group_index].tolist())
            clipped = [
                block * (tf.where(critic, factors[1], factors[0]) if critic.shape else factors[int(critic)])
                for block, critic in zip(summed, is_critic, strict=True)
            ]
            self.optimizer.apply(packing.unpack(clipped), learning_rate)
            slot = self.accepted % DETECTOR_SIZE
            self.norms.assign(tf.where(tf.range(DETECTOR_SIZE, dtype=tf.int64) == slot, norm, self.norms))
            self.accepted.assign_add(1)
            done = tf.cast(self.accepted, tf.float32)
            decay = (
                tf.minimum(self.training.ema_decay, (1.0 + done) / (10.0 + done)) if self.training.ema_decay else 0.0
            )
            share = tf.convert_to_tensor(1.0 - decay, tf.float32)
            optimizers.move_average(self.average.trainable_variables, self.model.trainable_variables, share)
            return tf.constant(True)

        applied = tf.cond(accept, update, lambda: tf.constant(False))
        count = tf.identity(utterances)
        with tf.control_dependencies([applied, count]):
            self._clear_accumulators()
        return applied, count, norm, spike, group_norm

    def _sums(self) -> tuple[Sequence[tf.Variable | tf.Tensor], tf.Variable | tf.Tensor]:
        """The accumulated gradients, packed, and the utterances of all processes, from one sum."""
        if self.cluster.size == 1:
            return self.accumulated, self.utterances
        parts = [*self.accumulated, self.utterances]
        total = self.cluster.sum(tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0))
        split = tf.split(total, [int(np.prod(part.shape)) for part in parts])
        *summed, utterances = [tf.reshape(x, part.shape) for x, part in zip(split, parts, strict=True)]
        return summed, utterances

    def _is_spike(self, norm: tf.Tensor, clip_norm: tf.Tensor) -> tf.Tensor:
        """Whether the norm is above the clip norm and above spike_factor times the median of the last applied ones."""
        known = tf.minimum(tf.cast(self.accepted, tf.int32), DETECTOR_SIZE)
        filled = tf.where(tf.range(DETECTOR_SIZE) < known, self.norms, tf.fill([DETECTOR_SIZE], np.float32(np.inf)))
        median = tf.sort(filled)[tf.maximum(known // 2, 0)]
        return (known >= DETECTOR_WARMUP) & (norm > self.training.spike_factor * median) & (norm > clip_norm)

    def model_norm(self, group_norm_G: FloatArray) -> float:
        """Norm of a gradient without the critic, from the norms of its layer groups."""
        return float(np.linalg.norm(group_norm_G[~self.gradients.critics_G].astype(np.float64)))

    def median_norm(self) -> float | None:
        """Median of the last applied gradient norms; None until there are enough of them."""
        known = min(int(self.accepted.numpy()), DETECTOR_SIZE)
        return float(np.median(self.norms.numpy()[:known])) if known >= DETECTOR_WARMUP else None

    def update(self, learning_rate: float, clip_norm: float | None = None) -> UpdateResult:
        """Average, measure and clip the window and apply it, or skip it if it is not finite or a spike.

        The norms of model and critic are each clipped at `clip_norm`, by default that of the settings.
        """
        clip_norm = self.settings.clip_norm if clip_norm is None else clip_norm
        with self.changing(), self.cluster.watching():
            applied, count, norm, spike, groups = self._apply(
                tf.constant(learning_rate, tf.float32), tf.constant(clip_norm, tf.float32)
            )
            finite = self._window_finite and bool(np.isfinite(norm.numpy()))
            overflow = not finite and self.loss_scale.has_room
            self.loss_scale.after_update(applied=bool(applied), finite=finite)
            self._window, self._window_finite = [], True
            result = UpdateResult(bool(applied), float(count), float(norm), bool(spike), overflow, groups.numpy())
        return result

    def graphs(self) -> dict[str, Any]:
        """The graphs of a micro-batch, of its update and of a validation by name, traced."""
        micro = self._micro[bool(self._adversarial), self.loss_scale.is_dynamic]
        made = {"micro-batch": micro, "update": self._apply, "validation": self._validate}
        return {name: graph.get_concrete_function() for name, graph in made.items()}

    # --- validation ------------------------------------------------------------------------------------------

    def _validate_graph(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        terms, outputs = self.task.validation(self.average, batch)
        return tf.stack([terms[t] for t in self.terms]), outputs

    def validate(self, batch: Mapping[str, object]) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Terms (K, B) of a batch and the outputs that validation looks at, with the averaged weights."""
        terms, outputs = self._validate({k: tf.convert_to_tensor(v) for k, v in batch.items()})
        return terms.numpy(), {name: value.numpy() for name, value in outputs.items()}
