"""Persian number words: cardinals up to 10 ** 18, ordinals, decimals, digits in groups."""

from __future__ import annotations

import re

from myxtts.text.normalization.characters import ZWNJ

_ONES = (
    "صفر", "یک", "دو", "سه", "چهار", "پنج", "شش", "هفت", "هشت", "نُه", "ده", "یازده", "دوازده", "سیزده", "چهارده",
    "پانزده", "شانزده", "هفده", "هجده", "نوزده",
)  # fmt: skip
_TENS = (
    "_", "_", "بیست", "سی", "چهل", "پنجاه", "شصت", "هفتاد", "هشتاد", "نود",
)  # fmt: skip
_HUNDREDS = (
    "_", "صد", "دویست", "سیصد", "چهارصد", "پانصد", "ششصد", "هفتصد", "هشتصد", "نهصد",
)  # fmt: skip
_SCALES = ("", "هزار", "میلیون", "میلیارد", "تریلیون", "هزار تریلیون")
_AND = " و "
_FRACTIONS = {1: "دهم", 2: "صدم", 3: "هزارم"}
LONGEST_DIGITS = 3 * len(_SCALES)
SCALES = frozenset({"صد", "هزار", "میلیون", "میلیارد", "تریلیون"})
"""Words that follow the number that they multiply."""
_DAMMA = "\u064f"
WORDS = frozenset(word.replace(_DAMMA, "") for word in (*_ONES, *_TENS, *_HUNDREDS, *SCALES)) - {"_", "نه"}
"""Words of cardinals, without «نه», which is also "no"."""
LONG_DIGITS = 16
"""From so many digits on a number without separators is that of a bank card or an account."""


def cardinal(digits: str) -> str:
    """Words of a string of ASCII digits; digit by digit if it is too long for words or begins with zero."""
    if len(digits) > LONGEST_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return digit_by_digit(digits)
    number = int(digits)
    if number == 0:
        return _ONES[0]
    groups: list[str] = []
    for power in reversed(range(len(_SCALES))):
        group = number // 1_000**power % 1_000
        scale = _SCALES[power]
        if group and power == 5 and number // 1_000**4 % 1_000:
            scale = _SCALES[1]  # "two thousand and five trillion"
        if group == 1 and scale.startswith(_SCALES[1]):
            groups.append(scale)  # 1000 is "thousand" in Persian, not "one thousand"
        elif group:
            groups.append(f"{_under_thousand(group)} {scale}".rstrip())
    return _AND.join(groups)


def _under_thousand(number: int) -> str:
    words: list[str] = []
    hundreds, rest = divmod(number, 100)
    if hundreds:
        words.append(_HUNDREDS[hundreds])
    if rest >= 20:
        words.append(_TENS[rest // 10])
        rest %= 10
    if rest:
        words.append(_ONES[rest])
    return _AND.join(words)


def digit_by_digit(digits: str) -> str:
    """Each digit as a word; long numbers in groups of four, with pauses."""
    if len(digits) >= LONG_DIGITS:
        return "\u060c ".join(digit_by_digit(digits[at : at + 4]) for at in range(0, len(digits), 4))
    return " ".join(_ONES[int(digit)] for digit in digits)


def ordinal(digits: str) -> str:
    """Words of an ordinal: 3 is «سوم», 30 «سی‌ام»."""
    words = cardinal(digits)
    if words.endswith("سه"):
        return words.removesuffix("سه") + "سوم"
    if words.endswith("سی"):
        return words + "\u200cام"
    if words.endswith(_ONES[9]):
        return words.removesuffix(_ONES[9]) + "نهم"
    return words + "م"


def decimal(whole: str, fraction: str) -> str:
    """Words of a decimal: up to three places as tenths, hundredths or thousandths, more digit by digit."""
    start = f"{cardinal(whole or '0')} ممیز "
    if len(fraction) > 3:
        return start + digit_by_digit(fraction)
    if int(fraction) == 0:
        return start + digit_by_digit(fraction)
    return start + f"{cardinal(str(int(fraction)))} {_FRACTIONS[len(fraction)]}"


_EVERY = "|".join(sorted({*WORDS, "نه", _ONES[9]}, key=len, reverse=True))
JOINED = re.compile(rf"(?<![\w{ZWNJ}])(?:{_EVERY})(?:{ZWNJ}و{ZWNJ}?(?:{_EVERY}|سو)(?:م(?:ین)?)?)+(?![\w\u064b-\u0655])")
"""Number words that are joined by half-spaces: «بیست‌ویکم»."""


def apart(joined: str) -> str:
    """Joined number words as they are read: «بیست و یکم»."""
    return re.sub(f"{ZWNJ}و{ZWNJ}?", _AND, joined)
