"""The critic: it learns to tell a recorded mel from a made one, and what it says leads a made one to the recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from made_batch import CHANNELS, model_config

from myxtts.loss_terms import ADVERSARIAL_TERMS
from myxtts.models.critic import Critic, feature_distance, patch_mask
from myxtts.models.layers import sequence_mask
from myxtts.training import losses

B, S, E = 4, 40, 8
MASK = sequence_mask(tf.constant([40, 40, 33, 9]), S)


def striped(seed: int) -> Any:
    """Mels with stripes along frequency, somewhere else in every frame, as harmonics are."""
    rng = np.random.default_rng(seed)
    phase = np.cumsum(rng.normal(size=(B, S, 1)) * 0.5, axis=1)
    return tf.constant(np.sin(phase + np.arange(CHANNELS) * 2.5), tf.float32) * MASK


def blurred(seed: int) -> Any:
    """The same without what a mean does not have."""
    return 0.3 * striped(seed)


@pytest.fixture(scope="module")
def taught() -> Critic:
    """A critic after some updates on striped against blurred mels."""
    tf.keras.utils.set_random_seed(1)
    critic = Critic(model_config(critic_width=8), CHANNELS)
    base, voice = tf.zeros([B, S, CHANNELS]), tf.ones([B, E])
    optimizer = tf.keras.optimizers.Adam(3e-3)
    for update in range(60):
        with tf.GradientTape() as tape:
            true, made = (critic(mel, base, voice, MASK) for mel in (striped(update), blurred(1_000 + update)))
            loss = tf.reduce_mean(game(true, made, made)["critic"])
        weights = critic.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in weights]), weights)
    return critic


def game(true: Any, made: Any, generated: Any) -> dict[str, Any]:
    scores = {"true_score_BJL": true, "made_score_BJL": made, "generator_score_BJL": generated}
    outputs = {name: said["score_BJL"] for name, said in scores.items()}
    outputs |= {"score_mask_BJ1": patch_mask(MASK), "feature_distance_B": feature_distance(true, generated)}
    return losses.critics_terms(outputs, MASK)


def test_it_tells_a_recording_from_a_blur(taught: Critic) -> None:
    base, voice = tf.zeros([B, S, CHANNELS]), tf.ones([B, E])
    true, made = (taught(mel, base, voice, MASK) for mel in (striped(5_000), blurred(6_000)))
    mask = patch_mask(MASK)
    found = [float(tf.reduce_sum(x["score_BJL"] * mask) / tf.reduce_sum(mask)) for x in (true, made)]
    assert found[0] > 0.7 and found[1] < 0.3, found
    assert float(tf.reduce_mean(game(true, made, made)["critic"])) < 0.1


def test_what_it_says_leads_from_the_blur_to_the_recording(taught: Critic) -> None:
    """Steps against the adversarial gradient make a blurred mel as strong as a recorded one."""
    base, voice = tf.zeros([B, S, CHANNELS]), tf.ones([B, E])
    mel = tf.Variable(blurred(7_000))
    before = float(tf.math.reduce_std(mel))
    optimizer = tf.keras.optimizers.Adam(0.02)
    for _ in range(40):
        with tf.GradientTape() as tape:
            generated = taught(mel, base, voice, MASK)
            loss = tf.reduce_mean(game(generated, generated, generated)["adversarial"])
        optimizer.apply([tape.gradient(loss, mel)], [mel])
    assert float(tf.math.reduce_std(mel)) > 1.5 * before


def test_the_numbers_of_the_game_by_hand() -> None:
    scores = {"true_score_BJL": 3.0, "made_score_BJL": 1.0, "generator_score_BJL": -1.0}
    outputs = {name: tf.fill([B, 5, 1], value) for name, value in scores.items()}
    outputs |= {"score_mask_BJ1": patch_mask(MASK), "feature_distance_B": tf.constant([1.0, 2.0, 3.0, 4.0])}
    found = losses.critics_terms(outputs, MASK)
    np.testing.assert_allclose(found["critic"], [0.5 * (4.0 + 1.0)] * B)
    np.testing.assert_allclose(found["adversarial"], [0.5 * 4.0] * B)
    assert found["feature_matching"].numpy().tolist() == [1.0, 2.0, 3.0, 4.0]
    without = losses.critics_terms({}, MASK)
    assert set(without) == set(ADVERSARIAL_TERMS) and all((x.numpy() == 0.0).all() for x in without.values())


def test_the_distance_of_features_does_not_depend_on_their_size() -> None:
    rng = np.random.default_rng(2)
    true, made = ({f"features_{i}": tf.constant(rng.random((B, 3, 2, 4)), tf.float32) for i in range(3)} for _ in "ab")
    plain = feature_distance(true, made).numpy()
    larger = feature_distance({k: 50.0 * v for k, v in true.items()}, {k: 50.0 * v for k, v in made.items()}).numpy()
    np.testing.assert_allclose(plain, larger, rtol=1e-2)
    assert (feature_distance(true, true).numpy() == 0.0).all() and (plain > 0.1).all()


def test_the_voice_counts(taught: Critic) -> None:
    base, mel = tf.zeros([B, S, CHANNELS]), striped(9)
    one, other = (taught(mel, base, tf.fill([B, E], value), MASK)["score_BJL"].numpy() for value in (1.0, -1.0))
    assert np.abs(one - other).max() > 1e-3
