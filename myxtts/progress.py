"""Progress reports of long computations, which print nothing themselves."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the task, the number of finished items and the total."""


def silent(task: str, done: int, total: int) -> None:
    """A Progress that does nothing."""
