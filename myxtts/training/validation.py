"""Validation with the averaged weights: the mean of every loss term, figures of voices, and spoken samples."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from myxtts.audio import pitch
from myxtts.audio.distances import COEFFICIENTS, ClipDistances, clip_distances
from myxtts.audio.griffin_lim import waveform_of_mel
from myxtts.audio.waveform import write_wav
from myxtts.batch import Batch
from myxtts.config.schema import Config
from myxtts.data.batches import Batches
from myxtts.data.corpus import Corpus
from myxtts.errors import NonFiniteError, StorageError
from myxtts.health.signs import BestRule
from myxtts.loss_terms import ADVERSARIAL_TERMS, DECODER_TERMS, TERMS
from myxtts.models.generate import Generator
from myxtts.speakers import describe_speakers
from myxtts.storage.files import write_text_atomic
from myxtts.training.losses import weights_of
from myxtts.training.run_context import RunContext
from myxtts.training.schedule import adversarial_strength
from myxtts.training.step import Step
from myxtts.training.voices import VoiceVerification, speaker_similarity_error, verify_voices
from myxtts.units import seconds_of_frames

SAMPLES = 3
DISTANCE_METRICS = ("mcd_db", "pitch_error_semitones", "voicing_error", "length_error")
"""Mean distances of the samples to their recordings (audio.distances); `speaker_similarity_error` is added."""
VOICE_METRICS = ("voice_same", "voice_other", "voice_equal_error_rate")
FloatArray = npt.NDArray[np.float32]


def validate(step: Step, batches: Iterable[Batch], config: Config) -> dict[str, float]:
    """Mean of each term over the validation utterances, and their weighted total; each utterance counts equally."""
    rows: list[FloatArray] = []
    for batch in batches:
        terms_KB, _, _ = step.validate(batch)
        rows.append(terms_KB[:, batch["weight_B"] > 0.0])
    means = np.concatenate(rows, axis=1).mean(axis=1, dtype=np.float64)
    metrics = {term: float(value) for term, value in zip(TERMS, means, strict=True)}
    weights = weights_of(config.loss)
    metrics["total"] = sum(w * metrics[term] for term, w in weights.items() if term not in ADVERSARIAL_TERMS)
    return metrics


@dataclass(frozen=True)
class Sample:
    """One spoken validation sentence: natural-log mels (M, C), alignment (T, M), and its WAV file."""

    name: str
    text: str
    predicted_mel_MC: FloatArray
    true_mel_MC: FloatArray
    alignment_TM: npt.NDArray[np.float16]
    wav_path: Path
    distances: ClipDistances | None
    """Distances to its recording; None with too few mel channels for a cepstrum."""
    speaker_similarity_error: float | None
    """Distance of its voice to that of its reference (training.voices)."""


def trained_by_critic(update: int, config: Config) -> bool:
    """Whether the critic trains the decoder at full weight at this update.

    Such a decoder sounds better, but its detail increases the distance to the recordings compared with the smooth mels
    before. No distance metric can compare the two.
    """
    has_critic = config.model.critic_width > 0 and any(
        getattr(config.loss, TERMS[term].weight) for term in DECODER_TERMS
    )
    return has_critic and adversarial_strength(update, config.schedule) >= 1.0


def sample_rows(batches: Batches) -> list[int]:
    """Fixed utterances to speak: of medium length, of different speakers if there are several."""
    order = np.argsort(batches.store.lengths[1], kind="stable")
    middle = [int(row) for row in order[len(order) // 2 :]] + [int(row) for row in order[: len(order) // 2]]
    chosen: list[int] = []
    for row in middle:
        taken = {batches.store.speakers[c] for c in chosen}
        if len(chosen) < SAMPLES and batches.store.speakers[row] not in taken:
            chosen.append(row)
    return (chosen + [row for row in middle if row not in chosen])[:SAMPLES]


def speak_samples(
    generator: Generator, step: Step, batches: Batches, corpus: Corpus, config: Config, folder: Path
) -> list[Sample]:
    """Speak the fixed validation sentences with the voice of their reference; write audio, mels and alignments.

    The predicted mel uses predicted durations; the alignment is the aligner's, of the recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = sample_rows(batches)
    samples: list[Sample] = []
    index: list[dict[str, object]] = []
    audio = config.audio
    for batch in batches.all():
        _, _, path_BMT = step.validate(batch) if np.isin(batch["utterance_B"], rows).any() else (None, None, None)
        for at, row in enumerate(batch["utterance_B"].tolist()):
            if row not in rows or path_BMT is None:
                continue
            utterance = batches.store.utterances[row]
            name = f"sample-{rows.index(row) + 1}"
            frames, tokens = int(batch["mel_length_B"][at]), int(batch["text_length_B"][at])
            reference = batch["reference_BRC"][at : at + 1]
            voice = generator.voices(reference, batch["reference_length_B"][at : at + 1])[0]
            spoken = generator.generate_mel(
                batch["text_BT"][at, :tokens], int(batch["language_B"][at]), voice, seed=config.training.seed
            )
            predicted = corpus.denormalize_mel(spoken.mel_MC)
            pitch_hz_M = corpus.pitch_hz(spoken.frame_pitch_M, spoken.voiced_M, audio)
            wave_N = waveform_of_mel(predicted, audio, pitch_hz_M=pitch_hz_M)
            true_mel_MC, true_hz_M, _ = batches.store.features(row)
            sample = Sample(
                name=name,
                text=utterance.text,
                predicted_mel_MC=predicted,
                true_mel_MC=true_mel_MC,
                alignment_TM=path_BMT[at, :frames, :tokens].T.astype(np.float16),
                wav_path=folder / f"{name}.wav",
                distances=clip_distances(true_mel_MC, true_hz_M, predicted, pitch.track(wave_N, audio))
                if audio.mel_channels > COEFFICIENTS
                else None,
                speaker_similarity_error=speaker_similarity_error(
                    generator, predicted, voice, batches.reference_frames, corpus, config
                ),
            )
            write_wav(sample.wav_path, wave_N, audio.sample_rate_hz)
            _write_arrays(folder / f"{name}.npz", sample)
            samples.append(sample)
            index.append(
                {
                    "name": name,
                    "text": utterance.text,
                    "speaker": utterance.speaker,
                    "language": utterance.language,
                    "wav": f"{name}.wav",
                    "npz": f"{name}.npz",
                    "seconds": seconds_of_frames(len(predicted), audio.sample_rate_hz, audio.hop_samples),
                }
            )
    _write_index(folder, index)
    return samples


def _write_arrays(path: Path, sample: Sample) -> None:
    np.savez_compressed(
        path,
        predicted_mel_MC=sample.predicted_mel_MC.astype(np.float16),
        true_mel_MC=sample.true_mel_MC.astype(np.float16),
        alignment_TM=sample.alignment_TM,
    )


def _write_index(folder: Path, index: list[dict[str, object]]) -> None:
    write_text_atomic(folder / "index.json", json.dumps(index, ensure_ascii=False, indent=1))


def _describe_voices(verification: VoiceVerification | None) -> str:
    if verification is None:
        return ""
    found = verification.figures
    return (
        f"; voices: same speaker {found.same_mean:.2f}, other {found.other_mean:.2f}, equal error rate "
        f"{found.equal_error_rate:.0%} over {describe_speakers(verification.speakers, verification.unseen)}"
    )


def _or_none(best: float | None) -> str:
    return "none" if best is None else f"{best:.4f}"


class Validation:
    """Runs validations: metrics, the best value, and samples to look at and listen to.

    Args:
        run: the run to validate.
        generator: speaks the samples with the averaged weights.
        batches: validation batches.
    """

    def __init__(self, run: RunContext, generator: Generator, batches: Batches) -> None:
        self.context, self.generator, self.batches = run, generator, batches
        self.state, self.log, self.trainer = run.state, run.log, run.trainer
        training = run.config.training
        self.rule = BestRule(training.early_stopping_min_delta, training.best_tolerance)

    def run(self, *, scheduled: bool = True) -> bool:
        """Validate and log; returns whether the metric is the best so far, or as good (health.signs.BestRule).

        An unscheduled validation, at the end of a run, does not count towards early stopping: the run may be resumed.
        """
        trainer = self.trainer
        config, state, position = self.context.config, self.state, self.state.position
        metrics = validate(trainer.step, self._progressing(), config)
        verification = verify_voices(self.generator, self.batches, trainer.corpus, config)
        if verification is not None:
            found = verification.figures
            figures = (found.same_mean, found.other_mean, found.equal_error_rate)
            metrics |= {name: value for name, value in zip(VOICE_METRICS, figures, strict=True) if value is not None}
            state.health.observe_voices(
                position.update,
                metrics["voice_equal_error_rate"],
                same=found.same_mean,
                other=found.other_mean,
                of=(verification.speakers, verification.unseen),
            )
        try:
            metrics |= self._spoken(position.update)
        except (OSError, StorageError, NonFiniteError) as error:
            self.log.event("samples_failed", str(error))
            self.log.warn(f"the samples of update {position.update} could not be written: {error}")
        value = metrics.get(config.training.best_metric, math.nan)
        if math.isnan(value):
            self.log.warn(f"update {position.update} has no {config.training.best_metric}: it cannot be the best")
        if self._starts_critic(value):
            state.forget_best()
        reset, state.best_reset = state.best_reset, False
        improved = self.rule.improves(value, position.best)
        equal = not improved and self.rule.equals(value, position.best)
        state.validated(value, improved=improved, equal=equal, scheduled=scheduled)
        if config.training.best_metric in metrics:  # without several speakers or samples, some metrics do not exist
            state.health.observe_validation(position.update, value, position.best_validation())
        if not config.loss.adaptive_weights:  # they change the loss of the updates, but not this total
            state.health.observe_total(position.update, metrics["total"])
        record = {"kind": "validation", "update": position.update, "time": time.time(), "metrics": metrics}
        if verification is not None:
            record["voices"] = {"speakers": verification.speakers, "unseen": verification.unseen}
        self.log.metrics.write(record | ({"reset": True} if reset else {}))
        try:
            self.log.tensorboard.validation(position.update, metrics)
        except StorageError as error:
            self.log.warn(f"{error}; TensorBoard will lack the validation of update {position.update}")
        self.log.say(
            f"validation at update {position.update}: {config.training.best_metric} {value:.4f}"
            f"{self._standing(improved, equal)}, total {metrics['total']:.3f}{_describe_voices(verification)}"
        )
        return improved or equal

    def _standing(self, improved: bool, equal: bool) -> str:
        """The comparison of a value with the best one, for the log line."""
        position = self.state.position
        if improved:
            return " (best)"
        if equal:
            share = self.rule.tolerance
            return f" (best: the newest within {share:.0%} of the lowest, {_or_none(position.best)})"
        return f", best {_or_none(position.best)} at update {position.best_update}"

    def _starts_critic(self, value: float) -> bool:
        """Whether the best is chosen again, because the decoder is now trained by the critic at full weight."""
        position = self.state.position
        trained = int(trained_by_critic(position.update, self.context.config))
        if trained == position.critic_seen or not math.isfinite(value):
            return False
        self.state.see_critic(trained)
        return position.best is not None

    def _spoken(self, update: int) -> dict[str, float]:
        """Speak the samples and log them to TensorBoard; returns their mean distances to recordings and voices."""
        trainer = self.trainer
        folder = self.context.directory.samples_of_update(update)
        samples = speak_samples(self.generator, trainer.step, self.batches, trainer.corpus, self.context.config, folder)
        for sample in samples:
            self.log.tensorboard.sample(
                update,
                sample.name,
                predicted_mel_MC=sample.predicted_mel_MC,
                true_mel_MC=sample.true_mel_MC,
                alignment_TM=sample.alignment_TM,
                wav_path=sample.wav_path,
            )
        distances = [sample.distances for sample in samples if sample.distances is not None]
        found = {name: [getattr(one, name) for one in distances] for name in DISTANCE_METRICS}
        found["speaker_similarity_error"] = [sample.speaker_similarity_error for sample in samples]
        known = {name: [value for value in values if value is not None] for name, values in found.items()}
        return {name: float(np.mean(values)) for name, values in known.items() if values}

    def _progressing(self) -> Iterator[Batch]:
        show: Callable[[str, int, int], None] = self.log.screen.progress
        total = len(self.batches)
        for number, batch in enumerate(self.batches.all(), 1):
            yield batch
            show("validation", number, total)
