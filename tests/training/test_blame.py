"""Who is to blame (promise N5): 200 seeded faults in losses and gradients, and what a search leaves untouched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_batch import make_batch

from myxtts.data.loader import Loaded
from myxtts.loss_terms import TERMS
from myxtts.training.accumulation import Micro, Window
from myxtts.training.recovery import blame

FAULTS = 200
SHARE_RIGHT = 0.99
GRADIENT_OF = {"mel": "decoder", "duration": "duration", "pitch": "pitch", "energy": "energy"}


def windowed(made: Any, batches: list[Any], faults: list[dict[str, Any]]) -> Window:
    """A window of these batches, each computed with its faults, and then emptied."""
    window = Window(tuple(TERMS))
    for index, (batch, fault) in enumerate(zip(batches, faults, strict=True)):
        knobs = {"seed": (1, index), "prior_strength": 0.5, **fault}
        result = made.step.micro(batch, **knobs)
        window.micros.append(Micro(index, Loaded(0, index, batch, False), result, knobs))
    made.step.discard()
    return window


def test_two_hundred_faults_are_attributed_correctly(plain: Any) -> None:
    """A term of one utterance turns NaN, Inf or so large that its gradient does: term and utterance are found."""
    random = np.random.default_rng(5)
    live = [t for t in TERMS if t in plain.step.term_weights]
    wrong = []
    for number in range(FAULTS):
        term, row = str(random.choice(live)), int(random.integers(4))
        bad = [np.nan, np.inf, -np.inf, 1e38][int(random.integers(4))]
        guilty = int(random.integers(2))
        factors = np.ones(4, np.float32)
        factors[row] = bad
        batches = [make_batch((0, 1, 2, 3)), make_batch((4, 5, 6, 7))]
        faults: list[dict[str, Any]] = [{}, {}]
        faults[guilty] = {"term_fault": {term: factors}}
        window = windowed(plain, batches, faults)
        if not window.skipped():  # 1e38 times a term that is 0, or next to it, is finite: there is no fault
            continue
        found = blame.find(plain.step, window, None)
        assert found is not None
        if (found.terms, found.rows, found.micro.number, found.single) != ((term,), (4 * guilty + row,), guilty, True):
            wrong.append((number, term, row, bad, found.terms, found.rows))
    assert len(wrong) <= (1.0 - SHARE_RIGHT) * FAULTS, wrong


@pytest.mark.parametrize(("key", "term"), [("spectrum_BC", "voice_reconstruction"), ("prosody_BQ", "prosody_matching")])
def test_a_bad_number_in_the_data_names_its_term_and_clip(plain: Any, key: str, term: str) -> None:
    batch = make_batch((0, 1, 2, 3))
    batch[key][2, 0] = np.nan
    found = blame.find(plain.step, windowed(plain, [batch], [{}]), None)
    assert found is not None and found.rows == (2,) and term in found.terms and found.single


def test_a_spike_is_searched_for_and_found(plain: Any) -> None:
    """One clip whose gradient is huge and finite, among others: it alone is guilty, and its term is named."""
    factors = np.array([1, 1, 1e6, 1], np.float32)
    window = windowed(plain, [make_batch(), make_batch((4, 5, 6, 7))], [{"term_fault": {"mel": factors}}, {}])
    typical = float(np.linalg.norm(window.micros[1].result.group_norm_G))
    found = blame.find(plain.step, window, 20.0 * typical)
    assert found is not None and found.rows == (2,) and found.terms == ("mel",) and found.single
    assert found.groups and set(found.groups) <= set(plain.step.groups)


def test_the_critic_is_never_to_blame_for_a_spike(played: Any) -> None:
    """Its gradient, however large, is clipped by itself and is no part of the norm that is judged."""
    faults = {"critic": 1e9, "decoder": 1e3}
    window = windowed(
        played, [make_batch(), make_batch((4, 5, 6, 7))], [{"group_fault": faults}, {"group_fault": faults}]
    )
    found = blame.find(played.step, window, 1e-3)
    assert found is not None and found.groups == ("decoder",)
    quiet = windowed(played, [make_batch()], [{"group_fault": {"critic": 1e9}}])
    found = blame.find(played.step, quiet, 1e6)
    assert found is not None and not found.single, "no clip alone is over the norm of a spike"


def test_a_fault_of_all_clips_blames_no_single_one(plain: Any) -> None:
    window = windowed(plain, [make_batch()], [{"term_fault": {"mel": np.nan}}])
    found = blame.find(plain.step, window, None)
    assert found is not None and found.terms == ("mel",) and not found.single and found.guilty_rows == ()
    window = windowed(plain, [make_batch()], [{"group_fault": {"decoder": np.nan}}])
    found = blame.find(plain.step, window, None)
    assert found is not None and not found.single and found.groups == ("decoder",) and found.terms == ()


def test_a_micro_batch_of_one_clip_is_compared_with_earlier_ones(plain: Any) -> None:
    """Alone it says nothing: its one clip is all of it. More than half bad over several, and no clip is to blame."""
    window = windowed(plain, [make_batch((1,))], [{"term_fault": {"mel": np.nan}}])
    for others, single in (
        ({}, False),
        ({1: True}, False),
        ({2: False}, True),
        ({2: True, 3: False}, False),
        ({2: True, 3: False, 4: False}, True),
        ({n: True for n in range(10, 30)} | {n: False for n in range(2, 9)}, True),
        ({n: False for n in range(10, 30)} | {n: True for n in range(2, 6)}, False),
    ):
        found = blame.find(plain.step, window, None, others=others)
        assert found is not None and found.terms == ("mel",) and found.single == single, others
        assert found.guilty_rows == ((1,) if single else ())
    spike = windowed(plain, [make_batch((1,))], [{}])
    for others, single in (({2: True}, False), ({2: False}, True)):
        found = blame.find(plain.step, spike, 1e-9, others=others)
        assert found is not None and found.single == single
    whole = windowed(plain, [make_batch((0, 1, 2, 3, 4, 5, 6, 7))], [{"term_fault": {"mel": [np.nan, *[1.0] * 7]}}])
    found = blame.find(plain.step, whole, None, others={n: True for n in range(10, 30)})
    assert found is not None and found.single, "eight clips are enough to judge by"


def test_which_clips_were_bad_alone_is_known_without_a_search(plain: Any) -> None:
    nan, far = {"term_fault": {"mel": [np.nan, 1.0]}}, {"group_fault": {"decoder": np.nan}}
    window = windowed(plain, [make_batch((0, 1)), make_batch((2, 3)), make_batch((4,))], [nan, far, far])
    assert blame.bad_alone(plain.step, window, None) == {0: True, 1: False, 4: True}, "of 2 and 3 it is not known"
    calm = windowed(plain, [make_batch((5, 6)), make_batch((7,))], [{}, {}])
    assert blame.bad_alone(plain.step, calm, None) == {5: False, 6: False, 7: False}
    assert blame.bad_alone(plain.step, calm, 1e-9) == {7: True}
    assert blame.bad_alone(plain.step, calm, 1e9) == {5: False, 6: False, 7: False}


def test_a_search_changes_nothing(plain: Any) -> None:
    plain.run()
    before = plain.bytes()
    factors = np.array([1, np.inf, 1, 1], np.float32)
    window = windowed(plain, [make_batch()], [{"term_fault": {"kl": factors}}])
    blame.find(plain.step, window, None)
    blame.find(plain.step, windowed(plain, [make_batch()], [{}]), 1e-9)
    assert plain.bytes() == before
    assert all(not v.numpy().any() for v in plain.step.accumulated) and float(plain.step.utterances) == 0.0


def test_without_a_fault_nothing_is_found(plain: Any) -> None:
    assert blame.find(plain.step, Window(tuple(TERMS)), None) is None
    assert blame.find(plain.step, windowed(plain, [make_batch()], [{}]), None) is None
