"""The ladder at work: what a run does about a bad micro-batch, a refused update, and trouble that goes on.

What is known and decided stands in recovery.py; here it is told, written down and carried out.
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
from myxtts.storage.checkpoint import Checkpoint, step_name
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
"""Of trouble of one kind, one bundle in so many attempts."""
TOLD_CLIPS = 5


class Ladder:
    """Follows every update of a run and climbs where it must.

    Args:
        run: its state holds that of the ladder; the log is cut back with a rollback; clips in quarantine are taken out
            of its batches.
        saver: saves after a rollback.
    """

    def __init__(self, run: RunContext, saver: Saver) -> None:
        self.run, self.saver = run, saver
        self.restart_data: Callable[[int, int], None] = lambda epoch, index: None
        self._ids = [u.id for u in run.batches.store.utterances]
        self._row_of = {name: row for row, name in enumerate(self._ids)}
        self._newest_told = ""
        self._bundles: dict[object, int] = {}
        self._stale: list[int] = []
        """Checkpoints of before a rollback that the disk did not let be set aside."""
        self._aside = ""
        """What they are called there."""
        self._pending = False
        """Whether a rollback was decided that the disk does not show in full yet."""
        self._take_out()

    @property
    def recovery(self) -> Recovery:
        """The state; another object after a resume."""
        return self.run.state.recovery

    # --- rungs 0 to 2: what an update did

    def observe(
        self, window: Window, result: UpdateResult, number: int, loss: float, met: Mapping[str, Weight] | None = None
    ) -> None:
        """Take in update number `number`, applied or refused, with its mean loss.

        `met`: the weights before it, if it lost a micro-batch; None: those of now.
        """
        self.run.state.clip_losses.observe(window)
        dropped = window.dropped()
        if result.applied:
            self.recovery.applied(number, loss, clean=result.overflow or not dropped)
        if result.overflow:
            # nobody is to blame, and it is no trouble: the scale finds its place by overflowing
            self.run.log.event("overflow", f"update {number}: fp16 overflowed, the loss scale is halved", rung=0)
            return
        if not result.applied:
            self.run.state.skip(number)
        median = self.run.trainer.step.median_norm()
        spike_norm = self.run.config.training.spike_factor * median if result.spike and median else None
        bad = blame.bad_alone(self.run.trainer.step, window, spike_norm)
        self.recovery.judge_clips({self._ids[row]: was for row, was in bad.items()})
        if dropped or not result.applied:
            with self.run.trainer.step.weights_as(met if result.applied else None):
                self._look_into(window, result, number, spike_norm)

    def _look_into(self, window: Window, result: UpdateResult, number: int, spike_norm: float | None) -> None:
        """Find who is to blame, say so, count strikes, keep the evidence."""
        search = self.recovery.may_search
        others = {self._row_of[name]: bad for name, bad in self.recovery.recent.items() if name in self._row_of}
        found = blame.find(self.run.trainer.step, window, spike_norm, others=others, search=search)
        if search and (found is None or not found.single):
            self.recovery.searched_in_vain = self.recovery.attempts
        if result.applied:
            what = f"update {number}: {len(window.dropped())} of {len(window.micros)} micro-batches dropped"
            event, rung = "dropped", 0
        else:
            why = f"gradient norm {result.grad_norm:.3g} is a spike" if result.spike else "not finite"
            what, event, rung = f"update {number} refused: {why}", "skip", 1
        ids = [self._ids[row] for row in found.rows] if found else []
        self._newest_told = _in_words(found, ids)
        message = f"{what} ({self._newest_told})"
        bundle = self._keep(found, ids, number, message, spike_norm) if found else None
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
        self._take_out()
        self._write_down(pending=self._pending)
        self.restart_data(self.run.state.position.epoch, self.run.state.position.index)
        source = self.run.batches.store.utterances[self._row_of[new[0]]].source
        message = (
            f"{', '.join(repr(n) for n in new[:TOLD_CLIPS])} put in quarantine: to blame for 3 bad micro-batches; "
            f"the run goes on without ({len(self.recovery.quarantine)} of {len(self._ids)} clips; look at {source})"
        )
        self.run.log.event("quarantine", message, rung=2, utterances=new)
        self.run.log.warn(message)

    def _take_out(self) -> None:
        quarantine = self.recovery.quarantine
        self.run.batches.quarantined = frozenset(self._row_of[name] for name in quarantine if name in self._row_of)

    def _keep(self, found: Blame, ids: Sequence[str], number: int, cause: str, most_norm: float | None) -> str | None:
        """Write an incident bundle, unless one of its kind was just written; its path in the run directory."""
        kind = (found.terms, found.groups, found.single, most_norm is None)
        attempts = self.recovery.attempts
        if attempts < self._bundles.get(kind, -SAME_INCIDENT_ATTEMPTS) + SAME_INCIDENT_ATTEMPTS:
            return None
        self._bundles[kind] = attempts
        batch = found.micro.loaded.batch
        rows = [self._ids[r] if w > 0 else "" for r, w in zip(batch["utterance_B"], batch["weight_B"], strict=True)]
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

    # --- rungs 3 to 7: trouble that goes on

    def climb_if_needed(self) -> bool:
        """Go back if there is trouble; whether the run went back."""
        if self._pending:
            self._end_if_done()
        cause = self.recovery.trouble()
        if cause:
            self.climb(cause)
        return bool(cause)

    def climb(self, cause: str) -> None:
        """Take the next rung.

        Raises:
            NonFiniteError: there is none left, or no checkpoint to go back to.
        """
        position, recovery = self.run.state.position, self.recovery
        if self._newest_told and recovery.refused_in_a_row:
            cause = f"{cause}; {self._newest_told}"
        if suspects := recovery.suspects(position.update):
            cause = f"{cause}; {suspects}"
        rung = recovery.next_rung(position.update)
        if rung == GIVE_UP:
            self._give_up(cause)
        checkpoint = self._healthy()
        rollback = Rollback(rung, position.update, checkpoint.update, cause)
        recovery.roll_back(rollback, self._back_at(checkpoint))
        self._write_down(pending=True)
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
        """End a rollback that a kill interrupted: it was decided and written down, and not yet saved."""
        written = _read(self.run.directory.recovery_path)
        if written is None or not written["pending"]:
            return
        intended = Recovery.from_json(written["recovery"])
        if len(intended.rollbacks) != len(self.recovery.rollbacks) + 1:
            return
        rollback = intended.rollbacks[-1]
        checkpoint = self._at_or_before(rollback.to_update)
        intended.watch = self._back_at(checkpoint)
        if self.recovery.changes:
            intended.changes, intended.changed_at = self.recovery.changes, self.recovery.changed_at

        self.run.state.finish_rollback(intended, written["position"])
        self._take_out()
        kept = self._cut_and_save(replace(rollback, to_update=checkpoint.update))
        message = f"ended the rollback to update {checkpoint.update} that was interrupted{kept}"
        self.run.log.event("rollback_ended", message, rung=rollback.rung)
        self.run.log.warn(message)

    def _back_at(self, checkpoint: Checkpoint) -> LossWatch:
        """Take back a checkpoint; the watch over the loss, anew where its losses were of other weights."""
        with named(checkpoint):
            self.run.trainer.restore(checkpoint)
            watch = self.run.state.roll_back(checkpoint)
        if not resume.loss_changed(checkpoint, self.run.config):
            return watch
        self.run.state.forget_losses()
        return LossWatch()

    def _cut_and_save(self, rollback: Rollback) -> str:
        """Make the disk follow: metrics, checkpoints after the one gone back to, and the state as it is now.

        Returns:
            Where the checkpoints after it are kept, and what brings the best of them back; empty if there are none.
        """
        self._aside = self._free_name()
        lines = self.run.directory.incidents_path / f"{self._aside}-metrics.jsonl"
        try:
            lines.parent.mkdir(exist_ok=True)
            self.run.log.metrics.journal.cut_back(rollback.to_update, lines)
            self.run.log.tensorboard.go_back(rollback.to_update)
        except (StorageError, OSError) as error:
            self.run.log.warn(f"{error}; the metrics after update {rollback.to_update} are of before the rollback")
        self._stale = [step for step in steps_in(self.run.store.directory) if step > rollback.to_update]
        kept = resume.kept_in_words(self.run.store.directory, self._stale, self._aside)
        self._pending = True
        self.saver.saved.clear()
        self._set_stale_aside()
        self.saver.save()
        self._end_if_done()
        return kept

    def _free_name(self) -> str:
        """The name of what is kept of this rollback; that of an earlier one is never written over."""
        number = max(len(self.recovery.rollbacks), self.run.store.next_number())
        while (self.run.directory.incidents_path / f"rollback-{number:02d}-metrics.jsonl").exists():
            number += 1
        return f"rollback-{number:02d}"

    def _end_if_done(self) -> None:
        """Write down that the rollback is done once nothing of before it is on the disk and what came after it is."""
        # what was saved anew under the number of an old one is not old any more
        self._stale = [step for step in self._stale if step not in self.saver.saved]
        self._set_stale_aside()
        if self.saver.saved and not self._stale:
            self._pending = False
            self._write_down(pending=False)
            self._prune_set_aside()

    def _set_stale_aside(self) -> None:
        """Rename checkpoints of before the rollback: a resume must not find them; what is refused is tried again."""
        if not self._stale:
            return
        try:
            self.run.store.set_aside(self._stale, self._aside)
            self._stale = []
        except StorageError as error:
            self.run.log.warn(f"{error}; tried again after the next update")

    def _prune_set_aside(self) -> None:
        """Of what rollbacks set aside, as many stay as of regular checkpoints, and the best ones and a user's own."""
        try:
            kept = self.run.store.all_set_aside()
            own = [path for path in kept if path.name.endswith(step_name(self.saver.resumed_from))]
            self.run.store.prune_set_aside({*own, *resume.best_marks(kept).values()})
        except (StorageError, OSError) as error:
            self.run.log.warn(f"{error}; superseded checkpoints stay")

    def _write_down(self, *, pending: bool) -> None:
        state = {
            "pending": pending,
            "recovery": self.recovery.to_json(),
            "position": dict(vars(self.run.state.position)),
        }
        try:
            write_text_atomic(self.run.directory.recovery_path, json.dumps(state, indent=1))
        except (StorageError, OSError) as error:
            self.run.log.warn(f"{error}; the next checkpoint holds the same")

    def _healthy(self) -> Checkpoint:
        proven = self.recovery.proven
        return self._at_or_before(self.run.state.position.update if proven is None else proven)

    def _at_or_before(self, update: int) -> Checkpoint:
        """The newest valid checkpoint that is not later than `update`; damaged ones are told."""
        folders = {step: self.run.store.directory / step_name(step) for step in steps_in(self.run.store.directory)}
        for step in sorted((s for s in folders if s <= update), reverse=True):
            try:
                return self.run.store.load(folders[step])
            except CheckpointError as error:
                self.run.log.event("damaged", str(error))
                self.run.log.warn(f"{error}; taking an older one")
        raise NonFiniteError(
            f"trouble at update {self.run.state.position.update}, and no whole checkpoint up to update {update} to go "
            f"back to: look at {self.run.store.directory}, or start over with --fresh"
        )

    def _give_up(self, cause: str) -> None:
        best = self.run.state.position.best_update
        name = step_name(best) if self.run.state.position.best is not None else "none yet"
        if self.run.store.all_set_aside():
            name += f" (others are kept in {self.run.store.directory} as rollback-*)"
        message = (
            f"every rung of the ladder was climbed and the trouble came back at update "
            f"{self.run.state.position.update}: {cause}; tried: {len(self.recovery.rollbacks)} times back to update "
            f"{self.recovery.rollbacks[-1].to_update}, {self.recovery.overrides()}; best checkpoint: {name}; "
            f"this tells more: python3 fix_nan_loss.py check {self.run.directory.path}"
        )
        self.run.log.event("gave_up", message, rung=GIVE_UP)
        raise NonFiniteError(message)


def _in_words(found: Blame | None, ids: Sequence[str]) -> str:
    """Terms, clips and groups for a person."""
    if found is None:
        return "no micro-batch to look at"
    more = f" and {len(ids) - TOLD_CLIPS} more" if len(ids) > TOLD_CLIPS else ""
    clips = f"{', '.join(ids[:TOLD_CLIPS])}{more}" if found.single else "none alone"
    terms = f"loss terms: {', '.join(found.terms) or 'all finite'}"
    return f"{terms}; clips: {clips}" + (f"; layers: {', '.join(found.groups)}" if found.groups else "")


def _read(path: Path) -> dict[str, Any] | None:
    """recovery.json; None if there is none that can be read: the checkpoint then holds the state."""
    try:
        value = strict_json(read_regular_file(path))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and {"pending", "recovery", "position"} <= set(value) else None
