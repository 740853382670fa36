"""Who was trained on: people by their names, whether they are enough to clone strangers."""

from __future__ import annotations

import pytest

from myxtts.speakers import ENOUGH_SPEAKERS, people_of, too_few_to_clone, whose


def test_slower_and_faster_copies_of_a_voice_are_one_person() -> None:
    assert people_of(["ann", "ann@0.9", "ann@1.1", "bob", "bob@0.9"]) == 2
    assert people_of([]) == 0


@pytest.mark.parametrize("people", [ENOUGH_SPEAKERS, 247])
def test_enough_people_need_no_note(people: int) -> None:
    assert too_few_to_clone(people) == ""


def test_one_voice_is_no_fault() -> None:
    assert too_few_to_clone(1) == (
        "1 training speaker: the model will speak in this one voice; to clone voices of strangers takes recordings of "
        "at least 20 people, better hundreds"
    )


@pytest.mark.parametrize("people", [2, ENOUGH_SPEAKERS - 1])
def test_few_people_can_be_spoken_and_strangers_not_be_cloned(people: int) -> None:
    assert too_few_to_clone(people) == (
        f"{people} training speakers: enough to speak in their voices, not enough speakers to clone voices of "
        "strangers, which takes recordings of at least 20 people, better hundreds"
    )


@pytest.mark.parametrize(
    ("speakers", "strangers", "words"),
    [
        (20, 20, "20 speakers never trained on"),
        (12, 0, "12 training speakers"),
        (13, 1, "13 speakers, 1 of them never trained on"),
    ],
)
def test_whose_voices_were_heard(speakers: int, strangers: int, words: str) -> None:
    assert whose(speakers, strangers) == words
