"""Two devices against one. TensorFlow gets its virtual devices in processes of their own (made_devices.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import made_devices
import made_run
import numpy as np
import pytest
from test_processes import environment

from myxtts.batch import FIELDS
from myxtts.errors import ConfigError
from myxtts.training import replicas

TOLERANCE = 1e-6
"""Of whole vectors, by their norm: the devices' float32 sums are the same numbers added up in another order. A single
weight whose gradient is near zero differs by more, because Adam divides the gradient by its own size."""
pytestmark = pytest.mark.timeout(600)


def found_by(part: str, folder: Path) -> dict[str, Any]:
    words = [sys.executable, str(Path(made_devices.__file__)), part, str(folder)]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def agreement(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return found_by("agreement", tmp_path_factory.mktemp("agreement"))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["terms", "norms", "weights", "average", "moments"])
def test_two_devices_compute_what_one_does(agreement: dict[str, Any], what: str) -> None:
    assert agreement["applied"] == [True] * len(made_devices.WINDOWS)
    assert len(agreement[what]) >= len(made_devices.WINDOWS)
    assert max(agreement[what]) < TOLERANCE, agreement[what]


@pytest.mark.slow
def test_the_replicas_are_bit_exact_copies_after_every_update(agreement: dict[str, Any]) -> None:
    assert all(len(digests) == 2 and len(set(digests)) == 1 for digests in agreement["digests"])
    assert len({digests[0] for digests in agreement["digests"]}) == len(made_devices.WINDOWS), "and they learn"


@pytest.mark.slow
def test_each_replica_is_on_its_device(agreement: dict[str, Any]) -> None:
    ends = [text.rsplit("/", 1)[-1] for text in agreement["placed"]]
    assert ends == ["device:CPU:0", "device:CPU:1"] and all(text.startswith("1 ") for text in agreement["placed"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "row"), [("nan", 3), ("inf", 2), ("huge", None), ("batch", 3)], ids=["nan", "inf", "huge", "batch"]
)
def test_a_fault_on_the_second_device_alone_changes_nothing(
    agreement: dict[str, Any], fault: str, row: int | None
) -> None:
    good, applied, unchanged, finite_B, learned, different = agreement["faults"][fault]
    assert not good and not applied and unchanged
    assert finite_B == [at != row for at in range(4)], "the row keeps its number"
    assert learned and different == 1


@pytest.mark.slow
def test_only_the_good_micro_batch_beside_it_counts(agreement: dict[str, Any]) -> None:
    assert agreement["faults"]["dropped_alone"] == [2.0, True]


@pytest.mark.slow
def test_the_guilty_clip_on_the_second_device_is_found(agreement: dict[str, Any]) -> None:
    assert agreement["blamed"] == {"gradient": [False, [3], ["mel"], True], "spike": [True, [2], ["mel"], True]}


@pytest.mark.slow
def test_replicas_that_differ_in_one_bit_are_reported(agreement: dict[str, Any]) -> None:
    before, while_it, after = agreement["differ"]
    assert before == after == ""
    assert while_it.startswith("1 of ") and "CPU:1" in while_it and "voice_cloner/" in while_it


@pytest.mark.slow
def test_devices_are_chosen(agreement: dict[str, Any]) -> None:
    assert agreement["all"] == ["CPU:0", "CPU:0", "2 devices (CPU:0, CPU:1)"]
    with pytest.raises(ConfigError, match=r"training\.devices 64: TensorFlow sees CPU:0.*give at most 1, or 0"):
        replicas.chosen_devices(64)


def test_rows_are_split_among_replicas() -> None:
    import made_batch
    import tensorflow as tf

    batch = made_batch.make_batch((0, 1, 2))
    assert all(replicas.pad_rows(batch, 1, FIELDS)[key] is batch[key] for key in batch)
    filled = replicas.pad_rows(batch, 2, FIELDS)
    assert filled["weight_B"].tolist() == [1.0, 1.0, 1.0, 0.0] and filled["utterance_B"][3] == -1
    assert filled["text_length_B"][3] == filled["mel_length_B"][3] == 1
    assert {key: x.dtype for key, x in filled.items()} == {key: x.dtype for key, x in batch.items()}
    shares = replicas.split_rows(tf.constant(filled["mel_BMC"]), 2)
    assert np.concatenate(shares).tobytes() == filled["mel_BMC"].tobytes()
    seeds = [replicas.replica_seed(tf.constant([2**31 - 1, 5]), n).numpy().tolist() for n in range(3)]
    assert seeds[0] == [2**31 - 1, 5] and len({tuple(s) for s in seeds}) == 3


@pytest.mark.parametrize(("rows", "devices", "words"), [(16, 2, ""), (16, 1, ""), (3, 2, "1 of 4"), (1, 4, "3 of 4")])
def test_empty_rows_are_reported(rows: int, devices: int, words: str) -> None:
    said = replicas.empty_rows(rows, devices)
    assert (words in said and "stay" in said) if words else not said


@pytest.mark.slow
def test_muon_flow_and_dropout_on_two_devices(tmp_path: Path) -> None:
    found = found_by("rich", tmp_path)
    assert found["applied"] == [True, True] and len(set(found["digests"])) == 1
    first, second = found["same_row_twice"]
    assert first != second, "each device drops other values"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("devices")
    made_run.make_root(folder / "root")
    return folder, found_by("runs", folder)


@pytest.mark.slow
def test_a_run_on_two_devices_is_resumed_on_one(runs: tuple[Path, dict[str, Any]]) -> None:
    folder, said = runs
    assert ", on CPU:0, built in" in said["one"] and ", on 2 devices (CPU:0, CPU:1), built in" in said["two"]
    assert "training.devices is 1, was 2" in said["after"] and "(update 4)" in said["after"]
    one, two = (made_run.losses(folder / name) for name in ("one", "two"))
    assert [update for update, _ in one] == [update for update, _ in two] == list(range(1, 7))
    assert [loss for _, loss in two] == pytest.approx([loss for _, loss in one], rel=10 * TOLERANCE)


@pytest.mark.slow
def test_replicas_that_differ_are_not_saved_and_the_run_rolls_back(runs: tuple[Path, dict[str, Any]]) -> None:
    folder, said = runs
    assert said["spoilt"] == 6
    (back,) = made_run.events(folder / "spoilt", "rollback")
    assert back["rung"] == 3 and back["to_update"] < 4
    assert "copies of the weights differ (1 of " in back["cause"] and "CPU:1" in back["cause"]
