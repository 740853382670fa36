"""Persian as it is spoken: ezafe, homographs, numbers, vowel marks, stress, and the shipped model."""

from __future__ import annotations

import random
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from myxtts.text import phonemes
from myxtts.text.normalization import normalize, persian, persian_numbers
from myxtts.text.persian import tagger
from myxtts.text.persian.homographs import KINDS, Homograph, candidates, stem
from myxtts.text.persian.reading import bare, ipa, with_ezafe
from myxtts.text.persian.stress import stressed
from myxtts.text.symbols import default_table


def said(text: str, dictionary: dict[str, str] | None = None) -> str:
    [found] = phonemes.transcribe([normalize(text, "fa")], "fa", dictionary)
    assert not found.unreadable
    return found.phonemes


def plain(text: str) -> str:
    return re.sub("[ˈˌː.,?!;:]", "", said(text))


def notes(text: str, at: int) -> tuple[str, ...]:
    [found] = phonemes.transcribe([normalize(text, "fa")], "fa")
    return found.words[at].notes


@pytest.mark.parametrize(
    ("written", "ending"),
    [
        ("کتاب علی روی میز است.", "ketɑbe"), ("این کشور ایران است.", ""), ("مدیر مدرسه آمد.", "modire"),
        ("در خانه بزرگ او زندگی می‌کند.", "xɑneje"), ("رئیس جمهور آمریکا گفت.", ""),
    ],
)  # fmt: skip
def test_an_unwritten_ezafe_is_spoken(written: str, ending: str) -> None:
    assert ending in plain(written).split() or not ending


def test_an_ezafe_never_precedes_a_pause_or_the_end() -> None:
    texts = ["کتاب، علی", "کتاب بزرگ.", "کتاب", "خانه؛ بزرگ", "شهر بزرگ (تهران)"]
    for text in texts:
        [found] = phonemes.transcribe([normalize(text, "fa")], "fa")
        assert not any("ezafe" in note for note in found.words[-1].notes), text
    [found] = phonemes.transcribe([normalize("کتاب، علی", "fa")], "fa")
    assert not any("ezafe" in note for note in found.words[0].notes)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("کتابِ سبز", "ketɑbe"), ("خانهٔ سبز", "xɑneje"), ("خانه‌ی سبز", "xɑneje"), ("خانۀ سبز", "xɑneje"),
        ("کتابْ علی", "ketɑb"), ("کتابَ علی", "ketɑba"), ("کَرَمِ او", "karame"), ("کِرم او", "kerm"), ("نُه گفت", "noh"),
        ("مُلکِ او", "molke"),
    ],
)  # fmt: skip
def test_vowel_marks_win(written: str, spoken: str) -> None:
    first = plain(written).split()[0]
    assert first == spoken or (spoken == "kerm" and first.startswith(spoken))


def test_a_written_ezafe_is_reported_as_such() -> None:
    assert "ezafe as written" in notes("کتابِ سبز", 0)
    assert notes("کتابْ علی", 0) == ("vowel marks",)


def test_the_dictionary_wins() -> None:
    dictionary = {"کتاب": "/kitap/", "علی": "عَلیی"}
    assert said("کتاب علی", dictionary).split()[0] == "kitap"
    assert said("کتابِ علی", dictionary).split()[0] == "kitape"
    assert said("حد", {"حد": "/hˈadd/"}) == "hˈadd", "not even a double consonant at its end is shortened"
    assert said("گل", {"گل": "/ɡol/"}) == "ɡol"
    [found] = phonemes.transcribe(["the tomato is red"], "en-us", {"tomato": "/təmˈɑːtoʊ/"})
    assert "təmˈɑːtoʊ" in found.phonemes and [word.notes for word in found.words][1] == ("dictionary",)


@pytest.mark.parametrize(
    ("written", "reading"),
    [
        ("مرد خوب باید کار کند.", "mard"), ("او سال پیش مرد.", "mord"), ("بازی با گل و آب در باغچه", "ɡel"),
        ("دسته گل زیبا برای مادرم خریدم", "ɡol"), ("ملاک این است", "melɑk"),
    ],
)  # fmt: skip
def test_homographs_are_read_by_their_context(written: str, reading: str) -> None:
    assert any(word.rstrip("e") == reading for word in plain(written).split())


def test_nine_is_not_no() -> None:
    assert plain("۹ کتاب").split()[0] == "noh"
    assert plain("۲۹") == "bist o noh"
    assert plain("بیست و پنجم") == "bist o pandʒom"
    assert plain("صدای بلند").split()[0] == "sedɑje" and plain("من که به او").split() == ["man", "ke", "be", "u"]
    assert plain("بیست و نه") == "bist o noh"
    assert "noh" in plain("۰۹۱۲") and plain("نه، نیامد").split()[0].startswith("na")
    assert plain("نه هزار").startswith("noh")


def test_every_number_word_survives_the_phonemizer() -> None:
    expected = {
        0: "sefr", 1: "jek", 2: "do", 3: "se", 4: "tʃahɑr", 5: "pandʒ", 6: "ʃeʃ", 7: "haft", 8: "haʃt", 9: "noh",
        10: "dah", 19: "nuzdah", 21: "bist o jek", 400: "tʃahɑrsad", 600: "ʃeʃsad", 1_000: "hezɑr",
    }  # fmt: skip
    for number, words in expected.items():
        assert plain(str(number)) == words, number
    found = {plain(str(number)) for number in range(1_000)}
    assert len(found) == 1_000
    assert len({plain(f"{number}م") for number in range(1, 100)}) == 99


def test_everything_that_the_normalizer_writes_is_spoken() -> None:
    written = [
        *persian._MONEY.values(), *persian._UNITS.values(), *persian._SIGNS.values(), *persian._ABBREVIATIONS.values(),
        *persian._AFTER_NAMES.values(), *persian._JALALI_MONTHS, *persian._GREGORIAN_MONTHS, *persian_numbers.WORDS,
    ]  # fmt: skip
    table = default_table("phonemes")
    for text in filter(None, written):
        [found] = phonemes.transcribe([text], "fa")
        assert found.phonemes and not found.unreadable, text
        assert all(symbol in table for symbol in found.phonemes), text


def test_dates_have_their_ezafe() -> None:
    assert plain("۱۴۰۳/۰۷/۱۵").startswith("pɑnzdahome mehre hezɑr o tʃahɑrsad o se")


def test_there_is_no_mnemonic_of_espeak_in_persian() -> None:
    found = said("قلب و غذا و دقیقه و آقا و مغز")
    assert not any(symbol.isdigit() for symbol in found) and found.count("q") == 6


def test_english_within_persian() -> None:
    found = said("من از GPU و Python استفاده می‌کنم")
    assert "paɪθ" in found.replace("ˈ", "") and "(" not in found


@pytest.mark.parametrize(
    ("word", "found", "expected"),
    [
        ("کتاب", "kˈetɑb", "ketˈɑb"), ("می‌روم", "miravˈam", "mˈiravam"), ("نمی‌روم", "nemiravˈam", "nˈemiravam"),
        ("رفتم", "rˈaftam", "rˈaftam"), ("از", "ˈaz", "az"),
        ("روی", "rˈuje", "rˈuje"), ("صدای", "sˈedɑjeː", "sedˈɑjeː"), ("برای", "bˈarɑje", "barˈɑje"),
        ("میز", "mˈiz", "mˈiz"), ("این", "ˈin", "ˈin"),
    ],
)  # fmt: skip
def test_stress(word: str, found: str, expected: str) -> None:
    assert stressed(word, found, verb=word == "رفتم") == expected


def test_forms_of_the_ezafe() -> None:
    assert with_ezafe("ketˈɑb", "کتاب") == "ketˈɑbe"
    assert with_ezafe("xɑnˈe", "خانه") == "xɑnˈeje" and with_ezafe("xɑnˈeː", "خانه") == "xɑnˈeje"
    assert with_ezafe("sedˈɑje", "صدای") == "sedˈɑje" and with_ezafe("irɑnˈi", "ایرانی") == "irɑnˈije"
    assert with_ezafe("sedˈɑjeː", "صدای") == "sedˈɑje"
    assert ipa("haqq") == "hˈaqq"


def test_bare_words_have_no_marks() -> None:
    assert bare("نُه") == "نه" and bare("خانهٔ") == "خانه" and bare("کتابِ") == "کتاب" and bare("مؤمن") == "مؤمن"


def test_the_same_text_has_the_same_phonemes_whatever_is_transcribed_with_it() -> None:
    rng = random.Random(3)
    texts = [normalize(text, "fa") for text in ("کتاب علی", "مرد خوب", "۹ کتاب، ۲۹", "می‌روم به خانه بزرگ")]
    first = {text: phonemes.transcribe([text], "fa")[0] for text in texts}
    mixed = [rng.choice(texts) for _ in range(12)]
    for text, found in zip(mixed, phonemes.transcribe(mixed, "fa"), strict=True):
        assert found.phonemes == first[text].phonemes and found.words == first[text].words


def test_words_and_phonemes_agree() -> None:
    texts = {"fa": "«کتاب علی»، ۲۹؛ hello", "en-us": "of the people, by 3-4 men", "de": "z.B. hier"}
    for language, text in texts.items():
        [found] = phonemes.transcribe([normalize(text, language)], language)
        letters = [symbol for symbol in found.phonemes if symbol not in ' ,.!?;:"()\u2014']
        assert [s for word in found.words for s in word.phonemes if s not in " "] == letters


def test_the_shipped_model_is_small_and_has_its_card() -> None:
    folder = resources.files("myxtts.text.persian")
    assert len((folder / tagger.WEIGHTS).read_bytes()) < 2_000_000
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    assert "MIT" in card and "CC0" in card and "Elnaz Rahmati" in card
    model, lexicon = tagger.weights()
    table = default_table("phonemes")
    every = [reading for known in model.homographs.values() for reading in known.shares] + list(lexicon.values())
    assert all(symbol in table for reading in every for symbol in ipa(reading))
    assert all(abs(sum(known.shares.values()) - 1) < 1e-6 for known in model.homographs.values())
    assert all(set(known.kinds.values()) <= KINDS for known in model.homographs.values())


def test_packing_and_unpacking() -> None:
    homographs = {"گل": {"gol": (0.7, "noun"), "gel": (0.3, "noun")}}
    words = {"homographs": homographs, "lexicon": {"چهار": "CahAr"}, "topics": {"باغ": ["plant"]}, "clusters": {}}
    table = np.zeros(1 << tagger.EZAFE_BITS)
    table[[3, 9]] = (1.27, -0.5)
    tables = {"ezafe": table, "homographs": np.zeros(1 << tagger.HOMOGRAPH_BITS)}
    kinds = {"کتاب": "noun", "رفت": "verb", "سرد": "adjective+noun"}
    content = tagger.packed(tables, words, kinds)
    model, lexicon = tagger.unpacked(content)
    assert model.homographs == {"گل": Homograph({"gol": 0.7, "gel": 0.3}, {"gol": "noun", "gel": "noun"})}
    assert lexicon == words["lexicon"] and tagger.packed(tables, words, kinds) == content
    assert {word: model.parts_of_speech.of(word) for word in kinds} == kinds
    assert model.parts_of_speech.of("کتاب‌های") == "‌های>noun" and model.parts_of_speech.of("xyz") == "?"
    chosen = model.chosen(["گل‌ها"], 0, [False])
    assert chosen is not None and (chosen.reading, chosen.phonemes) == ("gol", "golhA")
    assert model.chosen(["کتاب"], 0, [False]) is None


def test_inflected_forms_have_the_readings_of_their_kind() -> None:
    known = {
        "مرد": Homograph({"mard": 0.8, "mord": 0.2}, {"mard": "noun", "mord": "past"}),
        "خورد": Homograph({"xord": 0.9, "xorad": 0.1}, {"xord": "past", "xorad": "present"}),
        "کره": Homograph({"kore": 0.6, "kare": 0.4}, {"kore": "noun", "kare": "noun"}),
        "سبک": Homograph({"sabk": 0.5, "sabok": 0.5}, {"sabk": "noun", "sabok": "adjective"}),
    }

    def phonemes_of(word: str, listed: bool = False) -> set[str]:
        return {choice.phonemes for choice in candidates(word, known, listed=listed)}

    assert phonemes_of("مرد") == {"mard", "mord"} and phonemes_of("مردها") == {"mardhA"}
    assert phonemes_of("می‌خورد") == {"mixord", "mixorad"} and phonemes_of("نمی‌خورد") == {"nemixord", "nemixorad"}
    assert phonemes_of("مردید") == {"mordid"} and phonemes_of("مردم") == {"mardam", "mordam"}
    assert not phonemes_of("مردم", listed=True) and not phonemes_of("مردانه")
    assert phonemes_of("کره‌ای") == {"kore'i", "kare'i"} and not phonemes_of("کرهی")
    assert phonemes_of("سبک‌تر") == {"saboktar"} and phonemes_of("سبک‌های") == {"sabkhAye", "sabokhAye"}
    assert [choice.share for choice in candidates("مردها", known, listed=False)] == [1.0]


@pytest.mark.parametrize(
    ("word", "spoken"),
    [
        ("کرمان", "kermɑn"), ("فرمان", "farmɑn"), ("مهمان", "mehmɑn"), ("پیمان", "pejmɑn"), ("پریشان", "pariʃɑn"),
        ("علیها", "alajhɑ"), ("گلها", "ɡolhɑ"), ("نمی‌برید", "nemibarid"),
    ],
)  # fmt: skip
def test_words_that_only_look_inflected_are_not_split(word: str, spoken: str) -> None:
    assert plain(word) == spoken


def test_no_word_of_the_lexicon_is_split_at_a_suffix_without_a_joiner() -> None:
    model, _ = tagger.weights()
    ends = ("مان", "شان", "تان", "ها", "هایی", "ی", "م", "ش", "ت")
    words = [first + end for first in ("کر", "فر", "پی", "مه", "مرد", "پریش", "کتم") for end in ends]
    listed = [word for word in words if model.parts_of_speech.listed(word)]
    assert len(listed) > 5
    for word in listed:
        assert all(choice.form == "" for choice in model.candidates(word)), word


@pytest.mark.parametrize(
    ("written", "spoken"),
    [("پس از رویشِ گیاهان", "rujeʃe"), ("در برشِ طولی", "boreʃe"), ("از تنشِ بسیار", "taneʃe")],
)
def test_a_written_ezafe_rules_out_readings_that_cannot_have_one(written: str, spoken: str) -> None:
    assert spoken in plain(written).split()


def test_stems_of_neighbors() -> None:
    topics = {"باغ": ["plant"], "نان": ["food"]}
    assert stem("باغ‌های", topics) == "باغ" and stem("نانی", topics) == "نان" and stem("کتابش", topics) == "کتاب"
    assert stem("است", {}) == "است" and stem("بید", {}) == "بید"


@pytest.mark.parametrize(
    ("written", "reading"),
    [
        ("او هر روز میوه می‌خورد.", "mixorad"), ("کشتی‌های جنگی در دریا بودند.", "keʃtihɑje"),
        ("گل‌های باغچه شکفت.", "ɡolhɑje"),
    ],
)  # fmt: skip
def test_forms_of_homographs_are_read_by_their_context(written: str, reading: str) -> None:
    assert reading in plain(written).split()


def test_stored_tokens_notice_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from myxtts.data import jobs

    (tmp_path / "persian").mkdir()
    (tmp_path / "__init__.py").write_text("")
    weights = tmp_path / "persian" / "weights.npz"
    monkeypatch.setattr(jobs.text_package, "__file__", str(tmp_path / "__init__.py"))
    definitions = []
    for content in (b"one", b"two", b"two"):
        weights.write_bytes(content)
        definitions.append(jobs.text_definition.__wrapped__())
    assert definitions[0] != definitions[1] == definitions[2]
