"""Counting training speakers, and whether they are enough to clone unseen voices."""

from __future__ import annotations

import pytest

from myxtts.speakers import ENOUGH_SPEAKERS, cloning_note, count_speakers, describe_speakers


def test_copies_of_a_voice_count_once() -> None:
    assert count_speakers(["ann", "ann@0.9", "ann@1.1", "bob", "bob@0.9"]) == 2
    assert count_speakers([]) == 0


@pytest.mark.parametrize("speakers", [ENOUGH_SPEAKERS, 247])
def test_enough_speakers_need_no_note(speakers: int) -> None:
    assert cloning_note(speakers) == ""


def test_one_voice_is_no_fault() -> None:
    note = cloning_note(1)
    assert note.startswith("1 training speaker: ") and "this one voice" in note and "at least 20 speakers" in note


@pytest.mark.parametrize("speakers", [2, ENOUGH_SPEAKERS - 1])
def test_few_speakers_cannot_clone_unseen_voices(speakers: int) -> None:
    note = cloning_note(speakers)
    assert note.startswith(
        f"{speakers} training speakers: enough to speak in their voices, not enough speakers to clone"
    )
    assert "at least 20 speakers" in note


@pytest.mark.parametrize(
    ("speakers", "unseen", "words"),
    [
        (20, 20, "20 speakers never trained on"),
        (12, 0, "12 training speakers"),
        (13, 1, "13 speakers, 1 of them never trained on"),
    ],
)
def test_speakers_are_described(speakers: int, unseen: int, words: str) -> None:
    assert describe_speakers(speakers, unseen) == words
