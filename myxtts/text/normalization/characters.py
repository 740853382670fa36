"""One form of each character in any language: composition, blanks, quotes, dashes, invisible characters."""

from __future__ import annotations

import re
import unicodedata

ZWNJ = "\u200c"
ZWJ = "\u200d"

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]"
)
"""Soft hyphen, zero-width blanks, bidirectional controls, variation selectors, byte order mark: not pronounced."""
_COMPATIBILITY = re.compile("[\ufb00-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\uff01-\uff9f\U0001d400-\U0001d7ff]+")
"""Ligatures, Arabic presentation forms, full-width and mathematical letters: variants of ordinary letters."""
_ONE_FORM = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201b": "'", "\u02bc": "'", "`": "'", "\u00b4": "'", "\u2032": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u2033": '"', "\u2039": '"', "\u203a": '"',
        "\u2010": "-", "\u2011": "-", "\u2212": "-",
        "\u2012": "\u2013", "\u2015": "\u2014", "\u2e3a": "\u2014",
        "[": "(", "]": ")", "{": "(", "}": ")",
        "_": " ", "\t": " ", "\n": " ", "\r": " ", "\u000b": " ", "\u000c": " ", "\u0085": " ",
        "\u2028": " ", "\u2029": " ",
    }
)  # fmt: skip
_BLANKS = re.compile(r"[^\S\x1c-\x1f]+")
_ELLIPSIS = re.compile(r"\.(?: ?\.){2,}|\u2026[.\u2026]*")
_DOUBLE_HYPHEN = re.compile(r"-{2,}")
_ALONE = re.compile(r"(?<=\s)-(?=\s)|^-(?=\s)|(?<=\s)-$")
_LONE_JOINERS = re.compile(f"(?<![^\\W\\d_])[{ZWNJ}{ZWJ}]+|[{ZWNJ}{ZWJ}]+(?![^\\W\\d_]|[\u0300-\u036f])")


def clean(text: str) -> str:
    """The text composed (NFC), without invisible characters, with plain quotes, one kind of dash and single blanks.

    Control characters and lone surrogates are kept, so that the tokenizer can report them.
    """
    text = unicodedata.normalize("NFC", text)
    text = _COMPATIBILITY.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text)
    text = _INVISIBLE.sub("", text).translate(_ONE_FORM)
    text = _ELLIPSIS.sub("\u2026", text)
    text = _ALONE.sub("\u2014", _DOUBLE_HYPHEN.sub("\u2014", text))
    return _BLANKS.sub(" ", text).strip(" ")


def without_lone_joiners(text: str) -> str:
    """The text without zero-width joiners at the edge of a word, where they join nothing."""
    return _LONE_JOINERS.sub("", text)
