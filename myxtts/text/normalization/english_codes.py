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
    if any(int(group) > 255 or group == "000" for group in found[1].split(".")):
        return found.group()
    spoken = " dot ".join(numbers.digit_by_digit(group) for group in found[1].split("."))
    return f"{spoken}, port {numbers.digit_by_digit(found[2])}" if found[2] else spoken


_COUNTED_AFTER = re.compile(
    r" (?:(?:people|men|women|children|more|other|different|new|extra|of|hundred|thousand|million|billion|percent)\b"
    r"|(?!(?:was|has|is|as|this|his|its|does|always|perhaps|us|across|yes|sometimes|towards|afterwards|unless)\b)[a-z]{2,}s\b)"
)
_ROUND_AFTER = re.compile(
    r" (?!(?:and|or|for|if|when|in|at|to|from|on|as|is|was|now|right|but|then|again|once|because|before|after"
    r"|immediately|first|instead|today|tonight|tomorrow|yesterday|with|without|while|so|straight|directly|by|until"
    r"|please|not|only|this|always|unless|since|every|any|about|during|toll|free)\b)[a-z]"
)
"""What a round number counts: they called 300 new customers."""


def _called(found: _Found) -> str:
    """The digits of a short telephone number, unless they count something."""
    digits = found[2]
    counts = _COUNTED_AFTER.match(found.string, found.end()) or (
        digits.endswith("00") and _ROUND_AFTER.match(found.string, found.end())
    )
    return f"{found[1]} {digits if counts else numbers.digit_by_digit(digits)}"


def _called_groups(found: _Found) -> str:
    if _COUNTED_AFTER.match(found.string, found.end()):
        return found.group()
    return f"{found[1]} " + ", ".join(numbers.digit_by_digit(group) for group in found[2].split(" "))


_CALL = (
    r"\b((?i:calls?|calling|called|dials?|dialing|dialed|dialled|phone|phoned|ring|rang|tel|telephone)\b[.:]?"
    r"(?: (?:me|us|him|her|them))?(?: (?:on|at))?)"
)
_CODE = (
    r"\b((?:(?:[Aa]rea|[Zz]ip|[Aa]ccess|[Pp]ost|[Ss]ecurity) )?[Cc]ode|[Pp]in|[Pp]assword|[Pp]asscode|[Ee]xtension"
    r"|(?:[Aa]ccount|[Ss]erial|[Pp]hone|[Tt]elephone|[Rr]eference|[Tt]racking|[Cc]onfirmation|[Ll]icense|[Pp]olicy|[Tt]icket)"
    r" number)((?: is| was|:)? #?)"
)
_BOOK = (
    r"\b((?:Genesis|Gen|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Ruth|Samuel"
    r"|(?:(?<=First )|(?<=Second ))Kings|Chronicles|Ezra|Nehemiah|Esther"
    r"|Job|Psalms?|Proverbs|Ecclesiastes|Isaiah|Jeremiah|Ezekiel|Daniel|Hosea|Joel|Amos|Jonah|Micah|Matthew|Matt|Mark"
    r"|Luke|John|Acts|Romans|Corinthians|Cor|Galatians|Ephesians|Philippians|Colossians|Thessalonians|Timothy|Titus"
    r"|Hebrews|James|Peter|Jude|Revelation|Surah|Sura|Quran))\.? "
)
_SHORT_BOOKS = {"Gen": "Genesis", "Matt": "Matthew", "Cor": "Corinthians"}


def _verses(found: _Found) -> str:
    """John 3:16 is three sixteen."""
    last = f" to {numbers.cardinal(found[4])}" if found[4] else ""
    return f"{_SHORT_BOOKS.get(found[1], found[1])} {numbers.cardinal(found[2])} {numbers.cardinal(found[3])}{last}"


_TIMES_AFTER = re.compile(r" (?:times|people|users|developers|programmers|lines|words|characters|percent)\b")


def _code(found: _Found) -> str:
    """The digits of a code, unless they count something: code 1000 times."""
    if _TIMES_AFTER.match(found.string, found.end()):
        return found.group()
    return found[1] + found[2] + numbers.digit_by_digit(found[3])


RULES: tuple[tuple[re.Pattern[str], str | Callable[[_Found], str]], ...] = (
    (re.compile(rf"{_CALL} ((?:1 )?\d{{3,5}}(?: \d{{3,4}}){{1,3}})(?![\w-]|[.,]\d| \d)"), _called_groups),
    (re.compile(r"(?i:\b(call|dial|dialed|dialled|called)) (\d{3})(?![\d,.-]\d| \d| ?[%$\u20ac\u00a3])\b"), _called),
    (re.compile(r"(?<![\w.])((?:\d{1,3}\.){3}\d{1,3})(?::(\d{2,5}))?\b(?!\.\d)"), _computer),
    (
        re.compile(
            r"(?<![\w-])\+(?!1\d\d? |\d00 \d00\b)\d{1,3}(?:[ .-]?\(\d{1,4}\))?(?:[ .-]?\d{2,5}){2,5}(?![\w-]|[.,]\d)"
        ),
        _groups,
    ),
    (re.compile(rf"{_CODE}(\d{{3,}})(?![\w-]|[.,:]\d)"), _code),
    (
        re.compile(
            r"\b([123]) (?=(?:Chronicles|Corinthians|Cor\.|Thessalonians)"
            r"|(?:Samuel|Kings|Timothy|Peter|John) \d+\b(?! [a-z]+s\b))"
            r"|(?<=\b[Ii]n )([123]) (?=(?:Samuel|Kings|Timothy|Peter|John)\b(?! [A-Z]))"
        ),
        lambda f: numbers.ordinal(f[1] or f[2]).title() + " ",
    ),
    # Verse 00 and 05 are minutes.
    (re.compile(rf"{_BOOK}(\d{{1,3}}):([1-9]\d{{0,2}})(?:[-\u2013](\d{{1,3}}))?(?![\w:-])(?! ?[ap]\.?m\b)"), _verses),
    (re.compile(r"(?<![\w.-])(?:1\.)?\d{3}\.\d{3}\.\d{4}(?![\w-]|\.\d)"), _groups),
    (re.compile(r"\b911(?= (?:calls?|callers?|dispatch\w*|operators?|emergency|system)\b)"), "nine one one"),
    (re.compile(r"(?<![\w-])(?:\(\d{3}\) ?|(?:1-)?\d{3}-)?\d{3}-\d{4}(?![\w-])"), _groups),
    (re.compile(r"(?<![\w-])1-([2-9])00-(?=[A-Z]{3})"), lambda f: f"one, {numbers.cardinal(f[1])} hundred, "),
    # A range does not begin with 0171 or have four parts, but a range or a date may begin with 05.
    (re.compile(r"(?<![\w.,-])0(?:\d{2,}(?:-\d+)+|\d(?:-\d+){3,})(?![\w-]|[.,]\d)"), _groups),
    (re.compile(r"(?<![\w.,-])(?<!\d )(?:0\d{2,4}(?: \d{3,4}){1,2}|0\d{2,4} \d{5,8})(?![\w-]|[.,]\d| \d)"), _groups),
    # Book numbers, social security numbers, bank cards.
    (re.compile(r"(?<![\w.,-])\d{3}-\d{2}-\d{4}(?![\w-])|(?<![\w.,-])\d+(?:-\d+){3,}(?![\w-]|[.,]\d)"), _groups),
    (re.compile(r"(?<![\w.,-])(?<!\d{4} )(?!(?:(?:19|20)\d\d ?){4})\d{4}(?: \d{4}){3}(?![\w-]|[.,]\d| \d)"), _groups),
)
