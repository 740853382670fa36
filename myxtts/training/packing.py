"""Small tensors side by side in one vector: an operation on all of them instead of one on each.

Two thirds of a model's weights are biases, gains and narrow tables, with 1% of its numbers. An update of each in turn
costs a kernel launch on a GPU, and an operation while a graph is built, for a few hundred numbers. Large matrices stay
as they are: copying them side by side would take longer than it saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

SMALL = 4_096
"""Numbers of the largest tensor that is packed."""


@dataclass(frozen=True)
class PackedPart:
    """A tensor inside a packed variable, to be read and set like a variable of its own."""

    variable: tf.Variable
    start: int
    shape: tuple[int, ...]

    @property
    def _stop(self) -> int:
        return self.start + _size(self.shape)

    def numpy(self) -> npt.NDArray[np.float32]:
        """A copy of the values."""
        values: npt.NDArray[np.float32] = self.variable.numpy()[self.start : self._stop].reshape(self.shape)
        return values

    def assign(self, values: Any) -> None:
        """Set the values."""
        self.variable[self.start : self._stop].assign(tf.reshape(tf.cast(values, tf.float32), [-1]))


class Packing:
    """How tensors of fixed shapes are packed.

    The packed tensors are `blocks`: the vector of all small ones (if there are any), then the large ones.

    Args:
        shapes: of the tensors.
    """

    def __init__(self, shapes: Sequence[Sequence[int]]) -> None:
        self.shapes = [tuple(int(size) for size in shape) for shape in shapes]
        sizes = [_size(shape) for shape in self.shapes]
        # ordered by size, so that tensors of one size are the rows of a matrix
        self.small = sorted((i for i, size in enumerate(sizes) if size <= SMALL), key=lambda i: sizes[i])
        self.large = [i for i, size in enumerate(sizes) if size > SMALL]
        self._sizes = [sizes[i] for i in self.small]
        self._starts = np.cumsum([0, *self._sizes]).tolist()
        self._rows = [(size, len(list(same))) for size, same in groupby(self._sizes)]

    def zeros(self) -> list[tf.Variable]:
        """A variable for each block."""
        shapes = ([(sum(self._sizes),)] if self.small else []) + [self.shapes[i] for i in self.large]
        return [tf.Variable(tf.zeros(shape), trainable=False) for shape in shapes]

    def small_vector(self, tensors: Sequence[Any]) -> list[tf.Tensor]:
        """The block of the small ones among all tensors; empty if none is small."""
        vectors = [self._reshaped(tensors[i], self.shapes[i], [-1]) for i in self.small]
        return [tf.concat(vectors, axis=0)] if vectors else []

    @staticmethod
    def _reshaped(tensor: Any, shape: Sequence[int], to: Sequence[int]) -> Any:
        """A tensor of a shape or its vector reshaped, unless it is a vector anyway: an operation less in a graph."""
        return tensor if len(shape) == 1 else tf.reshape(tensor, to)

    def pack(self, tensors: Sequence[Any]) -> list[Any]:
        """The blocks of all tensors."""
        return [*self.small_vector(tensors), *(tensors[i] for i in self.large)]

    def small_tensors(self, blocks: Sequence[Any]) -> dict[int, tf.Tensor]:
        """The small tensors in the blocks, by their place among all."""
        if not self.small:
            return {}
        split = tf.split(tf.convert_to_tensor(blocks[0]), self._sizes)
        return {
            i: self._reshaped(part, self.shapes[i], self.shapes[i]) for i, part in zip(self.small, split, strict=True)
        }

    def unpack(self, blocks: Sequence[Any]) -> list[Any]:
        """All tensors in their order."""
        large = dict(zip(self.large, blocks[bool(self.small) :], strict=True))
        found = {**self.small_tensors(blocks), **large}
        return [found[i] for i in range(len(self.shapes))]

    def parts(self, blocks: Sequence[tf.Variable]) -> list[tf.Variable | PackedPart]:
        """The variable or the part of one for each tensor."""
        large = dict(zip(self.large, blocks[bool(self.small) :], strict=True))
        starts = dict(zip(self.small, self._starts, strict=False))
        return [
            large[i] if i in large else PackedPart(blocks[0], starts[i], self.shapes[i])
            for i in range(len(self.shapes))
        ]

    def of_blocks(self, flags: Sequence[bool]) -> list[npt.NDArray[np.bool_]]:
        """A flag of each tensor, for every block: (N,) for the vector of the small ones, scalars for the others."""
        small = [np.repeat([flags[i] for i in self.small], self._sizes)] if self.small else []
        return [*small, *(np.asarray(flags[i]) for i in self.large)]

    def squares(self, blocks: Sequence[Any]) -> tf.Tensor:
        """The sum of squares of each tensor, in their order; bit-exact twice `tf.nn.l2_loss` of it."""
        large = [2.0 * tf.stack([tf.nn.l2_loss(block) for block in blocks[bool(self.small) :]])] if self.large else []
        small = []
        if self.small:
            matrices = tf.split(tf.square(blocks[0]), [size * count for size, count in self._rows])
            for (size, count), matrix in zip(self._rows, matrices, strict=True):
                small.append(tf.reduce_sum(tf.reshape(matrix, [count, size]), axis=1))
        return tf.gather(tf.concat([*small, *large], axis=0), np.argsort([*self.small, *self.large]))


def _size(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))
