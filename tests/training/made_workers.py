"""One of several processes against one alone: a program of its own, for the cluster comes before TensorFlow computes.

`python made_workers.py PART` prints what it found as one line of JSON; TF_CONFIG says which process it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import made_batch
import numpy as np
from made_step import RICH, MadeStep

from myxtts.batch import FIELDS
from myxtts.data.loader import Loaded
from myxtts.data.plan import Bucket, PlannedBatch
from myxtts.loss_terms import TERMS
from myxtts.training import cluster as cluster_module
from myxtts.training.accumulation import Micro, Window
from myxtts.training.cluster import Cluster, cluster_of
from myxtts.training.members import member_of
from myxtts.training.recovery import blame

WINDOWS = (((0, 1, 2, 3), (4, 5, 6, 7)), ((1, 2, 3), (8, 9, 10, 11)), ((5,), (2, 3, 12, 13)), ((0, 4, 8, 12),) * 2)
"""Micro-batches of the updates; some are no multiple of two or three."""
SHAPES = Bucket(0, 0)


class Shared:
    """The step of this process; micro-batches are given whole."""

    def __init__(self, cluster: Cluster, **settings: Any) -> None:
        self.made, self.cluster = MadeStep(**settings, cluster=cluster), cluster

    def own(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The rows of this process."""
        fill = -len(batch["weight_B"]) % self.cluster.size
        whole = {
            f.key: np.concatenate([batch[f.key], np.full([fill, *batch[f.key].shape[1:]], f.padding, f.dtype)])
            for f in FIELDS
        }
        rows = len(whole["weight_B"]) // self.cluster.size
        return {key: x[self.cluster.rank * rows : (self.cluster.rank + 1) * rows] for key, x in whole.items()}

    def micro(self, rows: Sequence[int] | dict[str, Any], **faults: Any) -> Any:
        return self.made.micro(self.own(rows if isinstance(rows, dict) else made_batch.make_batch(rows)), **faults)

    def digest(self) -> str:
        """A hash of everything that an update may change."""
        return hashlib.sha256(b"".join(self.made.bytes().values())).hexdigest()

    def digests(self) -> list[str]:
        """The hash of every process."""
        return self.cluster.gather(self.digest())


def difference(one: Mapping[str, Any], other: Mapping[str, Any], kind: str = "") -> float:
    """Norm of the difference of all tensors whose names begin with `kind`, relative to their norm."""
    names = [name for name in one if name.startswith(kind)]
    a, b = (np.concatenate([np.asarray(x[n], np.float64).ravel() for n in names]) for x in (one, other))
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


def agreement(cluster: Cluster) -> dict[str, Any]:
    """The same updates in all processes, and in the chief alone."""
    settings = {"loss": {"adaptive_weights": True}}
    many, one = Shared(cluster, **settings), MadeStep(**settings) if cluster.chief else None
    kinds = ("terms", "totals", "norms", "weights", "average", "moments", "digests", "applied", "same")
    found: dict[str, Any] = {kind: [] for kind in kinds}
    for windows in WINDOWS:
        for rows in windows:
            b = many.micro(rows)
            found["same"].append(cluster.gather([b.terms_KB.tobytes().hex(), b.total_B.tobytes().hex(), b.good]))
            if one is not None:
                a, count = one.micro(rows), len(rows)
                assert a.good and b.good and b.real_B.tolist()[:count] == [True] * count and not b.real_B[count:].any()
                found["terms"].append(difference({"": a.terms_KB}, {"": b.terms_KB[:, :count]}))
                found["totals"].append(difference({"": a.total_B}, {"": b.total_B[:count]}))
        y = many.made.update()
        found["digests"].append(many.digests())
        if one is not None:
            x = one.update()
            found["applied"].append(x.applied and y.applied and x.utterances == y.utterances)
            found["norms"].append(abs(x.grad_norm - y.grad_norm) / x.grad_norm)
            values = one.values(), many.made.values()
            found["weights"].append(difference(*values, "weight"))
            found["average"].append(difference(*values, "average"))
            found["moments"].append(difference(*values, "moment first"))
    found["same"] = [all(other == each[0] for other in each) for each in found["same"]]
    return found | {"faults": faults(many), "blamed": blamed(many), "differ": differ(many)}


def faults(many: Shared) -> dict[str, Any]:
    """What faults in the rows of one process alone do; of two processes the second one has the last two of four."""
    found: dict[str, Any] = {}
    ones, made = np.ones(many.cluster.size * -(-4 // many.cluster.size), np.float32), many.made
    poisoned = made_batch.make_batch()
    poisoned["mel_BMC"][3, 2] = np.nan
    cases: dict[str, tuple[Any, dict[str, Any]]] = {
        "nan": ((0, 1, 2, 3), {"term_fault": {"mel": _at(ones, 3, np.nan)}}),
        "inf": ((0, 1, 2, 3), {"term_fault": {"kl": _at(ones, 2, np.inf)}}),
        "huge": ((0, 1, 2, 3), {"term_fault": {"mel": _at(ones, 3, 1e38)}}),
        "batch": (poisoned, {}),
    }
    for name, (rows, fault) in cases.items():
        before = made.bytes()
        micro, update = many.micro(rows, **fault), made.update()
        unchanged = made.bytes() == before
        finite_B = np.isfinite(micro.terms_KB).all(axis=0).tolist()[:4]
        many.micro((0, 1, 2, 3))
        learned = made.update().applied and made.bytes() != before
        found[name] = [micro.good, update.applied, unchanged, finite_B, learned, len(set(many.digests()))]
    start = made.values()
    many.micro((0, 1, 2, 3), term_fault={"mel": _at(ones, 2, np.nan)})
    many.micro((4, 5))
    count, with_it = made.update().utterances, made.bytes()
    made.put(start)
    made.calls -= 1
    many.micro((4, 5))
    made.update()
    return found | {"dropped_alone": [count, made.bytes() == with_it, len(set(many.digests()))]}


def _at(ones: np.ndarray, row: int, factor: float) -> np.ndarray:
    factors = ones.copy()
    factors[row] = factor
    return factors


def blamed(many: Shared) -> dict[str, Any]:
    """Who is found guilty of a gradient that is not finite, and of a spike, in the rows of the last process."""
    found: dict[str, Any] = {}
    size = many.cluster.size
    for name, factor, row in (("gradient", 1e38, 3), ("spike", 1e6, 2)):
        factors = _at(np.ones(size * -(-4 // size), np.float32), row, factor)
        window = Window(tuple(TERMS))
        for index, (rows, fault) in enumerate((((0, 1, 2, 3), {"mel": factors}), ((4, 5, 6, 7), {}))):
            batch = many.own(made_batch.make_batch(rows))
            knobs = {"seed": (1, index), "prior_strength": 0.5, "term_fault": fault}
            planned = PlannedBatch(SHAPES, rows + (-1,) * (-4 % size))
            result = many.made.step.micro(batch, **knobs)
            window.micros.append(Micro(index, Loaded(0, index, batch, False, planned), result, knobs))
        many.made.step.discard()
        bar = 20.0 * float(np.linalg.norm(window.micros[1].result.group_norm_G)) if name == "spike" else None
        guilty = blame.find(many.made.step, window, bar)
        assert guilty is not None
        found[name] = [window.micros[0].result.good, guilty.rows, guilty.terms, guilty.single]
    return found


def differ(many: Shared) -> list[str]:
    """What is said before and while a weight of the last process differs in one bit."""
    step = many.made.step
    said = [step.disagreement()]
    if many.cluster.rank == many.cluster.size - 1:
        bits = step.weights[2].numpy().copy()
        bits.view(np.int32).flat[0] ^= 1
        step.weights[2].assign(bits)
    return [*said, step.disagreement()]


def rich(cluster: Cluster) -> dict[str, Any]:
    """Muon, flow, dropout."""
    many = Shared(cluster, **RICH)
    same = many.micro((0,) * cluster.size).total_B.tolist()
    applied = [many.made.update().applied]
    many.micro((0, 1, 2, 3))
    return {"same_row": same, "applied": [*applied, many.made.update().applied], "digests": many.digests()}


def muon(cluster: Cluster) -> dict[str, Any]:
    """Muon without anything random, in all processes and in the chief alone."""
    settings = {"optimizer": RICH["optimizer"]}
    many, one = Shared(cluster, **settings), MadeStep(**settings) if cluster.chief else None
    found: dict[str, Any] = {"weights": [], "digests": []}
    for rows in ((0, 1, 2, 3), (4, 5, 6)):
        many.micro(rows)
        many.made.update()
        found["digests"].append(many.digests())
        if one is not None:
            one.run(rows)
            found["weights"].append(difference(one.values(), many.made.values(), "weight"))
    return found


def primitives(cluster: Cluster) -> dict[str, Any]:
    """What the processes exchange, without a model."""
    rank, size = cluster.rank, cluster.size
    vectors = {n: cluster.sum_now(np.full(n, 0.1 * (rank + 1), np.float32)).tolist() for n in (44, 76, 44, 1)}
    bits = bytes(range(256)) * 40 + b"odd"
    cluster_module.PART_WORDS = 100  # several parts
    return {
        "sums": [[min(vector), max(vector)] for vector in vectors.values()],
        "gathered": cluster.gather({"rank": rank, "text": "x" * 9 * rank}),
        "shared": [cluster.share([rank, 0.1, None]), cluster.share("")],
        "broadcast": cluster.broadcast(bits if cluster.chief else b"") == bits,
        "empty": cluster.broadcast(b"") == b"",
        "digests": [size],
    }


def main(part: str) -> None:
    """Run a part."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    cluster = cluster_of(member_of(os.environ), "the same command")
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    found = {"agreement": agreement, "rich": rich, "muon": muon, "primitives": primitives}[part](cluster)
    print("\n" + json.dumps(found | {"device": cluster.describe()}), flush=True)
    cluster.part()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
