"""Dates and times of the day in English."""

from __future__ import annotations

import re
from collections.abc import Callable

from myxtts.text.normalization import english_numbers as numbers
from myxtts.text.normalization import english_words as tables

_Found = re.Match[str]
_Rule = tuple[re.Pattern[str], str | Callable[[_Found], str]]

_MONTH = "|".join(tables.MONTHS)
_SHORT_MONTH = "|".join(map(str.title, tables.SHORT_MONTHS))
_SHORT_DAY = "|".join(map(str.title, tables.WEEKDAYS))
_SHORT_NAME = rf"({_SHORT_DAY}|{_SHORT_MONTH})\b"
_ORDINAL = "(?:st|nd|rd|th)"
_STOP = r"(?:\.(?=\s+[a-z\d]|\s*[,;:\u2013\u2014-]))?"
"""The full stop of an abbreviation, which does not end a sentence."""
_DASH = "(?: ?[-\u2013] ?| \u2014 )"
_NAME_JAN = r"(?!(?<=and )Jan\b|(?<=or )Jan\b|(?<=to )Jan\b|(?<=by )Jan\b|(?<=, )Jan\b)"
"""Jan is a person too: Tom and Jan."""
_BEFORE_NAME = r"(?:(?<=\bon )|(?<=\bin )|(?<=\band )|(?<=\bor )|(?<=\bto )|(?<=\bby )|(?<=\buntil )|(?<=, ))"
_ZONE = r"(?:GMT|UTC|Zulu|[ECMP][SD]T|BST|CEST?)\b"
_HALF = r"[ap]\.?m\b"
_HYPHEN_DATE = re.compile(r"(?<![\w.-])(\d{1,2})-(\d{1,2})-(\d{4})(?![\w-])")
_SLASH_DATE = re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?![\d/])")
_ON_DATE = re.compile(r"(?<=\b[Oo]n )(?!24/7\b)(\d{1,2})/(\d{1,2})()(?![\d/])(?! of\b)")


def spell_numeric_dates(text: str, day_first: bool) -> str:
    """12/25/2024, 25-12-2024 and "on 12/25" in words; `day_first` is the order where both numbers may be months."""
    for pattern in (_SLASH_DATE, _HYPHEN_DATE, _ON_DATE):
        text = pattern.sub(_slash_date(day_first), text)
    return text


def _full(name: str) -> str:
    return (tables.WEEKDAYS | tables.SHORT_MONTHS)[name.lower()]


def _time(found: _Found) -> str:
    hour, minute, half = numbers.cardinal(str(int(found["hour"]))), found["minute"], found["half"]
    if int(minute) != 0:
        spoken = f"{hour} {numbers.minutes(minute)}"
    elif half or re.match(" (?:noon|midnight)", found.string[found.end() :]):
        spoken = hour
    else:
        spoken = f"{hour} hundred" if int(found["hour"]) in (0, *range(13, 25)) else f"{hour} o'clock"
    return spoken + (f" {half[0].upper()} M" if half else "")


def _time_with_seconds(found: _Found) -> str:
    parts = [numbers.cardinal(str(int(found[1]))), *(numbers.minutes(part) for part in found.group(2, 3, 5) if part)]
    return " ".join(parts) + (f" point {numbers.digit_by_digit(found[4])}" if found[4] else "")


def _military_time(found: _Found) -> str:
    hour, minute = (group for group in found.groups() if group)
    return f"{numbers.minutes(hour)} {'hundred' if minute == '00' else numbers.minutes(minute)}"


def _iso_date(found: _Found) -> str:
    month, day = int(found[2]), int(found[3])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return " ".join(numbers.cardinal(group) for group in found.groups())
    return f"{tables.MONTHS[month - 1]} {numbers.ordinal(str(day))}, {numbers.year(found[1])}"


def _slash_date(day_first: bool) -> Callable[[_Found], str]:
    def spoken(found: _Found) -> str:
        first, second, year = int(found[1]), int(found[2]), found[3] or ""
        if len(year) == 2:
            year = f"{'20' if int(year) < 50 else '19'}{year}"
        month, day = (second, first) if (day_first and second <= 12) or first > 12 else (first, second)
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return found.group()
        date = f"{tables.MONTHS[month - 1]} {numbers.ordinal(str(day))}"
        return f"{date}, {numbers.year(year)}" if year else date

    return spoken


def _dotted_date(found: _Found) -> str:
    day, month = int(found[1]), int(found[2])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return found.group()
    return f"{tables.MONTHS[month - 1]} {numbers.ordinal(str(day))}, {numbers.year(found[3])}"


def _day_month(found: _Found) -> str:
    """The day before its month. March and May are verbs too: they need a year, a preposition or an ordinal."""
    before = found.string[max(0, found.start() - 8) : found.start()].lower()
    is_date = found[2] not in ("March", "May") or found.group().endswith(" ") or found.group()[:1] in "Tt"
    if not is_date and not re.search(r"\b(?:on|by|since|until|till|from|to|before|after|of|[a-z]+day,?) $", before):
        return found.group()
    end = ", " if found.group().endswith(" ") else ""
    return f"the {numbers.ordinal(found[1])} of {found[2]}{end}"


def _days_month(found: _Found) -> str:
    end = ", " if found.group().endswith(" ") else ""
    return f"the {numbers.ordinal(found[1])} to {numbers.ordinal(found[2])} of {found[3]}{end}"


def _season(found: _Found) -> str:
    """2021/22 is the two years of a season."""
    first, between, second = found.groups()
    if (int(first) + 1) % 10 ** len(second) != int(second):
        return found.group()
    to = "" if between == "/" else "to "
    return f"{numbers.year(first)} {to}{numbers.year(second) if len(second) == 4 else numbers.minutes(second)}"


NAMES: tuple[_Rule, ...] = (
    (re.compile(r"(?<!\w)'(?=\d0s\b)"), ""),
    (
        re.compile(
            r"\b((?:of|in|since|by|from|to|before|after|summer|winter|spring|autumn|fall|season|early|late)[ -])"
            r"'(?=[1-9]\d\b(?!'))"
        ),
        r"\1",
    ),
    (re.compile(r"(?<!\w)'0(?=[1-9]\b(?!'))"), "oh "),
    (re.compile(r"(?<=Q[1-4])'(?=\d\d\b)"), " "),
    (re.compile(rf"\b{_SHORT_NAME}\.?{_DASH}{_SHORT_NAME}{_STOP}"), lambda f: f"{_full(f[1])} to {_full(f[2])}"),
    (
        re.compile(rf"(?<![\w-])(\d{{1,2}})-({_SHORT_MONTH}|{_MONTH})-(\d{{4}}|\d\d)\b"),
        lambda f: f"{f[1]} {tables.SHORT_MONTHS[f[2][:3].lower()]} {f[3] if len(f[3]) == 4 else '20' + f[3]}",
    ),
    (re.compile(rf"\b({'|'.join(tables.SHORT_MONTHS)})\.?(?= \d)", re.I), lambda f: _full(f[1])),
    (
        re.compile(rf"(?<![\w-])(\d{{1,2}}{_ORDINAL}?(?: of)?) ({_SHORT_MONTH})\b{_STOP}"),
        lambda f: f"{f[1]} {_full(f[2])}",
    ),
    (re.compile(r"\b(Jan|Feb|Apr|Aug|Sept?|Oct|Nov|Dec)\.(?=\s+[a-z]|,)"), lambda f: _full(f[1])),
    (re.compile(rf"{_BEFORE_NAME}({_SHORT_MONTH}|{_SHORT_DAY})\.(?=\s+[a-z]|,)"), lambda f: _full(f[1])),
    (re.compile(rf"{_BEFORE_NAME}{_NAME_JAN}({_SHORT_MONTH}|{_SHORT_DAY})\.(?=\s*$)"), lambda f: f"{_full(f[1])}."),
    (re.compile(rf"\b({'|'.join(tables.WEEKDAYS)})\.(?=,)", re.I), lambda f: _full(f[1])),
    (re.compile(r"\b(Mon|Tues?|Thu|Thurs?|Fri)\.(?=\s+[a-z\d])"), lambda f: _full(f[1])),
    (
        re.compile(
            rf"\b({_SHORT_DAY})\b\.?"
            rf"(?=,? (?:(?:{_MONTH}) \d|\d{{1,2}}{_ORDINAL}? (?:{_MONTH})\b|\d{{1,2}}(?::\d\d)? ?{_HALF}))"
        ),
        lambda f: _full(f[1]),
    ),
)
"""The short names of months and days."""
RULES: tuple[_Rule, ...] = (
    (
        re.compile(r"\b(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(Z?)(?![\d:])"),
        lambda f: f"{f[1]}, {f[2]}{' UTC' if f[3] else ''}",
    ),
    (re.compile(r"\b(\d{4})[-/](\d{1,2})[-/](\d{1,2})\b(?![-/])"), _iso_date),
    (re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})\.(1\d{3}|20\d\d)(?![\d.]\d)"), _dotted_date),
    (re.compile(r"(?<![\d/.,])(1\d{3}|20\d\d)(/)(\d{4}|\d\d)(?![\d/])"), _season),
    (re.compile(r"(?<![\w/.,-])(1\d{3}|20\d\d)([-\u2013])(0\d)(?![\w/-])"), _season),
    (re.compile(r"(?<=\d0s) ?[-\u2013] ?(?='?\d0s\b)"), " to "),
    (
        re.compile(r"(?<![\d/.,])(0?[1-9]|1[0-2])/(19\d\d|20\d\d)(?![\d/])"),
        lambda f: f"{tables.MONTHS[int(f[1]) - 1]} {f[2]}",
    ),
    (re.compile(rf"\b((?:{_MONTH}) \d{{1,2}}{_ORDINAL}?){_DASH}(?=(?:{_MONTH}) \d)"), r"\1 to "),
    (re.compile(rf"(?<=\d )({_MONTH}){_DASH}(?=\d{{1,2}} (?:{_MONTH})\b)"), r"\1 to "),
    (
        re.compile(
            rf"(?<![\w.,/-])(?:[Tt]he )?(\d{{1,2}}){_ORDINAL}?(?:{_DASH}| to )(\d{{1,2}}){_ORDINAL}?(?: of)?"
            rf" ({_MONTH})\b(?:,? (?=\d{{4}}\b))?"
        ),
        _days_month,
    ),
    (
        re.compile(rf"\b(?:[Tt]he )?(\d{{1,2}}){_ORDINAL}?(?: of)? ({_MONTH})\b(?:,? (?=\d{{4}}\b))?"),
        _day_month,
    ),
    (re.compile(rf"(?<=\d)({_ORDINAL}){_DASH}(?=\d+{_ORDINAL}\b)"), r"\1 to "),
    (re.compile(rf"(?<=\d){_DASH}(?=present\b)"), " to "),
    (re.compile(rf"(?:(?<=\bBC)|(?<=\bAD)|(?<=BCE)|(?<=\bCE)){_DASH}(?=\d+ (?:BCE?|AD|CE)\b)"), " to "),
    (re.compile(r"\bAD(?= \d)|(?<=\d )AD\b|(?<=century )AD\b"), "A.D"),
    (re.compile(r"(?<![\w.])ca?\. ?(?=\d{3,4}\b)"), "circa "),
    (re.compile(r"(?<=\()b\. ?(?=\d{4})"), "born "),
    (re.compile(r"(?<=\()d\. ?(?=\d{4})"), "died "),
)
TIMES: tuple[_Rule, ...] = (
    (re.compile(rf"(?<![\d.,:])(\d{{1,2}})\.([0-5]\d)(?= ?{_HALF})", re.I), r"\1:\2"),
    (
        re.compile(
            r"(?:(?<=:\d\d)|(?<=\d[ap]m)|(?<=\d [ap]m)|(?<= [ap]\.m\.)) ?[-\u2013] ?"
            rf"(?=\d{{1,2}}(?::\d\d| ?{_HALF})|noon\b|midnight\b)",
            re.I,
        ),
        " to ",
    ),
    (re.compile(r"(?<=:\d\d) \u2014 (?=\d{1,2}:\d\d)"), " to "),
    (re.compile(rf"(?<![\w:.,-])(\d{{1,2}}) ?[-\u2013] ?(?=\d{{1,2}}:[0-5]\d ?{_HALF})", re.I), r"\1 to "),
    (
        re.compile(r"(?<![\d:.,])(\d{1,2}):([0-5]\d)(?:(?::([0-5]\d))?\.(\d{1,3})|:([0-5]\d))(?![\d:])"),
        _time_with_seconds,
    ),
    (
        re.compile(
            r"\b(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\d:]|,\d)"
            r"(?: ?(?P<half>[ap])\.?m\b(?:\.(?=\s+(?-i:[a-z])|[,\u2013-]))?)?(?: ?o'clock\b)?",
            re.I,
        ),
        _time,
    ),
    (
        re.compile(
            rf"(?<![\w.,:-])(?:([01]\d|2[0-4])([0-5]\d)(?= {_ZONE})|(0\d)([0-5]\d)(?= hours\b)"
            r"|(?:(?<=\bat )|(?<=\bby )|(?<=\buntil )|(?<=\bfrom )|(?<=\bto ))(1\d|2[0-4])([0-5]\d)(?= hours\b))"
        ),
        _military_time,
    ),
    (re.compile(r"(?<![\d:.,])(\d{1,3}):(\d{1,3}(?:,\d{3})*)(?![\d:])"), r"\1 to \2"),
    (re.compile(r"(?<=\d):(?=\d)"), " "),
    (re.compile(r"\b(\d{1,2}) ?h(?:rs?)? ?(\d{1,2}) ?m(?:ins?)?\b"), r"\1 hr \2 min"),
    (re.compile(r"\b(\d{1,2}) ?m(?:ins?)? ?(\d{1,2}) ?s(?:ecs?)?\b"), r"\1 min \2 sec"),
)
