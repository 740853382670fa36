"""Holds out a share of the training data, or some of its speakers, for validation; the same ones in every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

from myxtts.data.records import Utterance
from myxtts.errors import DataError


def split_validation(
    utterances: Sequence[Utterance], share: float, most: int | None = None
) -> tuple[list[Utterance], list[Utterance]]:
    """Training and validation utterances, independent of the order of the rows.

    `share` of the clips of each speaker with at least two (at least one clip) is held out: those whose ids have the
    smallest hashes. If no speaker has two clips, `share` of all clips is held out. If these are more than `most`, as
    many are drawn of them. A single clip is in both sets.
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
    if most is not None and len(kept) > most:
        kept = drawn([u for u in utterances if u.id in kept], most)
    return [u for u in utterances if u.id not in kept], [u for u in utterances if u.id in kept]


def drawn(utterances: Sequence[Utterance], most: int) -> set[str]:
    """The ids of up to `most` utterances, as evenly over the speakers as their clips allow.

    Every speaker's clips are ordered by the hashes of their ids; all the first ones come before all the second ones.
    """
    by_speaker: dict[str, list[tuple[bytes, str]]] = {}
    for utterance in utterances:
        by_speaker.setdefault(utterance.speaker, []).append((_hash(utterance.id), utterance.id))
    ranked = [(rank, *clip) for clips in by_speaker.values() for rank, clip in enumerate(sorted(clips))]
    return {id_ for _, _, id_ in sorted(ranked)[:most]}


def hold_out_speakers(utterances: Sequence[Utterance], count: int) -> set[str]:
    """`count` speakers of the training clips: those whose names have the smallest hashes.

    The only remaining speaker of a language is never held out.

    Errors: DataError if fewer than two speakers would remain, or if `count` speakers cannot be held out.
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
            "languages; at least two must remain to train on, and one in each language"
        )
    return chosen


def _smallest(clips: Sequence[Utterance], share: float) -> set[str]:
    """Ids of `share` of the clips, at least one and never all: those with the smallest hashes."""
    count = min(max(1, round(share * len(clips))), len(clips) - 1)
    return set(sorted((clip.id for clip in clips), key=_hash)[:count])


def _hash(name: str) -> bytes:
    """A hash of a text; Python's own hash differs between processes."""
    return blake2b(name.encode(), digest_size=8).digest()
