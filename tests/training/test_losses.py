"""The loss terms: values worked out by hand, independence of padding, and a gradient behind every weight."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import made_batch
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config.schema import LossConfig
from myxtts.loss_terms import TERMS, VOCODER_TERMS
from myxtts.training import losses

PRIOR = tf.constant(0.3)


@pytest.fixture(scope="module")
def cloner() -> Any:
    return made_batch.build(decoder="flow", critic_width=4)


@pytest.fixture(scope="module")
def run(cloner: Any) -> Any:
    """Terms and, for each of them, the sizes of the gradients of all weights by path."""
    batch = made_batch.tensors(made_batch.make_batch())
    variables = cloner.trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        terms = losses.terms(cloner(batch, PRIOR), batch, LossConfig())
        sums = {name: tf.reduce_sum(value) for name, value in terms.items()}
    gradients = {
        name: {
            v.path.removeprefix("voice_cloner/"): np.abs(tf.convert_to_tensor(g).numpy()).max()
            for v, g in zip(
                variables,
                tape.gradient(total, [v.value for v in variables], unconnected_gradients="zero"),
                strict=True,
            )
        }
        for name, total in sums.items()
    }
    return terms, gradients


def test_the_table_has_every_term_and_weight_in_order(run: Any) -> None:
    assert tuple(run[0]) == tuple(TERMS)
    fields = {f.name for f in dataclasses.fields(LossConfig)}
    weights = {term.weight for term in [*TERMS.values(), *VOCODER_TERMS.values()]}
    assert {name for name in fields if name.endswith("_weight")} == weights
    assert all(term.scale > 0 for term in TERMS.values())


@pytest.mark.parametrize("term", TERMS)
def test_every_weight_multiplies_a_term_with_a_gradient(run: Any, term: str) -> None:
    terms, gradients = run
    assert terms[term].shape == (4,) and terms[term].dtype == tf.float32
    assert np.isfinite(terms[term]).all() and (terms[term].numpy() > 0.0).all()
    assert max(gradients[term].values()) > 1e-4
    with_weight = losses.weights_of(LossConfig(**{f"{term}_weight": 3.0}))
    assert with_weight[term] == 3.0 * TERMS[term].scale
    assert losses.weights_of(LossConfig(**{f"{term}_weight": 0.0}))[term] == 0.0


def test_which_weights_each_term_trains(run: Any) -> None:
    _, gradients = run

    def taught(term: str) -> set[str]:
        return {path.split("/")[0] for path, size in gradients[term].items() if size > 1e-9}

    speaking = {"text_encoder", "speaker_encoder", "prosody_in", "decoder"}
    assert taught("mel") == taught("spectral_consistency") == taught("voice_similarity") == taught("flow") == speaking
    parts = {t: {p.split("/")[1] for p, size in gradients[t].items() if p.startswith("decoder/") and size > 1e-9}
             for t in ("mel", "flow")}  # fmt: skip
    assert parts == {"mel": {"draft"}, "flow": {"backbone", "time_in", "time_out"}}
    assert taught("adversarial") == taught("feature_matching") == speaking, "the critic must not please itself"
    assert taught("critic") == {"critic"}
    assert taught("alignment") == {"aligner"}
    assert taught("kl") == {"speaker_encoder"}
    assert taught("duration") == {"duration", "speaker_encoder"}, "durations must not pull the text encoder"
    assert taught("pitch") == {"pitch", "source_predictor", "text_encoder", "speaker_encoder"}
    assert taught("energy") == {"energy", "text_encoder", "speaker_encoder"}
    for term in ("speaker_classification", "voice_reconstruction", "prosody_matching"):
        assert taught(term) == {"speaker_encoder", "voice_heads"}


def test_every_weight_of_the_model_is_trained_by_a_term(run: Any) -> None:
    _, gradients = run
    largest = {path: max(of[path] for of in gradients.values()) for path in gradients["mel"]}
    assert [path for path, size in largest.items() if size < 1e-6] == []


def test_masked_mean() -> None:
    x = tf.constant([[[1.0, 3.0], [5.0, 7.0], [np.pi, 9.0]], [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]])
    mask = tf.constant([[[1.0], [1.0], [0.0]], [[0.0], [0.0], [0.0]]])
    np.testing.assert_allclose(losses.masked_mean(x, mask), [4.0, 0.0])
    np.testing.assert_allclose(losses.masked_mean(tf.constant([[2.0, 4.0]], tf.float16), tf.ones([1, 2])), [3.0])
    assert losses.masked_mean(tf.zeros([2, 0, 3]), tf.zeros([2, 0, 1])).numpy().tolist() == [0.0, 0.0]


def test_the_loss_of_logarithms_is_lowest_at_the_mean() -> None:
    true = np.log(np.float32([1.0, 2.0, 9.0]))
    guesses = np.linspace(0.0, 2.5, 2001, dtype=np.float32)
    mean_loss = losses.mean_keeping(tf.constant(true[:, None] - guesses)).numpy().mean(axis=0)
    assert guesses[mean_loss.argmin()] == pytest.approx(np.log(4.0), abs=2e-3), "the log of the mean, not of the median"
    small = tf.constant([-0.01, 0.0, 0.01])
    np.testing.assert_allclose(losses.mean_keeping(small), np.square(small), rtol=0.01)
    steep = losses.LARGEST_LOG_ERROR
    far = losses.mean_keeping(tf.constant([steep - 1e-3, steep, steep + 1.0, steep + 2.0])).numpy()
    assert far[1] - far[0] == pytest.approx(2e-3 * (np.exp(steep) - 1.0), rel=0.02)
    assert far[3] - far[2] == pytest.approx(far[2] - far[1], rel=1e-5), "a straight line: no error can blow it up"


def made_outputs(batch: dict[str, Any]) -> dict[str, Any]:
    """What a model might return, from the batch alone, each term known."""
    duration = np.zeros(batch["text_BT"].shape, np.int32)
    for b, (t, m) in enumerate(zip(batch["text_length_B"], batch["mel_length_B"], strict=True)):
        duration[b, :t] = 1
        duration[b, 1] += m - t
    zeros = np.zeros(batch["text_BT"].shape, np.float32)
    spoken = (duration > 0).astype(np.float32)
    return {
        "mel_BSC": batch["mel_BMC"] + 0.5,
        "target_BSC": batch["mel_BMC"],
        "centered_BMC": batch["mel_BMC"],
        "aligner_BMC": batch["mel_BMC"] - 2.0,
        "token_mask_BU": (np.arange(zeros.shape[1]) < batch["text_length_B"][:, None]).astype(np.float32),
        "duration_BU": duration,
        "log_duration_BU": np.log1p(duration.astype(np.float32)) + 0.3,
        "pitch_BU": zeros + 0.5,
        "token_pitch_BU": zeros,
        "frame_pitch_BS": batch["pitch_BM"] + 3.0,
        "true_pitch_BS": batch["pitch_BM"],
        "frame_voicing_BS": np.where(batch["voiced_BM"] > 0, 1.0, -1.0).astype(np.float32),
        "true_voiced_BS": batch["voiced_BM"],
        "energy_BU": zeros + 3.0,
        "token_energy_BU": zeros,
        "token_spoken_BU": spoken,
        "style_mean_BY": np.full((len(zeros), 4), 1.0, np.float32),
        "style_log_variance_BY": np.zeros((len(zeros), 4), np.float32),
        "voice_BE": np.tile(np.float32([1, 0]), (len(zeros), 1)),
        "predicted_voice_BE": np.tile(np.float32([0.6, 0.8]), (len(zeros), 1)),
        "cosine_BZ": np.zeros((len(zeros), 3), np.float32),
        "known_spectrum_BC": batch["spectrum_BC"] - 0.25,
        "known_prosody_BQ": batch["prosody_BQ"] + 2.0,
    }


@pytest.mark.parametrize("pad", [(0, 0, 0), (3, 7, 2)])
def test_values_worked_out_by_hand(pad: tuple[int, int, int]) -> None:
    batch = made_batch.make_batch(pad=pad)
    outputs = {k: tf.constant(v) for k, v in made_outputs(batch).items()}
    found = losses.terms(outputs, made_batch.tensors(batch), LossConfig(kl_free_bits=0.05))
    expected = {
        "mel": 0.5,
        "flow": 0.0,
        "alignment": 2.0,
        "kl": 4 * 0.45,
        "duration": 2.0 * (np.exp(-0.3) - 1.0 + 0.3),
        "pitch": 0.125 + 2.5 + math.log1p(math.exp(-1.0)),
        "energy": 2.5,
        "voice_similarity": 0.4,
        "speaker_classification": 1.0,
        "voice_reconstruction": 0.25,
        "prosody_matching": 1.5,
        "spectral_consistency": 0.0,
    }
    for term, value in expected.items():
        np.testing.assert_allclose(found[term], [value] * 4, rtol=1e-5, atol=1e-6, err_msg=term)


def test_spectral_consistency_is_of_differences() -> None:
    batch = made_batch.make_batch()
    outputs = made_outputs(batch)
    ramp = np.arange(batch["mel_BMC"].shape[1], dtype=np.float32)[None, :, None]
    outputs["mel_BSC"] = batch["mel_BMC"] + 0.2 * ramp
    found = losses.terms({k: tf.constant(v) for k, v in outputs.items()}, made_batch.tensors(batch), LossConfig())
    np.testing.assert_allclose(found["spectral_consistency"], [0.1] * 4, rtol=1e-5)


def test_the_flow_is_trained_by_its_velocity() -> None:
    batch = made_batch.make_batch()
    outputs = {**made_outputs(batch), "velocity_error_BSC": np.full(batch["mel_BMC"].shape, 3.0, np.float32)}
    found = losses.terms({k: tf.constant(v) for k, v in outputs.items()}, made_batch.tensors(batch), LossConfig())
    np.testing.assert_allclose(found["flow"], [4.5] * 4)
    np.testing.assert_allclose(found["mel"], [0.5] * 4, err_msg="the mel term is that of the draft")


def test_huber_is_square_below_and_linear_above() -> None:
    error = tf.constant([0.0, 0.1, 0.5, -2.0, 1e6])
    np.testing.assert_allclose(losses.huber(error, 0.5), [0.0, 0.01, 0.25, 1.75, 1e6 - 0.25], rtol=1e-6)
    with tf.GradientTape() as tape:
        tape.watch(error)
        value = losses.huber(error, 0.5)
    np.testing.assert_allclose(tape.gradient(value, error), [0.0, 0.2, 1.0, -1.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(losses.huber(error, 1e-4), np.abs(error), atol=1e-4)


def test_the_mel_loss_is_huber_if_set() -> None:
    batch = made_batch.make_batch()
    outputs = {k: tf.constant(v) for k, v in made_outputs(batch).items()}
    found = losses.terms(outputs, made_batch.tensors(batch), LossConfig(huber_delta=1.0))
    np.testing.assert_allclose(found["mel"], [0.125] * 4, rtol=1e-5)


def test_kl_at_the_standard_normal_is_zero() -> None:
    assert losses.kl_to_normal(tf.zeros([2, 5]), tf.zeros([2, 5]), 0.0).numpy().tolist() == [0.0, 0.0]
    found = losses.kl_to_normal(tf.constant([[1.0, 0.1]]), tf.constant([[math.log(2.0), 0.0]]), 0.05)
    np.testing.assert_allclose(found, [0.5 * (1 + 2 - 1 - math.log(2.0)) - 0.05], rtol=1e-5)


@pytest.mark.parametrize("speakers", [2, 3, 10, 250])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_margin_softmax_at_chance_is_about_one(speakers: int, smoothing: float) -> None:
    found = losses.margin_softmax(tf.zeros([1, speakers]), tf.constant([1]), smoothing)
    assert 0.8 < float(found[0]) <= 1.0 + 1e-5
    if not smoothing:
        assert float(found[0]) == pytest.approx(1.0, abs=1e-5)


def test_margin_softmax() -> None:
    cosine = tf.constant([[0.9, 0.1, -0.3], [0.9, 0.1, -0.3], [0.9, 0.1, -0.3]])
    found = losses.margin_softmax(cosine, tf.constant([0, 1, -1]), 0.0).numpy()
    assert found[0] < 0.05 < 1.0 < found[1] and found[2] == 0.0
    chance = math.log(2 + math.exp(-losses.MARGIN_SCALE * losses.MARGIN)) + losses.MARGIN_SCALE * losses.MARGIN
    logits = losses.MARGIN_SCALE * np.array([0.9, 0.1 - losses.MARGIN, -0.3])
    assert found[1] == pytest.approx((np.log(np.exp(logits).sum()) - logits[1]) / chance, rel=1e-4)


def test_one_or_an_unknown_speaker_has_no_loss_and_no_gradient() -> None:
    assert losses.margin_softmax(tf.constant([[0.5], [-1.0]]), tf.constant([0, 0]), 0.1).numpy().tolist() == [0.0, 0.0]
    cosine = tf.constant([[0.3, -0.2]])
    with tf.GradientTape() as tape:
        tape.watch(cosine)
        value = losses.margin_softmax(cosine, tf.constant([-1]), 0.1)
    assert not tape.gradient(value, cosine).numpy().any()


def test_label_smoothing_changes_the_term() -> None:
    cosine, speaker = tf.constant([[0.9, -0.5, 0.0]]), tf.constant([0])
    plain, smooth = (float(losses.margin_softmax(cosine, speaker, s)[0]) for s in (0.0, 0.1))
    assert smooth > plain + 0.1


def test_learned_weights_are_bounded_and_learn() -> None:
    weighted = {"mel": tf.constant([1.0]), "kl": tf.constant([4.0])}
    even = losses.adaptive_total(weighted, {"mel": tf.constant(0.0), "kl": tf.constant(0.0)})
    np.testing.assert_allclose(even, [5.0])
    for far in (-1e6, 1e6):
        found = float(losses.adaptive_total({"mel": tf.constant([1.0])}, {"mel": tf.constant(far)})[0])
        assert math.exp(-2.0) - 1.0 <= found <= math.exp(2.0) + 1.0
    s = {"mel": tf.Variable(0.0), "kl": tf.Variable(0.0)}
    with tf.GradientTape() as tape:
        total = losses.adaptive_total(weighted, {k: tf.convert_to_tensor(v) for k, v in s.items()})
    gradient = tape.gradient(total, s)
    assert float(gradient["mel"]) == pytest.approx(-0.5) and float(gradient["kl"]) == pytest.approx(-3.5)


def test_one_speaker_leaves_only_the_speaker_table_untrained() -> None:
    """The one exception to the conformance of gradients: with one training speaker there is nothing to classify."""
    cloner = made_batch.build(speakers=1)
    batch = made_batch.tensors({**made_batch.make_batch(), "speaker_B": np.zeros(4, np.int32)})
    with tf.GradientTape() as tape:
        terms = losses.terms(cloner(batch, PRIOR), batch, LossConfig())
        total = tf.add_n([tf.reduce_sum(v) for v in terms.values()])
    gradients = tape.gradient(total, [v.value for v in cloner.trainable_variables], unconnected_gradients="zero")
    untaught = [
        v.path
        for v, g in zip(cloner.trainable_variables, gradients, strict=True)
        if np.abs(tf.convert_to_tensor(g)).max() < 1e-6
    ]
    assert untaught == ["voice_cloner/voice_heads/speaker"]
