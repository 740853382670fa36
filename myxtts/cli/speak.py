"""`myxtts speak`: speaks a text in a voice made from recordings, training speakers, a file or a random seed."""

from __future__ import annotations

import io
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myxtts.cli.arguments import OneLineParser
from myxtts.cli.places import place_problems
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.cli.sound_out import STDOUT, Streamed, stdout_problems, telling_what_is_there, write_stream
from myxtts.cli.voice_options import CONSENT, add_voice_options, files_read, sources_of
from myxtts.errors import EXIT_DONE, ConfigError, StorageError
from myxtts.messages import escaped, quoted
from myxtts.synthesis.limits import LIMITS, LONGEST_TEXT, limit_problems, text_problems

if TYPE_CHECKING:
    from myxtts.synthesis import Speech, Synthesizer
    from myxtts.synthesis.source import Source
    from myxtts.synthesis.speech import FloatArray

PROGRAM = "myxtts speak"
TEMPERATURE = 0.667
RAW_SUFFIXES = (".raw", ".pcm")


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
        epilog=CONSENT,
    )
    parser.set_defaults(voices=[])
    parser.add_argument("--checkpoint", metavar="RUN", help="run directory, or one of its step folders")
    parser.add_argument("--prefer", choices=("best", "last"), default="best", help="which checkpoint of a run (best)")
    what = parser.add_argument_group("what")
    what.add_argument("--text", metavar="TEXT", help=f"what to say; up to {LONGEST_TEXT:,} characters")
    what.add_argument("--text-file", metavar="FILE", help="the same from a UTF-8 text file")
    what.add_argument("--language", metavar="CODE", help="language of the text (the default of the model)")
    voice = parser.add_argument_group("voice")
    add_voice_options(voice)
    voice.add_argument("--list", action="store_true", help="print the speakers and languages of the model")
    style = parser.add_argument_group("style")
    style.add_argument("--speed", metavar="X", type=float, default=1.0, help=_range("speed", "1"))
    style.add_argument("--pitch", metavar="X", type=float, default=0.0, help=_range("pitch", "0"))
    style.add_argument(
        "--pitch-range",
        metavar="X",
        type=float,
        default=1.0,
        help=f"scales the range of the intonation the model predicts; {_range('pitch_range', '1')}",
    )
    style.add_argument("--energy", metavar="X", type=float, default=0.0, help=_range("energy", "0"))
    style.add_argument(
        "--vary",
        metavar="X",
        type=float,
        default=0.0,
        help=f"vary the style of the voice; --seed selects the variation; scale of the noise, {_range('vary', '0')}",
    )
    style.add_argument("--seed", metavar="N", type=int, default=1, help="random seed (1)")
    style.add_argument(
        "--temperature", metavar="X", type=float, help=f"flow decoder: {_range('temperature', f'{TEMPERATURE:g}')}"
    )
    style.add_argument("--steps", metavar="N", type=int, help=f"flow decoder: {_range('steps', 'as in the settings')}")
    out = parser.add_argument_group("output")
    out.add_argument(
        "--out", metavar="FILE.wav", help="where to write the speech, 16-bit WAV; - is stdout, sentence by sentence"
    )
    out.add_argument(
        "--stream",
        action="store_true",
        help="write each sentence to the file as soon as it is ready",
    )
    out.add_argument(
        "--raw", action="store_true", help="write samples without a WAV header: signed 16-bit little-endian, mono"
    )
    out.add_argument(
        "--save-mel", metavar="FILE.npy", help="write the mel: float32 [frames, channels], natural log, for a vocoder"
    )
    return parser


def _run(argv: Sequence[str]) -> int:
    started = time.perf_counter()
    namespace, unknown = _parser().parse_known(argv)
    problems = [*unknown, *_problems(namespace)]
    if problems:
        raise ConfigError(problems)
    screen = Screen(out=sys.stderr, needed=False) if namespace.out == STDOUT else Screen()
    if namespace.list:
        _print_list(Screen(), namespace)
        return EXIT_DONE
    text = namespace.text if namespace.text is not None else _text_of(Path(namespace.text_file))
    synthesizer, asked = _ready(namespace, screen)
    if namespace.stream or namespace.out == STDOUT:
        _speak_streaming(namespace, synthesizer, text, asked, screen, started)
    else:
        _speak_whole(namespace, synthesizer, text, asked, screen)
    return EXIT_DONE


def _speak_whole(given: Namespace, synthesizer: Synthesizer, text: str, asked: dict[str, Any], screen: Screen) -> None:
    """Speaks, writes, and says what was done. Raises what speaking and writing raise."""
    try:
        speech = synthesizer.speak(text, progress=screen.progress, **asked)
    finally:
        screen.close()
    mel_path = Path(given.save_mel) if given.save_mel else None
    _write(speech, Path(given.out), mel_path, raw=given.raw)
    screen.say(
        _voice_line(speech.voice, speech.language, given),
        *(f"note: {escaped(note)}" for note in speech.notes),
        f"{escaped(given.out)}: {speech.seconds:.2f} s in {_count(len(speech.sentences), 'sentence')}; computed in "
        f"{speech.compute_seconds:.2f} s, real-time factor {speech.real_time_factor:.3f}",
    )
    if mel_path:
        screen.say(_mel_line(mel_path, *speech.mel_MC.shape))


def _speak_streaming(
    given: Namespace, synthesizer: Synthesizer, text: str, asked: dict[str, Any], screen: Screen, started: float
) -> None:
    """The same, sentence by sentence."""
    import numpy as np

    ready = time.perf_counter()
    streamed = Streamed(keeps_mels=bool(given.save_mel))
    try:
        pieces = synthesizer.stream(text, progress=screen.progress, **asked)
        with telling_what_is_there(streamed, given.out):
            write_stream(pieces, given.out, raw=given.raw, streamed=streamed)
    finally:
        screen.close()
    place = "stdout" if given.out == STDOUT else escaped(given.out)
    if streamed.first_at is None:
        screen.say("the reader left before the first sentence")
        return
    screen.say(
        _voice_line(streamed.voice, streamed.language, given),
        *(f"note: {escaped(note)}" for note in streamed.notes),
        f"first sound {streamed.first_at - ready:.2f} s after the model was loaded, "
        f"{streamed.first_at - started:.2f} s after the start",
        f"{place}: {streamed.seconds:.2f} s in {_count(streamed.sentences, 'sentence')}; computed in "
        f"{streamed.compute_seconds:.2f} s, real-time factor {streamed.compute_seconds / streamed.seconds:.3f}",
    )
    if streamed.reader_left:
        screen.say(f"the reader left after {streamed.told}")
    if given.save_mel:
        mel_MC = np.concatenate(streamed.mels)
        _write_mel(Path(given.save_mel), mel_MC)
        screen.say(_mel_line(Path(given.save_mel), *mel_MC.shape))


def _voice_line(voice: str, language: str, given: Namespace) -> str:
    varied = f"; delivery varied by {given.vary:g}" if given.vary else ""
    return f"voice: {escaped(voice)}; language: {language}; seed {given.seed}{varied}"


def _mel_line(path: Path, frames: int, channels: int) -> str:
    return f"{escaped(str(path))}: log-mel of {frames} frames x {channels} channels"


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
    names = ("speed", "pitch", "pitch_range", "energy", "vary", "temperature", "steps", "seed")
    found += limit_problems({name: getattr(given, name) for name in names}, prefix="--")
    read = files_read(given)
    if given.text_file is not None:
        read.append(("--text-file", Path(given.text_file)))
    if not given.out:
        found.append("--out is missing; name the WAV file to write, or - for stdout")
    elif given.out == STDOUT:
        found += stdout_problems()
    else:
        found += place_problems("--out", Path(given.out), RAW_SUFFIXES if given.raw else [".wav"], read)
    if given.save_mel:
        found += place_problems("--save-mel", Path(given.save_mel), [".npy"], read)
    return found


def _text_of(path: Path) -> str:
    """The text in a file. Raises ConfigError."""
    name = f"--text-file {quoted(str(path), 200)}"
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


def _ready(given: Namespace, screen: Screen) -> tuple[Synthesizer, dict[str, Any]]:
    """Opens the checkpoint, checks what is asked of it, and only then imports TensorFlow; and what is asked."""
    from myxtts.synthesis.source import language_index, open_source

    source = open_source(Path(given.checkpoint), given.prefer)
    language_index(source, given.language)
    voices = sources_of(given, source)
    screen.say(_told(source), *_idle_options(given, source))
    with quiet_loading():
        from myxtts.synthesis.synthesizer import Synthesizer

    asked = {
        "voices": voices,
        "language": given.language,
        "speed": given.speed,
        "pitch": given.pitch,
        "pitch_range": given.pitch_range,
        "energy": given.energy,
        "vary": given.vary,
        "seed": given.seed,
        "temperature": TEMPERATURE if given.temperature is None else given.temperature,
        "steps": given.steps,
    }
    return Synthesizer(source), asked


def _idle_options(given: Namespace, source: Source) -> list[str]:
    """A note on options of the flow decoder where the model has the other one."""
    idle = [f"--{name}" for name in ("steps", "temperature") if getattr(given, name) is not None]
    decoder = source.config.model.decoder
    if not idle or decoder == "flow":
        return []
    does = "does" if len(idle) == 1 else "do"
    return [f"note: {' and '.join(idle)} {does} nothing here: the decoder of this model is {decoder}, not flow"]


def _told(source: Source) -> str:
    checkpoint = source.checkpoint
    kind = ", the best by validation" if checkpoint.best else ""
    return f"checkpoint: {escaped(str(checkpoint.path))} (update {checkpoint.update}{kind}, averaged weights)"


def _print_list(screen: Screen, given: Namespace) -> None:
    from myxtts.synthesis.source import open_source

    source = open_source(Path(given.checkpoint), given.prefer)
    screen.say(_told(source), f"languages: {', '.join(map(escaped, source.corpus.languages))}", "speakers:")
    screen.say(*(f"  {escaped(name)}" for name in source.corpus.speakers))


def _write(speech: Speech, out: Path, mel_path: Path | None, *, raw: bool) -> None:
    """Writes the files, each whole or not at all. Raises StorageError."""
    from myxtts.audio.waveform import write_wav
    from myxtts.storage.files import write_bytes_atomic
    from myxtts.synthesis.stream import pcm16

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
    """Writes a mel, whole or not at all. Raises StorageError."""
    import numpy as np

    from myxtts.storage.files import write_bytes_atomic

    encoded = io.BytesIO()
    np.save(encoded, mel_MC, allow_pickle=False)
    write_bytes_atomic(path, encoded.getvalue())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
