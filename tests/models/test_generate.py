"""From predictions to frames, and a mel for tokens and a voice."""

import made_model
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myxtts.errors import NonFiniteError
from myxtts.models.generate import HIGHEST_MEL, Generator
from myxtts.models.prosody import decibels_to_deviations, round_durations, semitones_to_deviations, shift_prosody
from myxtts.models.voice import Voice, mean_voice
from myxtts.text.symbols import BLANK

TOKENS = np.array([BLANK, 40, BLANK, 41, BLANK, 42, BLANK], np.int32)


def log_frames(*frames: float) -> np.ndarray:
    return np.log1p(np.array(frames, np.float32))


def rounded(
    *frames: float, spoken: list[bool] | None = None, speed: float = 1.0, token: int = 100, longest: int = 10_000
):
    flags = np.array(spoken if spoken is not None else [True] * len(frames))
    return round_durations(log_frames(*frames), flags, speed=speed, longest_token=token, longest=longest)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(made_model.model(made_model.resolved()))


@pytest.fixture(scope="module")
def flow() -> Generator:
    return Generator(made_model.model(made_model.resolved(model__decoder="flow")))


def a_voice(seed: int = 0) -> Voice:
    rng = np.random.default_rng(seed)
    return mean_voice([Voice(rng.normal(size=8).astype(np.float32), rng.normal(size=4).astype(np.float32))])


def test_pitch_range_scales_the_intonation(generator: Generator) -> None:
    """Around the same mean: half as far, as predicted, twice as far; and the mel follows."""
    made = [generator.generate_mel(TOKENS, 0, a_voice(), pitch_range=x) for x in (0.5, 1.0, 2.0, 0.0)]
    voiced = made[1].voiced_M
    assert voiced.any() and all(np.array_equal(x.voiced_M, voiced) for x in made)
    half, plain, twice, flat = (x.frame_pitch_M[voiced] for x in made)
    np.testing.assert_allclose([x.mean() for x in (half, twice)], plain.mean(), atol=1e-5)
    np.testing.assert_allclose(half - half.mean(), 0.5 * (plain - plain.mean()), atol=1e-5)
    np.testing.assert_allclose(twice - twice.mean(), 2.0 * (plain - plain.mean()), atol=1e-5)
    assert np.ptp(plain) > 1e-3 > np.ptp(flat)
    wide = generator.generate_mel(TOKENS, 0, a_voice(), pitch_shift=5.9, pitch_range=4.0)
    assert np.abs(wide.frame_pitch_M).max() <= 6.0, "further out the decoder has learned nothing"
    assert not np.array_equal(made[0].mel_MC, made[2].mel_MC)


def test_durations_keep_the_total() -> None:
    assert rounded(1.4, 1.4, 1.4, 1.4, 1.4).frames_T.tolist() == [1, 2, 1, 2, 1]
    assert rounded(3.0, 5.0, 2.0).frames_T.tolist() == [3, 5, 2]


def test_spoken_tokens_get_a_frame_and_blanks_may_have_none() -> None:
    made = rounded(0.0, 0.1, 0.0, 0.2, spoken=[False, True, False, True])
    assert made.frames_T.tolist() == [0, 1, 0, 1]
    # The frame that a short token was given is taken from the next one, not added to the total.
    assert rounded(0.1, 3.9, 4.0).frames_T.tolist() == [1, 3, 4]


def test_speed_and_caps() -> None:
    assert rounded(8.0, 4.0, speed=2.0).frames_T.tolist() == [4, 2]
    assert rounded(8.0, 4.0, speed=0.5).frames_T.tolist() == [16, 8]
    capped = rounded(500.0, 4.0, token=20)
    assert capped.frames_T.tolist() == [20, 4] and capped.capped == 1 and not capped.squeezed
    squeezed = rounded(50.0, 50.0, longest=10)
    assert squeezed.frames_T.tolist() == [5, 5] and squeezed.squeezed
    assert round_durations(
        np.array([1e30], np.float32), np.array([True]), speed=1, longest_token=9, longest=99
    ).frames_T == [9]


def test_a_duration_that_is_not_finite() -> None:
    with pytest.raises(NonFiniteError, match="duration of token 1 is nan"):
        round_durations(np.array([1.0, np.nan], np.float32), np.ones(2, bool), speed=1.0, longest_token=9, longest=99)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-1.0, 5.0), st.booleans()), min_size=1, max_size=60), st.floats(0.25, 4.0))
def test_durations_of_any_prediction(tokens: list[tuple[float, bool]], speed: float) -> None:
    log_duration = np.array([value for value, _ in tokens], np.float32)
    spoken = np.array([flag for _, flag in tokens])
    made = round_durations(log_duration, spoken, speed=speed, longest_token=129, longest=100_000)
    exact = np.minimum(np.maximum(np.expm1(log_duration.astype(np.float64)), 0), 129).sum() / speed
    assert (made.frames_T >= spoken).all()
    assert np.floor(exact + 0.5) <= made.frames_T.sum() <= np.floor(exact + 0.5) + spoken.sum()


def test_shifts() -> None:
    assert semitones_to_deviations(12.0, 0.5) == pytest.approx(np.log(2.0) / 0.5)
    assert decibels_to_deviations(20.0, 2.0) == pytest.approx(np.log(10.0) / 2.0)
    assert shift_prosody(np.array([0.0, 5.5, -7.0], np.float32), 1.0).tolist() == [1.0, 6.0, -6.0]


def test_mean_voice_counts_by_weight() -> None:
    ann, bob = (Voice(np.eye(2, dtype=np.float32)[at], np.array([2.0 * at], np.float32)) for at in (0, 1))
    mean = mean_voice([ann, bob], [3.0, 1.0])
    assert np.allclose(mean.voice_E, np.array([3.0, 1.0]) / np.sqrt(10.0)) and np.allclose(mean.style_Y, 0.5)
    assert mean.voice_E.dtype == mean.style_Y.dtype == np.float32
    assert np.allclose(mean_voice([ann, bob], [2.0, 2.0]).voice_E, mean_voice([ann, bob]).voice_E)


def test_mean_voice_has_unit_length() -> None:
    mean = mean_voice(
        [
            Voice(np.array([1, 0], np.float32), np.zeros(1, np.float32)),
            Voice(np.array([0, 1], np.float32), np.ones(1, np.float32)),
        ]
    )
    assert np.allclose(mean.voice_E, 0.5**0.5) and mean.style_Y == 0.5
    with pytest.raises(ValueError, match="cancel"):
        mean_voice([Voice(np.array([s, 0.0], np.float32), np.zeros(1, np.float32)) for s in (1.0, -1.0)])
    with pytest.raises(ValueError, match="no voices"):
        mean_voice([])


def test_a_mel_has_the_frames_of_the_durations(generator: Generator) -> None:
    made = generator.generate_mel(TOKENS, 0, a_voice())
    assert made.mel_MC.shape == (made.duration_T.sum(), 80) and made.mel_MC.dtype == np.float32
    assert np.isfinite(made.mel_MC).all() and made.mel_MC.max() <= HIGHEST_MEL
    assert made.alignment_TM.shape == (len(TOKENS), len(made.mel_MC))
    assert (made.alignment_TM.sum(axis=1) == made.duration_T).all() and (made.alignment_TM.sum(axis=0) == 1).all()


def test_durations_in_a_recording_and_as_predicted(generator: Generator) -> None:
    """Of a mel that is the aligner's own means, repeated for the given durations."""
    frames_T = np.array([1, 4, 2, 3, 1, 6, 2], np.int32)
    mean_TC = generator.model.aligner(TOKENS[None], np.array([len(TOKENS)])).numpy()[0]
    mel_MC = np.repeat(mean_TC, frames_T, axis=0)
    found = generator.token_durations(TOKENS, 0, a_voice(), mel_MC)
    assert found is not None
    assert found[0].tolist() == frames_T.tolist()
    assert found[1].tolist() == generator.generate_mel(TOKENS, 0, a_voice()).duration_T.tolist()
    assert generator.token_durations(TOKENS, 0, a_voice(), mel_MC[:6]) is None, "fewer frames than tokens"


def test_voice_pitch_and_energy_are_heard(generator: Generator) -> None:
    plain = generator.generate_mel(TOKENS, 0, a_voice())
    for other in (
        generator.generate_mel(TOKENS, 0, a_voice(), pitch_shift=2.0),
        generator.generate_mel(TOKENS, 0, a_voice(), energy_shift=2.0),
    ):
        assert (other.duration_T == plain.duration_T).all() and not np.allclose(other.mel_MC, plain.mel_MC, atol=1e-4)
    high = generator.generate_mel(TOKENS, 0, a_voice(), pitch_shift=2.0)
    assert np.allclose(high.pitch_T, plain.pitch_T + 2.0)
    assert not np.array_equal(generator.generate_mel(TOKENS, 0, a_voice(1)).pitch_T, plain.pitch_T)
    assert not np.array_equal(generator.generate_mel(TOKENS, 1, a_voice()).pitch_T, plain.pitch_T)


def test_new_lengths_trace_nothing_new(flow: Generator) -> None:
    flow.generate_mel(TOKENS, 0, a_voice())
    traced = flow.traces
    for count in (1, 5, 33):
        flow.generate_mel(np.full(count, 40, np.int32), 0, a_voice(), speed=1.5, temperature=0.3, seed=9)
    assert flow.traces == traced
    flow.generate_mel(TOKENS, 0, a_voice(), steps=4)
    assert flow.traces == traced


def test_the_flow_decoder_follows_seed_and_temperature(flow: Generator) -> None:
    first = flow.generate_mel(TOKENS, 0, a_voice(), seed=1).mel_MC
    assert np.array_equal(flow.generate_mel(TOKENS, 0, a_voice(), seed=1).mel_MC, first)
    assert not np.array_equal(flow.generate_mel(TOKENS, 0, a_voice(), seed=2).mel_MC, first)
    cold = [flow.generate_mel(TOKENS, 0, a_voice(), seed=seed, temperature=0.0).mel_MC for seed in (1, 2)]
    assert np.array_equal(*cold)


def test_weights_are_those_of_the_call(generator: Generator) -> None:
    """Training puts the averaged weights in and takes them out again."""
    before = generator.generate_mel(TOKENS, 0, a_voice())
    bias = generator.model.duration.out.bias
    old = bias.numpy()
    bias.assign(old + 1.0)
    longer = generator.generate_mel(TOKENS, 0, a_voice())
    bias.assign(old)
    assert longer.duration_T.sum() > 1.5 * before.duration_T.sum()
    assert np.array_equal(generator.generate_mel(TOKENS, 0, a_voice()).mel_MC, before.mel_MC)


def test_voices_of_references_do_not_see_the_padding(generator: Generator) -> None:
    reference = np.random.default_rng(1).normal(size=(1, 60, 80)).astype(np.float32)
    alone = generator.voices(reference, np.array([60]))[0]
    padded = np.concatenate([reference, np.zeros((1, 40, 80), np.float32)], axis=1)
    both = generator.voices(np.repeat(padded, 2, axis=0), np.array([60, 60]))
    assert np.linalg.norm(alone.voice_E) == pytest.approx(1.0, abs=1e-5)
    for voice in both:
        assert np.allclose(voice.voice_E, alone.voice_E, atol=1e-4) and np.allclose(
            voice.style_Y, alone.style_Y, atol=1e-4
        )


def test_a_broken_model(generator: Generator) -> None:
    bias = generator.model.decoder.backbone.out.bias
    old = bias.numpy()
    bias.assign(np.full_like(old, np.nan))
    try:
        with pytest.raises(NonFiniteError, match="mel that is not finite"):
            generator.generate_mel(TOKENS, 0, a_voice())
    finally:
        bias.assign(old)


@pytest.mark.parametrize("tokens", [5, 16, 21])
def test_what_lengths_are_padded_up_to_is_not_heard(
    generator: Generator, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """oneDNN caches kernels for every shape, so few shapes are used."""
    text = np.arange(tokens, dtype=np.int32) % 3 + 3
    voice = generator.voices(np.zeros((1, 64, 80), np.float32), np.array([64]))[0]
    padded = generator.generate_mel(text, 0, voice)
    monkeypatch.setattr("myxtts.models.generate.TOKEN_STEP", 1)
    monkeypatch.setattr("myxtts.models.generate.FRAME_STEP", 1)
    exact = Generator(generator.model).generate_mel(text, 0, voice)
    assert padded.duration_T.tolist() == exact.duration_T.tolist() and len(padded.mel_MC) == exact.duration_T.sum()
    np.testing.assert_allclose(padded.mel_MC, exact.mel_MC, atol=1e-4)
