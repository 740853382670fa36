"""What incident.json of a bundle holds: the arguments of the micro-batch as JSON values, and their check.

A bundle may come from anyone, so every value is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from myxtts.loss_terms import TERMS, VOCODER_TERMS
from myxtts.messages import quoted

_ALL_TERMS = (*TERMS, *VOCODER_TERMS)
_NOT_FINITE = ("nan", "inf", "-inf")
_EXPECTED = {
    "update": "a whole number",
    "micro_batch": "a whole number",
    "cause": "text",
    "rows": "a list of {rows} texts, one for each row of the batch",
    "loss_scale": "a number from 1e-6 to 1e9",
    "most_norm": "null or a number of at least 0",
    "knobs.seed": "two whole numbers",
    "knobs.prior_strength": "a number from 0 to 1",
    "knobs.weights": "null or a number of at least 0 for each loss term",
    "knobs.term_fault": "{rows} factors for each loss term named",
    "knobs.group_fault": "a factor for each layer group named",
}


def fact_problems(facts: Mapping[str, Any], rows: int) -> list[str]:
    """Messages on facts in incident.json that are missing or invalid."""
    knobs = facts.get("knobs")
    if not isinstance(knobs, dict):
        return [f"knobs are {quoted(knobs)}, expected an object"]
    seed, weights, most_norm = knobs.get("seed"), knobs.get("weights", 0), facts.get("most_norm", 0)
    terms, groups = knobs.get("term_fault"), knobs.get("group_fault")
    names = facts.get("rows")
    good = {
        "update": _is_natural(facts.get("update")),
        "micro_batch": _is_natural(facts.get("micro_batch")),
        "cause": isinstance(facts.get("cause"), str),
        "rows": isinstance(names, list) and len(names) == rows and all(isinstance(name, str) for name in names),
        "loss_scale": _is_number(facts.get("loss_scale"), 1e-6, 1e9),
        "most_norm": most_norm is None or _is_number(most_norm, 0.0, 1e38),
        "knobs.seed": isinstance(seed, list) and len(seed) == 2 and all(_is_natural(part) for part in seed),
        "knobs.prior_strength": _is_number(knobs.get("prior_strength"), 0.0, 1.0),
        "knobs.weights": weights is None or _all_of(weights, lambda value: _is_number(value, 0.0, 1e6), _ALL_TERMS),
        "knobs.term_fault": _all_of(terms, lambda value: _are_factors(value, rows), _ALL_TERMS),
        "knobs.group_fault": _all_of(groups, _is_factor),
    }
    found = []
    for key, is_good in good.items():
        if not is_good:
            value = (knobs if key.startswith("knobs.") else facts).get(key.removeprefix("knobs."), "missing")
            found.append(f"{key} is {quoted(value)}, expected {_EXPECTED[key].format(rows=rows)}")
    return found


def _all_of(value: object, is_good: Callable[[Any], bool], keys: Collection[str] | None = None) -> bool:
    """Whether this is an object of valid values whose keys are all in `keys`."""
    return isinstance(value, dict) and all((keys is None or k in keys) and is_good(v) for k, v in value.items())


def _is_natural(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def _is_factor(value: object) -> bool:
    return value in _NOT_FINITE if isinstance(value, str) else _is_number(value, -1e38, 1e38)


def _are_factors(value: object, rows: int) -> bool:
    return isinstance(value, list) and len(value) == rows and all(_is_factor(factor) for factor in value)


def knobs_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of Step.micro, from their values in incident.json."""
    kept = facts["knobs"]
    return {
        "seed": tuple(kept["seed"]),
        "prior_strength": kept["prior_strength"],
        # a term without a weight has weight 0
        "weights": kept["weights"] and {**dict.fromkeys(_ALL_TERMS, 0.0), **kept["weights"]},
        "term_fault": {t: np.array([float(x) for x in f], np.float32) for t, f in kept["term_fault"].items()},
        "group_fault": {g: float(f) for g, f in kept["group_fault"].items()},
    }


def plain_knobs(knobs: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Arguments of Step.micro as JSON values; a factor that is not finite becomes a string."""
    term_fault = knobs.get("term_fault") or {}
    spread = {t: np.broadcast_to(np.asarray(f, np.float32), [rows]) for t, f in term_fault.items() if t in _ALL_TERMS}
    return {
        "seed": [int(x) for x in knobs["seed"]],
        "prior_strength": float(knobs["prior_strength"]),
        "weights": dict(knobs["weights"]) if knobs.get("weights") else None,
        "term_fault": {t: [_word(x) for x in f] for t, f in spread.items()},
        "group_fault": {g: _word(f) for g, f in (knobs.get("group_fault") or {}).items()},
    }


def _word(value: float) -> float | str:
    return float(value) if np.isfinite(value) else str(float(value))
