"""A run from its settings to its end: the run directory, what it resumes from, and the parts that the loop needs."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import tensorflow as tf

from myxtts.batch import Batch
from myxtts.config.resolve import Resolved
from myxtts.config.write import config_yaml, provenance_json
from myxtts.data.batches import Batches
from myxtts.data.loader import Loader
from myxtts.data.prepare import Prepared
from myxtts.errors import ConfigError, MyXTTSError, Stopped, StorageError
from myxtts.models.generate import Generator
from myxtts.storage import faults
from myxtts.storage.files import write_text_atomic
from myxtts.storage.journal import Journal
from myxtts.storage.run_directory import RunDirectory, WriterLock
from myxtts.storage.searching import find
from myxtts.storage.store import CheckpointStore
from myxtts.training import schedule
from myxtts.training.loop import Display, Loop
from myxtts.training.saving import PatientJournal, Saver
from myxtts.training.signals import StopSignals
from myxtts.training.tensorboard_log import TensorBoardLog
from myxtts.training.trainer import Trainer
from myxtts.training.validation import speak_samples, validate

SCANNED_UPDATES = 2_000_000
END_WORDS = {
    "updates": "all updates are made",
    "minutes": "the minutes of training.max_minutes are over",
    "early_stop": "the validation metric has stopped improving",
}


def prepare_tensorflow(threads: int) -> None:
    """Thread counts and deterministic kernels, before TensorFlow computes anything."""
    if threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError as error:
            raise ConfigError(
                f"training.threads {threads}: TensorFlow has started already; start a new process"
            ) from error
    tf.config.experimental.enable_op_determinism()


def total_updates(config_updates: int, epochs: int, batches_per_epoch: int, accumulation: int) -> int:
    """Updates of a whole run: by epochs, unless max_updates says fewer."""
    by_epochs = max(1, epochs * batches_per_epoch // accumulation)
    return min(config_updates, by_epochs) if config_updates else by_epochs


def train(
    resolved: Resolved, prepared: Prepared, *, fresh: bool, init_from: Path | None, command: str, screen: Display
) -> int:
    """Train, or go on with the run in training.checkpoint_dir; returns the number of updates that it has now.

    Args:
        resolved: settings and where they came from.
        prepared: audited data.
        fresh: put a run that is there aside and start over.
        init_from: start a new run from the weights of this run or checkpoint.
        command: the command line that goes on with this run, for messages.
        screen: what a person sees.

    Raises:
        Stopped: by a signal; everything is saved.
        MyXTTSError: as the parts raise it.
    """
    config = resolved.config
    faults.arm_from_environment()
    updates = total_updates(
        config.training.max_updates,
        config.training.epochs,
        len(prepared.training_batches(config)),
        config.training.grad_accum,
    )
    schedule.scan(min(updates, SCANNED_UPDATES), config.optimizer, config.schedule)
    prepare_tensorflow(config.training.threads)
    directory = RunDirectory(Path(config.training.checkpoint_dir).expanduser())
    if fresh:
        _put_aside(directory, screen)
    with ExitStack() as stack:
        lock = stack.enter_context(directory.lock())
        run = _Run(resolved, prepared, directory, lock, screen, stack)
        run.begin(init_from)
        signals = stack.enter_context(StopSignals())
        return run.train(signals, updates, command)


def _put_aside(directory: RunDirectory, screen: Display) -> None:
    """Move the run that is there to a name of its own: --fresh loses nothing. The lock is taken by whoever uses it."""
    if not directory.checkpoints_path.exists() and not directory.metrics_path.exists():
        return
    with directory.lock():
        name = f"{directory.path.name}.before-{time.strftime('%Y%m%d-%H%M%S')}"
        number = 1
        while (target := directory.path.with_name(name if number == 1 else f"{name}-{number}")).exists():
            number += 1
        target.mkdir()
        for item in directory.path.iterdir():
            if item != directory.lock_path:
                shutil.move(str(item), str(target / item.name))
    screen.say(f"--fresh: the run that was here is now in {target}")


class _Run:
    """The parts of one run, made in their order; each is closed by the stack."""

    def __init__(
        self,
        resolved: Resolved,
        prepared: Prepared,
        directory: RunDirectory,
        lock: WriterLock,
        screen: Display,
        stack: ExitStack,
    ) -> None:
        self.config, self.resolved, self.prepared = resolved.config, resolved, prepared
        self.directory, self.screen, self.stack = directory, screen, stack
        training = self.config.training
        self.store = CheckpointStore(
            directory.checkpoints_path, training.keep_checkpoints, training.checkpoint_every_updates
        )
        done = self.store.remove_stale(lock)
        self.events = PatientJournal(stack.enter_context(Journal(directory.events_path, flush_lines=1)), screen.warn)
        self.trainer: Trainer
        for line in done:
            self.tell("cleaned", line)
        if lock.taken_over:
            self.tell("lock", f"taken over from {lock.taken_over}, which died")

    def tell(self, event: str, message: str, **more: object) -> None:
        """Write an event."""
        update = self.trainer.position.update if hasattr(self, "trainer") else 0
        self.events.write({"time": time.time(), "update": update, "event": event, "message": message, **more})

    # 1. the newest valid checkpoint, if there is one  2. the corpus of that checkpoint, so that ids keep their meaning
    # 3. models and optimizer  4. weights, moments, position  5. journals cut to that position  6. loader from there
    def begin(self, init_from: Path | None) -> None:
        """Make the models, and take up the run that is there, or start one."""
        checkpoint = self.store.newest()
        for damage in self.store.damaged:
            self.screen.warn(f"passed over the damaged checkpoint {damage.path.name}: {damage.reason}")
            self.tell("damaged", f"{damage.path.name}: {damage.reason}")
        if checkpoint is not None and init_from is not None:
            raise ConfigError(
                f"--init-from {str(init_from)!r}: {self.directory.path} holds a run already (update "
                f"{checkpoint.update}): resume it without --init-from, or start over with --fresh, or take another "
                "--checkpoint-dir"
            )
        begun = time.monotonic()
        self.trainer = Trainer(self.config, self.prepared.corpus)
        self.screen.say(
            f"Model: size {self.config.model_size}, {self.trainer.weight_count / 1e6:.1f} million weights, "
            f"{self.trainer.precision}, made in {time.monotonic() - begun:.0f} s."
        )
        if checkpoint is not None:
            self._check_same_data(checkpoint.texts.get("corpus.json", ""))
            self.trainer.restore(checkpoint)
            self.screen.say(f"Resuming from {checkpoint.path} (update {checkpoint.update}).")
            self.tell("resume", f"from {checkpoint.path.name}")
        elif init_from is not None:
            self._init_from(init_from)
        else:
            self.tell("start", f"a new run in {self.directory.path}")
        self._write_settings()
        restored = self.trainer.position.update
        metrics = self.stack.enter_context(Journal(self.directory.metrics_path, restored_update=restored))
        self.metrics = PatientJournal(metrics, self.screen.warn)
        self.tensorboard = self.stack.enter_context(
            TensorBoardLog(self.directory.tensorboard_path, resume_update=restored if checkpoint else None)
        )

    def _check_same_data(self, stored: str) -> None:
        own = json.dumps(self.prepared.corpus.to_json(), sort_keys=True)
        if not stored or json.dumps(json.loads(stored), sort_keys=True) != own:
            raise ConfigError(
                f"the data is not the one that the run in {self.directory.path} was trained on (clips, speakers or "
                "statistics differ): take the same data, start over with --fresh, or start a new run in another "
                f"--checkpoint-dir with --init-from {self.directory.path}"
            )

    def _init_from(self, path: Path) -> None:
        source = find(path)
        report = self.trainer.start_from(source)
        self.screen.say(f"Weights from {source.path} (update {source.update}):", *report.lines())
        self.tell("init_from", f"{source.path}", report=report.lines())

    def _write_settings(self) -> None:
        corpus = json.dumps(self.prepared.corpus.to_json(), ensure_ascii=False)
        self.texts = {"config.yaml": config_yaml(self.resolved), "corpus.json": corpus}
        write_text_atomic(self.directory.config_path, self.texts["config.yaml"])
        write_text_atomic(self.directory.provenance_path, provenance_json(self.resolved))
        write_text_atomic(self.directory.corpus_path, corpus)

    def train(self, signals: StopSignals, updates: int, command: str) -> int:
        """The loop and what follows it; returns the number of updates made in all."""
        trainer, position = self.trainer, self.trainer.position
        batches = self.prepared.training_batches(self.config)
        held_out = self.prepared.validation_batches(self.config)
        generator = Generator(trainer.average)
        saver = Saver(trainer, self.store, generator, batches, self.texts, self.metrics, self.tell)
        if position.update >= updates:
            self.screen.say(f"This run has made its {updates} updates; --epochs or --max-updates lets it go on.")
            return position.update
        self.screen.say(
            f"Training from update {position.update} of {updates}: {len(batches)} batches an epoch; "
            "the first update takes longer, its graphs are being built."
        )
        validation = Validation(self, generator, held_out)
        with Loader(batches, position.epoch, position.index) as loader:
            loop = Loop(
                trainer,
                loader,
                saver,
                self.metrics,
                self.tensorboard,
                self.screen,
                self.tell,
                validation.run,
                [u.id for u in self.prepared.train.utterances],
                updates,
            )
            try:
                why = loop.run(signals)
            except MyXTTSError as error:
                self.tell("failed", str(error))
                raise
        if why not in END_WORDS:
            return self._stop(saver, why, command)
        self._end(saver, validation, why)
        return position.update

    def _stop(self, saver: Saver, signal_name: str, command: str) -> int:
        saver.save(last=True)
        self.tell("signal", f"stopped by {signal_name}")
        raise Stopped(
            f"stopped by {signal_name} at update {self.trainer.position.update}; everything is saved, "
            f"and this goes on: {command}"
        )

    def _end(self, saver: Saver, validation: Validation, why: str) -> None:
        best = validation.last_update != self.trainer.position.update and validation.run()
        saver.save(best=best, last=True)
        self.tell("end", END_WORDS[why])
        position = self.trainer.position
        self.screen.say(
            f"Done at update {position.update}: {END_WORDS[why]}. {position.skipped} updates were refused. "
            f"Best {self.config.training.best_metric} {position.best:.4f} at update {position.best_update}."
            if position.best is not None
            else f"Done at update {position.update}: {END_WORDS[why]}."
        )


def _shown(best: float | None) -> str:
    return "none" if best is None else f"{best:.4f}"


class Validation:
    """What happens at a validation: metrics, the best value, samples to see and to hear."""

    def __init__(self, run: _Run, generator: Generator, batches: Batches) -> None:
        self.run_parts, self.generator, self.batches = run, generator, batches
        self.last_update = -1

    def run(self) -> bool:
        """Validate, write everything down; True if the metric is the best so far."""
        parts, trainer = self.run_parts, self.run_parts.trainer
        config, position = trainer.config, trainer.position
        metrics = validate(trainer.step, self._progressing(), config)
        value = metrics[config.training.best_metric]
        bar = math.inf if position.best is None else position.best - config.training.early_stopping_min_delta
        improved = value < bar  # never where the value is not finite
        if improved:
            position.best, position.best_update, position.validations_since_best = value, position.update, 0
        else:
            position.validations_since_best += 1
        trainer.health.observe_validation(position.update, value)
        parts.metrics.write({"kind": "validation", "update": position.update, "time": time.time(), "metrics": metrics})
        try:
            self._show(metrics)
        except (OSError, StorageError) as error:
            parts.tell("samples_failed", str(error))
            parts.screen.warn(f"the samples of update {position.update} could not be written: {error}")
        self.last_update = position.update
        parts.screen.say(
            f"validation at update {position.update}: {config.training.best_metric} {value:.4f}"
            f"{' (best)' if improved else f', best {_shown(position.best)} at update {position.best_update}'}, "
            f"total {metrics['total']:.3f}"
        )
        return improved

    def _show(self, metrics: dict[str, float]) -> None:
        """Speak the samples, and show them and the metrics in TensorBoard."""
        parts, trainer = self.run_parts, self.run_parts.trainer
        update = trainer.position.update
        parts.tensorboard.validation(update, metrics)
        folder = parts.directory.samples_of_update(update)
        for sample in speak_samples(self.generator, trainer.step, self.batches, trainer.corpus, trainer.config, folder):
            parts.tensorboard.sample(
                update,
                sample.name,
                predicted_mel_MC=sample.predicted_mel_MC,
                true_mel_MC=sample.true_mel_MC,
                alignment_TM=sample.alignment_TM,
                wav_path=sample.wav_path,
            )

    def _progressing(self) -> Iterator[Batch]:
        show: Callable[[str, int, int], None] = self.run_parts.screen.progress
        total = len(self.batches)
        for number, batch in enumerate(self.batches.all(), 1):
            yield batch
            show("validation", number, total)
