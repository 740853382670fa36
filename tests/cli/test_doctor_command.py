"""fix_nan_loss.py and `python -m myxtts doctor` as a user calls them: what is printed, written, and the exit code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from myxtts.cli.fix_nan_loss import main
from myxtts.cli.main import main as myxtts_main

ROOT = Path(__file__).resolve().parents[2]


def _made() -> ModuleType:
    spec = importlib.util.spec_from_file_location("made_run_folder", ROOT / "tests" / "doctor" / "made_run_folder.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made = _made()
OLDER = "training:\n  learning_rate: 8e-5\n  gradient_clip_norm: 0.8\n  epochs: 7\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def called(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What the command prints to stdout; to stderr where another exit code than 0 is awaited."""
    assert main(list(words)) == code
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return shown.err if code else shown.out


def test_without_arguments_and_with_nothing_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = called(capsys)
    assert out.startswith(
        "nothing found in the usual places (./checkpoints_stable, ./checkpoints, ./config*.yaml, ../dataset/"
    )
    assert f" {ROOT}/train_stable.py" in out and f" {ROOT}/fix_nan_loss.py check SETTINGS DATA RUN LOG" in out


def test_without_arguments_it_looks_at_the_usual_places(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made.poison(made.make_run(here / "checkpoints"), 30)
    (here / "config_mine.yaml").write_text(OLDER)
    (here / "config_torn.yaml").write_text("a: [")
    before = made.tree(here)
    out = called(capsys)
    assert "checkpoints (run): 1 certain, 0 likely, 0 possible causes of NaN" in out
    assert "most important, certain: unusable checkpoint: weights.safetensors holds 1 of" in out
    assert "config_mine.yaml (settings): 0 certain, 2 likely" in out
    assert "config_torn.yaml: config_torn.yaml:1: not valid YAML" in out
    assert "fix_nan_loss.py fix --run checkpoints\n" in out
    assert "fix_nan_loss.py fix --config config_mine.yaml --out config_mine_stable.yaml\n" in out
    assert made.tree(here) == before


def test_check_ranks_and_gives_each_its_place_and_advice(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "old.yaml").write_text(
        OLDER + "  scheduler: cosine_restarts\n  restart_period: 8000\n  restart_mult: 0.8\n"
    )
    out = called(capsys, "check", "old.yaml")
    assert out.index("certain: ") < out.index("likely: ")
    assert "NaN from update 40000" in out
    assert "where: old.yaml:2\n        fix: set optimizer.learning_rate: 1e-05 (8e-5 is where runs diverged" in out


def test_several_targets_one_of_them_unreadable(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "old.yaml").write_text(OLDER)
    (here / "train.log").write_text("loss: 2\nloss: nan\n")
    made.make_run(here / "run")
    words = ["check", "old.yaml", "none", "train.log", "run", "run/checkpoints/step-00000010"]
    assert main(words) == 2
    shown = capsys.readouterr()
    for head in ("old.yaml (settings)", "train.log (log)", "run (run)", "run/checkpoints/step-00000010 (checkpoint)"):
        assert f"{head}\n" in shown.out
    assert shown.err.startswith("error: 'none': does not exist; name a settings file") and shown.err.count("\n") == 1


def test_fix_config_writes_only_with_apply_and_only_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "old.yaml").write_text(OLDER)
    words = ["fix", "--config", "old.yaml", "--out", "new.yaml"]
    out = called(capsys, *words)
    assert "training.learning_rate 8e-5 -> optimizer.learning_rate 1e-05" in out and "reason: 8e-5 is where" in out
    assert "nothing was written; add --apply" in out and [p.name for p in here.iterdir()] == ["old.yaml"]
    out = called(capsys, *words, "--apply")
    assert "written: new.yaml" in out and f" {ROOT}/train_main.py --config new.yaml" in out
    assert "kept as you set them: training.epochs" in out
    before = made.tree(here.parent)
    assert "new.yaml already holds exactly these settings" in called(capsys, *words, "--apply")
    assert made.tree(here.parent) == before and set(before) == {"here/old.yaml", "here/new.yaml"}
    assert "nothing was written; use --out FILE --apply" in called(capsys, "fix", "--config", "old.yaml")
    assert "new.yaml already holds exactly these settings" in called(capsys, *words)
    for more in ([], ["--apply"]):
        for out, said in (("old.yaml", "is not overwritten"), ("no/new.yaml", "its folder does not exist")):
            err = called(capsys, "fix", "--config", "new.yaml", "--out", out, *more, code=2)
            assert err.count("\n") == 1 and said in err and made.tree(here.parent) == before
    err = called(capsys, "fix", "--config", "old.yaml", "--out", "old.yaml", code=2)
    assert "this one holds the original settings" in err


def test_fix_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made.make_run(here / "my run")
    made.poison(run, 30)
    before = made.tree(here)
    out = called(capsys, "fix", "--run", "my run")
    assert "nothing was written" in out and made.tree(here) == before and not (run / "lock").exists()
    out = called(capsys, "fix", "--run", "my run", "--apply")
    assert re.search(r"done; the previous state is in my run/before-fix-\d{8}-\d{6}\n", out)
    assert re.search(r": cp -a 'my run/before-fix-\d{8}-\d{6}/\.' 'my run'\n", out)
    assert f" {ROOT}/train_stable.py --config 'my run/config.yaml' --checkpoint-dir 'my run'" in out
    after = made.tree(here)
    out = called(capsys, "fix", "--run", "my run", "--apply")
    assert "nothing to fix in my run" in out and "resume with: " in out and made.tree(here) == after


def test_persian(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "old.yaml").write_text(OLDER)
    run = made.make_run(here / "run")
    made.poison(run, 30)
    for words in (
        ["check", "old.yaml", "run"],
        ["fix", "--config", "old.yaml"],
        ["fix", "--run", "run", "--apply"],
        [],
    ):
        out = called(capsys, *words, "--language", "fa")
        assert re.search(r"[\u0600-\u06ff]", out) and not re.search(r"\b(likely|nothing|reason):? ", out)
    assert "با 8e-5 اجراها واگرا شدند" in called(capsys, "check", "old.yaml", "--language", "fa")
    assert myxtts_main(["doctor", "run", "--language", "fa"]) == 0
    assert "حال اجرا: هنوز زود" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["mend"], "unknown command 'mend'; commands: check TARGET..., fix"),
        (["check"], "check needs a target"),
        (["check", "x", "--apply"], "--apply belongs to `fix`"),
        (["fix"], "fix takes one of --config FILE and --run DIR"),
        (["fix", "--config", "a", "--run", "b"], "fix takes one of --config FILE and --run DIR"),
        (["fix", "x", "--run", "b"], "unexpected argument 'x'"),
        (["fix", "--config", "a", "--apply"], "--apply needs --out FILE"),
        (["fix", "--run", "b", "--out", "c"], "--out belongs to fix --config FILE"),
        (["fix", "--config", "a", "--reset"], "--reset belongs to fix --run DIR"),
        (["fix", "--run", "none"], "'none' does not exist"),
        (["fix", "--config", "none.yaml"], "'none.yaml': cannot be read"),
        (["check", "x", "--language", "de"], "invalid choice: 'de'"),
        (["check", "x", "--langage", "fa"], "unknown option '--langage'; did you mean --language?"),
        (["check", "a\nerror: b"], "'a\\nerror: b': does not exist"),
        (["check", "a\0b"], "does not exist"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], part: str
) -> None:
    err = called(capsys, *words, code=2)
    assert err.startswith("error: ") and err.count("\n") == 1 and part in err
    assert list(here.iterdir()) == []


def test_doctor(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made.make_run(here / "run")
    lost = {"rate_factor": 0.5, "quarantine": {"c4": {"update": 5, "cause": "mel of c4"}}, "strikes": {"c4": [1, 2, 3]}}
    made.save(run, 40, recovery={**made.RECOVERY, **lost})
    made.add_event(run, "skip", 33, rung=1, incident="incidents/update-0000033-micro-000130/")
    made.add_event(run, "rollback", 34, rung=4, from_update=34, to_update=30, cause="c")
    assert myxtts_main(["doctor", "run"]) == 0
    out = capsys.readouterr().out
    assert "health: early (saved with the checkpoint of update 40)" in out and "the loss falls [early]" in out
    assert "rung 4, rolled back, learning rate halved: 1\n" in out
    assert "update 33, rung 1: skip [incidents/update-0000033-micro-000130/]" in out
    assert "learning rate x 0.5, clip x 1.0" in out and "quarantined clips: 1 (c4)" in out
    rows = [line.split() for line in out.splitlines() if re.match(r"  c\d+ ", line)]
    assert len(rows) == 20 and rows[0][:4] == ["c4", "1.414", "3", "3"] and rows[1][0] == "c29"
    assert out.rstrip().endswith("fix or delete their rows")


def test_doctor_of_a_run_without_checkpoints(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made.make_run(here / "run", updates=())
    for name in ("events.jsonl", "utterances.txt"):
        (run / name).unlink()
    made.write_metrics(run, 150)
    assert myxtts_main(["doctor", "run"]) == 0
    out = capsys.readouterr().out
    assert "(replayed from metrics.jsonl up to update 150)" in out and "there is no events.jsonl" in out
    assert "its state is unknown" in out and "no readable checkpoint has the losses" in out
    assert "there is no checkpoint yet" in out
    assert myxtts_main(["doctor", "none"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_help_names_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    shown = called(capsys, "--help")
    assert "check TARGET..." in shown and "--apply" in shown


def test_the_example_of_the_documentation(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs/how-to/nan.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"^```yaml\n(# config_old\.yaml\n.*?)^```$", text, re.M | re.S)
    rows = re.findall(r"^\| `(config_old\.yaml:\d+)` \| .* \| set `([\w.]+: \S+)` \|$", text, re.M)
    (here / "config_old.yaml").write_text(settings)
    shown = called(capsys, "check", "config_old.yaml")
    assert len(rows) == 5 and re.findall(r"where: (\S+)\n +fix: set (\S+ \S+)", shown) == rows
