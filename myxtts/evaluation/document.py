"""The result of an evaluation as a JSON document (evaluation.json) and as a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from myxtts.evaluation.measuring import RECORDING, SPOKEN, VOCODER, EvaluatedClip, Measurements
from myxtts.evaluation.word_errors import spoken_form

FORMAT = 1
WHO = {SPOKEN: "model", VOCODER: "vocoder", RECORDING: "recordings"}
"""Origin of a sound -> column title; the vocoder gets the mels of the recordings."""


@dataclass(frozen=True)
class Figure:
    """A figure: title with unit, which direction is better ("" for neither), number of decimals."""

    title: str
    better: str
    digits: int


FIGURES = {
    "mcd_db": Figure("mel cepstral distortion, dB", "lower", 2),
    "pitch_error_semitones": Figure("pitch error, semitones", "lower", 2),
    "pitch_shift_semitones": Figure("pitch shift, semitones", "", 2),
    "voicing_error": Figure("voicing error, share of frames", "lower", 3),
    "length_ratio": Figure("length relative to the recording", "", 3),
    "length_error": Figure("length error, share", "lower", 3),
    "token_duration_error_ms": Figure("token duration error, ms", "lower", 1),
    "speaker_similarity": Figure("speaker similarity, own encoder", "higher", 3),
    "wer": Figure("word error rate", "lower", 3),
    "cer": Figure("character error rate", "lower", 3),
    "secs": Figure("speaker similarity (SECS), judge", "higher", 3),
    "dnsmos": Figure("predicted quality, 1 to 5", "higher", 2),
}
"""Every figure of a clip, in the order of the table."""


def document(
    measured: Measurements, about: Mapping[str, Any], judge: Mapping[str, Any] | None, notes: Sequence[str]
) -> dict[str, Any]:
    """The evaluation as JSON-compatible values.

    Args:
        measured: clips with their figures.
        about: what was evaluated: checkpoint, update, data, split, seed and so on.
        judge: description of the judge; None without one.
        notes: what a reader should know, one line each.
    """
    return {
        "format": FORMAT,
        **about,
        "judge": dict(judge) if judge is not None else None,
        "notes": list(notes),
        "legend": {key: asdict(figure) for key, figure in FIGURES.items()},
        "who": {who: title for who, title in WHO.items() if any(who in clip.figures for clip in measured.clips)},
        "figures": {
            who: {key: summary for key in FIGURES if (summary := summary_of(measured.clips, who, key)) is not None}
            for who in WHO
            if any(who in clip.figures for clip in measured.clips)
        },
        "speakers": {
            **asdict(measured.verification),
            "pairs": measured.pairs,
            "recordings": measured.recordings,
        },
        "clips": [clip.to_json() for clip in measured.clips],
    }


def summary_of(clips: Sequence[EvaluatedClip], who: str, key: str) -> dict[str, float | int] | None:
    """Mean, median and count of a figure over the clips that have it; None if none has.

    Error rates are averaged over all words (or characters), so that short texts do not dominate.
    """
    found = [(value, clip) for clip in clips if (value := clip.figures.get(who, {}).get(key)) is not None]
    if not found:
        return None
    values = [value for value, _ in found]
    weights = [_weight(clip, key) for _, clip in found]
    mean = math.fsum(v * w for v, w in zip(values, weights, strict=True)) / math.fsum(weights)
    return {"mean": mean, "median": statistics.median(values), "clips": len(values)}


def _weight(clip: EvaluatedClip, key: str) -> float:
    if key not in ("wer", "cer"):
        return 1.0
    form = spoken_form(clip.text, clip.language)
    return float(len(form.split()) if key == "wer" else len(form))


def table(result: Mapping[str, Any]) -> list[list[str]]:
    """The figures as rows of text with a heading: mean and median per origin, empty where there are none."""
    columns = [who for who in WHO if who in result["figures"]]
    rows = [["figure", *(title for who in columns for title in (WHO[who], "median")), "better"]]
    for key, figure in FIGURES.items():
        summaries = [result["figures"][who].get(key) for who in columns]
        if any(summaries):
            cells = [_cell(summary, name, figure) for summary in summaries for name in ("mean", "median")]
            rows.append([figure.title, *cells, figure.better])
    return rows


def _cell(summary: Mapping[str, float] | None, name: str, figure: Figure) -> str:
    return f"{summary[name]:z.{figure.digits}f}" if summary else ""


def speakers_line(result: Mapping[str, Any]) -> str:
    """Speaker verification by the model's encoder on the recordings, in one line."""
    found = result["speakers"]
    of = f"own encoder on {found['recordings']} recordings, pairs of {found['pairs']}"
    same, other = (_number(found[name]) for name in ("same_mean", "other_mean"))
    parts = [f"same speaker {same} (pairs: {found['same_pairs']})", f"others {other} (pairs: {found['other_pairs']})"]
    if found["equal_error_rate"] is not None:
        parts.append(f"equal error rate {found['equal_error_rate']:.1%}")
    return f"{of}: {', '.join(parts)}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
