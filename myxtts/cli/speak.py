"""`myxtts speak`: speaks a text in a voice made from recordings, training speakers, a file or a random seed."""

from __future__ import annotations

import argparse
import dataclasses
import io
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myxtts.cli.arguments import OneLineParser, add_checkpoint_options, add_dictionary_option, add_vocoder_option
from myxtts.cli.places import place_problems, text_of
from myxtts.cli.runtime import dictionary_of, load_synthesizer
from myxtts.cli.screen import Screen, guarded
from myxtts.cli.sound_out import STDOUT, StreamState, reporting_partial_output, stdout_problems, write_stream
from myxtts.cli.speak_batch import BatchRow, batch_problems, check_batch, read_batch, speak_batch
from myxtts.cli.voice_options import CONSENT, add_voice_options, files_read, parts_of
from myxtts.errors import EXIT_DONE, ConfigError, StorageError
from myxtts.messages import escaped, quoted
from myxtts.synthesis.options import LONGEST_TEXT, SPEAK_OPTIONS, SpeakOptions, option_problems, text_problems

if TYPE_CHECKING:
    from myxtts.runtime.interface import OpenedModel
    from myxtts.synthesis import Speech, Synthesizer, VoicePart
    from myxtts.synthesis.speech import FloatArray

PROGRAM = "myxtts speak"
RAW_SUFFIXES = (".raw", ".pcm")


def main(argv: Sequence[str]) -> int:
    """Speaks as `argv` says and writes a WAV file; returns the exit code."""
    return guarded(lambda: _run(argv))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} TEXT --out FILE.wav [options]",
        description="Speaks a text with a trained model.",
        epilog=CONSENT,
    )
    parser.set_defaults(voices=[])
    add_checkpoint_options(parser)
    what = parser.add_argument_group("what")
    what.add_argument("words", metavar="TEXT", nargs="?", help=f"what to say; up to {LONGEST_TEXT:,} characters")
    what.add_argument("--text", metavar="TEXT", help="the same as an option")
    what.add_argument("--text-file", metavar="FILE", help="the same from a UTF-8 text file")
    what.add_argument(
        "--batch",
        metavar="FILE.csv",
        help="speak each row of a table (columns id, text, optionally speaker and language) to a file in --out FOLDER",
    )
    _add_option(what, "language", "CODE")
    add_dictionary_option(what)
    voice = parser.add_argument_group("voice")
    add_voice_options(voice)
    voice.add_argument("--list", action="store_true", help="print the speakers and languages of the model")
    style = parser.add_argument_group("style")
    for name in SPEAK_OPTIONS:
        if name != "language":
            _add_option(style, name, "N" if SPEAK_OPTIONS[name].whole else "X")
    add_vocoder_option(style)
    out = parser.add_argument_group("output")
    out.add_argument(
        "--out", metavar="FILE.wav", help="where to write the speech, 16-bit WAV; - is stdout, sentence by sentence"
    )
    out.add_argument(
        "--stream",
        action="store_true",
        help="write the speech to the file as it is computed, part by part",
    )
    out.add_argument(
        "--raw", action="store_true", help="write samples without a WAV header: signed 16-bit little-endian, mono"
    )
    out.add_argument(
        "--save-mel", metavar="FILE.npy", help="write the mel: float32 [frames, channels], natural log, for a vocoder"
    )
    return parser


def _add_option(group: argparse._ArgumentGroup, name: str, metavar: str) -> None:
    """Adds an option of SpeakOptions; one that is not given is absent from the namespace."""
    option = SPEAK_OPTIONS[name]
    meaning = f"{option.description}; {option.range}" if option.range else option.description
    group.add_argument(
        f"--{name.replace('_', '-')}",
        metavar=metavar,
        type=int if option.whole else float if option.range else str,
        default=argparse.SUPPRESS,
        help=f"{meaning} ({option.default_text})",
    )


def _given_options(given: Namespace) -> dict[str, Any]:
    """The options of SpeakOptions that are on the command line."""
    return {name: getattr(given, name) for name in SPEAK_OPTIONS if hasattr(given, name)}


def _run(argv: Sequence[str]) -> int:
    started = time.perf_counter()
    namespace, unknown = _parser().parse_known(argv)
    if namespace.words is not None:
        if namespace.text is not None and not unknown:  # the value of an unknown option looks like a text
            unknown.append("the text is given twice, with and without --text; choose one of them")
        namespace.text = namespace.words
    problems = [*unknown, *_problems(namespace)]
    if problems:
        raise ConfigError(problems)
    screen = Screen(out=sys.stderr, needed=False) if namespace.out == STDOUT else Screen()
    if namespace.list:
        _print_list(Screen(), namespace)
        return EXIT_DONE
    options = SpeakOptions(**_given_options(namespace))
    if namespace.batch:
        rows = read_batch(Path(namespace.batch).expanduser())
        synthesizer, parts = _ready(namespace, options, screen, rows)
        speak_batch(rows, Path(namespace.out).expanduser(), synthesizer, parts, options, screen)
        return EXIT_DONE
    text = namespace.text
    if text is None:
        text = text_of("--text-file", Path(namespace.text_file), 4 * LONGEST_TEXT)
        if problems := text_problems(text, f"--text-file {quoted(namespace.text_file, 200)}"):
            raise ConfigError(problems)
    synthesizer, parts = _ready(namespace, options, screen)
    if namespace.stream or namespace.out == STDOUT:
        _speak_streaming(namespace, synthesizer, text, parts, options, screen, started)
    else:
        _speak_to_file(namespace, synthesizer, text, parts, options, screen)
    return EXIT_DONE


def _speak_to_file(
    given: Namespace,
    synthesizer: Synthesizer,
    text: str,
    parts: Sequence[VoicePart],
    options: SpeakOptions,
    screen: Screen,
) -> None:
    """Synthesizes the speech, writes it, and prints a summary."""
    try:
        speech = synthesizer.speak(text, voices=parts, progress=screen.progress, **dataclasses.asdict(options))
    finally:
        screen.close()
    mel_path = Path(given.save_mel) if given.save_mel else None
    _write(speech, Path(given.out), mel_path, raw=given.raw)
    screen.say(
        _voice_line(speech.voice, speech.language, options),
        *(f"note: {escaped(note)}" for note in speech.notes),
        *_unused_words(given, text, speech.language),
        f"{escaped(given.out)}: {speech.seconds:.2f} s in {_count(len(speech.sentences), 'sentence')}; computed in "
        f"{speech.compute_seconds:.2f} s, real-time factor {speech.real_time_factor:.3f}",
    )
    if mel_path:
        screen.say(_mel_line(mel_path, *speech.mel_MC.shape))


def _speak_streaming(
    given: Namespace,
    synthesizer: Synthesizer,
    text: str,
    parts: Sequence[VoicePart],
    options: SpeakOptions,
    screen: Screen,
    started: float,
) -> None:
    """Like `_speak_to_file`, but writes each part as soon as it is ready."""
    import numpy as np

    ready = time.perf_counter()
    state = StreamState(keeps_mels=bool(given.save_mel))
    try:
        chunks = synthesizer.stream(text, voices=parts, progress=screen.progress, **dataclasses.asdict(options))
        with reporting_partial_output(state, given.out):
            write_stream(chunks, given.out, raw=given.raw, state=state)
    finally:
        screen.close()
    place = "stdout" if given.out == STDOUT else escaped(given.out)
    if state.first_at is None:
        screen.say("the reader left before the first sentence")
        return
    screen.say(
        _voice_line(state.voice, state.language, options),
        *(f"note: {escaped(note)}" for note in state.notes),
        *_unused_words(given, text, state.language),
        f"first sound {state.first_at - ready:.2f} s after the model was loaded, "
        f"{state.first_at - started:.2f} s after the start",
        f"{place}: {state.seconds:.2f} s in {_count(state.sentences, 'sentence')}; computed in "
        f"{state.compute_seconds:.2f} s, real-time factor {state.compute_seconds / state.seconds:.3f}",
    )
    if state.reader_left:
        screen.say(f"the reader left after {state.progress}")
    if given.save_mel:
        mel_MC = np.concatenate(state.mels)
        _write_mel(Path(given.save_mel), mel_MC)
        screen.say(_mel_line(Path(given.save_mel), *mel_MC.shape))


def _voice_line(voice: str, language: str, options: SpeakOptions) -> str:
    varied = f"; style varied by {options.vary:g}" if options.vary else ""
    return f"voice: {escaped(voice)}; language: {language}; seed {options.seed}{varied}"


def _mel_line(path: Path, frames: int, channels: int) -> str:
    return f"{escaped(str(path))}: log-mel of {frames} frames x {channels} channels"


def _problems(given: Namespace) -> list[str]:
    """Problems of the options that need no checkpoint to be seen, one line each."""
    found: list[str] = []
    if given.list:
        return found
    if given.batch:
        return [*batch_problems(given), *option_problems(_given_options(given), prefix="--")]
    if given.text is None and given.text_file is None:
        found.append("no text is given; write it after the command, or use --text-file")
    elif given.text is not None and given.text_file is not None:
        found.append("both --text and --text-file are given; choose one of them")
    elif given.text is not None:
        found += text_problems(given.text, "--text")
    found += option_problems(_given_options(given), prefix="--")
    read = files_read(given)
    if given.text_file is not None:
        read.append(("--text-file", Path(given.text_file)))
    if given.dictionary:
        read.append(("--dictionary", Path(given.dictionary)))
    if not given.out:
        found.append("--out is missing; name the WAV file to write, or - for stdout")
    elif given.out == STDOUT:
        found += stdout_problems()
    else:
        found += place_problems("--out", Path(given.out), RAW_SUFFIXES if given.raw else [".wav"], read)
    if given.save_mel:
        found += place_problems("--save-mel", Path(given.save_mel), [".npy"], read)
    return found


def _ready(
    given: Namespace, options: SpeakOptions, screen: Screen, rows: Sequence[BatchRow] = ()
) -> tuple[Synthesizer, list[VoicePart]]:
    """Opens the model, checks languages and voices, and only then loads the networks (of a run: with TensorFlow)."""
    from myxtts.synthesis.opened import language_index, open_model

    opened = open_model(Path(given.checkpoint), given.prefer)
    language_index(opened, options.language)
    parts = parts_of(given, opened)
    check_batch(rows, opened, bool(parts))
    screen.say(escaped(opened.summary), *_unused_options(_given_options(given), opened))
    return load_synthesizer(opened, given.vocoder, dictionary_of(given)), parts


def _unused_words(given: Namespace, text: str, language: str) -> list[str]:
    """A note about words of --dictionary that the text does not have."""
    from myxtts.text.dictionary import unused_note
    from myxtts.text.normalization import normalize

    notes = unused_note(dictionary_of(given), [text, normalize(text, language)], "the text")
    return [f"note: {escaped(note)}" for note in notes]


def _unused_options(names: Iterable[str], opened: OpenedModel) -> list[str]:
    """A note about given options of the flow decoder where the model has another decoder."""
    unused = [f"--{name}" for name in names if SPEAK_OPTIONS[name].flow_only]
    decoder = opened.config.model.decoder
    if not unused or decoder == "flow":
        return []
    have = "has" if len(unused) == 1 else "have"
    return [f"note: {' and '.join(unused)} {have} no effect: the decoder of this model is {decoder}, not flow"]


def _print_list(screen: Screen, given: Namespace) -> None:
    from myxtts.synthesis.opened import open_model

    opened = open_model(Path(given.checkpoint), given.prefer)
    screen.say(escaped(opened.summary), f"languages: {', '.join(map(escaped, opened.corpus.languages))}", "speakers:")
    screen.say(*(f"  {escaped(name)}" for name in opened.corpus.speakers))


def _write(speech: Speech, out: Path, mel_path: Path | None, *, raw: bool) -> None:
    """Writes the files, each atomically. Raises StorageError."""
    from myxtts.audio.sound_file import pcm16
    from myxtts.audio.waveform import write_wav
    from myxtts.storage.files import write_bytes_atomic

    if mel_path is not None:
        _write_mel(mel_path, speech.mel_MC)
    try:
        if raw:
            write_bytes_atomic(out, pcm16(speech.samples))
        else:
            write_wav(out, speech.samples, speech.sample_rate_hz)
    except StorageError:
        if mel_path is not None:
            mel_path.unlink(missing_ok=True)
        raise


def _write_mel(path: Path, mel_MC: FloatArray) -> None:
    """Writes a mel atomically. Raises StorageError."""
    import numpy as np

    from myxtts.storage.files import write_bytes_atomic

    encoded = io.BytesIO()
    np.save(encoded, mel_MC, allow_pickle=False)
    write_bytes_atomic(path, encoded.getvalue())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
