"""Streaming yields the same speech, sentence by sentence, without clipping."""

from pathlib import Path

import made_model
import numpy as np
import pytest

from myxtts.errors import ConfigError, DataError
from myxtts.synthesis import Synthesizer, network
from myxtts.synthesis.speech import HIGHEST_PEAK
from myxtts.vocoder.neural import FIRST_FRAMES

LONG = " ".join(["a sentence which is longer than those"] * 3) + "."
TEXT = "One. Two words! And a third sentence, which is longer than those."


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    return Synthesizer.load(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved()))


def test_a_stream_is_the_same_speech(synthesizer: Synthesizer) -> None:
    steps: list[tuple[str, int, int]] = []
    chunks = list(synthesizer.stream(TEXT, speaker="bob", progress=lambda *step: steps.append(step)))
    speech = synthesizer.speak(TEXT, speaker="bob")
    assert [chunk.number for chunk in chunks if chunk.last] == [1, 2, 3] and {chunk.total for chunk in chunks} == {3}
    assert steps == [("synthesis", done, 3) for done in range(4)]
    samples = np.concatenate([chunk.samples for chunk in chunks])
    assert np.array_equal(np.concatenate([chunk.mel_MC for chunk in chunks]), speech.mel_MC)
    assert tuple(chunk.sentence for chunk in chunks if chunk.first) == speech.sentences
    reduced = f"the level was reduced by {-20 * np.log10(speech.gain):.1f} dB to prevent clipping"
    assert chunks[0].voice == speech.voice and (*chunks[0].notes, reduced) == speech.notes
    assert len(samples) == len(speech.samples) and np.abs(samples).max() <= HIGHEST_PEAK + 1e-6


def test_without_peaks_the_samples_are_bit_exactly_those_of_speak(
    synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = synthesizer._vocoder.parts
    monkeypatch.setattr(
        synthesizer._vocoder, "parts", lambda *arguments: (0.01 * wave_N for wave_N in parts(*arguments))
    )
    speech = synthesizer.speak(TEXT, speaker="bob")
    samples = np.concatenate([chunk.samples for chunk in synthesizer.stream(TEXT, speaker="bob")])
    assert speech.gain == 1.0 and np.array_equal(samples, speech.samples)


def test_a_long_sentence_comes_in_parts(synthesizer: Synthesizer) -> None:
    speech = synthesizer.speak(LONG, speaker="bob")
    assert len(speech.mel_MC) > 2 * FIRST_FRAMES and len(speech.sentences) == 1
    first, *others = synthesizer.stream(LONG, speaker="bob")
    assert others and len(first.mel_MC) <= FIRST_FRAMES and len(first.samples) == 256 * len(first.mel_MC)
    assert (first.first, first.last) == (True, False) and [part.first for part in others] == [False] * len(others)
    assert others[-1].last and np.array_equal(np.concatenate([p.mel_MC for p in (first, *others)]), speech.mel_MC)


def test_everything_is_checked_before_the_first_sentence(synthesizer: Synthesizer) -> None:
    with pytest.raises(ConfigError, match="speed is 9"):
        synthesizer.stream(TEXT, speed=9)
    with pytest.raises(DataError, match="speaker 'bop' is not in this model"):
        synthesizer.stream(TEXT, speaker="bop")
    with pytest.raises(TypeError, match="spead"):
        synthesizer.stream(TEXT, spead=1.0)  # type: ignore[call-arg]


def test_a_sentence_is_computed_on_demand(synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    generate = synthesizer.model.generator.generate_mel
    monkeypatch.setattr(
        synthesizer.model.generator, "generate_mel", lambda *args, **more: made.append(1) or generate(*args, **more)
    )
    chunks = synthesizer.stream(TEXT, speaker="bob")
    assert made == []
    next(chunks)
    assert len(made) == 1


def test_after_warming_up_the_first_text_builds_no_graph(tmp_path: Path) -> None:
    run = made_model.save_run(tmp_path, made_model.resolved())
    network.kept.clear()  # type: ignore[attr-defined]
    cold = Synthesizer.load(run)
    cold.warm_up()
    traces = cold.model.generator.traces
    next(cold.stream(TEXT, speaker="bob"))
    assert traces > 0 and cold.model.generator.traces == traces
