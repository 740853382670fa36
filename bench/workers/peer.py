"""The training step of another project, from a checkout of it: `PYTHON peer.py NAME CHECKOUT BATCH.npz`.

It runs in a Python that has the packages of that project's networks (torch and others) and imports nothing of MyXTTS.
Packages that the project needs only for its loop and its data (lightning, hydra, eSpeak) are replaced by stand-ins;
networks, losses and optimizers are its own. It prints one line of JSON when it is ready, and one with the seconds of a
round for each number of steps that it reads.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

Batch = dict[str, Any]
Step = Callable[[], float]


def main() -> None:
    """Makes the step, then runs as many as each line of the input says."""
    name, checkout, batch = sys.argv[1:]
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    torch.manual_seed(1)
    with np.load(batch, allow_pickle=False) as arrays:
        made, weights = STEPS[name](Path(checkout), dict(arrays))
    first = made()
    _print({"weights": weights, "loss": first, "torch": torch.__version__})
    for line in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            loss = made()
        _print({"wall": time.perf_counter() - wall, "processor": time.process_time() - processor, "loss": loss})


def _print(figures: dict[str, Any]) -> None:
    print(json.dumps(figures), flush=True)


class StandIn(torch.nn.Module):  # type: ignore[misc]
    """What the networks use of a LightningModule."""

    device = torch.device("cpu")
    global_step = 0

    def save_hyperparameters(self, *_: object, **__: object) -> None:
        """Keeps the arguments of the caller as `hparams`."""
        given = dict(sys._getframe(1).f_locals)
        self.hparams = types.SimpleNamespace(**given.pop("kwargs", {}), **given)

    def log(self, *_: object, **__: object) -> None:
        """Nothing is logged."""


def _stand_in(name: str, **members: object) -> types.ModuleType:
    """A module of this name with these members only."""
    made = sys.modules[name] = types.ModuleType(name)
    vars(made).update(members)
    return made


def matcha(checkout: Path, batch: Batch) -> tuple[Step, int]:
    """Matcha-TTS as configs/model and configs/data/ljspeech.yaml describe it, clipped as its trainer clips."""

    def same(made: object) -> object:
        return made

    sys.path.insert(0, str(checkout))
    _stand_in("lightning", LightningModule=StandIn)
    _stand_in("lightning.pytorch")
    _stand_in("lightning.pytorch.utilities", rank_zero_only=same, grad_norm=None)
    package: Any = importlib.import_module("matcha")
    utils: Any = _stand_in("matcha.utils", __path__=[str(checkout / "matcha" / "utils")])
    _stand_in("matcha.utils.utils", plot_tensor=None)
    utils.get_pylogger = importlib.import_module("matcha.utils.pylogger").get_pylogger
    package.utils = utils
    models = importlib.import_module("matcha.models.matcha_tts")
    space = types.SimpleNamespace
    encoder: dict[str, Any] = {
        "n_feats": 80,
        "n_channels": 192,
        "filter_channels": 768,
        "filter_channels_dp": 256,
        "n_heads": 2,
    }
    encoder |= {"n_layers": 6, "kernel_size": 3, "p_dropout": 0.1, "spk_emb_dim": 64, "n_spks": 1, "prenet": True}
    durations: dict[str, Any] = {"filter_channels_dp": 256, "kernel_size": 3, "p_dropout": 0.1}
    decoder: dict[str, Any] = {"channels": [256, 256], "dropout": 0.05, "attention_head_dim": 64, "n_blocks": 1}
    decoder |= {"num_mid_blocks": 2, "num_heads": 2, "act_fn": "snakebeta"}
    symbols = 178
    model = models.MatchaTTS(
        n_vocab=symbols,
        n_spks=1,
        spk_emb_dim=64,
        n_feats=80,
        encoder=space(
            encoder_type="RoPE Encoder",
            encoder_params=space(**encoder),
            duration_predictor_params=space(**durations),
        ),
        decoder=decoder,
        cfm=space(name="CFM", solver="euler", sigma_min=1e-4),
        data_statistics={"mel_mean": -5.536622, "mel_std": 2.116101},
        out_size=None,
        optimizer=functools.partial(torch.optim.Adam, lr=1e-4, weight_decay=0.0),
    ).train()
    optimizer = model.configure_optimizers()["optimizer"]
    clips = {
        "x": torch.from_numpy(batch["text_BT"] % symbols).long(),
        "x_lengths": torch.from_numpy(batch["text_length_B"]).long(),
        "y": torch.from_numpy(batch["mel_BMC"].transpose(0, 2, 1).copy()),
        "y_lengths": torch.from_numpy(batch["mel_length_B"]).long(),
        "spks": None,
        "durations": None,
    }

    def step() -> float:
        optimizer.zero_grad()
        loss = model.training_step(clips, 0)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return float(loss)

    return step, sum(p.numel() for p in model.parameters())


def _piper_parts(checkout: Path) -> tuple[Any, Any, Any]:
    """The module of the model, the spectrogram and the batch of Piper, whose package was renamed once."""
    if (checkout / "src/python/piper_train/vits/lightning.py").is_file():
        sys.path.insert(0, str(checkout / "src/python"))
        training = importlib.import_module("piper_train.vits.lightning")
        mels, data = (
            importlib.import_module("piper_train.vits.mel_processing"),
            importlib.import_module("piper_train.vits.dataset"),
        )
    elif (checkout / "src/piper/train/vits/lightning.py").is_file():
        sys.path.insert(0, str(checkout / "src"))
        training = importlib.import_module("piper.train.vits.lightning")
        mels, data = (
            importlib.import_module("piper.train.vits.mel_processing"),
            importlib.import_module("piper.train.vits.dataset"),
        )
    else:
        raise SystemExit(f"{checkout}: no checkout of Piper: there is no vits/lightning.py")
    return training, mels.spectrogram_torch, data.Batch


def piper(checkout: Path, batch: Batch) -> tuple[Step, int]:
    """Piper's VITS with its defaults (quality medium, one speaker): generator, then discriminator."""
    lightning = _stand_in("pytorch_lightning", LightningModule=StandIn)
    _stand_in("lightning", LightningModule=StandIn, pytorch=lightning)
    training, spectrogram, batch_of = _piper_parts(checkout)
    symbols = 256
    model = training.VitsModel(num_symbols=symbols, num_speakers=1, batch_size=len(batch["text_BT"])).train()
    optimizers, _ = model.configure_optimizers()
    audio = torch.from_numpy(batch["wave_BN"])
    frames = torch.from_numpy(batch["mel_length_B"]).long()
    hop = model.hparams.hop_length
    clips = batch_of(
        phoneme_ids=torch.from_numpy(batch["text_BT"] % symbols).long(),
        phoneme_lengths=torch.from_numpy(batch["text_length_B"]).long(),
        spectrograms=spectrogram(audio, 1024, model.hparams.sample_rate, hop, 1024),
        spectrogram_lengths=frames,
        audios=audio[:, None],
        audio_lengths=frames * hop,
        speaker_ids=None,
    )
    parts = (model.model_g, optimizers[0], model.training_step_g), (model.model_d, optimizers[1], model.training_step_d)

    def step() -> float:
        losses = []
        for network, optimizer, loss_of in parts:
            # as its trainer does: the other network gets no gradients
            for other, *_ in parts:
                other.requires_grad_(other is network)
            optimizer.zero_grad()
            loss = loss_of(clips)
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        return losses[0]

    return step, sum(p.numel() for p in model.parameters())


STEPS: dict[str, Callable[[Path, Batch], tuple[Step, int]]] = {"matcha": matcha, "piper": piper}

if __name__ == "__main__":
    main()
