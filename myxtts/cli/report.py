"""`myxtts report RUN`: writes the HTML report of a run."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

from myxtts.cli.arguments import OneLineParser
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE


def main(argv: Sequence[str]) -> int:
    """Writes RUN/report.html, prints its path, and opens it in the browser with --open; returns the exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    parser = OneLineParser(
        prog="myxtts report",
        usage="myxtts report RUN [--open]",
        description="Writes RUN/report.html, one file with health, curves, settings, events and audio samples.",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory, as given with --checkpoint-dir")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    namespace = parser.parse(argv)
    from myxtts.report import write_report  # Imported here, so that --help is quick.

    page = write_report(Path(namespace.run))
    screen = Screen()
    screen.say(str(page))
    if namespace.open and not webbrowser.open(page.resolve().as_uri()):
        screen.say("no browser found; open the file by hand")
    return EXIT_DONE
