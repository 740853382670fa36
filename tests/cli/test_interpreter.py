"""Which Python and which program a printed command names."""

import sys
from pathlib import Path

import pytest

from myxtts.cli.interpreter import program_path, python_command

ROOT = Path(__file__).resolve().parents[2]


def made_python(folder: Path, *names: str) -> Path:
    """A folder of links to a Python, as a virtual environment and the system have them."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).symlink_to(Path(sys.executable).resolve())
    return folder


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment in tmp_path/project/.venv that runs this test, with the system's python3 on PATH."""
    system = made_python(tmp_path / "usr" / "bin", "python3")
    prefix = tmp_path / "project" / ".venv"
    made_python(prefix / "bin", "python", "python3")
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "usr"))
    monkeypatch.setattr(sys, "executable", str(prefix / "bin" / "python"))
    monkeypatch.setenv("PATH", str(system))
    monkeypatch.chdir(tmp_path / "project")
    return prefix


def test_the_environments_python_by_its_path_from_here(environment: Path) -> None:
    assert python_command() == ".venv/bin/python"


def test_from_elsewhere_by_its_whole_path(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path / "usr")
    assert python_command() == str(environment / "bin" / "python")


def test_the_activated_environment_is_python3(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{environment / 'bin'}:/usr/bin")
    assert python_command() == "python3"


def test_without_an_environment_it_is_python3(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", str(environment))
    assert python_command() == "python3"


def test_no_python3_on_the_path(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert python_command() == ".venv/bin/python"


def test_a_program_by_the_path_that_works_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert program_path("train_main.py") == "train_main.py"
    monkeypatch.chdir(ROOT.parent)
    assert program_path("train_main.py") == f"{ROOT.name}/train_main.py"
    monkeypatch.chdir(tmp_path)
    assert program_path("train_main.py") == str(ROOT / "train_main.py")
    assert program_path("-m myxtts train") == "-m myxtts train"
