"""The guarded step with Muon, learned weights and dropout, in fp16 with its loss scale, and with a critic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_step import assert_learns

from myxtts.loss_terms import ADVERSARIAL_TERMS, TERMS
from myxtts.training.step import DETECTOR_SIZE

# --- the other switches


def test_the_other_switches_learn_too(rich: Any) -> None:
    losses = []
    for _ in range(12):
        losses.append(float(rich.micro().total_B.mean()))
        assert rich.update(1e-2).applied
    assert losses[-1] < losses[0]
    assert all(np.isfinite(value).all() for value in rich.values().values())


def test_learned_weights_change_and_are_part_of_what_is_saved(rich: Any) -> None:
    learned = [term for term in TERMS if term not in ADVERSARIAL_TERMS]
    paths = [v.path for v in rich.step.adaptive.trainable_variables]
    assert paths == [f"adaptive_weights/{t}_log_variance" for t in learned], "no weight is learned for the game"
    before = {t: float(v.numpy()) for t, v in rich.step.adaptive.log_variance.items()}
    for _ in range(3):
        rich.run()
    moved = {t for t, v in rich.step.adaptive.log_variance.items() if float(v.numpy()) != before[t]}
    assert moved == set(learned)
    assert "adaptive_weights" in rich.step.groups


@pytest.mark.parametrize("term", ["mel", "kl"])
def test_a_skipped_update_changes_nothing_with_muon_and_learned_weights(rich: Any, term: str) -> None:
    rich.run()
    before = rich.bytes()
    assert not rich.run(term_fault={term: np.nan}).applied
    assert rich.bytes() == before
    assert_learns(rich)


def test_dropout_depends_on_the_micro_batch_number_only(rich: Any) -> None:
    first = rich.micro().total_B
    rich.calls -= 1
    np.testing.assert_array_equal(rich.micro().total_B, first)
    assert np.abs(rich.micro().total_B - first).max() > 1e-6


def test_a_term_of_weight_zero_has_no_learned_weight() -> None:
    from myxtts.config.schema import LossConfig
    from myxtts.training.losses import weights_of

    weights = weights_of(LossConfig(pitch_weight=0.0))
    assert weights["pitch"] == 0.0 and all(w > 0 for t, w in weights.items() if t != "pitch")


# --- fp16


def test_the_loss_scale_halves_on_an_overflow_and_recovers(half: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scale = half.step.loss_scale
    assert float(scale.value) == 2.0**13
    assert half.run().applied and float(scale.value) == 2.0**13
    before = half.bytes()
    assert not half.run(group_fault={"decoder": np.inf}).applied
    assert float(scale.value) == 2.0**12 and half.bytes() == before
    half.micro(term_fault={"mel": np.nan})
    half.micro()
    assert half.update().applied and float(scale.value) == 2.0**12, "a bad loss is no overflow"
    half.micro(group_fault={"decoder": np.inf})
    half.micro()
    assert half.update().applied and float(scale.value) == 2.0**11, "a skipped micro-batch counts as an overflow"
    monkeypatch.setattr("myxtts.training.optimizers.GROWTH_UPDATES", 2)
    assert half.run().applied and half.run().applied and float(scale.value) == 2.0**12
    state = scale.state()
    scale.value.assign(8.0)
    scale.restore(state)
    assert float(scale.value) == 2.0**12


def test_an_overflow_of_the_scale_itself_is_survived(half: Any) -> None:
    half.step.loss_scale.value.assign(1e30)
    before = half.bytes()
    assert not half.run().applied and half.bytes() == before
    assert float(half.step.loss_scale.value) == np.float32(5e29)
    half.step.loss_scale.value.assign(2.0**10)
    assert_learns(half)


def test_the_scale_has_bounds(half: Any) -> None:
    half.step.loss_scale.value.assign(1.0)
    half.run(group_fault={"decoder": np.nan})
    assert float(half.step.loss_scale.value) == 1.0


def test_the_scale_does_not_change_the_update(half: Any) -> None:
    start = half.values()
    norms = []
    for scale in (2.0**8, 2.0**13):
        half.put(start)
        half.step.loss_scale.value.assign(scale)
        norms.append(half.run().grad_norm)
    assert norms[0] == pytest.approx(norms[1], rel=0.02)


def test_full_precision_has_no_scale(plain: Any) -> None:
    plain.run(term_fault={"mel": np.nan})
    assert float(plain.step.loss_scale.value) == 1.0 and not plain.step.loss_scale.is_dynamic


# --- the game with the critic


def test_a_critic_that_is_not_used_yet_changes_nothing_else(played: Any) -> None:
    made = played
    weights = made.step.term_weights
    unheard = {"adversarial": 0.0, "feature_matching": 0.0}
    found = {
        name: (made.reset().micro(weights={**weights, **more}), made.gradients())
        for name, more in {"plays": {}, "learns": unheard, "waits": {**unheard, "critic": 0.0}}.items()
    }
    terms = {name: dict(zip(TERMS, result.terms_KB, strict=True)) for name, (result, _) in found.items()}
    for term in TERMS:
        if term in ADVERSARIAL_TERMS:
            assert terms["plays"][term].all() and terms["learns"][term].all() and not terms["waits"][term].any()
        else:
            for name in ("learns", "waits"):
                np.testing.assert_allclose(terms[name][term], terms["plays"][term], rtol=1e-5, err_msg=term)
    gradients = {name: made_of for name, (_, made_of) in found.items()}
    for path, gradient in gradients["waits"].items():
        learned = gradients["learns"][path]
        if "critic/" in path:
            assert not gradient.any() and learned.any(), path
        else:
            np.testing.assert_allclose(gradient, learned, rtol=1e-4, atol=1e-6, err_msg=path)
    apart = {p for p, g in gradients["plays"].items() if not np.allclose(g, gradients["learns"][p], atol=1e-6)}
    assert any("decoder/" in path for path in apart) and not any("critic/" in path for path in apart)


def test_without_a_critic_there_is_one_graph(plain: Any) -> None:
    plain.run()
    assert not any(g.experimental_get_tracing_count() for (plays, _), g in plain.step._micro.items() if plays)


def test_a_critic_that_starts_to_learn_is_not_a_spike(played: Any) -> None:
    """Its first gradient is tens of times the model's: runs of level enhanced died of it at update 1,001."""
    waits = {**played.step.term_weights, **dict.fromkeys(ADVERSARIAL_TERMS, 0.0)}
    usual = played.run(weights=waits).grad_norm
    values = played.reset().values()
    values["norms"] = np.full(DETECTOR_SIZE, usual, np.float32)
    values["accepted"] = np.asarray(DETECTOR_SIZE)
    played.put(values)
    learns = {**waits, "critic": played.step.term_weights["critic"]}
    result = played.run(weights=learns, group_fault={"critic": 1e5})
    critic = float(result.group_norm_G[played.step.groups.index("critic")])
    assert critic > 100.0 * usual and result.grad_norm == pytest.approx(usual, rel=1e-3)
    assert result.applied and not result.spike
    assert played.values()["norms"][0] == np.float32(result.grad_norm), "the detector knows the model's norm alone"


def test_the_gradients_of_model_and_critic_are_clipped_separately(played: Any) -> None:
    def clipped(fault: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
        played.reset().run(group_fault=fault)
        first = {k: v.numpy().ravel() for k, v in played.step.optimizer.moments().items() if k.startswith("first/")}
        parts = [np.concatenate([v for k, v in first.items() if ("critic/" in k) == own]) for own in (False, True)]
        return parts[0] / (1.0 - played.step.settings.beta_1), parts[1] / (1.0 - played.step.settings.beta_1)

    clip = played.step.settings.clip_norm
    usual = clipped({})
    for factor in (1e-6, 1e4):
        model, critic = clipped({"critic": factor})
        np.testing.assert_allclose(model, usual[0], rtol=1e-5, err_msg="the critic takes nothing from the model")
        assert np.linalg.norm(model) == pytest.approx(clip, rel=1e-4)
        if factor > 1.0:
            assert np.linalg.norm(critic) == pytest.approx(clip, rel=1e-4)
        else:
            assert 0.0 < np.linalg.norm(critic) < 0.1 * clip
    _, critic = clipped({group: 1e4 for group in played.step.groups if group != "critic"})
    np.testing.assert_allclose(critic, usual[1], rtol=1e-5, err_msg="nor the model from the critic")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_of_the_critic_that_is_not_finite_changes_nothing(played: Any, bad: float) -> None:
    played.run()
    before = played.bytes()
    result = played.run(group_fault={"critic": bad})
    assert not result.applied and played.bytes() == before
    assert_learns(played)
