"""English normalization: ordinary sentences whose numbers, letters and full stops were read wrongly once."""

# Pairs of written and spoken texts, some in one line.
# ruff: noqa: E501

from __future__ import annotations

import pytest

from myxtts.text.normalization import normalize
from myxtts.text.sentences import split_sentences


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("He was born on 2 Jan. It was cold.", "He was born on the second of January. It was cold."),
        ("Open Mon-Fri.", "Open Monday to Friday."),
        ("Open Mon.\u2013Fri. and Sat.", "Open Monday to Friday and Saturday."),
        ("On 2 Jan. he left; on 2 Jan. 2024 too.", "On the second of January he left; on the second of January, twenty twenty-four too."),
        ("See lines 5,6 in the text.", "See lines five, six in the text."),
        ("Chapters 3,4 in Book 2.", "Chapters three, four in Book two."),
        ("pages 10,11 in one day", "pages ten, eleven in one day"),
        ("lines 1,2,3 and 1,5 kg, 2,5 m, 1,234 pages", "lines one, two, three and one point five kilograms, two point five "
         "meters, one thousand two hundred thirty-four pages"),
        ("Version 1.234.567 is out.", "Version one point two hundred thirty-four point five hundred sixty-seven is out."),
        ("Firmware 2.100.300, build 1.234.567", "Firmware two point one hundred point three hundred, build one point two "
         "hundred thirty-four point five hundred sixty-seven"),
        ("Python 3.100.200, Chrome 120.000.100", "Python three point one hundred point two hundred, Chrome one hundred "
         "twenty point zero zero zero point one hundred"),
        ("1.234.567 people, \u20ac1.234.567, 1.234.567,89 \u20ac", "one million two hundred thirty-four thousand five hundred "
         "sixty-seven people, one million two hundred thirty-four thousand five hundred sixty-seven euros, one million two "
         "hundred thirty-four thousand five hundred sixty-seven point eight nine euros"),
        ("1'234'567.89 CHF", "one million two hundred thirty-four thousand five hundred sixty-seven point eight nine Swiss "
         "francs"),
        ("Years 1990 1991 1992", "Years nineteen ninety nineteen ninety-one nineteen ninety-two"),
        ("In 2020 2021 2022 2023", "In twenty twenty twenty twenty-one twenty twenty-two twenty twenty-three"),
        ("Call 020 7946 0958", "Call zero two zero, seven nine four six, zero nine five eight"),
        ("Call 555 1234 now", "Call five five five, one two three four now"),
        ("07700 900123", "zero seven seven zero zero, nine zero zero one two three"),
        ("called 300 people, called 100 times", "called three hundred people, called one hundred times"),
        ("call 911 now, called 911 as usual, call 911.", "call nine one one now, called nine one one as usual, call nine one "
         "one."),
        ("called 300 new customers", "called three hundred new customers"),
        ("5 - 3 = 2", "five minus three equals two"),
        ("5 \u2212 3 = 2", "five minus three equals two"),
        ("5-3=2", "five minus three equals two"),
        ("9 - 5 - 3 = 1", "nine minus five minus three equals one"),
        ("8 / 2 = 4", "eight divided by two equals four"),
        ("aged 6 - 12, 12 - 15 people", "aged six to twelve, twelve to fifteen people"),
        ("Chapter 1 - 10 ways, In 2019 - 12 men", "Chapter one \u2014 ten ways, In twenty nineteen \u2014 twelve men"),
        ("Ca\u00b2\u207a, Na\u207a, SO\u2084\u00b2\u207b", "Ca two plus, Na plus, SO four two minus"),
        ("4.5/5, 7.5/10.", "four point five out of five, seven point five out of ten."),
        ("221B Baker St.", "two hundred twenty-one B Baker Street."),
        ("3/4 tsp, 1/2 oz, 1 3/4 tsp", "three quarters of a teaspoon, one half of an ounce, one and three quarters teaspoons"),
        ("3:30-4:30pm, 3:30am-4:30pm, 9am-5:30pm", "three thirty to four thirty P.M, three thirty A.M to four thirty P.M, nine "
         "A.M to five thirty P.M"),
        ("$1.5m-$2m, $10m-$2bn", "one point five to two million dollars, ten million to two billion dollars"),
        ("pages 10,11,112, and lines 5,6, too", "pages ten, eleven, one hundred twelve, and lines five, six, too"),
        ("1.000.000.000 people, 1.234.567.890 people", "one billion people, one billion two hundred thirty-four million five "
         "hundred sixty-seven thousand eight hundred ninety people"),
        ("Call me on 07700 900123, call 1 800 555 1234, rang 100 200 times", "Call me on zero seven seven zero zero, nine zero "
         "zero one two three, call one, eight zero zero, five five five, one two three four, rang one hundred two hundred "
         "times"),
        ("x - 3 = 2, 2x - 3 = 7, 7 = 10 - 3", "x minus three equals two, two x minus three equals seven, seven equals ten minus "
         "three"),
        ("$5 - $10, Jan.-Mar. 2024, 2 Jan. \u2013 3 Feb.", "five to ten dollars, January to March twenty twenty-four, the second "
         "of January to the third of February."),
        ("Python 3.100.200 in use, 6 \u00d7 2 = 12, 1.5/2.5", "Python three point one hundred point two hundred in use, six times "
         "two equals twelve, one point five over two point five"),
        ("called 100% of them, room 221B, 7 - 9pm, 7 am - 9 pm, C - 3 = D", "called one hundred percent of them, room two hundred "
         "twenty-one B, seven to nine P.M, seven A.M to nine P.M, C minus three equals D"),
        ("at 9 am - 12 men came", "at nine A.M \u2014 twelve men came"),
        ("2nd Jan. It rained on the 3rd of Sept.", "the second of January. It rained on the third of September."),
        ("10 k\u03a9, 1 M\u03a9", "ten kilohms, one megohm"),
    ],
)  # fmt: skip
def test_ordinary_sentences(written: str, spoken: str) -> None:
    assert normalize(written, "en-us") == spoken


@pytest.mark.parametrize(
    "text",
    [
        "Appendix C",
        "USB Type C",
        "Section C",
        "Part C",
        "Table C",
        "Level C",
        "Part L",
        "Section D and Part M",
        "Parts I and C",
        "Levels I to L",
        "Books I and I read them",
        "Parts V and I think so",
    ],
)
def test_letters_stay_letters(text: str) -> None:
    assert normalize(text, "en-us") == text


def test_a_gain_of_points_is_no_telephone_number() -> None:
    assert "zero" not in normalize("+100 200 300 points", "en-us")


@pytest.mark.parametrize(
    "sentences",
    [
        ["He was born on 2 Jan.", "It was cold."],
        ["It is on the 3rd of Sept.", "Come!"],
        ["Open Mon-Fri.", "It is closed now."],
        ["Mon.-Fri. 9am-5pm, Jan.-Mar. 2024.", "Open Mon-Fri.", "10 people came."],
        ["They come on 2 Jan. 2024 with Ann.", "In Dec. Bob left."],
    ],
)
def test_a_month_behind_its_day_may_end_a_sentence(sentences: list[str]) -> None:
    assert split_sentences(" ".join(sentences)) == sentences
