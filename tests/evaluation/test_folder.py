"""The folder of an evaluation: complete or absent, and other files stay untouched."""

from pathlib import Path

import pytest

from myxtts.errors import StorageError
from myxtts.evaluation.folder import move_into_place, place_problem, work_folder


def make(out: Path, sounds: tuple[str, ...] = ("001-spoken.wav",), text: str = "new") -> None:
    with work_folder(out) as folder:
        for name in sounds:
            (folder / "audio" / name).write_text(text)
        (folder / "evaluation.json").write_text(text)
        (folder / "index.html").write_text(text)
        move_into_place(folder, out)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_older_evaluation_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    out = tmp_path / "run" / "evaluation" / "root-10"
    make(out, ("001-spoken.wav", "002-spoken.wav"), "old")
    (out / "notes.txt").write_text("mine")
    (out / "audio" / "mine.wav").write_text("mine")
    assert place_problem(out) is None
    make(out)
    assert files(out) == ["audio/001-spoken.wav", "audio/mine.wav", "evaluation.json", "index.html", "notes.txt"]
    assert (out / "evaluation.json").read_text() == "new" and (out / "audio" / "001-spoken.wav").read_text() == "new"
    assert [path.name for path in out.parent.iterdir()] == ["root-10"]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError, match="in the middle"), work_folder(out) as folder:
        (folder / "audio" / "001-spoken.wav").write_text("half")
        raise RuntimeError("in the middle")
    assert list(tmp_path.iterdir()) == []


def test_a_move_that_was_stopped_does_not_lock_the_place(tmp_path: Path) -> None:
    """The document goes first and comes last; between, the folder holds what is ours and nothing else."""
    out = tmp_path / "out"
    make(out, ("001-spoken.wav", "002-spoken.wav"), "old")
    (out / "evaluation.json").unlink()
    assert place_problem(out) is None
    make(out)
    assert files(out) == ["audio/001-spoken.wav", "evaluation.json", "index.html"]
    (out / "evaluation.json").unlink()
    (out / "audio" / "mine.wav").write_text("mine")
    assert place_problem(out) == "contains other files and no evaluation.json; name a new folder"


def test_places_that_cannot_be_taken(tmp_path: Path) -> None:
    file, full = tmp_path / "file", tmp_path / "full"
    file.write_text("x")
    full.mkdir()
    (full / "other").write_text("x")
    assert place_problem(file) == "is a file; name a folder"
    assert place_problem(file / "out") == "is inside a file; choose another folder"
    assert place_problem(full) == "contains other files and no evaluation.json; name a new folder"
    assert place_problem(full / "new") is None
    with pytest.raises(StorageError, match="creating a folder for the evaluation failed"), work_folder(file / "out"):
        pass
