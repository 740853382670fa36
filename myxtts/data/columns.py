"""Infers the columns of a table from their contents: file, text, normalized text, speaker, language.

Nothing is guessed silently: if the contents are ambiguous, the caller gets an error with the contents and an example
of `--columns`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from myxtts.data.audio_files import has_audio_suffix
from myxtts.data.scripts import is_phonetic, speaks_without_blanks
from myxtts.errors import DataError
from myxtts.messages import quoted

KINDS = ("id", "text", "normalized", "speaker", "language")
AUTO = "auto"
UNREAD = ""
"""The meaning of a column that is not read."""
HEADER_NAMES = {
    "id": "id file filename file_name file_id filepath file_path path audio audio_file audio_path audio_filename "
    "audio_filepath wav wav_file wav_filename wav_path clip clip_id clip_path utterance utterance_id utt_id utt "
    "recording فایل نام_فایل",
    "text": "متن text transcript transcription sentence raw_text raw_transcription transcript_text",
    "normalized": "normalized normalized_text text_normalized norm_text clean_text normalized_transcription "
    "normalized_transcript normalised_text",
    "speaker": "گوینده speaker speaker_id speaker_name spk spk_id client_id reader reader_id voice sid",
    "language": "زبان language lang locale language_code language_id lang_code",
}
"""Names that a header or `--columns` may use for each column; case, spaces and dashes are ignored."""
UNREAD_NAMES = ("", "-", "_", "skip", "ignore", "unused")
"""Names in `--columns` for a column that is not read."""
_KIND_OF = {name: kind for kind, names in HEADER_NAMES.items() for name in names.split()}

SAMPLED_ROWS = 500
"""Number of rows that are examined, spread evenly over the table."""
_LONGEST_NAME, _MOST_NAME_WORDS = 40, 3
_RELATED = 0.15
"""A normalized text shares at least this many more of its letter pairs with its own text than with another row's."""

LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*")
_CODE_LIST = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en "
    "eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv "
    "ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne "
    "ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st "
    "su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu "
    "jp cn eng deu ger fra fre spa ita por rus zho chi cmn yue jpn kor fas per ara urd tur nld pol ukr hin"
)
_CODES = frozenset(_CODE_LIST.split())
"""Two letters of ISO 639-1, the usual three-letter ones, and what Japanese and Chinese lists write."""
_EMOTIONS = frozenset({
    "neutral", "happy", "happiness", "sad", "sadness", "angry", "anger", "amused", "amusement", "fear", "fearful",
    "disgust", "disgusted", "surprise", "surprised", "sleepy", "sleepiness", "calm", "excited", "whisper", "bored",
})  # fmt: skip
"""Labels of expressive corpora: they repeat as speakers do."""
_NUMBER = re.compile(r"[+-]?\d*[.,:]?\d+(?:[.:]\d+)*(?:e[+-]?\d+)?", re.I)
_WHOLE = re.compile(r"\d+")
_SENTENCE_MARK = re.compile("[.!?;,\u2026\u060c\u061b\u061f\u3002\uff0c\uff01\uff1f]")
_WORD = re.compile(r"[^\W\d_]+")

IsRecording = Callable[[str], bool]
_BY_POSITION = {3: KINDS[:3], 4: KINDS[:4], 5: KINDS}


def columns_of_option(value: str) -> tuple[str, ...] | None:
    """The columns that `--columns` names; None for "auto". Raises DataError."""
    if value.strip().lower() in ("", AUTO):
        return None
    names = [name.strip().lower().replace(" ", "_").replace("-", "_") or "_" for name in re.split("[,|;]", value)]
    kinds = tuple(UNREAD if name in UNREAD_NAMES else _KIND_OF.get(name, "?") for name in names)
    where = f"--columns (data.columns) {quoted(value)}"
    allowed = f"write {', '.join(KINDS)} in the order of the table, and - for a column that is not read"
    if "?" in kinds:
        raise DataError(f"{where}: {quoted(names[kinds.index('?')])} is no column; {allowed}")
    for kind in KINDS:
        if kinds.count(kind) > 1:
            raise DataError(f"{where}: two columns for {kind}; {allowed}")
    if "id" not in kinds or not {"text", "normalized"} & set(kinds):
        missing = "text" if "id" in kinds else "id (the name of the file)"
        raise DataError(f"{where}: no column for {missing}; {allowed}")
    return kinds


def kind_of_name(name: str) -> str:
    """The meaning of a column by its name; "" for an unknown one."""
    return _KIND_OF.get(name.strip().strip('"').lower().replace(" ", "_").replace("-", "_"), UNREAD)


def columns_of_header(cells: Sequence[str], where: str) -> tuple[str, ...] | None:
    """Meaning of each column by the names in a header ("" for an unknown name); None if this is no header.

    Raises DataError, beginning with `where`, for a header without a file or a text, or with two columns of one meaning.
    """
    names = [cell.strip().strip('"').lower().replace(" ", "_").replace("-", "_") for cell in cells]
    kinds = [kind_of_name(name) for name in names]
    if kinds.count("text") > 1 and "normalized" not in kinds:
        kinds[len(kinds) - 1 - kinds[::-1].index("text")] = "normalized"
    known = [kind for kind in kinds if kind]
    if len(known) < 2 or not ({"text", "normalized"} & set(known) or len(known) == len(kinds)):
        return None
    found = ", ".join(quoted(name) for name in names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    repeated = {kind for kind in known if known.count(kind) > 1}
    if "id" in repeated:  # with both "id" and "path", the column of the file is used
        for index, name in enumerate(names):
            if kinds[index] == "id" and ("path" in name or "file" in name or name in ("audio", "wav")):
                kinds = [UNREAD if kind == "id" and at != index else kind for at, kind in enumerate(kinds)]
                break
        repeated.discard("id")
    for needed in ("id", "text"):
        if needed not in kinds and not (needed == "text" and "normalized" in kinds):
            example = "id or file" if needed == "id" else "text"
            raise DataError(f"{where}: the header names no column for {example}; found {found}")
    if repeated:
        raise DataError(f"{where}: the header names two columns for {sorted(repeated)[0]}; found {found}")
    return tuple(kinds)


def columns_by_content(rows: Sequence[Sequence[str]], width: int, is_recording: IsRecording | None) -> tuple[str, ...]:
    """Meaning of the columns of a table without a header, from the rows that have `width` cells.

    Args:
        rows: all rows, of which at most SAMPLED_ROWS are examined.
        width: the number of columns, at least 2.
        is_recording: whether a cell names a recording; None if that is unknown.
    Raises DataError if the contents allow more than one reading; the message has no location.
    """
    full = [row for row in rows if len(row) == width]
    step = max(1, len(full) // SAMPLED_ROWS)
    columns = [_Column([row[at].strip() for row in full[::step]]) for at in range(width)]
    kinds: list[str | None] = [None] * width
    kinds[_file_column(columns, is_recording)] = "id"
    for at, column in enumerate(columns):
        is_label = width > 2 and (column.is_measured or column.is_emotion)
        if kinds[at] is None and (column.is_empty or column.is_phonetic or is_label):
            kinds[at] = UNREAD
    # A column of phonemes is taken as the text only if there is no other; the audit then stops with the reason.
    if not any(kind is None for kind in kinds):
        for at, column in enumerate(columns):
            if kinds[at] == UNREAD and not column.is_empty:
                kinds[at] = None
    rest = [at for at in range(width) if kinds[at] is None] or [at for at in range(width) if kinds[at] != "id"]
    try:
        texts = _text_columns(rest, columns, kinds)
    except DataError:
        if len(full) > 1 or width not in _BY_POSITION:
            raise
        return _BY_POSITION[width]  # a single row shows no repetition
    kinds[texts[0]] = "text"
    if len(texts) == 2:
        kinds[texts[1]] = "normalized"
    rest = [at for at in rest if at not in texts]
    languages = [at for at in rest if columns[at].is_language]
    if len(languages) == 1 or (languages and len(languages) < len(rest)):
        kinds[languages[-1]] = "language"
        rest.remove(languages[-1])
    named = [at for at in rest if not columns[at].is_measured]
    if len(named) > 1:
        raise _unclear(columns, kinds, named, "both be the speaker", "speaker")
    for at in rest:
        kinds[at] = "speaker" if at in named else UNREAD
    return tuple(kind or UNREAD for kind in kinds)


class _Column:
    """The values of one column and what kind of values they are."""

    def __init__(self, values: Sequence[str]) -> None:
        self.values = values
        self.filled = [value for value in values if value]
        self.distinct = len(set(self.filled))

    def every(self, test: Callable[[str], object]) -> bool:
        """Whether there are values and all of them pass."""
        return bool(self.filled) and all(test(value) for value in self.filled)

    def share(self, test: Callable[[str], object]) -> float:
        """The share of the values that pass, 0 to 1."""
        return sum(bool(test(value)) for value in self.filled) / max(1, len(self.filled))

    @property
    def is_empty(self) -> bool:
        return not self.filled

    @property
    def is_language(self) -> bool:
        return self.every(lambda value: re.split("[-_]", value.lower())[0] in _CODES and LANGUAGE_CODE.fullmatch(value))

    @property
    def is_measured(self) -> bool:
        """Whether all values are numbers, and not all of them whole: durations, times."""
        return self.every(_NUMBER.fullmatch) and not self.every(_WHOLE.fullmatch)

    @property
    def is_emotion(self) -> bool:
        """Whether the values name several emotions."""
        return self.distinct > 1 and self.every(lambda value: value.lower() in _EMOTIONS)

    @property
    def is_phonetic(self) -> bool:
        return self.share(is_phonetic) > 0.5

    @property
    def repeats(self) -> bool:
        """Whether few values are repeated often, like those of speakers."""
        return len(self.filled) >= 3 and self.distinct * 3 <= len(self.filled)

    @property
    def is_short(self) -> bool:
        """Whether every value could be a name."""
        return self.every(lambda v: len(v) <= _LONGEST_NAME and len(v.split()) <= _MOST_NAME_WORDS)

    @property
    def is_prose(self) -> bool:
        """Whether most values are more than one word, or long in a script without blanks between words."""
        if self.is_short and self.repeats:
            return False
        return self.share(lambda v: " " in v or (speaks_without_blanks(v) and len(v) >= 4)) > 0.5

    @property
    def has_sentences(self) -> bool:
        """Whether most values have a mark that no name has."""
        return self.share(lambda v: _SENTENCE_MARK.search(v) and not has_audio_suffix(v)) > 0.5

    def examples(self) -> str:
        return ", ".join(quoted(value, 40) for value in list(dict.fromkeys(self.filled))[:2]) or "nothing"


def _file_column(columns: Sequence[_Column], is_recording: IsRecording | None) -> int:
    """The column whose values name recordings: by existing files, by suffixes, else the first."""
    if is_recording is not None:
        found = [column.share(is_recording) for column in columns]
        if max(found) > 0.5:
            suffixed = [column.share(has_audio_suffix) for column in columns]
            return max(range(len(columns)), key=lambda at: (round(found[at], 1), suffixed[at] > 0.5, -at))
    suffixed = [column.share(has_audio_suffix) for column in columns]
    return suffixed.index(max(suffixed)) if max(suffixed) > 0.5 else 0


def _text_columns(rest: Sequence[int], columns: Sequence[_Column], kinds: Sequence[str | None]) -> list[int]:
    """The column of the text, and that of the normalized text if there is one. Raises DataError."""
    prose = [at for at in rest if columns[at].is_prose]
    if not prose:  # one word in each: the text is what does not repeat and is no code or number
        prose = [at for at in rest if columns[at].has_sentences] or [
            at for at in rest if not (columns[at].is_language and len(rest) > 1)
        ]
        prose = prose or list(rest[:1])
        if len(prose) > 1 and not _related(columns[prose[0]], columns[prose[1]]):
            names = [at for at in prose if columns[at].repeats or columns[at].every(_WHOLE.fullmatch)]
            prose = [at for at in prose if at not in names] or prose
    if len(prose) == 1:
        return prose
    # A short column among sentences contains names, even if all names differ.
    names = [at for at in prose if columns[at].is_short and not columns[at].has_sentences]
    if 0 < len(names) < len(prose) and all(columns[at].has_sentences for at in prose if at not in names):
        related = any(_related(columns[at], columns[other]) for at in names for other in prose if other != at)
        if not related:
            prose = [at for at in prose if at not in names]
    if len(prose) <= 1:
        return prose
    if len(prose) == 2 and _related(columns[prose[0]], columns[prose[1]]):
        return prose
    raise _unclear(columns, kinds, prose, "all be the text", "text")


def _related(first: _Column, second: _Column) -> bool:
    """Whether the second column is another spelling of the first: it resembles its own row more than other rows."""
    pairs = [(a, b) for a, b in zip(first.values, second.values, strict=True) if a and b]
    if not pairs:
        return True
    if sum(a == b for a, b in pairs) * 2 > len(pairs):
        return True
    pairs = pairs[:60]
    own = [_resemblance(a, b) for a, b in pairs]
    if len(pairs) < 2:
        return own[0] > 2 * _RELATED
    other = [_resemblance(a, pairs[(at + 1) % len(pairs)][1]) for at, (a, _) in enumerate(pairs)]
    return sum(own) / len(own) > sum(other) / len(other) + _RELATED


def _resemblance(first: str, second: str) -> float:
    """The share of letter pairs that two texts have in common, 0 to 1; marks above letters are ignored."""
    counts = [Counter(_letter_pairs(text)) for text in (first, second)]
    total = sum(counts[0].values()) + sum(counts[1].values())
    return 2 * sum((counts[0] & counts[1]).values()) / total if total else 0.0


def _letter_pairs(text: str) -> list[str]:
    letters = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return [word[at : at + 2] for word in _WORD.findall(letters) for at in range(max(1, len(word) - 1))]


def _unclear(
    columns: Sequence[_Column], kinds: Sequence[str | None], candidates: Sequence[int], what: str, kind: str
) -> DataError:
    """The error for columns that can be understood in two ways, with what is in each, and an example of --columns."""
    seen = "; ".join(f"column {at} holds {column.examples()}" for at, column in enumerate(columns, 1))
    named = [kind if at == candidates[0] else kinds[at] or "-" for at in range(len(columns))]
    numbers = " and ".join(str(at + 1) for at in candidates)
    return DataError(
        f"the meaning of the columns is not clear: columns {numbers} could {what} ({seen}); name them in order with "
        f"--columns, - for one that is not read, such as --columns {','.join(named)}"
    )
