"""A bundle is untrusted: what is wrong with it is a one-line error before a model is built."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_bundle import FRAMES, ROWS, sign, write_bundle

from myxtts.errors import EXIT_BAD_INPUT, CheckpointError
from myxtts.storage.tensors import parse_tensors, write_tensors
from myxtts.training.recovery import incidents

HOSTILE: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, -(2**63), 10**400, 1e308, -1e308, 0.5, "", "x" * 10_000, "1", "\ud800", "\x1b[31m",
    "../../etc/passwd", [], [1], [[]], {}, {"a": 1}, [None] * 1_000, "nan",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("incidents"))


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "bundle")


def look(bundle: Path) -> None:
    """Everything that a replay checks before it builds a model."""
    incidents.settings_of(incidents.read(bundle))


def error_of(bundle: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        look(bundle)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 1_000 and caught.value.exit_code == EXIT_BAD_INPUT
    assert "bundle" in text, "where"
    return text


def change_json(bundle: Path, name: str, change: Callable[[Any], None]) -> Path:
    value = json.loads((bundle / name).read_text())
    change(value)
    (bundle / name).write_text(json.dumps(value))
    return sign(bundle)


def change_tensors(bundle: Path, name: str, change: Callable[[dict[str, np.ndarray]], None]) -> Path:
    path = bundle / name
    arrays = {k: v.copy() for k, v in parse_tensors(np.frombuffer(path.read_bytes(), np.uint8)).items()}
    change(arrays)
    path.unlink()
    write_tensors(path, arrays)
    return sign(bundle)


def test_an_intact_bundle_is_accepted(bundle: Path) -> None:
    look(bundle)
    change_tensors(bundle, "batch.safetensors", lambda b: b["mel_BMC"].__setitem__((0, 3, 2), np.nan))
    change_tensors(bundle, "weights.safetensors", lambda w: next(iter(w.values())).fill(np.inf))
    look(bundle)  # what went wrong is what it is for


@pytest.mark.parametrize("name", sorted(incidents.LARGEST_FILES))
@pytest.mark.parametrize("kind", ["fifo", "link", "device", "folder", "missing", "huge", "empty"])
def test_an_entry_that_is_not_a_file_is_named(bundle: Path, name: str, kind: str) -> None:
    path = bundle / name
    kept = path.rename(bundle.parent / name)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(kept)  # not even to the right content: tar keeps links
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif kind == "empty":
        path.touch()
    assert name in error_of(bundle)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("incident.json", lambda f: f.pop("knobs"), "knobs is missing|knobs are None"),
        ("incident.json", lambda f: f.pop("rows"), r"rows is 'missing', expected a list of 2 texts"),
        ("incident.json", lambda f: f.update(rows=["a"]), r"rows is \['a'\], expected a list of 2 texts"),
        ("incident.json", lambda f: f.update(update=-1), "update is -1, expected a whole number"),
        ("incident.json", lambda f: f.update(most_norm="big"), "most_norm is 'big'"),
        ("incident.json", lambda f: f.update(loss_scale=0), "loss_scale is 0"),
        ("incident.json", lambda f: f["knobs"].update(seed=[1]), r"knobs.seed is \[1\]"),
        ("incident.json", lambda f: f["knobs"].update(term_fault={"mel": [1.0]}), "knobs.term_fault .*2 factors"),
        ("incident.json", lambda f: f["knobs"].update(term_fault={"nonsense": [1.0, 1.0]}), "knobs.term_fault"),
        ("incident.json", lambda f: f["knobs"].update(weights={"mel": "x"}), "knobs.weights"),
        ("incident.json", lambda f: f.update(format=2), "format 2, this version reads 1"),
        ("corpus.json", lambda c: c.update(mel_std_C=[1e30] * 80), r"mel_std_C\[0\] is 1e\+30, expected 0.001 to 1000"),
        ("corpus.json", lambda c: c.update(pitch_std=1e6), "pitch_std is 1000000.0, expected 0.001 to 10"),
        ("corpus.json", lambda c: c.update(speakers=["a", "a", "b"]), "speakers are"),
        ("corpus.json", lambda c: c.update(speakers=["a", "b", "\x1b[31mc"]), r"speakers are .*\\x1b"),
        ("corpus.json", lambda c: c.update(languages=[]), "languages are"),
        ("corpus.json", lambda c: c.update(symbols=["a"]), "symbol table"),
    ],
)  # fmt: skip
def test_an_invalid_fact_is_named(bundle: Path, name: str, change: Callable[[Any], None], expected: str) -> None:
    change_json(bundle, name, change)
    with pytest.raises(CheckpointError, match=expected):
        look(bundle)
    assert name in error_of(bundle)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda b: b.pop("mel_BMC"), "mel_BMC: missing"),
        (lambda b: b.update(more=np.zeros(3, np.float32)), "'more': unknown key"),
        (lambda b: b.update(text_BT=b["text_BT"].astype(np.int64)), "text_BT: dtype int64, expected int32"),
        (lambda b: b.update(pitch_BM=np.zeros((ROWS, FRAMES + 1), np.float32)), "pitch_BM: M is 17, expected 16"),
        (lambda b: b.update({k: v[:0] for k, v in b.items()}), "B is 0, expected at least 1"),
        (lambda b: b["text_BT"].fill(10**6), r"text_BT\[0, 0\] is 1000000, expected 0 to \d+"),
        (lambda b: b["speaker_B"].fill(999), r"speaker_B\[0\] is 999, expected -1 to 2"),
        (lambda b: b["language_B"].fill(-1), r"language_B\[0\] is -1, expected 0 to 1"),
        (lambda b: b["target_BS"].fill(FRAMES), r"target_BS\[0, 0\] is 16, expected 0 to 15"),
        (lambda b: b["text_length_B"].fill(0), r"text_length_B\[0\] is 0, expected 1 to 4"),
        (lambda b: b["mel_length_B"].fill(17), r"mel_length_B\[0\] is 17, expected 1 to 16"),
        (lambda b: b["mel_length_B"].fill(3), r"mel_length_B\[0\] is 3, expected at least 4"),
        (lambda b: b["weight_B"].fill(np.nan), r"weight_B\[0\] is nan"),
    ],
)  # fmt: skip
def test_an_array_that_breaks_the_contract_is_named(bundle: Path, change: Callable[[Any], None], expected: str) -> None:
    change_tensors(bundle, "batch.safetensors", change)
    with pytest.raises(CheckpointError, match=expected):
        look(bundle)
    assert "batch.safetensors" in error_of(bundle)


def set_config(bundle: Path, **settings: object) -> None:
    path = bundle / "config.yaml"
    lines = path.read_text().splitlines()
    for name, value in settings.items():
        lines = [f"  {name}: {value}" if line.strip().startswith(f"{name}:") else line for line in lines]
    path.write_text("\n".join(lines) + "\n")
    sign(bundle)


def test_settings_of_a_huge_model_are_rejected_before_it_is_built(bundle: Path) -> None:
    set_config(bundle, width=4096, heads=64, text_blocks=64, decoder_blocks=64)
    text = error_of(bundle)
    assert "width 4096" in text and "text_blocks 64" in text
    numbers = [int(word.strip(",;")) for word in text.split() if word.strip(",;").isdecimal()]
    assert max(numbers) > 10**10, "what it would take"


def test_too_much_work_for_a_replay_is_rejected(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "MOST_PRODUCTS", 1_000)
    assert "products, at most" in error_of(bundle)
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    assert "GB, this machine has 0" in error_of(bundle)


def test_wrong_settings_are_one_line(bundle: Path) -> None:
    (bundle / "config.yaml").write_text("nonsense: 1\nmodel:\n  width: -1\n  heads: x\n")
    text = error_of(sign(bundle))
    assert "config.yaml" in text and "nonsense" in text and "2 more" in text


def mutated_json(value: Any, dice: random.Random) -> Any:
    """The value with one thing in it exchanged or taken away."""
    if isinstance(value, (dict, list)) and value and dice.random() < 0.9:
        key = dice.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if dice.random() < 0.15:
            del value[key]
        else:
            value[key] = mutated_json(value[key], dice)
        return value
    return dice.choice(HOSTILE)


def mutated_tensors(arrays: dict[str, np.ndarray], dice: random.Random) -> None:
    key = dice.choice(sorted(arrays))
    array = arrays[key]
    ways: list[Callable[[], Any]] = [
        lambda: arrays.pop(key),
        lambda: arrays.update({key: array.astype(dice.choice(["float64", "int64", "int8", "bool", "float16"]))}),
        lambda: arrays.update({key: array[None]}),
        lambda: arrays.update({key: array[:0]}),
        lambda: arrays.update({key: np.repeat(array, 3, axis=-1)}),
        lambda: arrays.update({key + "x": array}),
        lambda: array.reshape(-1).__setitem__(dice.randrange(array.size), dice.choice([-1, 0, 1, 2**31 - 1, -(2**31)])),
        lambda: array.fill(dice.choice([-2, 3, 100, 2**30])),
    ]
    dice.choice(ways)()


def mutate(bundle: Path, dice: random.Random) -> None:
    name = dice.choice(sorted(incidents.LARGEST_FILES))
    path = bundle / name
    content = bytearray(path.read_bytes())
    way = dice.randrange(4)
    if way == 0:  # raw bytes: the hashes stay
        for _ in range(dice.randrange(1, 4)):
            content[dice.randrange(min(len(content), 4_000))] ^= 1 << dice.randrange(8)
        path.write_bytes(content)
    elif way == 1:
        path.write_bytes(content[: dice.randrange(len(content))])
    elif name.endswith(".json"):
        path.write_text(json.dumps(mutated_json(json.loads(content), dice)))
    elif name.endswith(".yaml"):
        lines = content.decode().splitlines()
        at = dice.randrange(len(lines))
        lines[at] = lines[at].partition(":")[0] + f": {dice.choice([*HOSTILE[:16], '*a', '!!python/none', '4096'])}"
        path.write_text("\n".join(lines), errors="surrogatepass")
    else:
        change_tensors(bundle, name, lambda arrays: mutated_tensors(arrays, dice))
    if way in (2, 3) and name != "incident.json":
        sign(bundle)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_bundles_give_one_line_errors(whole: Path, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    rejected = 0
    for number in range(50):
        bundle = shutil.copytree(whole, tmp_path / "bundle")
        mutate(bundle, dice)
        try:
            look(bundle)
        except CheckpointError as error:
            rejected += 1
            assert "\n" not in str(error) and "bundle" in str(error), number
        shutil.rmtree(bundle)
    assert rejected > 30
