"""A small convolutional network that scores the ezafe of each word of a sentence, in numpy.

Unlike the linear model it learns what words have in common: the vectors of a word, its beginnings, endings, part of
speech and clusters are summed, and three convolutions see nine words on each side. Training: bench.persian_network.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

BITS = 14
"""Vectors of features, as a power of two."""
SHAPES = {
    "vectors": (1 << BITS, 32), "kernel1": (7, 32, 64), "bias1": (64,), "kernel2": (5, 64, 64), "bias2": (64,),
    "kernel3": (5, 64, 64), "bias3": (64,), "output": (64,), "bias": (1,),
}  # fmt: skip
"""Of the weights; kernels [width, channels in, channels out]."""
DILATION = 2
"""Of the third convolution."""
_AFFIXES = (1, 2, 3, 4)
_LONGEST = 8

Floats = npt.NDArray[np.float32]


def indices(word: str, kind: str, joined: bool, clusters: Sequence[int | str]) -> list[int]:
    """The indices of the vectors of a word, as many for each word.

    kind: its part of speech; joined: whether it is written together with the next word; clusters: the groups of words
    with similar neighbors to which it belongs.
    """
    names = [f"w={word}", f"k={kind}", f"z={joined:d}{min(len(word), _LONGEST)}"]
    names += [f"s{size}={word[-size:]}" for size in _AFFIXES] + [f"p{size}={word[:size]}" for size in _AFFIXES]
    names += [f"c{at}={cluster}" for at, cluster in enumerate(clusters)]
    return [zlib.crc32(name.encode("utf-8")) & ((1 << BITS) - 1) for name in names]


class Network:
    """weights: as in SHAPES, float32."""

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        self._weights = weights

    def scores(self, words: Sequence[Sequence[int]]) -> Floats:
        """The score of an ezafe after each word, in log odds, [N].

        words: the indices of each word, from `indices`.
        """
        weights = self._weights
        x = weights["vectors"][np.array(words)].sum(axis=1)
        x = _convolved(x, weights["kernel1"], weights["bias1"], 1)
        x = x + _convolved(x, weights["kernel2"], weights["bias2"], 1)
        x = x + _convolved(x, weights["kernel3"], weights["bias3"], DILATION)
        return (x @ weights["output"] + weights["bias"]).astype(np.float32)


def _convolved(x: Floats, kernel: Floats, bias: Floats, dilation: int) -> Floats:
    """A convolution over time with zeros beyond the ends, and ReLU. x: [N, in], kernel: [width, in, out]."""
    reach = len(kernel) // 2 * dilation
    padded = np.pad(x, ((reach, reach), (0, 0)))
    found = bias + sum(padded[at * dilation : at * dilation + len(x)] @ part for at, part in enumerate(kernel))
    return np.maximum(found, np.float32(0))
