"""The similarity of the voices in the parts of a recording, which detects two speakers one after the other.

The embeddings are those of the starter's speaker encoder (version 2), in NumPy, so that the check is the same for every
voice model and needs no TensorFlow. `python -m bench.reference_speakers` measures it.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt
import soxr
from safetensors.numpy import load

from myxtts.audio import mel
from myxtts.audio.activity import speech_frames, without_pauses
from myxtts.config.schema import AudioConfig

Array = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

WEIGHTS = "speaker_changes.safetensors"
_AUDIO = AudioConfig()
"""The mels that the encoder knows."""
_STRIDE, _KERNEL, _BLOCKS = 4, 7, 3
_STEPS_PER_SECOND = _AUDIO.sample_rate_hz / _AUDIO.hop_samples / _STRIDE
_WINDOW_SECONDS, _HOP_SECONDS, _LEAST_PART_SECONDS = 2.0, 0.5, 1.5
_MOST_WINDOWS = 240
_ROUNDS = 5


def similarity_of_parts(samples_N: Array, sample_rate_hz: int) -> float:
    """Cosine of the two most different parts of a recording as voices, -1 to 1; 1 under three seconds of speech.

    samples_N: mono, without silent ends.
    """
    if sample_rate_hz != _AUDIO.sample_rate_hz:
        samples_N = np.asarray(
            soxr.resample(samples_N, sample_rate_hz, _AUDIO.sample_rate_hz, quality="HQ"), np.float32
        )
    mel_MC = mel.log_mel(samples_N, _AUDIO)
    return similarity_of_mel_parts(mel_MC[speech_frames(samples_N, _AUDIO)[: len(mel_MC)]])


def similarity_of_mel_parts(mel_MC: Array) -> float:
    """The same for the natural-log mel of speech, in the default mel convention.

    The mean of two measures: windows of two seconds in two clusters, and the best division into before and after.
    """
    mel_MC = without_pauses(mel_MC) if len(mel_MC) else mel_MC
    if len(mel_MC) < 2 * _LEAST_PART_SECONDS * _STEPS_PER_SECOND * _STRIDE:
        return 1.0
    encoder = _Encoder(mel_MC)
    return 0.5 * (_of_clusters(encoder) + _of_halves(encoder))


def _of_clusters(encoder: _Encoder) -> float:
    """Cosine of the means of two clusters of windows, which begin with the two most different windows."""
    length = round(_WINDOW_SECONDS * _STEPS_PER_SECOND)
    windows = [encoder.voice(start, start + length) for start in _starts(encoder.steps - length)]
    if len(windows) < 2:
        return 1.0
    voice_AE = np.stack(windows)
    first, second = np.unravel_index(np.argmin(voice_AE @ voice_AE.T), (len(voice_AE), len(voice_AE)))
    centers = voice_AE[[first, second]]
    for _ in range(_ROUNDS):
        is_first = voice_AE @ centers[0] >= voice_AE @ centers[1]
        if min(is_first.sum(), (~is_first).sum()) < 2:  # one odd window is no second person
            return 1.0
        centers = np.stack([_unit(voice_AE[mask].mean(axis=0)) for mask in (is_first, ~is_first)])
    return float(centers[0] @ centers[1])


def _of_halves(encoder: _Encoder) -> float:
    """The lowest cosine of what is before and what is after some place."""
    least = round(_LEAST_PART_SECONDS * _STEPS_PER_SECOND)
    places = [least + start for start in _starts(encoder.steps - 2 * least)]
    return min(float(encoder.voice(0, at) @ encoder.voice(at, encoder.steps)) for at in places)


def _starts(last: int) -> range:
    """Places half a second apart, or further apart so that there are at most 240, from 0 to `last`."""
    hop = max(round(_HOP_SECONDS * _STEPS_PER_SECOND), -(-last // _MOST_WINDOWS))
    return range(0, max(0, last) + 1, hop)


class _Encoder:
    """The speaker encoder (models.speaker_encoder) on one recording; `voice` pools any part of it.

    Sums from the beginning to every position are kept, so that a part takes as long whether it is short or long.

    steps: positions of the encoder, four frames each.
    """

    def __init__(self, mel_MC: Array) -> None:
        self._weights = weights = _weights()
        level = weights["mel_mean"].mean() - mel_MC.mean()
        leveled_MC = np.maximum(mel_MC + level, np.float32(math.log(_AUDIO.log_floor)))  # data.references.match_level
        self._mel_MC = (leveled_MC - weights["mel_mean"]) / weights["mel_std"]
        self.steps = -(-len(mel_MC) // _STRIDE)
        x_RD = _gelu(
            _normalized(self._dense("front/dense", self._patches()), weights["norm/gain"], weights["norm/bias"])
        )
        for block in range(_BLOCKS):
            x_RD = x_RD + self._block(f"block_{block}", x_RD)
        score_RD = np.tanh(self._dense("attention_in", x_RD)) @ weights["attention_out/kernel"]
        self._learned = _Sums(x_RD, np.exp(np.float64(score_RD - score_RD.max(axis=0))))
        self._plain = _Sums(self._mel_MC, np.ones((len(mel_MC), 1)), _STRIDE)

    def voice(self, start: int, end: int) -> Array:
        """The voice (E,) of the positions from `start` to `end`, of unit length."""
        pooled = np.concatenate([self._learned.statistics(start, end), self._plain.statistics(start, end)])
        return _unit(self._dense("voice", pooled))

    def _dense(self, name: str, x: Array) -> Array:
        return np.asarray(x @ self._weights[f"{name}/kernel"] + self._weights[f"{name}/bias"], np.float32)

    def _patches(self) -> Array:
        """Eight frames for each position, four from one to the next."""
        frames, channels = self._mel_MC.shape
        left = _STRIDE // 2
        padded = np.pad(self._mel_MC, ((left, (self.steps + 1) * _STRIDE - frames - left), (0, 0)))
        patches = padded.reshape(self.steps + 1, _STRIDE * channels)
        return np.concatenate([patches[:-1], patches[1:]], axis=1)

    def _block(self, name: str, x_RD: Array) -> Array:
        weights, half = self._weights, _KERNEL // 2
        padded, filters = np.pad(x_RD, ((half, half), (0, 0))), weights[f"{name}/depthwise/filters"][:, 0, :, 0]
        y_RD = weights[f"{name}/depthwise/bias"] + sum(padded[k : k + len(x_RD)] * filters[k] for k in range(_KERNEL))
        y_RD = _normalized(y_RD, weights[f"{name}/norm/gain"], weights[f"{name}/norm/bias"])
        return self._dense(
            f"{name}/feed_forward/narrow", np.maximum(self._dense(f"{name}/feed_forward/widen", y_RD), 0)
        )


class _Sums:
    """Weighted mean and standard deviation of any part of a sequence, from sums up to every `stride`-th position.

    x_RD: the sequence.
    weight_RD: positive weights in proportion, (R, D) or (R, 1); the least is at least 1e-10 of the greatest.
    """

    def __init__(self, x_RD: Array, weight_RD: Float64, stride: int = 1) -> None:
        self._center_D = x_RD.mean(axis=0, dtype=np.float64)  # else the squares would cancel
        apart_RD = x_RD - self._center_D
        first_RD = weight_RD * apart_RD
        parts = weight_RD, first_RD, first_RD * apart_RD
        self._weight, self._first, self._second = (_sums_up_to(part, stride) for part in parts)

    def statistics(self, start: int, end: int) -> Array:
        """Means and standard deviations (2D,) of the part, in units of `stride`."""
        weight = self._weight[end] - self._weight[start]
        first, second = ((sums[end] - sums[start]) / weight for sums in (self._first, self._second))
        deviation = np.sqrt(np.maximum(second - np.square(first), 0.0) + 1e-4)
        return np.asarray(np.concatenate([self._center_D + first, deviation]), np.float32)


def _sums_up_to(x_RD: Float64, stride: int) -> Float64:
    """The sums of the rows before every `stride`-th one, and of all."""
    rows, width = x_RD.shape
    steps = -(-rows // stride)
    sums = np.zeros((steps + 1, width))
    padded = np.pad(x_RD, ((0, steps * stride - rows), (0, 0))) if steps * stride > rows else x_RD
    np.cumsum(padded.reshape(steps, stride, width).sum(axis=1) if stride > 1 else padded, axis=0, out=sums[1:])
    return sums


def _normalized(x_RD: Array, gain_D: Array, bias_D: Array) -> Array:
    centered = x_RD - x_RD.mean(axis=-1, keepdims=True)
    return centered / np.sqrt(np.square(centered).mean(axis=-1, keepdims=True) + 1e-5) * gain_D + bias_D


def _gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * x * (1.0 + 0.044715 * np.square(x)))), np.float32)


def _unit(x_E: Array) -> Array:
    return np.asarray(x_E / max(float(np.linalg.norm(x_E)), 1e-8), np.float32)


@cache
def _weights() -> dict[str, Array]:
    content = resources.files(__package__).joinpath(WEIGHTS).read_bytes()
    return {name: np.asarray(value, np.float32) for name, value in load(content).items()}
