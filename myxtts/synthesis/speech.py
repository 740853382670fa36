"""Synthesized speech: the results, the notes about them, and joining sentences without clicks or clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy  # its parts are imported at their first use

from myxtts.audio.framing import hann
from myxtts.config.schema import AudioConfig
from myxtts.synthesis.options import LONGEST_SENTENCE_SECONDS, LONGEST_TOKEN_SECONDS
from myxtts.synthesis.word_times import WordTime
from myxtts.units import frames_of_seconds

FloatArray = npt.NDArray[np.float32]

PAUSE_SECONDS = 0.25
HIGHEST_PEAK = 0.98
_FADE_SECONDS = 0.005
_LIMITER_SECONDS = 0.02
_AUDIBLE_DB = 0.5
"""Smaller level changes are inaudible and get no note."""
_FEW_FRAMES = 0.05
"""Share of the voiced frames that may have a limited pitch without a note."""


@dataclass(frozen=True)
class SpokenSentence:
    """One sentence: as written, as normalized, its position in the speech, and its words with their times."""

    text: str
    normalized: str
    start_seconds: float
    seconds: float
    words: tuple[WordTime, ...] = ()


@dataclass(frozen=True, eq=False)
class Speech:
    """The speech of a text.

    Attributes:
        samples: float32[N] within -1..1.
        sample_rate_hz: of the samples.
        mel_MC: natural-log mel float32[M, C], N = M * hop; input for an external vocoder.
        seconds: duration of the speech.
        compute_seconds: time the synthesis took.
        sentences: the sentences in order.
        voice: description of the voice.
        language: code of the language.
        notes: what a user should know, one line each.
        gain: factor applied to all samples to prevent clipping; 1 where no peak would clip.
    """

    samples: FloatArray
    sample_rate_hz: int
    mel_MC: FloatArray
    seconds: float
    compute_seconds: float
    sentences: tuple[SpokenSentence, ...]
    voice: str
    language: str
    notes: tuple[str, ...]
    gain: float = 1.0

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing per second of speech."""
        return self.compute_seconds / self.seconds


@dataclass(frozen=True, eq=False)
class SpeechChunk:
    """One sentence of a stream, or a part of it, with the pause before the sentence.

    Attributes:
        samples: float32[N] within -1..1.
        sample_rate_hz: of the samples.
        mel_MC: natural-log mel float32[M, C], N = M * hop.
        sentence: text and position of the sentence; so are `number`, `capped`, `squeezed`, `voiced` and
            `pitch_limited` those of the sentence, the same in all of its parts.
        number: of the sentence, from 1.
        total: sentences of the text.
        voice: description of the voice, the same in all chunks of a text; so are `language` and `notes`.
        language: code of the language.
        notes: what a user should know of text and voice.
        capped: tokens that were predicted too long and cut.
        squeezed: whether the sentence was predicted too long and shortened.
        gain: factor applied at its loudest peak to prevent clipping; 1 where no peak would clip.
        voiced: number of voiced frames.
        pitch_limited: voiced frames whose pitch was out of `pitch_range_hz` and was limited to it.
        pitch_range_hz: lowest and highest pitch.
        first, last: whether it begins and ends its sentence.
    """

    samples: FloatArray
    sample_rate_hz: int
    mel_MC: FloatArray
    sentence: SpokenSentence
    number: int
    total: int
    voice: str
    language: str
    notes: tuple[str, ...]
    capped: int
    squeezed: bool
    gain: float = 1.0
    voiced: int = 0
    pitch_limited: int = 0
    pitch_range_hz: tuple[float, float] = (0.0, 0.0)
    first: bool = True
    last: bool = True


@dataclass
class SpeechNotes:
    """Counts over the chunks of a text, which are not kept, and the notes that follow from them."""

    sentences: int = 0
    capped: int = 0
    squeezed: int = 0
    attenuated: int = 0
    least_gain: float = 1.0
    voiced: int = 0
    pitch_limited: int = 0
    pitch_range_hz: tuple[float, float] = (0.0, 0.0)
    sentence_gain: float = 1.0

    def add(self, chunk: SpeechChunk) -> None:
        """Counts one more chunk; a sentence counts once it has ended."""
        self.least_gain = min(self.least_gain, chunk.gain)
        self.sentence_gain = min(self.sentence_gain, chunk.gain)
        if not chunk.last:
            return
        self.sentences += 1
        self.capped += chunk.capped
        self.squeezed += chunk.squeezed
        self.attenuated += _attenuation_db(self.sentence_gain) >= _AUDIBLE_DB
        self.sentence_gain = 1.0
        self.voiced += chunk.voiced
        self.pitch_limited += chunk.pitch_limited
        self.pitch_range_hz = chunk.pitch_range_hz

    def lines(self, gain: float = 1.0) -> list[str]:
        """The notes; `gain` is the factor that was applied to all samples alike."""
        notes = []
        if self.capped:
            notes.append(
                f"{self.capped} tokens were predicted longer than {LONGEST_TOKEN_SECONDS:g} s and cut: "
                "the model needs more training"
            )
        if self.squeezed:
            notes.append(
                f"{self.squeezed} of {self.sentences} sentences were predicted longer than "
                f"{LONGEST_SENTENCE_SECONDS:g} s and shortened: the model needs more training"
            )
        if self.pitch_limited > _FEW_FRAMES * self.voiced:
            low, high = self.pitch_range_hz
            share = f"{self.pitch_limited / self.voiced:.0%} of the voiced frames"
            notes.append(f"the pitch was limited to {low:g} to {high:g} Hz in {share}")
        if self.attenuated:
            notes.append(
                f"peaks in {self.attenuated} of {self.sentences} sentences were reduced by up to "
                f"{_attenuation_db(self.least_gain):.1f} dB to prevent clipping"
            )
        if _attenuation_db(gain) >= _AUDIBLE_DB:
            notes.append(f"the level was reduced by {_attenuation_db(gain):.1f} dB to prevent clipping")
        return notes


def _attenuation_db(gain: float) -> float:
    return -20.0 * math.log10(gain)


def floor_mel(mel_MC: FloatArray, audio: AudioConfig) -> FloatArray:
    """A natural-log mel limited to the floor that the mel definition has."""
    floored: FloatArray = np.maximum(mel_MC, np.float32(math.log(audio.log_floor))).astype(np.float32)
    return floored


def level_db(mel_MC: FloatArray) -> float:
    """Mean power in decibels of a sentence, from its natural-log mel, against an arbitrary reference."""
    return 10.0 * math.log10(float(np.exp(2.0 * mel_MC.astype(np.float64)).sum(axis=1).mean()))


def amplify_mel(mel_MC: FloatArray, decibels: float) -> FloatArray:
    """The natural-log mel of the same sound at a changed level."""
    return mel_MC + np.float32(decibels * math.log(10.0) / 20.0)


def sentence_parts(
    mel_MC: FloatArray, waves: Iterable[FloatArray], pause: int, audio: AudioConfig
) -> Iterator[tuple[FloatArray, FloatArray, bool]]:
    """The parts of a sentence, ready to be joined: mel [M, C], samples [N], N = M * hop, and whether it is the last.

    Args:
        mel_MC: the mel of the sentence.
        waves: its samples in parts of whole frames.
        pause: frames of silence before the first part.
    """
    hop, total = audio.hop_samples, len(mel_MC) * audio.hop_samples
    # fades prevent clicks at a pause
    count = min(round(_FADE_SECONDS * audio.sample_rate_hz), total // 2)
    ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)
    done = 0
    for wave_N in waves:
        faded, begin, done = np.array(wave_N, np.float32), done, done + len(wave_N)
        part_MC = mel_MC[begin // hop : done // hop]
        for at, gain in ((0, ramp), (total - count, ramp[::-1])):
            first, end = max(at, begin), min(at + count, done)
            if first < end:
                faded[first - begin : end - begin] *= gain[first - at : end - at]
        if begin == 0 and pause:
            silence_MC = np.full((pause, audio.mel_channels), math.log(audio.log_floor), np.float32)
            part_MC = np.concatenate([silence_MC, part_MC])
            faded = np.concatenate([np.zeros(pause * hop, np.float32), faded])
        yield part_MC, faded, done == total


def pause_frames(audio: AudioConfig, speed: float, *, first: bool, wanted: float | None = None) -> int:
    """Frames of the pause before a sentence; none before the first one.

    wanted: seconds of a pause written in the text, at any speed.
    """
    if first and wanted is None:
        return 0
    seconds = PAUSE_SECONDS / speed if wanted is None else wanted
    return frames_of_seconds(seconds, audio.sample_rate_hz, audio.hop_samples)


def clipping_gain(samples_N: FloatArray) -> float:
    """The factor that prevents clipping; 1 where no peak would clip."""
    peak = float(np.abs(samples_N).max(initial=0.0))
    return HIGHEST_PEAK / peak if peak > HIGHEST_PEAK else 1.0


def limit_peaks(samples_N: FloatArray, sample_rate_hz: int) -> FloatArray:
    """Samples without a peak over 0.98, attenuated only around the peaks that would clip.

    One factor for a whole stream is impossible, since the loudest peak may be yet to come, and one factor per sentence
    would make neighbouring sentences differ in level. The gain falls and rises over a window of 20 ms, before and
    after a peak, which keeps distortion low.
    """
    samples_N = np.asarray(samples_N, np.float32)
    peak_N = np.abs(samples_N)
    if float(peak_N.max(initial=0.0)) <= HIGHEST_PEAK:
        return samples_N
    window = hann(_limiter_samples(sample_rate_hz)).astype(np.float64)
    # First the lowest gain needed within half a window, then its mean over the window: every value that enters the
    # mean at a sample is at most the gain which that sample needs.
    needed_N = HIGHEST_PEAK / np.maximum(peak_N.astype(np.float64), HIGHEST_PEAK)
    least_N = scipy.ndimage.minimum_filter1d(needed_N, len(window), mode="nearest")
    gain_N = scipy.ndimage.convolve1d(least_N, window / window.sum(), mode="nearest")
    limited_N: FloatArray = (samples_N * gain_N).astype(np.float32)
    return limited_N


def _limiter_samples(sample_rate_hz: int) -> int:
    return 2 * round(_LIMITER_SECONDS * sample_rate_hz / 2) + 1


class PeakLimiter:
    """`limit_peaks` for the parts of a sentence: a part is held back as far as a later peak reaches into it."""

    def __init__(self, audio: AudioConfig) -> None:
        self._rate, self._hop = audio.sample_rate_hz, audio.hop_samples
        self._reach = -(-_limiter_samples(self._rate) // self._hop) * self._hop
        self._samples_N = np.zeros(0, np.float32)
        self._mel_MC = np.zeros((0, audio.mel_channels), np.float32)
        self._done = 0
        """Samples at the beginning of `_samples_N` that were returned before; later ones depend on them."""

    def add(self, chunk: SpeechChunk) -> SpeechChunk:
        """The samples and the mel of the sentence that are ready once this chunk is there; all with its last."""
        self._samples_N = np.concatenate([self._samples_N, chunk.samples])
        self._mel_MC = np.concatenate([self._mel_MC, chunk.mel_MC])
        end = len(self._samples_N) if chunk.last else max(self._done, len(self._samples_N) - self._reach)
        ready_N = limit_peaks(self._samples_N, self._rate)[self._done : end]
        frames = len(ready_N) // self._hop
        ready = replace(chunk, samples=ready_N, mel_MC=self._mel_MC[:frames], gain=clipping_gain(chunk.samples))
        keep = len(self._samples_N) if chunk.last else max(0, end - self._reach)
        self._samples_N, self._mel_MC, self._done = self._samples_N[keep:], self._mel_MC[frames:], end - keep
        return ready
