"""Where a Persian sentence has an ezafe, and which of its readings a homograph has, in numpy.

Two linear models score hashed features of a word and its neighbors, among them parts of speech from a lexicon; the
score of an ezafe is the mean of the linear one and that of small networks. Training:
`python -m bench.persian_training`; data and figures: CARD.md.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from myxtts.text.persian import compounds
from myxtts.text.persian import homographs as forms
from myxtts.text.persian.homographs import Candidate, Homograph
from myxtts.text.persian.network import SHAPES, Network, indices

EZAFE_BITS, HOMOGRAPH_BITS = 20, 20
"""Weights of the two models, as powers of two."""
FORMAT = 3
_MOST_CACHED = 100_000
WEIGHTS = "weights.npz"
NETWORK_SHARE = 0.4
"""How much the networks count in the score of an ezafe; the linear model has the rest."""
PRIOR_SHARE = 0.5
"""How much the frequency of a reading counts beside its context, of which there is little for most words."""
_START, _END = "<s>", "</s>"
UNKNOWN = "?"
"""The part of speech of a word that is unknown."""
VERB = "verb"
"""The part of speech of a word that can only be a verb."""
_SUFFIXES = (
    "‌هایشان", "‌هایی", "‌های", "هایی", "های", "‌ها", "ها", "‌اش", "‌ترین", "ترین", "‌ای", "ان", "ات", "ی", "ش", "م",
)  # fmt: skip
"""Of words that are not in the lexicon themselves: their part of speech is that of the rest, with the suffix."""
Clusters = tuple[int | str, int | str]
"""A coarse and a fine group of words with similar neighbors; of a rare word its part of speech and "?"."""
_SIDES = (-3, -2, -1, 1, 2, 3)


def bucket(feature: str, bits: int) -> int:
    """The index of a feature in a table of 2 ** bits weights; the same on every machine."""
    return zlib.crc32(feature.encode("utf-8")) & ((1 << bits) - 1)


class PartsOfSpeech:
    """Parts of speech of words, by the CRC-32 of the word; several are joined by a plus sign."""

    def __init__(self, codes: npt.NDArray[np.uint32], kinds: npt.NDArray[np.uint8], names: Sequence[str]) -> None:
        """codes: of the words, sorted, [N]; kinds: index into names of each, [N]."""
        self._codes, self._kinds, self._names = codes, kinds, names
        self._known: dict[str, str] = {}

    def of(self, word: str) -> str:
        """The parts of speech of a word; "?" if it is unknown."""
        if word not in self._known:
            if len(self._known) > _MOST_CACHED:
                self._known.clear()
            self._known[word] = self._of(word)
        return self._known[word]

    def _of(self, word: str) -> str:
        found = self.listed(word)
        if found:
            return found
        for suffix in _SUFFIXES:
            rest = word.removesuffix(suffix)
            if rest != word and len(rest) > 1 and (found := self.listed(rest)):
                return f"{suffix}>{found}"
        return UNKNOWN

    def listed(self, word: str) -> str:
        """The parts of speech of a word that is in the lexicon itself; empty if it is not."""
        code = zlib.crc32(word.encode("utf-8"))
        at = int(np.searchsorted(self._codes, np.uint32(code)))
        there = at < len(self._codes) and int(self._codes[at]) == code
        return self._names[self._kinds[at]] if there else ""


def ezafe_features(
    words: Sequence[str], kinds: Sequence[str], joined: Sequence[bool], clusters: Sequence[Clusters], at: int
) -> list[str]:
    """Features of words[at] for the ezafe: it and its neighbors, their beginnings and endings, and pairs of these.

    kinds: the part of speech of each word; joined: whether each is written together with the next; clusters: of each.
    Punctuation marks are words of their own: an ezafe never precedes one.
    """

    def word(offset: int) -> str:
        position = at + offset
        return words[position] if 0 <= position < len(words) else _START if position < 0 else _END

    this, following, before, after_that = word(0), word(1), word(-1), word(2)
    found = ["b", f"w={this}", f"len={min(len(this), 8)}"]
    found += [f"s{size}={this[-size:]}" for size in (1, 2, 3, 4)] + [f"p{size}={this[:size]}" for size in (1, 2, 3, 4)]
    for offset in _SIDES:
        other = word(offset)
        found.append(f"{offset}w={other}")
        if abs(offset) < 3:
            found += [f"{offset}s{size}={other[-size:]}" for size in (1, 2, 3, 4)]
            found += [f"{offset}p{size}={other[:size]}" for size in (1, 2, 3)]
    found += [
        f"w,n={this}|{following}", f"p,w={before}|{this}", f"p,n={before}|{following}",
        f"n,n2={following}|{after_that}", f"w,ns={this}|{following[-2:]}", f"w,np={this}|{following[:2]}",
        f"pw,s={before}|{this[-2:]}", f"ps,s={before[-2:]}|{this[-2:]}", f"s2,n={this[-2:]}|{following}",
        f"s1,nw={this[-1:]}|{following[:2]}", f"s2s2={this[-2:]}|{following[-2:]}",
        f"s3s3={this[-3:]}|{following[-3:]}", f"s1,n2={this[-1:]}|{after_that}",
        f"ns,n2={following[-2:]}|{after_that}", f"ns,n2s={following[-2:]}|{after_that[-2:]}",
        f"l,nl={min(len(this), 6)},{min(len(following), 6)}", f"x2s={this[-1:]}{following[-1:]}{after_that[-1:]}",
    ]  # fmt: skip
    before_that, kind_before, kind, next_kind, kind_after = (
        kinds[at + offset] if 0 <= at + offset < len(kinds) else "<>" for offset in (-2, -1, 0, 1, 2)
    )
    (coarse_before, _), (coarse, fine), (next_coarse, next_fine), (coarse_after, _) = (
        clusters[at + offset] if 0 <= at + offset < len(clusters) else ("<>", "<>") for offset in (-1, 0, 1, 2)
    )
    found += [
        f"c0={coarse}", f"c1={next_coarse}", f"c-1={coarse_before}", f"c2={coarse_after}",
        f"c01={coarse}|{next_coarse}", f"c012={coarse}|{next_coarse}|{coarse_after}",
        f"c-10={coarse_before}|{coarse}", f"c0n={coarse}|{following}",
        f"c-101={coarse_before}|{coarse}|{next_coarse}", f"wc1={this}|{next_coarse}",
        f"f0={fine}", f"f1={next_fine}", f"f01={fine}|{next_fine}",
    ]  # fmt: skip
    found += [f"z={joined[at]}", f"zp={at > 0 and joined[at - 1]}"]
    if joined[at]:
        found += [f"z|w={this}", f"z|k={kind}|{next_kind}"]
    return [
        *found, f"k={kind}", f"k1={next_kind}", f"k-1={kind_before}", f"k2={kind_after}", f"k01={kind}|{next_kind}",
        f"k012={kind}|{next_kind}|{kind_after}", f"k-10={kind_before}|{kind}", f"k-2-1={before_that}|{kind_before}",
        f"k-101={kind_before}|{kind}|{next_kind}", f"kw={kind}|{following}", f"ks={kind}|{following[-2:]}",
        f"wk={this}|{next_kind}", f"sk={this[-2:]}|{next_kind}", f"skk={this[-1:]}|{next_kind}|{kind_after}",
    ]  # fmt: skip


class Tagger:
    """The models. `words` are normalized Persian words without vowel marks, and punctuation marks."""

    def __init__(
        self,
        ezafe: npt.NDArray[np.float32],
        homographs: npt.NDArray[np.float32],
        known: Mapping[str, Homograph],
        parts_of_speech: PartsOfSpeech,
        topics: Mapping[str, Sequence[str]],
        networks: Sequence[Network] = (),
        clusters: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        """networks: that score the ezafe too, beside the linear model; clusters: a coarse and a fine one of words."""
        self._ezafe, self._homographs, self._known, self._topics = ezafe, homographs, known, topics
        self._networks, self._clusters = networks, clusters or {}
        self.parts_of_speech = parts_of_speech

    @property
    def homographs(self) -> Mapping[str, Homograph]:
        """The homographs, of which there may be inflected forms besides."""
        return self._known

    def parts(self, word: str) -> list[str]:
        """The words of a compound that is written as one; mostly the word itself."""
        return compounds.parts(word, self.parts_of_speech.of, UNKNOWN)

    def units(self, words: Sequence[str]) -> list[int]:
        """How many of the words of a compound each spoken word has."""
        return compounds.units(words, self.parts_of_speech.of)

    def spoken_apart(self, words: Sequence[str]) -> bool:
        """Whether the words of a compound are spoken as several words even without an ezafe between them."""
        return compounds.spoken_apart([self.parts_of_speech.of(word) for word in words])

    def ezafe(self, words: Sequence[str], joined: Sequence[bool]) -> list[float]:
        """The score of an ezafe after each word: above 0 it is more likely than not, in log odds.

        words: those of compounds are apart; joined: whether each is written together with the next.
        """
        linear = [float(self._ezafe[row].sum()) for row in self.ezafe_rows(words, joined)]
        if not self._networks or not words:
            return linear
        ids = self.network_indices(words, joined)
        scores = np.mean([network.scores(ids) for network in self._networks], axis=0)
        return [float(score) for score in (1 - NETWORK_SHARE) * np.array(linear) + NETWORK_SHARE * scores]

    def ezafe_rows(self, words: Sequence[str], joined: Sequence[bool]) -> list[list[int]]:
        """The indices of the weights of the linear model for each word."""
        kinds = [self.parts_of_speech.of(word) for word in words]
        clusters = [self._clusters_of(word, kind) for word, kind in zip(words, kinds, strict=True)]
        every = (ezafe_features(words, kinds, joined, clusters, at) for at in range(len(words)))
        return [sorted({bucket(name, EZAFE_BITS) for name in names}) for names in every]

    def network_indices(self, words: Sequence[str], joined: Sequence[bool]) -> list[list[int]]:
        """What the networks see of each word."""
        kinds = [self.parts_of_speech.of(word) for word in words]
        return [
            indices(word, kind, together, self._clusters_of(word, kind))
            for word, kind, together in zip(words, kinds, joined, strict=True)
        ]

    def _clusters_of(self, word: str, kind: str) -> Clusters:
        if word not in self._clusters:
            return kind, UNKNOWN
        coarse, fine = self._clusters[word]
        return coarse, fine

    def candidates(self, word: str) -> list[Candidate]:
        """The readings that a word can have; empty for words that are no form of a homograph."""
        return forms.candidates(word, self._known, listed=bool(self.parts_of_speech.listed(word)))

    def homograph_rows(
        self, words: Sequence[str], at: int, ezafe: Sequence[bool], choices: Sequence[Candidate]
    ) -> list[list[int]]:
        """The indices of the weights of each choice for words[at]."""
        first, last = max(0, at - 2), at + 3
        kinds = ["<>"] * len(words)
        kinds[first:last] = [self.parts_of_speech.of(word) for word in words[first:last]]
        features = forms.context(words, kinds, at, ezafe, choices[0].form, self._topics)
        return [forms.buckets(choice, features, HOMOGRAPH_BITS) for choice in choices]

    def chosen(
        self, words: Sequence[str], at: int, ezafe: Sequence[bool], *, written: bool = False
    ) -> Candidate | None:
        """The most likely reading of the homograph words[at] in its context; None if it is no homograph.

        written: its ezafe is written, so readings that cannot have one are out.
        """
        choices = self.candidates(words[at])
        if written:
            choices = [choice for choice in choices if choice.can_have_ezafe] or choices
        if not choices:
            return None
        rows = self.homograph_rows(words, at, ezafe, choices)
        scores = [
            PRIOR_SHARE * float(np.log(choice.share)) + float(self._homographs[row].sum())
            for choice, row in zip(choices, rows, strict=True)
        ]
        return choices[int(np.argmax(scores))]


def quantized(weights: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.int8], np.float32]:
    """Weights as int8 and their scale."""
    scale = np.float32(max(float(np.abs(weights).max(initial=0.0)), 1e-6) / 127)
    return np.round(weights / scale).astype(np.int8), scale


def packed(
    tables: Mapping[str, npt.NDArray[np.float64]],
    words: Mapping[str, object],
    parts_of_speech: Mapping[str, str],
    networks: Sequence[Mapping[str, npt.NDArray[np.float32]]] = (),
) -> bytes:
    """The content of the weights file.

    tables: of weights, and networks: their weights, all kept as int8 with their scales; words: homographs
    (reading -> share and kind), topics, clusters and lexicon, kept as JSON; parts_of_speech: of words, kept by the
    CRC-32 of the word.
    """
    arrays: dict[str, npt.NDArray[np.generic]] = {"format": np.array(FORMAT)}
    every: dict[str, npt.NDArray[np.floating]] = {**tables}
    every.update((f"{name}{at}", values) for at, network in enumerate(networks) for name, values in network.items())
    for name, table in every.items():
        arrays[name], scale = quantized(table)
        arrays[f"{name}_scale"] = np.array(scale)
    names = sorted(set(parts_of_speech.values()))
    numbers = {name: number for number, name in enumerate(names)}
    coded = {zlib.crc32(word.encode("utf-8")): numbers[kind] for word, kind in sorted(parts_of_speech.items())}
    codes = np.array(sorted(coded), np.uint32)
    # Differences of neighbors have zeros in their first bytes, which compress.
    steps = np.diff(codes, prepend=np.uint32(0)).astype("<u4")
    arrays["codes"] = steps.view(np.uint8).reshape(-1, 4).T.copy()
    arrays["kinds"] = np.array([coded[int(code)] for code in codes], np.uint8)
    text = json.dumps({**words, "kinds": names}, ensure_ascii=False, sort_keys=True).encode("utf-8")
    arrays["words"] = np.frombuffer(text, np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


@lru_cache(maxsize=1)
def weights() -> tuple[Tagger, Mapping[str, str]]:
    """The shipped models, and the lexicon: word -> phonemes."""
    return unpacked((resources.files("myxtts.text.persian") / WEIGHTS).read_bytes())


def unpacked(content: bytes) -> tuple[Tagger, Mapping[str, str]]:
    """Inverse of `packed`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        ezafe, homographs = _table(file, "ezafe"), _table(file, "homographs")
        count = sum(name.startswith("output") and not name.endswith("_scale") for name in file)
        networks = [Network({name: _table(file, f"{name}{at}") for name in SHAPES}) for at in range(count)]
        words = json.loads(file["words"].tobytes().decode("utf-8"))
        steps = np.ascontiguousarray(file["codes"].T).view("<u4").ravel()
        parts_of_speech = PartsOfSpeech(np.cumsum(steps, dtype=np.uint32), file["kinds"], words["kinds"])
    known = {
        word: Homograph(
            {reading: share for reading, (share, _) in every.items()},
            {reading: kind for reading, (_, kind) in every.items()},
        )
        for word, every in words["homographs"].items()
    }
    return Tagger(ezafe, homographs, known, parts_of_speech, words["topics"], networks, words["clusters"]), words[
        "lexicon"
    ]


def _table(file: Mapping[str, npt.NDArray[np.generic]], name: str) -> npt.NDArray[np.float32]:
    return file[name].astype(np.float32) * np.float32(file[f"{name}_scale"])
