"""Selection of clips: splits as in the run, order by the seed, references of the same speaker."""

import dataclasses
import os
from pathlib import Path

import made_model
import pytest

from myxtts.config.schema import Config
from myxtts.data.records import Utterance
from myxtts.data.split import split_validation
from myxtts.errors import DataError
from myxtts.evaluation.selection import SkippedClips, SplitClips, in_languages, in_order, select_clips, split_clips


def settings(train: Path | str = "elsewhere") -> Config:
    return made_model.resolved(data__train_path=str(train)).config


def rows(*names: str, speaker: str = "ann") -> str:
    return "".join(f"{name}|Say {name} now.|{speaker}\n" for name in names)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve clips of two speakers, lengths 1.0 to 2.1 s, and one of a third that has no other."""
    folder = tmp_path / "root"
    (folder / "wavs").mkdir(parents=True)
    lines = ["id|text|speaker\n"]
    for at in range(13):
        made_model.save_recording(folder / "wavs" / f"c{at:02d}.wav", 1.0 + at / 10)
        lines.append(rows(f"c{at:02d}", speaker="solo" if at == 12 else ("ann", "bob")[at % 2]))
    (folder / "metadata.csv").write_text("".join(lines))
    return folder


def names(clips: list[Utterance]) -> set[str]:
    return {clip.id for clip in clips}


def test_validation_clips_of_the_training_data(root: Path) -> None:
    config = settings(root)
    everyone = split_clips(root, "all", config, ()).all_clips
    train, held = split_validation(everyone, config.data.validation_share)
    known = split_clips(root, "val", config, names(train))
    assert names(known.clips) == names(held)
    assert (
        f"clips that the run was not trained on, used for validation or rejected by its audit: {len(held)} of 13"
        in (known.notes)
    )
    assert names(split_clips(root, "val", config, {"c03", "c04"}).clips) == names(everyone) - {"c03", "c04"}
    assert names(split_clips(root, "train", config, {"c03", "c04"}).clips) == {"c03", "c04"}
    guessed = split_clips(root, "val", config, ())
    assert names(guessed.clips) == names(held) and names(split_clips(root, "train", config, ()).clips) == names(train)
    assert any("no list of its training clips (utterances.txt)" in note for note in guessed.notes)


def test_training_clips_are_never_in_the_validation_split(root: Path) -> None:
    everyone = split_clips(root, "all", settings(root), ()).all_clips
    with pytest.raises(DataError, match=r"no clip of --split val among 13, for a run trained on .*; name other data"):
        split_clips(root, "val", settings(root), names(everyone))


def test_other_data_is_unseen(root: Path) -> None:
    known = split_clips(root, "val", settings(), {"c01", "x"})
    assert len(known.clips) == 13
    assert "not the training data of this run ('elsewhere')" in known.notes
    assert any("clips with the id of a training clip: 1 of 13, as 'c01'" in note for note in known.notes)
    with pytest.raises(DataError, match="no clip of --split train among 13"):
        split_clips(root, "train", settings(), ())


def test_metadata_of_its_own_for_validation_counts(root: Path) -> None:
    (root / "metadata_eval.csv").write_text("id|text|speaker\n" + rows("c03", "c05", speaker="bob"))
    for config in (settings(root), settings()):
        assert names(split_clips(root, "val", config, ()).clips) == {"c03", "c05"}
        assert len(split_clips(root, "train", config, ()).clips) == 11
        assert len(split_clips(root, "all", config, ()).clips) == 13
    (root / "metadata.csv").unlink()
    known = split_clips(root, "val", settings(), ())
    assert names(known.clips) == names(known.all_clips) == {"c03", "c05"}


def test_a_root_among_several(root: Path, tmp_path: Path) -> None:
    """The run's list has ids with the name of their root; the metadata has not."""
    other = tmp_path / "other"
    config = settings(f"{other}{os.pathsep}{root}")
    trained = {"root/c01", "root/c02", "other/c03"}
    other.mkdir()
    known = split_clips(root, "val", config, trained)
    assert names(known.clips) == names(known.all_clips) - {"c01", "c02"}
    assert names(split_clips(root, "train", config, trained).clips) == {"c01", "c02"}
    assert not any("optimistic" in note or "not the training data" in note for note in known.notes)
    moved = root.rename(tmp_path / "moved")
    known = split_clips(moved, "val", config, trained)
    assert names(known.clips) == names(known.all_clips) - {"c01", "c02"}, "the other root is still there"
    assert any("recognized as training data of this run" in note for note in known.notes)


def test_training_data_that_was_moved(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of the run's clips identifies data whose path does not exist here."""
    everyone = names(split_clips(root, "all", settings(root), ()).all_clips)
    trained = everyone - {"c04"}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    known = split_clips(root, "val", settings("root"), trained | {"c00@0.9", "c00@1.1"})
    assert names(known.clips) == {"c04"}
    assert not any("no clip was trained on" in note or "optimistic" in note for note in known.notes)
    assert "recognized as training data of this run ('root'): it contains all 12 training clips" in known.notes
    assert names(split_clips(root, "train", settings("root"), trained).clips) == trained
    with pytest.raises(
        DataError, match=r"trained on 'root' \(recognized as training.* 13 training clips\); name other"
    ):
        split_clips(root, "val", settings("root"), everyone)
    gone = split_clips(root, "val", settings(tmp_path / "gone"), trained)
    assert names(gone.clips) == {"c04"}, "moved, or on another machine"


def test_a_root_without_some_of_the_training_clips_is_other_data(root: Path, tmp_path: Path) -> None:
    """Such as a held-out set with ids of the same kind: all of it is evaluated."""
    (tmp_path / "there").mkdir()
    trained = {"c01", "c02", "c77"}
    for train in ("elsewhere", tmp_path / "there"):
        known = split_clips(root, "val", settings(train), trained)
        assert len(known.clips) == 13
        assert not any("no clip was trained on" in note for note in known.notes), "the next note says two may be"
        assert any("clips with the id of a training clip: 2 of 13, as 'c01'" in note for note in known.notes)
    copied = split_clips(root, "val", settings(tmp_path / "there"), {"c01", "c02"})
    assert len(copied.clips) == 13, "its own data is there, and this is not it"


def test_what_was_trained_on_is_not_always_known(root: Path, tmp_path: Path) -> None:
    """A step folder outside a run directory has no list, and data may have been moved."""
    (note,) = [note for note in split_clips(root, "val", settings("a"), ()).notes if "'a'" in note]
    assert note == (
        "it is unknown which clips were used for training: there is no list of the run's training clips "
        "(utterances.txt), "
        "and the path in its settings, 'a', does not exist"
    )
    (tmp_path / "there").mkdir()
    sure = split_clips(root, "val", settings(tmp_path / "there"), ())
    assert any("not the training data of this run" in n and "no clip was trained on" in n for n in sure.notes)


def test_the_list_of_the_run_counts_where_there_is_metadata_for_validation_too(root: Path) -> None:
    """Speakers held out validate with all their clips, wherever these are written."""
    (root / "metadata_eval.csv").write_text("id|text|speaker\n" + rows("c03", "c05", speaker="bob"))
    trained = names(split_clips(root, "all", settings(root), ()).all_clips) - {"c03", "c05", "c12"}
    assert names(split_clips(root, "val", settings(root), trained).clips) == {"c03", "c05", "c12"}
    assert names(split_clips(root, "train", settings(root), trained).clips) == trained


def test_rows_that_cannot_be_used_are_counted(root: Path) -> None:
    with (root / "metadata.csv").open("a") as file:
        file.write(rows("gone"))
    assert any(
        "metadata rows that cannot be used: 1" in note for note in split_clips(root, "all", settings(), ()).notes
    )


@pytest.mark.parametrize("split", ["val", "train", "all"])
def test_a_root_without_metadata(tmp_path: Path, split: str) -> None:
    with pytest.raises(DataError, match=r"no metadata for train; expected metadata_train\.csv"):
        split_clips(tmp_path, split, settings(), ())  # type: ignore[arg-type]


def test_the_order_is_that_of_the_seed_and_speakers_take_turns(root: Path) -> None:
    clips = split_clips(root, "all", settings(), ()).clips
    order = in_order(clips, 1)
    assert in_order(clips[::-1], 1) == order and in_order(clips, 2) != order and names(order) == names(clips)
    assert {clip.speaker for clip in order[:3]} == {"ann", "bob", "solo"}


def test_references(root: Path) -> None:
    known = split_clips(root, "all", settings(), ())
    skipped = SkippedClips()
    found = list(select_clips(known, 1, 12.0, skipped))
    assert len(found) == 13 and skipped.lines() == []
    assert [(c.clip.id, c.reference.id) for c in select_clips(known, 1, 12.0, SkippedClips())] == [
        (c.clip.id, c.reference.id) for c in found
    ]
    for choice in found:
        assert choice.reference.speaker == choice.clip.speaker
        assert choice.own_reference == (choice.clip.speaker == "solo")
    # the nearest to five seconds
    assert {c.reference.id for c in found if c.clip.speaker == "ann" and c.clip.id != "c10"} == {"c10"}


def test_skipped_clips_are_listed(root: Path) -> None:
    (root / "wavs" / "c00.wav").write_bytes(b"no sound")
    known = split_clips(root, "all", settings(), ())
    skipped = SkippedClips()
    found = list(select_clips(known, 1, 1.85, skipped))
    assert len(found) == 8 and skipped.lengths == 4
    problem, lengths = skipped.lines()
    assert problem.startswith(f"skipped: {root / 'metadata.csv'}:2: ") and "not a readable recording" in problem
    assert lengths == "clips shorter than 1 s or longer than 1.85 s, skipped: 4"
    assert SkippedClips(0, 0.0, ["a", "b", "c"]).lines(1) == ["skipped: a", "skipped: 2 more"]


def test_languages() -> None:
    clip = Utterance("a", Path("a.wav"), "A.", "ann", "en-us", "m:1")
    other = dataclasses.replace(clip, id="b", language="fa")
    known = in_languages(SplitClips([clip, other], [clip, other], []), lambda code: code == "en-us")
    assert known.clips == [clip] and known.notes == ["clips in a language that this model does not speak ('fa'): 1"]
    with pytest.raises(DataError, match=r"no clip can be evaluated; .* \('fa'\): 1; name data in a language"):
        in_languages(SplitClips([other], [other], []), lambda code: code == "en-us")
