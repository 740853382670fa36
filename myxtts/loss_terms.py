"""The table of loss terms: names in the order of every array of terms, scales, weights, and which are adversarial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LossTerm:
    """One loss term."""

    scale: float
    """Fixed factor beside the weight, so that weights of 1 give a total near 3 at the start (LJSpeech, level basic)."""
    weight: str
    """Field of LossConfig that holds its weight."""
    adversarial: Literal["", "critic", "decoder"] = ""
    """The network that this term trains against the other one; empty for a term that is not adversarial."""


TERMS: Mapping[str, LossTerm] = {
    "mel": LossTerm(1.0, "mel_weight"),
    "flow": LossTerm(1.0, "flow_weight"),
    "alignment": LossTerm(1.0, "alignment_weight"),
    # KL is a sum over dimensions, not a mean over tokens: at scale 1 the posterior collapses and style is not learned
    "kl": LossTerm(0.001, "kl_weight"),
    "duration": LossTerm(1.0, "duration_weight"),
    "pitch": LossTerm(1.0, "pitch_weight"),
    "energy": LossTerm(1.0, "energy_weight"),
    "voice_similarity": LossTerm(0.2, "voice_similarity_weight"),
    "speaker_classification": LossTerm(0.5, "speaker_classification_weight"),
    "voice_reconstruction": LossTerm(0.5, "voice_reconstruction_weight"),
    "prosody_matching": LossTerm(0.5, "prosody_matching_weight"),
    "spectral_consistency": LossTerm(0.5, "spectral_consistency_weight"),
    "critic": LossTerm(1.0, "critic_weight", "critic"),
    "adversarial": LossTerm(1.0, "adversarial_weight", "decoder"),
    "feature_matching": LossTerm(1.0, "feature_matching_weight", "decoder"),
}
VOCODER_TERMS: Mapping[str, LossTerm] = {"spectral_distance": LossTerm(1.0, "spectral_distance_weight")}
"""The terms of a vocoder, in a table of its own: a run has those of one network."""
ADVERSARIAL_TERMS = tuple(name for name, term in TERMS.items() if term.adversarial)
"""None of these falls as a run goes well, so they are not part of the reported total."""
DECODER_TERMS = tuple(name for name, term in TERMS.items() if term.adversarial == "decoder")
"""The terms through which the critic trains the decoder."""
