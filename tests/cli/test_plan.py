"""The estimate of a run."""

import numpy as np
import pytest

from bench.model_sizes import counted
from myxtts.cli.plan import (
    duration_words,
    floor_words,
    frame_rate,
    little_speech_words,
    make_plan,
    memory_bytes,
    plan_lines,
    warmup_words,
    weight_count,
    words_expected,
)
from myxtts.config.presets import WEIGHTS
from myxtts.config.resolve import Given, Layer, Rank, resolve
from myxtts.config.schema import MODEL_SIZES, Config


def config(**settings: object) -> Config:
    rows = tuple(Given(key.replace("__", "."), value, "test") for key, value in settings.items())
    return resolve([Layer(Rank.COMMAND_LINE, "test", rows)]).config


def lengths(clips: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(clips, 100, np.int32), np.full(clips, 400, np.int32)


def test_updates_and_minutes() -> None:
    settings = config(training__batch_size=16, training__grad_accum=4, training__epochs=3)
    plan = make_plan(settings, *lengths(130), 7, 2)
    assert (plan.clips, plan.validation_clips, plan.speakers) == (130, 7, 2)
    assert (plan.updates_per_epoch, plan.updates) == (2.25, 6)  # 9 micro-batches an epoch, 27 in windows of 4
    assert plan.seconds == pytest.approx(6 * 4 / 9 * 130 * 400 / plan.frames_per_second)
    assert plan.minutes == pytest.approx(130 * 400 * 256 / 22_050 / 60)


def test_a_few_clips_do_not_end_within_the_warmup_of_level_basic() -> None:
    basic = config(optimization_level="basic")
    plan = make_plan(basic, *lengths(84), 12, 1)
    assert plan.updates == 10_250 > basic.schedule.warmup_updates
    assert "500 epochs of this data would be 750 updates; the run has 10250" in floor_words(basic, 6)
    assert floor_words(basic, 600) == "" and warmup_words(10_250, basic) == "1e-05 after a warmup of 3000 updates"
    short = config(optimization_level="basic", **{"training.max_updates": 750})
    assert floor_words(short, 6) == ""
    said = dict(plan_lines(make_plan(short, *lengths(84), 12, 1), short))["learning rate"]
    assert "ends within its warmup of 3000 updates, at 25% of 1e-05: no intelligible speech" in said


def test_what_to_expect_at_the_end() -> None:
    fast = config(optimization_level="enhanced", model_size="tiny")
    assert "after 18,400 clips, which are 2,300 updates of 8; this run has 900" in words_expected(900, fast)
    assert words_expected(2_300, fast) == "" == words_expected(200, config(optimization_level="fine_tuning"))
    assert "at 10% of 1e-05: no intelligible speech" in words_expected(300, config(optimization_level="basic"))


def test_a_few_minutes_of_speech_are_for_fine_tuning() -> None:
    few, many = (make_plan(config(), *lengths(clips), 5, 1) for clips in (84, 840))
    assert "6.5 minutes of speech are little" in (said := little_speech_words(few, config()))
    assert "--init-from starter --optimization-level fine_tuning" in said
    assert little_speech_words(many, config()) == ""
    assert little_speech_words(few, config(optimization_level="fine_tuning", schedule__diagonal_prior_updates=0)) == ""


def test_max_updates_beats_epochs_and_minutes_end_both() -> None:
    assert make_plan(config(training__max_updates=5), *lengths(130), 0, 1).updates == 5
    assert make_plan(config(training__max_updates=50, training__epochs=2), *lengths(130), 0, 1).updates == 34
    limited = make_plan(config(training__max_minutes=1.0), *lengths(130), 0, 1)
    assert (
        limited.ends_by_time
        and limited.seconds == 60
        and limited.updates < make_plan(config(), *lengths(130), 0, 1).updates
    )
    assert "limited by training.max_minutes" in plan_lines(limited, config(training__max_minutes=1.0))[4][1]


def test_fewer_clips_than_a_batch_are_one_update() -> None:
    assert make_plan(config(training__epochs=2), *lengths(3), 0, 1).updates == 2


@pytest.mark.parametrize(("clips", "shown"), [(128, "2"), (130, "2.25"), (240, "3.75"), (640, "10"), (16, "0.25")])
def test_an_epoch_need_not_be_a_whole_number_of_updates(clips: int, shown: str) -> None:
    settings = config(training__batch_size=16, training__grad_accum=4)
    lines = plan_lines(make_plan(settings, *lengths(clips), 0, 1), settings)
    assert lines[3] == ["updates per epoch", f"{shown} (of 64 clips)"]


@pytest.mark.parametrize(("size", "decoder"), [("tiny", "regression"), ("small", "regression"), ("tiny", "flow")])
def test_the_table_of_weights_is_that_of_the_built_networks(size: str, decoder: str) -> None:
    assert sum(counted(size, decoder).values()) == WEIGHTS[decoder][size], "python -m bench.model_sizes has the new one"


def test_sizes_grow_in_weights_memory_and_time() -> None:
    configs = [config(model_size=size) for size in MODEL_SIZES]
    weights = [weight_count(c.model_size, c.model) for c in configs]
    memory = [memory_bytes(c, 800, 0.3) for c in configs]
    rates = [frame_rate(c) for c in configs]
    assert weights == sorted(weights) and memory == sorted(memory) and rates == sorted(rates, reverse=True)
    assert 1e9 < memory[0] < 4e9
    narrow = config(model__width=128)
    assert weight_count("tiny", narrow.model) == pytest.approx(weights[0] / 4, abs=1)


def test_threads_precision_and_a_critic_count() -> None:
    fp32 = {"training__precision": "fp32", "model__critic_width": 0}
    two, four = (frame_rate(config(training__threads=n, **fp32)) for n in (2, 4))
    assert four == pytest.approx(2 * two)
    bf16 = frame_rate(config(training__threads=2, training__precision="bf16", model__critic_width=0))
    with_critic = frame_rate(config(training__threads=2, training__precision="bf16", model__critic_width=24))
    assert 4_000 < two < with_critic < bf16 < 14_000  # docs/measurements.md: 5,435, 6,463 and 7,321


@pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (540, "9 min"), (12_600, "3.5 h"), (181_440, "2.1 days")])
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_segments_make_long_clips_cheaper() -> None:
    whole, cut = (make_plan(config(training__segment_seconds=s), *lengths(130), 0, 1) for s in (0.0, 1.0))
    assert cut.frames_per_second > 1.3 * whole.frames_per_second and cut.seconds < whole.seconds / 1.3
