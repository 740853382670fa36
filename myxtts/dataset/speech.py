"""Finds the phrases of a long recording, and the parts that are noise or music.

A phrase is sound between two pauses. Limits follow the surroundings, since the noise of a long recording changes. The
limits for noise and music are from 213 windows of 110 recordings (docs/log/2026-12-01-dataset.md has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from myxtts.audio import pitch
from myxtts.audio.activity import without_clicks
from myxtts.dataset.sound import ANALYSIS, FRAME_SECONDS, Sound
from myxtts.progress import Progress

Levels = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NOISE = "noise"
MUSIC = "music or tones"
BACKGROUND = "music or noise under it"
_PROBLEMS = ("", NOISE, MUSIC, BACKGROUND)

SHORTEST_PAUSE_SECONDS = 0.15
_LONGEST_REST_SECONDS = 2.0
_SHORTEST_PHRASE_SECONDS = 0.08
_SURROUNDINGS_SECONDS = 6.0
_SILENCE_DB = -100.0
_QUIET_SHARE, _LEAST_QUIET_DB = 0.3, 5.0
"""A pause is at most this share of the range between noise and speech, and so many decibels, above the noise."""
_LOW_DB, _HIGH_DB = 45.0, 12.0
"""A pause is at least so far below the speech around it, and what is further below is always one."""
_BLOCK_SECONDS = 60.0
_WINDOW_SECONDS, _STEP_SECONDS = 2.5, 0.3
_LOUD_DB = 30.0
_LEAST_VOICED = 0.2
"""Of the loud frames of speech 0.31 and more are voiced, of noise none."""
_MOST_STILL, _STILL_SEMITONES = 0.27, 0.03
"""Share of voiced frames whose pitch stays: at most 0.21 in speech, 0.16 to 0.98 in chords."""
_LEAST_CHANGE_DB, _LEAST_CHANGE_QUIET_DB, _LEAST_QUIET, _QUIET_POWER = 6.0, 7.0, 0.2, 0.25
"""The level of speech varies by over 7 dB, and 0.21 of each second and more is quiet; of music at most 0.19."""


@dataclass(frozen=True)
class Phrase:
    """Sound between two pauses, in seconds. `problem` is empty for speech, else what it is."""

    start: float
    end: float
    problem: str = ""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


def find_phrases(sound: Sound, progress: Progress, task: str) -> list[Phrase]:
    """The phrases of a recording in their order, speech and what is not."""
    level_M = _smooth(without_clicks(sound.level_M.astype(np.float64), ANALYSIS))
    if len(level_M) == 0 or float(level_M.max()) <= _SILENCE_DB:
        return []
    quiet_M = _quiet_frames(level_M)
    problem_M = _problems(level_M, _pitch(sound, len(level_M), progress, task))
    phrases: list[Phrase] = []
    edges = np.flatnonzero(np.diff(np.concatenate([[True], quiet_M, [True]]).astype(np.int8)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        changes = np.flatnonzero(np.diff(problem_M[first:last])) + 1
        bounds = [int(first), *(int(first) + change for change in changes.tolist()), int(last)]
        parts = [
            Phrase(start * FRAME_SECONDS, end * FRAME_SECONDS, _PROBLEMS[int(problem_M[start])])
            for start, end in pairwise(bounds)
        ]
        phrases += _without_rests(parts)
    return _without_crumbs(phrases)


def noise_db(level_M: npt.NDArray[np.float32], start: float, end: float) -> tuple[float, float]:
    """Levels of the speech (its loud frames) and of the quietest frames from `start` to `end`."""
    part = level_M[round(start / FRAME_SECONDS) : round(end / FRAME_SECONDS)].astype(np.float64)
    if len(part) == 0:
        return _SILENCE_DB, _SILENCE_DB
    return float(np.percentile(part, 90.0)), float(np.percentile(part, 3.0))


def _smooth(level_M: Levels) -> Levels:
    """Levels averaged over three frames."""
    power_M = scipy.ndimage.uniform_filter1d(10.0 ** (level_M / 10.0), 3, mode="nearest")
    return np.asarray(10.0 * np.log10(np.maximum(power_M, 1e-12)))


def _quiet_frames(level_M: Levels) -> Mask:
    """Which frames belong to a pause of at least 0.15 s."""
    reach = 2 * round(_SURROUNDINGS_SECONDS / FRAME_SECONDS) + 1
    short = round(0.1 / FRAME_SECONDS)
    mean_M = 10.0 * np.log10(scipy.ndimage.uniform_filter1d(10.0 ** (level_M / 10.0), short, mode="nearest"))
    audible = mean_M > _SILENCE_DB  # digital silence says nothing about the noise
    floor_M = scipy.ndimage.minimum_filter1d(np.where(audible, mean_M, 0.0), reach, mode="nearest")
    peak_M = scipy.ndimage.maximum_filter1d(mean_M, reach, mode="nearest")
    speech = float(np.percentile(mean_M[audible], 95.0)) if audible.any() else _SILENCE_DB
    peak_M = np.maximum(peak_M, speech - 15.0)  # else a long pause becomes a phrase of noise
    limit_M = floor_M + np.maximum(_LEAST_QUIET_DB, _QUIET_SHARE * (peak_M - floor_M))
    limit_M = np.clip(limit_M, peak_M - _LOW_DB, peak_M - _HIGH_DB)
    sounding = scipy.ndimage.binary_opening(level_M > limit_M, np.ones(3))
    shortest = np.ones(round(SHORTEST_PAUSE_SECONDS / FRAME_SECONDS))
    quiet_M = ~scipy.ndimage.binary_closing(np.pad(sounding, 20), shortest)
    return np.asarray(quiet_M[20:-20])


def _pitch(sound: Sound, frames: int, progress: Progress, task: str) -> npt.NDArray[np.float32]:
    """Pitch of each frame, 0 where unvoiced, computed block by block."""
    per_block = round(_BLOCK_SECONDS / FRAME_SECONDS)
    pitch_M = np.zeros(frames, np.float32)
    for first in range(0, frames, per_block):
        start = first * FRAME_SECONDS
        samples_N = sound.between(start, start + per_block * FRAME_SECONDS, ANALYSIS.sample_rate_hz)
        found = pitch.track(samples_N, ANALYSIS)[: min(per_block, frames - first)]
        pitch_M[first : first + len(found)] = found
        progress(task, min(frames, first + per_block), frames)
    return pitch_M


def _problems(level_M: Levels, pitch_M: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """For each frame the index in _PROBLEMS of the majority of the windows around it; 0 for speech."""
    size, step = round(_WINDOW_SECONDS / FRAME_SECONDS), round(_STEP_SECONDS / FRAME_SECONDS)
    votes = np.zeros((len(_PROBLEMS), len(level_M)), np.int16)
    semitone_M = 12.0 * np.log2(np.where(pitch_M > 0, pitch_M, 1.0))
    for first in range(0, max(1, len(level_M) - size + step), step):
        window = slice(first, first + size)
        votes[_window_problem(level_M[window], semitone_M[window], pitch_M[window] > 0), window] += 1
    found = votes[1:].argmax(axis=0) + 1
    return np.where(2 * votes[0] < votes.sum(axis=0), found, 0).astype(np.int8)


def _window_problem(level_M: Levels, semitone_M: Levels, voiced_M: Mask) -> int:
    loud_M = level_M > np.percentile(level_M, 95.0) - _LOUD_DB
    if float(voiced_M[loud_M].mean()) < _LEAST_VOICED:
        return 1
    both_M = voiced_M[1:] & voiced_M[:-1]
    steps = np.abs(np.diff(semitone_M))[both_M]
    if len(steps) and float((steps < _STILL_SEMITONES).mean()) > _MOST_STILL:
        return 2
    change = float(level_M.std())
    if change < _LEAST_CHANGE_DB or (change < _LEAST_CHANGE_QUIET_DB and _quiet_share(level_M) < _LEAST_QUIET):
        return 3
    return 0


def _quiet_share(level_M: Levels) -> float:
    """Share of the frames whose power is under a quarter of the mean of their second."""
    parts = np.array_split(10.0 ** (level_M / 10.0), max(1, round(len(level_M) * FRAME_SECONDS)))
    return float(np.mean([(part < _QUIET_POWER * part.mean()).mean() for part in parts]))


def _without_rests(parts: list[Phrase]) -> list[Phrase]:
    """The parts of a stretch without a pause; a short stretch gets the majority, since windows reach beyond it."""
    seconds: dict[str, float] = {}
    for part in parts:
        seconds[part.problem] = seconds.get(part.problem, 0.0) + part.seconds
    mostly = max(seconds, key=lambda problem: seconds[problem])
    return [replace(part, problem=mostly) if part.seconds < _LONGEST_REST_SECONDS else part for part in parts]


def _without_crumbs(phrases: list[Phrase]) -> list[Phrase]:
    """The phrases without very short ones; equal parts of one stretch are joined."""
    kept: list[Phrase] = []
    for phrase in phrases:
        touches = bool(kept) and phrase.start - kept[-1].end < FRAME_SECONDS / 2
        if touches and kept[-1].problem == phrase.problem:
            kept[-1] = replace(kept[-1], end=phrase.end)
        else:
            kept.append(phrase)
    return [phrase for phrase in kept if phrase.seconds >= _SHORTEST_PHRASE_SECONDS]
