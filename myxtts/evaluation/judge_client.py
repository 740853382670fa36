"""Runs the judge in a separate process, so that its PyTorch and our TensorFlow never share one."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from myxtts.errors import DataError
from myxtts.evaluation.measuring import RECORDING, REFERENCE, EvaluatedClip
from myxtts.evaluation.word_errors import error_rates
from myxtts.messages import quoted
from myxtts.other_python import extra_problem, last_line
from myxtts.progress import Progress

INSTALL = "pip install 'myxtts[judge]'"
_SCRIPT = Path(__file__).with_name("judge.py")


@dataclass(frozen=True)
class JudgeSetup:
    """The Python that runs the judge (None: this one), and the folder of another recognizer than the bundled one."""

    python: Path | None = None
    recognizer: Path | None = None

    def command(self, *words: str) -> list[str]:
        """The command line of the judge."""
        return [str(self.python or sys.executable), "-P", str(_SCRIPT), *words]


def judge_problem(judge: JudgeSetup) -> str | None:
    """Why the judge cannot run, in one line with a remedy; None where it can."""
    if judge.recognizer is not None and not (judge.recognizer / "model.bin").is_file():
        return (
            f"recognizer {quoted(str(judge.recognizer), 200)} has no model.bin; name the folder of a Whisper model "
            "that was converted for faster-whisper (CTranslate2)"
        )
    words = judge.command("--missing", *(["own"] if judge.recognizer else []))
    return extra_problem("the judge", words, "--judge-python", f"{INSTALL}, or name another Python")


def run_judge(judge: JudgeSetup, clips: Sequence[EvaluatedClip], folder: Path, progress: Progress) -> dict[str, Any]:
    """Judges every sound of the clips, adds figures and recognized texts to them, and returns the judge's description.

    Raises DataError where the judge's process fails; the clips then have none of its figures.
    """
    sounds = [(clip, who) for clip in clips for who in clip.figures]
    jobs = [_job(clip, who, number, folder) for number, (clip, who) in enumerate(sounds)]
    request = {"recognizer": str(judge.recognizer.absolute()) if judge.recognizer else None, "clips": jobs}
    progress("judge", 0, len(jobs))
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            judge.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8"
        )
        try:
            description, answers = _conversation(process, json.dumps(request), len(sounds), progress)
            process.wait()
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        if process.returncode or description is None or len(answers) < len(sounds):
            errors.seek(0)
            raise DataError(f"the judge ended with code {process.returncode}: {last_line(errors.read())}")
    for (clip, who), answer in zip(sounds, answers, strict=True):
        add_answer(clip, who, answer)
    progress("judge", len(jobs), len(jobs))
    return description


def _job(clip: EvaluatedClip, who: str, number: int, folder: Path) -> dict[str, Any]:
    is_itself = clip.own_reference and who == RECORDING
    reference = None if is_itself else str((folder / clip.files[REFERENCE]).absolute())
    wav = str((folder / clip.files[who]).absolute())
    return {"id": number, "wav": wav, "reference": reference, "language": clip.language}


def _conversation(
    process: subprocess.Popen[str], request: str, count: int, progress: Progress
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Sends the request and reads the judge's description and answers: fewer than `count` if the process ends early."""
    stdin, stdout = process.stdin, process.stdout
    description: dict[str, Any] | None = None
    answers: list[dict[str, Any]] = []
    if stdin is None or stdout is None or not _sent(stdin, request):
        return description, answers
    for line in stdout:
        if not line.endswith("\n"):
            break  # the process ended within a line
        answer = json.loads(line)
        if "judge" in answer:
            description = dict(answer["judge"])
            continue
        answers.append(answer)
        progress("judge", len(answers), count)
    return description, answers


def _sent(pipe: IO[str], request: str) -> bool:
    """Whether the request was sent; a process that has ended explains why in its errors."""
    try:
        pipe.write(request)
        pipe.close()
    except BrokenPipeError:
        return False
    return True


def add_answer(clip: EvaluatedClip, who: str, answer: Mapping[str, Any]) -> None:
    """Adds an answer of the judge to a clip's figures; missing figures are None."""
    recognized = answer["recognized"]
    rates = error_rates(clip.text, recognized, clip.language) if recognized is not None else None
    clip.figures[who] |= {
        "wer": rates.wer if rates else None,
        "cer": rates.cer if rates else None,
        "secs": answer["secs"],
        "dnsmos": answer["dnsmos"],
    }
    if recognized is not None:
        clip.recognized[who] = recognized
