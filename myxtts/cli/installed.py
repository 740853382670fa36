"""What a Python without the packages of requirements.txt is told, in place of a traceback. Standard library alone."""

from __future__ import annotations

import sys


def not_installed(error: ModuleNotFoundError) -> str | None:
    """The line for an import of another project's package that is missing; None if the missing module is our own."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "myxtts"):
        return None
    return (
        f"error: the package {package!r} is not installed for this Python ({sys.executable}); "
        "run `make setup`, then `source .venv/bin/activate`"
    )
