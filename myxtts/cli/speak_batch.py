"""`myxtts speak --batch`: speaks each row of a table into a file of its own."""

from __future__ import annotations

import dataclasses
import os
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.screen import Screen
from myxtts.errors import ConfigError, DataError
from myxtts.messages import escaped, has_control_character, quoted
from myxtts.synthesis.options import SpeakOptions, text_problems
from myxtts.synthesis.voice_parts import VoicePart

if TYPE_CHECKING:
    from myxtts.runtime.interface import OpenedModel
    from myxtts.synthesis import Synthesizer

MOST_ROWS = 100_000
_MOST_LISTED = 10
_HEADER = "the first line must name its columns: id and text, and optionally speaker and language"


@dataclass(frozen=True)
class BatchRow:
    """A text to speak. `place` is its "file:line"; speaker and language are "" for those of the command."""

    place: str
    id: str
    text: str
    speaker: str
    language: str


def batch_problems(given: Namespace) -> list[str]:
    """Problems of the options of a batch that need no checkpoint to be seen, one line each."""
    found = []
    for option in ("text", "text_file", "stream", "raw", "save_mel"):
        if getattr(given, option):
            name = "TEXT" if option == "text" else f"--{option.replace('_', '-')}"
            found.append(f"both --batch and {name} are given; choose one of them")
    if not given.out:
        found.append("--out is missing; name the folder for the files")
        return found
    out = Path(given.out).expanduser()
    name = quoted(out, 200)
    if out.exists() and not out.is_dir():
        found.append(f"--out is {name}, which is a file; with --batch name a folder")
    elif not out.exists() and not out.parent.is_dir():
        found.append(f"--out is {name}, its folder does not exist; create it first")
    elif not os.access(out if out.exists() else out.parent, os.W_OK):
        found.append(f"--out is {name}, which cannot be written to; choose another place")
    return found


def read_batch(path: Path) -> list[BatchRow]:
    """The rows of a table with a header. Raises ConfigError with a line for each row that cannot be spoken."""
    from myxtts.data.table import read_table

    shown = f"--batch {quoted(path, 200)}"
    if not path.is_file():
        raise ConfigError(f"{shown} {'is not a regular file' if path.exists() else 'does not exist'}; name a table")
    try:
        table = read_table(path)
    except DataError as error:
        raise ConfigError(f"{shown}: {_HEADER}" if "--columns" in str(error) else f"--batch {error}") from error
    if not table.has_header:
        raise ConfigError(f"{shown}: {_HEADER}")
    if len(table.rows) > MOST_ROWS:
        raise ConfigError(f"{shown} has {len(table.rows)} rows, at most {MOST_ROWS} are allowed; split it")
    problems = [f"--batch {one.source}: {one.reason}: {one.value}" for one in table.rejections]
    rows: list[BatchRow] = []
    lines: dict[str, int] = {}
    for row in table.rows:
        place = f"{path}:{row.line}"
        name = row.id.removesuffix(".wav")
        if not name or "/" in name or "\\" in name or name.startswith(".") or has_control_character(name):
            problems.append(
                f"--batch {place}: id is {quoted(row.id, 80)}, expected the name of a file without a folder"
            )
        first = lines.setdefault(name.casefold(), row.line)
        if first != row.line:
            problems.append(f"--batch {place}: id {quoted(row.id, 80)} is in line {first} already; use each once")
        text = row.normalized or row.text
        problems += text_problems(text, f"--batch {place}: the text")
        rows.append(BatchRow(place, name, text, row.speaker, row.language))
    if problems:
        more = len(problems) - _MOST_LISTED
        raise ConfigError(problems[:_MOST_LISTED] + ([f"--batch {path}: {more} more problems"] if more > 0 else []))
    return rows


def check_batch(rows: Sequence[BatchRow], opened: OpenedModel, voiced: bool) -> None:
    """Raises ConfigError for speakers and languages that the model does not have; `voiced`: a voice is given too."""
    from myxtts.synthesis.opened import language_index, speaker_index

    problems: list[str] = []
    for row in rows:
        try:
            if row.speaker:
                speaker_index(opened, row.speaker)
            if row.language:
                language_index(opened, row.language)
        except DataError as error:
            problems.append(f"--batch {row.place}: {error}")
        if row.speaker and voiced:
            problems.append(f"--batch {row.place}: has a speaker, and a voice is given too; choose one of them")
        if len(problems) >= _MOST_LISTED:
            break
    if problems:
        raise ConfigError(problems)


def speak_batch(
    rows: Sequence[BatchRow],
    folder: Path,
    synthesizer: Synthesizer,
    parts: Sequence[VoicePart],
    options: SpeakOptions,
    screen: Screen,
) -> None:
    """Writes `folder`/id.wav for each row; files that are there are kept, so that the same command continues.

    Raises DataError at the end if rows could not be spoken.
    """
    from myxtts.audio.waveform import write_wav

    folder.mkdir(exist_ok=True)
    seconds, kept, failed = 0.0, 0, []
    for number, row in enumerate(rows):
        screen.progress("rows", number, len(rows))
        out = folder / f"{row.id}.wav"
        if out.exists():
            kept += 1
            continue
        own = [VoicePart("speaker", row.speaker)] if row.speaker else parts
        chosen = dataclasses.replace(options, language=row.language or options.language)
        try:
            speech = synthesizer.speak(row.text, voices=own, **dataclasses.asdict(chosen))
        except DataError as error:
            failed.append(f"{row.place}: {error}")
            continue
        write_wav(out, speech.samples, speech.sample_rate_hz)
        seconds += speech.seconds
        for note in speech.notes:
            screen.say(f"{escaped(row.id)}: note: {escaped(note)}")
    screen.close()
    written = len(rows) - kept - len(failed)
    there = f"; {kept} were there and are kept" if kept else ""
    screen.say(f"{escaped(str(folder))}: {written} files, {seconds:.1f} s of speech{there}")
    if failed:
        more = [f"and {len(failed) - _MOST_LISTED} more"] if len(failed) > _MOST_LISTED else []
        raise DataError("\n".join([f"{len(failed)} rows could not be spoken:", *failed[:_MOST_LISTED], *more]))
