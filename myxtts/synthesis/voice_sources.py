"""What a voice is made of: recordings, training speakers, saved and random voices, each with a weight. Words alone."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from myxtts.errors import ConfigError, DataError
from myxtts.messages import quoted as shown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Kind = Literal["reference", "speaker", "voice", "random"]

HIGHEST_SEED = 2**31 - 1
_NAMES: dict[Kind, str] = {
    "reference": "reference",
    "speaker": "training speaker",
    "voice": "voice",
    "random": "random voice",
}
_MOST_TOLD = 3
_NUMBER_WITH_COMMA = re.compile(r"[0-9]*,[0-9]+")
"""Meant as a weight, as many languages write it."""


@dataclass(frozen=True, eq=False)
class VoiceSource:
    """One part of a voice.

    kind and what: "reference", a path or mono float32 samples at the model's rate; "speaker", the name of a training
    speaker; "voice", the path of a saved voice; "random", a seed. weight: over 0; None everywhere: all count alike.
    """

    kind: Kind
    what: Path | str | int | npt.NDArray[np.float32]
    weight: float | None = None

    def told(self, full_path: bool = True) -> str:
        """What it is, for a reader; without `full_path` only the file's name, for what others will read."""
        if isinstance(self.what, (str, Path)) and self.kind in ("reference", "voice"):
            path = Path(self.what)
            return f"{_NAMES[self.kind]} {shown(str(path if full_path else path.name), 80)}"
        if isinstance(self.what, (str, int)):
            return f"{_NAMES[self.kind]} {shown(self.what, 80)}"
        return f"{_NAMES[self.kind]} samples"


def split_weight(text: str, is_whole: Callable[[str], bool]) -> tuple[str, float | None]:
    """A name and the weight behind its last colon, None where there is none.

    `is_whole` says whether a text names something as it stands; then a colon in it belongs to the name. What stands
    behind the colon is no weight unless it is a number, be it one with a comma, or what stands before it names
    something by itself.

    Errors: ConfigError, a line that says what to write, for a weight that is none.
    """
    name, colon, tail = text.rpartition(":")
    if not colon or not name or is_whole(text):
        return text, None
    try:
        weight = math.nan if "_" in tail else float(tail)
    except ValueError:
        if not is_whole(name) and not _NUMBER_WITH_COMMA.fullmatch(tail):
            return text, None
        weight = math.nan
    if not math.isfinite(weight) or weight <= 0:
        raise ConfigError(
            f"{shown(text, 200)}: the weight is {shown(tail)}, expected a number over 0; write it as in "
            f"{shown(name + ':0.7', 200)}"
        )
    return name, weight


def weight_problem(parts: Sequence[tuple[str, float | None]]) -> str | None:
    """The line for weights that are wrong or behind some of the parts (what it is, weight) only, else None."""
    for name, weight in parts:
        if weight is not None and not (math.isfinite(weight) and weight > 0):
            return f"{name}: the weight is {weight!r}, expected a number over 0"
    have = [name for name, weight in parts if weight is not None]
    lack = [name for name, weight in parts if weight is None]
    if have and lack:
        return (
            f"{have[0]} has a weight and {lack[0]} has none; give every one a weight (1 counts as much as another 1), "
            "or none of them"
        )
    return None


def shares_of(sources: Sequence[VoiceSource]) -> list[float]:
    """The share of each source, in sum 1. Raises DataError for weights that are wrong."""
    if problem := weight_problem([(source.told(), source.weight) for source in sources]):
        raise DataError(problem)
    weights = [1.0 if source.weight is None else source.weight for source in sources]
    largest = max(weights)
    total = math.fsum(weight / largest for weight in weights)
    return [weight / largest / total for weight in weights]


def told_together(sources: Sequence[VoiceSource], full_path: bool = True) -> str:
    """What a voice is made of, in one line: "mix of 70% reference 'a.wav' and 30% training speaker 'bob'"."""
    if len(sources) == 1:
        return sources[0].told(full_path)
    if all(source.weight is None and source.kind == "reference" for source in sources):
        names = [source.told(full_path).partition(" ")[2] for source in sources]
        more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
        return f"mean of references {', '.join(names[:_MOST_TOLD])}{more}"
    shares = shares_of(sources)
    parts = [f"{100 * share:.3g}% {source.told(full_path)}" for share, source in zip(shares, sources, strict=True)]
    return f"mix of {', '.join(parts[:-1])} and {parts[-1]}"
