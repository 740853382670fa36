"""Reads numbers and texts from the JSON files of a run, which may hold anything in their place."""

from __future__ import annotations

import json

LARGEST = 2.0**100
"""Far more than any loss, norm, rate or time; larger numbers cannot be drawn."""
LARGEST_UPDATE = 2**40


def finite_number(value: object, largest: float = LARGEST) -> float | None:
    """A JSON value as a finite float of at most `largest`; None for anything else, such as NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -largest <= value <= largest:
        return None
    return float(value)


def update_number(value: object) -> int | None:
    """A JSON value as the number of an update; None if it is not one."""
    return value if type(value) is int and 0 <= value <= LARGEST_UPDATE else None


def short_text(value: object, longest: int = 1_000) -> str:
    """A JSON value for a page or a message: a text as it is, anything else as JSON; at most `longest` characters."""
    if isinstance(value, str):
        return value[:longest]
    try:
        return json.dumps(value, default=str)[:longest]
    except (RecursionError, ValueError):  # nested too deeply, or an integer of thousands of digits
        return "?"
