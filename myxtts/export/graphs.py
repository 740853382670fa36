"""The graphs that exports are made from, in TensorFlow: batch of one, any text length, no padding.

They are those of synthesis (models.generate) joined into one, with everything that synthesis computes in NumPy between
and behind them as operations of the graph: rounding of the durations, limits, and the scales of the corpus. Outputs are
a natural-log mel and F0 in Hz.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from myxtts.models.generate import HIGHEST_MEL
from myxtts.models.prosody import LARGEST_LOG_DURATION, PROSODY_LIMIT
from myxtts.runtime.onnx_model import FLOW_INPUTS, INPUTS
from myxtts.synthesis.network import TensorFlowModel
from myxtts.text.symbols import BLANK


@dataclass(frozen=True)
class Graph:
    """A function of tensors with its signature; it returns its outputs by name."""

    function: Callable[..., dict[str, tf.Tensor]]
    signature: list[tf.TensorSpec]
    outputs: tuple[str, ...]


def round_durations_in_graph(
    log_duration_BT: tf.Tensor, spoken_BT: tf.Tensor, speed: tf.Tensor, longest_token: int, longest: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """models.prosody.round_durations without its loop: frames int32 (B, T), capped int64 (B,), squeezed int64 (B,).

    The loop gives each token max(end - at, spoken). With S the number of spoken tokens up to each, the position after a
    token is S plus the largest lead of an end over S so far, at least 0.
    """
    log_duration = tf.cast(log_duration_BT, tf.float64)
    predicted = tf.maximum(tf.exp(tf.minimum(log_duration, LARGEST_LOG_DURATION)) - 1.0, 0.0)
    capped_B = tf.reduce_sum(tf.cast(predicted > float(longest_token), tf.int64), axis=1)
    wanted = tf.minimum(predicted, float(longest_token))
    total_B1 = tf.reduce_sum(wanted, axis=1, keepdims=True)
    wanted *= tf.minimum(float(longest) / tf.maximum(total_B1, 1.0), 1.0)
    end_BT = tf.cast(tf.floor(tf.cumsum(wanted, axis=1) / tf.cast(speed, tf.float64) + 0.5), tf.int32)
    spoken_sum_BT = tf.cumsum(spoken_BT, axis=1)
    lead_BT = tf.cast(end_BT - spoken_sum_BT, tf.float32)
    token = tf.range(tf.shape(lead_BT)[1])
    earlier_TT = tf.expand_dims(token, 1) >= tf.expand_dims(token, 0)
    lead_BTT = tf.where(tf.expand_dims(earlier_TT, 0), tf.expand_dims(lead_BT, 1), -1e9)
    at_BT = spoken_sum_BT + tf.cast(tf.maximum(tf.reduce_max(lead_BTT, axis=2), 0.0), tf.int32)
    before_BT = tf.concat([tf.zeros_like(at_BT[:, :1]), at_BT[:, :-1]], axis=1)
    return at_BT - before_BT, capped_B, tf.cast(total_B1[:, 0] > float(longest), tf.int64)


def shifted_prosody(
    model: TensorFlowModel, pitch_BT: tf.Tensor, energy_BT: tf.Tensor, semitones: tf.Tensor, decibels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Normalized pitch and energy of the tokens, shifted by semitones and decibels within PROSODY_LIMIT."""
    semitone, decibel = math.log(2.0) / 12.0 / model.corpus.pitch_std, math.log(10.0) / 20.0 / model.corpus.energy_std
    pairs = (pitch_BT, semitones * semitone), (energy_BT, decibels * decibel)
    pitch, energy = (tf.clip_by_value(value + shift, -PROSODY_LIMIT, PROSODY_LIMIT) for value, shift in pairs)
    return pitch, energy


def mel_and_f0(model: TensorFlowModel, made: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What `decode_graph` gave as a natural-log mel (B, M, C), F0 (B, M) in Hz, 0 unvoiced, and limited frames (B,)."""
    corpus, audio = model.corpus, model.config.audio
    mean_C, std_C = np.asarray(corpus.mel_mean_C, np.float32), np.asarray(corpus.mel_std_C, np.float32)
    hz_BM = tf.exp(made["pitch_BM"] * corpus.pitch_std + corpus.pitch_mean)
    limited_BM = tf.clip_by_value(hz_BM, audio.pitch_low_hz, audio.pitch_high_hz)
    outside_BM = tf.cast(tf.not_equal(hz_BM, limited_BM), tf.float32) * made["voiced_BM"]
    mel = tf.minimum(made["mel_BMC"], HIGHEST_MEL) * std_C + mean_C
    return mel, limited_BM * made["voiced_BM"], tf.reduce_sum(outside_BM, axis=1)


def text_to_mel(model: TensorFlowModel) -> Graph:
    """Tokens, language, voice, style and controls -> mel, f0, durations, limits (names: runtime.onnx_model).

    tokens int64 [1, T], language int64 [1], voice float32 [1, E], style float32 [1, Y], controls float32 [4]: speed,
    pitch (semitones), pitch range, energy (dB). A flow decoder also takes noise float32 [1, N, C], already scaled by
    the temperature, whose rows repeat where there are more than N frames, and steps int64 [1].

    mel float32 [1, M, C], natural log; f0 float32 [1, M] in Hz, 0 unvoiced; durations int64 [1, T]; limits int64 [3]:
    tokens that were cut, 1 where the sentence was shortened, voiced frames whose pitch was limited.
    """
    generator, config, channels = model.generator, model.config.model, model.config.audio.mel_channels
    flow = config.decoder == "flow"

    def run(
        tokens: tf.Tensor, language: tf.Tensor, voice: tf.Tensor, style: tf.Tensor, controls: tf.Tensor,
        noise: tf.Tensor | None = None, steps: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:  # fmt: skip
        token_BT = tf.cast(tokens, tf.int32)
        length_B = tf.fill([1], tf.shape(token_BT)[1])
        speed, pitch, pitch_range, energy = tf.unstack(controls)
        predicted = generator.predict_graph(token_BT, length_B, tf.cast(language, tf.int32), voice, style)
        spoken_BT = tf.cast(tf.not_equal(token_BT, BLANK), tf.int32)
        duration_BT, capped_B, squeezed_B = round_durations_in_graph(
            predicted["log_duration_BT"], spoken_BT, speed, model.longest_token, model.longest
        )
        noise_BMC = tf.zeros([1, 1, channels])
        if noise is not None:
            rows = tf.range(tf.reduce_sum(duration_BT))
            noise_BMC = tf.gather(noise, tf.math.floormod(rows, tf.shape(noise)[1]), axis=1)
        made = generator.decode_graph(
            predicted["text_BTD"],
            predicted["mean_BTC"],
            duration_BT,
            *shifted_prosody(model, predicted["pitch_BT"], predicted["energy_BT"], pitch, energy),
            voice,
            style,
            pitch_range,
            tf.constant(0) if steps is None else tf.cast(steps[0], tf.int32),
            noise_BMC,
            frame_step=1,
        )
        mel, f0, limited_B = mel_and_f0(model, made)
        return {
            "mel": mel,
            "f0": f0,
            "durations": tf.cast(duration_BT, tf.int64),
            "limits": tf.concat([capped_B, squeezed_B, tf.cast(limited_B, tf.int64)], axis=0),
        }

    i64, f32 = tf.int64, tf.float32
    shapes = (
        ([1, None], i64), ([1], i64), ([1, config.voice_width], f32), ([1, config.style_width], f32), ([4], f32),
        ([1, None, channels], f32), ([1], i64),
    )  # fmt: skip
    names = (*INPUTS, *FLOW_INPUTS)
    signature = [tf.TensorSpec(shape, kind, name) for name, (shape, kind) in zip(names, shapes, strict=True)]
    return Graph(run, signature if flow else signature[: len(INPUTS)], ("mel", "f0", "durations", "limits"))


def speaker_encoder(model: TensorFlowModel) -> Graph:
    """Normalized reference mels float32 [A, R, C] with their frames int64 [A] -> voice [A, E] and style [A, Y]."""
    channels = model.config.audio.mel_channels

    def run(mel: tf.Tensor, frames: tf.Tensor) -> dict[str, tf.Tensor]:
        voice_AE, style_AY = model.generator.encode_graph(mel, tf.cast(frames, tf.int32))
        return {"voice": voice_AE, "style": style_AY}

    signature = [
        tf.TensorSpec([None, None, channels], tf.float32, name="mel"),
        tf.TensorSpec([None], tf.int64, name="frames"),
    ]
    return Graph(run, signature, ("voice", "style"))


def with_batch(vocoder: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], channels: int) -> Graph:
    """A vocoder for a batch of one: log-mel float32 [1, M, C] and f0 float32 [1, M] in Hz -> samples [1, N]."""

    def run(mel: tf.Tensor, f0: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"samples": tf.expand_dims(vocoder(mel[0], f0[0]), 0)}

    f32 = tf.float32
    signature = [tf.TensorSpec([1, None, channels], f32, name="mel"), tf.TensorSpec([1, None], f32, name="f0")]
    return Graph(run, signature, ("samples",))
