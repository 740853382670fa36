"""An export appears complete or not at all."""

import os
import signal
import time
from pathlib import Path

import pytest

from myxtts.cli import export as command
from myxtts.cli.serve import ending_cleanly
from myxtts.errors import StorageError
from myxtts.export.place import folder_problem, new_folder


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_folder(out) as folder:
        (folder / "a").write_text("a")
        assert not out.exists()
    assert (out / "a").read_text() == "a" and [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_after_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_after_sigterm(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught, ending_cleanly(), new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert caught.value.code == 143 and list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert folder_problem(tmp_path / "out") is None, "an empty one is"
    (tmp_path / "out" / "mine").write_text("mine")
    assert "contains files" in str(folder_problem(tmp_path / "out"))
    with pytest.raises(StorageError), new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]
    (tmp_path / "file").write_text("")
    assert "is a file or a link" in str(folder_problem(tmp_path / "file"))
    assert "parent folder does not exist" in str(folder_problem(tmp_path / "no" / "out"))


def test_options_that_do_not_fit_a_format_are_errors_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, problem in (
        (["piper"], "0 voices are named, and piper holds one"),
        (["sherpa", "--speaker", "a", "--voice", "b.voice"], "2 voices are named, and sherpa holds one"),
        (["savedmodel", "--weights", "int8"], "--weights int8 does not apply to savedmodel"),
        (["hub"], "--license is missing"),
    ):
        assert command.main([str(tmp_path / "none"), "--out", str(tmp_path / "out"), "--format", *words]) == 2
        said = capsys.readouterr().err
        assert problem in said and "none" not in said
