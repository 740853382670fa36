from pathlib import Path

import pytest

from myxtts.data.records import Utterance
from myxtts.data.split import drawn, hold_out_speakers, split_validation
from myxtts.errors import DataError


def clips(**counts):
    return [
        Utterance(f"{speaker}{i}", Path("x.wav"), "x", speaker, "en-us", "m:1")
        for speaker, count in counts.items()
        for i in range(count)
    ]


def test_every_speaker_with_two_clips_is_in_it_and_nothing_is_lost():
    utterances = clips(bob=100, eve=2, ann=1, joe=30)
    train, held = split_validation(utterances, 0.05)
    assert {u.id for u in train}.isdisjoint(u.id for u in held)
    assert len(train) + len(held) == len(utterances)
    counts = {name: sum(u.speaker == name for u in held) for name in ("bob", "eve", "ann", "joe")}
    assert counts == {"bob": 5, "eve": 1, "ann": 0, "joe": 2}


def test_the_same_for_every_order_and_process():
    utterances = clips(bob=40)
    held = {u.id for u in split_validation(utterances, 0.1)[1]}
    assert {u.id for u in split_validation(utterances[::-1], 0.1)[1]} == held
    assert held == {"bob13", "bob14", "bob15", "bob36"}


def test_speakers_of_one_clip_each_still_give_a_share():
    train, held = split_validation(clips(**{f"s{i}x": 1 for i in range(40)}), 0.05)
    assert (len(train), len(held)) == (38, 2)


def test_a_large_share_is_cut_evenly_over_the_speakers():
    utterances = clips(bob=1_000, eve=40, ann=1_000, joe=2)
    share = {u.id for u in split_validation(utterances, 0.1)[1]}
    train, held = split_validation(utterances, 0.1, most=20)
    counts = {name: sum(u.speaker == name for u in held) for name in ("bob", "eve", "ann", "joe")}
    assert counts["joe"] == 1 and counts["eve"] == 4 and {counts["bob"], counts["ann"]} == {7, 8}
    assert {u.id for u in held} < share and len(train) == len(utterances) - 20
    assert split_validation(utterances[::-1], 0.1, most=20)[1] == held[::-1]
    assert drawn(utterances, 3_000) == {u.id for u in utterances}


def test_one_clip_serves_as_both():
    train, held = split_validation(clips(bob=1), 0.05)
    assert train == held and len(train) == 1


def test_the_last_speaker_of_a_language_is_not_held_out():
    people = [("ann", "en-us"), ("bob", "en-us"), ("eve", "en-us"), ("zoe", "fa"), ("max", "de"), ("tom", "de")]
    spoken = [
        Utterance(f"{name}{i}", Path(f"{name}{i}.wav"), "Say.", name, code, "m:1")
        for name, code in people
        for i in (1, 2)
    ]
    for count in (1, 2, 3):
        out = hold_out_speakers(spoken, count)
        assert len(out) == count and "zoe" not in out
        assert {u.language for u in spoken if u.speaker not in out} == {"en-us", "fa", "de"}
        assert out == hold_out_speakers(spoken[::-1], count)
    with pytest.raises(DataError, match="is 4, and the training data has 6 speakers in 3 languages"):
        hold_out_speakers(spoken, 4)
