import numpy as np

from myxtts.data.references import References

SPEAKERS = ["bob", "eve", "bob", "bob", "ann"]
FRAMES = np.array([300, 200, 20, 500, 90])


def drawn(most=128, epochs=60):
    references = References(SPEAKERS, FRAMES, most)
    return {(row, epoch): references.choose(row, 7, epoch) for row in range(5) for epoch in range(epochs)}


def test_another_clip_of_the_same_speaker_inside_its_frames():
    for (row, _), reference in drawn().items():
        assert SPEAKERS[reference.row] == SPEAKERS[row]
        assert 1 <= reference.frames <= 128
        assert reference.start >= 0 and reference.start + reference.frames <= FRAMES[reference.row]
        if SPEAKERS[row] == "bob":
            assert reference.row != row
        else:
            assert reference.row == row and reference.frames <= FRAMES[row] // 2


def test_all_others_are_drawn_and_places_and_lengths_vary():
    of_first = [reference for (row, _), reference in drawn().items() if row == 0]
    assert {reference.row for reference in of_first} == {2, 3}
    assert len({(reference.start, reference.frames) for reference in of_first}) > 20


def test_a_draw_depends_on_its_own_row_alone():
    references = References(SPEAKERS, FRAMES, 128)
    assert references.choose(3, 7, 5) == drawn()[3, 5]
    assert References(["eve"], np.array([1]), 128).choose(0, 1, 1).frames == 1


def test_a_clip_in_quarantine_is_nobodys_reference():
    references = References(SPEAKERS, FRAMES, 128)
    drawn_now = [references.choose(0, 7, epoch, avoid={2}) for epoch in range(40)]
    assert {reference.row for reference in drawn_now} == {3}
    alone = references.choose(0, 7, 1, avoid={2, 3})
    assert alone.row == 0 and alone.frames <= FRAMES[0] // 2
