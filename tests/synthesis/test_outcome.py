"""What a listener is told of a text that was spoken."""

import numpy as np
import pytest

from myxtts.synthesis.outcome import Outcome
from myxtts.synthesis.speech import SpokenSentence
from myxtts.synthesis.stream import Piece


def piece(number: int = 1, total: int = 1, capped: int = 0, squeezed: bool = False, **more: object) -> Piece:
    told = SpokenSentence("x", "x", 0.0, 0.0), number, total, "x", "x", (), capped, squeezed
    return Piece(np.zeros(0, np.float32), 22_050, np.zeros((0, 80), np.float32), *told, **more)  # type: ignore[arg-type]


def notes_of(*pieces: Piece, gain: float = 1.0) -> list[str]:
    outcome = Outcome()
    for made in pieces:
        outcome.add(made)
    return outcome.notes(gain)


def test_nothing_is_said_where_nothing_happened() -> None:
    assert notes_of(piece()) == [] == notes_of(piece(gain=0.95), gain=0.95)


def test_durations() -> None:
    assert notes_of(piece(capped=2), piece(capped=1, squeezed=True)) == [
        "3 tokens were predicted longer than 1.5 s and cut: the model needs more training",
        "a sentence was predicted longer than 60 s and squeezed: the model needs more training",
    ]


@pytest.mark.parametrize(("gain", "decibels"), [(0.5, "6.0"), (0.9, "0.9"), (0.01, "40.0")])
def test_a_gain_that_keeps_peaks_from_clipping_is_told(gain: float, decibels: str) -> None:
    assert notes_of(piece(), gain=gain) == [f"all of it was made {decibels} dB softer, so that no peak clips"]


def test_a_limiter_at_work_is_told() -> None:
    assert notes_of(piece(gain=0.5), piece(), piece(gain=0.25), piece(gain=0.97)) == [
        "peaks in 2 of 4 sentences were made up to 12.0 dB softer, so that none clips"
    ]


def test_a_pitch_out_of_range_is_told() -> None:
    within = {"pitch_range_hz": (65.0, 600.0)}
    one, two = piece(voiced=60, pitch_kept=0, **within), piece(voiced=40, pitch_kept=34, **within)
    assert notes_of(one, two) == ["the pitch was kept within 65 to 600 Hz in 34% of the voiced frames"]
    assert notes_of(one) == [] == notes_of(piece(voiced=100, pitch_kept=5, **within)), "a few frames are no matter"
    assert notes_of(piece(voiced=0, pitch_kept=0, **within)) == []
