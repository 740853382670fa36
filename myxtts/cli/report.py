"""`myxtts report RUN`: writes the HTML page of a run and names it."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

from myxtts.cli.arguments import OneLineParser
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError


def main(argv: Sequence[str]) -> int:
    """Writes RUN/report.html, prints its path, and shows it in the browser with --open; returns the exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    parser = OneLineParser(
        prog="myxtts report",
        allow_abbrev=False,
        description="Writes RUN/report.html: health, curves, settings, events and audio samples.",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory, as given with --checkpoint-dir")
    parser.add_argument("--open", action="store_true", help="show the page in the browser")
    namespace, unknown = parser.parse_known(argv)
    if unknown:
        raise ConfigError(unknown)
    from myxtts.report import write_report  # Imported here: --help and a wrong option answer without numpy.

    page = write_report(Path(namespace.run))
    screen = Screen()
    screen.say(str(page))
    if namespace.open and not webbrowser.open(page.resolve().as_uri()):
        screen.say("no browser found; open the file yourself")
    return EXIT_DONE
