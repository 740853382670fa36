"""Trains a voice at the stable level, basic; `python3 train_stable.py --help` tells more."""

import sys

from myxtts.cli.train import main

if __name__ == "__main__":
    sys.exit(main(program="train_stable.py", pinned_level="basic", default_checkpoint_dir="./checkpoints_stable"))
