"""Fault injection for the tests: named places where a process can be killed, or the disk or the arithmetic can fail.

`MYXTTS_FAULT=point:when[:action]`, several separated by commas. `when` counts the arrivals at the point from 1:
`3` the third one, `3+` the third and all later ones, `3-5` the third to the fifth, `1%7` about 1% of them, chosen by
the seed 7 and the same in every process. Actions:

    kill            the process kills itself with SIGKILL (the default of points that are not numeric)
    enospc, erofs, eacces, eio
                    an OSError: disk full, read-only file system, no permission, input/output error
    sleep=SECONDS   the process hangs that long
    nan, inf, scale=FACTOR
                    numeric points only: the factor that the value is multiplied by (default nan)

Example: `MYXTTS_FAULT=store.before_rename:2,step.loss.mel:100+:nan`. Without faults a point costs one comparison.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import signal
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from myxtts.errors import ConfigError

VARIABLE = "MYXTTS_FAULT"
LOSS_TERM_POINT = "step.loss."
"""Followed by the name of a loss term: that term of an update."""

NUMERIC_POINTS: dict[str, str] = {
    "step.loss": "the total loss of an update",
    "step.gradient": "all gradients of an update",
    "step.layer_gradient": "the gradient of one layer",
    "step.micro_batch": "the loss of a micro-batch, counted one by one",
    "step.weights": "a weight, after the update",
}
"""Points where a value can be corrupted; the training step checks with `armed`."""

PLAIN_POINTS: dict[str, str] = {
    "store.before_space_check": "a save begins",
    "store.before_files": "the temporary folder exists, empty",
    "store.in_file": "in the middle of writing a file of tensors",
    "store.before_fsync": "a file is written, not yet on the disk",
    "store.before_manifest": "all files are written, without the manifest",
    "store.after_manifest": "the manifest is written",
    "store.before_rename": "the folder is complete and on the disk under its temporary name",
    "store.between_renames": "the older checkpoint of the same update is set aside, the new one not yet in place",
    "store.after_rename": "the checkpoint has its name, the parent folder is not yet on the disk",
    "store.before_pointer": "the checkpoint is safe, the pointers still name the older one",
    "store.between_pointers": "one pointer is written",
    "store.before_prune": "everything is written, nothing pruned",
    "store.in_prune": "a pruned folder has a temporary name and is not yet deleted",
    "store.after_save": "the save is done",
    "file.in_atomic_write": "a small file is written under its temporary name",
    "cache.write": "a file of the cache is written under its temporary name",
    "journal.write": "lines go to metrics.jsonl or events.jsonl",
    "data.next_batch": "the loop asks for a batch",
    "data.build_batch": "the loader makes a batch, in its own thread",
    "loop.update": "an update is complete",
}
"""Points where the process can be killed or hung, or the disk can fail."""

_ERRORS = {"enospc": errno.ENOSPC, "erofs": errno.EROFS, "eacces": errno.EACCES, "eio": errno.EIO}
_COUNTED = r"(?P<first>\d{1,9})(?P<more>\+|-(?P<last>\d{1,9}))?"
_SHARED = r"(?P<share>\d{1,3}(\.\d{1,9})?)%(?P<seed>\d{1,9})"
_FORMAT = re.compile(rf"(?P<point>[a-z_.]+):({_SHARED}|{_COUNTED})(:(?P<action>.+))?")


@dataclass(frozen=True)
class Fault:
    """A fault: the arrivals at its point at which it happens, and its effect."""

    point: str
    first: int
    last: int | None
    action: str
    value: float
    """Seconds of a sleep, or the factor of a numeric fault (nan, inf or a number)."""
    share: float | None = None
    """Share of the arrivals, 0 to 1, at which it happens, instead of `first` and `last`."""
    seed: int = 0
    """Seed that chooses the arrivals of `share`."""

    def strikes(self, arrival: int) -> bool:
        """Whether the fault happens at the `arrival`-th time (from 1) that its point is reached."""
        if self.share is not None:
            # A hash keeps no state, and faults with the same seed choose different arrivals.
            words = f"{self.seed} {self.point} {self.action} {self.value} {arrival}".encode()
            drawn = int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "big")
            return drawn < self.share * 2.0**64
        return arrival >= self.first and (self.last is None or arrival <= self.last)

    @property
    def numeric(self) -> bool:
        """Whether it changes a value, rather than stopping the process or failing the disk."""
        return self.action in ("nan", "inf", "scale")


def parse(text: str, loss_terms: Collection[str] | None = None) -> list[Fault]:
    """The faults in `text`, in the format of MYXTTS_FAULT. Raises ConfigError with every problem.

    `loss_terms` are the names that may follow LOSS_TERM_POINT; None accepts any.
    """
    faults, problems = [], []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        try:
            faults.append(_parse_one(part, loss_terms))
        except ValueError as error:
            problems.append(f"{VARIABLE}: {part[:80]!r}: {error}")
    if problems:
        raise ConfigError(problems)
    return faults


def _parse_one(part: str, loss_terms: Collection[str] | None) -> Fault:
    match = _FORMAT.fullmatch(part)
    if match is None:
        raise ValueError("expected point:n[:action], as in store.before_rename:1:kill or step.gradient:1%7:nan")
    point, first = match["point"], int(match["first"] or 1)
    share = float(match["share"]) / 100.0 if match["share"] else None
    numeric_point = point in NUMERIC_POINTS or _is_loss_term(point, loss_terms)
    if not numeric_point and point not in PLAIN_POINTS:
        of_terms = [LOSS_TERM_POINT + term for term in loss_terms or ("TERM",)]
        raise ValueError(f"no such fail point; there are {', '.join((*PLAIN_POINTS, *NUMERIC_POINTS, *of_terms))}")
    last = (int(match["last"]) if match["last"] else None) if match["more"] else first
    if first < 1 or (last is not None and last < first):
        raise ValueError("the count begins at 1, and a range must not end before it begins")
    if share is not None and not 0.0 < share <= 1.0:
        raise ValueError("a share is more than 0% and at most 100%")
    action, value = _parse_action(match["action"] or ("nan" if numeric_point else "kill"))
    fault = Fault(point, first, last, action, value, share, int(match["seed"] or 0))
    if fault.numeric and not numeric_point:
        raise ValueError(
            f"the action {action} is for numeric points: {', '.join(NUMERIC_POINTS)}, {LOSS_TERM_POINT}TERM"
        )
    return fault


def _is_loss_term(point: str, loss_terms: Collection[str] | None = None) -> bool:
    term = point.removeprefix(LOSS_TERM_POINT)
    return term not in ("", point) and (loss_terms is None or term in loss_terms)


def _parse_action(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    if name in ("sleep", "scale"):
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"{name} needs a number, as in {name}=2.5") from None
        if name == "sleep" and not 0.0 <= value <= 1e6:
            raise ValueError("sleep takes 0 to 1e6 seconds")
        return name, value
    if number or name not in ("kill", "nan", "inf", *_ERRORS):
        raise ValueError(f"no such action; there are kill, {', '.join(_ERRORS)}, sleep=SECONDS, nan, inf, scale=FACTOR")
    return name, float(name) if name in ("nan", "inf") else 0.0


_faults: dict[str, list[Fault]] | None = None  # None: the environment has not been read yet
_arrivals: dict[str, int] = {}


def arm(text: str, loss_terms: Collection[str] | None = None) -> None:
    """Replaces all faults by those in `text` and counts arrivals from zero. Raises ConfigError as `parse`."""
    global _faults
    faults: dict[str, list[Fault]] = {}
    for fault in parse(text, loss_terms):
        faults.setdefault(fault.point, []).append(fault)
    _arrivals.clear()
    _faults = faults


def arm_from_environment(
    environment: Mapping[str, str] = os.environ, loss_terms: Collection[str] | None = None
) -> None:
    """Arms the faults in MYXTTS_FAULT; otherwise the first arrival at any point does. Raises ConfigError."""
    arm(environment.get(VARIABLE, ""), loss_terms)


def armed_points() -> list[str]:
    """Names of the points at which a fault is armed."""
    return sorted(_faults or ())


def disarm() -> None:
    """Removes all faults."""
    arm("")


def armed(name: str) -> Fault | None:
    """Counts an arrival at the point `name`; kills, sleeps or raises as armed; returns a numeric fault, if any."""
    if _faults is None:
        arm_from_environment()
    if not _faults:
        return None
    if name not in PLAIN_POINTS and name not in NUMERIC_POINTS and not _is_loss_term(name):
        raise KeyError(f"fail point {name!r} is not in the tables of {__name__}")
    _arrivals[name] = arrival = _arrivals.get(name, 0) + 1
    for fault in _faults.get(name, ()):
        if fault.strikes(arrival):
            if fault.numeric:
                return fault
            _strike(fault)
    return None


def point(name: str) -> None:
    """A place that may fail: counts an arrival at `name`, and kills, sleeps or raises OSError if a fault is armed."""
    if _faults is None or _faults:
        armed(name)


def _strike(fault: Fault) -> None:
    if fault.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)  # until the signal arrives; nothing after this line may run
    elif fault.action == "sleep":
        time.sleep(fault.value)
    else:
        number = _ERRORS[fault.action]
        raise OSError(number, f"{os.strerror(number)} (fail point {fault.point})")
