import dataclasses
import os
import shutil

import numpy as np
import pytest
from made_data import ids, settings
from made_recordings import make_root

from myxtts import batch as contract
from myxtts.config.schema import TextConfig
from myxtts.data import prepare
from myxtts.data.roots import find_roots, roots_in
from myxtts.demo import corpus as demo_corpus
from myxtts.errors import DataError
from myxtts.progress import silent


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_root(tmp_path / "root", clips=8)


def test_from_one_root_to_batches(tmp_path, root):
    config = settings(tmp_path, train_path=str(root), validation_share=0.25)
    data = prepare.prepare(config, silent, named={"data.train_path"})
    assert len(data.train) == 6 and len(data.validation) == 2
    assert set(ids(data.train)).isdisjoint(ids(data.validation))
    assert set(data.validation.speakers) == {"s0", "s1"} == set(data.corpus.speakers)
    assert any("25% of the training clips are held out for validation" in note for note in data.notes)
    assert any("2 training speakers: enough to speak in their voices, not enough" in note for note in data.notes)
    for batches in (data.training_batches(config), data.validation_batches(config)):
        made = [batches.build(planned, 0) for planned in batches.plan(0)]
        assert [contract.problems(batch) for batch in made] == [[]] * len(made)
    again = prepare.prepare(config, silent, named={"data.train_path"})
    assert again.corpus.to_json() == data.corpus.to_json() and ids(again.validation) == ids(data.validation)
    assert again.buckets == data.buckets


def test_validation_clips_are_capped(tmp_path, root):
    shared = settings(tmp_path, train_path=str(root), validation_share=0.5, validation_max_clips=2)
    data = prepare.prepare(shared, silent, named={"data.train_path"})
    assert (len(data.train), len(data.validation)) == (6, 2), "the others are trained on"
    assert set(data.validation.speakers) == {"s0", "s1"}
    assert any("2 clips are held out for validation, the limit (data.validation_max" in note for note in data.notes)
    own = make_root(tmp_path / "own", clips=8)
    given = settings(tmp_path, train_path=str(root), val_path=str(own), validation_max_clips=3)
    data = prepare.prepare(given, silent, named={"data.train_path", "data.val_path"})
    assert (len(data.train), len(data.validation)) == (8, 3)
    assert any("3 of 8 validation clips are used" in note for note in data.notes)


def test_the_audit_lists_the_data(tmp_path, root):
    with (root / "metadata.csv").open("a") as file:
        file.write("nowhere|There is no recording.|s0\n")
    config = settings(tmp_path, train_path=str(root), max_rejected_share=0.2)
    audit = prepare.prepare(config, silent).audit
    table = "\n".join(audit.table())
    for part in ("clips", "min", "2 speakers", "en-us", "16000 Hz", "missing file: 1", "metadata.csv:10: ", "nowhere"):
        assert part in table
    assert audit.rejected_share == pytest.approx(1 / 9)
    values = audit.to_json()
    assert values["train"]["sample_rates_hz"].keys() == {"16000", "22050", "24000", "44100"}
    assert values["rejections"][0]["reason"] == "missing file"


@pytest.mark.parametrize(("text", "hinted"), [("سلام دنیا", True), ("你好", False)])
def test_persian_rows_without_a_language_get_advice(tmp_path, root, text, hinted):
    with (root / "metadata.csv").open("a", encoding="utf-8") as file:
        file.write(f"c0|{text}|s0\n")
    (root / "metadata.csv").write_text((root / "metadata.csv").read_text(encoding="utf-8").replace("c0|Say", "c9|Say"))
    config = dataclasses.replace(settings(tmp_path, train_path=str(root), max_rejected_share=1.0), text=TextConfig())
    table = prepare.prepare(config, silent).audit.table()
    assert "  unknown symbols: 1" in table
    hint = "    Persian rows need their language: a column that says fa, or --language fa"
    assert (hint in table) == hinted


def test_too_many_rejections_stop_the_run_with_the_table(tmp_path, root):
    with (root / "metadata.csv").open("a") as file:
        file.write("nowhere|There is no recording.|s0\n../x|Out.|s0\n")
    config = settings(tmp_path, train_path=str(root))
    with pytest.raises(DataError) as caught:
        prepare.prepare(config, silent)
    message = str(caught.value)
    assert "2 of 10 rows rejected (20.0%), the limit is 5.0%" in message
    assert "--set data.max_rejected_share=0.20" in message
    assert "missing file: 1" in message and "escapes the root: 1" in message and "metadata.csv:11" in message
    allowed = dataclasses.replace(config, data=dataclasses.replace(config.data, max_rejected_share=0.2))
    assert len(prepare.prepare(allowed, silent).audit.rejections) == 2


def test_no_usable_row_is_an_error_under_any_limit(tmp_path, root):
    (root / "metadata.csv").write_text("none|Nothing here.\n")
    with pytest.raises(DataError, match="training data: none of its 1 rows can be used"):
        prepare.prepare(settings(tmp_path, train_path=str(root), max_rejected_share=1.0), silent)


@pytest.mark.parametrize("key", ["train_path", "val_path"])
def test_a_named_path_that_does_not_exist_is_an_error(tmp_path, root, key):
    paths = {"train_path": str(root), key: str(tmp_path / "nowhere")}
    with pytest.raises(DataError, match=rf"data\.{key}: '.*nowhere' does not exist .*--(train|val)-data"):
        prepare.prepare(settings(tmp_path, **paths), silent, named={f"data.{key}"})
    if key == "train_path":
        with pytest.raises(DataError, match="does not exist"):
            prepare.prepare(settings(tmp_path), silent, named={"data.train_path"})
    assert not (tmp_path / "cache").exists()


def test_the_built_in_corpus_replaces_the_default(tmp_path, root, monkeypatch):
    lines = (root / "metadata.csv").read_text().splitlines()
    (root / "metadata_train.csv").write_text("\n".join(lines[:7]) + "\n")
    (root / "metadata_eval.csv").write_text("\n".join([lines[0], *lines[7:]]) + "\n")
    monkeypatch.setattr(demo_corpus, "ensure", lambda cache, progress: root)
    data = prepare.prepare(settings(tmp_path), silent)
    assert "built-in corpus" in data.notes[0] and "not human" in data.notes[0] and "--train-data" in data.notes[0]
    assert ids(data.train) == [f"c{i}" for i in range(6)] and ids(data.validation) == ["c6", "c7"]


def default_roots(tmp_path, monkeypatch, *names):
    """A working directory beside ../dataset with these roots in it."""
    for name in names:
        make_root(tmp_path / "dataset" / name, clips=3)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_other_training_data_is_not_validated_on_the_default_eval(tmp_path, root, monkeypatch):
    default_roots(tmp_path, monkeypatch, "dataset_train", "dataset_eval")
    config = settings(tmp_path, train_path=str(root), validation_share=0.25)
    roots = find_roots(config, {"data.train_path"}, silent)
    assert roots.train == (root,) and roots.validation == ()
    assert "../dataset/dataset_eval belongs to ../dataset/dataset_train" in roots.notes[0]
    assert "25% of the training clips are held out for validation" in roots.notes[0] and "--val-data" in roots.notes[0]
    data = prepare.prepare(config, silent, named={"data.train_path"})
    assert set(ids(data.train)) | set(ids(data.validation)) == {f"c{i}" for i in range(8)}
    named = find_roots(config, {"data.train_path", "data.val_path"}, silent)
    assert list(map(str, named.validation)) == ["../dataset/dataset_eval"] and named.notes == []


def test_other_training_data_is_validated_on_its_own_eval(tmp_path, root, monkeypatch):
    default_roots(tmp_path, monkeypatch, "dataset_eval")
    lines = (root / "metadata.csv").read_text().splitlines()
    (root / "metadata_eval.csv").write_text("\n".join([lines[0], *lines[7:]]) + "\n")
    (root / "metadata.csv").write_text("\n".join(lines[:7]) + "\n")
    data = prepare.prepare(settings(tmp_path, train_path=str(root)), silent, named={"data.train_path"})
    assert ids(data.train) == [f"c{i}" for i in range(6)] and ids(data.validation) == ["c6", "c7"]
    assert f"{root}/metadata_eval.csv is used for validation" in data.notes[0]


@pytest.mark.parametrize("named", [set(), {"data.train_path"}])
def test_the_default_roots_belong_together(tmp_path, monkeypatch, named):
    default_roots(tmp_path, monkeypatch, "dataset_train", "dataset_eval")
    roots = find_roots(settings(tmp_path), named, silent)
    assert list(map(str, roots.validation)) == ["../dataset/dataset_eval"] and roots.notes == []


def test_a_separate_validation_root(tmp_path, root):
    held = make_root(tmp_path / "held", clips=3)
    config = settings(tmp_path, train_path=str(root), val_path=str(held))
    data = prepare.prepare(config, silent)
    assert (len(data.train), len(data.validation)) == (8, 3)
    assert data.corpus.mel_mean_C.shape == (80,)
    assert data.train.entry_path(0) == data.validation.entry_path(0)  # the same content is computed once


def test_a_single_voice_has_one_name_in_both_roots(tmp_path, root):
    held = make_root(tmp_path / "held", clips=2)
    for folder in (root, held):
        without_speakers(folder)
    data = prepare.prepare(settings(tmp_path, train_path=str(root), val_path=str(held)), silent)
    assert data.corpus.speakers == ["root"] and set(data.validation.speakers) == {"root"}
    assert not np.any(data.corpus.speaker_prosody_ZQ)


def test_the_same_root_for_both_is_split(tmp_path, root):
    data = prepare.prepare(settings(tmp_path, train_path=str(root), val_path=str(root)), silent)
    assert len(data.train) + len(data.validation) == 8
    assert any("is the training data too" in note for note in data.notes)


def test_a_language_has_one_name(tmp_path, root):
    (root / "metadata.csv").write_text("id|text|language\nc0|Say it.|fr\nc1|Say.|fr-fr\nc2|Say it.|en_US\n")
    config = dataclasses.replace(settings(tmp_path, train_path=str(root)), text=TextConfig())
    data = prepare.prepare(config, silent)
    assert {u.language for s in (data.train, data.validation) for u in s.utterances} == {"en-us", "fr-fr"}


def test_a_validation_language_that_is_not_trained_is_rejected(tmp_path, root):
    held = make_root(tmp_path / "held", clips=2)
    (held / "metadata.csv").write_text("id|text|language\nc0|Say it.|en-us\nc1|Say it.|fa\n")
    config = settings(tmp_path, train_path=str(root), val_path=str(held), max_rejected_share=0.5)
    data = prepare.prepare(config, silent)
    assert ids(data.validation) == ["c0"]
    assert [(r.reason, r.utterance_id) for r in data.audit.rejections] == [("unknown language", "c1")]


def test_several_roots_are_one_corpus(tmp_path, root):
    other = make_root(tmp_path / "other", clips=4)
    config = settings(tmp_path, train_path=os.pathsep.join((str(root), str(other))), validation_share=0.25)
    data = prepare.prepare(config, silent)
    found = set(ids(data.train)) | set(ids(data.validation))
    assert found == {f"root/c{i}" for i in range(8)} | {f"other/c{i}" for i in range(4)}
    assert any("are in several roots and count as one speaker each" in note for note in data.notes)


def without_speakers(root):
    rows = [line.rpartition("|")[0] for line in (root / "metadata.csv").read_text().splitlines()]
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


def test_roots_of_one_name_are_two_voices_in_training_and_validation(tmp_path):
    roots = [without_speakers(make_root(tmp_path / person / "train", clips=3)) for person in ("alice", "bob")]
    for root in roots:
        lines = (root / "metadata.csv").read_text().splitlines()
        (root / "metadata_eval.csv").write_text("\n".join([lines[0], lines[3]]) + "\n")
        (root / "metadata_train.csv").write_text("\n".join(lines[:3]) + "\n")
    config = settings(tmp_path, train_path=os.pathsep.join(map(str, roots)), val_path=str(roots[1]))
    data = prepare.prepare(config, silent)
    assert data.corpus.speakers == ["1-train", "2-train"] and set(data.validation.speakers) == {"2-train"}
    assert not any("in several roots" in note or "in no training clip" in note for note in data.notes)


def test_a_clip_in_both_sets_is_noted(tmp_path, root):
    other = make_root(tmp_path / "other", clips=4)
    lines = (root / "metadata.csv").read_text().splitlines()
    (root / "metadata_eval.csv").write_text("\n".join(lines[:3]) + "\n")
    (tmp_path / "link").symlink_to(root)
    for validation in (root, tmp_path / "link"):
        config = settings(tmp_path, train_path=f"{root}{os.pathsep}{other}", val_path=str(validation))
        notes = [note for note in prepare.prepare(config, silent).notes if "training clips too" in note]
        assert len(notes) == 1
        assert notes[0].startswith(f"{validation}/metadata_eval.csv: 2 clips are training clips too ('c0')")


@pytest.mark.parametrize("again", ["root", "root/../root", "link"])
@pytest.mark.parametrize("key", ["train_path", "val_path"])
def test_a_root_given_twice_is_an_error(tmp_path, root, key, again):
    (tmp_path / "link").symlink_to(root)
    paths = {"train_path": str(make_root(tmp_path / "other", clips=3)), key: f"{root}{os.pathsep}{tmp_path / again}"}
    with pytest.raises(DataError, match=rf"data\.{key}: '{tmp_path / again}' is given twice.*; name each folder once"):
        prepare.prepare(settings(tmp_path, **paths), silent, named={f"data.{key}"})
    assert not (tmp_path / "cache").exists()


def test_a_copy_of_a_root_is_noted_in_both_sets(tmp_path, root):
    shutil.copytree(root, tmp_path / "copy")
    several = settings(tmp_path, train_path=f"{root}{os.pathsep}{tmp_path / 'copy'}", validation_share=0.25)
    notes = [note for note in prepare.prepare(several, silent).notes if "same recording" in note]
    assert len(notes) == 2 and "validation clips have the same recording as a training clip" in notes[0]
    assert notes[0].endswith("biases validation") and "training clips have the same recording as" in notes[1]
    apart = settings(tmp_path, train_path=str(root), val_path=str(tmp_path / "copy"))
    (note,) = [note for note in prepare.prepare(apart, silent).notes if "same recording" in note]
    assert note.startswith("8 validation clips have the same recording as a training clip ('c0' is 'c0')")


def test_every_root_must_exist(tmp_path, root):
    config = settings(tmp_path, train_path=os.pathsep.join((str(root), str(tmp_path / "gone"))))
    with pytest.raises(DataError, match="gone' does not exist") as caught:
        prepare.prepare(config, silent)
    assert "--train-data" in str(caught.value)


def test_a_folder_with_the_separator_in_its_name_is_one_root(tmp_path):
    strange = tmp_path / f"a{os.pathsep}b"
    strange.mkdir()
    assert roots_in(str(strange)) == (strange,)
    assert roots_in(f"x{os.pathsep}y") == tuple(map(type(strange), ("x", "y")))
    assert roots_in(os.pathsep) == (type(strange)(os.pathsep),)
