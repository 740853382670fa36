"""The signs of health, each from the figures of a run: its severity, the figure and, if it is bad, what to do."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from myxtts.health.state import BLOCK_UPDATES, SKIP_SHARE_UPDATES, WINDOW_UPDATES, Point, State, trimmed_mean
from myxtts.speakers import ENOUGH_SPEAKERS, cloning_note, describe_speakers

Sign = Literal["healthy", "early", "watch", "ill"]
"""`early`: too early to judge."""
SEVERITY: Mapping[Sign, int] = {"healthy": 0, "early": 1, "watch": 2, "ill": 3}

LOSS_LOW, LOSS_HIGH = 0.5, 5.0
EXPLODED_FACTOR = 10.0
"""A loss this many times as high as the run's first cannot be due to one batch."""
OVERFIT_RATIO = 1.25
"""A loss under LOSS_LOW is a fault only if the validation loss is more than this many times as high."""
NORM_HIGH, NORM_ILL = 1.0, 10.0
NORM_PATIENCE_UPDATES = 1_000
NORM_RISE = 1.2
"""A run may begin with a high norm: it has this many updates to fall, and must not rise by more than this factor."""
WAIT_HIGH = 0.2
SKIP_MEMORY_UPDATES = 1_000
"""A skipped update is shown as a sign for this many updates."""
SKIP_SHARE_ILL = 0.05
SKIPS_IN_A_ROW_ILL = 3
FALL_SHARE, RISE_SHARE, DIVERGE_SHARE = 0.01, 0.05, 0.5
"""Relative change of the loss since the middle of the run that counts as falling, rising, diverging."""
VALIDATIONS_PATIENCE = 5
VALIDATION_RISE_SHARE = 0.03
"""A validation value above the best by a smaller share does not count as a rise."""
VOICES_PATIENCE = 3
EQUAL_ERROR_HIGH = 0.3
"""Highest good equal error rate of speaker verification from the third validation on; chance is 0.5."""


@dataclass(frozen=True)
class Check:
    """One sign: its name, its severity, and a sentence with the figure and, if it is bad, what to do."""

    name: str
    sign: Sign
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """The worst of all signs; `reasons` are the sentences of the bad ones, worst first.

    If none is bad but some are early, the reasons say when they can be judged.
    """

    sign: Sign
    reasons: list[str]
    checks: list[Check]


def all_of(state: State) -> list[Check]:
    """Every sign of a run at its newest update."""
    checks = [loss_trend(state), loss_range(state), norm(state), skips(state), wait(state)]
    if state.newest_validation is not None and state.best is not None:
        checks.insert(-1, validation(state.newest_validation[1], state.best, state.validations_since_best))
    if state.people is not None:
        checks.append(speakers(state.people))
    if state.voices:
        checks.append(voices(state, state.voices[1]))
    if state.not_finite_update is not None:
        sentence = f"NaN or Inf at update {state.not_finite_update:,}; go back to the newest good checkpoint"
        checks.insert(0, Check("finite", "ill", sentence))
    return checks


def too_early(seen: int, needed: int = WINDOW_UPDATES) -> str:
    """A sentence saying that a sign cannot be judged yet, and when it can."""
    return f"too early to judge: {min(seen, needed)} of {needed} updates"


def within(value: float, best: float, share: float) -> bool:
    """Whether a validation value (lower is better) is above the best by at most this share of it."""
    return value - best <= share * max(abs(best), 1e-3)


@dataclass(frozen=True)
class BestRule:
    """Which validation of a run is its best, for the training and for everything that reads its journal.

    Args:
        min_delta: training.early_stopping_min_delta, by which a value must be lower than the best.
        tolerance: training.best_tolerance; the newest value within this share of the lowest is the best.
    """

    min_delta: float
    tolerance: float

    def improves(self, value: float, best: float | None) -> bool:
        """Whether a value becomes the new best; a value that is not finite never does."""
        return math.isfinite(value) and (best is None or value < best - self.min_delta)

    def equals(self, value: float, best: float | None) -> bool:
        """Whether a value is as good as the best: the best keeps its value and moves to the newer update."""
        return self.tolerance > 0.0 and best is not None and within(value, best, self.tolerance)

    def updated(self, best: Point | None, update: int, value: float) -> Point | None:
        """The best after one more validation."""
        lowest = None if best is None else best[1]
        if self.improves(value, lowest):
            return update, value
        return (update, lowest) if lowest is not None and self.equals(value, lowest) else best


def loss_trend(state: State) -> Check:
    """Whether the loss falls, stagnates, rises or diverges."""
    trend, seen = state.trend(), BLOCK_UPDATES * len(state.blocks) + len(state.block)
    if trend is None or len(state.losses) < WINDOW_UPDATES:
        return Check("loss falls", "early", "loss trend: " + too_early(seen, WINDOW_UPDATES + BLOCK_UPDATES))
    latest, now, then = trimmed_mean(state.losses), trend.now, trend.then
    scale = max(abs(then), 1e-3)
    lowest_update, lowest = min(state.blocks, key=lambda block: block[1])
    was = f"{then:.3g} at update {trend.then_update:,}"
    if latest - lowest > DIVERGE_SHARE * max(abs(lowest), 0.1):
        sentence = (
            f"loss {latest:.3g} is far above its lowest, {lowest:.3g} at update {lowest_update:,}; "
            "halve optimizer.learning_rate and resume from the best checkpoint"
        )
        return Check("loss falls", "ill", sentence)
    if now - then > RISE_SHARE * scale + trend.noise:
        sentence = f"loss rises: {now:.3g} now, {was}; if it continues, halve optimizer.learning_rate"
        return Check("loss falls", "watch", sentence)
    if then - now >= FALL_SHARE * scale:
        return Check("loss falls", "healthy", f"loss falls: {now:.3g} now, {was}")
    if trend.noise > RISE_SHARE * scale:
        sentence = f"loss trend: {now:.3g} now, {was}; batches differ too much for a trend from so few updates"
        return Check("loss falls", "healthy", sentence)
    sentence = f"loss stands still: {now:.3g} now, {was}; stop, add data, or try level plateau_breaker"
    return Check("loss falls", "watch", sentence)


def loss_range(state: State) -> Check:
    """Whether the loss lies in the range of a healthy run."""
    name = "loss within 0.5 to 5"
    is_early, start = len(state.losses) < WINDOW_UPDATES, state.start()
    # until the window is full the newest loss is judged; afterwards single peaks do not count
    now = (state.losses[-1] if is_early else trimmed_mean(state.losses)) if state.losses else None
    if now is not None and start is not None and now >= EXPLODED_FACTOR * max(abs(start), LOSS_LOW):
        sentence = f"loss {now:.3g}, began at {start:.3g}: it explodes; lower optimizer.learning_rate and start over"
        return Check(name, "ill", sentence)
    if now is None or is_early:
        return Check(name, "early", "loss: " + too_early(len(state.losses)))
    if now > LOSS_HIGH:
        falls = loss_trend(state).sentence.startswith("loss falls")
        sentence = f"loss {now:.3g} is over {LOSS_HIGH:g}; " + (
            "it falls, so give it time" if falls else "check the data, then lower optimizer.learning_rate"
        )
        return Check(name, "watch" if falls else "ill", sentence)
    if now < LOSS_LOW:
        return _low_loss(state, name, now)
    return Check(name, "healthy", f"loss {now:.3g}, within {LOSS_LOW:g} to {LOSS_HIGH:g}")


def _low_loss(state: State, name: str, now: float) -> Check:
    if state.newest_total is None:
        sentence = f"loss {now:.3g} is under {LOSS_LOW:g}; compare it with the validation: it may overfit"
        return Check(name, "watch", sentence)
    update, total = state.newest_total
    if total > OVERFIT_RATIO * now:
        sentence = (
            f"loss {now:.3g}, on validation {total:.3g} at update {update:,}: it overfits; "
            "take the best checkpoint, add data or raise model.dropout"
        )
        return Check(name, "watch", sentence)
    near = f"the validation's is near it: {total:.3g} at update {update:,}"
    return Check(name, "healthy", f"loss {now:.3g}, under {LOSS_LOW:g}, and {near}")


def norm(state: State) -> Check:
    """Whether the gradient norm is under 1, or on its way there."""
    name = "gradient norm under 1"
    if len(state.norms) < WINDOW_UPDATES:
        return Check(name, "early", "gradient norm: " + too_early(len(state.norms)))
    now = statistics.median(state.norms)
    first = state.first_norm
    if first is not None and NORM_HIGH <= now <= NORM_RISE * first and state.seen < NORM_PATIENCE_UPDATES:
        sentence = f"gradient norm {now:.3g} is not under {NORM_HIGH:g}, began at {first:.3g}; give it time"
        return Check(name, "watch", sentence)
    if now >= NORM_HIGH:
        sign: Sign = "ill" if now >= NORM_ILL else "watch"
        return Check(name, sign, f"gradient norm {now:.3g} is not under {NORM_HIGH:g}; halve the learning rate")
    clipped = ""
    if state.clip_norm is not None:
        share = sum(value > state.clip_norm for value in state.norms) / len(state.norms)
        clipped = f"; {share:.0%} of the updates clipped at {state.clip_norm:g}"
    return Check(name, "healthy", f"gradient norm {now:.2g}, under {NORM_HIGH:g}{clipped}")


def skips(state: State) -> Check:
    """Whether updates were skipped recently."""
    name = "no skipped update"
    recent = [update for update in state.skips if update > state.update - SKIP_MEMORY_UPDATES]
    if not recent:
        before = f" in the last {SKIP_MEMORY_UPDATES:,} ({state.skips_total} before)" if state.skips_total else ""
        return Check(name, "healthy", f"no update skipped{before}")
    window = min(SKIP_SHARE_UPDATES, max(state.seen, 1))
    share = sum(update > state.update - SKIP_SHARE_UPDATES for update in recent) / window
    many = len(recent) >= SKIPS_IN_A_ROW_ILL and share > SKIP_SHARE_ILL
    counted = f"{len(recent)} {'update' if len(recent) == 1 else 'updates'} skipped, the last at {recent[-1]:,}"
    if state.skips_in_a_row >= SKIPS_IN_A_ROW_ILL or many:
        return Check(name, "ill", f"{counted}; look at events.jsonl and halve optimizer.learning_rate")
    return Check(name, "watch", f"{counted}; events.jsonl names the clips")


def validation(value: float, best_point: Point, since_best: int) -> Check:
    """Whether the validation has been rising for long."""
    name, (best_update, best) = "validation does not rise", best_point
    summary = f"validation {value:.3g}, best {best:.3g} at update {best_update:,}"
    rises = not within(value, best, VALIDATION_RISE_SHARE)
    if rises and since_best >= VALIDATIONS_PATIENCE:
        sentence = f"{summary}, {since_best} validations ago; take the best checkpoint or add data"
        return Check(name, "watch", sentence)
    return Check(name, "healthy", summary)


def speakers(people: int) -> Check:
    """How many speakers are trained on. Few are no fault: they are enough to speak in their voices."""
    enough = f"{people} training speakers; cloning unseen speakers takes {ENOUGH_SPEAKERS}"
    return Check("speakers", "healthy", cloning_note(people) or enough)


def voices(state: State, rate: float) -> Check:
    """Speaker verification, by the equal error `rate` of the newest validation.

    The encoder fails for one of two reasons, too few training speakers or too little training; the number of speakers
    shows which.
    """
    name = "speaker verification"
    of = f" of {describe_speakers(*state.voices_of)}" if state.voices_of else ""
    figures = f"equal error rate{of} {rate:.0%} (0% separates all speakers, 50% is chance)"
    if state.voice_means is not None:
        same, other = state.voice_means
        figures += f", mean cosine of the same speaker {same:.2f}, of others {other:.2f}"
    if rate <= EQUAL_ERROR_HIGH or state.voices_seen < VOICES_PATIENCE:
        return Check(name, "healthy", figures)
    if state.people is None:
        sentence = (
            f"speaker verification fails: {figures}; continue training, or add recordings of more people if there are "
            f"fewer than {ENOUGH_SPEAKERS}"
        )
    elif state.people < ENOUGH_SPEAKERS:
        sentence = (
            f"not enough speakers to clone, {state.people} of at least {ENOUGH_SPEAKERS}: {figures}; add recordings of "
            "more people"
        )
    else:
        sentence = (
            f"the encoder does not separate speakers yet: {figures}; continue training; if it stays so, check that "
            "each speaker name is one person, and raise loss.speaker_classification_weight"
        )
    return Check(name, "watch", sentence)


def wait(state: State) -> Check:
    """Whether training waits for data."""
    name = "waiting for data under 20%"
    if len(state.waits) < WINDOW_UPDATES:
        return Check(name, "early", "waiting for data: " + too_early(len(state.waits)))
    wait = statistics.median(state.waits)
    if wait >= WAIT_HIGH:
        sentence = f"{wait:.0%} of the time waits for data; move data.cache_path to a faster disk"
        return Check(name, "watch", sentence)
    return Check(name, "healthy", f"waiting for data {wait:.0%}, under {WAIT_HIGH:.0%}")
