"""Which recording of its speaker the voice encoder hears beside an utterance: a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from myxtts.data.plan import generator

_STREAM_REFERENCE = 1


@dataclass(frozen=True)
class Reference:
    """A piece of a recording: row of the feature store, first frame, frames."""

    row: int
    start: int
    frames: int


class References:
    """Chooses a reference for each row of a feature store."""

    def __init__(self, speakers: Sequence[str], mel_lengths: npt.NDArray[np.int64], most_frames: int) -> None:
        """Takes the speaker and the frames of every row, and the most frames that a reference may have."""
        self._speakers = list(speakers)
        self._mel_lengths = mel_lengths
        self._most_frames = most_frames
        self._rows: dict[str, list[int]] = {}
        for row, speaker in enumerate(self._speakers):
            self._rows.setdefault(speaker, []).append(row)

    def choose(self, row: int, seed: int, epoch: int, avoid: Collection[int] = ()) -> Reference:
        """The reference of `row` in an epoch: a random piece of another clip of its speaker, none of `avoid`.

        A speaker with one clip (that is not to be avoided) gives a piece of at most half of that clip. The length
        varies between half of the most and the most frames, since a reference at synthesis has any length.
        """
        random = generator(_STREAM_REFERENCE, seed, epoch, row)
        others = self._rows[self._speakers[row]]
        if avoid:
            others = [other for other in others if other == row or other not in avoid]
        most = self._most_frames
        if len(others) > 1:
            at = int(random.integers(len(others) - 1))
            chosen = others[at] if others[at] < row else others[at + 1]
            available = int(self._mel_lengths[chosen])
        else:
            chosen = row
            available = int(self._mel_lengths[row])
            most = min(most, max(1, available // 2))
        longest = min(available, most)
        frames = int(random.integers(max(1, min(longest, most // 2)), longest + 1))
        return Reference(chosen, int(random.integers(available - frames + 1)), frames)
