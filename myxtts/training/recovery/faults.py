"""Fault injection in the step: the numeric faults named in MYXTTS_FAULT."""

from __future__ import annotations

from collections.abc import Sequence

from myxtts import faults
from myxtts.training.step import Step


def term_factors(terms: Sequence[str]) -> dict[str, float]:
    """Factors on the loss terms of the next update."""
    factors = {term: fault.value for term in terms if (fault := faults.armed(f"step.loss.{term}"))}
    if fault := faults.armed("step.loss"):
        factors |= dict.fromkeys(terms, fault.value)
    return factors


def micro_batch_factors(of_update: dict[str, float], terms: Sequence[str]) -> dict[str, float]:
    """Factors on the loss terms of the next micro-batch, including those of its update."""
    fault = faults.armed("step.micro_batch")
    return of_update if fault is None else of_update | dict.fromkeys(terms, fault.value)


def gradient_factors(groups: Sequence[str]) -> dict[str, float]:
    """Factors on the gradients of the layer groups in the next update."""
    factors: dict[str, float] = {}
    if fault := faults.armed("step.gradient"):
        factors |= dict.fromkeys(groups, fault.value)
    if fault := faults.armed("step.layer_gradient"):
        factors[groups[0]] = fault.value
    return factors


def poison_weights(step: Step) -> None:
    """Damage one weight after an update if that fault is armed; the next save must then fail."""
    if fault := faults.armed("step.weights"):
        variable = step.weights[0].value
        variable.assign(variable * fault.value)
