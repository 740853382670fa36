"""One run made by many processes, each killed or stopped, and the uninterrupted run that it must equal bit for bit."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from myxtts.storage.checkpoint import read_checkpoint
from myxtts.storage.find_checkpoint import newest_in
from tests.faults.served import Child, Server
from tests.training.made_run import SETTINGS, hashes, losses, make_root

HOT_SECONDS = 1.0
SLACK_SECONDS = 8.0
"""What one save and one update may take on a busy machine, on top of the interval; the first save builds a graph."""
STAGES = (
    "store.before_space_check", "store.before_files", "store.in_file", "store.before_fsync", "store.before_manifest",
    "store.after_manifest", "store.before_rename", "store.after_rename", "store.before_pointer",
    "store.between_pointers", "store.before_prune", "store.in_prune", "store.after_save", "file.in_atomic_write",
    "journal.write", "data.next_batch", "loop.update",
)  # fmt: skip
"""Every stage that a training passes again and again; store.between_renames comes only at its end."""

LAST_STAGE = "store.between_renames"


@dataclass(frozen=True)
class Broken:
    """What happened to one process of a chain."""

    how: str
    """A fail point with its count, a name of a signal, or `random`."""
    where: str
    """`start-up`: before the first update; `training`; `ended`: it was done before anything struck."""
    code: int
    start: int
    """The update that it continued from."""
    made: int
    """The update that it had reached."""
    saved: int
    """The update of the newest checkpoint that proves itself afterwards."""
    lost_seconds: float
    """From the moment of that update to the end of the process; 0 if no update is lost."""
    seconds: float
    """Life of the process."""

    @property
    def lost(self) -> int:
        """Updates that must be made again."""
        return self.made - self.saved


class Chain:
    """A run in folder/name on the data in folder/root, of `updates` updates, one process after another."""

    def __init__(self, server: Server, folder: Path, name: str, updates: int, **more: object) -> None:
        self.server, self.run, self.updates = server, folder / name, updates
        root = folder / "root"
        if not root.exists():
            make_root(root)
        settings = {
            **SETTINGS,
            "data.cache_path": str(folder / "cache"),
            "training.threads": 1,
            "training.max_updates": updates,
            "training.epochs": 1_000_000,
            "training.hot_checkpoint_seconds": HOT_SECONDS,
            "training.checkpoint_every_updates": 200,
            "training.keep_checkpoints": 2,
            **{key.replace("__", "."): value for key, value in more.items()},
        }
        self.words = ["--train-data", str(root), "--checkpoint-dir", str(self.run)]
        self.words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]

    def saved(self) -> int:
        """Update that the next process will continue from; 0 if there is none. Raises CheckpointError.

        It is the newest checkpoint that proves itself, or one set aside in the middle of being replaced.
        """
        folder = self.run / "checkpoints"
        checkpoint, damaged = newest_in(folder)
        if damaged:
            raise AssertionError(f"a kill must never leave a damaged checkpoint: {damaged}")
        aside = [
            p for p in folder.glob("tmp.*.replaced-*") if not (folder / p.name.partition(".replaced-")[2]).exists()
        ]
        return max([0 if checkpoint is None else checkpoint.update, *(read_checkpoint(path).update for path in aside)])

    def start(self, fault: str = "", **more: object) -> Child:
        """The next process."""
        return self.server.start(self.words, fault, **more)  # type: ignore[arg-type]

    def finish(self) -> Broken:
        """An undisturbed process."""
        start, child = self.saved(), self.start()
        child.wait(1_200)
        return self.after(child, start, "finish")

    def kill_at(self, stage: str, count: int, patience: float = 8.0) -> Broken:
        """A process that kills itself at a stage; from outside if the stage does not come."""
        start, child = self.saved(), self.start(f"{stage}:{count}:kill")
        if child.wait_for_updates(1):
            child.wait(patience)
        how = f"{stage}:{count}" if child.wait(0.0) is not None else "random"
        child.send(signal.SIGKILL)
        child.wait()
        return self.after(child, start, how)

    def kill_after(self, seconds: float, in_start_up: bool = False) -> Broken:
        """A process killed that long after its first update, or after its beginning."""
        start, child = self.saved(), self.start()
        if in_start_up or child.wait_for_updates(1):
            child.wait(seconds)
        child.send(signal.SIGKILL)
        child.wait()
        return self.after(child, start, "random")

    def after(self, child: Child, start: int, how: str) -> Broken:
        """What a process that has ended leaves."""
        ended, count = time.time(), child.updates.count()
        code = child.wait()
        assert code is not None
        saved = self.saved()
        since, made = saved - start, start + count
        lost_since = child.updates.moment(since) if 0 < since <= count else child.updates.moment(1) if count else ended
        where = "ended" if code == 0 else "training" if count else "start-up"
        lost_seconds = ended - lost_since if made > saved else 0.0
        return Broken(how, where, code, start, made, saved, lost_seconds, ended - child.began)

    def differences(self, unbroken: Path) -> list[str]:
        """In what this run is not equal to the unbroken one."""
        found = []
        mine, theirs = losses(self.run), losses(unbroken)
        if [update for update, _ in mine] != list(range(1, self.updates + 1)):
            found.append(f"{len(mine)} updates written, {self.updates} expected, each once and in order")
        if mine != theirs:
            first = next((a for a, b in zip(mine, theirs, strict=False) if a != b), None)
            found.append(f"losses differ, first at {first}")
        own, other = hashes(self.run), hashes(unbroken)
        found += [f"{name} differs" for name in sorted(own.keys() | other.keys()) if own.get(name) != other.get(name)]
        return found


def random_kill(chain: Chain, chance: random.Random, start_up_seconds: float, start_up_share: float = 0.3) -> Broken:
    """A kill at a random moment: of the start-up, or of the three seconds after the first update."""
    if chance.random() < start_up_share:
        return chain.kill_after(chance.uniform(0.0, start_up_seconds), in_start_up=True)
    return chain.kill_after(chance.uniform(0.0, 3.0))
