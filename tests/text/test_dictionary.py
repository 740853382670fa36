"""The user's pronunciation dictionary. What the command makes of it: tests/cli/test_phonemes_command.py."""

from __future__ import annotations

from pathlib import Path

from myxtts.text.dictionary import key_of, read_dictionary


def test_keys_ignore_case_vowel_marks_and_arabic_letters() -> None:
    assert key_of("Tomato") == key_of("TOMATO") == "tomato"
    assert key_of("عَلي") == key_of("علی") and key_of("كتابِ") == key_of("کتاب")


def test_phonemes_and_respellings(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text(
        "# names\n\nTomato\ttəmˈɑːtoʊ\nNima\t/nima/\nنیما\tنیما\nxerox\tzeerocks\nNIMA\t/nimɑ/\n", encoding="utf-8"
    )
    assert dict(read_dictionary(path)) == {
        "tomato": "/təmˈɑːtoʊ/", "nima": "/nimɑ/", "نیما": "نیما", "xerox": "zeerocks",
    }  # fmt: skip
