"""Trains a voice at the stable level, basic; see `python3 train_stable.py --help`."""

import sys

from myxtts.cli.runtime import not_installed
from myxtts.errors import EXIT_BAD_INPUT

try:
    from myxtts.cli.train import main
except ModuleNotFoundError as error:  # not the Python of .venv
    line = not_installed(error)
    if line is None:
        raise
    print(line, file=sys.stderr)
    sys.exit(EXIT_BAD_INPUT)

if __name__ == "__main__":
    sys.exit(main(program="train_stable.py", pinned_level="basic", default_checkpoint_dir="./checkpoints_stable"))
