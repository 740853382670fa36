"""`myxtts`: dispatching, and the page of settings."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest

from myxtts import __version__
from myxtts.cli import docs
from myxtts.cli.main import COMMANDS, main


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["-h"]):
        assert main(words) == 0
        out = capsys.readouterr().out
        assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("module", [module for module, _ in COMMANDS.values()])
def test_every_command_exists(module: str) -> None:
    assert importlib.util.find_spec(module) is not None


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"myxtts {__version__}\n"


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speek\x1b"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: unknown command 'speek\\x1b'; did you mean speak? commands: train")
    assert err.count("\n") == 1


def test_a_command_gets_its_arguments_and_gives_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    module = types.SimpleNamespace(main=lambda argv: seen.append(argv) or 4)
    monkeypatch.setitem(sys.modules, "myxtts.cli.report", module)  # type: ignore[arg-type]
    assert main(["report", "RUN", "--open"]) == 4
    assert seen == [["RUN", "--open"]]


def test_docs_are_written_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert docs.main(["--out", str(tmp_path)]) == 0
    assert docs.main(["--out", str(tmp_path), "--check"]) == 0
    (tmp_path / "commands.md").write_text("old")
    assert docs.main(["--out", str(tmp_path), "--check"]) == 2
    assert "out of date; run `make docs`" in capsys.readouterr().err
    assert docs.main(["--out", str(tmp_path / "no")]) == 4
    assert docs.main(["--chek"]) == 2
    assert "did you mean --check?" in capsys.readouterr().err
