"""Word and character error rates on texts whose edits can be counted."""

import pytest

from myxtts.evaluation.word_errors import edits, error_rates, spoken_form


@pytest.mark.parametrize(
    ("wanted", "got", "count"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ba", 2)],
)
def test_edits(wanted: str, got: str, count: int) -> None:
    assert edits(wanted, got) == count == edits(got, wanted)


@pytest.mark.parametrize(
    ("text", "language", "form"),
    [
        ("Hello,   WORLD!", "en-us", "hello world"),
        ("It\u2019s Dr. Smith's 'quoted' word", "en-us", "it's doctor smith's quoted word"),
        ("25 well-known", "en-us", "twenty five well known"),
        ("\ufb01ne", "en-us", "fine"),
        ("Stra\u00dfe", "de", "strasse"),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f.", "fa", "\u0645\u06cc \u0634\u0648\u062f"),
        ("\u0643\u062a\u0627\u0628", "fa", "\u06a9\u062a\u0627\u0628"),
        ("... !", "en-us", ""),
    ],
)
def test_what_of_a_text_can_be_heard(text: str, language: str, form: str) -> None:
    assert spoken_form(text, language) == form


def test_error_rates() -> None:
    found = error_rates("Press 2 to go.", "press two to go", "en-us")
    assert found is not None and (found.wer, found.cer, found.words) == (0.0, 0.0, 4)
    found = error_rates("one two three four", "one too three", "en-us")
    assert found is not None and found.wer == 0.5 and found.cer == pytest.approx(6 / 18)
    found = error_rates("one", "one and more of it", "en-us")
    assert found is not None and found.wer == 4.0
    assert error_rates("?", "a", "en-us") is None
