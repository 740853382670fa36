"""Scripts of an extra that run in another process, which may be another Python: can they, and what went wrong."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from myxtts.messages import quoted

_CHECK_SECONDS = 60.0


def extra_problem(what: str, words: Sequence[str], option: str, advice: str) -> str | None:
    """Why a script cannot run, in one line with what to do; None if it can.

    Args:
        what: who it is in a message, as "the judge".
        words: its command line, with which it prints the list of missing packages as JSON.
        option: names another Python.
        advice: how the packages are installed, and what else is possible.
    """
    name = quoted(words[0], 200)
    reason = None
    try:
        done = subprocess.run(words, capture_output=True, timeout=_CHECK_SECONDS, check=False, stdin=subprocess.DEVNULL)
        lacking = json.loads(done.stdout) if not done.returncode else []
        reason = last_line(done.stderr) if done.returncode else None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    if reason is not None:
        return f"{name} cannot run {what} ({reason}); name a Python 3.11 or newer that has the extra with {option}"
    return f"{what} is not installed for {name} (missing: {', '.join(lacking)}): {advice}" if lacking else None


def last_line(errors: bytes) -> str:
    """The last line of what a process printed on stderr, for a message."""
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return quoted(lines[-1], 200) if lines else "no message"
