"""Splits long text into sentences that a model can speak one after the other. Only blanks are ever lost."""

from __future__ import annotations

import re

from myxtts.text.normalization.english_abbreviations import (
    ABBREVIATIONS,
    BEFORE_NUMBER,
    BEFORE_NUMERAL,
    STARTS_A_SENTENCE,
)

_ABBREVIATIONS = ABBREVIATIONS | {
    "jr", "sr", "nos", "vol", "p", "pp", "ch", "e.g", "i.e", "co", "a.m", "p.m", "ه.ش", "ه.ق", "ق.م", "ب.م",
}  # fmt: skip
_DATES = frozenset({
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "tues", "wed",
    "thu", "thur", "thurs", "fri", "sat", "sun",
})  # fmt: skip
_MONTHS = frozenset({"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"})
_DAY_BEFORE = re.compile(r"(?<!\d)\d{1,2}(?:st|nd|rd|th)?(?: of)?\s$")
_SHORT_RANGE = re.compile(f"(?:{'|'.join(_DATES)})\\.[-\u2013](?:{'|'.join(_DATES)})")
"""Mon.-Fri. 9am, while "Mon-Fri." ends a sentence."""
_WORDS_TOO = frozenset({"sat", "sun", "wed", "mar"})
_CAPITALISED = frozenset(name.capitalize() for name in _DATES) | {"Fig", "Sec"}
"""Abbreviations that are words in lower case, except for months and days before a number: the sun, they sat."""
_MAY_END_A_SENTENCE = frozenset(
    {"jr", "sr", "inc", "ltd", "co", "corp", "bros", "ave", "blvd", "rd", "a.m", "p.m", "st"}
)
_INITIALISM = re.compile(r"([^\W\d_]\.)+[^\W\d_]")
_CLOSING = "\"'\u201d\u2019\u00bb)\\]}\u300d\u300f"
_END = re.compile(
    f"(?P<stop>[.!?\u2026\u061f\u06d4\u0964\u0965]+)[{_CLOSING}]*(?=\\s|$)|[\u3002\uff01\uff1f]+[{_CLOSING}]*|\n\\s*\n"
)
_FIRST_WORD = re.compile(r"([^\W\d_]+)(['\u2019]t\b)?")
_LONE_DOTS = re.compile(r"\.+(?:\s|$)")
_LAST_WORD = re.compile(r"[^\s(\"'\u00ab\u201c]+$")
_CUTS = (
    re.compile(r"[;:\u061b\uff1b\uff1a](?=\s)|\s[\u2013\u2014-]+(?=\s)|\u2014"),
    re.compile(r"[,\u060c](?=\s)|[\u3001\uff0c]"),
    re.compile(r"\s"),
)


def split_sentences(text: str, max_characters: int = 200) -> list[str]:
    """Sentences of an English or Persian text, each of at most `max_characters` and without blanks at its ends.

    A full stop does not end a sentence after an abbreviation or an initial, before a lower-case letter, or in "U.S."
    before a name. A sentence that is too long is cut at the last semicolon that fits, else comma, else blank, else
    within a word. Joined by blanks the results are the text again, except for its blanks.
    """
    if max_characters < 1:
        raise ValueError(f"max_characters is {max_characters}, expected at least 1")
    sentences: list[str] = []
    start = 0
    for end in _END.finditer(text):
        if _ends_sentence(text, start, end):
            sentences.append(text[start : end.end()])
            start = end.end()
    sentences.append(text[start:])
    return [part for sentence in sentences for part in _cut_to_length(sentence.strip(), max_characters)]


def _ends_sentence(text: str, start: int, end: re.Match[str]) -> bool:
    if end["stop"] is None:
        return True
    following = text[end.end() : end.end() + 80].lstrip()
    dotted = not end["stop"].strip(".\u2026")
    if following[:1] == "." and not following[1:2].isdigit() and (dotted or _LONE_DOTS.match(following)):
        return False  # one of three dots separated by blanks, or dots that would be a sentence without words
    if not dotted:
        # "Stop!" she said: after a quoted question or exclamation the sentence continues in lower case.
        return not (following[:1].islower() and end.end() > end.end("stop"))
    if following[:1].islower():
        return False
    word = _LAST_WORD.search(text, max(start, end.start() - 40), end.start())
    if end["stop"] != "." or word is None:
        return True
    name = word.group().lower()
    if (
        name in _MONTHS
        and following[:1].isupper()
        and _DAY_BEFORE.search(text, max(start, word.start() - 12), word.start())
    ):
        return True  # on 2 Jan. It was cold.
    if word.group() in _CAPITALISED or (name in _DATES and word.group() not in _WORDS_TOO and following[:1].isdigit()):
        return False
    if following[:1].isdigit() and _SHORT_RANGE.fullmatch(name):
        return False
    numbered = BEFORE_NUMBER.match(text, word.start()) or BEFORE_NUMERAL.match(text, word.start())
    if numbered and numbered.end() > end.start():  # not the dot inside "p.15."
        return False
    if name in _ABBREVIATIONS:
        return name in _MAY_END_A_SENTENCE and following[:1].isupper() and name not in ("st",)
    first = _FIRST_WORD.match(following)
    if first is not None and first.group()[0].isupper() and _INITIALISM.fullmatch(name):
        start_word = first[1].lower()
        negated = start_word.removesuffix("n") if first[2] else start_word  # don't, isn't, can't
        return end.end() > end.end("stop") or not STARTS_A_SENTENCE.isdisjoint((start_word, negated))
    return not (len(name) == 1 and word.group().isupper() and name != "i" and following[:1].isupper())


def _cut_to_length(sentence: str, longest: int) -> list[str]:
    parts: list[str] = []
    while len(sentence) > longest:
        at = _cut(sentence, longest)
        parts.append(sentence[:at].strip())
        sentence = sentence[at:].strip()
    parts.append(sentence)
    return [part for part in parts if part]


def _cut(sentence: str, longest: int) -> int:
    """Where to cut: after the last mark of the best kind that leaves at least a third of the allowed length."""
    for pattern in _CUTS:
        ends = [found.end() for found in pattern.finditer(sentence, 0, longest + 1) if found.end() <= longest]
        if ends and ends[-1] >= longest // 3:
            return ends[-1]
    return longest
