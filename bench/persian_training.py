"""Trains the Persian front end: ezafe, homographs, and the words that eSpeak NG misreads. Minutes on one processor.

`python -m bench.persian_training --data DIR` writes myxtts/text/persian/weights.npz. DIR has ge2pe_farsdat.csv, and
optionally ge2pe_homograph_test.csv, whose sentences are excluded; the other data are in bench/persian_data.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.optimize import minimize

from bench import persian_clusters, persian_network, results
from bench import persian_sentences as sentences
from bench import persian_tables as tables
from bench.persian_sentences import ReferenceSentence, ReferenceWord
from bench.persian_tables import OWN, Marked, Use
from myxtts.cli.screen import Screen, guarded
from myxtts.evaluation.word_errors import edits
from myxtts.text.persian import tagger

WEIGHTS = results.ROOT / "myxtts" / "text" / "persian" / tagger.WEIGHTS
EZAFE_PENALTY, HOMOGRAPH_PENALTY = 1.0, 0.3
"""L2, chosen on the development sentences."""
NETWORK_SEEDS, EPOCHS = (1,), 9
"""Of the networks of the ezafe, whose scores are averaged."""
DEVELOPMENT = 8
"""With --development every eighth training sentence is held out and measured."""
MOST_IN_NEWS = 10
"""Uses of a reading in the news sentences that count: more would drown the rarer readings."""
_STEPS = 120
_LEAST_SHARE = 0.7
_SEED = 1
Floats = npt.NDArray[np.float64]
_TABLES = {"ezafe": np.zeros(1 << tagger.EZAFE_BITS), "homographs": np.zeros(1 << tagger.HOMOGRAPH_BITS)}
Item = TypeVar("Item")


def main(argv: Sequence[str] | None = None) -> int:
    """Trains as `argv` says; returns the exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    made = results.parser("persian_training", "Trains the Persian front end.")
    made.add_argument("--data", metavar="DIR", type=Path, required=True, help=f"folder with {sentences.FARSDAT}")
    made.add_argument("--out", metavar="FILE", type=Path, default=WEIGHTS, help="the weights file")
    made.add_argument("--development", action="store_true", help="hold out every eighth sentence and measure on it")
    given = made.parse_args(argv)
    screen, start = Screen(), time.perf_counter()
    news, tests = _news(given.data)
    pairs = [pair for pair in map(_aligned, news) if pair]
    known, single = tables.read_homographs(OWN / "homographs.tsv")
    kinds = tables.read_parts_of_speech(OWN / "lilak_lexicon.csv.gz")
    words: dict[str, object] = {"homographs": known, "lexicon": {}, "topics": tables.read_topics(OWN / "topics.tsv")}
    words["clusters"] = {}
    untrained, _ = tagger.unpacked(tagger.packed(_TABLES, words, kinds))
    marked = [
        tables.taken_apart(sentence, untrained)
        for sentence in tables.marked_sentences(OWN / "ezafe.txt")
        if _key(sentence.words) not in tests
    ]
    uses = [use for use in tables.uses_of_homographs(OWN / "homographs.tsv", untrained) if _key(use.words) not in tests]
    screen.say(f"{len(pairs)} sentences of news, {len(marked)} with marked ezafe, {len(uses)} with homographs")
    pairs, pairs_out = _split(pairs, given.development)
    marked, marked_out = _split(marked, given.development)
    uses, uses_out = _split(uses, given.development)
    learned = [*(_from_pair(pair, untrained) for pair in pairs), *marked]
    every = [*(sentence.words for sentence in learned), *(use.words for use in uses)]
    texts = {_key(text): text for text in every}
    words["clusters"] = persian_clusters.clusters(list(texts.values()), untrained.parts_of_speech)
    grouped, _ = tagger.unpacked(tagger.packed(_TABLES, words, kinds))
    ezafe = learned_ezafe(learned, grouped)
    networks = [persian_network.trained(learned, grouped, seed, EPOCHS, screen.say) for seed in NETWORK_SEEDS]
    alone, _ = tagger.unpacked(tagger.packed({**_TABLES, "ezafe": ezafe}, words, kinds, networks))
    readings = learned_homographs([*uses, *_in_news(pairs, alone)], alone)
    misread = {word: reading for word, reading in single.items() if _plain(reading) != _single(_sounds([word])[word])}
    lexicon = {
        **_learned_lexicon(pairs),
        **misread,
        **_misread_presents(kinds),
        **dict(tables.rows(OWN / "lexicon.tsv", 2)),
    }
    lexicon = {word: phonemes for word, phonemes in lexicon.items() if word not in known}
    words["lexicon"] = lexicon
    content = tagger.packed({"ezafe": ezafe, "homographs": readings}, words, kinds, networks)
    given.out.write_bytes(content)
    screen.say(f"{given.out}: {len(content):,} bytes, {len(known)} homographs, {len(lexicon)} words")
    shipped, _ = tagger.unpacked(content)
    for name, out in (("news", [_from_pair(pair, shipped) for pair in pairs_out]), ("marked", marked_out)):
        if out:
            screen.say(f"development, {name}: ezafe F1 {_ezafe_f1(shipped, out):.3f} in {len(out)} sentences")
    if uses_out:
        right = np.mean([_read(shipped, use) == use.reading for use in uses_out])
        screen.say(f"development, homographs: {right:.3f} of {len(uses_out)}")
    screen.say(f"{time.perf_counter() - start:.0f} s")
    return 0


def _news(folder: Path) -> tuple[list[ReferenceSentence], set[str]]:
    """The training sentences of FARSDAT, and the keys of all test sentences."""
    every = sentences.farsdat(folder)
    out = sentences.held_out(len(every))
    tests = [sentence for number, sentence in enumerate(every) if number in out]
    if (folder / sentences.HOMOGRAPHS).is_file():
        tests += sentences.homographs(folder)
    keys = {_key(sentences.split_words(sentence.written)) for sentence in tests}
    learned = (sentence for number, sentence in enumerate(every) if number not in out)
    return [sentence for sentence in learned if _key(sentences.split_words(sentence.written)) not in keys], keys


def _key(words: Iterable[str]) -> str:
    """The letters of a sentence: equal for sentences that differ only in blanks and punctuation."""
    return "".join(letter for word in words for letter in word if letter.isalpha())


def _split(items: list[Item], development: bool) -> tuple[list[Item], list[Item]]:
    """Training items, and held-out ones."""
    if not development:
        return items, []
    shuffled = random.Random(_SEED).sample(items, len(items))
    return [item for at, item in enumerate(shuffled) if at % DEVELOPMENT], shuffled[::DEVELOPMENT]


Pair = list[tuple[str, list[ReferenceWord]]]
"""The words of a sentence with their spoken words; none for punctuation."""


def _aligned(sentence: ReferenceSentence) -> Pair | None:
    words = sentences.split_words(sentence.written)
    written = [word for word in words if not sentences.is_mark(word)]
    found = sentences.aligned(written, sentence.spoken, _sounds(written))
    if found is None:
        return None
    spoken = iter(found)
    return [(word, [] if sentences.is_mark(word) else next(spoken)) for word in words]


_SOUNDS: dict[str, str] = {}


def _sounds(words: Sequence[str]) -> dict[str, str]:
    """Folded phonemes of words by eSpeak NG."""
    new = [word for word in words if word not in _SOUNDS]
    _SOUNDS.update(sentences.espeak_alone(new))
    return _SOUNDS


def _from_pair(pair: Pair, model: tagger.Tagger) -> Marked:
    """A sentence with the words of compounds apart."""
    found = Marked([], [], [])
    for word, spoken in pair:
        parts = model.parts(word)
        inner = len(parts) - 1
        found.words.extend(parts)
        found.joined.extend([*[True] * inner, False])
        found.ezafe.extend([None] if sentences.is_mark(word) else _ezafe_of(parts, spoken))
    return found


def _ezafe_of(parts: Sequence[str], spoken: Sequence[ReferenceWord]) -> list[bool | None]:
    """Which words of a compound have an ezafe; compounds spoken as one word have none between their words."""
    if len(spoken) == len(parts):
        return [word.ezafe for word in spoken]
    return [*[False] * (len(parts) - 1), bool(spoken and spoken[-1].ezafe)]


def _in_news(pairs: Sequence[Pair], model: tagger.Tagger) -> list[Use]:
    """Homographs in the news sentences, each reading at most MOST_IN_NEWS times."""
    found: list[Use] = []
    counts: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        apart = _from_pair(pair, model)
        start = 0
        for word, spoken in pair:
            at, start = start, start + len(model.parts(word))
            choices = model.candidates(word) if len(spoken) == 1 and start == at + 1 else []
            said = {_plain(spoken[0].phonemes), _plain(_stem(word, spoken[0]))} if choices else set()
            fitting = [choice for choice in choices if _plain(choice.phonemes) in said]
            if len(fitting) == 1 and counts[word, fitting[0].reading] < MOST_IN_NEWS:
                counts[word, fitting[0].reading] += 1
                found.append(Use(apart.words, at, fitting[0].reading, apart.joined))
    return found


def _plain(phonemes: str) -> str:
    return _single(sentences.folded(phonemes))


def _matrix(rows: Iterable[list[int]], size: int) -> scipy.sparse.csr_matrix:
    indices: list[int] = []
    starts = [0]
    for row in rows:
        indices += row
        starts.append(len(indices))
    return scipy.sparse.csr_matrix((np.ones(len(indices)), indices, starts), (len(starts) - 1, size))


def learned_ezafe(marked: Sequence[Marked], model: tagger.Tagger) -> Floats:
    """Weights of logistic regression, float64 [2 ** EZAFE_BITS]; model: with the clusters of words."""
    size = 1 << tagger.EZAFE_BITS
    rows, labels = [], []
    for sentence in marked:
        every = model.ezafe_rows(sentence.words, sentence.joined)
        for row, ezafe in zip(every, sentence.ezafe, strict=True):
            if ezafe is not None:
                rows.append(row)
                labels.append(1.0 if ezafe else -1.0)
    matrix, signs = _matrix(rows, size), np.array(labels)
    return _minimized(matrix, lambda scores: _logistic(scores, signs), EZAFE_PENALTY)


def _logistic(scores: Floats, signs: Floats) -> tuple[float, Floats]:
    margins = signs * scores
    return float(np.logaddexp(0, -margins).sum()), -signs / (1 + np.exp(np.clip(margins, -50, 50)))


def _minimized(
    matrix: scipy.sparse.csr_matrix, loss: Callable[[Floats], tuple[float, Floats]], penalty: float
) -> Floats:
    """Weights of the columns of the matrix at the least loss of its scores plus L2."""
    columns = np.unique(matrix.indices)
    used = matrix[:, columns].tocsr()
    turned = used.T.tocsr()

    def at(weights: Floats) -> tuple[float, Floats]:
        value, slope = loss(used @ weights)
        return value + penalty / 2 * float(weights @ weights), turned @ slope + penalty * weights

    found = minimize(at, np.zeros(len(columns)), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    weights = np.zeros(matrix.shape[1])
    weights[columns] = found.x
    return weights


def learned_homographs(uses: Sequence[Use], model: tagger.Tagger) -> Floats:
    """Weights of softmax regression over the readings of each homograph, float64 [2 ** HOMOGRAPH_BITS].

    model: with the homographs and the weights of the ezafe.
    """
    rows: list[list[int]] = []
    groups: list[int] = []
    right: list[bool] = []
    for number, use in enumerate(uses):
        choices = model.candidates(use.words[use.at])
        rows += model.homograph_rows(
            use.words, use.at, [score > 0 for score in model.ezafe(use.words, use.joined)], choices
        )
        groups += [number] * len(choices)
        right += [choice.reading == use.reading for choice in choices]
    group, target = np.array(groups), np.array(right, np.float64)
    starts = np.flatnonzero(np.diff(group, prepend=-1))

    def loss(scores: Floats) -> tuple[float, Floats]:
        shifted = scores - np.maximum.reduceat(scores, starts)[group]
        powers = np.exp(shifted)
        sums = np.add.reduceat(powers, starts)
        return float(np.log(sums).sum() - (shifted * target).sum()), powers / sums[group] - target

    return _minimized(_matrix(rows, 1 << tagger.HOMOGRAPH_BITS), loss, HOMOGRAPH_PENALTY)


def _learned_lexicon(pairs: Sequence[Pair]) -> dict[str, str]:
    """Words that eSpeak NG misreads, as the news sentences have them at least twice and mostly alike."""
    said: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        for word, spoken in pair:
            stem = _stem(word, spoken[0]) if len(spoken) == 1 else ""
            if stem:
                said[word][stem] += 1
    found = {}
    for word, counts in said.items():
        by_fold: Counter[str] = Counter()
        for stem, count in counts.items():
            by_fold[_single(sentences.folded(stem))] += count
        best, count = by_fold.most_common(1)[0]
        sure = count >= 2 and count >= _LEAST_SHARE * by_fold.total()
        if sure and best != _single(_SOUNDS[word]) and edits(best, _SOUNDS[word]) <= len(best) / 2:
            forms = [stem for stem in counts if _single(sentences.folded(stem)) == best]
            found[word] = max(forms, key=lambda stem: (len(stem), counts[stem])).removeprefix("'")
    return found


def _misread_presents(kinds: dict[str, str]) -> dict[str, str]:
    """Forms of the present that eSpeak NG misreads; a glide before the ending, which it leaves out, does not count."""
    forms = tables.read_present_forms(OWN / "present_stems.tsv", kinds)
    sounds = _sounds(list(forms))
    return {
        word: phonemes
        for word, phonemes in forms.items()
        if _plain(phonemes).replace("yi", "i") != _single(sounds[word]).replace("yi", "i")
    }


def _stem(word: str, spoken: ReferenceWord) -> str:
    """The phonemes of a word without its ezafe; empty where the ezafe is written."""
    if not spoken.ezafe:
        return spoken.phonemes
    if word.endswith("ی") or not spoken.phonemes.endswith("e"):
        return ""
    stem = spoken.phonemes[:-1]
    return stem[:-1] if stem.endswith("y") and stem[-2:-1] in "aeiouA" and not word.endswith("ی") else stem


def _single(phonemes: str) -> str:
    """Phonemes without the doubling of a last consonant, which is spoken before a vowel only."""
    return phonemes[:-1] if len(phonemes) > 2 and phonemes[-1] == phonemes[-2] else phonemes


def _ezafe_f1(model: tagger.Tagger, marked: Sequence[Marked]) -> float:
    true = found = both = 0
    for sentence in marked:
        for score, ezafe in zip(model.ezafe(sentence.words, sentence.joined), sentence.ezafe, strict=True):
            if ezafe is not None:
                true, found, both = true + ezafe, found + (score > 0), both + (ezafe and score > 0)
    return 2 * both / max(1, true + found)


def _read(model: tagger.Tagger, use: Use) -> str | None:
    chosen = model.chosen(use.words, use.at, [score > 0 for score in model.ezafe(use.words, use.joined)])
    return chosen.reading if chosen else None


if __name__ == "__main__":
    sys.exit(main())
