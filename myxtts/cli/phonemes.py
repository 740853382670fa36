"""`myxtts phonemes`: shows how a text is prepared for a model, word by word."""

from __future__ import annotations

import unicodedata
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.arguments import OneLineParser, add_dictionary_option
from myxtts.cli.places import text_of
from myxtts.cli.runtime import dictionary_of
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE
from myxtts.messages import escaped, quoted

if TYPE_CHECKING:
    from myxtts.text.phonemes import Transcription

PROGRAM = "myxtts phonemes"
STDIN = "-"
LARGEST_BYTES = 100_000_000
_AT_ONCE = 256
_MOST_LISTED = 10


def main(argv: Sequence[str]) -> int:
    """Prints the phonemes of the text in `argv`; returns the exit code."""
    return guarded(lambda: _run(argv))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} --language CODE TEXT [options]",
        description="Shows a text as it is spoken: normalized, in phonemes, and where those of each word come from.",
        epilog="A text that begins with a hyphen follows --, as in: myxtts phonemes --language fa -- -5",
    )
    parser.add_argument("text", metavar="TEXT", nargs="?", help="what to show; each line by itself")
    parser.add_argument("--language", metavar="CODE", default="en-us", help="language of the text (en-us)")
    parser.add_argument("--text-file", metavar="FILE", help="the text from a UTF-8 file; - is stdin")
    parser.add_argument("--plain", action="store_true", help="print only phonemes, one line per line of the text")
    add_dictionary_option(parser)
    return parser


def _run(argv: Sequence[str]) -> int:
    given = _parser().parse(argv, _problems)
    # here, so that --help needs no NumPy
    from myxtts.text.dictionary import unused_note
    from myxtts.text.normalization import normalize
    from myxtts.text.phonemes import canonical_language, transcribe

    language = canonical_language(given.language)
    dictionary = dictionary_of(given)
    text = given.text
    if text is None:
        text = text_of("--text-file", None if given.text_file == STDIN else Path(given.text_file), LARGEST_BYTES)
    screen = Screen()
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    spoken_lines: list[str] = []
    for start in range(0, len(lines), _AT_ONCE):
        part = lines[start : start + _AT_ONCE]
        normalized = [normalize(line, language) for line in part]
        found = transcribe(normalized, language, dictionary)
        spoken_lines += normalized if dictionary else []
        for number, (line, spoken, transcription) in enumerate(zip(part, normalized, found, strict=True), start + 1):
            _show(screen, line, spoken, transcription, plain=given.plain)
            if transcription.unreadable:
                screen.warn(_unreadable(number, transcription.unreadable, language))
    screen.warn(*unused_note(dictionary, spoken_lines, "the text"))
    return EXIT_DONE


def _problems(given: Namespace) -> list[str]:
    if given.text is None and given.text_file is None:
        return [f"no text is given; write it after {PROGRAM}, or use --text-file"]
    if given.text is not None and given.text_file is not None:
        return ["both a text and --text-file are given; choose one of them"]
    return []


def _show(screen: Screen, line: str, normalized: str, transcription: Transcription, *, plain: bool) -> None:
    if plain:
        screen.say(transcription.phonemes)
        return
    screen.say(
        f"text:       {escaped(line)}",
        f"normalized: {escaped(normalized)}",
        f"phonemes:   {transcription.phonemes}",
    )
    rows = [("word", "phonemes", "from")]
    rows += [(escaped(word.written), word.phonemes, ", ".join(word.notes)) for word in transcription.words]
    if len(rows) > 1:
        screen.table(_padded(rows))
    screen.say("")


def _padded(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Rows whose columns align although combining marks take no width."""
    widths = [max(_width(row[column]) for row in rows) for column in range(2)]
    return [
        [cell + " " * (widths[at] - _width(cell)) if at < 2 else cell for at, cell in enumerate(row)] for row in rows
    ]


def _width(text: str) -> int:
    return sum(unicodedata.category(character) not in ("Mn", "Me", "Cf") for character in text)


def _unreadable(number: int, unreadable: Sequence[str], language: str) -> str:
    listed = ", ".join(f"{quoted(symbol)} (U+{ord(symbol[0]):04X})" for symbol in unreadable[:_MOST_LISTED])
    return f"line {number}: omitted, not pronounceable in {language}: {listed}"
