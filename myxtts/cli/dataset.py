"""`myxtts dataset make`: cuts long recordings into clips with texts."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.arguments import OneLineParser
from myxtts.cli.places import text_of
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.messages import escaped, quoted

if TYPE_CHECKING:
    from myxtts.dataset.make import MakeOptions, Summary
    from myxtts.dataset.recordings import LongRecording

PROGRAM = "myxtts dataset make"
LARGEST_TEXT_BYTES = 50_000_000
_RANGES = {
    "shortest": (0.5, 30.0, "seconds"), "longest": (1.0, 30.0, "seconds"), "level": (-60.0, -10.0, "dB"),
    "doubtful": (0.0, 1.0, ""),
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `myxtts dataset` with the words in `argv`; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["make"]:
        return guarded(lambda: _run(words[1:]))
    return guarded(lambda: _help(words))


def _help(words: Sequence[str]) -> int:
    if words and words[0] not in ("-h", "--help"):
        raise ConfigError(f"myxtts dataset: unknown command {quoted(words[0])}; the command is make")
    _parser().print_help()
    return EXIT_DONE


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} RECORDINGS --out ROOT --model MODEL [options]",
        description="Cuts long recordings at pauses into clips, drops music and noise, and writes the text of each "
        "clip. The same command continues an interrupted one.",
        epilog="Then open ROOT/review.html to correct doubtful texts by ear. More: docs/how-to/dataset.md.",
    )
    parser.add_argument("recordings", metavar="RECORDINGS", nargs="?", help="a recording, or a folder of them")
    parser.add_argument("--out", metavar="ROOT", help="folder of the data set, which the command creates")
    parser.add_argument("--language", metavar="CODE", default="en-us", help="language of the speech (en-us)")
    parser.add_argument(
        "--speaker", metavar="NAME", help="who speaks (name of ROOT); a folder of RECORDINGS is named after its speaker"
    )
    texts = parser.add_argument_group("texts")
    texts.add_argument(
        "--model",
        metavar="MODEL",
        help="folder of a Whisper model for faster-whisper (CTranslate2), or the name of one that was downloaded",
    )
    texts.add_argument("--download", action="store_true", help="download the model of that name if it is missing")
    texts.add_argument("--python", metavar="PYTHON", help="a Python of another environment that has faster-whisper")
    texts.add_argument(
        "--transcript",
        metavar="FILE",
        help="text that was read, for alignment; or a folder with NAME.txt for each recording NAME",
    )
    texts.add_argument("--no-texts", action="store_true", help="only cut; type the texts on the page")
    texts.add_argument(
        "--doubtful", metavar="X", type=float, default=0.8, help="texts of a lower confidence are doubtful (0.8)"
    )
    clips = parser.add_argument_group("clips")
    clips.add_argument("--shortest", metavar="S", type=float, default=2.0, help="shortest clip in seconds (2)")
    clips.add_argument("--longest", metavar="S", type=float, default=12.0, help="longest clip in seconds (12)")
    clips.add_argument(
        "--level", metavar="DB", type=float, default=-23.0, help="level of the speech in dB of full scale (-23)"
    )
    clips.add_argument(
        "--sample-rate", metavar="HZ", type=int, default=0, help="sample rate (that of the recording, at most 48000)"
    )
    return parser


def _problems(given: Namespace) -> list[str]:
    found = []
    if not given.recordings:
        found.append(f"no recordings are given; write {PROGRAM} RECORDINGS --out ROOT")
    if not given.out:
        found.append("--out is missing; name the folder of the data set")
    for name, (low, high, unit) in _RANGES.items():
        value = getattr(given, name)
        if not low <= value <= high:
            found.append(f"--{name} is {value:g}, expected {low:g} to {high:g} {unit}".rstrip())
    if given.shortest >= given.longest:
        found.append(f"--shortest is {given.shortest:g}, expected less than --longest, {given.longest:g}")
    if given.sample_rate and not 8_000 <= given.sample_rate <= 48_000:
        found.append(f"--sample-rate is {given.sample_rate}, expected 8000 to 48000")
    if given.no_texts:
        unused = [name for name in ("model", "transcript", "python", "download") if getattr(given, name)]
        found += [f"both --no-texts and --{name} are given; choose one of them" for name in unused]
    return found


def _run(argv: Sequence[str]) -> int:
    given = _parser().parse(argv, _problems)
    screen = Screen()
    try:
        return _make(given, screen)
    finally:
        screen.close()


def _make(given: Namespace, screen: Screen) -> int:
    """Checks all arguments before anything is written, then makes the data set."""
    from myxtts.data.records import name_problem
    from myxtts.dataset.make import MakeOptions, Maker
    from myxtts.dataset.recognizer_client import RecognizerSetup, recognizer_problem
    from myxtts.dataset.recordings import find_recordings
    from myxtts.text.phonemes import canonical_language

    language = canonical_language(given.language)
    root = Path(given.out).expanduser()
    speaker = given.speaker if given.speaker is not None else root.absolute().name
    problem = name_problem("speaker", speaker)
    if problem or "|" in speaker:
        why = problem[1] if problem else "it contains a |"
        raise ConfigError(f"--speaker {quoted(speaker)}: {why}; choose another name")
    recordings = find_recordings(Path(given.recordings).expanduser())
    setup = None
    if not given.no_texts:
        if lacking := recognizer_problem(given.python or ""):
            raise ConfigError(lacking)
        if not given.model:
            raise ConfigError(
                "--model is missing: name the folder of a Whisper model for faster-whisper, or the name of one (small, "
                "large-v3) with --download; or cut without texts with --no-texts"
            )
        setup = RecognizerSetup(_model_of(given.model), given.python or "", given.download)
    transcripts = _transcripts(given.transcript, recordings) if given.transcript else {}
    options = MakeOptions(
        language, speaker, given.shortest, given.longest, given.level, given.sample_rate, given.doubtful,
        not given.no_texts,
    )  # fmt: skip
    maker = Maker(recordings, root, options, setup, transcripts)
    made = maker.make(screen.progress)
    screen.close()
    if made is None:
        screen.say(f"{escaped(str(root))}: complete already; nothing was changed")
    else:
        screen.say(*_summary(made, root, options))
    return EXIT_DONE


def _model_of(name: str) -> str:
    """The absolute path of a folder, so that the same command continues from elsewhere, or the name of a model."""
    folder = Path(name).expanduser()
    return str(folder.absolute()) if folder.is_dir() or name.startswith("~") else name


def _transcripts(name: str, recordings: Sequence[LongRecording]) -> dict[str, str]:
    """The texts of a file, or of the files of a folder. Raises ConfigError."""
    place = Path(name).expanduser()
    if not place.is_dir():
        return {"": _transcript(place)}
    return {one.name: _transcript(place / f"{one.path.stem}.txt") for one in recordings}


def _transcript(path: Path) -> str:
    advice = "name a text file, or a folder with one for each recording"
    text = text_of("--transcript", path, LARGEST_TEXT_BYTES, advice)
    if not any(character.isalnum() for character in text):
        raise ConfigError(f"--transcript {quoted(path, 200)} has no words; name the text that was read")
    return text


def _summary(made: Summary, root: Path, options: MakeOptions) -> list[str]:
    lines = [
        f"{escaped(str(root))}: {made.clips} clips, {_time(made.seconds)} of {_time(made.recorded)} recorded",
        *(f"  dropped, {reason}: {_time(seconds)}" for reason, seconds in sorted(made.dropped.items())),
    ]
    page = escaped(str(root / "review.html"))
    if options.texts:
        doubtful = f"{made.doubtful} texts are doubtful (confidence under {options.doubtful:g})"
        lines.append(f"{doubtful}; correct them on {page}")
        lines.append(f"train with --train-data {escaped(str(root))} --language {options.language}")
    else:
        lines.append(f"write the texts on {page}, and save its metadata.csv in {escaped(str(root))}")
    return lines


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
