"""Texts to token ids: normalization, phonemes or characters, the symbol table, blanks between tokens."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from myxtts.config.schema import TextConfig
from myxtts.text.normalization import normalize
from myxtts.text.phonemes import FIRST_STAND_IN, STAND_INS, Transcription, transcribe
from myxtts.text.symbols import BLANK, RESERVED, SymbolTable

_GIVEN = re.compile(r"\[\[\s*([^\[\]\n]{1,500}?)\s*\]\]")
"""Phonemes in a text: [[həlˈoʊ]]."""


def _stand_in(phonemes: str, given: dict[str, str]) -> str:
    """A character that no text has in place of phonemes, which it has as its entry in the dictionary `given`."""
    entry = f"/{unicodedata.normalize('NFD', phonemes.strip('/'))}/"
    known = next((character for character, own in given.items() if own == entry), None)
    character = known or chr(FIRST_STAND_IN + len(given) % STAND_INS)
    given[character] = entry
    return character


@dataclass(frozen=True, eq=False)
class EncodedText:
    """A text as input of a model.

    `tokens` is int32 [T] (empty if nothing in the text can be spoken), and `symbols` are their names. `unknown` are the
    characters and symbols that are skipped because they cannot be spoken or are not in the table, each once in order.
    `normalized` is the text as it is spoken.
    """

    tokens: npt.NDArray[np.int32]
    symbols: list[str]
    unknown: list[str]
    normalized: str


class Tokenizer:
    """Turns texts into tokens. The result depends on the arguments and the text only.

    Args:
        text: symbols and blanks.
        table: the symbols of the model.
        untrained: symbols of the table that are skipped like those that are not in it.
        dictionary: pronunciations that override eSpeak NG, as `read_dictionary` returns them.
    """

    def __init__(
        self,
        text: TextConfig,
        table: SymbolTable,
        untrained: frozenset[str] = frozenset(),
        dictionary: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = text
        self._table = table
        self._dictionary = dictionary or {}
        self._known = frozenset(table.symbols) - untrained

    @property
    def table(self) -> SymbolTable:
        """The symbol table."""
        return self._table

    def encode(self, texts: Sequence[str], language: str) -> list[EncodedText]:
        """Tokens of texts of one language, in their order. Errors: DataError for an unknown language.

        No text causes an error: see `EncodedText.unknown`.
        """
        if self._settings.symbols == "phonemes":
            given: dict[str, str] = {}
            marked = [normalize(_GIVEN.sub(lambda found: _stand_in(found[1], given), text), language) for text in texts]
            transcriptions = transcribe(marked, language, {**self._dictionary, **given})
            back = {ord(stand_in): f"[[{entry[1:-1]}]]" for stand_in, entry in given.items()}
            normalized = [text.translate(back) for text in marked] if back else marked
        else:
            normalized = [normalize(text, language) for text in texts]
            transcriptions = [Transcription(unicodedata.normalize("NFC", text.lower()), ()) for text in normalized]
        return [self._encoding(*pair) for pair in zip(transcriptions, normalized, strict=True)]

    def _encoding(self, transcription: Transcription, normalized: str) -> EncodedText:
        known = [symbol for symbol in transcription.phonemes if symbol in self._known]
        unknown = [symbol for symbol in transcription.phonemes if symbol not in self._known]
        symbols = known
        # Punctuation without words is not speech.
        if not any(symbol.isalnum() for symbol in known):
            symbols = []
        elif self._settings.blank_between:
            symbols = [RESERVED[BLANK]] * (2 * len(known) + 1)
            symbols[1::2] = known
        tokens = np.array([self._table.id_of(symbol) for symbol in symbols], np.int32)
        return EncodedText(tokens, symbols, list(dict.fromkeys((*transcription.unreadable, *unknown))), normalized)
