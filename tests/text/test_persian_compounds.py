"""Persian compounds with a half-space, and the network that scores the ezafe."""

from __future__ import annotations

import re

import numpy as np
import pytest

from myxtts.text import phonemes
from myxtts.text.normalization import normalize
from myxtts.text.persian import network
from myxtts.text.persian.compounds import parts, split_as, spoken_apart
from myxtts.text.persian.network import Network

KINDS = {
    "تیم": "noun", "ملی": "adjective", "شده": "adjective", "است": "verb", "پیش‌بینی": "noun", "کتاب": "noun",
    "کتاب‌های": "noun", "می‌رود": "verb", "سنگ": "noun", "که": "conjunction+pronoun", "در": "adposition+noun",
}  # fmt: skip


def said(text: str, dictionary: dict[str, str] | None = None) -> list[str]:
    [found] = phonemes.transcribe([normalize(text, "fa")], "fa", dictionary)
    return re.sub("[ˈˌː.,?!;:]", "", found.phonemes).split()


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("تیم‌ملی", ["تیم", "ملی"]), ("شده‌است", ["شده", "است"]), ("پیش‌بینی", ["پیش‌بینی"]),
        ("پیش‌بینی‌شده", ["پیش‌بینی", "شده"]), ("کتاب‌های", ["کتاب‌های"]), ("تیم‌ها", ["تیم‌ها"]),
        ("تیم‌مجهول", ["تیم‌مجهول"]), ("کتاب", ["کتاب"]),
    ],
)  # fmt: skip
def test_compounds_are_taken_apart(word: str, found: list[str]) -> None:
    # The part of speech of «تیم‌ها» comes from its suffix.
    kind = {**KINDS, "تیم‌ها": "‌ها>noun"}
    assert parts(word, lambda each: kind.get(each, "?"), "?") == found


def test_vowel_marks_stay_with_their_word() -> None:
    assert split_as("تیمِ‌ملّی", ["تیم", "ملی"]) == ["تیمِ", "ملّی"]
    assert split_as("پیش‌بینی‌شده", ["پیش‌بینی", "شده"]) == ["پیش‌بینی", "شده"]


def test_verbs_and_function_words_are_spoken_apart() -> None:
    assert spoken_apart(["adjective", "verb"]) and spoken_apart(["conjunction+pronoun", "noun"])
    assert not spoken_apart(["noun", "noun+verb"])


def test_an_ezafe_within_a_compound_is_spoken() -> None:
    assert said("شورای‌نگهبان این طرح را رد کرد.")[:2] == ["ʃorɑje", "neɡahbɑn"]
    assert said("کار تمام شده‌است.")[-2:] == ["ʃode", "ast"]
    assert len(said("پیش‌بینی.")) == 1
    assert said("تیم‌ملی.", {"تیم‌ملی": "/tim/"}) == ["tim"]


@pytest.mark.parametrize(
    ("written", "spoken"), [("می‌پرم", "miparam"), ("نمی‌چشند", "nemitʃeʃand"), ("می‌دوم", "midavam")]
)
def test_present_forms_are_read_by_their_stem(written: str, spoken: str) -> None:
    assert said(f"من {written}.")[-1] == spoken


def test_scores_of_the_network() -> None:
    chance = np.random.default_rng(0)
    weights = {name: chance.normal(0, 0.2, shape).astype(np.float32) for name, shape in network.SHAPES.items()}
    words = [network.indices(word, "noun", at == 1, (at, "?")) for at, word in enumerate(["کتاب", "سبز", "من", "آنجا"])]
    assert len({len(each) for each in words}) == 1 and all(0 <= index < 1 << network.BITS for index in words[0])
    x = np.array([sum(weights["vectors"][index] for index in each) for each in words])
    for layer, dilation in ((1, 1), (2, 1), (3, network.DILATION)):
        kernel = weights[f"kernel{layer}"]
        found = np.zeros((len(words), kernel.shape[2]))
        for at in range(len(words)):
            for tap, part in enumerate(kernel):
                other = at + (tap - len(kernel) // 2) * dilation
                if 0 <= other < len(words):
                    found[at] += x[other] @ part
        found = np.maximum(found + weights[f"bias{layer}"], 0)
        x = found if layer == 1 else x + found
    expected = x @ weights["output"] + weights["bias"]
    np.testing.assert_allclose(Network(weights).scores(words), expected, rtol=1e-4, atol=1e-4)
