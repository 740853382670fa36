"""A text in sentences that can be spoken, each with its tokens; what cannot be spoken is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from myxtts.errors import DataError
from myxtts.messages import quoted as shown
from myxtts.text.sentences import split_sentences
from myxtts.text.symbols import RESERVED
from myxtts.text.tokenizer import EncodedText, Tokenizer

_MOST_TOLD = 10
_SLACK = 1.15
"""How much longer than its share a part may be: cuts fall before the limit, and a fragment would be left."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Sentences and their encodings, at least one, and notes about what is left out.

    A sentence stands as it was written; a part of one that had to be cut when its numbers were words, as it is read.
    """

    sentences: list[str]
    encodings: list[EncodedText]
    notes: list[str]


def read_text(text: str, language: str, tokenizer: Tokenizer, languages: Sequence[str], longest_tokens: int) -> Reading:
    """The reading of a text in one of the model's `languages`, in sentences of at most `longest_tokens` tokens.

    Raises DataError where nothing in it can be spoken.
    """
    pairs = _encoded(split_sentences(text), language, tokenizer, longest_tokens)
    spoken = [(sentence, encoding) for sentence, encoding in pairs if _has_speech(encoding)]
    if not spoken:
        raise DataError(
            f"nothing in {shown(text)} can be spoken in {language}; write words, or name another language "
            f"of this model ({', '.join(languages[:20])})"
        )
    notes = []
    unknown = list(dict.fromkeys(symbol for _, encoding in pairs for symbol in encoding.unknown))
    if unknown:
        listed = ", ".join(f"{shown(symbol)} (U+{ord(symbol[0]):04X})" for symbol in unknown[:_MOST_TOLD])
        more = f" and {len(unknown) - _MOST_TOLD} more" if len(unknown) > _MOST_TOLD else ""
        notes.append(f"left out, since it cannot be spoken in {language}: {listed}{more}")
    mute = [sentence for sentence, encoding in pairs if not _has_speech(encoding)]
    notes += [f"nothing to speak in {shown(sentence)}" for sentence in mute[:_MOST_TOLD]]
    if len(mute) > _MOST_TOLD:
        notes.append(f"nothing to speak in {len(mute) - _MOST_TOLD} more sentences")
    return Reading([sentence for sentence, _ in spoken], [encoding for _, encoding in spoken], notes)


def _encoded(
    sentences: Sequence[str], language: str, tokenizer: Tokenizer, longest_tokens: int
) -> list[tuple[str, EncodedText]]:
    """Sentences and their encodings. What was short as written may be long as spoken, so it is cut again as spoken."""
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
    """A text cut in more than `shares` parts, more than one, that differ in length by little where its marks allow."""
    longest = max(1, int(len(spoken) * _SLACK / (int(shares) + 1)))
    parts = split_sentences(spoken, longest)
    if len(parts) > 2 and len(parts[-1]) < longest // 3:
        before = spoken.rstrip().removesuffix(parts[-1])
        tail = parts.pop()
        parts[-1] += " " * before[-1:].isspace() + tail
    return parts


def _has_speech(encoding: EncodedText) -> bool:
    """Whether anything but punctuation and blanks is in a text, as the preparation of training data asks too."""
    return any(symbol.isalnum() for symbol in encoding.symbols if symbol not in RESERVED)
