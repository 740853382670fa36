"""English normalization: numbers, money, times, dates, abbreviations and signs to words.

eSpeak NG reads acronyms. The order of the rules matters: specific rules come first.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from myxtts.text.normalization import english_numbers as numbers

_Found = re.Match[str]

_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Rev": "Reverend",
    "Gen": "General", "Col": "Colonel", "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant", "Maj": "Major",
    "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Pres": "President", "Hon": "Honorable",
    "Messrs": "Messieurs", "Mt": "Mount", "Ft": "Fort", "St": "Saint",
}  # fmt: skip
_SHORT_WORDS = {
    "vs": "versus", "approx": "approximately", "dept": "department", "est": "established", "inc": "incorporated",
    "ltd": "limited", "corp": "corporation", "bros": "brothers", "assn": "association", "ave": "avenue",
    "blvd": "boulevard", "rd": "road", "cf": "compare", "ca": "circa",
}  # fmt: skip
_BEFORE_NUMBERS = {
    "no": "number", "nos": "numbers", "vol": "volume", "fig": "figure", "p": "page", "pp": "pages", "ch": "chapter",
    "sec": "section", "art": "article",
}  # fmt: skip
_NUMBERED = (
    r"\b((?<!\bsaid )(?<!\bsays )(?<!\bsay )(?<!\byes or )(?<!\banswer is )(?<!\banswer was )no|(?<!\bof )art"
    r"|(?<!\ba )(?<!\d )sec|(?<!\ba )fig|(?-i:(?=[A-Z]))(?:no|art|sec|fig)|nos|vol|pp?|ch)\."
)
ABBREVIATIONS = frozenset(name.lower() for name in (*_TITLES, *_SHORT_WORDS))
"""In lower case and without their full stop, which does not end a sentence."""
BEFORE_NUMBER = re.compile(rf"{_NUMBERED}\s*(?=\d)", re.I)
"""Abbreviations before their number. Some are also words in lower case, as in "the answer is no. 12 men died"; the
words before them decide."""
BEFORE_NUMERAL = re.compile(
    rf"{_NUMBERED}(?:(?<=\bfig\.)\s+(?=(?-i:A)\b)"
    r"|\s+(?=(?-i:[IVXLCDM]{2,}|[B-HJ-Z]|A(?!\s+[a-z]))(?![\w'\u2019]|-[^\W\d])))",
    re.I,
)
"""The same before a Roman numeral or a letter: art. IV, fig. A; but not "I love art. A man came", nor before "I"."""
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_SHORT_MONTHS = {month[:3].lower(): month for month in _MONTHS} | {"sept": "September"}
_MONTH_PATTERN = "|".join(_MONTHS)
_WEEKDAYS = {
    "mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "thur": "Thursday",
    "thurs": "Thursday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip
_MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"), "¥": ("yen", "yen", "sen", "sen"),
}  # fmt: skip
_UNITS = {
    "km/h": "kilometers per hour", "mph": "miles per hour", "m/s": "meters per second", "km": "kilometers",
    "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "mg": "milligrams", "lbs": "pounds", "lb": "pounds",
    "oz": "ounces", "ml": "milliliters", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "Hz": "hertz",
    "KB": "kilobytes", "kB": "kilobytes", "MB": "megabytes", "GB": "gigabytes", "TB": "terabytes", "kW": "kilowatts",
    "ms": "milliseconds", "dB": "decibels", "°C": "degrees Celsius", "°F": "degrees Fahrenheit", "°": "degrees",
    "m²": "square meters", "km²": "square kilometers", "m³": "cubic meters", "ft": "feet", "mi": "miles",
    "yd": "yards", "in": "inches",
}  # fmt: skip
_SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "#": "number", "%": "percent", "°": "degrees", "×": "times",
    "÷": "divided by", "±": "plus or minus", "<": "less than", ">": "greater than", "~": "about", "≈": "about",
    "$": "dollars", "£": "pounds", "€": "euros", "¥": "yen", "©": "copyright", "®": "registered", "™": "trademark",
    "§": "section", "²": "squared", "³": "cubed", "½": "one half", "¼": "one quarter", "¾": "three quarters",
    "⅓": "one third", "⅔": "two thirds", "*": "asterisk", "/": "slash", "\\": "backslash", "|": "bar", "^": "caret",
}  # fmt: skip
_ONE_OF = {"feet": "foot", "inches": "inch", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz",
           "gigahertz": "gigahertz"}  # fmt: skip
_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"
_MAGNITUDES = "hundred|thousand|million|billion|trillion"
_SHORT_MAGNITUDES = {
    "k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "tn": "trillion",
}  # fmt: skip
_VULGAR = "½¼¾⅓⅔"


def _number(digits: str) -> str:
    return numbers.cardinal(digits.replace(",", ""))


def _amount(whole: str, fraction: str | None) -> str:
    return numbers.decimal(whole.replace(",", ""), fraction) if fraction else _number(whole)


def _money(found: _Found) -> str:
    one, many, small_one, small_many = _MONEY[found["sign"]]
    whole, fraction = found["whole"].replace(",", ""), found["fraction"]
    magnitude = found["magnitude"] or _SHORT_MAGNITUDES.get((found["short"] or "").lower())
    if magnitude:
        return f"{_amount(whole, fraction)} {magnitude} {many}"
    if fraction and len(fraction) != 2:
        return f"{_amount(whole, fraction)} {many}"
    words = f"{_number(whole or '0')} {one if whole == '1' else many}"
    if not fraction or int(fraction) == 0:
        return words
    cents = f"{_number(str(int(fraction)))} {small_one if int(fraction) == 1 else small_many}"
    return cents if not whole.strip("0") else f"{words} and {cents}"


def _time(found: _Found) -> str:
    hour, minute, half = numbers.cardinal(str(int(found["hour"]))), found["minute"], found["half"]
    if int(minute) == 0:
        spoken = hour if half or int(found["hour"]) in (0, *range(13, 25)) else f"{hour} o'clock"
        spoken = f"{hour} hundred" if not half and int(found["hour"]) in (0, *range(13, 25)) else spoken
    else:
        spoken = f"{hour} {numbers.minutes(minute)}"
    return spoken + (f" {half[0].upper()} M" if half else "")


def _iso_date(found: _Found) -> str:
    month, day = int(found[2]), int(found[3])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return " ".join(numbers.cardinal(group) for group in found.groups())
    return f"{_MONTHS[month - 1]} {numbers.ordinal(str(day))}, {numbers.year(found[1])}"


def _slash_date(day_first: bool) -> Callable[[_Found], str]:
    def spoken(found: _Found) -> str:
        first, second, year = int(found[1]), int(found[2]), found[3]
        month, day = (second, first) if (day_first and second <= 12) or first > 12 else (first, second)
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return found.group()
        return f"{_MONTHS[month - 1]} {numbers.ordinal(str(day))}, {numbers.year(year)}"

    return spoken


def _money_range(found: _Found) -> str:
    last = _MONEY_RULE.sub(_money, found["last"])
    return f"{_amount(found['low'], found['low_fraction'])} to {last}"


def _telephone(found: _Found) -> str:
    return ", ".join(numbers.digit_by_digit(group) for group in re.findall(r"\d+", found.group()))


def _fraction(found: _Found) -> str:
    whole, above, below = found["whole"] or "", found["above"], found["below"]
    parts = {"2": "half", "3": "third", "4": "quarter", "5": "fifth", "6": "sixth", "8": "eighth", "10": "tenth"}
    if below not in parts or int(above) >= int(below):
        return f"{whole}{numbers.cardinal(above)} over {numbers.cardinal(below)}"
    words = f"{numbers.cardinal(above)} {parts[below] if above == '1' else parts[below] + 's'}"
    return f"{whole}and {words}" if whole else words


def _unit(found: _Found) -> str:
    words = _UNITS[found["unit"]]
    if found["number"] == "1":
        first, _, rest = words.partition(" ")
        first = _ONE_OF.get(first, first.removesuffix("s"))
        words = f"{first} {rest}".rstrip()
    return f"{found['number']} {words}"


def _decade(found: _Found) -> str:
    return numbers.plural(numbers.year(found[1]) if len(found[1]) == 4 else numbers.cardinal(found[1]))


def _plain_number(found: _Found) -> str:
    digits, fraction = found["whole"], found["fraction"]
    minus = "minus " if found["minus"] else ""
    if fraction:
        return minus + _amount(digits or "0", fraction)
    if not minus and re.fullmatch(r"1[1-9]\d\d|10[1-9]\d|20\d\d", digits):
        return numbers.year(digits)
    return minus + _number(digits)


def _version(found: _Found) -> str:
    return " point ".join(numbers.cardinal(group) for group in found.group().split("."))


def _names(table: dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(table, key=len, reverse=True))


_MONEY_RULE = re.compile(
    rf"(?P<sign>[$£€¥])\s?(?P<whole>{_NUMBER}|(?=\.\d))(?:\.(?P<fraction>\d+))?"
    rf"(?: (?P<magnitude>{_MAGNITUDES})\b|(?P<short>{'|'.join(_SHORT_MAGNITUDES)})\b)?",
    re.I,
)
_SLASH_DATE = re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})/(\d{4})(?![\d/])")
_Rule = tuple[re.Pattern[str], str | Callable[[_Found], str]]
_RULES: tuple[_Rule, ...] = (
    (
        re.compile(r"(?<![\w'.,])(\d)'(?:(\d{1,2})(?:\"|'')?| (\d{1,2})(?:\"|''))(?![\w'])"),
        lambda f: f"{numbers.cardinal(f[1])} foot {numbers.cardinal(f[2] or f[3])}",
    ),
    (re.compile(r"(?<!\w)'([^'\"]+)'(?!\w)"), r'"\1"'),
    (re.compile(r"''"), '"'),
    # Abbreviations such as "etc." keep their full stop if it also ends the sentence.
    (re.compile(r"\b([A-Z]\w+) St\.(?! [A-Z])"), r"\1 Street"),
    (re.compile(rf"\b({_names(_TITLES)})\.(?= [A-Z]| (?:and|or|&) (?:{_names(_TITLES)})\.)"), lambda f: _TITLES[f[1]]),
    (re.compile(r"\b([JS])r\b(?:\.(?=\s+[a-z]|,))?"), lambda f: "Junior" if f[1] == "J" else "Senior"),
    (re.compile(r"\be\.g\.,?", re.I), "for example,"),
    (re.compile(r"\bi\.e\.,?", re.I), "that is,"),
    (re.compile(r"\betc\.(?=\s+[a-z(]|[,;:!?)])", re.I), "et cetera"),
    (re.compile(r"\betc\b", re.I), "et cetera"),
    (BEFORE_NUMBER, lambda f: _BEFORE_NUMBERS[f[1].lower()] + " "),
    (re.compile(rf"\b({_names(_SHORT_WORDS)})\.(?=\s+\w|,)", re.I), lambda f: _SHORT_WORDS[f[1].lower()]),
    (re.compile(rf"\b({'|'.join(_SHORT_MONTHS)})\.?(?= \d)", re.I), lambda f: _SHORT_MONTHS[f[1].lower()]),
    (re.compile(rf"\b({'|'.join(_WEEKDAYS)})\.(?=,)", re.I), lambda f: _WEEKDAYS[f[1].lower()]),
    # Dates, times and telephone numbers come before rules that would split their digits.
    (re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b"), _iso_date),
    (
        re.compile(
            r"\b(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\d:])(?: ?(?P<half>[ap])\.?m\b(?:\.(?=\s+[a-z]|,))?)?"
            r"(?: ?o'clock\b)?",
            re.I,
        ),
        _time,
    ),
    (re.compile(r"(?<=\d):(?=\d)"), " "),
    (re.compile(r"\b(\d{1,2}) ?([ap])\.?m\b(?:\.(?=\s+[a-z]|,))?", re.I), lambda f: f"{f[1]} {f[2].upper()} M"),
    (re.compile(r"(?<![\w-])(?:\(\d{3}\) ?|(?:1-)?\d{3}-)?\d{3}-\d{4}(?![\w-])"), _telephone),
    # A range does not begin with 0171 or have four parts, but a range or a date may begin with 05.
    (re.compile(r"(?<![\w.,-])0(?:\d{2,}(?:-\d+)+|\d(?:-\d+){3,})(?![\w-]|[.,]\d)"), _telephone),
    (
        re.compile(rf"\b({_MONTH_PATTERN}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.,]?\d)"),
        lambda f: f"{f[1]} {numbers.ordinal(f[2])}",
    ),
    (
        re.compile(
            rf"(?P<sign>[$£€¥])(?P<low>{_NUMBER})(?:\.(?P<low_fraction>\d+))? ?[-\u2013] ?"
            rf"(?P<last>(?P=sign)(?:{_NUMBER})(?:\.\d+)?(?: (?:{_MAGNITUDES})\b|(?:{'|'.join(_SHORT_MAGNITUDES)})\b)?)",
            re.I,
        ),
        _money_range,
    ),
    (_MONEY_RULE, _money),
    (re.compile(r"(?:(?<=\s)|^)'(\d0)'?s\b"), _decade),
    (re.compile(r"\b(1[1-9]\d0|20[0-9]0|[2-9]0)'?s\b"), _decade),
    (
        re.compile(r"(?<!\w)(?<!\d,)(\d{1,3}(?:,\d{3})++|\d++)(?:st|nd|rd|th)\b", re.I),
        lambda f: numbers.ordinal(f[1].replace(",", "")),
    ),
    (re.compile(r"(?<=\d) ?[-\u2013] ?(?=\d+(?![\d-]))(?<!-\d-)"), " to "),
    # "in" is also a word; as inches it has no blank before it, or a full stop after it.
    (
        re.compile(
            rf"(?<![\d.,])(?P<number>\.?\d++(?:[.,]\d++)*+)(?! in(?![.]))"
            rf" ?(?P<unit>{_names(_UNITS)})(?!\w)(?:(?<=ft|mi|yd|in)\.(?=\s+[a-z]|,))?"
        ),
        _unit,
    ),
    (re.compile(r"\b\d+(?:\.\d+){2,}\b"), _version),
    (re.compile(r"(?<![\d/])24/7(?![\d/])"), "twenty-four seven"),
    (
        re.compile(r"(?<![\d/])(?P<whole>(?<![.,])\d{1,3} )?(?P<above>\d{1,2})/(?P<below>\d{1,2})(?![\d/])"),
        _fraction,
    ),
    (re.compile(rf"(?<=\d) ?(?=[{_VULGAR}])"), " and "),
    (re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"), " "),
    (
        re.compile(rf"(?P<minus>(?:(?<=[\s(\"])|^)-)?(?P<whole>{_NUMBER}|(?<![\d.])(?=\.\d))(?:\.(?P<fraction>\d+))?"),
        _plain_number,
    ),
    (re.compile(f"[{re.escape(''.join(_SIGNS))}]"), lambda f: f" {_SIGNS[f.group()]} "),
    (re.compile(r"\s*[\u2013\u2014]\s*"), " \u2014 "),
    (re.compile(r" +"), " "),
    (re.compile(r" (?=[,.!?;:])"), ""),
)


def normalize(text: str, *, day_first: bool = False) -> str:
    """Cleaned English text with everything in words except punctuation.

    `day_first`: 03/04/2021 is the third of April, as outside North America.
    """
    text = _SLASH_DATE.sub(_slash_date(day_first), text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.strip()
