"""Persian normalization: Arabic letters to Persian ones; numbers, dates, times and signs to words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from myxtts.text.normalization import persian_numbers as numbers
from myxtts.text.normalization import persian_phrases as phrases
from myxtts.text.normalization.characters import ZWNJ, without_lone_joiners

_Found = re.Match[str]

_KASRA = "\u0650"
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
_JALALI_MONTHS = (
    "فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور", "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند",
)  # fmt: skip
_GREGORIAN_MONTHS = (
    "ژانویه", "فوریه", "مارس", "آوریل", "مه", "ژوئن", "ژوئیه", "اوت", "سپتامبر", "اکتبر", "نوامبر", "دسامبر",
)  # fmt: skip
_OTHER_MONTHS = ("می", "جولای", "آگوست", "محرم", "صفر", "رجب", "شعبان", "رمضان", "شوال")
_FIRST_GREGORIAN_YEAR = 1700
_MONEY = {"$": "دلار", "€": "یورو", "£": "پوند", "¥": "ین", "﷼": "ریال", "₿": "بیت‌کوین", "₺": "لیر"}
_UNITS = {
    "km/h": "کیلومتر بر ساعت", "km": "کیلومتر", "cm": "سانتی‌متر", "mm": "میلی‌متر", "m": "متر", "kg": "کیلوگرم",
    "mg": "میلی‌گرم", "g": "گرم", "ml": "میلی‌لیتر", "l": "لیتر", "L": "لیتر", "TB": "ترابایت", "GB": "گیگابایت",
    "MB": "مگابایت", "KB": "کیلوبایت", "kB": "کیلوبایت", "GHz": "گیگاهرتز", "MHz": "مگاهرتز", "kHz": "کیلوهرتز",
    "Hz": "هرتز", "kW": "کیلووات", "MW": "مگاوات", "W": "وات", "V": "ولت", "ms": "میلی‌ثانیه", "s": "ثانیه",
    "min": "دقیقه", "h": "ساعت", "°C": "درجهٔ سانتی‌گراد", "°F": "درجهٔ فارنهایت", "°": "درجه",
}  # fmt: skip
_SIGNS = {
    "%": "درصد", "&": "و", "+": "به‌علاوهٔ", "=": "مساوی", "×": "ضربدر", "÷": "تقسیم بر", "°": "درجه", "@": "ات",
    "#": "شماره", "<": "کوچک‌تر از", ">": "بزرگ‌تر از", "±": "مثبت و منفی", "≤": "کوچک‌تر یا مساوی",
    "≥": "بزرگ‌تر یا مساوی",
    "½": "یک دوم", "¼": "یک چهارم", "¾": "سه چهارم", "²": "به توان دو", "³": "به توان سه", "*": "ستاره",
    "/": "", "\\": "", "~": "حدود", "^": "به توان", **_MONEY,
}  # fmt: skip
_ABBREVIATIONS = {
    "ه.ش": "هجری شمسی", "ه.ق": "هجری قمری", "ق.م": "قبل از میلاد", "ب.م": "بعد از میلاد",
}  # fmt: skip
_AFTER_NAMES = {
    "ع": "علیه السلام", "ص": "صلی الله علیه و آله", "س": "سلام الله علیها", "ره": "رحمت الله علیه",
    "عج": "عجل الله تعالی فرجه", "رض": "رضی الله عنه",
}  # fmt: skip
_BEFORE_NUMBERS = (
    "سال", "ساعت", "شماره", "صفحه", "فصل", "بخش", "ماده", "بند", "تبصره", "اصل", "طبقه", "پلاک", "کلاس", "جلد", "قسمت",
    "خیابان", "کوچه", "منطقه", "مدل", "نسخه", "سوره", "آیه", "درس", "گروه", "واحد", "سالن", "بلوک", "کیلومتر", "دهه",
    "قرن", "سده", "متولد",
)  # fmt: skip
"""Words that have an ezafe before a number, if no number precedes them: «سالِ ۱۴۰۳», but «۵ سال ۳ ماه»."""
_NUMBERED_THINGS = (
    "شبکه", "کانال", "خط", "ردیف", "اتاق", "قطعه", "مرحله", "شعبه", "خروجی", "ترمینال", "پایه", "فاز", "جدول", "شکل",
    "نمودار", "تمرین", "پرواز", "گیت",
)  # fmt: skip
"""The same, if the number counts nothing behind it: «خطِ ۵», but «پرواز ۲۵۰ نفر داشت»."""
_MEASURED = (
    "نفر|ساعت|دقیقه|ثانیه|روز|هفته|ماه|سال|متر|کیلومتر|درصد|هزار|میلیون|میلیارد|تومان|ریال|دلار|بار|مورد|عدد|کیلو|تن"
)
_NUMBERED_DIGITS = "تلفن|موبایل|همراه|فکس|نمابر|تماس|پیامک|داخلی|کد ملی|کد پستی|کدپستی|کد رهگیری|کارت|حساب|شبا"
_COUNTED = "نفر|تومان|ریال|دلار|هزار|میلیون|میلیارد|بار|مورد|عدد|دقیقه|روز"
"""Words before a number that is spoken digit by digit, and words after it that say otherwise."""
_PAGES = {"ص": "صفحهٔ", "ج": "جلدِ", "ش": "شمارهٔ"}
_NUMBER = r"\d{1,3}(?:[,\u060c]\d{3})+|\d+"
_MINUS_WORDS = "درجه|سانتی|سلسیوس|فارنهایت"
_PERSIAN = "[\u0621-\u064a\u066e-\u06d3]"
_SUFFIXES = "ها|های|هایی|هایم|هایت|هایش|هایمان|هایتان|هایشان|هاست|تر|ترین|تری"
_AFTER_SILENT_H = "ی|ای|ام|ات|اش|اند|ایم|اید|مان|تان|شان"


def _whole(digits: str) -> str:
    return digits.replace(",", "").replace("\u060c", "")


def _with_ezafe(words: str) -> str:
    """Words with a written ezafe after the last."""
    if words.endswith("ه") and not words.endswith(("ده", "اه", "وه", "مه", "نُه")):
        return words + "\u0654"
    return words + _KASRA


def _date(year: str, month: str, day: str) -> str:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return " ".join(numbers.cardinal(group) for group in (year, month, day))
    months = _GREGORIAN_MONTHS if int(year) >= _FIRST_GREGORIAN_YEAR else _JALALI_MONTHS
    month_name = _with_ezafe(months[int(month) - 1])
    return f"{_with_ezafe(numbers.ordinal(str(int(day))))} {month_name} {numbers.cardinal(year)}"


def _day_of_month(found: _Found) -> str:
    """A day and the name of a month, and the year if it follows: «۱۵ مهر ۱۴۰۳»."""
    day, month, year = found["day"], found["month"], found["year"]
    if not 1 <= int(day) <= 31:
        return found.group()
    start = f"{_with_ezafe(numbers.ordinal(str(int(day))))} "
    return start + (f"{_with_ezafe(month)} {numbers.cardinal(year)}" if year else month)


def _time(found: _Found) -> str:
    hour, minute, second = numbers.cardinal(str(int(found[1]))), int(found[2]), int(found[3] or 0)
    words = hour if minute == 0 else f"{hour} و {numbers.cardinal(str(minute))} دقیقه"
    return f"{words} و {numbers.cardinal(str(second))} ثانیه" if second else words


def _telephone(found: _Found) -> str:
    """Digits in the groups in which they are written, or in those in which Iranian numbers are spoken."""
    groups = re.findall(r"\d+", found.group())
    if len(groups) == 1 and groups[0].startswith("0"):
        first = 4 if groups[0].startswith("09") else 3
        groups = [groups[0][:first], groups[0][first:7], groups[0][7:]]
    elif found.group().startswith("+") and len(groups) <= 2:
        digits = "".join(groups)
        country = 2 if digits.startswith("98") else len(groups[0]) if len(groups) == 2 else 1
        rest = digits[country:]
        groups = [digits[:country], rest[:3], rest[3:6], rest[6:]]
    words = "\u060c ".join(numbers.digit_by_digit(group) for group in groups if group)
    return f" مثبت {words}" if found.group().startswith("+") else words


def _version(found: _Found) -> str:
    return " ممیز ".join(numbers.cardinal(group) for group in found.group().split("."))


def _plain_number(found: _Found) -> str:
    written, fraction = found["whole"], found["fraction"]
    whole = _whole(written)
    if fraction:
        words = numbers.decimal(whole, fraction)
    elif whole == written and len(whole) >= numbers.LONG_DIGITS:
        words = numbers.digit_by_digit(whole)
    else:
        words = numbers.cardinal(whole)
    return f"منفی {words}" if found["minus"] else words


def _names(table: Iterable[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(table, key=len, reverse=True))


_Rule = tuple[re.Pattern[str], str | Callable[[_Found], str]]
_WRITING: tuple[_Rule, ...] = (
    # Old fonts have the sign for "not" where Unicode has the zero-width non-joiner.
    (re.compile(rf"(?<={_PERSIAN})\u00ac(?={_PERSIAN})"), ZWNJ),
    (re.compile("\u00ac"), " "),
    (re.compile(rf"({_PERSIAN})\1{{2,}}"), r"\1"),  # a letter that is repeated for emphasis
    (re.compile(rf"(?<![\w{ZWNJ}])(ن?می){ZWNJ}? (?={_PERSIAN}{{2}})"), rf"\1{ZWNJ}"),
    (re.compile(rf"(?<={_PERSIAN}) ({_SUFFIXES})(?![\w{ZWNJ}\u064b-\u0655])"), rf"{ZWNJ}\1"),
    (re.compile(rf"(?<=[^\W\d_]ه) ({_AFTER_SILENT_H})(?![\w{ZWNJ}\u064b-\u0655])"), rf"{ZWNJ}\1"),
    (numbers.JOINED, lambda f: numbers.apart(f[0])),
    (re.compile(r"\s*\|\s*"), "\u060c "),
)
"""Rules for how words are written, before those for numbers and signs."""
_RULES: tuple[_Rule, ...] = (
    *_WRITING,
    (
        re.compile(rf"(?<!\w)({_names(_ABBREVIATIONS)})(?:\.(?=\s+[^\W\d_]|[,\u060c]))?(?!\w)"),
        lambda f: _ABBREVIATIONS[f[1]],
    ),
    (re.compile(rf"\(({_names(_AFTER_NAMES)})\)"), lambda f: phrases.joined(_AFTER_NAMES[f[1]])),
    (re.compile(rf"(?<!\w)({_names(_PAGES)})\.? ?(?=\d)"), lambda f: _PAGES[f[1]] + " "),
    (re.compile(r"\bhttps?://(?=\w)", re.IGNORECASE), ""),
    (re.compile(r"(?<=[A-Za-z0-9])\.(?=[A-Za-z]{2})"), " دات "),
    (re.compile(r"(?<=[A-Za-z])\+\+"), " plus plus"),
    (re.compile(r"(?<=[A-Za-z])#"), " sharp"),
    (re.compile(r"(?<!\w)#(?=[^\W\d_])"), "هشتگ "),
    (re.compile(r"(?<=[A-Za-z])-(?=\d)"), " "),
    # Groups of three digits, whatever separates them: 10٫000٫000, 10/000/000.
    (re.compile(r"(?<![\d./,])\d{1,3}(?:([./])\d{3})(?:\1\d{3})+(?![\d./]\d|\d)"), lambda f: f[0].replace(f[1], ",")),
    (re.compile(r"(?<![\d/.-])(\d{4})([/-])(\d{1,2})\2(\d{1,2})(?![\d/-])"), lambda f: _date(f[1], f[3], f[4])),
    (re.compile(r"(?<![\d/.-])(\d{1,2})([/-])(\d{1,2})\2(\d{4})(?![\d/-])"), lambda f: _date(f[4], f[3], f[1])),
    # A year of two digits is one that is no day: 57/11/22, 22/11/57.
    (re.compile(r"(?<![\d/.-])(3[2-9]|[4-9]\d)/(\d{1,2})/(\d{1,2})(?![\d/-])"), lambda f: _date(f[1], f[2], f[3])),
    (re.compile(r"(?<![\d/.-])(\d{1,2})/(\d{1,2})/(3[2-9]|[4-9]\d)(?![\d/-])"), lambda f: _date(f[3], f[2], f[1])),
    (
        re.compile(
            rf"(?<![\d.,/-])(?P<day>\d{{1,2}})(?:[ {ZWNJ}]?(?:ام|م))?{_KASRA}? ?"
            rf"(?P<month>(?:{_names((*_JALALI_MONTHS, *_GREGORIAN_MONTHS, *_OTHER_MONTHS))})(?:{ZWNJ}?ماه)?)\u0654?"
            rf"(?![\w{ZWNJ}\u064b-\u0655])(?:(?: ماه)?(?: سال)? (?P<year>\d{{4}})(?![\d.,/-]))?"
        ),
        _day_of_month,
    ),
    (
        re.compile(rf"(?<!\w)(?<!\d )({_names(_BEFORE_NUMBERS)})(?= \(?\d)"),
        lambda f: _with_ezafe(f[1]),
    ),
    (
        re.compile(
            rf"(?<!\w)(?<!\d )({_names(_NUMBERED_THINGS)})(?= \(?\d)(?! \(?\d++(?:[.,/]\d++)*+ (?:{_MEASURED})(?!\w))"
        ),
        lambda f: _with_ezafe(f[1]),
    ),
    (re.compile(r"(?<=\d:\d\d) ?[-\u2013] ?(?=\d{1,2}:\d\d)"), " تا "),
    (re.compile(r"\b([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?\b(?!:)"), _time),
    (re.compile(r"(?<=\d):(?=\d)"), " "),
    (
        re.compile(rf"(?P<sign>[{''.join(_MONEY)}]) ?(?P<number>(?:{_NUMBER})(?:\.\d+)?)"),
        lambda f: f"{f['number']} {_MONEY[f['sign']]}",
    ),
    (re.compile(r"(?<=\d) ?% ?[-\u2013\u2014] ?(?=\d+(?:\.\d+)? ?%)"), "% تا "),
    (re.compile(rf"(?<!\d)(?<!\d )% ?((?:{_NUMBER})(?:\.\d+)?(?:[-\u2013]\d+)?)"), r"\1 درصد"),
    (re.compile(rf"(?<!\w)(?<!\d )ریال ?((?:{_NUMBER})(?:\.\d+)?)"), r"\1 ریال"),
    (re.compile(rf"\b(\d+)[ {ZWNJ}]?(?:ام|اُم|م)(ین)?\b"), lambda f: numbers.ordinal(f[1]) + (f[2] or "")),
    (re.compile(r"(?<![\w.,/+-])00(?=98[ -]?\d{3}[ -]?\d{3}[ -]?\d{4}(?!\d))"), "+"),
    (re.compile(r"(?<![\w+])\+\d{1,3}[ -]?\(?\d(?:[ -]?\(?\d\)?){6,12}(?![\w-])"), _telephone),
    (re.compile(r"(?<![\w.,/-])09\d{2}(?:[ -]?\d){7}(?![\w-]|[.,/]\d)"), _telephone),
    (re.compile(r"(?<![\w.,/-])0[1-8]\d(?:[ -]?\d{4}){2}(?![\w-]|[.,/]\d)"), _telephone),
    (
        re.compile(
            rf"((?:{_NUMBERED_DIGITS})(?:[{_KASRA}\u0654]| ثابت| همراه)*(?:: ?| شماره[{_KASRA}\u0654]? | ))"
            rf"(\d{{5,}})(?!\d| ?(?:{_COUNTED}))"
        ),
        lambda f: f[1] + numbers.digit_by_digit(f[2]),
    ),
    # A range does not begin with 021 or have four parts, but a range or a date may begin with 05.
    (re.compile(r"(?<![\w.,/-])0(?:\d{2,}(?:-\d+)+|\d(?:-\d+){3,})(?![\w-]|[.,/]\d)"), _telephone),
    (re.compile(r"(?<=\d) ?[-\u2013] ?(?=\d+(?![\d-]))(?<!-\d-)"), " تا "),
    # Right-to-left keyboards put the minus behind the number; at the start of a text it numbers an item of a list.
    (re.compile(rf"(?<=[^\d.,/-] )(\d+(?:\.\d+)?)[-\u2013](?= ?(?:{_MINUS_WORDS}|°)|[.,!?:\u060c]|$)"), r"-\1"),
    (re.compile(rf"^(\d+(?:\.\d+)?)-(?= ?(?:{_MINUS_WORDS}|°)|$)"), r"-\1"),
    (re.compile(r"^(\d+)[-)] ?(?=[^\W\d_])"), "\\1\u060c "),
    (re.compile(r"(?:(?<=[\s(])|^)\+(?=\d)"), "مثبت "),
    (re.compile(rf"(?<=\d) ?({_names(_UNITS)})(?!\w)"), lambda f: " " + _UNITS[f[1]]),
    # A slash is the decimal separator in handwriting and on many keyboards: 3/5 is three point five.
    (re.compile(r"(?<![\d/.])(\d+)/(\d+)(?![\d/.])"), r"\1.\2"),
    (re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])"), _version),
    (re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"), " "),
    (re.compile(rf"(?<=\d){ZWNJ}|{ZWNJ}(?=\d)"), " "),
    (re.compile(rf"(?P<minus>(?:(?<=[\s(])|^)-)?(?P<whole>{_NUMBER})(?:\.(?P<fraction>\d+))?"), _plain_number),
    (re.compile(f"[{re.escape(''.join(_SIGNS))}]"), lambda f: f" {_SIGNS[f.group()]} "),
    (re.compile(r" +"), " "),  # before the next rule, for which a long row of blanks is slow
    (re.compile(r"\s*[\u2013\u2014]\s*"), " \u2014 "),
    (re.compile(r" (?=[,.!?;:،؛؟])"), ""),
)


def normalize(text: str) -> str:
    """Cleaned Persian text in Persian letters, with everything in words except punctuation.

    Suffixes that a space separates are joined by a zero-width non-joiner, and the ezafe of dates is written.
    """
    text = _WITHOUT_SOUND.sub("", text.translate(_LETTERS).translate(_DIGITS))
    text = _JOINERS.sub(lambda found: ZWNJ if found.group()[0] == ZWNJ else "", text)
    # Composed text has the shadda after the vowel mark; eSpeak NG needs it before the mark, or speaks its name.
    text = _SHADDA_LAST.sub("\u0651\\1", text)
    text = phrases.joined(_SMALL_ALEF.sub("ا", text))
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return without_lone_joiners(text).strip()
