import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myxtts.data.plan import (
    FILL_ROW,
    batches_per_epoch,
    choose_buckets,
    epoch_plan,
    total_updates,
    utterance_seed,
    without,
)


def lengths(count, seed=0):
    random = np.random.default_rng(seed)
    mel = np.clip(random.gamma(3.0, 80.0, count), 30, 1033).astype(np.int64)
    return np.maximum(5, mel // 4 + random.integers(-5, 6, count)), mel


@given(count=st.integers(1, 120), batch_size=st.integers(1, 20), buckets=st.integers(1, 8), epoch=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_every_clip_is_planned_once_in_a_shape_that_fits(count, batch_size, buckets, epoch):
    text, mel = lengths(count, count)
    shapes = choose_buckets(text, mel, buckets)
    assert len(shapes) <= buckets
    plan = epoch_plan(text, mel, shapes, batch_size, seed=3, epoch=epoch)
    rows = [row for batch in plan for row in batch.rows if row >= 0]
    assert sorted(rows) == list(range(count))
    assert len(plan) == batches_per_epoch(count, batch_size)
    assert all(len(batch.rows) == batch_size for batch in plan)
    assert sum(batch.clips < batch_size for batch in plan) <= 1
    for batch in plan:
        held = [row for row in batch.rows if row >= 0]
        assert batch.bucket in shapes
        assert mel[held].max() <= batch.bucket.mel_cap and text[held].max() <= batch.bucket.text_cap


def test_a_plan_depends_on_seed_and_epoch_only():
    text, mel = lengths(200)
    shapes = choose_buckets(text, mel, 6)
    plans = {(s, e): epoch_plan(text, mel, shapes, 16, s, e) for s in (1, 2) for e in (0, 1)}
    assert plans[1, 0] == epoch_plan(text, mel, shapes, 16, 1, 0)
    assert len({tuple(plan) for plan in plans.values()}) == 4
    caps = [batch.bucket.mel_cap for batch in plans[1, 0]]
    assert caps != sorted(caps)


def padding_share(batches, mel_lengths):
    """Share of the frames of an epoch's batches that are padding."""
    frames = sum(batch.bucket.mel_cap * len(batch.rows) for batch in batches)
    return 1.0 - sum(int(mel_lengths[row]) for batch in batches for row in batch.rows if row != FILL_ROW) / frames


def test_shapes_are_few_multiples_of_16_and_leave_little_padding():
    text, mel = lengths(2000)
    shapes = choose_buckets(text, mel, 6)
    assert len(shapes) == 6
    assert all(shape.mel_cap % 16 == 0 and shape.text_cap % 16 == 0 for shape in shapes)
    assert sorted(shapes) == list(shapes)
    assert [shape.text_cap for shape in shapes] == sorted(shape.text_cap for shape in shapes)
    assert padding_share(epoch_plan(text, mel, shapes, 16, 1, 0), mel) < 0.2
    assert padding_share(epoch_plan(text, mel, choose_buckets(text, mel, 1), 16, 1, 0), mel) > 0.5


def test_padding_is_minimal():
    mel = np.array([16] * 50 + [32] * 30 + [160] * 30 + [320] * 5)
    assert [shape.mel_cap for shape in choose_buckets(mel // 4, mel, 3)] == [32, 160, 320]


def test_a_dense_text_takes_the_next_shape():
    mel = np.array([100] * 99 + [100] + [400] * 100)
    text = np.array([20] * 99 + [90] + [100] * 100)
    shapes = choose_buckets(text, mel, 2)
    assert (shapes[0].mel_cap, shapes[0].text_cap) == (112, 32)
    plan = epoch_plan(text, mel, shapes, 10, 1, 0)
    assert next(batch for batch in plan if 99 in batch.rows).bucket.mel_cap == 400


def test_validation_keeps_the_order():
    text, mel = np.full(5, 10), np.full(5, 50)
    shapes = choose_buckets(text, mel, 3)
    plan = epoch_plan(text, mel, shapes, 4, 1, 0, shuffle=False)
    assert [batch.rows for batch in plan] == [(0, 1, 2, 3), (4, -1, -1, -1)]


def test_quarantine_empties_a_row_and_moves_no_other():
    text, mel = np.full(9, 10), np.full(9, 50)
    plan = epoch_plan(text, mel, choose_buckets(text, mel, 3), 4, seed=1, epoch=0)
    assert without(plan, ()) == plan
    found = without(plan, {1, 7})
    for before, after in zip(plan, found, strict=True):
        assert after.bucket == before.bucket
        assert after.rows == tuple(-1 if row in (1, 7) else row for row in before.rows)
    assert sum(batch.clips for batch in found) == 7
    assert all(batch.clips == 0 for batch in without(plan, range(9)))


def test_a_clip_that_fits_no_shape_is_named():
    with pytest.raises(ValueError, match="clip 1 of 10 tokens and 900 frames"):
        epoch_plan(np.array([10, 10]), np.array([50, 900]), choose_buckets(np.array([10]), np.array([50]), 1), 4, 1, 0)


def test_utterance_seeds_differ_and_do_not_depend_on_each_other():
    seeds = {utterance_seed(s, e, r) for s in range(3) for e in range(3) for r in range(50)}
    assert len(seeds) == 450 and all(0 <= seed < 2**31 for seed in seeds)
    assert utterance_seed(1, 2, 3) == utterance_seed(1, 2, 3)


@pytest.mark.parametrize(
    ("max_updates", "epochs", "batches", "accumulation", "updates"),
    [(0, 3, 9, 4, 6), (5, 3, 9, 4, 5), (50, 3, 9, 4, 6), (0, 2, 1, 4, 1), (0, 500, 30, 1, 15_000)],
)
def test_updates_of_a_run(max_updates, epochs, batches, accumulation, updates):
    """By epochs, whose last window may be incomplete, or by a smaller number of updates."""
    assert total_updates(max_updates, epochs, batches, accumulation) == updates


def test_a_floor_of_updates_holds_for_epochs_and_not_for_a_number_of_updates():
    assert total_updates(0, 500, 6, 4, 10_250) == 10_250
    assert total_updates(0, 500, 600, 4, 10_250) == 75_000
    assert total_updates(70, 500, 6, 4, 10_250) == 70
