"""For all tests: tiers, groups that share a process, and TensorFlow on one thread.

A test without one of the marks `process`, `graph` and `slow` is in the fast tier, which plain `pytest` runs; `make
test-all` runs the others. The marks are set here, by the table RESERVED and by fixture, so that they can be read in one
place; `@pytest.mark.slow` in a file does the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.training.made_run import KeptTrainers

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

RESERVED = {
    "slow": ("audio/test_mel.py::test_log_mel_is_librosas",),
    "process": (
        "cli/test_sound_out.py::test_a_reader_that_leaves",
        "evaluation/test_judge.py",
        "faults/test_small_kills.py",
        "faults/test_disk.py",
        "test_bench.py::test_the_judge_of_a_list",
        "training/test_signals.py",
        "training/test_workers.py::test_what_two_processes_exchange",
        "cli/test_launch.py",
    ),
    "graph": (
        "audio/test_speaker_changes.py::test_the_voice_is_that_of_the_model",
        "cli/test_doctor_gpu.py::test_on_this_processor_all_is_well",
        "cli/test_evaluate.py::test_a_run_that_was_trained_from_another_folder",
        "cli/test_evaluate.py::test_everything_is_written_into_the_run",
        "cli/test_evaluate.py::test_with_a_judge",
        "faults/test_hang.py",
        "models/test_critic.py",
        "test_bench_persian_models.py::test_the_network_learns",
        "models/test_monotonic_graph.py::test_xla_gives_the_same",
        "models/test_generate.py::test_new_lengths_trace_nothing_new",
        "models/test_padding.py",
        "models/test_tokens_near.py",
        "training/test_batch_size.py::test_a_trial_changes_no_weight",
        "training/test_blame.py",
        "training/test_best.py",
        "training/test_golden_curve.py::test_losses_are_unchanged[rich]",
        "training/test_ladder.py",
        "training/test_replay.py",
        "training/test_runs.py",
        "training/test_settings_that_died.py",
        "training/test_step.py",
    ),
}
"""Mark -> beginnings of the names of tests."""
GRAPH_FIXTURES = {"rich", "half", "played", "quick_runs", "server"}
"""They trace a training step of their own, or several."""
PROMISES = (
    "faults/test_small_kills.py::test_one_writer",
    "training/test_runs.py::test_a_resumed_run_equals_an_uninterrupted_one",
    "training/test_runs.py::test_a_nan_in_a_loss_is_skipped_and_named",
    "training/test_runs.py::test_a_damaged_checkpoint_is_named_and_skipped",
)
"""In the fast tier nevertheless: a kill, a bit-exact resume, a NaN, a damaged checkpoint."""

SHARED = ("server", "kept", "played_session", "rich_session", "half_session", "plain_session")
"""Fixtures of a session that take long to make: graphs to trace, a training to compare with."""
LONGEST_FIRST = (
    *("server", "kept", "test_workers", "test_processes", "test_settings_that_died", "test_leaks", "played_session"),
    *("plain_session", "test_repaired_run_trains", "rich_session", "half_session"),
)
"""Groups that take longest: they must not begin last."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """The marks of a tier and, for `--dist loadgroup`, of what shares fixtures of a session or a module.

    Else every process of pytest-xdist makes the same fixtures again. It reads the marks before it sorts the tests, so
    they are set here.
    """
    item.add_marker(pytest.mark.xdist_group(_group(item)))
    name = item.nodeid.removeprefix("tests/")
    if name.startswith(PROMISES):
        return
    for mark, beginnings in RESERVED.items():
        if name.startswith(beginnings):
            item.add_marker(mark)
    if GRAPH_FIXTURES.intersection(getattr(item, "fixturenames", ())):
        item.add_marker("graph")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups first."""
    places = {group: place for place, group in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(_group(item), len(places)))


def _group(item: pytest.Item) -> str:
    shared = [name for name in SHARED if name in getattr(item, "fixturenames", ())]
    return shared[0] if shared else item.path.stem


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests share the networks of synthesis; TensorFlow is not imported for it."""
    network = sys.modules.get("myxtts.synthesis.network")
    if network is not None:
        import made_model

        made_model.keep_networks(network)


@pytest.fixture(scope="session")
def kept() -> KeptTrainers:
    from tests.training.made_run import KeptTrainers

    return KeptTrainers()


@pytest.fixture
def quick_runs(kept: KeptTrainers) -> Iterator[None]:
    """Whole runs and replays share trainers, whose graphs are traced once."""
    with kept.in_use():
        yield
