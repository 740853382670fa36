"""Event files, read back by TensorBoard's own reader."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from myxtts.audio.waveform import write_wav
from myxtts.errors import StorageError
from myxtts.training.tensorboard_log import TensorBoardLog

RECORD = {
    "kind": "train",
    "update": 25,
    "loss": 2.5,
    "terms": {"mel": 1.25, "kl": float("nan")},
    "weighted": {"mel": 1.25},
    "grad_norm": 0.5,
    "learning_rate": 1e-5,
    "frames_per_second": 7000.0,
    "wait_share": 0.125,
    "skipped": False,
}


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    return events.Reload()


def scalars(events: EventAccumulator) -> dict[str, list[tuple[int, float]]]:
    return {
        tag: [(event.step, float(event.tensor_proto.float_val[0])) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }


def test_scalars_are_read_back_without_nan(tmp_path: Path) -> None:
    with TensorBoardLog(tmp_path) as log:
        log.train(RECORD)
        log.train({"update": 26, "loss": None, "terms": None, "skipped": True})
        log.validation(500, {"total": 1.5, "mel": 0.75})
    found = scalars(read(tmp_path))
    assert found["loss/total"] == [(25, 2.5)]
    assert found["loss/mel"] == [(25, 1.25)] and found["weighted/mel"] == [(25, 1.25)]
    assert "loss/kl" not in found
    assert found["optimization/skipped"] == [(25, 0.0), (26, 1.0)]
    assert found["speed/wait_share"] == [(25, 0.125)]
    assert found["validation/total"] == [(500, 1.5)]


def test_a_resume_after_the_clock_was_set_back_hides_the_later_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard reads the files in the order of their names, which hold the time."""
    for number, moment in enumerate((1_800_000_000, 1_700_000_000, 5, 1_900_000_000)):
        monkeypatch.setattr("time.time_ns", lambda moment=moment: moment * 10**9)
        with TensorBoardLog(tmp_path, 24 + number if number else None) as log:
            log.train({**RECORD, "update": 25 + number, "loss": float(number)})
            log.train({**RECORD, "update": 40, "loss": 9.0 + number})
    assert scalars(read(tmp_path))["loss/total"] == [(25, 0.0), (26, 1.0), (27, 2.0), (28, 3.0), (40, 12.0)]


def test_pictures_and_sound_are_read_back(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(4_410, np.float32), 22_050)
    with TensorBoardLog(tmp_path / "tensorboard") as log:
        log.sample(
            500,
            "one",
            predicted_mel_MC=np.zeros((30, 80), np.float32),
            true_mel_MC=np.ones((33, 80), np.float32),
            alignment_TM=np.eye(12, 30, dtype=np.float16),
            wav_path=tmp_path / "a.wav",
        )
        log.sample(500, "nothing")
    events = read(tmp_path / "tensorboard")
    shapes = {}
    for tag in events.Tags()["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data.plugin_name
        content = [bytes(value) for value in events.Tensors(tag)[0].tensor_proto.string_val]
        shapes[tag] = content[:2] if plugin == "images" else content[0][:4]
    assert shapes == {
        "one/predicted_mel": [b"30", b"80"],
        "one/true_mel": [b"33", b"80"],
        "one/alignment": [b"30", b"12"],
        "one/audio": b"RIFF",
    }


def test_a_resumed_run_hides_what_it_repeats(tmp_path: Path) -> None:
    with TensorBoardLog(tmp_path) as log:
        for update in (1, 2, 3):
            log.validation(update, {"mel": 1.0})
    with TensorBoardLog(tmp_path, resume_update=1) as log:
        log.validation(2, {"mel": 0.5})
    assert scalars(read(tmp_path))["validation/mel"] == [(1, 1.0), (2, 0.5)]


def test_errors_are_one_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StorageError, match=r"writing failed at .*file"):
        TensorBoardLog(blocked)
    (tmp_path / "bad.wav").write_bytes(b"no wave")
    with (
        TensorBoardLog(tmp_path / "tb") as log,
        pytest.raises(StorageError, match=r"cannot read .*bad\.wav.*is it a WAV file"),
    ):
        log.sample(1, "a", wav_path=tmp_path / "bad.wav")
