"""What a person sees: bars, lines, errors, exit codes."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from myxtts.cli import screen as module
from myxtts.cli.screen import Screen, aligned, error_lines, guarded, optional
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


def test_without_a_terminal_a_long_task_prints_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, err = Clock(monkeypatch), io.StringIO()
    screen = Screen(io.StringIO(), err)
    for done in range(31):
        screen.progress("features", done, 30)
        clock.now += 1.0
    assert err.getvalue().splitlines() == [
        "features: 10 of 30, 10 s, about 20 s left",
        "features: 20 of 30, 20 s, about 10 s left",
        "features: 30 of 30, 30 s",
    ]


def test_a_second_task_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_ctrl_c_prints_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise KeyboardInterrupt

    assert guarded(command) == 75
    assert "stopped" in capsys.readouterr().err


def test_a_defect_shows_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise ValueError("surprise")

    assert guarded(command) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "ValueError: surprise" in err and "a bug in MyXTTS" in err


def test_a_package_that_is_not_installed_is_not_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
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
    assert "a bug in MyXTTS" in capsys.readouterr().err


# --- output that fails


class Broken(Terminal):
    """A terminal that is gone, a full disk, a closed file: any write fails from some moment on."""

    error: Exception | None = None

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)

    def flush(self) -> None:
        if self.error is not None:
            raise self.error


FAILURES = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EIO, "Input/output error"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    OSError(errno.EBADF, "Bad file descriptor"),
    ValueError("I/O operation on closed file."),
]


def use_all_of(screen: Screen, clock: Clock) -> None:
    for done in range(3):
        screen.training(done, 9, {"loss": "3.05"}, line=True)
        screen.say("a line")
        screen.warn("a warning")
        clock.now += 5.0
        screen.progress("validation", done, 3)
        clock.now += 5.0
        screen.progress("validation", done + 1, 3)
        screen.table([("a", "b")])
    screen.close()


@pytest.mark.parametrize("error", FAILURES, ids=lambda e: type(e).__name__ + str(e)[:9])
@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_screen_that_fails_ends_no_training(
    monkeypatch: pytest.MonkeyPatch, error: Exception, terminal: bool, from_the_start: bool
) -> None:
    clock, streams = Clock(monkeypatch), (Broken(), Broken())
    for stream in streams:
        monkeypatch.setattr(stream, "isatty", lambda: terminal)
        stream.error = error if from_the_start else None
    screen = Screen(*streams)
    screen.go_on_without_output()
    if not from_the_start:
        use_all_of(screen, clock)
        assert screen.lost() == []
        for stream in streams:
            stream.error = error
    use_all_of(screen, clock)
    lost = screen.lost()
    reason = getattr(error, "strerror", None) or str(error)
    assert [(line.split()[0], reason in line) for line in lost] == [("stdout", True), ("stderr", True)]
    use_all_of(screen, clock)
    assert screen.lost() == [], "each is reported once"


def test_only_stdout_is_what_a_command_is_for() -> None:
    out, err = Broken(), Broken()
    screen = Screen(out, err)
    err.error = FAILURES[0]
    screen.warn("lost")
    screen.say("said")
    assert out.getvalue() == "said\n"
    out.error = FAILURES[0]
    with pytest.raises(StorageError, match=r"stdout .*No space left on device.*free some space"):
        screen.say("more")


def test_a_stream_that_fails_is_led_to_nowhere_for_all_who_write_there(tmp_path: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123  # a stream as the shell gives it
        screen = Screen(full, io.StringIO(), needed=False)
        screen.say("x" * 20_000)
        os.write(full.fileno(), b"what a library prints")
        full.write("and what Python prints")
    assert "No space left" in screen.lost()[0]


def test_a_character_that_the_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, encoding="latin-1"), io.StringIO())
    screen.say("ü گم")
    assert raw.getvalue() == b"\xfc \\u06af\\u0645\n"


@pytest.mark.parametrize("error", [StorageError("disk"), KeyboardInterrupt(), ValueError("a defect"), ConfigError("x")])
@pytest.mark.parametrize("failure", FAILURES[:3])
def test_a_broken_stderr_changes_no_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, failure: Exception
) -> None:
    def command() -> int:
        raise error

    codes = []
    for broken in (False, True):
        err = Broken()
        err.error = failure if broken else None
        monkeypatch.setattr(sys, "stderr", err)
        codes.append(guarded(command))
    monkeypatch.setattr(sys, "stderr", None)
    assert codes[0] == codes[1] == guarded(command)


@pytest.mark.parametrize(
    "error", [RuntimeError("a defect"), OverflowError(), KeyboardInterrupt(), StorageError("full")]
)
def test_what_is_optional_does_not_hide_how_a_command_ended(error: BaseException) -> None:
    def work() -> None:
        raise error

    err = io.StringIO()
    optional(Screen(io.StringIO(), err), work, "no report page", "myxtts report RUN")
    assert err.getvalue().startswith("warning: no report page") and len(err.getvalue().splitlines()) == 1
    assert str(error) in err.getvalue()


ROOT = Path(__file__).resolve().parents[2]


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_a_command_whose_output_cannot_be_written_says_so_in_one_line() -> None:
    for words in ("--help", "voice --help", "doctor --help"):
        done = shell(f"$PYTHON -m myxtts {words} > /dev/full")
        assert done.returncode == 4 and len(done.stderr.splitlines()) == 1, done.stderr
        assert "stdout" in done.stderr and "No space left on device" in done.stderr


def test_a_reader_that_leaves_ends_a_command_without_a_word() -> None:
    done = shell("set -o pipefail; $PYTHON -m myxtts --help | true; echo ${PIPESTATUS[0]}")
    assert done.stdout.strip() in ("0", "1") and done.stderr == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_program_started_without_its_streams_keeps_its_files_to_itself(tmp_path: Path, closed: str) -> None:
    """The next file that is opened must not become stdout or stderr, into which libraries print."""
    place = tmp_path / "journal"
    code = (
        "import os, sys; from myxtts.cli.screen import Screen, guarded\n"
        f"def command():\n    file = open({str(place)!r}, 'wb'); Screen().say('a'); Screen().warn('b')\n"
        "    for number in (1, 2): os.write(number, b'a library')\n"
        "    file.write(b'own'); file.close(); return 7\n"
        "sys.exit(guarded(command))"
    )
    assert shell(f'$PYTHON -c "$CODE" {closed}', CODE=code).returncode == 7
    assert place.read_bytes() == b"own"


@pytest.mark.parametrize("words", [["train_main.py"], ["train_stable.py"], ["-m", "myxtts", "train"]])
def test_a_python_without_any_package_says_what_to_do(words: list[str]) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-s", *words, "--help"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: the package 'yaml' is not installed") and "make setup" in done.stderr


@pytest.mark.parametrize(("speed", "said"), [("1,150", "1,150 frames/s are 16% of the planned 7,216"), ("4,000", "")])
def test_a_slow_training_is_compared_with_the_plan_once(speed: str, said: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err)
    screen.expect_speed(7_216.0)
    for update in range(400, 700, 25):
        screen.training(update, 1_000, {"frames/s": speed}, line=True)
        assert (said in out.getvalue()) is (update >= 500 or not said)
    assert out.getvalue().count("note:") == bool(said)
