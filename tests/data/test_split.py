from pathlib import Path

from myxtts.data.records import Utterance
from myxtts.data.split import split_validation


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


def test_one_clip_serves_as_both():
    train, held = split_validation(clips(bob=1), 0.05)
    assert train == held and len(train) == 1
