"""What the repair tool finds, independent of language: causes of NaN with their certainty, and facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from myxtts.doctor.messages import Message


class Certainty(IntEnum):
    """How certain it is that a finding causes NaN; the most certain first."""

    CERTAIN = 0
    LIKELY = 1
    POSSIBLE = 2


@dataclass(frozen=True)
class Finding:
    """A cause: how certain, what was found, where (file:line, an update, a path), and what to change."""

    certainty: Certainty
    what: Message
    where: str
    do: Message


@dataclass
class Report:
    """The result of checking one target: its kind, facts, and causes of NaN."""

    target: str
    kind: str
    facts: list[Message] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def ranked(self) -> list[Finding]:
        """The causes, most certain first; equal ones in the order in which they were found."""
        return sorted(self.findings, key=lambda finding: finding.certainty)

    def add(self, certainty: Certainty, what: Message, where: str, do: Message) -> None:
        """Adds a cause."""
        self.findings.append(Finding(certainty, what, where, do))
