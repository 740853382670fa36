"""Judges a list of clips with the models of the extra `judge`, as `python -m myxtts evaluate --judge` does.

A script for any Python that has the extra (`pip install 'myxtts[judge]'`), called by the measurements that synthesize:
PYTHON bench/judge.py LIST.tsv --json FILE. A line of the list is wav, text and reference, separated by tabs. Words
are recognized in English only; in other languages the error rates are null.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LANGUAGE = "en-us"
KINDS = ("wer", "cer", "dnsmos", "secs")


def main(argv: Sequence[str] | None = None) -> int:
    """Judges as `argv` says; returns the exit code."""
    made = argparse.ArgumentParser(
        prog="python -m bench.judge", description="Word error, speaker similarity and quality of a list of clips."
    )
    made.add_argument("clips", metavar="LIST.tsv", type=Path, help="wav, text and reference in every line")
    made.add_argument("--json", metavar="FILE", type=Path, required=True, help="file for the figures")
    made.add_argument("--language", metavar="CODE", default=LANGUAGE, help=f"of the texts ({LANGUAGE})")
    given = made.parse_args(argv)
    from myxtts.evaluation.judge import Judge

    rows = [line.split("\t") for line in given.clips.read_text(encoding="utf-8").splitlines() if line.strip()]
    judge, found = Judge(None), []
    for number, (wav, text, reference) in enumerate(rows):
        answer = judge.answer({"id": number, "wav": wav, "reference": reference or None, "language": given.language})
        found.append(figures_of(text, answer))
        shown = "  ".join(f"{kind} {found[-1][kind]:.2f}" for kind in KINDS if found[-1][kind] is not None)
        print(f"{Path(wav).name}  {shown}  recognized: {answer['recognized']}", flush=True)
    written = {"clips": found, "total": total_of(found), "judge": judge.describe()}
    given.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    return 0


def figures_of(text: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The figures of a clip, and the numbers of words and characters behind its error rates."""
    from myxtts.evaluation.word_errors import error_rates

    recognized = answer["recognized"]
    rates = error_rates(text, recognized, LANGUAGE) if recognized is not None else None
    counted = (rates.wer, rates.cer, rates.words, rates.characters) if rates else (None, None, 0, 0)
    return {**answer, **dict(zip(("wer", "cer", "words", "characters"), counted, strict=True)), "text": text}


def total_of(found: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Error rates over all words and characters, means of the others; None where no clip has the figure."""
    total: dict[str, float | None] = {"clips": len(found)}
    for kind, unit in (("wer", "words"), ("cer", "characters")):
        count = sum(clip[unit] for clip in found)
        total[kind] = sum(clip[kind] * clip[unit] for clip in found if clip[unit]) / count if count else None
    for kind in ("dnsmos", "dnsmos_background", "dnsmos_p808", "secs"):
        there = [clip[kind] for clip in found if clip.get(kind) is not None]
        total[kind] = statistics.mean(there) if there else None
    return total


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # the Python that judges need not have MyXTTS installed
    sys.exit(main())
