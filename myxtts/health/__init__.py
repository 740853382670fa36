"""Is a run well? The signs that the training shows on the screen and the report shows on its page.

The signs: the loss falls and lies within 0.5 to 5 (or lower, if the validation's is as low), the gradient norm is
under 1, no update was skipped, the validation is not rising for long, and training does not wait for data.
"""

from __future__ import annotations

from myxtts.health.signs import LOSS_HIGH, LOSS_LOW, NORM_HIGH, WAIT_HIGH, Check, Sign, Verdict
from myxtts.health.state import WINDOW_UPDATES
from myxtts.health.tracker import Health

__all__ = [
    "LOSS_HIGH",
    "LOSS_LOW",
    "NORM_HIGH",
    "WAIT_HIGH",
    "WINDOW_UPDATES",
    "Check",
    "Health",
    "Sign",
    "Verdict",
]
