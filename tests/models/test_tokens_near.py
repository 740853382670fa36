"""The tokens that a piece of an utterance needs: text encoder and predictors work on these alone."""

from __future__ import annotations

from typing import Any

import made_batch
import numpy as np
import pytest
import tensorflow as tf

from myxtts.models import segments
from myxtts.models.layers import sequence_mask
from myxtts.models.segments import tokens_near


def batch_of(first: list[int], frames: list[int], tokens: list[int], mel: list[int], size: int) -> dict[str, tf.Tensor]:
    return {
        "text_length_B": tf.constant(tokens),
        "mel_length_B": tf.constant(mel),
        "target_BS": tf.constant(first)[:, None] + tf.range(size)[None, :],
        "target_length_B": tf.constant(frames),
    }


def test_the_whole_text_where_the_whole_utterance_is_made() -> None:
    duration = tf.constant([[0, 2, 3, 0, 0], [4, 1, 0, 0, 0]])  # the first and last token without a frame; padding
    token, count, needed = tokens_near(batch_of([0, 0], [5, 5], [4, 2], [5, 5], 5), duration)
    assert token.shape[1] == 5 and count.numpy().tolist() == [4, 2]
    assert token.numpy().tolist() == [[0, 1, 2, 3, 4]] * 2
    assert needed.numpy().tolist() == [[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]]


def test_the_tokens_of_a_piece_and_those_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "CONTEXT_TOKENS", 2)
    monkeypatch.setattr(segments, "TOKEN_STEP", 4)
    duration = tf.constant([[3] * 20, [3] * 20, [6] * 10 + [0] * 10, [3] * 20])
    # frames 30 to 38 are tokens 10 to 12; 58 and 59 are token 19; 0 and 1 are token 0; 0 to 8 are tokens 0 to 2
    given = batch_of([30, 58, 0, 0], [9, 2, 2, 9], [20, 20, 10, 20], [60, 60, 60, 60], 9)
    token, count, needed = tokens_near(given, duration)
    assert token.shape[1] == 8, "three tokens, two on each side, and up to a multiple of four"
    spoken = [token[b].numpy()[needed[b].numpy() > 0].tolist() for b in range(4)]
    assert spoken == [[10, 11, 12], [19], [0], [0, 1, 2]]
    assert token[:, 0].numpy().tolist() == [8, 17, 0, 0]
    assert count.numpy().tolist() == [7, 3, 3, 5], "two on each side, whatever the others in the batch need"


@pytest.mark.parametrize("decoder", ["regression", "flow"])
def test_what_is_cut_off_changes_nothing_but_the_context(monkeypatch: pytest.MonkeyPatch, decoder: str) -> None:
    """With an encoder that sees only single tokens, a cut text gives exactly the mel of the complete text."""
    cloner: Any = made_batch.build(decoder=decoder)
    embed = cloner.text_encoder.symbol
    cloner.text_encoder.call = lambda ids, length, language, seed=None: (
        embed(ids) * sequence_mask(length, tf.shape(ids)[1])
    )
    batch = made_batch.make_batch(pad=(3, 5, 0))
    first = np.array([[9], [6], [4], [13]], np.int32)
    batch["target_BS"] = np.minimum(first + np.arange(4, dtype=np.int32), batch["mel_BMC"].shape[1] - 1)
    batch["target_length_B"][:] = [4, 4, 3, 4]
    tensors = made_batch.tensors(batch)
    whole = cloner(tensors, tf.constant(0.0))
    monkeypatch.setattr(segments, "CONTEXT_TOKENS", 0)
    monkeypatch.setattr(segments, "TOKEN_STEP", 1)
    part = cloner(tensors, tf.constant(0.0))
    kept, all_tokens = part["duration_BU"].shape[1], batch["text_BT"].shape[1]
    assert kept < all_tokens / 2 and whole["duration_BU"].shape[1] == all_tokens
    for key in ("mel_BSC", "frame_pitch_BS", "frame_voicing_BS", "true_pitch_BS"):
        np.testing.assert_allclose(part[key], whole[key], atol=1e-5, err_msg=key)
    for key in ("duration_BU", "token_pitch_BU", "token_energy_BU"):
        for row in range(4):
            own = [values[key][row].numpy()[values["token_mask_BU"][row].numpy() > 0] for values in (part, whole)]
            np.testing.assert_array_equal(*own, err_msg=key)


def test_a_row_hears_the_same_alone_and_beside_one_that_needs_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "CONTEXT_TOKENS", 1)
    monkeypatch.setattr(segments, "TOKEN_STEP", 1)
    cloner: Any = made_batch.build()
    batch = made_batch.make_batch()
    batch["target_BS"], batch["target_length_B"] = batch["target_BS"][:, :9], np.array([2, 9, 9, 9], np.int32)
    together = cloner(made_batch.tensors(batch), tf.constant(0.0))
    alone = cloner(made_batch.tensors({key: value[:1] for key, value in batch.items()}), tf.constant(0.0))
    size = alone["pitch_BU"].shape[1]
    assert size < together["pitch_BU"].shape[1]
    for key in ("pitch_BU", "log_duration_BU", "energy_BU", "token_mask_BU"):
        np.testing.assert_allclose(together[key][0, :size], alone[key][0], atol=1e-5, err_msg=key)


def test_the_last_token_of_a_text_that_fills_the_batch_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row ends at the last column, and another row needs more tokens than are left of it."""
    monkeypatch.setattr(segments, "CONTEXT_TOKENS", 0)
    monkeypatch.setattr(segments, "TOKEN_STEP", 1)
    cloner: Any = made_batch.build()
    batch = made_batch.make_batch((0, 3))
    assert batch["text_length_B"][1] == batch["text_BT"].shape[1]
    batch["target_BS"] = np.array([[0], [22]], np.int32) + np.arange(9, dtype=np.int32)
    batch["target_BS"] = np.minimum(batch["target_BS"], batch["mel_BMC"].shape[1] - 1)
    batch["target_length_B"] = np.array([9, 2], np.int32)
    together = cloner(made_batch.tensors(batch), tf.constant(0.0))
    alone = cloner(made_batch.tensors({key: value[1:] for key, value in batch.items()}), tf.constant(0.0))
    assert together["pitch_BU"].shape[1] > alone["pitch_BU"].shape[1], "else nothing stands twice"
    np.testing.assert_allclose(together["mel_BSC"][1, :2], alone["mel_BSC"][0, :2], atol=1e-5)
