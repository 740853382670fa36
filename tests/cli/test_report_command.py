"""`python -m myxtts report`: prints the page's path, or one line about what is wrong."""

from pathlib import Path

import pytest

from myxtts.cli import report


def test_the_path_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("model_size: tiny\n")
    assert report.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'report.html'}\n"


def test_open_shows_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(report.webbrowser, "open", lambda address: not opened.append(address))
    (tmp_path / "config.yaml").write_text("model_size: tiny\n")
    assert report.main([str(tmp_path), "--open"]) == 0
    assert opened == [(tmp_path / "report.html").as_uri()]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nowhere"], "run directory 'nowhere' does not exist"),
        ([], "the following arguments are required: RUN"),
        (["nowhere", "--opne"], "did you mean --open?"),
    ],
)
def test_errors_are_one_line_and_exit_2(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(argv) == 2
    shown = capsys.readouterr()
    assert words in shown.err and shown.err.count("\n") == 1 and shown.out == ""
