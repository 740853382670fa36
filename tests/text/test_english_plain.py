"""English normalization: plain sentences that look like dates, addresses, codes or attributes, but are none."""

# Pairs of written and spoken texts in one line.
# ruff: noqa: E501

from __future__ import annotations

import pytest

from myxtts.text.normalization import normalize

CASES = {
    "letters": [
        ("A T-shirt costs 5 dollars.", "A T-shirt costs five dollars."),
        ("A D student. A B-52 flew. AT&T", "A D student. A B-fifty-two flew. A.T and T"),
        ("From A to B. Tom walked.", "From A to B. Tom walked."),
        ("We left at 5 p.m. Tom stayed.", "We left at five P.M. Tom stayed."),
        ("We left at 5 p.m. Monday.", "We left at five P.M Monday."),
        ("Hello .How are you?", "Hello.How are you?"),
    ],
    "places": [
        ("Thank you, Miss. Yes, Miss. I will.", "Thank you, Miss. Yes, Miss. I will."),
        ("Go home, Pa. Hi, Del. It is me.", "Go home, Pa. Hi, Del. It is me."),
        ("John Smith, MD, says so. Hello, IN this case. Yes, ME too.", "John Smith, MD, says so. Hello, IN this case. Yes, ME too."),
        ("He is from Jackson, Miss., and lives in Baltimore, MD.", "He is from Jackson, Mississippi, and lives in Baltimore, Maryland."),
        ("Portland, OR is nice, OR not. Boston, MA", "Portland, Oregon is nice, OR not. Boston, Massachusetts"),
        ("Robert E. Lee Street and N. Main Street", "Robert E Lee Street and North Main Street"),
        ("They sing Ave Maria, Schubert Ave Maria.", "They sing Ave Maria, Schubert Ave Maria."),
        ("Tom and Jan.", "Tom and Jan."),
        ("Smith & Co. It is here.", "Smith and Company. It is here."),
        ("Sr. Software Engineer", "Senior Software Engineer"),
    ],
    "counts": [
        ("We have 2 Kings and 3 John Grisham books.", "We have two Kings and three John Grisham books."),
        ("Peter 4:00 works. Mark 8:05 am works.", "Peter four o'clock works. Mark eight oh five A.M works."),
        ("In 1 Kings it says", "In First Kings it says"),
        ("The US 150 years ago, exit 250 people, a room 150 feet away", "The US one hundred fifty years ago, exit two hundred fifty people, a room one hundred fifty feet away"),
        ("We wrote code 1000 times.", "We wrote code one thousand times."),
        ("There are no 2 Americans alike. There are no 5.", "There are no two Americans alike. There are no five."),
        ("on 3/4 of the pages, on 24/7 duty", "on three quarters of the pages, on twenty-four seven duty"),
        ("a .125 inch gap, a .001 chance, a .300 hitter", "a zero point one two five inch gap, a zero point zero zero one chance, a three hundred hitter"),
    ],
    "amounts": [
        ("Give me my $5 back. The $500 spent on it.", "Give me my five dollars back. The five hundred dollars spent on it."),
        ("His $20 should do. The $20 a month I pay.", "His twenty dollars should do. The twenty dollars a month I pay."),
        ("The 5 km back home, the 5 km run", "The five kilometers back home, the five kilometer run"),
        ("Every 15 min the bus came.", "Every fifteen minutes the bus came."),
    ],
    "capitals": [
        ("THE BOOK I READ", "THE BOOK I READ"),
        ("WORLD WAR I ENDED", "World War one ENDED"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_plain_sentences(kind: str) -> None:
    for written, spoken in CASES[kind]:
        assert normalize(written, "en-us") == spoken
