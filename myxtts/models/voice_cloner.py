"""The whole voice cloner: text, voice and style -> mel, with durations, pitch and energy that a user can change."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.audio.harmonics import HarmonicTable
from myxtts.config.schema import ModelConfig
from myxtts.models.aligner import Aligner, path_of
from myxtts.models.critic import Critic, feature_distance, places
from myxtts.models.layers import Dense, Module, sequence_mask
from myxtts.models.mel_decoder import DECODERS
from myxtts.models.pieces import position_features, target_of, tokens_around
from myxtts.models.predictors import Predictor, token_means
from myxtts.models.speaker_encoder import SpeakerEncoder, VoiceHeads
from myxtts.models.text_encoder import TextEncoder
from myxtts.models.voice_source import VoiceSource

SIMILARITY_FRAMES = 128
LOG_DURATION_AT_START = 1.3
"""ln(1 + 2.7 frames), about the mean of phonemes and blanks: from 0 the first errors would be the run's largest."""
PRECISIONS = {"fp32": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


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


class VoiceCloner(Module):
    """Text encoder, aligner, speaker encoder, predictors and mel decoder as one.

    Args:
        model: widths, depths, the decoder's kind, dropout.
        channels: mel channels.
        symbols: size of the symbol table.
        languages: number of languages.
        speakers: number of training speakers, at least 1.
        harmonics: what a pitch alone says of a mel, by pitch as the corpus normalizes it.
        precision: fp32, bf16 or fp16.
        mel_std_C: float32 [C], by which the corpus normalizes natural-log mels: what a gain is there. Ones without it;
            training alone needs it.
    """

    def __init__(
        self,
        model: ModelConfig,
        *,
        channels: int,
        symbols: int,
        languages: int,
        speakers: int,
        harmonics: HarmonicTable,
        precision: str = "fp32",
        mel_std_C: npt.NDArray[np.float32] | None = None,
    ) -> None:
        policy = keras.DTypePolicy(PRECISIONS[precision])
        super().__init__(name="voice_cloner", dtype=policy)
        self.config, self.channels = model, channels
        self.mel_std_C = np.ones(channels, np.float32) if mel_std_C is None else mel_std_C
        self.text_encoder = TextEncoder(model, symbols, languages, name="text_encoder", dtype=policy)
        self.aligner = Aligner(model, symbols, channels, name="aligner", dtype="float32")
        self.speaker_encoder = SpeakerEncoder(model, name="speaker_encoder", dtype=policy)
        self.voice_heads = VoiceHeads(model, speakers, channels, name="voice_heads", dtype="float32")
        self.duration = Predictor(model, 1, 200, LOG_DURATION_AT_START, name="duration", dtype=policy)
        self.pitch = Predictor(model, 1, 220, name="pitch", dtype=policy)
        self.energy = Predictor(model, 1, 240, name="energy", dtype=policy)
        self.voice_source = VoiceSource(model, harmonics, name="voice_source", dtype=policy)
        self.prosody_in = Dense(model.width, name="prosody_in", dtype=policy)
        self.decoder = DECODERS[model.decoder](model, channels, name="decoder", dtype=policy)
        self.critic = Critic(model, channels, name="critic", dtype=policy) if model.critic_width else None

    def condition(self, voice_BE: tf.Tensor, style_BS: tf.Tensor) -> tf.Tensor:
        """Voice and style as one condition (B, E + S) of all that makes prosody, each with unit-sized elements."""
        return tf.concat([self.unit_sized(voice_BE), style_BS], axis=-1)

    def unit_sized(self, voice_BE: tf.Tensor) -> tf.Tensor:
        """A voice (B, E) as the condition of the decoder, which has nothing of a style: it is told prosody itself."""
        return voice_BE * tf.sqrt(float(self.config.voice_width))

    def predict_prosody(
        self, text_BTD: tf.Tensor, condition_BE: tf.Tensor, mask_BT1: tf.Tensor, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """log_duration_BT (log of 1 + frames), pitch_BT and energy_BT (normalized) of each token."""
        return {
            "log_duration_BT": tf.squeeze(self.duration(tf.stop_gradient(text_BTD), condition_BE, mask_BT1, seed), 2),
            "pitch_BT": tf.squeeze(self.pitch(text_BTD, condition_BE, mask_BT1, seed), 2),
            "energy_BT": tf.squeeze(self.energy(text_BTD, condition_BE, mask_BT1, seed), 2),
        }

    def stretched(
        self,
        text_BTD: tf.Tensor,
        mean_BTC: tf.Tensor,
        duration_BT: tf.Tensor,
        pitch_BT: tf.Tensor,
        energy_BT: tf.Tensor,
        path_BMT: tf.Tensor,
        frame_BM: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """What the tokens say of each frame.

        `frame_BM` is the number of each frame where they are not those from the first on.

        Returns:
            text_BMD: the text.
            place_BMK: where in its token the frame stands, three features.
            prosody_BMP: the token's pitch and energy.
            mean_BMC: the aligner's mean.
        """
        frame_BM = tf.range(tf.shape(path_BMT)[1])[None, :] if frame_BM is None else frame_BM
        text = tf.einsum("bmt,btd->bmd", path_BMT, tf.cast(text_BTD, tf.float32))
        return {
            "text_BMD": text,
            "place_BMK": position_features(duration_BT, path_BMT, frame_BM),
            "prosody_BMP": tf.einsum("bmt,btp->bmp", path_BMT, tf.stack([pitch_BT, energy_BT], axis=-1)),
            "mean_BMC": tf.einsum("bmt,btc->bmc", path_BMT, tf.stop_gradient(mean_BTC)),
        }

    def source_of(
        self,
        along: dict[str, tf.Tensor],
        condition_BE: tf.Tensor,
        mask_BM1: tf.Tensor,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Predicted pitch_BM and voicing_BM of each frame; `along` as `stretched` gave it."""
        text = tf.concat([along["text_BMD"], along["place_BMK"]], axis=-1)
        found: dict[str, tf.Tensor] = self.voice_source(text, along["prosody_BMP"], condition_BE, mask_BM1, seed)
        return found

    def decoder_input(self, along: dict[str, tf.Tensor], pitch_BM: tf.Tensor, voiced_BM: tf.Tensor) -> tf.Tensor:
        """What the decoder is told of each frame, (B, M, any): `along` as `stretched` gave it, pitch and voicing."""
        source = self.voice_source.features(pitch_BM, voiced_BM)
        prosody = tf.cast(self.prosody_in(along["prosody_BMP"]), tf.float32)
        return tf.concat([along["text_BMD"] + prosody, along["mean_BMC"], along["place_BMK"], source], axis=-1)

    def voice_of(self, mel_BRC: tf.Tensor, length_B: tf.Tensor) -> tf.Tensor:
        """Voice (B, E) of a mel, by the speaker encoder held fixed: a gradient reaches the mel, not the encoder.

        It is brought to the level at which every reference is heard (data/hearing.py), so that the gradient is about
        the voice and not about how loud somebody was recorded.
        """
        mel_BRC = self.at_common_level(mel_BRC, length_B)
        fixed = [tf.stop_gradient(v.value) for v in self.speaker_encoder.trainable_variables]
        heads, _ = self.speaker_encoder.stateless_call(fixed, [], mel_BRC, length_B)
        return heads["voice_BE"]

    def style_of(self, mel_BRC: tf.Tensor, length_B: tf.Tensor) -> dict[str, tf.Tensor]:
        """Style posterior (style_mean_BS, style_log_variance_BS) of a normalized mel, as loud as every reference."""
        heads = self.speaker_encoder(self.at_common_level(mel_BRC, length_B), length_B)
        return {name: value for name, value in heads.items() if name.startswith("style_")}

    def at_common_level(self, mel_BRC: tf.Tensor, length_B: tf.Tensor) -> tf.Tensor:
        """A normalized mel at the level of every reference, zero beyond its length."""
        mask_BR1 = sequence_mask(length_B, tf.shape(mel_BRC)[1])
        gain_B = -tf.reduce_sum(mel_BRC * mask_BR1 * self.mel_std_C, axis=[1, 2])
        gain_B /= tf.cast(self.channels * tf.maximum(length_B, 1), tf.float32)
        return (mel_BRC + gain_B[:, None, None] / self.mel_std_C) * mask_BR1

    def judged(
        self, true_BSC: tf.Tensor, made_BSC: tf.Tensor, base_BSC: tf.Tensor, voice_BE: tf.Tensor, mask_BS1: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What the critic thinks of a true mel and of a made one; nothing without a critic.

        Returns:
            true_score_BPF, made_score_BPF: with a gradient to the critic alone.
            heard_score_BPF, feature_distance_B: of the made mel by the critic held fixed, with a gradient to the mel.
            score_mask_BP1: where there is speech.
        """
        if self.critic is None:
            return {}
        told = tf.stop_gradient(base_BSC), tf.stop_gradient(voice_BE) * tf.sqrt(float(self.config.voice_width))
        true = self.critic(true_BSC * mask_BS1, *told, mask_BS1)
        made = self.critic(tf.stop_gradient(made_BSC), *told, mask_BS1)
        fixed = [tf.stop_gradient(v.value) for v in self.critic.trainable_variables]
        heard, _ = self.critic.stateless_call(fixed, [], made_BSC, *told, mask_BS1)
        return {
            "true_score_BPF": true["score_BPF"],
            "made_score_BPF": made["score_BPF"],
            "heard_score_BPF": heard["score_BPF"],
            "score_mask_BP1": places(mask_BS1),
            "feature_distance_B": feature_distance(true, heard),
        }

    def call(
        self,
        batch: dict[str, tf.Tensor],
        prior_strength: tf.Tensor,
        seed: tf.Tensor | None = None,
        critic_plays: bool = True,
    ) -> dict[str, tf.Tensor]:
        """Training and validation: everything that the losses need.

        Args:
            batch: see myxtts.batch.
            prior_strength: of the aligner's diagonal prior, 1 to 0.
            seed: (2,) int32 for dropout; None for validation (no dropout). Style and flow noise follow from seed_B.
            critic_plays: without it nothing of the critic is computed.

        Returns:
            Mapping with mel_BSC (predicted, normalized) of the target frames and target_BSC (true), aligner_BMC (its
            mean for each frame), duration_BT, path_BMT, the predictors' outputs and targets, the voice and style heads,
            and what `judged` gives.
        """
        text_length, mel_length = batch["text_length_B"], batch["mel_length_B"]
        frames = tf.shape(batch["mel_BMC"])[1]
        mel_mask = sequence_mask(mel_length, frames)
        heads = self.speaker_encoder(batch["reference_BRC"], batch["reference_length_B"])
        known = self.voice_heads(heads["voice_BE"])

        mean = self.aligner(batch["text_BT"], text_length)
        centered = (batch["mel_BMC"] - batch["spectrum_BC"][:, None, :]) * mel_mask
        duration = self.aligner.align(mean, centered, batch["text_BT"], text_length, mel_length, prior_strength)
        path = path_of(duration, frames)
        pitch, _ = token_means(batch["pitch_BM"], batch["voiced_BM"], path)
        energy, spoken = token_means(batch["energy_BM"], mel_mask[:, :, 0], path)

        part, target_mel, target_mask = target_of(batch, path)
        # who speaks is heard in the reference, how in the target itself, so that there is something to learn of it
        posterior = self.style_of(target_mel, batch["target_length_B"])
        style = style_sample(posterior["style_mean_BS"], posterior["style_log_variance_BS"], batch["seed_B"])
        condition = self.condition(heads["voice_BE"], style)

        token, count, needed = tokens_around(batch, duration)
        text = self.text_encoder(tf.gather(batch["text_BT"], token, batch_dims=1), count, batch["language_B"], seed)
        nearby = {
            "token_mask_BT": needed,
            "duration_BT": tf.gather(duration, token, batch_dims=1),
            "token_pitch_BT": tf.gather(pitch, token, batch_dims=1),
            "token_energy_BT": tf.gather(energy, token, batch_dims=1),
            "token_spoken_BT": tf.gather(spoken, token, batch_dims=1),
        }
        predicted = self.predict_prosody(text, condition, sequence_mask(count, tf.shape(token)[1]), seed)
        begin = tf.gather(tf.cumsum(duration, axis=1, exclusive=True), token, batch_dims=1)[:, :1]
        # beyond the count the last token of the text may stand again: it must not be added up
        kept = tf.sequence_mask(count, tf.shape(token)[1], dtype=part.dtype)
        along = self.stretched(
            text,
            tf.gather(mean, token, batch_dims=1),
            nearby["duration_BT"],
            nearby["token_pitch_BT"],
            nearby["token_energy_BT"],
            tf.gather(part, token, axis=2, batch_dims=1) * kept[:, None, :],
            batch["target_BS"] - begin,
        )
        frame = self.source_of(along, condition, target_mask, seed)
        true_pitch = tf.gather(batch["pitch_BM"], batch["target_BS"], batch_dims=1)
        true_voiced = tf.gather(batch["voiced_BM"], batch["target_BS"], batch_dims=1) * target_mask[:, :, 0]
        x = self.decoder_input(along, true_pitch, true_voiced)
        base = (along["mean_BMC"] + tf.stop_gradient(known["spectrum_BC"])[:, None, :]) * target_mask
        target = target_mel * target_mask - base
        decoded = self.decoder(x, self.unit_sized(heads["voice_BE"]), target_mask, target, batch["seed_B"], seed)
        mel = base + decoded["estimate_BMC"]
        near = tf.minimum(batch["target_length_B"], SIMILARITY_FRAMES)
        similar_voice = self.voice_of(first_frames(mel, tf.minimum(tf.shape(mel)[1], SIMILARITY_FRAMES)), near)
        return {
            "voice_BE": heads["voice_BE"],
            **posterior,
            "known_spectrum_BC": known["spectrum_BC"],
            "known_prosody_BP": known["prosody_BP"],
            "cosine_BZ": known["cosine_BZ"],
            "predicted_voice_BE": similar_voice,
            "mel_BSC": mel,
            "target_BSC": target_mel,
            "aligner_BMC": tf.einsum("bmt,btc->bmc", path, mean),
            "centered_BMC": centered,
            "path_BMT": path,
            "frame_pitch_BS": frame["pitch_BM"],
            "frame_voicing_BS": frame["voicing_BM"],
            "true_pitch_BS": true_pitch,
            "true_voiced_BS": true_voiced,
            **(self.judged(target_mel, mel, base, heads["voice_BE"], target_mask) if critic_plays else {}),
            **nearby,
            **predicted,
            **({"velocity_error_BSC": decoded["velocity_error_BMC"]} if "velocity_error_BMC" in decoded else {}),
        }
