"""One training run, from its settings to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from myxtts import faults
from myxtts.config.files import config_yaml, provenance_json
from myxtts.config.resolve import Resolved
from myxtts.config.schema import NO_MODEL, Config
from myxtts.data.batches import Batches
from myxtts.data.feature_store import FeatureStore, FloatArray
from myxtts.data.identity import clip_lines
from myxtts.data.loader import Loader, Share
from myxtts.data.plan import total_updates
from myxtts.data.prepare import PreparedData
from myxtts.data.roots import absolute_paths
from myxtts.errors import ConfigError, MyXTTSError, Stopped
from myxtts.loss_terms import TERMS, VOCODER_TERMS
from myxtts.messages import quoted
from myxtts.storage.checkpoint import Checkpoint, foreign_entries
from myxtts.storage.files import write_text_atomic
from myxtts.storage.journal import Journal
from myxtts.storage.run_directory import RunDirectory, WriterLock
from myxtts.storage.store import CheckpointStore
from myxtts.training import gpu, resume, schedule
from myxtts.training.checkpointing import Saver
from myxtts.training.cluster import Cluster, cluster_of, empty_rows
from myxtts.training.examine import Examiner, VocoderExaminer, VoiceExaminer
from myxtts.training.loop import Loop
from myxtts.training.members import ALONE, Member
from myxtts.training.optimizers import chosen_precision
from myxtts.training.recovery.ladder import Ladder
from myxtts.training.rescue import Rescue, memory_errors
from myxtts.training.run_context import (
    AnyBatches,
    Display,
    NoJournal,
    NoTensorBoard,
    RetryingJournal,
    RunContext,
    RunLog,
)
from myxtts.training.run_state import RunState
from myxtts.training.signals import StopSignals
from myxtts.training.teacher_forced import PredictedMels, VoiceSource
from myxtts.training.tensorboard_log import TensorBoardLog
from myxtts.training.trainer import Trainer, named
from myxtts.training.validation import Validation
from myxtts.vocoder.segments import Segments
from myxtts.vocoder.waves import Waves

SCANNED_UPDATES = 2_000_000
END_WORDS = {
    "updates": "all updates are done",
    "minutes": "training.max_minutes has passed",
    "early_stop": "the validation metric has stopped improving",
}


def train(
    resolved: Resolved,
    prepared: PreparedData,
    *,
    fresh: bool,
    init_from: Path | None,
    command: str,
    screen: Display,
    lost_output: Callable[[], list[str]] = list,
    member: Member = ALONE,
) -> int:
    """Train, or resume the run in training.checkpoint_dir; returns its number of updates at the end.

    Args:
        resolved: the settings and their provenance.
        prepared: the audited data.
        fresh: move an existing run aside and start over.
        init_from: start a new run from the weights of this run or checkpoint.
        command: the command line that continues this run, for messages.
        screen: the terminal.
        lost_output: output streams that failed since the last call, each with the reason.
        member: this process among those that train; all run this function alike, and only the chief writes.

    Raises:
        ClusterError: another process ended.
        Stopped: a signal stopped the run; everything is saved.
        MyXTTSError: see the parts of the run.
    """
    # 1. Settings: absolute paths, the length of the run, and a schedule whose learning rate never reaches 0.
    resolved = resolved.written_as(absolute_paths(resolved.config))
    config = resolved.config
    screen.say(*gpu.prepare_tensorflow(config.training))
    if warning := gpu.check_gpu():
        screen.warn(warning)
    cluster = cluster_of(member, command, config.training.join_seconds)
    chief = cluster.chief
    faults.arm_from_environment(loss_terms=tuple(VOCODER_TERMS if config.trains == "vocoder" else TERMS))
    batches, validation_batches = _batches(config, prepared, screen)
    training = config.training
    updates = total_updates(
        training.max_updates, training.epochs, len(batches), training.grad_accum, training.min_updates
    )
    schedule.scan(min(updates, SCANNED_UPDATES), config.optimizer, config.schedule)

    # 2. Run directory: read the initial weights before --fresh moves anything, then take the lock.
    directory = RunDirectory(Path(training.checkpoint_dir).expanduser())
    source = resume.source_of_weights(init_from, config.trains) if init_from is not None and chief else None
    if fresh and chief:
        resume.put_aside(directory, screen.say)
    with ExitStack() as stack:
        stack.enter_context(memory_errors(config, prepared.buckets))
        lock = stack.enter_context(directory.lock()) if chief else None
        store = CheckpointStore(
            directory.checkpoints_path, training.keep_checkpoints, training.checkpoint_every_updates
        )

        # 3. Log and state: events are recorded from the start.
        state = RunState(len(prepared.train.utterances))
        log, checkpoint = RunLog(screen, NoJournal(), state), None
        if lock is not None:
            store.check_owner = lock.check
            cleaned = store.remove_stale(lock)
            events = stack.enter_context(Journal(directory.events_path, flush_lines=1, check_owner=lock.check))
            log = RunLog(screen, events, state, lost_output)
            _log_start(log, directory, lock, cleaned)
            checkpoint = _newest(store, log)
        if checkpoint is not None and source is not None:
            raise ConfigError(
                f"--init-from {str(source.path)!r}: {directory.path} holds a run already (update {checkpoint.update}): "
                "resume it without --init-from, start over with --fresh, or choose another --checkpoint-dir"
            )

        # 4. Models and optimizer.
        trainer = _build(resolved, prepared, log, cluster)
        run = RunContext(config, directory, store, log, state, trainer, batches, _texts(resolved, prepared))

        # 5. Weights and state: from the newest checkpoint, from another run, or new.
        if checkpoint is not None:
            _resume(run, checkpoint, prepared)
        elif source is not None:
            report = trainer.start_from(source)
            log.say(f"Weights from {source.path} (update {source.update}):", *report.lines())
            log.event("init_from", f"{source.path}", report=report.lines())
        else:
            log.event("start", f"a new run in {directory.path}")
        run.share()
        if config.trains == "voice":
            state.health.set_people(prepared.corpus.speaker_count)
        order, clips = resume.order_hash(prepared, training), resume.validation_hash(prepared)
        for note in state.adopt(order=order, metric=training.best_metric, clips=clips):
            log.warn_event("order_changed", note)

        # 6. Files of the run: settings, metrics cut back to the update that the run continues from, TensorBoard.
        restored = state.position.update
        log.metrics, log.tensorboard = RetryingJournal(NoJournal(), log.warn), NoTensorBoard()
        if lock is not None:
            _write_settings(run, resolved, prepared)
            metrics = Journal(directory.metrics_path, restored_update=restored, check_owner=lock.check)
            log.metrics = RetryingJournal(stack.enter_context(metrics), log.warn)
            _log_moved_lines(log, directory, metrics)
            hidden_after = restored if checkpoint else None
            log.tensorboard = stack.enter_context(TensorBoardLog(directory.tensorboard_path, hidden_after))

        # 7. What follows each update: saves, validations, the recovery ladder. An error saves the run, too.
        signals = stack.enter_context(StopSignals())
        examiner = _examiner(run, validation_batches)
        saver = Saver(run, examiner.training_voices)
        if lock is not None:
            stack.enter_context(Rescue(run, lock, saver, stack))
        validation = Validation(run, examiner, validation_batches)
        ladder = Ladder(run, saver)
        ladder.finish()
        if state.position.update >= updates:
            made = _already_made(run, saver, validation, updates)
            cluster.part()
            return made
        if state.recovery.proven is None:
            saver.save_start()

        # 8. The loop.
        log.say(
            f"Training from update {restored} of {updates}: {len(batches)} batches per epoch; "
            "the first update takes longer because it builds the graphs."
        )
        with _loader(run, prepared) as loader:
            ladder.restart_data = loader.restart
            why = Loop(run, loader, saver, ladder, validation.run, updates).run(signals)

        # 9. The end: a signal, or the run is complete.
        if why not in END_WORDS:
            saver.save(last=True)
            log.event("signal", f"stopped by {why}")
            if why == "SIGINT":
                _validate_stopped(run, saver, validation)
            cluster.part()
            raise Stopped(
                f"stopped by {why} at update {state.position.update}; everything is saved; to continue: {command}"
            )
        _end(run, saver, validation, why)
        cluster.part()
        return state.position.update


def _log_start(log: RunLog, directory: RunDirectory, lock: WriterLock, cleaned: list[str]) -> None:
    """Log what this process found in the run directory, and whether fault injection is on."""
    _log_moved_lines(log, directory, log.events.journal)
    if points := faults.armed_points():
        log.event(
            "faults_armed",
            f"{faults.VARIABLE} is set: this process fails on purpose at {', '.join(points)}; unset it and restart "
            "for a real training",
        )
    for line in cleaned:
        log.event("cleaned", line)
    if lock.taken_over:
        log.event("lock", f"taken over from {lock.taken_over}, which died")


def _log_moved_lines(log: RunLog, directory: RunDirectory, journal: Journal) -> None:
    """Report where the lines are that were cut off a journal when it was opened."""
    if journal.copy is not None:
        again = "" if journal.restored_update is None else " or belong to updates that are repeated"
        place = journal.copy.relative_to(directory.path)
        message = f"{journal.dropped_lines} lines of {journal.path.name} were incomplete{again}: moved to {place}"
        log.say(message)
        log.event("lines_moved", message)


def _newest(store: CheckpointStore, log: RunLog) -> Checkpoint | None:
    """The newest valid checkpoint; skipped damaged ones are reported."""
    checkpoint = store.newest()
    for damage in store.damaged:
        log.warn(f"skipped the damaged checkpoint {damage.path.name}: {damage.reason}")
        log.event("damaged", f"{damage.path.name}: {damage.reason}")
    return checkpoint


def _build(resolved: Resolved, prepared: PreparedData, log: RunLog, cluster: Cluster) -> Trainer:
    config, started = resolved.config, time.monotonic()
    check_precision(config.training.precision, cluster)
    trainer = Trainer(config, prepared.corpus, cluster)
    log.say(
        f"{_describe_model(config)}, {trainer.weight_count / 1e6:.1f} million weights, {trainer.precision}, on "
        f"{cluster.describe()}, built in {time.monotonic() - started:.0f} s."
    )
    if empty := empty_rows(config.training.batch_size, cluster.size):
        log.warn(empty)
    return trainer


def check_precision(setting: str, cluster: Cluster) -> None:
    """Raises ConfigError if `auto` does not choose the same precision in all processes."""
    chosen = cluster.gather(chosen_precision(setting))
    if odd := [rank for rank, other in enumerate(chosen) if other != chosen[0]]:
        cluster.part()
        raise ConfigError(
            f"training.precision {setting} is {chosen[0]} in process 0 and {chosen[odd[0]]} in process {odd[0]}: "
            "name one that all can compute, such as --precision fp32"
        )


def _describe_model(config: Config) -> str:
    return "Vocoder" if config.trains == "vocoder" else f"Model: size {config.model_size}"


def _resume(run: RunContext, checkpoint: Checkpoint, prepared: PreparedData) -> None:
    """Continue from a checkpoint, and report what has changed since it was saved."""
    log, state = run.log, run.state
    resume.check_same_data(checkpoint, prepared.corpus, run.directory.path)
    with named(checkpoint):
        run.trainer.restore(checkpoint)
        state.restore(checkpoint)
    log.say(f"Resuming from {checkpoint.path} (update {checkpoint.update}).")
    if foreign := [path.name for path in foreign_entries(checkpoint.path)]:
        names = quoted(", ".join(foreign), 200)
        note = f"{checkpoint.path.name} holds files that are not part of a checkpoint; they are left alone: {names}"
        log.say(note)
        log.event("foreign_files", note)
    log.event("resume", f"from {checkpoint.path.name}")
    changes = resume.changed_settings(checkpoint, run.config)
    if changes:
        log.say(*(f"  changed since: {change}" for change in changes))
        log.event("settings_changed", "; ".join(changes))
    resume.record_resume(state, changes)
    if resume.loss_changed(checkpoint, run.config):
        state.forget_losses()


def _batches(config: Config, prepared: PreparedData, screen: Display) -> tuple[AnyBatches, AnyBatches]:
    """Training and validation batches of what the run trains."""
    if config.trains == "voice":
        return prepared.training_batches(config), prepared.validation_batches(config)
    waves = [Waves(store, config, screen.progress) for store in (prepared.train, prepared.validation)]
    mels = _predicted_mels(config, prepared.train, screen)
    return Segments(prepared.train, waves[0], config, mels=mels), Segments(prepared.validation, waves[1], config, False)


def _predicted_mels(config: Config, store: FeatureStore, screen: Display) -> Callable[[int], FloatArray | None] | None:
    """The mels that vocoder.mels_from predicts for the training clips, by row; None where it is not set."""
    if config.vocoder.mels_from == NO_MODEL:
        return None
    source = VoiceSource.open(Path(config.vocoder.mels_from), config.audio)
    mels = PredictedMels(source, store, screen.progress)
    screen.say(f"Mels of {source.path} (update {source.update}): predicted for {mels.count} of {len(store)} clips.")
    if not mels.count:
        raise ConfigError(
            f"vocoder.mels_from {config.vocoder.mels_from!r} can speak none of the {len(store)} clips: it speaks "
            f"{', '.join(source.corpus.languages)}; name another run, or `none`"
        )
    return mels.mel


def _examiner(run: RunContext, validation: AnyBatches) -> Examiner:
    if isinstance(run.batches, Batches) and isinstance(validation, Batches):
        return VoiceExaminer(run, run.batches, validation)
    if isinstance(validation, Segments):
        return VocoderExaminer(run, validation)
    raise TypeError("training and validation batches are of different kinds")


def _texts(resolved: Resolved, prepared: PreparedData) -> dict[str, str]:
    corpus = json.dumps(prepared.corpus.to_json(), ensure_ascii=False)
    return {"config.yaml": config_yaml(resolved), "corpus.json": corpus}


def _write_settings(run: RunContext, resolved: Resolved, prepared: PreparedData) -> None:
    directory = run.directory
    write_text_atomic(directory.config_path, run.texts["config.yaml"])
    write_text_atomic(directory.provenance_path, provenance_json(resolved))
    write_text_atomic(directory.corpus_path, run.texts["corpus.json"])
    if prepared.base is not None:
        base = json.dumps(prepared.base.to_json(), ensure_ascii=False)
        write_text_atomic(directory.base_corpus_path, base)
    ids = "".join(f"{utterance.id}\n" for utterance in prepared.train.utterances)
    write_text_atomic(directory.utterances_path, ids)
    write_text_atomic(directory.clips_path, clip_lines(prepared.train, prepared.validation))


def _loader(run: RunContext, prepared: PreparedData) -> Loader:
    """Batches from the current position on; a thread that hangs is reported and replaced."""
    utterances, position, cluster = prepared.train.utterances, run.state.position, run.cluster
    return Loader(
        Share(run.batches, cluster.rank, cluster.size),
        position.epoch,
        position.index,
        hang_seconds=run.config.data.hang_seconds,
        on_hang=lambda message: run.log.warn_event("hang", message),
        stacks_path=run.directory.stacks_path if cluster.chief else None,
        clip_name=lambda row: utterances[row].id,
    )


def _already_made(run: RunContext, saver: Saver, validation: Validation, updates: int) -> int:
    """Nothing is left to train; finish the last steps of the run if a kill interrupted them."""
    position = run.state.position
    if position.validated_update != position.update:
        _end(run, saver, validation, "updates")  # a kill prevented the last validation
        return position.update
    if position.best_update == position.update:
        saver.save(last=True)  # a kill in the last save may have lost the mark of the best
    made = f"its {updates}" if position.update == updates else f"{position.update} of {updates}"
    run.log.say(f"This run has done {made} updates; to continue, raise --epochs or --max-updates.")
    return position.update


def _validate_stopped(run: RunContext, saver: Saver, validation: Validation) -> None:
    """After Ctrl-C, so that the best checkpoint is current. Everything is saved: a second Ctrl-C loses nothing.

    Not after SIGTERM or SIGHUP, whose senders do not wait.
    """
    position = run.state.position
    if position.update == 0 or position.validated_update == position.update:
        return
    run.log.say("Saved. Validating, so that the best checkpoint is current; Ctrl-C ends it.")
    try:
        if validation.run(scheduled=False):
            saver.save(best=True, last=True)
    except MyXTTSError as error:
        run.log.warn(f"the stopped run could not be validated; it is saved without that: {error}")


def _end(run: RunContext, saver: Saver, validation: Validation, why: str) -> None:
    position, training = run.state.position, run.config.training
    best = position.validated_update != position.update and validation.run(scheduled=False)
    saver.save(best=best, last=True)
    run.log.event("end", END_WORDS[why])
    summary = f"Done at update {position.update}: {END_WORDS[why]}. {position.skipped} updates were skipped."
    if position.best is not None:
        share = training.best_tolerance
        equal = share > 0.0 and position.validations_since_best > 0
        at = f"(the newest within {share:.0%}) at update" if equal else "at update"
        summary += f" Best {training.best_metric} {position.best:.4f} {at} {position.best_update}."
    run.log.say(summary)
