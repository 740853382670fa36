"""Sizes and levels are data with reasons, and the settings file against NaN losses is the level `basic`."""

import dataclasses
import re
from functools import cache
from pathlib import Path

from myxtts.config.fields import LEAVES, coerce
from myxtts.config.files import load_file
from myxtts.config.presets import BUILT_IN_CORPUS_OVERRIDES, LEVEL_SUMMARIES, LEVELS, SIZES
from myxtts.config.resolve import Given, Layer, Rank, Resolved, resolve
from myxtts.config.schema import MODEL_SIZES, OPTIMIZATION_LEVELS

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "config_nan_loss_fix.yaml"
RESTATES = re.compile(r"\w{3,}")


@cache
def at(size: str, level: str) -> Resolved:
    rows = (Given("model_size", size, "command line"), Given("optimization_level", level, "command line"))
    return resolve([Layer(Rank.COMMAND_LINE, "command line", rows)])


def test_the_names_of_schema_and_tables_agree() -> None:
    assert tuple(SIZES) == MODEL_SIZES
    assert tuple(LEVELS) == tuple(LEVEL_SUMMARIES) == OPTIMIZATION_LEVELS


def test_every_level_resolves_at_every_size() -> None:
    for size in MODEL_SIZES:
        for level in OPTIMIZATION_LEVELS:
            config = at(size, level).config
            assert (config.model_size, config.optimization_level) == (size, level)


def test_every_override_changes_the_value_or_restates_the_default_with_a_reason() -> None:
    for level, overrides in LEVELS.items():
        lasts = {row.key: row for row in overrides}
        for override in overrides:
            field, where = LEAVES[override.key], f"{override.key} at level {level}"
            assert RESTATES.search(override.reason), f"{where}: needs a reason in words"
            assert set(override.by_size) <= set(MODEL_SIZES), where
            for size in MODEL_SIZES:
                value, last = override.value_for(size), lasts[override.key]
                coerced = coerce(field, value)
                assert coerced == value and type(coerced) is type(value), f"{where}: out of range or of another type"
                effective = at(size, level).provenance[override.key][-1]
                assert (effective.layer, effective.value) == (f"level {level}", last.value_for(size)), where
                # An override that a later one of the same level replaces gives no reason of its own.
                assert override is not last or effective.reason == override.reason, where


def test_levels_differ_from_one_another() -> None:
    values = {level: at("tiny", level).config for level in LEVELS}
    assert len({repr(dataclasses.replace(config, optimization_level="basic")) for config in values.values()}) == len(
        LEVELS
    )


def test_sizes_are_in_range_and_set_the_same_keys() -> None:
    for size in MODEL_SIZES:
        assert set(SIZES[size]) == set(SIZES["tiny"]), size
        for key, value in SIZES[size].items():
            coerced = coerce(LEAVES[key], value)
            assert coerced == value and type(coerced) is type(value), f"{key} at {size}"


def test_schema_defaults_are_within_their_own_ranges() -> None:
    for field in LEAVES.values():
        assert coerce(field, field.default) == field.default and type(field.default).__name__ == field.kind, field.key


def test_tiny_is_what_the_schema_defaults_to() -> None:
    assert {key: LEAVES[key].default for key in SIZES["tiny"]} == dict(SIZES["tiny"])


def test_the_built_in_corpus_ends_the_first_run_within_ten_minutes() -> None:
    (row,) = BUILT_IN_CORPUS_OVERRIDES
    assert row.key == "training.max_minutes" and 0 < float(str(row.value)) < 10


def test_the_file_equals_the_level() -> None:
    layer = load_file(FILE)
    assert layer.problems == ()
    given = {row.key: coerce(LEAVES[row.key], row.value) for row in layer.settings}
    assert given.pop("optimization_level") == "basic"
    assert given == {override.key: override.value for override in LEVELS["basic"]}
    assert all(not override.by_size for override in LEVELS["basic"]), "a file knows no sizes"


def test_the_file_repeats_the_reasons_of_the_level() -> None:
    text = FILE.read_text(encoding="utf-8")
    for override in LEVELS["basic"]:
        name = override.key.rpartition(".")[2]
        assert re.search(rf"^  {name}: .*# {re.escape(override.reason)}$", text, re.MULTILINE), override.key


def test_basic_is_the_recipe_that_was_fixed() -> None:
    """A golden copy of the numbers that users rely on (design: model.md, Levels)."""
    config = at("tiny", "basic").config
    o, loss, t = config.optimizer, config.loss, config.training
    assert (o.learning_rate, o.clip_norm, o.beta_1, o.beta_2, o.epsilon, o.weight_decay) == (
        1e-5,
        0.3,
        0.9,
        0.999,
        1e-8,
        1e-7,
    )
    assert (config.schedule.warmup_updates, t.batch_size, t.grad_accum, config.effective_batch) == (3_000, 16, 4, 64)
    assert (t.precision, loss.adaptive_weights, loss.label_smoothing, loss.huber_delta) == ("fp32", False, 0.0, 0.0)
    assert (loss.mel_weight, loss.kl_weight) == (1.0, 0.5)
    assert (loss.duration_weight, loss.pitch_weight, loss.energy_weight) == (0.1, 0.05, 0.05)
    assert (
        loss.voice_similarity_weight,
        loss.speaker_classification_weight,
        loss.voice_reconstruction_weight,
        loss.prosody_matching_weight,
        loss.spectral_consistency_weight,
    ) == (1.5, 0.75, 1.0, 0.5, 0.75)
    assert (t.checkpoint_every_updates, t.validation_every_updates, t.log_every_updates) == (1_000, 500, 25)
    assert (t.early_stopping_validations, t.early_stopping_min_delta) == (20, 0.001)
