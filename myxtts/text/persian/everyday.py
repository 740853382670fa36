"""Readings of everyday words that eSpeak NG misreads: compounds («گفت‌وگو»), phrases, spoken words («می‌گم», «قشنگه»).

They are in code, so that a change needs no training. Phonemes are in the letters of the lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from myxtts.text.normalization.characters import ZWNJ
from myxtts.text.normalization.persian_phrases import COMPOUNDS, PHRASES

_PLURALS = {
    "ها": "hA", "های": "hAye", "هایی": "hAyi", "هایش": "hAyaS", "هایم": "hAyam", "هایت": "hAyat",
    "هایشان": "hAyeSAn", "هایمان": "hAyemAn", "هایتان": "hAyetAn",
}  # fmt: skip
_AFTER_CONSONANT = {
    "ی": "i", "م": "am", "ت": "at", "ش": "aS", "شان": "eSAn", "مان": "emAn", "تان": "etAn",
}  # fmt: skip
_AFTER_VOWEL = {
    "ی": "ye", "یی": "yi", f"{ZWNJ}ی": "ye", f"{ZWNJ}ای": "'i", "یم": "yam", "یت": "yat", "یش": "yaS",
    "یشان": "yeSAn", "یمان": "yemAn", "یتان": "yetAn",
}  # fmt: skip
_WORDS = {
    "کجاس": "koJAs", "اونجاس": "'unJAs", "اینجاس": "'inJAs", "بهشون": "beheSun", "بهتون": "behetun", "بهمون": "behemun",
    "هستش": "hasteS", "نیستش": "nisteS", "ازاین‌رو": "'azinru", "پیاده‌روی": "piyAderavi", "ثبت‌نام": "sabtenAm",
    "تهرون": "tehrun", "اونو": "'uno", "اینو": "'ino", "تورو": "toro", "مارو": "mAro", "شمارو": "SomAro",
    "اینارو": "'inAro", "اونارو": "'unAro", "هیچکی": "hiCki", "هیچ‌کی": "hiCki", "آخه": "'Axe", "واسم": "vAsam",
    "واست": "vAsat", "واسش": "vAsaS", "همدیگه": "hamdige", "همه‌ش": "hamaS", "همه‌مون": "hamamun",
    "همه‌تون": "hamatun", "همه‌شون": "hamaSun", "یه‌کم": "yekam", "صبحونه": "sobhune", "پشیمون": "paSimun",
    "چشم‌پزشک": "CeSmpezeSk", "چشم‌پزشکی": "CeSmpezeSki", "گل‌آلود": "gelAlud", "پر‌کار": "porkAr", "پر‌کاری": "porkAri",
}  # fmt: skip
BEFORE_HOMOGRAPHS = {
    "بعدی": "ba'di", "بعدها": "ba'dhA", "بعدش": "ba'daS", "رسمی": "rasmi", "مردمی": "mardomi", "پرهای": "parhAye",
    "پرها": "parhA", "دیرش": "diraS", "عمری": "'omri", "سرمان": "saremAn", "دوره‌ی": "doreye", "دوره‌های": "dorehAye",
    "دوره‌ها": "dorehA", "دوره‌ای": "dore'i",
}  # fmt: skip
"""Forms of homographs that have one reading only."""
_SECOND_STEMS = {
    "گیر": "gir", "گذار": "gozAr", "پذیر": "pazir", "ور": "var", "ساز": "sAz", "ریز": "riz", "بند": "band",
    "پرداز": "pardAz", "نویس": "nevis", "شناس": "SenAs", "نشین": "neSin", "دار": "dAr", "خوان": "xAn", "یاب": "yAb",
    "بخش": "baxS", "فروش": "foruS", "دوست": "dust", "پرور": "parvar", "آموز": "'Amuz", "انگیز": "'angiz",
    "آور": "'Avar", "آمیز": "'Amiz", "آفرین": "'Afarin", "پرست": "parast", "شکن": "Sekan", "سنج": "sanJ",
    "گرا": "gerA", "نما": "namA", "مند": "mand", "گونه": "gune", "ساله": "sAle", "گذاشته": "gozASte", "بان": "bAn",
    "کار": "kAr", "پیکر": "peykar", "آلود": "'Alud", "پاش": "pAS", "زاده": "zAde", "پوش": "puS", "شمار": "SomAr",
    "نگار": "negAr", "سرا": "sarA", "فام": "fAm", "گستر": "gostar", "افزا": "'afzA", "ربا": "robA", "زدا": "zodA",
    "گشا": "goSA", "فرسا": "farsA", "پیما": "peymA", "طلب": "talab", "خواه": "xAh", "گریز": "goriz", "ستیز": "setiz",
    "نورد": "navard", "کوب": "kub", "تراش": "tarAS", "بین": "bin", "شناختی": "SenAxti", "گری": "gari", "وار": "vAr",
    "آسا": "'AsA", "زار": "zAr", "کده": "kade", "مدار": "madAr", "محور": "mehvar", "سالار": "sAlAr", "خیز": "xiz",
}  # fmt: skip
"""Second parts of compounds: «تصمیم‌گیر»."""
_SECOND_ENDINGS = {
    "": "", "ی": "i", "یی": "yi", "یان": "yAn", "ان": "An", "ها": "hA", "های": "hAye", "هایی": "hAyi",
    "تر": "tar", "ترین": "tarin", "ی‌ها": "ihA", "ی‌های": "ihAye", "ی‌هایی": "ihAyi",
}  # fmt: skip
_AFTER_E = {
    "مو": "mo", "تو": "to", "شو": "So", "رو": "ro", "مونو": "muno", "تونو": "tuno", "شونو": "Suno", "مون": "mun",
    "تون": "tun", "شون": "Sun",
}  # fmt: skip
"""The possessive and «را» after a silent he: «حوصله‌تو»."""
_SPOKEN_SUFFIXES = {
    "مونو": "emuno", "تونو": "etuno", "شونو": "eSuno", "امون": "Amun", "اتون": "Atun", "اشون": "ASun", "امو": "Amo",
    "اتو": "Ato", "اشو": "ASo", "مون": "emun", "تون": "etun", "شون": "eSun", "ام": "Am", "ات": "At", "اش": "AS",
    "ای": "Aye", "مو": "amo", "تو": "eto", "شو": "eSo", "ا": "A", "ه": "e", "و": "o",
}  # fmt: skip
"""Of spoken Persian: the plural, possessives, «را» and «است»."""
_PLURAL_WITH_EZAFE = "Aye"
_SHORTEST = 2
_SILENT_H = "ه"
_SPOKEN_STEMS = {
    "گ": "g", "ر": "r", "ش": "S", "د": "d", "دون": "dun", "تون": "tun", "مون": "mun", "ذار": "zAr", "شین": "Sin",
    "کن": "kon", "زن": "zan", "گیر": "gir", "خور": "xor",
}  # fmt: skip
"""Of spoken verbs: می‌گم, می‌ره, می‌دونه."""
_SPOKEN_ENDINGS = {"م": "am", "ی": "i", "ه": "e", "یم": "im", "ین": "in", "ن": "an"}
_LONG_STEMS = {"خوا": "xA", "ا": "yA", "یا": "yA", "آ": "yA"}
"""Of spoken verbs whose stem ends in a long a: می‌خوام, and میاد, which is می‌اد with a joiner."""
_LONG_ENDINGS = {"م": "m", "ی": "y", "د": "d", "یم": "ym", "ین": "yn", "ن": "n"}
_STEMS = {"شمار": "SomAr", "سپار": "sepAr", "فشار": "feSAr"}
_ENDINGS = {"م": "am", "ی": "i", "د": "ad", "یم": "im", "ید": "id", "ند": "and"}
PAST = {"می‌برد": ("mibord",), "نمی‌برد": ("nemibord",)}
"""Readings that the homographs lack, of the past: with a damma they are as likely as the present."""
_PREFIXES = {"می": "mi", "نمی": "nemi"}
_AND = f"{ZWNJ}و"
_PRESENT = re.compile(f"(ن?می)(?=[^{ZWNJ}])")
_PAIR = re.compile(f"([^{ZWNJ}]+){_AND}{ZWNJ}?([^{ZWNJ}]{{2,}})$")


def _with_and(word: str) -> str:
    return word.replace(_AND + ZWNJ, _AND)


def _made() -> Iterator[tuple[str, str]]:
    yield from _WORDS.items()
    for written, phonemes in PHRASES.items():
        yield _with_and(written.replace(" ", ZWNJ)), phonemes
    for written, phonemes in COMPOUNDS.items():
        word = _with_and(written)
        yield word, phonemes
        for suffix, sound in _PLURALS.items():
            yield word + suffix, phonemes + sound
            yield word + ZWNJ + suffix, phonemes + sound
        for suffix, sound in (_AFTER_VOWEL if phonemes[-1] in "aeiouA" else _AFTER_CONSONANT).items():
            yield word + suffix, phonemes + sound
    tables = ((_SPOKEN_STEMS, _SPOKEN_ENDINGS), (_LONG_STEMS, _LONG_ENDINGS), (_STEMS, _ENDINGS))
    for prefix, start in _PREFIXES.items():
        for stems, endings in tables:
            for stem, sound in stems.items():
                for ending, end in endings.items():
                    yield prefix + ZWNJ + stem + ending, start + sound + end


def _second_parts() -> Iterator[tuple[str, str]]:
    for stem, sound in _SECOND_STEMS.items():
        for ending, end in _SECOND_ENDINGS.items():
            glides = end.startswith("y")
            fits = (glides or end[:1] not in ("i", "A")) if sound.endswith("A") else not glides
            if not end or (fits and not sound.endswith("e")):
                yield stem + ending, sound + end


_SECOND = dict(_second_parts())
READINGS: Mapping[str, str] = dict(_made())
"""Word -> phonemes; see `reading`."""


def reading(word: str) -> str:
    """The phonemes of a word; empty if it is none of the table. «گفت‌و‌گو» is «گفت‌وگو»."""
    return READINGS.get(_with_and(word), "")


def is_second(base: str, last: str) -> bool:
    """Whether a part of a word after a half-space is a second part or a spoken ending that stays with it."""
    return last in _SECOND or (last in _AFTER_E and base.endswith(_SILENT_H))


def with_suffix(word: str, *, unknown: bool) -> Iterator[tuple[str, str, bool]]:
    """How a word may be made: the word without a second part or a spoken suffix, the sounds of that, and whether an
    ezafe can follow.

    «تصمیم‌گیری» is «تصمیم» and "giri", «قشنگه» «قشنگ» and "e", «کتابمو» «کتاب» and "amo"; the longest suffix is first.
    unknown: whether the lexicon lacks the word, without which it has no spoken suffix.
    """
    base, joiner, last = word.rpartition(ZWNJ)
    if joiner and is_second(base, last):
        yield base, _SECOND.get(last) or _AFTER_E[last], last in _SECOND
    for suffix, sound in _SPOKEN_SUFFIXES.items() if unknown else ():
        base = word.removesuffix(suffix).removesuffix(ZWNJ)
        if len(base) >= _SHORTEST and word.endswith(suffix) and not base.endswith(_SILENT_H):
            yield base, sound, sound == _PLURAL_WITH_EZAFE


def with_joiner(word: str) -> str:
    """«می‌پرم» for «میپرم»: a present that is written without its half-space. Other words are unchanged."""
    return _PRESENT.sub(rf"\1{ZWNJ}", word, count=1) if _PRESENT.match(word) else word


def joined_by_and(word: str) -> tuple[str, str] | None:
    """The two words of a compound with و, which is read "o": «باغ‌وبستان»."""
    found = _PAIR.match(word)
    return (found[1], found[2]) if found else None
