"""Persian words that belong together, joined numbers, spoken verbs, and readings that agree with vowel marks."""

from __future__ import annotations

import pytest

from myxtts.text import phonemes
from myxtts.text.normalization import normalize
from myxtts.text.persian import everyday
from myxtts.text.persian.compounds import units
from myxtts.text.persian.marks import agrees
from myxtts.text.persian.reading import ipa
from myxtts.text.symbols import default_table


def said(text: str) -> str:
    [found] = phonemes.transcribe([normalize(text, "fa")], "fa")
    assert not found.unreadable
    return found.phonemes.replace("ː", "")


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("بی‌نظیر", "binazˈir"), ("بی‌کار", "bikˈɑr"), ("بی‌ادب", "biadˈab"), ("هم‌کلاسی", "hamkelɑsˈi"),
        ("هم‌دیگر", "hamdiɡˈar"), ("هم‌چنان", "hamtʃenˈɑn"), ("هم‌کار", "hamkˈɑr"), ("هم‌وطن", "hamvatˈan"),
        ("هم‌سایه", "hamsɑjˈe"), ("من‌جمله", "mendʒomlˈe"), ("پیش‌رفت", "piʃrˈaft"), ("بر‌خورد", "barxˈord"),
        ("در‌آمد", "darɑmˈad"), ("وزارت‌خانه", "vezɑratxɑnˈe"), ("وزارت‌خانه‌ها", "vezɑratxɑnehˈɑ"),
    ],
)  # fmt: skip
def test_prefixes_and_endings_stay_with_their_word(written: str, spoken: str) -> None:
    assert said(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("که‌در", "ke dar"), ("شده‌است", "ʃodˈe ˈast"), ("تیم‌ملی", "tˈime mellˈi"), ("این‌خانه", "ˈin xɑnˈe"),
        ("شورای‌نگهبان", "ʃorˈɑje neɡahbˈɑn"), ("بی‌نظیر‌است", "binazˈir ˈast"), ("در‌این", "dar ˈin"),
        ("پس‌از", "pˈas az"), ("کم‌است", "kˈam ˈast"), ("بر‌می‌گردد", "bar mˈiɡardad"),
    ],
)  # fmt: skip
def test_other_compounds_are_still_taken_apart(written: str, spoken: str) -> None:
    assert said(written) == spoken


def test_units_of_compounds() -> None:
    kinds = {"این": "pronoun"}
    for words, sizes in (
        (["تیم", "ملی"], [1, 1]), (["هم", "کلاسی"], [2]), (["وزارت", "خانه‌ها"], [2]), (["این", "خانه"], [1, 1]),
        (["بی", "نظیر", "است"], [2, 1]), (["در", "این"], [1, 1]), (["کتاب"], [1]),
    ):  # fmt: skip
        assert units(words, lambda word: kinds.get(word, "noun")) == sizes, words


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("۳/۵ کیلو", "momajjˈez"), ("۲٫۵ متر", "momajjˈez"), ("۳×۴", "zarbdˈar"), ("www.example.com", "dˈɑt"),
        ("www.example.com/path", "dˈɑt"), ("info@example.com", "ˈat"), ("دمای -۵ درجه", "manfˈi"),
        ("سه به‌علاوه چهار", "alɑvˈe"), ("مثبت ۵", "mosbˈat"), ("۳.۹", "momajjˈez"),
    ],
)  # fmt: skip
def test_words_of_the_normalizer_have_no_ezafe(written: str, word: str) -> None:
    assert word in said(written).split()


def test_such_words_have_an_ezafe_elsewhere_or_if_it_is_written() -> None:
    assert "manfˈije" in said("اثر منفی این کار") and "zarbdˈare" in said("سه ضربدرِ چهار")
    assert "momajjˈeze" in said("ممیز مالیاتی") and "alɑvˈeje" in said("۳+۴")


@pytest.mark.parametrize(
    ("written", "normalized"),
    [
        ("بیست‌ویکم", "بیست و یکم"), ("بیست‌وپنج", "بیست و پنج"), ("سی‌ودو", "سی و دو"), ("سی‌و‌دو", "سی و دو"),
        ("صد‌وبیست‌وپنج", "صد و بیست و پنج"), ("بیست‌وسوم", "بیست و سوم"), ("بیست‌ونه", "بیست و نه"),
        ("بیست‌ویک‌ساله", "بیست و یک‌ساله"), ("سه‌وعده", "سه‌وعده"), ("دو‌وجه", "دو‌وجه"), ("سی‌ام", "سی‌ام"),
        ("۵۰٪-۶۰٪", "پنجاه درصد تا شصت درصد"), ("۵۰٪ - ۶۰٪", "پنجاه درصد تا شصت درصد"),
        ("https://example.com", "example دات com"),
    ],
)  # fmt: skip
def test_normalization(written: str, normalized: str) -> None:
    assert normalize(written, "fa") == normalized


def test_joined_numbers() -> None:
    assert said("بیست‌ونه") == "bˈist o nˈoh" and said("بیست‌ویکم") == "bˈist o jekˈom"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("گفت‌وگو", "ɡoftoɡˈu"), ("گفت‌و‌گو", "ɡoftoɡˈu"), ("گفت‌وگوها", "ɡoftoɡuhˈɑ"), ("جست‌وجو", "dʒostodʒˈu"),
        ("پرس‌وجو", "porsodʒˈu"), ("شست‌وشو", "ʃostoʃˈu"), ("رفت‌وآمد", "raftoɑmˈad"), ("پدر‌ومادر", "pedaromɑdˈar"),
        ("گفت‌وگوی دوستانه", "ɡoftoɡˈuje dustɑnˈe"), ("کسب‌وکاری", "kasbokɑrˈi"), ("هم‌وطن", "hamvatˈan"),
        ("تلفن‌وزیر", "telefonvazˈir"),
    ],
)  # fmt: skip
def test_compounds_with_and(written: str, spoken: str) -> None:
    assert said(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("او می‌کُشد", "mˈikoʃad"), ("او می‌کِشد", "mˈikeʃad"), ("او می‌کُشَد", "mˈikoʃad"), ("او می‌کُشت", "mˈikoʃt"),
        ("او می‌بَرد", "mˈibarad"), ("او می‌بُرد", "mˈibord"), ("کِشتی", "keʃtˈi"), ("مَردُم", "mardˈom"),
    ],
)  # fmt: skip
def test_a_known_reading_that_agrees_with_the_vowel_marks_is_used(written: str, spoken: str) -> None:
    assert said(written).split()[-1] == spoken


def test_agreement_with_vowel_marks() -> None:
    assert agrees("می‌کُشد", "mikoSad") and not agrees("می‌کُشد", "mikeSad")
    assert agrees("کِرم", "kerm") and agrees("کِرم", "kerem") and not agrees("کِرْم", "kerem")
    assert agrees("دُور", "dur") and not agrees("مَلِک", "molk") and agrees("مُحَمَّد", "mohammad")


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("کتاب‌م", "ketɑbˈam"), ("کتاب‌ت", "ketɑbˈat"), ("کتاب‌ش", "ketɑbˈaʃ"), ("خانه‌م", "xɑneʔˈam"), ("پا‌م", "pˈɑm"),
    ],
)  # fmt: skip
def test_possessive_suffixes_after_a_joiner(written: str, spoken: str) -> None:
    assert said(f"{written} بزرگ است").split()[0] == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("می‌گم", "mˈiɡam"), ("می‌گه", "mˈiɡe"), ("می‌ره", "mˈire"), ("می‌شه", "mˈiʃe"), ("نمیاد", "nˈemijɑd"),
        ("می‌شمارد", "mˈiʃomɑrad"), ("میپرم", "mˈiparam"), ("نمی‌خوام", "nˈemixɑm"), ("نمیدونم", "nˈemidunam"),
        ("میان", "mijˈɑn"), ("میدان", "mejdˈɑn"), ("میز", "mˈiz"), ("میراث", "mirˈɑs"),
    ],
)  # fmt: skip
def test_spoken_verbs_and_verbs_without_a_joiner(written: str, spoken: str) -> None:
    assert said(written) == spoken


def test_the_table_has_known_symbols() -> None:
    table = default_table("phonemes")
    assert all(symbol in table for reading in everyday.READINGS.values() for symbol in ipa(reading))
