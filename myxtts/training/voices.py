"""Voices during training: the stored ones of the training speakers, and how well the encoder tells people apart."""

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
from myxtts.models.generate import Generator, Voice, mean_voice

FloatArray = npt.NDArray[np.float32]

VOICE_REFERENCES = 8
VOICE_BATCH = 32
SIMILARITY_SPEAKERS, SIMILARITY_PIECES = 64, 4


def speaker_voices(generator: Generator, batches: Batches, corpus: Corpus, config: Config) -> dict[str, FloatArray]:
    """Mean voice (Z, E) and style (Z, S) of each training speaker over a few of its recordings.

    A fixed choice, so that they depend on the weights and the quarantine alone. Quarantined clips are left out, unless
    a speaker has no others.
    """
    speakers = np.array([corpus.speaker_index(name) for name in batches.store.speakers])
    allowed = np.array([row not in batches.quarantined for row in range(len(speakers))])
    longest = batches.reference_frames
    of_speaker: list[list[Voice]] = [[] for _ in corpus.speakers]
    rows: list[int] = []
    for speaker in range(len(corpus.speakers)):
        own = np.flatnonzero(speakers == speaker)
        own = own[allowed[own]] if allowed[own].any() else own
        usable = np.minimum(batches.store.lengths[1][own], longest)
        rows += own[np.argsort(-usable, kind="stable")[:VOICE_REFERENCES]].tolist()
    pieces = [prepare_reference(batches.store.mel(row)[:longest], corpus, config.audio) for row in rows]
    for row, voice in zip(rows, _voices(generator, pieces, longest), strict=True):
        of_speaker[speakers[row]].append(voice)
    means = [mean_voice(voices) for voices in of_speaker]
    return {"voice_ZE": np.stack([v.voice_E for v in means]), "style_ZS": np.stack([v.style_Y for v in means])}


@dataclass(frozen=True)
class VoiceSimilarity:
    """How well the voices of `speakers` speakers are told apart, of whom `strangers` were never trained on."""

    separation: SpeakerVerification
    speakers: int
    strangers: int


def voice_similarity(generator: Generator, batches: Batches, corpus: Corpus, config: Config) -> VoiceSimilarity | None:
    """How well the encoder tells the validation's speakers apart; those who were never trained on, where there are two.

    A single stranger has nobody to be told from: then all speakers of the validation count, which the preparation of
    the data notes. Up to SIMILARITY_SPEAKERS speakers with up to SIMILARITY_PIECES pieces of their recordings each,
    always the same ones; a speaker with one recording gives its two halves. None with fewer than two.
    """
    rows_of: dict[str, list[int]] = {}
    for row, speaker in enumerate(batches.store.speakers):
        rows_of.setdefault(speaker, []).append(row)
    strangers = sorted(set(rows_of) - set(corpus.speakers))
    chosen = strangers if len(strangers) > 1 else sorted(rows_of)
    pieces: list[FloatArray] = []
    names: list[str] = []
    for speaker in chosen[:SIMILARITY_SPEAKERS]:
        mels = [batches.store.mel(row) for row in rows_of[speaker][:SIMILARITY_PIECES]]
        if len(mels) == 1:
            half = len(mels[0]) // 2
            mels = [mels[0][:half], mels[0][half:]]
        heard_mels = [
            prepare_reference(mel, corpus, config.audio)[: batches.reference_frames] for mel in mels if len(mel)
        ]
        pieces += heard_mels
        names += [speaker] * len(heard_mels)
    if len(set(names)) < 2:
        return None
    voice_NE = np.stack([voice.voice_E for voice in _voices(generator, pieces, batches.reference_frames)])
    if not np.isfinite(voice_NE).all():
        return None  # the losses tell of it
    found = verify_speakers(voice_NE, names)
    if found.equal_error_rate is None:
        return None
    return VoiceSimilarity(found, len(set(names)), len(set(names) & set(strangers)))


def speaker_similarity_error(
    generator: Generator, mel_MC: FloatArray, asked: Voice, longest: int, corpus: Corpus, config: Config
) -> float | None:
    """1 - cosine of the voice that the encoder hears in speech and the voice that was asked for, 0 to 2.

    Args:
        generator: whose encoder hears.
        mel_MC: the speech, natural log; its first `longest` frames are heard.
        asked: the voice of the reference.
        longest: frames of the longest reference.
        corpus, config: by which a reference is levelled and normalized.

    Returns:
        None for voices that are not finite or have no direction; the losses tell of it.
    """
    (voice,) = _voices(generator, [prepare_reference(mel_MC, corpus, config.audio)[:longest]], longest)
    try:
        return 1.0 - cosine(asked.voice_E, voice.voice_E)
    except ValueError:
        return None


def _voices(generator: Generator, pieces: Sequence[FloatArray], longest: int) -> list[Voice]:
    """The voice of each normalized mel (R, C) of at most `longest` frames."""
    found: list[Voice] = []
    for start in range(0, len(pieces), VOICE_BATCH):
        chosen = pieces[start : start + VOICE_BATCH]
        mels = np.zeros([len(chosen), longest, chosen[0].shape[1]], np.float32)
        for at, piece in enumerate(chosen):
            mels[at, : len(piece)] = piece
        found += generator.voices(mels, np.array([len(piece) for piece in chosen], np.int32))
    return found
