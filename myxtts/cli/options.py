"""The options of the training commands as data: option -> setting. Defaults and ranges stand in the schema alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """A command line option that sets one setting. An empty `help` takes the setting's meaning from the schema."""

    flag: str
    key: str
    metavar: str
    help: str = ""


SETTING_OPTIONS: dict[str, tuple[Option, ...]] = {
    "data": (
        Option(
            "--train-data",
            "data.train_path",
            "DIR",
            "training data; if the default is missing, the built-in corpus",
        ),
        Option(
            "--val-data",
            "data.val_path",
            "DIR",
            "validation data; if the default is missing, a share of training",
        ),
        Option("--num-workers", "data.num_workers", "N", "processes that compute features; 0: one per processor"),
    ),
    "model and level": (
        Option("--model-size", "model_size", "SIZE", "size of the networks"),
        Option("--optimization-level", "optimization_level", "LEVEL", "named optimizer, loss and schedule settings"),
        Option("--decoder", "model.decoder", "KIND", "mel decoder: regression, or flow matching"),
    ),
    "training": (
        Option("--lr", "optimizer.learning_rate", "RATE", "learning rate at the end of the warmup"),
        Option("--batch-size", "training.batch_size", "CLIPS", "clips per micro-batch"),
        Option("--grad-accum", "training.grad_accum", "N", "micro-batches per update"),
        Option("--epochs", "training.epochs", "N", "passes over the training data"),
        Option("--max-updates", "training.max_updates", "N", "updates after which the run ends; 0: `--epochs` decides"),
        Option("--warmup-updates", "schedule.warmup_updates", "N", "updates over which the learning rate rises"),
        Option("--clip-norm", "optimizer.clip_norm", "NORM", "largest global gradient norm"),
        Option("--precision", "training.precision", "KIND", "precision of the networks: fp32, bf16, fp16 or auto"),
        Option("--mel-loss-weight", "loss.mel_weight", "W", "weight of the mel loss"),
        Option("--kl-loss-weight", "loss.kl_weight", "W", "weight of the KL divergence of the style posterior"),
        Option("--seed", "training.seed", "N", "random seed"),
    ),
    "run": (Option("--checkpoint-dir", "training.checkpoint_dir", "DIR", "run directory: checkpoints, metrics"),),
}

OPTION_OF_KEY: dict[str, str] = {option.key: option.flag for group in SETTING_OPTIONS.values() for option in group}
