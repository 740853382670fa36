"""Notes about synthesized speech."""

import numpy as np
import pytest

from myxtts.synthesis.speech import SpeechChunk, SpeechNotes, SpokenSentence


def chunk(number: int = 1, total: int = 1, capped: int = 0, squeezed: bool = False, **more: object) -> SpeechChunk:
    fields = SpokenSentence("x", "x", 0.0, 0.0), number, total, "x", "x", (), capped, squeezed
    return SpeechChunk(np.zeros(0, np.float32), 22_050, np.zeros((0, 80), np.float32), *fields, **more)  # type: ignore[arg-type]


def notes_of(*chunks: SpeechChunk, gain: float = 1.0) -> list[str]:
    notes = SpeechNotes()
    for made in chunks:
        notes.add(made)
    return notes.lines(gain)


def test_no_notes_without_a_reason() -> None:
    assert notes_of(chunk()) == [] == notes_of(chunk(gain=0.95), gain=0.95)


def test_durations() -> None:
    assert notes_of(chunk(capped=2), chunk(capped=1, squeezed=True)) == [
        "3 tokens were predicted longer than 1.5 s and cut: the model needs more training",
        "1 of 2 sentences were predicted longer than 60 s and shortened: the model needs more training",
    ]


@pytest.mark.parametrize(("gain", "decibels"), [(0.5, "6.0"), (0.9, "0.9"), (0.01, "40.0")])
def test_reduced_level(gain: float, decibels: str) -> None:
    assert notes_of(chunk(), gain=gain) == [f"the level was reduced by {decibels} dB to prevent clipping"]


def test_limited_peaks() -> None:
    assert notes_of(chunk(gain=0.5), chunk(), chunk(gain=0.25), chunk(gain=0.97)) == [
        "peaks in 2 of 4 sentences were reduced by up to 12.0 dB to prevent clipping"
    ]


def test_limited_pitch() -> None:
    within = {"pitch_range_hz": (65.0, 600.0)}
    one, two = chunk(voiced=60, pitch_limited=0, **within), chunk(voiced=40, pitch_limited=34, **within)
    assert notes_of(one, two) == ["the pitch was limited to 65 to 600 Hz in 34% of the voiced frames"]
    assert notes_of(one) == [] == notes_of(chunk(voiced=100, pitch_limited=5, **within)), "a few frames get no note"
    assert notes_of(chunk(voiced=0, pitch_limited=0, **within)) == []
