"""Mel generation from tokens and a voice, for synthesis and for validation samples during training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.errors import NonFiniteError
from myxtts.models.aligner import path_of
from myxtts.models.layers import sequence_mask
from myxtts.models.prosody import (
    PROSODY_LIMIT,
    Durations,
    FloatArray,
    IntArray,
    decoder_noise,
    round_durations,
    shift_prosody,
)
from myxtts.models.voice import Voice
from myxtts.models.voice_cloner import VoiceCloner
from myxtts.text.symbols import BLANK

HIGHEST_MEL = 5.0
"""Upper limit of a mel, in standard deviations above the channel mean: beyond any speech, so that the output of an
untrained model stays finite."""
TOKEN_STEP, FRAME_STEP = 16, 64
"""Lengths are padded to multiples of these: oneDNN caches kernels for every input shape, about 1 MB each."""
LONGEST_TOKEN, LONGEST_SENTENCE = 129, 5_168
"""Default limits in frames at speed 1: 1.5 s and 60 s with the default audio settings."""


@dataclass(frozen=True, eq=False)
class Generated:
    """The output for one sentence.

    Attributes:
        mel_MC: normalized mel float32[M, C].
        duration_T: frames of each token, int32[T].
        pitch_T: normalized pitch of each token, float32[T], before `pitch_range` is applied.
        energy_T: normalized energy of each token, float32[T].
        frame_pitch_M: normalized ln F0 that the decoder was conditioned on, float32[M]; meaningful where voiced.
        voiced_M: bool[M].
        capped: tokens that were predicted too long and cut.
        squeezed: whether all tokens were shortened because their sum exceeded the limit.
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


def scale_pitch_range(
    pitch_BM: tf.Tensor, prosody_BM2: tf.Tensor, voiced_BM: tf.Tensor, pitch_range: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Scales the intonation: pitch of the frames (B, M), and pitch and energy of their tokens (B, M, 2).

    The deviations of the pitch from its mean over the voiced frames are multiplied by `pitch_range`; the result is
    limited to PROSODY_LIMIT.
    """
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
    """Runs a model for synthesis. Its graphs are traced once for all lengths and use the current weights.

    Args:
        model: a built VoiceCloner of any precision.
    """

    def __init__(self, model: VoiceCloner) -> None:
        self.model = model
        config, channels = model.config, model.channels
        f32, i32 = tf.float32, tf.int32
        voice, style = tf.TensorSpec([None, config.voice_width], f32), tf.TensorSpec([None, config.style_width], f32)
        tokens, reals = tf.TensorSpec([None, None], i32), tf.TensorSpec([None, None], f32)
        decode_signature = [
            tf.TensorSpec([None, None, config.width], f32), tf.TensorSpec([None, None, channels], f32),
            tokens, reals, reals, voice, style, tf.TensorSpec([], f32), tf.TensorSpec([], i32),
            tf.TensorSpec([None, None, channels], f32),
        ]  # fmt: skip
        numbers = tf.TensorSpec([None], i32)
        self._predict = tf.function(
            self.predict_graph, input_signature=[tokens, numbers, numbers, voice, style], autograph=False
        )
        self._encode = tf.function(
            self.encode_graph,
            input_signature=[tf.TensorSpec([None, None, channels], f32), tf.TensorSpec([None], i32)],
            autograph=False,
        )
        self._decode = tf.function(self.decode_graph, input_signature=decode_signature, autograph=False)

    @property
    def traces(self) -> int:
        """Number of graphs traced so far; new lengths do not increase it."""
        functions = [self._predict, self._encode, self._decode]
        return sum(function.experimental_get_tracing_count() for function in functions)

    def voices(self, reference_ARC: FloatArray, length_A: IntArray) -> list[Voice]:
        """Voice and posterior mean of the style of each normalized reference mel (N, R, C) with its length (N,)."""
        voice_AE, style_AY = self._encode(
            tf.constant(_padded(reference_ARC, 1, FRAME_STEP), tf.float32),
            tf.constant(np.asarray(length_A), tf.int32),
        )
        return [Voice(voice_E, style_Y) for voice_E, style_Y in zip(voice_AE.numpy(), style_AY.numpy(), strict=True)]

    def generate_mel(
        self,
        tokens_T: IntArray,
        language: int,
        voice: Voice,
        *,
        speed: float = 1.0,
        pitch_shift: float = 0.0,
        pitch_range: float = 1.0,
        energy_shift: float = 0.0,
        seed: int = 1,
        temperature: float = 0.667,
        steps: int | None = None,
        longest_token: int = LONGEST_TOKEN,
        longest: int = LONGEST_SENTENCE,
    ) -> Generated:
        """Generates the mel of one sentence; the same arguments give the same mel.

        Args:
            tokens_T: ids, at least one of them no blank.
            language: index in the corpus's list of languages.
            voice: speaker embedding and style.
            speed: 2 halves all durations.
            pitch_shift: in deviations of the corpus (models.prosody), as `energy_shift`.
            pitch_range: scale of the intonation around its mean; 1 as predicted.
            energy_shift: in deviations of the corpus.
            seed: of the decoder's noise.
            temperature: deviation of the decoder's noise.
            steps: Euler steps of a flow decoder; None: as in the model's settings.
            longest_token: most frames of a token at speed 1.
            longest: most frames of the sentence at speed 1.

        Raises NonFiniteError if the model computes a value that is not finite.
        """
        tokens = len(tokens_T)
        predicted, durations = self._predict_durations(
            tokens_T, language, voice, speed=speed, longest_token=longest_token, longest=longest
        )
        pitch_T = shift_prosody(predicted["pitch_BT"].numpy()[0, :tokens], pitch_shift)
        energy_T = shift_prosody(predicted["energy_BT"].numpy()[0, :tokens], energy_shift)
        frames, config = int(durations.frames_T.sum()), self.model.config
        # the regression decoder has neither noise nor steps
        noisy = frames if config.decoder == "flow" else 0
        noise_MC = decoder_noise(seed, noisy, self.model.channels) * np.float32(temperature)
        made = self._decode(
            predicted["text_BTD"],
            predicted["mean_BTC"],
            tf.constant(_padded(durations.frames_T[None, :], 1, TOKEN_STEP), tf.int32),
            tf.constant(_padded(pitch_T[None, :], 1, TOKEN_STEP), tf.float32),
            tf.constant(_padded(energy_T[None, :], 1, TOKEN_STEP), tf.float32),
            *_voice_tensors(voice),
            tf.constant(pitch_range, tf.float32),
            tf.constant(config.flow_steps if steps is None else steps, tf.int32),
            tf.constant(_padded(noise_MC[None], 1, FRAME_STEP), tf.float32),
        )
        keys = "mel_BMC", "pitch_BM", "voiced_BM"
        mel_MC, frame_pitch_M, voiced_M = (made[key].numpy()[0, :frames] for key in keys)
        if not np.isfinite(mel_MC).all():
            raise NonFiniteError("the model computed a mel that is not finite; use another checkpoint")
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
        """Frames int32[T] of each token: aligned to a recording, and as predicted.

        Args:
            tokens_T, language, voice: as for `generate_mel`.
            mel_MC: normalized mel of the recording minus its speaker's mean spectrum.

        Returns:
            None where the recording has fewer frames than tokens.

        Raises NonFiniteError if the model computes a value that is not finite.
        """
        if len(mel_MC) < len(tokens_T):
            return None
        predicted, durations = self._predict_durations(tokens_T, language, voice)
        aligned_BT = self.align(predicted, tokens_T, mel_MC)
        return aligned_BT.numpy()[0, : len(tokens_T)], durations.frames_T

    def align(self, predicted: dict[str, tf.Tensor], tokens_T: IntArray, mel_MC: FloatArray) -> tf.Tensor:
        """Frames int32 (1, T) of each padded token in a recording.

        Args:
            predicted: what `predict` gave for the tokens.
            tokens_T: ids.
            mel_MC: as for `token_durations`, with at least as many frames as there are tokens.
        """
        return self.model.aligner.align(
            predicted["mean_BTC"],
            tf.constant(_padded(mel_MC[None], 1, FRAME_STEP), tf.float32),
            _tokens(tokens_T),
            tf.constant([len(tokens_T)]),
            tf.constant([len(mel_MC)]),
            tf.constant(0.0),
        )

    def predict(self, tokens_T: IntArray, language: int, voice: Voice) -> dict[str, tf.Tensor]:
        """What `predict_graph` gives for the padded tokens of one sentence."""
        found: dict[str, tf.Tensor] = self._predict(
            _tokens(tokens_T), tf.constant([len(tokens_T)]), tf.constant([language], tf.int32), *_voice_tensors(voice)
        )
        return found

    def _predict_durations(
        self,
        tokens_T: IntArray,
        language: int,
        voice: Voice,
        *,
        speed: float = 1.0,
        longest_token: int = LONGEST_TOKEN,
        longest: int = LONGEST_SENTENCE,
    ) -> tuple[dict[str, tf.Tensor], Durations]:
        """Predictions for the padded tokens, and the durations in frames."""
        tokens = len(tokens_T)
        predicted = self.predict(tokens_T, language, voice)
        durations = round_durations(
            predicted["log_duration_BT"].numpy()[0, :tokens],
            np.asarray(tokens_T) != BLANK,
            speed=speed,
            longest_token=longest_token,
            longest=longest,
        )
        return predicted, durations

    def encode_graph(self, reference_ARC: tf.Tensor, length_A: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Normalized reference mels (N, R, C) with their lengths (N,) -> voices (N, E) and styles (N, Y)."""
        heads = self.model.speaker_encoder(reference_ARC, length_A)
        return heads["voice_BE"], heads["style_mean_BY"]

    def predict_graph(
        self, text_BT: tf.Tensor, length_B: tf.Tensor, language_B: tf.Tensor, voice_BE: tf.Tensor, style_BY: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """First half: tokens, their lengths, languages, voices and styles -> prosody and encodings of the tokens."""
        tokens = tf.shape(text_BT)[1]
        text = self.model.text_encoder(text_BT, length_B, language_B)
        condition = self.model.condition(voice_BE, style_BY)
        prosody = self.model.predict_prosody(text, condition, sequence_mask(length_B, tokens))
        mean = self.model.aligner(text_BT, length_B)
        return {**prosody, "text_BTD": tf.cast(text, tf.float32), "mean_BTC": tf.cast(mean, tf.float32)}

    def decode_graph(
        self,
        text_BTD: tf.Tensor,
        mean_BTC: tf.Tensor,
        duration_BT: tf.Tensor,
        pitch_BT: tf.Tensor,
        energy_BT: tf.Tensor,
        voice_BE: tf.Tensor,
        style_BY: tf.Tensor,
        pitch_range: tf.Tensor,
        steps: tf.Tensor,
        noise_BMC: tf.Tensor,
        frame_step: int | None = None,
    ) -> dict[str, tf.Tensor]:
        """Second half: what `predict_graph` gave, durations and prosody of the tokens -> mel, pitch and voicing.

        Args:
            text_BTD, mean_BTC: from `predict_graph`.
            duration_BT: frames of each token.
            pitch_BT, energy_BT: normalized, limited to PROSODY_LIMIT.
            voice_BE, style_BY: of the voice.
            pitch_range: scale of the intonation.
            steps: Euler steps of a flow decoder, int32.
            noise_BMC: its noise, as many frames as the mel; any number of frames for the regression decoder.
            frame_step: the number of frames is a multiple of it. None: FRAME_STEP.

        Returns:
            mel_BMC: normalized.
            pitch_BM: normalized ln F0 that the decoder was conditioned on.
            voiced_BM: 1 or 0.
        """
        frames_B = tf.reduce_sum(duration_BT, axis=1)
        step = FRAME_STEP if frame_step is None else frame_step
        frames = (tf.reduce_max(frames_B) + step - 1) // step * step
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
        mel = base + self.model.decoder.generate(x, self.model.scale_voice(voice_BE), mask, steps, noise_BMC)
        return {"mel_BMC": mel, "pitch_BM": pitch_BM, "voiced_BM": voiced}
