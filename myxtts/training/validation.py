"""Validation with the averaged weights: the mean of every loss term, what an examiner finds, and the best."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from myxtts.batch import Batch
from myxtts.config.schema import Config
from myxtts.data.loader import Share
from myxtts.errors import NonFiniteError, StorageError
from myxtts.health.signs import BestRule
from myxtts.loss_terms import ADVERSARIAL_TERMS, DECODER_TERMS, TERMS
from myxtts.speakers import describe_speakers
from myxtts.training.examine import Examiner
from myxtts.training.run_context import AnyBatches, RunContext
from myxtts.training.schedule import adversarial_strength
from myxtts.training.step import Step
from myxtts.training.voices import VoiceVerification

VOICE_METRICS = ("voice_same", "voice_other", "voice_equal_error_rate")
FloatArray = npt.NDArray[np.float32]


def validate(step: Step, batches: Iterable[Batch]) -> dict[str, float]:
    """Mean of each term over the validation utterances, and their weighted total; each utterance counts equally.

    With several processes, `batches` are the shares of this one, and the means are over all processes.
    """
    rows: list[FloatArray] = []
    for batch in batches:
        terms_KB, _ = step.validate(batch)
        rows.append(terms_KB[:, batch["weight_B"] > 0.0])
    terms_KA = np.concatenate(rows, axis=1)
    if step.cluster.size == 1:
        means = terms_KA.mean(axis=1, dtype=np.float64)
    else:
        sums = step.cluster.gather([terms_KA.shape[1], *terms_KA.sum(axis=1, dtype=np.float64).tolist()])
        count, *totals = np.sum(np.array(sums, np.float64), axis=0)
        means = np.array(totals) / count
    metrics = {term: float(value) for term, value in zip(step.terms, means, strict=True)}
    weights = step.task.term_weights
    metrics["total"] = sum(w * metrics[term] for term, w in weights.items() if term not in ADVERSARIAL_TERMS)
    return metrics


def trained_by_critic(update: int, config: Config) -> bool:
    """Whether the critic trains the decoder at full weight at this update.

    Such a decoder sounds better, but its detail increases the distance to the recordings compared with the smooth mels
    before. No distance metric can compare the two.
    """
    has_critic = (
        config.trains == "voice"
        and config.model.critic_width > 0
        and any(getattr(config.loss, TERMS[term].weight) for term in DECODER_TERMS)
    )
    return has_critic and adversarial_strength(update, config.schedule) >= 1.0


def _describe_voices(verification: VoiceVerification | None) -> str:
    if verification is None:
        return ""
    found = verification.figures
    return (
        f"; voices: same speaker {found.same_mean:.2f}, other {found.other_mean:.2f}, equal error rate "
        f"{found.equal_error_rate:.0%} over {describe_speakers(verification.speakers, verification.unseen)}"
    )


def _or_none(best: float | None) -> str:
    return "none" if best is None else f"{best:.4f}"


class Validation:
    """Runs validations: metrics, the best value, and samples to look at and listen to.

    Args:
        run: the run to validate.
        examiner: measures and speaks with the averaged weights.
        batches: validation batches.
    """

    def __init__(self, run: RunContext, examiner: Examiner, batches: AnyBatches) -> None:
        self.context, self.examiner, self.batches = run, examiner, batches
        self.state, self.log, self.trainer = run.state, run.log, run.trainer
        training = run.config.training
        self.rule = BestRule(training.early_stopping_min_delta, training.best_tolerance)

    def run(self, *, scheduled: bool = True) -> bool:
        """Validate and log; returns whether the metric is the best so far, or as good (health.signs.BestRule).

        An unscheduled validation, at the end of a run, does not count towards early stopping: the run may be resumed.
        """
        trainer = self.trainer
        config, state, position = self.context.config, self.state, self.state.position
        metrics = validate(trainer.step, self._progressing())
        verification = self._examine(metrics) if self.context.cluster.chief else None
        metrics = self.context.cluster.share(metrics)
        value = metrics.get(config.training.best_metric, math.nan)
        if math.isnan(value):
            self.log.warn(f"update {position.update} has no {config.training.best_metric}: it cannot be the best")
        if self._starts_critic(value):
            state.forget_best()
        reset, state.best_reset = state.best_reset, False
        improved = self.rule.improves(value, position.best)
        equal = not improved and self.rule.equals(value, position.best)
        state.validated(value, improved=improved, equal=equal, scheduled=scheduled)
        if config.training.best_metric in metrics:  # without several speakers or samples, some metrics do not exist
            state.health.observe_validation(position.update, value, position.best_validation())
        if not config.loss.adaptive_weights:  # they change the loss of the updates, but not this total
            state.health.observe_total(position.update, metrics["total"])
        record = {"kind": "validation", "update": position.update, "time": time.time(), "metrics": metrics}
        if verification is not None:
            record["voices"] = {"speakers": verification.speakers, "unseen": verification.unseen}
        self.log.metrics.write(record | ({"reset": True} if reset else {}))
        try:
            self.log.tensorboard.validation(position.update, metrics)
        except StorageError as error:
            self.log.warn(f"{error}; TensorBoard will not show the validation of update {position.update}")
        self.log.say(
            f"validation at update {position.update}: {config.training.best_metric} {value:.4f}"
            f"{self._standing(improved, equal)}, total {metrics['total']:.3f}{_describe_voices(verification)}"
        )
        return improved or equal

    def _examine(self, metrics: dict[str, float]) -> VoiceVerification | None:
        """Add to the metrics what the examiner finds; returns its speaker verification."""
        state, position = self.state, self.state.position
        verification = self.examiner.verification()
        if verification is not None:
            found = verification.figures
            figures = (found.same_mean, found.other_mean, found.equal_error_rate)
            known = zip(VOICE_METRICS, figures, strict=True)
            metrics.update({name: value for name, value in known if value is not None})
            state.health.observe_voices(
                position.update,
                metrics["voice_equal_error_rate"],
                same=found.same_mean,
                other=found.other_mean,
                of=(verification.speakers, verification.unseen),
            )
        try:
            metrics.update(self.examiner.speak(position.update))
        except (OSError, StorageError, NonFiniteError) as error:
            self.log.event("samples_failed", str(error))
            self.log.warn(f"the samples of update {position.update} could not be written: {error}")
        return verification

    def _standing(self, improved: bool, equal: bool) -> str:
        """The comparison of a value with the best one, for the log line."""
        position = self.state.position
        if improved:
            return " (best)"
        if equal:
            share = self.rule.tolerance
            return f" (best: the newest within {share:.0%} of the lowest, {_or_none(position.best)})"
        return f", best {_or_none(position.best)} at update {position.best_update}"

    def _starts_critic(self, value: float) -> bool:
        """Whether the best is chosen again, because the decoder is now trained by the critic at full weight."""
        position = self.state.position
        trained = int(trained_by_critic(position.update, self.context.config))
        if trained == position.critic_seen or not math.isfinite(value):
            return False
        self.state.see_critic(trained)
        return position.best is not None

    def _progressing(self) -> Iterator[Batch]:
        show: Callable[[str, int, int], None] = self.log.screen.progress
        cluster = self.context.cluster
        share = Share(self.batches, cluster.rank, cluster.size)
        planned = share.plan(0)
        total = len(planned)
        for number, batch in enumerate(planned, 1):
            yield share.build(batch, 0)
            show("validation", number, total)
