"""Trains the convolutional network of the ezafe (myxtts/text/persian/network.py): Adam, dropout, a falling rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bench.persian_tables import Marked
from myxtts.text.persian import network
from myxtts.text.persian.tagger import Tagger

_BATCH, _RATE, _WARMUP = 32, 4e-3, 60
_FEATURE_DROPOUT, _DROPOUT, _DECAY = 0.12, 0.3, 0.01
_SMOOTHING = 0.02
_MIX = 4
"""Sentences of a batch have nearly the same length: by up to so many words they may change places."""
_FIRST_MOMENT, _SECOND_MOMENT = 0.9, 0.999
_SMALL = 1e-7

Floats = npt.NDArray[np.float32]
_Batch = tuple[npt.NDArray[np.int32], Floats, Floats, Floats]


def trained(
    marked: Sequence[Marked], model: Tagger, seed: int, epochs: int, report: Callable[[str], None]
) -> dict[str, Floats]:
    """Weights as in network.SHAPES, after so many epochs over the sentences; model: with the clusters of words."""
    import tensorflow as tf

    chance = np.random.default_rng(seed)
    tf.random.set_seed(seed)
    items = [_encoded(sentence, model) for sentence in marked]
    weights = {name: tf.Variable(values) for name, values in _first(chance).items()}
    first = {name: tf.Variable(tf.zeros_like(value)) for name, value in weights.items()}
    second = {name: tf.Variable(tf.zeros_like(value)) for name, value in weights.items()}

    def dropped(x: tf.Tensor) -> tf.Tensor:
        return tf.nn.dropout(x, _DROPOUT)

    def scores(ids: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
        kept = tf.nn.dropout(tf.ones(tf.shape(ids)), _FEATURE_DROPOUT)
        x = tf.reduce_sum(tf.gather(weights["vectors"], ids) * kept[..., None], 2) * there[..., None]
        for name, dilation in (("1", 1), ("2", 1), ("3", network.DILATION)):
            found = tf.nn.conv1d(
                x if name != "1" else dropped(x), weights[f"kernel{name}"], 1, "SAME", dilations=dilation
            )
            found = tf.nn.relu(found + weights[f"bias{name}"])
            x = dropped(found if name == "1" else x + found) * there[..., None]
        return tf.linalg.matvec(x, weights["output"]) + weights["bias"]

    def update(
        ids: tf.Tensor, labels: tf.Tensor, counted: tf.Tensor, there: tf.Tensor, rate: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, scores(ids, there))
            loss = tf.reduce_sum(counted * losses) / tf.reduce_sum(counted)
        slopes = tape.gradient(loss, weights)
        for name, value in weights.items():
            slope = tf.convert_to_tensor(slopes[name])
            first[name].assign(_FIRST_MOMENT * first[name] + (1 - _FIRST_MOMENT) * slope)
            second[name].assign(_SECOND_MOMENT * second[name] + (1 - _SECOND_MOMENT) * slope * slope)
            mean = first[name] / (1 - _FIRST_MOMENT**step)
            spread = tf.sqrt(second[name] / (1 - _SECOND_MOMENT**step)) + _SMALL
            value.assign_sub(rate * (mean / spread + _DECAY * value))
        return loss

    traced = tf.function(
        update,
        input_signature=[
            tf.TensorSpec((None, None, None), tf.int32),
            *(tf.TensorSpec((None, None)) for _ in range(3)),
            *(tf.TensorSpec(()) for _ in range(2)),
        ],
    )
    count = -(-len(items) // _BATCH)
    step = 0
    for epoch in range(epochs):
        total = 0.0
        for batch in _batches(items, chance):
            step += 1
            rate = _RATE * min(1.0, step / _WARMUP) * (1 - (step - 1) / (epochs * count))
            total += float(traced(*batch, np.float32(rate), np.float32(step)))
        report(f"network {seed}, epoch {epoch + 1} of {epochs}: loss {total / count:.4f}")
    return {name: value.numpy() for name, value in weights.items()}


def _first(chance: np.random.Generator) -> dict[str, Floats]:
    """Weights before the training: biases of zero, the others normal with a spread that keeps that of the signal."""
    found = {}
    for name, shape in network.SHAPES.items():
        spread = {"vectors": 0.15, "kernel1": (2 / (7 * 32)) ** 0.5, "output": 0.3 * (2 / 64) ** 0.5}.get(
            name, 0.0 if name.startswith("bias") else 0.5 * (2 / (5 * 64)) ** 0.5
        )
        found[name] = (spread * chance.standard_normal(shape)).astype(np.float32)
    return found


def _encoded(sentence: Marked, model: Tagger) -> tuple[list[list[int]], Floats, Floats]:
    """Indices [N, F], labels and which of them count, [N]; labels are smoothed, since some of them are wrong."""
    ids = model.network_indices(sentence.words, sentence.joined)
    labels = np.array([float(bool(ezafe)) for ezafe in sentence.ezafe], np.float32)
    smoothed = labels * np.float32(1 - _SMOOTHING) + np.float32(_SMOOTHING / 2)
    return ids, smoothed, np.array([ezafe is not None for ezafe in sentence.ezafe], np.float32)


def _batches(items: Sequence[tuple[list[list[int]], Floats, Floats]], chance: np.random.Generator) -> list[_Batch]:
    lengths = (
        np.array([len(ids) for ids, _, _ in items]) + chance.integers(_MIX, size=len(items)) + chance.random(len(items))
    )
    order = np.argsort(lengths)
    groups = [order[at : at + _BATCH] for at in range(0, len(order), _BATCH)]
    found = []
    for number in chance.permutation(len(groups)):
        group = [items[at] for at in groups[number]]
        size, features = max(len(ids) for ids, _, _ in group), len(group[0][0][0])
        ids = np.zeros((len(group), size, features), np.int32)
        labels, counted, there = (np.zeros((len(group), size), np.float32) for _ in range(3))
        for at, (ids_of, labels_of, counted_of) in enumerate(group):
            length = len(ids_of)
            ids[at, :length], labels[at, :length] = ids_of, labels_of
            counted[at, :length], there[at, :length] = counted_of, 1
        found.append((ids, labels, counted, there))
    return found
