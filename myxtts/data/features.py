"""From utterances to clips that can be trained on: reads the cache, has workers compute the rest, and rejects rows."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from myxtts.config.schema import Config
from myxtts.data.cache import RecordingIndex, Stamp, SumsFile, TokenCache, short_hash, stamp_of
from myxtts.data.clip_sums import sums_of
from myxtts.data.feature_store import ClipFacts, StoredClip, entry_bytes, read_entry
from myxtts.data.jobs import (
    CHECKS_VERSION,
    NO_TOKENS,
    AudioJob,
    AudioOutcome,
    TextJob,
    TextOutcome,
    TransientOutcome,
    audio_settings,
    encode,
    entry_path,
    extract,
    length_problem,
    text_definition,
)
from myxtts.data.pool import KILLED, Died, run_isolated
from myxtts.data.records import (
    DECODER_DIED,
    TEXT_OVER_FRAMES,
    TOO_LONG,
    TOO_MANY_TOKENS,
    TOO_SHORT,
    UNREADABLE,
    NeededLimits,
    Rejection,
    Utterance,
)
from myxtts.errors import StorageError
from myxtts.messages import escaped, quoted
from myxtts.progress import Progress
from myxtts.text.symbols import BLANK, SymbolTable, default_table

TEXTS_PER_JOB = 32
LETTERS_PER_TOKEN = 4
"""A text with more letters than this per allowed token is rejected without computing its phonemes."""


@dataclass(frozen=True)
class Gathered:
    """The usable clips of a root in the order of its rows, the rejected rows, and notes for the user."""

    clips: list[StoredClip]
    rejections: list[Rejection]
    notes: list[str]


@dataclass(frozen=True)
class _Ready:
    """A recording whose features are intact in the cache."""

    entry: Path
    facts: ClipFacts


Job = AudioJob | TextJob
Outcome = AudioOutcome | list[TextOutcome]


def gather(
    utterances: Sequence[Utterance],
    root: Path,
    config: Config,
    progress: Progress,
    dictionary: Mapping[str, str] | None = None,
    shared: bool = False,
) -> Gathered:
    """Features and tokens of utterances, from the cache if it has them.

    Args:
        utterances: rows of a manifest.
        root: the data root they come from.
        config: only its sections audio, text and data are used.
        progress: called for the tasks "features" (clips) and "texts".
        dictionary: pronunciations of the user.
        shared: compute in a random order, so that concurrent processes rarely compute the same clip at the same time;
            finished clips of other processes are found in the cache.
    Errors: StorageError if what is new cannot be written to the cache.
    """
    work = _Work(root, config, dictionary or {})
    recordings, texts = work.known(utterances)
    try:
        for key, outcome in work.computed(utterances, recordings, texts, progress, shared):
            if isinstance(outcome, AudioOutcome):
                recordings[key] = outcome
            else:
                texts[key] = outcome
    finally:
        work.save()
    return work.clips(utterances, recordings, texts)


class _Work:
    """The state of one `gather`."""

    def __init__(self, root: Path, config: Config, dictionary: Mapping[str, str]) -> None:
        self.config, self.dictionary = config, dictionary
        self.cache = Path(config.data.cache_path).expanduser()
        self.table = json.dumps(symbol_table(config).to_json(), ensure_ascii=True, sort_keys=True)
        audio = f"{audio_settings(config.audio)} {CHECKS_VERSION}"
        self.index = RecordingIndex(self.cache, root, audio)
        self.sums = SumsFile(self.cache, root, audio, config.audio.mel_channels)
        settings = text_settings(config, self.table, dictionary)
        self.tokens = TokenCache(self.cache, root, settings, len(symbol_table(config)))
        self.stamps: dict[int, Stamp] = {}
        self.ready: dict[int, _Ready] = {}
        self.notes: list[str] = []

    def known(self, utterances: Sequence[Utterance]) -> tuple[dict[int, AudioOutcome], dict[int, TextOutcome]]:
        """Cached outcomes by row; only feature files that changed since they were summed are read."""
        recordings: dict[int, AudioOutcome] = {}
        texts: dict[int, TextOutcome] = {}
        for row, utterance in enumerate(utterances):
            stamp = stamp_of(utterance.audio_path)
            if stamp is None:
                recordings[row] = AudioOutcome(UNREADABLE, f"{escaped(str(utterance.audio_path))}: not a regular file")
            else:
                self.stamps[row] = stamp
                outcome = self.index.get(utterance.audio_path, stamp, utterance.speed)
                if outcome is not None and self._is_valid(row, outcome):
                    recordings[row] = outcome
            text = self._too_many_letters(utterance.text) or self.tokens.get(utterance.text, utterance.language)
            if text is not None:
                texts[row] = text
        return recordings, texts

    def _is_valid(self, row: int, outcome: AudioOutcome) -> bool:
        """Whether a cached outcome is valid under the current limits, with intact features."""
        data = self.config.data
        if outcome.reason in (TOO_SHORT, TOO_LONG):
            return bool(length_problem(outcome.seconds, data.min_clip_seconds, data.max_clip_seconds)[0])
        if outcome.reason:
            return True
        if length_problem(outcome.seconds, data.min_clip_seconds, data.max_clip_seconds)[0]:
            return True  # the row is rejected, its features stay cached
        path = entry_path(self.cache, outcome.key)
        facts = ClipFacts(
            frames=outcome.frames,
            mel_channels=self.config.audio.mel_channels,
            sample_rate_hz=outcome.sample_rate_hz,
            channels=outcome.channels,
            samples=outcome.samples,
            trimmed_samples=outcome.trimmed_samples,
        )
        stamp = stamp_of(path)
        if stamp is not None and stamp[0] == entry_bytes(facts) and self.sums.knows(outcome.key, stamp):
            self.ready[row] = _Ready(path, facts)  # its checksum is tested when it is first used
            return True
        found = self._summed(path, outcome.key)
        if found is None or (found.frames, found.trimmed_samples) != (outcome.frames, outcome.trimmed_samples):
            return False
        self.ready[row] = _Ready(path, found)
        return True

    def _summed(self, path: Path, key: str) -> ClipFacts | None:
        """Reads a feature file and notes its sums; None if it is absent or damaged."""
        stamp = stamp_of(path)
        read = read_entry(path, self.config.audio.mel_channels)
        if read is None or stamp is None:
            return None
        facts, arrays = read
        self.sums.put(key, stamp, sums_of(*arrays))
        return facts

    def _too_many_letters(self, text: str) -> TextOutcome | None:
        """A rejection if a text is too long whatever its phonemes are, else None."""
        most = LETTERS_PER_TOKEN * self.config.data.max_text_tokens
        if len(text) <= most:
            return None
        tokens = f"{self.config.data.max_text_tokens} tokens (data.max_text_tokens)"
        value = f"{len(text)} letters, at most {tokens}: {quoted(text, 40)}"
        return TextOutcome(NO_TOKENS, TOO_MANY_TOKENS, value)

    def computed(
        self,
        utterances: Sequence[Utterance],
        recordings: dict[int, AudioOutcome],
        texts: dict[int, TextOutcome],
        progress: Progress,
        shared: bool,
    ) -> Iterator[tuple[int, AudioOutcome | TextOutcome]]:
        """Lets workers compute what is not cached; yields (row, outcome) and caches it."""
        data = self.config.data
        audio_rows = [row for row in range(len(utterances)) if row not in recordings]
        if shared:
            random.SystemRandom().shuffle(audio_rows)
        jobs: list[Job] = [
            AudioJob(
                utterances[row].audio_path,
                self.config.audio,
                self.cache,
                data.min_clip_seconds,
                data.max_clip_seconds,
                utterances[row].speed,
            )
            for row in audio_rows
        ]
        rows_of: list[list[int]] = [[row] for row in audio_rows]
        text_rows = [row for row in range(len(utterances)) if row not in texts]
        for rows in _chunks(utterances, text_rows, TEXTS_PER_JOB):
            jobs.append(self._text_job(utterances, rows))
            rows_of.append(rows)
        totals = {"features": len(audio_rows), "texts": len(text_rows)}
        yield from self._run(utterances, jobs, rows_of, progress, totals)

    def _text_job(self, utterances: Sequence[Utterance], rows: Sequence[int]) -> TextJob:
        """The texts of some rows of one language."""
        texts = tuple(utterances[row].text for row in rows)
        return TextJob(texts, utterances[rows[0]].language, self.config.text, self.table, self.dictionary)

    def _run(
        self,
        utterances: Sequence[Utterance],
        jobs: Sequence[Job],
        rows_of: Sequence[list[int]],
        progress: Progress,
        totals: dict[str, int],
    ) -> Iterator[tuple[int, AudioOutcome | TextOutcome]]:
        """Runs jobs in worker processes; if a job of several texts crashes, its texts are tried again one by one."""
        done = dict.fromkeys(totals, 0)
        for task, total in totals.items():
            if total:
                progress(task, 0, total)
        alone: list[int] = []
        remaining = list(zip(jobs, rows_of, strict=True))
        while remaining:
            for at, result in run_isolated(_work_on, [job for job, _ in remaining], self.config.data.num_workers):
                job, rows = remaining[at]
                if isinstance(result, Died) and len(rows) > 1:
                    alone += rows
                    continue
                yield from zip(rows, self._outcomes(utterances, rows, job, result), strict=True)
                task = "features" if isinstance(job, AudioJob) else "texts"
                done[task] += len(rows)
                progress(task, done[task], totals[task])
            remaining = [(self._text_job(utterances, [row]), [row]) for row in alone]
            alone = []

    def _outcomes(
        self, utterances: Sequence[Utterance], rows: Sequence[int], job: Job, result: Outcome | Died
    ) -> list[AudioOutcome | TextOutcome]:
        """The outcomes of a job for its rows; cached unless the worker, the disk or the memory failed."""
        if isinstance(result, AudioOutcome):
            row = rows[0]
            if not isinstance(result, TransientOutcome):
                self.index.put(utterances[row].audio_path, self.stamps[row], result, utterances[row].speed)
            if not result.reason:
                path = entry_path(self.cache, result.key)
                facts = self._summed(path, result.key)
                if facts is None:
                    return [AudioOutcome(UNREADABLE, f"{path}: the features could not be read back from the cache")]
                self.ready[row] = _Ready(path, facts)
            return [result]
        if isinstance(result, Died):
            value = "its worker process crashed or took too long; convert the recording again"
            if result.killed:
                value = f"its worker process was {KILLED}"
            if isinstance(job, AudioJob):
                return [AudioOutcome(DECODER_DIED, f"{quoted(str(job.path), 120)}: {value}")]
            return [TextOutcome(NO_TOKENS, DECODER_DIED, f"{quoted(job.texts[0])}: {value}")]
        for row, outcome in zip(rows, result, strict=True):
            self.tokens.put(utterances[row].text, utterances[row].language, outcome)
        return list(result)

    def save(self) -> None:
        """Writes new outcomes to the cache; a full cache may be on a disk that is read-only."""
        self.index.save()
        self.tokens.save()
        try:
            self.sums.save()
        except StorageError as error:  # they only make a start faster
            self.notes.append(f"the next start reads all features again, as their sums could not be saved: {error}")

    def clips(
        self, utterances: Sequence[Utterance], recordings: dict[int, AudioOutcome], texts: dict[int, TextOutcome]
    ) -> Gathered:
        """Clips and rejections in the order of the rows."""
        clips: list[StoredClip] = []
        rejections: list[Rejection] = []
        places = self.sums.places([recordings[row].key if row in self.ready else "" for row in range(len(utterances))])
        for row, utterance in enumerate(utterances):
            reason, value = self._problem(row, recordings[row], texts[row])
            if reason:
                needs = self._needs(reason, recordings[row], texts[row])
                rejections.append(Rejection(utterance.source, utterance.id, reason, value, needs))
            else:
                ready = self.ready[row]
                sound = recordings[row].sound
                clips.append(StoredClip(utterance, texts[row].tokens, ready.entry, ready.facts, sound, places[row]))
        return Gathered(clips, rejections, self.notes)

    def _problem(self, row: int, recording: AudioOutcome, text: TextOutcome) -> tuple[str, str]:
        """(reason, value) if a row is rejected, else ("", "")."""
        data, audio = self.config.data, self.config.audio
        if recording.reason not in ("", TOO_SHORT, TOO_LONG):
            return recording.reason, recording.value
        problem = length_problem(recording.seconds, data.min_clip_seconds, data.max_clip_seconds)
        if problem[0]:
            return problem
        trimmed = recording.trimmed_samples / audio.sample_rate_hz
        if trimmed < data.min_clip_seconds:
            return TOO_SHORT, f"{trimmed:.2f} s without the silence at its ends, at least {data.min_clip_seconds:g} s"
        if text.reason:
            return text.reason, text.value
        if len(text.tokens) > data.max_text_tokens:
            return TOO_MANY_TOKENS, f"{len(text.tokens)} tokens, at most {data.max_text_tokens} (data.max_text_tokens)"
        spoken = int(np.count_nonzero(text.tokens != BLANK))  # the aligner can skip blanks
        if spoken > recording.frames:
            return (
                TEXT_OVER_FRAMES,
                f"{spoken} tokens without blanks, {recording.frames} frames; is all of it spoken?",
            )
        return "", ""

    def _needs(self, reason: str, recording: AudioOutcome, text: TextOutcome) -> NeededLimits:
        """The limits that would accept a row; none if it is rejected for another reason too."""
        if reason not in (TOO_LONG, TOO_MANY_TOKENS) or text.reason:
            return NeededLimits()  # the tokens of a text with too many letters are not counted
        tokens = len(text.tokens)
        return NeededLimits(
            recording.seconds if reason == TOO_LONG else 0.0, tokens if tokens > self.config.data.max_text_tokens else 0
        )


def _work_on(job: Job) -> Outcome:
    """Runs a job of either kind in a worker process."""
    return extract(job) if isinstance(job, AudioJob) else encode(job)


def symbol_table(config: Config) -> SymbolTable:
    """The symbol table of a new model with these settings."""
    return default_table(config.text.symbols)


def text_settings(config: Config, table: str, dictionary: Mapping[str, str]) -> str:
    """Short hash of every setting and definition that tokens depend on; the language is a property of the row."""
    text = dataclasses.asdict(config.text)
    del text["language"]
    text["dictionary"] = short_hash(json.dumps(dictionary, sort_keys=True)) if dictionary else ""
    return short_hash(text_definition(), json.dumps(text, sort_keys=True), table)


def _chunks(utterances: Sequence[Utterance], rows: Sequence[int], size: int) -> Iterator[list[int]]:
    """The rows in lists of at most `size`, each of one language."""
    by_language: dict[str, list[int]] = {}
    for row in rows:
        by_language.setdefault(utterances[row].language, []).append(row)
    for same in by_language.values():
        for start in range(0, len(same), size):
            yield same[start : start + size]
