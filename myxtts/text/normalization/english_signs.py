"""Signs of mathematics, chemistry and typography in English, raised and lowered digits, and letters of units."""

from __future__ import annotations

import re

_RAISED = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b", "0123456789+-")
_LOWERED = str.maketrans("\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089", "0123456789")
_POWER = re.compile("(?<=[\\w)])[\u207a\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
_FORMULA = re.compile("(?<=[A-Za-z)])[\u2080-\u2089]+")
_VULGAR = {
    "\u00bd": "1/2", "\u00bc": "1/4", "\u00be": "3/4", "\u2153": "1/3", "\u2154": "2/3", "\u2155": "1/5",
    "\u215b": "1/8", "\u215c": "3/8", "\u215d": "5/8", "\u215e": "7/8",
}  # fmt: skip
_SHORT = {"2": "\u00b2", "3": "\u00b3"}
"""Units have them, and otherwise they are "squared" and "cubed"."""
_ORNAMENTS = re.compile("[\u2020\u2021\u2022\u2023\u25aa-\u25cf\u00b6\u2190-\u21ff]+")
_MICRO = re.compile("\u03bc(?=[msglL]\\b)")
_OHM = re.compile(r"(?<=\d) ?([kM]?)[\u2126\u03a9](?!\w)")
_SIGNS = {
    "\u2212": "minus", "\u221a": "the square root of", "\u03c0": "pi", "\u221e": "infinity",
    "\u2265": "greater than or equal to", "\u2264": "less than or equal to", "\u2260": "is not equal to",
    "\u2211": "the sum of", "\u222b": "the integral of",
    "\u207a": "plus", "\u207b": "minus",
    "\u2208": "in", "\u2030": "per mille", "\u2116": "number", "\u2103": "\u00b0C", "\u2109": "\u00b0F",
}  # fmt: skip
_ION = re.compile(
    "(?<=[A-Za-z)\u2080-\u2089])([\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+)([\u207a\u207b])(?![\u2070\u00b9\u00b2\u00b3\u2074-\u2079])"
)
_TERM = r"(?!0\d)\d{1,12}(?:[.,]\d{1,12})?[a-z]?"
_EQUATION = re.compile(
    rf"(?<![\w.,/-])(?!\d{{4}}-\d\d?-\d|\d{{3}}-\d{{4}}\b)(?:{_TERM}|[A-Za-z](?= ))"
    rf"(?: ?[-+*/\u2212\u00d7\u00f7] ?{_TERM}){{1,4}}(?= ?=)"
)
_MINUS = re.compile(" ?[-\u2212] ?(?=\\d)")
_DIFFERENCE = re.compile("(?<=\\d) \u2212 (?=\\d)|(?:(?<== \\d)|(?<== \\d\\d)) - (?=\\d)")
_PRICES = re.compile("([$\u20ac\u00a3]\\d{1,9}(?:[.,]\\d{1,9})?[kKmMbBn]{0,2}) [-\u2013] (?=[$\u20ac\u00a3]\\d)")
_SPACED_RANGE = re.compile(
    r"(?<![\w.,/-])(?<![-+*/=] )(\d{1,4}) [-\u2013] (\d{1,4})(?!(?![ap]m\b)[\w/-]|[.,:]\d| [-\u2013=+*/])"
    r"(?! (?!January|February|March|April|May|June|July|August|September|October|November|December)[A-Z])"
)
_TITLE_BEFORE = re.compile(
    r"\b(?:chapter|part|step|episode|lesson|section|day|week|season|level|volume|book|unit|rule|act|scene|tip|round) $",
    re.I,
)
_SIGN = re.compile(f"[{''.join(_SIGNS)}]")
_OHMS = {"k": "kilohms", "M": "megohms", "": "ohms"}


def spell_signs(text: str) -> str:
    """Cleaned text with the signs that English reads as words in words; 10\u207b\u00b3 is 10^-3, H\u2082O is H 2 O."""
    if text.isascii():
        return text
    text = re.sub(f"(\\d)? ?([{''.join(_VULGAR)}])", lambda found: f"{found[1] or ''} {_VULGAR[found[2]]}", text)
    text = _ION.sub(lambda found: f" {found[1].translate(_RAISED)} {_SIGNS[found[2]]} ", text)
    text = _POWER.sub(_power, text)
    text = _FORMULA.sub(lambda found: f" {found.group().translate(_LOWERED)} ", text)
    text = _MICRO.sub("\u00b5", text)
    text = _OHM.sub(_ohms, text)
    text = _ORNAMENTS.sub(" ", text)
    return _SIGN.sub(lambda found: f" {_SIGNS[found.group()]} ", text)


def _ohms(found: re.Match[str]) -> str:
    one = re.search(r"(?<![\d.,])1$", found.string[max(0, found.start() - 3) : found.start()])
    return f" {_OHMS[found[1]].removesuffix('s') if one else _OHMS[found[1]]}"


def spell_dashes(text: str) -> str:
    """Text that is not cleaned, with the dashes between numbers that are minus or "to" in words.

    Cleaning makes long dashes of hyphens between blanks. 5 - 3 = 2 is an equation, 6 - 12 a range; the numbers of a
    range increase and no title follows, as in "Chapter 1 - 10 ways".
    """
    text = _EQUATION.sub(lambda found: _MINUS.sub(" minus ", _operations(found.group())), text)
    text = _DIFFERENCE.sub(" minus ", text)
    return _SPACED_RANGE.sub(_spaced_range, _PRICES.sub(r"\1-", text))


def _operations(equation: str) -> str:
    return equation.replace(" / ", " divided by ").replace("\u00d7", " times ")


def _spaced_range(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - 10) : found.start()]
    if int(found[1]) >= int(found[2]) or _TITLE_BEFORE.search(before):
        return found.group()
    return f"{found[1]} to {found[2]}"


def _power(found: re.Match[str]) -> str:
    """A power behind a digit or a single letter; behind a word it is the mark of a footnote."""
    digits = found.group().translate(_RAISED)
    if digits in _SHORT:
        return _SHORT[digits]
    before = found.string[max(0, found.start() - 2) : found.start()]
    in_word = len(before) == 2 and before.isalpha()
    return "" if in_word else f"^{digits.removeprefix('+')}"
