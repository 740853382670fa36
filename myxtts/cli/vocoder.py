"""`myxtts vocoder`: `train` trains a neural vocoder by the training command, `save` writes it to a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from myxtts.cli import train
from myxtts.cli.arguments import OneLineParser
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.messages import escaped, quoted

TRAIN, SAVE = "myxtts vocoder train", "myxtts vocoder save"
USAGE = (
    f"usage: {TRAIN} [options]",
    f"       {SAVE} RUN --out FILE.safetensors",
    "",
    "train   trains a neural vocoder on recordings, from scratch or with --init-from; the options are those of",
    "        `myxtts train`, and the same command resumes the run",
    "save    writes the weights of such a run to one file in half precision, for `--vocoder FILE`",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `myxtts vocoder` with the words in `argv`; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["train"]:
        return train.main(words[1:], program=TRAIN, pinned_level="vocoder", default_checkpoint_dir="./vocoder")
    if words[:1] == ["save"]:
        return guarded(lambda: _save(words[1:]))
    return guarded(lambda: _help(words))


def _save(words: Sequence[str]) -> int:
    parser = OneLineParser(
        prog=SAVE, usage=f"{SAVE} RUN --out FILE.safetensors", description="Writes a trained vocoder to one file."
    )
    parser.add_argument("run", metavar="RUN", help="run directory of `myxtts vocoder train`")
    parser.add_argument("--out", metavar="FILE.safetensors", required=True, help="where to write it")
    given = parser.parse(words)
    from myxtts.vocoder.files import write_vocoder

    out = Path(given.out).expanduser()
    found = write_vocoder(Path(given.run).expanduser(), out)
    Screen().say(f"{escaped(str(out))}: {out.stat().st_size / 1e6:.1f} MB, the best weights, of update {found.update}")
    return EXIT_DONE


def _help(words: Sequence[str]) -> int:
    if words and words[0] not in ("-h", "--help"):
        raise ConfigError(f"myxtts vocoder: unknown command {quoted(words[0])}; the commands are train and save")
    Screen().say(*USAGE)
    return EXIT_DONE
