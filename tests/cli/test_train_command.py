"""The training commands from the outside: options, errors, exit codes, --explain, --dry-run, the call of training."""

import json
import sys
import types
from pathlib import Path
from typing import Any

import made_model
import numpy as np
import pytest

from myxtts.cli import train as command
from myxtts.cli.arguments import OPTION_OF_KEY, training_parser
from myxtts.config.fields import LEAVES
from myxtts.config.files import config_yaml
from myxtts.config.resolve import resolve
from myxtts.errors import DataError
from myxtts.storage.store import CheckpointStore

ROOT = Path(__file__).resolve().parents[2]
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


class Store:
    def __init__(self, clips: int) -> None:
        self.lengths = (np.full(clips, 80, np.int32), np.full(clips, 300, np.int32))

    def __len__(self) -> int:
        return len(self.lengths[0])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Stands in for data preparation and training, in a folder without data; what they were called with."""
    seen: dict[str, Any] = {}

    def prepare(config: Any, progress: Any, named: Any, base: Any = None) -> Any:
        seen["prepare"] = (config, named, base)
        progress("features", 1, 2)
        return types.SimpleNamespace(
            train=Store(100),
            validation=Store(5),
            corpus=types.SimpleNamespace(speakers=["a", "b"]),
            notes=["a note on the data"],
            audit=types.SimpleNamespace(table=lambda: ["training 100 clips"]),
        )

    def train(resolved: Any, prepared: Any, **options: Any) -> int:
        seen["train"] = (resolved, prepared, options)
        return 40

    monkeypatch.setitem(sys.modules, "myxtts.data.prepare", types.SimpleNamespace(prepare=prepare))
    monkeypatch.setattr(command, "python_command", lambda: ".venv/bin/python")
    monkeypatch.setitem(sys.modules, "myxtts.training.run", types.SimpleNamespace(train=train))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return seen


def stable(*words: str) -> int:
    return command.main(
        list(words), program="train_stable.py", pinned_level="basic", default_checkpoint_dir="./checkpoints_stable"
    )


def main(*words: str) -> int:
    return command.main(list(words), program="train_main.py", default_checkpoint_dir="./checkpoints")


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert "Traceback" not in err and out == ""
    lines = err.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    return lines


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


def test_the_length_has_a_floor_unless_the_user_sets_epochs(calls: dict[str, Any]) -> None:
    assert stable("--train-data", ".") == 0
    assert calls["train"][0].config.training.min_updates == 10_250
    assert stable("--train-data", ".", "--epochs", "3") == 0
    assert calls["train"][0].config.training.min_updates == 0
    assert stable("--train-data", ".", "--epochs", "3", "--set", "training.min_updates=7") == 0
    assert calls["train"][0].config.training.min_updates == 7


def test_every_option_sets_its_setting(calls: dict[str, Any]) -> None:
    given = {
        "--train-data": ".", "--val-data": "v", "--model-size": "small", "--optimization-level": "basic",
        "--lr": "2e-5",
        "--batch-size": "8", "--grad-accum": "2", "--epochs": "3", "--max-updates": "70", "--warmup-updates": "20",
        "--clip-norm": "0.2", "--precision": "bf16", "--mel-loss-weight": "2", "--kl-loss-weight": "0.25",
        "--num-workers": "1", "--seed": "5", "--checkpoint-dir": "c", "--decoder": "flow", "--columns": "id,text",
        "--layout": "table", "--language": "fa",
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


def test_config_file_with_the_level_equals_the_stable_program(calls: dict[str, Any]) -> None:
    assert main("--config", str(ROOT / "config_nan_loss_fix.yaml"), "--train-data", ".", "--checkpoint-dir", "c") == 0
    of_file = calls["train"][0].config
    assert stable("--train-data", ".", "--checkpoint-dir", "c") == 0
    assert of_file == calls["train"][0].config


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert stable("--lr", "3e-5", "--explain", "optimizer.learning_rate", "--explain", "model.width") == 0
    out = capsys.readouterr().out
    assert (
        "optimizer.learning_rate = 3e-05" in out and "shadows level basic: 1e-05" in out and "set by  size tiny" in out
    )
    assert main("--explain", "optimizer.learnin_rate") == 2
    assert "the nearest is optimizer.learning_rate" in errors(capsys)[0]


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
    def prepare(config: Any, progress: Any, named: Any, base: Any = None) -> Any:
        raise DataError("31 of 100 clips are rejected\nsilent  31\x1b[2J")

    monkeypatch.setitem(sys.modules, "myxtts.data.prepare", types.SimpleNamespace(prepare=prepare))
    assert main("--train-data", ".") == 2
    err = capsys.readouterr().err
    assert err == "error: 31 of 100 clips are rejected\n  silent  31\\x1b[2J\n"
