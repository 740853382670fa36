"""A model of a few thousand weights, a small corpus, and a checkpoint of both, as a training would write it."""

import dataclasses
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.audio import mel
from myxtts.audio.waveform import write_wav
from myxtts.config.files import config_yaml
from myxtts.config.resolve import Given, Layer, Rank, Resolved, resolve
from myxtts.config.schema import AudioConfig, VocoderConfig
from myxtts.data.corpus import Corpus
from myxtts.storage.store import CheckpointStore
from myxtts.text.symbols import default_table

AUDIO = AudioConfig()
SPEAKERS = ["ann", "bob", "cleo"]
SETTINGS: dict[str, object] = {
    "model.width": 16,
    "model.heads": 2,
    "model.text_blocks": 1,
    "model.decoder_blocks": 1,
    "model.predictor_width": 16,
    "model.speaker_width": 16,
    "model.voice_width": 8,
    "model.style_width": 4,
    "model.flow_steps": 2,
    "model.critic_width": 2,
}


def resolved(**more: object) -> Resolved:
    """A complete configuration with the small model."""
    settings = {**SETTINGS, **{key.replace("__", "."): value for key, value in more.items()}}
    given = tuple(Given(key, str(value), "test") for key, value in settings.items())
    return resolve([Layer(Rank.FILE, "test", given)])


def corpus(**changes: Any) -> Corpus:
    """What a model remembers of three voices and two languages."""
    channels = AUDIO.mel_channels
    made = Corpus(
        mel_mean_C=np.linspace(-4.0, -7.0, channels, dtype=np.float32),
        mel_std_C=np.full(channels, 2.0, np.float32),
        pitch_mean=5.0,
        pitch_std=0.3,
        energy_mean=1.0,
        energy_std=2.0,
        speakers=SPEAKERS,
        speaker_spectrum_ZC=np.zeros((len(SPEAKERS), channels), np.float32),
        speaker_prosody_ZQ=np.zeros((len(SPEAKERS), 3), np.float32),
        prosody_mean_Q=np.zeros(3, np.float32),
        prosody_std_Q=np.ones(3, np.float32),
        languages=["en-us", "fa"],
        symbols=default_table("phonemes").to_json(),
        mel_fingerprint=mel.fingerprint(AUDIO),
    )
    return dataclasses.replace(made, **changes)


def model(settings: Resolved, seed: int = 1) -> Any:
    """The built network, its predicted durations about six frames a token and its mels no constant."""
    from myxtts.audio.harmonics import harmonic_table
    from myxtts.models.build import build_voice_cloner

    config = settings.config
    cloner = build_voice_cloner(
        config.model,
        channels=config.audio.mel_channels,
        symbols=len(default_table("phonemes")),
        languages=2,
        speakers=len(SPEAKERS),
        harmonics=harmonic_table(config.audio, 5.0, 0.3),
        seed=seed,
    )
    cloner.duration.out.bias.assign([np.log(1.0 + 6.0)])
    cloner.duration.out.kernel.assign(0.1 * cloner.duration.out.kernel.numpy())
    rng = np.random.default_rng(seed)
    for variable in cloner.trainable_variables:
        if "backbone/out" in variable.path or "scale_shift" in variable.path:
            variable.assign(rng.normal(0.0, 0.3, variable.shape).astype(np.float32))
    return cloner


@lru_cache(maxsize=2)
def weights(decoder: str) -> dict[str, np.ndarray]:
    """The weights of `model`, made once."""
    from myxtts.models.build import weights_of
    from myxtts.synthesis import network

    keep_networks(network)
    return weights_of(model(resolved(model__decoder=decoder)))


def save_run(directory: Path, settings: Resolved, of: Corpus | None = None, **arrays: Any) -> Path:
    """A run directory with one checkpoint, the best; `arrays` replace or, if None, take away what is in it."""
    rng = np.random.default_rng(5)
    config = settings.config
    voice_ZE = rng.normal(size=(len(SPEAKERS), config.model.voice_width)).astype(np.float32)
    stored: dict[str, Any] = {
        "average": arrays.pop("average") if "average" in arrays else weights(settings.config.model.decoder),
        "voices": {
            "voice_ZE": voice_ZE / np.linalg.norm(voice_ZE, axis=1, keepdims=True),
            "style_ZS": rng.normal(size=(len(SPEAKERS), config.model.style_width)).astype(np.float32),
        },
        **arrays,
    }
    store = CheckpointStore(directory / "checkpoints", keep=2, kept_every_updates=10)
    store.save(
        10,
        {stem: named for stem, named in stored.items() if named is not None},
        {"update": 10},
        texts={"config.yaml": config_yaml(settings), "corpus.json": json.dumps((of or corpus()).to_json())},
        best=True,
    )
    return directory


def save_vocoder(path: Path) -> Path:
    """Writes a small vocoder with random weights to a file; it is quick to export."""
    from myxtts.vocoder.files import VocoderFile, save_vocoder
    from myxtts.vocoder.network import build_network

    small = VocoderConfig(width=16, blocks=1)
    weights = {v.path: v.numpy() for v in build_network(small, AUDIO).trainable_variables}
    save_vocoder(VocoderFile(path, AUDIO, small, weights, 7), path)
    return path


def save_recording(path: Path, seconds: float = 2.0, loudness: float = 0.3, tone_hz: float = 150.0) -> Path:
    """A recording that is no silence: a buzzing tone that comes and goes, with a little noise."""
    rng = np.random.default_rng(3)
    time_N = np.arange(round(seconds * AUDIO.sample_rate_hz)) / AUDIO.sample_rate_hz
    tone = sum(np.sin(2 * np.pi * tone_hz * k * time_N) / k for k in range(1, 12))
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3.0 * time_N)
    samples = loudness * (0.4 * tone * swell + 0.01 * rng.normal(size=len(time_N)))
    write_wav(path, samples.astype(np.float32), AUDIO.sample_rate_hz)
    return path


_MOST_KEPT = 8


def keep_networks(network: Any) -> None:
    """From now on models of equal settings and weights share their networks, whose graphs are traced once.

    network: the module myxtts.synthesis.network.
    """
    if hasattr(network, "kept"):
        return
    network.kept = kept = dict[str, dict[str, Any]]()  # a test that needs fresh networks empties it
    build = network.TensorFlowModel.__init__

    def init(self: Any, opened: Any) -> None:
        key = _key(opened)
        if key not in kept:
            build(self, opened)
            if len(kept) == _MOST_KEPT:
                del kept[next(iter(kept))]
            kept[key] = dict(vars(self))
        vars(self).update(kept[key], config=opened.config, corpus=opened.corpus)
        network.load_weights(self.generator.model, opened.average)  # a test may have changed them

    network.TensorFlowModel.__init__ = init


def _key(opened: Any) -> str:
    """What the networks of an opened checkpoint follow from."""
    config, corpus = opened.config, opened.corpus
    sizes = len(opened.table), len(corpus.languages), len(corpus.speakers), corpus.pitch_mean, corpus.pitch_std
    found = hashlib.sha256(repr((config.model, config.audio, sizes)).encode())
    for name, array in sorted(opened.average.items()):
        found.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()
