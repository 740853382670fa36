"""Checks a data root as training would: metadata, missing or undecodable recordings, texts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from myxtts.audio import waveform
from myxtts.config.presets import SIZES
from myxtts.config.schema import AudioConfig, DataConfig
from myxtts.data.anomalies import text_anomalies
from myxtts.data.audit import raised_limits
from myxtts.data.layouts import METADATA_NAMES
from myxtts.data.manifest import read_root
from myxtts.data.pool import Died, job_limits, run_isolated
from myxtts.data.records import (
    DECODER_DIED,
    SILENT,
    TOO_LONG,
    TOO_SHORT,
    UNREADABLE,
    NeededLimits,
    Rejection,
    RootManifest,
    Utterance,
)
from myxtts.data.source import Split
from myxtts.doctor.findings import Certainty, Report
from myxtts.doctor.messages import Message, message
from myxtts.errors import DataError
from myxtts.progress import Progress
from myxtts.speakers import ENOUGH_SPEAKERS

MOST_DECODED = 300
"""Most recordings that are decoded, spread evenly over a larger set. Training checks all of them."""
WORKERS = 2
_CAPS = ", ".join(f"{size['data.max_clip_seconds']} s at size {name}" for name, size in SIZES.items())
_FULL_TEXT = 400
_VALIDATE_ALONE = set(METADATA_NAMES["val"]) - set(METADATA_NAMES["train"])
"""Metadata used only for validation: the number of its speakers does not limit cloning."""


def check_dataset(root: Path, progress: Progress) -> Report:
    """Problems of a data root. Errors: DataError if it is not one."""
    manifest = _manifest(root)
    report = Report(str(root), "dataset")
    speakers = Counter(utterance.speaker for utterance in manifest.utterances)
    report.facts += [message("note", text=note) for note in manifest.notes]
    report.facts.append(message("data_rows", clips=len(manifest.utterances), speakers=len(speakers)))
    if 0 < len(speakers) < ENOUGH_SPEAKERS and manifest.metadata.name not in _VALIDATE_ALONE:
        report.facts.append(_few_speakers(len(speakers)))
    sample = _spread(manifest.utterances, MOST_DECODED)
    bad = _undecodable(sample, progress)
    report.facts.append(
        message("data_decoded", count=len(sample), total=len(manifest.utterances), good=len(sample) - len(bad))
    )
    _add_rejections(report, [*manifest.rejections, *bad])
    _add_share(report, manifest, len(sample), bad)
    _add_texts(report, manifest.utterances)
    for anomaly in text_anomalies(manifest):  # facts: they are no causes of NaN
        examples = "; ".join(anomaly.examples)
        report.facts.append(
            message(f"anomaly_{anomaly.kind}", count=anomaly.count, total=anomaly.total, examples=examples)
        )
    return report


def _few_speakers(people: int) -> Message:
    """What a model of so few speakers can do."""
    if people == 1:
        return message("data_one_speaker", enough=ENOUGH_SPEAKERS)
    return message("data_few_speakers", people=people, enough=ENOUGH_SPEAKERS)


def _manifest(root: Path) -> RootManifest:
    split: Split = "train"
    if not any((root / name).is_file() for name in METADATA_NAMES["train"]):
        split = "val"
    return read_root(root, split, "en-us")


def _spread(utterances: Sequence[Utterance], most: int) -> list[Utterance]:
    """At most so many utterances, at equal distances."""
    if len(utterances) <= most:
        return list(utterances)
    return [utterances[index * len(utterances) // most] for index in range(most)]


def _undecodable(utterances: Sequence[Utterance], progress: Progress) -> list[Rejection]:
    """Recordings that training would reject, decoded in processes of their own: a decoder that hangs costs one clip."""
    found: dict[int, Rejection] = {}
    paths = [utterance.audio_path for utterance in utterances]
    for done, (index, outcome) in enumerate(run_isolated(look_at, paths, WORKERS) if paths else (), 1):
        if isinstance(outcome, Died):
            outcome = DECODER_DIED, str(paths[index]), NeededLimits()
        if outcome[0]:
            found[index] = Rejection(utterances[index].source, utterances[index].id, *outcome)
        progress("recordings", done, len(paths))
    return [found[index] for index in sorted(found)]


def look_at(path: Path) -> tuple[str, str, NeededLimits]:
    """(reason, value, seconds over the cap) for a recording that cannot be trained on, empty ones for one that can.

    For worker processes.
    """
    nothing = NeededLimits()
    data = DataConfig()
    with job_limits():
        try:
            info = waveform.probe(path)
            if info.seconds > data.max_clip_seconds:
                return TOO_LONG, f"{path}: {info.seconds:.2f} s, at most {_CAPS}", NeededLimits(info.seconds)
            if info.seconds < data.min_clip_seconds:
                return TOO_SHORT, f"{path}: {info.seconds:.2f} s", nothing
            if waveform.is_silent(waveform.read(path, AudioConfig(), data.max_clip_seconds)):
                return SILENT, str(path), nothing
        except DataError as error:
            return UNREADABLE, str(error), nothing
        except (OSError, MemoryError) as error:
            return UNREADABLE, f"{path}: {type(error).__name__} {error}", nothing
    return "", "", nothing


def _add_rejections(report: Report, rejections: Sequence[Rejection]) -> None:
    """One cause for each reason, with the first example."""
    counts = Counter(rejection.reason for rejection in rejections)
    for reason, count in counts.most_common():
        of_reason = [rejection for rejection in rejections if rejection.reason == reason]
        first = of_reason[0]
        certainty = Certainty.LIKELY if reason in (UNREADABLE, DECODER_DIED, SILENT) else Certainty.POSSIBLE
        what = message("data_rejected", count=count, reason=reason, value=first.value)
        report.add(certainty, what, first.source, _do(of_reason))


def _do(rejections: Sequence[Rejection]) -> Message:
    """What to do about rejected rows: raise a limit if it rejects most of them, else fix them."""
    taken, settings = raised_limits(rejections)
    if not taken or 2 * taken < len(rejections):
        return message("fix_rows")
    return message("raise_limit", settings=settings, count=taken)


def _add_share(report: Report, manifest: RootManifest, decoded: int, bad: Sequence[Rejection]) -> None:
    """A cause if more rows would be rejected than allowed, estimated from the decoded recordings."""
    rows, most = len(manifest.utterances), DataConfig().max_rejected_share
    total = rows + len(manifest.rejections)
    of_decoded = len(bad) / decoded if decoded else 0.0
    share = (len(manifest.rejections) + rows * of_decoded) / total if total else 1.0
    if share <= most:
        return
    # two standard errors: in a sample the limit may be exceeded by chance
    doubt = 2.0 * rows / total * math.sqrt(of_decoded * (1.0 - of_decoded) / decoded) if decoded < rows else 0.0
    certainty = Certainty.CERTAIN if share - doubt > most else Certainty.LIKELY
    what = message("data_share", share=round(100 * share, 1), most=100 * most)
    report.add(certainty, what, str(manifest.metadata), _do([*manifest.rejections, *bad]))


def _add_texts(report: Report, utterances: Sequence[Utterance]) -> None:
    """Texts that training accepts but that are hard to learn."""
    long = [utterance for utterance in utterances if len(utterance.text) > _FULL_TEXT]
    if long:
        what = message("data_long_text", count=len(long), characters=len(long[0].text))
        report.add(Certainty.POSSIBLE, what, long[0].source, message("split_text"))
