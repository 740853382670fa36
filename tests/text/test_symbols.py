"""The symbol table: reserved ids, growth, storage."""

from __future__ import annotations

import json

import pytest

from myxtts.errors import CheckpointError
from myxtts.text.symbols import BLANK, PADDING, UNKNOWN, SymbolTable, default_table


def test_reserved_ids() -> None:
    table = SymbolTable("ab")
    assert (PADDING, BLANK, UNKNOWN) == (0, 1, 2)
    assert [table.id_of(symbol) for symbol in ("<pad>", "<blank>", "<unknown>", "a", "b", "z")] == [0, 1, 2, 3, 4, 2]


@pytest.mark.parametrize("kind", ["phonemes", "characters"])
def test_default_tables_hold_single_characters_once(kind: str) -> None:
    table = default_table(kind)
    assert len(set(table.symbols)) == len(table) < 320
    assert all(len(symbol) == 1 for symbol in table.symbols[3:])
    assert set(" ,.!?abcxyz0123456789") < set(table.symbols)


def test_default_table_of_characters_is_persian_too() -> None:
    table = default_table("characters")
    assert all(letter in table for letter in "پچژگکیآئؤ،؛؟«»\u200c\u064e")


def test_json_and_back() -> None:
    table = SymbolTable((*default_table("phonemes").symbols, "x1"))
    assert SymbolTable.from_json(json.loads(json.dumps(table.to_json()))) == table


@pytest.mark.parametrize(
    ("stored", "complaint"),
    [
        ({"format": 9, "symbols": []}, "format 9"),
        ({"format": 1, "symbols": "abc"}, "not a list"),
        ({"format": 1, "symbols": ["a", "b", "c"]}, "does not begin with <pad>"),
        ({"format": 1, "symbols": ["<pad>", "<blank>", "<unknown>", "a", "a"]}, "repeats a symbol"),
        ([], "format"),
    ],
)
def test_other_values_are_rejected(stored: object, complaint: str) -> None:
    with pytest.raises(CheckpointError, match=complaint):
        SymbolTable.from_json(stored)  # type: ignore[arg-type]
