"""`myxtts evaluate`: evaluates a trained model on recordings; writes a table, JSON, and a page with audio players."""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myxtts import __version__
from myxtts.cli.arguments import OneLineParser, add_prefer_option, add_vocoder_option
from myxtts.cli.runtime import load_synthesizer, quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError, DataError
from myxtts.messages import escaped, quoted
from myxtts.synthesis.options import option_problems

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from myxtts.evaluation.judge_client import JudgeSetup
    from myxtts.evaluation.measuring import Measurements
    from myxtts.evaluation.selection import SkippedClips, SplitClips
    from myxtts.synthesis import Synthesizer
    from myxtts.synthesis.opened import OpenedCheckpoint

PROGRAM = "myxtts evaluate"
MOST_CLIPS = 10_000


def main(argv: Sequence[str]) -> int:
    """Evaluates as `argv` says and writes a folder; returns the exit code."""
    return guarded(lambda: _run(argv))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} --checkpoint RUN --data ROOT [options]",
        description="Speaks the texts of real recordings with a trained model and measures the distance to them.",
        epilog="What each figure means, and what is good: docs/how-to/evaluate.md.",
    )
    parser.add_argument("--checkpoint", metavar="RUN", help="run directory, one of its step folders, or starter")
    add_prefer_option(parser)
    parser.add_argument("--data", metavar="ROOT", help="folder with metadata and recordings")
    parser.add_argument("--out", metavar="DIR", help="folder to write (RUN/evaluation/<name of ROOT>-<update>)")
    clips = parser.add_argument_group("clips")
    clips.add_argument("--clips", metavar="N", type=int, default=20, help="how many clips are spoken (20)")
    clips.add_argument(
        "--split",
        choices=("val", "train", "all"),
        default="val",
        help="clips that the run was not trained on, those it was trained on, or all (val)",
    )
    clips.add_argument("--seed", metavar="N", type=int, default=1, help="random seed (1)")
    clips.add_argument("--baseline", action="store_true", help="measure the recordings through mel and vocoder too")
    add_vocoder_option(clips)
    judge = parser.add_argument_group("judge: word error, speaker similarity and quality by independent models")
    judge.add_argument(
        "--judge",
        action=argparse.BooleanOptionalAction,
        help="run the judge (default: if installed; pip install 'myxtts[judge]')",
    )
    judge.add_argument("--judge-python", metavar="PYTHON", help="a Python of another environment that has the extra")
    judge.add_argument("--recognizer", metavar="PATH", help="folder of a Whisper model for faster-whisper, not tiny.en")
    return parser


def _run(argv: Sequence[str]) -> int:
    namespace = _parser().parse(argv, _problems)
    screen = Screen()
    try:
        return _evaluate(namespace, screen)
    finally:
        screen.close()


def _problems(given: Namespace) -> list[str]:
    """Problems of the options that need no checkpoint to be seen, one line each."""
    found = []
    if not given.checkpoint:
        found.append("--checkpoint is missing; name a run directory, as given with --checkpoint-dir in training")
    if not given.data:
        found.append("--data is missing; name a folder with metadata and recordings")
    if not 1 <= given.clips <= MOST_CLIPS:
        found.append(f"--clips is {given.clips}, expected 1 to {MOST_CLIPS}")
    found += option_problems({"seed": given.seed}, prefix="--")
    if given.judge is False and (given.judge_python or given.recognizer):
        option = "--judge-python" if given.judge_python else "--recognizer"
        found.append(f"both --no-judge and {option} are given; choose one of them")
    return found


def _evaluate(given: Namespace, screen: Screen) -> int:
    """Checks all arguments, then imports TensorFlow, synthesizes, measures and writes."""
    from myxtts.evaluation.selection import SkippedClips, in_languages, select_clips, split_clips
    from myxtts.synthesis.opened import open_checkpoint

    opened = open_checkpoint(Path(given.checkpoint), given.prefer)
    judge, judge_notes = _judge_setup(given)
    split = split_clips(Path(given.data), given.split, opened.config, _trained(opened))
    split = in_languages(split, lambda language: _speaks(opened, language))
    out = _out_of(given, opened)
    notes = [*opened.notes, *judge_notes, *split.notes]
    screen.say(
        f"checkpoint: {escaped(str(opened.checkpoint.path))} (update {opened.checkpoint.update}, averaged weights)",
        *(f"note: {escaped(note)}" for note in notes),
    )
    with quiet_loading():
        from myxtts.evaluation.folder import move_into_place, work_folder
        from myxtts.evaluation.measuring import Evaluator
        from myxtts.vocoder.files import open_vocoder

    model = _Model(load_synthesizer(opened, given.vocoder), given.seed)
    baseline = open_vocoder(given.vocoder, opened.config.audio) if given.baseline else None
    with work_folder(out) as folder:
        evaluator = Evaluator(model, opened.config.audio, folder, baseline, given.seed)
        skipped = SkippedClips()
        selected = select_clips(split, given.seed, opened.config.data.max_clip_seconds, skipped)
        measured = evaluator.run(selected, min(given.clips, len(split.clips)), skipped, screen.progress)
        judged_by, failure = _judged(judge, measured, folder, screen)
        later_notes = [*_clip_notes(measured, given, split, skipped), *([failure] if failure else [])]
        result = _result(given, opened, measured, judged_by, [*notes, *later_notes])
        _write(result, folder)
        move_into_place(folder, out)
    _show(result, later_notes, out, screen)
    if failure:
        raise DataError(f"{failure}; all other results are in {out}")
    return EXIT_DONE


class _Model:
    """Adapts a synthesizer to the interface of the evaluation."""

    def __init__(self, synthesizer: Synthesizer, seed: int) -> None:
        self._synthesizer, self._seed = synthesizer, seed

    def speak(
        self, text: str, language: str, reference_N: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], list[str]]:
        speech = self._synthesizer.speak(text, references=[reference_N], language=language, seed=self._seed)
        known = self._synthesizer.opened.notes
        return speech.samples, [note for note in speech.notes if note not in known]

    def voice(self, samples_N: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self._synthesizer.make_voice([samples_N]).voice.voice_E

    def durations(
        self,
        text: str,
        language: str,
        reference_N: npt.NDArray[np.float32],
        recording_N: npt.NDArray[np.float32],
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]] | None:
        return self._synthesizer.token_durations(text, recording_N, references=[reference_N], language=language)


def _judge_setup(given: Namespace) -> tuple[JudgeSetup | None, list[str]]:
    """The judge; None without one, with a note why. Raises ConfigError where a judge is requested but unavailable."""
    from myxtts.evaluation.judge_client import JudgeSetup, judge_problem

    if given.judge is False:
        return None, []
    python, recognizer = (Path(path) if path else None for path in (given.judge_python, given.recognizer))
    judge = JudgeSetup(python, recognizer)
    problem = judge_problem(judge)
    if problem is None:
        return judge, []
    if given.judge or python or recognizer:
        raise ConfigError(problem)
    return None, [f"no word error rate: {problem}"]


def _trained(opened: OpenedCheckpoint) -> set[str]:
    """Ids of the clips that the run was trained on; empty where the run directory has no list."""
    from myxtts.storage.files import read_regular_file
    from myxtts.storage.run_directory import RunDirectory

    run = _run_of(opened)
    if run is None:
        return set()
    try:
        text = read_regular_file(RunDirectory(run).utterances_path).decode("utf-8", "replace")
    except (OSError, ValueError):
        return set()
    return set(text.splitlines())


def _run_of(opened: OpenedCheckpoint) -> Path | None:
    """The run directory of a checkpoint; None for a step folder outside of one."""
    folder = opened.checkpoint.path.absolute().parent
    return folder.parent if folder.name == "checkpoints" else None


def _speaks(opened: OpenedCheckpoint, language: str) -> bool:
    from myxtts.synthesis.opened import language_index

    try:
        language_index(opened, language)
    except DataError:
        return False
    return True


def _out_of(given: Namespace, opened: OpenedCheckpoint) -> Path:
    """The folder to write. Raises ConfigError where it contains other files or cannot be written."""
    from myxtts.evaluation.folder import place_problem
    from myxtts.storage.run_directory import RunDirectory

    run = _run_of(opened)
    if given.out:
        out = Path(given.out).absolute()
    elif run is not None:
        out = RunDirectory(run).evaluations_path / f"{_data_name(given)}-{opened.checkpoint.update}"
    else:
        raise ConfigError(f"--out is missing: {quoted(given.checkpoint, 200)} is not in a run directory; name a folder")
    if problem := place_problem(out):
        raise ConfigError(f"--out is {quoted(str(out), 200)}, which {problem}")
    return out


def _data_name(given: Namespace) -> str:
    return Path(given.data).resolve().name or "data"


def _clip_notes(measured: Measurements, given: Namespace, split: SplitClips, skipped: SkippedClips) -> list[str]:
    """Notes on the clips for the reader, one line each."""
    notes = []
    if len(measured.clips) < given.clips:
        notes.append(f"clips: {len(measured.clips)} instead of {given.clips}; the split has {len(split.clips)}")
    own = sum(clip.own_reference for clip in measured.clips)
    if own:
        notes.append(
            f"clips that are their own reference, as their speaker has no other: {own} of {len(measured.clips)}"
        )
    return [*notes, *skipped.lines()]


def _judged(
    judge: JudgeSetup | None, measured: Measurements, folder: Path, screen: Screen
) -> tuple[dict[str, Any] | None, str]:
    """Description of the judge, and why it failed if it did, which does not lose the other figures."""
    from myxtts.evaluation.judge_client import run_judge

    if judge is None:
        return None, ""
    try:
        return run_judge(judge, measured.clips, folder, screen.progress), ""
    except DataError as error:
        return None, str(error)


def _result(
    given: Namespace,
    opened: OpenedCheckpoint,
    measured: Measurements,
    judge: dict[str, Any] | None,
    notes: Sequence[str],
) -> dict[str, Any]:
    from myxtts.evaluation.document import document

    about = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "checkpoint": str(opened.checkpoint.path),
        "update": opened.checkpoint.update,
        "data": str(given.data),
        "data_name": _data_name(given),
        "split": given.split,
        "seed": given.seed,
    }
    return document(measured, about, judge, notes)


def _write(result: dict[str, Any], folder: Path) -> None:
    """Writes the document and its page next to the sounds. Raises StorageError."""
    from myxtts.evaluation.folder import NAME, PAGE_NAME
    from myxtts.report.evaluation import render_evaluation
    from myxtts.storage.files import write_text_atomic

    write_text_atomic(folder / NAME, json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text_atomic(folder / PAGE_NAME, render_evaluation(result))


def _show(result: dict[str, Any], notes: Sequence[str], out: Path, screen: Screen) -> None:
    from myxtts.evaluation.document import speakers_line, table
    from myxtts.evaluation.folder import NAME, PAGE_NAME

    screen.say(f"{escaped(result['data'])}, split {result['split']}, clips: {len(result['clips'])}")
    screen.table(table(result))
    screen.say(speakers_line(result))
    screen.say(*(f"note: {escaped(note)}" for note in notes))
    screen.say(f"figures: {escaped(str(out / NAME))}", f"page: {escaped(str(out / PAGE_NAME))}")
