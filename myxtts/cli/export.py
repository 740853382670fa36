"""`myxtts export`: writes a trained model for programs that have no TensorFlow."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from myxtts.cli.arguments import OneLineParser, add_prefer_option, add_vocoder_option
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.cli.serve import ending_cleanly
from myxtts.cli.voice_options import CONSENT
from myxtts.errors import EXIT_DONE
from myxtts.export.place import folder_problem
from myxtts.messages import escaped, quoted
from myxtts.runtime import WEIGHTS

PROGRAM = "myxtts export"
FORMATS = {
    "onnx": "graphs for ONNX Runtime, which `myxtts speak` runs without TensorFlow",
    "piper": "one voice in one language for Piper",
    "sherpa": "the same for sherpa-onnx",
    "savedmodel": "for TensorFlow Serving and plain TensorFlow",
    "litert": "graphs in two halves for LiteRT on Android and iOS",
    "hub": "the onnx folder with weights, samples and a card for Hugging Face",
}
_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")


def main(argv: Sequence[str]) -> int:
    """Exports as `argv` says; returns the exit code."""
    return guarded(lambda: _run(argv))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} RUN --format {'|'.join(FORMATS)} --out DIR [options]",
        description="Writes a trained model for other programs. Its output is compared with TensorFlow before the "
        "files appear. It contains no paths, no optimizer state, and only the voices that you name.",
        epilog=CONSENT,
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="run directory, or one of its step folders")
    add_prefer_option(parser)
    formats = "; ".join(f"{name}: {meaning}" for name, meaning in FORMATS.items())
    parser.add_argument("--format", metavar="FORMAT", help=formats)
    parser.add_argument("--out", metavar="DIR", help="new folder to write")
    parser.add_argument("--speaker", action="append", default=[], metavar="NAME", help="export the voice of a training "
                        "speaker under its name; may be repeated")  # fmt: skip
    parser.add_argument("--voice", action="append", default=[], metavar="FILE", help="export a voice that `myxtts "
                        "voice` saved; may be repeated")  # fmt: skip
    parser.add_argument(
        "--language", metavar="CODE", help="language of a voice for a player (as in the model's settings)"
    )
    parser.add_argument("--weights", choices=WEIGHTS, default="fp32", help="how the weights are stored: fp32 exact; "
                        "fp16 half the size; int8 a quarter, with audible differences (fp32)")  # fmt: skip
    add_vocoder_option(parser)
    parser.add_argument("--license", default="", metavar="NAME", help="licence of the weights, for the model card, as "
                        "in CC-BY-4.0 (not stated)")  # fmt: skip
    return parser


def _run(argv: Sequence[str]) -> int:
    given = _parser().parse(argv, _problems)
    screen = Screen()
    from myxtts.synthesis.opened import open_checkpoint

    opened = open_checkpoint(Path(given.run), given.prefer)
    screen.say(escaped(opened.summary), *(f"note: {escaped(note)}" for note in opened.notes))
    with quiet_loading():
        from myxtts.export.write import ExportRequest, export

    request = ExportRequest(
        format=given.format,
        out=Path(given.out),
        speakers=tuple(given.speaker),
        voices=tuple(Path(name) for name in given.voice),
        weights=given.weights,
        license_name=given.license,
        language=given.language,
        vocoder=given.vocoder,
    )
    try:
        with ending_cleanly():  # else unfinished files stay
            result = export(opened, request, screen.progress)
    finally:
        screen.close()
    screen.say(
        *(f"note: {escaped(note)}" for note in result.notes),
        *(escaped(line) for line in result.lines),
        f"{escaped(given.out)}: {', '.join(f'{name} ({size / 1e6:.1f} MB)' for name, size in result.files.items())}",
    )
    return EXIT_DONE


def _problems(given: Namespace) -> list[str]:
    """Problems of the options that need no checkpoint to be seen, one line each."""
    found = []
    if not given.run:
        found.append("RUN is missing; name a run directory, as given with --checkpoint-dir in training")
    if not given.format:
        found.append(f"--format is missing; one of: {', '.join(FORMATS)}")
    elif given.format not in FORMATS:
        found.append(f"--format is {quoted(given.format)}, expected one of: {', '.join(FORMATS)}")
    if not given.out:
        found.append("--out is missing; name a new folder")
    elif problem := folder_problem(Path(given.out)):
        found.append(problem)
    voices = len(given.speaker) + len(given.voice)
    if given.format in ("piper", "sherpa") and voices != 1:
        found.append(f"{voices} voices are named, and {given.format} holds one; name it with --speaker or --voice")
    if given.format == "savedmodel" and given.weights != "fp32":
        found.append(f"--weights {given.weights} does not apply to savedmodel, which has fp32; remove it")
    if given.format == "hub" and not given.license:
        found.append("--license is missing; name the licence under which the weights are published")
    if given.license and not _LICENSE.fullmatch(given.license):
        found.append(f"--license is {quoted(given.license)}, expected the name of a licence, as in CC-BY-4.0")
    return found
