"""myxtts.messages: what a value looks like in a message."""

import pytest

from myxtts.messages import escaped, quoted


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("می\u200cخوام", "'می\u200cخوام'"),
        ("می\u200c", "'می\\u200c'"),
        ("sa\u200cra", "'sa\\u200cra'"),
        ("می\u202eخوام", "'می\\u202eخوام'"),
        ("م\\u200cم", "'م\\\\u200cم'"),
        ("a\nb", "'a\\nb'"),
        (3, "3"),
    ],
)
def test_joiners_of_persian_words_are_kept_and_nothing_else_is_hidden(value: object, shown: str) -> None:
    assert quoted(value) == shown


def test_a_long_text_is_cut_outside_of_escapes() -> None:
    words = "می\u200cخوام " * 20
    assert quoted(words, 40) == f"'{words[:19]}...{words[-12:]}'"
    assert escaped("می\u200cخوام\u202e") == "می\u200cخوام\\u202e"
