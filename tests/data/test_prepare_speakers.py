"""Held-out speakers, and speed-perturbed copies of speakers with little speech."""

import os

import numpy as np
import pytest
from made_data import ids, settings, speakers_of
from made_recordings import make_root

from myxtts.data import prepare
from myxtts.errors import DataError
from myxtts.progress import silent


def many_speakers(tmp_path, speakers=6, each=2):
    made = make_root(tmp_path / "many", clips=speakers * each)
    rows = [f"c{i}|Say it again.|s{i % speakers}" for i in range(speakers * each)]
    (made / "metadata.csv").write_text("id|text|speaker\n" + "\n".join(rows) + "\n")
    return made


def test_speakers_that_are_held_out_are_never_trained_on(tmp_path):
    config = settings(tmp_path, train_path=str(many_speakers(tmp_path)), held_out_speakers=2)
    data = prepare.prepare(config, silent)
    held = speakers_of(data.validation) - speakers_of(data.train)
    assert len(held) == 2 and not held & set(data.corpus.speakers)
    assert sorted(ids(data.train) + ids(data.validation)) == sorted(f"c{i}" for i in range(12))
    assert all(speaker in data.notes[-1] or speaker in " ".join(data.notes) for speaker in held)
    assert speakers_of(prepare.prepare(config, silent).validation) - set(data.corpus.speakers) == held
    fewer = settings(tmp_path, train_path=config.data.train_path, held_out_speakers=1)
    one = prepare.prepare(fewer, silent)
    assert speakers_of(one.validation) - speakers_of(one.train) < held, "who is held out does not change with the count"
    (name,) = speakers_of(one.validation) - speakers_of(one.train)
    assert f"1 speaker is held out for validation: '{name}'" in one.notes
    (note,) = [note for note in one.notes if "in no training clip" in note]
    assert note.startswith(f"1 validation speaker is in no training clip: '{name}'; ")
    assert "the equal error rate is that of all 6 validation speakers; " in note
    assert "two unseen speakers or more (data.held_out_speakers)" in note
    assert not any("verification needs two" in note for note in data.notes)


def test_one_unseen_validation_speaker(tmp_path):
    held = make_root(tmp_path / "held", clips=2)
    (held / "metadata.csv").write_text("id|text|speaker\nc0|Say it.|zoe\nc1|Say it.|zoe\n")
    config = settings(tmp_path, train_path=str(many_speakers(tmp_path)), val_path=str(held))
    (note,) = [note for note in prepare.prepare(config, silent).notes if "in no training clip" in note]
    assert note.startswith("1 validation speaker is in no training clip: 'zoe'; speaker verification needs two")
    assert "no equal error rate is measured; with two unseen speakers or more" in note


def test_two_training_speakers_must_remain(tmp_path):
    config = settings(tmp_path, train_path=str(many_speakers(tmp_path)), held_out_speakers=5)
    with pytest.raises(
        DataError, match="held_out_speakers is 5, and the training data has 6 speakers in 1 languages; at least two"
    ):
        prepare.prepare(config, silent)


def test_held_out_speakers_are_training_speakers(tmp_path):
    """Validation data of other speakers changes nothing, as these are not trained on anyway."""
    made = many_speakers(tmp_path)
    config = settings(tmp_path, train_path=str(made), held_out_speakers=2)
    alone = prepare.prepare(config, silent)
    held = speakers_of(alone.validation) - speakers_of(alone.train)
    other = make_root(tmp_path / "other", clips=12)
    rows = [f"c{i}|Say it again.|t{i}" for i in range(12)]
    (other / "metadata.csv").write_text("id|text|speaker\n" + "\n".join(rows) + "\n")
    both = settings(tmp_path, train_path=str(made), val_path=str(other), held_out_speakers=2)
    data = prepare.prepare(both, silent)
    assert speakers_of(data.train) == {f"s{i}" for i in range(6)} - held
    assert speakers_of(data.validation) == held | {f"t{i}" for i in range(12)}
    # clips of both roots have the same numbers, and none is lost
    assert len(data.validation) == 12 + 2 * len(held)


def test_voices_with_little_speech_get_a_slower_and_a_faster_copy(tmp_path, monkeypatch):
    # a limit between the speech of s0, with three clips, and the others, with two
    made = many_speakers(tmp_path)
    rows = (made / "metadata.csv").read_text().splitlines()
    rows[2] = rows[2].replace("|s1", "|s0")
    (made / "metadata.csv").write_text("\n".join(rows) + "\n")
    plain = settings(tmp_path, train_path=str(made), held_out_speakers=2)
    before = prepare.prepare(plain, silent)
    seconds = dict.fromkeys(speakers_of(before.train), 0.0)
    for row, speaker in enumerate(before.train.speakers):
        seconds[speaker] += before.train.facts(row).samples / before.train.facts(row).sample_rate_hz
    most = max(seconds, key=lambda speaker: seconds[speaker])
    monkeypatch.setattr(prepare, "LITTLE_SPEECH_SECONDS", seconds[most] - 0.05)
    config = settings(tmp_path, train_path=str(made), held_out_speakers=2, perturbed_voices=0.1)
    data = prepare.prepare(config, silent)
    few = speakers_of(before.train) - {most}
    assert ids(data.train)[: len(before.train)] == ids(before.train) and ids(data.validation) == ids(before.validation)
    assert speakers_of(data.train) == speakers_of(before.train) | {f"{s}@{v}" for s in few for v in (0.9, 1.1)}
    assert set(data.corpus.speakers) == speakers_of(data.train)
    assert any(f"copies of the clips of {len(few)} speakers" in note for note in data.notes)
    by_id = {u.id: row for row, u in enumerate(data.train.utterances)}
    ratios = []
    for row, utterance in enumerate(data.train.utterances):
        if utterance.speed != 1.0:
            own = by_id[utterance.id.partition("@")[0]]
            expected = data.train.facts(own).trimmed_samples / utterance.speed
            assert data.train.facts(row).trimmed_samples == pytest.approx(expected, abs=2)
            assert data.train.text_tokens(row).tolist() == data.train.text_tokens(own).tolist()
            pitch, copied = data.train.features(own)[1], data.train.features(row)[1]
            ratios.append(np.median(copied[copied > 0]) / np.median(pitch[pitch > 0]) / utterance.speed)
    assert ratios == pytest.approx([1.0] * len(ratios), rel=0.03) and len(ratios) >= 4
    again = prepare.prepare(config, silent)
    assert again.corpus.to_json() == data.corpus.to_json(), "from the cache, each speed its own"


def test_copies_of_nested_roots_are_made_once(tmp_path):
    outer = many_speakers(tmp_path)
    inner = make_root(outer / "inner", clips=4)
    train_path = os.pathsep.join((str(outer), str(inner)))
    data = prepare.prepare(settings(tmp_path, train_path=train_path, perturbed_voices=0.1), silent)
    assert len(ids(data.train)) == len(set(ids(data.train)))
    assert len(data.train) == 3 * sum("@" not in name for name in ids(data.train))


def test_a_copy_that_would_be_too_long_is_skipped_and_counted(tmp_path):
    made = many_speakers(tmp_path)
    plain = prepare.prepare(settings(tmp_path, train_path=str(made)), silent)
    stores = (plain.train, plain.validation)
    seconds = [s.facts(r).samples / s.facts(r).sample_rate_hz for s in stores for r in range(len(s))]
    cap = max(seconds) + 0.01
    config = settings(tmp_path, train_path=str(made), perturbed_voices=0.1, max_clip_seconds=cap)
    data = prepare.prepare(config, silent)
    over = sum(length / 0.9 > cap for length in seconds[: len(plain.train)])
    slower = sum(name.endswith("@0.9") for name in ids(data.train))
    assert over > 0 and slower == len(plain.train) - over
    assert any(f"{over} skipped: longer than the cap" in note for note in data.notes)


def test_a_speaker_with_the_name_of_a_copy_is_an_error(tmp_path):
    made = many_speakers(tmp_path)
    text = (made / "metadata.csv").read_text().replace("|s1\n", "|s0@0.9\n")
    (made / "metadata.csv").write_text(text)
    with pytest.raises(DataError, match=r"another speaker, 's0@0\.9'; rename that speaker"):
        prepare.prepare(settings(tmp_path, train_path=str(made), perturbed_voices=0.1), silent)
