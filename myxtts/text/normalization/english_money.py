"""Amounts of money in English."""

from __future__ import annotations

import re
from collections.abc import Callable

from myxtts.text.normalization import english_numbers as numbers
from myxtts.text.normalization import english_words as tables
from myxtts.text.normalization.english_units import NUMBER, PER, amount, is_attributive, names

_Found = re.Match[str]
_Rule = tuple[re.Pattern[str], str | Callable[[_Found], str]]

_SIGN = f"[{''.join(tables.MONEY)}]"
_SHORT = "|".join(sorted(tables.SHORT_MAGNITUDES, key=len, reverse=True))
_CODE = "|".join(tables.CURRENCY_CODES)
_MAGNITUDE = rf"(?:[ -](?P<magnitude>{tables.MAGNITUDES})\b|(?P<short>{_SHORT})\b)?"
_AMOUNT = rf"(?P<whole>{NUMBER})(?:\.(?P<fraction>\d+))?{_MAGNITUDE}"
_COUNTRY_WORDS = tuple(dict.fromkeys(tables.COUNTRIES.values()))


def _magnitude(found: _Found) -> str:
    return found["magnitude"] or tables.SHORT_MAGNITUDES.get((found["short"] or "").lower(), "")


def _money(found: _Found) -> str:
    one, many, small_one, small_many = tables.MONEY[found["sign"]]
    whole, fraction, magnitude = found["whole"].replace(",", ""), found["fraction"], _magnitude(found)
    hyphen = found["magnitude"] and found.group()[-len(found["magnitude"]) - 1] == "-"
    unit = one if hyphen or is_attributive(found) else many
    if magnitude:
        return f"{amount(whole, fraction)} {magnitude} {unit}"
    if fraction and len(fraction) != 2:
        return f"{amount(whole, fraction)} {unit}"
    words = f"{amount(whole or '0', None)} {one if whole == '1' else unit}"
    if not fraction or int(fraction) == 0:
        return words
    cents = f"{numbers.cardinal(str(int(fraction)))} {small_one if int(fraction) == 1 else small_many}"
    return cents if not whole.strip("0") else f"{words} and {cents}"


def _coded(found: _Found) -> str:
    """EUR 1.5m is one point five million euros."""
    words = " ".join(filter(None, (amount(found["whole"], found["fraction"]), _magnitude(found))))
    return f"{words} {tables.CURRENCY_CODES[found['code'].upper()]}"


def _money_range(found: _Found) -> str:
    last = _MONEY.sub(_money, found["sign"] + found["last"].removeprefix(found["sign"]))
    magnitude = found["low_magnitude"] or tables.SHORT_MAGNITUDES.get((found["low_short"] or "").lower(), "")
    low = f"{amount(found['low'], found['low_fraction'])} {magnitude}".rstrip()
    return f"{low.removesuffix(f' {magnitude}') if f' {magnitude} ' in last else low} to {last}"


_MONEY = re.compile(
    rf"(?P<sign>{_SIGN})\s?(?P<whole>{NUMBER}|(?=\.\d))(?:\.(?P<fraction>\d+))?{_MAGNITUDE}",
    re.I,
)
RANGES: tuple[_Rule, ...] = (
    (re.compile(r"\bRs\.? ?(?=\d)"), "\u20b9"),
    (re.compile(rf"\bR\$ ?({NUMBER})"), r"\1 BRL"),
    (re.compile(rf"(?<!\w)-(?={_SIGN}\d)"), "minus "),
    (re.compile(rf"({_SIGN})-(?=\d)"), r"minus \1"),
    (
        re.compile(
            rf"(?P<sign>{_SIGN})(?P<low>{NUMBER})(?:\.(?P<low_fraction>\d+))?"
            rf"(?: (?P<low_magnitude>{tables.MAGNITUDES})|(?P<low_short>{_SHORT}))? ?[-\u2013] ?"
            rf"(?P<last>(?P=sign)?(?:{NUMBER})(?:\.\d+)?(?: (?:{tables.MAGNITUDES})\b|(?:{_SHORT})\b)?)",
            re.I,
        ),
        _money_range,
    ),
)
RULES: tuple[_Rule, ...] = (
    (re.compile(rf"\$({names(tables.COUNTRIES)}) ?(?=\d)"), lambda f: f"{tables.COUNTRIES[f[1]]}$"),
    (re.compile(rf"\b({names(tables.COUNTRIES)})\$ ?(?=\d)"), lambda f: f"{tables.COUNTRIES[f[1]]}$"),
    (re.compile(rf"\$((?:{NUMBER})(?:\.\d+)?) ?(USD|CAD|AUD|NZD|HKD|SGD)\b"), r"\1 \2"),
    (
        re.compile(
            rf"\b({'|'.join(_COUNTRY_WORDS)})"
            rf"(\$(?:{NUMBER})(?:\.\d+)?(?: (?:{tables.MAGNITUDES})\b|[kKmMbB]n?\b)?)"
        ),
        lambda f: _MONEY.sub(_money, f[2]).replace("dollar", f"{f[1]} dollar"),
    ),
    (re.compile(rf"\b{_AMOUNT} ?(?P<code>{_CODE}|(?-i:usd|eur|gbp))\b"), _coded),
    (re.compile(rf"\b(?P<code>{_CODE}) ?{_AMOUNT}(?!\w)"), _coded),
    (_MONEY, _money),
    (
        re.compile(
            rf"(?:(?<=dollars)|(?<=pounds)|(?<=euros)|(?<=cents)|(?<=pence)|(?<=rupees)|(?<=yen))/({PER})(?!\w)(?:\.(?=\s+[a-z]))?"
        ),
        lambda f: f" per {tables.PER[f[1]]}",
    ),
)
