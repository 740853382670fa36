"""Clips measured with models that are known to be right or wrong."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import made_model
import numpy as np
import pytest
import soundfile

from myxtts.audio import waveform
from myxtts.data.records import Utterance
from myxtts.errors import DataError
from myxtts.evaluation.document import document, speakers_line, table
from myxtts.evaluation.measuring import Evaluator, Measurements
from myxtts.evaluation.selection import SelectedClip, SkippedClips
from myxtts.progress import silent
from myxtts.vocoder.files import GRIFFIN_LIM, open_vocoder

ABOUT = {"update": 10, "data": "root"}


class Parrot:
    """Returns given sounds; its voice is a direction that depends on the mean pitch."""

    def __init__(self, sounds: dict[str, np.ndarray]) -> None:
        self.sounds = sounds

    def speak(self, text: str, language: str, reference_N: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
        if text not in self.sounds:
            raise DataError(f"nothing in {text!r} can be spoken")
        return self.sounds[text], ["a note of the model"]

    def voice(self, samples_N: np.ndarray) -> np.ndarray:
        if len(samples_N) < 11_025:
            raise DataError("0.10 s of sound, at least 0.5 s are needed")
        peak = np.abs(np.fft.rfft(samples_N))[:400].argmax() / len(samples_N) * 22_050
        angle = np.radians(peak / 4)
        return np.array([np.cos(angle), np.sin(angle)], np.float32)

    def durations(
        self, text: str, language: str, reference_N: np.ndarray, recording_N: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        return None if text == "bob 0." else (np.array([4, 2, 7]), np.array([5, 2, 6]))


@pytest.fixture
def clips(tmp_path: Path) -> list[Utterance]:
    found = []
    for speaker, hz in (("ann", 220.0), ("bob", 110.0)):
        for take in range(2):
            path = made_model.save_recording(tmp_path / f"{speaker}{take}.wav", 1.5 + take / 10, tone_hz=hz)
            found.append(Utterance(f"{speaker}{take}", path, f"{speaker} {take}.", speaker, "en-us", f"m:{len(found)}"))
    return found


def sounds_of(clips: Sequence[Utterance]) -> dict[str, np.ndarray]:
    return {clip.text: waveform.read(clip.audio_path, made_model.AUDIO) for clip in clips}


def measured(
    folder: Path, model: Parrot, selected: Sequence[SelectedClip], count: int = 9, skipped: SkippedClips | None = None
) -> Measurements:
    (folder / "audio").mkdir(parents=True)
    evaluator = Evaluator(model, made_model.AUDIO, folder, vocoder=open_vocoder(GRIFFIN_LIM, made_model.AUDIO), seed=1)
    return evaluator.run(iter(selected), count, skipped or SkippedClips(), silent)


def test_a_perfect_copy_has_no_distance(tmp_path: Path, clips: list[Utterance]) -> None:
    ann, ann2, bob, bob2 = clips
    selected = [SelectedClip(ann, ann2), SelectedClip(bob, bob2)]
    found = measured(tmp_path / "out", Parrot(sounds_of(clips)), selected)
    first = found.clips[0]
    spoken, vocoder, recording = (first.figures[who] for who in ("spoken", "vocoder", "recording"))
    assert spoken["mcd_db"] == 0.0 and spoken["pitch_error_semitones"] == 0.0 and spoken["voicing_error"] == 0.0
    assert spoken["length_ratio"] == 1.0 and spoken["speaker_similarity"] == pytest.approx(1.0, abs=1e-3)
    assert vocoder["mcd_db"] is not None and 0.0 < vocoder["mcd_db"] < 3.0
    assert set(recording) == {"speaker_similarity"} and "token_duration_error_ms" not in vocoder
    assert spoken["token_duration_error_ms"] == pytest.approx(2 / 3 * 256 / 22.05)
    assert found.clips[1].figures["spoken"]["token_duration_error_ms"] is None
    assert (first.reference, first.own_reference, first.notes) == ("ann1", False, ["a note of the model"])
    assert (found.verification.same_pairs, found.verification.other_pairs, found.recordings) == (2, 4, 4)
    assert found.verification.equal_error_rate == 0.0 and found.pairs == "recordings"
    for clip in found.clips:
        assert set(clip.files) == {"spoken", "vocoder", "recording", "reference"}
        for who, name in clip.files.items():
            assert soundfile.info(tmp_path / "out" / name).duration == pytest.approx(clip.seconds[who])


def test_the_wrong_voice_is_seen(tmp_path: Path, clips: list[Utterance]) -> None:
    ann, ann2, bob, _ = clips
    sounds = sounds_of(clips)
    sounds[ann.text] = np.repeat(sounds[bob.text], 1)[: int(1.2 * 22_050)]
    spoken = measured(tmp_path / "out", Parrot(sounds), [SelectedClip(ann, ann2)]).clips[0].figures["spoken"]
    assert spoken["speaker_similarity"] is not None and spoken["speaker_similarity"] < 0.95
    assert spoken["pitch_shift_semitones"] == pytest.approx(-12.0, abs=0.2)
    assert spoken["length_ratio"] == pytest.approx(0.8, abs=0.01) and spoken["length_error"] == pytest.approx(
        0.2, abs=0.01
    )
    assert spoken["mcd_db"] is not None and spoken["mcd_db"] > 0.5


def test_speakers_with_one_recording_are_verified_by_its_halves(tmp_path: Path, clips: list[Utterance]) -> None:
    ann, _, bob, _ = clips
    longer = {clip.id: made_model.save_recording(tmp_path / f"{clip.id}-long.wav", 3.0, tone_hz=hz)
              for clip, hz in ((ann, 220.0), (bob, 110.0))}  # fmt: skip
    alone = [Utterance(c.id, longer[c.id], c.text, c.speaker, c.language, c.source) for c in (ann, bob)]
    found = measured(tmp_path / "out", Parrot(sounds_of(alone)), [SelectedClip(clip, clip) for clip in alone])
    assert found.pairs == "halves of recordings" and found.verification.equal_error_rate == 0.0
    assert (found.verification.same_pairs, found.verification.other_pairs) == (2, 2)
    assert found.clips[0].own_reference and found.clips[0].figures["recording"] == {}


def test_a_half_without_a_voice_loses_only_its_pair(tmp_path: Path, clips: list[Utterance]) -> None:
    ann = clips[0]
    path = made_model.save_recording(tmp_path / "long.wav", 3.0, tone_hz=220.0)
    alone = Utterance(ann.id, path, ann.text, ann.speaker, ann.language, ann.source)
    model = Parrot(sounds_of([alone]))
    voice = model.voice

    def no_second_half(samples_N: np.ndarray) -> np.ndarray:
        if len(samples_N) < 40_000:
            raise DataError("0.40 s of sound, at least 0.5 s are needed")
        return voice(samples_N)

    model.voice = no_second_half  # type: ignore[method-assign]
    found = measured(tmp_path / "out", model, [SelectedClip(alone, alone)])
    assert [clip.id for clip in found.clips] == ["ann0"] and found.clips[0].figures["spoken"]["mcd_db"] is not None
    assert found.clips[0].notes[-1] == "not used for speaker verification: 0.40 s of sound, at least 0.5 s are needed"


def test_a_mel_of_few_channels_has_no_distortion(
    tmp_path: Path, clips: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_model, "AUDIO", dataclasses.replace(made_model.AUDIO, mel_channels=8))
    ann, ann2, _, _ = clips
    found = measured(tmp_path / "out", Parrot(sounds_of(clips)), [SelectedClip(ann, ann2)])
    assert set(found.clips[0].figures["spoken"]) == {"speaker_similarity", "token_duration_error_ms"}


def test_clips_that_cannot_be_spoken_are_skipped(tmp_path: Path, clips: list[Utterance]) -> None:
    ann, ann2, bob, bob2 = clips
    sounds = sounds_of([bob])
    bob2.audio_path.write_bytes(b"x" * 100)
    skipped = SkippedClips()
    selected = [SelectedClip(ann, ann2), SelectedClip(bob, bob2), SelectedClip(bob, bob)]
    found = measured(tmp_path / "out", Parrot(sounds), selected, 1, skipped)
    assert [clip.id for clip in found.clips] == ["bob0"]
    assert skipped.problems[0] == "m:0: ann0: nothing in 'ann 0.' can be spoken"
    assert "bob1.wav': not a readable recording" in skipped.problems[1]
    with pytest.raises(DataError, match=r"no clip can be evaluated; skipped: m:0: ann0: nothing in 'ann 0\.'"):
        measured(tmp_path / "none", Parrot({}), [SelectedClip(ann, ann2)])


def test_silence_is_no_recording_and_short_speech_has_no_similarity(tmp_path: Path, clips: list[Utterance]) -> None:
    ann, ann2, _, _ = clips
    short = {ann.text: sounds_of([ann])[ann.text][:4_000]}
    clip = measured(tmp_path / "out", Parrot(short), [SelectedClip(ann, ann2)]).clips[0]
    assert clip.figures["spoken"]["speaker_similarity"] is None
    assert clip.notes[-1] == "no speaker similarity of spoken: 0.10 s of sound, at least 0.5 s are needed"
    waveform.write_wav(ann.audio_path, np.zeros(30_000, np.float32), 22_050)
    skipped = SkippedClips()
    with pytest.raises(DataError, match="silence; remove it"):
        measured(tmp_path / "none", Parrot(short), [SelectedClip(ann, ann2)], 1, skipped)


def test_the_document_and_its_table(tmp_path: Path, clips: list[Utterance]) -> None:
    ann, ann2, bob, bob2 = clips
    found = measured(tmp_path / "out", Parrot(sounds_of(clips)), [SelectedClip(ann, ann2), SelectedClip(bob, bob2)])
    found.clips[0].text, found.clips[1].text = "one two three four", "five"
    found.clips[0].figures["spoken"] |= {"wer": 0.0, "cer": 0.0}
    found.clips[1].figures["spoken"] |= {"wer": 1.0, "cer": None}
    result = document(found, ABOUT, None, ["a note"])
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert set(result) == {
        "format",
        "update",
        "data",
        "judge",
        "notes",
        "legend",
        "who",
        "figures",
        "speakers",
        "clips",
    }
    assert result["figures"]["spoken"]["wer"] == {"mean": 0.2, "median": 0.5, "clips": 2}
    assert result["figures"]["spoken"]["cer"]["clips"] == 1 and "wer" not in result["figures"]["vocoder"]
    rows = {row[0]: row[1:] for row in table(result)}
    assert rows["figure"] == ["model", "median", "vocoder", "median", "recordings", "median", "better"]
    assert rows["mel cepstral distortion, dB"][:2] == ["0.00", "0.00"] and rows["word error rate"][2:] == [""] * 4 + [
        "lower"
    ]
    assert "predicted quality, 1 to 5" not in rows
    line = speakers_line(result)
    assert line.startswith("own encoder on 4 recordings, pairs of recordings: same speaker 1.000 (pairs: 2), others 0.")
    assert line.endswith("equal error rate 0.0%")
