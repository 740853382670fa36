"""Makes a data set from long recordings: phrases, words, cuts, clips, metadata, and the page for corrections."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from myxtts.audio.waveform import write_wav
from myxtts.dataset.clips import Clip, Spoken, clips_of, sound_of
from myxtts.dataset.cuts import WordPlaces, cut
from myxtts.dataset.page import render_review
from myxtts.dataset.recognizer import RATE_HZ
from myxtts.dataset.recognizer_client import Recognized, RecognizedWord, RecognizerProcess, RecognizerSetup
from myxtts.dataset.recordings import LongRecording
from myxtts.dataset.sound import Array, Sound, clip_rate, forget_sound, load_sound
from myxtts.dataset.speech import Phrase, find_phrases
from myxtts.dataset.state import CUTS, METADATA, REVIEW, DatasetFolder, RecognitionJournal
from myxtts.dataset.words import TimedWord, align, recognized_words
from myxtts.progress import Progress
from myxtts.storage.files import storage_error

COLUMNS = ("id", "text", "speaker", "language", "confidence")
"""Columns of the metadata; the trainer ignores the last one."""
_PART_SECONDS = 26.0
_LONGEST_PART_GAP = 2.0
_PART_CONTEXT = 0.2


@dataclass(frozen=True)
class MakeOptions:
    """The properties of the clips.

    Attributes:
        language: of the recordings.
        speaker: speaker of recordings that are not in a folder of a speaker.
        shortest: seconds of the shortest clip.
        longest: seconds of the longest clip.
        level: of the speech, in dB of full scale.
        sample_rate: of the clips; 0 for that of their recording.
        doubtful: clips of a lower confidence come first on the page.
        texts: whether clips have texts.
    """

    language: str
    speaker: str
    shortest: float = 2.0
    longest: float = 12.0
    level: float = -23.0
    sample_rate: int = 0
    doubtful: float = 0.8
    texts: bool = True


@dataclass(frozen=True)
class Summary:
    """The result: seconds of recordings, clips, seconds of clips, doubtful ones, and seconds dropped by reason."""

    recorded: float
    clips: int
    seconds: float
    doubtful: int
    dropped: Mapping[str, float]


class Recognizes(Protocol):
    """A recognizer of words in samples at 16 kHz."""

    def recognize(self, samples_N: Array) -> Recognized:
        """Words with times from the beginning of the samples."""


class Maker:
    """Makes one data set.

    Args:
        recordings: in the order of the transcript.
        root: the folder of the data set.
        options: the properties of the clips.
        recognizer: of their words; None for clips without texts.
        transcripts: name of a recording -> its text; "" -> one text of all of them together.
    """

    def __init__(
        self,
        recordings: Sequence[LongRecording],
        root: Path,
        options: MakeOptions,
        recognizer: RecognizerSetup | Recognizes | None,
        transcripts: Mapping[str, str],
    ) -> None:
        self._recordings, self._options = recordings, options
        self._recognizer, self._transcripts = recognizer, transcripts
        named = {"recognizer": ""}
        if isinstance(recognizer, RecognizerSetup):
            named = {"recognizer": recognizer.model}
        texts = hashlib.sha256("\0".join(f"{k}\0{v}" for k, v in sorted(transcripts.items())).encode()).hexdigest()
        wanted = {**asdict(options), **named, "transcript": texts[:12] if transcripts else ""}
        listed = [{"name": one.name, "path": str(one.path), "key": one.key} for one in recordings]
        self.folder = DatasetFolder(root, wanted, listed)

    def make(self, progress: Progress) -> Summary | None:
        """Makes the data set; None if it is complete already. Raises DataError, StorageError."""
        try:
            return self._make(progress)
        except OSError as error:
            raise storage_error("making the data set", Path(error.filename or self.folder.root), error) from error

    def _make(self, progress: Progress) -> Summary | None:
        """As `make`, but raises OSError where the disk fails."""
        self.folder.check()
        if self.folder.is_complete:
            return None
        with self.folder:
            heads = self._all_understood(progress)
            spoken = self._spoken(heads)
            clips: list[Clip] = []
            for one in self._recordings:
                words = spoken.get(one.key)
                places = WordPlaces(words.words) if words else None
                spans = cut(heads[one.key][0], places, self._options.shortest, self._options.longest)
                speaker = one.folder or self._options.speaker
                clips += clips_of(one.name, speaker, spans, words, self._options.language)
            self.folder.keep_only([clip.id for clip in clips if clip.id])
            clips = self._written(clips, progress)
            self.folder.finish(files_of(clips, self._options))
        kept = [clip for clip in clips if clip.id]
        dropped: dict[str, float] = {}
        for clip in clips:
            if clip.reason:
                dropped[clip.reason] = dropped.get(clip.reason, 0.0) + clip.seconds
        doubtful = sum(clip.confidence < self._options.doubtful for clip in kept) if self._options.texts else 0
        recorded = sum(one.seconds for one in self._recordings)
        return Summary(recorded, len(kept), sum(clip.seconds for clip in kept), doubtful, dropped)

    def _all_understood(self, progress: Progress) -> dict[str, tuple[list[Phrase], Recognized]]:
        """Phrases and words of each recording by its key. The model is loaded first, since it may be unusable."""
        with ExitStack() as stack:
            recognizer = self._recognizer
            if isinstance(recognizer, RecognizerSetup):
                process = RecognizerProcess(recognizer, self._options.language, self.folder.work)
                recognizer = stack.enter_context(process)
            return {one.key: self._understood(one, recognizer, progress) for one in self._recordings}

    def _understood(
        self, one: LongRecording, recognizer: Recognizes | None, progress: Progress
    ) -> tuple[list[Phrase], Recognized]:
        """Phrases and words of a recording."""
        sound = self._sound(one, progress)
        phrases = find_phrases(sound, progress, f"finding speech in {one.name}")
        found = Recognized([], [])
        if recognizer is not None:
            found = self._recognized(one, sound, phrases, recognizer, progress)
        if len(self._recordings) > 1:  # decoded again later: many hours would fill the disk
            forget_sound(one, sound.rate_hz, self.folder.work)
        return phrases, found

    def _sound(self, one: LongRecording, progress: Progress) -> Sound:
        return load_sound(one, clip_rate(one, self._options.sample_rate), self.folder.work, progress)

    def _recognized(
        self, one: LongRecording, sound: Sound, phrases: Sequence[Phrase], recognizer: Recognizes, progress: Progress
    ) -> Recognized:
        """The words of a recording, those of an interrupted run included."""
        journal = self.folder.journal(one.key)
        parts = list(parts_of(phrases))
        words: list[RecognizedWord] = []
        speech: list[tuple[float, float]] = []
        task, total, done = f"recognizing {one.name}", round(sum(end - start for start, end in parts)), 0.0
        for start, end in parts:
            if journal.get(_part_name(start, end)) is None:
                self._recognize(recognizer, sound, start, end, journal)
            entry = journal.get(_part_name(start, end)) or {}
            words += [RecognizedWord(t, start + a, start + b, p) for t, a, b, p in entry["words"]]
            speech += [(start + a, start + b) for a, b in entry["speech"]]
            done += end - start
            progress(task, min(total, round(done)), total)
        return Recognized(words, speech)

    @staticmethod
    def _recognize(recognizer: Recognizes, sound: Sound, start: float, end: float, journal: RecognitionJournal) -> None:
        found = recognizer.recognize(sound.between(start, end, RATE_HZ))
        words = [[word.text, word.start, word.end, word.probability] for word in found.words]
        journal.add(_part_name(start, end), {"words": words, "speech": [list(part) for part in found.speech]})

    def _spoken(self, heads: Mapping[str, tuple[list[Phrase], Recognized]]) -> dict[str, Spoken]:
        """The words of each recording; those of the transcript if there is one."""
        if not self._recognizer:
            return {}
        found = {one.key: heads[one.key][1] for one in self._recordings}
        own = {key: recognized_words(one.words, one.speech) for key, one in found.items()}
        texts: dict[str, list[TimedWord]] = {}
        if "" in self._transcripts:
            texts = self._together(self._transcripts[""], own)
        elif self._transcripts:
            for one in self._recordings:
                texts[one.key] = align(self._transcripts[one.name], own[one.key], self._options.language)
        return {
            one.key: Spoken(
                own[one.key], texts.get(one.key, own[one.key]), found[one.key].speech, bool(self._transcripts)
            )
            for one in self._recordings
        }

    def _together(self, text: str, own: Mapping[str, list[TimedWord]]) -> dict[str, list[TimedWord]]:
        """The words of one text that covers all recordings in order."""
        offset, offsets, recognized = 0.0, [], []
        for one in self._recordings:
            offsets.append(offset)
            recognized += [
                TimedWord(word.text, word.start + offset, word.end + offset, word.score) for word in own[one.key]
            ]
            offset += one.seconds + 10.0
        texts: dict[str, list[TimedWord]] = {one.key: [] for one in self._recordings}
        ends = [*offsets[1:], float("inf")]
        at = 0
        for word in align(text, recognized, self._options.language):
            while word.middle >= ends[at]:
                at += 1
            own_word = replace(word, start=word.start - offsets[at], end=word.end - offsets[at])
            texts[self._recordings[at].key].append(own_word)
        return texts

    def _written(self, clips: Sequence[Clip], progress: Progress) -> list[Clip]:
        """The clips whose sound was usable and is written, and the dropped ones."""
        found: list[Clip] = []
        for one in self._recordings:
            own = [clip for clip in clips if clip.recording == one.name]
            sound = self._sound(one, progress)
            for clip in own:
                if clip.id:
                    samples_N, judged = sound_of(clip, sound, self._options.level)
                    if judged.id and not self.folder.has_clip(clip.id):
                        write_wav(self.folder.clip_path(clip.id), samples_N, sound.rate_hz)
                    clip = judged
                found.append(clip)
                progress("writing clips", len(found), len(clips))
            if len(self._recordings) > 1:
                forget_sound(one, sound.rate_hz, self.folder.work)
        return found


def parts_of(phrases: Sequence[Phrase]) -> Iterator[tuple[float, float]]:
    """Parts of at most 26 s for the recognizer, cut at the longest pause of their second half."""
    stretch: list[Phrase] = []
    for phrase in [*phrases, Phrase(float("inf"), float("inf"), "end")]:
        if phrase.problem == "" and phrase.seconds > _PART_SECONDS:
            continue  # dropped: it has no pause
        if stretch and (phrase.problem or phrase.start - stretch[-1].end > _LONGEST_PART_GAP):
            yield _part(stretch)
            stretch = []
        elif stretch and phrase.end - stretch[0].start > _PART_SECONDS:
            gaps = [(after.start - before.end, at) for at, (before, after) in enumerate(pairwise(stretch), 1)]
            half = stretch[0].start + 0.5 * _PART_SECONDS
            late = [(gap, at) for gap, at in gaps if stretch[at].start > half]
            late.append((phrase.start - stretch[-1].end, len(stretch)))
            at = max(late)[1]
            yield _part(stretch[:at])
            stretch = stretch[at:]
        if not phrase.problem:
            stretch.append(phrase)


def _part(stretch: Sequence[Phrase]) -> tuple[float, float]:
    return max(0.0, round(stretch[0].start - _PART_CONTEXT, 3)), round(stretch[-1].end + _PART_CONTEXT, 3)


def _part_name(start: float, end: float) -> str:
    return f"{start:.3f}-{end:.3f}"


def files_of(clips: Sequence[Clip], options: MakeOptions) -> dict[str, str]:
    """Name -> content of the files besides the clips; the metadata last."""
    kept = [clip for clip in clips if clip.id]
    rows = ["|".join(COLUMNS)]
    for clip in kept:
        rows.append("|".join((clip.id, clip.text, clip.speaker, options.language, f"{clip.confidence:.2f}")))
    cuts = io.StringIO()
    table = csv.writer(cuts, lineterminator="\n")
    table.writerow(("recording", "start", "end", "id", "reason", "value"))
    for clip in clips:
        table.writerow((clip.recording, f"{clip.start:.3f}", f"{clip.end:.3f}", clip.id, clip.reason, clip.value))
    files = {CUTS: cuts.getvalue()}
    files[REVIEW] = render_review(kept, clips, options.language, options.doubtful, options.texts)
    if options.texts:
        files[METADATA] = "\n".join(rows) + "\n"
    return files
