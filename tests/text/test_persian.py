"""Persian normalization."""

from __future__ import annotations

import pytest

from myxtts.text.normalization import normalize, persian_numbers

ZWNJ = "\u200c"


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "صفر"), ("1", "یک"), ("11", "یازده"), ("20", "بیست"), ("99", "نود و نه"), ("100", "صد"),
        ("123", "صد و بیست و سه"), ("1000", "هزار"), ("1001", "هزار و یک"), ("2000", "دو هزار"),
        ("1357", "هزار و سیصد و پنجاه و هفت"), ("1000000", "یک میلیون"), ("1001000", "یک میلیون و هزار"),
        ("1000000000", "یک میلیارد"), ("1000000000000", "یک تریلیون"), ("05", "صفر پنج"),
        ("9" * 14, " ".join(["نه"] * 14)),
    ],
)  # fmt: skip
def test_cardinals(digits: str, words: str) -> None:
    assert persian_numbers.cardinal(digits) == words


def test_every_number_to_ten_thousand_has_its_own_words() -> None:
    words = {persian_numbers.cardinal(str(number)) for number in range(10_001)}
    assert len(words) == 10_001 and not any("_" in word or "  " in word for word in words)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("كتاب علي", "کتاب علی"),
        ("۱۲۳ و ٤٥٦ و 7", "صد و بیست و سه و چهارصد و پنجاه و شش و هفت"),
        ("1,234 تومان", "هزار و دویست و سی و چهار تومان"),
        ("۱۲٬۰۰۰", "دوازده هزار"),
        ("۳٫۱۴ و ۲/۵ و -۵", "سه ممیز چهارده صدم و دو ممیز پنج دهم و منفی پنج"),
        ("۵۰٪ و $۵", "پنجاه درصد و پنج دلار"),
        ("۱۴۰۲/۰۵/۱۲ ساعت ۱۰:۳۰", "دوازدهم مرداد هزار و چهارصد و دو ساعت ده و سی دقیقه"),
        (f"۳م، ۳۰ام، ۲۱{ZWNJ}م", f"سوم، سی{ZWNJ}ام، بیست و یکم"),
        ("۱۰-۲۰ و ۰-۵", "ده تا بیست و صفر تا پنج"),
        ("ساعت کار ۰۸-۱۷", "ساعت کار صفر هشت تا هفده"),
        ("۰۲۱-۱۲۳۴۵", "صفر دو یک، یک دو سه چهار پنج"),
        ("۰۹۱۲-۳۴۵-۶۷", "صفر نه یک دو، سه چهار پنج، شش هفت"),
        ("۱/۰۵-۱/۰۷", "یک ممیز پنج صدم تا یک ممیز هفت صدم"),
        ("«سلام» ؛ خوبی ؟", "«سلام»؛ خوبی؟"),
        ("ســـلام", "سلام"),
        ("\u202bسلام\u202c\u200f دنیا", "سلام دنیا"),
        (f"می{ZWNJ}{ZWNJ}روم {ZWNJ}خانه{ZWNJ} .", f"می{ZWNJ}روم خانه."),
        ("کتابِ مَن", "کتابِ مَن"),
        ("خانۀ ما", "خانهٔ ما"),
        ("موسیٰ", "موسا"),
        ("نسخه ۳.۱۴.۲", "نسخه سه ممیز چهارده ممیز دو"),
        ("سال ۵۰۰ ق.م. بود", "سال پانصد قبل از میلاد بود"),
    ],
)  # fmt: skip
def test_spoken_form(written: str, spoken: str) -> None:
    assert normalize(written, "fa") == spoken


def test_shadda_is_before_its_vowel_mark_for_espeak() -> None:
    from myxtts.text.phonemes import transcribe

    assert transcribe([normalize("مُعَلِّم", "fa")], "fa")[0].phonemes == "moʔˈallem"
