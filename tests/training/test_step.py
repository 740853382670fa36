"""The guarded step: a skipped update changes nothing, an applied one is exact (promises N1 and N6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_batch import make_batch
from made_step import assert_learns

from myxtts.loss_terms import TERMS
from myxtts.training.step import DETECTOR_SIZE, DETECTOR_WARMUP

GROUPS = (
    "aligner",
    "decoder",
    "duration",
    "energy",
    "pitch",
    "prosody_in",
    "source_predictor",
    "speaker_encoder",
    "text_encoder",
    "voice_heads",
)

NAN = {"decoder": float("nan")}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("term", TERMS)
def test_a_loss_term_that_is_not_finite_changes_nothing(plain: Any, term: str, bad: float) -> None:
    plain.run()
    before = plain.bytes()
    result = plain.micro(term_fault={term: bad})
    assert not result.good
    assert [list(TERMS)[k] for k in np.flatnonzero(~np.isfinite(result.terms_KB).all(axis=1))] == [term]
    update = plain.update()
    assert not update.applied and update.utterances == 0.0 and not update.spike
    assert plain.bytes() == before
    assert_learns(plain)


@pytest.mark.parametrize("bad", [np.nan, 1e25])
@pytest.mark.parametrize("group", GROUPS)
def test_a_gradient_that_is_not_finite_in_one_part_changes_nothing(plain: Any, group: str, bad: float) -> None:
    plain.run()
    before = plain.bytes()
    result = plain.micro(group_fault={group: bad})
    assert not result.good and np.isfinite(result.total_B).all()
    assert [g for g, n in zip(GROUPS, result.group_norm_G, strict=True) if not np.isfinite(n)] == [group]
    assert not plain.update().applied
    assert plain.bytes() == before


def test_the_groups_are_the_parts_of_the_model(plain: Any) -> None:
    assert tuple(plain.step.groups) == GROUPS


def test_gradients_times_1e25_everywhere_change_nothing(plain: Any) -> None:
    plain.run()
    before = plain.bytes()
    result = plain.run(group_fault=dict.fromkeys(GROUPS, 1e25))
    assert not result.applied and plain.bytes() == before
    assert_learns(plain)


@pytest.mark.parametrize("factor", [1e3, 1e9, 1e15])
def test_finite_gradient_bombs_are_clipped_or_skipped(plain: Any, factor: float) -> None:
    for _ in range(3):
        plain.run()
    plain.run(group_fault=dict.fromkeys(GROUPS, factor))
    assert all(np.isfinite(value).all() for value in plain.values().values())
    assert_learns(plain)


@pytest.mark.parametrize("fault", [{"term_fault": {"mel": np.nan}}, {"group_fault": {"decoder": np.inf}}])
def test_only_the_bad_micro_batch_of_a_window_is_skipped(plain: Any, fault: dict[str, Any]) -> None:
    plain.run()
    start = plain.values()
    windows = [(0, 1), (2, 3), (4, 5), (6, 7)]
    goods = [plain.micro(rows, **(fault if i == 1 else {})).good for i, rows in enumerate(windows)]
    assert goods == [True, False, True, True]
    result = plain.update()
    assert result.applied and result.utterances == 6.0
    found = plain.bytes()
    plain.put(start)
    for i in (0, 2, 3):
        plain.micro(windows[i])
    alone = plain.update()
    assert alone.applied and alone.grad_norm == result.grad_norm
    assert plain.bytes() == found


def test_the_window_is_the_same_wherever_the_bad_micro_batches_were(plain: Any) -> None:
    start, found = plain.values(), set()
    for bad in [(), (0,), (2,), (0, 1, 2)]:
        plain.reset()
        plain.put(start)
        for number, rows in enumerate([(0, 1), (2, 3)]):
            if number in bad:
                assert not plain.step.micro(make_batch((4, 5)), seed=(1, 9), prior_strength=0.5, group_fault=NAN).good
            assert plain.step.micro(make_batch(rows), seed=(1, number), prior_strength=0.5).good
        for _ in range(int(2 in bad)):
            assert not plain.step.micro(make_batch((6,)), seed=(1, 9), prior_strength=0.5, group_fault=NAN).good
        assert float(plain.step.utterances) == 4.0
        found.add(b"".join(v.numpy().tobytes() for v in plain.step.accumulated))
    assert len(found) == 1


@pytest.mark.parametrize("key", ["mel_BMC", "reference_BRC", "spectrum_BC", "pitch_BM", "energy_BM", "prosody_BQ"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_numbers_in_a_batch_change_nothing(plain: Any, key: str, bad: float) -> None:
    plain.run()
    before = plain.bytes()
    batch = make_batch()
    if key == "pitch_BM":
        batch["voiced_BM"][1, 1] = 1.0
    batch[key][1, 1] = bad
    result = plain.micro(batch)
    assert not result.good
    assert not np.isfinite(result.terms_KB[:, 1]).all() or not np.isfinite(result.group_norm_G).all()
    assert np.isfinite(result.terms_KB[:, [0, 2, 3]]).all(), "the others are not to blame"
    assert not plain.update().applied
    assert plain.bytes() == before


def test_values_of_1e20_in_a_batch_never_reach_the_weights(plain: Any) -> None:
    batch = make_batch()
    batch["mel_BMC"][0, 2] = 1e20
    plain.run(batch)
    assert all(np.isfinite(value).all() for value in plain.values().values())
    assert_learns(plain)


def test_an_empty_window_changes_nothing(plain: Any) -> None:
    plain.run()
    before = plain.bytes()
    result = plain.update()
    assert not result.applied and result.utterances == 0.0 and result.grad_norm == 0.0
    only_fill = make_batch((0, 1))
    only_fill["weight_B"][:] = 0.0
    assert not plain.run(only_fill).applied
    assert plain.bytes() == before


def test_the_window_is_empty_after_an_applied_and_a_skipped_update(plain: Any) -> None:
    start = plain.values()
    first = plain.run((0, 1)).grad_norm
    plain.put(start)
    plain.run((2, 3), term_fault={"mel": np.nan})
    assert plain.run((0, 1)).grad_norm == first
    assert all(not v.numpy().any() for v in plain.step.accumulated) and float(plain.step.utterances) == 0.0


# --- N6: what is applied


def test_the_norm_after_clipping_is_at_most_the_clip_norm(plain: Any) -> None:
    result = plain.run(group_fault=dict.fromkeys(GROUPS, 50.0))
    assert result.applied and result.grad_norm > 10.0
    assert np.linalg.norm(plain.clipped()) == pytest.approx(0.3, rel=1e-4)


def test_a_small_gradient_is_not_scaled_up(plain: Any) -> None:
    result = plain.run(group_fault=dict.fromkeys(GROUPS, 1e-3))
    assert 0.0 < result.grad_norm < 0.3
    assert np.linalg.norm(plain.clipped()) == pytest.approx(result.grad_norm, rel=1e-4)


def test_the_group_norms_add_up(plain: Any) -> None:
    result = plain.run()
    assert np.linalg.norm(result.group_norm_G) == pytest.approx(result.grad_norm, rel=1e-5)
    assert (result.group_norm_G > 0.0).all()


def test_four_micro_batches_of_four_equal_one_of_sixteen(plain: Any) -> None:
    start = plain.values()
    plain.micro(range(16))
    whole = plain.update()
    one, gradient = plain.values(), plain.clipped()
    plain.put(start)
    for first in range(0, 16, 4):
        plain.micro(range(first, first + 4))
    parts = plain.update()
    assert parts.utterances == whole.utterances == 16.0
    assert parts.grad_norm == pytest.approx(whole.grad_norm, rel=1e-5)
    np.testing.assert_allclose(plain.clipped(), gradient, atol=1e-5 * np.abs(gradient).max())
    found = plain.values()
    # Adam's first step has the size of the rate whatever the gradient: a sign may differ where it is only rounding.
    clear = {n for n in found if n.startswith("moment first/") and np.abs(found[n]).max() > 1e-6}
    for name in clear:
        weight = name.replace("moment first/", "weight ")
        where = np.abs(found[name]) > 1e-6
        np.testing.assert_allclose(found[weight][where], one[weight][where], atol=1e-5, err_msg=weight)


def test_padding_rows_do_not_count(plain: Any) -> None:
    start = plain.values()
    full = plain.run(make_batch((0, 1)))
    plain.put(start)
    filled = plain.run(make_batch((0, 1), fill=3))
    assert filled.utterances == full.utterances == 2.0
    assert filled.grad_norm == pytest.approx(full.grad_norm, rel=1e-5)


# --- spikes, averages, counters


def known_norms(made: Any, norm: float, count: int) -> None:
    values = made.values()
    values["norms"] = np.full(DETECTOR_SIZE, norm, np.float32)
    values["norms"][count:] = 0.0
    values["accepted"] = np.asarray(count)
    made.put(values)


def test_a_spike_is_skipped(plain: Any) -> None:
    usual = plain.run().grad_norm
    plain.reset()
    known_norms(plain, usual, DETECTOR_WARMUP)
    before = plain.bytes()
    result = plain.run(group_fault=dict.fromkeys(GROUPS, 21.0))
    assert result.spike and not result.applied and plain.bytes() == before
    result = plain.run(group_fault=dict.fromkeys(GROUPS, 18.0))
    assert result.applied and not result.spike


def test_no_spike_before_the_detector_has_enough_norms(plain: Any) -> None:
    usual = plain.run().grad_norm
    plain.reset()
    known_norms(plain, usual, DETECTOR_WARMUP - 1)
    result = plain.run(group_fault=dict.fromkeys(GROUPS, 1e3))
    assert result.applied and not result.spike


def test_the_median_is_over_the_last_accepted_norms(plain: Any) -> None:
    known_norms(plain, 1e-6, DETECTOR_SIZE)
    values = plain.values()
    values["norms"][: DETECTOR_SIZE // 2 + 1] = 1e6
    values["accepted"] = np.asarray(3 * DETECTOR_SIZE + 5)
    plain.put(values)
    result = plain.run()
    assert result.applied and plain.values()["norms"][5] == np.float32(result.grad_norm)
    assert plain.values()["accepted"] == 3 * DETECTOR_SIZE + 6


def test_the_average_of_the_weights(plain: Any) -> None:
    names = [n.removeprefix("average ") for n in plain.variables() if n.startswith("average ")]
    start = plain.values()
    expected = {n: start[f"average {n}"].astype(np.float64) for n in names}
    for done in range(1, 5):
        plain.run()
        decay = min(0.9, (1 + done) / (10 + done))
        now = plain.values()
        for name in names:
            expected[name] = decay * expected[name] + (1 - decay) * now[f"weight {name}"]
            np.testing.assert_allclose(now[f"average {name}"], expected[name], atol=1e-6)


def test_counters(plain: Any) -> None:
    plain.run()
    plain.run(term_fault={"kl": np.nan})
    result = plain.run()
    assert result.utterances == 4.0 and int(plain.step.optimizer.steps) == 2 == int(plain.step.accepted)


def test_training_lowers_the_loss(plain: Any) -> None:
    losses = []
    for _ in range(30):
        losses.append(float(plain.micro().total_B.mean()))
        assert plain.update(1e-2).applied
    assert losses[-1] < 0.85 * losses[0]


def test_one_graph_for_every_shape(plain: Any) -> None:
    for rows, pad in (((0,), (0, 0, 0)), ((1, 2), (5, 1, 3)), ((0, 1, 2, 3), (1, 9, 0))):
        batch = make_batch(rows, pad=pad)
        plain.run(batch)
        plain.step.validate(batch)
    for graph in (plain.step._micro[False, False], plain.step._apply, plain.step._validate):
        assert graph.experimental_get_tracing_count() == 1


def test_validation_uses_the_averaged_weights_and_changes_nothing(plain: Any) -> None:
    plain.run()
    before = plain.bytes()
    batch = make_batch(fill=1)
    terms, outputs = plain.step.validate(batch)
    mel, path = outputs["mel_BSC"], outputs["path_BMT"]
    assert terms.shape == (len(TERMS), 5) and mel.shape == batch["mel_BMC"].shape and path.shape[2] == 9
    assert plain.bytes() == before
    values = plain.values()
    plain.put({n: v * (0.5 if n.startswith("weight ") else 1.0) for n, v in values.items()})
    np.testing.assert_array_equal(plain.step.validate(batch)[0], terms)
    plain.put({n: v * (0.5 if n.startswith("average ") else 1.0) for n, v in values.items()})
    assert np.abs(plain.step.validate(batch)[0] - terms).max() > 1e-3
