"""Persian pronunciation: phoneme error, ezafe and homographs on sentences with reference phonemes, and the time.

`python -m bench.persian --data DIR`, where DIR has the files of GE2PE. `--espeak` measures eSpeak NG alone instead.
No test sentence is used for training: the held-out sentences of FARSDAT are the last ninety of the file and ninety of a
shuffle with seed 0 (171 in all), and the whole file of homographs is a test set.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import persian_sentences as sentences
from bench import results
from bench.persian_sentences import ReferenceSentence, ReferenceWord, folded
from myxtts.cli.screen import guarded
from myxtts.evaluation.word_errors import edits
from myxtts.text.normalization import normalize
from myxtts.text.phonemes import espeak, transcribe


@dataclass
class ErrorCounts:
    """Sums over the sentences of a set."""

    edits: int = 0
    phonemes: int = 0
    wrong: int = 0
    words: int = 0
    ezafe: int = 0
    found: int = 0
    false: int = 0
    lenient_found: int = 0
    lenient_false: int = 0
    homographs: int = 0
    right: int = 0
    seconds: float = 0.0
    sentences: int = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    made = results.parser("persian", "Phoneme error, ezafe and homographs of the Persian front end.")
    made.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder with the files of GE2PE")
    made.add_argument("--espeak", action="store_true", help="eSpeak NG alone, without ezafe and homographs by context")
    given = made.parse_args(argv)
    news = sentences.farsdat(given.data)
    count, held = len(news), sentences.HELD_OUT
    out = sentences.held_out(count)
    sets = {
        "farsdat, the last 90": news[count - held :],
        "farsdat, 90 of a shuffle": [news[number] for number in sentences.shuffled_out(count)],
        "farsdat, all held out": [news[number] for number in sorted(out)],
        "homographs": sentences.homographs(given.data),
    }
    heads = ("set", "sentences", "phoneme error", "word error", "ezafe P", "R", "F1", "F1 lenient", "homographs", "ms")
    rows: list[tuple[str, ...]] = [heads]
    figures: dict[str, object] = {"front end": "espeak" if given.espeak else "myxtts"}
    for name, chosen in sets.items():
        counts = _measured(chosen, alone=given.espeak)
        found = _figures(counts)
        figures[name] = {**found, "counts": vars(counts)}
        shown = [f"{found[kind]:.3f}" if found[kind] is not None else "-" for kind in list(found)[:-1]]
        rows.append((name, str(counts.sentences), *shown, f"{found['milliseconds']:.1f}"))
    results.show("Persian front end", rows, figures, given.json, heads=True)
    return 0


def _figures(counts: ErrorCounts) -> dict[str, float | None]:
    precision, recall, f1 = _scores(counts.found, counts.false, counts.ezafe)
    return {
        "phoneme error": counts.edits / max(1, counts.phonemes),
        "word error": counts.wrong / max(1, counts.words),
        "precision": precision,
        "recall": recall,
        "F1": f1,
        "F1 lenient": _scores(counts.lenient_found, counts.lenient_false, counts.ezafe)[2],
        "homographs": counts.right / counts.homographs if counts.homographs else None,
        "milliseconds": 1000 * counts.seconds / max(1, counts.sentences),
    }


def _scores(found: int, false: int, there: int) -> tuple[float, float, float]:
    precision, recall = found / max(1, found + false), found / max(1, there)
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def _measured(chosen: Sequence[ReferenceSentence], *, alone: bool) -> ErrorCounts:
    counts = ErrorCounts(sentences=len(chosen))
    transcribe(["گرم"], "fa")  # loads the library and the weights
    for sentence in chosen:
        start = time.process_time()
        text = normalize(sentence.written, "fa")
        if alone:
            said = " ".join(espeak(part, "fa") for part in text.replace("\u060c", "\n").split("\n") if part.strip())
        else:
            said = transcribe([text], "fa")[0].phonemes
        counts.seconds += time.process_time() - start
        got = folded(said).split()
        wanted = [folded(word.phonemes) for word in sentence.spoken]
        counts.edits += edits("".join(wanted), "".join(got))
        counts.phonemes += sum(map(len, wanted))
        for word, reference, hypothesis in zip(sentence.spoken, wanted, _paired(wanted, got), strict=True):
            _count(counts, word, reference, hypothesis)
    return counts


def _count(counts: ErrorCounts, word: ReferenceWord, reference: str, hypothesis: str) -> None:
    """Counts one word.

    Strictly, a word that ends in e has an ezafe only if "ye" follows; leniently every word that ends in e has one.
    """
    counts.words += 1
    counts.wrong += reference != hypothesis
    if word.ezafe:
        counts.ezafe += 1
        counts.found += hypothesis.endswith("ye" if reference.endswith("eye") else "e")
        counts.lenient_found += hypothesis.endswith("e")
    else:
        counts.lenient_false += hypothesis.endswith("e") and not reference.endswith("e")
        after_e = hypothesis.endswith("eye") and not reference.endswith("eye")
        counts.false += after_e or (hypothesis.endswith("e") and not reference.endswith("e"))
    if word.homograph:
        counts.homographs += 1
        counts.right += hypothesis == reference


def _paired(wanted: Sequence[str], got: Sequence[str]) -> list[str]:
    """The word of `got` for each of `wanted`, or "", at the least total distance."""
    rows = [[float(sum(map(len, got[:at]))) for at in range(len(got) + 1)]]
    for word in wanted:
        row = [rows[-1][0] + len(word)]
        for at, other in enumerate(got, 1):
            row.append(min(rows[-1][at - 1] + edits(word, other), rows[-1][at] + len(word), row[at - 1] + len(other)))
        rows.append(row)
    pairs: list[str] = []
    at = len(got)
    for number in range(len(wanted), 0, -1):
        word = wanted[number - 1]
        while at and rows[number][at] == rows[number][at - 1] + len(got[at - 1]) < rows[number - 1][at - 1] + edits(
            word, got[at - 1]
        ):
            at -= 1
        if at and rows[number][at] == rows[number - 1][at - 1] + edits(word, got[at - 1]):
            at -= 1
            pairs.append(got[at])
        else:
            pairs.append("")
    return pairs[::-1]


if __name__ == "__main__":
    sys.exit(main())
