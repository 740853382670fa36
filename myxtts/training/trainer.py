"""What a run is made of besides its data: two models, the step, and the way they go into a checkpoint and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.audio.harmonics import harmonic_table
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus
from myxtts.errors import CheckpointError, NonFiniteError
from myxtts.health import Health
from myxtts.models.build import LoadReport, build_voice_cloner, load_weights, weights_of
from myxtts.models.voice_cloner import VoiceCloner
from myxtts.storage.checkpoint import Checkpoint
from myxtts.text.symbols import SymbolTable
from myxtts.training import optimizers
from myxtts.training.clip_losses import ClipLosses
from myxtts.training.precision import chosen_precision
from myxtts.training.recovery import LossWatch, Recovery
from myxtts.training.replicas import chosen_devices
from myxtts.training.step import Step

Arrays = dict[str, dict[str, npt.NDArray[np.generic]]]


@dataclass
class Position:
    """Where a run stands. Everything random follows from the seed and these numbers."""

    update: int = 0
    """Updates made."""
    micro_batches: int = 0
    """Micro-batches taken, dropped ones and those of skipped updates included."""
    epoch: int = 0
    index: int = 0
    """The next micro-batch is number `index` of epoch `epoch`."""
    skipped: int = 0
    """Updates that were refused."""
    trained_seconds: float = 0.0
    best: float | None = None
    """Best value of the validation metric."""
    best_update: int = 0
    best_metric: str = ""
    """Which metric `best` is a value of."""
    validations_since_best: int = 0
    heard: int = 0
    """1 once a validation has seen a decoder that hears the critic in full."""
    validated_update: int = -1
    """The update of the newest validation."""
    validation_clips: str = ""
    """What the validation clips are known by."""
    order: str = ""
    """What the order of the data followed from; `epoch` and `index` mean nothing in another one."""

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Position:
        """The position that a checkpoint holds. Raises TypeError or ValueError for what is none."""
        found = cls(**state)
        for name, value in vars(found).items():
            kind = str if name in ("order", "best_metric", "validation_clips") else (int, float)
            odd = isinstance(value, bool) or not isinstance(value, kind)
            if odd and not (name == "best" and value is None):
                raise TypeError(f"position.{name} is {value!r}")
        return found

    def best_fields(self) -> tuple[float | None, int, int, int]:
        """What a validation changes when it improves; see `set_best`."""
        return self.best, self.best_update, self.validations_since_best, self.heard

    def has_goal_of(self, other: Position) -> bool:
        """Whether the best is chosen by the same metric on the same clips; of an older state it is not known: it is."""
        return self.best_metric in ("", other.best_metric) and self.validation_clips in ("", other.validation_clips)

    def set_best(self, best: float | None, update: int, validations_since: int, heard: int | None = None) -> None:
        """Set what `best_fields` gives; None for `heard` keeps it."""
        self.best, self.best_update, self.validations_since_best = best, update, validations_since
        self.heard = self.heard if heard is None else heard


class Trainer:
    """The models, the step and the position of a run.

    Args:
        config: the complete settings.
        corpus: what the model must know of its data.
        clips: training clips, rows of the feature store.
    """

    def __init__(self, config: Config, corpus: Corpus, clips: int) -> None:
        self.config, self.corpus = config, corpus
        self.position, self.health = Position(), Health()
        self.recovery, self.clip_losses = Recovery(), ClipLosses(clips)
        self.chosen_anew = False
        """Whether the next validation is the first by another measure; for those who read the metrics."""
        self.losses_anew = False
        """Whether the next update is the first of another loss; for them too."""
        self.precision = precision = chosen_precision(config.training.precision)
        seed = config.training.seed
        self.devices = chosen_devices(config.training.devices)

        def build() -> VoiceCloner:
            return build_voice_cloner(
                config.model,
                channels=config.audio.mel_channels,
                symbols=len(SymbolTable.from_json(corpus.symbols)),
                languages=len(corpus.languages),
                speakers=max(1, len(corpus.speakers)),
                harmonics=harmonic_table(config.audio, corpus.pitch_mean, corpus.pitch_std),
                precision=precision,
                seed=seed,
                mel_std_C=corpus.mel_std_C,
            )

        self.model, self.average = build(), build()
        copies = []
        for device in self.devices[1:]:
            with tf.device(device):
                copies.append(build())
        self.step = Step(
            self.model,
            self.average,
            loss=config.loss,
            optimizer=config.optimizer,
            training=config.training,
            devices=self.devices,
            copies=copies,
        )

    @property
    def weight_count(self) -> int:
        """Trainable numbers of the model."""
        return sum(int(np.prod(v.shape)) for v in self.model.trainable_variables)

    def arrays(self, voices: Mapping[str, npt.NDArray[np.float32]]) -> Arrays:
        """All tensors of a checkpoint; `voices` are those of the training speakers, for synthesis.

        Raises:
            NonFiniteError: the devices' copies of a weight differ, so that none can be trusted.
        """
        if differ := self.step.disagreement():
            raise NonFiniteError(
                f"the devices' copies of the weights differ ({differ}): a fault of a device or of its memory; nothing "
                "was saved, the checkpoint before it is whole; if it comes again, train without that device "
                "(training.devices)"
            )
        moments = {name: np.asarray(v.numpy()) for name, v in self.step.optimizer.moments().items()}
        adaptive = {v.path: v.numpy() for v in self.step.adaptive.trainable_variables}
        detector = {"norms": self.step.norms.numpy(), "accepted": np.asarray(self.step.accepted.numpy())}
        arrays: Arrays = {
            "weights": dict(weights_of(self.model)),
            "average": dict(weights_of(self.average)),
            "moments": moments,
            "detector": detector,
            "voices": dict(voices),
            "utterances": self.clip_losses.arrays(),
        }
        if adaptive:
            arrays["adaptive"] = adaptive
        return arrays

    def state(self) -> dict[str, object]:
        """The small state of a checkpoint, as JSON values."""
        return {
            "position": dict(vars(self.position)),
            "health": self.health.to_json(),
            "loss_scale": self.step.loss_scale.state(),
            "recovery": self.recovery.to_json(),
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take back everything that `arrays` and `state` gave, so that the run goes on to the bit.

        Raises:
            CheckpointError: it is of another model, optimizer or data.
        """
        state: Mapping[str, Any] = checkpoint.state
        with _named(checkpoint):
            self._restore_numbers(checkpoint)
            self.position = Position.from_json(state["position"])
            self.health = Health.from_json(state["health"])
            # checkpoints of before the ladder have none
            self.recovery = Recovery.from_json(state["recovery"]) if "recovery" in state else Recovery()
        self.clip_losses.restore(checkpoint.arrays.get("utterances", {}))

    def roll_back(self, checkpoint: Checkpoint) -> LossWatch:
        """Take back what learns, and the update; the place in the data, the strikes and the counts go on.

        Returns:
            The watch over the loss, as it was then.

        Raises:
            CheckpointError: it is of another model, optimizer or data.
        """
        state: Mapping[str, Any] = checkpoint.state
        with _named(checkpoint):
            self._restore_numbers(checkpoint)
            then = Position.from_json(state["position"])
            later = self.health
            self.health = Health.from_json(state["health"])
            self.health.carry_over(later)
            watch = Recovery.from_json(state["recovery"]).watch if "recovery" in state else LossWatch()
        self.position.update, self.position.validated_update = then.update, then.validated_update
        self.position.set_best(*then.best_fields())
        if not then.has_goal_of(self.position):
            self.forget_best()
        return watch

    def forget_best(self) -> None:
        """What comes is chosen by another measure: the best so far says nothing about it."""
        self.chosen_anew = self.chosen_anew or self.position.best is not None
        self.position.set_best(None, 0, 0)
        self.health.forget_best()

    def forget_losses(self) -> None:
        """What comes is another loss: those so far, and a best by them, are no measure of it."""
        self.recovery.watch = LossWatch()
        self.health.forget_losses()
        self.losses_anew = True
        if self.position.best_metric == "total":
            self.forget_best()

    def _restore_numbers(self, checkpoint: Checkpoint) -> None:
        load_weights(self.model, checkpoint.arrays["weights"])
        load_weights(self.average, checkpoint.arrays["average"])
        optimizers.restore(self.step.optimizer, checkpoint.arrays["moments"])
        self.step.norms.assign(checkpoint.arrays["detector"]["norms"])
        self.step.accepted.assign(checkpoint.arrays["detector"]["accepted"])
        for variable in self.step.adaptive.trainable_variables:
            variable.assign(checkpoint.arrays["adaptive"][variable.path])
        self.step.loss_scale.restore(dict(checkpoint.state["loss_scale"]))
        self.step.share_weights()

    def start_from(self, checkpoint: Checkpoint) -> LoadReport:
        """Take the averaged weights of a checkpoint where they fit; moments, schedule and position start anew."""
        report = load_weights(self.model, checkpoint.arrays["average"], strict=False)
        load_weights(self.average, weights_of(self.model))
        self.step.share_weights()
        return report


@contextmanager
def _named(checkpoint: Checkpoint) -> Iterator[None]:
    """Turns a part that is missing, or of another kind, into an error that names the checkpoint."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {checkpoint.path}: does not hold what this program needs "
            f"({type(error).__name__}: {str(error)[:80]!r}): take another one"
        ) from error
