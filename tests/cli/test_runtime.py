"""Which Python and program a printed command names, and what is shown while TensorFlow loads."""

import os
import sys
from pathlib import Path

import pytest

from myxtts.cli.runtime import program_path, python_command, quiet_loading

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


def test_from_elsewhere_by_its_absolute_path(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert program_path("myxtts train") == "myxtts train"


def test_chatter_is_held_back(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with quiet_loading():
        os.write(2, b"chatter\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"


def test_it_is_shown_where_loading_fails(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with pytest.raises(ImportError), quiet_loading():
        os.write(2, b"why it failed\n")
        raise ImportError
    assert capfd.readouterr().err == "why it failed\n"


def test_a_user_who_set_the_level_sees_all(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with quiet_loading():
        os.write(2, b"chatter\n")
    assert capfd.readouterr().err == "chatter\n"
