"""Where the speech of a recording is, at any noise floor, and what is wrong with its sound.

Levels are those of frames of one hop, in dB of full scale. A clip over clean silence is cut where its level falls
`trim_db` below its loudest frame. Where noise stays above that, the level at the ends of the clip is compared with the
quietest frames of the clip: noise is as loud at the ends as in the pauses, an unvoiced consonant is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from myxtts.audio.framing import frames_view
from myxtts.config.schema import AudioConfig
from myxtts.units import frames_of_seconds, seconds_of_samples

Array = npt.NDArray[np.float32]
Levels = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_FLOOR_DB = -120.0
_CLICK_SECONDS = 0.23
"""A frame that is this far from everything as loud is a click, not speech: a final consonant is closer to its vowel."""
_CLICK_DB = 15.0
_NOISE_PERCENTILE = 5.0
_NOISE_SPREAD_DB = 4.0
"""Noise at an end is at most this much louder than the quietest frames."""
_EDGE_SECONDS = 0.12
_SHORTEST_NOISE_SECONDS = 0.4
"""Shorter noise at an end is kept; it is as long as a long unvoiced consonant."""
_SHORTEST_SPEECH_SECONDS = 0.035
_LEAST_MARGIN_DB, _MOST_MARGIN_DB, _MARGIN_SHARE = 3.0, 8.0, 0.25
"""Speech is this much above the noise, depending on how far the peak is above it."""
_WEAK_MARGIN_DB, _WEAK_SECONDS = 2.5, 0.35
"""How far before and after it weaker sound is kept as speech."""
_CLIPPED_RUN = 3
_FULL_SCALE_SHARE = 0.999
_LOUDEST_QUIET_PEAK = 0.1
"""The peaks of a recording that is so quiet are not clipped, however many are equal."""


def levels_db(samples_N: Array, hop: int) -> Levels:
    """Level of each frame of `hop` samples in dB of full scale (RMS), without the DC offset; at least -120."""
    padded = np.pad(samples_N, (0, -len(samples_N) % hop))
    frames = frames_view(padded, hop, hop).astype(np.float64)
    offset = float(samples_N.mean(dtype=np.float64)) if len(samples_N) else 0.0
    power = np.square(frames - offset).mean(axis=1)
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (_FLOOR_DB / 10.0))))


def without_clicks(level_M: Levels, audio: AudioConfig) -> Levels:
    """The levels with clicks at the level of their surroundings."""
    reach = max(2, frames_of_seconds(_CLICK_SECONDS, audio.sample_rate_hz, audio.hop_samples))
    if len(level_M) <= 2 * reach:
        return level_M
    around = np.ones(2 * reach + 1, bool)
    around[reach - 1 : reach + 2] = False  # a click between two frames is in both of them
    loudest = scipy.ndimage.maximum_filter(level_M, footprint=around, mode="constant", cval=_FLOOR_DB)
    clicks = level_M > loudest + _CLICK_DB
    clicks &= loudest < level_M.max() - _CLICK_DB if (~clicks).any() else False
    if clicks.all() or not clicks.any():
        return level_M
    beside = scipy.ndimage.binary_dilation(clicks)
    quieter = np.where(beside, np.minimum(level_M, loudest), level_M)
    # A recording of clicks alone is not emptied.
    return quieter if quieter.max() > _FLOOR_DB + _CLICK_DB else level_M


def speech_bounds(samples_N: Array, audio: AudioConfig) -> tuple[int, int] | None:
    """First and last frame of the speech in a clip, both inclusive; None if the clip has no sound."""
    hop = audio.hop_samples
    level_M = without_clicks(levels_db(samples_N, hop), audio)
    peak = float(level_M.max())
    loud = np.flatnonzero(level_M > peak - audio.trim_db)
    if peak <= _FLOOR_DB or len(loud) == 0:
        return None
    start, end = int(loud[0]), int(loud[-1])
    noise = float(np.percentile(level_M[start : end + 1], _NOISE_PERCENTILE))
    if noise <= peak - audio.trim_db:
        return start, end
    inside = level_M[start : end + 1]
    return start + _noise_frames(inside, noise, audio), end - _noise_frames(inside[::-1], noise, audio)


def _noise_frames(level_M: Levels, noise: float, audio: AudioConfig) -> int:
    """Number of frames at the beginning of a clip that hold noise of level `noise` and no speech."""

    def frames(seconds: float) -> int:
        return frames_of_seconds(seconds, audio.sample_rate_hz, audio.hop_samples)

    if np.median(level_M[: frames(_EDGE_SECONDS)]) > noise + _NOISE_SPREAD_DB:
        return 0
    peak = float(level_M.max())
    smooth_M = 10.0 * np.log10(scipy.ndimage.uniform_filter1d(10.0 ** (level_M / 10.0), 3, mode="nearest"))
    margin = float(np.clip(_MARGIN_SHARE * (peak - noise), _LEAST_MARGIN_DB, _MOST_MARGIN_DB))
    run = max(1, frames(_SHORTEST_SPEECH_SECONDS) - 1)
    above = scipy.ndimage.minimum_filter1d((smooth_M > noise + margin).astype(np.int8), run, origin=-(run // 2))
    speech = np.flatnonzero(above)
    onset = int(speech[0]) if len(speech) else 0
    earliest = max(0, onset - frames(_WEAK_SECONDS))
    while onset > earliest and smooth_M[onset - 1] > noise + _WEAK_MARGIN_DB:
        onset -= 1
    return onset if onset >= frames(_SHORTEST_NOISE_SECONDS) else 0


@dataclass(frozen=True)
class SoundFigures:
    """What the audit reports of a recording.

    Attributes:
        offset_permille: DC offset in thousandths of full scale.
        clipped_ppm: samples in runs at full level, in millionths.
        inverted: 1 if one channel is the other one inverted, so that only one is used; else 0.
        quiet_ms: the longest pause that stays within the clip after trimming.
        level_db: negated level of the speech in dB of full scale.
        cut_ms: what trimming cut at both ends.

    All are whole numbers of at least 0, as the list of recordings in the cache needs them.
    """

    offset_permille: int = 0
    clipped_ppm: int = 0
    inverted: int = 0
    quiet_ms: int = 0
    level_db: int = 0
    cut_ms: int = 0


def clipped_share(samples_N: Array) -> float:
    """Share of the samples that lie in runs of three and more at the highest level of the recording."""
    peak = float(np.abs(samples_N).max(initial=0.0))
    if peak < _LOUDEST_QUIET_PEAK:
        return 0.0
    clipped = np.zeros(len(samples_N), bool)
    for sign in (1.0, -1.0):
        at_peak = sign * samples_N >= _FULL_SCALE_SHARE * peak
        clipped |= scipy.ndimage.binary_opening(at_peak, np.ones(_CLIPPED_RUN, bool))
    return float(clipped.mean())


def measure_sound(trimmed_N: Array, audio: AudioConfig) -> tuple[float, float]:
    """Seconds of the longest pause within a trimmed clip, and the level of its speech in dB of full scale."""
    level_M = without_clicks(levels_db(trimmed_N, audio.hop_samples), audio)
    peak, noise = float(level_M.max()), float(np.percentile(level_M, _NOISE_PERCENTILE))
    margin = float(np.clip(_MARGIN_SHARE * (peak - noise), _LEAST_MARGIN_DB, _MOST_MARGIN_DB))
    loud = level_M > max(peak - audio.trim_db, min(noise, peak - 20.0) + margin)
    speech_db = 10.0 * np.log10(np.mean(10.0 ** (level_M[loud] / 10.0))) if loud.any() else _FLOOR_DB
    return seconds_of_samples(longest_run(~loud) * audio.hop_samples, audio.sample_rate_hz), float(speech_db)


def longest_run(mask_M: Mask) -> int:
    """Length of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask_M, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
