"""The user's pronunciation dictionary: a file with a word, a tab, and its phonemes or a respelling in each line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.text.normalization.characters import clean

LARGEST_BYTES = 5_000_000
"""Each checkpoint holds a copy."""
_BETWEEN_WORDS = re.compile("[^\\w\u200c\u200d'\u2019.\u064b-\u0652\u0670-]+")
_MOST_LISTED = 10
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


def unused_words(dictionary: Mapping[str, str], texts: Iterable[str]) -> list[str]:
    """The words of a dictionary that are in none of the normalized texts; ends as soon as all are found."""
    unused = dict.fromkeys(dictionary)
    for text in texts:
        if not unused:
            break
        for word in set(_BETWEEN_WORDS.split(text)):
            for form in {word, word.strip("'\u2019.-")}:
                unused.pop(key_of(form), None)
    return list(unused)


def unused_note(dictionary: Mapping[str, str], texts: Iterable[str], where: str) -> list[str]:
    """A note on the words of a dictionary that are not in the normalized texts `where`; none if all are."""
    unused = unused_words(dictionary, texts)
    if not unused:
        return []
    more = f" and {len(unused) - _MOST_LISTED} more" if len(unused) > _MOST_LISTED else ""
    return [f"in the dictionary, but not in {where}: {', '.join(map(quoted, unused[:_MOST_LISTED]))}{more}"]
