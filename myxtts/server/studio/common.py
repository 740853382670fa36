"""Shared by the parts of the studio: its settings and folders, JSON bodies, and errors for the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from myxtts.errors import ConfigError, DataError, MyXTTSError, StorageError
from myxtts.messages import quoted
from myxtts.runtime.interface import OpenedModel
from myxtts.server.app import ServerSettings, body_of, error_response
from myxtts.server.speech_request import ApiError, object_of
from myxtts.synthesis.synthesizer import Synthesizer

T = TypeVar("T")


@dataclass(frozen=True)
class StudioSettings:
    """The folders of the studio, and how it starts commands.

    Attributes:
        model: run, step folder, exported folder or starter that speaks if no other model is chosen.
        runs: folder of the runs; new ones are made in it.
        other_runs: runs in other places that are listed as well.
        voices: folder of the saved voices.
        program: the words that start `myxtts` here.
        shown_program: the same as a user would write it.
        load: makes the synthesizer of an opened model.
        threads: sentences and recordings that are computed at the same time.
    """

    model: str
    runs: Path
    voices: Path
    program: tuple[str, ...]
    load: Callable[[OpenedModel], Synthesizer]
    shown_program: str = "myxtts"
    other_runs: tuple[Path, ...] = ()
    threads: int = 2
    max_upload_bytes: int = ServerSettings.max_upload_bytes

    @property
    def state(self) -> Path:
        """Folder of the studio's own files."""
        return self.runs / ".studio"


class WorkerThreads:
    """Threads for work that would block the server."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "studio")

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, computed in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object in the body of a request. Raises ApiError."""
    return object_of(await body_of(request))


def text_of(values: dict[str, Any], name: str, default: str = "") -> str:
    """A field that is text of one line. Raises ApiError."""
    value = values.get(name, default)
    if value is None:
        value = default
    if not isinstance(value, str) or len(value) > 4_096 or any(c in value for c in "\0\n\r"):
        raise ApiError(400, f"{name} is {quoted(value)}, expected a line of text", name)
    return value.strip()


def folder_of(text: str) -> tuple[Path, str]:
    """A folder that a user named, and why it is none, such as "does not exist"; "" where it is one."""
    try:
        path = Path(text).expanduser()
        what = "" if path.is_dir() else "is a file" if path.is_file() else "does not exist"
    except (OSError, RuntimeError):  # a name that is too long; the home of nobody
        return Path(), "does not exist"
    return path, what if text else "is empty"


async def as_reply(request: Request, error: Exception) -> Response:
    """An error of MyXTTS, or of the disk, as a reply in OpenAI's format."""
    message = error.problems[0] if isinstance(error, ConfigError) else str(error)
    status = 500 if isinstance(error, StorageError | OSError) else 400
    return error_response(ApiError(status, message))


STUDIO_ERRORS: dict[Any, Any] = {one: as_reply for one in (MyXTTSError, DataError, ConfigError, OSError)}
