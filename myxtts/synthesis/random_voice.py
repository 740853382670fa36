"""A voice that nobody has: drawn from what the voices of the training speakers have in common and differ in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from myxtts.errors import DataError

FloatArray = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

FEWEST_SPEAKERS = 2
_STREAM = 211
"""Keeps these numbers apart from those that other parts draw with the same seed."""
_SMALLEST_NORM = 1e-3


def random_voice(voice_ZE: FloatArray, style_width: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """A new voice float32[E], unit length, and a style float32[S] from its prior N(0, 1); the same for the same seed.

    The voice is drawn from a Gaussian with the mean and the covariance of the training speakers' voices (Z, E). It lies
    in their span: of a direction in which no two of them differ nothing was learned.

    Errors: DataError for fewer than two speakers, or a draw without a direction.
    """
    speakers = len(voice_ZE)
    if speakers < FEWEST_SPEAKERS:
        raise DataError(
            f"a random voice is drawn from how the training speakers differ, and this model has {speakers}; "
            "it takes at least 2: give a reference, or train on more speakers"
        )
    rng = np.random.default_rng([seed, _STREAM])
    mean_E, deviation_KE = spread_of(voice_ZE)
    drawn_E = mean_E + rng.normal(size=len(deviation_KE)) @ deviation_KE
    norm = float(np.linalg.norm(drawn_E))
    if norm <= _SMALLEST_NORM:
        raise DataError(f"random voice {seed} has no direction; take another seed")
    return (drawn_E / norm).astype(np.float32), rng.normal(size=style_width).astype(np.float32)


def spread_of(voice_ZE: FloatArray) -> tuple[Float64, Float64]:
    """Mean (E,) of some voices, and directions (K, E), each as long as their deviation along it, shrunk to each other.

    Source: Chen, Wiesel, Eldar, Hero (2010), "Shrinkage algorithms for MMSE covariance estimation", eq. 23.
    Differs: the covariance and the sphere that it is shrunk to are those of the speakers' span, not of all E numbers.
    """
    voices = np.asarray(voice_ZE, np.float64)
    mean_E = voices.mean(axis=0)
    _, length_K, direction_KE = np.linalg.svd(voices - mean_E, full_matrices=False)
    inside = length_K > 1e-6 * max(1.0, float(length_K.max(initial=0.0)))
    variance_K, direction_KE = length_K[inside] ** 2 / (len(voices) - 1), direction_KE[inside]
    if not len(variance_K):
        return mean_E, direction_KE
    shrinkage = _shrinkage(variance_K, len(voices))
    variance_K = (1.0 - shrinkage) * variance_K + shrinkage * variance_K.mean()
    return mean_E, np.sqrt(variance_K)[:, None] * direction_KE


def _shrinkage(variance_K: Float64, samples: int) -> float:
    """How far to go from the measured covariance to a sphere, 0 to 1."""
    size = len(variance_K)
    of_squares, squared = float((variance_K**2).sum()), float(variance_K.sum()) ** 2
    below = (samples + 1.0 - 2.0 / size) * (of_squares - squared / size)
    if below <= 0.0:
        return 1.0
    return min(1.0, max(0.0, ((1.0 - 2.0 / size) * of_squares + squared) / below))


def nearest_of(voice_E: FloatArray, voice_ZE: FloatArray) -> tuple[int, float]:
    """Index of the training speaker that a voice is nearest to, and the cosine between the two."""
    norms = np.linalg.norm(voice_ZE, axis=1) * np.linalg.norm(voice_E)
    cosine_Z = (voice_ZE @ voice_E) / np.maximum(norms, 1e-12)
    index = int(cosine_Z.argmax())
    return index, float(cosine_Z[index])
