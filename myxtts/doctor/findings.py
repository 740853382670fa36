"""What the repair tool finds, in no language yet: sentences by name with their values, ranked causes, a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Rank(IntEnum):
    """How sure it is that a finding is a cause of NaN; the surest first."""

    CERTAIN = 0
    LIKELY = 1
    POSSIBLE = 2


@dataclass(frozen=True)
class Said:
    """A sentence of the message table by its name, with the values of its placeholders."""

    name: str
    values: tuple[tuple[str, object], ...] = ()


def said(name: str, /, **values: object) -> Said:
    """A sentence with its values."""
    return Said(name, tuple(values.items()))


@dataclass(frozen=True)
class Finding:
    """A cause: how sure, what was found, where (file:line, an update, a path), and what to change."""

    rank: Rank
    what: Said
    where: str
    do: Said


@dataclass
class Report:
    """What a look at one target gave: which kind it is, facts in sentences, and causes."""

    target: str
    kind: str
    facts: list[Said] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def ranked(self) -> list[Finding]:
        """The causes, the surest first; of equal ones in the order in which they were found."""
        return sorted(self.findings, key=lambda finding: finding.rank)

    def add(self, rank: Rank, what: Said, where: str, do: Said) -> None:
        """Adds a cause."""
        self.findings.append(Finding(rank, what, where, do))
