"""What the graphs of a training step consist of: a GPU can compute all of them but the alignment search."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from myxtts.training.gpu_trial import SEARCH_OPERATION, graph_findings, trial_batch, trial_config
from myxtts.training.graph_figures import Count, TracedGraph, has_gpu_kernel

VECTOR = [tf.TensorSpec([None], tf.float32)]


def traced(made: Any) -> TracedGraph:
    return TracedGraph(tf.function(made, input_signature=VECTOR, autograph=False).get_concrete_function())


def test_launches_are_those_of_computing_operations() -> None:
    graph = traced(lambda x: tf.reshape(tf.nn.relu(x * 2.0), [-1, 1]) + tf.cast(tf.shape(x)[0] * 3, tf.float32))
    assert graph.count().launches == 4, "product, relu, cast and sum; no shape, constant or view"


def test_what_nothing_needs_is_not_counted() -> None:
    def made(x: tf.Tensor) -> tf.Tensor:
        tf.tanh(tf.exp(x))  # TensorFlow removes it
        return tf.cond(x[0] > 0.0, lambda: [tf.nn.relu(x), tf.exp(x)][0], lambda: x)

    plain = traced(lambda x: tf.cond(x[0] > 0.0, lambda: tf.nn.relu(x), lambda: x))
    assert traced(made).count() == plain.count()


def test_a_condition_counts_its_longer_branch_and_a_loop_one_pass() -> None:
    short = traced(lambda x: tf.cond(x[0] > 0.0, lambda: tf.nn.relu(x), lambda: x))
    long = traced(lambda x: tf.cond(x[0] > 0.0, lambda: tf.nn.relu(tf.exp(tf.abs(x))), lambda: tf.nn.relu(x)))
    assert long.count().launches - short.count().launches == 2
    loop = traced(lambda x: tf.while_loop(lambda x: x[0] < 9.0, lambda x: [tf.exp(x)], [x])[0])
    assert 2 <= loop.count().launches <= 4


def test_an_operation_without_a_gpu_kernel_is_named() -> None:
    graph = traced(lambda x: tf.numpy_function(lambda y: y, [tf.exp(x)], tf.float32))
    assert graph.without_gpu_kernel() == ["PyFunc"]
    nodes = {node.op: node for node in graph.nodes()}
    assert has_gpu_kernel(nodes["Exp"])
    nodes["Exp"].attr["T"].type = tf.string.as_datatype_enum
    assert not has_gpu_kernel(nodes["Exp"]), "the types count"


@pytest.mark.skipif(not tf.test.is_built_with_cuda(), reason="this TensorFlow knows no kernels for GPUs")
def test_the_search_alone_has_no_gpu_kernel(played: Any) -> None:
    """In the graphs of a micro-batch with the critic, of its update and of a validation."""
    graphs = {name: TracedGraph(graph) for name, graph in played.step.graphs().items()}
    assert {name: graph.without_gpu_kernel() for name, graph in graphs.items()} == {
        "micro-batch": [SEARCH_OPERATION], "update": [], "validation": [SEARCH_OPERATION],
    }  # fmt: skip
    update = sum((graphs[name].count() for name in ("micro-batch", "update")), Count(0, 0))
    assert 1_000 < update.launches < 4_500, "each one costs time on a GPU whatever the model's size"
    said = list(graph_findings(played.step, has_gpu=False))
    assert not any(finding.failed for finding in said) and f"{update.launches:,}" in said[1].text
    assert [finding.failed for finding in graph_findings(played.step, has_gpu=True)] == [True, False]


def test_the_batch_of_a_trial_keeps_the_contract() -> None:
    from myxtts.batch import problems

    for seed in range(3):
        assert problems(trial_batch(trial_config(small=True), seed)) == []
