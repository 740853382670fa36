"""What came of the sentences of a text, counted as they are made, and what a listener is told of it at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass

from myxtts.synthesis.stream import Piece

LONGEST_TOKEN_SECONDS = 1.5
LONGEST_SENTENCE_SECONDS = 60.0
_HEARD_DB = 0.5
"""A gain that takes less away is heard by nobody, so nothing is said of it."""
_FEW_FRAMES = 0.05
"""Of the voiced ones: so many may lie at the edge of the pitch's range without a word."""


@dataclass
class Outcome:
    """Counts over the pieces of a text, none of which is kept.

    `capped` tokens were cut, `squeezed` sentences were shortened, in `limited` sentences peaks were made softer, most
    of all by `least_gain`. `voiced` frames, in `pitch_kept` of which the pitch was kept within `pitch_range_hz`.
    """

    sentences: int = 0
    capped: int = 0
    squeezed: int = 0
    limited: int = 0
    least_gain: float = 1.0
    voiced: int = 0
    pitch_kept: int = 0
    pitch_range_hz: tuple[float, float] = (0.0, 0.0)

    def add(self, piece: Piece) -> None:
        """Counts one more piece."""
        self.sentences += 1
        self.capped += piece.capped
        self.squeezed += piece.squeezed
        self.limited += _softer_db(piece.gain) >= _HEARD_DB
        self.least_gain = min(self.least_gain, piece.gain)
        self.voiced += piece.voiced
        self.pitch_kept += piece.pitch_kept
        self.pitch_range_hz = piece.pitch_range_hz

    def notes(self, gain: float = 1.0) -> list[str]:
        """What is to be said of them, and of the `gain` that all samples were multiplied by."""
        notes = []
        if self.capped:
            notes.append(
                f"{self.capped} tokens were predicted longer than {LONGEST_TOKEN_SECONDS:g} s and cut: "
                "the model needs more training"
            )
        if self.squeezed:
            notes.append(
                f"a sentence was predicted longer than {LONGEST_SENTENCE_SECONDS:g} s and squeezed: "
                "the model needs more training"
            )
        if self.pitch_kept > _FEW_FRAMES * self.voiced:
            low, high = self.pitch_range_hz
            share = f"{self.pitch_kept / self.voiced:.0%} of the voiced frames"
            notes.append(f"the pitch was kept within {low:g} to {high:g} Hz in {share}")
        if self.limited:
            notes.append(
                f"peaks in {self.limited} of {self.sentences} sentences were made up to "
                f"{_softer_db(self.least_gain):.1f} dB softer, so that none clips"
            )
        if _softer_db(gain) >= _HEARD_DB:
            notes.append(f"all of it was made {_softer_db(gain):.1f} dB softer, so that no peak clips")
        return notes


def _softer_db(gain: float) -> float:
    return -20.0 * math.log10(gain)
