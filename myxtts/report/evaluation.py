"""The HTML page of an evaluation, from its JSON document: figures, and audio players for every clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from myxtts import __version__

PLAYERS = {
    "recording": "Recording",
    "reference": "Reference of the voice",
    "spoken": "Spoken by the model",
    "vocoder": "Recording through mel and vocoder",
}
"""Audio of a clip -> its title, in the order of the page."""
_DASH = "\u2013"


@dataclass(frozen=True)
class FigureRow:
    """A row of a table: a figure and a cell for each column."""

    title: str
    cells: list[str]
    better: str


@dataclass(frozen=True)
class Player:
    """An audio player of a clip."""

    name: str
    file: str
    details: str


def templates() -> jinja2.Environment:
    """The templates of the pages."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("myxtts", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_evaluation(result: Mapping[str, Any]) -> str:
    """The page for the content of `evaluation.json`; it plays the audio files in the same folder."""
    template = templates().get_template("evaluation.html.j2")
    return template.render(
        title=f"{result['data_name']}, update {result['update']:,}",
        facts=_facts(result),
        notes=result["notes"],
        who=result["who"],
        rows=_summary_rows(result),
        speakers=_speakers(result["speakers"]),
        pairs=result["speakers"]["pairs"],
        clips=[_clip(result, clip) for clip in result["clips"]],
        written=result["made"],
        version=__version__,
    )


def _facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    judge = result["judge"]
    facts = {
        "Checkpoint": result["checkpoint"],
        "Update": f"{result['update']:,}",
        "Data": result["data"],
        "Clips": f"{len(result['clips'])} of split {result['split']}",
        "Seed": result["seed"],
        "Judge": judge["recognizer"] if judge else "none",
    }
    return [(name, str(value)) for name, value in facts.items()]


def _summary_rows(result: Mapping[str, Any]) -> list[FigureRow]:
    rows = []
    for key, figure in result["legend"].items():
        summaries = [result["figures"][who].get(key) for who in result["who"]]
        if any(summaries):
            cells = [_cell(s and s[name], figure) for s in summaries for name in ("mean", "median")]
            rows.append(FigureRow(figure["title"], cells, figure["better"]))
    return rows


def _clip(result: Mapping[str, Any], clip: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for key, figure in result["legend"].items():
        values = [clip["figures"].get(who, {}).get(key) for who in result["who"]]
        if any(value is not None for value in values):
            rows.append(FigureRow(figure["title"], [_cell(value, figure) for value in values], ""))
    return {
        **{key: clip[key] for key in ("id", "speaker", "language", "text", "notes")},
        "players": _players(clip),
        "recognized": [(result["who"][who], words or "(nothing)") for who, words in clip["recognized"].items()],
        "own": [(row.title, row.cells[0]) for row in rows if row.cells[0] != _DASH],
        "rows": rows,
    }


def _players(clip: Mapping[str, Any]) -> list[Player]:
    players = []
    for who, name in PLAYERS.items():
        if who not in clip["files"] or (who == "reference" and clip["own_reference"]):
            continue
        details = f"{clip['seconds'][who]:.1f} s"
        if who == "reference":
            details = f"{clip['reference']}, {details}"
        elif who == "recording" and clip["own_reference"]:
            details += ", also the reference of the voice"
        players.append(Player(name, clip["files"][who], details))
    return players


def _speakers(found: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    rate = found["equal_error_rate"]
    return [
        ("Mean cosine, same speaker", f"{_number(found['same_mean'])} ({found['same_pairs']:,} pairs)"),
        ("Mean cosine, other speakers", f"{_number(found['other_mean'])} ({found['other_pairs']:,} pairs)"),
        ("Equal error rate", _DASH if rate is None else f"{rate:.1%}"),
    ]


def _number(value: float | None) -> str:
    return _DASH if value is None else f"{value:.3f}"


def _cell(value: float | None, figure: Mapping[str, Any]) -> str:
    return _DASH if value is None else f"{value:z.{figure['digits']}f}"
