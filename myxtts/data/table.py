"""Reads a metadata file: encoding, separator, header, meaning of the columns. Does not open recordings."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from myxtts.data.records import BAD_COLUMNS, NOT_UTF8, Rejection
from myxtts.errors import DataError
from myxtts.messages import quoted

SEPARATORS = ("|", "\t", ",")
SEPARATOR_NAMES = {"|": "'|'", "\t": "tab", ",": "comma"}
LARGEST_FILE_BYTES = 1 << 30
LONGEST_LINE_BYTES = 1 << 20
MOST_LINES = 3_000_000
MOST_COLUMNS = 1_000
MOST_CELLS = 20_000_000
"""Of all lines together: about two gigabytes of memory."""
SNIFFED_LINES = 500

HEADER_NAMES = {
    "id": "id file filename file_name file_id filepath file_path path audio audio_file audio_path audio_filename wav "
    "wav_file wav_path clip clip_id utterance utterance_id utt_id utt",
    "text": "text transcript transcription sentence raw_text raw_transcription",
    "normalized": "normalized normalized_text text_normalized norm_text clean_text normalized_transcription "
    "normalized_transcript normalised_text",
    "speaker": "speaker speaker_id speaker_name spk spk_id client_id reader reader_id voice",
    "language": "language lang locale language_code language_id",
}
"""Names that a header may use for each column; case, spaces and dashes are ignored."""

_KIND_OF = {name: kind for kind, names in HEADER_NAMES.items() for name in names.split()}

LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*")


@dataclass(frozen=True)
class TableRow:
    """One row of a metadata file; an absent column is an empty string."""

    line: int
    id: str
    text: str
    normalized: str
    speaker: str
    language: str


@dataclass(frozen=True)
class Table:
    """The rows of a metadata file, those that could not be read, and how the columns were interpreted."""

    rows: list[TableRow]
    rejections: list[Rejection]
    columns: tuple[str, ...]
    separator: str
    has_header: bool


def read_table(path: Path) -> Table:
    """Rows of the metadata file `path`.

    Errors: DataError if the file is not a UTF-8 table with at least two columns and one row.
    """
    rejections: list[Rejection] = []
    numbered: list[tuple[int, str]] = []
    undecodable: DataError | None = None
    for number, raw in enumerate(_lines(path), start=1):
        if not raw or raw.isspace():
            continue
        if len(raw) > LONGEST_LINE_BYTES:
            raise DataError(
                f"{path}:{number}: the line has {len(raw)} bytes, at most {LONGEST_LINE_BYTES} are read; is it a "
                "metadata file?"
            )
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            rejections.append(Rejection(f"{path}:{number}", "", NOT_UTF8, quoted(raw.decode("utf-8", "replace"))))
            undecodable = undecodable or DataError(  # such as cp1256 or Latin-1
                f"{path}:{number}: byte 0x{raw[error.start]:02x} is not UTF-8, and no row can be read; save the file "
                "as UTF-8"
            )
            continue
        if line.strip():
            numbered.append((number, line))
    if not numbered:
        raise undecodable or DataError(f"{path}: no row that can be read; expected rows such as id|text (UTF-8)")
    separator = _separator(numbered)
    if separator is None:
        number, line = numbered[0]
        raise DataError(
            f"{path}:{number}: no separator found: expected 2 to 5 columns separated by '|', comma or tab "
            f"(id or file, text, normalized text, speaker, language), found {quoted(line)}"
        )
    _check_columns(path, numbered, separator)
    cells = _cells(numbered, separator)
    header = _header(cells[0][1], path, cells[0][0])
    body = cells[1:] if header else cells
    if not body:
        raise undecodable or DataError(f"{path}:{cells[0][0]}: a header without rows; expected rows such as id|text")
    if header is None:
        columns = _columns_without_header([row for _, row in body], separator)
        body = [(number, _rejoined(row, columns, separator, prose=True)) for number, row in body]
    else:
        columns = header
        body = [(number, _rejoined(row, columns, separator, prose=False)) for number, row in body]
    rows: list[TableRow] = []
    for number, row in body:
        problem = _count_problem(row, columns)
        if problem:
            rejections.append(Rejection(f"{path}:{number}", quoted(row[0]) if row else "", BAD_COLUMNS, problem))
        else:
            rows.append(_row(number, row, columns))
    return Table(rows, rejections, columns, separator, header is not None)


def _lines(path: Path) -> list[bytes]:
    """Lines of a file, without byte order mark and line ends."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE_BYTES:
            raise DataError(f"{path}: {size} bytes are more than a metadata file may have ({LARGEST_FILE_BYTES})")
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    start = raw[:4000]
    nuls = start.count(b"\0")
    if nuls > 0.75 * len(start):
        raise DataError(f"{path}:1: {nuls} of its first {len(start)} bytes are NUL: the file is damaged; copy it again")
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or nuls > len(start) // 4:
        raise DataError(f"{path}:1: the file is UTF-16 (it begins with {raw[:4]!r}); save it as UTF-8")
    if raw.startswith(b"\xef\xbb\xbf"):
        raw = raw[3:]
    lines = raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n")
    if lines > MOST_LINES:
        raise DataError(
            f"{path}:{MOST_LINES + 1}: {lines} lines, at most {MOST_LINES} are read; is it a metadata file?"
        )
    return raw.splitlines()


def _check_columns(path: Path, numbered: Sequence[tuple[int, str]], separator: str) -> None:
    """Raises DataError if the lines have so many cells that they would fill the memory."""
    cells = 0
    for number, line in numbered:
        columns = line.count(separator) + 1
        cells += columns
        if columns > MOST_COLUMNS or cells > MOST_CELLS:
            what = f"{columns} columns, at most {MOST_COLUMNS}"
            if columns <= MOST_COLUMNS:
                what = f"{cells} columns in the lines up to here, at most {MOST_CELLS}"
            raise DataError(f"{path}:{number}: {what} are read; is it a metadata file?")


def _separator(numbered: Sequence[tuple[int, str]]) -> str | None:
    """The first of '|', tab and comma that nearly every line has; comma comes last because texts contain it."""
    sample = [line for _, line in numbered[:SNIFFED_LINES]]
    for share in (0.9, 0.5):
        for separator in SEPARATORS:
            if sum(separator in line for line in sample) >= share * len(sample):
                return separator
    return None


def _cells(numbered: Sequence[tuple[int, str]], separator: str) -> list[tuple[int, list[str]]]:
    """The cells of each row. Commas follow the rules of CSV; '|' and tab always separate cells."""
    if separator != ",":
        return [(n, [_unquoted(cell) for cell in line.split(separator)]) for n, line in numbered]
    if any('"' in line for _, line in numbered):
        try:
            reader = csv.reader(io.StringIO("\n".join(line for _, line in numbered)), strict=True)
            rows: list[tuple[int, list[str]]] = []
            start = 0
            for row in reader:
                rows.append((numbered[start][0], row))
                start = reader.line_num
            return rows
        except csv.Error:
            pass  # a stray quote: reading line by line confines the damage to one row
    return [(n, _csv_line(line)) for n, line in numbered]


def _csv_line(line: str) -> list[str]:
    """Cells of one line of CSV; a line that exceeds the reader's field limit is one cell, rejected later."""
    try:
        return next(csv.reader([line]))
    except csv.Error:
        return [line]


def _unquoted(cell: str) -> str:
    """A cell, without the quotes that a CSV writer put around it (recognized by doubled inner quotes)."""
    stripped = cell.strip()
    inner = stripped[1:-1]
    enclosed = len(stripped) >= 2 and stripped[0] == stripped[-1] == '"'
    if enclosed and '""' in inner and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell


def _header(cells: Sequence[str], path: Path, line: int) -> tuple[str, ...] | None:
    """Meaning of each column by the names in the header ("" for an unknown name); None if this is no header."""
    names = [cell.strip().strip('"').lower().replace(" ", "_").replace("-", "_") for cell in cells]
    kinds = [_KIND_OF.get(name, "") for name in names]
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
                kinds = ["" if kind == "id" and at != index else kind for at, kind in enumerate(kinds)]
                break
        repeated.discard("id")
    for needed in ("id", "text"):
        if needed not in kinds and not (needed == "text" and "normalized" in kinds):
            example = "id or file" if needed == "id" else "text"
            raise DataError(f"{path}:{line}: the header names no column for {example}; found {found}")
    if repeated:
        raise DataError(f"{path}:{line}: the header names two columns for {sorted(repeated)[0]}; found {found}")
    return tuple(kinds)


def _columns_without_header(rows: Sequence[Sequence[str]], separator: str) -> tuple[str, ...]:
    """Meaning of the columns, from their number and values."""
    counts = Counter(len(row) for row in rows if len(row) >= 2) or Counter([2])
    if separator == "," and any(cell.startswith(" ") for row in rows for cell in row[1:]):
        return ("id", "text")  # commas within the text: a CSV writer would have quoted the cell
    width = max(counts, key=lambda count: (counts[count], -count))
    if separator == ",":
        width = min(counts)
    if width <= 2:
        return ("id", "text")
    full = [[cell.strip() for cell in row] for row in rows if len(row) == width]
    speaker_third = _is_speaker_column([row[1] for row in full], [row[2] for row in full])
    if width == 3:
        return ("id", "text", "speaker") if speaker_third else ("id", "text", "normalized")
    if width == 4:
        codes = all(LANGUAGE_CODE.fullmatch(row[3]) for row in full)
        if speaker_third and codes:
            return ("id", "text", "speaker", "language")
        return ("id", "text", "normalized", "speaker")
    return ("id", "text", "normalized", "speaker", "language")


def _is_speaker_column(texts: Sequence[str], values: Sequence[str]) -> bool:
    """Whether the values are clearly names of speakers, not texts: short, few, or never a sentence."""
    if not values or any(not value or len(value) > 40 or len(value.split()) > 3 for value in values):
        return False
    if sum(text == value for text, value in zip(texts, values, strict=True)) * 2 > len(values):
        return False
    sentences = sum(" " in text for text in texts)
    if sentences * 2 > len(texts) and not any(" " in value for value in values):
        return True
    return len(values) >= 3 and len(set(values)) * 3 <= len(values)


def _rejoined(row: list[str], columns: tuple[str, ...], separator: str, prose: bool) -> list[str]:
    """A row of unquoted CSV with its text joined again, if only the text column can contain commas."""
    surplus = len(row) - len(columns)
    if separator != "," or surplus <= 0 or "normalized" in columns or "" in columns or (prose and len(columns) != 2):
        return row
    text = columns.index("text")
    return [*row[:text], ",".join(row[text : text + surplus + 1]), *row[text + surplus + 1 :]]


def _count_problem(row: Sequence[str], columns: tuple[str, ...]) -> str | None:
    """What is wrong with the number of columns, or None. Trailing columns after the text are optional."""
    needed = 1 + max(columns.index("id"), columns.index("text" if "text" in columns else "normalized"))
    if needed <= len(row) <= len(columns):
        return None
    if len(row) > len(columns) and not any(cell.strip() for cell in row[len(columns) :]):
        return None
    return f"{len(row)} columns, expected {len(columns)}: {quoted('|'.join(row))}"


def _row(number: int, cells: Sequence[str], columns: tuple[str, ...]) -> TableRow:
    """A row by its column names."""
    by_name = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name}
    return TableRow(
        line=number,
        id=by_name.get("id", ""),
        text=by_name.get("text", ""),
        normalized=by_name.get("normalized", ""),
        speaker=by_name.get("speaker", ""),
        language=by_name.get("language", ""),
    )
