"""`myxtts doctor --gpu`: the output that a user sends to get help. Without a GPU, the processor is tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf

from myxtts import __version__
from myxtts.cli import doctor
from myxtts.training import gpu_trial


def test_a_run_or_the_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["run", "--gpu"]):
        assert doctor.main(words) == 2
        assert "name a run directory, or --gpu without one" in capsys.readouterr().err


def test_something_wrong_is_marked_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [gpu_trial.TrialLine("fine"), gpu_trial.TrialLine("losses differ", failed=True)]
    monkeypatch.setattr(gpu_trial, "try_gpu", lambda config, counted: iter(findings))
    assert doctor.main(["--gpu"]) == 2
    out = capsys.readouterr().out
    assert "  fine\n  wrong: losses differ\n1 of these are wrong.\n" in out


def test_losses_that_differ_or_are_not_finite_are_wrong() -> None:
    assert not gpu_trial._compared([1.0, 2.0], [1.0005, 2.0]).failed
    assert gpu_trial._compared([1.0, 2.0], [1.0, 2.01]).failed
    assert gpu_trial._compared([1.0, 2.0], [1.0, float("nan")]).failed


IN_A_GRAPH = "Graph execution error:\n\nDetected at node x\n  File y\nno cubin"


@pytest.mark.parametrize(
    ("place", "error", "words"),
    [
        ("_step", MemoryError("no room"), "counting kernel launches fails: MemoryError: no room"),
        ("_losses", tf.errors.InternalError(None, None, IN_A_GRAPH), "training on CPU:0 fails: InternalError: no cub"),
        ("_facts", tf.errors.FailedPreconditionError(None, None, ""), "reading what is installed fails: "),
    ],
)  # fmt: skip
def test_an_error_of_a_part_is_a_line_and_the_other_parts_are_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str, error: Exception, words: str
) -> None:
    def fails(*_: object) -> None:
        raise error

    def counted(*_: object, **__: object) -> Iterator[gpu_trial.TrialLine]:
        yield gpu_trial.TrialLine("counted")

    monkeypatch.setattr(gpu_trial, "_step", lambda *_: None)
    monkeypatch.setattr(gpu_trial, "_losses", lambda *_: [1.0])
    monkeypatch.setattr(gpu_trial, "graph_findings", counted)
    monkeypatch.setattr(gpu_trial.tf.config.experimental, "enable_op_determinism", lambda: None)

    def facts() -> Iterator[gpu_trial.TrialLine]:
        fails()
        yield gpu_trial.TrialLine("")

    monkeypatch.setattr(gpu_trial, place, facts if place == "_facts" else fails)
    assert doctor.main(["--gpu"]) == 2
    printed = capsys.readouterr()
    assert f"  wrong: {words}" in printed.out and "allocating too much memory gives the message" in printed.out
    assert "Traceback" not in printed.err


def test_on_this_processor_all_is_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    really: Any = gpu_trial.trial_config
    monkeypatch.setattr(gpu_trial, "trial_config", lambda small: really(small=True))
    monkeypatch.setattr(gpu_trial, "check_gpu", lambda: None)  # the tests hide a GPU
    assert doctor.main(["--gpu"]) == 0
    out = capsys.readouterr().out
    for words in (
        f"MyXTTS {__version__}, ", "TensorFlow 2.", "NVIDIA card: ", "tried: CPU:0",
        "operations without a GPU kernel: none",
        "likely kernel launches of an update: ", "3 updates on CPU:0", "at most 0.0e+00 apart",
        "an update of the trial's model on CPU:0: ", "training.deterministic on: done",
        "allocating too much memory gives the message: memory ran out", "All is well.",
    ):  # fmt: skip
        assert words in out
