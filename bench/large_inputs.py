"""Large tables and long texts: processor time at a tenth and at the full size, which shows what is not linear.

python -m bench.large_inputs --rows 1000000 --recordings 100000 --characters 100000

`table` reads the rows alone, `root` finds the (empty) recordings too, `audit` looks for anomalies in texts and
speakers.
`text` is a text of one kind, read as `myxtts speak` reads it: markup, sentences, normalization, phonemes.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench import results
from myxtts.cli.screen import Screen, guarded
from myxtts.data.anomalies import text_anomalies
from myxtts.data.manifest import read_root
from myxtts.data.table import read_table
from myxtts.errors import EXIT_DONE
from myxtts.text.normalization import normalize
from myxtts.text.normalization.markup import interpreted
from myxtts.text.phonemes import transcribe
from myxtts.text.sentences import split_sentences

WORDS = ("river", "stone", "light", "paper", "seven", "window", "morning", "quiet", "under", "of", "a", "in", "was")
TEXTS = {
    "sentences": ("en-us", "The birch canoe slid on 25 smooth planks, Mr. Smith said. "),
    "one sentence": ("en-us", "and the birch canoe slid "),
    "one word": ("en-us", "canoe"),
    "digits": ("en-us", "7"),
    "numerals": ("en-us", "Henry VIII, Part IV of World War II's 24/7. "),
    "money and dates": ("en-us", "$10-$20 million on 12/25/2024 at 3:30 p.m., "),
    "tags": ("en-us", "<p>a<br/>[pause 1]</p>"),
    "addresses": ("en-us", "a.b@example.com https://x.org/a/b?c=d. "),
    "marks": ("en-us", ".,-'\"!?("),
    "Persian": ("fa", "مادر بزرگ من ۲۵ کتاب دارد. "),
    "one Persian word": ("fa", "کتاب"),
}
"""Kind -> language, and what is repeated."""


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the processor time of large tables and long texts."""
    parser = results.parser("large_inputs", "processor time of large tables and long texts, at a tenth and in full")
    parser.add_argument("--rows", metavar="N", type=int, default=1_000_000, help="rows of a table (1,000,000)")
    parser.add_argument("--recordings", metavar="N", type=int, default=100_000, help="recordings of a root (100,000)")
    parser.add_argument("--characters", metavar="N", type=int, default=100_000, help="length of a text (100,000)")
    given = parser.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: argparse.Namespace) -> int:
    screen, table = Screen(), [("what", "size", "CPU seconds", "a tenth", "times as long")]
    figures: dict[str, object] = {}

    def measured(what: str, size: int, run: Callable[[int], float]) -> None:
        tenth, full = run(max(1, size // 10)), run(size)
        figures[what] = {"size": size, "seconds": full, "tenth": tenth}
        table.append((what, f"{size:,}", f"{full:.2f}", f"{tenth:.2f}", f"{full / max(tenth, 1e-6):.1f}"))
        screen.say(f"{what}: {full:.2f} s")

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for form in ("plain", "quoted"):
            measured(f"table, {form}", given.rows, partial(_table_seconds, root, form))
        measured("root", given.recordings, lambda rows: _root_seconds(root, rows)[0])
        measured("audit", given.recordings, lambda rows: _root_seconds(root, rows)[1])
    transcribe(["a", "گ"], "fa")  # loads the library and the weights
    for kind in TEXTS:
        measured(f"text, {kind}", given.characters, partial(_text_seconds, kind))
    figures["peak_mb"] = peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    screen.close()
    results.show(f"Large inputs; peak memory {peak:,.0f} MB", table, figures, given.json, heads=True)
    return EXIT_DONE


def _write_table(path: Path, rows: int, form: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("id,speaker,text\n" if form == "quoted" else "")
        for row in range(rows):
            text = " ".join(WORDS[(row * 7 + at * at) % len(WORDS)] for at in range(12))
            if form == "quoted":
                file.write(f'c{row:07d},s{row % 500},"{text}, ""{row}"" said."\n')
            else:
                file.write(f"c{row:07d}|{text} {row}.|s{row % 500}\n")


def _table_seconds(folder: Path, form: str, rows: int) -> float:
    path = folder / "table.csv"
    _write_table(path, rows, form)
    start = time.process_time()
    found = read_table(path)
    seconds = time.process_time() - start
    assert len(found.rows) == rows and not found.rejections, found.rejections[:3]
    return seconds


def _root_seconds(folder: Path, rows: int) -> tuple[float, float]:
    """Seconds to read a root, and to look for anomalies in it."""
    (folder / "wavs").mkdir(exist_ok=True)
    for row in range(rows):
        (folder / "wavs" / f"c{row:07d}.wav").touch()
    _write_table(folder / "metadata.csv", rows, "plain")
    start = time.process_time()
    manifest = read_root(folder, "train", "en-us")
    read = time.process_time()
    text_anomalies(manifest)
    assert len(manifest.utterances) == rows
    return read - start, time.process_time() - read


def _text_seconds(kind: str, size: int) -> float:
    language, piece = TEXTS[kind]
    text = (piece * (size // len(piece) + 1))[:size]
    start = time.process_time()
    sentences = split_sentences(interpreted(text)[0])
    transcribe([normalize(sentence, language) for sentence in sentences], language)
    normalize(text, language)
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
