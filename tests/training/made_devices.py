"""Two virtual devices against one: a program of its own, for they must be made before TensorFlow starts.

`python made_devices.py PART FOLDER` prints what it found as one line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import made_batch
import made_run
import numpy as np
import tensorflow as tf
from made_step import RICH, MadeStep
from test_blame import windowed

from myxtts.training import replicas, run
from myxtts.training.recovery import blame
from myxtts.training.recovery import faults as injection

DEVICES = ("/device:CPU:0", "/device:CPU:1")
WINDOWS = (((0, 1, 2, 3), (4, 5, 6, 7)), ((1, 2, 3), (8, 9, 10, 11)), ((5,), (2, 3, 12, 13)), ((0, 4, 8, 12),) * 2)
"""Micro-batches of the updates; some are no multiple of two."""


def digests(made: MadeStep) -> list[str]:
    """A hash of each replica's weights."""
    return [
        hashlib.sha256(b"".join(np.asarray(w.numpy()).tobytes() for w in r.weights)).hexdigest()
        for r in made.step.replicas
    ]


def difference(one: Mapping[str, Any], other: Mapping[str, Any], kind: str = "") -> float:
    """Norm of the difference of all tensors whose names begin with `kind`, relative to their norm."""
    names = [name for name in one if name.startswith(kind)]
    a, b = (np.concatenate([np.asarray(x[n], np.float64).ravel() for n in names]) for x in (one, other))
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


def agreement() -> dict[str, Any]:
    """The same updates on one and on two devices."""
    settings = {"loss": {"adaptive_weights": True}}
    one, two = MadeStep(**settings), MadeStep(**settings, devices=DEVICES)
    kinds = ("terms", "norms", "weights", "average", "moments", "digests", "applied")
    found: dict[str, Any] = {kind: [] for kind in kinds}
    for windows in WINDOWS:
        for rows in windows:
            a, b = one.micro(rows), two.micro(rows)
            assert a.good and b.good and a.terms_KB.shape == b.terms_KB.shape
            found["terms"].append(difference({"K": a.terms_KB, "": a.total_B}, {"K": b.terms_KB, "": b.total_B}))
        x, y = one.update(), two.update()
        found["applied"].append(x.applied and y.applied and x.utterances == y.utterances)
        found["norms"].append(abs(x.grad_norm - y.grad_norm) / x.grad_norm)
        values = one.values(), two.values()
        found["weights"].append(difference(*values, "weight"))
        found["average"].append(difference(*values, "average"))
        found["moments"].append(difference(*values, "moment first"))
        found["digests"].append(digests(two))
    return found | {"faults": faults(two), "blamed": blamed(two), "differ": differ(two), "placed": placed(two)}


def faults(two: MadeStep) -> dict[str, Any]:
    """What faults on the second device alone do; its rows are the last two of four."""
    found: dict[str, Any] = {}
    ones = np.ones(4, np.float32)
    poisoned = made_batch.make_batch()
    poisoned["mel_BMC"][3, 2] = np.nan
    cases: dict[str, tuple[Any, dict[str, Any]]] = {
        "nan": ((0, 1, 2, 3), {"term_fault": {"mel": ones * [1, 1, 1, np.nan]}}),
        "inf": ((0, 1, 2, 3), {"term_fault": {"kl": ones * [1, 1, np.inf, 1]}}),
        "huge": ((0, 1, 2, 3), {"term_fault": {"mel": ones * np.float32([1, 1, 1, 1e38])}}),
        "batch": (poisoned, {}),
    }
    for name, (rows, fault) in cases.items():
        before, hashes = two.bytes(), digests(two)
        micro, update = two.micro(rows, **fault), two.update()
        unchanged = two.bytes() == before and digests(two) == hashes
        finite_B = np.isfinite(micro.terms_KB).all(axis=0).tolist()
        learned = two.run().applied and two.bytes() != before
        found[name] = [micro.good, update.applied, unchanged, finite_B, learned, len(set(digests(two)))]
    start = two.values()
    two.micro((0, 1, 2, 3), term_fault={"mel": ones * [1, 1, np.nan, 1]})
    two.micro((4, 5))
    count, with_it = two.update().utterances, two.bytes()
    two.put(start)
    two.step.share_weights()
    two.micro((4, 5))
    two.update()
    return found | {"dropped_alone": [count, two.bytes() == with_it]}


def blamed(two: MadeStep) -> dict[str, Any]:
    """Who is found guilty of a gradient that is not finite, and of a spike, on the second device."""
    found: dict[str, Any] = {}
    for name, factor, row in (("gradient", 1e38, 3), ("spike", 1e6, 2)):
        factors = np.ones(4, np.float32)
        factors[row] = factor
        batches = [made_batch.make_batch(), made_batch.make_batch((4, 5, 6, 7))]
        window = windowed(two, batches, [{"term_fault": {"mel": factors}}, {}])
        bar = 20.0 * float(np.linalg.norm(window.micros[1].result.group_norm_G)) if name == "spike" else None
        guilty = blame.find(two.step, window, bar)
        assert guilty is not None
        found[name] = [window.micros[0].result.good, guilty.rows, guilty.terms, guilty.single]
    return found


def differ(two: MadeStep) -> list[str]:
    """What is said before, while and after a weight of the second replica differs in one bit."""
    said = [two.step.disagreement()]
    weight = two.step.replicas[1].weights[2]
    bits = weight.numpy().copy()
    bits.view(np.int32).flat[0] ^= 1
    weight.assign(bits)
    said.append(two.step.disagreement())
    two.step.share_weights()
    return [*said, two.step.disagreement()]


def placed(two: MadeStep) -> list[str]:
    """Where the weights of each replica are."""
    return [f"{len({w.value.device for w in r.weights})} {r.weights[0].value.device}" for r in two.step.replicas]


def rich() -> dict[str, Any]:
    """Muon, flow, dropout on two devices."""
    two = MadeStep(**RICH, devices=DEVICES)
    same = two.micro((0, 0)).total_B.tolist()
    return {"same_row_twice": same, "applied": [two.update().applied, two.run().applied], "digests": digests(two)}


class Kept:
    """Trainers whose graphs are traced once for all runs on as many devices."""

    def __init__(self) -> None:
        self._of: dict[int, made_run.KeptTrainers] = {}

    def trainer(self, config: Any, corpus: Any) -> Any:
        kept = self._of.setdefault(config.training.devices, made_run.KeptTrainers())
        made = kept.trainer(config, corpus)
        made.step.share_weights()
        return made


def spoil(calls: list[int], step: Any) -> None:
    """After the fourth update, which is to be saved, the second replica has one weight that is not the first's."""
    calls[0] += 1
    if calls[0] == 4:
        step.replicas[1].weights[0].value.assign_add(np.full(step.weights[0].shape, 1e-6, np.float32))


def runs(folder: Path) -> dict[str, Any]:
    """A run on one device; one on two, and its end on one; one whose replicas come to differ."""
    settings: dict[str, Any] = {"model__dropout": 0.0, "model__predictor_dropout": 0.0}
    run.Trainer = Kept().trainer  # type: ignore[assignment,misc]
    said = {"one": made_run.train(folder, "one", **settings, training__devices=1)[1].text}
    said["two"] = made_run.train(folder, "two", **settings, training__devices=2, training__max_updates=4)[1].text
    said["after"] = made_run.train(folder, "two", **settings, training__devices=1)[1].text
    injection.poison_weights = partial(spoil, [0])
    updates, screen = made_run.train(folder, "spoilt", **settings, training__devices=2)
    return said | {"spoilt": updates, "warned": screen.warnings}


def main(part: str, folder: str) -> None:
    """Run a part."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    found = {"agreement": agreement, "rich": rich, "runs": lambda: runs(Path(folder))}[part]()
    print(
        "\n" + json.dumps(found | {"all": [replicas.describe_devices(replicas.chosen_devices(n)) for n in (0, 1, 2)]})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
