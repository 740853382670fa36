from collections import Counter

import numpy as np
import pytest

from myxtts.data.references import LISTED_CLIPS, MOST_EXCERPTS, References

SPEAKERS = ["bob", "eve", "bob", "bob", "ann"]
FRAMES = np.array([300, 200, 20, 500, 90])
LEAST, MOST = 64, 128


def made(segment=0, speakers=SPEAKERS, frames=FRAMES):
    return References(speakers, frames, LEAST, MOST, segment)


def drawn(segment=0, epochs=80):
    references = made(segment)
    return {(row, epoch): references.choose(row, 7, epoch) for row in range(5) for epoch in range(epochs)}


def test_excerpts_are_of_other_clips_of_the_speaker():
    for (row, _), choice in drawn().items():
        assert 1 <= choice.frames <= MOST
        for piece in choice.reference:
            assert SPEAKERS[piece.row] == SPEAKERS[row]
            assert piece.start >= 0 and piece.frames > 0 and piece.start + piece.frames <= FRAMES[piece.row]
            assert (piece.row != row) == (SPEAKERS[row] == "bob")
        if SPEAKERS[row] == "bob":
            assert choice.frames >= LEAST and choice.target.start == 0 and choice.target.frames == FRAMES[row]
            assert len({piece.row for piece in choice.reference}) == len(choice.reference)


def test_short_clips_are_combined_to_a_reference():
    short = made(speakers=["bob"] * 30, frames=np.full(30, 12))
    for epoch in range(20):
        choice = short.choose(3, 7, epoch)
        # all are so short that each is used completely, until the drawn length is reached
        pieces = [piece.frames for piece in choice.reference]
        assert len(pieces) <= MOST_EXCERPTS and pieces[:-1] == [12] * (len(pieces) - 1) and 1 <= pieces[-1] <= 12
        assert LEAST <= choice.frames <= 12 * MOST_EXCERPTS
        assert 3 not in {piece.row for piece in choice.reference}


def test_a_speakers_only_clip_gives_reference_and_target_from_different_parts():
    for segment in (0, 60):
        seen = {"reference first": 0, "target first": 0}
        covered = np.zeros(FRAMES[1], bool)
        for (row, _), choice in drawn(segment).items():
            if row != 1:
                continue
            (piece,), target = choice.reference, choice.target
            assert piece.row == target.row == 1 and piece.frames <= FRAMES[1] // 2 + (segment > 0) * FRAMES[1]
            assert target.frames == (60 if segment else FRAMES[1] - piece.frames)
            for part in (piece, target):
                assert part.start >= 0 and part.start + part.frames <= FRAMES[1]
            before = piece.start + piece.frames <= target.start
            assert before or target.start + target.frames <= piece.start
            seen["reference first" if before else "target first"] += 1
            covered[target.start : target.start + target.frames] = True
        assert min(seen.values()) > 20 and covered.all()


@pytest.mark.parametrize("segment", [0, 250, 300])
@pytest.mark.parametrize("frames", [300, 600, 900, 2_000])
def test_reference_and_target_of_one_clip_come_in_both_orders_alike(frames, segment):
    """Also if both have the same length: the drawn order decides, not the lengths."""
    references = References(["eve"], np.array([frames]), 258, 861, segment)
    choices = [references.choose(0, 7, epoch) for epoch in range(400)]
    target_first = sum(choice.target.start < choice.reference[0].start for choice in choices)
    assert 160 <= target_first <= 240
    if frames == 600 and not segment:
        assert sum(choice.target.frames == choice.frames for choice in choices) > 200, "the case of equal halves"


def test_a_segment_may_be_anywhere_in_the_clip():
    for (row, _), choice in drawn(60).items():
        # half of a speaker's only clip is for the reference
        limit = FRAMES[row] if SPEAKERS[row] == "bob" else -(-FRAMES[row] // 2)
        assert choice.target.row == row and choice.target.frames == min(60, limit)
    starts = {choice.target.start for (row, _), choice in drawn(60).items() if row == 0}
    assert len(starts) > 40 and max(starts) <= 240
    assert {c.target.frames for (row, _), c in drawn(60).items() if row == 2} == {20}


def test_all_other_clips_are_drawn_and_positions_and_lengths_vary():
    of_first = [choice for (row, _), choice in drawn().items() if row == 0]
    assert {piece.row for choice in of_first for piece in choice.reference} == {2, 3}
    assert len({(choice.reference[0].start, choice.frames) for choice in of_first}) > 20


def test_a_draw_depends_on_its_row_only():
    assert made().choose(3, 7, 5) == drawn()[3, 5]
    assert made(speakers=["eve"], frames=np.array([1])).choose(0, 1, 1).frames == 1


def test_references_of_a_speaker_with_many_clips_are_drawn_alike():
    """Beyond LISTED_CLIPS nothing is listed; the draws keep every property."""
    clips = LISTED_CLIPS + 1
    many = References(["bob"] * clips, np.full(clips, 30), LEAST, MOST)
    seen = Counter()
    for epoch in range(800):
        choice = many.choose(3, 7, epoch, avoid={5, 6})
        rows = [piece.row for piece in choice.reference]
        assert len(set(rows)) == len(rows) <= MOST_EXCERPTS and not {3, 5, 6} & set(rows)
        assert LEAST <= choice.frames <= MOST and choice.target.row == 3
        seen.update(rows)
    assert len(seen) == clips - 3 and max(seen.values()) < 30, "no clip is preferred"
    assert many.choose(3, 7, 11) == many.choose(3, 7, 11) != many.choose(3, 7, 12)


def test_a_speaker_with_many_clips_of_which_nearly_all_are_in_quarantine():
    clips = 4 * LISTED_CLIPS
    many = References(["bob"] * clips, np.full(clips, 30), LEAST, MOST)
    left = set(range(clips)) - {10, 20}
    found = [{piece.row for piece in many.choose(3, 7, epoch, avoid=left).reference} for epoch in range(20)]
    assert all(rows == {10, 20} for rows in found)
    alone = many.choose(3, 7, 1, avoid=left | {10, 20})
    assert [piece.row for piece in alone.reference] == [3]


def test_the_time_for_a_reference_does_not_grow_with_the_speaker():
    """By the clips that are looked at, not by a clock."""
    looked = []

    class Watched(frozenset):
        def __contains__(self, row):
            looked.append(row)
            return False

    References(["bob"] * 50_000, np.full(50_000, 30), LEAST, MOST).choose(3, 7, 1, avoid=Watched())
    assert 0 < len(looked) <= MOST_EXCERPTS + 2


def test_a_quarantined_clip_is_no_reference():
    references = made()
    rows = {piece.row for epoch in range(40) for piece in references.choose(0, 7, epoch, avoid={2}).reference}
    assert rows == {3}
    alone = references.choose(0, 7, 1, avoid={2, 3})
    assert alone.reference[0].row == 0 and alone.frames <= FRAMES[0] // 2
