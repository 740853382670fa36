"""The symbols of a model and their ids. A table is part of a checkpoint; symbols can only be added at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from myxtts.errors import CheckpointError

PADDING, BLANK, UNKNOWN = 0, 1, 2
RESERVED = ("<pad>", "<blank>", "<unknown>")
_FORMAT = 1

_SPACE_AND_PUNCTUATION = " ,.!?;:\u2026\u2014\"()-'\u00bf\u00a1"
_IPA_MODIFIERS = "ʰʱʲʳʴʷʼˀˁˈˌːˑ˞ˠˡˢˣˤ˥˦˧˨˩ⁿᵐᵑᵝᵊᶿᵻᵿᶑ↑↓→↗↘"
_IPA_COMBINING = (
    "\u0300\u0301\u0302\u0303\u0304\u0306\u0308\u030a\u030b\u030c\u030f\u0318\u0319\u031a\u031c\u031d\u031e\u031f"
    "\u0320\u0324\u0325\u0327\u0329\u032a\u032c\u032f\u0330\u0334\u0339\u033a\u033b\u033c\u033d\u0361\u035c"
)
_IPA_LATIN = "æçðøħŋœǀǁǂǃβεθχϕΦɸⱱᴀᴇ"
_ESPEAK_MNEMONICS = '"#+[]^`*&~@%/\\={}|<>$'
"""ASCII characters that eSpeak NG gives for sounds that have no IPA symbol."""
_LATIN_LETTERS = "ßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿāăąćčďđēėęěğģīįıķĺļľłńņňōőœŕřśšşșťţțūůűųŵŷźżžə"
_ARABIC_LETTERS = "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيپچژکگیٹڈڑںھہۂۃےۀە"
_ARABIC_MARKS = "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0653\u0654\u0655\u0670"
_PERSIAN_PUNCTUATION = "\u060c\u061b\u061f\u06d4\u00ab\u00bb\u200c"
_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"


class SymbolTable:
    """Symbols and their ids: 0 is padding, 1 the blank between tokens, 2 unknown. Immutable."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._symbols = (*RESERVED, *dict.fromkeys(symbol for symbol in symbols if symbol not in RESERVED))

    def __len__(self) -> int:
        return len(self._symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SymbolTable) and self._symbols == other._symbols

    def __hash__(self) -> int:
        return hash(self._symbols)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self._symbols)}

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols in the order of their ids, the reserved ones first."""
        return self._symbols

    def id_of(self, symbol: str) -> int:
        """The id of a symbol; UNKNOWN if it is not in the table."""
        return self._ids.get(symbol, UNKNOWN)

    def to_json(self) -> dict[str, object]:
        """As plain values for JSON."""
        return {"format": _FORMAT, "symbols": list(self._symbols)}

    @staticmethod
    def from_json(stored: Mapping[str, object]) -> SymbolTable:
        """Inverse of `to_json`. Errors: CheckpointError if the values are not a symbol table."""
        if not isinstance(stored, Mapping) or stored.get("format") != _FORMAT:
            found = stored.get("format") if isinstance(stored, Mapping) else stored
            raise CheckpointError(f"symbol table: format {found!r:.40}, expected {_FORMAT}; use another checkpoint")
        symbols = stored.get("symbols")
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) and symbol for symbol in symbols):
            raise CheckpointError("symbol table: 'symbols' is not a list of texts; use another checkpoint")
        if tuple(symbols[: len(RESERVED)]) != RESERVED or len(set(symbols)) != len(symbols):
            raise CheckpointError(
                f"symbol table: does not begin with {', '.join(RESERVED)} or repeats a symbol; use another checkpoint"
            )
        return SymbolTable(symbols)


def default_table(kind: str) -> SymbolTable:
    """The table of a new model.

    `phonemes`: every symbol that eSpeak NG gives in any of its languages, combining marks as separate symbols, and the
    rest of the IPA. `characters`: lower-case Latin, Persian and Arabic letters with their marks, and digits.
    """
    if kind == "phonemes":
        ipa = "".join(chr(code) for code in range(0x0250, 0x02B0))
        return SymbolTable(
            _SPACE_AND_PUNCTUATION + _LOWER + _IPA_LATIN + ipa + _IPA_MODIFIERS + _IPA_COMBINING
            + _DIGITS + _LOWER.upper() + _ESPEAK_MNEMONICS
        )  # fmt: skip
    if kind == "characters":
        return SymbolTable(
            _SPACE_AND_PUNCTUATION + _PERSIAN_PUNCTUATION + _LOWER + _DIGITS + _LATIN_LETTERS + _ARABIC_LETTERS
            + _ARABIC_MARKS + '%&+=@#$/*°'
        )  # fmt: skip
    raise ValueError(f"kind {kind!r}, expected 'phonemes' or 'characters'")
