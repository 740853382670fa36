"""Finds and fixes the causes of NaN in training; see `python3 fix_nan_loss.py --help`."""

import sys

from myxtts.cli.runtime import not_installed
from myxtts.errors import EXIT_BAD_INPUT

try:
    from myxtts.cli.fix_nan_loss import main
except ModuleNotFoundError as error:  # not the Python of .venv
    line = not_installed(error)
    if line is None:
        raise
    print(line, file=sys.stderr)
    sys.exit(EXIT_BAD_INPUT)

if __name__ == "__main__":
    sys.exit(main())
