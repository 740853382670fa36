"""What the kinds of fuzzed input have in common: what came of one, and what every report to a person must be."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

import numpy as np

from myxtts import batch as contract
from myxtts.errors import MyXTTSError

State = Literal["rejected", "accepted", "traceback", "wrong"]
Expected = Literal["reject", "accept", "any"]


@dataclass
class Outcome:
    """What the program made of one input. `wrong`: rejected without place or in several lines, or not as expected."""

    item: str
    state: State
    message: str = ""
    nonfinite: int = 0

    def to_json(self) -> dict[str, object]:
        return asdict(self)


class Kind(Protocol):
    """A generator of inputs and the way that they go through the program."""

    def __call__(self, count: int, seed: int, done: Callable[[int], None]) -> Iterator[Outcome]:
        """`count` outcomes; `done` is called for each finished group."""


def chosen_items(
    items: Iterable[str], weights: Mapping[str, int], count: int, random: np.random.Generator
) -> list[str]:
    """`count` of the items: every one in turn, those of `weights` several times."""
    names = [name for name in items for _ in range(weights.get(name, 1))]
    order: list[str] = []
    while len(order) < count:
        order += [names[int(i)] for i in random.permutation(len(names))]
    return order[:count]


def judged(item: str, expected: Expected, state: State, message: str, places: Sequence[str] = ()) -> Outcome:
    """An outcome, `wrong` if it is not as expected or if a rejection says too little or too much.

    A message must be printable and in one line, and name one of `places` where some are given.
    """
    if state in ("rejected", "accepted"):
        if expected == "reject" and state != "rejected":
            return Outcome(item, "wrong", f"accepted, should not be: {message}")
        if expected == "accept" and state != "accepted":
            return Outcome(item, "wrong", f"rejected, should not be: {message}")
    if state == "rejected":
        problem = message_problem(message, places)
        if problem:
            return Outcome(item, "wrong", f"{problem}: {message!r}")
    return Outcome(item, state, message)


def message_problem(message: str, places: Sequence[str] = ()) -> str:
    """What is wrong with a message to a person, or nothing."""
    if len(message) < 10:
        return "says nothing"
    if not message.isprintable():
        return "not one line of printable characters"
    if len(message) > 1500:
        return f"{len(message)} characters"
    if places and not any(place in message for place in places):
        return f"names none of {list(places)}"
    return ""


def described(error: BaseException) -> tuple[State, str]:
    """An exception as a state: an error for a person, or a traceback, of which the last lines are kept."""
    if isinstance(error, MyXTTSError):
        return "rejected", str(error)
    return "traceback", "".join(traceback.format_exception(error)[-3:])


def nonfinite_in_batch(batch: contract.Batch) -> int:
    """Values of a batch that are not finite; a batch that breaks the contract counts as one more."""
    bad = sum(int((~np.isfinite(array)).sum()) for array in batch.values() if array.dtype.kind == "f")
    return bad + bool(contract.problems(batch))


class Hung(Exception):
    """The program gave no answer; no OSError, since the program may catch those."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """An input that hangs the program raises Hung; in the main thread alone."""

    def end(number: int, frame: object) -> None:
        raise Hung(f"no answer within {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
