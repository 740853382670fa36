"""What a person sees: bars, lines, errors, exit codes."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from myxtts.cli import screen as module
from myxtts.cli.screen import Screen, aligned, error_lines, guarded
from myxtts.errors import CheckpointError, ConfigError, NonFiniteError, Stopped, StorageError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


def test_a_short_task_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, err = Clock(monkeypatch), Terminal()
    screen = Screen(io.StringIO(), err)
    for done in range(11):
        screen.progress("features", done, 10)
        clock.now += 0.05
    assert err.getvalue() == ""


def test_a_long_task_shows_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, err = Clock(monkeypatch), Terminal()
    screen = Screen(io.StringIO(), err)
    for done in range(11):
        screen.progress("features", done, 10)
        clock.now += 0.5
    assert "features" in err.getvalue() and "/10" in err.getvalue()
    before = len(err.getvalue())
    screen.close()
    assert len(err.getvalue()) == before


def test_without_a_terminal_a_long_task_tells_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, err = Clock(monkeypatch), io.StringIO()
    screen = Screen(io.StringIO(), err)
    for done in range(31):
        screen.progress("features", done, 30)
        clock.now += 1.0
    assert err.getvalue().splitlines() == [
        "features: 10 of 30, 10 s",
        "features: 20 of 30, 20 s",
        "features: 30 of 30, 30 s",
    ]


def test_a_second_task_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, err = Clock(monkeypatch), Terminal()
    screen = Screen(io.StringIO(), err)
    screen.progress("one", 0, 10)
    clock.now += 5
    screen.progress("one", 5, 10)
    screen.progress("two", 0, 10)
    clock.now += 5
    screen.progress("two", 4, 10)
    screen.close()
    assert "one" in err.getvalue() and "two" in err.getvalue() and "4/10" in err.getvalue()


def test_training_bar_and_lines() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err)
    screen.training(24, 100, {"loss": "3.10"})
    screen.training(25, 100, {"loss": "3.05", "norm": "0.4"}, line=True)
    assert err.getvalue() == "update 25 of 100  loss 3.05  norm 0.4\n"
    err = Terminal()
    screen = Screen(out, err)
    screen.training(25, 100, {"loss": "3.05"})
    screen.say("a line above")
    screen.warn("look")
    screen.training(26, 100, {"loss": "3.00"})
    screen.close()
    assert "a line above\n" in out.getvalue() and "warning: look\n" in err.getvalue() and "25/100" in err.getvalue()


def test_aligned() -> None:
    assert aligned([("a", "bb", "c"), ("aaa", "b", "")]) == ["  a    bb  c", "  aaa  b"]
    assert aligned([]) == []


def test_error_lines() -> None:
    assert error_lines(ConfigError(["one", "two\nfaked: line"])) == ["error: one", "error: two\\nfaked: line"]
    assert error_lines(StorageError("disk full")) == ["error: disk full"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (CheckpointError("x"), 2),
        (NonFiniteError("x"), 3),
        (StorageError("x"), 4),
        (Stopped("x"), 75),
    ],
)
def test_exit_codes(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise error

    assert guarded(command) == code
    assert capsys.readouterr().err.splitlines() == ["error: x"]


def test_ctrl_c_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise KeyboardInterrupt

    assert guarded(command) == 75
    assert "stopped" in capsys.readouterr().err


def test_a_defect_shows_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise ValueError("surprise")

    assert guarded(command) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "ValueError: surprise" in err and "a defect in MyXTTS" in err


def test_a_package_that_is_not_installed_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise ModuleNotFoundError("No module named 'soundfile.x'", name="soundfile.x")

    assert guarded(command) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: the package 'soundfile' is not installed") and "make setup" in err
    assert len(err.splitlines()) == 1


def test_a_module_of_ours_that_is_missing_is_a_defect(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise ModuleNotFoundError("No module named 'myxtts.gone'", name="myxtts.gone")

    assert guarded(command) == 1
    assert "a defect in MyXTTS" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["train_main.py"], ["train_stable.py"], ["-m", "myxtts", "train"]])
def test_a_python_without_any_package_is_told_what_to_do(words: list[str]) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-s", *words, "--help"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: the package 'yaml' is not installed") and "make setup" in done.stderr
