"""`myxtts speak --batch`: a file for each row of a table, and one line for each mistake."""

from pathlib import Path

import made_model
import pytest

from myxtts.cli import speak


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved())


def table(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "lines.csv"
    path.write_text(content, encoding="utf-8")
    return path


def test_each_row_gets_its_file_and_the_same_command_continues(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = table(tmp_path, 'id,text,speaker\na,A good day.,cleo\nb.wav,"To you, and you.",\nc,A good day.,\n')
    out, single = tmp_path / "out", tmp_path / "single.wav"
    words = ["--checkpoint", str(run), "--batch", str(batch), "--out", str(out)]
    assert speak.main(words) == 0
    assert "3 files" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["a.wav", "b.wav", "c.wav"]
    assert speak.main(["--checkpoint", str(run), "A good day.", "--speaker", "cleo", "--out", str(single)]) == 0
    assert single.read_bytes() == (out / "a.wav").read_bytes() != (out / "c.wav").read_bytes()
    (out / "b.wav").unlink()
    (out / "a.wav").write_bytes(b"mine")
    capsys.readouterr()
    assert speak.main(words) == 0
    printed = capsys.readouterr().out
    assert "1 files" in printed and "2 were there" in printed and (out / "a.wav").read_bytes() == b"mine"


def test_a_row_that_cannot_be_spoken_does_not_stop_the_others(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = table(tmp_path, "id|text\na|\u2603 \u2603\nb|A good day.\n")
    assert speak.main(["--checkpoint", str(run), "--batch", str(batch), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "1 rows could not be spoken" in err and "lines.csv:2" in err and "nothing in" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.wav"]


@pytest.mark.parametrize(
    ("content", "words", "facts"),
    [
        (None, (), ["lines.csv", "does not exist"]),
        ("a,One two three four.\nb,Five six seven eight nine.\n", (), ["the first line must name its columns"]),
        ("id,text\n../a,Hello.\n", (), ["lines.csv:2", "'../a'", "without a folder"]),
        ("id,text\na,Hello.\nA.wav,Hello.\n", (), ["lines.csv:3", "line 2 already"]),
        ("id,text\na,\n", (), ["lines.csv:2", "text is empty"]),
        ("id,text,speaker\na,Hello.,cleoo\n", (), ["lines.csv:2", "'cleoo'", "'cleo'"]),
        ("id,text,language\na,Hello.,de\n", (), ["lines.csv:2", "'de'"]),
        ("id,text,speaker\na,Hello.,cleo\n", ("--random-voice", "1"), ["lines.csv:2", "has a speaker"]),
        ("id,text\na,Hello.\n", ("--text", "x"), ["--batch and TEXT"]),
        ("id,text\na,Hello.\n", ("--stream",), ["--batch and --stream"]),
    ],
)
def test_mistakes_write_nothing(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    words: tuple[str, ...],
    facts: list[str],
) -> None:
    batch = tmp_path / "lines.csv" if content is None else table(tmp_path, content)
    out = tmp_path / "out"
    assert speak.main(["--checkpoint", str(run), "--batch", str(batch), "--out", str(out), *words]) == 2
    err = capsys.readouterr().err
    assert all(fact in err for fact in facts), err
    assert not out.exists()


def test_out_is_a_folder(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch = table(tmp_path, "id,text\na,Hello.\n")
    for out, fact in ((batch, "is a file"), (tmp_path / "no" / "out", "does not exist")):
        assert speak.main(["--checkpoint", str(run), "--batch", str(batch), "--out", str(out)]) == 2
        assert fact in capsys.readouterr().err
    assert speak.main(["--checkpoint", str(run), "--batch", str(batch)]) == 2
    assert "--out is missing" in capsys.readouterr().err
