"""Everything that is printed: lines, tables, progress bars, errors; and how a command becomes an exit code."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from myxtts.cli.installed import not_installed
from myxtts.config.resolve import Resolved
from myxtts.errors import EXIT_BAD_INPUT, EXIT_DEFECT, EXIT_STOPPED, ConfigError, MyXTTSError
from myxtts.messages import escaped, plain
from myxtts.messages import quoted as shown

if TYPE_CHECKING:
    from tqdm import tqdm

_BAR_AFTER_SECONDS = 1.0
_LINE_EVERY_SECONDS = 10.0
_WIDEST_REASON = 78


class Screen:
    """What a person at the terminal sees. Lines go to stdout, bars and warnings to stderr.

    Without a terminal a bar would fill a log file with control characters; then a task tells its progress in lines.
    """

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._is_terminal = self._err.isatty()
        self._bar: tqdm[Any] | None = None
        self._task = ""
        self._started = 0.0
        self._last_line = 0.0

    def say(self, *lines: str) -> None:
        """Prints lines to stdout, above a bar that is shown."""
        self._print(self._out, lines)

    def warn(self, *lines: str) -> None:
        """Prints lines to stderr, above a bar that is shown, each marked as a warning."""
        self._print(self._err, [f"warning: {line}" for line in lines])

    def table(self, rows: Sequence[Sequence[str]], indent: str = "  ") -> None:
        """Prints rows in columns; the last column is not padded."""
        self.say(*aligned(rows, indent))

    def progress(self, task: str, done: int, total: int) -> None:
        """A myxtts.progress.Progress: a bar that appears once the task has lasted a second, and goes at its end."""
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
            self._print(self._err, [f"{task}: {done} of {total}, {now - self._started:.0f} s"])
        if done >= total:
            self.close()

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        """The bar of the training: `done` of `total` updates (0: no end is known) and named figures behind it.

        Without a terminal a line is printed where `line` is set (at training.log_every_updates, say).
        """
        text = "  ".join(f"{name} {value}" for name, value in figures.items())
        if not self._is_terminal:
            if line:
                self._print(self._err, [f"update {done}" + (f" of {total}" if total else "") + f"  {text}"])
            return
        if self._task != "training":
            self.close()
            self._task = "training"
        bar = self._move_bar("training", done, total)
        bar.set_postfix_str(text, refresh=False)

    def close(self) -> None:
        """Takes the bar away."""
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
            )
        self._bar.total = total or None
        self._bar.update(done - self._bar.n)
        return self._bar

    def _print(self, stream: TextIO, lines: Sequence[str]) -> None:
        if self._bar is not None:
            self._bar.clear()
        for line in lines:
            print(line, file=stream)
        stream.flush()
        if self._bar is not None:
            self._bar.refresh()


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows as lines whose columns stand beneath one another."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return [(indent + "  ".join(cells)).rstrip() for cells in padded]


def settings_table(resolved: Resolved) -> list[str]:
    """Lines: every setting that differs from its default, its value, where it came from and why."""
    differing = resolved.differing()
    if not differing:
        return ["All settings are at their defaults."]
    rows = [("setting", "value", "from", "why")]
    for row in differing:
        reason = row.reason if len(row.reason) <= _WIDEST_REASON else row.reason[: _WIDEST_REASON - 3] + "..."
        rows.append((row.key, escaped(plain(row.value)), escaped(row.source), reason))
    return ["Settings that differ from the default (--explain KEY tells more):", *aligned(rows)]


def error_lines(error: MyXTTSError) -> list[str]:
    """An error as lines for stderr: one for each problem; further lines of a message (a table) are indented."""
    if isinstance(error, ConfigError):
        return [f"error: {escaped(problem)}" for problem in error.problems]
    first, *rest = str(error).split("\n")
    return [f"error: {escaped(first)}", *(f"  {escaped(line)}" for line in rest)]


def guarded(command: Callable[[], int]) -> int:
    """Runs `command` and turns what it raises into an exit code.

    An error the user can act on is printed without a traceback; anything else is a defect of ours and shows all.
    """
    try:
        code = command()
        if sys.stdout is not None:  # it is where the program was started with stdout closed
            sys.stdout.flush()
        return code
    except MyXTTSError as error:
        print(*error_lines(error), sep="\n", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nstopped; nothing was left half written, the same command goes on", file=sys.stderr)
        return EXIT_STOPPED
    except BrokenPipeError:
        # The reader (head, less) left; without this Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_DEFECT
    except Exception as error:
        missing = not_installed(error) if isinstance(error, ModuleNotFoundError) else None
        if missing is not None:
            print(missing, file=sys.stderr)
            return EXIT_BAD_INPUT
        traceback.print_exc()
        print(f"error: a defect in MyXTTS ({shown(str(error), 100)}); please report the lines above", file=sys.stderr)
        return EXIT_DEFECT
