"""Bad input of every kind (docs/explanation/reliability.md, D1): each item of the list once, seeded, through the real path.

`python -m tests.faults.fuzz` makes thousands of them. Where a single example is tested more closely:

| item | test |
| --- | --- |
| audio: ITEMS of fuzz_audio (empty, one sample, ten hours by its header, silence, ..., link loop) | here; tests/audio/test_waveform.py; tests/data/test_features.py |
| audio: gone in mid-epoch | test_a_recording_or_its_features_gone_in_mid_epoch |
| audio: hangs, eats memory, kills its worker | tests/data/test_features.py, tests/data/test_pool.py, tests/audio/test_decoding.py |
| text: ITEMS of fuzz_texts (empty, blanks, ..., pipes) | here; tests/text/test_phonemes.py, test_tokenizer.py; tests/data/test_table.py |
| metadata: ITEMS of fuzz_metadata (missing columns, ..., absolute and `..` paths) | here; tests/data/test_table.py, test_manifest.py |
| config: ITEMS of fuzz_config (unknown key, NaN, ..., duplicate keys) | here; tests/config/test_load.py, test_resolve.py |
| checkpoints: ITEMS of fuzz_checkpoints (W3, a future format, NaN inside) | here; tests/storage/test_damage.py |
| checkpoints: other shapes, another model's | tests/synthesis/test_synthesizer.py |
"""  # noqa: E501

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from myxtts.data.prepare import prepare
from myxtts.errors import StorageError
from myxtts.progress import silent
from tests.data.made_recordings import make_root
from tests.faults import fuzz, fuzz_audio, fuzz_checkpoints, fuzz_config, fuzz_metadata, fuzz_texts
from tests.faults.fuzzed import Outcome, judged, nonfinite_in_batch


def check(outcomes: Iterator[Outcome], items: list[str]) -> None:
    found = list(outcomes)
    bad = [o for o in found if o.state in ("traceback", "wrong") or o.nonfinite]
    assert not bad, "\n\n".join(f"{o.item}: {o.state}, {o.nonfinite} not finite\n{o.message}" for o in bad)
    assert {o.item for o in found} == set(items)


def test_recordings() -> None:
    items = list(fuzz_audio.ITEMS)
    check(fuzz_audio.dataset(items, np.random.default_rng(7)), items)


@pytest.mark.parametrize("symbols", ["phonemes", "characters"])
def test_texts(symbols: str) -> None:
    items = list(fuzz_texts.ITEMS)
    check(fuzz_texts.dataset(items, np.random.default_rng(7), symbols), items)


@pytest.mark.parametrize(
    ("kind", "options"), [(fuzz_metadata, {}), (fuzz_config, {}), (fuzz_checkpoints, {"with_models": False})]
)
def test_metadata_settings_and_checkpoints(
    kind: ModuleType, options: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "WEIGHTS", {})  # every item once
    items = list(kind.ITEMS)
    check(kind.fuzz(len(items), 7, lambda number: None, **options), items)


def test_a_recording_or_its_features_gone_in_mid_epoch(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", clips=4)
    config = fuzz_audio.config_for(root, tmp_path / "cache")
    batches = prepare(config, silent, named={"data.train_path"}).training_batches(config)
    [planned, *_] = batches.plan(0)
    shutil.rmtree(root)
    assert nonfinite_in_batch(batches.build(planned, 0)) == 0, "features come from the cache"
    entry = batches.store.entry_path(0)
    entry.write_bytes(entry.read_bytes()[:100])
    with pytest.raises(StorageError, match="features are missing or truncated; start the same command again"):
        list(batches.all())


def test_the_same_seed_makes_the_same_inputs() -> None:
    for make in (fuzz_texts.ITEMS["mixed pieces"][1], fuzz_config.ITEMS["any value"][1]):
        first, second = (np.random.default_rng(3) for _ in range(2))
        assert [make(first) for _ in range(20)] == [make(second) for _ in range(20)]


def test_the_fuzzer_notices_what_it_looks_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged("x", "reject", "accepted", "").state == "wrong"
    assert judged("x", "accept", "rejected", "m.csv:1: a reason").state == "wrong"
    assert judged("x", "any", "rejected", "two\nlines of a reason").state == "wrong"
    assert judged("x", "any", "rejected", "a reason without its place", ["m.csv:1"]).state == "wrong"
    assert judged("x", "reject", "rejected", "m.csv:1: a reason", ["m.csv:1"]).state == "rejected"

    def bad(count: int, seed: int, done: Callable[[int], None]) -> Iterator[Outcome]:
        yield from itertools.islice([Outcome("x", "traceback", "KeyError"), Outcome("y", "accepted", "", 3)], count)

    monkeypatch.setattr(fuzz, "KINDS", {"audio": bad})
    monkeypatch.setattr("sys.argv", ["fuzz", "--count", "2", "--only", "audio"])
    assert fuzz.main() == 1
    printed = capsys.readouterr().out
    assert "audio       2         0         1          1      0           3" in printed and "KeyError" in printed
