"""`myxtts demo` (make demo): fine-tunes the starter for a few minutes and speaks sentences before and after.

On the built-in corpus, or on a folder of the user; `--from-scratch` trains a model of its own instead.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli import train
from myxtts.cli.arguments import OneLineParser
from myxtts.cli.runtime import python_command, quiet_loading
from myxtts.cli.screen import Screen, guarded, optional
from myxtts.cli.voice_options import CONSENT
from myxtts.config.files import load_file
from myxtts.config.resolve import resolve
from myxtts.config.schema import DataConfig, TextConfig
from myxtts.demo.sentences import ENGLISH_HELD_OUT, PERSIAN_HELD_OUT
from myxtts.errors import EXIT_DONE, EXIT_STOPPED, ConfigError, DataError, StorageError
from myxtts.messages import escaped, quoted
from myxtts.speakers import COPY_MARK
from myxtts.storage import STARTER

if TYPE_CHECKING:
    from myxtts.data.records import Utterance
    from myxtts.storage.run_directory import RunDirectory
    from myxtts.synthesis.speech import Speech

DEFAULT_DIRECTORY = Path("demo")
MINUTES, SCRATCH_MINUTES = 5.0, 9.0
"""Of training, from the starter and from scratch; preparing data, validation and synthesis take a minute or two."""
BUILT_IN_NOTE = (
    "The voices are eSpeak NG's: the demo shows that everything works, not how a model of human speech sounds."
)
REFERENCE_SECONDS = 5.0
"""The reference of the starter is the training clip of the speaker that is nearest to this length."""
_STATE_EVENTS = ("start", "resume", "end", "early_stop", "signal")
"""Events that say whether a run is in progress, finished or stopped."""


@dataclass(frozen=True)
class DemoSentence:
    """A sentence of the demo: a voice, its language in the corpus, and a text that is not in the training data."""

    speaker: str
    language: str
    text: str

    @property
    def file_name(self) -> str:
        """Name of its WAV file."""
        return f"{self.speaker}.wav"


SENTENCES = (
    DemoSentence("us_woman", "en-us", ENGLISH_HELD_OUT[1]),
    DemoSentence("us_man_deep", "en-us", ENGLISH_HELD_OUT[0]),
    DemoSentence("gb_man", "en-gb-x-rp", ENGLISH_HELD_OUT[10]),
)


def main(argv: Sequence[str]) -> int:
    """Trains or resumes the run of the demo, speaks, and prints the file names; returns the exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    parser = OneLineParser(
        prog="myxtts demo",
        usage="myxtts demo [options]",
        description="Speaks sentences with the starter in the voices of some recordings, fine-tunes it on them, and "
        "speaks the same sentences again. The recordings are the built-in corpus (voices of eSpeak NG) or your own.",
        epilog=CONSENT,
    )
    parser.add_argument("--data", metavar="DIR", help="your recordings, in the layout of --train-data")
    parser.add_argument(
        "--language",
        metavar="CODE",
        help="language of your recordings, such as fa, where their table does not say it (en-us)",
    )
    parser.add_argument("--from-scratch", action="store_true", help="train from random weights instead")
    parser.add_argument(
        "--out", metavar="DIR", default=str(DEFAULT_DIRECTORY), help=f"output folder ({DEFAULT_DIRECTORY})"
    )
    parser.add_argument(
        "--minutes",
        metavar="N",
        type=float,
        default=None,
        help=f"training minutes ({MINUTES:g}, from scratch {SCRATCH_MINUTES:g})",
    )
    parser.add_argument("--fresh", action="store_true", help="start over; the existing run is moved aside")
    namespace, unknown = parser.parse_known(argv)
    problems = list(unknown)
    if namespace.minutes is None:
        namespace.minutes = SCRATCH_MINUTES if namespace.from_scratch else MINUTES
    if namespace.data is not None and not Path(namespace.data).is_dir():
        problems.append(f"--data is {quoted(namespace.data, 200)}, which is no folder; name a folder of recordings")
    if namespace.language is not None and namespace.data is None:
        problems.append("--language is that of your recordings; name them with --data")
    if not 0.05 <= namespace.minutes <= 10_000:
        problems.append(f"--minutes is {namespace.minutes!r}, expected 0.05 to 10000")
    out = Path(namespace.out)
    if out.exists() and not out.is_dir():
        problems.append(f"--out is {quoted(str(out), 200)}, which is a file; name a folder")
    if problems:
        raise ConfigError(problems)
    screen = Screen(needed=False)  # a failure of stdout must not end the training
    run = out / "run"
    if not namespace.fresh and is_finished(run) and not 0 < minutes_of(run) < namespace.minutes:
        screen.say(
            f"The training in {escaped(str(run))} is already finished.",
            "(--minutes with a larger number continues it, --fresh starts over.)",
        )
    else:
        root = data_root(namespace.data, screen)
        new = namespace.fresh or not _run_directory(run).checkpoints_path.exists()
        if new and not namespace.from_scratch:
            clips = _clips_of(root, namespace.language)
            optional(screen, lambda: _speak_before(out, clips, screen), "no samples of the starter", "--from-scratch")
        words = training_words(run, root, namespace.minutes, from_scratch=namespace.from_scratch, new=new)
        if namespace.language is not None:
            words += ["--language", namespace.language]
        code = train.main([*words, "--fresh"] if namespace.fresh else words)
        if code != EXIT_DONE:
            if code == EXIT_STOPPED:
                screen.say("The same command resumes from here, completes the training and speaks.")
            return code
    try:
        _speak(out, run, screen)
    finally:
        screen.close()
    return EXIT_DONE


def data_root(given: str | None, screen: Screen) -> str:
    """The folder to train on: the user's, or the built-in corpus, which is named, so that nothing else is used."""
    from myxtts.demo import corpus as demo_corpus

    if given is not None:
        return given
    root = str(demo_corpus.ensure(Path(DataConfig().cache_path).expanduser(), screen.progress))
    screen.close()
    return root


def training_words(run: Path, root: str, minutes: float, *, from_scratch: bool, new: bool) -> list[str]:
    """The command line for training; a `new` run begins with the weights of the starter, unless from scratch."""
    words = ["--train-data", root, "--checkpoint-dir", str(run), "--set", f"training.max_minutes={minutes:g}"]
    if (Path(root) / "metadata_eval.csv").exists():
        words = [*words[:2], "--val-data", root, *words[2:]]
    if from_scratch:
        return [*words, "--model-size", "tiny", "--optimization-level", "enhanced"]
    words += ["--optimization-level", "fine_tuning"]
    return [*words, "--init-from", STARTER] if new else words


def sentences_of(speakers: Sequence[tuple[str, str]]) -> list[DemoSentence]:
    """A sentence for each of up to three speakers, given with languages; SENTENCES if these are the built-in voices."""
    known = dict(speakers)
    if all(known.get(sentence.speaker) == sentence.language for sentence in SENTENCES):
        return list(SENTENCES)
    chosen = [(name, code) for name, code in speakers if COPY_MARK not in name][: len(SENTENCES)]
    texts = {code: PERSIAN_HELD_OUT if code == "fa" else ENGLISH_HELD_OUT for _, code in chosen}
    return [DemoSentence(name, code, texts[code][at]) for at, (name, code) in enumerate(chosen)]


def _run_directory(run: Path) -> RunDirectory:
    """The run directory; imported here, so that --help needs no NumPy."""
    from myxtts.storage.run_directory import RunDirectory

    return RunDirectory(run)


def is_finished(run: Path) -> bool:
    """Whether the events of the run say that it has finished."""
    from myxtts.storage.journal import read_events

    states = [
        event["event"] for event in read_events(_run_directory(run).events_path) if event["event"] in _STATE_EVENTS
    ]
    return bool(states) and states[-1] in ("end", "early_stop")


def minutes_of(run: Path) -> float:
    """training.max_minutes in the config.yaml of the run; 0 means no limit. Raises ConfigError."""
    return resolve([load_file(_run_directory(run).config_path)]).config.training.max_minutes


def _clips_of(root: str, language: str | None) -> dict[str, list[Utterance]]:
    """The training clips of each speaker of a data root; `language` is that of rows without one.

    Raises DataError, also where the texts cannot be right, such as Persian as English.
    """
    from myxtts.data.anomalies import check_suspects
    from myxtts.data.manifest import read_root

    manifest = read_root(Path(root), "train", language or TextConfig().language)
    check_suspects(manifest, DataConfig().max_suspect_share)
    found: dict[str, list[Utterance]] = {}
    for utterance in manifest.utterances:
        found.setdefault(utterance.speaker, []).append(utterance)
    return found


def languages_of(run: Path, speakers: Sequence[str]) -> list[tuple[str, str]]:
    """The speakers of a run with the language of their recordings; those of the model are also the starter's.

    Raises ConfigError.
    """
    config = resolve([load_file(_run_directory(run).config_path)]).config
    try:
        clips = _clips_of(config.data.train_path, config.text.language)
    except DataError:  # the recordings are no longer there
        clips = {}
    return [(name, clips[name][0].language if name in clips else config.text.language) for name in speakers]


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{quoted(str(out), 200)}: cannot be created ({error.strerror}); use another") from error


def _write(path: Path, speech: Speech, sentence: DemoSentence, screen: Screen) -> None:
    from myxtts.audio.waveform import write_wav

    write_wav(path, speech.samples, speech.sample_rate_hz)
    screen.say(f"  {escaped(str(path))}  ({speech.seconds:.1f} s)  {sentence.text}")
    screen.warn(*speech.notes)


def _speak_before(out: Path, clips: Mapping[str, Sequence[Utterance]], screen: Screen) -> None:
    """Speaks the sentences with the starter, each with a training clip of the speaker as reference."""
    from myxtts.audio.waveform import probe

    with quiet_loading():
        from myxtts.synthesis.synthesizer import Synthesizer

    synthesizer = Synthesizer.load(STARTER)
    screen.say("", "The starter, with one recording of each speaker as reference, before the training:")
    _make_folder(out)
    languages = [(name, utterances[0].language) for name, utterances in clips.items()]
    for sentence in sentences_of(languages):
        some = clips[sentence.speaker][:20]
        reference = min(some, key=lambda u: abs(probe(u.audio_path).seconds - REFERENCE_SECONDS)).audio_path
        language = sentence.language if sentence.language in synthesizer.languages else None
        speech = synthesizer.speak(sentence.text, references=[reference], language=language)
        _write(out / f"before-{sentence.file_name}", speech, sentence, screen)


def _speak(out: Path, run: Path, screen: Screen) -> None:
    from myxtts.report import write_report

    with quiet_loading():
        from myxtts.synthesis.synthesizer import Synthesizer

    synthesizer = Synthesizer.load(run)
    sentences = sentences_of(languages_of(run, synthesizer.speakers))
    screen.say("", f"The trained model, after {synthesizer.opened.update} updates:")
    _make_folder(out)
    for sentence in sentences:
        language = sentence.language if sentence.language in synthesizer.languages else None
        speech = synthesizer.speak(sentence.text, speaker=sentence.speaker, language=language)
        _write(out / sentence.file_name, speech, sentence, screen)
    page = write_report(run)
    command = [python_command(), "-m", "myxtts", "speak", "--checkpoint", escaped(str(run))]
    command += ["--speaker", sentences[0].speaker]
    if len(synthesizer.languages) > 1 and sentences[0].language in synthesizer.languages:
        command += ["--language", sentences[0].language]
    screen.say(
        f"Report: {escaped(str(page))}",
        *([BUILT_IN_NOTE] if sentences == list(SENTENCES) else []),
        f'Another sentence: {shlex.join(command)} --out out.wav "..."',
    )
