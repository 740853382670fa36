"""The checkpoints of a run: saved atomically, verified when read, pruned by one rule.

A save: check free space -> `tmp.<id>/` -> write and fsync files -> manifest last -> fsync folder -> rename to
`step-<update>` -> fsync parent -> pointers -> prune. What exists after a kill:

- before the rename: the older checkpoints, untouched, and a `tmp.` folder that the next writer removes;
- after the rename: the new checkpoint. A pointer may be out of date; nothing here reads pointers (they are for users
  and other tools);
- saving an update that already has a checkpoint (after a rollback, or if the old one is damaged) takes two renames:
  the old one to `tmp.<id>.replaced-step-<update>`, then the new one into its place. After a kill between the two, the
  next writer restores the old one's name. If both have the same content, the new one is discarded;
- a checkpoint that is not superseded is never deleted: those after the target of a rollback, and an older one of the
  same update with other weights, are renamed to `rollback-NN-step-<update>` and `replaced-NN-step-<update>`, which
  needs no disk space. Searches ignore these folders; `find` accepts their paths;
- while pruning: a folder is renamed to `tmp.<id>.pruned` before anything in it is deleted, so no incomplete folder has
  the name of a checkpoint.

If the disk fails, the same folders may stay; the next save of the same process removes them.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from myxtts import faults
from myxtts.errors import CheckpointError, StorageError
from myxtts.storage.checkpoint import (
    MANIFEST,
    Arrays,
    Checkpoint,
    CheckpointManifest,
    Damage,
    check_arrays,
    check_sizes,
    foreign_entries,
    read_checkpoint,
    small_files,
    step_name,
    update_of_name,
    write_durable,
    write_files,
)
from myxtts.storage.files import (
    canonical_json,
    free_path,
    fsync_directory,
    is_own_temporary,
    is_temporary,
    storage_error,
    temporary_name,
    write_bytes_atomic,
)
from myxtts.storage.find_checkpoint import best_in, intact_steps, newest_in, steps_in
from myxtts.storage.run_directory import WriterLock

_SPARE_BYTES = 16 << 20  # left free for journals and pointers when a checkpoint is written
_REPLACED = ".replaced-"
_WEIGHTS = "weights.safetensors"
_SET_ASIDE = re.compile(r"(rollback|replaced)-(\d+)-(step-\d+)")
FOREIGN = "foreign-files"
"""Folder for files of users or other programs that were in a step folder that was deleted."""


class CheckpointStore:
    """The folder of a run's checkpoints.

    directory: parent of the step folders; created by the first save.
    keep: number of regular checkpoints that are kept, newest first; a checkpoint is regular if its update is a
        multiple of kept_every_updates.
    """

    def __init__(self, directory: Path, keep: int, kept_every_updates: int) -> None:
        self.directory = Path(directory)
        self.keep = keep
        self.kept_every_updates = kept_every_updates
        self.protected: set[int] = set()
        """Updates whose checkpoints are not pruned, such as the last healthy one."""
        self.damaged: list[Damage] = []
        """Damaged checkpoints that the last search passed over."""
        self.check_owner: Callable[[], None] = lambda: None
        """Called before anything is written or deleted; raises if this process no longer owns the run."""

    # --- writing

    def save(
        self,
        update: int,
        arrays: Arrays,
        state: Mapping[str, object],
        *,
        texts: Mapping[str, str] | None = None,
        best: bool = False,
    ) -> Path:
        """Saves a checkpoint durably and prunes; returns its folder.

        arrays: file stem (weights, ema, ...) -> name -> array; state: small, JSON; texts: file name -> text.
        Raises NonFiniteError for any float that is not finite, StorageError if the disk fails; in both cases the older
        checkpoints are untouched and the same call can be repeated.
        """
        self.check_owner()
        contents = small_files(update, state, texts or {})
        check_arrays(update, arrays)
        if update < 0:
            raise ValueError(f"update {update} is negative")
        target = self.directory / step_name(update)
        temporary = self.directory / temporary_name()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            faults.point("store.before_space_check")
            self._clean_up([path for path in self._temporary_paths() if is_own_temporary(path.name)])
            self._check_space(arrays, contents)
            try:
                temporary.mkdir()
                faults.point("store.before_files")
                records = write_files(temporary, arrays, contents)
                self._put_in_place(temporary, target, CheckpointManifest(update, best, records))
            except OSError:
                shutil.rmtree(temporary, ignore_errors=True)  # the next writer removes what stays
                raise
            faults.point("store.before_pointer")
            self._write_pointers()
            faults.point("store.before_prune")
            self._prune()
            faults.point("store.after_save")
        except OSError as error:
            raise storage_error(f"saving the checkpoint of update {update}", self.directory, error) from error
        except CheckpointError as error:  # the folder cannot be listed
            raise StorageError(f"saving the checkpoint of update {update} failed: {error}") from error
        return target

    def set_aside(self, updates: Collection[int], name: str) -> None:
        """Renames the existing checkpoints of these updates to `name`-step-<update>. Raises StorageError."""
        self.check_owner()
        try:
            moved = [step_name(update) for update in steps_in(self.directory) if update in updates]
            for step in moved:
                (self.directory / step).rename(self.directory / f"{name}-{step}")
            if moved:
                fsync_directory(self.directory)
                self._write_pointers()
        except OSError as error:
            raise storage_error(
                f"setting aside checkpoints from update {min(updates)} on", self.directory, error
            ) from error
        except CheckpointError as error:
            raise StorageError(f"setting aside checkpoints from update {min(updates)} on failed: {error}") from error

    def all_set_aside(self) -> list[Path]:
        """Folders of the checkpoints that were set aside, oldest first. Raises OSError."""
        found = [path for path in self.directory.iterdir() if _SET_ASIDE.fullmatch(path.name)]
        return sorted(found, key=lambda path: (_number(path), path.name.rpartition("-step-")[2]))

    def next_number(self) -> int:
        """The next number for checkpoints that are set aside. Raises OSError."""
        return 1 + max(map(_number, self.all_set_aside()), default=0)

    def prune_set_aside(self, spared: Collection[Path]) -> None:
        """Deletes set-aside checkpoints except the newest `keep` and those in `spared`. Raises StorageError."""
        try:
            others = [path for path in self.all_set_aside() if path not in spared]
            for path in others[: max(0, len(others) - self.keep)]:
                self._delete(path)
        except OSError as error:
            raise storage_error("removing superseded checkpoints", self.directory, error) from error

    def remove_stale(self, lock: WriterLock) -> list[str]:
        """Removes what a killed writer left, and finishes its renames; returns a description of each action.

        lock: guarantees that no other process is writing. Raises StorageError.
        """
        if not lock.held:
            raise ValueError("stale folders may be removed only while the run directory is locked")
        try:
            return self._clean_up(self._temporary_paths())
        except OSError as error:
            raise storage_error("removing what an interrupted save left", self.directory, error) from error

    def _clean_up(self, temporary: list[Path]) -> list[str]:
        """Removes temporary folders or restores their names; returns a description of each action. Raises OSError."""
        done = []
        for path in sorted(temporary):
            name = path.name.partition(_REPLACED)[2]
            if update_of_name(name) is not None and not (self.directory / name).exists():
                path.rename(self.directory / name)
                done.append(f"restored {name}, whose replacement was interrupted")
            elif update_of_name(name) is not None:
                self._retire(path, name)
                done.append(f"completed the interrupted replacement of {name}")
            else:
                _remove(path)
                done.append(f"removed {path.name}, left by an interrupted save")
        if done:
            fsync_directory(self.directory)
        return done

    def _temporary_paths(self) -> list[Path]:
        return [path for path in self.directory.iterdir() if is_temporary(path.name)] if self.directory.is_dir() else []

    def _check_space(self, arrays: Arrays, contents: Mapping[str, bytes]) -> None:
        needed = _SPARE_BYTES + sum(map(len, contents.values()))
        needed += sum(array.nbytes + 256 for named in arrays.values() for array in named.values())
        free = shutil.disk_usage(self.directory).free
        if free < needed:
            raise OSError(errno.ENOSPC, f"{free / 1e6:.0f} MB are free and {needed / 1e6:.0f} MB are needed")

    def _put_in_place(self, temporary: Path, target: Path, manifest: CheckpointManifest) -> None:
        before = _manifest_or_none(target)
        if before is not None and before.files == manifest.files:
            manifest = CheckpointManifest(manifest.update, manifest.best or before.best, manifest.files)
            if before.best == manifest.best and _is_valid(target):
                shutil.rmtree(temporary)
                fsync_directory(self.directory)
                return
        faults.point("store.before_manifest")
        write_durable(temporary / MANIFEST, manifest.to_bytes())
        faults.point("store.after_manifest")
        fsync_directory(temporary)
        faults.point("store.before_rename")
        if target.exists() or target.is_symlink():
            self._set_foreign_aside(target)
        if target.exists():
            self._replace(temporary, target)
        else:
            temporary.rename(target)
        faults.point("store.after_rename")
        fsync_directory(self.directory)

    def _replace(self, temporary: Path, target: Path) -> None:
        aside = self.directory / temporary_name(f"{_REPLACED}{target.name}")
        target.rename(aside)
        try:
            faults.point("store.between_renames")
            temporary.rename(target)
        except OSError:
            aside.rename(target)
            raise
        fsync_directory(self.directory)
        self._retire(aside, target.name)

    def _retire(self, old: Path, name: str) -> None:
        """Removes a checkpoint replaced by a save of the same weights; one with other weights is set aside."""
        before, now = _manifest_or_none(old), _manifest_or_none(self.directory / name)
        if before is not None and now is not None and before.files.get(_WEIGHTS) == now.files.get(_WEIGHTS):
            _remove(old)
        else:
            old.rename(self.directory / f"replaced-{self.next_number():02d}-{name}")

    def _write_pointers(self) -> None:
        steps = intact_steps(self.directory)
        best = [update for update, manifest in steps.items() if manifest.best]
        for name, update in (("last.json", max(steps, default=None)), ("best.json", max(best, default=None))):
            path = self.directory / name
            if update is None:
                path.unlink(missing_ok=True)
            else:
                write_bytes_atomic(path, canonical_json({"step": step_name(update), "update": update}) + b"\n")
            faults.point("store.between_pointers")

    def _prune(self) -> None:
        # Damaged checkpoints are neither counted nor deleted: they may be all that is left to repair.
        steps = intact_steps(self.directory)
        best = [update for update, manifest in steps.items() if manifest.best]
        # after a rollback to a protected one, the best checkpoint at that time must exist
        then = [[b for b in best if b <= goal] for goal in (max(steps, default=0), *self.protected)]
        spared = self.protected | {max(known) for known in then if known}
        for update in updates_to_prune(steps, self.keep, self.kept_every_updates, spared):
            self._delete(self.directory / step_name(update))

    def _set_foreign_aside(self, folder: Path) -> None:
        """Moves files of users and other programs from a step folder to FOREIGN before the folder is deleted."""
        foreign = foreign_entries(folder) if folder.is_dir() and not folder.is_symlink() else [folder]
        if not foreign:
            return
        place = free_path(self.directory / FOREIGN / folder.name)
        place.mkdir(parents=True)
        for path in foreign:
            path.rename(place / path.name)

    def _delete(self, folder: Path) -> None:
        self._set_foreign_aside(folder)
        if not folder.exists():
            return
        doomed = self.directory / temporary_name(".pruned")
        folder.rename(doomed)
        faults.point("store.in_prune")
        _remove(doomed)

    # --- reading

    def newest(self) -> Checkpoint | None:
        """The newest valid checkpoint, or None if there is no step folder at all.

        Damaged ones that were passed over are in `damaged`. Raises CheckpointError if there are step folders and none
        is valid, or if the newest has a later format, since resuming from an older one would discard it.
        """
        checkpoint, self.damaged = newest_in(self.directory)
        return checkpoint

    def best(self) -> Checkpoint | None:
        """The newest valid checkpoint that was saved as the best, or None. Damaged ones are in `damaged`."""
        checkpoint, self.damaged = best_in(self.directory)
        return checkpoint


def updates_to_prune(
    updates: Collection[int], keep: int, kept_every_updates: int, spared: Collection[int]
) -> list[int]:
    """Updates whose checkpoints are deleted, oldest first.

    Kept are the two newest (one may be damaged by a kill), the `keep` newest multiples of kept_every_updates, and
    those in `spared`.
    """
    ordered = sorted(updates, reverse=True)
    regular = [update for update in ordered if update % kept_every_updates == 0]
    stay = {*ordered[:2], *regular[:keep], *spared}
    return [update for update in reversed(ordered) if update not in stay]


def _number(path: Path) -> int:
    """The number in the name of a checkpoint that was set aside."""
    found = _SET_ASIDE.fullmatch(path.name)
    return int(found[2]) if found else 0


def _manifest_or_none(folder: Path) -> CheckpointManifest | None:
    try:
        return check_sizes(folder)
    except CheckpointError:
        return None


def _is_valid(folder: Path) -> bool:
    try:
        read_checkpoint(folder)
    except CheckpointError:
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
