"""The training commands from the outside: options, errors, exit codes, --explain, --dry-run, the call of training."""

import json
import shlex
import sys
import types
from pathlib import Path
from typing import Any

import made_model
import numpy as np
import pytest
from made_training_command import ROOT, errors, main, stable

from myxtts.config.files import config_yaml
from myxtts.config.resolve import resolve
from myxtts.errors import DataError
from myxtts.storage.store import CheckpointStore


def test_entry_points_differ_in_level_and_directory_alone(calls: dict[str, Any]) -> None:
    """A golden: what the two programs start with."""
    assert main("--train-data", ".") == 0
    config = calls["train"][0].config
    golden = ("tiny", "enhanced", "./checkpoints", 1e-3, 200, 1.0, 8, 1, "auto", 500, 0, 1)
    assert figures(config) == golden
    assert stable("--train-data", ".") == 0
    golden = ("tiny", "basic", "./checkpoints_stable", 1e-5, 3_000, 0.3, 16, 4, "fp32", 500, 0, 1)
    assert figures(calls["train"][0].config) == golden


def figures(config: Any) -> tuple[Any, ...]:
    t, o = config.training, config.optimizer
    return (
        config.model_size,
        config.optimization_level,
        t.checkpoint_dir,
        o.learning_rate,
        config.schedule.warmup_updates,
        o.clip_norm,
        t.batch_size,
        t.grad_accum,
        t.precision,
        t.epochs,
        t.max_updates,
        t.seed,
    )


def test_the_length_has_a_floor_unless_the_user_sets_epochs(calls: dict[str, Any]) -> None:
    assert stable("--train-data", ".") == 0
    assert calls["train"][0].config.training.min_updates == 10_250
    assert stable("--train-data", ".", "--epochs", "3") == 0
    assert calls["train"][0].config.training.min_updates == 0
    assert stable("--train-data", ".", "--epochs", "3", "--set", "training.min_updates=7") == 0
    assert calls["train"][0].config.training.min_updates == 7


def test_config_file_with_the_level_equals_the_stable_program(calls: dict[str, Any]) -> None:
    assert main("--config", str(ROOT / "config_nan_loss_fix.yaml"), "--train-data", ".", "--checkpoint-dir", "c") == 0
    of_file = calls["train"][0].config
    assert stable("--train-data", ".", "--checkpoint-dir", "c") == 0
    assert of_file == calls["train"][0].config


def test_the_built_in_corpus_takes_the_place_of_a_missing_default(
    calls: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert stable() == 0
    resolved = calls["train"][0]
    assert resolved.config.training.max_minutes == 9.0 and resolved.named == frozenset()
    out = capsys.readouterr().out
    assert "a note on the data\ntraining 100 clips\n" in out
    assert "training.max_minutes" in out and "built-in corpus" in out
    assert "40 updates" in out and "1% of 1e-05 (the warmup lasts 3000 updates)" in out
    assert f"To continue: .venv/bin/python {ROOT}/train_stable.py --epochs 500" in out and "make demo" in out


def test_a_run_on_own_data_ends_with_what_to_type_next(
    calls: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("--train-data", ".", "--checkpoint-dir", "my run") == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert "At update 40 this run ends within its warmup of 200 updates, at 20%" in lines[0]
    assert lines[1].startswith("To train longer, raise --epochs or --max-updates: .venv/bin/python ")
    assert lines[2] == (
        "Listen to it: .venv/bin/python -m myxtts speak '--text=The birch canoe slid on the smooth planks, ...' "
        "--checkpoint 'my run' --out hello.wav --language fa"
    )
    assert main("--train-data", ".", "--checkpoint-dir", "x", "--set", "schedule.warmup_updates=20") == 0
    assert capsys.readouterr().out.splitlines()[-3].endswith("updates of 8; this run has 40.")


def test_a_text_that_begins_with_a_hyphen_can_be_spoken_by_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from myxtts.cli import speak, train

    monkeypatch.setattr("myxtts.cli.plan.words_expected", lambda *given: "")
    sentence = SimpleNamespace(text="--- It's he.", language="en-us")
    prepared: Any = SimpleNamespace(
        validation=SimpleNamespace(utterances=[sentence]), corpus=SimpleNamespace(languages=["en-us"])
    )
    resolved: Any = SimpleNamespace(config=SimpleNamespace(training=SimpleNamespace(checkpoint_dir="run")))
    (line,) = train.end_lines(resolved, prepared, 1, "command")
    words = shlex.split(line.removeprefix("Listen to it: "))
    given, unknown = speak._parser().parse_known(words[words.index("speak") + 1 :])
    assert (given.text, given.words, unknown) == ("--- It's he.", None, [])


@pytest.mark.parametrize("words", [["--epochs", "2"], ["--max-updates", "9"], ["--set", "training.epochs=2"]])
def test_a_length_of_the_users_own_lifts_the_time_limit(calls: dict[str, Any], words: list[str]) -> None:
    assert stable(*words) == 0
    assert calls["train"][0].config.training.max_minutes == 0.0


def test_data_at_the_default_path_is_taken(calls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    (Path.cwd().parent / "dataset" / "dataset_train").mkdir(parents=True)
    assert main() == 0
    assert calls["train"][0].config.training.max_minutes == 0.0
    assert "built-in corpus" not in capsys.readouterr().out, "neither the layer nor the closing words"


def test_the_start_prints_what_differs_and_where_it_is_from(
    calls: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("--train-data", ".", "--seed", "7") == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.split()[:1] == ["training.seed"])
    assert row.split(maxsplit=2)[1:] == ["7", "command line --seed"]
    assert any("optimizer.learning_rate" in line and "level enhanced" in line for line in lines)
    assert not any("audio.hop_samples" in line for line in lines)


def test_dry_run_prints_the_plan_and_writes_nothing(calls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main("--train-data", ".", "--dry-run", "--batch-size", "16", "--grad-accum", "2", "--epochs", "10") == 0
    out = capsys.readouterr().out
    assert "train" not in calls and "prepare" in calls
    for words in (
        "100 (5.8 minutes, speakers: 2)",
        "3.5 (of 32 clips)",
        "about 35 (10.0 epochs)",
        "frames/s",
        "GB",
        "million weights",
    ):
        assert words in out
    assert list(Path.cwd().iterdir()) == []


def test_what_training_is_called_with(calls: dict[str, Any]) -> None:
    base = made_model.corpus()
    texts = {"corpus.json": json.dumps(base.to_json()), "config.yaml": config_yaml(resolve([]))}
    store = CheckpointStore(Path("../old/checkpoints"), 1, 1)
    store.save(3, {"weights": {"w": np.ones(2, np.float32)}}, {}, texts=texts)
    assert main("--train-data", "a b", "--fresh", "--init-from", "../old", "--epochs", "2") == 0
    resolved, prepared, options = calls["train"]
    assert options["fresh"] is True and options["init_from"] == Path("../old")
    assert options["command"] == f".venv/bin/python {ROOT}/train_main.py --train-data 'a b' --epochs 2"
    assert "data.train_path" in resolved.named and calls["prepare"][1] == resolved.named
    assert calls["prepare"][2].to_json() == base.to_json(), "its scales hold for the new data"
    assert len(prepared.train) == 100
    options["screen"].say("a line")


def test_a_level_for_learned_weights_warns_once_where_there_are_none(
    calls: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("--train-data", ".", "--optimization-level", "fine_tuning") == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "--init-from" in line]
    assert "schedule.diagonal_prior_updates is 0 (level fine_tuning)" in line
    texts = {"corpus.json": json.dumps(made_model.corpus().to_json()), "config.yaml": config_yaml(resolve([]))}
    CheckpointStore(Path("../old/checkpoints"), 1, 1).save(
        3, {"average": {"w": np.ones(2, np.float32)}}, {}, texts=texts
    )
    words = ["--train-data", ".", "--optimization-level", "fine_tuning", "--init-from", "../old", "--dry-run"]
    assert main(*words) == 0
    printed = capsys.readouterr()
    assert "--init-from" not in printed.err and "Plan (estimates" in printed.out


def test_a_run_that_began_with_other_weights_keeps_their_scales(calls: dict[str, Any]) -> None:
    base = made_model.corpus()
    Path("run").mkdir()
    Path("run/base_corpus.json").write_text(json.dumps(base.to_json()), encoding="utf-8")
    Path("run/config.yaml").write_text(config_yaml(resolve([])), encoding="utf-8")
    assert main("--train-data", ".", "--checkpoint-dir", "run") == 0
    assert calls["prepare"][2].to_json() == base.to_json()
    assert main("--train-data", ".", "--checkpoint-dir", "run", "--fresh") == 0
    assert calls["prepare"][2] is None


def test_a_corpus_that_cannot_be_read_is_named(calls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("run").mkdir()
    Path("run/base_corpus.json").write_text("{}", encoding="utf-8")
    Path("run/config.yaml").write_text(config_yaml(resolve([])), encoding="utf-8")
    assert main("--train-data", ".", "--checkpoint-dir", "run") == 2
    (line,) = errors(capsys)
    assert "run/base_corpus.json: its corpus cannot be read (corpus: mel_mean_C" in line


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_no_weights_to_start_from_is_an_error_before_any_feature(
    calls: dict[str, Any], capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    Path("../empty").mkdir()
    for path, message in (("../nowhere", "does not exist"), ("../empty", "there is no checkpoint in '../empty'")):
        assert main("--train-data", ".", "--init-from", path, *more) == 2
        (line,) = errors(capsys)
        assert message in line and "give a run directory" in line
    assert not calls and list(Path.cwd().iterdir()) == []
    assert main("--init-from", "../nowhere", "--explain", "optimizer.learning_rate") == 2, "its settings are a layer"


@pytest.mark.parametrize("more", [["--fresh"], ["--dry-run"]])
@pytest.mark.parametrize("run", ["data", "data/../data/"])
def test_a_run_is_not_kept_with_its_data(
    calls: dict[str, Any], capsys: pytest.CaptureFixture[str], run: str, more: list[str]
) -> None:
    for folder in ("data", "other"):
        Path(folder).mkdir()
    for words, key in ((["--train-data", "data"], "train"), (["--train-data", "other:data"], "train")):
        assert main(*words, "--checkpoint-dir", run, *more) == 2
        (line,) = errors(capsys)
        assert f"which is the data of data.{key}_path; " in line and "name another folder" in line
    assert main("--train-data", "..", "--val-data", "data", "--checkpoint-dir", run, *more) == 2
    assert "which is the data of data.val_path; " in capsys.readouterr().err
    assert not calls and sorted(path.name for path in Path.cwd().iterdir()) == ["data", "other"]


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_place_where_no_run_can_start_is_reported_before_the_audit(
    calls: dict[str, Any], capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    Path("file").write_text("mine")
    for place, what in (("file", "is a file"), ("file/run", "is inside the file 'file'"), ("./file", "is a file")):
        assert main("--train-data", ".", "--checkpoint-dir", place, *more) == 2
        (line,) = errors(capsys)
        assert f"training.checkpoint_dir is '{Path(place)}', which {what}" in line and "; name a folder" in line
    texts = {"corpus.json": json.dumps(made_model.corpus().to_json()), "config.yaml": config_yaml(resolve([]))}
    CheckpointStore(Path("run/checkpoints"), 1, 1).save(3, {"average": {"w": np.ones(2, np.float32)}}, {}, texts=texts)
    words = ["--train-data", ".", "--init-from", "run", "--checkpoint-dir", "run", *more]
    assert main(*words) == 2
    (line,) = errors(capsys)
    assert "--init-from 'run': 'run' holds a run already (update 3): resume it without --init-from" in line
    assert not calls and Path("file").read_text() == "mine"
    Path("loop").symlink_to("loop")
    for place in ("loop", "a\0b", "x" * 5_000, "loop/run"):
        main("--train-data", "loop", "--checkpoint-dir", place, *more)
        assert "Traceback" not in capsys.readouterr().err
    assert main(*words, "--fresh") == 0


def test_bad_data_is_exit_2_with_its_table(
    calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(config: Any, progress: Any, **more: Any) -> Any:
        raise DataError("31 of 100 clips are rejected\nsilent  31\x1b[2J")

    monkeypatch.setitem(sys.modules, "myxtts.data.prepare", types.SimpleNamespace(prepare=prepare))
    assert main("--train-data", ".") == 2
    err = capsys.readouterr().err
    assert err == "error: 31 of 100 clips are rejected\n  silent  31\\x1b[2J\n"


def test_a_tf_config_that_cannot_be_used_is_exit_2_and_nothing_is_written(
    calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": worker}')
    before = sorted(Path().iterdir())
    assert main("--train-data", ".") == 2
    (line,) = errors(capsys)
    assert "TF_CONFIG" in line and "not JSON" in line
    assert calls == {} and sorted(Path().iterdir()) == before
    assert main("--train-data", ".", "--dry-run") == 0, "nothing is trained, so the others need not be there"
