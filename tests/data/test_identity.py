"""A resumed run knows its clips by their contents, whatever happened to folders, tables and texts."""

import json

import pytest
from made_data import ids, settings, speakers_of
from made_recordings import make_root

from myxtts.data.identity import clip_lines, read_known
from myxtts.data.prepare import prepare
from myxtts.progress import silent


@pytest.fixture
def started(tmp_path):
    """A root, its prepared data, and a function that prepares a root as a resumed run would."""
    root = make_root(tmp_path / "old name", clips=6)
    rows = [f"c{at}|{text}." for at, text in enumerate(["Say it", "Do not", "Come in", "Go out", "Sit down", "Get up"])]
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    data = prepare(settings(tmp_path, train_path=str(root)), silent)
    (tmp_path / "clips.jsonl").write_text(clip_lines(data.train, data.validation))
    (tmp_path / "corpus.json").write_text(json.dumps(data.corpus.to_json()))
    known = read_known(tmp_path / "clips.jsonl", tmp_path / "corpus.json")

    def resumed(*roots):
        path = ":".join(str(root) for root in roots)
        return prepare(settings(tmp_path, train_path=path), silent, known=known)

    return root, data, resumed


def same(one, other):
    return (ids(one.train), ids(one.validation), one.corpus.to_json()) == (
        ids(other.train), ids(other.validation), other.corpus.to_json(),
    )  # fmt: skip


def test_nothing_changed(started):
    root, data, resumed = started
    again = resumed(root)
    assert same(again, data) and again.notes == data.notes


def test_the_folder_was_renamed(started):
    root, data, resumed = started
    again = resumed(root.rename(root.with_name("new name")))
    assert same(again, data) and speakers_of(again.train) == {"old name"}
    assert any("'new name' is still 'old name'" in note for note in again.notes)


def test_recordings_were_renamed_and_the_table_sorted(started):
    root, data, resumed = started
    (root / "wavs/c3.mp3").rename(root / "wavs/renamed.mp3")
    rows = (root / "metadata.csv").read_text().replace("c3|", "renamed|").splitlines()
    (root / "metadata.csv").write_text("\n".join(reversed(rows)) + "\n")
    again = resumed(root)
    assert same(again, data) and any("1 ids are kept" in note for note in again.notes)


def test_a_text_changed(started):
    root, data, resumed = started
    table = (root / "metadata.csv").read_text()
    changed = next(u for u in data.train.utterances)
    (root / "metadata.csv").write_text(table.replace(changed.text, "Something else entirely."))
    again = resumed(root)
    assert same(again, data) and "Something else entirely." in [u.text for u in again.train.utterances]
    (note,) = [note for note in again.notes if "1 texts changed since this run began" in note]
    assert f"'{changed.id}' was '{changed.text}', is 'Something else entirely.'" in note


def test_a_clip_is_missing_and_one_is_new(started):
    root, data, resumed = started
    rows = (root / "metadata.csv").read_text().splitlines()
    gone = next(u for u in data.train.utterances)
    make_root(root.with_name("other"), clips=8)
    (root.with_name("other") / "wavs/c7.mp3").rename(root / "wavs/c7.mp3")
    (root / "metadata.csv").write_text("\n".join([r for r in rows if not r.startswith(gone.id)] + ["c7|New."]) + "\n")
    again = resumed(root)
    said = f"1 clips are missing or have another content since this run began: '{gone.id}'"
    assert any(said in note for note in again.notes)
    assert any("1 clips are new since this run began: 'c7'" in note for note in again.notes)
    assert again.corpus.to_json() != data.corpus.to_json(), "other clips have other statistics"


def test_a_speaker_that_a_table_names_is_what_the_table_says(started, tmp_path):
    root, _, resumed = started
    rows = [f"{row}|anna" for row in (root / "metadata.csv").read_text().splitlines()]
    (root / "metadata.csv").write_text("\n".join(["id|text|speaker", *rows]) + "\n")
    assert speakers_of(resumed(root).train) == {"anna"}


def test_a_list_that_is_damaged_or_absent_says_nothing(started, tmp_path):
    assert read_known(tmp_path / "none", tmp_path / "corpus.json") is None
    numbers = '{"train": true, "id": 1, "content": 2, "speaker": 3, "text": 4}\n'
    for content in ("", "[]\n", '{"id": 1}\n', "{", numbers):
        (tmp_path / "clips.jsonl").write_text(content)
        assert read_known(tmp_path / "clips.jsonl", tmp_path / "corpus.json") is None
