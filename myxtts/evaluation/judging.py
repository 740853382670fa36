"""Asks the judge, which runs in a process of its own: its PyTorch and our TensorFlow never share one."""

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
from myxtts.evaluation.measuring import RECORDING, REFERENCE, Clip
from myxtts.evaluation.words import error_rates
from myxtts.messages import quoted
from myxtts.progress import Progress

INSTALL = "pip install '.[judge]'"
_SCRIPT = Path(__file__).with_name("judge.py")
_CHECK_SECONDS = 60.0


@dataclass(frozen=True)
class JudgePlace:
    """Which Python judges (None: this one), and the folder of a recognizer of one's own."""

    python: Path | None = None
    recognizer: Path | None = None

    def command(self, *words: str) -> list[str]:
        """The command line of the judge."""
        return [str(self.python or sys.executable), "-P", str(_SCRIPT), *words]


def judge_problem(place: JudgePlace) -> str | None:
    """Why the judge cannot be asked, in one line with what to do; None where it can."""
    if place.recognizer is not None and not (place.recognizer / "model.bin").is_file():
        return (
            f"recognizer {quoted(str(place.recognizer), 200)} has no model.bin; name the folder of a Whisper model "
            "that was converted for faster-whisper (CTranslate2)"
        )
    name = quoted(str(place.python or sys.executable), 200)
    words = place.command("--missing", *(["own"] if place.recognizer else []))
    try:
        done = subprocess.run(words, capture_output=True, timeout=_CHECK_SECONDS, check=False, stdin=subprocess.DEVNULL)
        lacking = json.loads(done.stdout) if not done.returncode else None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return f"{name} cannot be asked to judge ({reason}); name a Python 3.11 or newer that has the extra"
    if lacking is None:
        return f"{name} cannot be asked to judge ({_last_line(done.stderr)}); name a Python 3.11 or newer"
    if lacking:
        return (
            f"the judge is not installed for {name} (it lacks {', '.join(lacking)}): {INSTALL}, or name another Python"
        )
    return None


def judged(place: JudgePlace, clips: Sequence[Clip], folder: Path, progress: Progress) -> dict[str, Any]:
    """Has every sound of the clips judged, adds figures and what was heard to them, and returns what judged.

    Raises DataError where the judge's process fails; the clips have none of its figures then.
    """
    asked = [(clip, who) for clip in clips for who in clip.figures]
    jobs = [_job(clip, who, number, folder) for number, (clip, who) in enumerate(asked)]
    order = {"recognizer": str(place.recognizer.absolute()) if place.recognizer else None, "clips": jobs}
    progress("judge", 0, len(jobs))
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            place.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, encoding="utf-8"
        )
        try:
            description, answers = _conversation(process, json.dumps(order), len(asked), progress)
            process.wait()
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        if process.returncode or description is None or len(answers) < len(asked):
            complaints.seek(0)
            raise DataError(f"the judge ended with code {process.returncode}: {_last_line(complaints.read())}")
    for (clip, who), answer in zip(asked, answers, strict=True):
        add_answer(clip, who, answer)
    progress("judge", len(jobs), len(jobs))
    return description


def _job(clip: Clip, who: str, number: int, folder: Path) -> dict[str, Any]:
    is_itself = clip.own_reference and who == RECORDING
    reference = None if is_itself else str((folder / clip.files[REFERENCE]).absolute())
    wav = str((folder / clip.files[who]).absolute())
    return {"id": number, "wav": wav, "reference": reference, "language": clip.language}


def _conversation(
    process: subprocess.Popen[str], order: str, count: int, progress: Progress
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Gives the order and takes the judge's description and its answers, fewer than `count` if it ended before."""
    wanted, answers = process.stdin, process.stdout
    description: dict[str, Any] | None = None
    got: list[dict[str, Any]] = []
    if wanted is None or answers is None or not _given(wanted, order):
        return description, got
    for line in answers:
        if not line.endswith("\n"):
            break  # it was ended in the middle of a word
        answer = json.loads(line)
        if "judge" in answer:
            description = dict(answer["judge"])
            continue
        got.append(answer)
        progress("judge", len(got), count)
    return description, got


def _given(pipe: IO[str], order: str) -> bool:
    """Whether the process has taken its order; it may end before, and its complaint says why."""
    try:
        pipe.write(order)
        pipe.close()
    except BrokenPipeError:
        return False
    return True


def add_answer(clip: Clip, who: str, answer: Mapping[str, Any]) -> None:
    """Adds an answer of the judge to a clip's figures; those that it does not have are None."""
    heard = answer["heard"]
    rates = error_rates(clip.text, heard, clip.language) if heard is not None else None
    clip.figures[who] |= {
        "wer": rates.wer if rates else None,
        "cer": rates.cer if rates else None,
        "secs": answer["secs"],
        "dnsmos": answer["dnsmos"],
    }
    if heard is not None:
        clip.heard[who] = heard


def _last_line(complaint: bytes) -> str:
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    return quoted(lines[-1], 200) if lines else "without a word"
