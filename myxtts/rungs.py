"""The rungs of the recovery ladder in words; docs/explanation/reliability.md says when each one is taken."""

from __future__ import annotations

from collections.abc import Mapping

RUNGS: Mapping[int, str] = {
    0: "a bad micro-batch was skipped, or fp16 overflowed",
    1: "a bad update was skipped",
    2: "a clip was quarantined",
    3: "rolled back to a healthy checkpoint",
    4: "rolled back, learning rate halved",
    5: "rolled back, clip norm divided by three",
    6: "rolled back, mel weight halved",
    7: "gave up with a diagnosis",
}
"""Number of a rung -> what happened."""
