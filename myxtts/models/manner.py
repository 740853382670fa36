"""How a text is spoken: plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Manner:
    """How a text is spoken.

    speed: 2 is twice as fast. pitch_shift, energy_shift: in deviations of the corpus (see models.prosody). pitch_range:
    how far the melody goes from its mean, 1 as the model predicts it. seed: of the decoder's noise. temperature:
    deviation of that noise. steps: Euler steps of the flow decoder, None: as in the model's settings. longest_token,
    longest: most frames of a token and of the text, at speed 1.
    """

    speed: float = 1.0
    pitch_shift: float = 0.0
    energy_shift: float = 0.0
    pitch_range: float = 1.0
    seed: int = 1
    temperature: float = 0.667
    steps: int | None = None
    longest_token: int = 129
    longest: int = 5_168
