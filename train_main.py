"""Trains a voice at any optimization level; `python3 train_main.py --help` tells more."""

import sys

from myxtts.cli.train import main

if __name__ == "__main__":
    sys.exit(main(program="train_main.py", default_checkpoint_dir="./checkpoints"))
