"""How long a listener waits: from the call of the stream to its first sentence, against the whole text at once.

Both are given the same text in turn, in one process after the model was loaded, and compared as a ratio of the same
round. What follows from the call belongs to it: the text is read, the voice of a recording heard, a sentence made. The
first call after loading builds graphs, as the first text of every command does, so it stands apart; before the rounds
the whole text is spoken once, so that these build none.
"""

from __future__ import annotations

import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import results
from bench.control import Asking, add_speech_options, add_voice_options, asking_of, sentences_of
from myxtts.cli.quiet import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError, DataError
from myxtts.progress import Progress

if TYPE_CHECKING:
    from myxtts.synthesis import Synthesizer


@dataclass(frozen=True)
class First:
    """The first sentence of a stream: seconds until it was there, seconds of its sound, sentences of the text."""

    wait_seconds: float
    sound_seconds: float
    sentences: int


@dataclass(frozen=True)
class Waits:
    """What was measured, all in seconds: the first call, and in each round the first sound and the whole text."""

    cold: First
    first: list[float]
    whole: list[float]
    whole_sound_seconds: float

    @property
    def ratios(self) -> list[float]:
        """First sound over whole text, round by round."""
        return [first / whole for first, whole in zip(self.first, self.whole, strict=True)]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("first_sound", "Seconds to the first sound of a stream, against the whole text at once.")
    add_speech_options(made)
    add_voice_options(made)
    made.add_argument("--rounds", metavar="N", type=int, default=20, help="of both in turn (20)")
    return guarded(lambda: _run(made.parse_args(argv)))


def _run(given: Namespace) -> int:
    if given.rounds < 1:
        raise ConfigError([f"--rounds is {given.rounds}, expected at least 1"])
    text, asking = " ".join(sentences_of(given.text_file)), asking_of(given)
    with quiet_loading():
        from myxtts.synthesis.synthesizer import Synthesizer

    screen = Screen()
    synthesizer = Synthesizer.load(given.checkpoint, prefer=given.prefer)
    waits = measure(synthesizer, text, asking, given.rounds, screen.progress)
    screen.close()
    rows: list[tuple[str, ...]] = [("", "first sound, s", "whole text, s", "first / whole")]
    rows.append(("first call after loading", f"{waits.cold.wait_seconds:.3f}", "", ""))
    columns = (waits.first, waits.whole, waits.ratios)
    for name, taken in (("median of the rounds", statistics.median), ("least", min), ("most", max)):
        rows.append((name, *(f"{taken(column):.3f}" for column in columns)))
    figures = {
        "update": synthesizer.source.checkpoint.update,
        "text": text,
        **vars(waits),
        "cold": vars(waits.cold),
        "ratios": waits.ratios,
    }
    results.show(f"First sound of {given.checkpoint}, {given.rounds} rounds", rows, figures, given.json, heads=True)
    first = f"the first sentence is {waits.cold.sound_seconds:.2f} s of sound"
    print(f"{first}, the text of {waits.cold.sentences} sentences {waits.whole_sound_seconds:.2f} s")
    return EXIT_DONE


def measure(synthesizer: Synthesizer, text: str, asking: Asking, rounds: int, progress: Progress) -> Waits:
    """The first call, then both in turn. Raises DataError for a text of one sentence, which says nothing."""
    cold = first_of(synthesizer, text, asking)
    if cold.sentences < 2:
        raise DataError("the text is read as one sentence, of which a stream and the whole are the same; give several")
    sound = synthesizer.speak(text, **asking).seconds
    spent: list[tuple[float, float]] = []
    for number in range(rounds):
        # In another order every time: what one leaves in the caches is no advantage of the other.
        if number % 2:
            whole = _seconds_of_all(synthesizer, text, asking)
            first = first_of(synthesizer, text, asking).wait_seconds
        else:
            first = first_of(synthesizer, text, asking).wait_seconds
            whole = _seconds_of_all(synthesizer, text, asking)
        spent.append((first, whole))
        progress("rounds", number + 1, rounds)
    return Waits(cold, [first for first, _ in spent], [whole for _, whole in spent], sound)


def first_of(synthesizer: Synthesizer, text: str, asking: Asking) -> First:
    """The first sentence of a stream; the others are not made."""
    begun = time.perf_counter()
    piece = next(synthesizer.stream(text, **asking))
    waited = time.perf_counter() - begun
    return First(waited, len(piece.samples) / piece.sample_rate_hz, piece.total)


def _seconds_of_all(synthesizer: Synthesizer, text: str, asking: Asking) -> float:
    begun = time.perf_counter()
    synthesizer.speak(text, **asking)
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
