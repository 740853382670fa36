"""The user's pronunciation dictionary: a file with a word, a tab, and its phonemes or a respelling in each line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.text.normalization.characters import clean

LARGEST_BYTES = 50_000_000
_VOWEL_MARKS = re.compile("[\u064b-\u0652\u0670]")
_ARABIC_TO_PERSIAN = str.maketrans({"ي": "ی", "ى": "ی", "ك": "ک"})
_IPA_ONLY = re.compile("[\u0250-\u02af\u02c8\u02cc\u02d0æðŋœøçθβχ\u0361]")


def key_of(word: str) -> str:
    """The form of a word under which dictionaries have it: composed, in lower case, without Arabic vowel marks."""
    return _VOWEL_MARKS.sub("", unicodedata.normalize("NFC", word)).casefold().translate(_ARABIC_TO_PERSIAN)


def read_dictionary(path: Path) -> Mapping[str, str]:
    """Word -> phonemes between slashes, or a respelling in the letters of the language.

    A pronunciation in slashes, or with a letter that only IPA has, is phonemes. Empty lines and lines that begin with #
    are skipped; a later line replaces an earlier one. Errors: DataError with file and line.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DataError(f"{path}: larger than {LARGEST_BYTES:,} bytes; a dictionary has one word per line")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name a text file, one word, tab and phonemes per line") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        word, tab, pronunciation = line.partition("\t")
        word, pronunciation = clean(word), unicodedata.normalize("NFD", pronunciation.strip())
        if not tab or not word or not pronunciation.strip("/ ") or " " in word:
            raise DataError(f"{path}:{number}: {quoted(line)}: write one word, a tab, and its phonemes or a respelling")
        in_slashes = len(pronunciation) > 2 and pronunciation.startswith("/") and pronunciation.endswith("/")
        if not in_slashes:
            pronunciation = pronunciation.strip("/")
        phonemes = in_slashes or _IPA_ONLY.search(pronunciation)
        found[key_of(word)] = f"/{pronunciation.strip('/')}/" if phonemes else clean(pronunciation)
    return found
