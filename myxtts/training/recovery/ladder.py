"""The recovery ladder: reactions of a run to a bad micro-batch, a skipped update, and persistent trouble.

State and decisions are in state.py; this module carries them out, and writes logs and files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from myxtts.errors import CheckpointError, NonFiniteError, StorageError
from myxtts.storage.checkpoint import Checkpoint, read_checkpoint, step_name
from myxtts.storage.files import read_regular_file, strict_json, write_text_atomic
from myxtts.storage.find_checkpoint import steps_in
from myxtts.training import resume
from myxtts.training.accumulation import Window
from myxtts.training.checkpointing import Saver
from myxtts.training.recovery import blame, incidents
from myxtts.training.recovery.blame import Blame
from myxtts.training.recovery.state import GIVE_UP, LossWatch, Recovery, Rollback
from myxtts.training.run_context import RunContext
from myxtts.training.step import UpdateResult
from myxtts.training.trainer import named

Weight = npt.NDArray[np.generic]

SAME_INCIDENT_ATTEMPTS = 20
"""Attempts between two bundles of the same kind of trouble."""
LISTED_CLIPS = 5


class Ladder:
    """Observes every update of a run and climbs when necessary.

    Args:
        run: the run, with the state of the ladder; clips in quarantine are removed from its batches.
        saver: saves after a rollback.
    """

    def __init__(self, run: RunContext, saver: Saver) -> None:
        self.run, self.saver = run, saver
        self.restart_data: Callable[[int, int], None] = lambda epoch, index: None
        self._ids = run.batches.store.utterances.ids
        self._row_of = {name: row for row, name in enumerate(self._ids)}
        self._newest_cause = ""
        self._bundles: dict[object, int] = {}
        self._stale: list[int] = []
        """Checkpoints after the target of a rollback that could not be set aside yet."""
        self._aside = ""
        """Prefix of their new names."""
        self._pending = False
        """Whether a rollback was decided that is not complete on the disk yet."""
        self._apply_quarantine()

    @property
    def recovery(self) -> Recovery:
        """The state; resuming replaces the object."""
        return self.run.state.recovery

    # --- rungs 0 to 2: what an update did

    def observe(
        self,
        window: Window,
        result: UpdateResult,
        number: int,
        loss: float,
        weights_before: Mapping[str, Weight] | None = None,
    ) -> None:
        """Observe update `number`, applied or skipped, with its mean loss.

        `weights_before` is given if a micro-batch was skipped; None means that the weights are unchanged.
        """
        self.run.state.clip_losses.observe(window)
        skipped = window.skipped()
        if result.applied:
            self.recovery.applied(number, loss, clean=result.overflow or not skipped)
        if result.overflow:
            # no clip is to blame, and it is not trouble: this is how the loss scale is adjusted
            self.run.log.event("overflow", f"update {number}: fp16 overflowed, the loss scale is halved", rung=0)
            return
        if not result.applied:
            self.run.state.skip(number)
        median = self.run.trainer.step.median_norm()
        spike_norm = self.run.config.training.spike_factor * median if result.spike and median else None
        bad = blame.bad_alone(self.run.trainer.step, window, spike_norm)
        self.recovery.judge_clips({self._ids[row]: was for row, was in bad.items()})
        if skipped or not result.applied:
            with self.run.trainer.step.weights_as(weights_before if result.applied else None):
                self._find_cause(window, result, number, spike_norm)

    def _find_cause(self, window: Window, result: UpdateResult, number: int, spike_norm: float | None) -> None:
        """Find and log the cause, write an incident bundle, count strikes."""
        search = self.recovery.may_search
        others = {self._row_of[name]: bad for name, bad in self.recovery.recent.items() if name in self._row_of}
        found = blame.find(self.run.trainer.step, window, spike_norm, others=others, search=search)
        if search and (found is None or not found.single):
            self.recovery.searched_in_vain = self.recovery.attempts
        if result.applied:
            what = f"update {number}: {len(window.skipped())} of {len(window.micros)} micro-batches skipped"
            event, rung = "skip_micro_batches", 0
        else:
            why = f"gradient norm {result.grad_norm:.3g} is a spike" if result.spike else "not finite"
            what, event, rung = f"update {number} skipped: {why}", "skip", 1
        ids = [self._ids[row] for row in found.rows] if found else []
        self._newest_cause = _describe(found, ids)
        message = f"{what} ({self._newest_cause})"
        bundle = self._write_incident(found, ids, number, message, spike_norm) if found else None
        self.run.log.event(
            event,
            message,
            rung=rung,
            terms=list(found.terms) if found else [],
            utterances=ids,
            single=bool(found and found.single),
            groups=list(found.groups) if found else [],
            **({"incident": bundle} if bundle else {}),
        )
        self.run.log.warn(message)
        if found:
            self._strike(found, number, message)

    def _strike(self, found: Blame, number: int, cause: str) -> None:
        names = [self._ids[row] for row in found.guilty_rows]
        new = self.recovery.strike(names, found.micro.number, number, cause)
        if not new:
            return
        self._apply_quarantine()
        self._write_state(pending=self._pending)
        self.restart_data(self.run.state.position.epoch, self.run.state.position.index)
        source = self.run.batches.store.utterances[self._row_of[new[0]]].source
        message = (
            f"{', '.join(repr(n) for n in new[:LISTED_CLIPS])} put in quarantine: to blame for 3 bad micro-batches; "
            f"the run continues without ({len(self.recovery.quarantine)} of {len(self._ids)} clips; look at {source})"
        )
        self.run.log.event("quarantine", message, rung=2, utterances=new)
        self.run.log.warn(message)

    def _apply_quarantine(self) -> None:
        quarantine = self.recovery.quarantine
        self.run.batches.quarantined = frozenset(self._row_of[name] for name in quarantine if name in self._row_of)

    def _write_incident(
        self, found: Blame, ids: Sequence[str], number: int, cause: str, most_norm: float | None
    ) -> str | None:
        """Write an incident bundle, unless one of its kind is recent; returns its path in the run directory."""
        kind = (found.terms, found.groups, found.single, most_norm is None)
        attempts = self.recovery.attempts
        if attempts < self._bundles.get(kind, -SAME_INCIDENT_ATTEMPTS) + SAME_INCIDENT_ATTEMPTS:
            return None
        self._bundles[kind] = attempts
        if not self.run.cluster.chief:
            return None
        micro = found.micro
        rows = [self._ids[row] if real else "" for row, real in zip(micro.rows_B, micro.real_B, strict=True)]
        if micro.loaded.planned is not None and self.run.cluster.size > 1:  # this process has its own share only
            whole = self.run.batches.build(micro.loaded.planned, micro.loaded.epoch)
            found = replace(found, micro=replace(micro, loaded=replace(micro.loaded, batch=whole)))
        try:
            path = incidents.write(
                self.run.directory.incidents_path,
                found,
                update=number,
                cause=cause,
                utterances=ids,
                rows=rows,
                weights={v.path: v.numpy() for v in self.run.trainer.step.weights},
                texts=self.run.texts,
                loss_scale=float(self.run.trainer.step.loss_scale.value),
                most_norm=most_norm,
            )
        except StorageError as error:
            self.run.log.event("incident_failed", str(error))
            return None
        return str(path.relative_to(self.run.directory.path))

    # --- rungs 3 to 7: persistent trouble

    def climb_if_needed(self) -> bool:
        """Roll back if there is trouble; returns whether the run was rolled back."""
        if self._pending:
            self._end_if_done()
        cause = self.recovery.trouble()
        if cause:
            self.climb(cause)
        return bool(cause)

    def climb(self, cause: str) -> None:
        """Climb to the next rung.

        Raises:
            NonFiniteError: there is no rung left, or no checkpoint to go back to.
        """
        position, recovery = self.run.state.position, self.recovery
        if self._newest_cause and recovery.skipped_in_a_row:
            cause = f"{cause}; {self._newest_cause}"
        if suspects := recovery.suspects(position.update):
            cause = f"{cause}; {suspects}"
        rung = recovery.next_rung(position.update)
        if rung == GIVE_UP:
            self._give_up(cause)
        rollback = Rollback(rung, position.update, position.update, cause)
        if self.run.cluster.chief:
            checkpoint = self._proven_checkpoint()
            rollback = replace(rollback, to_update=checkpoint.update)
            recovery.roll_back(rollback, self._restore(checkpoint))
            self._write_state(pending=True)
        self.run.share()
        kept = self._cut_and_save(rollback)
        message = (
            f"rung {rung}: back to update {rollback.to_update} from {rollback.from_update}, past the offending data: "
            f"{cause}" + (f"; from now on {recovery.overrides()}" if recovery.overrides() else "") + kept
        )
        self.run.log.event(
            "rollback",
            message,
            rung=rung,
            from_update=rollback.from_update,
            to_update=rollback.to_update,
            cause=cause,
            overrides=recovery.overrides(),
        )
        self.run.log.warn(message)

    def finish(self) -> None:
        """Finish a rollback that a kill interrupted after it was written to recovery.json."""
        rollback = self._unfinished() if self.run.cluster.chief else None
        if not self.run.cluster.share(rollback is not None):
            return
        self.run.share()
        self._apply_quarantine()
        rollback = rollback or self.recovery.rollbacks[-1]
        kept = self._cut_and_save(rollback)
        message = f"finished the interrupted rollback to update {rollback.to_update}{kept}"
        self.run.log.event("rollback_ended", message, rung=rollback.rung)
        self.run.log.warn(message)

    def _unfinished(self) -> Rollback | None:
        """Restore the target of a rollback that is in recovery.json alone; None if there is none."""
        written = _read(self.run.directory.recovery_path)
        if written is None or not written["pending"]:
            return None
        intended = Recovery.from_json(written["recovery"])
        if len(intended.rollbacks) != len(self.recovery.rollbacks) + 1:
            return None
        rollback = intended.rollbacks[-1]
        checkpoint = self._at_or_before(rollback.to_update)
        intended.watch = self._restore(checkpoint)
        if self.recovery.changes:
            intended.changes, intended.changed_at = self.recovery.changes, self.recovery.changed_at
        self.run.state.finish_rollback(intended, written["position"])
        return replace(rollback, to_update=checkpoint.update)

    def _restore(self, checkpoint: Checkpoint) -> LossWatch:
        """Restore a checkpoint; returns its loss watch, or a new one if the loss function changed since."""
        with named(checkpoint), self.run.trainer.step.changing():
            self.run.trainer.restore(checkpoint)
            watch = self.run.state.roll_back(checkpoint)
        if not resume.loss_changed(checkpoint, self.run.config):
            return watch
        self.run.state.forget_losses()
        return LossWatch()

    def _cut_and_save(self, rollback: Rollback) -> str:
        """Apply a rollback to the disk, which the chief does: cut metrics, set later checkpoints aside, save the state.

        Returns:
            A message on where the later checkpoints are kept and how to restore the best; empty if there are none.
        """
        self.saver.saved.clear()
        if not self.run.cluster.chief:
            self.saver.save()
            return ""
        self._aside = self._free_name()
        lines = self.run.directory.incidents_path / f"{self._aside}-metrics.jsonl"
        try:
            lines.parent.mkdir(exist_ok=True)
            self.run.log.metrics.journal.cut_back(rollback.to_update, lines)
            self.run.log.tensorboard.go_back(rollback.to_update)
        except (StorageError, OSError) as error:
            self.run.log.warn(f"{error}; the metrics after update {rollback.to_update} are from before the rollback")
        self._stale = [step for step in steps_in(self.run.store.directory) if step > rollback.to_update]
        kept = resume.describe_kept(self.run.store.directory, self._stale, self._aside)
        self._pending = True
        self._set_stale_aside()
        self.saver.save()
        self._end_if_done()
        return kept

    def _free_name(self) -> str:
        """A new prefix for the files kept of this rollback."""
        number = max(len(self.recovery.rollbacks), self.run.store.next_number())
        while (self.run.directory.incidents_path / f"rollback-{number:02d}-metrics.jsonl").exists():
            number += 1
        return f"rollback-{number:02d}"

    def _end_if_done(self) -> None:
        """Record that the rollback is complete once the later checkpoints are set aside and the state is saved."""
        # a checkpoint saved again under the same number is not stale
        self._stale = [step for step in self._stale if step not in self.saver.saved]
        self._set_stale_aside()
        if self.saver.saved and not self._stale:
            self._pending = False
            self._write_state(pending=False)
            self._prune_set_aside()

    def _set_stale_aside(self) -> None:
        """Rename stale checkpoints, so that a resume does not find them; failures are tried again later."""
        if not self._stale:
            return
        try:
            self.run.store.set_aside(self._stale, self._aside)
            self._stale = []
        except StorageError as error:
            self.run.log.warn(f"{error}; trying again after the next update")

    def _prune_set_aside(self) -> None:
        """Prune the checkpoints set aside, keeping the newest, the best, and the one that the user resumed from."""
        try:
            kept = self.run.store.all_set_aside()
            own = [path for path in kept if path.name.endswith(step_name(self.saver.resumed_from))]
            self.run.store.prune_set_aside({*own, *resume.best_marks(kept).values()})
        except (StorageError, OSError) as error:
            self.run.log.warn(f"{error}; superseded checkpoints stay")

    def _write_state(self, *, pending: bool) -> None:
        if not self.run.cluster.chief:
            return
        state = {
            "pending": pending,
            "recovery": self.recovery.to_json(),
            "position": dict(vars(self.run.state.position)),
        }
        try:
            write_text_atomic(self.run.directory.recovery_path, json.dumps(state, indent=1))
        except (StorageError, OSError) as error:
            self.run.log.warn(f"{error}; the next checkpoint contains the same state")

    def _proven_checkpoint(self) -> Checkpoint:
        proven = self.recovery.proven
        return self._at_or_before(self.run.state.position.update if proven is None else proven)

    def _at_or_before(self, update: int) -> Checkpoint:
        """The newest valid checkpoint not later than `update`; damaged ones are reported."""
        directory = self.run.store.directory
        for step in (step for step in steps_in(directory) if step <= update):
            try:
                return read_checkpoint(directory / step_name(step))
            except CheckpointError as error:
                self.run.log.event("damaged", str(error))
                self.run.log.warn(f"{error}; using an older one")
        raise NonFiniteError(
            f"trouble at update {self.run.state.position.update}, and no intact checkpoint up to update {update} to go "
            f"back to: look at {directory}, or start over with --fresh"
        )

    def _give_up(self, cause: str) -> None:
        best = self.run.state.position.best_update
        name = step_name(best) if self.run.state.position.best is not None else "none yet"
        if self.run.store.all_set_aside():
            name += f" (others are kept in {self.run.store.directory} as rollback-*)"
        message = (
            f"every rung of the ladder was tried and the trouble came back at update "
            f"{self.run.state.position.update}: {cause}; tried: {len(self.recovery.rollbacks)} rollbacks, the last "
            f"to update {self.recovery.rollbacks[-1].to_update}, {self.recovery.overrides()}; best checkpoint: {name}; "
            f"for an analysis: python3 fix_nan_loss.py check {self.run.directory.path}"
        )
        self.run.log.event("gave_up", message, rung=GIVE_UP)
        raise NonFiniteError(message)


def _describe(found: Blame | None, ids: Sequence[str]) -> str:
    """Terms, clips and layer groups as text for messages."""
    if found is None:
        return "no micro-batch to examine"
    more = f" and {len(ids) - LISTED_CLIPS} more" if len(ids) > LISTED_CLIPS else ""
    clips = f"{', '.join(ids[:LISTED_CLIPS])}{more}" if found.single else "none alone"
    terms = f"loss terms: {', '.join(found.terms) or 'all finite'}"
    return f"{terms}; clips: {clips}" + (f"; layers: {', '.join(found.groups)}" if found.groups else "")


def _read(path: Path) -> dict[str, Any] | None:
    """recovery.json; None if it is missing or damaged: then the checkpoint has the state."""
    try:
        value = strict_json(read_regular_file(path))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and {"pending", "recovery", "position"} <= set(value) else None
