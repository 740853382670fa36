"""Each part of a recording as a clip with its text and a confidence, or with the reason why it is dropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from myxtts.audio import waveform
from myxtts.audio.activity import measure_sound
from myxtts.dataset.cuts import Span, WordPlaces
from myxtts.dataset.sound import ANALYSIS, Array, Sound
from myxtts.dataset.speech import noise_db
from myxtts.dataset.words import TimedWord, key_words

NO_WORDS = "no words were recognized"
NO_SPEECH = "no speech was found"
NOT_IN_TEXT = "not in the transcript"
NOISY = "noisy"
QUIET = "too quiet"

_LEAST_SPEECH = 0.3
"""Share of a clip that the voice activity detector must find to be speech."""
_LEAST_ALIGNED = 0.3
_LEAST_NOISE_DISTANCE_DB = 15.0
_QUIETEST_DB = -60.0
_LETTERS_PER_SECOND = (4.0, 28.0)
_ODD_RATE = 0.3
_LEAST_LETTER_SECONDS = 0.045
_HIGHEST_PEAK = 0.97
_FADE_SECONDS = 0.005


@dataclass(frozen=True)
class Clip:
    """A part of a recording.

    Attributes:
        recording: its name.
        start: where it begins there, in seconds.
        end: where it ends.
        id: of the clip; empty if it is dropped.
        text: what is said; empty if texts were not wanted.
        confidence: confidence of the text, 0 to 1.
        speaker: who speaks.
        reason: why it is dropped; empty for a clip.
        value: what was measured, for the reason.
    """

    recording: str
    start: float
    end: float
    id: str = ""
    text: str = ""
    confidence: float = 0.0
    speaker: str = ""
    reason: str = ""
    value: str = ""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start

    def dropped(self, reason: str, value: str = "") -> Clip:
        """The clip, dropped."""
        return replace(self, id="", reason=reason, value=value)


@dataclass(frozen=True)
class Spoken:
    """What is said in a recording.

    Attributes:
        recognized: words as they were recognized.
        words: the words of the text: those of a transcript, or the recognized ones.
        speech: parts that the voice activity detector found, in seconds.
        aligned: whether `words` are those of a transcript.
    """

    recognized: Sequence[TimedWord]
    words: Sequence[TimedWord]
    speech: Sequence[tuple[float, float]]
    aligned: bool


def clips_of(name: str, speaker: str, spans: Sequence[Span], spoken: Spoken | None, language: str) -> list[Clip]:
    """The spans of a recording with their texts."""
    places = WordPlaces(spoken.words) if spoken else None
    recognized = WordPlaces(spoken.recognized) if spoken else None
    clips: list[Clip] = []
    for at, span in enumerate(spans):
        clip = Clip(name, round(span.start, 3), round(span.end, 3), f"{name}-{at + 1:04d}", speaker=speaker)
        if span.reason:
            clip = clip.dropped(span.reason, f"{span.seconds:.1f} s")
        elif spoken and places and recognized:
            low = 0.5 * (spans[at - 1].end + span.start) if at else 0.0
            high = 0.5 * (span.end + spans[at + 1].start) if at + 1 < len(spans) else math.inf
            clip = _with_text(clip, places.between(low, high), recognized.between(low, high), spoken, language)
        clips.append(clip)
    return clips


def _with_text(
    clip: Clip, words: Sequence[TimedWord], recognized: Sequence[TimedWord], spoken: Spoken, language: str
) -> Clip:
    """The clip with the text of its words, or dropped."""
    covered = sum(max(0.0, min(end, clip.end) - max(start, clip.start)) for start, end in spoken.speech)
    if covered < _LEAST_SPEECH * clip.seconds:
        return clip.dropped(NO_SPEECH, f"speech in {covered:.1f} of {clip.seconds:.1f} s")
    if not recognized:
        return clip.dropped(NO_WORDS, f"{clip.seconds:.1f} s")
    said = " ".join(word.text for word in recognized)
    if spoken.aligned:
        words = _without_unspoken(words)
        sure = _aligned_confidence(words, recognized, language)
        if not words or sure < _LEAST_ALIGNED:
            return clip.dropped(NOT_IN_TEXT, f"recognized: {said}")
    else:
        sure = _recognized_confidence(words)
    text = _one_cell(" ".join(word.text for word in words))
    rate = sum(map(str.isalnum, text)) / clip.seconds
    if not _LETTERS_PER_SECOND[0] <= rate <= _LETTERS_PER_SECOND[1]:
        sure = min(sure, _ODD_RATE)
    return replace(clip, text=text, confidence=round(sure, 2))


def _without_unspoken(words: Sequence[TimedWord]) -> Sequence[TimedWord]:
    """The words without unspoken ones, such as a heading: at the ends, or where there is no time for them."""
    kept: list[TimedWord] = []
    run: list[TimedWord] = []
    for word in words:
        if not word.spoken:
            run.append(word)
            continue
        needed = _LEAST_LETTER_SECONDS * sum(len(unspoken.text) for unspoken in run)
        if kept and word.start - kept[-1].end >= needed:
            kept += run
        run = []
        kept.append(word)
    return kept


def _recognized_confidence(words: Sequence[TimedWord]) -> float:
    """The geometric mean of the probabilities, lowered by the least probable word."""
    scores = [max(1e-3, min(1.0, word.score)) for word in words]
    return math.sqrt(math.exp(sum(map(math.log, scores)) / len(scores)) * min(scores))


def _aligned_confidence(words: Sequence[TimedWord], recognized: Sequence[TimedWord], language: str) -> float:
    """Share of the letters of the text, or of what was recognized if that is more, that are the same in both."""
    sizes = [sum(map(len, key_words(word.text, language))) for word in words]
    said = sum(len(key) for word in recognized for key in key_words(word.text, language))
    same = sum(size * word.score for size, word in zip(sizes, words, strict=True))
    return same / max(sum(sizes), said, 1)


def _one_cell(text: str) -> str:
    """A text that fits into a cell of a table separated by |: one line, no open quote."""
    text = " ".join(text.replace("|", " ").split())
    return text.replace('"', "") if text.count('"') % 2 else text


def sound_of(clip: Clip, sound: Sound, level_db: float) -> tuple[Array, Clip]:
    """The samples of a clip at the requested level of its speech, and the clip, which may be dropped for its sound."""
    samples_N = sound.between(clip.start, clip.end)
    loud, quiet = noise_db(sound.level_M, clip.start, clip.end)
    if loud < _QUIETEST_DB or waveform.is_silent(samples_N):
        return samples_N, clip.dropped(QUIET, f"speech at {loud:.0f} dB of full scale")
    if loud - quiet < _LEAST_NOISE_DISTANCE_DB:
        return samples_N, clip.dropped(NOISY, f"speech is {loud - quiet:.0f} dB above the noise")
    samples_N = samples_N - np.float32(samples_N.mean(dtype=np.float64))
    at_analysis = sound.between(clip.start, clip.end, ANALYSIS.sample_rate_hz)
    gain = 10.0 ** ((level_db - measure_sound(at_analysis, ANALYSIS)[1]) / 20.0)
    gain = min(gain, _HIGHEST_PEAK / max(1e-6, float(np.abs(samples_N).max())))
    samples_N = samples_N * np.float32(gain)
    fade = min(len(samples_N) // 2, round(_FADE_SECONDS * sound.rate_hz))
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    samples_N[:fade] *= ramp
    samples_N[len(samples_N) - fade :] *= ramp[::-1]
    return samples_N, clip
