"""Settings: causes found, and stable settings made, from names of both systems."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from myxtts.config import aliases
from myxtts.config.fields import LEAVES
from myxtts.config.files import load_file
from myxtts.config.presets import LEVELS
from myxtts.config.resolve import resolve
from myxtts.doctor.findings import Certainty
from myxtts.doctor.messages import render
from myxtts.doctor.settings.check import RULES, STABLE, check_settings, death_of_restarts, is_safe
from myxtts.doctor.settings.fix import repair_settings, write_settings
from myxtts.doctor.settings.read import read_settings
from myxtts.errors import ConfigError

OLDER = """
model:
  decoder_dim: 1536
data:
  dataset_path: /data/mine
  language: fa
  batch_size: 32
  mixed_precision: true
training:
  epochs: 300
  learning_rate: 8e-5
  warmup_steps: 1500
  weight_decay: 5e-7
  gradient_clip_norm: 0.8
  gradient_accumulation_steps: 2
  optimizer: adamw
  betas: [0.9, 0.999]
  eps: 1e-8
  mel_loss_weight: 2.5
  kl_loss_weight: 1.8
  duration_loss_weight: 0.8
  pitch_loss_weight: 0.12
  energy_loss_weight: 0.12
  voice_similarity_loss_weight: 3.0
  speaker_classification_loss_weight: 1.5
  voice_reconstruction_loss_weight: 2.0
  prosody_matching_loss_weight: 1.0
  spectral_consistency_loss_weight: 1.5
  use_adaptive_loss_weights: true
  use_label_smoothing: true
  use_huber_loss: true
  early_stopping_patience: 40
  early_stopping_min_delta: 0.00005
  save_step: 2000
  val_step: 1000
  log_step: 50
"""
BEFORE: dict[str, object] = {
    "optimizer.learning_rate": 8e-5,
    "schedule.warmup_updates": 1500,
    "optimizer.clip_norm": 0.8,
    "training.batch_size": 32,
    "training.grad_accum": 2,
    "training.precision": "fp16",
    "loss.mel_weight": 2.5,
    "loss.kl_weight": 1.8,
    "loss.voice_similarity_weight": 3.0,
    "loss.speaker_classification_weight": 1.5,
    "loss.voice_reconstruction_weight": 2.0,
    "loss.prosody_matching_weight": 1.0,
    "loss.spectral_consistency_weight": 1.5,
    "loss.duration_weight": 0.8,
    "loss.pitch_weight": 0.12,
    "loss.energy_weight": 0.12,
    "optimizer.weight_decay": 5e-7,
    "loss.adaptive_weights": True,
    "loss.label_smoothing": 0.1,
    "loss.huber_delta": 1.0,
    "training.checkpoint_every_updates": 2000,
    "training.validation_every_updates": 1000,
    "training.log_every_updates": 50,
    "training.early_stopping_validations": 40,
    "training.early_stopping_min_delta": 0.00005,
}
"""The settings before the fix: every one of them differs from the stable level."""


def ours(values: dict[str, object]) -> str:
    nested: dict[str, dict[str, object]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = value
    return yaml.safe_dump(nested)


def written(tmp_path: Path, text: str, name: str = "settings.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def found(path: Path) -> dict[str, tuple[Certainty, str]]:
    """Line of the file -> (rank, what was found)."""
    return {f.where.rpartition(":")[2]: (f.certainty, render(f.what, "en")) for f in check_settings(path).findings}


def test_a_rule_for_every_stable_setting_and_a_home_for_every_older_name() -> None:
    assert set(RULES) == set(STABLE) == {override.key for override in LEVELS["basic"]}
    assert {*aliases.ALIASES.values(), *aliases.QUALIFIED_ALIASES.values()} <= set(LEAVES)
    for names, key in (
        (aliases.SCHEDULES, "schedule.decay"),
        (aliases.PRECISIONS, "training.precision"),
        (aliases.OPTIMIZERS, "optimizer.name"),
        (aliases.DECODERS, "model.decoder"),
    ):
        assert set(names.values()) <= set(LEAVES[key].accepts.choices)


@pytest.mark.parametrize("text", [OLDER, ours(BEFORE)], ids=["older", "ours"])
def test_the_settings_before_the_fix_are_all_named(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    assert {key: read_settings(path).value(key) for key in BEFORE} == BEFORE
    repaired = repair_settings(path)
    assert {change.key for change in repaired.changes} == set(BEFORE)
    for change in repaired.changes:
        assert change.reason == STABLE[change.key].reason and change.reason
        line = path.read_text().splitlines()[int(change.where.rpartition(":")[2]) - 1]
        assert change.written.rpartition(".")[2] in line and change.before in line.lower()
    report = check_settings(path)
    assert len(report.findings) == sum(RULES[key].cause for key in BEFORE) == 20
    (costly,) = [fact for fact in report.facts if fact.key == "costly"]
    assert all(key in render(costly, "en") for key in BEFORE if not RULES[key].cause)


@pytest.mark.parametrize("text", [OLDER, ours(BEFORE)], ids=["older", "ours"])
def test_the_result_is_the_stable_level(tmp_path: Path, text: str) -> None:
    out = written(tmp_path, repair_settings(written(tmp_path, text)).text, "out.yaml")
    resolved = resolve([load_file(out)])
    for key, override in STABLE.items():
        assert resolved.source(key).value == override.value, key
    assert not check_settings(out).findings
    again = repair_settings(out)
    assert not again.changes and not again.left_out
    assert resolve([load_file(written(tmp_path, again.text, "again.yaml"))]).config == resolved.config


def test_what_has_nothing_to_do_with_stability_is_kept(tmp_path: Path) -> None:
    repaired = repair_settings(written(tmp_path, OLDER))
    assert repaired.kept == {"data.train_path": "/data/mine", "text.language": "fa", "training.epochs": 300}
    text = "model_size: small\nmodel: {width: 128, heads: 4}\ntraining: {seed: 7, checkpoint_dir: 'خانه \\ \"x\"'}\n"
    config = resolve([load_file(written(tmp_path, repair_settings(written(tmp_path, text)).text, "o.yaml"))]).config
    assert (config.model_size, config.model.width, config.training.seed) == ("small", 128, 7)
    assert config.training.checkpoint_dir == 'خانه \\ "x"'
    assert config.optimization_level == "basic" and config.model.text_blocks == 3


def test_safer_values_than_the_stable_ones_stay(tmp_path: Path) -> None:
    """The user's own recipe for NaN that comes back: a rate of 5e-6, a clip of 0.1, half the mel weight."""
    safer = {"optimizer.learning_rate": 5e-6, "optimizer.clip_norm": 0.1, "loss.mel_weight": 0.5}
    repaired = repair_settings(written(tmp_path, ours({**safer, "training.batch_size": 8})))
    assert not repaired.changes
    config = resolve([load_file(written(tmp_path, repaired.text, "out.yaml"))]).config
    assert (config.optimizer.learning_rate, config.optimizer.clip_norm, config.loss.mel_weight) == (5e-6, 0.1, 0.5)
    assert config.training.batch_size == 8
    assert not is_safe("loss.huber_delta", 0.5, 0.0) and is_safe("schedule.warmup_updates", 4_000, 3_000)


@pytest.mark.parametrize(
    ("first", "growth", "warmup", "update"),
    [(8_000, 0.8, 1_500, 41_500), (6_000, 0.8, 1_500, 31_500), (1_000, 0.5, 0, 2_000), (1_000, 1.0, 0, None)],
)
def test_the_update_at_which_restarts_die(first: int, growth: float, warmup: int, update: int | None) -> None:
    assert death_of_restarts(first, growth, warmup) == update
    if update is None:
        return

    def argument(at: int) -> float:
        """The argument of the logarithm in Keras's form."""
        return 1.0 - (at - warmup) / first * (1.0 - growth)

    assert argument(update) <= 1e-9 < argument(update - 1)
    assert math.log(argument(update - 1)) < 0.0


def test_restarts_with_a_shrinking_period_are_certain(tmp_path: Path) -> None:
    text = (
        "training:\n  warmup_steps: 1500\n  learning_rate: 1e-5\n  gradient_clip_norm: 0.3\n  scheduler: cosine\n"
        "  cosine_restarts: true\n  scheduler_params: {restart_period: 8000, restart_mult: 0.8}\n"
    )
    path = written(tmp_path, text)
    rank, what = found(path)["7"]
    assert rank == Certainty.CERTAIN and "NaN from update 41500" in what
    repaired = repair_settings(path)
    assert "schedule.decay" in {change.key for change in repaired.changes}
    short = written(tmp_path, text + "  max_steps: 9000\n", "short.yaml")
    assert found(short)["7"][0] == Certainty.POSSIBLE, "a run that ends before it"


def test_a_warmup_over_the_end(tmp_path: Path) -> None:
    path = written(tmp_path, "schedule: {warmup_updates: 5000}\ntraining: {max_updates: 2000}\n")
    report = check_settings(path)
    (fact,) = [fact for fact in report.facts if fact.key == "warmup_over"]
    assert report.findings == [], "it is slow, and no cause of NaN"
    assert render(fact, "en").startswith(f"{path}:1: ") and "5000" in render(fact, "en")
    assert "40% of its value" in render(fact, "en") and "schedule.warmup_updates: 2000" in render(fact, "en")
    config = resolve([load_file(written(tmp_path, repair_settings(path).text, "out.yaml"))]).config
    assert config.training.max_updates == 2000 and config.schedule.warmup_updates == 3000


@pytest.mark.parametrize(
    ("text", "rank", "part"),
    [
        ("training: {learning_rate: 1e-4, batch_size: 8}\n", Certainty.LIKELY, "gradient clipping is not set"),
        ("training: {gradient_clip_norm: null}\n", Certainty.LIKELY, "gradients are not clipped"),
        ("training: {gradient_clip_norm: 0}\n", Certainty.LIKELY, "gradients are not clipped"),
        ("training: {gradient_clip_norm: .nan}\n", Certainty.CERTAIN, "makes every gradient NaN or zero"),
        ("optimizer: {clip_norm: 0.4}\n", Certainty.POSSIBLE, "stable value: optimizer.clip_norm 0.3"),
        ("optimizer: {clip_norm: 0.6}\n", Certainty.LIKELY, "stable value: optimizer.clip_norm 0.3"),
        ("optimizer: {learning_rate: .inf}\n", Certainty.CERTAIN, "is '.inf', not a usable value"),
        (
            "optimizer: {learning_rate: 0.01}\n",
            Certainty.CERTAIN,
            "stable value: optimizer.learning_rate 1e-05",
        ),
        ("optimizer: {learning_rat: 0.01}\n", Certainty.POSSIBLE, "optimizer.learning_rat is not a setting"),
        (
            "training: {fp16: true, gradient_clip_norm: 0.3}\n",
            Certainty.LIKELY,
            "training.precision fp32",
        ),
        ("model: {width: 100, heads: 8}\n", Certainty.CERTAIN, "a multiple of twice the heads"),
        ("schedule: {decay: cosine_restarts}\n", Certainty.POSSIBLE, "back to its full value at every restart"),
        ("loss: {kl_weight: 1, kl_weight: 2}\n", Certainty.POSSIBLE, "duplicate key loss.kl_weight, first on line 1"),
    ],
)
def test_reasoning(tmp_path: Path, text: str, rank: Certainty, part: str) -> None:
    findings = check_settings(written(tmp_path, text)).ranked()
    assert any(f.certainty == rank and part in render(f.what, "en") for f in findings), [
        render(f.what, "en") for f in findings
    ]


def test_a_level_is_held_to_itself(tmp_path: Path) -> None:
    assert not check_settings(
        written(tmp_path, "optimization_level: enhanced\noptimizer: {learning_rate: 1e-3}\n")
    ).findings
    over = written(tmp_path, "optimization_level: enhanced\noptimizer: {learning_rate: 5e-3}\n", "over.yaml")
    (finding,) = check_settings(over).findings
    assert finding.certainty == Certainty.CERTAIN


def test_older_ways_of_saying(tmp_path: Path) -> None:
    text = (
        "scheduler: {name: noam}\noptimizer: {type: Adam, lr: 2e-4, betas: [0.8, 0.99]}\nprecision: bf16-mixed\n"
        "label_smoothing: 0.05\nearly_stopping: {patience: 3}\nloss_weights: {mel: 45}\n"
        "width: 64\nuse_huber_loss: false\n"
    )
    settings = read_settings(written(tmp_path, text))
    values = {key: setting.value for key, setting in settings.known.items()}
    assert values == {
        "schedule.decay": "inverse_sqrt", "optimizer.name": "adamw", "optimizer.learning_rate": 2e-4,
        "optimizer.beta_1": 0.8, "optimizer.beta_2": 0.99, "training.precision": "bf16", "loss.label_smoothing": 0.05,
        "training.early_stopping_validations": 3, "loss.mel_weight": 45.0, "model.width": 64, "loss.huber_delta": 0.0,
    }  # fmt: skip
    assert not settings.unknown


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "holds no settings"),
        (b"- a\n- b\n", "holds no settings"),
        (b"a: [1\n", "not valid YAML"),
        (b"\x00\x01", "not valid YAML"),
        (b"a: \xff\xfe", "not valid YAML"),
        (b"[" * 3_000, "not valid YAML"),
        (b"x: 1\n" * 60_000, "too large for settings"),
        (
            b"a: &a {b: &b {}}\nc: &c {d: *a, e: *a}\n<<: *c\nf: {x: {x: {x: {x: {x: {x: {x: {x: {x: {x: {x: {x: {x: 1",
            "not valid YAML",
        ),
        (b"&a {a: *a}\n", "nested or repeated"),
    ],
)
def test_what_is_not_a_settings_file_is_one_line(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=part) as caught:
        read_settings(path)
    assert "\n" not in str(caught.value) and "bad.yaml" in str(caught.value)


def test_writing(tmp_path: Path) -> None:
    source = written(tmp_path, OLDER)
    repaired, out = repair_settings(source), tmp_path / "out.yaml"
    assert write_settings(out, repaired, source) and out.read_text() == repaired.text
    assert not write_settings(out, repaired, source), "nothing changes the second time"
    for taken in (source, written(tmp_path, "other", "other.yaml")):
        before = taken.read_text()
        with pytest.raises(ConfigError, match="is not overwritten"):
            write_settings(taken, repaired, source)
        assert taken.read_text() == before
    (tmp_path / "link.yaml").symlink_to(source)
    for bad in (tmp_path / "link.yaml", tmp_path, tmp_path / "none" / "out.yaml"):
        with pytest.raises(ConfigError, match="name another file"):
            write_settings(bad, repaired, source)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.yaml", "other.yaml", "out.yaml", "settings.yaml"]
