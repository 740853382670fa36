"""`myxtts vocoder train`: the training command at the level that trains a neural vocoder."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from myxtts.cli import train
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.messages import quoted

PROGRAM = "myxtts vocoder train"
USAGE = (
    f"usage: {PROGRAM} [options]",
    "",
    "Trains a neural vocoder on recordings, from scratch or with --init-from RUN. The same command resumes it.",
    f"{PROGRAM} --help lists the options; they are those of `myxtts train`.",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `myxtts vocoder` with the words in `argv`; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["train"]:
        return train.main(words[1:], program=PROGRAM, pinned_level="vocoder", default_checkpoint_dir="./vocoder")
    return guarded(lambda: _help(words))


def _help(words: list[str]) -> int:
    if words and words[0] not in ("-h", "--help"):
        raise ConfigError(f"myxtts vocoder: unknown command {quoted(words[0])}; write `{PROGRAM}`")
    Screen().say(*USAGE)
    return EXIT_DONE
