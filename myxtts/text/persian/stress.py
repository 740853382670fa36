"""The stress of Persian words: on the last syllable of nouns, adjectives and adverbs, on the prefix of most verbs.

eSpeak NG stresses many nouns on their first syllable.
"""

from __future__ import annotations

import re

from myxtts.text.normalization.characters import ZWNJ

_STRESS = re.compile("[ˈˌ]")
VOWELS = "aeiouɑɒ"
_CLITICS = frozenset({"و", "را", "از", "به", "در", "با", "که", "تا", "بر"})
"""Words that lean on a neighbor and have no stress of their own."""
_EARLY = frozenset({
    "اما", "ولی", "اگر", "بلکه", "مگر", "باید", "نباید", "شاید", "آیا", "بلی", "بله", "لیکن", "زیرا", "هرگز", "هنوز",
    "خیلی", "همیشه", "یعنی",
})  # fmt: skip
"""Words that are stressed before the last syllable: eSpeak NG's reading is kept."""
_WRITTEN_EZAFE = re.compile("jeː?$")
_PREFIX = re.compile(f"ن?می{ZWNJ}")
_PREFIX_SOUND = re.compile(r"(ne|na)?m(i)")


def stressed(word: str, phonemes: str, *, verb: bool) -> str:
    """Phonemes with the stress where Persian has it. `word` is without vowel marks, `phonemes` without the ezafe.

    Unchanged: words of one syllable, particles, and finite verbs without a prefix.
    """
    plain = _STRESS.sub("", phonemes)
    if word in _CLITICS:
        return plain.rstrip("ː")
    # The ی of «صدای» and «روی» is an ezafe, which is never stressed.
    ending = _WRITTEN_EZAFE.search(plain) if word.endswith("ی") else None
    stem = plain[: ending.start()] if ending else plain
    vowels = [at for at, symbol in enumerate(stem) if symbol in VOWELS]
    if word in _EARLY or " " in phonemes or len(vowels) < (1 if ending else 2):
        return phonemes
    if _PREFIX.match(word) and (prefix := _PREFIX_SOUND.match(stem)):
        at = vowels[0] if prefix[1] else prefix.start(2)
        return f"{plain[:at]}ˈ{plain[at:]}"
    if verb:
        return phonemes
    return f"{plain[: vowels[-1]]}ˈ{plain[vowels[-1] :]}"
