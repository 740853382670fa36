"""`--batch-size auto`: the sizes that are tried, and what is trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import made_run
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config.files import config_yaml
from myxtts.data.prepare import prepare
from myxtts.errors import ConfigError
from myxtts.progress import silent
from myxtts.training import batch_size
from myxtts.training.batch_size import Trial, largest_batch, with_automatic_batch


@pytest.mark.parametrize(
    ("start", "effective", "room", "found", "tried"),
    [
        (8, 64, 1_000, 64, [8, 16, 32, 64]),
        (8, 64, 40, 32, [8, 16, 32, 64]),
        (8, 8, 1_000, 8, [8]),
        (8, 24, 1_000, 8, [8]),
        (16, 64, 5, 4, [16, 8, 4]),
        (6, 12, 3, 3, [6, 3]),
    ],
)
def test_sizes_are_doubled_or_halved_within_the_effective_batch(
    start: int, effective: int, room: int, found: int, tried: list[int]
) -> None:
    seen: list[int] = []
    assert largest_batch(start, effective, lambda size: seen.append(size) or size <= room) == found  # type: ignore[func-returns-value]
    assert seen == tried and effective % found == 0


def test_no_room_for_the_smallest_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"not hold 1 of the longest clips: set training.recompute=true, or lower"):
        largest_batch(8, 8, lambda size: False)
    with pytest.raises(ConfigError, match=r"--batch-size auto: .* does not hold 1 of the longest clips: lower"):
        largest_batch(8, 8, lambda size: False, recompute=True)


@pytest.fixture
def given(tmp_path: Path) -> tuple[Any, Any]:
    made_run.make_root(tmp_path / "root")
    resolved = made_run.resolved(tmp_path)
    return resolved, prepare(resolved.config, silent, named={"data.train_path"})


def sizes(resolved: Any) -> tuple[int, int]:
    return resolved.config.training.batch_size, resolved.config.training.grad_accum


def test_without_a_gpu_the_settings_stay(given: tuple[Any, Any]) -> None:
    said: list[str] = []
    assert with_automatic_batch(*given, said.append) is given[0]
    assert said == ["--batch-size auto: 2 clips x 2 micro-batches, as configured: there is no GPU to fill."]


def test_a_run_that_exists_keeps_its_size(given: tuple[Any, Any], tmp_path: Path) -> None:
    said: list[str] = []
    before = made_run.resolved(tmp_path, training__batch_size=4, training__grad_accum=1)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(config_yaml(before))
    found = with_automatic_batch(*given, said.append)
    assert sizes(found) == (4, 1) and "as this run was started with" in said[0]
    assert found.source("training.batch_size").layer == "command line --batch-size auto"
    assert sizes(with_automatic_batch(*given, said.append, fresh=True)) == (2, 2)


def test_on_a_gpu_the_longest_clips_are_tried(given: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, ...]] = []
    said: list[str] = []

    class Step:
        def micro(self, batch: Any, **knobs: Any) -> None:
            tried.append(batch["mel_BMC"].shape)
            assert (batch["weight_B"] == 1.0).all() and batch["mel_length_B"].max() > batch["mel_BMC"].shape[1] - 16
            if len(batch["weight_B"]) > 4:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

        def discard(self) -> None:
            said.append("discarded")

    class Trainer:
        def __init__(self, config: Any, corpus: Any) -> None:
            self.step = Step()

    gpus = ["GPU:0"]
    monkeypatch.setattr(batch_size, "Trainer", Trainer)
    monkeypatch.setattr(batch_size, "prepare_tensorflow", lambda training: [])
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    found = with_automatic_batch(*given, said.append)
    assert sizes(found) == (2, 2), "with spare rows, four clips are five"
    assert [shape[0] for shape in tried] == [3, 5] and said[0] == "discarded"
    assert (
        said[-1]
        == "--batch-size auto: 2 clips x 2 micro-batches, the largest of them that the memory of the GPU holds."
    )


def test_a_vocoder_has_no_automatic_size(tmp_path: Path) -> None:
    resolved = made_run.resolved(tmp_path, trains="vocoder")
    with pytest.raises(ConfigError, match="is for voice models"):
        with_automatic_batch(resolved, None, lambda line: None)  # type: ignore[arg-type]


def test_a_trial_changes_no_weight(given: tuple[Any, Any]) -> None:
    trial = Trial(given[0].config, given[1])
    before = [w.numpy() for w in trial.step.weights]
    assert trial.fits(2)
    assert all(np.array_equal(w.numpy(), b) for w, b in zip(trial.step.weights, before, strict=True))
    assert not any(total.numpy().any() for total in trial.step.accumulated)
