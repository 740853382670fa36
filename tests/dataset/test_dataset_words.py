"""Words of a transcript get the times of what was recognized."""

from __future__ import annotations

from myxtts.dataset.recognizer_client import RecognizedWord
from myxtts.dataset.words import TimedWord, align, key_words, recognized_words, similarity


def said(text: str, start: float = 0.0, seconds: float = 0.5) -> list[TimedWord]:
    return [
        TimedWord(word, start + seconds * at, start + seconds * (at + 1), 0.9) for at, word in enumerate(text.split())
    ]


def test_words_are_compared_as_they_are_spoken() -> None:
    assert key_words("Mr. Smith\u2019s 12 dogs\u2014", "en-us") == ["mister", "smiths", "twelve", "dogs"]
    assert key_words("كتابِ علي", "fa") == key_words("کتابِ علی", "fa")
    assert key_words("* * *", "en-us") == []


def test_the_text_is_kept_as_written_and_misrecognized_words_score_low() -> None:
    words = align("\u201cWell,\u201d said Jeanne, \u2018let us go!\u2019", said("well sad jean let us go"), "en-us")
    assert [word.text for word in words] == [
        "\u201cWell,\u201d", "said", "Jeanne,", "\u2018let", "us", "go!\u2019",
    ]  # fmt: skip
    assert [word.start for word in words] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert words[0].score == 1.0 and 0.0 < words[1].score < 1.0 and 0.5 < words[2].score < 1.0


def test_a_heading_that_nobody_read_is_not_spoken_and_moves_nothing() -> None:
    text = "CHAPTER THE FIRST The cat sat down. FOOTNOTES ARE HERE The dog got up."
    words = align(text, said("the cat sat down the dog got up"), "en-us")
    assert [word.text for word in words if not word.spoken] == [
        "CHAPTER", "THE", "FIRST", "FOOTNOTES", "ARE", "HERE",
    ]  # fmt: skip
    assert [word.start for word in words if word.spoken] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]


def test_words_that_are_not_in_the_text_are_left_out() -> None:
    recognized = said("this recording is in the public domain it was a dark night")
    words = align("It was a dark night.", recognized, "en-us")
    assert [word.text for word in words] == ["It", "was", "a", "dark", "night."]
    assert words[0].start == 3.5


def test_a_wrong_word_at_its_place_gets_its_time() -> None:
    words = align("He waded into the edge.", said("he xyzzy into the edge"), "en-us")
    assert (words[1].start, words[1].end, words[1].score) == (0.5, 1.0, 0.0)


def test_numbers_and_marks_by_themselves() -> None:
    words = align("\u2014 In 12 years \u2014 he said \u2026", said("in twelve years he said"), "en-us")
    assert [word.text for word in words] == ["\u2014 In", "12", "years \u2014", "he", "said \u2026"]
    assert all(word.score == 1.0 for word in words)


def test_a_long_text_with_repeated_words_is_aligned_throughout() -> None:
    sentences = [f"the {a} man saw the {b} house and the {a} man went home" for a in "abcde" for b in "fghijklmno"]
    text = " ".join(sentences)
    recognized = said(text)
    del recognized[100:130]
    words = align(text, recognized, "en-us")
    matched = [word for word in words if word.score == 1.0]
    assert len(matched) >= len(recognized) - 10
    assert [word.start for word in matched] == sorted(word.start for word in matched)


def test_similarity() -> None:
    assert similarity("jean", "jeanne") > 0.6 and similarity("cat", "dog") == 0.0 and similarity("a", "a") == 1.0


def test_recognized_words_join_and_what_is_no_word_is_left_out() -> None:
    found = recognized_words(
        [
            RecognizedWord(" [Music]", 0.0, 1.0, 0.9), RecognizedWord(" they", 1.0, 1.2, 0.9),
            RecognizedWord("'re", 1.2, 1.3, 0.5), RecognizedWord(" a|b", 1.3, 1.5, 0.9),
            RecognizedWord(" Thanks", 9.0, 9.5, 0.9),
        ],
        [(1.0, 2.0)],
    )  # fmt: skip
    assert [(word.text, word.score) for word in found] == [("they're", 0.5), ("a b", 0.9)]


def test_persian_words_match_in_any_spelling() -> None:
    text = "او می\u200cرود و ۱۲ كتابِ علي را می\u200cخواند."
    words = align(text, said("او میرود و دوازده کتاب علی را میخواند"), "fa")
    assert [word.text for word in words] == text.split()
    assert [word.score for word in words] == [1.0] * len(words)
