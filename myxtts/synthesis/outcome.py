"""What came of the sentences of a text, counted as they are made, and what a listener is told of it at the end."""

from __future__ import annotations

from dataclasses import dataclass

from myxtts.synthesis.stream import Piece

LONGEST_TOKEN_SECONDS = 1.5
LONGEST_SENTENCE_SECONDS = 60.0


@dataclass
class Outcome:
    """Counts over the pieces of a text, none of which is kept: tokens that were cut, sentences that were squeezed."""

    capped: int = 0
    squeezed: int = 0

    def add(self, piece: Piece) -> None:
        """Counts one more piece."""
        self.capped += piece.capped
        self.squeezed += piece.squeezed

    def notes(self) -> list[str]:
        """What is to be said of the durations that the model predicted for some sentences."""
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
        return notes
