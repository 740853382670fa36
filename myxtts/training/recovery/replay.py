"""Recomputes an incident operation by operation, and finds the first result that is not finite."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import myxtts
from myxtts.errors import CheckpointError
from myxtts.messages import quoted
from myxtts.training.recovery import incidents
from myxtts.training.recovery.incident_facts import knobs_of
from myxtts.training.recovery.incidents import Arrays, Incident
from myxtts.training.step import MicroResult
from myxtts.training.trainer import Trainer

_OPERATION = re.compile(r"""output \d+ of eagerly-execut\w+ op "(?:b')?([^"']+)""")
_PACKAGE = Path(myxtts.__file__).resolve().parent


@dataclass(frozen=True)
class Operation:
    """An operation whose result was NaN or Inf."""

    name: str
    """TensorFlow operation, such as Mul or Sqrt."""
    place: str
    """Line of MyXTTS that called it, as "training/losses.py:79 in gaussian_nll"; for a gradient, its function, too."""
    in_gradient: bool


@dataclass(frozen=True)
class Replayed:
    """The result of recomputing an incident."""

    incident: Incident
    result: MicroResult
    bad_inputs: list[str]
    """Messages on arrays of the batch that are not finite."""
    operation: Operation | None
    """The first operation that was not finite; None if all were."""
    utterances: list[tuple[str, float]]
    """Utterance and its total loss, worst first."""
    groups: list[tuple[str, float]]
    """Layer group and gradient norm, worst first."""


def replay(path: Path) -> Replayed:
    """Recompute the micro-batch of the bundle in the folder `path` with its weights, seeds and arguments.

    Raises:
        CheckpointError: the bundle is damaged or inconsistent, or memory is insufficient.
    """
    incident = incidents.read(path)
    knobs = knobs_of(incident.facts)
    try:
        trainer = _trainer(incident)
        result = trainer.step.micro(incident.batch, **knobs)
        trainer.step.discard()
        operation = None if result.good else _first_bad_operation(trainer, incident.batch, knobs)
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise CheckpointError(
            f"incident {quoted(str(path), 200)}: not enough memory to recompute "
            f"{incident.batch['mel_BMC'].shape} mels with a model of its size; use a machine with more"
        ) from error
    bad_inputs = _bad_inputs(incident.batch)
    names = incident.facts["rows"]
    totals = [(names[at], float(result.total_B[at])) for at in np.flatnonzero(incident.batch["weight_B"] > 0)]
    groups = [(g, float(n)) for g, n in zip(trainer.step.groups, result.group_norm_G, strict=True)]
    return Replayed(incident, result, bad_inputs, operation, _worst_first(totals), _worst_first(groups))


def _trainer(incident: Incident) -> Trainer:
    config, corpus = incidents.settings_of(incident)
    config = replace(config, training=replace(config.training, devices=1))  # this machine may have fewer
    trainer = Trainer(config, corpus)
    for variable in trainer.step.weights:
        value = incident.weights.get(variable.path)
        if value is None or tuple(value.shape) != tuple(variable.shape):
            raise CheckpointError(
                f"incident {quoted(str(incident.path), 200)}: weights.safetensors: {variable.path!r} is "
                f"{'missing' if value is None else f'{value.shape}, the model has {tuple(variable.shape)}'}: "
                "use the version of MyXTTS that wrote it"
            )
        variable.assign(value)
    trainer.step.loss_scale.value.assign(float(incident.facts["loss_scale"]))
    return trainer


def _worst_first(pairs: list[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(pairs, key=lambda pair: -pair[1] if np.isfinite(pair[1]) else -np.inf)


def _bad_inputs(batch: Arrays) -> list[str]:
    found = []
    for key, value in batch.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
            found.append(f"{key}{list(place)} is {value[place]} ({np.count_nonzero(~np.isfinite(value))} such values)")
    return found


def _first_bad_operation(trainer: Trainer, batch: Arrays, knobs: dict[str, Any]) -> Operation | None:
    """Run the function of the step eagerly, checking the result of every operation."""
    tf.config.run_functions_eagerly(True)
    tf.debugging.enable_check_numerics(stack_height_limit=1)
    try:
        trainer.step.micro(batch, **knobs)
    except tf.errors.InvalidArgumentError as error:
        return _of_error(error)
    finally:
        tf.debugging.disable_check_numerics()
        tf.config.run_functions_eagerly(False)
        trainer.step.discard()
    return None


def _of_error(error: tf.errors.InvalidArgumentError) -> Operation:
    match = _OPERATION.search(str(error))
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).resolve().is_relative_to(_PACKAGE)]
    # this module called the step; the caller of the operation is deeper in the stack
    callers = [f for f in own if Path(f.filename).name != Path(__file__).name]
    last = callers[-1] if callers else own[-1]
    place = f"{Path(last.filename).resolve().relative_to(_PACKAGE)}:{last.lineno} in {last.name}"
    gradient = [f for f in frames if f.filename.endswith("_grad.py") or f.name == "_gradient_function"]
    named = next((f.name for f in reversed(gradient) if f.name.endswith("Grad")), "")
    return Operation(
        match[1] if match else type(error).__name__,
        f"{place} ({named})" if named else place,
        bool(gradient),
    )
