"""Parts of a voice: recordings, training speakers, saved and random voices, each with a weight.

Imports neither NumPy nor TensorFlow, so that `--help` stays fast.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from myxtts.errors import ConfigError, DataError
from myxtts.messages import quoted

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Kind = Literal["reference", "speaker", "voice", "random"]

_NAMES: dict[Kind, str] = {
    "reference": "reference",
    "speaker": "training speaker",
    "voice": "voice",
    "random": "random voice",
}
_MOST_LISTED = 3
_DECIMAL_COMMA = re.compile(r"[0-9]*,[0-9]+")
"""A weight written with a decimal comma, as is usual in many languages."""


@dataclass(frozen=True, eq=False)
class VoicePart:
    """One part of a voice. All parts that are given are mixed.

    Attributes:
        kind: "reference", "speaker", "voice" or "random".
        what: path of a recording, or mono float32 samples at the model's rate (reference); name of a training speaker
            (speaker); path of a saved voice (voice); seed (random).
        weight: over 0; None in all parts: equal weights.
    """

    kind: Kind
    what: Path | str | int | npt.NDArray[np.float32]
    weight: float | None = None

    def description(self, full_path: bool = True) -> str:
        """The part in words; without `full_path` only file names, for text that is stored or shared."""
        if isinstance(self.what, (str, Path)) and self.kind in ("reference", "voice"):
            path = Path(self.what)
            return f"{_NAMES[self.kind]} {quoted(str(path if full_path else path.name), 80)}"
        if isinstance(self.what, (str, int)):
            return f"{_NAMES[self.kind]} {quoted(self.what, 80)}"
        return f"{_NAMES[self.kind]} samples"


def split_weight(text: str, exists: Callable[[str], bool]) -> tuple[str, float | None]:
    """Splits `NAME:WEIGHT` at its last colon; the weight is None where there is none.

    Args:
        text: a file or speaker name, with or without a weight.
        exists: whether a text is the name of something; a colon in such a name is part of it. Text behind a colon
            counts as a weight if it is a number, also one with a decimal comma, or if the name before it exists.

    Raises ConfigError, one line that says what to write, for an invalid weight.
    """
    name, colon, tail = text.rpartition(":")
    if not colon or not name or exists(text):
        return text, None
    try:
        weight = math.nan if "_" in tail else float(tail)
    except ValueError:
        if not exists(name) and not _DECIMAL_COMMA.fullmatch(tail):
            return text, None
        weight = math.nan
    if not math.isfinite(weight) or weight <= 0:
        raise ConfigError(
            f"{quoted(text, 200)}: the weight is {quoted(tail)}, expected a number over 0; write it as in "
            f"{quoted(name + ':0.7', 200)}"
        )
    return name, weight


def weight_problem(parts: Sequence[tuple[str, float | None]]) -> str | None:
    """One line if a weight is invalid or only some of the parts (description, weight) have one; else None."""
    for name, weight in parts:
        if weight is not None and not (math.isfinite(weight) and weight > 0):
            return f"{name}: the weight is {weight!r}, expected a number over 0"
    with_weight = [name for name, weight in parts if weight is not None]
    without = [name for name, weight in parts if weight is None]
    if with_weight and without:
        return f"{with_weight[0]} has a weight and {without[0]} has none; give every part a weight, or none of them"
    return None


def shares_of(parts: Sequence[VoicePart]) -> list[float]:
    """The normalized weights, with sum 1. Raises DataError for invalid ones."""
    if problem := weight_problem([(part.description(), part.weight) for part in parts]):
        raise DataError(problem)
    weights = [1.0 if part.weight is None else part.weight for part in parts]
    largest = max(weights)
    total = math.fsum(weight / largest for weight in weights)
    return [weight / largest / total for weight in weights]


def describe(parts: Sequence[VoicePart], full_path: bool = True) -> str:
    """A voice in one line, as "mix of 70% reference 'a.wav' and 30% training speaker 'bob'"."""
    if len(parts) == 1:
        return parts[0].description(full_path)
    if all(part.weight is None and part.kind == "reference" for part in parts):
        names = [part.description(full_path).partition(" ")[2] for part in parts]
        more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
        return f"mean of references {', '.join(names[:_MOST_LISTED])}{more}"
    shares = shares_of(parts)
    listed = [f"{100 * share:.3g}% {part.description(full_path)}" for share, part in zip(shares, parts, strict=True)]
    return f"mix of {', '.join(listed[:-1])} and {listed[-1]}"
