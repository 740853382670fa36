"""The HTML report of a run, one self-contained page: health, curves, settings, events and audio samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from myxtts import __version__
from myxtts.figures import short_text, update_number
from myxtts.health.replay import measure_of, replay
from myxtts.health.tracker import Health
from myxtts.report.curves import main_charts, recent, term_charts, term_table
from myxtts.report.evaluation import templates
from myxtts.report.run_files import Run, finite, read_run
from myxtts.report.samples import gallery
from myxtts.rungs import RUNGS
from myxtts.storage.files import write_bytes_atomic
from myxtts.storage.run_directory import RunDirectory

MAX_EVENT_ROWS = 200
NOTHING, TIMES = "\u2013", "\u00d7"
SIGN_WORDS = {"healthy": "Healthy", "early": "Too early to judge", "watch": "Watch it", "ill": "Ill"}


@dataclass(frozen=True)
class SettingRow:
    """A setting that differs from its default: value, origin, reason, and the values it overrides."""

    key: str
    value: str
    layer: str
    reason: str
    shadowed: str


@dataclass(frozen=True)
class EventRow:
    """A row of the table of events."""

    when: str
    update: str
    kind: str
    message: str


def write_report(run: Path) -> Path:
    """Writes `run`/report.html and returns its path.

    Raises DataError if `run` is not a run directory; StorageError if a file cannot be read or written.
    """
    target = RunDirectory(run).report_path
    page = render(read_run(run))
    write_bytes_atomic(target, page.encode("utf-8", "replace"))
    return target


def render(run: Run) -> str:
    """The page as HTML."""
    environment = templates()
    environment.filters["number"] = number
    verdict = judge(run).verdict()
    shown = gallery(run)
    return environment.get_template("page.html.j2").render(
        title=run.path.resolve().name or "run",
        path=str(run.path),
        version=__version__,
        written=_moment(datetime.now(UTC).timestamp()),
        facts=_facts(run),
        figures=_figures(run),
        verdict=verdict,
        sign_words=SIGN_WORDS,
        charts=main_charts(run),
        term_charts=term_charts(run),
        terms=term_table(run),
        settings=_settings(run.provenance),
        has_provenance=isinstance(run.provenance, dict),
        events=_event_rows(run.events[-MAX_EVENT_ROWS:]),
        ladder=_event_rows(run.ladder),
        rungs=[(rung, RUNGS.get(rung, "rung"), count) for rung, count in sorted(run.rungs.items())],
        events_total=len(run.events),
        gallery=shown,
        notes=run.notes,
    )


def judge(run: Run) -> Health:
    """The health of the run, from replaying its history with the tracker that training uses."""
    return replay(_records(run), measure_of(run.config, run.corpus))


def _records(run: Run) -> Iterator[dict[str, Any]]:
    """The updates and validations of the run as records of metrics.jsonl, in the order in which they were written."""
    validations: list[dict[str, Any]] = []
    for update, metrics in run.validations:
        record = {"kind": "validation", "update": update, "metrics": metrics, "reset": update in run.best_reset_at}
        if of := run.voices_of.get(update):
            record["voices"] = dict(zip(("speakers", "unseen"), of, strict=True))
        validations.append(record)
    names = ("loss", "grad_norm", "wait_share", "overflow", "reset")
    empty = [math.nan] * len(run.train.updates)
    columns = [run.train.values.get(name, empty) for name in names]
    following = 0
    for update, skipped, *values in zip(run.train.updates, run.train.skipped, *columns, strict=True):
        while following < len(validations) and run.validations[following][0] < update:
            yield validations[following]
            following += 1
        loss, norm, wait, over, reset = values
        measured = {"loss": loss, "grad_norm": norm, "wait_share": wait, "overflow": over > 0.0, "reset": reset > 0.0}
        yield {"kind": "train", "update": update, "skipped": skipped, **measured}
    yield from validations[following:]


def number(value: Any, digits: int = 3) -> str:
    """A number for a table, or a dash if there is none."""
    measured = finite(value)
    if not math.isfinite(measured):
        return NOTHING
    return f"{measured:,.0f}" if abs(measured) >= 1_000 else f"{measured:.{digits}g}"


def _facts(run: Run) -> list[tuple[str, str]]:
    """The facts at the top of the page."""
    batch, accumulated = run.number("training.batch_size", 0), run.number("training.grad_accum", 0)
    speakers, languages = run.corpus.get("speakers"), run.corpus.get("languages")
    facts = {
        "Model size": run.setting("model_size"),
        "Level": run.setting("optimization_level"),
        "Training data": run.setting("data.train_path"),
        "Validation data": run.setting("data.val_path"),
        "Speakers": len(speakers) if isinstance(speakers, list) else None,
        "Languages": ", ".join(short_text(name, 20) for name in languages[:50])
        if isinstance(languages, list)
        else None,
        "Batch": f"{batch:g} {TIMES} {accumulated:g} clips" if batch and accumulated else None,
        "Precision": run.setting("training.precision"),
        "Seed": run.setting("training.seed"),
        "Started": _moment(run.first_time),
        "Newest entry": _moment(run.last_time),
    }
    known = {name: value for name, value in facts.items() if isinstance(value, str | int | float) and value != ""}
    return [(name, short_text(value)) for name, value in known.items()]


def _figures(run: Run) -> list[tuple[str, str, str]]:
    """The key figures: name, value, note."""
    metric = measure_of(run.config, run.corpus).best_metric
    best = run.best_update
    best_value = math.nan if best is None else dict(run.validations).get(best, {}).get(metric, math.nan)
    epoch = update_number(run.newest.get("epoch"))
    skipped = sum(run.skipped)
    updates = run.train.updates[-1] if run.train.updates else 0
    planned = update_number(run.setting("training.max_updates", 0))
    of = f"of {planned:,}" if planned else ""
    wait = recent(run, "wait_share")
    return [
        ("Updates", f"{updates:,}", of or ("" if epoch is None else f"epoch {epoch:,}")),
        ("Loss", number(recent(run, "loss")), "last 100 updates"),
        (
            "Best validation",
            number(best_value),
            "none yet" if best is None else f"{metric}, update {best:,}",
        ),
        ("Gradient norm", number(recent(run, "grad_norm"), 2), "last 100 updates"),
        ("Skipped updates", f"{skipped:,}", f"of {len(run.train.updates):,}"),
        ("Frames per second", number(recent(run, "frames_per_second")), "last 100 updates"),
        ("Waiting for data", f"{wait:.0%}" if math.isfinite(wait) else NOTHING, "share of the time"),
        ("Time", _time_spent(run), "pauses included"),
    ]


def _settings(provenance: Any) -> list[SettingRow]:
    """Settings whose value differs from the default, in the order of the file."""
    rows = []
    for key, chain in provenance.items() if isinstance(provenance, dict) else ():
        sources = [source for source in chain if isinstance(source, dict)] if isinstance(chain, list) else []
        if not sources or sources[0].get("value") == sources[-1].get("value"):
            continue
        used = sources[0]
        shadowed = "; ".join(
            f"{short_text(source.get('value'))} ({short_text(source.get('layer', '?'))})" for source in sources[1:]
        )
        rows.append(
            SettingRow(
                str(key),
                short_text(used.get("value")),
                short_text(used.get("layer", "?")),
                short_text(used.get("reason") or ""),
                shadowed,
            )
        )
    return rows


def _event_rows(events: Sequence[Mapping[str, Any]]) -> list[EventRow]:
    """Events, newest first; an event without a message shows its fields."""
    rows = []
    for event in reversed(events):
        update = update_number(event.get("update"))
        rows.append(
            EventRow(
                _moment(finite(event.get("time"))),
                "" if update is None else f"{update:,}",
                short_text(event.get("event", "")),
                _event_message(event),
            )
        )
    return rows


def _event_message(event: Mapping[str, Any]) -> str:
    message = short_text(event.get("message", ""))
    if message:
        return message
    rest = {key: value for key, value in event.items() if key not in ("time", "update", "event")}
    return ", ".join(f"{key}: {short_text(value)}" for key, value in rest.items())[:1_000]


def _moment(unix: float | None) -> str:
    """Date and time in UTC; empty if the value is not a time."""
    if unix is None or not 0 < unix < 4e10:
        return ""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _time_spent(run: Run) -> str:
    if run.first_time is None or run.last_time is None or run.last_time < run.first_time:
        return NOTHING
    minutes, seconds = divmod(round(run.last_time - run.first_time), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
