"""What the columns of a table mean: known lists, ambiguous ones, and what the user names."""

import pytest

from myxtts.data.columns import columns_of_option
from myxtts.data.table import read_table
from myxtts.errors import DataError

PROSE = [
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It's easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
]
IPA = ["ðə bˈɜːtʃ kənˈuː slˈɪd", "ɡlˈuː ðə ʃˈiːt", "ɪts ˈiːzi tə tˈɛl", "ðiːz dˈeɪz ɐ", "ɹˈaɪs ɪz ˈɔfən", "ðə dʒˈuːs"]
CHINESE = ["一只狗在跑。", "我今天很高兴。", "你好世界朋友。", "天气非常好啊。"]
PERSIAN = ["سلام، حال شما چطور است؟", "کتاب روی میز است.", "امروز هوا خوب است.", "من به مدرسه می‌روم."]


def columns_of(tmp_path, rows, separator="|", is_recording=None):
    path = tmp_path / "metadata.csv"
    path.write_text("".join(separator.join(row) + "\n" for row in rows))
    return read_table(path, None, is_recording).columns


def names(*values):
    """As many names as there are sentences, from few values."""
    return [values[at % len(values)] for at in range(len(PROSE))]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ((["anna", "bob"], ["Hello there.", "Good day."]), "id speaker text"),
        ((PROSE, names("anna", "bob")), "id text speaker"),
        ((names("anna", "bob"), PROSE), "id speaker text"),
        ((names("12", "7"), PROSE), "id speaker text"),
        ((names("p225"), PROSE), "id speaker text"),
        ((names("anna", "bob"), names("EN"), PROSE), "id speaker language text"),
        ((names("anna", "bob"), names("ZH", "EN"), PROSE), "id speaker language text"),
        ((names("John Smith", "Ann Lee"), PROSE), "id speaker text"),
        ((PROSE, names("John Smith", "Ann Lee")), "id text speaker"),
        ((PROSE, PROSE, names("anna", "bob"), names("en-us")), "id text normalized speaker language"),
        ((PROSE, [text.upper() for text in PROSE], names("7")), "id text normalized speaker"),
        ((PROSE, names("anna", "bob"), names("2.35", "3.1", "4.02")), "id text speaker -"),
        ((names("3.71", "2.9", "4.25"), names("anna", "bob"), PROSE), "id - speaker text"),
        ((PROSE, IPA), "id text -"),
        ((IPA, PROSE, names("anna", "bob")), "id - text speaker"),
        ((PROSE, names("")), "id text -"),
        ((PROSE, names("happy", "neutral")), "id text -"),
        ((names("anna", "bob"), PROSE, names("Sad", "Angry", "neutral")), "id speaker text -"),
        ((names("anna", "bob"), [text.rstrip(".") for text in PROSE]), "id speaker text"),
        ((names("leser1", "leser2"), names("de"), ["5 Hunde", "Der Hund", "Ein Haus", "Mein Tag", "Zwei Tage", "Ja"]),
         "id speaker language text"),
        (([f"r{i}" for i in range(6)], PROSE), "id speaker text"),
        ((CHINESE, ["zhou", "li", "zhou", "li"]), "id text speaker"),
        ((["li", "li", "zhou", "li"], PERSIAN), "id speaker text"),
    ],
)  # fmt: skip
def test_columns_are_known_by_their_contents(tmp_path, columns, expected):
    rows = [(f"clip{at}.wav", *values) for at, values in enumerate(zip(*columns, strict=True))]
    found = columns_of(tmp_path, rows)
    assert " ".join(kind or "-" for kind in found) == expected
    if not any("," in value for row in rows for value in row):
        assert columns_of(tmp_path, rows, "\t") == columns_of(tmp_path, rows, ";") == found


def test_the_file_may_be_in_any_column(tmp_path):
    rows = [(text, name, f"clip{at}.wav") for at, (text, name) in enumerate(zip(PROSE, names("a", "b"), strict=True))]
    assert columns_of(tmp_path, rows) == ("text", "speaker", "id")
    rows = [(text, f"clip{at}") for at, text in enumerate(PROSE)]
    assert columns_of(tmp_path, rows, is_recording=lambda name: name.startswith("clip")) == ("text", "id")


@pytest.mark.parametrize(
    ("columns", "seen"),
    [
        ((PROSE, PROSE[::-1]), "columns 2 and 3 could all be the text"),
        ((PROSE, names("Der Hund schläft heute.", "Ein Haus steht dort.")), "columns 2 and 3 could all be the text"),
        ((names("studio", "home"), names("anna", "bob"), PROSE), "columns 2 and 3 could both be the speaker"),
        ((["Hello", "World"], ["bob", "eve"]), "columns 2 and 3 could all be the text"),
    ],
)
def test_what_is_not_clear_stops_and_names_what_was_seen(tmp_path, columns, seen):
    rows = [(f"clip{at}.wav", *values) for at, values in enumerate(zip(*columns, strict=True))]
    with pytest.raises(DataError, match=f"{seen} .column 1 holds 'clip0.wav', .*--columns id,") as caught:
        columns_of(tmp_path, rows)
    assert len(columns_of_option(str(caught.value).split("--columns ")[-1])) == len(rows[0]), "an example that fits"
    assert "metadata.csv:1" in str(caught.value) and "\n" not in str(caught.value)


def test_the_user_names_the_columns(tmp_path):
    path = tmp_path / "metadata.csv"
    path.write_text("".join(f"c{at}|happy|anna|{text}\n" for at, text in enumerate(PROSE)))
    table = read_table(path, columns_of_option("id,-,speaker,text"))
    assert [(row.id, row.speaker, row.text) for row in table.rows[:1]] == [("c0", "anna", PROSE[0])]
    path.write_text("id|speaker|text\n" + "".join(f"c{at}|{text}|anna\n" for at, text in enumerate(PROSE)))
    table = read_table(path, columns_of_option("file, transcript, spk"))
    assert len(table.rows) == 6 and table.rows[5].text == PROSE[5], "they count more than the header"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("id,words", "'words' is no column; write id, text, normalized, speaker, language"),
        ("id,text,text", "two columns for text"),
        ("text,speaker", "no column for id"),
        ("id,speaker", "no column for text"),
    ],
)
def test_columns_that_make_no_table(value, message):
    with pytest.raises(DataError, match=message):
        columns_of_option(value)
    assert columns_of_option("auto") is None
