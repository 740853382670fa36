"""English normalization: numbers, money, times, dates, abbreviations and signs to words.

eSpeak NG reads acronyms. The order of the rules matters: specific rules come first.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from myxtts.text.normalization import english_codes, english_groups
from myxtts.text.normalization import english_numbers as numbers
from myxtts.text.normalization import english_words as tables
from myxtts.text.normalization.english_roman import spell_numerals
from myxtts.text.normalization.english_signs import spell_signs

_Found = re.Match[str]

_NUMBERED = (
    r"\b((?<!\bsaid )(?<!\bsays )(?<!\bsay )(?<!\byes or )(?<!\banswer is )(?<!\banswer was )no|(?<!\bof )art"
    r"|(?<!\ba )(?<!\d )sec|(?<!\ba )fig|(?-i:(?=[A-Z]))(?:no|art|sec|fig)|nos|vol|pp?|ch)\."
)
ABBREVIATIONS = frozenset(name.lower() for name in (*tables.TITLES, *tables.SHORT_WORDS))
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
_MONTH_PATTERN = "|".join(tables.MONTHS)
_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"
_MAGNITUDES = "hundred|thousand|million|billion|trillion"
_SHORT_DAY = rf"({'|'.join(d.title() for d in (*tables.WEEKDAYS, *tables.SHORT_MONTHS))})\b"
_STOP = r"(?:\.(?=\s+[a-z\d]|\s*[,;:\u2013\u2014-]))?"
"""The full stop of an abbreviation, which does not end a sentence."""
_NOT_THOUSANDS = "(?:TV|TVs|video|resolution|monitor|display|screen|UHD|run|race|walk)\\b"
"""After 4K or 10K: pixels, or kilometers of a race."""
_ADDRESS = (
    r" (?:[A-Z][a-z]+ ){1,3}(?:Street|St|Road|Rd|road|Avenue|Ave|avenue|Lane|Ln|Drive|Dr|Court|Place|Square|Way|"
    r"Terrace|Boulevard|boulevard|Close|Row|Hill|Gardens|Highway)\b"
)
"""After a house: 221B Baker Street."""
_COUNTRY_WORDS = tuple(dict.fromkeys(tables.COUNTRIES.values()))
_VULGAR = "½¼¾⅓⅔"


def _range_of_names(found: _Found) -> str:
    """Short names of days or months in full, Mon-Fri as Monday to Friday."""
    full = tables.WEEKDAYS | tables.SHORT_MONTHS
    return " to ".join(full[name.lower()] for name in found.groups())


def _number(digits: str) -> str:
    return numbers.cardinal(digits.replace(",", ""))


def _amount(whole: str, fraction: str | None) -> str:
    return numbers.decimal(whole.replace(",", ""), fraction) if fraction else _number(whole)


def _money(found: _Found) -> str:
    one, many, small_one, small_many = tables.MONEY[found["sign"]]
    whole, fraction = found["whole"].replace(",", ""), found["fraction"]
    magnitude = found["magnitude"] or tables.SHORT_MAGNITUDES.get((found["short"] or "").lower())
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
    if not is_date and not re.search(r"\b(?:on|by|since|until|till|from|to|before|after|of) $", before):
        return found.group()
    end = ", " if found.group().endswith(" ") else ""
    return f"the {numbers.ordinal(found[1])} of {found[2]}{end}"


def _numbered_name(found: _Found) -> str:
    """Room 101 is one oh one, flight 370 three seventy; 200 is two hundred."""
    rest = "hundred" if found[3] == "00" else numbers.minutes(found[3])
    return f"{found[1]} {numbers.cardinal(found[2])} {rest}"


def _money_range(found: _Found) -> str:
    last = _MONEY_RULE.sub(_money, found["sign"] + found["last"].removeprefix(found["sign"]))
    magnitude = found["low_magnitude"] or tables.SHORT_MAGNITUDES.get((found["low_short"] or "").lower(), "")
    low = f"{_amount(found['low'], found['low_fraction'])} {magnitude}".rstrip()
    return f"{low.removesuffix(f' {magnitude}') if f' {magnitude} ' in last else low} to {last}"


def _fraction(found: _Found) -> str:
    whole, above, below = found["whole"] or "", found["above"], found["below"]
    parts = {"2": "half", "3": "third", "4": "quarter", "5": "fifth", "6": "sixth", "8": "eighth", "10": "tenth"}
    if below not in parts or int(above) >= int(below):
        return f"{whole}{numbers.cardinal(above)} over {numbers.cardinal(below)}"
    words = f"{numbers.cardinal(above)} {parts[below] if above == '1' else parts[below] + 's'}"
    return f"{whole}and {words}" if whole else words


def _unit(found: _Found) -> str:
    words = tables.UNITS[found["unit"]]
    if found["number"] == "1":
        first, _, rest = words.partition(" ")
        first = tables.ONE_OF.get(first, first.removesuffix("s"))
        words = f"{first} {rest}".rstrip()
    return f"{found['number']} {words}"


def _decade(found: _Found) -> str:
    return numbers.plural(numbers.year(found[1]) if len(found[1]) == 4 else numbers.cardinal(found[1]))


def _plain_number(found: _Found) -> str:
    digits, fraction = found["whole"], found["fraction"]
    minus = "minus " if found["minus"] else ""
    if fraction:
        return minus + _amount(digits or "0", fraction)
    if not minus and re.fullmatch(r"1[1-9]\d\d|10[1-9]\d|20\d\d", digits) and not _counts(found):
        return numbers.year(digits)
    return minus + _number(digits)


_YEAR_BEFORE = re.compile(
    r"\b(?:in|since|until|till|by|from|of|to|before|after|during|around|circa|early|late|mid|spring|summer|autumn|fall|winter"
    r"|year|the|and|between)(?: |-)$",
    re.I,
)
_COUNTED_AFTER = re.compile(
    r" (?:people|men|women|children|percent|dollars?|pounds?|euros?|yen|"
    r"(?!(?:was|has|is|as|this|his|its|does|census|across|perhaps|always)\b)[a-z]{2,}s)\b"
)


def _counts(found: _Found) -> bool:
    """Whether a number that may be a year counts what follows, as in 1066 dollars; after a preposition it is a year."""
    if not _COUNTED_AFTER.match(found.string, found.end()):
        return False
    return not _YEAR_BEFORE.search(found.string[max(0, found.start() - 10) : found.start()])


def _version(found: _Found) -> str:
    return " point ".join(numbers.cardinal(group) for group in found.group().split("."))


def _names(table: dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(table, key=len, reverse=True))


_MONEY_RULE = re.compile(
    rf"(?P<sign>[$£€¥₹₽₩₺])\s?(?P<whole>{_NUMBER}|(?=\.\d))(?:\.(?P<fraction>\d+))?"
    rf"(?: (?P<magnitude>{_MAGNITUDES})\b|(?P<short>{'|'.join(tables.SHORT_MAGNITUDES)})\b)?",
    re.I,
)
_HYPHEN_DATE = re.compile(r"(?<![\w.-])(\d{1,2})-(\d{1,2})-(\d{4})(?![\w-])")
_SLASH_DATE = re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?![\d/])")
_ON_DATE = re.compile(r"(?<=\b[Oo]n )(\d{1,2})/(\d{1,2})()(?![\d/])")
_EXTENT = "(?:long|wide|tall|high|deep|thick|by|x)\\b"
_Rule = tuple[re.Pattern[str], str | Callable[[_Found], str]]
_RULES: tuple[_Rule, ...] = (
    (re.compile(r"(?:(?<=\s)|^)[:;]['-]?[)(DPpO](?!\w)"), ""),
    (re.compile(r"\b([A-Z]{1,3})&([A-Z]{1,3})(s?)\b"), lambda f: f"{' '.join(f[1])} and {' '.join(f[2])}{f[3]}"),
    (re.compile(r"\b([A-G])#(?!\w)"), r"\1 sharp"),
    (re.compile(r"(?:(?<=\s)|^)\.(?=[A-Z]{2,})"), "dot "),
    (re.compile(r"(?:(?<=\s)|^)#(?=[A-Za-z])"), "hashtag "),
    (re.compile(r"\bw/o\b"), "without"),
    (re.compile(r"\bc/o\b"), "care of"),
    (re.compile(r"(?<![\w/])(?<!\d )(?:km/h|m/s)(?![\w/²])"), lambda f: tables.UNITS[f.group()]),
    (re.compile(r"(?<=\d) ?\* ?(?=\d)"), " times "),
    (re.compile(r"\bw/ ?(?=[A-Za-z])"), "with "),
    (re.compile(r"\bvs\b(?!\.)"), "versus"),
    (re.compile(r"\bPh\.? ?D\b\.?(?=\s+[a-z]|,|(?! [A-Z])|$)"), "P H D"),
    (
        re.compile(r"(?<![\w'.,])(\d)'(?:(\d{1,2})(?:\"|'')?| (\d{1,2})(?:\"|''))(?![\w'])"),
        lambda f: f"{numbers.cardinal(f[1])} foot {numbers.cardinal(f[2] or f[3])}",
    ),
    (re.compile(rf"(?<![\w.,])(\d+(?:\.\d+)?)'(?= {_EXTENT})"), r"\1 feet"),
    (re.compile(rf"(?<![\w.,])(\d+(?:\.\d+)?)(?:\"|'')(?= {_EXTENT})"), r"\1 inches"),
    (re.compile(r"(?<!\w)'([^'\"]+)'(?!\w)"), r'"\1"'),
    (re.compile(r"\band/or\b"), "and or"),
    (re.compile(r"(?<![\d/])(\d{1,2}/\d{1,2})(?:rd|th|nd|ds|rds|ths)\b"), r"\1"),
    (re.compile(r"''"), '"'),
    # Abbreviations such as "etc." keep their full stop if it also ends the sentence.
    (
        re.compile(rf"\b([A-Z]\w+|\d(?:st|nd|rd|th)) ({_names(tables.STREETS)})\.(?! [A-Z])"),
        lambda f: f"{f[1]} {tables.STREETS[f[2]]}",
    ),
    (
        re.compile(rf"\b({_names(tables.TITLES)})\.(?= [A-Z]| (?:and|or|&) (?:{_names(tables.TITLES)})\.)"),
        lambda f: tables.TITLES[f[1]],
    ),
    (re.compile(r"\b([JS])r\b(?:\.(?=\s+[a-z]|,))?"), lambda f: "Junior" if f[1] == "J" else "Senior"),
    (re.compile(r"\be\.g\.,?", re.I), "for example,"),
    (re.compile(r"\bi\.e\.,?", re.I), "that is,"),
    (re.compile(r"\betc\.(?=\s+(?-i:[a-z(])|[,;:!?)])", re.I), "et cetera"),
    (re.compile(r"\betc\b", re.I), "et cetera"),
    (BEFORE_NUMBER, lambda f: tables.BEFORE_NUMBERS[f[1].lower()] + " "),
    (re.compile(rf"\b({_names(tables.SHORT_WORDS)})\.(?=\s+\w|,)", re.I), lambda f: tables.SHORT_WORDS[f[1].lower()]),
    (re.compile(rf"\b{_SHORT_DAY}\.? ?[-\u2013] ?{_SHORT_DAY}{_STOP}"), _range_of_names),
    (re.compile(rf"\b({'|'.join(tables.SHORT_MONTHS)})\.?(?= \d)", re.I), lambda f: tables.SHORT_MONTHS[f[1].lower()]),
    (
        re.compile(
            rf"(?<![\w-])(\d{{1,2}}(?:st|nd|rd|th)?(?: of)?) ({'|'.join(map(str.title, tables.SHORT_MONTHS))})\b{_STOP}"
        ),
        lambda f: f"{f[1]} {tables.SHORT_MONTHS[f[2].lower()]}",
    ),
    (re.compile(rf"\b({'|'.join(tables.WEEKDAYS)})\.(?=,)", re.I), lambda f: tables.WEEKDAYS[f[1].lower()]),
    # Dates, times and telephone numbers come before rules that would split their digits.
    (re.compile(r"\b(\d{4})[-/](\d{1,2})[-/](\d{1,2})\b(?![-/])"), _iso_date),
    (re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})\.(1\d{3}|20\d\d)(?![\d.]\d)"), _dotted_date),
    (
        re.compile(rf"\b(?:[Tt]he )?(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH_PATTERN})\b(?:,? (?=\d{{4}}\b))?"),
        _day_month,
    ),
    *english_codes.RULES,
    (
        re.compile(
            r"(?:(?<=:\d\d)|(?<=\d[ap]m)|(?<=\d [ap]m)|(?<= [ap]\.m\.)) ?[-\u2013] ?(?=\d{1,2}(?::\d\d| ?[ap]\.?m\b))",
            re.I,
        ),
        " to ",
    ),
    (
        re.compile(
            r"\b(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\d:])"
            r"(?: ?(?P<half>[ap])\.?m\b(?:\.(?=\s+(?-i:[a-z])|[,\u2013-]))?)?(?: ?o'clock\b)?",
            re.I,
        ),
        _time,
    ),
    (re.compile(r"(?<![\d:.])(\d{1,3}):(\d{1,3})(?![\d:])"), r"\1 to \2"),
    (re.compile(r"(?<=\d):(?=\d)"), " "),
    (re.compile(r"\bat (\d)\.(\d{2})(?= ?[ap]\.?m)"), r"at \1:\2"),
    (re.compile(r"\b9/11\b"), "nine eleven"),
    (re.compile(r"\b50[/-]50\b"), "fifty-fifty"),
    (re.compile(r"\b((?i:room|flight|route|highway|boeing|airbus)) ([1-9])(\d{2})\b(?![,.]\d)"), _numbered_name),
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
    (re.compile(r"(?<=[\w)])\^(-?)(?=\d)"), lambda f: f" to the power of {'minus ' if f[1] else ''}"),
    (re.compile(r"(?<=\d)[x×](?=\d)|(?<=\d) [x×] (?=\d)"), " by "),
    (re.compile(r"\b(\d+(?:\.\d+)?)x\b(?! ?\d| ?[=+]| minus)"), r"\1 times"),
    (re.compile(r"(?<=%) ?[-\u2013] ?(?=\d)"), " to "),
    (re.compile(r"(?<![\d.])(\d+(?:\.\d+)?) ?(?:ft|feet) (\d{1,2}) ?in\b(?! \w)"), r"\1 feet \2 inches"),
    (
        re.compile(r"\b(\d{1,2}) ?([ap])\.?m\b(?:\.(?=\s+(?-i:[a-z])|[,\u2013-]))?", re.I),
        lambda f: f"{f[1]} {f[2].upper()} M",
    ),
    (re.compile(r"(?<= [AP] M)(?: ?[-\u2013] ?(?=\d)| \u2014 (?=\d\d? [AP] M))"), " to "),
    (
        re.compile(rf"\b({_MONTH_PATTERN}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.,]?\d)"),
        lambda f: f"{f[1]} {numbers.ordinal(f[2])}",
    ),
    (
        re.compile(
            rf"(?P<sign>[$£€¥₹₽₩₺])(?P<low>{_NUMBER})(?:\.(?P<low_fraction>\d+))?"
            rf"(?: (?P<low_magnitude>{_MAGNITUDES})|(?P<low_short>{'|'.join(tables.SHORT_MAGNITUDES)}))? ?[-\u2013] ?"
            rf"(?P<last>(?P=sign)?(?:{_NUMBER})(?:\.\d+)?"
            rf"(?: (?:{_MAGNITUDES})\b|(?:{'|'.join(tables.SHORT_MAGNITUDES)})\b)?)",
            re.I,
        ),
        _money_range,
    ),
    *english_groups.RULES,
    (re.compile(r"\b(US|AU|NZ|HK|CA|A|C)\$ ?(?=\d)"), lambda f: f"{tables.COUNTRIES[f[1]]}$"),
    (
        re.compile(rf"\b({'|'.join(_COUNTRY_WORDS)})(\$(?:{_NUMBER})(?:\.\d+)?(?: (?:{_MAGNITUDES})\b|[kKmMbB]n?\b)?)"),
        lambda f: _MONEY_RULE.sub(_money, f[2]).replace("dollar", f"{f[1]} dollar"),
    ),
    (
        re.compile(rf"\b((?:{_NUMBER})(?:\.\d+)?) ?({'|'.join(tables.CURRENCY_CODES)})\b"),
        lambda f: f"{f[1]} {tables.CURRENCY_CODES[f[2]]}",
    ),
    (
        re.compile(rf"\b({'|'.join(tables.CURRENCY_CODES)}) ?((?:{_NUMBER})(?:\.\d+)?)\b"),
        lambda f: f"{f[2]} {tables.CURRENCY_CODES[f[1]]}",
    ),
    (_MONEY_RULE, _money),
    (re.compile(rf"(?:(?<=dollars)|(?<=pounds)|(?<=euros)|(?<=cents))/(?=(?:{'|'.join(tables.PER)})\b)"), " per "),
    (
        re.compile(
            rf"(?<![\w.,])(?<!\b[Rr]oom )(?<!\b[Ff]lat )((?:{_NUMBER})(?:\.\d+)?)"
            rf"(bn|tn|[kKMBT])\b(?!(?<=[kK]) ?{_NOT_THOUSANDS})(?!{_ADDRESS})"
        ),
        lambda f: f"{_amount(*f[1].partition('.')[::2])} {tables.ATTACHED[f[2]]}",
    ),
    (re.compile(r"(?:(?<=\s)|^)'(\d0)'?s\b"), _decade),
    (re.compile(r"\b(1[1-9]\d0|20[0-9]0|[2-9]0)'?s\b"), _decade),
    (
        re.compile(r"(?<!\w)(?<!\d,)(\d{1,3}(?:,\d{3})++|\d++)(?:st|nd|rd|th)\b", re.I),
        lambda f: numbers.ordinal(f[1].replace(",", "")),
    ),
    (
        re.compile(rf"\b({_MONTH_PATTERN}) (\w+(?:-\w+)?) ?[-\u2013] ?(\d{{1,2}})(?:st|nd|rd|th)?\b(?![\d-])"),
        lambda f: f"{f[1]} {f[2]} to {numbers.ordinal(f[3])}",
    ),
    (re.compile(r"(?<![\w.,])(\d{1,6})s\b"), lambda f: numbers.plural(numbers.cardinal(f[1]))),
    (re.compile(r"(?<=\d) ?[-\u2013] ?(?=\d+(?![\d-]))(?<!-\d-)"), " to "),
    # "in" is also a word; as inches it has no blank before it, or a full stop after it.
    (
        re.compile(
            rf"(?<![\d.,])(?P<number>\.?\d++(?:[.,]\d++)*+)(?! in(?![.]))"
            rf" ?(?P<unit>{_names(tables.UNITS)})(?!\w)(?:(?<=ft|mi|yd|in)\.(?=\s+[a-z]|,))?"
        ),
        _unit,
    ),
    (re.compile(r"\b\d+(?:\.\d+){2,}\b"), _version),
    (re.compile(r"(?<![\d/])24/7(?![\d/])"), "twenty-four seven"),
    (
        re.compile(r"(?<![\d/])(?P<whole>(?<![.,])\d{1,3} )?(?P<above>\d{1,3})/(?P<below>\d{1,3})(?![\d/])"),
        _fraction,
    ),
    (re.compile(rf"(?<=\d) ?(?=[{_VULGAR}])"), " and "),
    (re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"), " "),
    (
        re.compile(rf"(?P<minus>(?:(?<=[\s(\"])|^)-)?(?P<whole>{_NUMBER}|(?<![\d.])(?=\.\d))(?:\.(?P<fraction>\d+))?"),
        _plain_number,
    ),
    (re.compile(f"[{re.escape(''.join(tables.SIGNS))}]"), lambda f: f" {tables.SIGNS[f.group()]} "),
    (re.compile(r"\s*[\u2013\u2014]\s*"), " \u2014 "),
    (re.compile(r" +"), " "),
    (re.compile(r" (?=[,.!?;:])"), ""),
)


def normalize(text: str, *, day_first: bool = False) -> str:
    """Cleaned English text with everything in words except punctuation.

    `day_first`: 03/04/2021 is the third of April, as outside North America.
    """
    text = spell_signs(text)
    for pattern in (_SLASH_DATE, _HYPHEN_DATE):
        text = pattern.sub(_slash_date(day_first), text)
    text = _ON_DATE.sub(_slash_date(day_first), text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
        if pattern is BEFORE_NUMBER:
            text = spell_numerals(BEFORE_NUMERAL.sub(lambda f: tables.BEFORE_NUMBERS[f[1].lower()] + " ", text))
    return text.strip()
