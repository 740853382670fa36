"""`myxtts demo` (make demo): trains on the built-in corpus for about ten minutes, then speaks three sentences."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from myxtts.cli import train
from myxtts.cli.arguments import OneLineParser
from myxtts.cli.runtime import python_command, quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.config.files import load_file
from myxtts.config.resolve import resolve
from myxtts.config.schema import DataConfig
from myxtts.demo.sentences import ENGLISH_HELD_OUT
from myxtts.errors import EXIT_DONE, EXIT_STOPPED, ConfigError, StorageError
from myxtts.messages import escaped, quoted

DEFAULT_DIRECTORY = Path("demo")
MINUTES = 9.0
"""Of training; preparing data, the last validation and synthesis take the rest of ten minutes on two cores."""
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
        allow_abbrev=False,
        description="Trains size tiny at level enhanced on the built-in corpus (voices of eSpeak NG), then speaks "
        "three sentences that are not in the training data.",
    )
    parser.add_argument(
        "--out", metavar="DIR", default=str(DEFAULT_DIRECTORY), help=f"output folder ({DEFAULT_DIRECTORY})"
    )
    parser.add_argument("--minutes", metavar="N", type=float, default=MINUTES, help=f"training minutes ({MINUTES:g})")
    parser.add_argument("--fresh", action="store_true", help="start over; the existing run is moved aside")
    namespace, unknown = parser.parse_known(argv)
    problems = list(unknown)
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
        code = train.main(training_words(run, namespace.minutes, namespace.fresh, screen))
        if code != EXIT_DONE:
            if code == EXIT_STOPPED:
                screen.say("`make demo` resumes from here, completes the training and speaks.")
            return code
    try:
        _speak(out, run, screen)
    finally:
        screen.close()
    return EXIT_DONE


def training_words(run: Path, minutes: float, fresh: bool, screen: Screen) -> list[str]:
    """The command line for training. It names the corpus, so that the demo never trains on the user's data."""
    from myxtts.demo import corpus as demo_corpus

    root = str(demo_corpus.ensure(Path(DataConfig().cache_path).expanduser(), screen.progress))
    screen.close()
    words = ["--train-data", root, "--val-data", root, "--model-size", "tiny", "--optimization-level", "enhanced"]
    words += ["--checkpoint-dir", str(run), "--set", f"training.max_minutes={minutes:g}"]
    return [*words, "--fresh"] if fresh else words


def is_finished(run: Path) -> bool:
    """Whether the events of the run say that it has finished."""
    from myxtts.storage.journal import read_events
    from myxtts.storage.run_directory import RunDirectory

    states = [event["event"] for event in read_events(RunDirectory(run).events_path) if event["event"] in _STATE_EVENTS]
    return bool(states) and states[-1] in ("end", "early_stop")


def minutes_of(run: Path) -> float:
    """training.max_minutes in the config.yaml of the run; 0 means no limit. Raises ConfigError."""
    from myxtts.storage.run_directory import RunDirectory

    return resolve([load_file(RunDirectory(run).config_path)]).config.training.max_minutes


def _speak(out: Path, run: Path, screen: Screen) -> None:
    from myxtts.audio.waveform import write_wav
    from myxtts.report import write_report

    with quiet_loading():
        from myxtts.synthesis.synthesizer import Synthesizer

    synthesizer = Synthesizer.load(run)
    update = synthesizer.opened.update
    screen.say("", f"Three sentences that are not in the training data, after {update} updates:")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{quoted(str(out), 200)}: cannot be created ({error.strerror}); use another") from error
    for sentence in SENTENCES:
        speech = synthesizer.speak(sentence.text, speaker=sentence.speaker, language=sentence.language)
        path = out / sentence.file_name
        write_wav(path, speech.samples, speech.sample_rate_hz)
        screen.say(f"  {escaped(str(path))}  ({speech.seconds:.1f} s)  {sentence.text}")
        screen.warn(*speech.notes)
    page = write_report(run)
    words = shlex.join([python_command(), "-m", "myxtts", "speak", "--checkpoint", escaped(str(run))])
    screen.say(
        f"Report: {escaped(str(page))}",
        "The voices are eSpeak NG's: the demo shows that everything works, not how a model of human speech sounds.",
        f'Another sentence: {words} --speaker us_woman --text "..." --out out.wav',
    )
