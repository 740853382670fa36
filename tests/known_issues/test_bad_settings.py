"""Found by fuzzing settings; each of these ended in a traceback once."""

from __future__ import annotations

from pathlib import Path

import pytest

from myxtts.config.files import load_file
from myxtts.config.resolve import resolve
from myxtts.errors import ConfigError


def problem_of(tmp_path: Path, text: str) -> str:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve([load_file(path)])
    [problem] = caught.value.problems
    assert problem.isprintable() and f"{path}:2" in problem and len(problem) < 500
    return problem


def test_a_whole_number_too_large_for_a_float(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, f"data:\n  length_buckets: {'9' * 400}\n")
    assert "expected a whole number from 1 to 64" in problem


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("~nobody-here/x", "~nobody-here is not a home folder"),
        ("y" * 300, "a name in the path has 300 bytes"),
        ("سلام" * 40 + "/x", "a name in the path has 320 bytes"),
        ("a/" * 900, "the path has 1800 characters"),
    ],
)
@pytest.mark.parametrize("key", ["data:\n  val_path", "data:\n  cache_path", "training:\n  checkpoint_dir"])
def test_paths_that_no_file_system_takes(tmp_path: Path, key: str, path: str, words: str) -> None:
    assert words in problem_of(tmp_path, f"{key}: {path}\n")


def test_a_pitch_range_from_nearly_nothing_made_every_recording_look_bad(tmp_path: Path) -> None:
    """Windows of an hour for each frame: every worker ran out of memory, and the recordings were blamed."""
    assert "expected a number (Hz) of at least 20" in problem_of(tmp_path, "audio:\n  pitch_low_hz: 1e-9\n")
