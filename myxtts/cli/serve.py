"""`myxtts serve`: answers requests for speech over HTTP with OpenAI's API."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import socket
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from myxtts.cli.arguments import OneLineParser, add_dictionary_option, add_prefer_option
from myxtts.cli.runtime import dictionary_of, load_synthesizer
from myxtts.cli.screen import Screen, guarded
from myxtts.cli.voice_options import CONSENT
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.messages import escaped, quoted

PROGRAM = "myxtts serve"
_LARGEST_TOKEN_FILE = 4_096
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#]+")
"""Any scheme: pages of browser extensions and of programs have their own."""
_RANGES = {"port": (0, 65_535), "max_queue": (1, 1_000), "threads": (1, 64), "max_characters": (1, 100_000)}


def main(argv: Sequence[str]) -> int:
    """Serves as `argv` says until it is stopped; returns the exit code."""
    return guarded(lambda: _run(argv))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} MODEL [options]",
        description="Speaks over HTTP: POST /v1/audio/speech as in OpenAI's API, and GET /v1/audio/voices, "
        "/v1/models, /health and /metrics. SIGTERM finishes the speech in progress.",
        epilog=CONSENT,
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="exported folder, run directory or step folder")
    add_prefer_option(parser)
    add_dictionary_option(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine alone)")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="port; 0: any free one (8000)")
    parser.add_argument("--token-file", metavar="FILE", help="file with the token that clients must send")
    parser.add_argument("--origin", action="append", default=[], metavar="URL", help="origin of a web page that may "
                        "use the server (CORS); may be repeated (none)")  # fmt: skip
    parser.add_argument("--threads", type=int, default=min(4, os.cpu_count() or 1), metavar="N",
                        help="sentences computed at the same time (%(default)s)")  # fmt: skip
    parser.add_argument("--max-queue", type=int, default=8, metavar="N", help="requests at the same time, waiting ones "
                        "included; further ones get 503 (8)")  # fmt: skip
    parser.add_argument("--voices", metavar="DIR", help="folder of saved voices to serve too (with --allow-voices "
                        "./voices, else none)")  # fmt: skip
    parser.add_argument("--allow-voices", action="store_true", help="clients may add voices: POST /v1/audio/voices "
                        "with a recording and a statement of consent (off)")  # fmt: skip
    parser.add_argument("--max-characters", type=int, default=4096, metavar="N", help="longest text (4096)")
    return parser


def _run(argv: Sequence[str]) -> int:
    given = _parser().parse(argv, _problems)
    token = _token(Path(given.token_file)) if given.token_file else None
    try:
        import uvicorn

        from myxtts.server.app import ServerSettings, application
        from myxtts.server.voice_folder import VoiceFolder
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the server needs the package {error.name}; install it with `pip install 'myxtts[serve]'`"
        ) from error
    from myxtts.synthesis.opened import open_model

    screen, dictionary = Screen(), dictionary_of(given)
    settings = ServerSettings(
        threads=given.threads,
        max_queue=given.max_queue,
        max_characters=given.max_characters,
        token=token,
        origins=tuple(given.origin),
        allow_voices=given.allow_voices,
    )
    folder = Path(given.voices or "voices").expanduser() if given.voices or given.allow_voices else None
    with ending_cleanly() as serving, contextlib.closing(listener(given.host, given.port)) as taken:
        opened = open_model(Path(given.model), given.prefer)
        screen.say(escaped(opened.summary))
        synthesizer = load_synthesizer(opened, dictionary=dictionary)
        synthesizer.warm_up()
        app = application(synthesizer, settings, VoiceFolder(folder) if folder else None)
        config = uvicorn.Config(app, log_level="warning", server_header=False, ws="none")
        server = announcing(uvicorn.Server, partial(_say_address, screen))(config)
        serving(server)
        with contextlib.suppress(KeyboardInterrupt):  # the server ends by it, and raises it once more
            server.run(sockets=[taken])
    return EXIT_DONE


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens, taken before the model is loaded. Raises ConfigError for a wrong host or a port in use."""
    made = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # localhost may have an IPv6 address first, but its users expect 127.0.0.1
        family, kind, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        made = socket.socket(family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(2_048)
    except (OSError, UnicodeError) as error:
        if made is not None:
            made.close()
        if made is None or (isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL):
            raise ConfigError(
                f"--host {quoted(host)} is no address of this machine; give one such as 127.0.0.1 or 0.0.0.0"
            ) from error
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"--port {port} cannot be used on {host} ({reason}); is another server running? Choose another port"
        ) from error
    return made


@contextlib.contextmanager
def ending_cleanly() -> Iterator[Callable[[Any], None]]:
    """Within it, SIGTERM ends the command as usual, so that eSpeak's and other temporary files are removed.

    It gives a function to name the server: before, the signal raises SystemExit, and afterwards it ends the server.
    That also covers the moments before uvicorn handles signals, and the signal that uvicorn sends itself at the end.
    """
    servers: list[Any] = []

    def end(number: int, frame: object) -> None:
        if not servers:
            raise SystemExit(128 + number)
        servers[0].should_exit = True

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield servers.append
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_address(screen: Screen, host: str, port: int) -> None:
    screen.say(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}")


def announcing(base: type, announce: Callable[[str, int], None]) -> type:
    """The server class, which calls `announce` with the address once it listens."""

    class Server(base):  # type: ignore[misc]
        async def startup(self, sockets: list[object] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce(*self.servers[0].sockets[0].getsockname()[:2])

    return Server


def _problems(given: Namespace) -> list[str]:
    found = []
    if not given.model:
        found.append("MODEL is missing; name an exported folder or a run directory")
    for name, (low, high) in _RANGES.items():
        value = getattr(given, name)
        if not low <= value <= high:
            found.append(f"--{name.replace('_', '-')} is {value}, expected {low} to {high}")
    found += [
        f"--origin is {quoted(origin)}, expected scheme and host as in https://example.org, without a path"
        for origin in given.origin
        if not _ORIGIN.fullmatch(origin)
    ]
    if given.voices is not None:
        found += folder_problems("--voices", given.voices, must_exist=not given.allow_voices)
    return found


def folder_problems(option: str, text: str, *, must_exist: bool) -> list[str]:
    """Why an option does not name a folder; at most one line."""
    path = Path(text).expanduser()
    if path.is_dir() or (not path.exists() and not must_exist and text.strip()):
        return []
    what = "is a file" if path.exists() else "does not exist" if text.strip() else "is empty"
    return [f"{option} is {quoted(text, 200)}, which {what}; name a folder"]


def _token(path: Path) -> str:
    """The token in a file. Raises ConfigError."""
    name = f"--token-file {quoted(str(path), 200)}"
    try:
        with path.open("rb") as file:
            token = file.read(_LARGEST_TOKEN_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise ConfigError(f"{name} cannot be read ({reason}); write the token into a text file") from None
    if not token or not token.isprintable() or " " in token:
        raise ConfigError(f"{name} has no token; write one line without blanks into it")
    return token
