"""Rows over data.max_clip_seconds or data.max_text_tokens: which settings would take them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from myxtts.config.fields import LEAVES
from myxtts.data.records import Rejection

SECONDS_KEY, TOKENS_KEY = "data.max_clip_seconds", "data.max_text_tokens"
_STEPS = {SECONDS_KEY: 1, TOKENS_KEY: 100}
"""A cap is raised to a multiple of this."""


def raised_caps(rejections: Sequence[Rejection]) -> tuple[int, str]:
    """How many of some rejected rows larger caps would take, and these caps as options; (0, "") where none.

    A row that is over the largest value of a setting is out of reach.
    """
    limits = {key: LEAVES[key].accepts.high or math.inf for key in _STEPS}
    needs = [{SECONDS_KEY: one.needs.seconds, TOKENS_KEY: one.needs.tokens} for one in rejections]
    taken = [need for need in needs if any(need.values()) and all(need[key] <= limits[key] for key in limits)]
    options = []
    for key, step in _STEPS.items():
        most = max((need[key] for need in taken), default=0)
        if most:
            options.append(f"--set {key}={min(math.ceil(most / step) * step, limits[key]):g}")
    return len(taken), " ".join(options)
