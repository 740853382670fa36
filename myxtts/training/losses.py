"""The loss terms: masked means per utterance in fp32, independent of padding, batch size and number of speakers.

A term is one number per utterance (B,). The total of an utterance is the sum of weight x scale x term.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import tensorflow as tf

from myxtts.config.schema import LossConfig
from myxtts.loss_terms import ADVERSARIAL_TERMS, TERMS
from myxtts.models.layers import sequence_mask

MARGIN = 0.2
MARGIN_SCALE = 16.0
MAX_LOG_VARIANCE = 2.0
LARGEST_LOG_ERROR = 2.0


def weights_of(loss: LossConfig) -> dict[str, float]:
    """Weight x scale of every term."""
    return {name: getattr(loss, term.weight) * term.scale for name, term in TERMS.items()}


def masked_mean(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean of each row over the mask (broadcast to x), (B,) fp32; 0 where the mask is empty."""
    mask = tf.broadcast_to(tf.cast(mask, tf.float32), tf.shape(x))
    axes = list(range(1, x.shape.rank))
    total = tf.reduce_sum(tf.cast(x, tf.float32) * mask, axis=axes)
    return total / tf.maximum(tf.reduce_sum(mask, axis=axes), 1.0)


def huber(error: tf.Tensor, delta: float) -> tf.Tensor:
    """Huber loss divided by delta, so that it is L1 for large errors (Huber 1964, eq. 1, over delta)."""
    size = tf.abs(error)
    return tf.where(size <= delta, 0.5 * tf.square(error) / delta, size - 0.5 * delta)


def mean_keeping(error: tf.Tensor) -> tf.Tensor:
    """Loss of an error of logarithms (true minus predicted) whose minimum is at the log of the mean.

    The squared error of logarithms has its minimum at the mean of the logarithms, which is lower: speech would be too
    short wherever durations are uncertain. Near 0 the two are equal; above LARGEST_LOG_ERROR this one is linear.

    Source: the deviance of a gamma distribution, McCullagh and Nelder, Generalized Linear Models (1989), sec. 8.3.
    """
    near = tf.minimum(error, LARGEST_LOG_ERROR)
    steep = tf.exp(near)
    return 2.0 * (steep - 1.0 - near + (steep - 1.0) * (error - near))


def gaussian_nll(error: tf.Tensor) -> tf.Tensor:
    """Negative log-likelihood of a unit Gaussian without its constant."""
    return 0.5 * tf.square(error)


def kl_to_normal(mean_BY: tf.Tensor, log_variance_BY: tf.Tensor, free: float) -> tf.Tensor:
    """KL of N(mean, variance) to N(0, 1), minus `free` nats per dimension, at least 0, summed over Y.

    Source: arXiv 1312.6114, appendix B; free bits arXiv 1606.04934, sec. 5 (here per utterance, not per batch).
    """
    kl = 0.5 * (tf.square(mean_BY) + tf.exp(log_variance_BY) - 1.0 - log_variance_BY)
    return tf.reduce_sum(tf.maximum(kl - free, 0.0), axis=-1)


def margin_softmax(cosine_BZ: tf.Tensor, speaker_B: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Cross-entropy over the training speakers with a margin on the true one, divided by its chance level; (B,).

    The chance level is the value at equal cosines, so the loss is 1 at chance for any number of speakers. 0 with one
    speaker, and for an utterance whose speaker is unknown (-1).

    Source: CosFace, arXiv 1801.09414, eq. 4.
    """
    speakers = cosine_BZ.shape[-1]
    if speakers < 2:
        return tf.zeros_like(cosine_BZ[:, 0])
    right = tf.one_hot(speaker_B, speakers)
    logits = MARGIN_SCALE * (cosine_BZ - MARGIN * right)
    target = right * (1.0 - smoothing) + smoothing / speakers
    loss = -tf.reduce_sum(target * tf.nn.log_softmax(logits), axis=-1)
    handicap = MARGIN_SCALE * MARGIN
    chance = handicap + math.log(speakers - 1 + math.exp(-handicap))
    return loss / chance * tf.cast(speaker_B >= 0, tf.float32)


def differences(mel_BMC: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Differences along time (B, M - 1, C) and along frequency (B, M, C - 1)."""
    # tf.slice: the gradient of a Python slice is several times slower
    size_B, size_M, size_C = tf.unstack(tf.shape(mel_BMC))
    later = tf.slice(mel_BMC, [0, 1, 0], [size_B, size_M - 1, size_C])
    higher = tf.slice(mel_BMC, [0, 0, 1], [size_B, size_M, size_C - 1])
    along_time = later - tf.slice(mel_BMC, [0, 0, 0], [size_B, size_M - 1, size_C])
    return along_time, higher - tf.slice(mel_BMC, [0, 0, 0], [size_B, size_M, size_C - 1])


def pitch_of_frames(outputs: Mapping[str, tf.Tensor], target_mask_BS: tf.Tensor) -> tf.Tensor:
    """Huber loss of the pitch of voiced frames and cross-entropy of the voicing of all frames, (B,)."""
    voiced = outputs["true_voiced_BS"]
    pitch = masked_mean(huber(outputs["frame_pitch_BS"] - outputs["true_pitch_BS"], 1.0), voiced * target_mask_BS)
    voicing = tf.nn.sigmoid_cross_entropy_with_logits(voiced, outputs["frame_voicing_BS"])
    return pitch + masked_mean(voicing, target_mask_BS)


def critics_terms(outputs: Mapping[str, tf.Tensor], target_mask_BS1: tf.Tensor) -> dict[str, tf.Tensor]:
    """The adversarial terms (B,): least squares, 1 for recorded and 0 for generated mels; all 0 without a critic.

    Source: arXiv 1611.04076, eq. 9.
    """
    if "true_score_BJL" not in outputs:
        nothing = tf.zeros_like(target_mask_BS1[:, 0, 0])
        return dict.fromkeys(ADVERSARIAL_TERMS, nothing)
    mask = outputs["score_mask_BJ1"]
    right = masked_mean(tf.square(outputs["true_score_BJL"] - 1.0), mask)
    return {
        "critic": 0.5 * (right + masked_mean(tf.square(outputs["made_score_BJL"]), mask)),
        "adversarial": 0.5 * masked_mean(tf.square(outputs["generator_score_BJL"] - 1.0), mask),
        "feature_matching": outputs["feature_distance_B"],
    }


def terms(outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor], loss: LossConfig) -> dict[str, tf.Tensor]:
    """Every loss term of every utterance.

    Args:
        outputs: of VoiceCloner.
        batch: see myxtts.batch.
        loss: variants (Huber, label smoothing, free bits); the weights are applied by the caller.

    Returns:
        term -> (B,) fp32, in the order of TERMS.
    """
    mel_mask = sequence_mask(batch["mel_length_B"], tf.shape(batch["mel_BMC"])[1])
    target_mask = sequence_mask(batch["target_length_B"], tf.shape(batch["target_BS"])[1])
    text_mask = outputs["token_mask_BU"]
    spoken = outputs["token_spoken_BU"] * text_mask
    error = (outputs["mel_BSC"] - outputs["target_BSC"]) * target_mask
    mel_loss = huber(error, loss.huber_delta) if loss.huber_delta > 0.0 else tf.abs(error)
    mel = masked_mean(mel_loss, target_mask)
    flow = tf.zeros_like(mel)
    if "velocity_error_BSC" in outputs:
        flow = masked_mean(0.5 * tf.square(outputs["velocity_error_BSC"]), target_mask)
    log_duration = tf.math.log1p(tf.cast(outputs["duration_BU"], tf.float32))
    along_time, along_frequency = differences(error)
    cosine = tf.reduce_sum(outputs["predicted_voice_BE"] * tf.stop_gradient(outputs["voice_BE"]), axis=-1)
    nll = gaussian_nll(outputs["centered_BMC"] - outputs["aligner_BMC"])
    return {
        "mel": mel,
        "flow": flow,
        "alignment": masked_mean(nll, mel_mask),
        "kl": kl_to_normal(outputs["style_mean_BY"], outputs["style_log_variance_BY"], loss.kl_free_bits),
        "duration": masked_mean(mean_keeping(log_duration - outputs["log_duration_BU"]), text_mask),
        "pitch": masked_mean(huber(outputs["pitch_BU"] - outputs["token_pitch_BU"], 1.0), spoken)
        + pitch_of_frames(outputs, target_mask[:, :, 0]),
        "energy": masked_mean(huber(outputs["energy_BU"] - outputs["token_energy_BU"], 1.0), spoken),
        "voice_similarity": 1.0 - cosine,
        "speaker_classification": margin_softmax(outputs["cosine_BZ"], batch["speaker_B"], loss.label_smoothing),
        "voice_reconstruction": tf.reduce_mean(tf.abs(outputs["known_spectrum_BC"] - batch["spectrum_BC"]), axis=-1),
        "prosody_matching": tf.reduce_mean(huber(outputs["known_prosody_BQ"] - batch["prosody_BQ"], 1.0), axis=-1),
        "spectral_consistency": 0.5
        * (masked_mean(tf.abs(along_time), target_mask[:, 1:]) + masked_mean(tf.abs(along_frequency), target_mask)),
        **critics_terms(outputs, target_mask),
    }


def adaptive_total(weighted: Mapping[str, tf.Tensor], log_variance: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Total (B,) with a learned, bounded log-variance s per term: exp(-s) x weighted + s / 2.

    Source: arXiv 1705.07115, eq. 7. Differs: the log-variance is bounded to +-2, so that no factor
    is outside e^-2 to e^2, and a term of weight 0 has none.
    """
    total = 0.0
    for term, value in weighted.items():
        s = MAX_LOG_VARIANCE * tf.tanh(log_variance[term] / MAX_LOG_VARIANCE)
        total += tf.exp(-s) * value + 0.5 * s
    return total
