"""Quantities in English: numbers with units, feet and inches, degrees of the compass."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from myxtts.text.normalization import english_numbers as numbers
from myxtts.text.normalization import english_words as tables

_Found = re.Match[str]
_Rule = tuple[re.Pattern[str], str | Callable[[_Found], str]]


def names(table: Iterable[str]) -> str:
    """A pattern of the names of a table, the longest first."""
    return "|".join(re.escape(name) for name in sorted(table, key=len, reverse=True))


NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"
PER = names(tables.PER)
_UNIT = names(tables.UNITS)
_UNIT_OF_RANGE = names(set(tables.UNITS) - {"s"})
_EXTENT = "(?:long|wide|tall|high|deep|thick|by|x)\\b"
_DETERMINER = re.compile(r"\b(?:an?|another|each|every|his|her|its|their|our|my|your|this|the)(?: \w+)? $", re.I)
_ARTICLE = re.compile(r"\b(?:an?|another|each|every) $", re.I)
_NOUN_AFTER = re.compile(
    r"-[a-z]| (?!(?:that|which|who|he|she|it|they|we|i|you|in|of|for|to|from|by|on|at|with|as|than|more|less|not|and|or"
    r"|but|if|is|was|are|were|be|been|has|had|have|will|would|can|could|may|might|do|does|did|per|when|where|after|before"
    r"|over|under|above|below|away|ago|into|out|up|down|off|now|so|plus|minus|each|all|only|just|then|still|today"
    r"|back|because|while|until|till|since|though|although|unless|through|during|without|within|between|against|about"
    r"|should|must|cannot|did|does|went|goes|came|comes|got|gets|made|makes|spent|lost|paid|sent|left|given|gave"
    r"|taken|took|won|held|kept|sold|bought|found|brought|put|fell|rose|grew|became|began|stood|worth|also|even|too"
    r"|again|here|there|please|people|his|her|my|our|your|their|this|these|those|the|every|any|some|a|an|counts?|helps?"
    r"|matters?|yesterday|tomorrow|once|yet|instead|later|earlier|extra|apart|home|saved|ready|due|apiece|means?|meant|buys)\b"
    r"|[a-z]+(?:ed|ly)\b)[a-z]"
)


def is_attributive(found: _Found) -> bool:
    """Whether an amount describes the noun behind it, as in "a $5 million house": its unit is in the singular."""
    before = found.string[max(0, found.start() - 12) : found.start()]
    noun = _NOUN_AFTER.match(found.string, found.end())
    if noun is not None and noun.group()[0] == "-":
        return True
    if _ARTICLE.search(before):
        return noun is not None or found.string.startswith(" a ", found.end())
    found_determiner = _DETERMINER.search(before)
    return noun is not None and found_determiner is not None and found_determiner.group().count(" ") == 1


def amount(whole: str, fraction: str | None) -> str:
    """The words of a number that may have commas and a fraction."""
    digits = whole.replace(",", "")
    return numbers.decimal(digits, fraction) if fraction else numbers.cardinal(digits)


def singular(words: str) -> str:
    """The singular of a unit in words: foot, degree Celsius."""
    first, _, rest = words.partition(" ")
    if first in ("square", "cubic", "fluid", "nautical"):
        return f"{first} {singular(rest)}"
    return f"{tables.ONE_OF.get(first, first.removesuffix('s'))} {rest}".rstrip()


def _unit(found: _Found) -> str:
    words = tables.UNITS[found["unit"]]
    if found["number"] == "1" or (is_attributive(found) and not found["per"]):
        words = singular(words)
    per = f" per {tables.PER[found['per']]}" if found["per"] else ""
    return f"{found['number']} {words}{per}"


_NUMBER_AT_END = re.compile(r"(?<![\d'./])(?<!' )(?:\d+ )?[\d./]*\d$")
_INCH_OF = re.compile(rf"-[a-z]| (?!x |by |and |or |to |of |in |is |{_EXTENT})[a-z]")


def mark_inches(text: str) -> str:
    """Text with the double quotes that are inches as such: those behind a number where no quotation is open."""
    if '"' not in text:
        return text
    is_open, parts = False, text.split('"')
    spoken = parts[0]
    for part in parts[1:]:
        number = None if is_open or re.match(r"\w", part) else _NUMBER_AT_END.search(spoken[-12:])
        if number is not None and ("/" in number.group() or len(number.group().split(".")[0]) <= 3):
            one = number.group() == "1" or re.fullmatch(r"\d+/\d+", number.group()) or _INCH_OF.match(part)
            spoken += f" {'inch' if one else 'inches'}{part}"
        else:
            is_open, spoken = not is_open, f'{spoken}"{part}'
    return spoken


def _coordinate(found: _Found) -> str:
    parts = [
        f"{part} {unit}" for part, unit in zip(found.groups(), ("degrees", "minutes", "seconds"), strict=False) if part
    ]
    return " ".join([*parts, tables.COMPASS[found[4]].lower()] if found[4] else parts)


MARKS: tuple[_Rule, ...] = (
    (
        re.compile(
            r"(?<![\w.])(\d+(?:\.\d+)?)[\u00b0\u00ba] ?(?:(\d+)' ?(?:(\d+(?:\.\d+)?)(?:\"|'') ?)?)?"
            r"([NSEW])?(?![\w\u00b0])"
        ),
        lambda f: _coordinate(f) if f[2] or f[4] else f.group(),
    ),
    (
        re.compile(r"(?<![\w'.,])(\d)'(?:(\d{1,2})(?:\"|'')?| (\d{1,2})(?:\"|''))(?![\w'])"),
        lambda f: f"{numbers.cardinal(f[1])} foot {numbers.cardinal(f[2] or f[3])}",
    ),
    (re.compile(r"(?<![\w.,'])(\d+)' ?[xX\u00d7] ?(\d+)'(?!\w)"), r"\1 by \2 feet"),
    (re.compile(rf"(?<![\w.,])(\d+(?:\.\d+)?)'(?= {_EXTENT})"), r"\1 feet"),
    (re.compile(rf"(?<![\w.,])(\d+(?:\.\d+)?)(?:\"|'')(?= {_EXTENT})"), r"\1 inches"),
)
SPELLINGS: tuple[_Rule, ...] = (
    (re.compile(r"(?<=\d) ?(sq|cu|fl)\.? ?(ft|in|mi|yd|km|cm|m|oz)\b"), r" \1 \2"),
    (re.compile(r"(?<=\d)( ?(?:[kcm]?m|ft|mi))(?:\^?([23]))(?!\w)"), lambda f: f[1] + ("²" if f[2] == "2" else "³")),
    (re.compile(r"(?<=\d) ?[\u00b0\u00ba] ?(?=[CF]\b)"), "\u00b0"),
    (re.compile(r"(?<=degrees )[CF]\b"), lambda f: "Celsius" if f.group() == "C" else "Fahrenheit"),
    (re.compile(r"(?<![\w.,])(?<![a-z] )(\d\d\d?)F\b"), r"\1°F"),
    (re.compile(r"(?<=\d\.\d)A\b"), " amperes"),
    (re.compile(r"(?<=\d)pc\b"), " percent"),
    (
        re.compile(rf"(?<![\w.,/-])(\d+(?:\.\d+)?)-({_UNIT})(?![\w-])(?:\.(?= [a-z]))?"),
        lambda f: f"{f[1]} {singular(tables.UNITS[f[2]])}",
    ),
    (
        re.compile(
            rf"(?<![\w.,])(\d+(?:\.\d+)?) ?({_UNIT_OF_RANGE})?[-\u2013](\d+(?:\.\d+)?) ?({_UNIT_OF_RANGE})(?!\w)"
        ),
        lambda f: f"{f[1]} to {f[3]} {f[4]}" if f[2] in (None, f[4]) else f.group(),
    ),
    (re.compile(rf"(?<=\d)m(?= (?:{tables.COUNTED})\b)"), " million"),
    (re.compile(r"(?<=\d) (?=(?:bn|tn)\b)"), ""),
)
UNITS: _Rule = (
    # "in" is also a word; as inches it has no blank before it, or a full stop after it.
    re.compile(
        rf"(?<![\w.,])(?P<number>\.?\d++(?:[.,]\d++)*+)(?! in(?![.]))"
        rf" ?(?P<unit>{_UNIT})(?!\w)(?:/(?P<per>{PER})(?!\w))?"
        r"(?:(?<=[a-z][a-z])\.(?=\s+[a-z]|,)|(?<=ft|lb)\.(?=\s\d{1,2} (?:in|oz)\b))?"
    ),
    _unit,
)
