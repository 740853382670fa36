"""`python -m myxtts replay`: a wrong path is told at once. (Replaying itself: tests/training/test_replay.py.)"""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("name", "what"), [("none", "does not exist"), ("file", "is a file"), ("run", "has no incident.json")]
)
def test_a_wrong_path_is_told_without_tensorflow(name: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "run").mkdir()
    code = (
        "import sys; from myxtts.cli import replay\n"
        f"found = replay.main([{str(tmp_path / name)!r}])\n"
        "assert 'tensorflow' not in sys.modules; sys.exit(found)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr == f"error: incident '{tmp_path / name}' {what}; give a folder of RUN/incidents\n"
