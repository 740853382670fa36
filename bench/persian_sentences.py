"""Persian sentences with phonemes (the files of GE2PE): read, split into training and test, aligned with words."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from myxtts.errors import DataError
from myxtts.evaluation.word_errors import edits
from myxtts.text.normalization import normalize
from myxtts.text.persian.reading import bare
from myxtts.text.phonemes import espeak

FARSDAT, HOMOGRAPHS = "ge2pe_farsdat.csv", "ge2pe_homograph_test.csv"
HELD_OUT = 90
"""Test sentences of FARSDAT: the last of the file, and the last after a shuffle with seed 0."""
PUNCTUATION = '،,.؟?!:؛;«»"()-—…'
_MARK = re.compile(f"([{re.escape(PUNCTUATION)}])")
_BAND, _LONGEST_WORD = 8, 4

# The letters of the two files -> those of the lexicon. 1 after a word is its ezafe, 2 its being the homograph.
_FARSDAT_LETTERS = {"/": "A", ".": "S", "'": "C", ",": "J", "]": "'", "[": "Z", "1": "", "2": ""}
_HOMOGRAPH_LETTERS = {"/": "a", "a": "A", "$": "S", "c": "C", "j": "J", "@": "'", ";": "Z", "1": "", "2": ""}
_IPA_LETTERS = {
    "tʃ": "C", "dʒ": "J", "ʃ": "S", "ʒ": "Z", "ɑ": "A", "ɒ": "A", "ɡ": "g", "j": "y", "ɣ": "q", "ɢ": "q", "ɾ": "r",
}  # fmt: skip


@dataclass(frozen=True)
class ReferenceWord:
    """A word of a reference: its phonemes, and whether it has an ezafe and is the homograph of its sentence."""

    phonemes: str
    ezafe: bool
    homograph: bool


@dataclass(frozen=True)
class ReferenceSentence:
    """A written sentence and its words as spoken. A written word may be several spoken ones, or a part of one."""

    written: str
    spoken: tuple[ReferenceWord, ...]


def farsdat(folder: Path) -> list[ReferenceSentence]:
    """The sentences of FARSDAT in their order."""
    return list(_read(folder / FARSDAT, _FARSDAT_LETTERS))


def homographs(folder: Path) -> list[ReferenceSentence]:
    """The sentences of HOMOGRAPHS: a test set, never used for training."""
    return list(_read(folder / HOMOGRAPHS, _HOMOGRAPH_LETTERS))


def held_out(count: int) -> set[int]:
    """Which of `count` sentences of FARSDAT are test sentences."""
    return {*range(count - HELD_OUT, count), *shuffled_out(count)}


def shuffled_out(count: int) -> list[int]:
    """The held-out sentences of a shuffle with seed 0."""
    shuffled = list(range(count))
    random.Random(0).shuffle(shuffled)
    return shuffled[-HELD_OUT:]


def _read(path: Path, letters: dict[str, str]) -> Iterator[ReferenceSentence]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            words = row["Phoneme"].replace("|", " ").split()
            spoken = (
                ReferenceWord("".join(letters.get(c, c) for c in word), "1" in word, "2" in word) for word in words
            )
            yield ReferenceSentence(row["Grapheme"], tuple(spoken))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name the folder with this file") from None
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: not a table with the columns Grapheme and Phoneme ({error})") from None


def split_words(written: str) -> list[str]:
    """The normalized words of a sentence without vowel marks, and its punctuation marks."""
    return [bare(word) for word in _MARK.sub(r" \1 ", normalize(written.replace("|", " ، "), "fa")).split()]


def is_mark(word: str) -> bool:
    """Whether a word of `split_words` is a punctuation mark."""
    return word in PUNCTUATION


def folded(phonemes: str) -> str:
    """IPA or the lexicon's letters without stress, length, glottal stops and kinds of r and q; words stay separate."""
    for symbol, letter in _IPA_LETTERS.items():
        phonemes = phonemes.replace(symbol, letter)
    return re.sub(r"[^a-zA-Z ]", "", phonemes)


def espeak_alone(words: Sequence[str]) -> dict[str, str]:
    """Word -> folded phonemes of eSpeak NG when it speaks the word alone, without our Persian front end."""
    different = sorted(set(words))
    return {word: folded(espeak(word, "fa")).replace(" ", "") for word in different}


def aligned(
    words: Sequence[str], spoken: Sequence[ReferenceWord], sounds: dict[str, str]
) -> list[list[ReferenceWord]] | None:
    """The spoken words of each written word, none to three, at the least total distance; None if none fits.

    sounds: folded phonemes of each written word.
    """
    folds = [folded(word.phonemes) for word in spoken]
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
    for at, word in enumerate(words, 1):
        center = at * len(spoken) / len(words)
        row: dict[int, tuple[float, int]] = {}
        for end in range(max(0, round(center) - _BAND), min(len(spoken), round(center) + _BAND) + 1):
            for size in range(min(_LONGEST_WORD, end + 1)):
                if end - size in best[-1]:
                    distance = edits("".join(folds[end - size : end]), sounds[word]) + 0.1 * abs(size - 1)
                    cost = best[-1][end - size][0] + distance
                    if end not in row or cost < row[end][0]:
                        row[end] = (cost, size)
        best.append(row)
    end = len(spoken)
    if not words or end not in best[-1]:
        return None
    found: list[list[ReferenceWord]] = []
    for row in reversed(best[1:]):
        size = row[end][1]
        found.append(list(spoken[end - size : end]))
        end -= size
    return found[::-1]
