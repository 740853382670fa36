"""Precedence, provenance, and every problem at once."""

import numpy as np
import pytest

from myxtts.config.document import explain
from myxtts.config.fields import LEAVES
from myxtts.config.resolve import Given, Layer, Rank, Resolved, built_in_corpus_layer, program_layer, resolve
from myxtts.config.schema import Config
from myxtts.errors import EXIT_BAD_INPUT, ConfigError


def file_layer(**settings: object) -> Layer:
    rows = tuple(
        Given(key.replace("__", "."), value, f"file x.yaml:{at}") for at, (key, value) in enumerate(settings.items(), 1)
    )
    return Layer(Rank.FILE, "file x.yaml", rows)


def command_line(*settings: tuple[str, object, str]) -> Layer:
    rows = tuple(Given(key, value, f"command line {flag}") for key, value, flag in settings)
    return Layer(Rank.COMMAND_LINE, "command line", rows)


def problems_of(*layers: Layer) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve(layers)
    assert caught.value.exit_code == EXIT_BAD_INPUT
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


def test_each_layer_beats_the_one_before() -> None:
    key = "optimizer.learning_rate"
    # Given in the wrong order on purpose: the rank decides, not the place in the list.
    command = command_line((key, "3e-5", "--lr"))
    file = file_layer(optimizer__learning_rate="2e-5", optimization_level="basic")
    assert resolve([]).config.optimizer.learning_rate == 1e-3  # enhanced, at size tiny
    assert resolve([file_layer(model_size="big")]).config.optimizer.learning_rate == 2e-4  # a row by size
    assert resolve([file]).config.optimizer.learning_rate == 2e-5
    resolved = resolve([command, file])
    assert resolved.config.optimizer.learning_rate == 3e-5
    assert [source.layer for source in resolved.provenance[key]] == [
        "default",
        "level basic",
        "file x.yaml:1",
        "command line --lr",
    ]


def test_size_sets_widths_and_the_level_beats_the_size() -> None:
    resolved = resolve([command_line(("model_size", "small", "--model-size"))])
    assert resolved.config.model.width == 384
    assert resolved.source("model.width").layer == "size small"
    assert resolved.source("model_size").layer == "command line --model-size"


def test_size_and_level_of_the_command_line_beat_those_of_the_file() -> None:
    file = file_layer(model_size="big", optimization_level="basic")
    resolved = resolve([file, command_line(("optimization_level", "plateau_breaker", "--optimization-level"))])
    assert (resolved.config.model_size, resolved.config.optimization_level) == ("big", "plateau_breaker")
    assert resolved.config.schedule.decay == "cosine_restarts"


def test_the_program_and_the_built_in_corpus_lie_beneath_the_user() -> None:
    program = program_layer("train_stable.py", {"training.checkpoint_dir": "./here", "optimization_level": "basic"})
    resolved = resolve([built_in_corpus_layer(), program])
    assert resolved.config.training.checkpoint_dir == "./here"
    assert resolved.source("training.max_minutes").layer == "built-in corpus"
    assert resolved.named == frozenset()
    mine = resolve([built_in_corpus_layer(), command_line(("training.max_minutes", "5", "--set"))])
    assert mine.config.training.max_minutes == 5.0
    assert mine.named == {"training.max_minutes"}


def test_differing_names_value_source_and_reason() -> None:
    rows = {row.key: row for row in resolve([file_layer(optimization_level="basic", training__seed="7")]).differing()}
    assert (rows["training.seed"].value, rows["training.seed"].source) == (7, "file x.yaml:2")
    prior = rows["schedule.diagonal_prior_updates"]
    assert prior.source == "level basic" and "aligner" in prior.reason
    assert "audio.hop_samples" not in rows


def test_all_problems_at_once_with_value_and_place() -> None:
    problems = problems_of(
        file_layer(optimizer__learning_rate="fast", training__batch_size="0", model_size="tinny", trainig__seed="1"),
        command_line(
            ("optimization_level", "stable", "--optimization-level"), ("loss.mel_weight", "nan", "--mel-loss-weight")
        ),
    )
    text = "\n".join(problems)
    assert len(problems) == 6
    assert "optimizer.learning_rate is 'fast' (file x.yaml:1); expected a number over 0 and at most 1" in text
    assert "training.batch_size is '0' (file x.yaml:2); expected a whole number (clips) from 1 to 4096" in text
    assert (
        "model_size is 'tinny' (file x.yaml:3); the nearest is tiny; expected one of tiny, small, normal, big" in text
    )
    assert "unknown key 'trainig.seed'; the nearest is training.seed" in text
    assert "optimization_level is 'stable'" in text and "plateau_breaker" in text
    assert "loss.mel_weight is 'nan' (command line --mel-loss-weight); it is not finite" in text


@pytest.mark.parametrize(
    "value", ["nan", "inf", "-inf", "1e999", "", "1e-5x", "[1]", "0x10", float("nan"), None, True, 2.0]
)
def test_a_learning_rate_that_is_not_a_number_is_rejected(value: object) -> None:
    (problem,) = problems_of(command_line(("optimizer.learning_rate", value, "--lr")))
    assert "optimizer.learning_rate is " in problem and "command line --lr" in problem


@pytest.mark.parametrize(
    ("text", "value"), [("1e-05", 1e-5), ("1E-5", 1e-5), (" 1e-5 ", 1e-5), ("0.00001", 1e-5), (1e-5, 1e-5)]
)
def test_numbers_are_read_by_the_type_of_the_setting(text: object, value: float) -> None:
    assert resolve([command_line(("optimizer.learning_rate", text, "--lr"))]).config.optimizer.learning_rate == value


@pytest.mark.parametrize(("text", "value"), [("16", 16), ("16.0", 16), ("1e3", 1000), (32, 32)])
def test_whole_numbers(text: object, value: int) -> None:
    read = resolve([command_line(("training.batch_size", text, "--batch-size"))]).config.training.batch_size
    assert read == value and isinstance(read, int)


@pytest.mark.parametrize("text", ["16.5", "1e9", "-1", "0", "9" * 5000, "true", "sixteen"])
def test_what_is_not_a_batch_size_is_rejected(text: str) -> None:
    (problem,) = problems_of(command_line(("training.batch_size", text, "--batch-size")))
    assert problem.startswith("training.batch_size is ") and len(problem) < 250


@pytest.mark.parametrize(("text", "value"), [("true", True), ("no", False), ("ON", True), ("0", False), (False, False)])
def test_truth(text: object, value: bool) -> None:
    assert resolve([command_line(("text.blank_between", text, "--set"))]).config.text.blank_between is value


@pytest.mark.parametrize("text", ["a\nb", "a\x00b", "a\x1b[2J", "\ud800", "", "   "])
def test_text_with_control_characters_or_nothing_is_rejected_and_escaped(text: str) -> None:
    (problem,) = problems_of(command_line(("data.train_path", text, "--train-data")))
    assert problem.isprintable()


def test_persian_paths_with_their_joiner_are_kept() -> None:
    path = "../دادهها/می\u200cشود"
    assert resolve([command_line(("data.train_path", path, "--train-data"))]).config.data.train_path == path


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"audio.mel_high_hz": "12000"},
            ["half the sample rate, 11025 Hz", "audio.mel_high_hz = 12000.0 from", "22050 from default"],
        ),
        ({"audio.mel_low_hz": "9000"}, ["audio.mel_low_hz = 9000.0"]),
        ({"audio.hop_samples": "2048"}, ["longer than the window"]),
        ({"audio.fft_samples": "128", "audio.hop_samples": "64"}, ["more mel bands"]),
        ({"audio.pitch_low_hz": "700"}, ["pitch range is empty"]),
        ({"audio.pitch_high_hz": "12000"}, ["half the sample rate"]),
        ({"data.min_clip_seconds": "13"}, ["every clip would be rejected", "size tiny"]),
        ({"data.min_clip_seconds": "0.01"}, ["longer than half a window"]),
        ({"data.perturbed_voices": "0.001"}, ["at least 0.01", "use 0.1"]),
        (
            {"model.critic_width": "8", "loss.critic_weight": "0"},
            ["loss.critic_weight = 0.0", "a critic_weight of 0.1, or a critic_width of 0"],
        ),
        (
            {"model.decoder": "flow", "model.flow_unguided_share": "0"},
            ["model.flow_guidance = 1.0 from", "a guidance of 0"],
        ),
        ({"model.width": "250"}, ["a multiple of twice the heads, 8", "a width of 248 or 256"]),
        ({"schedule.warmup_updates": "5000", "training.max_updates": "2000"}, ["40% of its value", "at most 2000"]),
        (
            {
                "schedule.decay": "cosine",
                "schedule.floor_share": "0",
                "schedule.warmup_updates": "100",
                "schedule.decay_updates": "900",
                "training.max_updates": "1001",
            },
            ["0 at update 1000", "schedule.floor_share = 0.0 from", "at most 1000 updates"],
        ),
    ],
)
def test_contradictions_name_both_settings_and_their_places(settings: dict[str, str], words: list[str]) -> None:
    (problem,) = problems_of(command_line(*((key, value, "--set") for key, value in settings.items())))
    for word in [*words, "command line --set"]:
        assert word in problem


def test_a_short_run_inside_the_warmup_of_its_level_is_allowed() -> None:
    short = command_line(
        ("training.max_updates", "2050", "--max-updates"), ("optimization_level", "basic", "--optimization-level")
    )
    assert resolve([short]).config.schedule.warmup_updates == 3_000
    # Also where a file repeats the level's own value.
    assert resolve([short, file_layer(schedule__warmup_updates="3000")]).config.training.max_updates == 2_050


def test_a_cosine_may_end_at_nothing_with_the_run() -> None:
    ended = {"schedule.decay": "cosine", "schedule.floor_share": "0", "schedule.decay_updates": "900"}
    ended |= {"schedule.warmup_updates": "100", "training.max_updates": "1000"}
    assert resolve([command_line(*((key, value, "--set") for key, value in ended.items()))]).config.schedule.decay


def test_a_spoiled_value_makes_no_further_contradiction() -> None:
    (problem,) = problems_of(command_line(("model.width", "x", "--set"), ("model.heads", "7", "--set")))
    assert problem.startswith("model.width is 'x'")


def test_pinned_level() -> None:
    layers = [
        program_layer("train_stable.py", {"optimization_level": "basic"}),
        file_layer(optimization_level="enhanced"),
    ]
    with pytest.raises(ConfigError, match=r"pinned to basic, got 'enhanced' \(file x.yaml:1\); use train_main.py"):
        resolve(layers, {"optimization_level": ("basic", "use train_main.py")})
    layers[1] = file_layer(optimization_level="basic")
    assert resolve(layers, {"optimization_level": ("basic", "use train_main.py")}).config.optimization_level == "basic"


@pytest.mark.parametrize(
    ("key", "nearest", "listed"),
    [
        ("optimizer.lr_rate", "", "optimizer has: name, learning_rate"),
        ("optimizer.learning_rat", "optimizer.learning_rate", "optimizer has:"),
        ("training.learning_rate", "optimizer.learning_rate", "training has:"),
        ("learning_rate", "optimizer.learning_rate", "the top level has: model_size"),
        ("training.lr", "optimizer.learning_rate", "training has:"),
        ("lr", "optimizer.learning_rate", "the top level has: model_size"),
        ("trainer.max_grad_norm", "optimizer.clip_norm", "the top level has: model_size"),
        ("schedule.warmup-steps", "schedule.warmup_updates", "schedule has:"),
        ("model-size", "model_size", "the top level has: model_size"),
        ("loss", "", "is a section"),
        ("", "", "unknown key ''"),
        ("a" * 100_000, "", "unknown key"),
    ],
)
def test_unknown_keys_name_the_nearest_and_list_all(key: str, nearest: str, listed: str) -> None:
    (problem,) = problems_of(command_line((key, "1", "--set")))
    assert listed in problem and "command line --set" in problem and len(problem) < 600
    if nearest:
        assert f"the nearest is {nearest};" in problem


def test_explain_prints_the_chain_from_strongest_to_weakest() -> None:
    resolved = resolve(
        [file_layer(optimization_level="basic"), command_line(("optimizer.learning_rate", "3e-5", "--lr"))]
    )
    lines = explain(resolved, "optimizer.learning_rate")
    assert lines[0] == "optimizer.learning_rate = 3e-05"
    assert "Learning rate at the end of the warmup." in lines[1]
    assert lines[3:] == [
        "  set by  command line --lr: 3e-05",
        "  shadows level basic: 1e-05  (8e-5 is where runs diverged; eight times lower)",
        "  shadows default: 1e-05",
    ]
    with pytest.raises(ConfigError, match=r"the nearest is optimizer.learning_rate"):
        explain(resolved, "optimizer.learning_rte")


def test_every_leaf_has_a_source() -> None:
    resolved: Resolved = resolve([])
    assert list(resolved.provenance) == list(LEAVES)
    assert isinstance(resolved.config, Config)


# --- what float32 cannot hold


def test_no_setting_vanishes_or_overflows_in_the_arithmetic_of_the_training() -> None:
    """For each number with a point: what it becomes in float32 keeps its range, and is 0 only where 0 was written."""
    for key, field in LEAVES.items():
        if field.kind != "float":
            continue
        accepts = field.accepts
        for value in (1e-50, 1e-39, -1e-45, 1e39, 1e300, 1.0 + 1e-12, 1.0 - 1e-12, 0.999999, 1.0000001):
            try:
                config = resolve([file_layer(**{key.replace(".", "__"): value})]).config
            except ConfigError as error:
                assert all("x.yaml:1" in problem and "\n" not in problem for problem in error.problems)
                continue
            section, _, name = key.partition(".")
            kept = float(np.float32(getattr(getattr(config, section), name)))
            assert np.isfinite(kept) and kept != 0.0, (key, value)
            assert accepts.above is None or kept > accepts.above, (key, value)
            if section in ("optimizer", "training"):
                assert kept != 1.0 or accepts.high is None or accepts.high >= 1.0, (key, value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("optimizer__epsilon", 1e-50, "squared gradient vanishes"),
        ("optimizer__epsilon", 1e-38, "squared gradient vanishes"),
        ("optimizer__clip_norm", 1e-45, "becomes 0"),
        ("loss__kl_weight", 1e-50, "becomes 0"),
        ("audio__log_floor", 1e-300, "becomes 0"),
        ("audio__mel_low_hz", 1e39, "infinite"),
        ("training__spike_factor", 1.0 + 1e-9, "not more than 1"),
    ],
)
def test_a_number_that_float32_cannot_hold_is_rejected_with_its_reason(key: str, value: float, reason: str) -> None:
    (problem,) = problems_of(file_layer(**{key: value}))
    assert "x.yaml:1" in problem and reason in problem and "expected" in problem and key.replace("__", ".") in problem
    assert resolve([file_layer(loss__kl_weight=0.0)]).config.loss.kl_weight == 0.0
