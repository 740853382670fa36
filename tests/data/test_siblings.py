"""Roots and tables that differ a little from the known layouts: one folder too high, other suffixes or encodings."""

import json

import pytest

from myxtts.data import manifest
from myxtts.data.manifest import read_root
from myxtts.data.source import ReadOptions
from myxtts.errors import DataError

TEXTS = ["The birch canoe slid.", "Glue the sheet here.", "It's easy to tell.", "A chicken leg is rare."]


def root_of(root, files, texts):
    """A root with empty recordings (`files`) and text files (str or bytes) by name."""
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    for name, content in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def read(root, split="train", **options):
    return read_root(root, split, "en-us", "default", ReadOptions(cache=root / "cache", **options))


def table(*rows, separator="|"):
    return "".join(separator.join(row) + "\n" for row in rows)


def texts_of(manifest):
    assert not manifest.rejections, manifest.rejections
    return [u.text for u in manifest.utterances]


WAVS = [f"wavs/c{i}.wav" for i in range(4)]


def test_the_speaker_of_libri_corpora_is_the_folder_above_the_chapter(tmp_path):
    """Their folder may be named from above, where the first folder is that of a subset."""
    names = [f"LibriTTS/train-clean-100/{19 + i}/198/{19 + i}_198_0" for i in range(2)]
    root = root_of(
        tmp_path / "tts", [f"{n}.wav" for n in names], {f"{n}.normalized.txt": TEXTS[i] for i, n in enumerate(names)}
    )
    assert [u.speaker for u in read(root).utterances] == ["19", "20"]
    files = {f"train-clean-100/{19 + i}/7/{19 + i}-7.trans.txt": f"{19 + i}-7-0 {TEXTS[i]}\n" for i in range(2)}
    root = root_of(tmp_path / "speech", [f"train-clean-100/{19 + i}/7/{19 + i}-7-0.flac" for i in range(2)], files)
    assert [u.speaker for u in read(root).utterances] == ["19", "20"]
    root = root_of(tmp_path / "flat", ["19/a.wav"], {"19/a.normalized.txt": TEXTS[0]})
    assert [u.speaker for u in read(root).utterances] == ["19"]


def test_a_folder_that_all_recordings_share_is_remarked(tmp_path):
    """It is the speaker of a single voice with books below, but not if the speakers are below."""
    names = [f"corpus/{speaker}/{i}" for i, speaker in enumerate(("anna", "bob"))]
    root = root_of(tmp_path / "r", [f"{n}.wav" for n in names], {f"{n}.txt": TEXTS[i] for i, n in enumerate(names)})
    manifest = read(root)
    assert [u.speaker for u in manifest.utterances] == ["corpus", "corpus"]
    assert "all are of speaker 'corpus', in 2 folders below corpus/" in manifest.notes[0]
    assert [u.speaker for u in read(root / "corpus").utterances] == ["anna", "bob"]
    one = root_of(tmp_path / "one", ["anna/1.wav", "anna/2.wav"], {"anna/1.txt": TEXTS[0], "anna/2.txt": TEXTS[1]})
    assert [u.speaker for u in read(one).utterances] == ["anna", "anna"] and "below" not in read(one).notes[0]


def test_texts_in_a_folder_of_their_own_and_with_other_suffixes_and_encodings(tmp_path):
    for name, files, texts in [
        ("beside", [f"{i}.WAV" for i in range(4)], {f"{i}.TXT": t for i, t in enumerate(TEXTS)}),
        ("parallel", WAVS, {f"txt/c{i}.txt": t for i, t in enumerate(TEXTS)}),
        ("parallel 2", [f"audio/s/{i}.flac" for i in range(4)], {f"lab/s/{i}.txt": t for i, t in enumerate(TEXTS)}),
        ("notepad", [f"{i}.wav" for i in range(4)], {f"{i}.txt": t.encode("utf-16") for i, t in enumerate(TEXTS)}),
    ]:  # fmt: skip
        assert texts_of(read(root_of(tmp_path / name, files, texts))) == TEXTS, name
    assert {u.speaker for u in read(tmp_path / "parallel 2").utterances} == {"s"}


def test_kaldi_files_separated_by_tabs(tmp_path):
    files = {
        "data/train/wav.scp": "".join(f"u{i}\twavs/c{i}.wav\n" for i in range(4)),
        "data/train/text": "".join(f"u{i}\t{TEXTS[i]}\n" for i in range(4)),
    }
    assert texts_of(read(root_of(tmp_path, WAVS, files))) == TEXTS


def test_quoted_cells_in_a_table_with_bars(tmp_path):
    rows = [(f'"c{i}"', f'"{text}"') for i, text in enumerate([*TEXTS[:3], 'He said ""no | yes"".'])]
    got = texts_of(read(root_of(tmp_path, WAVS, {"metadata.csv": table(*rows)})))
    assert got == [*TEXTS[:3], 'He said "no | yes".']


def test_texts_that_begin_with_speech_keep_its_quotes(tmp_path):
    said = [f'"{text}" he said.' for text in TEXTS]
    rows = [(text, f"c{at}.wav") for at, text in enumerate(said)]
    manifest = read(root_of(tmp_path, WAVS, {"metadata.csv": table(*rows)}), columns=("text", "id"))
    assert texts_of(manifest) == said


def test_a_json_array_is_read_as_json_lines_are(tmp_path):
    rows = [{"audio": f"wavs/c{i}.wav", "text": TEXTS[i], "speaker": "x"} for i in range(4)]
    for indent in (None, 1):
        root = root_of(tmp_path / str(indent), WAVS, {"metadata.json": json.dumps(rows, indent=indent)})
        assert texts_of(read(root)) == TEXTS
    broken = root_of(tmp_path / "broken", WAVS, {"metadata.json": json.dumps([*rows, 3])})
    (rejection,) = read(broken).rejections
    assert "no JSON object: '3'" in rejection.value and rejection.source.endswith("metadata.json:5")


def test_names_with_other_digits_and_of_spreadsheets(tmp_path):
    persian = "".maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
    files = [f"wavs/{i:03}.wav" for i in range(4)]
    for name, ids in [
        ("persian", [f"{i:03}".translate(persian) for i in range(4)]),
        ("full width", [f"{i:03}".replace("0", "\uff10") for i in range(4)]),
        ("float", [f"{i}.0" for i in range(4)]),
        ("joiner", [f"{i:03}\u200c" for i in range(4)]),
    ]:  # fmt: skip
        assert (
            texts_of(read(root_of(tmp_path / name, files, {"metadata.csv": table(*zip(ids, TEXTS, strict=True))})))
            == TEXTS
        ), name
    on_disk = root_of(tmp_path / "disk", [f.translate(persian) for f in files], {
        "metadata.csv": table(*zip([f"{i:03}" for i in range(4)], TEXTS, strict=True))
    })  # fmt: skip
    assert texts_of(read(on_disk)) == TEXTS


def test_a_persian_header(tmp_path):
    rows = [("فایل", "متن", "گوینده"), *((f"c{i}", TEXTS[i], "anna") for i in range(4))]
    manifest = read(root_of(tmp_path, WAVS, {"metadata.csv": table(*rows)}))
    assert texts_of(manifest) == TEXTS and {u.speaker for u in manifest.utterances} == {"anna"}


def test_what_programs_write_for_a_missing_text_is_no_text(tmp_path):
    for value in ("NaN", "nan", "NULL", "<NA>", "#N/A", "#REF!"):
        rows = [(f"c{i}", text) for i, text in enumerate([*TEXTS[:3], value])]
        (rejection,) = read(root_of(tmp_path, WAVS, {"metadata.csv": table(*rows)})).rejections
        assert rejection.reason == "empty text" and value in rejection.value


def test_a_file_that_is_no_table_is_named(tmp_path):
    for content, said in [
        (b"PK\x03\x04" + bytes(range(256)) * 20, "export it as CSV"),
        (b"\xd0\xcf\x11\xe0" + bytes(range(256)) * 20, "export it as CSV"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:a\nsize 12\n", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html>a | b</html>\n", "web page"),
        (b"\x1f\x8b\x08\x00abc", "unpack it"),
        (b"%PDF-1.7\n", "PDF"),
        (b'{\\rtf1 "a"|b}\n', "plain text"),
    ]:
        with pytest.raises(DataError) as caught:
            read(root_of(tmp_path, WAVS, {"metadata.csv": content}))
        message = str(caught.value)
        assert said in message and "metadata.csv:1: " in message and "\n" not in message


def test_a_root_that_is_named_one_folder_too_high(tmp_path):
    for root, files, place in [
        (tmp_path / "m", {"en/mary/book/metadata.csv": table(("c", "t"))}, "en/mary/book"),
        (tmp_path / "v", {"VCTK-Corpus/txt/p1/a.txt": "t", "VCTK-Corpus/wav48/p1/a.wav": "x"}, "VCTK-Corpus"),
    ]:
        root_of(root, [], files)
        with pytest.raises(DataError, match=rf"data in .*{place}.*name that folder"):
            read(root)
    root_of(tmp_path / "m", [], {"en/bob/book/metadata.csv": table(("c", "t"))})
    with pytest.raises(DataError, match=r"bob/book' and 1 more folder .*separated by ':'"):
        read(tmp_path / "m")


def test_a_spreadsheet_beside_the_recordings_is_named(tmp_path):
    with pytest.raises(DataError, match=r"metadata\.xlsx.*export it as CSV"):
        read(root_of(tmp_path, WAVS, {"metadata.xlsx": b"PK\x03\x04"}))


def test_a_root_with_very_many_folders_is_not_searched_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "_MOST_SEARCHED", 3)
    root_of(tmp_path, [], {"a/b/c/metadata.csv": table(("c", "t"))})
    with pytest.raises(DataError, match="no metadata for train; expected"):
        read(tmp_path)
    monkeypatch.setattr(manifest, "_MOST_SEARCHED", 4)
    with pytest.raises(DataError, match="data in 'a/b/c' below it"):
        read(tmp_path)
