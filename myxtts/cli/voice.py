"""`myxtts voice`: makes a voice from recordings, training speakers or a random seed, and saves it to a small file."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.arguments import OneLineParser, add_checkpoint_options
from myxtts.cli.places import place_problems
from myxtts.cli.runtime import load_synthesizer
from myxtts.cli.screen import Screen, guarded
from myxtts.cli.voice_options import CONSENT, add_voice_options, files_read, parts_of
from myxtts.errors import EXIT_DONE
from myxtts.messages import escaped, quoted

if TYPE_CHECKING:
    from myxtts.runtime.interface import OpenedModel
    from myxtts.synthesis.voices import MadeVoice

PROGRAM = "myxtts voice"
SUFFIX = ".voice"
LONGEST_NAME = 100


def main(argv: Sequence[str]) -> int:
    """Saves a voice as `argv` says; returns the exit code."""
    return guarded(lambda: _run(argv))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} --checkpoint RUN --reference WAV --out NAME{SUFFIX} [options]",
        description="Saves a voice to a file for `myxtts speak --voice FILE`. It belongs to one model.",
        epilog=CONSENT,
    )
    parser.set_defaults(voices=[])
    add_checkpoint_options(parser)
    add_voice_options(parser.add_argument_group("voice"))
    out = parser.add_argument_group("output")
    out.add_argument("--out", metavar=f"NAME{SUFFIX}", help="where to write the voice")
    out.add_argument("--name", metavar="NAME", help="name of the voice (the file name)")
    out.add_argument(
        "--consent", metavar="'WHO, WHEN'", help="who consented to the cloning and when; stored in the file"
    )
    return parser


def _run(argv: Sequence[str]) -> int:
    given = _parser().parse(argv, _problems)
    from myxtts.synthesis.opened import open_model
    from myxtts.synthesis.voice_file import StoredVoice, write_voice

    screen = Screen()
    out = Path(given.out)
    opened = open_model(Path(given.checkpoint), given.prefer)
    model = opened.voice_model
    name = given.name if given.name is not None else out.stem if out.stem.isprintable() else "voice"
    made = _made(given, opened)
    voice, style = made.voice.voice_E, made.voice.style_Y
    write_voice(out, StoredVoice(voice, style, name, made.made_from, model, given.consent or ""))
    screen.say(
        escaped(opened.summary),
        f"voice: {escaped(made.description)}",
        *(f"note: {escaped(note)}" for note in (*opened.notes, *made.notes)),
        *([f"consent: {escaped(given.consent)}"] if given.consent else []),
        f"{escaped(str(out))}: voice {quoted(name)} of {len(voice)} + {len(style)} numbers, for encoder "
        f"{model.encoder[:12]}",
    )
    return EXIT_DONE


def _problems(given: Namespace) -> list[str]:
    found = []
    if not given.voices:
        found.append("no voice is given; use --reference, --speaker, --voice or --random-voice")
    if not given.out:
        found.append(f"--out is missing; name the file to write, for example anna{SUFFIX}")
    else:
        found += place_problems("--out", Path(given.out), [SUFFIX], files_read(given))
    if given.name is not None and not (given.name.isprintable() and 0 < len(given.name.strip()) <= LONGEST_NAME):
        found.append(f"--name is {quoted(given.name)}, expected 1 to {LONGEST_NAME} printable characters")
    if given.consent is not None:
        from myxtts.synthesis.voice_file import consent_problem

        if problem := consent_problem(given.consent):
            found.append(f"--consent is {quoted(given.consent)}, {problem}")
    return found


def _made(given: Namespace, opened: OpenedModel) -> MadeVoice:
    """Checks the voice options, and only then imports TensorFlow and makes the voice."""
    parts = parts_of(given, opened)
    return load_synthesizer(opened).make_voice(voices=parts)
