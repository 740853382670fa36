"""Anomalies of readable data: implausible texts and speakers, damaged sound.

Rows with an implausible text or speaker are suspect; with too many of them a run stops before training.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from myxtts.config.fields import LEAVES
from myxtts.data.feature_store import StoredClip
from myxtts.data.records import RootManifest, Utterance
from myxtts.data.scripts import expected_scripts, is_phonetic, script_of
from myxtts.errors import DataError
from myxtts.messages import quoted

SUSPECT_KEY = "data.max_suspect_share"
_FEW_ROWS, _FEW_NAMED_ROWS = 4, 20
"""In fewer rows, equal values may be chance; the second limit is for columns named by a header or the user."""
_MOST_IDS = 20
_ENOUGH_CLIPS = 8
"""In fewer clips no clip is an outlier."""
_COMMON_TEXT, _COMMON_COUNT = 0.2, 4
_LONGEST_NAME, _MOST_NAME_WORDS = 40, 3
_ONE_EACH = 0.9
_RATE_FACTOR = 2.5
_OFFSET_PERMILLE, _CLIPPED_PPM, _PAUSE_MS, _LEVEL_DB = 10, 1_000, 1_000, 10
_SHORT_SECONDS = 1.0
"""The speaking rate of a shorter clip is meaningless."""
_DECIMAL = re.compile(r"\d*[.,](?!0+$)\d+")
_ENDS_SENTENCE = re.compile("[.!?,;:\u2026\u060c\u061b\u061f\u3002\uff0c\uff01\uff1f][\"'\u201d\u2019)]*$")


@dataclass(frozen=True)
class Anomaly:
    """One kind of anomaly: a key of MEANINGS, the number of affected clips and of all clips, and the worst ones."""

    kind: str
    count: int
    total: int
    examples: tuple[str, ...]
    suspect_rows: frozenset[int] = field(default=frozenset(), repr=False)
    clip_ids: tuple[str, ...] = field(default=(), repr=False)
    """Ids of the first affected clips; if it is a measure, the worst first."""

    def line(self) -> str:
        """The anomaly as one line of the audit."""
        return f"{MEANINGS[self.kind][0]}: {self.count} of {self.total} ({'; '.join(self.examples)})"

    @property
    def advice(self) -> str:
        """What to do about it."""
        return MEANINGS[self.kind][1]


_COLUMNS = "name the columns in their order with --columns, such as --columns id,speaker,text"
MEANINGS = {
    "same_text": ("clips with the same text", f"correct the texts, or {_COLUMNS}"),
    "name_as_text": ("texts that are a few short values, like names", _COLUMNS),
    "text_as_speaker": ("speakers that look like a text", _COLUMNS),
    "number_as_speaker": ("speakers that are numbers with decimals", _COLUMNS),
    "blank_in_speaker": ("speakers with blanks in their names", "check the column of the speakers, or use --columns"),
    "one_clip_each": (
        "as many speakers as clips",
        "check the column of the speakers; a voice is learned from several clips of a speaker",
    ),
    "phonetic_text": ("texts in phonemes", "write the texts in ordinary spelling, or use --columns"),
    "other_script": (
        "texts in another script than their language",
        "name the language with --language, such as --language fa for Persian, or per row",
    ),
    "speaking_rate": ("texts too long or too short for their clip", "check that text and recording belong together"),
    "inverted": ("recordings whose channels cancel each other; one channel is used", "export them again in mono"),
    "offset": ("recordings with a DC offset, which is removed", "remove the offset when recording"),
    "clipped": ("clipped recordings", "record them again at a lower level"),
    "pause": ("clips with a long pause inside", "cut the pause, or split the clip there"),
    "level": ("clips far louder or quieter than the others", "bring them to one level"),
}
"""Kind -> what it is, and what to do."""


def text_anomalies(manifest: RootManifest) -> list[Anomaly]:
    """Anomalies of texts and speakers; speakers are judged only if they are a column of a table."""
    utterances = manifest.utterances
    found = [_phonetic(utterances), _scripts(utterances)]
    if len(utterances) >= _FEW_ROWS:
        enough = manifest.guessed or len(utterances) >= _FEW_NAMED_ROWS
        found += [_same_text(utterances, enough), _names(utterances, enough)]
    if "speaker" in manifest.columns:
        found += _speakers(utterances)
    return [anomaly for anomaly in found if anomaly.count]


def _anomaly(kind: str, utterances: Sequence[Utterance], rows: Sequence[int], value: Callable[[Utterance], str],
             suspect: bool = True) -> Anomaly:  # fmt: skip
    examples = tuple(
        f"{quoted(utterances[row].id, 40)} in line {utterances[row].source.rpartition(':')[2]}: "
        f"{value(utterances[row])}"
        for row in rows[:2]
    )
    ids = tuple(utterances[row].id for row in rows[:_MOST_IDS])
    return Anomaly(kind, len(rows), len(utterances), examples, frozenset(rows) if suspect else frozenset(), ids)


def _text_of(utterance: Utterance) -> str:
    return quoted(utterance.text, 40)


def _speaker_of(utterance: Utterance) -> str:
    return quoted(utterance.speaker, 40)


def _phonetic(utterances: Sequence[Utterance]) -> Anomaly:
    rows = [row for row, utterance in enumerate(utterances) if is_phonetic(utterance.text)]
    return _anomaly("phonetic_text", utterances, rows, _text_of)


def _scripts(utterances: Sequence[Utterance]) -> Anomaly:
    rows = []
    for row, utterance in enumerate(utterances):
        expected = expected_scripts(utterance.language)
        script = script_of(utterance.text) if expected else ""
        if script and script not in expected:
            rows.append(row)

    def value(utterance: Utterance) -> str:
        script = script_of(utterance.text).lower()
        return f"language {utterance.language}, {script} letters in {_text_of(utterance)}"

    return _anomaly("other_script", utterances, rows, value)


def _same_text(utterances: Sequence[Utterance], suspect: bool) -> Anomaly:
    texts = [utterance.text.casefold() for utterance in utterances]
    text, count = Counter(texts).most_common(1)[0]
    if count < max(_COMMON_COUNT, _COMMON_TEXT * len(texts)):
        return _anomaly("same_text", utterances, [], _text_of)
    rows = [row for row, own in enumerate(texts) if own == text]
    return _anomaly("same_text", utterances, rows, _text_of, suspect)


def _names(utterances: Sequence[Utterance], suspect: bool) -> Anomaly:
    """Texts like those of a speaker column: short, without punctuation, and repeated."""
    texts = [utterance.text for utterance in utterances]
    short = all(len(text.split()) <= 2 and not _ENDS_SENTENCE.search(text) for text in set(texts))
    named = short and len(texts) >= 6 and len(texts) >= 4 * len(set(texts))
    return _anomaly("name_as_text", utterances, range(len(texts)) if named else [], _text_of, suspect)


def _speakers(utterances: Sequence[Utterance]) -> list[Anomaly]:
    speakers = [utterance.speaker for utterance in utterances]
    one_each = len(speakers) >= _FEW_ROWS and len(set(speakers)) >= _ONE_EACH * len(speakers)
    decimals = [row for row, speaker in enumerate(speakers) if _DECIMAL.fullmatch(speaker)]
    blanks = [row for row, speaker in enumerate(speakers) if " " in speaker]
    texts = [row for row in blanks if one_each or _is_text(speakers[row])]
    names = sorted(set(blanks) - set(texts))
    every = range(len(speakers)) if one_each else []
    return [
        _anomaly("text_as_speaker", utterances, texts, _speaker_of),
        _anomaly("number_as_speaker", utterances, decimals, _speaker_of),
        _anomaly("blank_in_speaker", utterances, names, _speaker_of, suspect=False),
        _anomaly("one_clip_each", utterances, every, _speaker_of, suspect=False),
    ]


def _is_text(speaker: str) -> bool:
    """Whether a speaker's name with blanks is more likely a text."""
    many = len(speaker) > _LONGEST_NAME or len(speaker.split()) > _MOST_NAME_WORDS
    return many or (bool(_ENDS_SENTENCE.search(speaker)) and not speaker.endswith((" Jr.", " Sr.")))


def check_suspects(manifest: RootManifest, most: float) -> list[Anomaly]:
    """The anomalies of texts and speakers in a root.

    Errors: DataError if more than the share `most` of its rows is suspect.
    """
    found = text_anomalies(manifest)
    rows = len(manifest.utterances)
    suspect = frozenset().union(*(anomaly.suspect_rows for anomaly in found))
    if rows and len(suspect) > most * rows:
        worst = max(found, key=lambda anomaly: len(anomaly.suspect_rows))
        raise DataError(
            f"{manifest.metadata}: {worst.line()}; {worst.advice}; to train on them anyway, use "
            f"--set {SUSPECT_KEY}={LEAVES[SUSPECT_KEY].accepts.high:g}"
        )
    return found


def sound_anomalies(clips: Sequence[StoredClip]) -> list[Anomaly]:
    """Anomalies of the recordings and of their lengths against their texts."""
    found = [
        _of_sound("inverted", clips, [clip.sound.inverted for clip in clips], 0, lambda value: "one channel used"),
        _of_sound("offset", clips, [c.sound.offset_permille for c in clips], _OFFSET_PERMILLE,
                  lambda value: f"{value / 1000:.3f} of full scale"),
        _of_sound("clipped", clips, [clip.sound.clipped_ppm for clip in clips], _CLIPPED_PPM,
                  lambda value: f"{value / 1e4:.2f}% of its samples"),
        _of_sound("pause", clips, [clip.sound.quiet_ms for clip in clips], _PAUSE_MS,
                  lambda value: f"{value / 1000:.1f} s"),
    ]  # fmt: skip
    if len(clips) >= _ENOUGH_CLIPS:
        levels = [-clip.sound.level_db for clip in clips]
        middle = float(np.median(levels))
        found.append(
            _of_sound("level", clips, [abs(level - middle) for level in levels], _LEVEL_DB,
                      lambda value: f"{value:.0f} dB from the median of {middle:.0f} dBFS")
        )  # fmt: skip
        found.append(_speaking_rates(clips))
    return [anomaly for anomaly in found if anomaly.count]


def _of_sound(
    kind: str, clips: Sequence[StoredClip], values: Sequence[float], limit: float, words: Callable[[float], str]
) -> Anomaly:
    """The clips whose value exceeds a limit, the highest first."""
    rows = sorted((row for row, value in enumerate(values) if value > limit), key=lambda row: -values[row])
    examples = tuple(f"{quoted(clips[row].utterance.id, 40)}: {words(values[row])}" for row in rows[:2])
    ids = tuple(clips[row].utterance.id for row in rows[:_MOST_IDS])
    return Anomaly(kind, len(rows), len(clips), examples, clip_ids=ids)


def _speaking_rates(clips: Sequence[StoredClip]) -> Anomaly:
    """Clips whose text is far longer or shorter than others of its language for the length of the recording."""
    rates: dict[str, list[tuple[float, int]]] = {}
    for row, clip in enumerate(clips):
        seconds = clip.facts.samples / clip.facts.sample_rate_hz - clip.sound.cut_ms / 1_000
        if seconds >= _SHORT_SECONDS:
            letters = sum(map(str.isalnum, clip.utterance.text))
            rates.setdefault(clip.utterance.language, []).append((max(letters, 1) / seconds, row))
    outliers: list[tuple[float, float, int]] = []
    for known in rates.values():
        if len(known) >= _ENOUGH_CLIPS:
            middle = float(np.median([rate for rate, _ in known]))
            far = ((max(rate / middle, middle / rate), rate, row) for rate, row in known)
            outliers += [one for one in far if one[0] > _RATE_FACTOR]
    outliers.sort(reverse=True)
    examples = tuple(
        f"{quoted(clips[row].utterance.id, 40)}: {rate:.1f} letters per second, {_text_of(clips[row].utterance)}"
        for _, rate, row in outliers[:2]
    )
    ids = tuple(clips[row].utterance.id for _, _, row in outliers[:_MOST_IDS])
    return Anomaly("speaking_rate", len(outliers), len(clips), examples, clip_ids=ids)
