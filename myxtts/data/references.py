"""References for the voice encoder: which recordings, which frames of them, and how their mel is prepared.

In training a reference is put together from excerpts of other recordings of the speaker; it depends on (seed, epoch)
alone. A speaker's only recording is divided into reference and decoder segment, so that the encoder never sees the
frames that are to be predicted.

Everything is done on natural-log mels, which is cheap and needs no recording: a gain of g adds ln g, noise adds up in
power, a low-pass filter attenuates the upper channels. Training and synthesis prepare references alike.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from myxtts.audio.activity import NEPER_OF_DB, loud_level, without_pauses
from myxtts.config.schema import AudioConfig, DataConfig
from myxtts.data.corpus import Corpus
from myxtts.data.feature_store import FloatArray
from myxtts.data.plan import generator

_STREAM_REFERENCE = 1
MOST_EXCERPTS = 8
LISTED_CLIPS = 256
"""The other clips of a speaker are listed and permuted up to this many clips; of more, a few are drawn by number, so
that the time for a reference does not grow with the speaker."""
DRAWS = 64
"""Draws in a row that may meet a clip in quarantine or one drawn already, before the clips are listed."""

SLOPE_DB = 6.0
"""Attenuation per mel channel beyond the edges of the band that the augmentation keeps."""
LOWEST_SHARE = 0.25
"""Channels cut at the bottom relative to those cut at the top: 300 Hz to 3.4 kHz is 8 and 22 of 80."""


@dataclass(frozen=True)
class Excerpt:
    """An excerpt of a recording: row of the feature store, first frame, number of frames."""

    row: int
    start: int
    frames: int


@dataclass(frozen=True)
class ReferenceChoice:
    """The excerpts of a reference in their order, and the segment of the utterance that the decoder predicts."""

    reference: tuple[Excerpt, ...]
    target: Excerpt

    @property
    def frames(self) -> int:
        """Frames of the reference."""
        return sum(excerpt.frames for excerpt in self.reference)


class References:
    """Chooses reference and decoder segment for each row of a feature store.

    Args:
        speakers: speaker of every row.
        mel_lengths: frames of every row.
        least, most: frames of a reference; it is shorter if the speaker has too little speech.
        segment: most frames of a decoder segment; 0 takes the entire utterance.
    """

    def __init__(
        self, speakers: Sequence[str], mel_lengths: npt.NDArray[np.int64], least: int, most: int, segment: int = 0
    ) -> None:
        self._mel_lengths = mel_lengths
        self._least, self._most, self._segment = min(least, most), most, segment
        numbers: dict[str, int] = {}
        self._speaker_of = np.array([numbers.setdefault(name, len(numbers)) for name in speakers], np.int32)
        order = np.argsort(self._speaker_of, kind="stable").astype(np.int32)
        ends = np.cumsum(np.bincount(self._speaker_of, minlength=len(numbers)))
        self._rows = np.split(order, ends[:-1]) if len(numbers) else []

    def choose(self, row: int, seed: int, epoch: int, avoid: Collection[int] = ()) -> ReferenceChoice:
        """Reference and segment of `row` in an epoch; no recording in `avoid` is used, except `row` itself."""
        random = generator(_STREAM_REFERENCE, seed, epoch, row)
        wanted = int(random.integers(self._least, self._most + 1))
        others = self._others(row, avoid, random)
        first = next(others, None)
        if first is None:
            return self._of_one(row, wanted, random)
        frames = int(self._mel_lengths[row])
        size = min(self._segment, frames) if self._segment else frames
        target = Excerpt(row, int(random.integers(frames - size + 1)), size)
        excerpts: list[Excerpt] = []
        for other in chain([first], others):
            available = int(self._mel_lengths[other])
            taken = min(available, wanted)
            excerpts.append(Excerpt(other, int(random.integers(available - taken + 1)), taken))
            wanted -= taken
            if wanted <= 0:
                break
        return ReferenceChoice(tuple(excerpts), target)

    def _others(self, row: int, avoid: Collection[int], random: np.random.Generator) -> Iterator[int]:
        """Up to MOST_EXCERPTS different clips of the speaker besides `row` and those to avoid, in random order."""
        own = self._rows[self._speaker_of[row]]
        if len(own) <= LISTED_CLIPS:
            listed = [other for other in own.tolist() if other != row and other not in avoid]
            yield from random.permutation(listed)[:MOST_EXCERPTS].tolist() if listed else ()
            return
        taken = {row}
        for _ in range(MOST_EXCERPTS):
            for _ in range(DRAWS):
                other = int(own[random.integers(len(own))])
                if other not in taken and other not in avoid:
                    break
            else:  # nearly all are in quarantine
                left = [other for other in own.tolist() if other not in taken and other not in avoid]
                if not left:
                    return
                other = left[int(random.integers(len(left)))]
            taken.add(other)
            yield other

    def _of_one(self, row: int, wanted: int, random: np.random.Generator) -> ReferenceChoice:
        """Both from one recording without overlap; if segments have no limit, the reference has at most half of it."""
        frames = int(self._mel_lengths[row])
        if frames < 2:
            return ReferenceChoice((Excerpt(row, 0, frames),), Excerpt(row, 0, frames))
        if self._segment:
            size = min(self._segment, -(-frames // 2))
            reference_size = min(wanted, frames - size)
        else:
            reference_size = min(wanted, frames // 2)
            size = frames - reference_size
        spare = frames - size - reference_size
        # The spare frames are divided among the places before, between and after the two.
        before, between_end = sorted(int(x) for x in random.integers(spare + 1, size=2))
        reference_first = random.random() < 0.5
        starts = before, between_end + (reference_size if reference_first else size)
        reference_at, target_at = starts if reference_first else starts[::-1]
        return ReferenceChoice((Excerpt(row, reference_at, reference_size),), Excerpt(row, target_at, size))


def prepare_reference(mel_RC: FloatArray, corpus: Corpus, audio: AudioConfig) -> FloatArray:
    """A natural-log mel (R, C) of at least one frame as the encoder gets it: pauses cut, level matched, normalized."""
    made = match_level(without_pauses(mel_RC), corpus, audio)
    made -= corpus.mel_mean_C
    made /= corpus.mel_std_C
    return made


def match_level(mel_RC: FloatArray, corpus: Corpus, audio: AudioConfig) -> FloatArray:
    """The natural-log mel with the mean of the corpus; nothing falls below the floor of the mel convention."""
    made = mel_RC + np.float32(corpus.mel_level - float(mel_RC.mean(dtype=np.float64)))
    return np.maximum(made, np.float32(math.log(audio.log_floor)), out=made)


def augment(mel_RC: FloatArray, data: DataConfig, audio: AudioConfig, random: np.random.Generator) -> FloatArray:
    """The natural-log mel as another room or microphone would give it; the band limits the noise of the room too.

    All random numbers are drawn whether they are used or not, so that no setting changes the draws of another.
    """
    changed, _, edge, noise, low_edge = random.uniform(size=5)  # the spare draw keeps the order of the others
    if changed >= data.augment_share:
        return mel_RC
    made = mel_RC
    if data.augment_noise_db:
        # The level of white noise would grow with the width of a channel; here it is the same in all channels.
        distance = data.augment_noise_db + 30.0 * noise
        loud = float(loud_level(made.mean(axis=1))) - distance * NEPER_OF_DB
        made = made * np.float32(2.0)
        np.exp(made, out=made)
        made += np.float32(math.exp(2.0 * loud))
        np.log(made, out=made)
        made *= np.float32(0.5)
    if data.augment_band:
        channels = made.shape[1]
        last = channels * (1.0 - data.augment_band * edge)
        first = channels * LOWEST_SHARE * data.augment_band * low_edge
        beyond = np.maximum(0.0, np.maximum(np.arange(channels) - last, first - 1.0 - np.arange(channels)))
        made = made - (SLOPE_DB * NEPER_OF_DB * beyond).astype(np.float32)
    return np.maximum(made, np.float32(math.log(audio.log_floor)))


def concatenate(excerpts: Sequence[FloatArray]) -> FloatArray:
    """Mels one after the other."""
    return excerpts[0] if len(excerpts) == 1 else np.concatenate(list(excerpts))
