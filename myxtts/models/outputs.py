"""What each step of the voice cloner's forward pass returns.

The field names are the keys under which the losses find the values. Letters: see myxtts.batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True, eq=False)
class Alignment:
    """Which frames belong to which token of the complete text, and the recording's prosody by token."""

    mean_BTC: tf.Tensor
    """The aligner's mean of each token."""
    centered_BMC: tf.Tensor
    """The mel less its speaker's long-term spectrum; zero at padding."""
    aligner_BMC: tf.Tensor
    """The mean of each frame's token."""
    duration_BT: tf.Tensor
    path_BMT: tf.Tensor
    pitch_BT: tf.Tensor
    energy_BT: tf.Tensor
    spoken_BT: tf.Tensor
    """1 for tokens that have a frame."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """Text and prosody of the tokens near the segment: U of them from the first on, a few on each side included."""

    token_BU: tf.Tensor
    """Number of each token in its text."""
    count_B: tf.Tensor
    text_BUD: tf.Tensor
    token_mask_BU: tf.Tensor
    """1 for the tokens that count in the losses."""
    duration_BU: tf.Tensor
    token_pitch_BU: tf.Tensor
    token_energy_BU: tf.Tensor
    token_spoken_BU: tf.Tensor
    log_duration_BU: tf.Tensor
    """Predicted, as are `pitch_BU` and `energy_BU`."""
    pitch_BU: tf.Tensor
    energy_BU: tf.Tensor


@dataclass(frozen=True, eq=False)
class Decoding:
    """The segment as it was predicted, and what it is compared with."""

    mel_BSC: tf.Tensor
    target_BSC: tf.Tensor
    base_BSC: tf.Tensor
    """What the decoder adds its residual to: the aligner's mean and the speaker's spectrum."""
    frame_pitch_BS: tf.Tensor
    frame_voicing_BS: tf.Tensor
    true_pitch_BS: tf.Tensor
    true_voiced_BS: tf.Tensor
    predicted_voice_BE: tf.Tensor
    """Voice of the predicted mel, by the speaker encoder held fixed."""
    velocity_error_BSC: tf.Tensor | None
    """Of the flow decoder alone."""


@dataclass(frozen=True, eq=False)
class CriticOutputs:
    """Scores of the critic for a recorded mel and for the predicted one, of J x L patches in time and frequency."""

    true_score_BJL: tf.Tensor
    """With a gradient to the critic alone, as `made_score_BJL` is."""
    made_score_BJL: tf.Tensor
    generator_score_BJL: tf.Tensor
    """Of the predicted mel by the critic held fixed, as `feature_distance_B` is: a gradient reaches the mel."""
    score_mask_BJ1: tf.Tensor
    """1 where there is speech."""
    feature_distance_B: tf.Tensor
