"""A reference as the voice encoder hears it, in training and at synthesis alike: without long pauses, at one level.

Everything is done on natural-log mels, so that it costs next to nothing and needs no recording: a gain of g adds ln g,
noise adds up in power, a low-pass filter takes away from the upper channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from myxtts.config.schema import AudioConfig, DataConfig
from myxtts.data.corpus import Corpus

FloatArray = npt.NDArray[np.float32]

PAUSE_DB = 40.0
"""A frame so far under the loud ones is a pause."""
PAUSE_FRAMES = 12
"""Of a longer pause so many frames are kept (0.14 s)."""
LOUD_PERCENTILE = 95.0
NEPER_OF_DB = math.log(10.0) / 20.0
SLOPE_DB = 6.0
"""Of the band that the augmentation leaves, for each mel channel beyond its edge."""
LOWEST_SHARE = 0.25
"""Of the channels that go at the top, so many may go at the bottom: 300 Hz to 3.4 kHz is 8 and 22 of 80."""


def heard(mel_RC: FloatArray, corpus: Corpus, audio: AudioConfig) -> FloatArray:
    """A natural-log mel (R, C) of a reference, at least a frame, without long pauses, at one level, normalized."""
    return corpus.normalize_mel(levelled(without_pauses(mel_RC), corpus, audio))


def without_pauses(mel_RC: FloatArray) -> FloatArray:
    """The mel with every long pause cut down to PAUSE_FRAMES; natural log in, natural log out."""
    loudness_R = mel_RC.mean(axis=1)
    quiet_R = loudness_R < np.percentile(loudness_R, LOUD_PERCENTILE) - PAUSE_DB * NEPER_OF_DB
    run_R = np.zeros(len(quiet_R), np.int64)
    for at in np.flatnonzero(quiet_R):
        run_R[at] = run_R[at - 1] + 1 if at else 1
    return np.ascontiguousarray(mel_RC[run_R <= PAUSE_FRAMES])


def levelled(mel_RC: FloatArray, corpus: Corpus, audio: AudioConfig) -> FloatArray:
    """The mel with its mean at that of the corpus; nothing falls under the convention's floor."""
    gain = float(corpus.mel_mean_C.mean(dtype=np.float64) - mel_RC.mean(dtype=np.float64))
    return np.maximum(mel_RC + np.float32(gain), np.float32(math.log(audio.log_floor)))


def augmented(mel_RC: FloatArray, data: DataConfig, audio: AudioConfig, random: np.random.Generator) -> FloatArray:
    """The natural-log mel as another room or microphone would give it; noise is of the room, so the band limits it.

    All draws are made whether they are used or not, so that one setting does not change the draws of another.
    """
    _, _, edge, noise, low_edge = random.uniform(size=5)  # two spare draws keep the order of those in use
    made = mel_RC
    if data.augment_noise_db:
        # white noise: magnitudes follow from the width of the channels; here alike in all, at a random distance
        distance = data.augment_noise_db + 30.0 * noise
        loud = float(np.percentile(made.mean(axis=1), LOUD_PERCENTILE)) - distance * NEPER_OF_DB
        made = 0.5 * np.logaddexp(2.0 * made, 2.0 * loud)
    if data.augment_band:
        channels = made.shape[1]
        last = channels * (1.0 - data.augment_band * edge)
        first = channels * LOWEST_SHARE * data.augment_band * low_edge
        beyond = np.maximum(0.0, np.maximum(np.arange(channels) - last, first - 1.0 - np.arange(channels)))
        made = made - (SLOPE_DB * NEPER_OF_DB * beyond).astype(np.float32)
    return np.maximum(made, math.log(audio.log_floor)).astype(np.float32)


def joined(pieces: Sequence[FloatArray]) -> FloatArray:
    """Pieces of recordings one behind the other."""
    return pieces[0] if len(pieces) == 1 else np.concatenate(list(pieces))
