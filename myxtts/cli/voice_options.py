"""Options that select a voice: recordings, training speakers, saved and random voices, each with a weight."""

from __future__ import annotations

import argparse
import contextlib
import os
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myxtts.errors import ConfigError, DataError
from myxtts.messages import quoted
from myxtts.synthesis.options import HIGHEST_SEED
from myxtts.synthesis.voice_parts import Kind, VoicePart, split_weight, weight_problem

if TYPE_CHECKING:
    from myxtts.runtime.interface import OpenedModel

CONSENT = (
    "Cloning a voice needs the consent of the person. Do not impersonate anyone, and tell listeners that the speech is "
    "synthetic."
)
_OPTIONS: dict[str, tuple[Kind, str, str]] = {
    "--reference": (
        "reference",
        "WAV[:WEIGHT]",
        "recording of the voice, three to ten seconds of clean speech; this option and the next three may be repeated "
        "and combined: the voices are mixed, by weight or in equal shares",
    ),
    "--speaker": ("speaker", "NAME[:WEIGHT]", "a training speaker"),
    "--voice": ("voice", "FILE[:WEIGHT]", "a voice that `myxtts voice` saved"),
    "--random-voice": (
        "random",
        "SEED[:WEIGHT]",
        "a new random voice, sampled from the distribution of the training speakers",
    ),
}


class _Append(argparse.Action):
    """Collects all voices in one list, in the order in which they were given."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        namespace.voices.append((str(option_string), str(values)))


def add_voice_options(group: argparse._ArgumentGroup) -> None:
    """Adds the options; the parser's defaults need `voices=[]`."""
    for option, (_, metavar, meaning) in _OPTIONS.items():
        group.add_argument(option, action=_Append, default=argparse.SUPPRESS, metavar=metavar, help=meaning)


def files_read(given: Namespace) -> list[tuple[str, Path]]:
    """The files that the voice options read, each with its option."""
    found = []
    for option, text in given.voices:
        if _OPTIONS[option][0] in ("reference", "voice"):
            with contextlib.suppress(ConfigError):  # `parts_of` reports invalid weights
                found.append((option, Path(split_weight(text, os.path.exists)[0])))
    return found


def parts_of(given: Namespace, opened: OpenedModel) -> list[VoicePart]:
    """The parts of the voice, their files and names checked. Raises ConfigError and DataError."""
    from myxtts.audio import waveform
    from myxtts.synthesis.opened import speaker_index
    from myxtts.synthesis.voice_file import compatibility_note, read_voice

    parts: list[VoicePart] = []
    weights: list[tuple[str, float | None]] = []
    problems: list[str] = []
    for option, text in given.voices:
        try:
            part = _part(option, text, opened)
        except ConfigError as error:
            problems += error.problems
            continue
        parts.append(part)
        weights.append((f"{option} {quoted(text, 200)}", part.weight))
    if not problems and (problem := weight_problem(weights)):
        problems.append(problem)
    if problems:
        raise ConfigError(problems)
    for part in parts:
        if part.kind == "reference" and isinstance(part.what, Path):
            try:
                waveform.probe(part.what)
            except DataError as error:
                raise DataError(f"--reference {error}") from error
        elif part.kind == "speaker":
            speaker_index(opened, str(part.what))
        elif part.kind == "voice" and isinstance(part.what, Path):
            compatibility_note(read_voice(part.what), part.what, opened)
    return parts


def _part(option: str, text: str, opened: OpenedModel) -> VoicePart:
    """One part of the voice. Raises ConfigError."""
    kind = _OPTIONS[option][0]
    if not text:
        raise ConfigError(f"{option} is empty; remove it, or write {_OPTIONS[option][1].partition('[')[0]} after it")
    speakers = opened.corpus.speakers
    exists = {"speaker": speakers.__contains__, "random": str.isdecimal}.get(kind, os.path.exists)
    try:
        name, weight = split_weight(text, exists)
    except ConfigError as error:
        raise ConfigError(f"{option} {error}") from None
    if kind == "speaker":
        return VoicePart(kind, name, weight)
    if kind == "random":
        if not (name.isdecimal() and len(name) < 11 and int(name) <= HIGHEST_SEED):
            raise ConfigError(f"{option} is {quoted(text)}, expected a whole number 0 to {HIGHEST_SEED}")
        return VoicePart(kind, int(name), weight)
    return VoicePart(kind, Path(name), weight)
