"""X1: broken settings files and runs, each repaired or explained in one line; twice changes nothing more."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import made_run_folder as made
import numpy as np
import pytest
from test_settings_doctor import BEFORE, OLDER, ours

from myxtts.config.fields import LEAVES
from myxtts.config.files import load_file
from myxtts.config.resolve import resolve
from myxtts.doctor.messages import LANGUAGES, render
from myxtts.doctor.run.fix import plan_lines, repair_run
from myxtts.doctor.run.look import check_run
from myxtts.doctor.run.plan import make_plan
from myxtts.doctor.settings.check import check_settings
from myxtts.doctor.settings.fix import repair_settings, write_settings
from myxtts.errors import MyXTTSError
from myxtts.progress import silent
from myxtts.storage.checkpoint import read_checkpoint
from myxtts.storage.find_checkpoint import find

SEED = 20_261_122
SETTINGS_FILES, RUNS = 20, 15
BAD_VALUES = (
    "nan", ".nan", ".inf", "-1", "0", "1e9", "abc", "''", "null", "[1, 2]", "{a: 1}", "true", "1e-400", "9" * 5_000,
    "!!python/object:os.system x", "'\\x00'", "\u202e", "٣",
)  # fmt: skip

outcomes: Counter[str] = Counter()


def broken_settings(draw: random.Random) -> bytes:
    """A settings file of one of the two systems with one to four things wrong with it."""
    older = draw.random() < 0.5
    lines = (OLDER if older else ours(BEFORE)).strip().splitlines()
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(lines))
        what = draw.randrange(8)
        head = lines[place].partition(":")[0]
        if what == 0:
            lines[place] = f"{head}: {draw.choice(BAD_VALUES)}"
        elif what == 1:
            lines.insert(place, lines[place])
        elif what == 2:
            lines[place] = lines[place].replace("_", "-", 1) if draw.random() < 0.5 else lines[place].upper()
        elif what == 3:
            del lines[place]
        elif what == 4:
            lines[place] = " " * draw.randint(0, 5) + lines[place].strip()
        elif what == 5:
            key = draw.choice([k for k in LEAVES if "." in k])
            lines += [
                f"{key.partition('.')[0]}_{draw.randint(0, 9)}:",
                f"  {key.partition('.')[2]}: {draw.choice(BAD_VALUES)}",
            ]
        elif what == 6:
            lines.append(
                draw.choice(["<<: *x", "? [a]\n: b", "a: &a [*a]", "\t- x", "%YAML 9.9", "--- ", "max_steps: 100"])
            )
        else:
            lines = lines[: draw.randint(1, len(lines))]
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    if draw.random() < 0.1:
        content = content[: draw.randrange(len(content))] + bytes([draw.randrange(256)]) * draw.randint(1, 9)
    return content + b"\n"


@pytest.mark.parametrize("number", range(SETTINGS_FILES))
def test_broken_settings(tmp_path: Path, number: int) -> None:
    path, out = tmp_path / "broken.yaml", tmp_path / "stable.yaml"
    path.write_bytes(broken_settings(random.Random(SEED + number)))
    before = path.read_bytes()
    try:
        repaired = repair_settings(path)
        report = check_settings(path)
    except MyXTTSError as error:
        assert "\n" not in str(error) and "broken.yaml" in str(error)
        outcomes["settings explained"] += 1
        return
    for finding in report.findings:
        for language in LANGUAGES:
            assert all("\n" not in render(said, language) for said in (finding.what, finding.do))
    assert write_settings(out, repaired, path) and not write_settings(out, repaired, path)
    config = resolve([load_file(out)]).config
    assert config.optimizer.learning_rate <= 1e-5 and config.optimizer.clip_norm <= 0.3
    assert config.training.precision == "fp32" and not repair_settings(out).changes
    assert path.read_bytes() == before
    outcomes["settings repaired"] += 1


def _delete_manifest(run: Path, update: int, draw: random.Random) -> None:
    (run / "checkpoints" / f"step-{update:08d}" / "manifest.json").unlink()


def _delete_file(run: Path, update: int, draw: random.Random) -> None:
    draw.choice(sorted((run / "checkpoints" / f"step-{update:08d}").iterdir())).unlink()


def _empty_file(run: Path, update: int, draw: random.Random) -> None:
    draw.choice(sorted((run / "checkpoints" / f"step-{update:08d}").iterdir())).write_bytes(b"")


def _renamed_file(run: Path, update: int, draw: random.Random) -> None:
    path = run / "checkpoints" / f"step-{update:08d}" / "weights.safetensors"
    path.rename(path.with_name("weights.safetensors~"))


def _swap(run: Path, update: int, draw: random.Random) -> None:
    folder = run / "checkpoints" / f"step-{update:08d}"
    one, other = folder / "weights.safetensors", folder / "moments.safetensors"
    one_bytes, other_bytes = one.read_bytes(), other.read_bytes()
    one.write_bytes(other_bytes)
    other.write_bytes(one_bytes)


def _flip(run: Path, update: int, draw: random.Random) -> None:
    made.flip(run, update, draw.choice(["weights.safetensors", "state.json", "manifest.json"]), draw.randint(-90, -2))


def _cut(run: Path, update: int, draw: random.Random) -> None:
    made.cut(run, update, draw.choice(["weights.safetensors", "average.safetensors", "state.json"]))


def _poison(run: Path, update: int, draw: random.Random) -> None:
    value = draw.choice([np.nan, np.inf, -np.inf, 1e30, -1e6])
    made.poison(run, update, value, draw.choice(["weights", "average"]))


def _poison_moments(run: Path, update: int, draw: random.Random) -> None:
    made.poison(run, update, np.nan, draw.choice(["moments", "detector"]))


def _diverged(run: Path, update: int, draw: random.Random) -> None:
    made.save(run, update, value=0.7, well=made.diverged_health(draw.randint(300, 900)))


def _odd_state(run: Path, update: int, draw: random.Random) -> None:
    odd = draw.choice([{"position": {}}, {"health": {"x": 1}}, {"recovery": {"rate_factor": "x"}}, {"loss_scale": 1}])
    made.save(run, update, value=0.8, **odd)


def _config(run: Path, update: int, draw: random.Random) -> None:
    (run / "config.yaml").write_bytes(draw.choice([b"", b"\x00", b"- a\n", b"optimizer: {learning_rate: 1}\n"]))


def _journals(run: Path, update: int, draw: random.Random) -> None:
    for name in ("events.jsonl", "metrics.jsonl", "recovery.json", "utterances.txt"):
        (run / name).write_bytes(
            draw.choice([b"", b"\xff\n{\n", b'{"event": 7}\n{"kind": "train", "update": "x"}\n', b"[" * 3_000])
        )


def _gave_up(run: Path, update: int, draw: random.Random) -> None:
    for rung, event in ((1, "skip"), (1, "skip"), (1, "skip"), (7, "gave_up")):
        made.add_event(run, event, update, rung=rung)


HARMS: tuple[Callable[[Path, int, random.Random], None], ...] = (
    _delete_manifest, _delete_file, _empty_file, _renamed_file, _swap, _flip, _cut, _poison, _poison_moments, _diverged,
    _odd_state, _config, _journals, _gave_up,
)  # fmt: skip


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    return made.make_run(folder / "run", updates=(10, 20), optimizer__learning_rate="8e-5")


@pytest.mark.parametrize("number", range(RUNS))
def test_broken_runs(tmp_path: Path, whole_run: Path, number: int) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(whole_run, run)
    draw = random.Random(SEED - number)
    for place in range(draw.randint(1, 3)):
        harm = HARMS[(number + place * 5) % len(HARMS)]
        try:
            harm(run, draw.choice([10, 20, 20]), draw)
        except (OSError, ValueError, MyXTTSError):
            continue  # what an earlier harm took away cannot be harmed again
    before, others = made.tree(run), sorted(tmp_path.iterdir())
    try:
        report = check_run(run, silent)
        plan = make_plan(run, silent)
        assert made.tree(run) == before, "a dry run changes nothing"
        done, backup = repair_run(run, silent)
    except MyXTTSError as error:
        assert "\n" not in str(error) and made.tree(run) == before
        outcomes["runs explained"] += 1
        return
    for said in [*report.facts, *(f.what for f in report.findings), *plan_lines(done)]:
        assert all("\n" not in render(said, language) for language in LANGUAGES)
    assert (backup is None) == plan.empty and sorted(tmp_path.iterdir()) == others
    newest = find(run, "last")
    assert newest.update == done.good.update and not newest.passed_over
    for stem in ("weights", "average"):
        for array in read_checkpoint(newest.path).arrays[stem].values():
            assert np.isfinite(array).all() and np.abs(array).max() < 1e4
    if done.reasons:
        assert not newest.arrays["moments"]["steps"].any()
        assert resolve([load_file(run / "config.yaml")]).config.optimizer.learning_rate <= 1e-5
    after = made.tree(run)
    assert repair_run(run, silent)[1] is None and made.tree(run) == after
    outcomes["runs repaired" if backup else "runs left alone"] += 1


def test_most_are_repaired() -> None:
    """Runs last in this file; alone or spread over processes it has nothing to count."""
    if sum(outcomes.values()) == SETTINGS_FILES + RUNS:
        assert outcomes["settings repaired"] >= 8 and outcomes["runs repaired"] >= 7, outcomes
        assert outcomes["runs left alone"] <= 3, outcomes
