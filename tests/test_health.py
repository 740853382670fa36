"""Health: each sign on runs whose trouble is known."""

import json
import math
import random

import pytest

from myxtts.errors import CheckpointError
from myxtts.health.signs import BestRule, Verdict
from myxtts.health.tracker import Health
from myxtts.speakers import cloning_note


def validate(health: Health, update: int, value: float) -> None:
    """A validation of a run in which every lower value is a new best."""
    health.observe_validation(update, value, BestRule(0.0, 0.0).updated(health.best, update, value))


def fed(losses: list[float], norm: float = 0.2, wait: float = 0.01) -> Health:
    health = Health()
    noise = random.Random(3)
    for update, loss in enumerate(losses, 1):
        noisy = loss * (1 + 0.05 * (noise.random() - 0.5))
        health.observe(update, loss=noisy, grad_norm=norm, clip_norm=0.3, wait_share=wait)
    return health


def falling(updates: int, start: float = 3.0, end: float = 1.5) -> list[float]:
    return [end + (start - end) * math.exp(-4 * update / updates) for update in range(updates)]


def sentence(verdict: Verdict, name: str) -> str:
    return next(check.sentence for check in verdict.checks if check.name == name)


def test_a_falling_run_is_healthy_without_reasons() -> None:
    verdict = fed(falling(2_050)).verdict()
    assert (verdict.sign, verdict.reasons) == ("healthy", [])
    assert sentence(verdict, "loss falls").startswith("loss falls: 1.")
    assert sentence(verdict, "gradient norm under 1") == "gradient norm 0.2, under 1; 0% of the updates clipped at 0.3"


def test_a_short_run_is_not_judged() -> None:
    verdict = fed([90.0] * 99, norm=50.0, wait=0.9).verdict()
    assert (verdict.sign, verdict.reasons) == ("early", ["too early to judge: 99 of 100 updates"])
    assert Health().verdict().sign == "early"
    verdict = fed(falling(120)).verdict()
    assert verdict.sign == "early" and verdict.reasons == ["loss trend: too early to judge: 120 of 150 updates"]
    assert all(check.sign != "healthy" for check in verdict.checks if "too early" in check.sentence)
    assert fed(falling(160)).verdict().sign == "healthy"
    assert fed([90.0] * 100).verdict().sign == "ill"


@pytest.mark.parametrize("first", [[2.4] * 8, [2.4], [0.45] * 8, [-1.0] * 8])
def test_a_loss_ten_times_the_first_is_ill_at_once(first: list[float]) -> None:
    health = Health()
    for update, loss in enumerate([*first, 60.0], 1):
        assert health.verdict().sign == "early"
        health.observe(update, loss=loss, grad_norm=0.2)
    for state in (health, Health.from_json(json.loads(json.dumps(health.to_json())))):
        verdict = state.verdict()
        assert verdict.sign == "ill" and "loss 60" in verdict.reasons[0] and "learning_rate" in verdict.reasons[0]


def test_an_explosion_is_ill_until_it_is_over() -> None:
    losses = [*[2.4] * 5, *[1e6] * 5, *[300.0] * 300]
    health, signs = Health(), []
    for update, loss in enumerate(losses, 1):
        health.observe(update, loss=loss, grad_norm=0.2)
        signs.append(health.verdict().sign)
    assert set(signs[:5]) == {"early"} and set(signs[5:]) == {"ill"}


@pytest.mark.parametrize("seed", range(4))
def test_noise_of_small_batches_does_not_explode(seed: int) -> None:
    noise, health = random.Random(seed), Health()
    for update in range(1, 400):
        loss = (1.0 + 2.0 * math.exp(-update / 100)) * math.exp(0.4 * noise.gauss(0.0, 1.0))
        health.observe(update, loss=loss, grad_norm=0.2, wait_share=0.0)
        assert health.verdict().sign != "ill", update


def test_a_rising_loss_is_watched_and_a_diverging_one_ill() -> None:
    rising = fed([1.0 + 0.0002 * update for update in range(1_000)]).verdict()
    assert rising.sign == "watch"
    assert "loss rises: 1." in rising.reasons[0] and "halve optimizer.learning_rate" in rising.reasons[0]
    diverging = fed(falling(1_000) + [1.5 + 0.01 * update for update in range(200)]).verdict()
    assert diverging.sign == "ill"
    assert "far above its lowest, 1.5" in diverging.reasons[0]


def of_two_corpora(falling_to: float, updates: int, seed: int) -> list[float]:
    """Losses of small batches, half of each epoch's 142 of an easy corpus, the others of a hard one, both falling."""
    chance, epoch, drawn = random.Random(seed), [0.45] * 71 + [1.35] * 71, []
    while len(drawn) < updates:
        drawn += chance.sample(epoch, len(epoch))
    return [loss * size for loss, size in zip(falling(updates, 1.0, falling_to), drawn, strict=False)]


@pytest.mark.parametrize("seed", range(5))
def test_batches_of_an_easy_and_of_a_hard_corpus_are_no_plateau_and_no_divergence(seed: int) -> None:
    """A median jumps from the one to the other by a few batches; on such a run it said that the loss stands still."""
    health, said = Health(), set()
    for update, loss in enumerate(of_two_corpora(0.6, 2_000, seed), 1):
        health.observe(update, loss=loss, grad_norm=0.2)
        if update % 25 == 0:
            said.add(sentence(health.verdict(), "loss falls").split(":")[0])
    assert said == {"loss trend", "loss falls"}


def test_single_peaks_of_the_loss_do_not_count() -> None:
    losses = falling(1_000)
    for peak in range(905, 1_000, 12):
        losses[peak] = 500.0
    assert fed(losses).verdict().sign == "healthy"


def test_skips_that_a_rollback_goes_back_past_are_remembered() -> None:
    then, later = fed(falling(300)), fed(falling(300))
    for update in (301, 302):
        later.observe(update, loss=None, grad_norm=None, skipped=True)
    then.carry_over(later)
    check = next(check for check in then.verdict().checks if check.name == "no skipped update")
    assert check.sign == "watch" and "2" in check.sentence


def test_a_plateau_names_the_level_against_it() -> None:
    verdict = fed([2.0] * 1_000).verdict()
    assert verdict.sign == "watch"
    assert "stands still" in verdict.reasons[0] and "plateau_breaker" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("start", "end", "sign", "words"),
    [(20.0, 8.0, "watch", "it falls, so give it time"), (1.0, 0.1, "watch", "under 0.5")],
)
def test_loss_outside_its_range(start: float, end: float, sign: str, words: str) -> None:
    verdict = fed(falling(1_000, start, end)).verdict()
    assert verdict.sign == sign
    assert words in verdict.reasons[0]


def test_a_high_loss_that_does_not_fall_is_ill() -> None:
    verdict = fed([8.0] * 1_000).verdict()
    assert verdict.sign == "ill"
    assert "is over 5; check the data" in verdict.reasons[0]


@pytest.mark.parametrize(("norm", "sign"), [(0.99, "healthy"), (1.0, "watch"), (12.0, "ill")])
def test_gradient_norm(norm: float, sign: str) -> None:
    assert fed(falling(1_500), norm=norm).verdict().sign == sign


def test_a_norm_that_a_run_begins_with_is_given_time() -> None:
    """At level basic on recordings the norm began at 12 and was under 1 from update 800 on."""
    health = fed(falling(300), norm=12.0)
    assert health.verdict().sign == "watch"
    assert "gradient norm 12 is not under 1, began at 12; give it time" in sentence(
        health.verdict(), "gradient norm under 1"
    )
    again = Health.from_json(health.to_json())
    for update in range(301, 402):
        again.observe(update, loss=1.5, grad_norm=15.0)
    assert again.verdict().sign == "ill", "it rises"


def test_single_peaks_of_the_norm_do_not_count() -> None:
    health = fed(falling(500))
    for update in range(501, 541):
        health.observe(update, loss=1.5, grad_norm=300.0)
    check = next(check for check in health.verdict().checks if check.name == "gradient norm under 1")
    assert check.sign == "healthy" and "40% of the updates clipped" in check.sentence


def test_waiting_for_data() -> None:
    verdict = fed(falling(500), wait=0.37).verdict()
    assert verdict.sign == "watch"
    assert verdict.reasons[0].startswith("37% of the time waits for data")


def test_one_skip_is_watched_and_forgotten_after_a_thousand_updates() -> None:
    health = fed(falling(2_000))
    health.observe(2_001, loss=math.nan, grad_norm=math.inf, skipped=True)
    verdict = health.verdict()
    assert verdict.sign == "watch"
    assert verdict.reasons == ["1 update skipped, the last at 2,001; events.jsonl names the clips"]
    for update in range(2_002, 3_002):
        health.observe(update, loss=1.5 - update * 1e-5, grad_norm=0.2)
    assert "no update skipped in the last 1,000 (1 before)" in [c.sentence for c in health.verdict().checks]


def test_three_skips_in_a_row_and_many_skips_are_ill() -> None:
    health = fed(falling(500))
    for update in (501, 502, 503):
        health.observe(update, loss=None, grad_norm=None, skipped=True)
    assert health.verdict().sign == "ill"
    health = fed(falling(500))
    for update in range(501, 701):
        health.observe(update, loss=1.5, grad_norm=0.2, skipped=update % 15 == 0)
    assert any("13 updates skipped" in reason for reason in health.verdict().reasons)
    assert health.verdict().sign == "ill"


def test_skips_before_the_hundredth_update_are_reported() -> None:
    health = Health()
    health.observe(1, loss=None, grad_norm=None, skipped=True)
    assert health.verdict().sign == "watch"


def test_nan_that_was_not_skipped_is_ill_at_once() -> None:
    health = Health()
    health.observe(1, loss=math.nan, grad_norm=0.1)
    verdict = health.verdict()
    assert verdict.sign == "ill" and verdict.reasons[0].startswith("NaN or Inf at update 1;")


def test_validation_may_rise_briefly_but_not_for_long() -> None:
    health = fed(falling(2_000))
    for number, value in enumerate([1.0, 0.8, 0.9, 0.9, 0.9, 0.9]):
        validate(health, 500 * number, value)
    assert health.verdict().sign == "healthy"
    validate(health, 3_000, 0.9)
    verdict = health.verdict()
    assert verdict.reasons == [
        "validation 0.9, best 0.8 at update 500, 5 validations ago; take the best checkpoint or add data"
    ]


def test_a_low_loss_is_overfitting_unless_the_validation_loss_is_as_low() -> None:
    health = fed([1.0 - 0.6 * i / 999 for i in range(1_000)])
    assert health.verdict().reasons == ["loss 0.429 is under 0.5; compare it with the validation: it may overfit"]
    health.observe_total(900, math.nan)
    assert health.verdict().sign == "watch"
    health.observe_total(1_000, 0.5)
    for state in (health, Health.from_json(json.loads(json.dumps(health.to_json())))):
        assert state.verdict().sign == "healthy"
        assert "loss 0.429, under 0.5, and the validation's is near it: 0.5 at update 1,000" in [
            check.sentence for check in state.verdict().checks
        ]
    health.observe_total(1_100, 0.6)
    assert health.verdict().reasons == [
        "loss 0.429, on validation 0.6 at update 1,100: it overfits; take the best checkpoint, "
        "add data or raise model.dropout"
    ]


def test_the_best_of_another_metric_is_forgotten() -> None:
    health = fed(falling(2_000))
    for number, value in enumerate([0.2] + 12 * [0.3]):
        if number == 1:
            health.forget_best()
        validate(health, 500 * number, value)
    for state in (health, Health.from_json(health.to_json())):
        assert not any("0.2" in reason for reason in state.verdict().reasons)


def test_poor_speaker_verification_is_watched_from_the_third_validation_on() -> None:
    health = fed(falling(2_000))
    health.set_people(3)
    assert not any(check.name == "speaker verification" for check in health.verdict().checks)
    for update in (500, 1_000):
        health.observe_voices(update, 0.45, same=0.9, other=0.88)
        assert health.verdict().sign == "healthy"
    health.observe_voices(1_500, math.nan)
    health = Health.from_json(json.loads(json.dumps(health.to_json())))
    health.observe_voices(2_000, 0.41, same=0.914, other=0.87)
    figures = (
        "equal error rate 41% (0% separates all speakers, 50% is chance), mean cosine of the same speaker 0.91, "
        "of others 0.87"
    )
    health = Health.from_json(json.loads(json.dumps(health.to_json())))
    verdict = health.verdict()
    assert (verdict.sign, verdict.reasons) == (
        "watch",
        [f"not enough speakers to clone, 3 of at least 20: {figures}; add recordings of more people"],
    )
    health.observe_voices(2_500, 0.2)
    assert health.verdict().sign == "healthy"


def test_with_enough_speakers_poor_verification_needs_more_training() -> None:
    """247 readers at level basic in the middle of the warmup: more people would change nothing."""
    health = fed(falling(2_000))
    health.set_people(247)
    for update in (500, 1_000, 1_500):
        health.observe_voices(update, 0.41, same=0.99, other=0.985)
    (reason,) = health.verdict().reasons
    assert reason.startswith("the encoder does not separate speakers yet: equal error rate 41%")
    assert "same speaker 0.99, of others 0.98; continue training; if it stays so" in reason
    assert "more people" not in reason and "not enough" not in reason
    assert sentence(health.verdict(), "speakers") == "247 training speakers; cloning unseen speakers takes 20"


@pytest.mark.parametrize(("of", "words"), [((20, 20), "20 speakers never trained on"), ((5, 0), "5 training speakers")])
def test_the_equal_error_rate_names_its_speakers(of: tuple[int, int], words: str) -> None:
    health = fed(falling(300))
    health.observe_voices(100, 0.2, of=of)
    verdict = Health.from_json(json.loads(json.dumps(health.to_json()))).verdict()
    assert sentence(verdict, "speaker verification") == (
        f"equal error rate of {words} 20% (0% separates all speakers, 50% is chance)"
    )


def test_few_speakers_are_noted_however_well_they_are_verified() -> None:
    for people in (1, 3):
        health = fed(falling(2_000))
        health.set_people(people)
        if people > 1:
            for update in (500, 1_000, 1_500):
                health.observe_voices(update, 0.0, same=0.99, other=0.1)
        verdict = Health.from_json(json.loads(json.dumps(health.to_json()))).verdict()
        assert (verdict.sign, verdict.reasons) == ("healthy", []), "a note, no illness"
        assert sentence(verdict, "speakers") == cloning_note(people)


def test_unknown_speakers_get_both_pieces_of_advice() -> None:
    health = fed(falling(2_000))
    for update in (500, 1_000, 1_500):
        health.observe_voices(update, 0.41)
    (reason,) = health.verdict().reasons
    assert reason == (
        "speaker verification fails: equal error rate 41% (0% separates all speakers, 50% is chance); continue "
        "training, or add recordings of more people if there are fewer than 20"
    )


def test_the_training_speakers_are_kept_by_a_rollback() -> None:
    earlier, now = fed(falling(300)), fed(falling(400))
    now.set_people(1)
    earlier.carry_over(now)
    assert sentence(earlier.verdict(), "speakers") == cloning_note(1)


def test_the_worst_reason_comes_first() -> None:
    verdict = fed([8.0] * 500, norm=1.5, wait=0.5).verdict()
    assert verdict.sign == "ill" and "over 5" in verdict.reasons[0] and len(verdict.reasons) == 4


def test_a_restored_state_continues_equally() -> None:
    losses = falling(3_333)
    whole, first = fed(losses), fed(losses)
    validate(whole, 3_000, 0.7)
    validate(first, 3_000, 0.7)
    whole.observe_total(3_000, 0.9)
    first.observe_total(3_000, 0.9)
    second = Health.from_json(json.loads(json.dumps(first.to_json(), allow_nan=False)))
    for health in (whole, second):
        for update in range(3_334, 3_900):
            health.observe(update, loss=1.4, grad_norm=0.2, skipped=update == 3_500, wait_share=0.1)
    assert whole.verdict() == second.verdict()
    assert whole.to_json() == second.to_json()


def test_memory_is_constant() -> None:
    sizes = [len(json.dumps(fed(falling(updates)).to_json())) for updates in (8_000, 64_000)]
    assert sizes[1] < 1.3 * sizes[0]


@pytest.mark.parametrize("damage", [{"losses": None}, {"blocks": [[1]]}, {"update": "x"}, {"best": 3}, {"stride": 0}])
def test_a_damaged_state_is_named(damage: dict[str, object]) -> None:
    state = fed(falling(300)).to_json() | damage
    with pytest.raises(CheckpointError, match="health state of the checkpoint"):
        Health.from_json(state)
