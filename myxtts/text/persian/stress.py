"""The stress of Persian words: on the last syllable of nouns, adjectives and adverbs, on the prefix of most verbs.

eSpeak NG stresses many nouns on their first syllable.
"""

from __future__ import annotations

import re
from functools import cache

from myxtts.text.normalization.characters import ZWNJ

_STRESS = re.compile("[ˈˌ]")
VOWELS = "aeiouɑɒ"
_CLITICS = frozenset("و را از به در با که تا بر".split())
"""Words that lean on a neighbor and have no stress of their own."""
_EARLY = frozenset("اما ولی اگر بلکه مگر باید نباید شاید آیا بلی بله لیکن زیرا هرگز هنوز خیلی همیشه یعنی".split())
"""Words that are stressed before the last syllable: eSpeak NG's reading is kept."""
_PAST = (
    "آمد آورد افتاد انداخت ایستاد باخت بخشید برد بست بود پخت پذیرفت پرداخت پرسید پرید پوشید پیوست ترسید توانست جست "
    "جنگید چرخید چسبید چید خرید خندید خواست خواند خورد خوابید داد داشت دانست دزدید دوخت دوید دید رساند رسید رفت ریخت "
    "زد ساخت سپرد سوخت شد شکست شمرد شناخت شنید فرستاد فروخت فهمید کاشت کرد کشت کشید کند کوبید گذاشت گذشت گرفت گریخت گشت "
    "گفت لرزید ماند مرد نشست نوشت نوشید نهاد یافت"
).split()
_PRESENT = (
    "آی آور افت انداز ایست باز بخش بر بند باش پز پذیر پرداز پرس پر پوش ترس توان جه جنگ چرخ چسب چین خر خند خواه خوان خور "
    "خواب ده دار دان دزد دوز دو بین رسان رس رو ریز زن ساز سپر سوز شو شکن شمار شناس شنو فرست فروش فهم کار کن کش کوب گذار "
    "گذر گیر گریز گرد گو گوی لرز مان میر نشین نویس نوش نه یاب"
).split()
_ENDINGS = ("م", "ی", "یم", "ید", "ند")
_PREFIX = re.compile(f"ن?می{ZWNJ}")
_PREFIX_SOUND = re.compile(r"(ne|na)?m(i)")


def stressed(word: str, phonemes: str) -> str:
    """Phonemes with the stress where Persian has it. `word` is without vowel marks, `phonemes` without the ezafe.

    Unchanged: words of one syllable, particles, and finite verbs without a prefix.
    """
    plain = _STRESS.sub("", phonemes)
    if word in _CLITICS:
        return plain
    # The ی of «صدای» and «روی» is an ezafe, which is never stressed.
    ending = "je" if plain.endswith("je") and word.endswith("ی") else ""
    stem = plain.removesuffix(ending)
    vowels = [at for at, symbol in enumerate(stem) if symbol in VOWELS]
    if word in _EARLY or " " in phonemes or len(vowels) < (1 if ending else 2):
        return phonemes
    if _PREFIX.match(word) and (prefix := _PREFIX_SOUND.match(stem)):
        at = vowels[0] if prefix[1] else prefix.start(2)
        return f"{plain[:at]}ˈ{plain[at:]}"
    if word in _verbs():
        return phonemes
    return f"{plain[: vowels[-1]]}ˈ{plain[vowels[-1] :]}"


@cache
def _verbs() -> frozenset[str]:
    """Finite forms of common verbs."""
    past = [prefix + stem + ending for stem in _PAST for ending in ("", *_ENDINGS) for prefix in ("", "ن")]
    present = [
        prefix + stem + ending for stem in _PRESENT for ending in ("", "د", *_ENDINGS) for prefix in ("ب", "ن", "نی", "بی")
    ]
    return frozenset(past + present)
