"""`python -m myxtts replay`: a wrong path is reported at once. (Replaying itself: tests/training/test_replay.py.)"""

from pathlib import Path

import pytest

from myxtts.cli import replay


@pytest.mark.parametrize(
    ("name", "what"), [("none", "does not exist"), ("file", "is a file"), ("run", "has no incident.json")]
)
def test_a_wrong_path_is_one_line(name: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "run").mkdir()
    assert replay.main([str(tmp_path / name)]) == 2
    assert capsys.readouterr().err == f"error: incident '{tmp_path / name}' {what}; give a folder of RUN/incidents\n"
