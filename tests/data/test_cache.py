"""The lists of earlier outcomes: invalid records are ignored."""

import hashlib

import numpy as np
import pytest

from myxtts.data.cache import RecordingIndex, TextOutcome, TokenCache, read_list, short_hash, write_list
from myxtts.data.jobs import AudioOutcome

STAMP = (5, 6, 7)
KEY = "0123456789abcdef" * 2
RECORDING = ["", "", KEY, 22_050, 1, 9_000, 8_000, 30]
SYMBOLS = 50


def listed(folder, name):
    (path,) = (folder / "cache" / name).iterdir()
    return path


def make(folder):
    root = folder / "root"
    return RecordingIndex(folder / "cache", root, "s"), TokenCache(folder / "cache", root, "s", SYMBOLS), root / "a.wav"


def saved(folder):
    index, tokens, path = make(folder)
    index.put(path, STAMP, AudioOutcome(*RECORDING))
    tokens.put("hello", "en", TextOutcome(np.array([5, 1, 6], np.int32)))
    index.save()
    tokens.save()
    return path


def test_round_trip(tmp_path):
    path = saved(tmp_path)
    index, tokens, _ = make(tmp_path)
    assert index.get(path, STAMP) == AudioOutcome(*RECORDING)
    assert index.get(path, (5, 6, 8)) is None
    assert tokens.get("hello", "en").tokens.tolist() == [5, 1, 6]


WRONG = [None, 3, "x", [], [[]], {}, [1, 2, 3], [None] * 11, ["x"] * 3]
WRONG_RECORDINGS = [
    ["", "", "../" * 10 + "ab", *RECORDING[3:]], [*RECORDING[:-1], -1], [*RECORDING[:-1], True], [*RECORDING[:-1], 0],
    [*RECORDING[:-1], 1e3], RECORDING[:-1], [*RECORDING, 1], ["nonsense", *RECORDING[1:]], [0, *RECORDING[1:]],
    [[], *RECORDING[1:]], ["", 5, *RECORDING[2:]], ["", "", None, *RECORDING[3:]],
]  # fmt: skip
WRONG_TEXTS = [
    [[1.5], "", ""], [[-1], "", ""], [[SYMBOLS], "", ""], [[10**30], "", ""], [[], "", ""], [[5], "no reason", ""],
    [[5], "", None], [[5], [], ""], [[True], "", ""], [5, "", ""], [[[5]], "", ""],
]  # fmt: skip


@pytest.mark.parametrize("record", [*WRONG, *([*STAMP, *r] for r in WRONG_RECORDINGS), *WRONG_TEXTS], ids=repr)
def test_an_invalid_record_counts_as_absent(tmp_path, record):
    path = saved(tmp_path)
    write_list(listed(tmp_path, "recordings"), {"a.wav": record})
    write_list(listed(tmp_path, "tokens"), {short_hash("hello", "en"): record})
    index, tokens, _ = make(tmp_path)
    assert index.get(path, STAMP) is None and tokens.get("hello", "en") is None


@pytest.mark.parametrize("body", [b"[]", b"null", b"3", b"nonsense", b"[" * 100_000, b"\xff", b'{"a": NaN}'])
def test_a_damaged_list_counts_as_absent(tmp_path, body):
    path = tmp_path / "a.json"
    path.write_bytes(hashlib.blake2b(b"a.json\n" + body, digest_size=16).hexdigest().encode() + b"\n" + body)
    assert read_list(path) == {}
    body = b'{"a": 1}'
    path.write_bytes(hashlib.blake2b(b"a.json\n" + body, digest_size=16).hexdigest().encode() + b"\n" + body)
    assert read_list(path) == {"a": 1}, "the checksum above is the right one"


def test_a_list_under_another_name_counts_as_absent(tmp_path):
    """It belongs to another root or other settings."""
    saved(tmp_path)
    path = listed(tmp_path, "recordings")
    assert read_list(path)
    assert read_list(path.rename(path.with_name("other.json"))) == {}
