"""What a JSON file of a run may hold where a number or a text is expected: anything. The one place that decides."""

from __future__ import annotations

import json

LARGEST = 2.0**100
"""No loss, norm, rate or time comes near it; what is larger cannot be drawn."""
LARGEST_UPDATE = 2**40


def finite_number(value: object, largest: float = LARGEST) -> float | None:
    """A JSON value as a finite float of at most `largest`; None for a text, a boolean, NaN or a larger number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -largest <= value <= largest:
        return None
    return float(value)


def update_number(value: object) -> int | None:
    """A JSON value as the number of an update; None for what is none."""
    return value if type(value) is int and 0 <= value <= LARGEST_UPDATE else None


def short_text(value: object, longest: int = 1_000) -> str:
    """A JSON value for a page or a message: a text as it is, anything else as JSON; cut at `longest` characters."""
    if isinstance(value, str):
        return value[:longest]
    try:
        return json.dumps(value, default=str)[:longest]
    except (RecursionError, ValueError):  # nested too deeply, or a whole number of thousands of digits
        return "?"
