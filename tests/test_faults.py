from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from myxtts import faults
from myxtts.errors import ConfigError

STORAGE = Path(faults.__file__).parent / "storage"


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    faults.disarm()
    yield
    faults.disarm()


def test_a_fault_strikes_the_nth_time() -> None:
    faults.arm("loop.update:3:enospc, data.next_batch:2-3:eio,store.in_file:2+:eacces")
    struck = {}
    for name in ("loop.update", "data.next_batch", "store.in_file"):
        for arrival in range(1, 6):
            try:
                faults.point(name)
            except OSError as error:
                struck.setdefault(name, []).append((arrival, error.errno))
    assert struck == {
        "loop.update": [(3, errno.ENOSPC)],
        "data.next_batch": [(2, errno.EIO), (3, errno.EIO)],
        "store.in_file": [(arrival, errno.EACCES) for arrival in range(2, 6)],
    }


def test_numeric_faults_are_handed_to_the_step() -> None:
    faults.arm("step.loss.mel:2,step.gradient:1:scale=1e25,step.loss:1+:inf")
    assert faults.armed("step.loss.mel") is None
    fault = faults.armed("step.loss.mel")
    assert fault is not None and math.isnan(fault.value)
    assert [faults.armed("step.gradient").value, faults.armed("step.gradient")] == [1e25, None]  # type: ignore[union-attr]
    assert [faults.armed("step.loss").value for _ in range(2)] == [math.inf, math.inf]  # type: ignore[union-attr]


def test_a_share_is_chosen_by_its_seed() -> None:
    (one,), (same,), (other,) = (faults.parse(f"step.gradient:2.5%{seed}:scale=1e9") for seed in (7, 7, 8))
    struck = [[n for n in range(1, 20_001) if fault.strikes(n)] for fault in (one, same, other)]
    assert struck[0] == struck[1] != struck[2]
    assert all(400 < len(arrivals) < 600 for arrivals in struck)
    assert 3 < len(set(struck[0]) & set(struck[2])) < 40, "two seeds choose apart from each other"
    (nan,) = faults.parse("step.gradient:2.5%7:nan")
    assert [n for n in range(1, 20_001) if nan.strikes(n)] != struck[0], "and two actions of one seed"


def test_a_share_strikes_where_it_is_armed() -> None:
    faults.arm("loop.update:100%0:eio,data.next_batch:0.0001%0:eio")
    for _ in range(3):
        with pytest.raises(OSError):
            faults.point("loop.update")
        faults.point("data.next_batch")


def test_sleep() -> None:
    faults.arm("loop.update:1:sleep=0.05")
    before = time.monotonic()
    faults.point("loop.update")
    assert time.monotonic() - before >= 0.05


@pytest.mark.parametrize(
    "text, reason",
    [
        ("store.before_manifes:1", "no such fail point; there are store.before_space_check, "),
        ("loop.update", "expected point:n"),
        ("loop.update:0", "begins at 1"),
        ("loop.update:5-3", "must not end before"),
        ("loop.update:0%1", "more than 0% and at most 100%"),
        ("loop.update:101%1", "at most 100%"),
        ("loop.update:1%", "expected point:n"),
        ("loop.update:1:explode", "no such action; there are kill, enospc"),
        ("loop.update:1:nan", "the action nan is for numeric points: step.loss"),
        ("loop.update:1:sleep=long", "sleep needs a number"),
        ("loop.update:1:sleep=inf", "0 to 1e6"),
    ],
)
def test_a_mistake_is_an_error(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as error:
        faults.arm_from_environment({"MYXTTS_FAULT": text})
    assert repr(text) in str(error.value)


def test_all_problems_are_reported_and_nothing_is_armed() -> None:
    with pytest.raises(ConfigError) as error:
        faults.arm("a:1,loop.update:1:eio,b:1")
    assert len(error.value.problems) == 2
    faults.point("loop.update")


def test_loss_terms_are_checked_where_they_are_known() -> None:
    (fault,) = faults.parse("step.loss.mel:1", loss_terms=("mel", "kl"))
    assert fault.numeric
    with pytest.raises(ConfigError, match=r"no such fail point; .*step\.loss\.mel, step\.loss\.kl"):
        faults.parse("step.loss.mle:1", loss_terms=("mel", "kl"))
    assert faults.parse("step.loss.mle:1"), "before the training is imported any name is accepted"


def test_a_point_that_is_in_no_table_is_a_defect() -> None:
    faults.arm("loop.update:9")
    with pytest.raises(KeyError, match=r"step\.losss"):
        faults.armed("step.losss")


def test_the_environment_is_read_without_a_call() -> None:
    program = "from myxtts import faults; [print(i, flush=True) or faults.point('loop.update') for i in range(5)]"
    environment = {**os.environ, "MYXTTS_FAULT": "loop.update:2"}
    command, root = [sys.executable, "-c", program], Path(faults.__file__).parents[1]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "0\n1\n")


def test_every_point_but_those_of_the_loop_is_reached_by_the_code_of_storage() -> None:
    code = "".join(path.read_text("utf-8") for path in STORAGE.glob("*.py"))
    own = [name for name in faults.PLAIN_POINTS if name.startswith(("store.", "file.", "journal."))]
    assert [name for name in own if f'faults.point("{name}")' not in code] == []
