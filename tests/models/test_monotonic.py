"""Monotonic alignment search against all paths there are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myxtts.models.monotonic import search


def all_durations(tokens: int, frames: int, skippable: list[int]) -> list[tuple[int, ...]]:
    """Every way to share the frames among the tokens in order."""
    lowest = [0 if skip else 1 for skip in skippable]
    ranges = [range(low, frames + 1) for low in lowest]
    return [d for d in itertools.product(*ranges) if sum(d) == frames]


def value_of(durations: tuple[int, ...], score_TM: np.ndarray) -> float:
    owner = np.repeat(np.arange(len(durations)), durations)
    return float(score_TM[owner, np.arange(score_TM.shape[1])].sum())


def found(score_TM: np.ndarray, skippable: list[int]) -> tuple[int, ...]:
    tokens, frames = score_TM.shape
    result = search(
        score_TM[None].astype(np.float32),
        np.array([tokens], np.int32),
        np.array([frames], np.int32),
        np.array([skippable], np.int32),
    )
    assert result.dtype == np.int32 and result.shape == (1, tokens)
    return tuple(result[0].tolist())


def pattern(tokens: int, first: int) -> list[int]:
    return [(i + first) % 2 for i in range(tokens)]


CASES = {
    "one token": [0],
    "one blank": [1],
    "two sounds": [0, 0],
    "blanks at both ends": [1, 0, 1, 0, 1],
    "blanks between": [0, 1, 0, 1, 0],
    "no blanks": [0, 0, 0, 0],
    "a blank first": [1, 0, 0],
    "a blank last": [0, 0, 1],
}


@pytest.mark.parametrize("skippable", CASES.values(), ids=CASES)
def test_the_best_of_all_paths(skippable: list[int]) -> None:
    tokens = len(skippable)
    for frames, seed in itertools.product([1, 2, 3, 4, 6], range(5)):
        possible = all_durations(tokens, frames, skippable)
        if possible:
            score = np.random.default_rng([seed, frames, tokens]).normal(size=(tokens, frames))
            assert found(score, skippable) == max(possible, key=lambda d: value_of(d, score))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 1), st.integers(0, 4), st.integers(0, 10_000))
def test_the_best_value_also_where_paths_are_equal(tokens: int, first: int, more: int, seed: int) -> None:
    skippable = pattern(tokens, first)
    frames = max(1, tokens - sum(skippable)) + more
    score = np.random.default_rng(seed).integers(-2, 3, size=(tokens, frames)).astype(np.float32)
    durations = found(score, skippable)
    possible = all_durations(tokens, frames, skippable)
    assert durations in possible
    assert value_of(durations, score) == max(value_of(d, score) for d in possible)


def test_as_many_tokens_as_frames_is_the_diagonal() -> None:
    assert found(np.random.default_rng(0).normal(size=(5, 5)), [0] * 5) == (1, 1, 1, 1, 1)


def test_rows_of_a_batch_do_not_mix() -> None:
    rng = np.random.default_rng(1)
    score = rng.normal(size=(3, 5, 9)).astype(np.float32)
    skippable = np.array([pattern(5, 1)] * 3, np.int32)
    lengths, frames = np.array([5, 3, 1], np.int32), np.array([9, 6, 4], np.int32)
    together = search(score, lengths, frames, skippable)
    for b in range(3):
        t, m = lengths[b], frames[b]
        assert tuple(together[b, :t]) == found(score[b, :t, :m], skippable[b, :t].tolist())
        assert not together[b, t:].any() and together[b].sum() == m


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["everywhere", "one frame", "one token", "one value"])
def test_scores_that_are_not_finite_neither_crash_nor_hang(bad: float, where: str) -> None:
    score = np.random.default_rng(2).normal(size=(5, 8)).astype(np.float32)
    place = {"everywhere": np.s_[:, :], "one frame": np.s_[:, 3], "one token": np.s_[2], "one value": np.s_[1, 1]}
    score[place[where]] = bad
    durations = found(score, [1, 0, 1, 0, 1])
    assert sum(durations) == 8 and min(durations) >= 0


def test_more_sounds_than_frames_neither_crash_nor_hang() -> None:
    durations = found(np.zeros((6, 3), np.float32), [0] * 6)
    assert sum(durations) == 3 and min(durations) >= 0


def test_long_sequences_with_the_strong_prior_stay_exact() -> None:
    """fp32 sums over 3,000 frames: a diagonal worth thousands must not drown the choice of a frame."""
    frames, tokens = 3_000, 301
    owner = np.minimum(np.arange(frames) * tokens // frames, tokens - 1)
    score = np.full((tokens, frames), -40.0, np.float32)
    score[owner, np.arange(frames)] = -1.0
    durations = np.array(found(score, [0] * tokens))
    np.testing.assert_array_equal(durations, np.bincount(owner, minlength=tokens))
