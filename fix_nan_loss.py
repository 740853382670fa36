"""Finds what makes a training end in NaN, and mends it; `python3 fix_nan_loss.py --help` tells more."""

import sys

from myxtts.cli.runtime import not_installed
from myxtts.errors import EXIT_BAD_INPUT

try:
    from myxtts.cli.fix_nan_loss import main
except ModuleNotFoundError as error:  # a Python that is not that of .venv
    line = not_installed(error)
    if line is None:
        raise
    print(line, file=sys.stderr)
    sys.exit(EXIT_BAD_INPUT)

if __name__ == "__main__":
    sys.exit(main())
