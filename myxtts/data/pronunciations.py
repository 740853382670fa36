"""The user's pronunciation dictionary in the data of a run: where it is read from, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from myxtts.config.schema import NO_DICTIONARY, TextConfig
from myxtts.data.corpus import Corpus
from myxtts.data.records import Utterance
from myxtts.messages import quoted
from myxtts.text.dictionary import read_dictionary, unused_note
from myxtts.text.normalization import normalize

KEY = "text.dictionary"
_MOST_NORMALIZED = 20_000
"""Texts that are normalized to find words of the dictionary that are not written in any text, such as numbers."""


def dictionary_of(text: TextConfig, base: Corpus | None, known: Corpus | None) -> tuple[dict[str, str], list[str]]:
    """The pronunciations of a run, and notes.

    Args:
        text: its dictionary is the file of the user.
        base: for fine-tuning, the corpus of the initial weights, whose pronunciations are kept.
        known: for a resumed run, its corpus, whose copy is used if the file is no longer there.

    Errors: DataError if the file cannot be read.
    """
    notes: list[str] = []
    entries = dict(base.dictionary) if base else {}
    if text.dictionary != NO_DICTIONARY:
        path = Path(text.dictionary).expanduser()
        if known and known.dictionary and not path.exists():
            return known.dictionary, [
                f"{KEY}: {quoted(path, 200)} is no longer there; the copy in the run is used "
                f"({len(known.dictionary)} words)"
            ]
        own = read_dictionary(path)
        entries.update(own)
        notes.append(f"{KEY}: {len(own)} words of {quoted(path, 200)} override eSpeak NG")
    if entries and text.symbols != "phonemes":
        notes.append(f"{KEY}: has no effect, since text.symbols is {text.symbols}, not phonemes")
    if known and known.dictionary != entries:
        changed = sorted(w for w in {*known.dictionary, *entries} if known.dictionary.get(w) != entries.get(w))
        notes.append(
            f"{KEY}: the pronunciations of {len(changed)} words changed since this run began: "
            f"{quoted(', '.join(changed), 80)}"
        )
    return entries, notes


def unused_in(dictionary: dict[str, str], utterances: Sequence[Utterance]) -> list[str]:
    """A note on the words of the dictionary that no text has; none if each is used."""

    def normalized() -> Iterator[str]:
        return (normalize(one.text, one.language) for one in utterances[:_MOST_NORMALIZED])

    return unused_note(dictionary, chain((one.text for one in utterances), normalized()), "the texts")
