"""The share of the matrix peak: which operations are counted, and which events of the profiler are kernels."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bench import roofline
from bench.workers import update_parts
from myxtts.errors import ConfigError


def test_products_and_convolutions_are_counted_with_their_gradients() -> None:
    x, w = tf.ones([5, 3]), tf.Variable(tf.ones([3, 7]))
    image, kernel = tf.ones([2, 6, 1, 3]), tf.Variable(tf.ones([3, 1, 3, 4]))
    filters = tf.Variable(tf.ones([5, 1, 3, 1]))

    @tf.function(autograph=False)
    def step() -> None:
        with tf.GradientTape() as tape:
            tape.watch(image)
            product = tf.matmul(x, w)
            mixed = tf.einsum("bd,bd->", product, product)
            convolved = tf.nn.conv2d(image, kernel, 1, "SAME")
            deep = tf.nn.depthwise_conv2d(image, filters, (1, 1, 1, 1), "SAME")
            total = mixed + tf.reduce_sum(convolved) + tf.reduce_sum(deep)
        tape.gradient(total, [w, kernel, filters, image])

    found = update_parts.operations_of(step)
    dense, convolution, depthwise = 2 * 5 * 3 * 7, 2 * (2 * 6 * 4) * (3 * 3), 2 * (2 * 6 * 3) * 5
    assert found["dense layers"] == 2 * dense, "the product and the gradient of its weights"
    assert found["convolutions"] == 3 * convolution, "and that of its input"
    assert found["depthwise convolutions"] == 3 * depthwise
    assert found["attention and alignment"] >= 2 * 5 * 7
    assert not tf.config.functions_run_eagerly()


def test_the_part_of_an_operation_has_no_name_of_a_library() -> None:
    parts = {
        "MatMul": "dense layers",
        "_MklMatMul": "dense layers",
        "_MklNativeFusedMatMul": "dense layers",
        "_FusedConv2D": "convolutions",
        "_MklNativeDepthwiseConv2dNativeBackpropFilter": "depthwise convolutions",
        "DepthwiseConv2dNative": "depthwise convolutions",
        "_MklEinsum": "attention and alignment",
        "Mul": update_parts.REST,
    }
    assert {kind: update_parts.part_of(kind) for kind in parts} == parts


def test_the_kernels_of_a_call_are_found_once_each() -> None:
    x = tf.ones([64, 64])
    product = tf.function(lambda x: tf.nn.relu(tf.matmul(x, x) * x), autograph=False)
    product(x)
    seconds = update_parts.kernel_seconds([lambda: product(x)], lambda: product(x))
    assert {"dense layers", update_parts.REST, update_parts.OPTIMIZER} <= set(seconds)
    assert all(spent > 0.0 for spent in seconds.values())
    assert update_parts.peak("fp32") > 0.0


def test_rows_add_up() -> None:
    window = {
        "frames": 100,
        "seconds": 2.0,
        "operations": {"dense layers": 3e9, "attention and alignment": 1e9},
        "kernel_seconds": {"dense layers": 1.0, "elementwise and the rest": 0.5},
    }
    one = {"checkout": "now", "precision": "fp32", "peaks": {"fp32": 4e9}, "windows": [window, window]}
    assert roofline._row(one) == ("now", "fp32", "50", "2,000", "4.0", "2.0", "50.0%")
    parts = {row[2]: row[3:] for row in roofline._parts(one)}
    assert parts["dense layers"] == ("50.0%", "75.0%", "3.0", "75.0%")
    assert parts["elementwise and the rest"] == ("25.0%", "", "", "")
    assert parts[roofline.REST] == ("25.0%", "", "", "")
    assert np.isclose(sum(float(row[0].rstrip("%")) for row in parts.values()), 100.0)


def test_a_checkout_that_cannot_train_is_named(tmp_path: Path) -> None:
    given = roofline.Namespace(
        data=tmp_path, size="tiny", set=[], critic=False, cache=None, warm_up=1, windows=1, repeats=1
    )
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="ended before it was measured"):
        roofline.measured(given, tmp_path, "fp32", tmp_path / "folder")
