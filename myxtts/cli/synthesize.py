"""`python -m myxtts synthesize`: speaks a text in the voice of a recording or of a training speaker."""

from __future__ import annotations

import io
import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.arguments import OneLineParser
from myxtts.cli.quiet import quiet_loading
from myxtts.cli.screen import Screen, escaped, guarded
from myxtts.config.leaves import shown
from myxtts.errors import EXIT_DONE, ConfigError, StorageError
from myxtts.synthesis.limits import LIMITS, LONGEST_TEXT, limit_problems, text_problems

if TYPE_CHECKING:
    from myxtts.synthesis import Speech
    from myxtts.synthesis.source import Source

PROGRAM = "python -m myxtts synthesize"


def main(argv: Sequence[str]) -> int:
    """Speaks as `argv` says and writes a WAV file; returns the exit code."""
    return guarded(lambda: _run(argv))


def _range(name: str, default: str) -> str:
    limit = LIMITS[name]
    return f"{limit.low:g} to {limit.high:g}{f' {limit.unit}' if limit.unit else ''} ({default})"


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        allow_abbrev=False,
        usage=f"{PROGRAM} --checkpoint RUN --text TEXT --out FILE.wav [options]",
        description="Speaks a text with a trained model.",
    )
    parser.add_argument("--checkpoint", metavar="RUN", help="run directory, or one of its step folders")
    parser.add_argument("--prefer", choices=("best", "last"), default="best", help="which checkpoint of a run (best)")
    what = parser.add_argument_group("what")
    what.add_argument("--text", metavar="TEXT", help="what to say; any length")
    what.add_argument("--text-file", metavar="FILE", help="the same from a UTF-8 text file")
    what.add_argument("--language", metavar="CODE", help="language of the text (the default of the model)")
    voice = parser.add_argument_group("voice")
    voice.add_argument(
        "--reference",
        metavar="WAV",
        action="append",
        default=[],
        help="recording of the voice, three to ten seconds of clean speech; may be given several times",
    )
    voice.add_argument("--speaker", metavar="NAME", help="a training speaker instead of a recording")
    voice.add_argument("--list", action="store_true", help="print the speakers and languages of the model")
    manner = parser.add_argument_group("manner")
    manner.add_argument("--speed", metavar="X", type=float, default=1.0, help=_range("speed", "1"))
    manner.add_argument("--pitch", metavar="X", type=float, default=0.0, help=_range("pitch", "0"))
    manner.add_argument("--energy", metavar="X", type=float, default=0.0, help=_range("energy", "0"))
    manner.add_argument("--seed", metavar="N", type=int, default=1, help="of everything random (1)")
    manner.add_argument(
        "--temperature", metavar="X", type=float, default=0.667, help=f"flow decoder: {_range('temperature', '0.667')}"
    )
    manner.add_argument("--steps", metavar="N", type=int, help=f"flow decoder: {_range('steps', 'as in the settings')}")
    out = parser.add_argument_group("output")
    out.add_argument("--out", metavar="FILE.wav", help="where to write the speech, 16-bit WAV")
    out.add_argument(
        "--save-mel", metavar="FILE.npy", help="write the mel: float32 [frames, channels], natural log, for a vocoder"
    )
    return parser


def _run(argv: Sequence[str]) -> int:
    namespace, unknown = _parser().parse_known(argv)
    problems = [*unknown, *_problems(namespace)]
    if problems:
        raise ConfigError(problems)
    screen = Screen()
    if namespace.list:
        _print_list(screen, Path(namespace.checkpoint))
        return EXIT_DONE
    text = namespace.text if namespace.text is not None else _text_of(Path(namespace.text_file))
    out, mel_path = Path(namespace.out), Path(namespace.save_mel) if namespace.save_mel else None
    try:
        speech = _speak(namespace, text, screen)
    finally:
        screen.close()
    _write(speech, out, mel_path)
    screen.say(
        f"voice: {escaped(speech.voice)}; language: {speech.language}; seed {namespace.seed}",
        *(f"note: {escaped(note)}" for note in speech.notes),
        f"{escaped(str(out))}: {speech.seconds:.2f} s in {_count(len(speech.sentences), 'sentence')}; computed in "
        f"{speech.compute_seconds:.2f} s, real-time factor {speech.real_time_factor:.3f}",
    )
    if mel_path:
        frames, channels = speech.mel_MC.shape
        screen.say(f"{escaped(str(mel_path))}: log-mel of {frames} frames x {channels} channels")
    return EXIT_DONE


def _problems(given: Namespace) -> list[str]:
    """Everything that is wrong with the options by themselves, one line each."""
    found = []
    if not given.checkpoint:
        found.append("--checkpoint is missing; name a run directory, as given with --checkpoint-dir in training")
    if given.list:
        return found
    if given.text is None and given.text_file is None:
        found.append("there is no text; give --text or --text-file")
    elif given.text is not None and given.text_file is not None:
        found.append("both --text and --text-file are given; choose one of them")
    elif given.text is not None:
        found += text_problems(given.text, "--text")
    if given.reference and given.speaker is not None:
        found.append("both --reference and --speaker are given; choose one of them")
    names = ("speed", "pitch", "energy", "temperature", "steps", "seed")
    found += limit_problems({name: getattr(given, name) for name in names}, prefix="--")
    if not given.out:
        found.append("--out is missing; name the WAV file to write")
    for option, path, suffix in (("--out", given.out, ".wav"), ("--save-mel", given.save_mel, ".npy")):
        if path:
            found += _place_problems(option, Path(path), suffix)
    if given.out and given.out == given.save_mel:
        found.append("--out and --save-mel name the same file; give two")
    return found


def _place_problems(option: str, path: Path, suffix: str) -> list[str]:
    """What is in the way of writing a file, seen before minutes of computing."""
    name = shown(str(path), 200)
    if path.suffix.lower() != suffix:
        return [f"{option} is {name}, expected a name that ends in {suffix}"]
    if path.is_dir():
        return [f"{option} is {name}, which is a folder; name a file"]
    if not path.parent.is_dir():
        return [f"{option} is {name}, its folder does not exist; make it first"]
    if not os.access(path.parent, os.W_OK):
        return [f"{option} is {name}, its folder cannot be written to; choose another place"]
    return []


def _text_of(path: Path) -> str:
    """The text in a file. Raises ConfigError."""
    name = f"--text-file {shown(str(path), 200)}"
    if not path.is_file():
        raise ConfigError(f"{name} {'is not a regular file' if path.exists() else 'does not exist'}; name a text file")
    try:
        with path.open("rb") as file:
            content = file.read(4 * LONGEST_TEXT + 1)
        if len(content) > 4 * LONGEST_TEXT:
            raise ConfigError(f"{name} has over {4 * LONGEST_TEXT} bytes; cut it into parts")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{name} cannot be read ({error.strerror}); check its permissions") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{name}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    if problems := text_problems(text, name):
        raise ConfigError(problems)
    return text


def _speak(given: Namespace, text: str, screen: Screen) -> Speech:
    """Opens the checkpoint, checks what is asked of it, and only then imports TensorFlow and speaks."""
    from myxtts.audio import waveform
    from myxtts.synthesis.source import language_index, open_source, speaker_index

    for reference in given.reference:
        waveform.probe(Path(reference))
    source = open_source(Path(given.checkpoint), given.prefer)
    language_index(source, given.language)
    if given.speaker is not None:
        speaker_index(source, given.speaker)
    screen.say(_told(source))
    with quiet_loading():
        from myxtts.synthesis.synthesizer import Synthesizer

    return Synthesizer(source).speak(
        text,
        references=[Path(reference) for reference in given.reference],
        speaker=given.speaker,
        language=given.language,
        speed=given.speed,
        pitch=given.pitch,
        energy=given.energy,
        seed=given.seed,
        temperature=given.temperature,
        steps=given.steps,
        progress=screen.progress,
    )


def _told(source: Source) -> str:
    checkpoint = source.checkpoint
    kind = ", the best by validation" if checkpoint.best else ""
    return f"checkpoint: {escaped(str(checkpoint.path))} (update {checkpoint.update}{kind}, averaged weights)"


def _print_list(screen: Screen, path: Path) -> None:
    from myxtts.synthesis.source import open_source

    source = open_source(path)
    screen.say(_told(source), f"languages: {', '.join(map(escaped, source.corpus.languages))}", "speakers:")
    screen.say(*(f"  {escaped(name)}" for name in source.corpus.speakers))


def _write(speech: Speech, out: Path, mel_path: Path | None) -> None:
    """Writes the files, each whole or not at all. Raises StorageError."""
    import numpy as np

    from myxtts.audio.waveform import write_wav
    from myxtts.storage.files import write_bytes_atomic

    if mel_path is not None:
        encoded = io.BytesIO()
        np.save(encoded, speech.mel_MC, allow_pickle=False)
        write_bytes_atomic(mel_path, encoded.getvalue())
    try:
        write_wav(out, speech.samples, speech.sample_rate_hz)
    except StorageError:
        if mel_path is not None:
            mel_path.unlink(missing_ok=True)
        raise


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
