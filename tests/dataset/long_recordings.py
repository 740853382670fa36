"""A long recording of eSpeak NG's voices with pauses, music and noise, its truth, and a recognizer that knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import soxr

from myxtts.dataset.recognizer import RATE_HZ
from myxtts.dataset.recognizer_client import Recognized, RecognizedWord
from myxtts.demo.espeak_voice import EspeakVoice, SpeechJob, speak_to_files

RATE = 22_050
SENTENCES = (
    "The morning was cold, and nobody came to the door.",
    "She waited for an hour beside the old stone wall.",
    "Then a rider came down the road with a letter.",
    "It said that the harbour would be closed until spring.",
    "Nobody in the village had expected such bad news.",
    "They sat by the fire and counted what was left.",
)


def chords(seconds: float, seed: int = 0) -> np.ndarray:
    """Music: three notes at once, changing twice a second."""
    draw, parts = np.random.default_rng(seed), []
    time = np.arange(RATE // 2) / RATE
    for _ in range(round(2 * seconds)):
        notes = 220.0 * 2.0 ** (draw.choice([0, 4, 7, 12, 9, 5], 3, replace=False) / 12)
        tones = sum(np.sin(2 * np.pi * k * note * time) / k for note in notes for k in range(1, 6))
        parts.append(tones * np.exp(-1.5 * time) * np.minimum(1.0, time / 0.01))
    music = np.concatenate(parts)
    return (0.3 * music / np.abs(music).max()).astype(np.float32)


def hiss(seconds: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    return (0.03 * scipy.signal.lfilter([1.0], [1.0, -0.9], noise)).astype(np.float32)


@dataclass
class LongRecording:
    """Samples, and what is where: (start, end, kind, text)."""

    samples: np.ndarray
    truth: list[tuple[float, float, str, str]]

    @property
    def text(self) -> str:
        return " ".join(text for _, _, kind, text in self.truth if kind == "speech")

    def write(self, path: Path, rate: int = RATE) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, soxr.resample(self.samples, RATE, rate), rate)
        return path


def voices(folder: Path) -> dict[str, np.ndarray]:
    """The sentences, spoken."""
    voice = EspeakVoice("en-us", "f3", 150)
    jobs = [SpeechJob(text, voice, f"{at}.wav") for at, text in enumerate(SENTENCES)]
    speak_to_files(jobs, folder)
    return {job.text: soundfile.read(folder / job.path, dtype="float32")[0] for job in jobs}


def assemble(spoken: dict[str, np.ndarray], plan: tuple[str, ...], room_db: float = -62.0) -> LongRecording:
    """A recording of sentences, "music", "noise", and pauses of 0.7 s between them."""
    parts: list[np.ndarray] = []
    truth: list[tuple[float, float, str, str]] = []
    for name in plan:
        known = {"music": chords(5.0), "noise": hiss(4.0)}
        sound = known.get(name, spoken.get(name))
        assert sound is not None
        start = sum(map(len, parts)) / RATE
        kind = name if name in known else "speech"
        truth.append((start, start + len(sound) / RATE, kind, name if kind == "speech" else ""))
        parts += [sound, np.zeros(round(0.7 * RATE), np.float32)]
    samples = np.concatenate(parts)
    samples = samples + np.random.default_rng(1).normal(size=len(samples)) * 10.0 ** (room_db / 20.0)
    return LongRecording(samples.astype(np.float32), truth)


@dataclass
class KnowsTheTruth:
    """A recognizer that finds its samples in the recording and answers with the words that are there.

    `misheard` maps words to what is recognized instead, with a probability of 0.3; `stop_after` calls it is
    interrupted.
    """

    recording: LongRecording
    misheard: dict[str, str] = field(default_factory=dict)
    stop_after: int = 1_000
    calls: int = 0

    def recognize(self, samples_N: np.ndarray) -> Recognized:
        self.calls += 1
        if self.calls > self.stop_after:
            raise KeyboardInterrupt
        whole = soxr.resample(self.recording.samples, RATE, RATE_HZ)
        middle = len(samples_N) // 2
        snippet = samples_N[middle - RATE_HZ // 2 : middle + RATE_HZ // 2]
        found = scipy.signal.fftconvolve(whole, snippet[::-1], mode="valid")
        begin = (int(np.argmax(found)) - middle + RATE_HZ // 2) / RATE_HZ
        end = begin + len(samples_N) / RATE_HZ
        words, speech = [], []
        for start, stop, kind, text in self.recording.truth:
            if kind != "speech" or stop < begin or start > end:
                continue
            speech.append((start - begin, stop - begin))
            letters = sum(map(len, text.split()))
            at = start - begin
            for word in text.split():
                seconds = (stop - start) * len(word) / letters
                said = self.misheard.get(word, word)
                words.append(RecognizedWord(f" {said}", at, at + seconds, 0.95 if said == word else 0.3))
                at += seconds
        return Recognized(words, speech)
