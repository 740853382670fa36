"""bench.first_sound and bench.made_voices on a model of a few thousand weights: what they ask for, count and refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import made_model
import numpy as np
import pytest

from bench import control, first_sound, made_voices
from myxtts.errors import DataError
from myxtts.progress import silent
from myxtts.synthesis import Synthesizer
from myxtts.synthesis.voice_sources import VoiceSource

TEXT = ("The rain had stopped.", "Nobody asked where the old map was.")
JUDGE = """
import json, sys
from pathlib import Path
lines = [line.split("\\t") for line in Path(sys.argv[1]).read_text().splitlines()]
assert all(Path(wav).is_file() and Path(reference).is_file() for wav, text, reference in lines)
share, _, letter = Path(sys.argv[1]).parent.name.removeprefix("mix-").partition("-to-")
assert {Path(reference).stem for _, _, reference in lines} == {letter}
secs = float(share) if letter == "a" else 1.0 - float(share)
Path(sys.argv[3]).write_text(json.dumps({"total": {"secs": secs, "clips": len(lines)}}))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """run/, two recordings of two pitches, and two sentences."""
    made = tmp_path_factory.mktemp("voices")
    made_model.save_run(made / "run", made_model.resolved(), made_model.corpus(energy_std=0.7))
    for name, hz in (("a", 120.0), ("b", 260.0)):
        made_model.save_recording(made / f"{name}.wav", tone_hz=hz)
    (made / "text.txt").write_text("\n".join(TEXT) + "\n\n", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def speaker(place: Path) -> made_voices.Speaker:
    return made_voices.Speaker(Synthesizer.load(place / "run"), TEXT, None)


def test_the_first_sound_is_the_first_sentence_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--checkpoint", str(place / "run"), "--reference", str(place / "a.wav"), "--rounds", "3"]
    words += ["--text-file", str(place / "text.txt"), "--json", str(place / "first.json")]
    assert first_sound.main(words) == 0
    shown = capsys.readouterr().out
    found = json.loads((place / "first.json").read_text(encoding="utf-8"))
    assert len(found["first"]) == len(found["whole"]) == 3 and found["text"] == " ".join(TEXT)
    assert found["ratios"] == [a / b for a, b in zip(found["first"], found["whole"], strict=True)]
    assert found["cold"]["sentences"] == 2
    assert 0.0 < found["cold"]["sound_seconds"] < found["whole_sound_seconds"]
    assert "first call after loading" in shown and "first / whole" in shown
    assert f"the first sentence is {found['cold']['sound_seconds']:.2f} s of sound, the text of 2 sentences" in shown


def test_of_a_stream_no_more_than_the_first_sentence_is_made(
    place: Path, speaker: made_voices.Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesizer, calls = speaker.synthesizer, []
    generate = synthesizer.generator.generate_mel
    monkeypatch.setattr(synthesizer.generator, "generate_mel", lambda *given: calls.append(1) or generate(*given))
    first_sound.first_of(synthesizer, " ".join(TEXT), control.Asking(speaker="bob"))
    assert len(calls) == 1
    waits = first_sound.measure(synthesizer, " ".join(TEXT), control.Asking(speaker="bob"), 2, silent)
    assert len(calls) == 1 + (1 + 2) + 2 * (1 + 2) and len(waits.ratios) == 2


def test_one_sentence_says_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "one.txt").write_text(TEXT[0], encoding="utf-8")
    (place / "none.txt").write_text("\n", encoding="utf-8")
    words = ["--checkpoint", str(place / "run"), "--text-file"]
    assert first_sound.main([*words, str(place / "one.txt")]) == 2
    assert "the text is read as one sentence" in capsys.readouterr().err
    assert first_sound.main([*words, str(place / "none.txt")]) == 2
    assert "holds no sentence; write one a line" in capsys.readouterr().err
    assert first_sound.main([*words, str(place / "gone.txt")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert first_sound.main([*words, str(place / "text.txt"), "--rounds", "0"]) == 2
    assert "--rounds is 0, expected at least 1" in capsys.readouterr().err


def test_mixed_and_random_voices_are_measured_and_judged(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "judge.py").write_text(JUDGE)
    words = ["--checkpoint", str(place / "run"), "--references", str(place / "a.wav"), str(place / "b.wav")]
    words += ["--text-file", str(place / "text.txt"), "--random", "4", "--json", str(place / "made.json")]
    words += ["--work", str(place / "work"), "--judge-python", sys.executable]
    words += ["--judge-script", str(place / "judge.py")]
    assert made_voices.main(words) == 0
    shown = capsys.readouterr().out
    found = json.loads((place / "made.json").read_text(encoding="utf-8"))
    mixtures = {mixture["share_of_a"]: mixture for mixture in found["mixtures"]}
    assert list(mixtures) == [1.0, 0.7, 0.5, 0.3, 0.0]
    to_a, to_b = zip(*(mixture["made"] for mixture in mixtures.values()), strict=True)
    assert to_a == tuple(sorted(to_a, reverse=True)) and to_b == tuple(sorted(to_b))
    assert to_a[0] == pytest.approx(1.0, abs=1e-5) == to_b[-1]
    assert to_b[0] == pytest.approx(found["a_to_b"], abs=1e-5) == to_a[-1]
    assert mixtures[0.7]["judged"] == pytest.approx([0.7, 0.3]) and mixtures[0.0]["judged"] == [0.0, 1.0]
    assert all(-1.0 <= cosine <= 1.0 for mixture in mixtures.values() for cosine in mixture["heard"])
    assert len(list((place / "work" / "spoken" / "mix-0.5").glob("*.wav"))) == len(TEXT)
    groups = {(group["who"], group["how"]): group for group in found["groups"]}
    assert groups["random voices", "made"]["voices"] == 4
    assert groups["training speakers", "heard"]["voices"] == len(made_model.SPEAKERS)
    assert "SECS to B" in shown and "to the nearest" in shown and "recording A to B" in shown
    assert made_voices.main([*words, "--language", "fa"]) == 2
    assert "language None (now 'fa')" in capsys.readouterr().err


def test_the_nearest_of_a_training_speaker_is_another_person() -> None:
    voice_KE = np.eye(3, dtype=np.float32)[[0, 1]]
    stored_ZE = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 1.0, 0.0]], np.float32)
    others_KZ = np.array([[False, True, True], [True, True, False]])
    found = made_voices.group_of("them", "made", voice_KE, stored_ZE, others_KZ)
    assert (found.among, found.nearest_least, found.nearest_most) == pytest.approx((0.0, 0.6, 0.8))
    assert found.nearest == pytest.approx(0.7) and found.voices == 2
    assert made_voices.group_of("one", "made", voice_KE[:1], stored_ZE, others_KZ[:1]).among is None


def test_random_voices_are_those_of_the_program(speaker: made_voices.Speaker) -> None:
    """The nearest training speaker is the one that the program's own note names."""
    found = made_voices.measure_random(speaker, 2, silent)
    notes = [
        speaker.synthesizer.make_voice(voices=[VoiceSource("random", seed)]).notes[0].partition("(cosine ")[2][:4]
        for seed in (1, 2)
    ]
    made = next(group for group in found if (group.who, group.how) == ("random voices", "made"))
    assert sorted(map(float, notes)) == pytest.approx([made.nearest_least, made.nearest_most], abs=0.006)
    copies = next(group for group in found if (group.who, group.how) == ("training speakers", "made"))
    assert copies.nearest_most < 1.0, "a speaker is not near itself"


def test_a_model_of_one_person_is_refused(place: Path, tmp_path: Path) -> None:
    of_one = made_model.corpus(speakers=["ann", "ann@0.9", "ann@1.1"])
    synthesizer = Synthesizer.load(made_model.save_run(tmp_path, made_model.resolved(), of_one))
    with pytest.raises(DataError, match="3 training speakers of one person"):
        made_voices.measure_random(made_voices.Speaker(synthesizer, TEXT, None), 2, silent)


def test_what_cannot_be_measured_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--checkpoint", str(tmp_path / "no"), "--judge-python", "p"]
    assert made_voices.main([*words, "--random", "1"]) == 2
    told = capsys.readouterr().err
    assert "--judge-python needs --references, and --work" in told and "--random is 1, expected 0 or at least 2" in told
    assert made_voices.main(["--checkpoint", str(tmp_path / "no"), "--random", "0"]) == 2
    assert "leaves nothing to measure; give two recordings" in capsys.readouterr().err
