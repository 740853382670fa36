"""A run from its settings to its end: the run directory, what it resumes from, and the parts that the loop needs."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import tensorflow as tf

from myxtts.config.files import config_yaml, provenance_json
from myxtts.config.resolve import Resolved
from myxtts.data.batches import Batches
from myxtts.data.loader import Loader
from myxtts.data.plan import total_updates
from myxtts.data.prepare import Prepared
from myxtts.data.roots import absolute_paths
from myxtts.errors import ConfigError, MyXTTSError, NonFiniteError, Stopped
from myxtts.models.generate import Generator
from myxtts.storage import faults
from myxtts.storage.checkpoint import Checkpoint
from myxtts.storage.files import write_text_atomic
from myxtts.storage.journal import Journal
from myxtts.storage.run_directory import RunDirectory, WriterLock
from myxtts.storage.store import CheckpointStore
from myxtts.training import replicas, resuming, schedule
from myxtts.training.ladder import Ladder
from myxtts.training.loop import Display, Loop
from myxtts.training.saving import PatientJournal, Saver
from myxtts.training.signals import StopSignals
from myxtts.training.tensorboard_log import TensorBoardLog
from myxtts.training.trainer import Trainer
from myxtts.training.validation import Validation

SCANNED_UPDATES = 2_000_000
SHOWN_EVENTS = ("save_failed", "incident_failed")
"""Events that are warnings: the training goes on, and a person must know."""
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
    # What the run keeps must name its data from every folder.
    resolved = resolved.written_as(absolute_paths(resolved.config.data))
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
    source = None if init_from is None else resuming.source_of_weights(init_from)
    if fresh:
        resuming.put_aside(directory, screen.say)
    with ExitStack() as stack:
        lock = stack.enter_context(directory.lock())
        run = _Run(resolved, prepared, directory, lock, screen, stack)
        run.begin(source)
        signals = stack.enter_context(StopSignals())
        return run.train(signals, updates, command)


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
        if event in SHOWN_EVENTS:
            self.screen.warn(message)

    # 1. the newest valid checkpoint, if there is one  2. the corpus of that checkpoint, so that ids keep their meaning
    # 3. models and optimizer  4. weights, moments, position  5. journals cut to that position  6. loader from there
    def begin(self, source: Checkpoint | None) -> None:
        """Make the models, and take up the run that is there, or start one."""
        checkpoint = self.store.newest()
        for damage in self.store.damaged:
            self.screen.warn(f"passed over the damaged checkpoint {damage.path.name}: {damage.reason}")
            self.tell("damaged", f"{damage.path.name}: {damage.reason}")
        if checkpoint is not None and source is not None:
            raise ConfigError(
                f"--init-from {str(source.path)!r}: {self.directory.path} holds a run already (update "
                f"{checkpoint.update}): resume it without --init-from, or start over with --fresh, or take another "
                "--checkpoint-dir"
            )
        begun = time.monotonic()
        self.trainer = Trainer(self.config, self.prepared.corpus, len(self.prepared.train.utterances))
        self.screen.say(
            f"Model: size {self.config.model_size}, {self.trainer.weight_count / 1e6:.1f} million weights, "
            f"{self.trainer.precision}, on {replicas.said(self.trainer.devices)}, made in "
            f"{time.monotonic() - begun:.0f} s."
        )
        if empty := replicas.empty_rows(self.config.training.batch_size, len(self.trainer.devices)):
            self.screen.warn(empty)
        if checkpoint is not None:
            resuming.check_same_data(checkpoint, self.prepared.corpus, self.directory.path)
            self.trainer.restore(checkpoint)
            self.screen.say(f"Resuming from {checkpoint.path} (update {checkpoint.update}).")
            self.tell("resume", f"from {checkpoint.path.name}")
            changes = resuming.changed_settings(checkpoint, self.config)
            if changes:
                self.screen.say(*(f"  changed since: {change}" for change in changes))
                self.tell("settings_changed", "; ".join(changes))
            if resuming.loss_changed(checkpoint, self.config):
                self.trainer.forget_losses()
        elif source is not None:
            self._init_from(source)
        else:
            self.tell("start", f"a new run in {self.directory.path}")
        self.trainer.health.know_people(self.prepared.corpus.people)
        for message in resuming.adopt_order(self.trainer, self.prepared):
            self.screen.warn(message)
            self.tell("order_changed", message)
        self._write_settings()
        restored = self.trainer.position.update
        metrics = self.stack.enter_context(Journal(self.directory.metrics_path, restored_update=restored))
        self.metrics = PatientJournal(metrics, self.screen.warn)
        self.tensorboard = self.stack.enter_context(
            TensorBoardLog(self.directory.tensorboard_path, resume_update=restored if checkpoint else None)
        )

    def _init_from(self, source: Checkpoint) -> None:
        report = self.trainer.start_from(source)
        self.screen.say(f"Weights from {source.path} (update {source.update}):", *report.lines())
        self.tell("init_from", f"{source.path}", report=report.lines())

    def _write_settings(self) -> None:
        corpus = json.dumps(self.prepared.corpus.to_json(), ensure_ascii=False)
        self.texts = {"config.yaml": config_yaml(self.resolved), "corpus.json": corpus}
        write_text_atomic(self.directory.config_path, self.texts["config.yaml"])
        write_text_atomic(self.directory.provenance_path, provenance_json(self.resolved))
        write_text_atomic(self.directory.corpus_path, corpus)
        if self.prepared.base is not None:
            base = json.dumps(self.prepared.base.to_json(), ensure_ascii=False)
            write_text_atomic(self.directory.base_corpus_path, base)
        ids = "".join(f"{utterance.id}\n" for utterance in self.prepared.train.utterances)
        write_text_atomic(self.directory.utterances_path, ids)

    def train(self, signals: StopSignals, updates: int, command: str) -> int:
        """The loop and what follows it; returns the number of updates made in all."""
        trainer, position = self.trainer, self.trainer.position
        batches = self.prepared.training_batches(self.config)
        held_out = self.prepared.validation_batches(self.config)
        generator = Generator(trainer.average)
        saver = Saver(trainer, self.store, generator, batches, self.texts, self.metrics, self.tell)
        validation = Validation(
            trainer, generator, held_out, self.metrics, self.tensorboard, self.directory, self.screen, self.tell
        )
        ladder = Ladder(
            trainer,
            saver,
            self.store,
            self.metrics,
            self.tensorboard,
            batches,
            self.directory,
            self.texts,
            self.tell,
            self.screen.warn,
        )
        ladder.finish()
        if position.update >= updates:
            if position.validated_update != position.update:
                self._end(saver, validation, "updates")  # a kill cost the last validation
                return position.update
            if position.best_update == position.update:
                saver.save(last=True)  # a kill in the last save may have cost the mark of the best
            made = f"its {updates}" if position.update == updates else f"{position.update} of {updates}"
            self.screen.say(f"This run has made {made} updates; --epochs or --max-updates lets it go on.")
            return position.update
        if trainer.recovery.proven is None:
            saver.save_the_start()
        self.screen.say(
            f"Training from update {position.update} of {updates}: {len(batches)} batches an epoch; "
            "the first update takes longer, its graphs are being built."
        )
        with self._loader(batches) as loader:
            ladder.restart_data = loader.restart
            loop = Loop(
                trainer,
                loader,
                saver,
                ladder,
                self.metrics,
                self.tensorboard,
                self.screen,
                validation.run,
                updates,
            )
            try:
                why = loop.run(signals)
            except MyXTTSError as error:
                self.tell("failed", str(error))
                if isinstance(error, NonFiniteError):
                    # refused updates changed no weight: what was learned before them is saved, past their clips
                    with suppress(MyXTTSError):
                        saver.save(last=True)
                raise
        if why not in END_WORDS:
            return self._stop(saver, why, command)
        self._end(saver, validation, why)
        return position.update

    def _loader(self, batches: Batches) -> Loader:
        """Batches from the position on; a thread that hangs is told and replaced."""
        utterances = self.prepared.train.utterances

        def hung(message: str) -> None:
            self.tell("hang", message)
            self.screen.warn(message)

        return Loader(
            batches,
            self.trainer.position.epoch,
            self.trainer.position.index,
            hang_seconds=self.config.data.hang_seconds,
            on_hang=hung,
            stacks_path=self.directory.stacks_path,
            clip_name=lambda row: utterances[row].id,
        )

    def _stop(self, saver: Saver, signal_name: str, command: str) -> int:
        saver.save(last=True)
        self.tell("signal", f"stopped by {signal_name}")
        raise Stopped(
            f"stopped by {signal_name} at update {self.trainer.position.update}; everything is saved, "
            f"and this goes on: {command}"
        )

    def _end(self, saver: Saver, validation: Validation, why: str) -> None:
        position = self.trainer.position
        best = position.validated_update != position.update and validation.run(scheduled=False)
        saver.save(best=best, last=True)
        self.tell("end", END_WORDS[why])
        said = f"Done at update {position.update}: {END_WORDS[why]}. {position.skipped} updates were refused."
        if position.best is not None:
            share = self.config.training.best_tolerance
            equal = share > 0.0 and position.validations_since_best > 0
            at = f"to within {share:.0%}, the newest: update" if equal else "at update"
            said += f" Best {self.config.training.best_metric} {position.best:.4f} {at} {position.best_update}."
        self.screen.say(said)
