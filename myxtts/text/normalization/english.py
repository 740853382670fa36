"""English normalization: numbers, money, times, dates, abbreviations and signs to words.

eSpeak NG reads acronyms. The order of the rules matters: specific rules come first.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from myxtts.text.normalization import (
    english_abbreviations,
    english_codes,
    english_dates,
    english_groups,
    english_money,
    english_roman,
)
from myxtts.text.normalization import english_numbers as numbers
from myxtts.text.normalization import english_words as tables
from myxtts.text.normalization.english_abbreviations import BEFORE_NUMBER, BEFORE_NUMERAL
from myxtts.text.normalization.english_signs import spell_signs
from myxtts.text.normalization.english_units import MARKS, NUMBER, SPELLINGS, UNITS, amount, mark_inches, names

_Found = re.Match[str]
_Rule = tuple[re.Pattern[str], str | Callable[[_Found], str]]

_MONTH = "|".join(tables.MONTHS)
_NOT_THOUSANDS = "(?:TV|TVs|video|resolution|monitor|display|screen|UHD|run|race|walk)\\b"
"""After 4K or 10K: pixels, or kilometers of a race."""
_ADDRESS = (
    r" (?:[A-Z][a-z]+ ){1,3}(?:Street|St|Road|Rd|road|Avenue|Ave|avenue|Lane|Ln|Drive|Dr|Court|Place|Square|Way|"
    r"Terrace|Boulevard|boulevard|Close|Row|Hill|Gardens|Highway)\b"
)
"""After a house: 221B Baker Street."""
_LABELLED = (
    r"(?<!\b[Rr]oom )(?<!\b[Ff]lat )(?<!\b[Gg]ate )(?<!\b[Ss]eat )(?<!\b[Uu]nit )(?<!\b[Ss]uite )(?<!\b[Bb]lock )"
    r"(?<!\b[Cc]lass )(?<!\b[Gg]rade )(?<!\b[Tt]able )(?<!\bapartment )(?<!\b[Ee]xhibit )(?<!\b[Ff]igure )"
    r"(?<!\b[Rr]ow )"
)
"""Not after these: seat 12B."""
_DENOMINATORS = {str(number): numbers.ordinal(str(number)) for number in (3, *range(5, 17), 20, 32, 64)} | {
    "2": "half",
    "4": "quarter",
}
_YEAR_BEFORE = re.compile(
    r"\b(?:in|since|until|till|by|from|of|to|before|after|during|around|circa|early|late|mid|spring|summer|autumn|fall|winter"
    r"|year|the|and|between)(?: |-)$",
    re.I,
)
_FUTURE_BEFORE = re.compile(r"\b(?:in|by|year|since|until|before|after) $", re.I)
_COUNTED_AFTER = re.compile(
    r" (?:people|men|women|children|percent|dollars?|pounds?|euros?|yen|"
    r"(?!(?:was|has|is|as|this|his|its|does|census|across|perhaps|always)\b)[a-z]{2,}s)\b"
)


_MEASURED_AFTER = re.compile(
    r" ?(?:people|men|women|children|passengers|members|guests|percent|times|years?|months?|weeks?|days?|hours?"
    r"|minutes?|seconds?|miles?|meters?|metres?|kilometers?|kilometres?|feet|yards?|inches|dollars?|pounds?|euros?|ft|km|m|%)"
    r"(?!\w)"
    r"| (?:hundred|thousand|million|billion)\b"
)
"""What is counted or measured: the US 150 years ago."""


def _numbered_name(found: _Found) -> str:
    """Room 101 is one oh one, flight 370 three seventy; 200 is two hundred."""
    if _MEASURED_AFTER.match(found.string, found.end()):
        return found.group()
    return f"{found[1]} {found[2] or ''} {_hundreds(found[3], found[4])}"


def _hundreds(first: str, rest: str) -> str:
    return f"{numbers.cardinal(first)} {'hundred' if rest == '00' else numbers.minutes(rest)}"


def _fraction(found: _Found) -> str:
    whole, above, below = found["whole"] or "", found["above"], found["below"]
    if above == below and not whole:
        return f"{numbers.cardinal(above)} out of {numbers.cardinal(below)}"
    if below not in _DENOMINATORS or int(above) >= int(below) or above[0] == "0":
        return f"{whole}{numbers.cardinal(above)} over {numbers.cardinal(below)}"
    part = _DENOMINATORS[below]
    many = "halves" if part == "half" else f"{part}s"
    words = f"{numbers.cardinal(above)} {part if above == '1' else many}"
    return f"{whole.rstrip(' -')} and {words}" if whole else words


def _decade(found: _Found) -> str:
    return numbers.plural(numbers.year(found[1]) if len(found[1]) == 4 else numbers.cardinal(found[1]))


def _plural(found: _Found) -> str:
    """747s are seven forty-sevens, and MP3s are MP threes."""
    return numbers.plural(_hundreds(found[1][0], found[1][1:]) if len(found[1]) == 3 else numbers.cardinal(found[1]))


def _plain_number(found: _Found) -> str:
    digits, fraction = found["whole"], found["fraction"]
    minus = "minus " if found["minus"] else ""
    if fraction:
        return minus + amount(digits or "0", fraction)
    if not minus and re.fullmatch(r"1[1-9]\d\d|10[1-9]\d|20\d\d|2[1-9]\d\d", digits) and not _counts(found):
        before = found.string[max(0, found.start() - 8) : found.start()]
        if digits < "2100" or _FUTURE_BEFORE.search(before):
            return numbers.year(digits)
    return minus + amount(digits, None)


def _counts(found: _Found) -> bool:
    """Whether a number that may be a year counts what follows, as in 1066 dollars; after a preposition it is a year."""
    if not _COUNTED_AFTER.match(found.string, found.end()):
        return False
    return not _YEAR_BEFORE.search(found.string[max(0, found.start() - 10) : found.start()])


def _version(found: _Found) -> str:
    return " point ".join(numbers.cardinal(group) for group in found.group().split("."))


_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*]{1,500})(?<=[^\s*])\1(?![\w*])")
_CASED = {
    name.upper(): name
    for name in (
        *english_roman.NAMES.split("|"), *filter(str.istitle, english_roman.COUNTED.split("|")),
        *tables.MONTHS, "King", "Queen", "Pope", "World",
    )
}  # fmt: skip
_CASED_BEFORE_STOP = {
    name.upper(): name
    for name in (*tables.TITLES, *tables.STREETS, *map(str.title, (*tables.SHORT_MONTHS, *tables.WEEKDAYS)))
}
_IN_CAPITALS = re.compile(
    rf"(?<!\bTHE )\b(?:{names(_CASED)})\b|\b(?:{names(_CASED)})\b(?! I [A-Z])"
    rf"|(?<!\d )\b(?:{names(_CASED_BEFORE_STOP)})\b(?=\.| \d)|(?<=\d)'?S\b"
)
_RULES: tuple[_Rule, ...] = (
    (_EMPHASIS, r"\2"),
    (re.compile(r"^[*#]+ (?=[A-Za-z])|(?<=[A-Za-z.,!?])\*+(?!\w)"), ""),
    (re.compile(r"(?:(?<=\s)|^)[:;]['-]?[)(DPpO](?!\w)"), ""),
    (re.compile(rf"(?<![\w/.])(?:{names(tables.READ_AS)})(?![\w/]|[.,]\d)"), lambda f: tables.READ_AS[f.group()]),
    (
        re.compile(r" ?(?<!\w)'n'(?!\w) ?|(?<=[a-z])'n'(?=[a-z])|(?<=[a-z]) 'n (?=[a-z])|(?<=s) [Nn]' (?=[A-Z])"),
        " and ",
    ),
    (re.compile(r"\b([A-Z]{1,3})&([A-Z]{1,3})(s?)\b"), lambda f: f"{'.'.join(f[1])} and {'.'.join(f[2])}{f[3]}"),
    (re.compile(r"\b([A-Z]{2,5})/(?=[A-Z]{2,5}\b)"), r"\1 "),
    (re.compile(r"\bA#(?!\w)"), "A-sharp"),
    (re.compile(r"\b([A-G])#(?!\w)"), r"\1 sharp"),
    (re.compile(r"\bA\+(?!\w)"), "A-plus"),
    (re.compile(r"\b([A-D])-(?= (?:grade|student|average|rating)\b)|(?<=\ban )(A)-(?!\w)"), r"\1\2-minus"),
    (re.compile(r"\bA(?=\d)"), "A-"),
    (re.compile(r"\b([A-Z])\.(?=\d)"), r"\1 point "),
    (re.compile(r"(?:(?<=\s)|^)\.(?=[a-z]{2,}|[A-Z]{2,})"), "dot "),
    (re.compile(r"(?:(?<=\s)|^)#(?=[A-Za-z])"), "hashtag "),
    (re.compile(r"~(?=/)"), "tilde "),
    (re.compile(r"(?<![\w/])(?<!\d )(?:km/h|m/s)(?![\w/²])"), lambda f: tables.UNITS[f.group()]),
    (re.compile(r"(?<=\d) ?\* ?(?=\d)"), " times "),
    (re.compile(r"\bw/ ?(?=[A-Za-z]|$)"), "with "),
    (re.compile(r"\bvs\b(?!\.)"), "versus"),
    (re.compile(r"\bPh\.? ?D\b\.?(?=\s+[a-z]|,|(?! [A-Z])|$)"), "P H D"),
    *MARKS,
    (re.compile(r"(?<!\w)'(?!\d0s\b)([^'\"]+)'(?!\w)"), r'"\1"'),
    (re.compile(r"(?<!\w)'([1-9]\d)\b"), lambda f: numbers.cardinal(f[1])),
    (re.compile(r"(?<=[a-z][a-z])\.(?=\d+\b(?!\.\d))"), ". "),
    (re.compile(r"\b((?i:page|slide|part|sheet|step) \d+)/(?=\d)"), r"\1 of "),
    (re.compile(r"(?<![\d/])(\d{1,2}/\d{1,2})(?:rd|th|nd|ds|rds|ths)\b"), r"\1"),
    (re.compile(r"''"), '"'),
    *english_abbreviations.RULES,
    *english_abbreviations.WORDS,
    *english_dates.NAMES,
    # Dates, times and telephone numbers come before rules that would split their digits.
    *english_dates.RULES,
    *english_codes.RULES,
    *english_dates.TIMES,
    (
        re.compile(
            r"\b((?i:room|flight|route|highway|boeing|airbus|interstate|error|suite|apartment|bus|exit)|US)"
            r" ([A-Z]{2} ?)?([1-9])(\d{2})\b(?![,.]\d)"
        ),
        _numbered_name,
    ),
    (re.compile(r"\bI-([1-9])(\d\d)\b(?![,.]\d)"), lambda f: f"I {_hundreds(f[1], f[2])}"),
    (re.compile(r"(?<![\w.,-])(7)([0-8]7)-(\d)(\d\d)\b"), lambda f: f"{_hundreds(f[1], f[2])} {_hundreds(f[3], f[4])}"),
    (re.compile(r"\b[vV](?=\d+(?:\.\d+)+\b)|\bv(?=\d{1,3}\b)"), "version "),
    (
        re.compile(r"\b([Vv]ersions?|[Rr]elease|Python|Ubuntu|Android|iOS) (\d{1,3})\.(\d{1,3})\b(?!\.\d|,\d)"),
        lambda f: f"{f[1]} {numbers.cardinal(f[2])} point {numbers.cardinal(f[3])}",
    ),
    (re.compile(r"\bI-(?=\d)"), "I "),
    (
        re.compile(r"(?<![\w.,])([1-9]\d{0,2})((?: \d{3}){2,}|(?: 000)+)(?![\d]| \d)"),
        lambda f: f[1] + f[2].replace(" ", ""),
    ),
    (
        re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)[eE]([+-]?)(\d{1,3})\b"),
        lambda f: f"{f[1]} times ten to the power of {'minus ' if f[2] == '-' else ''}{int(f[3])}",
    ),
    (re.compile(r"(?<=\d) ?[x×] ?(?=10\^)"), " times "),
    *english_groups.RULES,
    *english_money.RANGES,
    *SPELLINGS,
    (re.compile(r"(?<=[\w)])\^([23])(?![\d.])"), lambda f: "²" if f[1] == "2" else "³"),
    (re.compile(r"(?<=[\w)])\^(-?)(?=\w)"), lambda f: f" to the power of {'minus ' if f[1] else ''}"),
    (re.compile(r"(?<!\b0)(?<=\d)[x×](?=\d)|(?<=\d) [x×] (?=\d)|(?<=inches) x (?=\d)"), " by "),
    (re.compile(r"\b(\d+(?:\.\d+)?)[xX]\b(?! ?\d| ?[=+]| minus)"), r"\1 times"),
    (re.compile(r"(?<=%) ?[-\u2013] ?(?=\d)"), " to "),
    (
        re.compile(
            r"(?<![\d.])(\d+(?:\.\d+)?) ?(?:ft|feet)\.? (\d{1,2}) ?in\b\.?(?=[.,]|\s+(?:tall|long|high|wide|deep)|\s*$)"
        ),
        r"\1 feet \2 inches",
    ),
    (
        re.compile(r"\b(\d{1,2}) ?([ap])\.?m\b(?:\.(?=\s+(?-i:[a-z])|[,\u2013-]))?", re.I),
        lambda f: f"{f[1]} {f[2].upper()} M",
    ),
    (re.compile(r"(?<= [AP] M)(?: ?[-\u2013] ?(?=\d)| \u2014 (?=\d\d? [AP] M))"), " to "),
    (
        re.compile(rf"\b({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.,]?\d)"),
        lambda f: f"{f[1]} {numbers.ordinal(f[2])}",
    ),
    *english_money.RULES,
    (
        re.compile(
            rf"(?<![\w.,]){_LABELLED}((?:{NUMBER})(?:\.\d+)?)"
            rf"(bn|tn|tr|[kKMBT])\b(?!(?<=[kK]) ?{_NOT_THOUSANDS})(?!{_ADDRESS})"
        ),
        lambda f: f"{amount(*f[1].partition('.')[::2])} {tables.ATTACHED[f[2]]}",
    ),
    (re.compile(r"(?<!\w)(10{1,3}|1,000)s(?= of\b)"), lambda f: {2: "tens", 3: "hundreds"}.get(len(f[1]), "thousands")),
    (re.compile(r"\b(1[1-9]\d0|20[0-9]0|[2-9]0)'?s\b"), _decade),
    (
        re.compile(r"(?<!\w)(?<!\d,)(\d{1,3}(?:,\d{3})++|\d++)(?:st|nd|rd|th)\b", re.I),
        lambda f: numbers.ordinal(f[1].replace(",", "")),
    ),
    (
        re.compile(rf"\b({_MONTH}) (\w+(?:-\w+)?) ?[-\u2013] ?(\d{{1,2}})(?:st|nd|rd|th)?\b(?![\d-])"),
        lambda f: f"{f[1]} {f[2]} to {numbers.ordinal(f[3])}",
    ),
    (re.compile(r"(?<=[A-Z])(\d{1,3})s\b"), lambda f: f" {_plural(f)}"),
    (re.compile(r"(?<![\w.,])(\d{1,6})s\b"), _plural),
    (re.compile(r"\b(([A-Z])\d)-(?=\2\d\b)"), r"\1 to "),
    (re.compile(r"(?<![\d-])(\d{1,3})-(?=[12]/[2348]\b(?!-))"), r"\1 "),
    (re.compile(r"(?<=\d) ?[-\u2013] ?(?=\d+(?![\d-]))(?<!-\d-)"), " to "),
    UNITS,
    (re.compile(r"\b\d+(?:\.\d+){2,}\b"), _version),
    (re.compile(r"(?<!/ \d)(?<=\d) / (?=\d+(?! /))"), "/"),
    (
        re.compile(r"(?<![\d/])(?P<whole>(?<![.,])\d{1,3} )?(?P<above>\d{1,3})/(?P<below>\d{1,3})(?![\d/])"),
        _fraction,
    ),
    (
        re.compile(
            r"(?<![\w.])\.(\d{2,3})(?= ?-?(?:cal|caliber|calibre|special|[Mm]agnum|pistol|rifle|revolver|handgun)\b)"
            r"|(?:(?<=batting )|(?<=batted )|(?<=hitting )|(?<=hit )|(?<=slugging ))\.([1-9]\d{2})(?!\w|\.\d)"
            r"|(?<= a )\.([1-9]\d{2})(?= (?:hitter|average|batting|record|season|career|winning|percentage)\b)"
        ),
        lambda f: _hundreds(d[0], d[1:]) if len(d := f[1] or f[2] or f[3]) == 3 else numbers.cardinal(d),
    ),
    (re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"), " "),
    (
        re.compile(rf"(?P<minus>(?:(?<=[\s(\"])|^)-)?(?P<whole>{NUMBER}|(?<![\d.])(?=\.\d))(?:\.(?P<fraction>\d+))?"),
        _plain_number,
    ),
    (re.compile(f"[{re.escape(''.join(tables.SIGNS))}]"), lambda f: f" {tables.SIGNS[f.group()]} "),
    (re.compile(r" +"), " "),  # before the next rule, for which a long row of blanks is slow
    (re.compile(r"\s*[\u2013\u2014]\s*"), " \u2014 "),
    (re.compile(r" (?=[,.!?;:)])"), ""),
    # Letters in a row are one word: eSpeak NG reads the A of "A M" as an article, but not that of "A.M". At the start
    # of a sentence it is one, as in "A T-shirt".
    (
        re.compile(r"\b(?:[B-HJ-Z]|(?<!^)(?<![.!?:\"] )A)(?: [A-HJ-Z]\b)++(?!['.-]\w)"),
        lambda f: f.group().replace(" ", "."),
    ),
    (
        re.compile(
            r"\b((?i:vitamin|grade|type|plan|hepatitis|group|class|part|section|appendix|exhibit|option|point|team|level"
            r"|letter|an)|[A-Z] and) A(?= [a-z])"
        ),
        r"\1 A-",
    ),
)


def normalize(text: str, *, day_first: bool = False) -> str:
    """Cleaned English text with everything in words except punctuation.

    `day_first`: 03/04/2021 is the third of April, as outside North America.
    """
    text = mark_inches(spell_signs(text))
    if text.isupper():
        text = _IN_CAPITALS.sub(lambda f: (_CASED_BEFORE_STOP | _CASED).get(f.group(), "s"), text)
    text = english_dates.spell_numeric_dates(text, day_first)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
        if pattern is BEFORE_NUMBER:
            text = english_roman.spell_numerals(
                BEFORE_NUMERAL.sub(lambda f: tables.BEFORE_NUMBERS[f[1].lower()] + " ", text)
            )
    return text.strip()
