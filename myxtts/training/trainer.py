"""The model, its average and the step of a run, and their arrays in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus
from myxtts.errors import CheckpointError
from myxtts.models.build import LoadReport, load_weights, weights_of
from myxtts.storage.checkpoint import Checkpoint
from myxtts.training import optimizers
from myxtts.training.cluster import Cluster
from myxtts.training.optimizers import chosen_precision
from myxtts.training.step import Step
from myxtts.training.task import task_of

Arrays = dict[str, dict[str, npt.NDArray[np.generic]]]


class Trainer:
    """The models and the step of a run.

    Args:
        config: the complete settings.
        corpus: the facts about the data that the model needs.
        cluster: the processes that train; without it, this one alone.
    """

    def __init__(self, config: Config, corpus: Corpus, cluster: Cluster | None = None) -> None:
        self.config, self.corpus = config, corpus
        self.precision = precision = chosen_precision(config.training.precision)
        self.task = task = task_of(config, corpus)
        self.model, self.average = task.build(precision), task.build(precision)
        self.step = Step(task, self.model, self.average, cluster)

    @property
    def weight_count(self) -> int:
        """Number of trainable parameters."""
        return sum(int(np.prod(v.shape)) for v in self.model.trainable_variables)

    def arrays(self) -> Arrays:
        """The tensors of a checkpoint.

        Raises:
            CheckpointError: an exception interrupted an update or a restore, so that the weights may be a mixture.
        """
        if self.step.mixed:
            raise CheckpointError(
                "the error interrupted a change of the weights, which may be half done; the same command continues "
                "from the last checkpoint"
            )
        moments = {name: np.asarray(v.numpy()) for name, v in self.step.optimizer.moments().items()}
        adaptive = {v.path: v.numpy() for v in self.step.adaptive.trainable_variables}
        detector = {"norms": self.step.norms.numpy(), "accepted": np.asarray(self.step.accepted.numpy())}
        arrays: Arrays = {
            "weights": dict(weights_of(self.model)),
            "average": dict(weights_of(self.average)),
            "moments": moments,
            "detector": detector,
        }
        if adaptive:
            arrays["adaptive"] = adaptive
        return arrays

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore weights, average, moments, spike detector and loss scale from a checkpoint.

        Raises:
            CheckpointError, KeyError or ValueError: it belongs to another model or optimizer.
        """
        self._put(checkpoint.arrays, checkpoint.state["loss_scale"])

    def _put(
        self, arrays: Mapping[str, Mapping[str, npt.NDArray[np.generic]]], loss_scale: Mapping[str, float]
    ) -> None:
        with self.step.changing():
            load_weights(self.model, arrays["weights"])
            load_weights(self.average, arrays["average"])
            optimizers.restore(self.step.optimizer, arrays["moments"])
            self.step.norms.assign(arrays["detector"]["norms"])
            self.step.accepted.assign(arrays["detector"]["accepted"])
            for variable in self.step.adaptive.trainable_variables:
                variable.assign(arrays["adaptive"][variable.path])
            self.step.loss_scale.restore(dict(loss_scale))

    def share(self) -> None:
        """Give weights, average, moments, spike detector and loss scale of the chief to the other processes."""
        cluster = self.step.cluster
        if cluster.size == 1:
            return
        arrays = self.arrays()
        content = cluster.broadcast(b"".join(x.tobytes() for part in arrays.values() for x in part.values()))
        scale = cluster.share(self.step.loss_scale.state())
        if cluster.chief:
            return
        start = 0
        for part in arrays.values():
            for name, x in part.items():
                part[name] = np.frombuffer(content, x.dtype, x.size, start).reshape(x.shape)
                start += x.nbytes
        self._put(arrays, scale)

    def start_from(self, checkpoint: Checkpoint) -> LoadReport:
        """Start from those averaged weights of a checkpoint that fit, with new moments."""
        report = load_weights(self.model, checkpoint.arrays["average"], strict=False)
        load_weights(self.average, weights_of(self.model))
        return report


@contextmanager
def named(checkpoint: Checkpoint) -> Iterator[None]:
    """Turn a missing or invalid part into an error that names the checkpoint."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {checkpoint.path}: a part is missing or invalid "
            f"({type(error).__name__}: {str(error)[:80]!r}); use another one"
        ) from error
