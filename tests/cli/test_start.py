"""What starting a command loads: one process runs all commands, and TensorFlow is not loaded by any of them."""

import json
import subprocess
import sys
from pathlib import Path

import made_model
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"numpy", "tensorflow", "keras", "librosa", "numba", "scipy", "tqdm"}
SLOW = {"tensorflow", "keras"}
MODULES = ("myxtts.data.features", "myxtts.training.tensorboard_log")
"""What the processes of data preparation import, and what writes for TensorBoard without TensorFlow."""

CHILD = """
import contextlib, importlib, io, json, sys
commands, modules, heavy = json.loads(sys.argv[1])
found = []
for module, words in commands:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            code = importlib.import_module(module).main(words)
        except SystemExit as end:
            code = end.code
    found.append((code, shown.getvalue(), sorted(set(heavy) & set(sys.modules))))
for module in modules:
    importlib.import_module(module)
    found.append((0, "", sorted(set(heavy) & set(sys.modules))))
print(json.dumps(found))
"""


def started(commands: list[tuple[str, list[str]]], modules: tuple[str, ...] = ()) -> list[tuple[int, str, set[str]]]:
    """(exit code, text, heavy modules loaded so far) of each command, then of each module; all in one process."""
    words = [sys.executable, "-c", CHILD, json.dumps((commands, modules, sorted(HEAVY)))]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [(code, shown, set(loaded)) for code, shown, loaded in json.loads(done.stdout)]


def test_help_and_mistakes_load_nothing_heavy() -> None:
    from myxtts.cli.main import COMMANDS

    commands = [("myxtts.cli.main", [name, "--help"]) for name in COMMANDS]
    commands += [("myxtts.cli.doctor", ["--help"]), ("myxtts.cli.main", ["--help"]), ("myxtts.cli.train", ["--lrr"])]
    for (module, words), (code, shown, loaded) in zip(commands, started(commands), strict=True):
        assert (code, loaded) == (2 if words == ["--lrr"] else 0, set()), (module, words, shown)


def test_tensorflow_is_loaded_only_to_compute(tmp_path: Path) -> None:
    """Listing, diagnosis and everything that is wrong with the arguments does without."""
    run = made_model.save_run(tmp_path / "run", made_model.resolved(), average={"w": np.zeros(2, np.float32)})
    (tmp_path / "old.yaml").write_text("training:\n  learning_rate: 8e-5\n")
    of_run = ["--checkpoint", str(run)]
    commands = [
        ("myxtts.cli.speak", [*of_run, "--list"]),
        ("myxtts.cli.voice", [*of_run, "--speaker", "bop", "--out", str(tmp_path / "x.voice")]),
        ("myxtts.cli.evaluate", [*of_run, "--data", "nowhere", "--no-judge"]),
        ("myxtts.cli.replay", ["nowhere"]),
        ("myxtts.cli.doctor", ["check", str(run), str(tmp_path / "old.yaml")]),
        ("myxtts.cli.main", ["doctor", str(run)]),
    ]
    found = started(commands, MODULES)
    for of, (_, shown, loaded) in zip((*commands, *MODULES), found, strict=True):
        assert not loaded & SLOW, (of, shown)
    assert [code for code, _, _ in found[:4]] == [0, 2, 2, 2], found[:4]


@pytest.mark.parametrize("words", [["train_main.py"], ["train_stable.py"], ["fix_nan_loss.py"], ["-m", "myxtts"]])
def test_the_programs_themselves(words: list[str]) -> None:
    done = subprocess.run([sys.executable, *words, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("usage: "), done.stderr
