"""Output of the commands: lines, tables, progress bars, errors, and exit codes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from myxtts.cli.runtime import not_installed
from myxtts.config.resolve import Resolved
from myxtts.errors import EXIT_BAD_INPUT, EXIT_DEFECT, EXIT_STOPPED, ConfigError, MyXTTSError, StorageError
from myxtts.messages import escaped, plain, quoted

if TYPE_CHECKING:
    from tqdm import tqdm

_LAST_STANDARD = 2
_BAR_AFTER_SECONDS = 1.0
_LINE_EVERY_SECONDS = 10.0
_MEASURED_UPDATES, _SLOW = 100, 0.5
"""The speed of a training is compared with the plan after so many updates, and reported below this share of it."""
_WIDEST_REASON = 78


class Output:
    """A stream that may fail at any write: a full disk, a closed pipe, a closed terminal.

    After a failure the stream is turned off, `failure` holds the reason, and later output is discarded. `needed`: the
    output is the purpose of the command, so a failure also ends the command.
    """

    def __init__(self, stream: TextIO | None, name: str, *, needed: bool) -> None:
        self._stream: Any = stream or Nowhere()
        self.name, self.needed, self.failure = name, needed, ""
        show_every_character(self._stream)

    def write(self, text: str) -> int:
        """Writes text. If the stream is needed, raises ReaderLeftError or StorageError."""
        self._try(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flushes the stream. Raises as `write`."""
        self._try(lambda stream: stream.flush())

    def _try(self, work: Callable[[TextIO], object]) -> None:
        if self.failure:
            return
        try:
            work(self._stream)
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            self.failure = getattr(error, "strerror", None) or str(error)
            turn_off(self._stream)
            if self.needed and isinstance(error, BrokenPipeError):
                raise ReaderLeftError from error
            if self.needed:
                what = f"{self.name} cannot be written to ({self.failure})"
                raise StorageError(f"{what}; free some space there, or redirect it elsewhere") from error

    def __getattr__(self, name: str) -> Any:
        """Other attributes of the stream, such as isatty, encoding and fileno, which tqdm uses."""
        return getattr(self._stream, name)


class ReaderLeftError(Exception):
    """The reader of stdout (head, less) closed the pipe: the command ends without a message."""


class Nowhere(io.TextIOBase):
    """Replaces a standard stream that the program was started without."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Discards text."""
        return len(text)


def show_every_character(stream: object) -> None:
    """Escapes characters that the stream's encoding lacks, as Python does on stderr, instead of raising an error."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors != "backslashreplace":
        stream.reconfigure(errors="backslashreplace")


def turn_off(stream: TextIO) -> None:
    """Redirects a broken stream to /dev/null, so that neither its buffer nor another writer fails again."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is stream:
            setattr(sys, name, Nowhere())
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)
        stream.flush()


def open_standard_streams() -> None:
    """Opens stdin, stdout and stderr on /dev/null if the program was started without them.

    Otherwise the next file that is opened, such as a journal, gets the descriptor and receives what a library prints.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Nowhere())
        show_every_character(getattr(sys, name))


class Screen:
    """Prints lines to stdout, progress bars and warnings to stderr.

    Without a terminal, progress is printed as lines, since a bar would fill a log file with control characters.

    A failure of stderr never ends a command; a failure of stdout does only while `needed` is set.
    """

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None, *, needed: bool = True) -> None:
        self._out = Output(out or sys.stdout, "stdout", needed=needed)
        self._err = Output(err or sys.stderr, "stderr", needed=False)
        self._lost: set[str] = set()
        self._is_terminal = self._err.isatty()
        self._bar: tqdm[Any] | None = None
        self._task = ""
        self._started = 0.0
        self._last_line = 0.0
        self._planned_speed = 0.0
        self._first_update: int | None = None

    def go_on_without_output(self) -> None:
        """From now on a failure of stdout does not end the command either: its files matter more than its output."""
        self._out.needed = False

    def lost(self) -> list[str]:
        """Streams that failed since the last call, each with the reason."""
        new = [stream for stream in (self._out, self._err) if stream.failure and stream.name not in self._lost]
        self._lost.update(stream.name for stream in new)
        return [f"{stream.name} cannot be written to ({stream.failure})" for stream in new]

    def say(self, *lines: str) -> None:
        """Prints lines to stdout, above the progress bar."""
        self._print(self._out, lines)

    def warn(self, *lines: str) -> None:
        """Prints lines to stderr, above the progress bar, each marked as a warning."""
        self._print(self._err, [f"warning: {line}" for line in lines])

    def table(self, rows: Sequence[Sequence[str]], indent: str = "  ") -> None:
        """Prints rows in columns; the last column is not padded."""
        self.say(*aligned(rows, indent))

    def progress(self, task: str, done: int, total: int) -> None:
        """A myxtts.progress.Progress: a bar that appears after a second and disappears at the end of the task."""
        now = time.monotonic()
        if task != self._task:
            self.close()
            self._task, self._started, self._last_line = task, now, now
        if now - self._started < _BAR_AFTER_SECONDS and self._bar is None:
            if done >= total:
                self._task = ""
            return
        if self._is_terminal:
            self._move_bar(task, done, total)
        elif done >= total or now - self._last_line >= _LINE_EVERY_SECONDS:
            self._last_line = now
            self._print(self._err, [f"{task}: {done} of {total}, {_times(now - self._started, done, total)}"])
        if done >= total:
            self.close()

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        """The training's progress: `done` of `total` updates (0 if unknown), followed by named figures.

        Without a terminal a line is printed if `line` is set (every training.log_every_updates).
        """
        text = "  ".join(f"{name} {value}" for name, value in figures.items())
        self._compare_speed(done, figures.get("frames/s", ""), line)
        if not self._is_terminal:
            if line:
                self._print(self._err, [f"update {done}" + (f" of {total}" if total else "") + f"  {text}"])
            return
        if self._task != "training":
            self.close()
            self._task = "training"
        bar = self._move_bar("training", done, total)
        bar.set_postfix_str(text, refresh=False)

    def expect_speed(self, frames_per_second: float) -> None:
        """The planned speed of the training, with which the measured one is compared once, after 100 updates."""
        self._planned_speed, self._first_update = frames_per_second, None

    def _compare_speed(self, done: int, speed: str, line: bool) -> None:
        if self._first_update is None:
            self._first_update = done
        if not (line and self._planned_speed and speed and done >= self._first_update + _MEASURED_UPDATES):
            return
        share = float(speed.replace(",", "")) / self._planned_speed
        if share < _SLOW:
            self.say(
                f"note: {speed} frames/s are {share:.0%} of the planned {self._planned_speed:,.0f}: the machine "
                "is busy or slower than the one of the plan; the time left is that at the measured speed"
            )
        self._planned_speed = 0.0

    def close(self) -> None:
        """Removes the progress bar."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._task = None, ""

    def _move_bar(self, task: str, done: int, total: int) -> tqdm[Any]:
        if self._bar is None:
            from tqdm import tqdm  # Imported here: --help and errors answer without it.

            self._bar = tqdm(
                desc=task,
                total=total or None,
                initial=done,
                file=self._err,
                dynamic_ncols=True,
                leave=False,
                mininterval=0.2,
                miniters=1,  # otherwise a bar that was fast is not drawn for up to ten seconds when it gets slow
            )
        self._bar.total = total or None
        self._bar.update(done - self._bar.n)
        return self._bar

    def _print(self, stream: Output, lines: Sequence[str]) -> None:
        if self._bar is not None:
            self._bar.clear()
        for line in lines:
            stream.write(f"{line}\n")
        stream.flush()
        if self._bar is not None:
            self._bar.refresh()


def _times(seconds: float, done: int, total: int) -> str:
    """The time that a task took, and about how long the rest of it takes."""
    spent = f"{seconds:.0f} s"
    if not 0 < done < total:
        return spent
    left = seconds * (total - done) / done
    return f"{spent}, about {f'{left:.0f} s' if left < 90 else f'{left / 60:.0f} min'} left"


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows as lines with aligned columns."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return [(indent + "  ".join(cells)).rstrip() for cells in padded]


def settings_table(resolved: Resolved) -> list[str]:
    """A table of the settings that differ from the default: value, origin and reason."""
    differing = resolved.differing()
    if not differing:
        return ["All settings are at their defaults."]
    rows = [("setting", "value", "from", "why")]
    for row in differing:
        reason = row.reason if len(row.reason) <= _WIDEST_REASON else row.reason[: _WIDEST_REASON - 3] + "..."
        rows.append((row.key, escaped(plain(row.value)), escaped(row.source), reason))
    return ["Settings that differ from the default (details: --explain KEY):", *aligned(rows)]


def error_lines(error: MyXTTSError) -> list[str]:
    """An error as lines for stderr, one per problem; further lines of a message (a table) are indented."""
    if isinstance(error, ConfigError):
        return [f"error: {escaped(problem)}" for problem in error.problems]
    first, *rest = str(error).split("\n")
    return [f"error: {escaped(first)}", *(f"  {escaped(line)}" for line in rest)]


def optional(screen: Screen, work: Callable[[], None], what: str, instead: str) -> None:
    """Runs `work` at the end of a command; an error becomes a warning, so that it does not change the exit code.

    what: what is missing after an error; instead: the command that does the same and shows the entire error.
    """
    try:
        work()
    except MyXTTSError as error:
        screen.warn(f"{what}: {error}")
    except (Exception, KeyboardInterrupt) as error:
        screen.warn(f"{what} ({type(error).__name__}: {quoted(str(error), 100)}); to try again: {instead}")


def guarded(command: Callable[[], int]) -> int:
    """Runs `command` and returns the exit code for what it returns or raises.

    An error that the user can act on is printed without a traceback, any other with it. A failure to print does not
    change the exit code.
    """
    open_standard_streams()
    try:
        code = command()
        Output(sys.stdout, "stdout", needed=True).flush()
        return code
    except MyXTTSError as error:
        print_errors(*error_lines(error))
        return error.exit_code
    except KeyboardInterrupt:
        print_errors("", "stopped; no incomplete files were left, and the same command continues")
        return EXIT_STOPPED
    except ReaderLeftError:
        return EXIT_DEFECT
    except Exception as error:
        missing = not_installed(error) if isinstance(error, ModuleNotFoundError) else None
        if missing is not None:
            print_errors(missing)
            return EXIT_BAD_INPUT
        what = f"error: a bug in MyXTTS ({quoted(str(error), 100)}); please report the lines above"
        print_errors(traceback.format_exc().rstrip(), what)
        return EXIT_DEFECT


def print_errors(*lines: str) -> None:
    """Prints the reason for the exit to stderr; a broken stderr is ignored."""
    stream = Output(sys.stderr, "stderr", needed=False)
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()
