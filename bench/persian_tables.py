"""The data of the Persian front end in bench/persian_data: marked sentences, homographs, topics, parts of speech."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import persian_sentences as sentences
from bench import results
from myxtts.errors import DataError
from myxtts.text.normalization.characters import ZWNJ
from myxtts.text.persian import homographs, tagger

_PRESENT_ENDINGS = {"م": "am", "ی": "i", "د": "ad", "یم": "im", "ید": "id", "ند": "and"}
_SPOKEN_ENDINGS = {"ه": "e", "ین": "in", "ن": "an"}
_BEFORE_O = frozenset({"کن", "خور"})
_VOWELS = "aeiouA"
OWN = results.ROOT / "bench" / "persian_data"


@dataclass(frozen=True)
class Marked:
    """The words of a sentence, and which of them have an ezafe; None for punctuation, and where it is not known.

    joined: whether each word is written together with the next.
    """

    words: list[str]
    ezafe: list[bool | None]
    joined: list[bool]


@dataclass(frozen=True)
class Use:
    """A homograph, or a form of one, in a sentence: words[at] has the reading; joined: as in Marked."""

    words: list[str]
    at: int
    reading: str
    joined: list[bool]


def rows(path: Path, columns: int) -> Iterator[list[str]]:
    """The rows of a table with tabs; lines that begin with # are comments."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line and not line.startswith("#"):
            row = line.split("\t")
            if len(row) != columns:
                raise DataError(f"{path}:{number}: {len(row)} columns, expected {columns}")
            yield row


def marked_sentences(path: Path) -> Iterator[Marked]:
    """Sentences in which a plus sign follows each word with ezafe."""
    for (line,) in rows(path, 1):
        found = Marked([], [], [])
        for word in line.split():
            # Joined to its suffix, as the normalization writes it, a word has the ezafe of the suffix.
            for part in sentences.split_words(word.rstrip("+")):
                found.words.append(part)
                found.ezafe.append(None if sentences.is_mark(part) else word.endswith("+"))
        yield _joined(found)


def _joined(marked: Marked) -> Marked:
    """The sentence as its normalization splits it into words, which joins suffixes."""
    words = sentences.split_words(" ".join(marked.words))
    letters = [letter for word, ezafe in zip(marked.words, marked.ezafe, strict=True) for letter in _ends(word, ezafe)]
    result: list[bool | None] = []
    at = 0
    for word in words:
        at += len(word.replace("\u200c", ""))
        result.append(letters[at - 1] if at <= len(letters) and not sentences.is_mark(word) else None)
    return Marked(words, result, [False] * len(words))


def _ends(word: str, ezafe: bool | None) -> list[bool]:
    return [False] * (len(word.replace("\u200c", "")) - 1) + [bool(ezafe)]


def taken_apart(marked: Marked, model: tagger.Tagger) -> Marked:
    """The sentence with the words of compounds apart; whether there is an ezafe between these is not known."""
    found = Marked([], [], [])
    for word, ezafe in zip(marked.words, marked.ezafe, strict=True):
        parts = model.parts(word)
        found.words.extend(parts)
        found.ezafe.extend([*[None] * (len(parts) - 1), ezafe])
        found.joined.extend([*[True] * (len(parts) - 1), False])
    return found


def uses_of_homographs(path: Path, model: tagger.Tagger) -> Iterator[Use]:
    """The sentences with a homograph, or else with an inflected form of it."""
    for word, reading, sentence in rows(path, 3):
        words = sentences.split_words(sentence)
        apart = taken_apart(Marked(words, [None] * len(words), [False] * len(words)), model)
        words = apart.words
        exact = [at for at, other in enumerate(words) if other == word]
        for at in exact or range(len(words)):
            choices = model.candidates(words[at])
            if any(choice.base == word and choice.reading == reading for choice in choices):
                yield Use(words, at, reading, apart.joined)
                break


def read_topics(path: Path) -> dict[str, list[str]]:
    """Word -> its topics."""
    found: dict[str, set[str]] = defaultdict(set)
    for topic, words in rows(path, 2):
        for word in words.split():
            found[word].add(topic)
    return {word: sorted(every) for word, every in sorted(found.items())}


def read_homographs(path: Path) -> tuple[dict[str, dict[str, tuple[float, str]]], dict[str, str]]:
    """Homograph -> reading -> share and kind, and the words with a single reading.

    The most frequent readings are in a table; the others share the rest.
    """
    found: dict[str, dict[str, float | None]] = defaultdict(dict)
    for word, reading, _ in rows(path, 3):
        found[word][reading] = None
    for word, reading, share in rows(OWN / "frequencies.tsv", 3):
        if reading in found[word]:
            found[word][reading] = float(share)
    kinds = {(word, reading): kind for word, reading, kind in rows(OWN / "kinds.tsv", 3)}
    result, single = {}, {}
    for word, every in sorted(found.items()):
        if len(every) < 2:
            [single[word]] = every
            continue
        unknown = sum(share is None for share in every.values())
        rest = max(0.01, 1.0 - sum(share or 0.0 for share in every.values()))
        shares = {reading: rest / unknown if share is None else share for reading, share in sorted(every.items())}
        total = sum(shares.values())
        result[word] = {
            reading: (share / total, kinds.get((word, reading), homographs.NOUN)) for reading, share in shares.items()
        }
    return result, single


def read_present_forms(path: Path, kinds: Mapping[str, str]) -> dict[str, str]:
    """Forms of the present with «می‌» and «نمی‌», and with «ب» and «ن», -> phonemes, from a table of stems.

    kinds: parts of speech of words; a form that is also another word («بدون», «برنجم») is left out.
    """
    found = {}
    for stem, phonemes in rows(path, 2):
        vowel = phonemes[0] in _VOWELS
        sound = f"'{phonemes}" if vowel else phonemes
        prefixes = {f"می{ZWNJ}": "mi", f"نمی{ZWNJ}": "nemi"}
        if not vowel:
            prefixes.update({"ب": "bo" if stem in _BEFORE_O else "be", "ن": "na"})
        for prefix, start in prefixes.items():
            if kinds.get(prefix + stem, tagger.VERB) == tagger.VERB:
                for ending, end in (_PRESENT_ENDINGS | _SPOKEN_ENDINGS).items():
                    word = prefix + stem + ending
                    if kinds.get(word, tagger.VERB) == tagger.VERB:
                        found[word] = start + sound + end
    return found


def read_parts_of_speech(path: Path) -> dict[str, str]:
    """Word -> its parts of speech in Lilak's lexicon, joined by plus signs."""
    found: dict[str, set[str]] = defaultdict(set)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            word, _, rest = line.partition(",")
            if rest and not line.startswith("#"):
                found[word].add(rest.split(",")[0])
    return {word: "+".join(sorted(kinds)) for word, kinds in found.items()}
