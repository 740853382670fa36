"""What was found in the data before training: counts, and every rejected row with its place and reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from myxtts.data.caps import raised_caps
from myxtts.data.records import REASONS, UNKNOWN_SYMBOLS, Rejection
from myxtts.data.store import FeatureStore
from myxtts.errors import DataError

EXAMPLES_PER_REASON = 3
_ARABIC_LETTER = re.compile("[\u0620-\u064a\u066e-\u06d3]")


@dataclass(frozen=True)
class SetFigures:
    """Figures of one set of clips (training or validation)."""

    clips: int
    minutes: float
    speakers: dict[str, int]
    languages: dict[str, int]
    sample_rates_hz: dict[int, int]
    longest_seconds: float
    tokens: int

    @classmethod
    def of(cls, store: FeatureStore) -> SetFigures:
        """Figures of a feature store; durations are those of the recordings as they are on the disk."""
        seconds = [store.facts(row).samples / store.facts(row).sample_rate_hz for row in range(len(store))]
        return cls(
            clips=len(store),
            minutes=sum(seconds) / 60.0,
            speakers=_counted(utterance.speaker for utterance in store.utterances),
            languages=_counted(utterance.language for utterance in store.utterances),
            sample_rates_hz=_counted(store.facts(row).sample_rate_hz for row in range(len(store))),
            longest_seconds=max(seconds, default=0.0),
            tokens=int(store.lengths[0].sum()),
        )

    def line(self, name: str) -> str:
        """The figures as a line of the table."""
        languages = ", ".join(f"{language} {count}" for language, count in self.languages.items())
        rates = ", ".join(f"{rate} Hz" for rate in self.sample_rates_hz)
        speakers = f"{len(self.speakers)} speaker{'' if len(self.speakers) == 1 else 's'}"
        return (
            f"{name:<11}{self.clips:>7} clips {self.minutes:>8.1f} min  {speakers}  {languages}  {rates}  "
            f"longest {self.longest_seconds:.1f} s"
        )


@dataclass(frozen=True)
class Audit:
    """The figures of both sets and everything that was rejected."""

    train: SetFigures
    validation: SetFigures
    rejections: list[Rejection]

    @property
    def rejected_share(self) -> float:
        """Rejected rows of all rows, 0 to 1."""
        return share_rejected(self.train.clips + self.validation.clips, len(self.rejections))

    def table(self) -> list[str]:
        """The audit for the screen."""
        return [self.train.line("training"), self.validation.line("validation"), *rejection_lines(self.rejections)]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "train": _plain(self.train),
            "validation": _plain(self.validation),
            "rejected_share": self.rejected_share,
            "rejections": [rejection.to_json() for rejection in self.rejections],
        }


def share_rejected(accepted: int, rejected: int) -> float:
    """Share of the rows that is rejected; 0 without rows."""
    return rejected / (accepted + rejected) if accepted + rejected else 0.0


def rejection_lines(rejections: Sequence[Rejection], examples: int = EXAMPLES_PER_REASON) -> list[str]:
    """Rejections by reason with their number, the first of each with place and value."""
    if not rejections:
        return ["rejected         0"]
    lines = [f"rejected   {len(rejections):>7}"]
    counts = Counter(rejection.reason for rejection in rejections)
    for reason in sorted(counts, key=lambda reason: (-counts[reason], REASONS.index(reason))):
        lines.append(f"  {reason}: {counts[reason]}")
        of_reason = [rejection for rejection in rejections if rejection.reason == reason]
        lines += [f"    {rejection.source}: {rejection.value}" for rejection in of_reason[:examples]]
        if len(of_reason) > examples:
            lines.append(f"    ... and {len(of_reason) - examples} more")
        taken, caps = raised_caps(of_reason)
        if taken:
            some = "" if taken == len(of_reason) else f"{taken} of "
            lines.append(f"    {some}these are taken with {caps} (the memory of a batch grows with it)")
        if reason == UNKNOWN_SYMBOLS and any(_ARABIC_LETTER.search(rejection.value) for rejection in of_reason):
            lines.append("    Persian rows need their language: a column that says fa, or --set text.language=fa")
    return lines


def check_share(name: str, accepted: int, rejections: Sequence[Rejection], most: float) -> None:
    """Stops where nothing is left, or where more than `most` of a set's rows are rejected.

    Errors: DataError whose first line says what is wrong and what to do, and whose other lines are the table.
    """
    table = "\n".join(rejection_lines(rejections, examples=5))
    total = accepted + len(rejections)
    do = _advice(accepted, rejections, most)
    if not accepted:
        raise DataError(f"{name} data: none of its {total} rows can be used; {do}\n{table}")
    share = share_rejected(accepted, len(rejections))
    if share > most:
        raise DataError(
            f"{name} data: {len(rejections)} of {total} rows rejected ({share:.1%}), allowed are {most:.1%}; {do}, or "
            f"go on without them with --set data.max_rejected_share={_allowing(share)}\n{table}"
        )


def _advice(accepted: int, rejections: Sequence[Rejection], most: float) -> str:
    """What to do about rejections: raise the caps where these keep most of the rows out, else mend the rows."""
    taken, caps = raised_caps(rejections)
    if not taken or 2 * taken < len(rejections):
        return "mend what the table names"
    which = "1 is over a cap: take it" if taken == 1 else f"{taken} are over a cap: take these"
    left = share_rejected(accepted + taken, len(rejections) - taken) > most
    return f"{which} with {caps}{', and mend what else the table names' if left else ''}"


def _allowing(share: float) -> str:
    """The smallest share of two decimals that is not exceeded."""
    return f"{-(-share * 100 // 1) / 100:.2f}"


def _counted(values: Any) -> dict[Any, int]:
    """How often each value occurs, by value."""
    return dict(sorted(Counter(values).items()))


def _plain(figures: SetFigures) -> dict[str, Any]:
    """Figures as plain values; JSON has text keys alone."""
    return {**vars(figures), "sample_rates_hz": {str(rate): count for rate, count in figures.sample_rates_hz.items()}}
