"""English normalization."""

# Pairs of written and spoken texts, some in one line.
# ruff: noqa: E501

from __future__ import annotations

import sys
from types import FrameType

import pytest

from myxtts.text.normalization import english_numbers, normalize


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"), ("7", "seven"), ("13", "thirteen"), ("21", "twenty-one"), ("100", "one hundred"),
        ("342", "three hundred forty-two"), ("1000", "one thousand"), ("1000001", "one million one"),
        ("12345000901", "twelve billion three hundred forty-five million nine hundred one"),
        ("007", "zero zero seven"), ("9" * 19, " ".join(["nine"] * 19)),
    ],
)  # fmt: skip
def test_cardinals(digits: str, words: str) -> None:
    assert english_numbers.cardinal(digits) == words


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("the 21st, 3rd and 12th, 40th", "the twenty-first, third and twelfth, fortieth"),
        ("in 1905, 1900, 1999, 2000, 2007 and 2024", "in nineteen oh five, nineteen hundred, nineteen ninety-nine, two "
         "thousand, two thousand seven and twenty twenty-four"),
        ("1,905 people", "one thousand nine hundred five people"),
        ("the 1990s, '80s and 60s", "the nineteen nineties, eighties and sixties"),
        ("$1,234.50, £1, €0.05", "one thousand two hundred thirty-four dollars and fifty cents, one pound, five cents"),
        ("$3.5 million", "three point five million dollars"),
        ("$10k, £1.5m, $2bn, €3 million, $5M, $1tn and $.50, $.5", "ten thousand dollars, one point five million "
         "pounds, two billion dollars, three million euros, five million dollars, one trillion dollars and fifty "
         "cents, zero point five dollars"),
        ("$10 km, $5 more", "ten dollars km, five dollars more"),
        ("1 3/4 cups, 2½ cups, 10 ¼ and ½ cup", "one and three quarters cups, two and one half cups, ten and one "
         "quarter and one half cup"),
        ("12 1/2%, 5 3/7, 1 5/4, in 1999 1/2 of it", "twelve and one half percent, five and three sevenths, one five "
         "over four, in nineteen ninety-nine one half of it"),
        ("3.14, .5 and -5", "three point one four, zero point five and minus five"),
        ("at 10:30 a.m., 9:05pm, 17:00", "at ten thirty A.M, nine oh five P.M, seventeen hundred"),
        ("at 10:00", "at ten o'clock"),
        ("50% of 1/2 and 3/4", "fifty percent of one half and three quarters"),
        ("10-20 and 1990\u20131995", "ten to twenty and nineteen ninety to nineteen ninety-five"),
        ("call 555-1234", "call five five five, one two three four"),
        ("1-800-555-1234 or 0171-5551234", "one, eight zero zero, five five five, one two three four or zero one seven "
         "one, five five five one two three four"),
        ("Meet 02-03 Jan, open 08-17", "Meet zero two to zero three Jan, open zero eight to seventeen"),
        ("020-7946-0958, 01-800-555-1234", "zero two zero, seven nine four six, zero nine five eight, zero one, eight "
         "zero zero, five five five, one two three four"),
        ("0-5, 1.05-1.07", "zero to five, one point zero five to one point zero seven"),
        ("5 km at 100 km/h, 1 kg, 20°C", "five kilometers at one hundred kilometers per hour, one kilogram, "
         "twenty degrees Celsius"),
        ("version 1.2.3 of MP3", "version one point two point three of MP three"),
        ("on 2024-01-15", "on January fifteenth, twenty twenty-four"),
        ("Jan. 5, 1999", "January fifth, nineteen ninety-nine"),
        ("Dr. Smith, Mrs. Jones and J Doe Jr., St. Paul", "Doctor Smith, Mrs Jones and J Doe Junior, Saint Paul"),
        ("on Main St. in town", "on Main Street in town"),
        ("No. 5, e.g. cats vs. dogs, etc.", "number five, for example, cats versus dogs, et cetera."),
        ("no. 5 in the list, Sec. 2, art. 3, fig. 4 and she is no. 1", "number five in the list, section two, article "
         "three, figure four and she is number one"),
        ("The answer is no. 12 men died.", "The answer is no. twelve men died."),
        ("He said No. 10, a violation of Art. 5, Chapter 7 Sec. 12, a Fig. 3", "He said number ten, a violation of "
         "article five, Chapter seven section twelve, a figure three"),
        ("A work of art. 5 stars. Wait a sec. 10 of us.", "A work of art. five stars. Wait a sec. ten of us."),
        ("Q&A: a+b @home #5", "Q and A: a plus b at home number five"),
        ("\u2018Hello\u2019 \u2014 \u201cdon\u2019t\u201d...", '"Hello" \u2014 "don\'t"\u2026'),
        ("well -- yes - no", "well \u2014 yes \u2014 no"),
        ("a\t b\u00a0 c\n d", "a b c d"),
        ("10:30:15", "ten thirty fifteen"),
        ("Mr. and Mrs. O'Neil", "Mister and Mrs O'Neil"),
        ("at 12:00 o'clock and 5:00 o'clock", "at twelve o'clock and five o'clock"),
        ("on 12/25/2024, 25/12/2024 and 03/04/2021", "on December twenty-fifth, twenty twenty-four, December "
         "twenty-fifth, twenty twenty-four and March fourth, twenty twenty-one"),
        ("open 24/7", "open twenty-four seven"),
        ("$10-$20 million, $5-$6, \u20ac1.5\u2013\u20ac2bn", "ten to twenty million dollars, five to six dollars, "
         "one point five to two billion euros"),
        ("in 1066 and 1010", "in ten sixty-six and ten ten"),
        ("5ft, 1 ft. high, 3 mi, 100 yd, 6in, 6 in. wide, 5 in 10", "five feet, one foot high, three miles, one "
         "hundred yards, six inches, six inches wide, five in ten"),
        ("5'10\" and 6' 2\" tall, 5'10", "five foot ten and six foot two tall, five foot ten"),
    ],
)  # fmt: skip
def test_spoken_form(written: str, spoken: str) -> None:
    assert normalize(written, "en-us") == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("World War II, Henry VIII, Louis XIV of France", "World War two, Henry the eighth, Louis the fourteenth of France"),
        ("Pope John Paul II, King George V, Elizabeth I's navy, Charles I of England", "Pope John Paul the second, King "
         "George the fifth, Elizabeth the first's navy, Charles the first of England"),
        ("Chapter IV, Act II, Scene iv, Type I error, Super Bowl LVIII, Rocky III", "Chapter four, Act two, Scene four, "
         "Type one error, Super Bowl fifty-eight, Rocky three"),
        ("the XIX century, John Smith III", "the nineteenth century, John Smith the third"),
        ("the part I like, Malcolm X, plan B, MIX CD, Mary I think so, X-ray", "the part I like, Malcolm X, plan B, MIX "
         "CD, Mary I think so, X-ray"),
        ("bob@example.com, jane.doe_99@mail.org", "bob at example dot com, jane dot doe underscore ninety-nine at mail "
         "dot org"),
        ("https://x.org/a, www.a-b.co.uk/c?d=1.", "x dot org slash a, www dot a dash b dot co dot U.K slash c question "
         "mark d equals one."),
        ("github.com/a and node.js, e.g. end.Next", "github dot com slash a and node dot J.S, for example, end.Next"),
        ('Wait <break time="500ms"/> here &amp; there <b>now</b>, a < b', "Wait, here and there now, a less than b"),
        ("<speak><p>Hello.</p><p>You<break/>there</p></speak>", "Hello. You, there."),
        ("v2.0.1, version 3.10, v3, a V8, 192.168.0.1", "version two point zero point one, version three point ten, "
         "version three, a V eight, one nine two dot one six eight dot zero dot one"),
        ("AT&T, R&D, M&Ms, Tom & Jerry, C# and C++, .NET", "A.T and T, R and D, M and Ms, Tom and Jerry, C sharp and C "
         "plus plus, dot NET"),
        ("1.5M people, 10k views, 2bn, 100K, 4K video, a 10K run", "one point five million people, ten thousand views, "
         "two billion, one hundred thousand, four K video, a ten K run"),
        ("$10-20 million, $10-20, US$5, 5 USD, €5,50, ₹500, 5%-10%", "ten to twenty million dollars, ten to twenty "
         "dollars, five US dollars, five US dollars, five euros and fifty cents, five hundred rupees, five percent to ten "
         "percent"),
        ("1/2/03, 2021/3/4, 12.05.2021, 5 January 2020, the 4th of July, on 12/25", "January second, two thousand three, "
         "March fourth, twenty twenty-one, May twelfth, twenty twenty-one, the fifth of January, twenty twenty, the fourth "
         "of July, on December twenty-fifth"),
        ("It cost 1066 dollars in 1066. 1944 men came in 1944", "It cost one thousand sixty-six dollars in ten sixty-six. "
         "one thousand nine hundred forty-four men came in nineteen forty-four"),
        ("5 ft 10 in, 5' long, 3\" wide, 100m, 5min, 2 hrs, 3h", "five feet ten inches, five feet long, three inches wide, "
         "one hundred meters, five minutes, two hours, three hours"),
        ("3x faster, 2x4, 10^6, 1e-5, 5:1, 16:9", "three times faster, two by four, ten to the power of six, one times ten "
         "to the power of minus five, five to one, sixteen to nine"),
        ("call 911, room 101, flight 370, Boeing 747s, I-95, 9/11, 50/50", "call nine one one, room one oh one, flight "
         "three seventy, Boeing seven forty-sevens, I ninety-five, nine eleven, fifty-fifty"),
        ("Drs. Jones on Elm Dr. near Oak Ln. w/o Ph.D. cats vs dogs", "Doctors Jones on Elm Drive near Oak Lane without "
         "P.H.D cats versus dogs"),
        ("1 000 000 of wo\u200brds #fun :) @home", "one million of words hashtag fun at home"),
    ],
)  # fmt: skip
def test_what_people_write(written: str, spoken: str) -> None:
    assert normalize(written, "en-us") == spoken


def test_the_day_comes_first_outside_of_north_america() -> None:
    assert normalize("03/04/2021", "en-gb") == "April third, twenty twenty-one"


def test_nothing_but_words_and_punctuation_is_left() -> None:
    written = "In 2019, 3 of 4 (75%) paid $5.00 for 2x4s at 7:45; see No. 9 & p. 12!"
    assert not any(character.isdigit() or character in "%$&" for character in normalize(written, "en-gb"))


def test_a_spoken_text_is_not_changed_again() -> None:
    spoken = normalize("Dr. Who paid $3.50 on Jan. 5, 1999 at 10:30 a.m. for 1/2 of it.", "en-us")
    assert normalize(spoken, "en-us") == spoken


PIECES = (
    "<b",
    "a@",
    "a.",
    "www.",
    "&a;",
    "I ",
    "V 1",
    "1x",
    "1 000 ",
    "5 May ",
    "1066 a",
    "1",
    "111,",
    "1.1",
    "$9",
    "$.5k",
    "1-",
    "01-",
    "1/",
    "1 1/2 ",
    "no. ",
    "'a ",
    "(",
    "A ",
    " - ",
    "Jan ",
    "1 - ",
    "1-1=",
    "5,6,",
    "1.000",
    "1'000",
    "lines 1,2,",
    "call 555 ",
    "$5 - ",
    "Ca\u00b2\u207a",
    "1B Ab ",
)


@pytest.mark.parametrize("language", ["en-us", "fa"])
def test_the_work_grows_with_the_length_and_not_with_its_square(language: str) -> None:
    """Counted in calls; a regular expression that backtracks over the whole text would run into the timeout."""
    for piece in PIECES:
        short, long = (calls_of(piece * (length // len(piece)), language) for length in (1_000, 4_000))
        assert long < 5 * short, piece
        assert normalize(piece * (10_000 // len(piece)), language)


def calls_of(text: str, language: str) -> int:
    """Functions that normalizing a text calls, including those of the standard library."""
    calls = 0

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        normalize(text, language)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Louis XIV's France, World War II's end, Rocky III's song", "Louis the fourteenth's France, World War two's end, "
         "Rocky three's song"),
        ("World Wars I and II, Acts I-III, Chapters IV or V", "World Wars one and two, Acts one to three, Chapters four or "
         "five"),
        ("Rocky IIII, Act VX, Henry IC, Part IL", "Rocky IIII, Act VX, Henry IC, Part IL"),
        ("+1 555 123 4567, +44 (0)20 7946 0958, 0800 123 456", "plus one, five five five, one two three, four five six "
         "seven, plus four four, zero, two zero, seven nine four six, zero nine five eight, zero eight zero zero, one two "
         "three, four five six"),
        ("1-800-FLOWERS, ISBN 978-3-16-148410-0, 123-45-6789", "one, eight hundred, FLOWERS, ISBN nine seven eight, three, "
         "one six, one four eight four one zero, zero, one two three, four five, six seven eight nine"),
        ("4111 1111 1111 1111 at 10.0.0.1:8080", "four one one one, one one one one, one one one one, one one one one at one "
         "zero dot zero dot zero dot one, port eight zero eight zero"),
        ("9am-5pm, 10 a.m.\u20135 p.m., Mon-Fri, Mon.\u2013Fri., Jan-Mar, 5 Nov. 2023", "nine A.M to five P.M, ten A.M to five "
         "P.M, Monday to Friday, Monday to Friday, January to March, the fifth of November, twenty twenty-three"),
        ("12-25-2024", "December twenty-fifth, twenty twenty-four"),
        ("until 3 p.m. He left at 5:30 p.m. They came, etc. And so on", "until three P.M. He left at five thirty P.M. They "
         "came, et cetera. And so on"),
        ("H\u2082O, 10\u207b\u00b3, x\u2074, a word\u2074", "H two O, ten to the power of minus three, x to the power of four, a "
         "word"),
        ("\u221a2, 3 * 4, x \u2265 5, \u2022 one", "the square root of two, three times four, x greater than or equal to five, "
         "one"),
        ("100 mL, 5 \u03bcm, 5 k\u03a9, 9.8 m/s\u00b2, 4 tbsp, in km/h", "one hundred milliliters, five micrometers, five "
         "kilohms, nine point eight meters per second squared, four tablespoons, in kilometers per hour"),
        ("$10/month, \u20ac5/kg, 1/100, 3,50 \u20ac, 1,5 kg, 1.000.000, 10'000", "ten dollars per month, five euros per kilogram, one "
         "over one hundred, three point five zero euros, one point five kilograms, one million, ten thousand"),
    ],
)  # fmt: skip
def test_numerals_codes_ranges_and_signs(written: str, spoken: str) -> None:
    assert normalize(written, "en-us") == spoken


def test_no_combination_of_names_numerals_and_signs_is_an_error() -> None:
    names = ("Henry", "King John", "World War", "Part", "Rocky", "the", "5", "$5", "No.", "Jan", "+1 555")
    numerals = (
        "IIII",
        "VX",
        "IC",
        "XIV",
        "I",
        "iiii",
        "LL",
        "0",
        "1/0",
        "9:99",
        "-1",
        "\u2074",
        "\u00bd",
        "99/99/9999",
    )
    ends = ("", "'s", "'", "\u2019s", "-", ".", " century", "st", "%", "\u00b2", "(", " and II")
    for name in names:
        for numeral in numerals:
            for end in ends:
                assert normalize(f"{name} {numeral}{end}", "en-us")
