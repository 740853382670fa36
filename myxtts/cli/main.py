"""`myxtts COMMAND` (or `python -m myxtts COMMAND`): imports only the module of the command and runs it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from myxtts import __version__
from myxtts.cli.screen import Screen, guarded
from myxtts.config.fields import nearest
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.messages import quoted

COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("myxtts.cli.train", "train a voice (same as train_main.py)"),
    "prepare": ("myxtts.cli.prepare", "compute the features of a data set into the cache, in any number of processes"),
    "demo": ("myxtts.cli.demo", "fine-tune the starter for a few minutes and speak before and after (make demo)"),
    "dataset": ("myxtts.cli.dataset", "cut long recordings into a data set: `myxtts dataset make`"),
    "speak": ("myxtts.cli.speak", "speak a text in a cloned, saved, random or training voice"),
    "vocoder": ("myxtts.cli.vocoder", "train a neural vocoder: `myxtts vocoder train`"),
    "voice": ("myxtts.cli.voice", "save a voice to a small file for `speak --voice`"),
    "export": ("myxtts.cli.export", "write a model for programs without TensorFlow"),
    "phonemes": ("myxtts.cli.phonemes", "show how a text is spoken: normalized, in phonemes, word by word"),
    "serve": ("myxtts.cli.serve", "speak over HTTP with OpenAI's API"),
    "studio": ("myxtts.cli.studio", "open a page to speak, make voices, check data, train and compare"),
    "evaluate": ("myxtts.cli.evaluate", "compare a model with recordings: distances, speaker similarity, word error"),
    "report": ("myxtts.cli.report", "write the HTML report of a run"),
    "doctor": ("myxtts.cli.doctor", "show the health of a run, its recoveries and worst utterances, and what to do"),
    "replay": ("myxtts.cli.replay", "recompute an incident and name the first operation whose result is not finite"),
    "docs": ("myxtts.cli.docs", "write the reference pages of settings and commands"),
}
"""Command -> module with `main(argv) -> exit code`, and its description."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in `argv` (the arguments without the program); returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _dispatch(words))


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        usage = "usage: myxtts COMMAND [options]   (myxtts COMMAND --help lists the options; --version)"
        Screen().say(usage, "", *(f"  {name:<12} {meaning}" for name, (_, meaning) in COMMANDS.items()))
        return EXIT_DONE
    if words[0] == "--version":
        Screen().say(f"myxtts {__version__}")
        return EXIT_DONE
    if words[0] not in COMMANDS:
        best = nearest(words[0], COMMANDS)
        hint = f"did you mean {best}? " if best else ""
        raise ConfigError(f"unknown command {quoted(words[0])}; {hint}commands: {', '.join(COMMANDS)}")
    module = importlib.import_module(COMMANDS[words[0]][0])
    code: int = module.main(words[1:])
    return code
