"""The options of the training commands: all are there, each sets its setting, and errors say what to write."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from made_training_command import ROOT, errors, main, stable

from myxtts.cli.arguments import OPTION_OF_KEY, training_parser
from myxtts.config.fields import LEAVES

ISSUE_OPTIONS = (
    "--train-data",
    "--val-data",
    "--model-size",
    "--optimization-level",
    "--config",
    "--lr",
    "--batch-size",
    "--grad-accum",
    "--epochs",
    "--max-updates",
    "--warmup-updates",
    "--clip-norm",
    "--precision",
    "--mel-loss-weight",
    "--kl-loss-weight",
    "--num-workers",
    "--seed",
    "--checkpoint-dir",
    "--fresh",
    "--init-from",
    "--set",
    "--explain",
    "--dry-run",
)


def test_every_option_of_the_command_is_there_and_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("--help") == 0
    text = capsys.readouterr().out
    for option in ISSUE_OPTIONS:
        assert f"  {option}" in text
    assert "(0.001, level enhanced)" in text and "(./checkpoints)" in text
    assert set(OPTION_OF_KEY) <= set(LEAVES)


def test_help_of_the_stable_program_has_its_own_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert stable("--help") == 0
    text = capsys.readouterr().out
    assert "(1e-05, level basic)" in text and "(./checkpoints_stable)" in text and "python3 train_stable.py" in text


def test_no_option_has_a_default_of_its_own() -> None:
    namespace, unknown = training_parser("x", None).parse_known([])
    assert namespace.settings == [] and unknown == []


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("--resume", "the same command resumes"),
        ("--restore_path=x", "the same command resumes"),
        ("--continue-path", "the same command resumes"),
        ("--load-checkpoint", "the same command resumes"),
        ("--learning-rate", "did you mean --lr?"),
        ("--checkpoint_path", "did you mean --checkpoint-dir?"),
        ("--save-steps", "did you mean --set training.checkpoint_every_updates=...?"),
        ("--frehs", "unknown option '--frehs'; --help lists all"),
        ("--refresh", "unknown option '--refresh'; --help lists all"),
    ],
)
def test_habits_from_other_programs_never_start_over(
    calls: dict[str, Any], capsys: pytest.CaptureFixture[str], word: str, answer: str
) -> None:
    assert main("--train-data", ".", word) == 2
    said = capsys.readouterr().err
    assert answer in said and "mean --fresh" not in said and "train" not in calls


def test_every_option_sets_its_setting(calls: dict[str, Any]) -> None:
    given = {
        "--train-data": ".", "--val-data": "v", "--model-size": "small", "--optimization-level": "basic",
        "--lr": "2e-5",
        "--batch-size": "8", "--grad-accum": "2", "--epochs": "3", "--max-updates": "70", "--warmup-updates": "20",
        "--clip-norm": "0.2", "--precision": "bf16", "--mel-loss-weight": "2", "--kl-loss-weight": "0.25",
        "--num-workers": "1", "--seed": "5", "--devices": "1", "--checkpoint-dir": "c",
        "--decoder": "flow", "--columns": "id,text",
        "--layout": "table", "--language": "fa", "--dictionary": "none",
    }  # fmt: skip
    assert main(*(word for pair in given.items() for word in pair)) == 0
    resolved = calls["train"][0]
    assert set(given) == set(OPTION_OF_KEY.values())
    for key, flag in OPTION_OF_KEY.items():
        source = resolved.source(key)
        assert source.layer == f"command line {flag}"
        assert str(source.value) == given[flag] or float(source.value) == float(given[flag])
    assert resolved.named == frozenset(OPTION_OF_KEY)


def test_a_later_option_beats_an_earlier_one_whatever_its_form(calls: dict[str, Any]) -> None:
    assert main("--train-data", ".", "--lr", "1e-4", "--set", "optimizer.learning_rate=2e-4") == 0
    assert calls["train"][0].config.optimizer.learning_rate == 2e-4
    assert main("--train-data", ".", "--set", "optimizer.learning_rate=2e-4", "--lr=1e-4") == 0
    assert calls["train"][0].config.optimizer.learning_rate == 1e-4


def test_everything_wrong_is_reported_at_once(calls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.yaml").write_text("optimizer:\n  learning_rte: 1\ntraining:\n  batch_size: 0\n")
    words = ["--lrr", "3", "--batchsize", "3", "--lr", "abc", "--set"]
    words += ["optimizer.beta1=2", "--set", "x", "--config", "x.yaml", "stray"]
    assert main(*words) == 2
    lines = errors(capsys)
    assert len(lines) == 8 and not calls
    text = "\n".join(lines)
    assert "unknown option '--lrr'; did you mean --lr?" in text
    assert "unknown option '--batchsize'; did you mean --batch-size?" in text
    assert "unexpected argument 'stray'" in text
    assert "--set takes section.key=value, got 'x'" in text
    assert "optimizer.learning_rate is 'abc' (command line --lr)" in text
    assert "the nearest is optimizer.beta_1" in text and "(command line --set)" in text
    assert "x.yaml:2: unknown key 'optimizer.learning_rte'; the nearest is optimizer.learning_rate" in text
    assert "training.batch_size is '0' (file x.yaml:4)" in text


def test_an_option_without_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("--lr") == 2
    assert errors(capsys) == ["error: --lr: expected one argument; --help lists the options of train_main.py"]


def test_the_stable_program_names_the_other_for_other_levels(
    calls: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert stable("--optimization-level", "enhanced") == 2
    (line,) = errors(capsys)
    assert "pinned to basic, got 'enhanced'" in line
    assert line.endswith(f"`python3 {ROOT / 'train_main.py'}`"), "the path works from this folder"
    assert stable("--optimization-level", "basic", "--train-data", ".") == 0


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert stable("--lr", "3e-5", "--explain", "optimizer.learning_rate", "--explain", "model.width") == 0
    out = capsys.readouterr().out
    assert (
        "optimizer.learning_rate = 3e-05" in out and "shadows level basic: 1e-05" in out and "set by  size tiny" in out
    )
    assert main("--explain", "optimizer.learnin_rate") == 2
    assert "the nearest is optimizer.learning_rate" in errors(capsys)[0]


def test_an_automatic_batch_size(calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found out after the data is prepared; a later number wins over it, and it over an earlier one."""
    seen: list[bool] = []

    def automatic(resolved: Any, prepared: Any, say: Any, *, fresh: bool) -> Any:
        seen.append(fresh)
        return resolved.changed({"training.batch_size": 7}, "command line --batch-size auto", "")

    monkeypatch.setitem(
        sys.modules, "myxtts.training.batch_size", types.SimpleNamespace(with_automatic_batch=automatic)
    )
    assert main("--train-data", ".", "--batch-size", "4", "--batch-size", "auto", "--fresh") == 0
    assert seen == [True] and calls["train"][0].config.training.batch_size == 7
    chain = [source.value for source in calls["train"][0].provenance["training.batch_size"]]
    assert 4 not in chain
    assert main("--train-data", ".", "--batch-size", "auto", "--batch-size", "4") == 0
    assert seen == [True] and calls["train"][0].config.training.batch_size == 4
