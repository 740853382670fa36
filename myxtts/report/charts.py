"""A chart as data for the template: SVG paths in a box of 1000 x 1000 that stretches, labels placed in percent."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BOX = 1000
RAW_BUCKETS = 220
SMOOTH_POINTS = 260
MAX_DOTS = 120


@dataclass(frozen=True)
class Line:
    """A curve: `x` updates, `y` values, `style` a CSS class (raw, train, validation)."""

    name: str
    x: Floats
    y: Floats
    style: str


@dataclass(frozen=True)
class ReferenceLine:
    """A horizontal line with a label, for example the clip norm."""

    name: str
    value: float


@dataclass(frozen=True)
class Tick:
    """A label at `percent` of the axis."""

    percent: float
    text: str


@dataclass
class Chart:
    """The data of one chart for the template."""

    title: str
    unit: str
    paths: list[tuple[str, str]] = field(default_factory=list)
    x_ticks: list[Tick] = field(default_factory=list)
    y_ticks: list[Tick] = field(default_factory=list)
    rules: list[Tick] = field(default_factory=list)
    band: tuple[float, float] | None = None
    marks: list[float] = field(default_factory=list)
    note: str = ""
    hover: str = "{}"


def train_lines(name: str, x: Floats, y: Floats, log: bool = False) -> list[Line]:
    """The raw curve and the smoothed one over it; with `log` logarithms are averaged if all values are positive."""
    width = max(1, min(25, len(y) // 5), len(y) // 50)
    logs = log and bool((y[np.isfinite(y)] > 0).all())
    smoothed = np.exp(smooth(np.log(y), width)) if logs else smooth(y, width)
    at = thin(len(y), SMOOTH_POINTS)
    raw_x, raw_y = envelope(x, y, RAW_BUCKETS)
    return [Line(name, raw_x, raw_y, "raw"), Line(name, x[at], smoothed[at], "train")]


def chart(
    title: str,
    lines: Sequence[Line],
    x_end: float,
    *,
    unit: str = "",
    log: bool | None = False,
    rules: Sequence[ReferenceLine] = (),
    band: tuple[float, float] | None = None,
    marks: Sequence[int] = (),
    percent: bool = False,
    about: str = "",
) -> Chart:
    """A chart of `lines` over updates 0 to x_end; `band` is shaded, `marks` are updates marked on the axis."""
    values = np.concatenate([line.y for line in lines]) if lines else np.zeros(0)
    factor = 100.0 if percent else 1.0
    always = [rule.value for rule in rules]
    always += [float(value) for line in lines if line.style != "raw" for value in line.y[np.isfinite(line.y)]]
    scale = scale_for(values * factor, log, [value * factor for value in always if value > 0 or not log])
    across = Scale(0.0, max(x_end, 1.0))
    drawn = Chart(title, unit + (", log scale" if scale.log and unit else "log scale" if scale.log else ""))
    for line in lines:
        curve, dots = _path(across.place(line.x), scale.place(line.y * factor))
        drawn.paths.append((line.style, curve))
        if line.style == "validation" and len(line.x) <= MAX_DOTS:
            drawn.paths.append(("validation dots", dots))
    drawn.x_ticks = [Tick(_percent(across, tick), label(tick)) for tick in linear_ticks(0, across.high, 5)]
    suffix = "%" if percent else ""
    drawn.y_ticks = [Tick(_percent(scale, tick), label(tick) + suffix) for tick in scale.ticks()]
    drawn.rules = [Tick(_percent(scale, rule.value * factor), rule.name) for rule in rules]
    if band is not None:
        bottom, top = (min(max(_percent(scale, edge * factor), 0.0), 100.0) for edge in band)
        drawn.band = (bottom, top) if top > bottom else None
    drawn.marks = [_percent(across, float(mark)) for mark in marks]
    outside = int(np.sum(values[np.isfinite(values)] * factor > scale.high))
    high = f"{float(np.nanmax(values)) * factor:.3g}{suffix}" if outside else ""
    drawn.note = f"{about} Peaks up to {high} are above the chart.".strip() if outside else about
    drawn.hover = _hover(lines, across, scale, factor, suffix)
    return drawn


def _percent(scale: Scale, value: float) -> float:
    return round(float(scale.place(np.asarray([value], np.float64))[0]) * 100, 2)


def _path(across: Floats, up: Floats) -> tuple[str, str]:
    """SVG paths of the line, interrupted at values that cannot be drawn, and of its points as dots."""
    line: list[str] = []
    dots: list[str] = []
    pen = "M"
    for x, y in zip(across, up, strict=True):
        if not np.isfinite(y):
            pen = "M"
            continue
        point = f"{x * BOX:.1f} {(1 - min(max(y, -1.0), 2.0)) * BOX:.1f}"
        line.append(pen + point)
        dots.append(f"M{point}h0")
        pen = "L"
    return "".join(line), "".join(dots)


def _hover(lines: Sequence[Line], across: Scale, scale: Scale, factor: float, suffix: str) -> str:
    """JSON for the values under the pointer: for each curve its style, updates, values and heights in percent."""
    curves = []
    for line in lines:
        good = np.isfinite(line.y)
        if line.style == "raw" or not good.any():
            continue
        x, y = line.x[good], line.y[good]
        up = np.nan_to_num(scale.place(y * factor))
        curves.append(
            {
                "style": line.style,
                "x": [int(value) for value in x],
                "at": [round(float(value) * 100, 1) for value in across.place(x)],
                "up": [round(float(value) * 100, 1) for value in up],
                "y": [f"{value * factor:.4g}{suffix}" for value in y],
            }
        )
    return json.dumps(curves, separators=(",", ":"))


@dataclass(frozen=True)
class Scale:
    """Maps values between `low` and `high` to 0..1, by their logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    def place(self, values: Floats) -> Floats:
        """Positions of `values`: outside 0..1 if a value is out of range, NaN if it cannot be drawn."""
        if not self.log:
            return (values - self.low) / (self.high - self.low)
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.log10(np.where(values > 0, values, np.nan))
        return (logs - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))

    def ticks(self) -> list[float]:
        """About five round values inside the range."""
        return (_log_ticks if self.log else linear_ticks)(self.low, self.high, 5)


def scale_for(values: Floats, log: bool | None = None, include: Sequence[float] = ()) -> Scale:
    """A scale that shows `include` and `values`, without outliers (the outermost half percent, if far away).

    `log` None uses the logarithm if all values are positive and the largest is over 30 times the smallest.
    """
    finite = values[np.abs(values) < 1e100]
    low, high = _most(finite) if finite.size else (0.0, 1.0)
    if log is None:
        log = low > 0 and high / low > 30
    log = log and bool((finite > 0).any())
    if log:
        low, high = (float(10.0**edge) for edge in _most(np.log10(finite[finite > 0])))
    low, high = min([low, *include]), max([high, *include])
    if log and low > 0:
        high = max(high, low * 2)
        return Scale(low / 1.15, high * 1.15, log=True)
    if high - low < 1e-12 + 1e-6 * abs(high):
        low, high = low - max(abs(low) * 0.1, 1e-9), high + max(abs(high) * 0.1, 1e-9)
    margin = 0.06 * (high - low)
    bottom = 0.0 if 0 <= low <= 0.25 * high else low - margin
    return Scale(bottom, high + margin)


def _most(finite: Floats) -> tuple[float, float]:
    """Lowest and highest value, or the range of the middle 99 percent if they are far outside it."""
    low, high = (float(value) for value in np.percentile(finite, (0.5, 99.5)))
    lowest, highest = float(finite.min()), float(finite.max())
    reach = 0.3 * (high - low)
    return (lowest if lowest >= low - reach else low), (highest if highest <= high + reach else high)


def linear_ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten inside low..high."""
    rough = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float, about: int) -> list[float]:
    exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    decades = [10.0**exponent for exponent in exponents if low <= 10.0**exponent <= high]
    if len(decades) > about:
        return decades[:: math.ceil(len(decades) / about)]
    if len(decades) >= 3:
        return decades
    fine = [factor * 10.0**exponent for exponent in exponents for factor in (1, 2, 5)]
    inside = [value for value in fine if low <= value <= high]
    return inside or linear_ticks(low, high, about)


def label(value: float) -> str:
    """A short number for an axis: 0.002, 1.5, 20k, 1e-05."""
    size = abs(value)
    if size < 1e-12:
        return "0"
    if size >= 1e6:
        return f"{value / 1e6:.4g}M"
    if size >= 10_000:
        return f"{value / 1e3:.4g}k"
    return f"{value:.0e}" if size < 1e-3 and f"{value:.0e}" == f"{value:.3g}" else f"{value:.4g}"


def smooth(values: Floats, width: int) -> Floats:
    """Centred moving average over `width` values, ignoring those that are not finite; shorter at the ends."""
    good = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(good, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(good)])
    at = np.arange(len(values))
    first, last = np.maximum(at - width // 2, 0), np.minimum(at + (width + 1) // 2, len(values))
    number = counts[last] - counts[first]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(number > 0, (sums[last] - sums[first]) / number, np.nan)


def thin(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` evenly spaced indices of 0..count-1, including the first and the last."""
    return np.unique(np.round(np.linspace(0, max(count - 1, 0), min(count, most))).astype(np.int64))[:count]


def envelope(x: Floats, values: Floats, buckets: int) -> tuple[Floats, Floats]:
    """The curve with at most 2 x `buckets` points: the lowest and highest of each bucket, in order."""
    good = np.isfinite(values)
    x, values = x[good], values[good]
    if len(values) <= 2 * buckets:
        return x, values
    edges = np.linspace(0, len(values), buckets + 1).astype(np.int64)
    kept: list[int] = []
    for first, last in pairwise(edges):
        bucket = values[first:last]
        kept += sorted({int(first + bucket.argmin()), int(first + bucket.argmax())})
    return x[kept], values[kept]
