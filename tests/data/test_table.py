import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from myxtts.data.records import BAD_COLUMNS, NOT_UTF8
from myxtts.data.table import read_table
from myxtts.errors import DataError


def table_of(tmp_path, content, name="metadata.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


def rows_of(table):
    return [(r.id, r.text, r.normalized, r.speaker, r.language) for r in table.rows]


def test_ljspeech_columns(tmp_path):
    table = table_of(tmp_path, 'a|Mr. Bell, 5 "x".|Mister Bell, five x.\nb|One, two|One, two\n')
    assert rows_of(table) == [
        ("a", 'Mr. Bell, 5 "x".', "Mister Bell, five x.", "", ""),
        ("b", "One, two", "One, two", "", ""),
    ]
    assert table.separator == "|" and not table.has_header


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("id|text|speaker", "a|Hello there|bob", ("a", "Hello there", "", "bob", "")),
        ("Speaker,File_Name,Text", 'bob,a.wav,"Hi, you"', ("a.wav", "Hi, you", "", "bob", "")),
        ("client_id\tpath\tsentence\tup_votes\tlocale", "x1\tc.mp3\tSalut\t2\tfr", ("c.mp3", "Salut", "", "x1", "fr")),
        ("id|text|text", "a|5|five", ("a", "5", "five", "", "")),
        ("id|path|text", "a|wavs/b.wav|Hello", ("wavs/b.wav", "Hello", "", "", "")),
    ],
)
def test_header_names_and_order(tmp_path, header, row, expected):
    table = table_of(tmp_path, f"{header}\n{row}\n")
    assert table.has_header
    assert rows_of(table) == [expected]


@pytest.mark.parametrize(
    ("head", "text", "encoding", "place"),
    [("", "سلام", "cp1256", "1: byte 0xd3"), ("id|text\n", "café", "latin-1", "2: byte 0xe9")],
)
def test_another_encoding_is_named_with_its_first_line_and_byte(tmp_path, head, text, encoding, place):
    content = (head + f"a|{text}\nb|{text}\n").encode(encoding)
    with pytest.raises(DataError, match=rf"metadata\.csv:{place} is not UTF-8, and no row can .*; save the file as"):
        table_of(tmp_path, content)


def test_third_column_of_few_short_values_is_a_speaker(tmp_path):
    content = "".join(f"u{i}|This is sentence {i}.|{name}\n" for i, name in enumerate(["bob", "eve"] * 3))
    assert [row.speaker for row in table_of(tmp_path, content).rows] == ["bob", "eve"] * 3


def test_third_column_of_numbers_of_readers_is_a_speaker(tmp_path):
    content = "".join(f"u{i}|This is sentence {i}.|{100 + i}\n" for i in range(5))
    assert [row.speaker for row in table_of(tmp_path, content).rows] == ["100", "101", "102", "103", "104"]


def test_third_column_of_single_words_equal_to_the_text_is_text(tmp_path):
    table = table_of(tmp_path, "a|yes|yes\nb|no|no\nc|yes|yes\nd|yes|yes\n")
    assert [row.normalized for row in table.rows] == ["yes", "no", "yes", "yes"]


def test_four_and_five_columns(tmp_path):
    assert rows_of(table_of(tmp_path, "a|Text one|norm one|bob\nb|Text two|norm two|eve\n"))[1] == (
        "b", "Text two", "norm two", "eve", "",
    )  # fmt: skip
    assert rows_of(table_of(tmp_path, "a|Text one|bob|en-us\nb|Text two|bob|fa\n"))[1] == (
        "b", "Text two", "", "bob", "fa",
    )  # fmt: skip
    assert rows_of(table_of(tmp_path, "a|Text|norm|bob|fa\n")) == [("a", "Text", "norm", "bob", "fa")]


def test_bom_crlf_blank_lines_and_persian(tmp_path):
    table = table_of(tmp_path, "\ufeffa|سلام، دنیا\r\n\r\nb|می‌روم\r\n".encode())
    assert [(r.line, r.id, r.text) for r in table.rows] == [(1, "a", "سلام، دنیا"), (3, "b", "می‌روم")]


def test_quoted_csv_with_commas_quotes_and_a_line_break(tmp_path):
    table = table_of(tmp_path, 'id,text,speaker\na,"He said ""no"", twice",bob\nb,"two\nlines",eve\nc,plain,eve\n')
    assert [(r.line, r.text, r.speaker) for r in table.rows] == [
        (2, 'He said "no", twice', "bob"),
        (3, "two\nlines", "eve"),
        (5, "plain", "eve"),
    ]


def test_unquoted_commas_of_prose_stay_in_the_text(tmp_path):
    table = table_of(tmp_path, "a,Hello, all of you\nb,Well, yes, indeed\n")
    assert [r.text for r in table.rows] == ["Hello, all of you", "Well, yes, indeed"]
    table = table_of(tmp_path, "id,text,speaker\na,Hello, you,bob\nb,Hi,eve\n")
    assert [(r.text, r.speaker) for r in table.rows] == [("Hello, you", "bob"), ("Hi", "eve")]


def test_pandas_quotes_in_a_pipe_file(tmp_path):
    table = table_of(tmp_path, 'a|"He said ""no""."\nb|"Quoted" and "more"\n')
    assert [r.text for r in table.rows] == ['He said "no".', '"Quoted" and "more"']


def test_a_stray_quote_costs_one_row_at_most(tmp_path):
    table = table_of(tmp_path, 'id,text\na,"unclosed\nb,fine\nc,also fine\n')
    assert [r.id for r in table.rows][-2:] == ["b", "c"]


def test_wrong_number_of_columns_is_rejected_with_line_and_value(tmp_path):
    table = table_of(tmp_path, "a|one two|one two\nb\nc|x y|x y|z|extra|more\nd|three four|three four\n")
    assert [r.id for r in table.rows] == ["a", "d"]
    assert [(r.source.rpartition(":")[2], r.reason) for r in table.rejections] == [
        ("2", BAD_COLUMNS),
        ("3", BAD_COLUMNS),
    ]
    assert "6 columns, expected 3" in table.rejections[1].value


def test_bytes_that_are_not_utf8_cost_their_line(tmp_path):
    table = table_of(tmp_path, b"a|fine\nb|caf\xe9\nc|fine\n")
    assert [r.id for r in table.rows] == ["a", "c"]
    assert (table.rejections[0].reason, table.rejections[0].source.endswith("metadata.csv:2")) == (NOT_UTF8, True)


@pytest.mark.parametrize(("mark", "encoding"), [("", "utf-16"), ("\ufeff", "utf-16-be"), ("", "utf-32")])
def test_utf16_of_a_spreadsheet_is_read(tmp_path, mark, encoding):
    table = table_of(tmp_path, (mark + "id\ttext\r\na\tHello there\r\nb\tسلام دنیا\r\n").encode(encoding))
    assert [(r.id, r.text) for r in table.rows] == [("a", "Hello there"), ("b", "سلام دنیا")]


def test_utf16_without_a_byte_order_mark_is_a_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"metadata.csv:1: the file is UTF-16 without .*save it as UTF-8"):
        table_of(tmp_path, "a|Hello there\nb|you\n".encode("utf-16-le"))
    with pytest.raises(DataError, match=r"metadata.csv:1: it begins as UTF-16, but byte .* does not fit; save it"):
        table_of(tmp_path, "a|Hello there\nb|you\n".encode("utf-16") + b"x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no row"),
        ("\n \n", "no row"),
        ("id|text\n", "header without rows"),
        ("just a line\nanother\n", "no separator found"),
        ("text|speaker\nHello|bob\n", "names no column for id or file"),
        ("id|speaker\na|bob\n", "names no column for text"),
        ("id|text|speaker|spk\na|x|b|c\n", "two columns for speaker"),
    ],
)
def test_files_that_are_not_tables(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        table_of(tmp_path, content)
    assert "metadata.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_a_huge_field_is_one_rejected_row(tmp_path):
    table = table_of(tmp_path, 'a,"x"\nb,"' + "y" * 200_000 + '"\nc,"z"\n')
    assert [r.id for r in table.rows] == ["a", "c"]
    assert [len(r.value) < 200 for r in table.rejections] == [True]


PIECES = ["a", "id", "text", "|", ",", "\t", "\n", "\r\n", '"', '""', " ", "\0", "\x1b", "é", "\u200c", "\ufeff", "x y"]


@given(
    st.one_of(
        st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=60).map(lambda p: "".join(p).encode())
    )
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_rows_rejections_or_a_data_error(tmp_path, content):
    try:
        table = table_of(tmp_path, content)
    except DataError as error:
        assert "\n" not in str(error) and "metadata.csv" in str(error)
    else:
        assert all(row.line >= 1 for row in table.rows)
        assert all(r.reason and "\n" not in r.value and "\x1b" not in r.value for r in table.rejections)


@pytest.mark.parametrize(
    ("content", "line", "value", "limit"),
    [
        (b"a|b\nc|" + b"x" * (2 << 20) + b"\n", 2, 2_097_154, 1_048_576),
        (b"id|text\n" + b"a|b\n" * 900 + b"\0" * (2 << 20) + b"\n", 902, 2_097_152, 1_048_576),
        (b"|" * 1_000_000 + b"\na|b\n", 1, 1_000_001, 1_000),
        (b"id|text\n\na" + b"|" * 1_500 + b"\n", 3, 1_501, 1_000),
        (b'id,text\na,"' + b"," * 1_500 + b'"\n', 2, 1_502, 1_000),
        (b"a\t" * 2_000, 1, 2_001, 1_000),
        (b"a|b\n" + b"\n" * 3_000_001, 3_000_001, 3_000_002, 3_000_000),
        (b"a|b\r\n" * 3_000_001, 3_000_001, 3_000_001, 3_000_000),
    ],
    ids=["long line", "NULs", "columns of a header", "columns of a row", "quoted", "tabs", "empty lines", "lines"],
)
def test_a_file_that_is_too_large_is_an_error_with_its_line(tmp_path, content, line, value, limit):
    with pytest.raises(DataError, match=rf"metadata\.csv:{line}: .*{value}.*at most {limit}") as caught:
        table_of(tmp_path, content)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_file_of_nul_bytes_is_damaged_and_not_utf_16(tmp_path):
    with pytest.raises(DataError, match=r"metadata\.csv:1: 3991 of its first 4000 bytes are NUL.*copy it again"):
        table_of(tmp_path, b"id|text\na" + b"\0" * 10_000_000)


def test_too_many_cells_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("myxtts.data.table.MOST_CELLS", 50)
    with pytest.raises(DataError, match=r"metadata\.csv:6: 60 columns in the lines up to here, at most 50"):
        table_of(tmp_path, ("a" + "|b" * 9 + "\n") * 9)


def test_a_header_of_many_columns_is_shortened(tmp_path):
    with pytest.raises(DataError, match=r"names no column for id or file; found .* and 890 more") as caught:
        table_of(tmp_path, "text|speaker|" + "|".join(f"c{n}" for n in range(898)) + "\na|b\n")
    assert len(str(caught.value)) < 500


def test_millions_of_empty_lines_cost_nothing(tmp_path):
    table = table_of(tmp_path, "a|b\n" + "\n" * 2_000_000 + "c|d\n")
    assert rows_of(table) == [("a", "b", "", "", ""), ("c", "d", "", "", "")] and table.rows[1].line == 2_000_002
