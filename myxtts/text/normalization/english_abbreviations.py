"""Abbreviations in English: titles, streets, states, initials, and words that stand before a number."""

from __future__ import annotations

import re
from collections.abc import Callable

from myxtts.text.normalization import english_numbers as numbers
from myxtts.text.normalization import english_words as tables
from myxtts.text.normalization.english_units import names

_Found = re.Match[str]
_Rule = tuple[re.Pattern[str], str | Callable[[_Found], str]]

_MUST_BE_NUMBERED = names(set(tables.BEFORE_NUMBERS) - {"no", "art", "sec", "fig", "p", "min", "max", "approx", "est"})
_NUMBERED = (
    r"\b((?<!\bsaid )(?<!\bsays )(?<!\bsay )(?<!\byes or )(?<!\banswer is )(?<!\banswer was )no|(?<!\bof )art"
    rf"|(?<!\ba )(?<!\d )sec|(?<!\ba )fig|(?-i:(?=[A-Z]))(?:no|art|sec|fig)|(?-i:(?<!\d )min|max)|approx|est|p"
    rf"|{_MUST_BE_NUMBERED})\."
)
ABBREVIATIONS = frozenset(name.lower() for name in (*tables.TITLES, *tables.SHORT_WORDS)) - {"sec", "det", "fr", "rt"}
"""In lower case and without their full stop, which does not end a sentence."""
BEFORE_NUMBER = re.compile(rf"{_NUMBERED}\s*(?=\d)", re.I)
"""Abbreviations before their number. Some are also words in lower case, as in "the answer is no. 12 men died"; the
words before them decide."""
BEFORE_NUMERAL = re.compile(
    rf"{_NUMBERED}(?:(?<=\bfig\.)\s+(?=(?-i:A)\b)"
    r"|\s+(?=(?-i:[IVXLCDM]{2,}|[B-HJ-Z]|A(?!\s+[a-z]))(?![\w'\u2019]|-[^\W\d])))",
    re.I,
)
"""The same before a Roman numeral or a letter: art. IV, fig. A; but not "I love art. A man came", nor before "I"."""
STARTS_A_SENTENCE = frozenset({
    "a", "after", "all", "although", "an", "and", "are", "as", "at", "because", "before", "both", "but", "by",
    "can", "did", "do", "does", "everyone", "for", "from", "he", "her", "his", "how", "however", "i", "if", "in",
    "is", "it", "its", "later", "let", "many", "most", "my", "no", "nobody", "now", "of", "on", "one", "our", "she",
    "since", "so", "some", "that", "the", "their", "then", "there", "these", "they", "this", "those", "though",
    "to", "today", "was", "we", "were", "what", "when", "where", "which", "while", "who", "why", "will", "with",
    "yes", "yet", "you", "your",
})  # fmt: skip
"""After "the U.S." any other capitalized word is considered part of a name: the U.S. Army."""
_NUMBERED_WORDS = tables.BEFORE_NUMBERS | tables.SHORT_WORDS
_STREET = names(tables.STREETS)
_LONG_STREETS = names(set(tables.STREETS) - {"St", "Dr", "Ct", "Pl", "Sq", "Ter"})
"""Those that are clear without a full stop."""
_COMPASS = names(tables.COMPASS)
_STARTS = {word.title() for word in STARTS_A_SENTENCE if len(word) > 1}
_JOBS = r"(?:Vice|Software|Engineer|Director|Manager|Analyst|Developer|Editor|Data|Project|Product)\b"
_STREET_END = rf"(?:{_STREET}|Street|Avenue|Road|Boulevard|Drive|Lane|Place|Court|Highway)\b"


_LETTER_BEFORE = re.compile(
    r"\b(?:an?|plan|type|vitamin|grade|class|letter|part|section|point|option|group|hepatitis|model|side|team"
    r"|appendix|exhibit|chapter|figure|table|(?-i:[A-Z]) (?:to|and|or)|key of) $",
    re.I,
)


def _starts_a_sentence(found: _Found) -> bool:
    """Whether what follows an abbreviation is the first word of another sentence."""
    following = re.match(r"\s+([A-Z][a-z]*)\b(['\u2019]t\b)?", found.string[found.end() : found.end() + 40])
    if following is None:
        return False
    word = following[1].lower()
    return word in STARTS_A_SENTENCE or (following[2] is not None and word.removesuffix("n") in STARTS_A_SENTENCE)


def _ends(found: _Found) -> bool:
    return _starts_a_sentence(found) or not found.string[found.end() :].strip()


_AFTER_TIME = (
    rf"(?:{names([*tables.MONTHS, *map(str.title, [*tables.SHORT_MONTHS, *tables.WEEKDAYS])])}|[ECMP][SD]T|GMT|UTC|BST"
    r"|CES?T|[A-Z][a-z]+ [Tt]ime)"
)
"""What follows a.m. in the same sentence: 5 p.m. Monday."""


def _initials(found: _Found) -> str:
    """Initials without the full stop that no sentence ends with: the U.S. Army, J. K. Rowling."""
    following = found.string[found.end() : found.end() + 20]
    if found[1].lower() in ("a.m", "p.m") and re.match(rf"\s+(?!{_AFTER_TIME})[A-Z]", following):
        return found.group()
    if _starts_a_sentence(found) or (
        len(found[1]) == 1 and _LETTER_BEFORE.search(found.string[max(0, found.start() - 12) : found.start()])
    ):
        return found.group()
    return found[1]


_AMBIGUOUS_STATES = frozenset({"MD", "MA", "PA", "ME", "IN", "OR", "OK", "HI", "Miss", "Pa", "Mo", "La", "Del", "Ill"})
"""Those that are also degrees, words or how people are addressed: John Smith, MD; yes, Miss."""
_CITIES = re.compile(
    r"(?:Portland|Salem|Eugene|Boston|Cambridge|Worcester|Springfield|Philadelphia|Pittsburgh|Scranton|Baltimore|Bethesda"
    r"|Annapolis|Rockville|Honolulu|Tulsa|Indianapolis|Bloomington|Bangor|Chicago|Jackson|Biloxi|Columbia|Louis|City"
    r"|Orleans|Rouge|Wilmington|Dover|Spring), $"
)
_PLACE_BEFORE = re.compile(r"\b(?:in|from|near|at|around|outside|of|to) (?:[A-Z][\w.']* ){0,2}$", re.I)
_NO_PLACE = re.compile(
    r"(?:Yes|No|Oh|Well|Now|Here|Please|Sure|Fine|Hello|Hi|Hey|Thanks|Sorry|Okay|Right|Good|So|Then|But|And|Mom|Dad|Sir"
    r"|Smith|Jones|Brown|Lee), $"
)


def _is_place(found: _Found, state: str) -> bool:
    """Whether the word before the abbreviation of a state is a place."""
    if not found[1][0].isupper() or _NO_PLACE.match(found[1]):
        return False
    if _CITIES.match(found[1]):
        return True
    before = found.string[max(0, found.start() - 30) : found.start()]
    if state in ("MD", "MA", "PA") and re.search(r"\b(?:of|to) [^,]*$", before):
        return False
    return state not in _AMBIGUOUS_STATES or _PLACE_BEFORE.search(before) is not None


def _state(found: _Found) -> str:
    if not found[3] and not _is_place(found, found[2]):
        return found.group()
    codes = "".join(f", {numbers.digit_by_digit(code)}" for code in (found[3], found[4]) if code)
    return f"{found[1]}{tables.STATES[found[2]]}{codes}"


def _short_state(found: _Found) -> str:
    """The name of a state in a short form of old: Jackson, Miss., and R-Ohio."""
    if found[1][-1] != "-" and found.string[found.end() : found.end() + 1] != "," and not _is_place(found, found[2]):
        return found.group()
    return f"{found[1]}{tables.SHORT_STATES[found[2]]}" + ("." if _ends(found) else "")


def _compass(found: _Found) -> str:
    """North of N. Main Street; the E. of Robert E. Lee Street is an initial."""
    before = found.string[max(0, found.start() - 20) : found.start()]
    name = re.search(r"\b([A-Z][a-z]+) $|\b(?:Mr|Mrs|Ms|Dr)\. $", before)
    if name is not None and (name[1] is None or name[1].lower() not in STARTS_A_SENTENCE):
        return found.group()
    return f"{tables.COMPASS[found[1]]} "


def _company(found: _Found) -> str:
    return "Company." if found.group().endswith(".") and _starts_a_sentence(found) else "Company"


def _short_word(found: _Found) -> str:
    return tables.SHORT_WORDS[found[1].lower()] + ("." if _starts_a_sentence(found) else "")


RULES: tuple[_Rule, ...] = (
    (
        re.compile(
            rf"\b([A-Z][a-z]+, )({names(tables.STATES)})(?= \d{{5}}\b|(?<!, OK)(?<!, HI)(?:[,.;:)]| [a-z]|$))"
            rf"(?: (\d{{5}})(?:-(\d{{4}}))?\b)?"
        ),
        _state,
    ),
    (
        re.compile(rf"(\b[A-Z][a-z]+, |\b[RDI]-)({names(tables.SHORT_STATES)})\."),
        _short_state,
    ),
    (
        re.compile(
            rf"\b([NSEW])\.? (?=\d{{1,3}}(?:st|nd|rd|th) (?:{_STREET_END})|(?:[A-Z][a-z]+ ){{1,2}}{_STREET_END})"
        ),
        _compass,
    ),
    (
        re.compile(rf"\b((?:[A-Z][\w']*|\d+(?:st|nd|rd|th)) (?:{_STREET_END}))\.? ({_COMPASS})\b\.?(?=\s*$| [a-z]|,)"),
        lambda f: f"{f[1]} {tables.COMPASS[f[2]]}",
    ),
    # Abbreviations such as "etc." keep their full stop if it also ends the sentence.
    (
        re.compile(
            rf"\b([A-Z][\w']*|\d+(?:st|nd|rd|th)) ({_STREET})\.(?=(\s*$| (?:{names(_STARTS)})\b)?)"
            rf"(?! (?!(?:{names(_STARTS)})\b)[A-Z])"
        ),
        lambda f: f"{f[1]} {tables.STREETS[f[2]]}" + ("." if f[3] is not None else ""),
    ),
    (
        re.compile(rf"\b([A-Z][a-z]+|\d+(?:st|nd|rd|th)) ({_LONG_STREETS})\b(?!\.| Maria\b)"),
        lambda f: f"{f[1]} {tables.STREETS[f[2]]}",
    ),
    (
        re.compile(rf"\b(\d+[A-Z]? (?:(?:[A-Z][a-z]+|\d+(?:st|nd|rd|th)) ){{1,3}})({_STREET})\b(?=\s*$|[,;)]| [a-z])"),
        lambda f: f[1] + tables.STREETS[f[2]],
    ),
    (re.compile(r"\b([A-Z][a-z]+|\d+(?:st|nd|rd|th)) St\b(?=\s*$|[,;:)?!]| [a-z])"), r"\1 Street"),
    (re.compile(rf"\bSr\. (?={_JOBS})"), "Senior "),
    (re.compile(r"(^|[.!?] |\b[a-z]+ )Sr\. (?=[A-Z])"), r"\1Sister "),
    (
        re.compile(
            rf"\b({names(tables.TITLES)})\."
            rf"(?= (?<!\bSec\. )[A-Z]| [A-Z][a-z]| (?:and|or|&) (?:{names(tables.TITLES)})\.)"
        ),
        lambda f: tables.TITLES[f[1]],
    ),
    (
        re.compile(r"\b(Prof|Sgt|Capt|Lt|Cpl|Pvt|Supt|Cmdr|Msgr|Gov|Insp)(?= [A-Z][a-z])"),
        lambda f: tables.TITLES[f[1]],
    ),
    (re.compile(r"\b([JS])r\b(?:\.(?=\s+[a-z]|,))?"), lambda f: "Junior" if f[1] == "J" else "Senior"),
    (re.compile(r"\be\.g\.,?", re.I), "for example,"),
    (re.compile(r"\bi\.e\.,?", re.I), "that is,"),
    (re.compile(r"\ba\.k\.a\.", re.I), "also known as"),
    (re.compile(r"\betc\.(?=\s+(?-i:[a-z(])|[,;:!?)])", re.I), "et cetera"),
    (re.compile(r"\betc\b", re.I), "et cetera"),
    (re.compile(r"(?<=[a-z]) v\.? (?=[A-Z][a-z])"), " versus "),
    (re.compile(r"(?<=& )Co\b(?:\.(?=\s+\w|,))?|(?<=[a-z] )Co\.(?=\s+[a-z]|,)"), _company),
    (re.compile(r"(?<=[a-z] )Co\.(?=\s*$|\s+[A-Z])"), lambda f: "Company." if _ends(f) else f.group()),
    (re.compile(r"\bNo (?=\d+ [A-Z]|\d+[.,]?$)"), "number "),
    (BEFORE_NUMBER, lambda f: tables.BEFORE_NUMBERS[f[1].lower()] + " "),
    (re.compile(r"\b(approx|max|(?<!\d )min|[Ee]xt|tel)\.? (?=\d)"), lambda f: _NUMBERED_WORDS[f[1].lower()] + " "),
)
WORDS: tuple[_Rule, ...] = (
    (
        re.compile(rf"\b({names(tables.SHORT_WORDS)})\.(?=\s+\w|,|\s*[(\u2014])", re.I),
        _short_word,
    ),
    (
        re.compile(rf"\b({names(set(tables.SHORT_WORDS) - {'est', 'ca', 'cf'})})\.(?=\s*$|[\")])", re.I),
        lambda f: f"{tables.SHORT_WORDS[f[1].lower()]}.",
    ),
    (
        re.compile(
            r"(?<!\b[A-Za-z]\.)\b([A-Z](?:\.[A-Z])+|[a-z](?:\.[a-z])+|[A-Z]|M\.Sc|B\.Sc|Ph\.D)\.(?=\s+[\w(\"]|[,;:)])(?<!\b[IO]\.)"
        ),
        _initials,
    ),
    (re.compile(rf"\b(?!APR\.? \d)(?:{'|'.join(sorted(tables.SPELLED))})\b"), lambda f: ".".join(f.group())),
)
