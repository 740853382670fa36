"""Persian normalization: Arabic letters to Persian ones; numbers, dates, times and signs to words."""

from __future__ import annotations

import re
from collections.abc import Callable

from myxtts.text.normalization import persian_numbers as numbers
from myxtts.text.normalization.characters import ZWNJ, without_lone_joiners

_Found = re.Match[str]

_LETTERS = str.maketrans(
    {
        "ي": "ی", "ى": "ی", "ې": "ی", "ۍ": "ی", "ے": "ی", "ك": "ک", "ڪ": "ک", "ة": "ه", "ۀ": "هٔ", "ە": "ه", "ھ": "ه",
        "ہ": "ه", "إ": "ا", "ٱ": "ا", "أ": "ا", "ٲ": "ا", "ٳ": "ا", "ۆ": "و", "ۇ": "و",
        "٪": "%", "٫": ".", "٬": ",", "۔": ".", "٭": "*", "\u060d": "/",
    }
)  # fmt: skip
_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")
_WITHOUT_SOUND = re.compile("[\u0640\u0610-\u061a\u06d6-\u06ed\u08d3-\u08ff]")
"""Tatweel and Koranic marks. Vowel marks, tanwin, shadda and the hamza above are kept: eSpeak NG reads them."""
_SHADDA_LAST = re.compile("([\u064b-\u0650])\u0651")
_SMALL_ALEF = re.compile("ی?\u0670")
_JOINERS = re.compile("\u200d|\u200c{2,}")
_MONTHS = (
    "فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور", "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند",
)  # fmt: skip
_MONEY = {"$": "دلار", "€": "یورو", "£": "پوند", "¥": "ین", "﷼": "ریال"}
_UNITS = {
    "km/h": "کیلومتر بر ساعت", "km": "کیلومتر", "cm": "سانتی‌متر", "mm": "میلی‌متر", "kg": "کیلوگرم", "mg": "میلی‌گرم",
    "ml": "میلی‌لیتر", "GB": "گیگابایت", "MB": "مگابایت", "KB": "کیلوبایت", "°C": "درجه سانتی‌گراد", "°": "درجه",
}  # fmt: skip
_SIGNS = {
    "%": "درصد", "&": "و", "+": "به‌علاوه", "=": "مساوی", "×": "ضربدر", "÷": "تقسیم بر", "°": "درجه", "@": "ات",
    "#": "شماره", "$": "دلار", "€": "یورو", "£": "پوند", "¥": "ین", "﷼": "ریال", "<": "کوچک‌تر از", ">": "بزرگ‌تر از",
    "½": "یک دوم", "¼": "یک چهارم", "¾": "سه چهارم", "²": "به توان دو", "³": "به توان سه", "*": "ستاره",
    "/": "", "\\": "", "|": "", "~": "حدود", "^": "به توان",
}  # fmt: skip
_ABBREVIATIONS = {
    "ه.ش": "هجری شمسی", "ه.ق": "هجری قمری", "ق.م": "قبل از میلاد", "ب.م": "بعد از میلاد", 
}  # fmt: skip
_NUMBER = r"\d{1,3}(?:[,\u060c]\d{3})+|\d+"


def _whole(digits: str) -> str:
    return digits.replace(",", "").replace("\u060c", "")


def _jalali_date(found: _Found) -> str:
    year, month, day = found[1], int(found[2]), int(found[3])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return " ".join(numbers.cardinal(group) for group in found.groups())
    month_name = _MONTHS[month - 1] if year.startswith(("13", "14")) else "ماه " + numbers.ordinal(str(month))
    return f"{numbers.ordinal(str(day))} {month_name} {numbers.cardinal(year)}"


def _time(found: _Found) -> str:
    hour, minute = numbers.cardinal(str(int(found[1]))), int(found[2])
    return hour if minute == 0 else f"{hour} و {numbers.cardinal(str(minute))} دقیقه"


def _money(found: _Found) -> str:
    return f"{found['number']} {_MONEY[found['sign']]}"


def _telephone(found: _Found) -> str:
    return "\u060c ".join(numbers.digit_by_digit(group) for group in found.group().split("-"))


def _version(found: _Found) -> str:
    return " ممیز ".join(numbers.cardinal(group) for group in found.group().split("."))


def _plain_number(found: _Found) -> str:
    whole, fraction = _whole(found["whole"]), found["fraction"]
    words = numbers.decimal(whole, fraction) if fraction else numbers.cardinal(whole)
    return f"منفی {words}" if found["minus"] else words


def _names(table: dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(table, key=len, reverse=True))


_Rule = tuple[re.Pattern[str], str | Callable[[_Found], str]]
_RULES: tuple[_Rule, ...] = (
    (
        re.compile(rf"(?<!\w)({_names(_ABBREVIATIONS)})(?:\.(?=\s+[^\W\d_]|[,\u060c]))?(?!\w)"),
        lambda f: _ABBREVIATIONS[f[1]],
    ),
    (re.compile(r"\b(\d{4})[/-](\d{1,2})[/-](\d{1,2})\b"), _jalali_date),
    (re.compile(r"\b([01]?\d|2[0-4]):([0-5]\d)\b(?!:)"), _time),
    (re.compile(r"(?<=\d):(?=\d)"), " "),
    (re.compile(rf"(?P<sign>[{''.join(_MONEY)}]) ?(?P<number>(?:{_NUMBER})(?:\.\d+)?)"), _money),
    (re.compile(rf"\b(\d+)[ {ZWNJ}]?(?:ام|اُم|م)\b"), lambda f: numbers.ordinal(f[1])),
    # A range does not begin with 021 or have four parts, but a range or a date may begin with 05.
    (re.compile(r"(?<![\w.,/-])0(?:\d{2,}(?:-\d+)+|\d(?:-\d+){3,})(?![\w-]|[.,/]\d)"), _telephone),
    (re.compile(r"(?<=\d) ?[-\u2013] ?(?=\d+(?![\d-]))(?<!-\d-)"), " تا "),
    (re.compile(rf"(?<=\d) ?({_names(_UNITS)})(?!\w)"), lambda f: " " + _UNITS[f[1]]),
    # A slash is the decimal separator in handwriting and on many keyboards: 3/5 is three point five.
    (re.compile(r"(?<![\d/.])(\d+)/(\d+)(?![\d/.])"), r"\1.\2"),
    (re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])"), _version),
    (re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"), " "),
    (re.compile(rf"(?<=\d){ZWNJ}|{ZWNJ}(?=\d)"), " "),
    (re.compile(rf"(?P<minus>(?:(?<=[\s(])|^)-)?(?P<whole>{_NUMBER})(?:\.(?P<fraction>\d+))?"), _plain_number),
    (re.compile(f"[{re.escape(''.join(_SIGNS))}]"), lambda f: f" {_SIGNS[f.group()]} "),
    (re.compile(r"\s*[\u2013\u2014]\s*"), " \u2014 "),
    (re.compile(r" +"), " "),
    (re.compile(r" (?=[,.!?;:،؛؟])"), ""),
)


def normalize(text: str) -> str:
    """Cleaned Persian text in Persian letters, with everything in words except punctuation."""
    text = _WITHOUT_SOUND.sub("", text.translate(_LETTERS).translate(_DIGITS))
    text = _JOINERS.sub(lambda found: ZWNJ if found.group()[0] == ZWNJ else "", text)
    # Composed text has the shadda after the vowel mark; eSpeak NG needs it before the mark, or speaks its name.
    text = _SHADDA_LAST.sub("\u0651\\1", text)
    text = _SMALL_ALEF.sub("ا", text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return without_lone_joiners(text).strip()
