"""The arithmetic of the charts: readable ticks, downsampling and smoothing of long curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Maps a value to 0..1 between `low` and `high`, by its logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    def place(self, values: Floats) -> Floats:
        """Positions of `values`; outside 0..1 where a value lies outside the range, NaN where it cannot be drawn."""
        if not self.log:
            return (values - self.low) / (self.high - self.low)
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.log10(np.where(values > 0, values, np.nan))
        return (logs - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))

    def ticks(self, about: int = 5) -> list[float]:
        """Round values inside the range."""
        return _log_ticks(self.low, self.high, about) if self.log else linear_ticks(self.low, self.high, about)


def scale_for(values: Floats, log: bool | None = None, include: Sequence[float] = ()) -> Scale:
    """A scale that shows `include` and `values`, but not the outermost half percent where that lies far out.

    `log` None takes the logarithm where all values are positive and the range spans more than 30 times.
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
    """Lowest and highest value; where they lie far outside the middle 99 percent, that range instead."""
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
    """Centred moving average over `width` values that leaves out what is not finite; shorter at the ends."""
    good = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(good, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(good)])
    at = np.arange(len(values))
    first, last = np.maximum(at - width // 2, 0), np.minimum(at + (width + 1) // 2, len(values))
    number = counts[last] - counts[first]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(number > 0, (sums[last] - sums[first]) / number, np.nan)


def thin(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` evenly spaced indices of 0..count-1, first and last among them."""
    return np.unique(np.round(np.linspace(0, max(count - 1, 0), min(count, most))).astype(np.int64))[:count]


def envelope(x: Floats, values: Floats, buckets: int) -> tuple[Floats, Floats]:
    """The curve with at most 2 x `buckets` points: lowest and highest of every bucket, in their order."""
    good = np.isfinite(values)
    x, values = x[good], values[good]
    if len(values) <= 2 * buckets:
        return x, values
    edges = np.linspace(0, len(values), buckets + 1).astype(np.int64)
    kept: list[int] = []
    for first, last in pairwise(edges):
        piece = values[first:last]
        kept += sorted({int(first + piece.argmin()), int(first + piece.argmax())})
    return x[kept], values[kept]
