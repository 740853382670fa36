"""The arithmetic of the charts."""

import math

import numpy as np
import pytest

from myxtts.report.charts import (
    Line,
    Scale,
    chart,
    envelope,
    label,
    linear_ticks,
    scale_for,
    smooth,
    thin,
    train_lines,
)


def test_ticks_are_round_and_inside() -> None:
    assert linear_ticks(0, 4_200, 5) == [0, 1_000, 2_000, 3_000, 4_000]
    assert np.allclose(linear_ticks(0.13, 0.52, 4), [0.2, 0.3, 0.4, 0.5])
    assert np.allclose(Scale(0.05, 3.0, log=True).ticks(), [0.05, 0.1, 0.2, 0.5, 1, 2])
    assert np.allclose(Scale(1e-6, 1e4, log=True).ticks(), [1e-6, 1e-3, 1.0, 1e3])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1e-5, "1e-05"), (0.00025, "0.00025"), (1.5, "1.5"), (4_000, "4000"), (20_000, "20k"), (2e6, "2M")],
)
def test_labels(value: float, text: str) -> None:
    assert label(value) == text


def test_a_scale_leaves_out_lone_peaks_but_not_the_rules() -> None:
    values = np.full(1_000, 2.0) + np.linspace(0, 1, 1_000)
    values[5] = 1e9
    scale = scale_for(values, log=False, include=[5.0])
    assert 5.0 < scale.high < 6.0 and scale.low == pytest.approx(0, abs=2)


@pytest.mark.parametrize(
    "values", [[], [math.nan], [0.0], [0.0, 0.0], [-3.0], [1e-30, 1e30], [-1.0, 0.0, 1.0], [1e308]]
)
@pytest.mark.parametrize("log", [None, False, True])
def test_any_values_give_a_usable_scale(values: list[float], log: bool | None) -> None:
    scale = scale_for(np.asarray(values, np.float64), log)
    assert math.isfinite(scale.low) and math.isfinite(scale.high) and scale.low < scale.high
    assert scale.ticks()


def test_smoothing_keeps_a_constant_and_skips_nan() -> None:
    values = np.full(100, 3.0)
    values[40:45] = np.nan
    assert np.allclose(smooth(values, 11), 3.0)
    assert np.isnan(smooth(np.full(5, np.nan), 3)).all()
    assert smooth(np.arange(10.0), 1).tolist() == list(range(10))


def test_downsampling_keeps_ends_and_extremes() -> None:
    values = np.sin(np.arange(100_000.0) / 5_000)
    values[77_777] = 50.0
    x, y = envelope(np.arange(100_000.0), values, 200)
    assert len(x) <= 400 and y.max() == 50.0 and (np.diff(x) > 0).all()
    at = thin(100_000, 250)
    assert (len(at), at[0], at[-1]) == (250, 0, 99_999)
    assert thin(3, 250).tolist() == [0, 1, 2] and thin(1, 250).tolist() == [0]


def test_a_line_is_interrupted_where_it_has_no_value() -> None:
    line = Line("validation", np.array([0.0, 1, 2, 3]), np.array([1.0, np.nan, 2.0, 3.0]), "validation")
    drawn = chart("x", [line], 3.0)
    curve, dots = drawn.paths[0][1], drawn.paths[1][1]
    assert curve.count("M") == 2 and curve.count("L") == 1 and dots.count("h0") == 3


def test_peaks_above_the_chart_are_reported() -> None:
    values = np.ones(1_000) + np.linspace(0, 0.1, 1_000)
    values[500] = 900.0
    drawn = chart("x", [train_lines("training", np.arange(1_000.0), values)[0]], 1_000.0)
    assert drawn.note == "Peaks up to 900 are above the chart."
