"""Where the speech of a recording is, at any noise floor, and what is wrong with its sound.

Levels are those of frames of one hop, in dB of full scale. A clip over clean silence is cut where its level falls
`trim_db` below its loudest frame. Where noise stays above that, the level at the ends of the clip is compared with the
quietest frames of the clip: noise is as loud at the ends as in the pauses, an unvoiced consonant is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # its parts are imported at their first use: a process that only decodes needs none of them

from myxtts.audio.framing import frames_view
from myxtts.config.schema import AudioConfig
from myxtts.units import frames_of_seconds, seconds_of_samples

Array = npt.NDArray[np.float32]
Levels = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

PAUSE_DB = 40.0
"""A mel frame this far below the loud ones belongs to a pause."""
PAUSE_FRAMES = 12
"""Frames that are kept of a longer pause (0.14 s)."""
LOUD_PERCENTILE = 95.0
NEPER_OF_DB = math.log(10.0) / 20.0
_FLOOR_DB = -120.0
_CLICK_SECONDS = 0.23
"""A frame that is this far from everything as loud is a click, not speech: a final consonant is closer to its vowel."""
_CLICK_DB = 15.0
_RUMBLE_HZ = 200.0
"""Noise is compared above this frequency: below it, hum and rumble are louder and less steady than speech."""
_NOISE_PERCENTILE = 3.0
_NOISE_DISTANCE_DB, _NOISE_SPREAD_DB = 4.0, 8.0
"""Noise at an end is at most so much louder than the quietest frames, and its level varies by at most so much."""
_HIDDEN_DB = 6.0
"""Noise this far below what counts as silence still exceeds it now and then."""
_EDGE_SECONDS = 0.25
_SHORTEST_NOISE_SECONDS = 0.4
"""Shorter noise at an end is kept; it is as long as a long unvoiced consonant."""
_SPEECH_FRAMES = 3
_LEAST_MARGIN_DB, _MOST_MARGIN_DB, _MARGIN_SHARE = 3.0, 8.0, 0.25
"""Speech is this much above the noise, depending on how far the peak is above it."""
_WEAK_SHARE, _WEAK_SECONDS, _CONTEXT_SECONDS = 0.6, 0.35, 0.08
"""Weaker sound next to it, down to this share of the margin, is speech for so long; then some context is kept."""
_CLIPPED_RUN = 3
_FULL_SCALE_SHARE = 0.999
_LOUDEST_QUIET_PEAK = 0.1
"""The peaks of a recording that is so quiet are not clipped, however many are equal."""


def levels_db(samples_N: Array, hop: int) -> Levels:
    """Level of each frame of `hop` samples in dB of full scale (RMS), without the DC offset; at least -120."""
    offset = float(samples_N.mean(dtype=np.float64)) if len(samples_N) else 0.0
    padded = np.pad(samples_N, (0, -len(samples_N) % hop), constant_values=np.float32(offset))
    frames = frames_view(padded, hop, hop).astype(np.float64)
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
    if peak <= _FLOOR_DB + 1.0 or len(loud) == 0:
        return None
    start, end = int(loud[0]), int(loud[-1])
    smooth_M = smooth_levels(samples_N, audio)
    sound = np.flatnonzero(smooth_M > _FLOOR_DB + 1.0)  # a file may be filled up with zeros
    if len(sound) == 0:
        return start, end
    first, last = int(sound[0]), int(sound[-1]) + 1
    smooth_M = smooth_M[first:last]
    onset, offset = (_quiet_frames(way_M, audio) for way_M in (smooth_M, smooth_M[::-1]))
    onset, offset = first + onset, last - 1 - offset
    least = frames_of_seconds(_SHORTEST_NOISE_SECONDS, audio.sample_rate_hz, hop)
    return onset if onset - start >= least else start, offset if end - offset >= least else end


def smooth_levels(samples_N: Array, audio: AudioConfig) -> Levels:
    """Level of each frame in dB without clicks and rumble, averaged over three frames."""
    sections = scipy.signal.butter(2, _RUMBLE_HZ, "highpass", fs=audio.sample_rate_hz, output="sos")
    centered_N = samples_N - np.float32(samples_N.mean(dtype=np.float64))  # else the filter begins with a click
    filtered_N = np.asarray(scipy.signal.sosfilt(sections, centered_N), np.float32)
    level_M = without_clicks(levels_db(filtered_N, audio.hop_samples), audio)
    return 10.0 * np.log10(scipy.ndimage.uniform_filter1d(10.0 ** (level_M / 10.0), 3, mode="nearest"))


def _quiet_frames(level_M: Levels, audio: AudioConfig) -> int:
    """Number of frames at the beginning of a clip that hold silence or steady noise, and no speech."""

    def frames(seconds: float) -> int:
        return frames_of_seconds(seconds, audio.sample_rate_hz, audio.hop_samples)

    peak, edge_M = float(level_M.max()), level_M[: frames(_EDGE_SECONDS)]
    noise = float(np.median(edge_M))
    if noise <= peak - audio.trim_db - _HIDDEN_DB:
        onset = int(np.argmax(level_M > peak - audio.trim_db))
        return max(0, onset - frames(_CONTEXT_SECONDS))
    if noise > np.percentile(level_M, _NOISE_PERCENTILE) + _NOISE_DISTANCE_DB:
        return 0
    spread = float(np.percentile(edge_M, 95.0)) - noise + 1.5
    margin = max(spread, _margin_db(peak, noise))
    above = (level_M > noise + margin).astype(np.int8)
    runs = scipy.ndimage.minimum_filter1d(above, _SPEECH_FRAMES, origin=-(_SPEECH_FRAMES // 2))
    speech = np.flatnonzero(runs)
    onset = int(speech[0]) if len(speech) else 0
    earliest = max(0, onset - frames(_WEAK_SECONDS))
    while onset > earliest and level_M[onset - 1] > noise + _WEAK_SHARE * margin:
        onset -= 1
    onset = max(0, onset - frames(_CONTEXT_SECONDS))
    low, high = np.percentile(level_M[: onset + 1], (5.0, 95.0))
    return onset if high - low <= _NOISE_SPREAD_DB else 0


def speech_frames(samples_N: Array, audio: AudioConfig) -> Mask:
    """Which frames are speech or a short pause, by the noise floor of the clip: long pauses over steady noise are not.

    Some context is kept on both sides of a pause. Without a pause, or where the sound between words is not steady, all
    frames are true.
    """

    def frames(seconds: float) -> int:
        return frames_of_seconds(seconds, audio.sample_rate_hz, audio.hop_samples)

    level_M = smooth_levels(samples_N, audio)
    kept = np.ones(len(level_M), bool)
    sounding = level_M[level_M > _FLOOR_DB + 1.0]
    if len(sounding) == 0:
        return kept
    noise = float(np.percentile(sounding, _NOISE_PERCENTILE))
    limit = noise + 2.0 + max(_NOISE_DISTANCE_DB, _margin_db(float(level_M.max()), noise))
    quiet_M = scipy.ndimage.binary_closing(np.pad(level_M <= limit, 3, mode="edge"), np.ones(_SPEECH_FRAMES))[3:-3]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet_M, [False]]).astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        low, high = np.percentile(level_M[start:end], (5.0, 95.0))
        if end - start >= frames(_SHORTEST_NOISE_SECONDS) and (high - low <= _NOISE_SPREAD_DB or high <= _FLOOR_DB):
            context = frames(_CONTEXT_SECONDS)
            kept[start + context : end - context] = False
    return kept


def without_pauses(mel_RC: Array) -> Array:
    """The natural-log mel with every long pause cut down to PAUSE_FRAMES."""
    loudness_R = mel_RC.mean(axis=1)
    quiet_R = loudness_R < loud_level(loudness_R) - PAUSE_DB * NEPER_OF_DB
    at_R = np.arange(len(quiet_R))
    run_R = at_R - np.maximum.accumulate(np.where(quiet_R, -1, at_R))
    return mel_RC if run_R.max() <= PAUSE_FRAMES else np.ascontiguousarray(mel_RC[run_R <= PAUSE_FRAMES])


def loud_level(loudness_R: Array) -> np.float32:
    """The percentile of the loud frames: np.percentile by its own rule, which takes ten times as long."""
    place = (len(loudness_R) - 1) * (LOUD_PERCENTILE / 100.0)
    below = int(place)
    share, ordered_R = place - below, np.sort(loudness_R)
    low, high = ordered_R[below], ordered_R[min(below + 1, len(ordered_R) - 1)]
    if share < 0.5:
        return np.float32(low + (high - low) * np.float32(share))
    return np.float32(high - (high - low) * np.float32(1.0 - share))


def _margin_db(peak: float, noise: float) -> float:
    """How far above the level of the noise speech is."""
    return float(np.clip(_MARGIN_SHARE * (peak - noise), _LEAST_MARGIN_DB, _MOST_MARGIN_DB))


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
    clipped = 0
    for sign in (1.0, -1.0):
        at_peak = sign * samples_N >= _FULL_SCALE_SHARE * peak
        edges = np.flatnonzero(np.diff(np.concatenate([[False], at_peak, [False]]).astype(np.int8)))
        lengths = edges[1::2] - edges[::2]
        clipped += int(lengths[lengths >= _CLIPPED_RUN].sum())
    return clipped / len(samples_N)


def measure_sound(trimmed_N: Array, audio: AudioConfig) -> tuple[float, float]:
    """Seconds of the longest pause within a trimmed clip, and the level of its speech in dB of full scale."""
    level_M = without_clicks(levels_db(trimmed_N, audio.hop_samples), audio)
    peak, noise = float(level_M.max()), float(np.percentile(level_M, _NOISE_PERCENTILE))
    loud = level_M > max(peak - audio.trim_db, min(noise, peak - 20.0) + _margin_db(peak, noise))
    speech_db = 10.0 * np.log10(np.mean(10.0 ** (level_M[loud] / 10.0))) if loud.any() else _FLOOR_DB
    return seconds_of_samples(longest_run(~loud) * audio.hop_samples, audio.sample_rate_hz), float(speech_db)


def longest_run(mask_M: Mask) -> int:
    """Length of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask_M, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
