"""Finds the cause of a bad micro-batch: loss terms, utterances and layer groups.

A loss that is not finite identifies its terms and utterances directly. For a bad or too large gradient of finite
losses, each utterance is computed alone, then each term of a guilty utterance. The search changes no weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from myxtts.training.accumulation import Micro, Window
from myxtts.training.step import MicroResult, Step

LARGEST_GUILTY_SHARE = 0.5
"""If a larger share of the utterances is bad alone, no single one is blamed."""
FEW_UTTERANCES = 8
"""If a micro-batch has fewer utterances, those of earlier micro-batches are added before computing the share."""


@dataclass(frozen=True)
class Blame:
    """The result: loss terms, rows of the feature store, layer groups, and the examined micro-batch."""

    terms: tuple[str, ...]
    rows: tuple[int, ...]
    groups: tuple[str, ...]
    micro: Micro
    single: bool
    """Whether single utterances are to blame; otherwise `rows` are all rows of the micro-batch."""

    @property
    def guilty_rows(self) -> tuple[int, ...]:
        """Rows of the utterances that get a strike."""
        return self.rows if self.single else ()


def find(
    step: Step,
    window: Window,
    spike_norm: float | None,
    *,
    others: Mapping[int, bool] | None = None,
    search: bool = True,
) -> Blame | None:
    """The cause of a bad window.

    Args:
        step: its accumulators must be empty, and are empty afterwards.
        window: the micro-batches; without any, the result is None.
        spike_norm: gradient norm above which a single utterance counts as the cause of a spike; None if values were not
            finite.
        others: rows of the newest utterances, and whether each was bad alone; they are added to a small micro-batch.
        search: compute utterances alone if the losses do not identify them.
    """
    if not window.micros:
        return None
    bad, others = window.skipped(), others or {}
    if bad:
        return _from_losses(step, bad[0], others, search)
    if spike_norm is None:
        return None
    micro = max(window.micros, key=lambda m: step.model_norm(m.result.group_norm_G))
    return _search(step, micro, spike_norm, others) if search else _whole_batch(step, micro, spike_norm)


def bad_alone(step: Step, window: Window, spike_norm: float | None) -> dict[int, bool]:
    """Row -> whether the utterance was bad alone, for those of a window where this is known without a search."""
    known: dict[int, bool] = {}
    for micro in window.micros:
        rows, result = micro.rows_B[micro.real_B].tolist(), micro.result
        bad = np.asarray(~np.isfinite(result.terms_KB[:, micro.real_B]).all(axis=0))
        if _is_bad(step, result, spike_norm) and not bad.any():
            if len(rows) > 1:
                continue  # not known which one
            bad[:] = True
        known |= dict(zip(rows, bad.tolist(), strict=True))
    return known


def _whole_batch(step: Step, micro: Micro, spike_norm: float | None) -> Blame:
    rows = tuple(int(row) for row in micro.rows_B[micro.real_B])
    return Blame((), rows, tuple(_bad_groups(step, micro.result, spike_norm)), micro, single=False)


def _from_losses(step: Step, micro: Micro, others: Mapping[int, bool], search: bool) -> Blame:
    bad_KB = ~np.isfinite(micro.result.terms_KB) & micro.real_B
    if not bad_KB.any():
        return _search(step, micro, None, others) if search else _whole_batch(step, micro, None)
    terms = [term for term, is_bad in zip(step.terms, np.any(bad_KB, axis=1).tolist(), strict=True) if is_bad]
    return _blame(terms, np.asarray(bad_KB.any(axis=0)), _bad_groups(step, micro.result, None), micro, others)


def _search(step: Step, micro: Micro, spike_norm: float | None, others: Mapping[int, bool]) -> Blame:
    """Compute each utterance alone, then the terms of the first one that is bad alone."""
    rows = np.flatnonzero(micro.real_B)
    alone = {int(row): _alone(step, micro, int(row)) for row in rows}
    guilty_B = np.zeros(len(micro.real_B), bool)
    guilty_B[[row for row, result in alone.items() if _is_bad(step, result, spike_norm)]] = True
    if not guilty_B.any():  # they are bad only together
        return _whole_batch(step, micro, spike_norm)
    first = int(np.flatnonzero(guilty_B)[0])
    weights = step.term_weights if micro.knobs.get("weights") is None else micro.knobs["weights"]
    terms = [
        term
        for term in step.term_weights
        if _is_bad(step, _alone(step, micro, first, dict.fromkeys(weights, 0.0) | {term: weights[term]}), spike_norm)
    ]
    # if every term alone is bad, the cause is not a term but a layer that all of them depend on
    terms = [] if len(terms) == len(step.term_weights) else terms
    return _blame(terms, guilty_B, _bad_groups(step, alone[first], spike_norm), micro, others)


def _blame(
    terms: Iterable[str],
    guilty_B: npt.NDArray[np.bool_],
    groups: Sequence[str],
    micro: Micro,
    others: Mapping[int, bool],
) -> Blame:
    """Blame single utterances, or the whole micro-batch if too many are bad."""
    real, guilty = int(micro.real_B.sum()), int(guilty_B.sum())
    own = set(micro.rows_B[micro.real_B].tolist())
    beside = [bad for row, bad in others.items() if row not in own]
    beside = beside[-(FEW_UTTERANCES - real) :] if real < FEW_UTTERANCES else []
    single = 0 < guilty + sum(beside) <= LARGEST_GUILTY_SHARE * (real + len(beside))
    named = guilty_B if single else micro.real_B
    rows = tuple(int(row) for row in micro.rows_B[named])
    return Blame(tuple(terms), rows, tuple(groups), micro, single)


def _alone(step: Step, micro: Micro, row: int, weights: dict[str, float] | None = None) -> MicroResult:
    """The result of one utterance; of several processes, the others take part with a row that does not count."""
    size, rows = step.cluster.size, len(micro.loaded.batch["weight_B"])
    owner, own_row = divmod(row, rows)
    knobs = dict(micro.knobs)
    if weights is not None:
        knobs["weights"] = weights
    if knobs.get("term_fault"):
        knobs["term_fault"] = {
            term: np.repeat(np.atleast_1d(factor)[row], size) if np.ndim(factor) else factor
            for term, factor in knobs["term_fault"].items()
        }
    batch = {key: value[own_row : own_row + 1] for key, value in micro.loaded.batch.items()}
    if step.cluster.rank != owner:
        batch |= {f.key: np.full_like(batch[f.key], f.padding) for f in step.task.fields}
    result = step.micro(batch, **knobs)
    step.discard()
    one = slice(owner, owner + 1)
    return replace(result, terms_KB=result.terms_KB[:, one], total_B=result.total_B[one], real_B=result.real_B[one])


def _is_bad(step: Step, result: MicroResult, spike_norm: float | None) -> bool:
    return not result.good or (spike_norm is not None and step.model_norm(result.group_norm_G) > spike_norm)


def _bad_groups(step: Step, result: MicroResult, spike_norm: float | None) -> list[str]:
    """Layer groups whose gradient is not finite; for a spike, the group of the model with the largest norm."""
    norms = result.group_norm_G
    bad = [group for group, norm in zip(step.groups, norms, strict=True) if not np.isfinite(norm)]
    largest = int(np.argmax(np.where(step.gradients.critics_G, -1.0, norms)))
    return bad or ([step.groups[largest]] if spike_norm is not None else [])
