"""Repairs a run: makes a backup, saves a new checkpoint, and moves bad ones aside."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from myxtts.doctor.messages import Message, message
from myxtts.doctor.run.look import REPAIRED_EVENT
from myxtts.doctor.run.plan import RepairPlan, check_inside, make_plan
from myxtts.errors import StorageError
from myxtts.progress import Progress
from myxtts.storage.checkpoint import foreign_entries
from myxtts.storage.files import free_path, fsync_directory, storage_error, write_text_atomic
from myxtts.storage.journal import Journal
from myxtts.storage.run_directory import RunDirectory, WriterLock
from myxtts.storage.store import CheckpointStore

_KEEP_ALL = 1_000_000
"""A repair prunes no checkpoint."""


def repair_run(run: Path, progress: Progress, always_reset: bool = False) -> tuple[RepairPlan, Path | None]:
    """Repairs the run in `run`; returns the plan that was carried out, and the folder of the backup.

    The folder is None if there was nothing to do. The lock of the run is held while anything is written.

    Errors: as `make_plan`; StorageError if the disk fails or a training process uses the run.
    """
    make_plan(run, progress, always_reset)  # report errors before a lock is written into a folder that may not be a run
    directory = RunDirectory(run)
    with directory.lock() as lock:
        _store(run).remove_stale(lock)
        plan = make_plan(run, progress, always_reset)
        if plan.empty:
            return plan, None
        return plan, _carry_out(plan, directory, lock, progress)


def _store(run: Path) -> CheckpointStore:
    return CheckpointStore(RunDirectory(run).checkpoints_path, keep=_KEEP_ALL, kept_every_updates=1)


def _carry_out(plan: RepairPlan, directory: RunDirectory, lock: WriterLock, progress: Progress) -> Path:
    """Makes the backup, then writes settings, the new checkpoint and the ladder, and last moves bad checkpoints aside.

    In this order the evidence that the run diverged stays until everything else is done, so that after a kill the same
    command completes the repair.
    """
    assert lock.held
    check_inside(plan.run)
    checkpoint = plan.good.checkpoint
    assert checkpoint is not None
    progress("repair", 0, 3)
    backup = _backup(plan, directory)
    progress("repair", 1, 3)
    try:
        arrays = plan.arrays if plan.arrays is not None else {stem: dict(n) for stem, n in checkpoint.arrays.items()}
        state = plan.state if plan.arrays is not None else checkpoint.state
        if plan.config_text is not None:
            write_text_atomic(directory.config_path, plan.config_text)
        _store(plan.run).save(plan.good.update, arrays, state, texts=checkpoint.texts, best=checkpoint.best)
        if plan.arrays is not None and directory.recovery_path.is_file():
            _write_recovery(plan, directory)
        progress("repair", 2, 3)
        for examined in plan.aside:
            examined.path.rename(backup / "checkpoints" / examined.path.name)
        # Saving the same state again only updates the pointers, which may name a checkpoint that was moved aside.
        _store(plan.run).save(plan.good.update, arrays, state, texts=checkpoint.texts, best=checkpoint.best)
        fsync_directory(backup / "checkpoints")
    except OSError as error:
        raise storage_error("repairing the run", plan.run, error) from error
    _write_event(plan, directory, backup)
    progress("repair", 3, 3)
    return backup


def _backup(plan: RepairPlan, directory: RunDirectory) -> Path:
    """Copies everything that is about to change into a folder inside the run. Errors: StorageError."""
    backup = free_path(plan.run / f"before-fix-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        (backup / "checkpoints").mkdir(parents=True)
        for path in (directory.config_path, directory.provenance_path, directory.recovery_path):
            if path.is_file():
                shutil.copy2(path, backup / path.name)
        if plan.arrays is not None:
            good = plan.good.path
            foreign = {path.name for path in foreign_entries(good)}  # they are not moved
            shutil.copytree(good, backup / "checkpoints" / good.name, ignore=lambda *_: foreign)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(backup, ignore_errors=True)  # an incomplete copy; the run itself is unchanged
        if isinstance(error, shutil.Error):
            reason = str(error)[:200]
            raise StorageError(f"backing up into {str(backup)!r} failed: {reason!r}; check the disk") from error
        raise storage_error("backing up", backup, error) from error
    return backup


def _write_recovery(plan: RepairPlan, directory: RunDirectory) -> None:
    """Writes the state of the ladder of the new checkpoint to recovery.json."""
    state = {"pending": False, "recovery": plan.state.get("recovery", {}), "position": plan.state["position"]}
    write_text_atomic(directory.recovery_path, json.dumps(state, indent=1))


def _write_event(plan: RepairPlan, directory: RunDirectory, backup: Path) -> None:
    """Writes an event: later checks ignore the events before it."""
    text = f"repaired by fix_nan_loss.py: resumes from {plan.good.path.name}; the previous state is in {backup.name}"
    with Journal(directory.events_path, flush_lines=1) as events:
        events.write(
            {
                "time": time.time(),
                "update": plan.good.update,
                "event": REPAIRED_EVENT,
                "message": text,
                "set_aside": [examined.path.name for examined in plan.aside],
                "lowered": {low.key: low.after for low in plan.lowered},
            }
        )


def plan_lines(plan: RepairPlan) -> list[Message]:
    """The plan as messages: the checkpoint to resume from, what is moved aside, reset and lowered, and why."""
    lines = [message("plan_good", name=plan.good.path.name, update=plan.good.update)]
    lines += [message("plan_reason", reason=reason) for reason in plan.reasons]
    for examined in plan.aside:
        why = examined.bad or message("newer_and_ill")
        lines.append(message("plan_aside", name=examined.path.name, why=why))
    lines += [message("plan_reset", what=what) for what in plan.reset]
    for low in plan.lowered:
        lines.append(message("plan_lowered", key=low.key, before=low.before, after=low.after, reason=low.reason))
    lines += [message("plan_without", key=key) for key in plan.without if plan.config_text is not None]
    if not plan.reasons and not plan.reset:
        lines.append(message("plan_no_divergence"))
    return lines
