"""`myxtts phonemes`: word by word, plain, from files and stdin, with a dictionary, and with bad input."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from myxtts.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert main(["phonemes", *words]) == code
    found = capsys.readouterr()
    return found.out, found.err


def test_each_word_is_shown_with_its_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, "--language", "fa", "۹ کتابِ علی")
    lines = out.splitlines()
    assert lines[0] == "text:       ۹ کتابِ علی"
    assert lines[1] == "normalized: نُه کتابِ علی"
    assert lines[2].startswith("phonemes:   nˈoh ketˈɑbe")
    assert lines[3].split() == ["word", "phonemes", "from"]
    assert "vowel marks" in lines[4] and "ezafe as written" in lines[5] and not err


def test_plain_prints_one_line_per_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, _ = run(capsys, "--plain", "Hello, world!")
    assert out == "həlˈoʊ, wˈɜːld!\n"
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffone\r\n\r\ntwo\nthree\n".encode())
    out, _ = run(capsys, "--plain", "--text-file", str(path))
    assert out == "wˌʌn\n\ntˈuː\nθɹˈiː\n"


def test_stdin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"eins\n"), encoding="utf-8"))
    out, _ = run(capsys, "--plain", "--language", "de", "--text-file", "-")
    assert out == "ˈaɪns\n"


def test_a_dictionary_wins_and_its_unused_entries_are_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("# names\nکتاب\t/kitap/\nTomato\ttəmˈɑːtoʊ\nعلي\tعَلی\n", encoding="utf-8")
    out, err = run(capsys, "--language", "fa", "--plain", "--dictionary", str(path), "کتاب خوب")
    assert out.startswith("kitap ")
    assert err == "warning: in the dictionary, but not in the text: 'tomato', 'علی'\n"
    out, _ = run(capsys, "--plain", "--dictionary", str(path), "a TOMATO")
    assert out.endswith("təmˈɑːtoʊ\n")


def test_what_cannot_be_spoken_is_reported_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, "--plain", "one\ntwo \U0001f600")
    assert out == "wˌʌn\ntˈuː\n"
    assert err.startswith("warning: line 2: omitted, not pronounceable in en-us: ") and "U+1F600" in err


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        ([], ["no text is given", "--text-file"]),
        (["a", "--text-file", "b"], ["both"]),
        (["--text-file", "/nowhere/x.txt"], ["/nowhere/x.txt", "does not exist"]),
        (["--language", "faa", "a"], ["'faa'", "nearest"]),
        (["--plian", "a"], ["did you mean --plain?"]),
        (["--dictionary", "/nowhere/d.tsv", "a"], ["/nowhere/d.tsv"]),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], facts: list[str]) -> None:
    out, err = run(capsys, *words, code=2)
    assert not out and err.startswith("error: ") and err.count("\n") == 1
    assert all(fact in err for fact in facts)


def test_files_that_are_no_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xff\xfe\x00")
    for option in ("--text-file", "--dictionary"):
        words = [option, str(path)] + ([] if option == "--text-file" else ["a"])
        _, err = run(capsys, *words, code=2)
        assert str(path) in err and "UTF-8" in err and err.count("\n") == 1
    _, err = run(capsys, "--text-file", str(tmp_path), code=2)
    assert "is not a regular file" in err


@pytest.mark.parametrize("line", ["word", "word\t", "two words\tx", "\tx", "word\t//"])
def test_a_bad_line_of_a_dictionary(capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str) -> None:
    path = tmp_path / "words.tsv"
    path.write_text(f"good\t/ɡʊd/\n{line}\n", encoding="utf-8")
    _, err = run(capsys, "--dictionary", str(path), "a", code=2)
    assert f"{path}:2: " in err and err.count("\n") == 1
