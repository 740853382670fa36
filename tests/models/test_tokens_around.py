"""The tokens that a piece of an utterance needs: text encoder and predictors work on these alone."""

from __future__ import annotations

from typing import Any

import made_batch
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config.schema import LossConfig
from myxtts.models import pieces
from myxtts.models.pieces import tokens_around
from myxtts.training import losses


def batch_of(first: list[int], frames: list[int], tokens: list[int], mel: list[int], size: int) -> dict[str, tf.Tensor]:
    return {
        "text_length_B": tf.constant(tokens),
        "mel_length_B": tf.constant(mel),
        "target_BS": tf.constant(first)[:, None] + tf.range(size)[None, :],
        "target_length_B": tf.constant(frames),
    }


def test_the_whole_text_where_the_whole_utterance_is_made() -> None:
    duration = tf.constant([[0, 2, 3, 0, 0], [4, 1, 0, 0, 0]])  # the first and last token without a frame; padding
    token, count, needed, size = tokens_around(batch_of([0, 0], [5, 5], [4, 2], [5, 5], 5), duration)
    assert int(size) == 5 and count.numpy().tolist() == [4, 2]
    assert token.numpy().tolist() == [[0, 1, 2, 3, 4]] * 2
    assert needed.numpy().tolist() == [[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]]


def test_the_tokens_of_a_piece_and_those_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "TOKENS_BESIDE", 2)
    monkeypatch.setattr(pieces, "TOKEN_STEP", 4)
    duration = tf.constant([[3] * 20, [3] * 20, [6] * 10 + [0] * 10, [3] * 20])
    # frames 30 to 38 are tokens 10 to 12; 58 and 59 are token 19; 0 and 1 are token 0; 0 to 8 are tokens 0 to 2
    given = batch_of([30, 58, 0, 0], [9, 2, 2, 9], [20, 20, 10, 20], [60, 60, 60, 60], 9)
    token, count, needed, size = tokens_around(given, duration)
    assert int(size) == 8, "three tokens, two on each side, and up to a multiple of four"
    spoken = [token[b].numpy()[needed[b].numpy() > 0].tolist() for b in range(4)]
    assert spoken == [[10, 11, 12], [19], [0], [0, 1, 2]]
    assert token[:, 0].numpy().tolist() == [8, 12, 0, 0]
    assert count.numpy().tolist() == [8, 8, 8, 8]


def test_a_piece_gives_what_the_whole_text_gives_where_everything_near_is_heard() -> None:
    """With room for all tokens beside the piece, cutting the text changes nothing of what is said of the piece."""
    cloner: Any = made_batch.build()
    batch = made_batch.make_batch()
    batch["target_BS"] = np.minimum(batch["target_BS"][:, :6] + 3, batch["mel_BMC"].shape[1] - 1)
    batch["target_length_B"][:] = 6
    tensors = made_batch.tensors(batch)
    whole = cloner(tensors, tf.constant(0.3))
    assert whole["log_duration_BT"].shape[1] == batch["text_BT"].shape[1]
    terms = losses.terms(whole, tensors, LossConfig())
    mask = whole["token_mask_BT"].numpy()
    owner_BS = np.take_along_axis(whole["path_BMT"].numpy().argmax(axis=2), batch["target_BS"], axis=1)
    for row in range(len(mask)):
        length = batch["text_length_B"][row]
        least = 0 if batch["target_BS"][row, 0] == 0 else owner_BS[row, 0]
        most = length - 1 if batch["target_BS"][row, 5] >= batch["mel_length_B"][row] - 1 else owner_BS[row, 5]
        assert np.flatnonzero(mask[row]).tolist() == list(range(least, most + 1))
    assert all(np.isfinite(value).all() for value in terms.values())


def test_far_tokens_change_nothing_and_near_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "TOKENS_BESIDE", 1)
    monkeypatch.setattr(pieces, "TOKEN_STEP", 1)
    cloner: Any = made_batch.build()
    batch = made_batch.make_batch((0,))
    batch["target_BS"], batch["target_length_B"][:] = batch["target_BS"][:, :2], 2
    first = cloner(made_batch.tensors(batch), tf.constant(1.0))
    used = first["log_duration_BT"].shape[1]
    assert used < batch["text_BT"].shape[1]
    changed = {key: value.copy() for key, value in batch.items()}
    changed["text_BT"][0, used + 1] = 3 + (changed["text_BT"][0, used + 1] - 2) % 10
    again = cloner(made_batch.tensors(changed), tf.constant(1.0))
    if np.array_equal(first["duration_BT"], again["duration_BT"]):
        np.testing.assert_array_equal(first["log_duration_BT"], again["log_duration_BT"])
    changed["text_BT"][0, 1] = 3 + (changed["text_BT"][0, 1] - 2) % 10
    other = cloner(made_batch.tensors(changed), tf.constant(1.0))
    assert not np.allclose(other["pitch_BT"][0, :1], first["pitch_BT"][0, :1], atol=1e-6)
