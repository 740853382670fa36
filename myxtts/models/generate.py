"""From tokens and a voice to a mel, for synthesis and for the validation samples of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.config.schema import ModelConfig
from myxtts.errors import NonFiniteError
from myxtts.models.aligner import path_of
from myxtts.models.layers import sequence_mask
from myxtts.models.prosody import PROSODY_LIMIT, Durations, FloatArray, IntArray, Manner, round_durations, shifted
from myxtts.models.voice_cloner import VoiceCloner
from myxtts.text.symbols import BLANK

HIGHEST_MEL = 5.0
"""Standard deviations above a channel's mean: more than any speech; keeps the output of an untrained model finite."""
TOKEN_STEP, FRAME_STEP = 16, 64
"""Lengths are padded up to multiples of these: the processor's library keeps prepared kernels for every shape that it
meets, about a megabyte for each new length."""
_SMALLEST_NORM = 1e-3


@dataclass(frozen=True, eq=False)
class Voice:
    """Who speaks and how: voice float32[E], unit length, and style float32[S]."""

    voice_E: FloatArray
    style_Y: FloatArray


@dataclass(frozen=True, eq=False)
class Generated:
    """A spoken text: normalized mel float32[M, C], frames int32[T], pitch and energy float32[T] of the tokens.

    `pitch_T` is the pitch before `pitch_range` is applied. `frame_pitch_M` float32[M], normalized ln F0 of each frame
    as it was used, is meaningful where `voiced_M`. `capped` tokens exceeded the length limit; `squeezed`: so did
    the sum.
    """

    mel_MC: FloatArray
    duration_T: IntArray
    pitch_T: FloatArray
    energy_T: FloatArray
    frame_pitch_M: FloatArray
    voiced_M: npt.NDArray[np.bool_]
    capped: int
    squeezed: bool

    @property
    def alignment_TM(self) -> npt.NDArray[np.float16]:
        """1 where frame m belongs to token t."""
        owner_M = np.repeat(np.arange(len(self.duration_T)), self.duration_T)
        return (np.arange(len(self.duration_T))[:, None] == owner_M[None, :]).astype(np.float16)


def mean_voice(voices: Sequence[Voice], weights: Sequence[float] | None = None) -> Voice:
    """The mean of some voices, at unit length again; equally, or by weights over 0.

    Errors: ValueError for none or opposite ones, NonFiniteError.
    """
    if not voices:
        raise ValueError("no voices to average")
    voice_E = _mean([voice.voice_E for voice in voices], weights)
    norm = float(np.linalg.norm(voice_E))
    if not np.isfinite(norm):
        raise NonFiniteError("the model gave a voice that is not finite; take another checkpoint")
    if norm <= _SMALLEST_NORM:
        raise ValueError("the voices cancel each other out")
    style_Y = _mean([voice.style_Y for voice in voices], weights)
    return Voice((voice_E / norm).astype(np.float32), style_Y.astype(np.float32))


def _mean(rows: Sequence[FloatArray], weights: Sequence[float] | None) -> npt.NDArray[np.float64]:
    stacked = np.stack(rows)
    if weights is None:
        plain: npt.NDArray[np.float64] = stacked.mean(axis=0, dtype=np.float64)
        return plain
    weighted: npt.NDArray[np.float64] = np.average(stacked.astype(np.float64), axis=0, weights=weights)
    return weighted


def scale_pitch_range(
    pitch_BM: tf.Tensor, prosody_BM2: tf.Tensor, voiced_BM: tf.Tensor, pitch_range: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pitch of the frames (B, M), and pitch and energy of their tokens (B, M, 2), the pitch `pitch_range` times as far
    from its mean over the voiced frames, within PROSODY_LIMIT."""
    frames = tf.maximum(tf.reduce_sum(voiced_BM, axis=1, keepdims=True), 1.0)
    mean_B1 = tf.reduce_sum(pitch_BM * voiced_BM, axis=1, keepdims=True) / frames
    token_BM, energy_BM = tf.unstack(prosody_BM2, axis=-1)
    wide = (mean_B1 + pitch_range * (x - mean_B1) for x in (pitch_BM, token_BM))
    frame_BM, token_BM = (tf.clip_by_value(x, -PROSODY_LIMIT, PROSODY_LIMIT) for x in wide)
    return frame_BM, tf.stack([token_BM, energy_BM], axis=-1)


def _padded(x: npt.NDArray[Any], axis: int, step: int) -> npt.NDArray[Any]:
    """The array with zeros at the end of an axis, up to a multiple of `step`."""
    x = np.asarray(x)
    widths = [(0, -x.shape[at] % step if at == axis else 0) for at in range(x.ndim)]
    return np.pad(x, widths)


def _tokens(tokens_T: IntArray) -> tf.Tensor:
    """Tokens as a batch of one, padded."""
    return tf.constant(_padded(np.asarray(tokens_T, np.int32)[None, :], 1, TOKEN_STEP))


def _voice_tensors(voice: Voice) -> tuple[tf.Tensor, tf.Tensor]:
    """Voice and style as a batch of one."""
    return tf.constant(voice.voice_E[None, :], tf.float32), tf.constant(voice.style_Y[None, :], tf.float32)


class Generator:
    """Runs a model for synthesis: graphs for any length, traced once, with the weights that the model has when called.

    Args:
        model: a built VoiceCloner of any precision.
    """

    def __init__(self, model: VoiceCloner) -> None:
        self.model = model
        config, channels = model.config, model.channels
        f32, i32 = tf.float32, tf.int32
        voice, style = tf.TensorSpec([None, config.voice_width], f32), tf.TensorSpec([None, config.style_width], f32)
        tokens, reals = tf.TensorSpec([None, None], i32), tf.TensorSpec([None, None], f32)
        self._decode_signature = [
            tf.TensorSpec([None, None, config.width], f32), tf.TensorSpec([None, None, channels], f32),
            tokens, reals, reals, voice, style, tf.TensorSpec([], f32), tf.TensorSpec([], f32), tf.TensorSpec([2], i32),
        ]  # fmt: skip
        numbers = tf.TensorSpec([None], i32)
        self._predict = tf.function(
            self._predict_graph, input_signature=[tokens, numbers, numbers, voice, style], autograph=False
        )
        self._encode = tf.function(
            self._encode_graph,
            input_signature=[tf.TensorSpec([None, None, channels], f32), tf.TensorSpec([None], i32)],
            autograph=False,
        )
        self._decode: dict[int, tf.types.experimental.PolymorphicFunction] = {}

    @property
    def traces(self) -> int:
        """Graphs traced so far; does not grow with new lengths."""
        functions = [self._predict, self._encode, *self._decode.values()]
        return sum(function.experimental_get_tracing_count() for function in functions)

    def voices(self, reference_NRC: FloatArray, length_N: IntArray) -> list[Voice]:
        """The voice and the style's posterior mean of each normalized reference mel (N, R, C) with its frames (N,)."""
        voice_NE, style_AY = self._encode(
            tf.constant(_padded(reference_NRC, 1, FRAME_STEP), tf.float32),
            tf.constant(np.asarray(length_N), tf.int32),
        )
        return [Voice(voice_E, style_Y) for voice_E, style_Y in zip(voice_NE.numpy(), style_AY.numpy(), strict=True)]

    def generate_mel(self, tokens_T: IntArray, language: int, voice: Voice, manner: Manner | None = None) -> Generated:
        """Speaks the tokens of one sentence.

        Args:
            tokens_T: ids, at least one that is no blank.
            language: index in the corpus's list.
            voice: who and how.
            manner: speed, pitch, energy, randomness; the same one gives the same mel.

        Errors: NonFiniteError if the model gives a value that is not finite.
        """
        manner = manner or Manner()
        tokens = len(tokens_T)
        who = _voice_tensors(voice)
        predicted, durations = self._predict_durations(tokens_T, language, voice, manner)
        pitch_T = shifted(predicted["pitch_BT"].numpy()[0, :tokens], manner.pitch_shift)
        energy_T = shifted(predicted["energy_BT"].numpy()[0, :tokens], manner.energy_shift)
        made = self._decoder(manner.steps)(
            predicted["text_BTD"],
            predicted["mean_BTC"],
            tf.constant(_padded(durations.frames_T[None, :], 1, TOKEN_STEP), tf.int32),
            tf.constant(_padded(pitch_T[None, :], 1, TOKEN_STEP), tf.float32),
            tf.constant(_padded(energy_T[None, :], 1, TOKEN_STEP), tf.float32),
            *who,
            tf.constant(manner.pitch_range, tf.float32),
            tf.constant(manner.temperature, tf.float32),
            tf.constant([manner.seed, 17], tf.int32),
        )
        frames = int(durations.frames_T.sum())
        keys = "mel_BMC", "pitch_BM", "voiced_BM"
        mel_MC, frame_pitch_M, voiced_M = (made[key].numpy()[0, :frames] for key in keys)
        if not np.isfinite(mel_MC).all():
            raise NonFiniteError("the model gave a mel that is not finite; take another checkpoint")
        mel_MC = np.minimum(mel_MC, np.float32(HIGHEST_MEL))
        return Generated(
            mel_MC=mel_MC,
            duration_T=durations.frames_T,
            pitch_T=pitch_T,
            energy_T=energy_T,
            frame_pitch_M=frame_pitch_M,
            voiced_M=voiced_M > 0.0,
            capped=durations.capped,
            squeezed=durations.squeezed,
        )

    def token_durations(
        self, tokens_T: IntArray, language: int, voice: Voice, mel_MC: FloatArray
    ) -> tuple[IntArray, IntArray] | None:
        """Frames int32[T] of each token in a recording, as the aligner finds them, and as they are predicted.

        Args:
            tokens_T, language, voice: as for `generate_mel`.
            mel_MC: normalized mel of the recording, less its speaker's mean spectrum.

        Returns:
            None where the recording has fewer frames than there are tokens.

        Errors: NonFiniteError if the model gives a value that is not finite.
        """
        if len(mel_MC) < len(tokens_T):
            return None
        predicted, durations = self._predict_durations(tokens_T, language, voice, Manner())
        found = self.model.aligner.align(
            predicted["mean_BTC"],
            tf.constant(_padded(mel_MC[None], 1, FRAME_STEP), tf.float32),
            _tokens(tokens_T),
            tf.constant([len(tokens_T)]),
            tf.constant([len(mel_MC)]),
            tf.constant(0.0),
        )
        return found.numpy()[0, : len(tokens_T)], durations.frames_T

    def _predict_durations(
        self, tokens_T: IntArray, language: int, voice: Voice, manner: Manner
    ) -> tuple[dict[str, tf.Tensor], Durations]:
        """Predictions for the tokens, padded, and their durations in frames."""
        tokens = len(tokens_T)
        predicted = self._predict(
            _tokens(tokens_T), tf.constant([tokens]), tf.constant([language], tf.int32), *_voice_tensors(voice)
        )
        durations = round_durations(
            predicted["log_duration_BT"].numpy()[0, :tokens],
            np.asarray(tokens_T) != BLANK,
            speed=manner.speed,
            longest_token=manner.longest_token,
            longest=manner.longest,
        )
        return predicted, durations

    def _decoder(self, steps: int | None) -> tf.types.experimental.PolymorphicFunction:
        """The graph with this number of steps, which are unrolled in it."""
        model: ModelConfig = self.model.config
        count = model.flow_steps if steps is None else steps
        if model.decoder == "regression":
            count = 1
        if count not in self._decode:

            def decode(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
                return self._decode_graph(*inputs, steps=count)

            self._decode[count] = tf.function(decode, input_signature=self._decode_signature, autograph=False)
        return self._decode[count]

    def _encode_graph(self, reference_NRC: tf.Tensor, length_N: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        heads = self.model.speaker_encoder(reference_NRC, length_N)
        return heads["voice_BE"], heads["style_mean_BY"]

    def _predict_graph(
        self, text_BT: tf.Tensor, length_B: tf.Tensor, language_B: tf.Tensor, voice_BE: tf.Tensor, style_BY: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        tokens = tf.shape(text_BT)[1]
        text = self.model.text_encoder(text_BT, length_B, language_B)
        condition = self.model.condition(voice_BE, style_BY)
        prosody = self.model.predict_prosody(text, condition, sequence_mask(length_B, tokens))
        mean = self.model.aligner(text_BT, length_B)
        return {**prosody, "text_BTD": tf.cast(text, tf.float32), "mean_BTC": tf.cast(mean, tf.float32)}

    def _decode_graph(
        self,
        text_BTD: tf.Tensor,
        mean_BTC: tf.Tensor,
        duration_BT: tf.Tensor,
        pitch_BT: tf.Tensor,
        energy_BT: tf.Tensor,
        voice_BE: tf.Tensor,
        style_BY: tf.Tensor,
        pitch_range: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
        *,
        steps: int,
    ) -> dict[str, tf.Tensor]:
        frames_B = tf.reduce_sum(duration_BT, axis=1)
        frames = -(-tf.reduce_max(frames_B) // FRAME_STEP) * FRAME_STEP
        mask = sequence_mask(frames_B, frames)
        path = path_of(duration_BT, frames)
        features = self.model.expand_to_frames(text_BTD, mean_BTC, duration_BT, pitch_BT, energy_BT, path)
        condition = self.model.condition(voice_BE, style_BY)
        frame = self.model.predict_source(features, condition, mask)
        voiced = tf.cast(frame["voicing_BM"] > 0.0, tf.float32) * mask[:, :, 0]
        pitch_BM, features["prosody_BM2"] = scale_pitch_range(
            frame["pitch_BM"], features["prosody_BM2"], voiced, pitch_range
        )
        x = self.model.decoder_input(features, pitch_BM, voiced)
        base = (features["mean_BMC"] + self.model.voice_heads(voice_BE)["spectrum_BC"][:, None, :]) * mask
        mel = base + self.model.decoder.generate(x, self.model.scale_voice(voice_BE), mask, steps, temperature, seed)
        return {"mel_BMC": mel, "pitch_BM": pitch_BM, "voiced_BM": voiced}
