"""A run directory may hold anything: the page and the doctor show what they can, and never end in an exception."""

from __future__ import annotations

import json
import os
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_lines import train_line, validation_line

from myxtts.doctor.metrics import check_log
from myxtts.doctor.run.look import factor, read_history, read_recovery, verdict_of, worst_utterances
from myxtts.errors import CheckpointError, DataError
from myxtts.figures import finite_number, short_text, update_number
from myxtts.health.replay import read_measure, replay
from myxtts.health.tracker import Health
from myxtts.progress import silent
from myxtts.report import write_report
from myxtts.storage.journal import read_metrics

DEEP = "[" * 900 + "]" * 900
ABSURD = [
    "9" * 400, "-" + "9" * 400, "9" * 4_200, "9" * 5_000, "1e308", "-1e308", "1e400", "5e-324", "1e-310", "-0.0", "-1",
    "0", "1099511627777", "9007199254740993", "true", "false", "null", '"x"', '"1.5"', '""', '"\\ud800"',
    '"\\u0000"', '"\u202e"', "[]", "{}", '{"a": 1}', "[1]", "NaN", "Infinity", DEEP, '{"\\ud800": 1e308}',
    "1e30", "1e29",
]  # fmt: skip


def look(run: Path) -> str:
    """The page and all that the doctor reads; returns the page."""
    page = write_report(run)
    history = read_history(run)
    assert history.skips >= 0
    recovery = read_recovery(run, None)
    for name in ("rate_factor", "clip_factor", "mel_factor"):
        assert 0.0 < factor(recovery, name) < float("inf")
    worst_utterances(run, None, recovery)
    verdict_of(run, None, silent)
    try:
        check_log(run / "metrics.jsonl", silent)
    except DataError as error:
        assert "\n" not in str(error)
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("value", ABSURD, ids=lambda value: value[:12])
def test_an_absurd_value_anywhere_is_shown_or_left_out(tmp_path: Path, value: str) -> None:
    lines = [train_line(1), validation_line(1)]
    for name in (
        "update",
        "time",
        "loss",
        "terms",
        "weighted",
        "grad_norm",
        "learning_rate",
        "epoch",
        "skipped",
        "kind",
    ):
        line = json.loads(train_line(2)) | {name: "?"}
        lines.append(json.dumps(line).replace('"?"', value) + "\n")
    line = json.loads(train_line(3)) | {"terms": {"mel": "?"}, "nonfinite": "?", "overflow": "?", "reset": "?"}
    lines.append(json.dumps(line).replace('"?"', value) + "\n")
    for name in ("update", "metrics", "voices", "reset"):
        line = json.loads(validation_line(4)) | {name: "?"}
        lines.append(json.dumps(line).replace('"?"', value) + "\n")
    line = {**json.loads(validation_line(5)), "metrics": {"mel": "?", "total": "?", "voice_equal_error_rate": "?"}}
    lines.append(json.dumps({**line, "voices": {"speakers": "?", "unseen": "?"}}).replace('"?"', value) + "\n")
    (tmp_path / "metrics.jsonl").write_text("".join(lines), encoding="utf-8")
    events = [{"event": "skip", "update": 3, "rung": 1, "message": "m", "time": 1.0, "incident": "i", "more": 1}]
    events += [{**events[0], name: "?"} for name in events[0]]
    text = "".join(json.dumps(event).replace('"?"', value) + "\n" for event in events)
    (tmp_path / "events.jsonl").write_text(text, encoding="utf-8")
    recovery = {"rate_factor": "?", "clip_factor": "?", "mel_factor": "?", "attempts": "?", "strikes": {"a": "?"}}
    recovery = {"recovery": {**recovery, "quarantine": {"a": "?", "b": {"cause": "?"}}, "rollbacks": "?"}}
    (tmp_path / "recovery.json").write_text(json.dumps(recovery).replace('"?"', value), encoding="utf-8")
    chain = [{"value": "?", "layer": "?", "reason": "?"}, {"value": 1, "layer": "?"}, "?"]
    provenance = {"a.b": chain, "c": "?"}
    (tmp_path / "provenance.json").write_text(json.dumps(provenance).replace('"?"', value), encoding="utf-8")
    corpus = {"speakers": "?", "languages": ["?"]}
    (tmp_path / "corpus.json").write_text(json.dumps(corpus).replace('"?"', value), encoding="utf-8")
    names = ("max_updates", "batch_size", "grad_accum", "seed", "best_metric", "best_tolerance")
    settings = "training:\n" + "".join(f"  {name}: {value}\n" for name in names)
    settings += f"optimizer:\n  clip_norm: {value}\nmodel_size: {value}\naudio:\n  hop_samples: {value}\n"
    (tmp_path / "config.yaml").write_text(settings, encoding="utf-8", errors="surrogatepass")
    folder = tmp_path / "samples" / "update-2"
    folder.mkdir(parents=True)
    entry = dict.fromkeys(("name", "text", "speaker", "language", "seconds", "wav", "npz"), "?")
    (folder / "index.json").write_text(json.dumps([entry, "?"]).replace('"?"', value), encoding="utf-8")
    assert "<html" in look(tmp_path)


def test_a_run_of_absurd_lines_in_any_order_is_read(tmp_path: Path) -> None:
    dice = random.Random(1)
    lines = []
    for _ in range(3_000):
        line = json.loads(dice.choice([train_line, validation_line])(dice.randrange(40)))
        for _ in range(dice.randrange(3)):
            line[dice.choice(list(line))] = "?"
        text = json.dumps(line).replace('"?"', dice.choice(ABSURD)) + dice.choice(
            ["\n", "\n", "\n", "\0\n", "", "\r\n"]
        )
        lines.append(text[: dice.randrange(len(text))] if dice.random() < 0.05 else text)
    (tmp_path / "metrics.jsonl").write_text("".join(lines), encoding="utf-8")
    look(tmp_path)


def test_numbers_of_an_update_that_go_to_and_fro_cost_no_more_than_their_lines(tmp_path: Path) -> None:
    """Each line that goes back once cost a look at all before it: hours for a file of a few megabytes."""
    lines = []
    for number in range(10_000):
        lines.append(f'{{"kind":"train","update":{number + 5},"loss":1.0,"skipped":false}}\n')
        lines.append(f'{{"kind":"validation","update":{number + 4},"metrics":{{"mel":1.0}}}}\n')
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    write_report(tmp_path)
    health = replay(read_metrics(tmp_path / "metrics.jsonl"), read_measure(tmp_path))
    assert health.to_json()["update"] == 10_004


def test_more_terms_than_a_run_can_have_are_not_kept(tmp_path: Path) -> None:
    lines = [train_line(n, terms={f"t{n}-{k}": 1.0 for k in range(20)}) for n in range(500)]
    lines += [validation_line(n).replace('"mel"', f'"m{n}"') for n in range(300)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert write_report(tmp_path).stat().st_size < 20_000_000


@pytest.mark.parametrize(
    "name", ["config.yaml", "metrics.jsonl", "events.jsonl", "corpus.json", "samples/update-1/index.json"]
)
def test_a_fifo_in_a_run_makes_nobody_wait(tmp_path: Path, name: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(train_line(1))
    (tmp_path / "config.yaml").write_text("model_size: tiny\n")
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    write_report(tmp_path)


def hostile_archives(folder: Path) -> dict[str, bytes]:
    """Files that are called archives of arrays."""
    found = {"nothing.npz": b"", "text.npz": b"no archive", "pickle.npz": b"\x80\x04.", "cut.npz": b"PK\x03\x04"}
    np.save(folder / "plain.npy", np.zeros((3, 3)))
    found["plain.npz"] = (folder / "plain.npy").read_bytes()
    heads = {
        "zeros": b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 100000), }",
        "brackets": b"{'descr': '<f4', 'shape': " + b"(" * 9_000 + b"}",
        "broken": b"{'descr': '<f4' \n  'shape",
        "negative": b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1), }",
        "object": b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }",
    }
    for name, head in heads.items():
        head += b" " * (-(len(head) + 11) % 64) + b"\n"
        with zipfile.ZipFile(folder / "made.zip", "w", zipfile.ZIP_DEFLATED) as file:
            npy = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
            file.writestr("true_mel_MC.npy", npy + b"\0" * (100 if name != "zeros" else 200_000_000))
        found[f"{name}.npz"] = (folder / "made.zip").read_bytes()
    encrypted = bytearray(found["negative.npz"])
    encrypted[6] |= 1
    at = encrypted.index(b"PK\x01\x02")
    encrypted[at + 8] |= 1
    found["encrypted.npz"] = bytes(encrypted)
    packed = bytearray(found["negative.npz"])
    packed[8], packed[at + 10] = 99, 99
    found["packed.npz"] = bytes(packed)
    return found


def test_archives_that_are_none_are_noted(tmp_path: Path) -> None:
    folder = tmp_path / "samples" / "update-1"
    folder.mkdir(parents=True)
    files = hostile_archives(tmp_path)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    names = [*files, "x" * 300, "a\0b", "../../metrics.jsonl", "/etc/passwd", "."]
    entries = [{"name": f"s{n}", "text": "t", "npz": name, "wav": name} for n, name in enumerate(names)]
    (folder / "index.json").write_text(json.dumps(entries))
    (tmp_path / "metrics.jsonl").write_text(train_line(1))
    page = write_report(tmp_path).read_text(encoding="utf-8")
    for name in files:
        assert name in page or name == "nothing.npz", "it is noted"
    assert "root:" not in page


def test_figures_of_json() -> None:
    numbers = [1, 0, -2.5, 10**400, -(10**400), 1e308, float("nan"), float("inf"), True, "1", None, [], {}]
    assert [finite_number(value) for value in numbers] == [1.0, 0.0, -2.5, *[None] * 10]
    assert [update_number(value) for value in (0, 7, -1, 2**41, 7.0, True, "7", None)] == [0, 7, *[None] * 6]
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert short_text(deep) == "?" and short_text("x" * 9, 3) == "xxx" and short_text({"a": [1]}) == '{"a": [1]}'


@pytest.mark.parametrize("value", [10**400, 1e308, -1e308, "1", True, None, [1], {}, -1])
def test_a_health_of_absurd_figures_is_not_health(value: Any) -> None:
    health = Health()
    for update in range(200):
        health.observe(update, loss=1.0, grad_norm=0.5, clip_norm=1.0, wait_share=0.1)
    health.observe_validation(199, 1.0, (199, 1.0))
    state = health.to_json()
    for name in state:
        for given in ([value] * 100, [[3, value]], [value, value], value):
            try:
                Health.from_json({**state, name: given}).verdict()
            except CheckpointError as error:
                assert "\n" not in str(error), name
