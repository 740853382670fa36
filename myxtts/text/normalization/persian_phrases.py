"""Persian compounds with و and Arabic phrases that are written with blanks or half-spaces, and their phonemes.

The normalizer joins them with half-spaces; the front end reads them as one word. Phonemes are in the letters of the
lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from myxtts.text.normalization.characters import ZWNJ

COMPOUNDS: Mapping[str, str] = {
    "گفت‌وگو": "goftogu", "جست‌وجو": "JostoJu", "پرس‌وجو": "porsoJu", "شست‌وشو": "SostoSu", "رفت‌وآمد": "raftoAmad",
    "خرید‌وفروش": "xaridoforuS", "زد‌وخورد": "zadoxord", "پخت‌وپز": "poxtopaz", "سر‌وصدا": "sarosedA",
    "آب‌وهوا": "AbohavA", "ساخت‌وساز": "sAxtosAz", "کسب‌وکار": "kasbokAr", "سر‌وکار": "sarokAr", "گیر‌ودار": "girodAr",
    "دید‌وبازدید": "didobAzdid", "تاخت‌وتاز": "tAxtotAz", "گشت‌وگذار": "gaStogozAr", "خورد‌وخوراک": "xordoxorAk",
    "رفت‌وروب": "raftorub", "گفت‌وشنود": "goftoSonud", "جنب‌وجوش": "JonboJuS", "پیچ‌وتاب": "piCotAb",
    "چون‌وچرا": "CunoCerA", "کم‌وبیش": "kamobiS", "نشست‌وبرخاست": "neSastobarxAst", "پر‌وبال": "parobAl",
    "خرت‌وپرت": "xertopert", "شر‌وور": "Serrover", "بند‌وبساط": "bandobasAt", "چفت‌وبست": "Ceftobast",
    "پست‌وبلند": "pastoboland", "خواه‌ناخواه": "xAhnAxAh", "خواه‌و‌ناخواه": "xAhonAxAh", "حال‌واحوال": "hAloahvAl",
    "قول‌وقرار": "qoloqarAr", "رنگ‌وبو": "rangobu", "جمع‌وجور": "Jam'oJur", "سوخت‌وساز": "suxtosAz",
    "داد‌وستد": "dAdosetad", "بزن‌وبکوب": "bezanobekub", "قیل‌وقال": "qiloqAl", "بگو‌مگو": "begumagu",
    "شور‌وشوق": "SuroSoq", "هرج‌ومرج": "harJomarJ", "دست‌وپا": "dastopA", "گیج‌وویج": "giJoviJ",
    "گرد‌وغبار": "gardoqobAr", "گرد‌وخاک": "gardoxAk", "آمد‌وشد": "AmadoSod", "آمد‌ورفت": "Amadoraft",
    "مرگ‌ومیر": "margomir", "زاد‌وولد": "zAdovalad", "بود‌ونبود": "budonabud", "خواب‌وخوراک": "xAboxorAk",
    "جزر‌ومد": "Jazromad", "عقد‌وعروسی": "aqdoarusi", "سیر‌وسلوک": "seyrosoluk", "سر‌ووضع": "sarovaz'",
    "سر‌ورو": "saroru", "چرت‌وپرت": "Certopert", "دم‌ودستگاه": "damodastgAh", "حمل‌ونقل": "hamlonaql",
}  # fmt: skip
"""Compounds with و, which is read "o"."""
PHRASES: Mapping[str, str] = {
    "صلی الله علیه و آله و سلم": "sallallAho'aleyhevaAlehevasallam", "صلی الله علیه و آله": "sallallAho'aleyhevaAleh",
    "علیه السلام": "'aleyhessalAm", "علیها السلام": "'aleyhassalAm", "علیهم السلام": "'aleyhemossalAm",
    "سلام الله علیها": "salAmollAhe'aleyhA", "رحمت الله علیه": "rahmatollAhe'aleyh", "رضی الله عنه": "raziyallAho'anh",
    "بسم الله الرحمن الرحیم": "besmellAherrahmAnerrahim", "بسم الله": "besmellAh", "الحمد لله": "'alhamdolellAh",
    "الحمدلله": "'alhamdolellAh", "سبحان الله": "sobhAnallAh", "الله اکبر": "'allAhoakbar",
    "استغفر الله": "'astaqforellAh", "السلام علیکم": "'assalAmo'aleykom", "سلام علیکم": "salAmon'aleykom",
    "و رحمه الله و برکاته": "varahmatollAhevabarakAtoh", "لا اله الا الله": "lA'elAha'ellallAh",
    "اللهم صل علی محمد و آل محمد": "'allAhommasalle'alAmohammadvaAlemohammad",
    "انا لله و انا الیه راجعون": "'ennAlellAheva'ennA'elayherAJe'un", "ان شاء الله": "'enSA'allAh",
    "ان شاالله": "'enSA'allAh", "انشاالله": "'enSA'allAh", "انشاءالله": "'enSA'allAh", "ایشالا": "'iSAllA",
    "ما شاء الله": "mASA'allAh", "ما شاالله": "mASA'allAh", "ماشاالله": "mASA'allAh", "ماشاءالله": "mASA'allAh",
    "عجل الله تعالی فرجه": "'aJJalallAhota'AlAfaraJah", "من جمله": "menJomle", "علی رغم": "'alAraqm",
    "علی الخصوص": "'alalxosus", "فی المثل": "felmasal", "مع ذلک": "ma'azAlek", "من حیث المجموع": "menheysolmaJmu'",
}  # fmt: skip
"""Phrases, with blanks."""

HONORIFICS = frozenset(
    written.replace(" ", ZWNJ) for written in PHRASES if written.split()[0] in {"صلی", "علیه", "علیها", "علیهم", "رضی"}
) | {f"سلام{ZWNJ}الله{ZWNJ}علیها", f"رحمت{ZWNJ}الله{ZWNJ}علیه", f"عجل{ZWNJ}الله{ZWNJ}تعالی{ZWNJ}فرجه"}
"""Phrases that follow a name, which has no ezafe before them."""

_SHORT = r"ها|های|هایی|هایش|هایم|هایت|هایشان|هایمان|هایتان|ی|یی|یش|یم|یت|م|ت|ش|ی?(?:شان|مان|تان)"
_PAIR = re.compile(
    rf"(?<![\w{ZWNJ}])(?:{'|'.join(name.replace(ZWNJ + 'و', ' و ') for name in COMPOUNDS if ZWNJ + 'و' in name)})"
    rf"(?=(?:{ZWNJ}?(?:{_SHORT}))?(?![\w{ZWNJ}\u064b-\u0655]))"
)
_PHRASE = re.compile(
    "(?<!\\w)(?:"
    + "|".join(sorted((name.replace(" ", f"[ {ZWNJ}]") for name in PHRASES), key=len, reverse=True))
    + f")(?![\\w{ZWNJ}\u064b-\u0655])(?<!من[ {ZWNJ}]جمله(?= را))"
)


def joined(text: str) -> str:
    """The text with these compounds and phrases joined by half-spaces: «گفت‌وگو» for «گفت و گو»."""
    text = _PAIR.sub(lambda found: found[0].replace(" و ", ZWNJ + "و"), text)
    return _PHRASE.sub(lambda found: found[0].replace(" ", ZWNJ), text)
