"""Groups Persian words by their neighbors in the training sentences, so that the networks know rare words by others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from myxtts.text.persian.tagger import PartsOfSpeech

SIZES = (50, 250)
"""Clusters, from coarse to fine."""
_LEAST_COUNT, _CONTEXT_WORDS, _DIMENSIONS, _ROUNDS = 4, 1500, 40, 12
_OFFSETS = (-2, -1, 1, 2)
_SMOOTHING = 0.75
_SMALL = 1e-9

Floats = npt.NDArray[np.float64]


def clusters(texts: Sequence[Sequence[str]], kinds: PartsOfSpeech) -> dict[str, list[int]]:
    """Word -> its cluster of each of SIZES, for words that are there at least four times.

    Vectors: positive pointwise mutual information with what is around a word, reduced by singular values.
    """
    counts = Counter(word for text in texts for word in text)
    known = sorted(word for word, count in counts.items() if count >= _LEAST_COUNT)
    number = {word: at for at, word in enumerate(known)}
    context = {word for word, _ in counts.most_common(_CONTEXT_WORDS)}
    columns: dict[str, int] = {}
    cells: Counter[tuple[int, int]] = Counter()
    for text in texts:
        padded = ["<s>", *text, "</s>"]
        for at, word in enumerate(padded):
            if word in number:
                for name in _around(padded, at, context, kinds):
                    cells[number[word], columns.setdefault(name, len(columns))] += 1
    vectors = _reduced(cells, len(known), len(columns))
    found = [_grouped(vectors, size) for size in SIZES]
    return {word: [int(group[at]) for group in found] for word, at in number.items()}


def _around(words: Sequence[str], at: int, context: set[str], kinds: PartsOfSpeech) -> Iterator[str]:
    for offset in _OFFSETS:
        if 0 <= at + offset < len(words):
            other = words[at + offset]
            if other in context:
                yield f"{offset}w={other}"
            yield f"{offset}s={other[-2:]}"
            yield f"{offset}k={kinds.of(other)}"


def _reduced(cells: Counter[tuple[int, int]], rows: int, columns: int) -> Floats:
    places, values = np.array(list(cells)).T, np.array(list(cells.values()), np.float64)
    by_row = np.bincount(places[0], values, rows)
    by_column = np.bincount(places[1], values, columns) ** _SMOOTHING
    information = np.log(values / (by_row[places[0]] * by_column[places[1]] / by_column.sum()))
    there = information > 0
    matrix = scipy.sparse.csr_matrix((information[there], places[:, there]), (rows, columns))
    left, sizes, _ = scipy.sparse.linalg.svds(matrix, min(_DIMENSIONS, min(matrix.shape) - 1), random_state=0)
    return _unit(left * np.sqrt(sizes))


def _grouped(vectors: Floats, size: int) -> npt.NDArray[np.intp]:
    """K-means by angle."""
    chance = np.random.default_rng(0)
    centers = vectors[chance.choice(len(vectors), min(size, len(vectors)), replace=False)]
    nearest = (vectors @ centers.T).argmax(1)
    for _ in range(_ROUNDS):
        for at in np.unique(nearest):
            centers[at] = _unit(vectors[nearest == at].mean(0))
        nearest = (vectors @ centers.T).argmax(1)
    return nearest


def _unit(vectors: Floats) -> Floats:
    found: Floats = vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + _SMALL)
    return found
