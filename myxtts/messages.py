"""Values in messages: quoted, shortened, and without characters that could forge a line."""

from __future__ import annotations

import os
import re
import unicodedata

_JOINERS = frozenset("\u200c\u200d")
"""Zero-width joiners: Persian spelling needs them, and they cannot hide or move other text."""
_ESCAPED_JOINER = re.compile(r"(?<=[\u0620-\u06ff])\\u(200[cd])(?=[\u0620-\u06ff])")
"""A joiner between two letters of the Arabic script, as `repr` shows it."""


def quoted(value: object, limit: int = 80) -> str:
    """A value for a message: text and paths as `repr` shows them; shortened in the middle beyond about `limit`.

    Joiners within words of the Arabic script are kept.
    """
    text = repr(os.fspath(value)) if isinstance(value, (str, os.PathLike)) else str(value)
    text = _ESCAPED_JOINER.sub(lambda found: chr(int(found[1], 16)), text)
    return text if len(text) <= limit else f"{text[: limit // 2]}...{text[-(limit // 3) :]}"


def escaped(text: str) -> str:
    """`text` with control characters, line breaks and direction marks escaped, so that it cannot forge a line."""
    if text.isprintable():  # the faster test, once per clip and start
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else repr(c)[1:-1] for c in text)


def plain(value: object) -> str:
    """A value as a settings file would have it: true, 1e-05, 3000, text without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    return str(value)


def has_control_character(text: str) -> bool:
    """Whether `text` holds a control character or half a surrogate pair; no name or path needs one."""
    return not text.isprintable() and any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
