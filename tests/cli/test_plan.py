"""The estimate of a run."""

import dataclasses

import numpy as np
import pytest

from myxtts.cli.plan import duration_words, frame_rate, make_plan, memory_bytes, part_weights, plan_lines
from myxtts.config.resolve import Given, Layer, Rank, resolve
from myxtts.config.schema import MODEL_SIZES, Config


def config(**settings: object) -> Config:
    rows = tuple(Given(key.replace("__", "."), value, "test") for key, value in settings.items())
    return resolve([Layer(Rank.COMMAND_LINE, "test", rows)]).config


def lengths(clips: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(clips, 100, np.int32), np.full(clips, 400, np.int32)


def test_updates_and_minutes() -> None:
    plan = make_plan(
        config(training__batch_size=16, training__grad_accum=4, training__epochs=3), *lengths(130), 7, 2, 4_000.0
    )
    assert (plan.clips, plan.validation_clips, plan.speakers) == (130, 7, 2)
    assert (plan.updates_per_epoch, plan.updates) == (2.25, 6)  # 9 micro-batches an epoch, 27 in windows of 4
    assert plan.seconds == pytest.approx(6 * 4 / 9 * 130 * 400 / 4_000)
    assert plan.minutes == pytest.approx(130 * 400 * 256 / 22_050 / 60)


def test_max_updates_beats_epochs_and_minutes_end_both() -> None:
    assert make_plan(config(training__max_updates=5), *lengths(130), 0, 1).updates == 5
    assert make_plan(config(training__max_updates=50, training__epochs=2), *lengths(130), 0, 1).updates == 34
    limited = make_plan(config(training__max_minutes=1.0), *lengths(130), 0, 1, 1_000.0)
    assert limited.ends_by_time and limited.seconds == 60 and limited.updates < 50
    assert "training.max_minutes ends it" in plan_lines(limited, config(training__max_minutes=1.0))[4][1]


def test_fewer_clips_than_a_batch_are_one_update() -> None:
    assert make_plan(config(training__epochs=2), *lengths(3), 0, 1).updates == 2


@pytest.mark.parametrize(("clips", "shown"), [(128, "2"), (130, "2.25"), (240, "3.75"), (640, "10"), (16, "0.25")])
def test_an_epoch_need_not_be_whole_updates(clips: int, shown: str) -> None:
    settings = config(training__batch_size=16, training__grad_accum=4)
    lines = plan_lines(make_plan(settings, *lengths(clips), 0, 1), settings)
    assert lines[3] == ["updates an epoch", f"{shown} (of 64 clips)"]


def test_sizes_grow_in_weights_memory_and_time() -> None:
    configs = [config(model_size=size) for size in MODEL_SIZES]
    weights = [sum(part_weights(c.model, 80).values()) for c in configs]
    assert weights == sorted(weights)
    for count, about in zip(weights, (6e6, 20e6, 60e6, 150e6), strict=True):
        assert about / 2 < count < about * 2
    memory = [memory_bytes(c, 800, 0.3) for c in configs]
    assert memory == sorted(memory) and 1e9 < memory[0] < 4e9
    rates = [frame_rate(c, 0.3) for c in configs]
    assert rates == sorted(rates, reverse=True)


def test_threads_count() -> None:
    two, four = (frame_rate(config(training__threads=n, training__precision="fp32"), 0.3) for n in (2, 4))
    assert four == pytest.approx(2 * two)
    assert 4_000 < two < 14_000  # 7,000 measured at size tiny on two cores


def test_flow_has_more_weights() -> None:
    plain = config().model
    flow = dataclasses.replace(plain, decoder="flow")
    assert sum(part_weights(flow, 80).values()) > sum(part_weights(plain, 80).values())


def test_a_critic_has_weights_and_costs_time() -> None:
    with_critic, without = config(model__critic_width=24), config(model__critic_width=0)
    more = [sum(part_weights(c.model, 80).values()) for c in (with_critic, without)]
    assert 50_000 < more[0] - more[1] < 60_000
    slower = frame_rate(with_critic, 0.3) / frame_rate(without, 0.3)
    assert 0.7 < slower < 0.98


@pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (540, "9 min"), (12_600, "3.5 h"), (181_440, "2.1 days")])
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_segments_make_long_clips_cheaper() -> None:
    whole, cut = (make_plan(config(training__segment_seconds=s), *lengths(130), 0, 1) for s in (0.0, 1.0))
    assert cut.frames_per_second > 1.3 * whole.frames_per_second and cut.seconds < whole.seconds / 1.3
