"""Compounds and phrases with blanks, spoken suffixes, second parts of compounds: classes of Persian words."""

from __future__ import annotations

import pytest

from myxtts.text import phonemes
from myxtts.text.normalization import normalize, persian_phrases
from myxtts.text.normalization.characters import ZWNJ
from myxtts.text.persian import everyday


def said(text: str) -> str:
    [found] = phonemes.transcribe([normalize(text, "fa")], "fa")
    assert not found.unreadable
    return found.phonemes.replace("ː", "")


def test_compounds_with_and_are_read_alike_with_blanks_and_with_half_spaces() -> None:
    for written in persian_phrases.COMPOUNDS:
        if f"{ZWNJ}و" in written:
            spaced = written.replace(f"{ZWNJ}و", " و ")
            assert said(spaced) == said(written) and " " not in said(spaced), written


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("گفت و گو", "ɡoftoɡˈu"), ("گفت و گوهای", "ɡoftoɡuhˈɑje"), ("گفت و گوها", "ɡoftoɡuhˈɑ"),
        ("رفت و آمدشان", "raftoɑmadeʃˈɑn"), ("سر و صدایش", "sarosedɑjˈaʃ"), ("گفت و گویی", "ɡoftoɡujˈi"),
    ],
)  # fmt: skip
def test_compounds_with_suffixes(written: str, spoken: str) -> None:
    assert said(written) == spoken


def test_other_words_around_and_stay_apart() -> None:
    assert "ɡˈoft va rˈaft" in said("او گفت و رفت") and normalize("آب و هوایی", "fa") == f"آب{ZWNJ}وهوایی"
    assert normalize("کسب و کارگر", "fa") == "کسب و کارگر" and normalize("خوش‌آب و هوا", "fa") == "خوش‌آب و هوا"


def test_phrases_are_one_word_however_they_are_written() -> None:
    for written in persian_phrases.PHRASES:
        assert " " not in said(written) and said(written) == said(written.replace(" ", ZWNJ)), written


def test_no_ezafe_before_words_of_respect() -> None:
    assert said("حضرت محمد (ص) فرمود").split()[1] == "mohammˈad"
    assert said("حضرت محمد صلی الله علیه و آله فرمود").split()[1] == "mohammˈad"
    assert said("امام حسین علیه السلام فرمود").split()[2] == "ʔalejhessalˈɑm"
    assert said("امام مهدی (عج)").split()[-1] == "ʔadʒdʒalallɑhotaʔɑlɑfaradʒˈah"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("قشنگه", "qaʃanɡˈe"), ("بزرگه", "bozorɡˈe"), ("کتابمو", "ketɑbamˈo"), ("کتابتو", "ketɑbetˈo"),
        ("کتابامو", "ketɑbɑmˈo"), ("دوستامون", "dustɑmˈun"), ("حوصله‌تو", "hoselˈeto"), ("دخترای", "doxtarˈɑje"),
        ("خوبیه", "xubijˈe"), ("چیزو", "tʃizˈo"), ("خونه‌مون", "xunemˈun"), ("بهشون", "beheʃˈun"),
    ],
)  # fmt: skip
def test_suffixes_of_spoken_persian(written: str, spoken: str) -> None:
    assert said(written).replace("ˈ", "") == spoken.replace("ˈ", "")


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("نتیجه‌گیری", "natidʒeɡirˈi"), ("تصمیم‌گیری‌های", "tasmimɡirihˈɑje"), ("بهره‌وری", "bahrevarˈi"),
        ("نامه‌نویسی", "nɑmenevisˈi"), ("سرمایه‌گذاران", "sarmɑjeɡozɑrˈɑn"), ("دانش‌آموزان", "dɑneʃʔɑmuzˈɑn"),
    ],
)  # fmt: skip
def test_second_parts_of_compounds_stay_with_their_word(written: str, spoken: str) -> None:
    assert said(written) == spoken


def test_suffixes_need_a_word_that_the_lexicon_lacks() -> None:
    assert list(everyday.with_suffix("پرتو", unknown=False)) == []
    assert ("کتاب", "amo", False) in list(everyday.with_suffix("کتابمو", unknown=True))
    assert list(everyday.with_suffix("تصمیم‌گیر", unknown=False)) == [("تصمیم", "gir", True)]


def test_words_before_a_half_space_that_can_only_be_function_words_stay_apart() -> None:
    assert said("این‌بخش").split() == ["ˈin", "bˈaxʃ"]


@pytest.mark.parametrize(
    ("written", "normalized"),
    [
        ("۲۱مین جشنواره", "بیست و یکمین جشنواره"), ("۳ امین", "سومین"), ("۱۰مین", "دهمین"), ("#ایران", "هشتگ ایران"),
        ("قرن ۱۹", "قرنِ نوزده"), ("شبکه ۳", "شبکهٔ سه"), ("اتاق ۱۲", "اتاقِ دوازده"), ("متولد ۱۰۰", "متولدِ صد"),
        ("#۵", "شماره پنج"),
    ],
)  # fmt: skip
def test_ordinals_hashtags_and_words_before_numbers(written: str, normalized: str) -> None:
    assert normalize(written, "fa") == normalized


@pytest.mark.parametrize(
    ("written", "normalized"),
    [
        ("پرواز ۲۵۰ نفر داشت", "پرواز دویست و پنجاه نفر داشت"),
        ("شبکه ۳ میلیون بیننده دارد", "شبکه سه میلیون بیننده دارد"),
        ("اتاق ۱۲ متر است", "اتاق دوازده متر است"),
        ("من جمله را خواندم", "من جمله را خواندم"),
    ],
)
def test_a_number_that_counts_and_words_that_are_no_phrase_stay_apart(written: str, normalized: str) -> None:
    assert normalize(written, "fa") == normalized


def test_a_full_first_part_is_no_feather() -> None:
    assert said("پر‌کار").startswith("pork")
