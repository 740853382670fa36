"""A data root: recordings that cannot be decoded, silence, texts, and too large a share of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from myxtts.doctor.dataset import check_dataset
from myxtts.doctor.findings import Certainty
from myxtts.doctor.messages import render
from myxtts.doctor.targets import kind_of, usual_places
from myxtts.errors import DataError
from myxtts.progress import silent


def test_what_is_wrong_with_a_root(tmp_path: Path) -> None:
    (tmp_path / "wavs").mkdir()
    tone = 0.2 * np.sin(np.arange(22_050) / 20)
    for name in ("good", "long", "nan", "quiet"):
        samples = {"nan": np.full(22_050, np.nan), "quiet": np.zeros(22_050)}.get(name, tone)
        soundfile.write(tmp_path / "wavs" / f"{name}.wav", samples, 22_050, subtype="FLOAT")
    (tmp_path / "wavs" / "torn.wav").write_bytes(b"RIFF1234")
    rows = ["good|Hello.", f"long|{'word ' * 100}", "nan|One.", "quiet|Two.", "torn|Three.", "gone|Four.", "empty|"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows) + "\n")
    done: list[int] = []
    report = check_dataset(tmp_path, lambda task, count, total: done.append(count))
    said = [(f.certainty, render(f.what, "en"), f.where.rpartition(":")[2]) for f in report.ranked()]
    assert said[0][0] == Certainty.CERTAIN and "would be rejected; the limit is 5.0%" in said[0][1]
    text = "\n".join(f"{line}: {what}" for _, what, line in said)
    assert "unreadable: 2; first: " in text and "nan.wav" in text
    assert "4: silent: 1" in text and "6: missing file: 2" in text and "texts of over 400 characters: 1" in text
    assert done[-1] == 5
    facts = "\n".join(render(fact, "en") for fact in report.facts)
    assert "5 rows have a recording and a text" in facts
    assert "5 of 5 recordings were decoded; 2 of them are usable" in facts


def make_root(root: Path, samples: dict[str, np.ndarray]) -> Path:
    (root / "wavs").mkdir(parents=True)
    for name, samples_N in samples.items():
        soundfile.write(root / "wavs" / f"{name}.wav", samples_N, 8_000)
    (root / "metadata.csv").write_text("".join(f"{name}|Say it.\n" for name in samples))
    return root


def share_of(root: Path) -> list[tuple[Certainty, str]]:
    findings = [f for f in check_dataset(root, silent).findings if f.what.key == "data_share"]
    return [(f.certainty, render(f.what, "en")) for f in findings]


def test_the_recordings_decoded_stand_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myxtts.doctor.dataset.MOST_DECODED", 20)
    tone, nothing = 0.2 * np.sin(np.arange(4_000) / 5), np.zeros(4_000)
    every = make_root(tmp_path / "every", {f"c{i:03d}": nothing for i in range(500)})
    ((rank, said),) = share_of(every)
    assert rank == Certainty.CERTAIN and "100.0% of the rows would be rejected; the limit is 5.0%" in said
    # 2 of 20 decoded: 10%, but the 480 others may be well
    few = make_root(tmp_path / "few", {f"c{i:03d}": nothing if i in (0, 250) else tone for i in range(500)})
    ((rank, said),) = share_of(few)
    assert rank == Certainty.LIKELY and "10.0% of the rows would be rejected" in said
    well = make_root(tmp_path / "well", {f"c{i:03d}": nothing if i == 250 else tone for i in range(500)})
    assert share_of(well) == []


def test_clips_over_the_cap_of_the_default_size_count(tmp_path: Path) -> None:
    tone = 0.2 * np.sin(np.arange(25 * 8_000) / 5)
    lengths = [12, *[25] * 9]
    root = make_root(tmp_path / "root", {f"c{i}": tone[: s * 8_000] for i, s in enumerate(lengths)})
    said = [render(f.what, "en") for f in check_dataset(root, silent).ranked()]
    assert "90.0% of the rows would be rejected" in said[0]
    advice = [render(f.do, "en") for f in check_dataset(root, silent).ranked()]
    takes = "--set data.max_clip_seconds=25 accepts 9 of these rows; memory per batch grows with it"
    assert advice[0] == advice[1] == takes
    assert "‎--set data.max_clip_seconds=25‎" in render(check_dataset(root, silent).ranked()[0].do, "fa")
    assert "longer than the cap: 9; first: " in said[1] and "c1.wav: 25.00 s, at most 12.0 s at size tiny" in said[1]


def of_people(root: Path, people: int, name: str = "metadata_train.csv") -> Path:
    """A data root with one clip of each person."""
    make_root(root, {f"c{i:03d}": 0.2 * np.sin(np.arange(4_000) / 5) for i in range(people)})
    (root / "metadata.csv").unlink()
    rows = [f"c{i:03d}|Say it.|person {i}" for i in range(people)]
    (root / name).write_text("\n".join(["id|text|speaker", *rows]) + "\n")
    return root


def facts_of(root: Path, language: str) -> str:
    report = check_dataset(root, silent)
    assert report.findings == [], "few speakers are no cause of NaN"
    return "\n".join(render(fact, language) for fact in report.facts)


def test_few_speakers_are_reported_before_hours_are_spent(tmp_path: Path) -> None:
    one, few, enough = (of_people(tmp_path / str(people), people) for people in (1, 19, 20))
    facts = facts_of(one, "en")
    assert "1 speaker: " in facts and "at least 20 speakers" in facts and "too few" not in facts
    facts = facts_of(few, "en")
    assert "19 speakers: enough to speak in their voices, too few to clone" in facts
    assert "clone" not in facts_of(enough, "en")
    assert "20 نفر" in facts_of(one, "fa") and "19 گوینده" in facts_of(few, "fa")
    assert "نفر" not in facts_of(enough, "fa")


def test_speakers_of_validation_data_are_not_those_of_the_training(tmp_path: Path) -> None:
    assert "clone" not in facts_of(of_people(tmp_path / "held", 2, "metadata_eval.csv"), "en")


def test_a_folder_without_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no metadata"):
        check_dataset(tmp_path, silent)


def test_kinds(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "events.jsonl").touch()
    (tmp_path / "step-00000007").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "steps" / "step-00000007").mkdir(parents=True)
    (tmp_path / "metadata.csv").touch()
    for name in ("a.yaml", "b.json", "metrics.jsonl", "train.log", "model.h5"):
        (tmp_path / name).touch()
    kinds = {"run": "run", "step-00000007": "checkpoint", "data": "dataset", "a.yaml": "settings", "b.json": "settings"}
    for name, kind in {**kinds, "metrics.jsonl": "log", "train.log": "log"}.items():
        assert kind_of(tmp_path / name) == kind
    for name, part in (
        ("model.h5", "weights only"),
        ("none", "does not exist"),
        ("steps", "is a folder of checkpoints; name the run"),
        ("metadata.csv", "is the metadata of a data root"),
        ("x" * 300, "cannot be read"),
        ("a\0b", "name a settings file"),
    ):
        with pytest.raises(DataError, match=part) as caught:
            kind_of(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_usual_places(tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "checkpoints").mkdir(parents=True)
    (here / "checkpoints" / "config.yaml").touch()
    (here / "checkpoints_stable").mkdir()
    (here / "config_nan_loss_fix.yaml").touch()
    (tmp_path / "dataset" / "dataset_eval").mkdir(parents=True)
    assert [(str(path), kind) for path, kind in usual_places(here)] == [
        ("checkpoints", "run"), ("config_nan_loss_fix.yaml", "settings"), ("../dataset/dataset_eval", "dataset"),
    ]  # fmt: skip
