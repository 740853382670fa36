"""Keeps a fixed share of the training data for validation where there is no validation data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

from myxtts.data.records import Utterance
from myxtts.errors import DataError


def split_validation(utterances: Sequence[Utterance], share: float) -> tuple[list[Utterance], list[Utterance]]:
    """Training and validation utterances, the same on every run and for every order of the rows.

    Of each speaker with at least two clips, `share` of them (at least one) is kept for validation: those whose id
    has the smallest hash. Where no speaker has two, `share` of all clips is kept; a single clip serves as both.
    """
    if len(utterances) < 2:
        return list(utterances), list(utterances)
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    kept: set[str] = set()
    for clips in by_speaker.values():
        if len(clips) > 1:
            kept |= _smallest(clips, share)
    if not kept:
        kept = _smallest(utterances, share)
    return [u for u in utterances if u.id not in kept], [u for u in utterances if u.id in kept]


def hold_out_speakers(utterances: Sequence[Utterance], count: int) -> set[str]:
    """`count` of the speakers of training clips, those whose name has the smallest hash: the same ones on every run.

    A speaker without whom nobody would be left in one of his languages is passed over.

    Errors: DataError if fewer than two would be left to train on, or not so many can be held out.
    """
    languages_of: dict[str, set[str]] = {}
    for utterance in utterances:
        languages_of.setdefault(utterance.speaker, set()).add(utterance.language)
    left = Counter(language for languages in languages_of.values() for language in languages)
    chosen: set[str] = set()
    for speaker in sorted(languages_of, key=_hash):
        if len(chosen) < count and all(left[language] > 1 for language in languages_of[speaker]):
            chosen.add(speaker)
            left.subtract(languages_of[speaker])
    if len(chosen) < count or len(languages_of) - count < 2:
        raise DataError(
            f"data.held_out_speakers is {count}, and the training data has {len(languages_of)} speakers in {len(left)} "
            "languages; at least two must be left to train on, and one in each language"
        )
    return chosen


def _smallest(clips: Sequence[Utterance], share: float) -> set[str]:
    """Ids of `share` of the clips, at least one and never all, by the hash of the id."""
    count = min(max(1, round(share * len(clips))), len(clips) - 1)
    return set(sorted((clip.id for clip in clips), key=_hash)[:count])


def _hash(utterance_id: str) -> bytes:
    """A number that depends on the id alone; Python's own hash differs from process to process."""
    return blake2b(utterance_id.encode(), digest_size=8).digest()
