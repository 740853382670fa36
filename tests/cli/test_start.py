"""What starting a command loads: nothing that takes long before it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys; from myxtts.cli import train, main; code = train.main(['--nonsense']);"
        "print(code, sorted({'numpy', 'tensorflow', 'keras', 'librosa', 'tqdm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 []"


@pytest.mark.parametrize(
    "words", [["train_stable.py", "--help"], ["train_main.py", "--lrr", "1"], ["-m", "myxtts", "--help"]]
)
def test_help_and_errors_load_nothing_that_takes_long(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == (2 if "--lrr" in words else 0), done.stderr
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "myxtts" in loaded and not loaded & {"tensorflow", "keras", "librosa", "numba", "scipy"}
