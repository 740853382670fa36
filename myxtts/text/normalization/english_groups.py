"""Digits with points, commas and slashes: lists, decimals, thousands or versions, scores, parts of units."""

from __future__ import annotations

import re
from collections.abc import Callable

from myxtts.text.normalization import english_words as tables

_Found = re.Match[str]

_UNITS = "|".join(re.escape(unit) for unit in sorted(tables.UNITS, key=len, reverse=True))
_SIGNS = "[$\u20ac\u00a3\u00a5\u20b9\u20bd\u20a9\u20ba]"
_LISTED = (
    r"\b(?i:line|page|chapter|verse|section|figure|table|item|lines|pages|chapters|items|verses|sections|figures|tables|parts|points|steps|rows|columns|numbers|questions"
    r"|exercises|articles|paragraphs|volumes|books|lessons|units|rooms|levels|groups|options|problems|examples|rules"
    r"|notes|days|weeks|grades|ages|stages|phases|episodes|seasons|players|gates|platforms|rounds|tasks|answers|slides"
    r"|sheets|boxes|equations|clauses|acts|scenes|psalms)"
)
"""What is listed by number rather than measured: in lines 5,6 the comma is none of a decimal."""
_LIST = re.compile(rf"({_LISTED} )(\d{{1,3}},\d{{1,2}}(?:,\d{{1,3}})*)(?!\d|[.,]\d)")
_COMMA_DECIMAL = re.compile(
    rf"(?<![\w.,])(\d+),(\d{{1,2}})(?! in\b)(?= ?(?:{_SIGNS}|%|(?:{'|'.join(tables.CURRENCY_CODES)}|{_UNITS})(?!\w)))"
)
_EURO_DECIMAL = re.compile("(?<=[\u20ac\u00a3])(\\d+),(\\d{2})(?!\\d|,\\d)")
_APOSTROPHES = re.compile(r"(?<![\w.,'])[1-9]\d{0,2}(?:'\d{3})+(?:\.\d+)?(?![\w'])(?!\.\d)")
_POINTS = re.compile(r"(?<![\w.,'])[1-9]\d{0,2}(?:(?:\.\d{3}){2,}(?:,\d{1,2})?|(?:\.\d{3}),\d{2})(?![\d'])(?![.,]\d)")
_AMOUNT_BEFORE = re.compile(rf"(?:{_SIGNS}|\b(?:{'|'.join(tables.CURRENCY_CODES)})) ?$")
_AMOUNT_AFTER = re.compile(
    rf"(?! in\b) ?(?:{_SIGNS}|%|(?:{'|'.join(tables.CURRENCY_CODES)}|{_UNITS}|euros?|dollars?|pounds?|francs?|yen"
    r"|rupees|rubles|crowns|pesos|lira|percent|people|persons|inhabitants|residents|citizens|men|women|children|soldiers"
    r"|users|visitors|downloads|subscribers|voters|votes|copies|tons|tonnes|years|kilometers|kilometres|meters|metres|miles|liters|litres)(?!\w))"
)
_PROGRAM_BEFORE = re.compile(
    r"\b(?:v|version|firmware|build|release|revision|update|patch|driver|kernel|app|python|chrome|firefox|safari|android|ios|macos"
    r"|windows|linux|ubuntu|node)s? ?$",
    re.I,
)
_SCORE = re.compile(r"(?<![\w.,/-])(\d{1,3}\.\d{1,2})/(\d{1,3}(?:\.\d{1,2})?)(?![\w/])(?!\.\d)")
_MEASURES = ("tsp", "tbsp", "oz", "fl oz", "lb", "gal", "ft", "mi", "yd", "kg", "km", "cm", "mm", "ml", "mL", "hr")
_PART_OF_UNIT = re.compile(
    rf"(?<![\d/.,])(?<!\d )([1-9]\d?)/([234568]|10) ?({'|'.join(sorted(_MEASURES, key=len, reverse=True))})(?!\w)"
    r"(?:(?<=[a-z][a-z])\.(?=\s+[a-z]|,))?"
)


def _listed(found: _Found) -> str:
    return found[1] + found[2].replace(",", ", ")


def _thousands(found: _Found) -> str:
    """Groups with points are thousands beside a currency, a unit or what is counted, else a version of a program.

    Of groups of zeros only a word before them makes a version.
    """
    whole, _, fraction = found.group().partition(",")
    before = found.string[max(0, found.start() - 12) : found.start()]
    zeros = whole.count(".000") == whole.count(".") > 1
    if _PROGRAM_BEFORE.search(before):
        return found.group()
    if zeros or fraction or _AMOUNT_BEFORE.search(before) or _AMOUNT_AFTER.match(found.string, found.end()):
        return whole.replace(".", "") + (f".{fraction}" if fraction else "")
    return found.group()


def _score(found: _Found) -> str:
    return f"{found[1]} {'over' if '.' in found[2] else 'out of'} {found[2]}"


def _part_of_unit(found: _Found) -> str:
    """3/4 tsp is three quarters of a teaspoon."""
    if int(found[1]) >= int(found[2]):
        return found.group()
    many = tables.UNITS[found[3]]
    one = tables.ONE_OF.get(many, many.removesuffix("s"))
    return f"{found[1]}/{found[2]} of {'an' if one[0] in 'aeio' or found[3] == 'hr' else 'a'} {one}"


RULES: tuple[tuple[re.Pattern[str], str | Callable[[_Found], str]], ...] = (
    (_LIST, _listed),
    (_EURO_DECIMAL, r"\1.\2"),
    (_COMMA_DECIMAL, r"\1.\2"),
    (_APOSTROPHES, lambda found: found.group().replace("'", "")),
    (_POINTS, _thousands),
    (_SCORE, _score),
    (_PART_OF_UNIT, _part_of_unit),
)
