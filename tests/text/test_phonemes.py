"""Phonemes from eSpeak NG: punctuation, languages, coverage by the default table, and what cannot be spoken."""

from __future__ import annotations

import random

import pytest

from myxtts.errors import DataError
from myxtts.text import phonemes
from myxtts.text.normalization import normalize
from myxtts.text.symbols import default_table


def phonemize(texts: list[str], language: str) -> list[str]:
    return [transcription.phonemes for transcription in phonemes.transcribe(texts, language)]


SAMPLES = {
    "en-us": "The quick brown fox jumps over the lazy dog; a little butter, 3.5 million and the button's bottle!",
    "en-gb": "Either the vase or the schedule: I can't go there, father.",
    "en-gb-scotland": "Loch Ness, the world and the girl.",
    "fa": "سلام، حال شما چطور است؟ کتاب‌های قدیمی را در خانهٔ پدربزرگ خواندم. قرآن، ژاله، مؤمن، ۱۲۳.",
    "de": "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg. Ich möchte z.B. 3,14 Äpfel für Jürgen.",
    "fr": "Portez ce vieux whisky au juge blond qui fume; un bon vin blanc, où êtes-vous? L'été, ça va, aujourd'hui.",
    "es": "¿Qué tal? El pingüino Wenceslao hizo kilómetros bajo lluvia y frío; añoraba a su cachorro.",
    "ar": "مرحبا بالعالم، كيف حالك؟ صِفْ خَلْقَ خَوْدٍ كَمِثْلِ الشَّمْسِ إِذْ بَزَغَتْ.",
    "it": "Quel vituperabile xenofobo zelante assaggia il whisky ed esclama: alleluja! Gli gnocchi.",
    "pt": "Luís argüia à Júlia que brações, fé, chá, óxido, pôr, zângão eram palavras do português.",
    "pt-br": "Não há ninguém em São João; amanhã também.",
    "nl": "Pa's wijze lynx bezag vroom het fikse aquaduct. Schip, leeuw, huis.",
    "sv": "Flygande bäckasiner söka hwila på mjuka tuvor. Sju sjösjuka sjömän.",
    "da": "Quizdeltagerne spiste jordbær med fløde, mens cirkusklovnen Walther spillede på xylofon. Rødgrød.",
    "nb": "Vår sære Zulu fra badeøya spilte jo whist og quickstep i minstrelhuset.",
    "pl": "Pchnąć w tę łódź jeża lub ośm skrzyń fig. Chrząszcz brzmi w trzcinie.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "ru": "Съешь же ещё этих мягких французских булок, да выпей чаю. Щука, объезд.",
    "uk": "Чуєш їх, доцю, га? Кумедна ж ти, прощайся без ґольфів!",
    "tr": "Pijamalı hasta yağız şoföre çabucak güvendi. Dağ, ölüm.",
    "el": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Γειά σου;",
    "hi": "नमस्ते दुनिया। ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले।",
    "ur": "سلام دنیا، آپ کیسے ہیں؟",
    "he": "שלום עולם, מה שלומך?",
    "cmn": "你好，世界。中文很有意思！",
    "ja": "こんにちは、ありがとうございます。",
    "ko": "안녕하세요 세계, 다람쥐 헌 쳇바퀴에 타고파.",
    "vi": "Xin chào thế giới, tiếng Việt rất hay.",
    "hu": "Árvíztűrő tükörfúrógép. Jó foxim és don Quijote húszwattos lámpánál ülve.",
    "fi": "Törkylempijävongahdus. Hyvää päivää, yö.",
    "sw": "Habari ya dunia, ng'ombe na ndege.",
    "ga": "Dia duit, a dhomhain. Chuaigh bé mhórshách le dlúthspád fíorfhinn.",
    "my": "မင်္ဂလာပါ ကမ္ဘာ။",
}  # fmt: skip


@pytest.mark.parametrize("language", SAMPLES)
def test_the_default_table_covers_the_language(language: str) -> None:
    table = default_table("phonemes")
    [found] = phonemes.transcribe([normalize(SAMPLES[language], language)], language)
    assert len(found.phonemes) > 10 and not found.unreadable
    assert [symbol for symbol in found.phonemes if symbol not in table] == []


def test_stress_punctuation_and_order_are_kept() -> None:
    texts = ["Hello, world!", "", "   ", "Is it? (Yes\u2026)", "?!", 'well \u2014 "no"; so: end.']
    found = phonemize(texts, "en-us")
    assert found[0] == "həlˈoʊ, wˈɜːld!"
    assert found[1] == "" and found[2] == "" and found[4] == "?!"
    marks = ["".join(c for c in text if c in ',.!?;:\u2026\u2014"()') for text in texts]
    assert ["".join(c for c in text if c in ',.!?;:\u2026\u2014"()') for text in found] == marks


def test_persian_and_chinese_marks_become_the_shared_ones() -> None:
    assert [c for c in phonemize(["«سلام»، خوبی؟ بله؛"], "fa")[0] if c in '",?;'] == ['"', '"', ",", "?", ";"]
    assert phonemize(["你好，世界。"], "cmn")[0].endswith(".")


def test_language_switches_leave_no_flag() -> None:
    [found] = phonemize(["سلام hello دوست"], "fa")
    assert "(" not in found and "həl" in found


def test_numbers_and_abbreviations_in_other_languages() -> None:
    found = phonemize(["3,14", "3, 14", "z.B. hier"], "de")
    assert "," not in found[0] and "," in found[1]
    assert found[2].count(".") == 1


@pytest.mark.parametrize(
    ("written", "unreadable"),
    [
        ("hi \U0001f600 there \U0001f44d\U0001f3fd", ["\U0001f600", "\U0001f44d", "\U0001f3fd"]),
        ("a \ud800 b", ["\ud800"]), ("a \0 b", ["\0"]), ("bell\x07", ["\x07"]), ("日本 and Привет", list("日本Привет")),
        ("\ue000 private", ["\ue000"]),
        ("a \u2192 b \u2194 c \u21c4 d \u21d2 e \u2265 f", list("\u2192\u2194\u21c4\u21d2")),
    ],
)  # fmt: skip
def test_what_cannot_be_spoken_is_named(written: str, unreadable: list[str]) -> None:
    [found] = phonemes.transcribe([written], "en-us")
    assert list(found.unreadable) == unreadable
    assert found.phonemes == "" or found.phonemes.isprintable()


def test_nothing_after_a_nul_is_lost() -> None:
    assert phonemize(["one\0two"], "en-us") == ["wˌʌn tˈuː"]


def test_long_words_and_long_texts_are_spoken_to_their_end() -> None:
    assert phonemize(["word " * 3_000], "en-us")[0].count("wˈɜːd") == 3_000
    assert len(phonemize(["a" * 10_000], "en-us")[0]) > 9_000


def test_random_characters_do_no_harm() -> None:
    rng = random.Random(7)
    ranges = [(0x00, 0x250), (0x300, 0x700), (0x900, 0x1100), (0x2000, 0x2C00), (0x1F300, 0x1FA00), (0x1000, 0x10A0)]
    texts = ["".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(60)) for _ in range(60)]
    for language in ("en-us", "fa", "ru", "my", "cmn"):
        normalized = [normalize(text, language) for text in texts]
        first = phonemes.transcribe(normalized, language)
        assert first == phonemes.transcribe(normalized, language)


@pytest.mark.parametrize(
    ("wanted", "near"), [("en-uk", "en-gb"), ("faa", "fa"), ("englisch", "en-"), ("de-de", "de"), ("fo", "known are")]
)
def test_unknown_languages_name_the_nearest(wanted: str, near: str) -> None:
    with pytest.raises(DataError) as caught:
        phonemize(["text"], wanted)
    message = str(caught.value)
    assert repr(wanted) in message and near in message and "\n" not in message


def test_the_language_of_a_text_by_its_letters() -> None:
    persian, russian = "\u0633\u0644\u0627\u0645 1 2 3 4 5 6 7", "\u043f\u0440\u0438\u0432\u0435\u0442"
    assert phonemes.language_of(persian, "en-us", ["en-us", "ru", "fa"]) == "fa"
    assert phonemes.language_of(russian, "en-us", ["en-us", "ru", "fa"]) == "ru"
    for text in ("Hello " + persian, "Hello!", "12 \U0001f600", "", russian):
        assert phonemes.language_of(text, "en-us", ["en-gb", "fa", "en-us"]) == "en-us", text
    assert phonemes.language_of("Hello!", "fa", ["en-us", "fa"]) == "fa", "which reads Latin letters too"


def test_codes_have_one_form() -> None:
    assert phonemes.canonical_language("en_US") == "en-us"
    assert phonemes.canonical_language("fr") == "fr-fr"
    known = ("en-us", "en-gb", "fa", "de", "fr-fr", "es", "ar")
    assert tuple(map(phonemes.canonical_language, known)) == known
