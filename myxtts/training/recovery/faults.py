"""Fail points of the step: what a fault named in MYXTTS_FAULT does to the numbers. Nothing without one."""

from __future__ import annotations

from collections.abc import Sequence

from myxtts.loss_terms import TERMS
from myxtts.storage import faults
from myxtts.training.step import Step


def term_factors() -> dict[str, float]:
    """Factors on the loss terms of the coming update."""
    factors = {term: fault.value for term in TERMS if (fault := faults.armed(f"step.loss.{term}"))}
    if fault := faults.armed("step.loss"):
        factors |= dict.fromkeys(TERMS, fault.value)
    return factors


def micro_batch_factors(of_update: dict[str, float]) -> dict[str, float]:
    """Factors on the loss terms of the coming micro-batch, those of its update included."""
    fault = faults.armed("step.micro_batch")
    return of_update if fault is None else of_update | dict.fromkeys(TERMS, fault.value)


def gradient_factors(groups: Sequence[str]) -> dict[str, float]:
    """Factors on the gradients of the layer groups in the coming update."""
    factors: dict[str, float] = {}
    if fault := faults.armed("step.gradient"):
        factors |= dict.fromkeys(groups, fault.value)
    if fault := faults.armed("step.layer_gradient"):
        factors[groups[0]] = fault.value
    return factors


def poison_weights(step: Step) -> None:
    """Spoil one weight after an update, where a fault asks for it: a save must then refuse."""
    if fault := faults.armed("step.weights"):
        variable = step.weights[0].value
        variable.assign(variable * fault.value)
