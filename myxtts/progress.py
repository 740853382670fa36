"""How a long computation below the command line tells how far it is, without printing anything itself."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the task, what is done and the total."""


def silent(task: str, done: int, total: int) -> None:
    """A Progress for callers that show nothing."""
