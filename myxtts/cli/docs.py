"""`python -m myxtts docs`: writes docs/configuration.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from myxtts.cli.arguments import OneLineParser
from myxtts.cli.options import OPTION_OF_KEY
from myxtts.cli.screen import guarded
from myxtts.config.document import document
from myxtts.errors import EXIT_DONE, ConfigError, StorageError

DEFAULT_PATH = Path("docs/configuration.md")


def main(argv: Sequence[str]) -> int:
    """Writes the page; with --check only says whether the file is up to date."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    parser = OneLineParser(prog="python -m myxtts docs", allow_abbrev=False, description="Writes the settings' page.")
    parser.add_argument("--out", metavar="FILE", default=str(DEFAULT_PATH), help=f"where to ({DEFAULT_PATH})")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")
    namespace, unknown = parser.parse_known(argv)
    if unknown:
        raise ConfigError(unknown)
    path, text = Path(namespace.out), document(OPTION_OF_KEY)
    try:
        if namespace.check:
            if path.read_text(encoding="utf-8") != text:
                raise ConfigError(f"{path} is out of date; run `make docs`")
            return EXIT_DONE
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; choose another place with --out") from None
    print(f"{path} written")
    return EXIT_DONE
