"""The checkpoints of a run: saved whole or not at all, found by looking at them, pruned by one rule.

A save: free space -> `tmp.<id>/` -> files written and fsynced -> manifest last -> folder fsynced -> rename to
`step-<update>` -> parent fsynced -> pointers -> prune. Where a kill strikes, what is there afterwards:

- before the rename: the older checkpoints, untouched, and a `tmp.` folder that the next writer removes;
- after the rename: the new checkpoint; a pointer may be old, and nothing here reads pointers (they are for people
  and other tools), since a folder that proves itself needs none;
- a checkpoint of an update that exists already (the run went back and came here again, or the old one is damaged)
  takes two renames: the old one goes to `tmp.<id>.replaced-step-<update>`, the new one into its place. Between the
  two neither has the name; the next writer gives the old one its name back. If both have the same content the new
  one is dropped, so a second save of the same state costs nothing and endangers nothing;
- a checkpoint that is not superseded is never deleted: what a rollback goes back past, and an older checkpoint of the
  same update with other weights, are renamed to `rollback-NN-step-<update>` and `replaced-NN-step-<update>`. A rename
  within one folder needs no space and no other disk. No search looks there; `find` takes such a folder by its path;
- while pruning: a folder is renamed to `tmp.<id>.pruned` before anything in it is deleted, so none is ever half there.

Where the disk refuses instead, the same folders may stay, for it lets nothing be cleaned up either; the next save of
the same process mends that.
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
    Checkpoint,
    CheckpointManifest,
    Damage,
    check_sizes,
    foreign_entries,
    read_checkpoint,
    step_name,
    update_of_name,
)
from myxtts.storage.checkpoint_writing import Arrays, check_arrays, small_files, write_durable, write_files
from myxtts.storage.files import (
    canonical_json,
    fsync_directory,
    is_own_temporary,
    is_temporary,
    storage_error,
    temporary_name,
    write_bytes_atomic,
)
from myxtts.storage.find_checkpoint import best_in, find, newest_in, steps_in, whole_steps
from myxtts.storage.run_directory import WriterLock

__all__ = ["Checkpoint", "CheckpointStore", "Damage", "find", "updates_to_prune"]

_SPARE_BYTES = 16 << 20  # left free for journals and pointers when a checkpoint is written
_REPLACED = ".replaced-"
_WEIGHTS = "weights.safetensors"
_SET_ASIDE = re.compile(r"(rollback|replaced)-(\d+)-(step-\d+)")
FOREIGN = "foreign-files"
"""Folder for files that are of no checkpoint and stood in a step folder that was deleted."""


class CheckpointStore:
    """The folder of a run's checkpoints.

    directory: where the step folders are; made by the first save.
    keep: how many of the regular checkpoints stay, newest first; regular ones are those whose update is a multiple
        of kept_every_updates.
    """

    def __init__(self, directory: Path, keep: int, kept_every_updates: int) -> None:
        self.directory = Path(directory)
        self.keep = keep
        self.kept_every_updates = kept_every_updates
        self.protected: set[int] = set()
        """Updates whose checkpoints are never pruned, such as the last healthy one."""
        self.damaged: list[Damage] = []
        """What the last search had to pass over."""
        self.check_owner: Callable[[], None] = lambda: None
        """Called before anything is written or deleted; raises if this process does not own the run any more."""

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
        """Saves a checkpoint and prunes; returns its folder, which is on the disk when this returns.

        arrays: file stem (weights, ema, ...) -> name -> array; state: small, JSON; texts: file name -> text.
        Raises NonFiniteError for any float that is not finite, StorageError if the disk refuses; in both cases the
        older checkpoints are untouched and the same call may be tried again.
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
            self._mend([path for path in self._temporary_paths() if is_own_temporary(path.name)])
            self._check_space(arrays, contents)
            try:
                temporary.mkdir()
                faults.point("store.before_files")
                records = write_files(temporary, arrays, contents)
                self._put_in_place(temporary, target, CheckpointManifest(update, best, records))
            except OSError:
                shutil.rmtree(temporary, ignore_errors=True)  # what stays, the next writer removes
                raise
            faults.point("store.before_pointer")
            self._write_pointers()
            faults.point("store.before_prune")
            self._prune()
            faults.point("store.after_save")
        except OSError as error:
            raise storage_error(f"saving the checkpoint of update {update}", self.directory, error) from error
        except CheckpointError as error:  # the folder cannot be listed: here the disk refuses, no checkpoint is bad
            raise StorageError(f"saving the checkpoint of update {update} failed: {error}") from error
        return target

    def set_aside(self, updates: Collection[int], name: str) -> None:
        """Renames the checkpoints of these updates, as far as they are there, to `name`-step-<update>. StorageError."""
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
        """Folders of the checkpoints that were set aside, in that order. Raises OSError."""
        found = [path for path in self.directory.iterdir() if _SET_ASIDE.fullmatch(path.name)]
        return sorted(found, key=lambda path: (_number(path), path.name.rpartition("-step-")[2]))

    def next_number(self) -> int:
        """A number that nothing set aside has yet. Raises OSError."""
        return 1 + max(map(_number, self.all_set_aside()), default=0)

    def prune_set_aside(self, spared: Collection[Path]) -> None:
        """Deletes all that was set aside but the newest `keep` checkpoints and those in `spared`. StorageError."""
        try:
            others = [path for path in self.all_set_aside() if path not in spared]
            for path in others[: max(0, len(others) - self.keep)]:
                self._delete(path)
        except OSError as error:
            raise storage_error("removing superseded checkpoints", self.directory, error) from error

    def remove_stale(self, lock: WriterLock) -> list[str]:
        """Removes what a killed writer left, and ends what it was about to do; returns what was done, in words.

        lock: proof that no other process is writing. Raises StorageError.
        """
        if not lock.held:
            raise ValueError("stale folders may be removed only while the run directory is locked")
        try:
            return self._mend(self._temporary_paths())
        except OSError as error:
            raise storage_error("removing what an interrupted save left", self.directory, error) from error

    def _mend(self, temporary: list[Path]) -> list[str]:
        """Removes temporary folders, or gives them their name back; what was done, in words. Raises OSError."""
        done = []
        for path in sorted(temporary):
            name = path.name.partition(_REPLACED)[2]
            if update_of_name(name) is not None and not (self.directory / name).exists():
                path.rename(self.directory / name)
                done.append(f"gave {name} its name back, whose replacement was interrupted")
            elif update_of_name(name) is not None:
                self._retire(path, name)
                done.append(f"ended the replacement of {name}, which was interrupted")
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
        """Removes a checkpoint replaced by a later save of the same weights; one of other weights is set aside."""
        before, now = _manifest_or_none(old), _manifest_or_none(self.directory / name)
        if before is not None and now is not None and before.files.get(_WEIGHTS) == now.files.get(_WEIGHTS):
            _remove(old)
        else:
            old.rename(self.directory / f"replaced-{self.next_number():02d}-{name}")

    def _write_pointers(self) -> None:
        steps = whole_steps(self.directory)
        best = [update for update, manifest in steps.items() if manifest.best]
        for name, update in (("last.json", max(steps, default=None)), ("best.json", max(best, default=None))):
            path = self.directory / name
            if update is None:
                path.unlink(missing_ok=True)
            else:
                write_bytes_atomic(path, canonical_json({"step": step_name(update), "update": update}) + b"\n")
            faults.point("store.between_pointers")

    def _prune(self) -> None:
        steps = whole_steps(self.directory)  # damaged ones neither count nor go: they may be all there is to repair
        best = [update for update, manifest in steps.items() if manifest.best]
        # a run that goes back to a protected one finds what was the best then
        then = [[b for b in best if b <= goal] for goal in (max(steps, default=0), *self.protected)]
        spared = self.protected | {max(known) for known in then if known}
        for update in updates_to_prune(steps, self.keep, self.kept_every_updates, spared):
            self._delete(self.directory / step_name(update))

    def _set_foreign_aside(self, folder: Path) -> None:
        """Moves what other programs and people put into a step folder to FOREIGN, since the folder is to go."""
        foreign = foreign_entries(folder) if folder.is_dir() and not folder.is_symlink() else [folder]
        if not foreign:
            return
        place, number = self.directory / FOREIGN / folder.name, 1
        while place.exists():
            number += 1
            place = place.with_name(f"{folder.name}-{number}")
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
        """The newest checkpoint that proves itself, or None if there is no step folder at all.

        Those passed over are in `damaged`. Raises CheckpointError if there are step folders and none is valid, or if
        the newest is of a later format, since going on from an older one would bury it.
        """
        checkpoint, self.damaged = newest_in(self.directory)
        return checkpoint

    def best(self) -> Checkpoint | None:
        """The newest valid checkpoint that was saved as the best, or None. Damaged ones are in `damaged`."""
        checkpoint, self.damaged = best_in(self.directory)
        return checkpoint

    def load(self, path: Path) -> Checkpoint:
        """The checkpoint in the folder `path`, every byte proved. Raises CheckpointError."""
        return read_checkpoint(path)


def updates_to_prune(
    updates: Collection[int], keep: int, kept_every_updates: int, spared: Collection[int]
) -> list[int]:
    """Updates whose checkpoints go, oldest first.

    What stays: the newest and the one before it (a kill can then damage one and still cost little), the `keep`
    newest multiples of kept_every_updates, and those in `spared`.
    """
    ordered = sorted(updates, reverse=True)
    regular = [update for update in ordered if update % kept_every_updates == 0]
    stay = {*ordered[:2], *regular[:keep], *spared}
    return [update for update in reversed(ordered) if update not in stay]


def _number(path: Path) -> int:
    """The number under which a checkpoint was set aside."""
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
