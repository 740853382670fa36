"""--init-from: network, symbol and mel settings come from the source run, as a layer of their own."""

import json
from pathlib import Path
from typing import Any

import made_model
import numpy as np
import pytest

from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.source_run import SourceRun, cold_start, source_run
from myxtts.cli.train import main, resolve_request
from myxtts.config.files import config_yaml
from myxtts.config.resolve import (
    SOURCE_KEYS,
    Given,
    Layer,
    Rank,
    Resolved,
    program_layer,
    resolve,
    source_layer,
    strongest,
)
from myxtts.config.schema import Config
from myxtts.errors import CheckpointError
from myxtts.storage.store import CheckpointStore

PROGRAM = program_layer("train_main.py", {})
SMALL_FLOW = {"model_size": "small", "model.decoder": "flow", "text.symbols": "characters", "audio.hop_samples": "128"}


def settings(**more: str) -> str:
    given = {**SMALL_FLOW, "optimizer.learning_rate": "3e-3", "training.batch_size": "5", **more}
    rows = tuple(Given(key, value, "command line") for key, value in given.items())
    return config_yaml(resolve([Layer(Rank.COMMAND_LINE, "command line", rows)]))


def make_source(path: Path, config: str | None = None) -> Path:
    texts = {"corpus.json": json.dumps(made_model.corpus().to_json())}
    if config is not None:
        texts["config.yaml"] = config
    CheckpointStore(path / "checkpoints", 1, 1).save(3, {"average": {"w": np.ones(2, np.float32)}}, {}, texts=texts)
    return path


def resolved_from(*words: str) -> Resolved:
    return resolve_request(request_of(*training_parser("x", None).parse_known(words)), PROGRAM, None)[0]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return make_source(tmp_path / "old", settings())


def test_the_networks_come_from_the_source_and_nothing_else_does(source: Path) -> None:
    resolved = resolved_from("--init-from", "../old", "--optimization-level", "experimental")
    config = resolved.config
    assert (config.model_size, config.model.width, config.model.decoder) == ("small", 384, "flow")
    assert (config.text.symbols, config.audio.hop_samples) == ("characters", 128)
    assert config.data.max_clip_seconds == 14.0, "what the size sets besides follows it"
    assert config.optimizer.learning_rate == 7e-4, "the level's rate, at the size of the source"
    assert config.training.batch_size == 8
    chain = [entry.layer for entry in resolved.provenance["model.decoder"]]
    assert chain == ["default", "level experimental", "run ../old (--init-from)"]
    assert resolved.named == {"optimization_level"}, "the user himself set nothing else"


def test_file_and_command_line_beat_the_source(source: Path) -> None:
    Path("x.yaml").write_text("model:\n  width: 96\n  heads: 4\n")
    resolved = resolved_from("--init-from", "../old", "--config", "x.yaml", "--decoder", "regression")
    assert (resolved.config.model.width, resolved.config.model.decoder) == (96, "regression")
    assert resolved.source("model.decoder").layer == "command line --decoder"
    assert resolved.config.model.speaker_width == 320
    assert resolved_from("--init-from", "../old", "--model-size", "tiny").config.data.max_clip_seconds == 12.0


def test_explain_and_the_start_say_which_run(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--init-from", "../old", "--explain", "model.width"]) == 0
    out = capsys.readouterr().out
    assert "  set by  run ../old (--init-from): 384  (the initial weights were trained with it)" in out
    assert "  shadows size small: 384" in out


def test_a_run_that_began_so_keeps_its_networks_when_it_is_resumed(source: Path) -> None:
    Path("new").mkdir()
    Path("new/config.yaml").write_text(settings(model_size="normal"), encoding="utf-8")
    assert resolved_from("--checkpoint-dir", "new").config.model.decoder == "regression", "it began with no other"
    Path("new/base_corpus.json").write_text("{}", encoding="utf-8")
    resolved = resolved_from("--checkpoint-dir", "new")
    assert (resolved.config.model_size, resolved.config.model.decoder) == ("normal", "flow")
    assert resolved.source("model.decoder").layer == "run new (started with --init-from)"
    Path("x.yaml").write_text("training:\n  checkpoint_dir: new\n")
    assert resolved_from("--config", "x.yaml").config.model_size == "normal", "a file may name the run, too"
    assert resolved_from("--checkpoint-dir", "new", "--fresh").config.model.decoder == "regression"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "contains no settings (config.yaml); use another checkpoint"),
        ("model: {widht: 3}\n", "its settings cannot be read ("),
        ("model_size: [\n", "not valid YAML"),
    ],
)
def test_a_source_without_readable_settings_is_one_line(tmp_path: Path, config: str | None, message: str) -> None:
    path = make_source(tmp_path / "old", config)
    with pytest.raises(CheckpointError) as caught:
        resolved_from("--init-from", str(path))
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert "use another checkpoint" in str(caught.value) and "old" in str(caught.value)


def test_an_invalid_run_directory_is_reported_with_all_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--checkpoint-dir", "a\nb", "--lr", "0"]) == 2
    output = capsys.readouterr().err.splitlines()
    assert len(output) == 2 and "training.checkpoint_dir" in output[0] and "optimizer.learning_rate" in output[1]


def test_a_resumed_run_whose_corpus_or_settings_are_unreadable(tmp_path: Path) -> None:
    request = request_of(*training_parser("x", None).parse_known(["--checkpoint-dir", str(tmp_path)]))
    (tmp_path / "base_corpus.json").write_bytes(b"\xff")
    with pytest.raises(CheckpointError, match=r"started with --init-from.*its settings cannot be read"):
        source_run(request, [request.layer])
    (tmp_path / "config.yaml").write_text(settings(), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"base_corpus.json: its corpus cannot be read"):
        source_run(request, [request.layer])


def test_every_key_of_the_source_is_bound_to_weights() -> None:
    sections = {key.partition(".")[0] for key in SOURCE_KEYS}
    assert sections == {"model_size", "audio", "text", "model"}
    layer = source_layer(Config(), "run x (--init-from)")
    more = ["text.language", "schedule.diagonal_prior_updates"]
    assert [given.key for given in layer.settings] == [*SOURCE_KEYS, *more] and not layer.rank.named


def test_what_learned_once_is_not_taught_as_if_it_were_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Persian run stays Persian, and a trained aligner gets no diagonal prior at any level."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    make_source(tmp_path / "old", settings(**{"text.language": "fa"}))
    for level in ("plateau_breaker", "enhanced", "basic"):
        resolved = resolved_from("--init-from", "../old", "--optimization-level", level)
        assert resolved.config.text.language == "fa" and resolved.config.schedule.diagonal_prior_updates == 0
        other = resolved_from("--init-from", "../old", "--set", "text.language=de")
        assert other.config.text.language == "de"


def test_a_decoder_that_heard_a_critic_goes_on_hearing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    make_source(tmp_path / "old", config_yaml(resolve([])))
    for level in ("fine_tuning", "plateau_breaker", "enhanced"):
        resolved = resolved_from("--init-from", "../old", "--optimization-level", level)
        assert resolved.config.model.critic_width == 24
        schedule = resolved.config.schedule
        assert (schedule.adversarial_start_updates, schedule.adversarial_ramp_updates) == (0, 0), level
        assert "is trained" in resolved.source("schedule.adversarial_start_updates").reason


def test_the_strongest_layer_and_its_last_word_hold() -> None:
    key = "training.seed"
    rows = (Given(key, 2, "a"), Given(key, 3, "b"))
    layers = [Layer(Rank.COMMAND_LINE, "c", rows), Layer(Rank.FILE, "f", (Given(key, 9, "f"),))]
    assert strongest(layers, key) == 3 and strongest(layers[1:], key) == 9 and strongest([], key) == 1


def test_a_warning_for_fine_tuning_settings_without_a_source(tmp_path: Path) -> None:
    words: tuple[Any, ...] = ("--optimization-level", "fine_tuning", "--checkpoint-dir", str(tmp_path / "run"))
    resolved = resolved_from(*words)
    output = cold_start(resolved, None, fresh=False)
    assert output is not None and "\n" not in output
    assert "schedule.diagonal_prior_updates is 0 (level fine_tuning)" in output and "--init-from" in output
    assert cold_start(resolved, SourceRun(PROGRAM, "", ""), fresh=False) is None
    assert cold_start(resolved_from("--optimization-level", "basic"), None, fresh=True) is None
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    assert cold_start(resolved, None, fresh=False) is None, "a run that is resumed has learned"
    assert cold_start(resolved, None, fresh=True) is not None
