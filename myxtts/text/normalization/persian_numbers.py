"""Persian number words: cardinals up to a thousand billion, ordinals, decimals."""

from __future__ import annotations

_ONES = (
    "صفر", "یک", "دو", "سه", "چهار", "پنج", "شش", "هفت", "هشت", "نه", "ده", "یازده", "دوازده", "سیزده", "چهارده",
    "پانزده", "شانزده", "هفده", "هجده", "نوزده",
)  # fmt: skip
_TENS = (
    "_", "_", "بیست", "سی", "چهل", "پنجاه", "شصت", "هفتاد", "هشتاد", "نود",
)  # fmt: skip
_HUNDREDS = (
    "_", "صد", "دویست", "سیصد", "چهارصد", "پانصد", "ششصد", "هفتصد", "هشتصد", "نهصد",
)  # fmt: skip
_SCALES = ("", "هزار", "میلیون", "میلیارد", "هزار میلیارد")
_AND = " و "
_FRACTIONS = {1: "دهم", 2: "صدم", 3: "هزارم"}
LARGEST = 10**12


def cardinal(digits: str) -> str:
    """Words of a string of ASCII digits; digit by digit if it is over 10^12 or begins with zero."""
    number = int(digits) if len(digits) <= 13 else LARGEST + 1
    if number > LARGEST or (len(digits) > 1 and digits[0] == "0"):
        return digit_by_digit(digits)
    if number == 0:
        return _ONES[0]
    if number == LARGEST:
        return "یک تریلیون"
    groups: list[str] = []
    for power in reversed(range(len(_SCALES))):
        group = number // 1_000**power % 1_000
        if group == 1 and power == 1:
            groups.append(_SCALES[1])  # 1000 is "thousand" in Persian, not "one thousand"
        elif group:
            groups.append(f"{_under_thousand(group)} {_SCALES[power]}".rstrip())
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
    """Each digit as a word."""
    return " ".join(_ONES[int(digit)] for digit in digits)


def ordinal(digits: str) -> str:
    """Words of an ordinal: 3 is «سوم», 30 «سی‌ام»."""
    words = cardinal(digits)
    if words.endswith("سه"):
        return words.removesuffix("سه") + "سوم"
    if words.endswith("سی"):
        return words + "\u200cام"
    return words + "م"


def decimal(whole: str, fraction: str) -> str:
    """Words of a decimal: up to three places as tenths, hundredths or thousandths, more digit by digit."""
    start = f"{cardinal(whole or '0')} ممیز "
    if len(fraction) > 3:
        return start + digit_by_digit(fraction)
    if int(fraction) == 0:
        return start + digit_by_digit(fraction)
    return start + f"{cardinal(str(int(fraction)))} {_FRACTIONS[len(fraction)]}"
