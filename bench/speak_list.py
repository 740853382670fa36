"""Synthesizes the sentences of a list with one model, in the voices of their references; prints the real-time factor.

The list is JSON: [{"text": ..., "language": ..., "reference": WAV}, ...] (as bench.recordings writes held_out.json).
OUT gets 01.wav, 02.wav, ... and list.tsv: wav, text, reference, one line per sentence.
"""

from __future__ import annotations

import json
import statistics
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from bench import results
from myxtts.audio.waveform import write_wav
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Speaks as `argv` says; returns the exit code."""
    made = results.parser("speak_list", "Speaks a list of sentences, each in the voice of its reference.")
    made.add_argument("--checkpoint", metavar="RUN", required=True, help="run directory")
    made.add_argument("--list", metavar="FILE", type=Path, required=True, help="JSON list: text, language, reference")
    made.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the WAV files")
    made.add_argument("--prefer", choices=("best", "last"), default="last", help="which checkpoint (last)")
    made.add_argument("--pitch-range", metavar="X", type=float, default=1.0, help="scale of the intonation range (1)")
    made.add_argument("--steps", metavar="N", type=int, help="flow: Euler steps, 0: only its draft")
    made.add_argument("--temperature", metavar="X", type=float, default=0.667, help="flow: of its noise (0.667)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    with quiet_loading():
        from myxtts.synthesis.synthesizer import Synthesizer

    screen = Screen()
    rows = json.loads(given.list.read_text(encoding="utf-8"))
    given.out.mkdir(parents=True, exist_ok=True)
    synthesizer = Synthesizer.load(given.checkpoint, prefer=given.prefer)
    # The first sentence builds graphs and is not timed.
    synthesizer.speak(rows[0]["text"], references=[rows[0]["reference"]], language=rows[0]["language"])
    factors, lines, seconds = [], [], 0.0
    for number, row in enumerate(rows, 1):
        speech = synthesizer.speak(
            row["text"],
            references=[row["reference"]],
            language=row["language"],
            pitch_range=given.pitch_range,
            steps=given.steps,
            temperature=given.temperature,
        )
        path = given.out / f"{number:02d}.wav"
        write_wav(path, speech.samples, speech.sample_rate_hz)
        lines.append(f"{path}\t{row['text']}\t{row['reference']}")
        factors.append(speech.real_time_factor)
        seconds += speech.seconds
        screen.progress("speaking", number, len(rows))
    screen.close()
    (given.out / "list.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    figures = {
        "update": synthesizer.opened.update,
        "sentences": len(rows),
        "seconds": seconds,
        "pitch_range": given.pitch_range,
        "steps": given.steps,
        "temperature": given.temperature,
        "real_time_factor": statistics.median(factors),
    }
    results.show(
        f"Spoken by {given.checkpoint}",
        [
            (name.replace("_", " "), f"{value:.3g}" if isinstance(value, float) else str(value))
            for name, value in figures.items()
        ],
        figures,
        given.json,
        heads=False,
    )
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
