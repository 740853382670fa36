"""What the voice encoder hears beside an utterance, and which of its frames the decoder makes: by (seed, epoch) alone.

A reference is put together from pieces of other recordings of the speaker. Where there is no other one, reference and
target are different parts of the same recording, so that the voice is never read off the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from myxtts.data.plan import generator

_STREAM_REFERENCE = 1
MOST_PIECES = 8


@dataclass(frozen=True)
class Piece:
    """A piece of a recording: row of the feature store, first frame, frames."""

    row: int
    start: int
    frames: int


@dataclass(frozen=True)
class Choice:
    """The pieces of a reference, in their order, and the part of the utterance that the decoder makes."""

    reference: tuple[Piece, ...]
    target: Piece

    @property
    def frames(self) -> int:
        """Frames of the reference."""
        return sum(piece.frames for piece in self.reference)


class References:
    """Chooses reference and target for each row of a feature store.

    Args:
        speakers: of every row.
        mel_lengths: frames of every row.
        least, most: frames of a reference; it is shorter where the speaker has no more.
        segment: most frames of a target; 0 takes the whole utterance.
    """

    def __init__(
        self, speakers: Sequence[str], mel_lengths: npt.NDArray[np.int64], least: int, most: int, segment: int = 0
    ) -> None:
        self._speakers = list(speakers)
        self._mel_lengths = mel_lengths
        self._least, self._most, self._segment = min(least, most), most, segment
        self._rows: dict[str, list[int]] = {}
        for row, speaker in enumerate(self._speakers):
            self._rows.setdefault(speaker, []).append(row)

    def choose(self, row: int, seed: int, epoch: int, avoid: Collection[int] = ()) -> Choice:
        """Reference and target of `row` in an epoch; no recording in `avoid` is heard, except `row` itself."""
        random = generator(_STREAM_REFERENCE, seed, epoch, row)
        wanted = int(random.integers(self._least, self._most + 1))
        others = [other for other in self._rows[self._speakers[row]] if other != row and other not in avoid]
        if not others:
            return self._of_one(row, wanted, random)
        frames = int(self._mel_lengths[row])
        size = min(self._segment, frames) if self._segment else frames
        target = Piece(row, int(random.integers(frames - size + 1)), size)
        pieces: list[Piece] = []
        for other in random.permutation(others)[:MOST_PIECES]:
            available = int(self._mel_lengths[other])
            taken = min(available, wanted)
            pieces.append(Piece(int(other), int(random.integers(available - taken + 1)), taken))
            wanted -= taken
            if wanted <= 0:
                break
        return Choice(tuple(pieces), target)

    def _of_one(self, row: int, wanted: int, random: np.random.Generator) -> Choice:
        """Both from one recording, one before the other; the reference has at most half of it without a segment."""
        frames = int(self._mel_lengths[row])
        if frames < 2:
            return Choice((Piece(row, 0, frames),), Piece(row, 0, frames))
        if self._segment:
            size = min(self._segment, -(-frames // 2))
            heard = min(wanted, frames - size)
        else:
            heard = min(wanted, frames // 2)
            size = frames - heard
        spare = frames - size - heard
        # the spare frames lie before, between and behind the two
        before, behind = sorted(int(x) for x in random.integers(spare + 1, size=2))
        reference_first = random.random() < 0.5  # kept: of two equal lengths it cannot be told which came first
        starts = before, behind + (heard if reference_first else size)
        reference_at, target_at = starts if reference_first else starts[::-1]
        return Choice((Piece(row, reference_at, heard),), Piece(row, target_at, size))
