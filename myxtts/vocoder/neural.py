"""A trained vocoder in NumPy: mel and pitch -> waveform, without TensorFlow.

The same filters as vocoder.network computes, which trains; at two million weights a graph would take longer to prepare
than the speech takes to compute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from myxtts.audio.source_filter import (
    KINDS,
    SUBFRAMES,
    bins,
    envelope_matrix,
    excite,
    filled_pitch,
    synthesize,
    window_samples,
)
from myxtts.config.schema import AudioConfig, VocoderConfig
from myxtts.vocoder.constants import (
    GAIN_RANGE,
    KERNEL,
    LOUDEST,
    MEL_CENTRE,
    MEL_SCALE,
    NOISE_AT_START,
    NOISE_BESIDE_HARMONICS,
    NOISE_GATE_NEPERS,
    NORM_EPSILON,
    PITCH_HZ,
    TINY,
)

FloatArray = npt.NDArray[np.float32]
FIRST_FRAMES = 96
"""Frames of the first part, so that a stream begins early."""
PART_FRAMES = 512
"""Frames of the other parts, which bound the memory."""


class NeuralVocoder:
    """Speaks mels with trained weights. Call it with a natural-log mel float32 (M, C), a pitch float32 (M,) in Hz (0
    where unvoiced) and a seed; it returns samples float32 (M * hop,), the same for the same arguments.

    Args:
        weights: by the names of vocoder.network, of any float type.
        vocoder: widths and depth.
        audio: the mel convention.
    """

    def __init__(
        self,
        weights: Mapping[str, npt.NDArray[np.generic]],
        vocoder: VocoderConfig,
        audio: AudioConfig,
    ) -> None:
        self.audio, self.vocoder = audio, vocoder
        self._weights = {name.removeprefix("vocoder/"): np.asarray(w, np.float32) for name, w in weights.items()}

    @property
    def context_frames(self) -> int:
        """Frames on either side that the filters of a frame depend on."""
        return (KERNEL // 2) * (self.vocoder.blocks + 1) + 1

    def __call__(self, mel_MC: FloatArray, pitch_hz_M: FloatArray, seed: int = 0) -> FloatArray:
        """See the class."""
        return np.concatenate([np.zeros(0, np.float32), *self.parts(mel_MC, pitch_hz_M, seed)])

    def parts(self, mel_MC: FloatArray, pitch_hz_M: FloatArray, seed: int = 0) -> Iterator[FloatArray]:
        """The samples in parts of whole frames, each as soon as it is computed; together those of a call."""
        audio, hop = self.audio, self.audio.hop_samples
        margin = -(-window_samples(audio) // hop) + 1  # frames whose windows or samples reach into the part
        context = self.context_frames + margin
        filled_M, excitation = filled_pitch(pitch_hz_M, audio), excite(pitch_hz_M, audio, seed)
        for start, end in _bounds(len(mel_MC)):
            around = slice(max(0, start - context), min(end + context, len(mel_MC)))
            filters = self.filters(mel_MC[around], filled_M[around], (pitch_hz_M[around] > 0.0).astype(np.float32))
            near = slice(max(0, start - margin), min(end + margin, len(mel_MC)))
            filters = filters[SUBFRAMES * (near.start - around.start) : SUBFRAMES * (near.stop - around.start)]
            attenuate_noise(filters)
            samples_N = synthesize(filters, excitation.part(near.start * hop, near.stop * hop), audio)
            yield samples_N[(start - near.start) * hop : (end - near.start) * hop]

    def filters(self, mel_MC: FloatArray, pitch_M: FloatArray, voiced_M: FloatArray) -> FloatArray:
        """Filters (SUBFRAMES * M, KINDS, F) of a mel, a pitch above 0 in Hz, and a voicing of 0 or 1."""
        source = np.stack([2.0 * np.log(pitch_M / np.float32(PITCH_HZ)), voiced_M], axis=-1)
        x = np.concatenate([(mel_MC - MEL_CENTRE) / MEL_SCALE, source], axis=-1).astype(np.float32)
        side, frames = KERNEL // 2, len(x)
        padded = np.pad(x, ((side, side), (0, 0)))
        x = self._dense("front/dense", np.concatenate([padded[k : k + frames] for k in range(KERNEL)], axis=-1))
        x = self._norm("norm_in", x)
        for number in range(self.vocoder.blocks):
            x = self._block(f"block_{number}", x)
        raw = self._dense("head", self._norm("norm_out", x))
        raw = raw.reshape(frames * SUBFRAMES, KINDS, bins(self.audio))
        prior = self._prior(mel_MC)
        envelope = np.exp(prior)
        raw[:, 0] += np.float32(0.5)
        raw[:, :2] *= envelope[:, None]
        gain = np.tanh(raw[:, 2] / np.float32(GAIN_RANGE))
        gain *= np.float32(GAIN_RANGE)
        gain += np.float32(NOISE_AT_START)
        raw[:, 2] = envelope * np.exp(gain, out=gain)
        np.tanh(raw[:, 3:], out=raw[:, 3:])
        return raw

    def _prior(self, mel_MC: FloatArray) -> FloatArray:
        matrix_CF, offset_F = envelope_matrix(self.audio)
        prior = mel_MC @ matrix_CF + offset_F
        before, after = np.concatenate([prior[:1], prior[:-1]]), np.concatenate([prior[1:], prior[-1:]])
        near, far = np.float32(0.75), np.float32(0.25)
        both = np.stack([near * prior + far * before, near * prior + far * after], axis=1)
        limited: FloatArray = np.minimum(both.reshape(len(mel_MC) * SUBFRAMES, -1), np.float32(LOUDEST))
        return limited

    def _block(self, name: str, x: FloatArray) -> FloatArray:
        frames, side, filters = len(x), KERNEL // 2, self._weights[f"{name}/filters"]
        padded = np.pad(x, ((side, side), (0, 0)))
        y = padded[:frames] * filters[0]
        y += self._weights[f"{name}/bias"]
        product = np.empty_like(y)
        for k in range(1, KERNEL):
            y += np.multiply(padded[k : k + frames], filters[k], out=product)
        y = _gelu(self._dense(f"{name}/widen", self._norm(f"{name}/norm", y)))
        added: FloatArray = self._dense(f"{name}/narrow", y)
        added *= self._weights[f"{name}/scale"]
        added += x
        return added

    def _dense(self, name: str, x: FloatArray) -> FloatArray:
        y: FloatArray = x @ self._weights[f"{name}/kernel"]
        y += self._weights[f"{name}/bias"]
        return y

    def _norm(self, name: str, x: FloatArray) -> FloatArray:
        found: FloatArray = x - x.mean(axis=-1, keepdims=True)
        variance = np.einsum("md,md->m", found, found)[:, None] / np.float32(found.shape[-1])
        found /= np.sqrt(variance + np.float32(NORM_EPSILON))
        found *= self._weights[f"{name}/gain"]
        found += self._weights[f"{name}/bias"]
        return found


def attenuate_noise(filters_M5F: FloatArray) -> None:
    """Lowers the gain of the noise in filters (M, KINDS, F), in place, to that of speech: see vocoder.constants."""
    power = np.square(filters_M5F[:, 0])
    power += np.square(filters_M5F[:, 1])
    harmonics, gain = np.sqrt(power), filters_M5F[:, 2]
    gain *= np.float32(1.0) - np.float32(NOISE_BESIDE_HARMONICS) * harmonics / (harmonics + gain + TINY)
    loudest = np.sqrt((power + np.square(gain)).max(axis=1, keepdims=True)) + TINY
    gain *= np.minimum(np.float32(1.0), gain * (np.float32(np.exp(NOISE_GATE_NEPERS)) / loudest))


def _bounds(frames: int) -> Iterator[tuple[int, int]]:
    """First and last frame, exclusive, of each part; a short rest belongs to the part before it."""
    start, length = 0, FIRST_FRAMES
    while start < frames:
        end = start + length if frames - start >= length + FIRST_FRAMES else frames
        yield start, end
        start, length = end, PART_FRAMES


def _gelu(x: FloatArray) -> FloatArray:
    """The tanh approximation of the Gaussian error linear unit, as in models.layers; in place."""
    inner = np.square(x)
    inner *= np.float32(0.044715)
    inner += np.float32(1.0)
    inner *= x
    inner *= np.float32(np.sqrt(2.0 / np.pi))
    np.tanh(inner, out=inner)
    inner += np.float32(1.0)
    inner *= np.float32(0.5)
    x *= inner
    return x
