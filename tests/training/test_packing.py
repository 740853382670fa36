"""Small tensors in one vector: nothing is lost or moved, and sums of squares are those of each tensor, bit-exact."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from myxtts.training.packing import SMALL, PackedPart, Packing

SHAPES = [(3, 5), (SMALL + 1,), (), (15,), (2, SMALL), (7, 1, 5, 1), (3,), (5, 3)]


def tensors(shapes: list[tuple[int, ...]] = SHAPES) -> list[np.ndarray]:
    return [np.random.default_rng(i).normal(size=shape).astype(np.float32) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("shapes", [SHAPES, SHAPES[:1], [(SMALL, 2)], [(4,), (4,)]])
def test_what_is_packed_comes_back(shapes: list[tuple[int, ...]]) -> None:
    packing, values = Packing(shapes), tensors(shapes)
    blocks = packing.pack([tf.constant(x) for x in values])
    assert len(blocks) == sum(x.size > SMALL for x in values) + any(x.size <= SMALL for x in values)
    assert [block.shape for block in packing.zeros()] == [block.shape for block in blocks]
    for value, found in zip(values, packing.unpack(blocks), strict=True):
        np.testing.assert_array_equal(found.numpy(), value)
    small = packing.small_tensors(blocks)
    assert sorted(small) == [i for i, x in enumerate(values) if x.size <= SMALL]


def test_sums_of_squares_are_those_of_each_tensor() -> None:
    packing, values = Packing(SHAPES), tensors()

    def both(*given: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return packing.squares(packing.pack(given)), 2.0 * tf.stack([tf.nn.l2_loss(x) for x in given])

    found, expected = tf.function(both, autograph=False)(*map(tf.constant, values))
    assert found.numpy().tobytes() == expected.numpy().tobytes()


def test_a_part_is_read_and_set_like_a_variable() -> None:
    packing, values = Packing(SHAPES), tensors()
    blocks = packing.zeros()
    parts = packing.parts(blocks)
    for part, value in zip(parts, values, strict=True):
        assert tuple(part.shape) == value.shape
        part.assign(value)
    for part, value in zip(parts, values, strict=True):
        np.testing.assert_array_equal(part.numpy(), value)
    assert sum(isinstance(part, PackedPart) for part in parts) == 6
    np.testing.assert_array_equal(blocks[0].numpy(), packing.pack(values)[0].numpy())


def test_flags_of_tensors_cover_their_places() -> None:
    packing = Packing(SHAPES)
    flags = [bool(i % 2) for i in range(len(SHAPES))]
    marked = [np.full(shape, flag, np.float32) for shape, flag in zip(SHAPES, flags, strict=True)]
    vector, *large = packing.of_blocks(flags)
    np.testing.assert_array_equal(vector, packing.pack(marked)[0].numpy() > 0.0)
    assert [bool(flag) for flag in large] == [flags[i] for i in packing.large] and not large[0].shape
