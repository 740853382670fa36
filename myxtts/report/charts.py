"""Charts as data for the template: SVG paths in a box of 1000 x 1000 that stretches, labels placed in percent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from myxtts.report.scales import Floats, Scale, envelope, label, linear_ticks, scale_for, smooth, thin

BOX = 1000
RAW_BUCKETS = 220
SMOOTH_POINTS = 260
MAX_DOTS = 120


@dataclass(frozen=True)
class Line:
    """A curve to draw: `x` updates, `y` values, `style` a CSS class (raw, train, validation)."""

    name: str
    x: Floats
    y: Floats
    style: str


@dataclass(frozen=True)
class Rule:
    """A horizontal line with a name, for example the clip norm."""

    name: str
    value: float


@dataclass(frozen=True)
class Tick:
    """A label at `percent` of the axis."""

    percent: float
    text: str


@dataclass
class Chart:
    """Everything the template needs to draw one chart."""

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
    """The faint raw curve and the smoothed one over it; with `log` the logarithms are averaged, if all have one."""
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
    rules: Sequence[Rule] = (),
    band: tuple[float, float] | None = None,
    marks: Sequence[int] = (),
    percent: bool = False,
    about: str = "",
) -> Chart:
    """A chart of `lines` over updates 0..x_end; `band` is shaded, `marks` are updates marked on the axis."""
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
    drawn.note = f"{about} Peaks up to {high} lie above the picture.".strip() if outside else about
    drawn.hover = _hover(lines, across, scale, factor, suffix)
    return drawn


def _percent(scale: Scale, value: float) -> float:
    return round(float(scale.place(np.asarray([value], np.float64))[0]) * 100, 2)


def _path(across: Floats, up: Floats) -> tuple[str, str]:
    """SVG paths of the line, interrupted where a value cannot be drawn, and of its points as dots."""
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
    """What the page shows under the pointer, as JSON: per curve its name, updates, values and heights in percent."""
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
