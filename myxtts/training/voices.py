"""Voices during training: those of the training speakers in a checkpoint, and speaker verification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from myxtts.audio.speaker_similarity import SpeakerVerification, cosine, verify_speakers
from myxtts.config.schema import Config
from myxtts.data.batches import Batches
from myxtts.data.corpus import Corpus
from myxtts.data.references import prepare_reference
from myxtts.models.generate import Generator
from myxtts.models.voice import Voice, mean_voice

FloatArray = npt.NDArray[np.float32]

VOICE_REFERENCES = 8
MOST_REFERENCES = 4_096
"""References of all speakers that a checkpoint's voices are encoded from, if there are not more speakers than that."""
LEAST_VOICE_FRAMES = 128
"""Frames of a reference (1.5 s) where there are very many."""
VOICE_BATCH = 32
VERIFICATION_SPEAKERS, VERIFICATION_SEGMENTS = 64, 4


def speaker_voices(generator: Generator, batches: Batches, corpus: Corpus, config: Config) -> dict[str, FloatArray]:
    """Mean voice (Z, E) and style (Z, Y) of each training speaker over a few of its recordings.

    The choice of recordings is fixed, so the result depends on the weights and the quarantine only. Clips in quarantine
    are excluded unless a speaker has no others.
    """
    rows, speakers = voice_rows(batches, corpus)
    longest = voice_frames(len(rows), batches.reference_frames)
    of_speaker: list[list[Voice]] = [[] for _ in corpus.speakers]
    for start in range(0, len(rows), VOICE_BATCH):
        chosen = rows[start : start + VOICE_BATCH]
        segments = [prepare_reference(batches.store.mel(row)[:longest], corpus, config.audio) for row in chosen]
        for speaker, voice in zip(
            speakers[start : start + VOICE_BATCH], _voices(generator, segments, longest), strict=True
        ):
            of_speaker[speaker].append(voice)
    means = [mean_voice(voices) for voices in of_speaker]
    return {"voice_ZE": np.stack([v.voice_E for v in means]), "style_ZS": np.stack([v.style_Y for v in means])}


def voice_frames(references: int, longest: int) -> int:
    """Most frames of each of so many references: of more than MOST_REFERENCES each is shorter, so that encoding them
    takes no longer."""
    return min(longest, max(LEAST_VOICE_FRAMES, longest * MOST_REFERENCES // max(references, 1)))


def voice_rows(batches: Batches, corpus: Corpus) -> tuple[list[int], list[int]]:
    """Rows of the recordings whose voices are averaged, and the index of the speaker of each, in ascending order.

    Up to VOICE_REFERENCES of the longest ones of a speaker; fewer, but at least one, if all speakers together had more
    than MOST_REFERENCES.
    """
    store = batches.store
    each = max(1, min(VOICE_REFERENCES, MOST_REFERENCES // max(1, len(corpus.speakers))))
    speaker_A = np.array([corpus.speaker_index(name) for name in store.speakers], np.int64)
    barred_A = np.zeros(len(speaker_A), bool)
    barred_A[list(batches.quarantined)] = True
    usable_A = np.minimum(store.lengths[1], batches.reference_frames)
    order_A = np.lexsort((np.arange(len(speaker_A)), -usable_A, barred_A, speaker_A))
    order_A = order_A[speaker_A[order_A] >= 0]
    sorted_A = speaker_A[order_A]
    first_Z = np.searchsorted(sorted_A, np.arange(len(corpus.speakers)))
    is_chosen_A = np.arange(len(order_A)) - first_Z[sorted_A] < each
    # clips in quarantine come last; they stay only where all of a speaker are
    is_chosen_A &= ~barred_A[order_A] | barred_A[order_A[first_Z[sorted_A]]]
    return order_A[is_chosen_A].tolist(), sorted_A[is_chosen_A].tolist()


@dataclass(frozen=True)
class VoiceVerification:
    """Speaker verification over `speakers` speakers, of whom `unseen` were not trained on."""

    figures: SpeakerVerification
    speakers: int
    unseen: int


def verify_voices(generator: Generator, batches: Batches, corpus: Corpus, config: Config) -> VoiceVerification | None:
    """Speaker verification of the encoder over the validation speakers; over the unseen ones if there are two or more.

    A single unseen speaker cannot be verified alone: then all validation speakers take part, as the preparation of the
    data notes. Uses a fixed choice of up to VERIFICATION_SPEAKERS speakers and VERIFICATION_SEGMENTS recordings each; a
    speaker with one recording gives its two halves. None with fewer than two speakers.
    """
    rows_of: dict[str, list[int]] = {}
    for row, speaker in enumerate(batches.store.speakers):
        rows_of.setdefault(speaker, []).append(row)
    unseen = sorted(set(rows_of) - set(corpus.speakers))
    chosen = unseen if len(unseen) > 1 else sorted(rows_of)
    segments: list[FloatArray] = []
    names: list[str] = []
    for speaker in chosen[:VERIFICATION_SPEAKERS]:
        mels = [batches.store.mel(row) for row in rows_of[speaker][:VERIFICATION_SEGMENTS]]
        if len(mels) == 1:
            half = len(mels[0]) // 2
            mels = [mels[0][:half], mels[0][half:]]
        prepared = [
            prepare_reference(mel, corpus, config.audio)[: batches.reference_frames] for mel in mels if len(mel)
        ]
        segments += prepared
        names += [speaker] * len(prepared)
    if len(set(names)) < 2:
        return None
    voice_AE = np.stack([voice.voice_E for voice in _voices(generator, segments, batches.reference_frames)])
    if not np.isfinite(voice_AE).all():
        return None  # the losses are not finite, either
    found = verify_speakers(voice_AE, names)
    if found.equal_error_rate is None:
        return None
    return VoiceVerification(found, len(set(names)), len(set(names) & set(unseen)))


def speaker_similarity_error(
    generator: Generator, mel_MC: FloatArray, requested: Voice, longest: int, corpus: Corpus, config: Config
) -> float | None:
    """1 - cosine of the voice encoded from speech and the requested voice, 0 to 2.

    Args:
        generator: its encoder encodes the speech.
        mel_MC: the speech, natural log; its first `longest` frames are encoded.
        requested: the voice of the reference.
        longest: frames of the longest reference.
        corpus, config: determine the level and the normalization of a reference.

    Returns:
        None for voices that are not finite or zero.
    """
    (voice,) = _voices(generator, [prepare_reference(mel_MC, corpus, config.audio)[:longest]], longest)
    try:
        return 1.0 - cosine(requested.voice_E, voice.voice_E)
    except ValueError:
        return None


def _voices(generator: Generator, segments: Sequence[FloatArray], longest: int) -> list[Voice]:
    """The voice of each normalized mel (R, C) of at most `longest` frames."""
    found: list[Voice] = []
    for start in range(0, len(segments), VOICE_BATCH):
        chosen = segments[start : start + VOICE_BATCH]
        mels = np.zeros([len(chosen), longest, chosen[0].shape[1]], np.float32)
        for at, segment in enumerate(chosen):
            mels[at, : len(segment)] = segment
        found += generator.voices(mels, np.array([len(segment) for segment in chosen], np.int32))
    return found
