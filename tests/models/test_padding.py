"""An utterance gives the same numbers alone and padded in a batch of others, eagerly and as a graph."""

from __future__ import annotations

from typing import Any

import made_batch
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config.schema import LossConfig
from myxtts.training import losses

PRIOR = tf.constant(0.3)
PER_FRAME = (
    "mel_BSC", "target_BSC", "aligner_BMC", "centered_BMC", "path_BMT", "velocity_error_BSC", "frame_pitch_BS",
    "frame_voicing_BS", "true_pitch_BS", "true_voiced_BS", "base_BSC",
)  # fmt: skip
PER_TOKEN = (
    "token_mask_BU",
    "duration_BU",
    "log_duration_BU",
    "pitch_BU",
    "energy_BU",
    "token_pitch_BU",
    "token_spoken_BU",
    "token_BU",
    "text_BUD",
    "mean_BTC",
    "duration_BT",
    "pitch_BT",
    "energy_BT",
    "spoken_BT",
)


PER_PLACE = ("true_score_BJL", "made_score_BJL", "generator_score_BJL", "score_mask_BJ1")


@pytest.fixture(scope="module", params=["regression", "flow"])
def cloner(request: pytest.FixtureRequest) -> Any:
    return made_batch.build(decoder=request.param, critic_width=4)


def outputs_and_terms(cloner: Any, batch: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    tensors = made_batch.tensors(batch)
    outputs = cloner(tensors, PRIOR)
    terms = losses.terms(outputs, tensors, LossConfig())
    return {k: v.numpy() for k, v in outputs.items()}, {k: v.numpy() for k, v in terms.items()}


def test_alone_and_in_a_padded_batch(cloner: Any) -> None:
    together, terms = outputs_and_terms(cloner, made_batch.make_batch(pad=(6, 13, 11), fill=2))
    for row, (tokens, frames, _) in enumerate(made_batch.SHAPES):
        alone, own_terms = outputs_and_terms(cloner, made_batch.make_batch((row,)))
        for key, value in alone.items():
            whole = together[key][row]
            if key in PER_FRAME:
                whole = whole[:frames]
            if key in PER_PLACE:
                whole = whole[: -(-frames // 8)]
            if key in PER_TOKEN:
                whole = whole[:tokens]
            if key == "path_BMT":
                whole = whole[:, :tokens]
            if key == "token_energy_BU":
                whole = whole[:tokens]
            np.testing.assert_allclose(whole, value[0], atol=2e-5, err_msg=f"{key} of row {row}")
        for name, value in own_terms.items():
            np.testing.assert_allclose(terms[name][row], value[0], rtol=1e-5, atol=1e-5, err_msg=f"{name}, row {row}")


def test_what_stands_in_the_padding_is_not_heard(cloner: Any) -> None:
    batch = made_batch.make_batch(pad=(2, 5, 7))
    _, expected = outputs_and_terms(cloner, batch)
    spoiled = {key: value.copy() for key, value in batch.items()}
    for row, (tokens, frames, reference) in enumerate(made_batch.SHAPES):
        spoiled["text_BT"][row, tokens:] = 5
        spoiled["reference_BRC"][row, reference:] = 9.0
        for key in ("pitch_BM", "voiced_BM", "energy_BM"):
            spoiled[key][row, frames:] = 1.0
    _, found = outputs_and_terms(cloner, spoiled)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_padding_of_the_output_is_zero(cloner: Any) -> None:
    found, _ = outputs_and_terms(cloner, made_batch.make_batch(pad=(2, 5, 7)))
    for row, (tokens, frames, _) in enumerate(made_batch.SHAPES):
        assert not found["mel_BSC"][row, frames:].any() and not found["path_BMT"][row, frames:].any()
        assert not found["log_duration_BU"][row, tokens:].any() and not found["duration_BU"][row, tokens:].any()


def test_eager_and_graph_agree(cloner: Any) -> None:
    batch = made_batch.tensors(made_batch.make_batch())
    seed = tf.constant([3, 4])
    eager = cloner(batch, PRIOR, seed)
    graph = tf.function(lambda b: cloner(b, PRIOR, seed), autograph=False)(batch)
    assert set(eager) == set(graph)
    for key in eager:
        np.testing.assert_allclose(graph[key], eager[key], atol=1e-5, err_msg=key)


def test_durations_fill_the_frames_and_every_sound_has_one(cloner: Any) -> None:
    batch = made_batch.make_batch()
    found, _ = outputs_and_terms(cloner, batch)
    np.testing.assert_array_equal(found["duration_BU"].sum(axis=1), batch["mel_length_B"])
    for row, (tokens, frames, _) in enumerate(made_batch.SHAPES):
        assert (found["duration_BU"][row, 1:tokens:2] >= 1).all()
        np.testing.assert_array_equal(found["path_BMT"][row, :frames].sum(axis=1), 1.0)


def test_the_style_is_drawn_from_the_seed_of_the_utterance(cloner: Any) -> None:
    batch = made_batch.make_batch((0,))
    same, other = made_batch.make_batch((0,)), made_batch.make_batch((0,))
    other["seed_B"] = other["seed_B"] + 1
    first, second, third = (outputs_and_terms(cloner, b)[0]["pitch_BU"] for b in (batch, same, other))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 1e-4


def test_the_style_is_heard_in_the_target_and_told_to_prosody_alone() -> None:
    cloner = made_batch.build(decoder="regression")
    batch = made_batch.make_batch((0,))
    plain, _ = outputs_and_terms(cloner, batch)

    def apart(key: str, other: Any) -> set[str]:
        found, _ = outputs_and_terms(cloner, {**batch, key: other})
        return {name for name, value in plain.items() if not np.allclose(found[name], value, atol=1e-5)}

    drawn = apart("seed_B", batch["seed_B"] + 1)
    assert drawn == {"log_duration_BU", "pitch_BU", "energy_BU", "frame_pitch_BS", "frame_voicing_BS"}
    reference = apart("reference_BRC", batch["reference_BRC"][:, ::-1] * 0.5)
    assert "voice_BE" in reference and not {"style_mean_BY", "style_log_variance_BY"} & reference
    said = np.random.default_rng(3).normal(size=batch["mel_BMC"].shape).astype(np.float32)
    assert {"style_mean_BY", "style_log_variance_BY"} <= apart("mel_BMC", said)
    assert "style_mean_BY" not in apart("mel_BMC", batch["mel_BMC"] + np.float32(0.7)), "louder is no other style"


def test_the_voice_of_a_prediction_moves_the_mel_and_not_its_judge(cloner: Any) -> None:
    mel = tf.constant(np.random.default_rng(1).normal(size=(2, 12, made_batch.CHANNELS)), tf.float32)
    length = tf.constant([12, 7])
    encoder = [v.value for v in cloner.speaker_encoder.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(mel)
        voice = cloner.voice_of(mel, length)
        objective = tf.reduce_sum(voice * tf.constant(np.arange(8.0), tf.float32))
    level = np.array([mel[0].numpy().mean(), mel[1, :7].numpy().mean()], np.float32)[:, None, None]
    np.testing.assert_allclose(voice, cloner.speaker_encoder(mel - level, length)["voice_BE"], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(voice, axis=1), 1.0, atol=1e-5)
    reached = tape.gradient(objective, mel).numpy()
    assert np.abs(reached[0]).max() > 1e-4 and np.abs(reached[1, :7]).max() > 1e-4
    assert not reached[1, 7:].any()
    assert tape.gradient(objective, encoder) == [None] * len(encoder)


def test_how_loud_a_prediction_is_says_nothing_of_its_voice(cloner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """References are brought to one level; a gain g on the samples is g / std in every channel of a normalized mel."""
    std_C = np.linspace(0.5, 2.5, made_batch.CHANNELS).astype(np.float32)
    monkeypatch.setattr(cloner, "mel_std_C", std_C)
    mel = np.random.default_rng(1).normal(size=(2, 12, made_batch.CHANNELS)).astype(np.float32)
    length = tf.constant([12, 7])
    voices = [cloner.voice_of(tf.constant(mel + gain / std_C), length) for gain in (0.0, -1.4, 2.0)]
    for voice in voices[1:]:
        np.testing.assert_allclose(voice, voices[0], atol=1e-5)
    other = cloner.voice_of(tf.constant(mel + np.linspace(0.0, 1.0, made_batch.CHANNELS, dtype=np.float32)), length)
    assert np.abs(other - voices[0]).max() > 1e-3, "a tilt is of the voice"


def test_the_mean_of_the_aligner_is_taught_by_its_own_term_alone(cloner: Any) -> None:
    """The decoder works on the aligner's mean as it is: other terms must not move the alignment."""
    batch = made_batch.tensors(made_batch.make_batch())
    aligner = [v.value for v in cloner.aligner.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        terms = losses.terms(cloner(batch, PRIOR), batch, LossConfig())
        others = tf.add_n([tf.reduce_sum(v) for k, v in terms.items() if k != "alignment"])
        own = tf.reduce_sum(terms["alignment"])
    assert all(g is None for g in tape.gradient(others, aligner))
    assert all(g is not None for g in tape.gradient(own, aligner))


def test_a_segment_is_the_same_frames_of_the_same_utterance(cloner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aligner, predictors and the decoder's input are those of the whole; less is decoded, and its style is less."""
    nothing = tf.zeros([4, cloner.config.style_width])
    style = {"style_mean_BY": nothing, "style_log_variance_BY": nothing}
    monkeypatch.setattr(cloner, "style_of", lambda mel, length: style)
    batch = made_batch.make_batch()
    whole, _ = outputs_and_terms(cloner, batch)
    part = {**batch, "target_BS": np.array([[4, 5, 6, 7], [0, 1, 2, 3], [5, 6, 7, 8], [20, 21, 22, 23]], np.int32)}
    part["target_length_B"] = np.array([4, 2, 4, 4], np.int32)
    found, terms = outputs_and_terms(cloner, part)
    for key in ("duration_BU", "aligner_BMC", "centered_BMC", "token_pitch_BU", "log_duration_BU", "voice_BE"):
        np.testing.assert_allclose(found[key], whole[key], atol=1e-5, err_msg=key)
    for row, frames in enumerate(part["target_BS"]):
        np.testing.assert_array_equal(found["target_BSC"][row], batch["mel_BMC"][row][frames])
    assert found["mel_BSC"].shape == (4, 4, made_batch.CHANNELS) and not found["mel_BSC"][1, 2:].any()
    error = (found["mel_BSC"] - found["target_BSC"])[1, :2]
    np.testing.assert_allclose(terms["mel"][1], np.abs(error).mean(), rtol=1e-5)


def test_a_decoder_without_a_kernel_across_frames_makes_a_segment_as_it_makes_the_whole() -> None:
    """The frames' place in their token must be counted from the utterance's start, not from the segment's."""
    batch = made_batch.tensors(made_batch.make_batch())
    cloner = made_batch.build(decoder_patch=1)
    seen: list[Any] = []
    cloner.decoder.call = lambda x, condition, mask, target, *_: seen.append(x) or {"estimate_BMC": 0.0 * target}
    cloner(batch, PRIOR)
    frames = tf.constant([[4, 5], [6, 7], [1, 2], [20, 21]])
    cloner({**batch, "target_BS": frames, "target_length_B": tf.constant([2, 2, 2, 2])}, PRIOR)
    np.testing.assert_allclose(tf.gather(seen[0], frames, batch_dims=1), seen[1], atol=1e-6)
