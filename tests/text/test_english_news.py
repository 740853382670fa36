"""English normalization: what newspapers, recipes, addresses and notes contain, as a careful news reader speaks it."""

# Pairs of written and spoken texts in one line.
# ruff: noqa: E501

from __future__ import annotations

import pytest

from myxtts.text.normalization import normalize
from myxtts.text.phonemes import espeak

CASES = {
    "dates": [
        ("Mon, Jan 3; Fri. 5 May; in Jan. he left; in Feb. and Mar.", "Monday, January third; Friday the fifth of May; in January he left; in February and March."),
        ("5-7 May 2020, May 5 – June 7, Jan 1st–3rd", "the fifth to seventh of May, twenty twenty, May fifth to June seventh, January first to third"),
        ("10-Dec-2021, 12/2021, 2020-01-05T10:30:00Z", "the tenth of December, twenty twenty-one, December twenty twenty-one, January fifth, twenty twenty, ten thirty UTC"),
        ("the 2008/09 season, the 2008-09 crisis, 1999/2000", "the two thousand eight oh nine season, the two thousand eight to oh nine crisis, nineteen ninety-nine two thousand"),
        ("the class of '99, mid-'90s, the '60s' music, Feb. '09", "the class of ninety-nine, mid-nineties, the sixties' music, February oh nine"),
        ("AD 79, 476 AD, 200 BC – 100 AD, c. 1450, (b. 1950)", "A.D seventy-nine, four hundred seventy-six A.D, two hundred BC to one hundred A.D, circa fourteen fifty, (born nineteen fifty)"),
        ("By 2100, 2100 people, from 1990–present, the 1920s–30s", "By twenty-one hundred, two thousand one hundred people, from nineteen ninety to present, the nineteen twenties to thirties"),
    ],
    "times": [
        ("1:23:45, 2:03:59, 3:45.67", "one twenty-three forty-five, two oh three fifty-nine, three forty-five point six seven"),
        ("10.30am, 7–8:30 p.m., 9:00 - 17:00, 8am–noon, 12:00 midnight", "ten thirty A.M, seven to eight thirty P.M, nine o'clock to seventeen hundred, eight A.M to noon, twelve midnight"),
        ("0600 hours, 0800 GMT, worked 1600 hours", "oh six hundred hours, oh eight hundred GMT, worked one thousand six hundred hours"),
        ("2h 30m, 2m30s, 10.8 s", "two hours thirty minutes, two minutes thirty seconds, ten point eight seconds"),
    ],
    "money": [
        ("a $5 million house, her $200 shoes, a $1.5-million deal, the $5 million he paid", "a five million dollar house, her two hundred dollar shoes, a one point five million dollar deal, the five million dollars he paid"),
        ("-$5, $-5, S$5, R$5, $US5, $5USD, EUR 1.5m, ₹5 lakh, Rs. 500", "minus five dollars, minus five dollars, five Singapore dollars, five reais, five US dollars, five US dollars, one point five million euros, five lakh rupees, five hundred rupees"),
        ("$15/hr, $19.99/mo. for all, $5tr, a $1,000-a-night hotel", "fifteen dollars per hour, nineteen dollars and ninety-nine cents per month for all, five trillion dollars, a one thousand dollar-a-night hotel"),
    ],
    "units": [
        ("a 100-m dash, the 100m sprint, a 5 kg bag, a 60W bulb, 3-ft. pole", "a one hundred meter dash, the one hundred meter sprint, a five kilogram bag, a sixty watt bulb, three foot pole"),
        ("5 sq. ft., 20 m2, 20 m^2, 500cc, 30 mpg, 10 kgs, 100 kph", "five square feet, twenty square meters, twenty square meters, five hundred cubic centimeters, thirty miles per gallon, ten kilograms, one hundred kilometers per hour"),
        ("0.5mg/kg, 60 km/hr, 10 μg/m³, 100Mbit/s, 5 mg/day", "zero point five milligrams per kilogram, sixty kilometers per hour, ten micrograms per cubic meter, one hundred megabits per second, five milligrams per day"),
        ("8 lb. 6 oz., 2 tbsp. sugar, ¼ tsp. salt, 5m people, 5m", "eight pounds six ounces, two tablespoons sugar, one quarter of a teaspoon salt, five million people, five meters"),
        ("72° F, 350F, 98.6 degrees F, 40°N 74°W, 40° 26′ 46″ N", "seventy-two degrees Fahrenheit, three hundred fifty degrees Fahrenheit, ninety-eight point six degrees Fahrenheit, forty degrees north seventy-four degrees west, forty degrees twenty-six minutes forty-six seconds north"),
        ('a 12" pizza, 5/8", 8.5" x 11", "Apollo 13" and "Ocean\'s 11"', 'a twelve inch pizza, five eighths inch, eight point five inches by eleven inches, "Apollo thirteen" and "Ocean\'s eleven"'),
        ("5kg-10kg, 5-10 kg, 6-8 ft, Apt. 5B, seat 12B, 5M", "five to ten kilograms, five to ten kilograms, six to eight feet, apartment five B, seat twelve B, five million"),
    ],
    "numbers": [
        ("747s, MP3s, 100s of men, a 747-400, the 1800s", "seven forty-sevens, MP threes, hundreds of men, a seven forty-seven four hundred, the eighteen hundreds"),
        ("1/16, 5/7, 1-1/2 cups, 10/10, 20/20 vision, 7 / 10", "one sixteenth, five sevenths, one and one half cups, ten out of ten, twenty twenty vision, seven tenths"),
        ("1:50,000, H.264, .45 caliber, .357 Magnum, batting .300", "one to fifty thousand, H point two hundred sixty-four, forty-five caliber, three fifty-seven Magnum, batting three hundred"),
        ("x^2, x^n, 6.02×10²³, 0x1F", "x squared, x to the power of n, six point zero two times ten to the power of twenty-three, zero x one F"),
        ("555.123.4567, ext. 123, area code 212, PIN 1234, a 911 call, a 401(k)", "five five five, one two three, four five six seven, extension one two three, area code two one two, pin one two three four, a nine one one call, a four oh one K"),
        ("John 3:16, Psalm 23:4-6, 1 Cor. 13:4", "John three sixteen, Psalm twenty-three four to six, First Corinthians thirteen four"),
        ("I-405, US 101, Flight BA123, Q1-Q3", "I four oh five, US one oh one, Flight BA one twenty-three, Q one to Q three"),
    ],
    "names": [
        ("123 Main St, 350 Fifth Ave., W 42nd St; 100 N. Main St. and 5th Ave.", "one hundred twenty-three Main Street, three hundred fifty Fifth Avenue, West forty-second Street; one hundred North Main Street and fifth Avenue."),
        ("On Main St. The light was red. St. Peter's St. is long.", "On Main Street. The light was red. Saint Peter's Street is long."),
        ("Dallas, TX, Springfield, IL 62704, Boston, Mass., Sure, OK then", "Dallas, Texas, Springfield, Illinois, six two seven zero four, Boston, Massachusetts, Sure, OK then"),
        ("the U.S. Army. In the U.S. The J. K. Rowling of George W. Bush, e.e. cummings", "the U.S Army. In the U.S. The J.K Rowling of George W Bush, e.e cummings"),
        ("my A B C's, the A B C", "my A B C's, the A.B.C"),
        ("plan B. He left. Vitamin C. People like it.", "plan B. He left. Vitamin C. People like it."),
        ("Adm. Lee, Cpl. Ray, with Sr. Mary, Prof Xu, Assoc. Prof. Xu", "Admiral Lee, Corporal Ray, with Sister Mary, Professor Xu, Associate Professor Xu"),
        ("Acme Inc. He likes it. Acme Inc. said. Smith & Co. said, Acme Co. It is.", "Acme incorporated. He likes it. Acme incorporated said. Smith and Company said, Acme Company. It is."),
        ("Roe v. Wade, Smith et al. (2010), WWII, Figs. 2 and 3, a.k.a. Bob", "Roe versus Wade, Smith et al (twenty ten), World War two, figures two and three, also known as Bob"),
        ("No 10 Downing Street, No 2 flakes are alike", "number ten Downing Street, No two flakes are alike"),
    ],
    "signs": [
        ("rock 'n' roll, he/she, AC/DC, n/a, A+, an A-, file.com or .com", "rock and roll, he or she, AC DC, not applicable, A-plus, an A-minus, file dot com or dot com"),
        ("**bold** and *italic*", "bold and italic"),
        ("# Heading", "Heading"),
        ("WORLD WAR II, KING HENRY VIII, DR. LEE, 60 MPH, THE 1990S", "World War two, King Henry the eighth, Doctor LEE, sixty miles per hour, THE nineteen nineties"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_news(kind: str) -> None:
    for written, spoken in CASES[kind]:
        assert normalize(written, "en-us") == spoken


def test_an_a_among_letters_is_no_article() -> None:
    """eSpeak NG reads "A M" as "uh em"."""
    for written in ("at 10 a.m. on Monday", "AT&T said", "a Q&A session", "vitamin A helps", "A4 paper"):
        assert "e\u026a" in espeak(normalize(written, "en-us"), "en-us").split("n\u02c8\u028c")[0], written
        assert "\u0250 \u02c8\u025bm" not in espeak(normalize(written, "en-us"), "en-us")


def test_a_spoken_text_stays_as_it_is() -> None:
    for pairs in CASES.values():
        for _, spoken in pairs:
            assert normalize(spoken, "en-us") == spoken
