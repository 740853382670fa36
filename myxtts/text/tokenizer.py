"""Texts to token ids: normalization, phonemes or characters, the symbol table, blanks between tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from myxtts.config.schema import TextConfig
from myxtts.text.normalization import normalize
from myxtts.text.phonemes import Transcription, transcribe
from myxtts.text.symbols import BLANK, RESERVED, SymbolTable


@dataclass(frozen=True, eq=False)
class EncodedText:
    """A text as a model reads it.

    `tokens` int32[T] (no tokens at all where nothing in the text can be spoken), `symbols` their names, one each;
    `unknown` every character and symbol that is left out because nothing speaks it or the table does not hold it, once
    each in the order met; `normalized` the text as it was spoken.
    """

    tokens: npt.NDArray[np.int32]
    symbols: list[str]
    unknown: list[str]
    normalized: str


class Tokenizer:
    """Turns texts into tokens. The same settings, table and text give the same tokens in every process."""

    def __init__(self, text: TextConfig, table: SymbolTable) -> None:
        self._settings = text
        self._table = table

    @property
    def table(self) -> SymbolTable:
        """The symbols that this tokenizer knows."""
        return self._table

    def encode(self, texts: Sequence[str], language: str) -> list[EncodedText]:
        """Encodings of texts in one language, in their order. Raises DataError for a language that is not known.

        Never fails on what a text holds: see EncodedText.unknown.
        """
        normalized = [normalize(text, language) for text in texts]
        if self._settings.symbols == "phonemes":
            transcriptions = transcribe(normalized, language)
        else:
            transcriptions = [Transcription(unicodedata.normalize("NFC", text.lower()), ()) for text in normalized]
        return [self._encoding(*pair) for pair in zip(transcriptions, normalized, strict=True)]

    def _encoding(self, transcription: Transcription, normalized: str) -> EncodedText:
        known = [symbol for symbol in transcription.phonemes if symbol in self._table]
        unknown = [symbol for symbol in transcription.phonemes if symbol not in self._table]
        symbols = known
        # Punctuation alone is not speech.
        if not any(symbol.isalnum() for symbol in known):
            symbols = []
        elif self._settings.blank_between:
            symbols = [RESERVED[BLANK]] * (2 * len(known) + 1)
            symbols[1::2] = known
        tokens = np.array([self._table.id_of(symbol) for symbol in symbols], np.int32)
        return EncodedText(tokens, symbols, list(dict.fromkeys((*transcription.unreadable, *unknown))), normalized)
