"""The settings before the fix, and the three faults that killed runs with them: with the guard and without.

Without: the loop as it is usually written (gradient, clip by the global norm, optimizer), on the same model and batch.
With: the guarded step, and the check of the schedule before the first update.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import made_batch
import made_run
import numpy as np
import pytest
import tensorflow as tf
from made_step import MadeStep

from myxtts.config.schema import LossConfig
from myxtts.errors import ConfigError
from myxtts.loss_terms import TERMS
from myxtts.models.build import build_voice_cloner
from myxtts.training import losses

BEFORE = LossConfig(
    mel_weight=2.5,
    kl_weight=1.8,
    voice_similarity_weight=3.0,
    speaker_classification_weight=1.5,
    voice_reconstruction_weight=2.0,
    prosody_matching_weight=1.0,
    spectral_consistency_weight=1.5,
    duration_weight=0.8,
    pitch_weight=0.12,
    energy_weight=0.12,
    huber_delta=0.5,
    label_smoothing=0.1,
)
CLIP, RATE, DECAY = 0.8, 8e-5, 5e-7
UPDATES, FAULT_AT = 6, 3
EXPLOSION, PEAK = 1e30, 1e4
STATIC_LOSS_SCALE = 2.0**15
"""What mixed precision usually begins with."""


@pytest.fixture(scope="module")
def guarded() -> MadeStep:
    optimizer = {"learning_rate": RATE, "clip_norm": CLIP, "weight_decay": DECAY}
    return MadeStep(loss=vars(BEFORE), optimizer=optimizer, training={"precision": "fp16"})


def one(_: int) -> float:
    return 1.0


def at_the_fault(value: float) -> Callable[[int], float]:
    return lambda update: value if update == FAULT_AT else 1.0


def usual_loop(
    precision: str,
    *,
    rate: Callable[[int], float] = lambda _: RATE,
    loss_factor: Callable[[int], float] = one,
    gradient_factor: Callable[[int], float] = one,
    scale: float = 1.0,
) -> list[bool]:
    """Trains without a guard; after each update, whether all weights are finite."""
    model = build_voice_cloner(made_batch.model_config(), precision=precision, seed=3, **made_batch.SIZES)
    optimizer = keras.optimizers.AdamW(weight_decay=DECAY)
    weights = {t: w for t, w in losses.weights_of(BEFORE).items() if w > 0.0}
    batch = made_batch.tensors(made_batch.make_batch())
    finite = []
    for update in range(1, UPDATES + 1):
        with tf.GradientTape() as tape:
            terms = losses.terms(model(batch, tf.constant(0.5), tf.constant([1, update])), batch, BEFORE)
            total = tf.reduce_mean(tf.add_n([w * terms[t] for t, w in weights.items()]))
            scaled = total * loss_factor(update) * scale
        gradients = tape.gradient(scaled, [v.value for v in model.trainable_variables], unconnected_gradients="zero")
        gradients = [tf.convert_to_tensor(g) / scale * gradient_factor(update) for g in gradients]
        gradients, _ = tf.clip_by_global_norm(gradients, CLIP)
        optimizer.learning_rate = rate(update)
        optimizer.apply(gradients, model.trainable_variables)
        finite.append(all(np.isfinite(v.numpy()).all() for v in model.trainable_variables))
    return finite


def died_at_the_fault(finite: list[bool]) -> bool:
    return finite == [update < FAULT_AT for update in range(1, UPDATES + 1)]


def lives(made: MadeStep, **fault: Any) -> list[Any]:
    """The guarded step over the same updates; its results, after a look at every number it owns."""
    made.reset()
    while not made.run().applied:  # fp16 finds its loss scale by overflowing
        pass
    results = [made.run(**(fault if update == FAULT_AT else {})) for update in range(1, UPDATES + 1)]
    assert all(np.isfinite(value).all() for value in made.values().values())
    return results


def test_without_a_fault_both_learn(guarded: MadeStep) -> None:
    assert all(usual_loop("fp32"))
    assert all(r.applied for r in lives(guarded))


def test_a_gradient_explosion(guarded: MadeStep) -> None:
    assert died_at_the_fault(usual_loop("fp32", gradient_factor=at_the_fault(EXPLOSION)))
    results = lives(guarded, group_fault=dict.fromkeys(guarded.step.groups, EXPLOSION))
    assert [r.applied for r in results] == [update != FAULT_AT for update in range(1, UPDATES + 1)]


def test_an_overflow_of_half_precision(guarded: MadeStep) -> None:
    finite = usual_loop("fp16", loss_factor=at_the_fault(PEAK), scale=STATIC_LOSS_SCALE)
    assert not finite[-1] and finite[0] == (finite[: FAULT_AT - 1] == [True] * (FAULT_AT - 1))
    lives(guarded)
    settled = float(guarded.step.loss_scale.value)
    results = lives(guarded, term_fault=dict.fromkeys(TERMS, PEAK))
    refused = results[FAULT_AT - 1]
    assert not refused.applied and refused.overflow, "an overflow of the scale differs from a bad batch"
    assert results[FAULT_AT].applied
    assert float(guarded.step.loss_scale.value) < settled, "the loss scale was lowered"


def test_a_schedule_that_turns_nan(tmp_path: Path) -> None:
    restarts = keras.optimizers.schedules.CosineDecayRestarts(RATE, first_decay_steps=2, t_mul=0.5)
    rates = [float(restarts(update)) for update in range(1, UPDATES + 1)]
    assert np.isfinite(rates[:3]).all() and np.isnan(rates[4:]).all(), "Keras gives NaN once the periods have summed"
    finite = usual_loop("fp32", rate=lambda update: rates[update - 1])
    assert all(finite[:3]) and not any(finite[4:])
    with pytest.raises(ConfigError, match=r"schedule\.restart_growth .*0\.5") as caught:
        made_run.resolved(tmp_path, schedule__decay="cosine_restarts", schedule__restart_growth=0.5)
    assert "1" in str(caught.value) and "\n" not in str(caught.value)
