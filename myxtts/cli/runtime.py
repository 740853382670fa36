"""The Python that runs a command: missing packages, its name in printed commands, and loading TensorFlow quietly.

Imports the standard library alone: the scripts report a missing package with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myxtts.runtime.interface import OpenedModel
    from myxtts.synthesis.synthesizer import Synthesizer

_REPOSITORY = Path(__file__).resolve().parents[2]
_STDERR = 2


def not_installed(error: ModuleNotFoundError) -> str | None:
    """The error line for a missing third-party package, in place of a traceback; None if the module is our own."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "myxtts"):
        return None
    return (
        f"error: the package {package!r} is not installed for this Python ({sys.executable}); "
        "run `make setup`, then `source .venv/bin/activate`"
    )


def python_command() -> str:
    """`python3`, or the path of this Python where `python3` is not the one of the virtual environment.

    The path is relative if it is below the current directory. Not quoted for the shell.
    """
    if sys.prefix == sys.base_prefix or not sys.executable or _leads_into(shutil.which("python3"), Path(sys.prefix)):
        return "python3"
    # Only the folder is resolved: the link in the environment is what makes Python use that environment.
    executable = Path(sys.executable)
    folder, here = executable.parent.resolve(), Path.cwd().resolve()
    return str((folder / executable.name).relative_to(here)) if folder.is_relative_to(here) else str(executable)


def program_path(program: str) -> str:
    """The path, from the current directory, of a script of the repository such as `train_main.py`.

    Returns `program` unchanged if it is not a file there, such as "myxtts train". Not quoted for the shell.
    """
    path, here = _REPOSITORY / program, Path.cwd().resolve()
    if not path.is_file():
        return program
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _leads_into(program: str | None, prefix: Path) -> bool:
    return program is not None and Path(program).parent.resolve().is_relative_to(prefix.resolve())


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Hides what C++ code writes to stderr while modules that import TensorFlow are loaded: it looks like errors.

    If the import fails, the output is shown. Hides nothing if the user has set TF_CPP_MIN_LOG_LEVEL.
    """
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # else TensorFlow takes all memory of a GPU at once
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    # At level 2 a machine without a GPU still reports that as an error.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with contextlib.suppress(OSError, ValueError):  # stderr may be broken
        sys.stderr.flush()
    with tempfile.TemporaryFile() as hidden:
        saved = os.dup(_STDERR)
        os.dup2(hidden.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            with contextlib.suppress(OSError):
                os.write(saved, hidden.read())
            raise
        finally:
            os.dup2(saved, _STDERR)
            os.close(saved)


def dictionary_of(given: Namespace) -> Mapping[str, str]:
    """The pronunciations of --dictionary; none without it. Raises DataError."""
    from myxtts.text.dictionary import read_dictionary

    return read_dictionary(Path(given.dictionary).expanduser()) if given.dictionary else {}


def load_synthesizer(
    opened: OpenedModel, vocoder: str = "neural", dictionary: Mapping[str, str] | None = None
) -> Synthesizer:
    """The synthesizer of an opened model; for a run TensorFlow is imported, quietly. Raises as Synthesizer."""
    from myxtts.synthesis.opened import OpenedCheckpoint
    from myxtts.synthesis.synthesizer import Synthesizer
    from myxtts.vocoder.files import NEURAL, open_vocoder

    speaks = None if vocoder == NEURAL else open_vocoder(vocoder, opened.config.audio)
    if isinstance(opened, OpenedCheckpoint):
        with quiet_loading():
            import myxtts.synthesis.network  # noqa: F401
    return Synthesizer(opened, speaks, dictionary)
