"""Fuzzed texts, through data.prepare with its worker processes, as phonemes and as characters."""

# Tables, one row a line.
# ruff: noqa: E501

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from myxtts.config.schema import TextConfig
from myxtts.data.prepare import prepare
from myxtts.progress import silent
from tests.data.made_recordings import buzz
from tests.faults.fuzz_audio import config_for, nonfinite_values, rejected_by_line
from tests.faults.fuzzed import Expected, Outcome, chosen_items, described, judged

GROUP = 50
LANGUAGES = ("en-us", "fa", "de", "ar", "cmn", "xx", "")
Maker = Callable[[np.random.Generator], bytes]

PIECES = [
    "hello", "سلام", "می\u200cروم", "ي", "ك", "ی", "ک", "\u200e", "\u202e", "\u2066", "😀", "👩\u200d👩\u200d👧", "\ufe0f", "\ufeff",
    "123", "1e9", "$5.00", "٣٫٥", "۱۲۳", "1/2", "½", "Dr.", "...", "?!", "«", "—", "\u0301" * 5, "é", "ﷺ", "ﬁ", "漢字", "\u3000",
    "\u2028", "\x85", "\u0085", "<b>", "&amp;", "[[x]]", "\\", "'", '"', "{}", "%s", "\u00ad", "\U000e0041", "\ufffd", "ʰ", "x" * 300,
    "9" * 400, "-", "_", "\u200c", "\u200d", "\u0640", "a.b.c", "http://x.y/z?q=1", "c@d.e", "Ⅻ", "²", "ẞ", "İ", "ǆ",
]  # fmt: skip


def _of(*texts: str) -> Maker:
    return lambda random: str(random.choice(texts)).encode("utf-8", "surrogatepass")


def _raw(*texts: bytes) -> Maker:
    return lambda random: texts[int(random.integers(len(texts)))]


def _characters(low: int, high: int) -> Maker:
    def make(random: np.random.Generator) -> bytes:
        codes = random.integers(low, high, int(random.integers(1, 40)))
        return "".join(chr(int(c)) for c in codes if not 0xD800 <= c < 0xE000 and c not in (10, 13, 124)).encode()

    return make


def _mixed(random: np.random.Generator) -> bytes:
    pieces = [PIECES[int(i)] for i in random.integers(len(PIECES), size=int(random.integers(1, 8)))]
    return str(random.choice(["", " "])).join(pieces).encode()


def _digits(random: np.random.Generator) -> bytes:
    return "".join(str(d) for d in random.integers(0, 10, int(random.integers(1, 500)))).encode()


def _bytes(random: np.random.Generator) -> bytes:
    return bytes(b for b in random.bytes(int(random.integers(1, 60))) if b not in b"\r\n|")


ITEMS: dict[str, tuple[Expected, Maker]] = {
    "empty": ("reject", _of("")),
    "blanks": ("reject", _of("  ", "\t", "\u3000", "\xa0")),
    "one letter": ("any", _of("a", "و", "I", "7")),
    "100,000 letters": ("reject", _of("abcde fghi " * 9_100, "ا" * 100_000)),
    "digits": ("any", _digits),
    "ZWNJ": ("any", _of("می\u200cروم", "\u200c", "a\u200cb", "نمی\u200c\u200cشود")),
    "Arabic and Persian letters": ("any", _of("كتاب", "کتاب", "عربي", "عربی", "ة ى أ إ")),
    "bidi controls": ("any", _of("\u202eabc", "\u2066سلام\u2069", "\u200fhi", "a\u061cb")),
    "emoji": ("any", _of("😀", "hi 😀", "👩\u200d👩\u200d👧", "🏴\U000e0067\U000e007f")),
    "lone surrogates": ("reject", _of("\ud800", "hi \udfff there")),
    "NUL": ("reject", _of("a\0b", "\0")),
    "control characters": ("reject", _of("bell\x07", "\x1b[31mred", "a\x7fb")),
    "BOM": ("any", _of("\ufeffhello there", "hello\ufeff")),
    "UTF-16": ("reject", _raw("ab".encode("utf-16"), "سلا".encode("utf-16-be"), "ab".encode("utf-16-le"))),
    "not UTF-8": ("reject", _raw(b"caf\xe9", b"\xff", b"\xc3", b"\xf8\x88\x80\x80\x80")),
    "unknown symbols only": ("reject", _of("⚗⚗", "☃", "\ue000", "\u2603\ufe0e")),
    "duplicates": ("any", _of("The same text.")),
    "pipes": ("reject", _of("a|b|c|d|e|f", "||||||")),
    "marks alone": ("reject", _of("...", "?!", "—", "«»")),
    "combining marks": ("any", _of("e" + "\u0301" * 200, "\u0301", "\u064b\u064c")),
    "ASCII": ("any", _characters(32, 127)),
    "letters of the world": ("any", _characters(0xA0, 0x3000)),
    "any character": ("any", _characters(1, 0x110000)),
    "mixed pieces": ("any", _mixed),
    "any bytes": ("any", _bytes),
}
WEIGHTS = {"mixed pieces": 12, "any character": 3, "letters of the world": 3, "any bytes": 3, "digits": 2}


def fuzz(count: int, seed: int, done: Callable[[int], None]) -> Iterator[Outcome]:
    """Texts in datasets of 50, phonemes and characters by turns."""
    random = np.random.default_rng([seed, 2])
    items = chosen_items(ITEMS, WEIGHTS, count, random)
    for number, start in enumerate(range(0, count, GROUP)):
        symbols = ("phonemes", "characters")[number % 2]
        yield from dataset(items[start : start + GROUP], random, symbols)
        done(min(GROUP, count - start))


def dataset(items: list[str], random: np.random.Generator, symbols: str) -> Iterator[Outcome]:
    """One data root with a row for each item, prepared; what came of each."""
    folder = Path(tempfile.mkdtemp(prefix="myxtts-fuzz-"))
    try:
        root = folder / "root"
        (root / "wavs").mkdir(parents=True)
        soundfile.write(root / "wavs" / "good.wav", buzz(3.0), 22_050)
        rows = [b"id|text|speaker|language", b"good|A good one.|s0|en-us"]
        for number, item in enumerate(items):
            os.link(root / "wavs" / "good.wav", root / "wavs" / f"f{number}.wav")
            language = str(random.choice(LANGUAGES, p=[0.45, 0.3, 0.05, 0.05, 0.05, 0.05, 0.05]))
            rows.append(b"|".join([b"f%d" % number, ITEMS[item][1](random), b"s0", language.encode()]))
        (root / "metadata.csv").write_bytes(b"\n".join(rows) + b"\n")
        config = dataclasses.replace(config_for(root, folder / "cache"), text=TextConfig(symbols=symbols))
        try:
            prepared = prepare(config, silent, named={"data.train_path"})
        except Exception as error:
            state, message = described(error)
            yield from (Outcome(item, "wrong" if state == "rejected" else state, message) for item in items)
            return
        rejected = rejected_by_line(prepared.audit)
        bad = nonfinite_values(prepared, config)
        for number, item in enumerate(items):
            source = f"{root}/metadata.csv:{number + 3}"
            state = "rejected" if source in rejected else "accepted"
            outcome = judged(item, ITEMS[item][0], state, rejected.get(source, ""), [source])
            outcome.nonfinite = bad.pop(f"f{number}", 0)
            yield outcome
        if bad:
            yield Outcome(
                "batches", "wrong", f"values that are not finite or not printable in {bad}", sum(bad.values())
            )
    finally:
        shutil.rmtree(folder)
