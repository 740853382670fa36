"""What is no text: tags of SSML and HTML, entities, subtitles; and addresses, which cleaning would take apart."""

from __future__ import annotations

import html
import re

from myxtts.errors import DataError
from myxtts.messages import quoted

_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,30}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_COMMENT = re.compile(r"<!--.{0,10000}?-->|<\?[^<>]{0,1000}\?>|<!DOCTYPE[^<>]{0,1000}>", re.S | re.I)
_ALIAS = re.compile(r"<sub\s[^<>]{0,200}?\balias\s*=\s*\"([^\"<>]{0,500})\"[^<>]{0,200}>[^<>]{0,500}</sub>", re.I)
_BREAK = re.compile(r"\s*<break\b[^<>]{0,500}>\s*", re.I)
_BLOCK = re.compile(r"</(?:p|s|div|li|h[1-6])\s*>|<br\b[^<>]{0,100}>", re.I)
_TAG = re.compile(
    r"</?(?:speak|voice|prosody|emphasis|say-as|phoneme|audio|mark|desc|metadata|meta|lexicon|sub|lang|par|seq|media"
    r"|amazon:[a-z-]+|mstts:[a-z-]+|google:[a-z-]+|p|s|w|b|i|u|em|strong|span|div|a|br|html|body|ul|ol|li|h[1-6]|font"
    r"|c|v)(?:[\s.][^<>]{0,1000})?/?>",
    re.I,
)
_TIME = r"(?:\d{1,3}:)?\d{2}:\d{2}[,.]\d{3}"
_CUE = re.compile(rf"^\s*{_TIME} *--> *{_TIME}.*$", re.M)
_SUBTITLE_HEAD = re.compile(rf"(?:^[^\S\n]*\S[^\n]*\n)?^[^\S\n]*{_TIME} *--> *{_TIME}[^\n]*\n", re.M)
_STYLE = re.compile(r"\{\\[^{}]{0,200}\}")

_MAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9](?:[\w.+-]{0,62}[\w])?@(?:[A-Za-z0-9-]{1,62}\.){1,6}[A-Za-z]{2,24}\b")
_URL = re.compile(
    r"\b(?i:https?|ftp)://[^\s<>\"()]{1,2000}|\b(?i:www)\.[^\s<>\"()]{1,2000}"
    r"|(?<![\w@.-])(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,4}(?:com|org|net|edu|gov|info|co\.uk|io|dev|app|tv|ai)\b"
    r"(?:/[^\s<>\"()]{0,2000})?"
)
_FILE = re.compile(
    r"(?<![\w.])(\w[\w-]{0,60})\.(js|txt|pdf|py|csv|docx?|xlsx?|html?|jpe?g|png|gif|exe|mp[34]|wav|zip|json|xml|ya?ml|md|sh)\b"
)
_COUNTRY_ENDING = re.compile(r"(?<= dot )(?!co\b|me\b)[a-z]{2}(?=$| slash| dot)")
_URL_SIGNS = {
    ".": "dot", "/": "slash", "_": "underscore", "-": "dash", "?": "question mark", "=": "equals", "&": "and",
    "#": "hash", "~": "tilde", "%": "percent", "+": "plus", ":": "colon", "@": "at", ",": "comma", ";": "semicolon",
    "!": "exclamation mark", "'": "apostrophe", "*": "asterisk", "$": "dollar",
}  # fmt: skip


PAUSE = re.compile(r"\[\s*pause(?:\s+(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})\s*s?)?\s*\]", re.I)
"""A pause in a text: [pause 0.5], in seconds."""
LONGEST_PAUSE_SECONDS = 30.0
_USUAL_PAUSE_SECONDS = 0.5
_MOST_BLANKS = 200


def without_markup(text: str) -> str:
    """The text without tags: breaks become commas, paragraphs end, aliases and entities are what they mean.

    So do pauses such as [pause 0.5], which `split_pauses` finds before a text is spoken.
    """
    if "[" in text:
        text = PAUSE.sub(_pause, text)
    if "<" in text:
        text = _COMMENT.sub(" ", text)
        text = _ALIAS.sub(lambda found: found[1], text)
        text = _BREAK.sub(_pause, text)
        text = _BLOCK.sub(_full_stop, text)
        text = _TAG.sub("", text)
    if "&" in text:
        text = _ENTITY.sub(lambda found: html.unescape(found.group()), text)
    return text


def _pause(found: re.Match[str]) -> str:
    """A comma, unless there is a mark before, or no word."""
    before = _mark_before(found)
    return " " if not before or before in ",.!?;:\u2026\u060c\u061f>" else ", "


def _mark_before(found: re.Match[str]) -> str:
    """The character before a tag and up to 200 blanks; empty where there is none."""
    return found.string[max(0, found.start() - _MOST_BLANKS - 1) : found.start()].rstrip()[-1:]


def split_pauses(text: str) -> list[tuple[float | None, str]]:
    """Parts of a text, each with the seconds of the pause [pause SECONDS] before it; None: there is none.

    Raises DataError for a pause that is too long.
    """
    parts: list[tuple[float | None, str]] = []
    start, seconds = 0, None
    for found in PAUSE.finditer(text):
        parts.append((seconds, text[start : found.start()]))
        seconds, start = float(found[1] or _USUAL_PAUSE_SECONDS), found.end()
        if seconds > LONGEST_PAUSE_SECONDS:
            raise DataError(f"{quoted(found[0])}: at most {LONGEST_PAUSE_SECONDS:g} seconds are allowed")
    parts.append((seconds, text[start:]))
    return parts


def _full_stop(found: re.Match[str]) -> str:
    before = _mark_before(found)
    return " " if not before or before in ".!?\u2026\u061f>" else ". "


def interpreted(text: str) -> tuple[str, str]:
    """(text, note) of what may be subtitles or SSML: what of it is to be spoken, and what it was read as, or ""."""
    if len(_CUE.findall(text[:20_000])) >= 1 and _SUBTITLE_HEAD.search(text):
        spoken = _STYLE.sub("", _SUBTITLE_HEAD.sub("\n", re.sub(r"\AWEBVTT[^\n]*\n", "", text.lstrip("\ufeff"))))
        spoken = re.sub(r"\n(?:NOTE|STYLE|REGION)\b[^\n]*(?:\n[^\n]+)*", "\n", spoken)
        return without_markup(spoken), "read as subtitles: their numbers and times are omitted"
    if re.search(r"<(?:speak|break|prosody|say-as|emphasis|voice)\b", text[:20_000], re.I):
        return without_markup(text), "read as SSML: breaks are commas, other tags are omitted"
    return text, ""


def spell_addresses(text: str) -> str:
    """The English text with mail and web addresses and file names as they are read out."""
    if "@" in text:
        text = _MAIL.sub(lambda found: _spelled(found.group().replace("@", " at ")), text)
    if "." in text:
        text = _URL.sub(_url, text)
        text = _FILE.sub(lambda found: f"{_spelled(found[1])} dot {_extension(found[2])}", text)
    return text


def _url(found: re.Match[str]) -> str:
    address = found.group()
    # Punctuation at the end belongs to the sentence.
    bare = address.rstrip(".,;:!?'*")
    spoken = _spelled(re.sub(r"^(?i:https?|ftp)://", "", bare).rstrip("/"))
    return (spoken or address) + address[len(bare) :]


def _spelled(address: str) -> str:
    words = []
    for piece in re.findall(r"[A-Za-z]+|\d+|\s+|[^\sA-Za-z\d]", address):
        words.append(_URL_SIGNS.get(piece, piece.strip()))
    spoken = " ".join(word for word in words if word)
    return _COUNTRY_ENDING.sub(lambda found: " ".join(found.group().upper()), spoken)


def _extension(ending: str) -> str:
    return " ".join(ending.upper()) if ending.isalpha() and ending not in ("doc", "zip", "wav", "gif") else ending
