"""Speakers that a model is trained on: how many people they are, and whether these are enough to clone strangers."""

from __future__ import annotations

from collections.abc import Iterable

ENOUGH_SPEAKERS = 20
"""With fewer training speakers the encoder learns who these are, not what makes a voice."""
COPY_MARK = "@"
"""Between the name of a speaker and the speed of a copy of his voice."""


def person_of(speaker: str) -> str:
    """Whose voice a speaker is: the name without the speed of a slower or faster copy."""
    return speaker.partition(COPY_MARK)[0]


def people_of(speakers: Iterable[str]) -> int:
    """Number of people among the names of speakers, slower and faster copies of a voice left out."""
    return len({person_of(name) for name in speakers})


def whose(speakers: int, strangers: int) -> str:
    """Whose voices were heard: those of so many speakers, of whom `strangers` were never trained on."""
    if not strangers:
        return f"{speakers} training speakers"
    return f"{speakers} speakers{'' if strangers == speakers else f', {strangers} of them'} never trained on"


def too_few_to_clone(people: int) -> str:
    """What a model of so few people can do and what it takes to clone a stranger; empty for ENOUGH_SPEAKERS and more.

    A note and no fault: a model of one voice is what many want.
    """
    if people >= ENOUGH_SPEAKERS:
        return ""
    takes = f"takes recordings of at least {ENOUGH_SPEAKERS} people, better hundreds"
    if people == 1:
        return f"1 training speaker: the model will speak in this one voice; to clone voices of strangers {takes}"
    return (
        f"{people} training speakers: enough to speak in their voices, not enough speakers to clone voices of "
        f"strangers, which {takes}"
    )
