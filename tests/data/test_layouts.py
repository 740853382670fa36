"""The layouts that people bring, each in a small root, as it is understood."""

import json

import numpy as np
import pytest
import soundfile

from myxtts.config.schema import Config, DataConfig
from myxtts.data.columns import columns_of_option
from myxtts.data.manifest import read_root
from myxtts.data.records import MISSING_FILE, OPEN_QUOTE
from myxtts.data.roots import find_roots
from myxtts.data.source import ReadOptions
from myxtts.errors import DataError
from myxtts.progress import silent

TEXTS = ["The birch canoe slid.", "Glue the sheet here.", "It's easy to tell.", "A chicken leg is rare."]


def root_of(tmp_path, files, texts):
    """A root with empty recordings (`files`) and text files by name."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for name, content in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def read(root, split="train", **options):
    return read_root(root, split, "en-us", "default", ReadOptions(cache=root / "cache", **options))


def rows_of(manifest):
    return [(u.audio_path.name, u.speaker, u.language, u.text) for u in manifest.utterances]


def lines(*rows, separator="|"):
    return "".join(separator.join(row) + "\n" for row in rows)


def test_lists_of_other_projects(tmp_path):
    files = [f"wavs/c{i}.wav" for i in range(4)]
    speakers = ["anna", "bob", "anna", "bob"]
    for name, rows, layout in [
        ("vits", [(f"DUMMY1/c{i}.wav", "12", TEXTS[i]) for i in range(4)], "VITS"),
        ("piper", [(f"c{i}", speakers[i], TEXTS[i]) for i in range(4)], "VITS and Piper"),
        ("sovits", [(f"/somewhere/wavs/c{i}.wav", speakers[i], "EN", TEXTS[i]) for i in range(4)], "GPT-SoVITS"),
        ("ljspeech", [(f"c{i}", TEXTS[i], TEXTS[i]) for i in range(4)], "LJSpeech"),
        ("coqui", [("audio_file", "text", "speaker_name"), *((f"c{i}.wav", TEXTS[i], "x") for i in range(4))], "Coqui"),
    ]:
        manifest = read(root_of(tmp_path / name, files, {"metadata.csv": lines(*rows)}))
        assert [row[3] for row in rows_of(manifest)] == TEXTS, name
        assert layout in manifest.notes[0] and not manifest.rejections, name
        assert "text 'The birch canoe slid.'" in manifest.notes[1] and len(manifest.notes) == 4
    assert {row[1] for row in rows_of(read(tmp_path / "sovits"))} == {"anna", "bob"}
    assert {row[1:3] for row in rows_of(read(tmp_path / "vits"))} == {("12", "en-us")}


def test_common_voice(tmp_path):
    head = ("client_id", "path", "sentence_id", "sentence", "up_votes", "age", "locale")
    rows = [(f"{i % 2}ab", f"c{i}.mp3", "77", TEXTS[i], "2", "", "en") for i in range(4)]
    root = root_of(
        tmp_path,
        [f"clips/c{i}.mp3" for i in range(4)],
        {"train.tsv": lines(head, *rows[:3], separator="\t"), "dev.tsv": lines(head, rows[3], separator="\t")},
    )
    manifest = read(root)
    assert rows_of(manifest)[1] == ("c1.mp3", "1ab", "en", TEXTS[1]) and "layout Common Voice" in manifest.notes[0]
    assert [row[0] for row in rows_of(read(root, "val"))] == ["c3.mp3"]
    config = Config(data=DataConfig(train_path=str(root)))
    assert find_roots(config, {"data.train_path"}, silent).validation == (root,)


def test_json_lines_of_nemo_and_hugging_face(tmp_path):
    nemo = "".join(
        json.dumps({"audio_filepath": f"/d/wavs/c{i}.wav", "duration": 1.5, "text": TEXTS[i], "speaker": i % 2}) + "\n"
        for i in range(4)
    )
    manifest = read(root_of(tmp_path / "nemo", [f"wavs/c{i}.wav" for i in range(4)], {"train_manifest.json": nemo}))
    assert rows_of(manifest)[1] == ("c1.wav", "1", "en-us", TEXTS[1]) and "JSON lines" in manifest.notes[0]
    hugging = "".join(json.dumps({"file_name": f"c{i}.mp3", "transcription": TEXTS[i]}) + "\n" for i in range(4))
    root = root_of(tmp_path / "hf", [f"train/c{i}.mp3" for i in range(4)], {"train/metadata.jsonl": hugging + "{bad\n"})
    manifest = read(root)
    assert [row[3] for row in rows_of(manifest)] == TEXTS
    assert [r.source.rpartition("/")[2] for r in manifest.rejections] == ["metadata.jsonl:5"]
    table = "file_name,transcription\n" + "".join(f'c{i}.wav,"{TEXTS[i]}"\n' for i in range(4))
    manifest = read(root_of(tmp_path / "csv", [f"c{i}.wav" for i in range(4)], {"metadata.csv": table}))
    assert [row[3] for row in rows_of(manifest)] == TEXTS and "Hugging Face" in manifest.notes[0]


def test_kaldi(tmp_path):
    root = root_of(
        tmp_path,
        ["audio/a.wav", "audio/b.wav"],
        {
            "wav.scp": "u1 audio/a.wav\nu2 audio/b.wav\nu3 sox x.wav -t wav - |\n",
            "text": "u1 The birch canoe slid.\nu2 Glue it.\nu3 Not run.\nu4 No file.\n",
            "utt2spk": "u1 anna\nu2 bob\n",
        },
    )
    manifest = read(root)
    assert rows_of(manifest) == [
        ("a.wav", "anna", "en-us", "The birch canoe slid."),
        ("b.wav", "bob", "en-us", "Glue it."),
    ]
    assert [r.source.rpartition(":")[2] for r in manifest.rejections] == ["3", "4"]
    assert {r.reason for r in manifest.rejections} == {MISSING_FILE}
    assert "a command, which is not run" in manifest.rejections[0].value


def test_libritts_librispeech_and_texts_beside(tmp_path):
    root = root_of(
        tmp_path / "libritts",
        ["84/121/84_121_0.wav", "174/5/174_5_0.wav"],
        {"84/121/84_121_0.normalized.txt": "Five cats.", "84/121/84_121_0.original.txt": "5 cats.",
         "174/5/174_5_0.normalized.txt": "No cats."},
    )  # fmt: skip
    manifest = read(root)
    assert sorted(rows_of(manifest)) == [
        ("174_5_0.wav", "174", "en-us", "No cats."), ("84_121_0.wav", "84", "en-us", "Five cats."),
    ]  # fmt: skip
    assert "LibriTTS" in manifest.notes[0]
    root = root_of(
        tmp_path / "librispeech", ["84/121/84-121-0.flac"], {"84/121/84-121.trans.txt": "84-121-0 FIVE CATS\n"}
    )
    assert rows_of(read(root)) == [("84-121-0.flac", "84", "en-us", "FIVE CATS")]
    root = root_of(tmp_path / "beside", ["wavs/a.wav", "wavs/b.wav"], {"wavs/a.txt": "One.\n", "wavs/b.lab": "Two.\n"})
    assert rows_of(read(root)) == [("a.wav", "default", "en-us", "One."), ("b.wav", "default", "en-us", "Two.")]


def write_tone(path, seconds, rate=8_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, (0.2 * np.sin(np.arange(round(seconds * rate)) / 3)).astype(np.float32), rate)


def test_label_tracks_and_segments_are_cut(tmp_path):
    root = tmp_path / "labels"
    write_tone(root / "long.wav", 4.0)
    (root / "long.txt").write_text("0.50000\t1.50000\tThe first.\n\\\t10\t20\n1.5\t3,25\tThe second.\n3.5\t3.5\tNo.\n")
    manifest = read(root)
    assert [u.text for u in manifest.utterances] == ["The first.", "The second."]
    assert [soundfile.info(u.audio_path).frames for u in manifest.utterances] == [8_000, 14_000]
    assert [r.source.rpartition(":")[2] for r in manifest.rejections] == ["4"] and "Audacity" in manifest.notes[0]
    again = [u.audio_path.stat().st_mtime_ns for u in read(root).utterances]
    assert again == [u.audio_path.stat().st_mtime_ns for u in manifest.utterances], "cut once"
    root = tmp_path / "kaldi"
    write_tone(root / "rec.wav", 4.0)
    (root / "wav.scp").write_text("rec rec.wav\n")
    (root / "segments").write_text("u1 rec 0.0 1.0\nu2 rec 1.0 9.0\nu3 rec 5 6\n")
    (root / "text").write_text("u1 One.\nu2 Two.\nu3 Three.\n")
    manifest = read(root)
    assert [soundfile.info(u.audio_path).duration for u in manifest.utterances] == [1.0, 3.0]
    assert "5 to 6 s, of 4.00 s" in manifest.rejections[0].value


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_hugging_face_data_sets_hold_their_recordings(tmp_path, kind):
    pyarrow = pytest.importorskip("pyarrow")
    write_tone(tmp_path / "clip.wav", 1.0)
    content = (tmp_path / "clip.wav").read_bytes()
    audio = [{"bytes": content, "path": path} for path in ("x/clip.wav", "clip.wav", None)]
    table = pyarrow.table({"audio": audio, "sentence": TEXTS[:3], "speaker_id": [1, 2, 1], "path": ["a", "b", "c"]})
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    if kind == "parquet":
        from pyarrow import parquet

        parquet.write_table(table, root / "data/train-00000-of-00001.parquet")
        parquet.write_table(table.slice(0, 1), root / "data/validation-00000-of-00001.parquet")
    else:
        for split, part in (("train", table), ("validation", table.slice(0, 1))):
            (root / split).mkdir()
            path = root / split / "data-00000-of-00001.arrow"
            with path.open("wb") as file, pyarrow.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(part)
        (root / "dataset_dict.json").write_text("{}")
    manifest = read(root)
    assert rows_of(manifest) == [
        ("clip.wav", "1", "en-us", TEXTS[0]),
        ("clip-2.wav", "2", "en-us", TEXTS[1]),
        ("row3.wav", "1", "en-us", TEXTS[2]),
    ]
    assert all(u.audio_path.read_bytes() == content for u in manifest.utterances)
    assert "Hugging Face data set" in manifest.notes[0] and len(rows_of(read(root, "val"))) == 1


def test_a_damaged_parquet_file_is_one_line(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "train.parquet").write_bytes(b"PAR1" + b"\0" * 100)
    with pytest.raises(DataError, match=r"train\.parquet: cannot be read .*download it again"):
        read(tmp_path)


def test_a_table_of_another_name(tmp_path):
    rows = lines(*((f"c{i}", TEXTS[i]) for i in range(4)))
    root = root_of(tmp_path, [f"wavs/c{i}.wav" for i in range(4)], {"my_train.txt": rows, "README.txt": "Hello."})
    assert [row[3] for row in rows_of(read(root))] == TEXTS
    (root / "other_train.txt").write_text(rows)
    with pytest.raises(DataError, match=r"2 tables could be the train data .my_train.txt, other_train.txt.; name one"):
        read(root)


def test_a_named_layout_that_is_not_there(tmp_path):
    root = root_of(tmp_path, ["wavs/a.wav"], {"metadata.csv": "a|Hello there.\n"})
    with pytest.raises(DataError, match=r"no data in the layout kaldi .Kaldi: wav.scp.*found 'metadata.csv, wavs'"):
        read(root, layout="kaldi")
    assert rows_of(read(root, layout="table", columns=columns_of_option("id,text")))


@pytest.mark.parametrize(
    ("content", "kept", "refused"),
    [
        ('id,text\nc0,One.\nc1,"Two.\nc2,Three.\nc3,It is 5"\n', ["One.", "Three.", 'It is 5"'], ["3"]),
        ('id,text\nc0,One.\nc1,"Two.\nc2,Three.\nc3,Four.\n', ["One.", "Three.", "Four."], ["3"]),
        ('id|text|speaker\nc0|One.|x\nc1|"Two\nthree."|y\nc2|Four.|x\n', ["One.", "Four."], ["3"]),
        ('id;text;speaker\nc0;"One; two.";x\nc1;"Two\nthree.";y\nc2;"Four.;x\nc3;Five.;x\n',
         ["One; two.", "Two three.", "Five."], ["5"]),
    ],
)  # fmt: skip
def test_an_open_quote_costs_its_row_and_says_so(tmp_path, content, kept, refused):
    manifest = read(root_of(tmp_path, [f"wavs/c{i}.wav" for i in range(4)], {"metadata.csv": content}))
    assert [u.text for u in manifest.utterances] == kept
    assert [(r.reason, r.source.rpartition(":")[2]) for r in manifest.rejections] == [(OPEN_QUOTE, n) for n in refused]


def test_names_that_other_systems_changed(tmp_path):
    files = ["wavs/Cafe\u0301.wav", "wavs/0012.wav", "clips/Upper.WAV", "audio/x.opus", "wav/anna/deep.flac"]
    ids = ["Caf\u00e9", "12", "upper", str(tmp_path / "audio/x.opus"), "deep"]
    manifest = read(root_of(tmp_path, files, {"metadata.csv": "id|text\n" + "".join(f"{i}|Hello.\n" for i in ids)}))
    assert [str(u.audio_path.relative_to(tmp_path)) for u in manifest.utterances] == files
    assert manifest.utterances[4].speaker == "anna" and not manifest.rejections
    (tmp_path / "wavs/012.wav").write_bytes(b"x")
    assert "may be" in read(tmp_path).rejections[0].value
