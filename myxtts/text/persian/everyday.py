"""Readings of everyday words that eSpeak NG misreads: compounds with و («گفت‌وگو») and spoken verbs («می‌گم»).

They are in code, so that a change needs no training. Phonemes are in the letters of the lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from myxtts.text.normalization.characters import ZWNJ

_COMPOUNDS = {
    "گفت‌وگو": "goftogu", "جست‌وجو": "JostoJu", "پرس‌وجو": "porsoJu", "شست‌وشو": "SostoSu", "رفت‌وآمد": "raftoAmad",
    "خرید‌وفروش": "xaridoforuS", "زد‌وخورد": "zadoxord", "پخت‌وپز": "poxtopaz", "سر‌وصدا": "sarosedA",
    "آب‌وهوا": "AbohavA", "ساخت‌وساز": "sAxtosAz", "کسب‌وکار": "kasbokAr", "سر‌وکار": "sarokAr", "گیر‌ودار": "girodAr",
    "دید‌وبازدید": "didobAzdid", "تاخت‌وتاز": "tAxtotAz", "گشت‌وگذار": "gaStogozAr", "خورد‌وخوراک": "xordoxorAk",
    "رفت‌وروب": "raftorub", "گفت‌وشنود": "goftoSonud", "جنب‌وجوش": "JonboJuS", "پیچ‌وتاب": "piCotAb",
    "چون‌وچرا": "CunoCerA", "کم‌وبیش": "kamobiS", "نشست‌وبرخاست": "neSastobarxAst", "من‌جمله": "menJomle",
}  # fmt: skip
_PLURALS = {
    "ها": "hA", "های": "hAye", "هایی": "hAyi", "هایش": "hAyaS", "هایم": "hAyam", "هایت": "hAyat",
    "هایشان": "hAyeSAn", "هایمان": "hAyemAn", "هایتان": "hAyetAn",
}  # fmt: skip
_AFTER_CONSONANT = {"ی": "i", "م": "am", "ت": "at", "ش": "aS"}
_AFTER_VOWEL = {"ی": "ye", "یی": "yi", f"{ZWNJ}ی": "ye", f"{ZWNJ}ای": "'i", "یم": "yam", "یت": "yat", "یش": "yaS"}
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


def _made() -> Iterator[tuple[str, str]]:
    for word, phonemes in _COMPOUNDS.items():
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


READINGS: Mapping[str, str] = dict(_made())
"""Word -> phonemes; see `reading`."""


def reading(word: str) -> str:
    """The phonemes of a word; empty if it is none of the table. «گفت‌و‌گو» is «گفت‌وگو»."""
    return READINGS.get(word.replace(_AND + ZWNJ, _AND), "")


def with_joiner(word: str) -> str:
    """«می‌پرم» for «میپرم»: a present that is written without its half-space. Other words are unchanged."""
    return _PRESENT.sub(rf"\1{ZWNJ}", word, count=1) if _PRESENT.match(word) else word


def joined_by_and(word: str) -> tuple[str, str] | None:
    """The two words of a compound with و, which is read "o": «باغ‌وبستان»."""
    found = _PAIR.match(word)
    return (found[1], found[2]) if found else None
