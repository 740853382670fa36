"""The whole voice cloner: text, voice and style -> mel, with durations, pitch and energy that a user can change."""

from __future__ import annotations

import keras
import tensorflow as tf

from myxtts.config.schema import ModelConfig
from myxtts.models.aligner import Aligner, path_of
from myxtts.models.layers import Module, sequence_mask
from myxtts.models.mel_decoder import DECODERS
from myxtts.models.predictors import Predictor, token_means
from myxtts.models.speaker_encoder import SpeakerEncoder, VoiceHeads
from myxtts.models.text_encoder import TextEncoder

SIMILARITY_FRAMES = 128
POSITION_FEATURES = 3
TOKENS_BESIDE = 24
"""Tokens (blanks counted) before and behind the target that the text encoder hears."""
TOKEN_STEP = 32
"""The processor's library keeps prepared kernels for every shape that it meets."""
PRECISIONS = {"fp32": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


def position_features(duration_BT: tf.Tensor, path_BMT: tf.Tensor, frame_BM: tf.Tensor) -> tf.Tensor:
    """Where a frame stands in its token, (B, M, 3): the share passed, sine of it, and the token's log-duration.

    `frame_BM` or (1, M): number of each frame in its utterance.
    """
    duration = tf.cast(duration_BT, tf.float32)
    start = tf.cumsum(duration, axis=1) - duration
    per_token = tf.stack([start, duration], axis=-1)
    start_M, duration_M = tf.unstack(tf.einsum("bmt,btk->bmk", path_BMT, per_token), axis=-1)
    frame = tf.cast(frame_BM, tf.float32)
    inside = tf.reduce_sum(path_BMT, axis=-1)
    share = (frame - start_M + 0.5) / tf.maximum(duration_M, 1.0) * inside
    return tf.stack([share - 0.5 * inside, tf.sin(3.14159265 * share), tf.math.log1p(duration_M) * 0.5], axis=-1)


def first_frames(x_BMD: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """The first `frames` positions; by `tf.slice`, whose gradient is several times faster than a Python slice's."""
    shape = tf.shape(x_BMD)
    first = tf.slice(x_BMD, [0, 0, 0], tf.stack([shape[0], frames, shape[2]]))
    return tf.ensure_shape(first, [None, None, x_BMD.shape[2]])


def style_sample(mean_BS: tf.Tensor, log_variance_BS: tf.Tensor, seed_B: tf.Tensor) -> tf.Tensor:
    """Draw of the posterior, each utterance from a seed of its own, so that batches of any size draw alike."""
    draw = tf.map_fn(
        lambda seed: tf.random.stateless_normal([mean_BS.shape[-1]], tf.stack([seed, 7])),
        seed_B,
        fn_output_signature=tf.float32,
    )
    return mean_BS + tf.exp(0.5 * log_variance_BS) * draw


def target_of(batch: dict[str, tf.Tensor], path_BMT: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The part of each utterance that the decoder makes: its path (B, S, T), true mel (B, S, C) and mask (B, S, 1)."""
    frame_BS = batch["target_BS"]
    size = tf.shape(frame_BS)[1]
    mask = sequence_mask(batch["target_length_B"], size)
    # neither has a gradient, so nothing is scattered back
    whole = tf.equal(size, tf.shape(path_BMT)[1]) & tf.reduce_all(frame_BS[:, 0] == 0)
    path, mel = tf.cond(
        whole,
        lambda: (path_BMT, batch["mel_BMC"]),
        lambda: (tf.gather(path_BMT, frame_BS, batch_dims=1), tf.gather(batch["mel_BMC"], frame_BS, batch_dims=1)),
    )
    return path, tf.ensure_shape(mel, [None, None, batch["mel_BMC"].shape[2]]), mask


def tokens_around(
    batch: dict[str, tf.Tensor], duration_BT: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The tokens that the target part of each utterance needs, with some before and behind them.

    Text encoder and predictors work on these alone: their cost would be that of the whole utterance otherwise.

    Returns:
        token_BK: numbers of the tokens in their utterance, K a multiple of TOKEN_STEP or the whole text.
        length_B: how many of them are there.
        mask_BK: 1 for those that are spoken in the target, and for those at an end of the text next to it, fp32.
        size: K.
    """
    text_length_B, tokens = batch["text_length_B"], tf.shape(duration_BT)[1]
    end_BT = tf.cumsum(duration_BT, axis=1)
    first_frame_B1 = batch["target_BS"][:, :1]
    last_frame_B1 = first_frame_B1 + tf.maximum(batch["target_length_B"], 1)[:, None] - 1
    first_B = tf.reduce_sum(tf.cast(end_BT <= first_frame_B1, tf.int32), axis=1)
    last_B = tf.reduce_sum(tf.cast(end_BT <= last_frame_B1, tf.int32), axis=1)
    # the first and the last token of an utterance may have no frame of their own
    first_B = tf.where(first_frame_B1[:, 0] == 0, 0, tf.minimum(first_B, text_length_B - 1))
    last_B = tf.where(last_frame_B1[:, 0] >= batch["mel_length_B"] - 1, text_length_B - 1, last_B)
    last_B = tf.minimum(last_B, text_length_B - 1)
    wanted = tf.reduce_max(last_B - first_B) + 1 + 2 * TOKENS_BESIDE
    size = tf.minimum(-(-wanted // TOKEN_STEP) * TOKEN_STEP, tokens)
    start_B = tf.maximum(0, tf.minimum(first_B - TOKENS_BESIDE, tokens - size))
    token_BK = start_B[:, None] + tf.range(size)[None, :]
    mask_BK = tf.cast((token_BK >= first_B[:, None]) & (token_BK <= last_B[:, None]), tf.float32)
    return token_BK, tf.clip_by_value(text_length_B - start_B, 0, size), mask_BK, size


class VoiceCloner(Module):
    """Text encoder, aligner, speaker encoder, predictors and mel decoder as one.

    Args:
        model: widths, depths, the decoder's kind, dropout.
        channels: mel channels.
        symbols: size of the symbol table.
        languages: number of languages.
        speakers: number of training speakers, at least 1.
        precision: fp32, bf16 or fp16.
    """

    def __init__(
        self, model: ModelConfig, *, channels: int, symbols: int, languages: int, speakers: int, precision: str = "fp32"
    ) -> None:
        policy = keras.DTypePolicy(PRECISIONS[precision])
        super().__init__(name="voice_cloner", dtype=policy)
        self.config, self.channels = model, channels
        self.text_encoder = TextEncoder(model, symbols, languages, name="text_encoder", dtype=policy)
        self.aligner = Aligner(model, symbols, channels, name="aligner", dtype="float32")
        self.speaker_encoder = SpeakerEncoder(model, name="speaker_encoder", dtype=policy)
        self.voice_heads = VoiceHeads(model, speakers, channels, name="voice_heads", dtype="float32")
        self.duration = Predictor(model, 1, 200, name="duration", dtype=policy)
        self.pitch = Predictor(model, 1, 220, name="pitch", dtype=policy)
        self.energy = Predictor(model, 1, 240, name="energy", dtype=policy)
        self.prosody_in = keras.layers.Dense(model.width, name="prosody_in", dtype=policy)
        self.decoder = DECODERS[model.decoder](model, channels, name="decoder", dtype=policy)

    def condition(self, voice_BE: tf.Tensor, style_BS: tf.Tensor) -> tf.Tensor:
        """Voice and style as one condition (B, E + S), each with unit-sized elements."""
        return tf.concat([voice_BE * tf.sqrt(float(self.config.voice_width)), style_BS], axis=-1)

    def predict_prosody(
        self, text_BTD: tf.Tensor, condition_BE: tf.Tensor, mask_BT1: tf.Tensor, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """log_duration_BT (log of 1 + frames), pitch_BT and energy_BT (normalized) of each token."""
        return {
            "log_duration_BT": tf.squeeze(self.duration(tf.stop_gradient(text_BTD), condition_BE, mask_BT1, seed), 2),
            "pitch_BT": tf.squeeze(self.pitch(text_BTD, condition_BE, mask_BT1, seed), 2),
            "energy_BT": tf.squeeze(self.energy(text_BTD, condition_BE, mask_BT1, seed), 2),
        }

    def decoder_input(
        self,
        text_BTD: tf.Tensor,
        mean_BTC: tf.Tensor,
        duration_BT: tf.Tensor,
        pitch_BT: tf.Tensor,
        energy_BT: tf.Tensor,
        path_BMT: tf.Tensor,
        frame_BM: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Text with its prosody, stretched over the frames (B, M, D + 3 + C), and the aligner's mean (B, M, C).

        `frame_BM` is the number of each frame where they are not those from the first on.
        """
        frame_BM = tf.range(tf.shape(path_BMT)[1])[None, :] if frame_BM is None else frame_BM
        prosody = self.prosody_in(tf.stack([pitch_BT, energy_BT], axis=-1))
        tokens = tf.cast(text_BTD, tf.float32) + tf.cast(prosody, tf.float32)
        stretched = tf.einsum("bmt,btd->bmd", path_BMT, tokens)
        mean = tf.einsum("bmt,btc->bmc", path_BMT, tf.stop_gradient(mean_BTC))
        return tf.concat([stretched, mean, position_features(duration_BT, path_BMT, frame_BM)], axis=-1), mean

    def voice_of(self, mel_BRC: tf.Tensor, length_B: tf.Tensor) -> tf.Tensor:
        """Voice (B, E) of a mel, by the speaker encoder held fixed: a gradient reaches the mel, not the encoder."""
        fixed = [tf.stop_gradient(v.value) for v in self.speaker_encoder.trainable_variables]
        heads, _ = self.speaker_encoder.stateless_call(fixed, [], mel_BRC, length_B)
        return heads["voice_BE"]

    def call(
        self, batch: dict[str, tf.Tensor], prior_strength: tf.Tensor, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Training and validation: everything that the losses need.

        Args:
            batch: see myxtts.batch.
            prior_strength: of the aligner's diagonal prior, 1 to 0.
            seed: (2,) int32 for dropout; None for validation (no dropout). Style and flow noise follow from seed_B.

        Returns:
            Mapping with mel_BSC (predicted, normalized) of the target frames and target_BSC (true), aligner_BMC (its
            mean for each frame), duration_BT, path_BMT, the predictors' outputs and targets, the voice and style heads.
        """
        text_length, mel_length = batch["text_length_B"], batch["mel_length_B"]
        frames = tf.shape(batch["mel_BMC"])[1]
        mel_mask = sequence_mask(mel_length, frames)
        heads = self.speaker_encoder(batch["reference_BRC"], batch["reference_length_B"])
        style = style_sample(heads["style_mean_BS"], heads["style_log_variance_BS"], batch["seed_B"])
        condition = self.condition(heads["voice_BE"], style)
        known = self.voice_heads(heads["voice_BE"])

        mean = self.aligner(batch["text_BT"], text_length)
        centered = (batch["mel_BMC"] - batch["spectrum_BC"][:, None, :]) * mel_mask
        duration = self.aligner.align(mean, centered, batch["text_BT"], text_length, mel_length, prior_strength)
        path = path_of(duration, frames)
        pitch, _ = token_means(batch["pitch_BM"], batch["voiced_BM"], path)
        energy, spoken = token_means(batch["energy_BM"], mel_mask[:, :, 0], path)

        token, count, needed, size = tokens_around(batch, duration)
        text = self.text_encoder(tf.gather(batch["text_BT"], token, batch_dims=1), count, batch["language_B"], seed)
        nearby = {
            "token_mask_BT": needed,
            "duration_BT": tf.gather(duration, token, batch_dims=1),
            "token_pitch_BT": tf.gather(pitch, token, batch_dims=1),
            "token_energy_BT": tf.gather(energy, token, batch_dims=1),
            "token_spoken_BT": tf.gather(spoken, token, batch_dims=1),
        }
        predicted = self.predict_prosody(text, condition, sequence_mask(count, size), seed)
        part, target_mel, target_mask = target_of(batch, path)
        begin = tf.gather(tf.cumsum(duration, axis=1, exclusive=True), token, batch_dims=1)[:, :1]
        x, base = self.decoder_input(
            text,
            tf.gather(mean, token, batch_dims=1),
            nearby["duration_BT"],
            nearby["token_pitch_BT"],
            nearby["token_energy_BT"],
            tf.gather(part, token, axis=2, batch_dims=1),
            batch["target_BS"] - begin,
        )
        base = (base + tf.stop_gradient(known["spectrum_BC"])[:, None, :]) * target_mask
        target = target_mel * target_mask - base
        decoded = self.decoder(x, condition, target_mask, target, batch["seed_B"], seed)
        mel = base + decoded["estimate_BMC"]
        near = tf.minimum(batch["target_length_B"], SIMILARITY_FRAMES)
        similar_voice = self.voice_of(first_frames(mel, tf.minimum(tf.shape(mel)[1], SIMILARITY_FRAMES)), near)
        return {
            **heads,
            "known_spectrum_BC": known["spectrum_BC"],
            "known_prosody_BP": known["prosody_BP"],
            "cosine_BZ": known["cosine_BZ"],
            "predicted_voice_BE": similar_voice,
            "mel_BSC": mel,
            "target_BSC": target_mel,
            "aligner_BMC": tf.einsum("bmt,btc->bmc", path, mean),
            "centered_BMC": centered,
            "path_BMT": path,
            **nearby,
            **predicted,
            **({"velocity_error_BSC": decoded["velocity_error_BMC"]} if "velocity_error_BMC" in decoded else {}),
        }
