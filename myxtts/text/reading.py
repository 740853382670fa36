"""Splits a text into sentences that a model can speak, with their tokens, and notes what it cannot speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.text.normalization.markup import interpreted, split_pauses
from myxtts.text.sentences import split_sentences
from myxtts.text.symbols import RESERVED
from myxtts.text.tokenizer import EncodedText, Tokenizer

_MOST_LISTED = 10
_ENDS, _PAUSES, _CLOSING = ".!?\u2026\u061f\u06d4", ",;:\u2014-\u060c\u061b", "\"')\u00bb "
_MARK_TOKENS = 2
"""A mark and a blank, added to a sentence without one."""
_SLACK = 1.15
"""How much longer than its share a part may be: splits fall before the limit, which would leave a short fragment."""


@dataclass(frozen=True, eq=False)
class EncodedSentences:
    """At least one sentence with its encoding, and notes about what is omitted.

    A sentence is kept as written. The parts of one that was split only after normalization are kept as normalized.
    """

    sentences: list[str]
    encodings: list[EncodedText]
    notes: list[str]
    pauses: list[float | None]
    """Seconds of silence before each sentence as written in the text; None: the default."""


def read_text(
    text: str, language: str, tokenizer: Tokenizer, languages: Sequence[str], longest_tokens: int
) -> EncodedSentences:
    """Reads a text in one of the model's `languages`, in sentences of at most `longest_tokens` tokens.

    Raises DataError where nothing in it can be spoken.
    """
    text, read_as = interpreted(text)
    pairs: list[tuple[str, EncodedText]] = []
    pauses: list[float | None] = []
    pause: float | None = None
    for before, part in split_pauses(text):
        if before is not None:
            pause = before + (pause or 0.0)
        for pair in _encoded(split_sentences(part), language, tokenizer, max(1, longest_tokens - _MARK_TOKENS)):
            pairs.append(pair)
            if _has_speech(pair[1]):
                pauses.append(pause)
                pause = None
    spoken = [(sentence, encoding) for sentence, encoding in pairs if _has_speech(encoding)]
    if not spoken:
        raise DataError(
            f"nothing in {quoted(text)} can be spoken in {language}; write words, or choose another language "
            f"of this model ({', '.join(languages[:20])})"
        )
    notes = [read_as] if read_as else []
    unknown = list(dict.fromkeys(symbol for _, encoding in pairs for symbol in encoding.unknown))
    if unknown:
        listed = ", ".join(f"{quoted(symbol)} (U+{ord(symbol[0]):04X})" for symbol in unknown[:_MOST_LISTED])
        more = f" and {len(unknown) - _MOST_LISTED} more" if len(unknown) > _MOST_LISTED else ""
        notes.append(f"omitted, not pronounceable in {language}: {listed}{more}")
    silent = [sentence for sentence, encoding in pairs if not _has_speech(encoding)]
    notes += [f"nothing to speak in {quoted(sentence)}" for sentence in silent[:_MOST_LISTED]]
    if len(silent) > _MOST_LISTED:
        notes.append(f"nothing to speak in {len(silent) - _MOST_LISTED} more sentences")
    if pause is not None:
        notes.append("the pause at the end of the text is omitted")
    following = [sentence for sentence, _ in spoken[1:]] + [""]
    encodings = [_with_end(encoding, tokenizer, after) for (_, encoding), after in zip(spoken, following, strict=True)]
    return EncodedSentences([sentence for sentence, _ in spoken], encodings, notes, pauses)


def _with_end(encoding: EncodedText, tokenizer: Tokenizer, following: str) -> EncodedText:
    """The encoding with a mark at its end, so that the model speaks an end: after most texts it learned there was one.

    A part of a sentence, which continues in lower case, gets a comma; the last text does not end with one.
    """
    symbols = list(encoding.symbols)
    spoken = [at for at, symbol in enumerate(symbols) if symbol not in RESERVED and symbol not in _CLOSING]
    last = symbols[spoken[-1]]
    if last in _ENDS or (last in _PAUSES and following):
        return encoding
    mark = "," if following[:1].islower() else "."
    if mark not in tokenizer.table:
        return encoding
    if last in _PAUSES:
        symbols[spoken[-1]] = mark
    else:
        blank = symbols[:1] if symbols[0] in RESERVED else []
        symbols += [mark, *blank]
    tokens = np.array([tokenizer.table.id_of(symbol) for symbol in symbols], np.int32)
    return replace(encoding, tokens=tokens, symbols=symbols)


def _encoded(
    sentences: Sequence[str], language: str, tokenizer: Tokenizer, longest_tokens: int
) -> list[tuple[str, EncodedText]]:
    """Sentences and their encodings. Normalization can lengthen a sentence, so long ones are split again afterwards."""
    pairs: list[tuple[str, EncodedText]] = []
    for sentence, encoding in zip(sentences, tokenizer.encode(sentences, language), strict=True):
        spoken, tokens = encoding.normalized, len(encoding.tokens)
        if tokens <= longest_tokens or len(spoken) < 2:
            pairs.append((sentence, encoding))
        else:
            parts = _even_parts(spoken, _SLACK * tokens / longest_tokens)
            pairs += _encoded(parts, language, tokenizer, longest_tokens)
    return pairs


def _even_parts(spoken: str, shares: float) -> list[str]:
    """A text split into more than `shares` parts, at least two, of similar length where its punctuation allows."""
    longest = max(1, int(len(spoken) * _SLACK / (int(shares) + 1)))
    parts = split_sentences(spoken, longest)
    if len(parts) > 2 and len(parts[-1]) < longest // 3:
        before = spoken.rstrip().removesuffix(parts[-1])
        tail = parts.pop()
        parts[-1] += " " * before[-1:].isspace() + tail
    return parts


def _has_speech(encoding: EncodedText) -> bool:
    """Whether a text has more than punctuation and blanks; the preparation of training data applies the same rule."""
    return any(symbol.isalnum() for symbol in encoding.symbols if symbol not in RESERVED)
