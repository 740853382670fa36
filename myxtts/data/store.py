"""The clips that are ready to train on: tokens in memory, features mapped from the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from myxtts.data.entry import ClipFacts, FloatArray, map_entry
from myxtts.data.records import Utterance

TokenArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Clip:
    """An accepted utterance with its tokens and the file of its features."""

    utterance: Utterance
    tokens: TokenArray
    entry: Path
    facts: ClipFacts


class FeatureStore:
    """Clips by row. Rows keep the order of the metadata. Nothing stays open between two reads."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        """Takes the accepted clips in their order."""
        self._clips = list(clips)
        self.utterances: list[Utterance] = [clip.utterance for clip in self._clips]
        self._text_lengths = np.array([len(clip.tokens) for clip in self._clips], dtype=np.int64)
        self._mel_lengths = np.array([clip.facts.frames for clip in self._clips], dtype=np.int64)

    def __len__(self) -> int:
        """Clips."""
        return len(self._clips)

    @property
    def lengths(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Tokens and frames of every clip: int64 [N], int64 [N]."""
        return self._text_lengths, self._mel_lengths

    @property
    def speakers(self) -> list[str]:
        """Speaker of every clip."""
        return [utterance.speaker for utterance in self.utterances]

    def facts(self, row: int) -> ClipFacts:
        """What is known of a clip and of its recording."""
        return self._clips[row].facts

    def text_tokens(self, row: int) -> TokenArray:
        """Token ids of a clip, int32 [T]."""
        return self._clips[row].tokens

    def features(self, row: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Raw log-mel [M, C], pitch in Hz [M] (0 unvoiced) and log energy [M] of a clip, float32, read-only."""
        clip = self._clips[row]
        return map_entry(clip.entry, clip.facts)

    def mel(self, row: int) -> FloatArray:
        """Raw natural-log mel of a clip, float32 [M, C]."""
        return self.features(row)[0]

    def pitch(self, row: int) -> FloatArray:
        """Fundamental frequency of a clip in Hz, 0 where unvoiced, float32 [M]."""
        return self.features(row)[1]

    def energy(self, row: int) -> FloatArray:
        """Natural-log frame energy of a clip, float32 [M]."""
        return self.features(row)[2]

    def entry_path(self, row: int) -> Path:
        """The file of a clip's features."""
        return self._clips[row].entry
