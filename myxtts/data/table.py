"""Reads a metadata file: encoding, separator, quotes, header, meaning of the columns. Does not open recordings."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from myxtts.data.columns import IsRecording, columns_by_content, columns_of_header
from myxtts.data.records import BAD_COLUMNS, NOT_UTF8, OPEN_QUOTE, Rejection
from myxtts.errors import DataError
from myxtts.messages import quoted

SEPARATORS = ("|", "\t", ";", ",")
SEPARATOR_NAMES = {"|": "'|'", "\t": "tab", ";": "semicolon", ",": "comma"}
QUOTING = (";", ",")
"""Separators of spreadsheets, whose cells may be quoted as in CSV."""
LARGEST_FILE_BYTES = 1 << 30
LONGEST_LINE_BYTES = 1 << 20
MOST_LINES = 3_000_000
MOST_COLUMNS = 1_000
MOST_CELLS = 20_000_000
"""Of all lines together: about two gigabytes of memory."""
SNIFFED_LINES = 500
QUOTED_LINES = 20
"""Most lines that a quoted cell may span."""
_FOREIGN = (
    (b"PK\x03\x04", "a spreadsheet or another zip archive", "export it as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "a workbook or document of an office program", "export it as CSV (UTF-8)"),
    (b"\x1f\x8b", "compressed (gzip)", "unpack it"),
    (b"%PDF", "a PDF", "export the table as CSV (UTF-8)"),
    (b"{\\rtf", "formatted text (RTF)", "save it as plain text (UTF-8)"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file", "run git lfs pull"),
    (b"<!doctype", "a web page", "download the file itself"),
    (b"<html", "a web page", "download the file itself"),
)
"""How files of other kinds begin, what they are, and what to do."""
_UTF16 = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
          (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
"""Byte order marks and their encodings; that of UTF-32 begins with that of UTF-16."""


@dataclass(frozen=True)
class TableRow:
    """One row of a metadata file; an absent column is an empty string.

    `place` is its "file:line" where the rows are not those of one file. A row that is a part of a recording has `start`
    and `end`, in seconds; else both are 0.
    """

    line: int
    id: str
    text: str
    normalized: str = ""
    speaker: str = ""
    language: str = ""
    place: str = ""
    start: float = 0.0
    end: float = 0.0

    def source(self, metadata: Path | str) -> str:
        """Its "file:line"."""
        return self.place or f"{metadata}:{self.line}"


@dataclass(frozen=True)
class Table:
    """The rows of a metadata file, those that could not be read, and how the columns were interpreted."""

    rows: list[TableRow]
    rejections: list[Rejection]
    columns: tuple[str, ...]
    separator: str
    header: tuple[str, ...] = ()

    @property
    def has_header(self) -> bool:
        """Whether the first row holds the names of the columns."""
        return bool(self.header)


def read_table(path: Path, columns: tuple[str, ...] | None = None, is_recording: IsRecording | None = None) -> Table:
    """Rows of the metadata file `path`.

    Args:
        path: a table in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.
        columns: meaning of the columns where the user names them, as `columns_of_option` returns it.
        is_recording: whether a cell names a recording, which helps to find the meaning of the columns.

    Errors: DataError if the file is no table with at least two columns and one row, or if the meaning of its columns is
    not clear.
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
            f"{path}:{number}: no separator found: expected 2 to 5 columns separated by '|', tab, semicolon or comma "
            f"(id or file, text, normalized text, speaker, language), found {quoted(line)}"
        )
    _check_columns(path, numbered, separator)
    cells = _cells(path, numbered, separator, is_recording, rejections)
    if not cells:
        raise undecodable or DataError(f"{path}:{numbered[0][0]}: no row that can be read: {rejections[0].value}")
    header = _header(cells[0][1], f"{path}:{cells[0][0]}", columns)
    body = cells[1:] if header else cells
    if not body:
        raise undecodable or DataError(f"{path}:{cells[0][0]}: a header without rows; expected rows such as id|text")
    if columns is not None:
        found = columns
    elif header is not None:
        found = header
    else:
        try:
            found = _columns_without_header([row for _, row in body], separator, is_recording)
        except DataError as error:
            raise DataError(f"{path}:{body[0][0]}: {error}") from error
    prose = header is None and columns is None
    rows: list[TableRow] = []
    for number, row in body:
        row = _rejoined(row, found, separator, prose)
        problem = _count_problem(row, found)
        if problem:
            rejections.append(Rejection(f"{path}:{number}", quoted(row[0]) if row else "", BAD_COLUMNS, problem))
        else:
            rows.append(_row(number, row, found))
    return Table(rows, rejections, found, separator, tuple(cells[0][1]) if header else ())


def _lines(path: Path) -> list[bytes]:
    """Lines of a file, without byte order mark and line ends."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE_BYTES:
            raise DataError(f"{path}: {size} bytes are more than a metadata file may have ({LARGEST_FILE_BYTES})")
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    start = raw[:100].lstrip().lower()
    for mark, what, advice in _FOREIGN:
        if start.startswith(mark.lower()):
            raise DataError(f"{path}:1: the file is {what}; {advice}")
    raw = in_utf8(raw, path)
    start = raw[:4000]
    nuls = start.count(b"\0")
    if nuls > 0.75 * len(start):
        raise DataError(f"{path}:1: {nuls} of its first {len(start)} bytes are NUL: the file is damaged; copy it again")
    if nuls > len(start) // 4:
        raise DataError(
            f"{path}:1: the file is UTF-16 without a byte order mark (it begins with {raw[:4]!r}); save it as UTF-8"
        )
    lines = raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n")
    if lines > MOST_LINES:
        raise DataError(
            f"{path}:{MOST_LINES + 1}: {lines} lines, at most {MOST_LINES} are read; is it a metadata file?"
        )
    return raw.splitlines()


def in_utf8(raw: bytes, path: Path) -> bytes:
    """The content of a text file in UTF-8, from UTF-16 and UTF-32 too, without byte order mark. Raises DataError."""
    for mark, encoding in _UTF16:
        if raw.startswith(mark):  # as spreadsheets write "Unicode text"
            try:
                return raw.decode(encoding).encode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}:1: it begins as {encoding.upper()}, but byte {error.start} does not fit; save it as UTF-8"
                ) from error
    return raw.removeprefix(b"\xef\xbb\xbf")


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
    """The first of '|', tab, semicolon and comma that nearly every line has; texts contain the last two.

    A semicolon counts only where no comma is before it, as texts come after the name of the file.
    """
    sample = [line for _, line in numbered[:SNIFFED_LINES]]
    for share in (0.9, 0.5):
        for separator in SEPARATORS:
            having = [line for line in sample if separator in line]
            if separator == ";":
                having = [line for line in having if "," not in line.partition(";")[0]]
            if len(having) >= share * len(sample):
                return separator
    return None


def _cells(
    path: Path,
    numbered: Sequence[tuple[int, str]],
    separator: str,
    is_recording: IsRecording | None,
    rejections: list[Rejection],
) -> list[tuple[int, list[str]]]:
    """The cells of each row, with the line where it begins.

    Commas and semicolons follow the rules of CSV; '|' and tab always separate cells, unless nearly all lines begin with
    a quoted cell. A quote that is still open at the end of its line is closed in a later one only if none of these
    lines is a row; else its row is rejected.
    """
    sample = [line for _, line in numbered[:SNIFFED_LINES]]
    # A quote closes before a separator or in a later line, unlike those of "Yes," she said.
    quoted_cell = re.compile(rf'\s*"(?:[^"]|"")*+(?:"\s*(?:{re.escape(separator)}|$)|$)')
    quotes = separator in QUOTING or sum(quoted_cell.match(line) is not None for line in sample) > 0.9 * len(sample)
    parse = _csv_line if quotes else _split_line
    counts = Counter(len(parse(line, separator)) for _, line in numbered[:SNIFFED_LINES] if '"' not in line)
    width = max(counts, key=lambda count: counts[count]) if counts else 0

    def is_row(line: str) -> bool:
        cells = [cell.strip() for cell in parse(line, separator)]
        if is_recording is not None and any(is_recording(cell) for cell in cells):
            return True
        return len(cells) == width >= 2 and cells[0] != "" and " " not in cells[0]

    rows: list[tuple[int, list[str]]] = []
    at = 0
    while at < len(numbered):
        number, line = numbered[at]
        if '"' not in line or not _is_open(line, separator, width, quotes):
            rows.append((number, parse(line, separator)))
            at += 1
            continue
        end = _closing(numbered, at, separator, is_row, quotes)
        if end and quotes:
            joined = "\n".join(text for _, text in numbered[at : end + 1])
            rows.append((number, next(csv.reader(io.StringIO(joined), delimiter=separator))))
        else:
            until = f" (line {numbered[end][0]} closes it)" if end else ""
            value = f"a quote is open at the end of the line{until}; close it, or write the text in one line: "
            rejections.append(Rejection(f"{path}:{number}", "", OPEN_QUOTE, value + quoted(line)))
        at = (end or at) + 1
    return rows


def _is_open(line: str, separator: str, width: int, quotes: bool) -> bool:
    """Whether a cell of the line begins with a quote that the line does not close; `quotes`: as in CSV."""
    if quotes:
        try:
            next(csv.reader([line], delimiter=separator, strict=True))
        except csv.Error as error:
            return "unexpected end of data" in str(error)
        return False
    cells = line.split(separator)
    last = cells[-1].strip()
    # Here a quote means nothing by itself: only in a row that is too short, or with a line that closes it.
    return last.startswith('"') and last.count('"') % 2 == 1 and len(cells) <= max(width, 2)


def _closing(
    numbered: Sequence[tuple[int, str]], start: int, separator: str, is_row: Callable[[str], bool], quotes: bool
) -> int | None:
    """Index of the line that closes the quote which is open in line `start`; None if a row comes before it."""
    joined = numbered[start][1]
    for at in range(start + 1, min(len(numbered), start + 1 + QUOTED_LINES)):
        line = numbered[at][1]
        if is_row(line):
            return None
        if quotes:
            joined += "\n" + line
            try:
                parsed = list(csv.reader(io.StringIO(joined), delimiter=separator, strict=True))
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    continue
                return None
            return at if len(parsed) == 1 else None
        cell = line.split(separator)[0].strip()
        if cell.endswith('"') and cell.count('"') % 2 == 1:
            return at
    return None


def _split_line(line: str, separator: str) -> list[str]:
    """Cells of one line whose separator is never part of a cell."""
    return [_unquoted(cell) for cell in line.split(separator)]


def _csv_line(line: str, separator: str) -> list[str]:
    """Cells of one line of CSV; a line that exceeds the reader's field limit is one cell, rejected later."""
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator))
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


def _header(cells: Sequence[str], where: str, columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Meaning of the columns if the first row is a header, else None. Its names do not count where the user's do."""
    if columns is None:
        return columns_of_header(cells, where)
    try:
        return columns_of_header(cells, where) and columns
    except DataError:  # it names columns, but lacks one that the user's columns have
        return columns


def _columns_without_header(
    rows: Sequence[Sequence[str]], separator: str, is_recording: IsRecording | None
) -> tuple[str, ...]:
    """Meaning of the columns, from their number and values. Raises DataError if it is not clear."""
    counts = Counter(len(row) for row in rows if len(row) >= 2) or Counter([2])
    if separator == "," and any(cell.startswith(" ") for row in rows for cell in row[1:]):
        return ("id", "text")  # commas within the text: a CSV writer would have quoted the cell
    width = max(counts, key=lambda count: (counts[count], -count))
    if separator == ",":
        width = min(counts)
    return columns_by_content(rows, width, is_recording) if width in counts else ("id", "text")


def _rejoined(row: list[str], columns: tuple[str, ...], separator: str, prose: bool) -> list[str]:
    """A row of unquoted CSV with its text joined again, if only the text column can contain commas."""
    surplus = len(row) - len(columns)
    if separator not in QUOTING or surplus <= 0 or "normalized" in columns or "" in columns:
        return row
    if prose and len(columns) != 2:
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
