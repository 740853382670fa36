"""The ladder's memory and decisions, without a model: numbers in, rungs out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from myxtts.errors import CheckpointError
from myxtts.training.recovery.state import (
    AGAIN_UPDATES,
    CLEAN_UPDATES,
    FIRST_ROLLBACK,
    GIVE_UP,
    REWARM_UPDATES,
    STRIKES,
    LossWatch,
    Recovery,
    Rollback,
)


def fed(watch: LossWatch, losses: list[float]) -> LossWatch:
    for loss in losses:
        watch.observe(loss)
    return watch


def noisy(mean: float, count: int, spread: float = 0.05) -> list[float]:
    return list(mean + spread * np.random.default_rng(count).normal(size=count))


def climb(recovery: Recovery, update: int, to: int) -> int:
    rung = recovery.next_rung(update)
    if rung < GIVE_UP:
        recovery.roll_back(Rollback(rung, update, to, "a test"), LossWatch())
    return rung


# --- the loss watch


@pytest.mark.parametrize("start", [3.3, 0.4, -1.0])
def test_a_falling_or_noisy_loss_is_no_trouble(start: float) -> None:
    falling = [x + 2.0 * 0.98**i for i, x in enumerate(noisy(start, 400))]
    assert fed(LossWatch(), falling).trouble() == ""
    assert fed(LossWatch(), [*noisy(start, 300), *([100.0] * 5), *noisy(start, 30)]).trouble() == ""


@pytest.mark.parametrize("start", [3.3, 0.4, -1.0])
def test_a_diverging_loss_is_reported_with_its_numbers(start: float) -> None:
    watch = fed(LossWatch(), [*noisy(start, 300), *noisy(start + 3.0, 20)])
    said = watch.trouble()
    assert said.startswith("the loss diverges: ") and "before" in said


def of_two_corpora(share: float, count: int, seed: int) -> list[float]:
    """Losses of small batches where `share` of them are of an easy corpus and the others of a hard one."""
    rng = np.random.default_rng(seed)
    return list(np.where(rng.random(count) < share, 0.4, 1.25) * (1.0 + 0.1 * rng.normal(size=count)))


@pytest.mark.parametrize("share", [0.3, 0.4, 0.5, 0.6, 0.7])
def test_batches_of_an_easy_and_of_a_hard_corpus_are_no_trouble_whatever_their_order(share: float) -> None:
    for seed in range(3):
        watch = LossWatch()
        for update, loss in enumerate(of_two_corpora(share, 4_000, seed), 1):
            watch.observe(loss)
            assert watch.trouble() == "", (share, seed, update)


def test_one_peak_does_not_hide_what_comes_after_it() -> None:
    watch = fed(LossWatch(), [*noisy(1.0, 20), 1e6, *noisy(1.0, 79)])
    assert fed(watch, noisy(20.0, 25)).trouble().startswith("the loss diverges: ")


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_two_diverging_corpora_are_trouble(share: float) -> None:
    grown = [8.0 * loss for loss in of_two_corpora(share, 30, 9)]
    assert fed(LossWatch(), [*of_two_corpora(share, 1_000, 8), *grown]).trouble().startswith("the loss diverges: ")


def test_nothing_is_judged_before_there_is_something_to_compare_with() -> None:
    assert fed(LossWatch(), noisy(1.0, 5) + noisy(50.0, 4)).trouble() == ""


# Losses from the first update on; lr 1.0 without a clip gave 1.2 million at update 16 of a run that began at 2.4.
EXPLOSIONS = {
    "from the sixth on": [2.4, 2.4, 2.3, 2.4, 2.5, *(2.5 * 10.0 ** min(i, 5) for i in range(1, 20))],
    "from the second on": [2.4, *(2.4 * 30.0 ** min(i, 3) for i in range(1, 20))],
    "slowly, to four times the start": [2.4 * min(4.0, 1.0 + 0.15 * i) for i in range(45)],
    "a low start of a fine-tuning": [*[0.45] * 8, *[6.0] * 20],
    "of a negative loss": [*[-1.0] * 8, *[9.0] * 20],
    "and back down to what is far over the start": [2.4, 2.4, 2.4, 2.4, 2.4, *[1e6] * 5, *[1e3] * 20],
}


@pytest.mark.parametrize("kind", EXPLOSIONS)
def test_an_explosion_before_the_first_block_is_full_is_trouble(kind: str) -> None:
    recovery = Recovery(proven=0)
    for update, loss in enumerate(EXPLOSIONS[kind], 1):
        recovery.applied(update, loss, clean=True)
        if recovery.trouble():
            break
    assert update < 50 and "the loss diverges" in recovery.trouble() and "at the start" in recovery.trouble()


@pytest.mark.parametrize("at", [30, 40])
def test_a_rise_within_the_first_block_is_trouble_soon(at: int) -> None:
    for seed in range(4):
        noise = 1.0 + 0.08 * np.random.default_rng(seed).normal(size=75)
        watch, falling = LossWatch(), 1.2 + 1.8 * np.exp(-np.arange(75) / 120)
        losses = (falling * noise * np.where(np.arange(75) < at, 1.0, 3.0)).tolist()
        alarm = next(update for update, loss in enumerate(losses, 1) if fed(watch, [loss]).trouble())
        assert at < alarm <= at + 20, seed


def curves(seed: int) -> dict[str, np.ndarray]:
    """Losses of healthy runs of 600 updates: usual ones, and some that resemble trouble."""
    rng, t = np.random.default_rng(seed), np.arange(600)
    fall = 1.2 + 1.8 * np.exp(-t / 120)
    easy = np.where(rng.random(600) < 0.5, 0.4, 1.0)
    return {
        "usual": fall * (1 + 0.08 * rng.normal(size=600)),
        "batches of one clip": fall * np.exp(0.35 * rng.normal(size=600)),
        "an easy and a hard corpus": 1.4 * fall * easy * (1 + 0.1 * rng.normal(size=600)),
        "an easy corpus first": np.where(t < 8, 0.4, 1.0) * 1.4 * fall * (1 + 0.1 * rng.normal(size=600)),
        "a bump of the warmup": (fall + 1.5 * np.exp(-(((t - 30) / 12) ** 2))) * (1 + 0.08 * rng.normal(size=600)),
        "a critic that joins": (fall + 0.25 * (t > 300)) * (1 + 0.08 * rng.normal(size=600)),
        "a fine-tuning": (0.45 + 0.35 * np.exp(-(((t - 25) / 15) ** 2))) * (1 + 0.15 * rng.normal(size=600)),
        "a fine-tuning on batches of one": 0.5 * np.exp(0.5 * rng.normal(size=600)),
        "restarts of the rate": (fall + 0.2 * ((t % 150) < 40)) * (1 + 0.08 * rng.normal(size=600)),
        "single peaks": np.where(rng.random(600) < 0.03, 40.0, fall * (1 + 0.08 * rng.normal(size=600))),
        "a negative total": fall - 2.5 + 0.1 * rng.normal(size=600),
    }


@pytest.mark.parametrize("kind", curves(0))
def test_healthy_runs_are_no_trouble_at_any_update(kind: str) -> None:
    for seed in range(8):
        watch = LossWatch()
        for update, loss in enumerate(curves(seed)[kind].tolist(), 1):
            watch.observe(loss)
            assert watch.trouble() == "", (seed, update)


# --- trouble


def test_three_skips_in_a_row_are_trouble_and_two_are_not() -> None:
    recovery = Recovery()
    recovery.skip(1)
    recovery.skip(1)
    assert recovery.trouble() == ""
    recovery.applied(1, 3.0, clean=True)
    recovery.skip(2)
    recovery.skip(2)
    assert recovery.trouble() == ""
    recovery.skip(2)
    assert recovery.trouble() == "3 updates in a row were skipped"


def test_more_than_five_percent_of_the_last_200_are_trouble() -> None:
    recovery, update = Recovery(), 0
    for attempt in range(1, 400):
        if attempt % 20 == 0:  # 5% exactly
            recovery.skip(update + 1)
        else:
            update += 1
            recovery.applied(update, 3.0, clean=True)
        assert recovery.trouble() == ""
    recovery.skip(update + 1)
    recovery.applied(update + 1, 3.0, clean=True)
    recovery.skip(update + 2)
    assert recovery.trouble() == "11 of the last 200 updates were skipped"


# --- healthy checkpoints


def test_a_checkpoint_is_healthy_after_100_clean_updates() -> None:
    recovery = Recovery(proven=0)
    for update in range(1, 701):
        recovery.applied(update, 3.0, clean=update != 250)
        if update % 200 == 0:
            recovery.add_candidate(update)
        expected = 400 if update >= 500 else 0
        assert recovery.proven == (600 if update >= 700 else expected), update
    assert recovery.kept() == {600}


def test_a_skip_right_after_a_checkpoint_counts_against_it() -> None:
    recovery = Recovery(proven=0, candidates=[10])
    recovery.skip(11)
    for update in range(11, 11 + CLEAN_UPDATES):
        recovery.applied(update, 3.0, clean=True)
    assert recovery.proven == 0 and recovery.candidates == []


# --- the rungs


def test_the_rungs_in_their_order_with_the_users_recipe() -> None:
    recovery = Recovery(proven=900)
    assert [climb(recovery, u, 900) for u in (1050, 1050, 990, 1200)] == [3, 4, 5, 6]
    assert recovery.rate_factor * 1e-5 == pytest.approx(5e-6)
    assert recovery.clip_factor * 0.3 == pytest.approx(0.1)
    assert recovery.mel_factor * 1.0 == 0.5
    assert recovery.overrides() == "learning rate x 0.5, clip x 0.333, mel weight x 0.5"
    assert climb(recovery, 1000, 900) == GIVE_UP
    assert climb(recovery, 1000, 900) == GIVE_UP, "a run that gave up and is started again has no new tries"


def test_trouble_long_after_a_rollback_starts_at_the_first_rung_given_progress() -> None:
    recovery = Recovery(proven=1000)
    assert climb(recovery, 1100, 1000) == 3
    recovery.proven = 2000
    assert climb(recovery, 1000 + AGAIN_UPDATES + 1, 2000) == 3
    assert climb(recovery, 2000 + AGAIN_UPDATES + 500, 2000) == 4, "nothing later has proved healthy: no progress"
    recovery.proven = 9000
    assert climb(recovery, 9100, 9000) == 3 and recovery.rate_factor == 0.5, "what was lowered stays lowered"


def test_the_lowered_rate_warms_up_again() -> None:
    recovery = Recovery(proven=900)
    assert recovery.rate(901, 1e-5, 3000) == 1e-5
    climb(recovery, 1000, 900)
    assert recovery.rate(901, 1e-5, 3000) == 1e-5
    climb(recovery, 1000, 900)
    assert recovery.rate(901, 1e-5, 3000) == pytest.approx(5e-6 / REWARM_UPDATES)
    assert recovery.rate(900 + REWARM_UPDATES, 1e-5, 3000) == pytest.approx(5e-6)
    assert recovery.rate(5000, 1e-5, 3000) == pytest.approx(5e-6)
    assert recovery.rate(901, 1e-5, 0) == pytest.approx(5e-6), "without a warmup there is no new one"


def test_a_new_warmup_starts_where_a_later_rollback_goes_back_to() -> None:
    """A first rollback past the rise itself: counted from the later update the rate would be that of its first update
    for the whole way there."""
    recovery = Recovery(proven=900)
    climb(recovery, 1000, 900)
    climb(recovery, 1000, 900)
    recovery.proven = 100
    recovery.rollbacks[-1] = Rollback(FIRST_ROLLBACK, 9000, 8000, "long ago")
    assert climb(recovery, 1000 + 8000 + AGAIN_UPDATES, 100) == FIRST_ROLLBACK
    assert recovery.rate(100 + REWARM_UPDATES, 1e-5, 3000) == pytest.approx(5e-6)


def test_a_rollback_forgets_earlier_skips() -> None:
    recovery = Recovery(proven=5)
    for _ in range(3):
        recovery.skip(9)
    climb(recovery, 8, 5)
    assert recovery.trouble() == "" and recovery.proven == 5 and recovery.candidates == []


# --- strikes


def test_three_strikes_in_different_micro_batches_and_no_two_in_one() -> None:
    recovery = Recovery()
    assert recovery.strike(["a", "b"], 7, 3, "why") == []
    assert recovery.strike(["a"], 7, 3, "why") == [], "the same micro-batch again"
    assert recovery.strike(["a"], 9, 4, "why") == []
    assert recovery.strike(["a", "b"], 11, 5, "because") == ["a"]
    assert recovery.quarantine == {"a": {"update": 5, "cause": "because"}}
    assert recovery.strike(["a"], 13, 6, "why") == [] and len(recovery.strikes["a"]) == STRIKES


def test_a_clip_in_as_many_good_micro_batches_as_bad_ones_stays() -> None:
    recovery = Recovery()
    for update in range(1, 10):
        recovery.judge_clips({"a": False, "b": update % 2 == 0, "c": True})
        if update % 2 == 0:
            recovery.strike(["b"], update, update, "why")
        recovery.strike(["c"], update, update, "why")
    assert list(recovery.quarantine) == ["c"], "b was bad in 4 of the 8 micro-batches since its first strike"


def test_the_newest_clips_are_known_in_their_order_also_from_a_checkpoint() -> None:
    recovery = Recovery()
    for number in range(20):
        recovery.judge_clips({f"c{number % 12}": number == 15})
    assert list(recovery.recent) == ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"] and recovery.recent["c3"]
    sorted_state = json.loads(json.dumps(recovery.to_json(), sort_keys=True))
    assert list(Recovery.from_json(sorted_state).recent.items()) == list(recovery.recent.items())


# --- a resume


def test_a_healthy_run_never_rolls_back_past_its_resume() -> None:
    recovery = Recovery(proven=0, candidates=[40, 80])
    recovery.last_trouble = 5
    recovery.resumed(60, [], ill=False)
    assert recovery.proven == 60 and recovery.candidates == [80]


@pytest.mark.parametrize("trouble", ["ill", "skipped", "just back", "diverging"])
def test_a_resume_in_trouble_proves_nothing(trouble: str) -> None:
    recovery = Recovery(proven=0)
    if trouble == "skipped":
        recovery.skip(60)
    elif trouble == "just back":
        climb(recovery, 58, 50)
    elif trouble == "diverging":
        fed(recovery.watch, [2.0] * 20 + [400.0] * 10)
    before = recovery.proven
    recovery.resumed(60, [], ill=trouble == "ill")
    assert recovery.proven == before


def test_settings_changed_by_a_resume_are_suspects_for_a_while() -> None:
    recovery = Recovery(proven=0)
    assert recovery.suspects(10) == ""
    recovery.resumed(60, ["optimizer.learning_rate is 0.3, was 0.001"], ill=False)
    recovery = Recovery.from_json(json.loads(json.dumps(recovery.to_json())))
    recovery.resumed(70, [], ill=False)  # the same command again
    said = recovery.suspects(75)
    assert "resume from update 60" in said and "optimizer.learning_rate is 0.3, was 0.001" in said
    assert recovery.suspects(60 + AGAIN_UPDATES + 1) == ""
    recovery.resumed(80, [f"loss.a{i} is 1.0, was 2.0" for i in range(9)], ill=False)
    assert "loss.a4" in recovery.suspects(81) and "loss.a5" not in recovery.suspects(81)
    assert "and 4 more" in recovery.suspects(81)


# --- in a checkpoint


def test_the_state_goes_through_json_and_back() -> None:
    recovery = Recovery(proven=0)
    for update in range(1, 120):
        recovery.applied(update, 3.0 / update, clean=True)
    recovery.add_candidate(119)
    recovery.skip(120)
    recovery.strike(["a"], 5, 120, "why")
    climb(recovery, 119, 0)
    climb(recovery, 119, 0)
    again = Recovery.from_json(json.loads(json.dumps(recovery.to_json())))
    assert again.to_json() == recovery.to_json()
    assert again.next_rung(100) == 5 and again.rate(1, 1.0, 10) == recovery.rate(1, 1.0, 10)


def test_a_damaged_state_is_an_error() -> None:
    state = Recovery().to_json()
    del state["strikes"]
    with pytest.raises(CheckpointError, match=r"recovery ladder is damaged .*strikes.*use an older checkpoint"):
        Recovery.from_json(state)
