"""How far speed, pitch, energy and --vary of a trained voice do what they say: asked against measured, on its sound.

Every sentence is spoken plainly and with one thing changed. Speed: how many times shorter the sound became. Pitch: the
median, over frames that are voiced in both, of the semitones between them, by the project's own pitch tracker; the
frames stand at the same place, since pitch changes no duration. Energy: decibels between the levels, before a gain that
keeps peaks from clipping. A sentence counts as one; the table has the median of all and the least and greatest.

Vary: each sentence is spoken with several seeds. How much the delivery differs between them is the deviation of the
duration (in percent) and of the median pitch (in semitones); whether the voice stays is the cosine between the voices
that the model's own encoder hears in them and in the plain sentence. Strength 0 is what phases alone make of it.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from bench import results
from myxtts.audio import pitch
from myxtts.cli.quiet import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, DataError
from myxtts.progress import Progress

if TYPE_CHECKING:
    from myxtts.synthesis import Speech, Synthesizer

SPEEDS = (0.7, 0.85, 1.2, 1.4)
PITCHES = (-7.0, -4.0, -2.0, -1.0, 1.0, 2.0, 4.0, 7.0, 12.0)
ENERGIES = (-6.0, -3.0, 3.0, 6.0)
STRENGTHS = (0.0, 0.5, 1.0, 2.0)
SEEDS = (1, 2, 3, 4)
UNITS = {"speed": "times", "pitch": "semitones", "energy": "dB"}
SENTENCES = (
    "The rain had stopped before the train came in.",
    "Nobody asked where the old map had been found.",
    "We will be there at noon, if the road is open.",
    "A small boat lay on the sand, and its sail was torn.",
    "Please give this letter to the woman at the door.",
    "On most days the market closes late in the evening.",
)
FEWEST_FRAMES = 20
"""Voiced in both, so that a median says something."""


class Asking(TypedDict, total=False):
    """The voice that speaks, for Synthesizer.speak."""

    speaker: str
    references: list[Path]
    language: str


@dataclass(frozen=True)
class Row:
    """One change: what was asked, the median, least and greatest of what came, and of how many sentences."""

    what: str
    asked: float
    measured: float
    least: float
    greatest: float
    sentences: int


@dataclass(frozen=True)
class Variety:
    """What a strength of --vary did, means over the sentences: deviations over the seeds, and the voice's cosine."""

    strength: float
    duration_percent: float
    pitch_semitones: float
    cosine: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("control", "Speed, pitch and energy of a trained voice: asked against measured.")
    add_speech_options(made)
    add_voice_options(made)
    return guarded(lambda: _run(made.parse_args(argv)))


def add_speech_options(made: argparse.ArgumentParser) -> None:
    """The model and the sentences that are spoken."""
    made.add_argument("--checkpoint", metavar="RUN", required=True, help="run directory")
    made.add_argument("--prefer", choices=("best", "last"), default="best", help="which checkpoint (best)")
    made.add_argument("--text-file", metavar="FILE", type=Path, help="sentences, one a line (six English ones)")
    made.add_argument("--language", metavar="CODE", help="of the sentences (the default of the model)")


def add_voice_options(made: argparse.ArgumentParser) -> None:
    """The one voice that speaks, for `asking_of`."""
    made.add_argument("--speaker", metavar="NAME", help="a training speaker (the first)")
    made.add_argument("--reference", metavar="WAV", type=Path, help="a recording of the voice instead")


def sentences_of(path: Path | None) -> list[str]:
    """The lines of a file that are not empty, SENTENCES without one. Raises DataError for a file without any."""
    if path is None:
        return list(SENTENCES)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--text-file {str(path)!r} cannot be read ({error}); name a text in UTF-8") from error
    sentences = [line.strip() for line in lines if line.strip()]
    if not sentences:
        raise DataError(f"--text-file {str(path)!r} holds no sentence; write one a line")
    return sentences


def asking_of(given: Namespace) -> Asking:
    """The voice and the language of the options --speaker, --reference and --language."""
    asking = Asking()
    if given.speaker is not None:
        asking["speaker"] = given.speaker
    if given.reference is not None:
        asking["references"] = [given.reference]
    if given.language is not None:
        asking["language"] = given.language
    return asking


def _run(given: Namespace) -> int:
    sentences, asking = sentences_of(given.text_file), asking_of(given)
    with quiet_loading():
        from myxtts.synthesis.synthesizer import Synthesizer

    screen = Screen()
    synthesizer = Synthesizer.load(given.checkpoint, prefer=given.prefer)
    rows = measure(synthesizer, sentences, asking, screen.progress)
    varieties = measure_variety(synthesizer, sentences, asking, screen.progress)
    screen.close()
    table = [("what", "asked", "measured", "least", "greatest", "sentences")]
    table += [(f"{row.what}, {UNITS[row.what]}", f"{row.asked:g}", *_figures(row), str(row.sentences)) for row in rows]
    figures = {
        "update": synthesizer.source.checkpoint.update,
        "sentences": sentences,
        "rows": [vars(row) for row in rows],
        "vary": [vars(variety) for variety in varieties],
    }
    varied = [("vary", "duration, %", "pitch, semitones", "cosine to the plain voice")]
    varied += [
        (f"{v.strength:g}", f"{v.duration_percent:.2f}", f"{v.pitch_semitones:.2f}", f"{v.cosine:.3f}")
        for v in varieties
    ]
    results.show(f"Delivery of {given.checkpoint}, deviation over {len(SEEDS)} seeds", varied, {}, None, heads=True)
    results.show(f"Control of {given.checkpoint}", table, figures, given.json, heads=True)
    return EXIT_DONE


def _figures(row: Row) -> tuple[str, str, str]:
    return f"{row.measured:.2f}", f"{row.least:.2f}", f"{row.greatest:.2f}"


def measure(synthesizer: Synthesizer, sentences: Sequence[str], asking: Asking, progress: Progress) -> list[Row]:
    """Every change on every sentence. Raises DataError where in no sentence a pitch was heard."""
    changes = [*(("speed", x) for x in SPEEDS), *(("pitch", x) for x in PITCHES), *(("energy", x) for x in ENERGIES)]
    found: dict[tuple[str, float], list[float]] = {change: [] for change in changes}
    for number, sentence in enumerate(sentences):
        plain = synthesizer.speak(sentence, **asking)
        for what, asked in changes:
            if what == "speed":
                other = synthesizer.speak(sentence, speed=asked, **asking)
            elif what == "pitch":
                other = synthesizer.speak(sentence, pitch=asked, **asking)
            else:
                other = synthesizer.speak(sentence, energy=asked, **asking)
            value = _measured(what, plain, other, synthesizer)
            if value is not None:
                found[what, asked].append(value)
        progress("speaking", number + 1, len(sentences))
    rows = []
    for (what, asked), values in found.items():
        if not values:
            raise DataError(f"no sentence has {FEWEST_FRAMES} frames with a pitch in them; train the model longer")
        rows.append(Row(what, asked, statistics.median(values), min(values), max(values), len(values)))
    return rows


def measure_variety(
    synthesizer: Synthesizer, sentences: Sequence[str], asking: Asking, progress: Progress
) -> list[Variety]:
    """What each strength of --vary does to the delivery and to the voice."""
    found: dict[float, list[tuple[float, float, float]]] = {strength: [] for strength in STRENGTHS}
    for number, sentence in enumerate(sentences):
        plain_E = synthesizer.voice([synthesizer.speak(sentence, **asking).samples])[0].voice_E
        for strength in STRENGTHS:
            spoken = [synthesizer.speak(sentence, vary=strength, seed=seed, **asking) for seed in SEEDS]
            seconds = [math.log(speech.seconds) for speech in spoken]
            pitches = [12.0 * math.log2(hz) for speech in spoken if (hz := _median_hz(speech, synthesizer)) > 0]
            cosines = [float(plain_E @ synthesizer.voice([speech.samples])[0].voice_E) for speech in spoken]
            spread = statistics.pstdev(pitches) if pitches else 0.0
            found[strength].append((100.0 * statistics.pstdev(seconds), spread, statistics.mean(cosines)))
        progress("varying", number + 1, len(sentences))
    return [Variety(s, *(statistics.mean(column) for column in zip(*rows, strict=True))) for s, rows in found.items()]


def _median_hz(speech: Speech, synthesizer: Synthesizer) -> float:
    """Median pitch of a sentence, 0 where none was heard."""
    hz_M = pitch.track(speech.samples, synthesizer.config.audio)
    return float(np.median(hz_M[hz_M > 0])) if (hz_M > 0).any() else 0.0


def _measured(what: str, plain: Speech, other: Speech, synthesizer: Synthesizer) -> float | None:
    """What came of a change; None where no pitch was heard."""
    if what == "speed":
        return len(plain.samples) / len(other.samples)
    if what == "energy":
        return level_db(other) - level_db(plain)
    return semitones_between(plain, other, synthesizer)


def level_db(speech: Speech) -> float:
    """Mean power in decibels, without the gain that kept peaks from clipping."""
    samples = speech.samples.astype(np.float64) / speech.gain
    return float(10.0 * np.log10(np.mean(samples**2) + 1e-12))


def semitones_between(plain: Speech, other: Speech, synthesizer: Synthesizer) -> float | None:
    """Median of how much higher the other one is, frame by frame; None where too few frames have a pitch in both."""
    plain_M, other_M = (pitch.track(speech.samples, synthesizer.config.audio) for speech in (plain, other))
    both = (plain_M > 0) & (other_M > 0)
    if int(both.sum()) < FEWEST_FRAMES:
        return None
    return float(np.median(12.0 * np.log2(other_M[both] / plain_M[both])))


if __name__ == "__main__":
    sys.exit(main())
