"""Roman numerals in English: kings by ordinals, wars and chapters by cardinals."""

from __future__ import annotations

import re

from myxtts.text.normalization import english_numbers as numbers

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1_000}
_VALID = "(?=[IVXLC])C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[IVXLC])"
"""Never empty, where the letters are no numeral."""
_NUMBERED = f"(?![LC]\\b){_VALID}"
"""Appendix C and level L are letters: of single letters only I, V and X count."""
_END = r"\b(?!['\u2019](?!s\b))"
"""The end of a numeral, which may be in the genitive: Henry VIII's."""
_SEVERAL = f"(?=[IVX]{{2}}){_VALID}"
"""At least two letters, of the ten small numerals' kind: words such as CD, MIX and DIV are none."""
NAMES = (
    "Henry|Louis|Edward|Richard|Charles|James|George|William|Elizabeth|Mary|Catherine|Philip|Philippe|Francis|Frederick|"
    "Napoleon|Peter|Paul|John|Pius|Benedict|Leo|Clement|Gregory|Innocent|Alexander|Nicholas|Ivan|Ramses|Rameses|Ramesses|"
    "Ptolemy|Umberto|Victor|Emmanuel|Leopold|Otto|Albert|Ferdinand|Alfonso|Juan|Carlos|Felipe|Christian|Gustav|Gustaf|"
    "Harald|Olav|Haakon|Margrethe|Wilhelm|Joseph|Franz|Maximilian|Rudolf|Rudolph|Constantine|Justinian|Xerxes|Darius|"
    "Cyrus|Artaxerxes|Sixtus|Urban|Boniface|Celestine|Adrian|Hadrian|Julius|Martin|Mehmed|Mehmet|Murad|Suleiman|Selim|"
    "Bayezid|Abdulhamid|Cleopatra|Thutmose|Amenhotep|Seti|Robert|Malcolm|David|Alfred|Stephen|Eric|Erik|Magnus|Baldwin|"
    "Isabella|Maria|Anne|Theodore|Sigismund|Casimir|Ladislaus|Stanislaus|Pedro|Manuel|Louise|Christina|Michael|Abbas|"
    "Shapur|Khosrow"
)
_GIVEN = (
    "John|James|William|Robert|Thomas|George|Edward|Charles|Henry|Joseph|Richard|David|Paul|Peter|Frank|Daniel|Michael|"
    "Samuel|Davis|Martin|Walter|Arthur|Albert|Harry|Fred|Howard"
)
COUNTED = (
    "War|Wars|Chapter|Part|Act|Scene|Volume|Section|Book|Article|Phase|Type|Class|Level|Stage|Title|Appendix|Figure|"
    "Table|Grade|Mark|Bowl|Episode|Schedule|Round|Group|Division|Unit|Lesson|Category|Corps|Canto|Verse|Psalm|number|"
    "numbers|volume|figure|section|article|chapter|page|Symphony|Sonata|Opus"
)
_PRONOUN = (
    r"(?<=[a-z] I) (?:like|liked|love|loved|want|wanted|saw|see|have|had|think|thought|know|knew|need|am|will|would|can"
    r"|could|did|do|read|wrote|made|got|went|must|may|should|say|said|found)\b"
)
"""The part I like is no part one."""
_CENTURY = re.compile(rf"\b({_VALID})(?:st|nd|rd|th)?(?=(?: |-)(?:century|centuries|Century)\b)")
_AFTER_RULER = re.compile(rf"\b((?:{NAMES})(?: (?:{NAMES}))?) (?:the )?({_SEVERAL}){_END}")
_ONE_LETTER = re.compile(
    rf"\b((?:(?:King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Sultan|Shah|Prince) (?:{NAMES})) (?:the )?[IVX]"
    rf"|(?:{NAMES}) (?:[VX]|I(?=,? (?:of|died|reigned)\b|['\u2019]s\b)))\b"
    r"(?<!Malcolm X)(?!['\u2019](?!s\b))"
)
_AFTER_PERSON = re.compile(rf"\b((?:{_GIVEN}) (?:[A-Z]\. )?[A-Z][a-z]+) (I{{2,3}}|IV)\b")
_AFTER_COUNTED = re.compile(
    rf"\b((?:{COUNTED})) (?:({_NUMBERED}){_END}(?!\.?[A-Z]|{_PRONOUN})|((?=[ivx]{{2}})[ivx]+)\b)"
)
_AND_MORE = re.compile(
    r"\b(Wars|Chapters|Parts|Acts|Scenes|Books|Volumes|Sections|Types|Phases|Articles|Figures|Tables|Stages|Levels) "
    rf"({_NUMBERED})(,? (?:and|or|to|through) | ?[-\u2013] ?)({_NUMBERED}){_END}(?!{_PRONOUN})"
)
_AFTER_NAME = re.compile(rf"(?<=[a-z]) ({_SEVERAL}){_END}")
_CAPITALIZED_BEFORE = re.compile(r"\b[A-Z][a-z]+$")


def value_of(numeral: str) -> int:
    """The value of a numeral, by its letters: a smaller one before a larger one is subtracted."""
    values = [_VALUES[letter] for letter in numeral.upper()]
    return sum(-one if one < after else one for one, after in zip(values, [*values[1:], 0], strict=True))


def spell_numerals(text: str) -> str:
    """The text with Roman numerals in words where they are numbers; single letters only where they must be."""
    if not re.search(r"[IVXivx]", text):
        return text
    text = _CENTURY.sub(lambda found: _ordinal(found[1]), text)
    text = _AFTER_RULER.sub(lambda found: f"{found[1]} the {_ordinal(found[2])}", text)
    text = _ONE_LETTER.sub(_ruler, text)
    text = _AFTER_PERSON.sub(lambda found: f"{found[1]} the {_ordinal(found[2])}", text)
    text = _AND_MORE.sub(_several, text)
    text = _AFTER_COUNTED.sub(_counted, text)
    return _AFTER_NAME.sub(_named, text)


def _ordinal(numeral: str) -> str:
    return numbers.ordinal(str(value_of(numeral)))


def _cardinal(numeral: str) -> str:
    return numbers.cardinal(str(value_of(numeral)))


def _ruler(found: re.Match[str]) -> str:
    name, _, numeral = found.group().rpartition(" ")
    return f"{name.removesuffix(' the')} the {_ordinal(numeral)}"


def _several(found: re.Match[str]) -> str:
    """Wars I and II; a hyphen is a range."""
    if found[2] == found[4]:
        return found.group()  # books I and I read: the second one is the pronoun
    between = found[3] if found[3].strip("-\u2013 ") else " to "
    return f"{found[1]} {_cardinal(found[2])}{between}{_cardinal(found[4])}"


def _counted(found: re.Match[str]) -> str:
    numeral = found[2] or found[3]
    if found[3] and not re.fullmatch(_VALID, numeral.upper()):
        return found.group()
    return f"{found[1]} {_cardinal(numeral)}"


def _named(found: re.Match[str]) -> str:
    """A numeral behind a capitalized word, as in Rocky III."""
    before = found.string[max(0, found.start() - 40) : found.start()]
    return f" {_cardinal(found[1])}" if _CAPITALIZED_BEFORE.search(before) else found.group()
