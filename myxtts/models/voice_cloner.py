"""The complete voice cloner: text, voice and style -> mel, with durations, pitch and energy that a user can change.

Training and validation run in four steps, each of which returns a small dataclass whose field names are the keys under
which the losses find its values: `align` (which frames belong to which token), `encode` (text and prosody of the
tokens near the segment), `decode` (the mel of the segment) and `criticize`.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.audio.harmonics import HarmonicTable
from myxtts.config.schema import ModelConfig
from myxtts.models.aligner import Aligner, path_between, path_of
from myxtts.models.critic import Critic, feature_distance, patch_mask
from myxtts.models.elementwise import add, times
from myxtts.models.layers import Dense, Module, sequence_mask
from myxtts.models.mel_decoder import DECODERS
from myxtts.models.outputs import Alignment, CriticOutputs, Decoding, Encoding
from myxtts.models.predictors import Predictor, token_means
from myxtts.models.segments import Segment, position_features, target_segment, tokens_near
from myxtts.models.source_predictor import SourcePredictor
from myxtts.models.speaker_encoder import SpeakerEncoder, VoiceHeads
from myxtts.models.text_encoder import TextEncoder

SIMILARITY_FRAMES = 128
LOG_DURATION_AT_START = 1.3
"""ln(1 + 2.7 frames), about the mean of phonemes and blanks: starting at 0 the first errors would be the largest."""
PRECISIONS = {"fp32": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


def first_frames(x_BMD: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """The first `frames` positions; by `tf.slice`, whose gradient is several times faster than a Python slice's."""
    shape = tf.shape(x_BMD)
    first = tf.slice(x_BMD, [0, 0, 0], tf.stack([shape[0], frames, shape[2]]))
    return tf.ensure_shape(first, [None, None, x_BMD.shape[2]])


def style_sample(mean_BY: tf.Tensor, log_variance_BY: tf.Tensor, seed_B: tf.Tensor) -> tf.Tensor:
    """Draw of the posterior, each utterance from a seed of its own, so that the batch size changes no draw."""
    draw = tf.map_fn(
        lambda seed: tf.random.stateless_normal([mean_BY.shape[-1]], tf.stack([seed, 7])),
        seed_B,
        fn_output_signature=tf.float32,
    )
    return mean_BY + tf.exp(0.5 * log_variance_BY) * draw


class VoiceCloner(Module):
    """Text encoder, aligner, speaker encoder, predictors and mel decoder as one.

    Args:
        model: widths, depths, the decoder's kind, dropout.
        channels: mel channels.
        symbols: size of the symbol table.
        languages: number of languages.
        speakers: number of training speakers, at least 1.
        harmonics: the harmonics that a pitch puts into a mel, by normalized pitch.
        precision: fp32, bf16 or fp16.
        mel_std_C: float32 [C], deviation by which the corpus normalizes natural-log mels; training shifts mels by
            a gain with it. Ones by default.
        recompute: compute the activations of the blocks a second time in the backward pass (models.recompute).
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
        recompute: bool = False,
    ) -> None:
        policy = keras.DTypePolicy(PRECISIONS[precision])
        super().__init__(name="voice_cloner", dtype=policy)
        self.config, self.channels = model, channels
        self.mel_std_C = np.ones(channels, np.float32) if mel_std_C is None else mel_std_C
        common: dict[str, Any] = {"recompute": recompute, "dtype": policy}
        self.text_encoder = TextEncoder(model, symbols, languages, name="text_encoder", **common)
        self.aligner = Aligner(model, symbols, channels, name="aligner", dtype="float32")
        self.speaker_encoder = SpeakerEncoder(model, name="speaker_encoder", **common)
        self.voice_heads = VoiceHeads(model, speakers, channels, name="voice_heads", dtype="float32")
        self.duration = Predictor(model, 1, 200, LOG_DURATION_AT_START, name="duration", dtype=policy)
        self.pitch = Predictor(model, 1, 220, name="pitch", dtype=policy)
        self.energy = Predictor(model, 1, 240, name="energy", dtype=policy)
        self.source_predictor = SourcePredictor(model, harmonics, name="source_predictor", dtype=policy)
        self.prosody_in = Dense(model.width, name="prosody_in", dtype=policy)
        self.decoder = DECODERS[model.decoder](model, channels, name="decoder", **common)
        self.critic = Critic(model, channels, name="critic", dtype=policy) if model.critic_width else None

    def condition(self, voice_BE: tf.Tensor, style_BY: tf.Tensor) -> tf.Tensor:
        """Voice and style as one condition (B, E + Y) of everything that predicts prosody, with unit-sized elements."""
        return tf.concat([self.scale_voice(voice_BE), style_BY], axis=-1)

    def scale_voice(self, voice_BE: tf.Tensor) -> tf.Tensor:
        """A voice (B, E) with elements of unit size, as the decoder is conditioned on it.

        The decoder gets no style: it is conditioned on the prosody itself.
        """
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

    def expand_to_frames(
        self,
        text_BTD: tf.Tensor,
        mean_BTC: tf.Tensor,
        duration_BT: tf.Tensor,
        pitch_BT: tf.Tensor,
        energy_BT: tf.Tensor,
        path_BMT: tf.Tensor,
        frame_BM: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """The features of each frame's token.

        `frame_BM` is the number of each frame where they do not start at the first.

        Returns:
            text_BMD: the text.
            position_BM3: where in its token the frame is.
            prosody_BM2: the token's pitch and energy.
            mean_BMC: the aligner's mean.
        """
        frame_BM = tf.range(tf.shape(path_BMT)[1])[None, :] if frame_BM is None else frame_BM
        text = tf.einsum("bmt,btd->bmd", path_BMT, tf.cast(text_BTD, tf.float32))
        return {
            "text_BMD": text,
            "position_BM3": position_features(duration_BT, path_BMT, frame_BM),
            "prosody_BM2": tf.einsum("bmt,btp->bmp", path_BMT, tf.stack([pitch_BT, energy_BT], axis=-1)),
            "mean_BMC": tf.einsum("bmt,btc->bmc", path_BMT, tf.stop_gradient(mean_BTC)),
        }

    def predict_source(
        self,
        frame_features: dict[str, tf.Tensor],
        condition_BE: tf.Tensor,
        mask_BM1: tf.Tensor,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Predicted pitch_BM and voicing_BM of each frame; `frame_features` come from `expand_to_frames`."""
        text = tf.concat([frame_features["text_BMD"], frame_features["position_BM3"]], axis=-1)
        found: dict[str, tf.Tensor] = self.source_predictor(
            text, frame_features["prosody_BM2"], condition_BE, mask_BM1, seed
        )
        return found

    def decoder_input(
        self, frame_features: dict[str, tf.Tensor], pitch_BM: tf.Tensor, voiced_BM: tf.Tensor
    ) -> tf.Tensor:
        """Input of the decoder for each frame, (B, M, any): `frame_features`, pitch and voicing."""
        source = self.source_predictor.features(pitch_BM, voiced_BM)
        prosody = tf.cast(self.prosody_in(frame_features["prosody_BM2"]), tf.float32)
        text = frame_features["text_BMD"] + prosody
        return tf.concat([text, frame_features["mean_BMC"], frame_features["position_BM3"], source], axis=-1)

    def voice_of(self, mel_BRC: tf.Tensor, length_B: tf.Tensor) -> tf.Tensor:
        """Voice (B, E) of a mel, by the speaker encoder held fixed: a gradient reaches the mel, not the encoder.

        The mel is brought to the level of every reference (data/references.py), so that the gradient concerns the
        voice and not the recording level.
        """
        mel_BRC = self.at_common_level(mel_BRC, length_B)
        fixed = [tf.stop_gradient(v.value) for v in self.speaker_encoder.trainable_variables]
        heads, _ = self.speaker_encoder.stateless_call(fixed, [], mel_BRC, length_B)
        return heads["voice_BE"]

    def style_of(self, mel_BRC: tf.Tensor, length_B: tf.Tensor) -> dict[str, tf.Tensor]:
        """Style posterior (style_mean_BY, style_log_variance_BY) of a normalized mel, at the level of references."""
        heads = self.speaker_encoder(self.at_common_level(mel_BRC, length_B), length_B)
        return {name: value for name, value in heads.items() if name.startswith("style_")}

    def at_common_level(self, mel_BRC: tf.Tensor, length_B: tf.Tensor) -> tf.Tensor:
        """A normalized mel at the level of every reference, zero beyond its length."""
        mask_BR1 = sequence_mask(length_B, tf.shape(mel_BRC)[1])
        gain_B = -tf.reduce_sum(times(mel_BRC, mask_BR1) * self.mel_std_C, axis=[1, 2])
        gain_B /= tf.cast(self.channels * tf.maximum(length_B, 1), tf.float32)
        return times(mel_BRC + gain_B[:, None, None] / self.mel_std_C, mask_BR1)

    def align(self, batch: dict[str, tf.Tensor], prior_strength: tf.Tensor) -> Alignment:
        """Find the frames of every token, and the recording's prosody by token."""
        text_length, mel_length = batch["text_length_B"], batch["mel_length_B"]
        frames = tf.shape(batch["mel_BMC"])[1]
        mel_mask = sequence_mask(mel_length, frames)
        mean = self.aligner(batch["text_BT"], text_length)
        centered = (batch["mel_BMC"] - batch["spectrum_BC"][:, None, :]) * mel_mask
        duration = self.aligner.align(mean, centered, batch["text_BT"], text_length, mel_length, prior_strength)
        path = path_of(duration, frames)
        pitch, _ = token_means(batch["pitch_BM"], batch["voiced_BM"], path)
        energy, spoken = token_means(batch["energy_BM"], mel_mask[:, :, 0], path)
        return Alignment(
            mean_BTC=mean,
            centered_BMC=centered,
            aligner_BMC=tf.einsum("bmt,btc->bmc", path, mean),
            duration_BT=duration,
            path_BMT=path,
            pitch_BT=pitch,
            energy_BT=energy,
            spoken_BT=spoken,
        )

    def encode(
        self,
        batch: dict[str, tf.Tensor],
        alignment: Alignment,
        condition_BE: tf.Tensor,
        seed: tf.Tensor | None,
    ) -> Encoding:
        """Encode the tokens that the segment needs, and predict their prosody."""

        def near(x_BT: tf.Tensor) -> tf.Tensor:
            return tf.gather(x_BT, token, batch_dims=1)

        token, count, needed = tokens_near(batch, alignment.duration_BT)
        text = self.text_encoder(near(batch["text_BT"]), count, batch["language_B"], seed)
        predicted = self.predict_prosody(text, condition_BE, sequence_mask(count, tf.shape(token)[1]), seed)
        return Encoding(
            token_BU=token,
            count_B=count,
            text_BUD=text,
            token_mask_BU=needed,
            duration_BU=near(alignment.duration_BT),
            token_pitch_BU=near(alignment.pitch_BT),
            token_energy_BU=near(alignment.energy_BT),
            token_spoken_BU=near(alignment.spoken_BT),
            log_duration_BU=predicted["log_duration_BT"],
            pitch_BU=predicted["pitch_BT"],
            energy_BU=predicted["energy_BT"],
        )

    def decode(
        self,
        batch: dict[str, tf.Tensor],
        segment: Segment,
        alignment: Alignment,
        encoding: Encoding,
        voice_BE: tf.Tensor,
        spectrum_BC: tf.Tensor,
        condition_BE: tf.Tensor,
        seed: tf.Tensor | None,
    ) -> Decoding:
        """Predict the mel of the segment from its tokens, with the recording's own pitch and voicing as input."""
        token, mask = encoding.token_BU, segment.mask_BS1
        begin_BU = tf.gather(tf.cumsum(alignment.duration_BT, axis=1, exclusive=True), token, batch_dims=1)
        # beyond the count the last token of the text may appear again: it must not be added up
        kept = tf.sequence_mask(encoding.count_B, tf.shape(token)[1])
        features = self.expand_to_frames(
            encoding.text_BUD,
            tf.gather(alignment.mean_BTC, token, batch_dims=1),
            encoding.duration_BU,
            encoding.token_pitch_BU,
            encoding.token_energy_BU,
            path_between(begin_BU, tf.where(kept, encoding.duration_BU, 0), batch["target_BS"]),
            batch["target_BS"] - begin_BU[:, :1],
        )
        source = self.predict_source(features, condition_BE, mask, seed)
        true_pitch = tf.gather(batch["pitch_BM"], batch["target_BS"], batch_dims=1)
        true_voiced = tf.gather(batch["voiced_BM"], batch["target_BS"], batch_dims=1) * mask[:, :, 0]
        x = self.decoder_input(features, true_pitch, true_voiced)
        base = (features["mean_BMC"] + tf.stop_gradient(spectrum_BC)[:, None, :]) * mask
        residual = segment.mel_BSC * mask - base
        decoded = self.decoder(x, self.scale_voice(voice_BE), mask, residual, batch["seed_B"], seed)
        mel = add(base, decoded["estimate_BMC"])
        compared = tf.minimum(batch["target_length_B"], SIMILARITY_FRAMES)
        return Decoding(
            mel_BSC=mel,
            target_BSC=segment.mel_BSC,
            base_BSC=base,
            frame_pitch_BS=source["pitch_BM"],
            frame_voicing_BS=source["voicing_BM"],
            true_pitch_BS=true_pitch,
            true_voiced_BS=true_voiced,
            predicted_voice_BE=self.voice_of(
                first_frames(mel, tf.minimum(tf.shape(mel)[1], SIMILARITY_FRAMES)), compared
            ),
            velocity_error_BSC=decoded.get("velocity_error_BMC"),
        )

    def criticize(self, critic: Critic, decoding: Decoding, voice_BE: tf.Tensor, mask_BS1: tf.Tensor) -> CriticOutputs:
        """Let the critic judge the recorded and the predicted mel of the segment."""
        context = tf.stop_gradient(decoding.base_BSC), tf.stop_gradient(self.scale_voice(voice_BE))
        true = critic(decoding.target_BSC * mask_BS1, *context, mask_BS1)
        made = critic(tf.stop_gradient(decoding.mel_BSC), *context, mask_BS1)
        fixed = [tf.stop_gradient(v.value) for v in critic.trainable_variables]
        by_fixed, _ = critic.stateless_call(fixed, [], decoding.mel_BSC, *context, mask_BS1)
        return CriticOutputs(
            true_score_BJL=true["score_BJL"],
            made_score_BJL=made["score_BJL"],
            generator_score_BJL=by_fixed["score_BJL"],
            score_mask_BJ1=patch_mask(mask_BS1),
            feature_distance_B=feature_distance(true, by_fixed),
        )

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
            The fields of Alignment, Encoding, Decoding and (with a critic that plays) CriticOutputs under their names;
            voice_BE, style_mean_BY and style_log_variance_BY; known_spectrum_BC, known_prosody_BQ and cosine_BZ of the
            voice heads. `velocity_error_BSC` is there for the flow decoder alone.
        """
        voice = self.speaker_encoder(batch["reference_BRC"], batch["reference_length_B"])["voice_BE"]
        known = self.voice_heads(voice)
        alignment = self.align(batch, prior_strength)
        segment = target_segment(batch)
        # the voice comes from the reference, the style from the target itself: else there is nothing to learn of it
        posterior = self.style_of(segment.mel_BSC, batch["target_length_B"])
        style = style_sample(posterior["style_mean_BY"], posterior["style_log_variance_BY"], batch["seed_B"])
        condition = self.condition(voice, style)
        encoding = self.encode(batch, alignment, condition, seed)
        decoding = self.decode(batch, segment, alignment, encoding, voice, known["spectrum_BC"], condition, seed)
        steps: list[Alignment | Encoding | Decoding | CriticOutputs] = [alignment, encoding, decoding]
        if self.critic is not None and critic_plays:
            steps.append(self.criticize(self.critic, decoding, voice, segment.mask_BS1))
        return {
            "voice_BE": voice,
            **posterior,
            **{f"known_{name}" if name in ("spectrum_BC", "prosody_BQ") else name: x for name, x in known.items()},
            **{name: x for step in steps for name, x in vars(step).items() if x is not None},
        }
