"""The audit of the data before training: counts, and every rejected row with its location and reason."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from myxtts.config.fields import LEAVES
from myxtts.data.anomalies import Anomaly
from myxtts.data.feature_store import FeatureStore
from myxtts.data.records import REASONS, UNKNOWN_SYMBOLS, Rejection
from myxtts.errors import DataError

EXAMPLES_PER_REASON = 3
SECONDS_KEY, TOKENS_KEY = "data.max_clip_seconds", "data.max_text_tokens"
_STEPS = {SECONDS_KEY: 1, TOKENS_KEY: 100}
"""Suggested limits are multiples of this."""
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
    cut_minutes: float = 0.0
    """Silence and noise cut at both ends of the clips."""

    @classmethod
    def of(cls, store: FeatureStore) -> SetFigures:
        """Figures of a feature store; durations are those of the recordings on the disk, before trimming."""
        seconds = store.seconds
        return cls(
            clips=len(store),
            minutes=sum(seconds) / 60.0,
            speakers=_counted(store.speakers),
            languages=_counted(store.languages),
            sample_rates_hz=_counted(store.sample_rates_hz),
            longest_seconds=max(seconds, default=0.0),
            tokens=int(store.lengths[0].sum()),
            cut_minutes=sum(store.cut_ms) / 60e3,
        )

    def line(self, name: str) -> str:
        """The figures as one line of the table."""
        languages = ", ".join(f"{language} {count}" for language, count in self.languages.items())
        rates = ", ".join(f"{rate} Hz" for rate in self.sample_rates_hz)
        speakers = f"{len(self.speakers)} speaker{'' if len(self.speakers) == 1 else 's'}"
        return (
            f"{name:<11}{self.clips:>7} clips {self.minutes:>8.1f} min  {speakers}  {languages}  {rates}  "
            f"longest {self.longest_seconds:.1f} s  silence cut {self.cut_minutes:.1f} min"
        )


@dataclass(frozen=True)
class Audit:
    """The figures of both sets and all rejections."""

    train: SetFigures
    validation: SetFigures
    rejections: list[Rejection]
    anomalies: Sequence[Anomaly] = ()

    @property
    def rejected_share(self) -> float:
        """Rejected rows relative to all rows, 0 to 1."""
        return share_rejected(self.train.clips + self.validation.clips, len(self.rejections))

    def table(self) -> list[str]:
        """The audit as lines for the screen."""
        return [
            self.train.line("training"),
            self.validation.line("validation"),
            *rejection_lines(self.rejections),
            *anomaly_lines(self.anomalies),
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "train": _plain(self.train),
            "validation": _plain(self.validation),
            "rejected_share": self.rejected_share,
            "rejections": [rejection.to_json() for rejection in self.rejections],
            "anomalies": [anomaly.line() for anomaly in self.anomalies],
        }


def anomaly_lines(anomalies: Sequence[Anomaly]) -> list[str]:
    """Lines about clips that are used in spite of an anomaly, each with advice."""
    if not anomalies:
        return []
    lines = [f"anomalies  {len(anomalies):>7}"]
    for anomaly in anomalies:
        lines += [f"  {anomaly.line()}", f"    {anomaly.advice}"]
    return lines


def share_rejected(accepted: int, rejected: int) -> float:
    """Share of the rows that are rejected; 0 if there are no rows."""
    return rejected / (accepted + rejected) if accepted + rejected else 0.0


def rejection_lines(rejections: Sequence[Rejection], examples: int = EXAMPLES_PER_REASON) -> list[str]:
    """The number of rejections for each reason, and the first ones with location and value."""
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
        taken, options = raised_limits(of_reason)
        if taken:
            some = "" if taken == len(of_reason) else f"{taken} of "
            lines.append(f"    {some}these are accepted with {options} (a batch takes more memory)")
        if reason == UNKNOWN_SYMBOLS and any(_ARABIC_LETTER.search(rejection.value) for rejection in of_reason):
            lines.append("    Persian rows need their language: a column that says fa, or --language fa")
    return lines


def check_share(name: str, accepted: int, rejections: Sequence[Rejection], most: float) -> None:
    """Stops if no row can be used, or if the rejected share of a set exceeds `most`.

    Errors: DataError whose first line has the problem and advice, followed by the table of rejections.
    """
    table = "\n".join(rejection_lines(rejections, examples=5))
    total = accepted + len(rejections)
    advice = _advice(accepted, rejections, most)
    if not accepted:
        raise DataError(f"{name} data: none of its {total} rows can be used; {advice}\n{table}")
    share = share_rejected(accepted, len(rejections))
    if share > most:
        raise DataError(
            f"{name} data: {len(rejections)} of {total} rows rejected ({share:.1%}), the limit is {most:.1%}; "
            f"{advice}, or continue without them with --set data.max_rejected_share={_allowing(share)}\n{table}"
        )


def _advice(accepted: int, rejections: Sequence[Rejection], most: float) -> str:
    """Advice on rejections: raise the limits if these exclude most of the rows, else fix the rows."""
    taken, options = raised_limits(rejections)
    if not taken or 2 * taken < len(rejections):
        return "fix the rows listed below"
    which = "1 row exceeds a limit; accept it" if taken == 1 else f"{taken} rows exceed a limit; accept them"
    others_left = share_rejected(accepted + taken, len(rejections) - taken) > most
    return f"{which} with {options}{', and fix the other rows listed below' if others_left else ''}"


def raised_limits(rejections: Sequence[Rejection]) -> tuple[int, str]:
    """How many rejected rows larger limits would accept, and these limits as options; (0, "") if none.

    A row that exceeds the largest value of a setting cannot be accepted.
    """
    limits = {key: LEAVES[key].accepts.high or math.inf for key in _STEPS}
    needs = [{SECONDS_KEY: one.needs.seconds, TOKENS_KEY: one.needs.tokens} for one in rejections]
    taken = [need for need in needs if any(need.values()) and all(need[key] <= limits[key] for key in limits)]
    options = []
    for key, step in _STEPS.items():
        most = max((need[key] for need in taken), default=0)
        if most:
            options.append(f"--set {key}={min(math.ceil(most / step) * step, limits[key]):g}")
    return len(taken), " ".join(options)


def _allowing(share: float) -> str:
    """The share, rounded up to two decimals."""
    return f"{-(-share * 100 // 1) / 100:.2f}"


def _counted(values: Iterable[Any]) -> dict[Any, int]:
    """How often each value occurs, sorted by value."""
    return dict(sorted(Counter(values).items()))


def _plain(figures: SetFigures) -> dict[str, Any]:
    """Figures as plain values; JSON keys must be texts."""
    return {**vars(figures), "sample_rates_hz": {str(rate): count for rate, count in figures.sample_rates_hz.items()}}
