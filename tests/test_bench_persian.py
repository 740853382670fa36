"""The measurement of the Persian front end: reading, held-out sentences, alignment, counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import persian, persian_sentences, persian_tables
from bench.persian_sentences import ReferenceWord
from myxtts.errors import DataError
from myxtts.text.persian.homographs import KINDS, Homograph
from myxtts.text.persian.tagger import PartsOfSpeech, Tagger


def test_sentences_are_read_and_split(tmp_path: Path) -> None:
    (tmp_path / "ge2pe_farsdat.csv").write_text(',Grapheme,Phoneme\n0,كتاب سبز ، رفت,"ket/be1 sabz raft\n"\n', "utf-8")
    [sentence] = persian_sentences.farsdat(tmp_path)
    assert sentence.spoken == (
        ReferenceWord("ketAbe", True, False),
        ReferenceWord("sabz", False, False),
        ReferenceWord("raft", False, False),
    )
    assert persian_sentences.split_words(sentence.written) == ["کتاب", "سبز", "،", "رفت"]
    with pytest.raises(DataError, match="name the folder"):
        persian_sentences.homographs(tmp_path)


def test_held_out_sentences_are_the_same_everywhere() -> None:
    out = persian_sentences.held_out(909)
    assert len(out) == 170 and set(range(819, 909)) <= out and set(persian_sentences.shuffled_out(909)) <= out


def test_words_are_aligned_with_what_is_spoken() -> None:
    spoken = [
        ReferenceWord("dar", False, False),
        ReferenceWord("vAqe'", False, False),
        ReferenceWord("raft", False, False),
    ]
    found = persian_sentences.aligned(["درواقع", "رفت"], spoken, {"درواقع": "darvAqe", "رفت": "raft"})
    assert found == [spoken[:2], spoken[2:]]
    assert persian_sentences.folded("kˈetɑb dʒˈɑːn") == "ketAb JAn"


def test_counts_of_ezafe_and_homographs() -> None:
    counts = persian.ErrorCounts()
    for word, reference, hypothesis in (
        (ReferenceWord("xAneye", True, False), "xAneye", "xAne"),
        (ReferenceWord("ketAbe", True, False), "ketAbe", "ketAbe"),
        (ReferenceWord("sabz", False, False), "sabz", "sabze"),
        (ReferenceWord("gel", False, True), "gel", "gel"),
    ):
        persian._count(counts, word, reference, hypothesis)
    assert (counts.ezafe, counts.found, counts.false, counts.lenient_found) == (2, 1, 1, 2)
    assert (counts.words, counts.wrong, counts.homographs, counts.right) == (4, 2, 1, 1)
    assert persian._paired(["ketAbe", "sabz"], ["ketAb", "e", "sabz"]) == ["ketAb", "sabz"]


def test_the_data_of_the_training_are_well_formed() -> None:
    own = persian_tables.OWN
    marked = list(persian_tables.marked_sentences(own / "ezafe.txt"))
    assert len(marked) == 9855 and all(len(one.words) == len(one.ezafe) for one in marked)
    found, single = persian_tables.read_homographs(own / "homographs.tsv")
    assert len(found) > 600 and not set(found) & set(single)
    assert all(abs(sum(share for share, _ in every.values()) - 1) < 1e-6 for every in found.values())
    assert {kind for every in found.values() for _, kind in every.values()} <= KINDS
    for name in ("frequencies.tsv", "kinds.tsv"):
        rows = list(persian_tables.rows(own / name, 3))
        assert [row for row in rows if row[0] not in single and row[1] not in found[row[0]]] == []
    known = {
        word: Homograph({r: share for r, (share, _) in every.items()}, {r: kind for r, (_, kind) in every.items()})
        for word, every in found.items()
    }
    model = Tagger(np.zeros(1), np.zeros(1), known, PartsOfSpeech(np.zeros(0), np.zeros(0), ()), {})
    uses = list(persian_tables.uses_of_homographs(own / "homographs.tsv", model))
    # A sentence whose homograph the normalization joins to its neighbor is not learned from; 5 in 100.
    assert len(uses) > 0.94 * sum(row[0] in found for row in persian_tables.rows(own / "homographs.tsv", 3))
