"""Training speakers: counting them, and whether they are enough to clone unseen voices."""

from __future__ import annotations

from collections.abc import Iterable

ENOUGH_SPEAKERS = 20
"""With fewer training speakers the encoder learns who these are, not what distinguishes voices."""
COPY_MARK = "@"
"""Separates the name of a speaker from the speed of a speed-perturbed copy of the voice."""


def count_speakers(names: Iterable[str]) -> int:
    """Number of different speakers, not counting speed-perturbed copies of their voices."""
    return len({name.partition(COPY_MARK)[0] for name in names})


def describe_speakers(speakers: int, unseen: int) -> str:
    """A phrase for `speakers` speakers, of whom `unseen` have no training clips."""
    if not unseen:
        return f"{speakers} training speakers"
    return f"{speakers} speakers{'' if unseen == speakers else f', {unseen} of them'} never trained on"


def cloning_note(speakers: int) -> str:
    """What a model of so few training speakers can do, and what cloning takes; empty if they are enough.

    This is a note and not a warning: many users want a model of one voice.
    """
    if speakers >= ENOUGH_SPEAKERS:
        return ""
    takes = f"takes recordings of at least {ENOUGH_SPEAKERS} speakers, preferably hundreds"
    if speakers == 1:
        return f"1 training speaker: the model will speak in this one voice; to clone unseen voices {takes}"
    return (
        f"{speakers} training speakers: enough to speak in their voices, not enough speakers to clone unseen voices, "
        f"which {takes}"
    )
