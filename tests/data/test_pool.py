import multiprocessing
import os

import pytest
from pool_jobs import work

from myxtts.data.pool import Died, run_isolated
from myxtts.errors import MyXTTSError


def test_a_process_that_crashes_or_hangs_costs_one_job():
    jobs = ["a", "segfault", "b", "hang", "c", "d", "e"]
    results = dict(run_isolated(work, jobs, workers=2))
    assert results == {0: "aa", 1: Died(), 2: "bb", 3: Died(), 4: "cc", 5: "dd", 6: "ee"}
    assert multiprocessing.active_children() == []


def test_a_killed_process_is_distinguished_from_a_crash():
    jobs = ["kill", "a", "exit"]  # the first one too, as when memory runs out at once
    assert dict(run_isolated(work, jobs, workers=1)) == {0: Died(killed=True), 1: "aa", 2: Died()}


def test_processes_killed_at_their_start_give_advice(monkeypatch, tmp_path):
    code = f"import os\nif os.getpid() != {os.getpid()}:\n    os.kill(os.getpid(), 9)\n"
    (tmp_path / "killed_jobs.py").write_text(code + "def work(job):\n    return job\n")
    monkeypatch.syspath_prepend(tmp_path)
    import killed_jobs

    with pytest.raises(MyXTTSError, match=r"worker process was killed .*memory.*data\.num_workers") as caught:
        list(run_isolated(killed_jobs.work, ["a"], workers=2))
    assert "__main__" not in str(caught.value)
    assert multiprocessing.active_children() == []


def test_a_job_that_waits_too_long_is_ended():
    assert dict(run_isolated(work, ["wait"], workers=1)) == {0: Died()}


def test_a_stopped_process_continues_unless_its_time_is_over():
    results = dict(run_isolated(work, ["a", "stop", "b", "stop and overrun", "c"], workers=2))
    assert results == {0: "aa", 1: "stopstop", 2: "bb", 3: Died(), 4: "cc"}


def test_an_error_is_raised_and_nothing_is_left_behind():
    with pytest.raises(KeyError, match="a defect"):
        list(run_isolated(work, ["a", "raise", "b"], workers=1))
    assert multiprocessing.active_children() == []


def test_a_worker_has_one_thread_and_the_caller_is_unchanged():
    before = os.environ.get("OMP_NUM_THREADS")
    assert dict(run_isolated(work, ["threads"], workers=0)) == {0: "1"}
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_processes_that_cannot_start_are_not_blamed_on_jobs(monkeypatch, tmp_path):
    (tmp_path / "broken_jobs.py").write_text("def work(job):\n    return job\n")
    monkeypatch.syspath_prepend(tmp_path)
    import broken_jobs

    (tmp_path / "broken_jobs.py").write_text("this is no Python\n")
    with pytest.raises(MyXTTSError, match="worker processes cannot start"):
        list(run_isolated(broken_jobs.work, ["a"], workers=1))


def test_all_processes_start_before_the_first_job():
    """Otherwise a process started during the cleanup after a crash is joined but never ended."""
    results = run_isolated(work, ["a", "b", "c", "d"], workers=3)
    next(results)
    assert len(multiprocessing.active_children()) == 3
    list(results)


def test_no_jobs_start_no_process():
    assert list(run_isolated(work, [], workers=0)) == []
