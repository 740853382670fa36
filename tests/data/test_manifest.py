import pytest

from myxtts.data.manifest import METADATA_NAMES, read_root, read_roots
from myxtts.data.records import (
    AMBIGUOUS_FILE,
    CONTROL_CHARACTER,
    DUPLICATE,
    EMPTY_TEXT,
    ESCAPES_ROOT,
    MISSING_FILE,
    MISSING_TEXT,
)
from myxtts.data.source import ReadOptions
from myxtts.errors import DataError


def make(root, files, metadata=None, name="metadata.csv"):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    if metadata is not None:
        (root / name).write_text(metadata)
    return root


def test_files_are_found_with_and_without_folder_and_suffix(tmp_path):
    files = ["wavs/a.wav", "wavs/b.flac", "wavs/c.OGG", "clips/d.mp3", "e.1.wav", "wavs/f.flac"]
    make(tmp_path, files, "a|x\nb|x\nc|x\nclips/d.mp3|x\ne.1|x\nf.wav|x\nwavs/a.wav|again\n")
    manifest = read_root(tmp_path, "train", "en-us")
    assert [u.audio_path.relative_to(tmp_path).as_posix() for u in manifest.utterances] == files
    assert [u.id for u in manifest.utterances] == ["a", "b", "c", "clips/d", "e.1", "f"]
    assert {u.speaker for u in manifest.utterances} == {tmp_path.name}
    assert [(r.reason, r.source, r.value) for r in manifest.rejections] == [
        (DUPLICATE, f"{tmp_path}/metadata.csv:7", "'wavs/a.wav' is in line 1 already")
    ]


def test_speaker_from_the_folder_below_wavs_and_language_of_the_row(tmp_path):
    make(
        tmp_path,
        ["wavs/bob/a.wav", "wavs/eve/b.wav", "wavs/eve/1/c.wav", "wavs/bob/same.wav", "wavs/eve/same.wav"],
        "id|text|language\na|x|\neve/b|x|FA\nwavs/eve/1/c.wav|x|en_GB\nsame|x|\n",
    )
    manifest = read_root(tmp_path, "train", "en-us")
    found = [(u.id, u.speaker, u.language) for u in manifest.utterances]
    assert found == [("bob/a", "bob", "en-us"), ("eve/b", "eve", "fa"), ("eve/1/c", "eve", "en-gb")]
    assert [(r.reason, "wavs/bob/same.wav" in r.value) for r in manifest.rejections] == [(AMBIGUOUS_FILE, True)]


def test_default_speakers_of_roots_with_one_name_differ(tmp_path):
    names = ["alice/train", "bob/train", "carol"]
    roots = [make(tmp_path / name, ["wavs/a.wav", "wavs/b.wav"], "id|text|speaker\na|x|\nb|x|dave\n") for name in names]

    def found(*some):
        return [(u.id, u.speaker) for m in read_roots(some, "train", "en-us") for u in m.utterances]

    assert found(*roots) == [
        ("1-train/a", "1-train"), ("1-train/b", "dave"),
        ("2-train/a", "2-train"), ("2-train/b", "dave"),
        ("3-carol/a", "3-carol"), ("3-carol/b", "dave"),
    ]  # fmt: skip
    assert [speaker for _, speaker in found(*roots[1:])] == ["train", "dave", "carol", "dave"]
    assert found(roots[0]) == [("a", "train"), ("b", "dave")]


def test_the_normalized_text_is_preferred(tmp_path):
    make(tmp_path, ["wavs/a.wav", "wavs/b.wav"], "id|text|normalized\na|5 cats|five  cats\nb|no  cats|\n")
    assert [u.text for u in read_root(tmp_path, "train", "en-us").utterances] == ["five cats", "no cats"]


def test_no_path_leaves_the_root(tmp_path):
    root = tmp_path / "root"
    make(tmp_path, ["outside.wav", "out/deep.wav", "root/wavs/in.wav"])
    (root / "wavs" / "link.wav").symlink_to(tmp_path / "outside.wav")
    (root / "wavs" / "folder").symlink_to(tmp_path / "out")
    (root / "wavs" / "inner.wav").symlink_to("in.wav")
    (root / "wavs" / "loop.wav").symlink_to("loop.wav")
    ids = ["../outside.wav", "wavs/../../outside", "/outside.wav", "link", "folder/deep", "C:\\x.wav"]
    metadata = "id|text\n" + "".join(f"{i}|x\n" for i in [*ids, "inner", "in", "loop"])
    manifest = read_root(make(root, [], metadata), "train", "en-us")
    assert [r.utterance_id.strip("'").replace("\\\\", "\\") for r in manifest.rejections] == ids
    assert {r.reason for r in manifest.rejections} == {ESCAPES_ROOT}
    assert [u.id for u in manifest.utterances] == ["inner", "in", "loop"]  # a link that loops is unreadable later


def test_rejected_rows_have_location_reason_and_value(tmp_path):
    make(tmp_path, ["wavs/a.wav", "wavs/b.wav"], "id|text\nnone|x\na|  \nb|bell\x07 rings\n\x1b[31m|x\n")
    rejections = read_root(tmp_path, "train", "en-us").rejections
    assert [r.reason for r in rejections] == [MISSING_FILE, EMPTY_TEXT, CONTROL_CHARACTER, MISSING_FILE]
    assert [int(r.source.rpartition(":")[2]) for r in rejections] == [2, 3, 4, 5]
    assert "wavs/none" in rejections[0].value and "'\\x07'" in rejections[2].value
    assert not any("\x1b" in r.value + r.utterance_id for r in rejections)


@pytest.mark.parametrize(("split", "taken"), [("train", "metadata_train.csv"), ("val", "metadata_eval.csv")])
def test_the_split_selects_the_metadata(tmp_path, split, taken):
    for name in ("metadata_train.csv", "metadata_eval.csv", "metadata.csv"):
        make(tmp_path, [f"wavs/{name}.wav"], f"{name}|x y\n", name)
    manifest = read_root(tmp_path, split, "en-us")
    assert [u.id for u in manifest.utterances] == [taken]
    assert manifest.metadata == tmp_path / taken
    assert "metadata.csv not read" in manifest.notes[0] and "columns id, text" in manifest.notes[0]


def test_vctk(tmp_path):
    files = [f"wav48_silence_trimmed/p1/p1_00{i}_mic{m}.flac" for i in (1, 2) for m in (1, 2)]
    make(tmp_path, [*files, "wav48_silence_trimmed/p2/p2_001.wav"])
    for name, text in [("p1/p1_001", "Please call Stella.\n"), ("p2/p2_001", "Six spoons."), ("p2/p2_009", "No wav.")]:
        make(tmp_path, [f"txt/{name}.txt"])
        (tmp_path / f"txt/{name}.txt").write_text(text)
    manifest = read_root(tmp_path, "train", "en-gb")
    assert [(u.id, u.text, u.speaker, u.audio_path.name) for u in manifest.utterances] == [
        ("p1/p1_001", "Please call Stella.", "p1", "p1_001_mic1.flac"),
        ("p2/p2_001", "Six spoons.", "p2", "p2_001.wav"),
    ]
    assert sorted(r.reason for r in manifest.rejections) == [MISSING_FILE, MISSING_TEXT]
    assert "VCTK" in manifest.notes[0]


def test_no_data_names_what_was_expected_and_found(tmp_path):
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(DataError, match=r"no metadata for train; expected metadata_train.csv.*found 'notes.md'"):
        read_root(tmp_path, "train", "en-us")
    with pytest.raises(DataError, match="is a file; name the folder"):
        read_root(tmp_path / "notes.md", "train", "en-us")
    with pytest.raises(DataError, match="no such folder"):
        read_root(tmp_path / "nowhere", "train", "en-us")
    for split, other in (("train", "eval"), ("val", "train")):
        (tmp_path / f"metadata_{other}.txt").write_text("a|b\n")
        with pytest.raises(DataError) as caught:
            read_root(tmp_path, split, "en-us")
        (tmp_path / f"metadata_{other}.txt").unlink()
        message = str(caught.value).partition("; found ")[0]
        assert all(name in message for name in METADATA_NAMES[split])
        assert f"metadata_{other}.csv" not in message, "it would not be read"


def test_links_are_followed_if_the_user_wants_it(tmp_path):
    root = tmp_path / "root"
    make(tmp_path, ["outside.wav", "out/deep.wav", "root/wavs/in.wav"])
    (root / "wavs" / "link.wav").symlink_to(tmp_path / "outside.wav")
    (root / "wavs" / "folder").symlink_to(tmp_path / "out")
    (root / "wavs" / "again").symlink_to(root)
    ids = ["../outside.wav", "/outside.wav", "link", "folder/deep", "in"]
    make(root, [], "id|text\n" + "".join(f"{i}|x\n" for i in ids))
    closed = read_root(root, "train", "en-us")
    assert [u.id for u in closed.utterances] == ["in"]
    assert all("data.follow_links" in r.value for r in closed.rejections[2:])
    manifest = read_root(root, "train", "en-us", options=ReadOptions(follow_links=True))
    assert [u.id for u in manifest.utterances] == ["link", "folder/deep", "in"]
    assert {r.reason for r in manifest.rejections} == {ESCAPES_ROOT} and len(manifest.rejections) == 2


def test_texts_in_linked_folders_are_found_once_although_links_form_a_loop(tmp_path):
    make(tmp_path, ["out/a.wav", "root/b.wav"])
    for text in ("out/a.txt", "root/b.txt"):
        (tmp_path / text).write_text("x")
    root = tmp_path / "root"
    (root / "linked").symlink_to(tmp_path / "out")
    (root / "loop").symlink_to(root)
    (tmp_path / "out" / "back").symlink_to(root)
    assert [u.id for u in read_root(root, "train", "en-us").utterances] == ["b"]
    found = read_root(root, "train", "en-us", options=ReadOptions(follow_links=True))
    assert [u.id for u in found.utterances] == ["b", "linked/a"]
