"""The soak: its bombs, its bad clips, its scan and its verdicts; the soak itself takes an hour (`make soak`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import soak, soak_data, soak_run, soak_table
from myxtts import faults
from myxtts.audio.waveform import write_wav
from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.train import resolve_request
from myxtts.config.resolve import program_layer
from myxtts.data.prepare import PreparedData, prepare
from myxtts.progress import silent
from myxtts.storage.run_directory import RunDirectory
from myxtts.storage.store import CheckpointStore


def test_bombs_hit_the_share_that_was_asked_for_and_each_process_another_one() -> None:
    one, other = soak_run.bombs(0.01, 4, 0), soak_run.bombs(0.01, 4, 1)
    kinds = {(fault.point, fault.action) for fault in faults.parse(one)}
    assert len(kinds) >= 10 and {action for _, action in kinds} == {"scale", "nan", "inf"}
    assert {f.value for f in faults.parse(one)} >= {1e3, 1e30}
    assert 150 < soak_run.struck(one, 20_000, 4) < 260
    hit = [{n for n in range(5_000) if any(f.strikes(n) for f in faults.parse(text))} for text in (one, other)]
    assert hit[0] != hit[1]
    assert soak_run.bombs(0.0, 4, 0) == "" and soak_run.struck("", 100, 4) == 0


def test_kills_come_in_their_minutes_and_are_the_same_again() -> None:
    moments = [soak_run.moment_of_kill(3, number, 2.0, 5.0) for number in range(50)]
    assert all(120 <= moment <= 300 for moment in moments) and len(set(moments)) == 50
    assert moments[7] == soak_run.moment_of_kill(3, 7, 2.0, 5.0) != soak_run.moment_of_kill(4, 7, 2.0, 5.0)


def make_source(root: Path) -> Path:
    (root / "wavs").mkdir(parents=True)
    rows = ["id|text|speaker"]
    for number in range(6):
        noise = 0.1 * np.random.default_rng(number).standard_normal(22_050 + 2_205 * number)
        write_wav(root / "wavs" / f"clip{number}.wav", noise.astype(np.float32), 22_050)
        rows.append(f"clip{number}|this is sentence number {number} of six|voice{number % 2}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def prepared(root: str, cache: Path, *settings: str) -> PreparedData:
    words = ["--train-data", root, "--val-data", root]
    for setting in (f"data.cache_path={cache}", "data.num_workers=1", "text.symbols=characters", *settings):
        words += ["--set", setting]
    entry = program_layer("train_main.py", {})
    resolved, _ = resolve_request(request_of(*training_parser("train_main.py", None).parse_known(words)), entry, None)
    return prepare(resolved.config, silent, named=resolved.named)


def test_every_bad_row_is_rejected_and_the_corpus_stays_the_same(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source")
    made = soak_data.make_root(source, tmp_path / "data", "en-us", nasty=False, seed=0, progress=silent)
    assert made.bad == made.kinds == 21 and made.settings
    clean, bad = prepared(str(source), tmp_path / "cache"), prepared(made.path, tmp_path / "cache", *made.settings)
    assert len(bad.audit.rejections) == 21 and not clean.audit.rejections
    assert len({rejection.reason for rejection in bad.audit.rejections}) >= 10
    assert json.dumps(bad.corpus.to_json()) == json.dumps(clean.corpus.to_json())
    assert [u.id for u in bad.train.utterances] == [u.id for u in clean.train.utterances]
    again = soak_data.make_root(source, tmp_path / "data", "en-us", nasty=False, seed=0, progress=silent)
    assert again == made, "a root that is there is taken as it is"
    nasty = soak_data.make_root(source, tmp_path / "nasty", "en-us", nasty=True, seed=0, progress=silent)
    assert nasty.nasty == 3
    wild = prepared(nasty.path, tmp_path / "cache", *nasty.settings)
    assert len(wild.audit.rejections) == 21 and len(wild.train) + len(wild.validation) == 9


def test_the_scan_counts_every_value_once_and_finds_what_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(RunDirectory(tmp_path).checkpoints_path, 10, 1)
    scan = soak_run.Scan()
    store.save(1, {"weights": {"a": np.ones([3, 5], np.float32)}}, {"x": 1})
    for _ in range(2):
        scan.look(tmp_path, running=True)
    assert (len(scan.seen), scan.values, scan.nonfinite, scan.damaged) == (1, 15, 0, [])
    monkeypatch.setattr("myxtts.storage.store.check_arrays", lambda *_: None)
    store.save(2, {"weights": {"a": np.array([1.0, np.nan, np.inf], np.float32)}}, {"x": 1})
    scan = soak_run.Scan(json.loads(json.dumps(scan.to_json())))
    scan.look(tmp_path, running=False)
    assert (len(scan.seen), scan.values, scan.nonfinite) == (2, 18, 2)
    assert soak_run.newest_whole(tmp_path) == 1
    file = store.save(3, {"weights": {"a": np.ones(9, np.float32)}}, {"x": 1}) / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    scan.look(tmp_path, running=False)
    assert scan.nonfinite == 2 and any("step-00000003: weights.safetensors is damaged" in d for d in scan.damaged)


GOOD: dict[str, Any] = {
    "minutes": 60.0, "processes": 16, "updates": 900, "attempts": 1_200, "bombs": 12, "skipped": 10, "dropped": 2,
    "quarantined": 0, "rollbacks": [3], "kills": 15, "resumed": 15, "lost_most": 60, "lost_in_all": 400,
    "lost_seconds_most": 125.0, "hot_seconds": 120.0, "checkpoints_scanned": 40, "values_scanned": 10**9,
    "nonfinite_on_disk": 0, "damaged": [], "memory_mb_per_1000_updates": 1.0,
    "memory_mb_per_1000_updates_clean": None, "memory_mb_most": [2_700.0, 2_650.0],
    "files_most": 20, "files_growth": 0, "bad": 21, "kinds": 21,
    "rejected": 21, "compared_at": 900, "compared": {"total": (2.02, 2.0), "mel": (1.0, 1.0)},
}  # fmt: skip


def test_a_soak_that_kept_its_promises_says_so() -> None:
    assert soak_table.failed(GOOD) == []
    table = dict(soak_table.rows(GOOD))
    assert table["validation total at update 900"] == "2.0200, clean 2.0000: +1.00%"
    assert table["memory per 1,000 updates"] == "+1.0 MB, clean - (no process lived 300 updates)"
    assert table["memory, most in each process"] == "2,650 to 2,700 MB; first 2,700, last 2,650"
    assert table["rollbacks"] == "1 (rung 3)" and table["kills, resumed"] == "15, 15"


@pytest.mark.parametrize(
    "change, said",
    [
        ({"nonfinite_on_disk": 3}, "N4: 3 values"),
        ({"damaged": ["step-00000001: torn"]}, "W1: damaged checkpoints: step-00000001"),
        ({"resumed": 14}, "W1: 1 kills were not resumed"),
        ({"lost_seconds_most": 151.0}, "W1: a kill cost 151 s"),
        ({"compared": {}}, "N2: the runs have no validation at the same update"),
        ({"compared": {"total": (2.1, 2.0)}}, r"N2: the validation loss is \+5.0%"),
        ({"compared": {"total": (1.9, 2.0)}}, "N2: the validation loss is -5.0%"),
        ({"rejected": 20}, "D1: 20 of 21 bad rows"),
    ],
)
def test_a_promise_that_was_not_kept_is_told(change: dict[str, Any], said: str) -> None:
    (line,) = soak_table.failed({**GOOD, **change})
    assert line.startswith(said.replace("\\", ""))


def test_what_cannot_be_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--work",
        str(tmp_path / "w"),
        "--minutes",
        "0",
        "--kill-minutes",
        "5",
        "2",
        "--data",
        str(tmp_path / "no"),
    ]
    assert soak.main(words) == 2
    told = capsys.readouterr().err
    assert "--minutes is 0" in told and "--kill-minutes are 5 and 2" in told and "is no folder" in told
    assert not (tmp_path / "w").exists()
