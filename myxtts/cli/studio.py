"""`myxtts studio`: a local page to speak, make voices, check data, train and compare runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import webbrowser
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from myxtts.cli.arguments import OneLineParser, add_dictionary_option
from myxtts.cli.runtime import dictionary_of, load_synthesizer, python_command
from myxtts.cli.screen import Screen, guarded
from myxtts.cli.serve import announcing, ending_cleanly, folder_problems, listener
from myxtts.cli.voice_options import CONSENT
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.messages import escaped
from myxtts.storage import STARTER
from myxtts.storage.files import storage_error

PROGRAM = "myxtts studio"
HOST, PORT = "127.0.0.1", 8765
_OTHER_RUNS = ("checkpoints", "checkpoints_stable")
"""The default run directories of the training commands."""


def main(argv: Sequence[str]) -> int:
    """Serves the page until it is stopped; returns the exit code."""
    return guarded(lambda: _run(argv))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [MODEL] [options]",
        description="Opens a page in the browser to speak, make voices from recordings, check data, train and compare "
        "runs. It is served to this machine alone, and a training that it starts continues without it.",
        epilog=CONSENT,
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", default=STARTER, help="exported folder, run directory or "
                        "step folder that speaks (starter, which comes with MyXTTS)")  # fmt: skip
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"port; 0: any free one ({PORT})")
    parser.add_argument("--runs", metavar="DIR", default="runs", help="folder of the runs (./runs)")
    parser.add_argument("--voices", metavar="DIR", default="voices", help="folder of the saved voices (./voices)")
    add_dictionary_option(parser)
    parser.add_argument("--no-open", action="store_true", help="print the address, do not open a browser")
    return parser


def _run(argv: Sequence[str]) -> int:
    given = _parser().parse(argv, _problems)
    try:
        import uvicorn

        from myxtts.server.studio.app import studio
        from myxtts.server.studio.common import StudioSettings
        from myxtts.server.studio.guard import token_of
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the studio needs the package {error.name}; install it with `pip install 'myxtts[serve]'`"
        ) from error
    from myxtts.synthesis.opened import open_model

    screen = Screen()
    load = partial(load_synthesizer, dictionary=dictionary_of(given))
    settings = StudioSettings(
        model=given.model,
        runs=Path(given.runs).expanduser().absolute(),
        voices=Path(given.voices).expanduser().absolute(),
        program=(sys.executable, "-m", "myxtts"),
        shown_program="myxtts" if shutil.which("myxtts") else f"{python_command()} -m myxtts",
        load=load,
        other_runs=tuple(Path(name).absolute() for name in _OTHER_RUNS),
        threads=min(4, os.cpu_count() or 1),
    )
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error("making the folder of the studio", settings.state, error) from error
    token = token_of(settings.state)
    with ending_cleanly() as serving, contextlib.closing(listener(HOST, given.port)) as taken:
        opened = open_model(Path(given.model))
        screen.say(escaped(opened.summary), "loading the model ...")
        synthesizer = load(opened)
        synthesizer.warm_up()
        app = studio(synthesizer, settings, token)

        def announce(host: str, port: int) -> None:
            address = f"http://{host}:{port}/?token={token}"
            screen.say(f"studio: {address}", "Ctrl-C ends the page; trainings continue")
            if not given.no_open:
                # a browser in the terminal would hold up the server
                threading.Thread(target=_open_browser, args=(address,), daemon=True).start()

        config = uvicorn.Config(app, log_level="warning", server_header=False, ws="none", timeout_graceful_shutdown=5)
        server = announcing(uvicorn.Server, announce)(config)
        serving(server)
        with contextlib.suppress(KeyboardInterrupt):  # the server ends by it, and raises it once more
            server.run(sockets=[taken])
    return EXIT_DONE


def _open_browser(address: str) -> None:
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(address)


def _problems(given: Namespace) -> list[str]:
    found = []
    if not 0 <= given.port <= 65_535:
        found.append(f"--port is {given.port}, expected 0 to 65535")
    for option, folder in (("--runs", given.runs), ("--voices", given.voices)):
        found += folder_problems(option, folder, must_exist=False)
    return found
