"""English number words: cardinals, ordinals, years, decimals, digits."""

from __future__ import annotations

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = (
    "_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
LONGEST_DIGITS = 3 * len(_SCALES)


def cardinal(digits: str) -> str:
    """Words of a string of digits; digit by digit if it is too long for words or begins with zero."""
    if len(digits) > LONGEST_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return digit_by_digit(digits)
    number = int(digits)
    if number == 0:
        return _SMALL[0]
    parts: list[str] = []
    for power in reversed(range(len(_SCALES))):
        group = number // 1_000**power % 1_000
        if group:
            parts.append(" ".join(filter(None, (_under_thousand(group), _SCALES[power]))))
    return " ".join(parts)


def _under_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_SMALL[hundreds]} hundred"] if hundreds else []
    if rest:
        words.append(_under_hundred(rest))
    return " ".join(words)


def _under_hundred(number: int) -> str:
    if number < 20:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens]}-{_SMALL[ones]}" if ones else _TENS[tens]


def digit_by_digit(digits: str) -> str:
    """Each digit as a word, as in a telephone number."""
    return " ".join(_SMALL[int(digit)] for digit in digits)


def ordinal(digits: str) -> str:
    """Words of an ordinal: 21 is twenty-first."""
    return ordinal_of_words(cardinal(digits))


def ordinal_of_words(words: str) -> str:
    """The ordinal of a cardinal in words."""
    start = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[start:]
    if last in _ORDINALS:
        return words[:start] + _ORDINALS[last]
    return words[:start] + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def year(digits: str) -> str:
    """Words of a year of four digits: 1905 is nineteen oh five, 2007 two thousand seven."""
    century, rest = divmod(int(digits), 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(digits)
    if rest == 0:
        return f"{_under_hundred(century)} hundred"
    return f"{_under_hundred(century)} {_oh(rest)}"


def minutes(digits: str) -> str:
    """Words of the minutes of a time: 05 is oh five."""
    return _oh(int(digits))


def _oh(number: int) -> str:
    return f"oh {_SMALL[number]}" if number < 10 else _under_hundred(number)


def decimal(whole: str, fraction: str) -> str:
    """Words of a decimal: 3, 14 is three point one four."""
    return f"{cardinal(whole or '0')} point {digit_by_digit(fraction)}"


def plural(words: str) -> str:
    """The plural of the last word of a number: nineteen nineties, sixes."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith(("x",)) else "s")
