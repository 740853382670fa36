"""Numbers that English reads digit by digit: telephone numbers, codes with hyphens, addresses of computers."""

from __future__ import annotations

import re
from collections.abc import Callable

from myxtts.text.normalization import english_numbers as numbers

_Found = re.Match[str]


def _groups(found: _Found) -> str:
    """Each digit of each group, with a pause between groups; "plus" before the code of a country."""
    plus = "plus " if found.group().startswith("+") else ""
    return plus + ", ".join(numbers.digit_by_digit(group) for group in re.findall(r"\d+", found.group()))


def _computer(found: _Found) -> str:
    spoken = " dot ".join(numbers.digit_by_digit(group) for group in found[1].split("."))
    return f"{spoken}, port {numbers.digit_by_digit(found[2])}" if found[2] else spoken


RULES: tuple[tuple[re.Pattern[str], str | Callable[[_Found], str]], ...] = (
    (
        re.compile(r"(?i:\b(call|dial|dialed|dialled|called)) (\d{3})(?![\d,.-]\d)\b"),
        lambda f: f"{f[1]} {numbers.digit_by_digit(f[2])}",
    ),
    (re.compile(r"(?<![\w.])((?:\d{1,3}\.){3}\d{1,3})(?::(\d{2,5}))?\b(?!\.\d)"), _computer),
    (re.compile(r"(?<![\w-])\+\d{1,3}(?:[ .-]?\(\d{1,4}\))?(?:[ .-]?\d{2,5}){2,5}(?![\w-]|[.,]\d)"), _groups),
    (re.compile(r"(?<![\w-])(?:\(\d{3}\) ?|(?:1-)?\d{3}-)?\d{3}-\d{4}(?![\w-])"), _groups),
    (re.compile(r"(?<![\w-])1-([2-9])00-(?=[A-Z]{3})"), lambda f: f"one, {numbers.cardinal(f[1])} hundred, "),
    # A range does not begin with 0171 or have four parts, but a range or a date may begin with 05.
    (re.compile(r"(?<![\w.,-])0(?:\d{2,}(?:-\d+)+|\d(?:-\d+){3,})(?![\w-]|[.,]\d)"), _groups),
    (re.compile(r"(?<![\w.,-])(?<!\d )0\d{2,4}(?: \d{3,4}){1,2}(?![\w-]|[.,]\d| \d)"), _groups),
    # Book numbers, social security numbers, bank cards.
    (re.compile(r"(?<![\w.,-])\d{3}-\d{2}-\d{4}(?![\w-])|(?<![\w.,-])\d+(?:-\d+){3,}(?![\w-]|[.,]\d)"), _groups),
    (re.compile(r"(?<![\w.,-])\d{4}(?: \d{4}){2,3}(?![\w-]|[.,]\d| \d)"), _groups),
)
