"""Distances between synthesized speech and its recording: spectrum, pitch, voicing and length.

Their timing differs, so frames are compared along the warping path of the least spectral distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from myxtts.compiled import compiled

FloatArray = npt.NDArray[np.floating]
Float64 = npt.NDArray[np.float64]
WarpingPath = npt.NDArray[np.int32]

COEFFICIENTS = 13
"""Cepstral coefficients used, from the second one: the first is the level, which is not part of the timbre."""
SEMITONES = 12.0
_DECIBELS = 10.0 * np.sqrt(2.0) / np.log(10.0)


@dataclass(frozen=True)
class ClipDistances:
    """Distances of a synthesized clip from its recording.

    Attributes:
        mcd_db: mel cepstral distortion, at least 0.
        pitch_error_semitones: RMSE over frames voiced in both; None where there are none.
        pitch_shift_semitones: median of synthesized minus recorded pitch over the same frames.
        voicing_error: share of frames voiced in only one of both.
        length_ratio: synthesized length over recorded length.
        length_error: distance of the ratio from 1.
    """

    mcd_db: float
    pitch_error_semitones: float | None
    pitch_shift_semitones: float | None
    voicing_error: float
    length_ratio: float
    length_error: float


def clip_distances(
    true_MC: FloatArray, true_hz_M: FloatArray, made_MC: FloatArray, made_hz_M: FloatArray
) -> ClipDistances:
    """All distances, from natural-log mels [M, C] and pitches [M] in Hz (0: unvoiced) of recording and speech.

    Raises ValueError for arrays of other shapes, without frames, or not finite.
    """
    for name, mel_MC, hz_M in (("recording", true_MC, true_hz_M), ("speech", made_MC, made_hz_M)):
        if len(mel_MC) != len(hz_M):
            raise ValueError(f"{name}: a mel of {len(mel_MC)} frames and a pitch of {len(hz_M)}")
    db, path_P2 = mel_cepstral_distortion(true_MC, made_MC)
    error, shift = pitch_error(true_hz_M, made_hz_M, path_P2)
    ratio = len(made_MC) / len(true_MC)
    return ClipDistances(db, error, shift, voicing_error(true_hz_M, made_hz_M, path_P2), ratio, abs(ratio - 1.0))


def cepstra(mel_MC: FloatArray) -> Float64:
    """Mel cepstral coefficients 1 to 13, float64[M, 13], of a natural-log mel [M, C].

    Scaled so that a frame is c_0 + sum_k c_k cos(pi k (n + 1/2) / C): the orthonormal DCT-II times sqrt(2 / C).
    Distances of coefficients are thus decibels of the spectrum for any number of channels.
    """
    mel_MC = np.asarray(mel_MC, np.float64)
    if mel_MC.ndim != 2 or not len(mel_MC) or mel_MC.shape[1] <= COEFFICIENTS or not np.isfinite(mel_MC).all():
        raise ValueError(f"a mel of shape {mel_MC.shape}, expected finite [M, C], M over 0, C over {COEFFICIENTS}")
    transformed: Float64 = scipy.fft.dct(mel_MC, type=2, norm="ortho", axis=1)[:, 1 : COEFFICIENTS + 1]
    return transformed * np.sqrt(2.0 / mel_MC.shape[1])


def mel_cepstral_distortion(true_MC: FloatArray, made_MC: FloatArray) -> tuple[float, WarpingPath]:
    """Mean distortion in dB along the warping path, and the path int32[P, 2] (frame of the first, of the second).

    For two frames: 10 sqrt(2) / ln 10 * sqrt(sum over k = 1..13 of the squared difference of c_k), the RMS difference
    in dB of the two spectra without their level and their finest detail.

    Source: Kubichek (1993), "Mel-cepstral distance measure for objective speech quality assessment", eq. 1.
    Differs: cepstra of our mel instead of a filter bank of its own; coefficients 1 to 13; frames are warped.
    """
    true_MV, made_MV = cepstra(true_MC), cepstra(made_MC)
    if np.shape(true_MC)[1] != np.shape(made_MC)[1]:
        raise ValueError(f"mels of {np.shape(true_MC)[1]} and {np.shape(made_MC)[1]} channels")
    path_P2 = warping_path(true_MV, made_MV)
    difference_V = true_MV[path_P2[:, 0]] - made_MV[path_P2[:, 1]]
    return float(_DECIBELS * np.sqrt(np.square(difference_V).sum(axis=1)).mean()), path_P2


def warping_path(one_MV: Float64, other_MV: Float64) -> WarpingPath:
    """The path int32[P, 2] from the first to the last frames with the least sum of Euclidean distances.

    Each step advances one sequence, the other, or both; of equally good steps, both.
    Source: Sakoe, Chiba (1978), "Dynamic programming algorithm optimization for spoken word recognition", slope
    constraint P = 0. Differs: every step has weight 1, so diagonal steps do not count twice.
    """
    path: WarpingPath = _cheapest_path(np.ascontiguousarray(one_MV), np.ascontiguousarray(other_MV))
    return path


def _path_of(one_MV: Float64, other_MV: Float64) -> WarpingPath:
    ones, others = len(one_MV), len(other_MV)
    cost = np.full(others + 1, np.inf)
    cost[0] = 0.0
    came_from = np.zeros((ones, others), np.int8)  # 0: both advanced, 1: only the first, 2: only the other
    for i in range(ones):
        diagonal = cost[0]
        cost[0] = np.inf
        for j in range(others):
            distance = 0.0
            for k in range(one_MV.shape[1]):
                distance += (one_MV[i, k] - other_MV[j, k]) ** 2
            above, left = cost[j + 1], cost[j]
            best, step = diagonal, 0
            if above < best:
                best, step = above, 1
            if left < best:
                best, step = left, 2
            came_from[i, j] = step
            diagonal = above
            cost[j + 1] = best + np.sqrt(distance)
    path = np.empty((ones + others, 2), np.int32)
    i, j, at = ones - 1, others - 1, ones + others
    while True:
        at -= 1
        path[at, 0], path[at, 1] = i, j
        if i == 0 and j == 0:
            return path[at:]
        step = came_from[i, j]
        if step != 2:
            i -= 1
        if step != 1:
            j -= 1


_cheapest_path = compiled(_path_of)


def pitch_error(
    true_hz_M: FloatArray, made_hz_M: FloatArray, path_P2: WarpingPath
) -> tuple[float | None, float | None]:
    """RMSE and median of (made - true) in semitones over the frame pairs of a path that are voiced in both clips.

    None, None where there are none.
    """
    true_P, made_P = _paired(true_hz_M, made_hz_M, path_P2)
    both = (true_P > 0.0) & (made_P > 0.0)
    if not both.any():
        return None, None
    semitones = SEMITONES * np.log2(made_P[both] / true_P[both])
    return float(np.sqrt(np.square(semitones).mean())), float(np.median(semitones))


def voicing_error(true_hz_M: FloatArray, made_hz_M: FloatArray, path_P2: WarpingPath) -> float:
    """Share of the frame pairs of a path that are voiced in only one of both clips, 0 to 1."""
    true_P, made_P = _paired(true_hz_M, made_hz_M, path_P2)
    return float(((true_P > 0.0) != (made_P > 0.0)).mean())


def _paired(true_hz_M: FloatArray, made_hz_M: FloatArray, path_P2: WarpingPath) -> tuple[Float64, Float64]:
    true_P = np.asarray(true_hz_M, np.float64)[path_P2[:, 0]]
    return true_P, np.asarray(made_hz_M, np.float64)[path_P2[:, 1]]


def token_duration_error(true_T: npt.ArrayLike, made_T: npt.ArrayLike) -> float:
    """Mean of |made - true| over the tokens of a text, in the unit of the arguments, such as frames.

    Raises ValueError for different numbers of tokens, or none.
    """
    true, made = np.asarray(true_T, np.float64), np.asarray(made_T, np.float64)
    if true.shape != made.shape or true.ndim != 1 or not len(true):
        raise ValueError(f"durations of shapes {true.shape} and {made.shape}, expected the same tokens, at least one")
    return float(np.abs(made - true).mean())
