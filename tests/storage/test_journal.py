from __future__ import annotations

import errno
import json
import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from myxtts import faults
from myxtts.errors import StorageError
from myxtts.storage.files import open_regular
from myxtts.storage.journal import Journal, read_events, read_metrics
from myxtts.storage.run_directory import NotOwnerError


def train(update: int) -> dict[str, object]:
    return {"kind": "train", "update": update, "loss": 1.0 / update, "terms": {"mel": 0.5}}


def updates_of(path: Path) -> list[int]:
    return [record["update"] for record in read_metrics(path)]


def test_records_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Journal(path) as journal:
        for update in range(1, 51):
            journal.write(train(update))
    assert updates_of(path) == list(range(1, 51))
    assert next(iter(read_metrics(path))) == train(1)
    assert list(read_metrics(tmp_path / "none.jsonl")) == []


def test_lines_wait_for_their_number_or_their_time(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    journal = Journal(path, flush_lines=3, flush_seconds=1e6)
    journal.write(train(1))
    journal.write(train(2))
    assert updates_of(path) == []
    journal.write(train(3))
    assert updates_of(path) == [1, 2, 3]
    journal.write(train(4))
    journal.flush(durable=True)
    assert updates_of(path) == [1, 2, 3, 4]
    journal.flush_seconds = 0.0
    journal.write(train(5))
    assert updates_of(path) == [1, 2, 3, 4, 5]
    journal.close()


def test_nan_becomes_null_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Journal(path) as journal:
        record = {
            **train(1),
            "loss": math.nan,
            "terms": {"mel": np.float32("inf"), "kl": np.float32(0.5)},
            "n": np.int64(3),
        }
        journal.write(record)
        journal.write({**train(2), "norms": np.array([1.0, -np.inf])})
    lines = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text("ascii").splitlines()]
    assert lines[0]["loss"] is None and lines[0]["terms"] == {"mel": None, "kl": 0.5} and lines[0]["n"] == 3
    assert lines[0]["nonfinite"] == ["loss", "terms.mel"]
    assert lines[1]["norms"] == [1.0, None] and lines[1]["nonfinite"] == ["norms[1]"]


def test_control_characters_and_surrogates_stay_one_ascii_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    message = "a\nb\x1b[31m \u202e متن \ud800 \u2028"
    with Journal(path) as journal:
        journal.write({"event": "skip", "message": message})
    assert path.read_bytes().count(b"\n") == 1 and path.read_bytes().isascii()
    assert next(iter(read_events(path)))["message"] == message


def test_a_resume_drops_what_will_be_made_again_and_what_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Journal(path) as journal:
        for update in range(1, 11):
            journal.write(train(update))
        journal.write({"kind": "validation", "update": 10, "metrics": {"mel": 1.0}})
    with path.open("ab") as file:
        file.write(b'{"kind":"train","upd')
    reader = read_metrics(path)
    assert len(list(reader)) == 11 and reader.torn == 1
    with Journal(path, restored_update=8) as journal:
        assert journal.dropped_lines == 4
        for update in range(9, 12):
            journal.write(train(update))
    reader = read_metrics(path)
    assert [record["update"] for record in reader] == list(range(1, 12)) and reader.torn == 0
    copy = tmp_path / "incidents" / "resume-metrics.jsonl"
    assert journal.copy == copy and updates_of(copy) == [9, 10, 10]
    assert copy.read_bytes().endswith(b'\n{"kind":"train","upd\n')
    assert sorted(tmp_path.iterdir()) == [copy.parent, path] and list(copy.parent.iterdir()) == [copy]


def test_no_copy_replaces_another_one(tmp_path: Path) -> None:
    path, copies = tmp_path / "metrics.jsonl", tmp_path / "incidents"
    for start in (1, 11):
        with Journal(path, restored_update=0) as journal:
            assert journal.dropped_lines == (0 if start == 1 else 10)
            for update in range(start, start + 10):
                journal.write(train(update))
    journal = Journal(path, restored_update=15)
    assert journal.dropped_lines == 5
    for name, updates in (("resume-metrics", range(1, 11)), ("resume-metrics-2", range(16, 21))):
        assert updates_of(copies / f"{name}.jsonl") == list(updates)
    kept = copies / "rollback-01-metrics.jsonl"
    assert journal.cut_back(13, kept) == 2 and updates_of(kept) == [14, 15]
    assert journal.cut_back(13, kept) == 0 and updates_of(kept) == [14, 15], "an interrupted rollback cuts twice"
    journal.write(train(14))
    assert journal.cut_back(13, kept) == 1 and updates_of(kept.with_name("rollback-01-metrics-2.jsonl")) == [14]
    journal.close()


def test_a_copy_that_cannot_be_made_cuts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Journal(path) as journal:
        journal.write(train(1))
    (tmp_path / "incidents").write_text("a file of somebody")
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"incidents|metrics"):
        Journal(path, restored_update=0)
    assert path.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == ["incidents", "metrics.jsonl"]


@pytest.mark.parametrize("name", ["metrics.jsonl", "events.jsonl"])
def test_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside.jsonl"
    path = tmp_path / "run" / name
    path.parent.mkdir()
    path.symlink_to(outside)
    with pytest.raises(StorageError, match=rf"{name}.*is a link to .*outside\.jsonl.*not followed"):
        Journal(path)
    assert not outside.exists()
    outside.write_text('{"event":"x"}\n')
    with pytest.raises(StorageError, match="is a link to"):
        Journal(path, restored_update=0)
    with pytest.raises(StorageError, match="is a link to"):
        list(read_events(path))
    assert outside.read_text() == '{"event":"x"}\n' and path.is_symlink()


def test_what_is_not_a_file_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    os.mkfifo(path)
    for use in (lambda: Journal(path), lambda: list(read_metrics(path)), lambda: open_regular(path, "ab")):
        with pytest.raises((StorageError, OSError), match="not a regular file"):
            use()
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match=r"metrics\.jsonl"):
        Journal(path)


def test_a_hard_link_gets_nothing_that_is_written_later(tmp_path: Path) -> None:
    path, snapshot = tmp_path / "metrics.jsonl", tmp_path / "snapshot.jsonl"
    with Journal(path) as journal:
        journal.write(train(1))
    snapshot.hardlink_to(path)
    with Journal(path) as journal:
        journal.write(train(2))
    assert updates_of(path) == [1, 2] and updates_of(snapshot) == [1]


def test_nothing_is_written_after_the_run_directory_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"

    def lost() -> None:
        raise NotOwnerError("lost")

    journal = Journal(path, flush_lines=1, restored_update=0)
    journal.write(train(1))
    journal.check_owner = lost
    for write in (
        lambda: journal.write(train(2)),
        lambda: journal.flush(durable=True),
        lambda: journal.cut_back(0, tmp_path / "kept"),
    ):
        with pytest.raises(NotOwnerError):
            write()
    assert updates_of(path) == [1] and list(tmp_path.iterdir()) == [path]
    journal.check_owner = lambda: None
    journal.close()
    assert updates_of(path) == [1, 2]


def test_the_error_that_ended_a_run_is_reported_and_not_that_of_its_journal(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the first"), Journal(tmp_path / "events.jsonl") as journal:
        journal.write(train(1))
        faults.arm("journal.write:1+:enospc")
        raise ValueError("the first")


def test_events_keep_everything_but_the_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"start","update":0}\n{"event":"skip","update":9}')
    with Journal(path) as journal:
        assert journal.dropped_lines == 0
        journal.write({"event": "resume", "update": 5})
    assert [record["event"] for record in read_events(path)] == ["start", "skip", "resume"]


@pytest.mark.parametrize(
    "line", [b"\0" * 40, b"[1]", b'"x"', b'{"update":3}', b'{"kind":"train","update":NaN}', b"[" * 9999]
)
def test_foreign_lines_are_counted(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"kind":"train","update":1}\n' + line + b'\n{"kind":"train","update":2}\n')
    reader = read_metrics(path)
    assert [record["update"] for record in reader] == [1, 2] and reader.torn == 1


def test_a_full_disk_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    journal = Journal(path, flush_lines=2)
    faults.arm("journal.write:1-2:enospc")
    journal.write(train(1))
    for update in (2, 3):
        with pytest.raises(StorageError, match=rf"writing {update} lines failed at .*ENOSPC.*free some space"):
            journal.write(train(update))
    journal.write(train(4))
    journal.close()
    assert updates_of(path) == [1, 2, 3, 4]


def test_a_cut_that_fails_leaves_a_journal_that_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept = tmp_path / "metrics.jsonl", tmp_path / "kept.jsonl"
    journal = Journal(path, flush_lines=1)
    for update in range(1, 6):
        journal.write(train(update))

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("myxtts.storage.journal._repair", fail)
        with pytest.raises(StorageError, match=r"cutting the journal back failed at .*ENOSPC.*free some space"):
            journal.cut_back(3, kept)
    journal.write(train(6))
    assert updates_of(path) == [1, 2, 3, 4, 5, 6]
    assert journal.cut_back(3, kept) == 3
    journal.write(train(4))
    journal.close()
    assert updates_of(path) == [1, 2, 3, 4] and updates_of(kept) == [4, 5, 6]


def test_half_a_write_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    journal = Journal(path, flush_lines=1)
    journal.write(train(1))

    class HalfFile:
        """A disk that takes ten bytes and then is full."""

        def __init__(self, file: object) -> None:
            self.file = file
            self.calls = 0

        def write(self, content: memoryview) -> int:
            self.calls += 1
            if self.calls == 2:
                raise OSError(28, "No space left on device")
            return self.file.write(content[:10])  # type: ignore[attr-defined, no-any-return]

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    whole = journal._file
    journal._file = HalfFile(whole)  # type: ignore[assignment]
    with pytest.raises(StorageError):
        journal.write(train(2))
    assert updates_of(path) == [1] and path.read_bytes().endswith(b"}\n")
    journal._file = whole
    journal.write(train(3))
    journal.close()
    assert updates_of(path) == [1, 2, 3]


def test_a_kill_costs_at_most_the_lines_that_wait(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    child = os.fork()
    if child == 0:
        journal = Journal(path, flush_lines=10, flush_seconds=1e6)
        for update in range(1, 36):
            journal.write(train(update))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert updates_of(path) == list(range(1, 31))
