"""A run from its settings to its end: the run directory, what it resumes from, and the parts that the loop needs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import tensorflow as tf

from myxtts import faults
from myxtts.config.files import config_yaml, provenance_json
from myxtts.config.resolve import Resolved
from myxtts.data.batches import Batches
from myxtts.data.loader import Loader
from myxtts.data.plan import total_updates
from myxtts.data.prepare import Prepared
from myxtts.data.roots import absolute_paths
from myxtts.errors import ConfigError, MyXTTSError, Stopped
from myxtts.messages import quoted as shown
from myxtts.models.generate import Generator
from myxtts.storage.checkpoint import Checkpoint, foreign_entries
from myxtts.storage.files import write_text_atomic
from myxtts.storage.journal import Journal
from myxtts.storage.run_directory import NotOwnerError, RunDirectory, WriterLock
from myxtts.storage.store import CheckpointStore
from myxtts.training import replicas, resuming, schedule
from myxtts.training.ladder import Ladder
from myxtts.training.loop import Display, Loop
from myxtts.training.losses import TERMS
from myxtts.training.saving import PatientJournal, Saver
from myxtts.training.signals import StopSignals
from myxtts.training.tensorboard_log import TensorBoardLog
from myxtts.training.trainer import Trainer
from myxtts.training.validation import Validation

SCANNED_UPDATES = 2_000_000
SHOWN_EVENTS = ("save_failed", "incident_failed", "faults_armed")
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
    resolved: Resolved,
    prepared: Prepared,
    *,
    fresh: bool,
    init_from: Path | None,
    command: str,
    screen: Display,
    lost_output: Callable[[], list[str]] = list,
) -> int:
    """Train, or go on with the run in training.checkpoint_dir; returns the number of updates that it has now.

    Args:
        resolved: settings and where they came from.
        prepared: audited data.
        fresh: put a run that is there aside and start over.
        init_from: start a new run from the weights of this run or checkpoint.
        command: the command line that goes on with this run, for messages.
        screen: what a person sees.
        lost_output: streams of the screen that have failed since the last call, each with the reason.

    Raises:
        Stopped: by a signal; everything is saved.
        MyXTTSError: as the parts raise it.
    """
    # What the run keeps must name its data from every folder.
    resolved = resolved.written_as(absolute_paths(resolved.config.data))
    config = resolved.config
    faults.arm_from_environment(loss_terms=TERMS)
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
        run = _Run(resolved, prepared, directory, lock, screen, lost_output, stack)
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
        lost_output: Callable[[], list[str]],
        stack: ExitStack,
    ) -> None:
        self.config, self.resolved, self.prepared = resolved.config, resolved, prepared
        self.directory, self.lock, self.screen, self.stack = directory, lock, screen, stack
        self._lost_output = lost_output
        training = self.config.training
        self.store = CheckpointStore(
            directory.checkpoints_path, training.keep_checkpoints, training.checkpoint_every_updates
        )
        self.store.check_owner = lock.check
        done = self.store.remove_stale(lock)
        self.events = PatientJournal(self._events_in(directory), screen.warn)
        self.trainer: Trainer
        self._told_moved(self.events.journal)
        if points := faults.armed_points():
            self.tell(
                "faults_armed",
                f"{faults.VARIABLE} is set: this process fails on purpose at {', '.join(points)}; unset it, and start "
                "again, for a training that counts",
            )
        for line in done:
            self.tell("cleaned", line)
        if lock.taken_over:
            self.tell("lock", f"taken over from {lock.taken_over}, which died")

    def _events_in(self, directory: RunDirectory) -> Journal:
        journal = Journal(directory.events_path, flush_lines=1, check_owner=self.lock.check)
        return self.stack.enter_context(journal)

    def _metrics_in(self, directory: RunDirectory, restored: int | None) -> Journal:
        journal = Journal(directory.metrics_path, restored_update=restored, check_owner=self.lock.check)
        return self.stack.enter_context(journal)

    def _told_moved(self, journal: Journal) -> None:
        """Say where lines are that were cut off a journal when it was opened."""
        if journal.copy is not None:
            again = "" if journal.restored_update is None else " or are of updates that are made again"
            place = journal.copy.relative_to(self.directory.path)
            message = f"{journal.dropped_lines} lines of {journal.path.name} were torn{again}: moved to {place}"
            self.screen.say(message)
            self.tell("lines_moved", message)

    def tell(self, event: str, message: str, **more: object) -> None:
        """Write an event."""
        update = self.trainer.position.update if hasattr(self, "trainer") else 0
        self.events.write({"time": time.time(), "update": update, "event": event, "message": message, **more})
        if event in SHOWN_EVENTS:
            self.screen.warn(message)
        for line in self._lost_output():
            self.tell("output_lost", f"{line}; the training goes on, and this run's files say what is not shown")

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
            if foreign := [path.name for path in foreign_entries(checkpoint.path)]:
                names = shown(", ".join(foreign), 200)
                what = f"{checkpoint.path.name} holds files that are of no checkpoint and are left alone: {names}"
                self.screen.say(what)
                self.tell("foreign_files", what)
            self.tell("resume", f"from {checkpoint.path.name}")
            changes = resuming.changed_settings(checkpoint, self.config)
            if changes:
                self.screen.say(*(f"  changed since: {change}" for change in changes))
                self.tell("settings_changed", "; ".join(changes))
            resuming.take_up(self.trainer, changes)
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
        self.metrics = PatientJournal(self._metrics_in(self.directory, restored), self.screen.warn)
        self._told_moved(self.metrics.journal)
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
        self.stack.enter_context(self._saved_after_an_error(saver))
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
            why = loop.run(signals)
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

    @contextmanager
    def _saved_after_an_error(self, saver: Saver) -> Iterator[None]:
        """Whatever ends the training: an event says why, and the state is saved, if it is finite."""
        try:
            yield
        except Stopped:
            raise
        except BaseException as error:
            if (lost := self._save_after(error, saver)) is not None:
                raise lost from error
            raise

    def _save_after(self, error: BaseException, saver: Saver) -> NotOwnerError | None:
        """Save the state after an error; the error to tell instead, where the run directory is not ours any more."""
        ours = isinstance(error, MyXTTSError)
        update = self.trainer.position.update
        try:
            if isinstance(error, NotOwnerError):
                return self._save_elsewhere(error, saver)
            self.tell("failed", str(error) if ours else f"{type(error).__name__}: {error}")
            # of refused updates, what was learned before them, past their clips: they changed no weight
            saver.save(last=True, new_voices=ours)
            self.screen.warn(f"the state of update {update} is saved; the same command goes on from there")
        except NotOwnerError as lost:
            return self._save_elsewhere(lost, saver)
        except MyXTTSError as refused:
            if str(refused) != str(error):
                self.screen.warn(f"the state of update {update} is not saved: {refused}")
        return None

    def _save_elsewhere(self, lost: NotOwnerError, saver: Saver) -> NotOwnerError:
        """Save where no other process writes: in the directory as it was moved, else in a new one beside it."""
        update = self.trainer.position.update
        try:
            place = self._own_place()
            saver.save(last=True)
            self.tell("failed", str(lost))
        except MyXTTSError as refused:
            return NotOwnerError(f"{lost}; update {update} could not be saved elsewhere: {refused}")
        how = "the same command goes on" if place is self.directory else f"go on with --checkpoint-dir {place.path}"
        return NotOwnerError(f"{lost}; update {update} is saved in {str(place.path)!r}: {how}")

    def _own_place(self) -> RunDirectory:
        """A run directory that this process owns, for store and journals from now on."""
        if (moved := self.lock.moved_to()) is not None:
            self.lock.path = moved / self.lock.path.name  # the journals are open there, and the lock is held there
            place = RunDirectory(moved)
        else:
            place = self.directory if self.lock.only_lock_deleted() else self.directory.beside("rescued")
            self.lock = self.stack.enter_context(place.lock())
            if place is self.directory:
                for journal in (self.events.journal, self.metrics.journal):
                    journal.check_owner = self.lock.check
            else:
                self.events.journal, self.metrics.journal = self._events_in(place), self._metrics_in(place, None)
        self.store.directory, self.store.check_owner = place.checkpoints_path, self.lock.check
        return place

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
