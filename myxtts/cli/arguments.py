"""Parses command lines: settings as a layer, the other options, and errors that suggest the nearest option."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from myxtts.cli.screen import Screen
from myxtts.config.aliases import ALIASES
from myxtts.config.fields import LEAVES, nearest
from myxtts.config.resolve import Given, Layer, Rank, Resolved, resolve
from myxtts.errors import ConfigError
from myxtts.messages import plain, quoted
from myxtts.storage import STARTER


@dataclass(frozen=True)
class Option:
    """A command line option that sets one setting; its default and range are in the schema."""

    flag: str
    key: str
    metavar: str
    help: str


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
        Option("--columns", "data.columns", "LIST", "columns of the metadata table, such as id,speaker,text"),
        Option("--layout", "data.layout", "NAME", "layout of the data, if it is not recognized"),
        Option("--language", "text.language", "CODE", "language of rows without one, such as fa"),
        Option("--dictionary", "text.dictionary", "FILE", "pronunciations that take precedence: word, tab, phonemes"),
        Option("--num-workers", "data.num_workers", "N", "processes that compute features; 0: one per processor"),
    ),
    "model and level": (
        Option("--model-size", "model_size", "SIZE", "size of the networks"),
        Option("--optimization-level", "optimization_level", "LEVEL", "named optimizer, loss and schedule settings"),
        Option("--decoder", "model.decoder", "KIND", "mel decoder: regression, or flow matching"),
    ),
    "training": (
        Option("--lr", "optimizer.learning_rate", "RATE", "learning rate at the end of the warmup"),
        Option("--batch-size", "training.batch_size", "CLIPS", "clips per micro-batch; auto: as many as a GPU holds"),
        Option("--grad-accum", "training.grad_accum", "N", "micro-batches per update"),
        Option("--epochs", "training.epochs", "N", "passes over the training data"),
        Option("--max-updates", "training.max_updates", "N", "updates after which the run ends; 0: `--epochs` decides"),
        Option("--warmup-updates", "schedule.warmup_updates", "N", "updates over which the learning rate rises"),
        Option("--clip-norm", "optimizer.clip_norm", "NORM", "largest global gradient norm"),
        Option("--precision", "training.precision", "KIND", "precision of the networks: fp32, bf16, fp16 or auto"),
        Option("--mel-loss-weight", "loss.mel_weight", "W", "weight of the mel loss"),
        Option("--kl-loss-weight", "loss.kl_weight", "W", "weight of the KL divergence of the style posterior"),
        Option("--seed", "training.seed", "N", "random seed"),
        Option("--devices", "training.devices", "N", "processes, one for each GPU; 0: all GPUs of this machine"),
    ),
    "run": (Option("--checkpoint-dir", "training.checkpoint_dir", "DIR", "run directory: checkpoints, metrics"),),
}

_BATCH_SIZE, _AUTOMATIC = "training.batch_size", "auto"
FRESH = "--fresh"
"""Starts over. It is never suggested for an unknown option: nobody requested what it does."""
_RESUMING = re.compile(
    r"_*(?:auto_?)?(?:resume|restore|continue|reload|recover|warm_?start)(?:_\w*)?"
    r"|_*(?:load_?|from_?|last_?|pretrained_?)*(?:ckpt|checkpoint|weights)(?:_?(?:path|file|from))?"
)
"""Options of other programs that continue a run."""

OPTION_OF_KEY: dict[str, str] = {option.key: option.flag for group in SETTING_OPTIONS.values() for option in group}
"""Setting -> its option."""


@dataclass(frozen=True)
class Request:
    """A parsed training command line. `layer` holds the settings in the order in which they were given."""

    layer: Layer
    config_file: str | None
    explain: tuple[str, ...]
    dry_run: bool
    fresh: bool
    init_from: str | None
    automatic_batch: bool = False
    """Whether the batch size is found out on the GPU (`--batch-size auto`)."""


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one-line ConfigErrors without the usage. Options are never abbreviated."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError instead of printing the usage and exiting."""
        raise ConfigError(f"{message.removeprefix('argument ')}; --help lists the options of {self.prog}")

    def print_help(self, file: object = None) -> None:
        """Prints the help through Screen, which handles a full disk and a closed pipe."""
        Screen().say(self.format_help().rstrip())

    def parse_known(self, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """The namespace, and one line for every unknown option. Raises ConfigError."""
        namespace, rest = self.parse_known_args(list(argv))
        flags = [flag for action in self._actions for flag in action.option_strings]
        return namespace, unknown_options(rest, flags)

    def parse(
        self, argv: Sequence[str], problems: Callable[[argparse.Namespace], Sequence[str]] = lambda given: ()
    ) -> argparse.Namespace:
        """The namespace. Raises ConfigError with every unknown option and what `problems` finds in the namespace."""
        given, unknown = self.parse_known(argv)
        if found := [*unknown, *problems(given)]:
            raise ConfigError(found)
        return given


def unknown_options(rest: Sequence[str], flags: Sequence[str]) -> list[str]:
    """One line for each unknown option in `rest`, the words that a parser left; a word after one is its value."""
    lines: list[str] = []
    after_option = False
    for word in rest:
        if word.startswith("-") and len(word) > 1:
            name = word.partition("=")[0]
            lines.append(f"unknown option {quoted(name)}; {_hint(name, flags)}--help lists all")
            after_option = True
        elif not after_option:
            lines.append(f"unexpected argument {quoted(word)}; every value follows an option, --help lists all")
        else:
            after_option = False
    return lines


def _hint(name: str, flags: Sequence[str]) -> str:
    """What to write in place of an unknown option, "" if nothing is near; never an option that moves a run."""
    key = ALIASES.get(name.lower().lstrip("-").replace("-", "_"), "")
    if FRESH in flags and not key and _RESUMING.fullmatch(name.lower().replace("-", "_")):
        return (
            "the same command resumes the run in --checkpoint-dir, without an option; --init-from RUN starts a new run "
            "from the weights of another; "
        )
    best = OPTION_OF_KEY.get(key, "")
    if best not in flags:
        best = nearest(name, flags) or ""
        best = "" if best == FRESH else best
    if key and "--set" in flags and not OPTION_OF_KEY.get(key):
        best = f"--set {key}=..."
    return f"did you mean {best}? " if best else ""


class _Collect(argparse.Action):
    """Appends a setting to one list, which keeps the order of all options: a later one overrides an earlier one."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        namespace.settings.append(Given(str(self.const), values, f"command line {option_string}"))


class _CollectSet(argparse.Action):
    """`--set section.key=value`."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        key, equals, value = str(values).partition("=")
        if not equals:
            namespace.problems.append(f"--set takes section.key=value, got {quoted(values)}")
            return
        namespace.settings.append(Given(key.strip(), value, "command line --set"))


def training_parser(program: str, defaults: Resolved | None) -> OneLineParser:
    """The parser of a training command. `defaults`: the settings without options, for the help; None without help."""
    parser = OneLineParser(
        prog=program,
        add_help=False,
        usage=f"{program if program.startswith('myxtts ') else f'python3 {program}'} [options]",
        description=f"Trains a {'neural vocoder' if 'vocoder' in program else 'voice'}. The same command resumes an "
        "interrupted run.",
        epilog="Every setting: docs/reference/configuration.md. "
        "Order: default < size < level < --init-from < settings file < command line.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=36, width=110),
    )
    parser.set_defaults(settings=[], problems=[])
    for title, options in SETTING_OPTIONS.items():
        group = parser.add_argument_group(title)
        _add_setting_options(group, options, defaults)
        if title == "run":
            _add_run_options(group)
    settings = parser.add_argument_group("settings")
    _add_settings(settings)
    settings.add_argument(
        "--explain",
        metavar="KEY",
        action="append",
        default=[],
        help="print a value and its origin",
    )
    settings.add_argument("-h", "--help", action="store_true", help="print this")
    return parser


def preparation_parser(program: str) -> OneLineParser:
    """The parser of `myxtts prepare`: the settings that features depend on."""
    parser = OneLineParser(
        prog=program,
        usage=f"{program} --data ROOT [options]",
        description="Computes the features of a data set into the cache and audits it; trains nothing. Several such "
        "commands may run at once, on one machine or on several with a shared cache folder: they share the work.",
        epilog="Training with the same data and settings uses them.",
    )
    parser.set_defaults(settings=[], problems=[])
    data = Option("--data", "data.train_path", "ROOT", "data root, as for --train-data")
    cache = Option("--cache", "data.cache_path", "DIR", "folder for the features")
    _add_setting_options(parser, (data, cache, *SETTING_OPTIONS["data"][1:]), resolve([]))
    _add_settings(parser)
    return parser


def _add_setting_options(
    group: argparse._ActionsContainer, options: Sequence[Option], defaults: Resolved | None
) -> None:
    for option in options:
        group.add_argument(
            option.flag,
            action=_Collect,
            const=option.key,
            default=argparse.SUPPRESS,
            metavar=option.metavar,
            help=f"{option.help}{_default(option.key, defaults)}".replace("%", "%%"),
        )


def _add_settings(group: argparse._ActionsContainer) -> None:
    """Adds `--config` and `--set`."""
    group.add_argument("--config", metavar="FILE", help="YAML settings file")
    group.add_argument(
        "--set",
        action=_CollectSet,
        metavar="KEY=VALUE",
        default=argparse.SUPPRESS,
        help="any other setting, as in data.max_clip_seconds=8",
    )


def _add_run_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(FRESH, action="store_true", help="start over; the existing run is moved aside")
    group.add_argument("--init-from", metavar="RUN", help="start a new run from the weights and networks of another")
    group.add_argument("--dry-run", action="store_true", help="audit the data, print the plan, train nothing")


def add_prefer_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--prefer`."""
    parser.add_argument("--prefer", choices=("best", "last"), default="best", help="which checkpoint of a run (best)")


def add_dictionary_option(parser: argparse._ActionsContainer) -> None:
    """Adds `--dictionary` of the commands that speak; `cli.runtime.dictionary_of` reads it."""
    parser.add_argument(
        "--dictionary",
        metavar="FILE",
        help="pronunciations that take precedence: word, tab, phonemes or a respelling in each line",
    )


def add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint` and `--prefer` of the commands that speak."""
    parser.add_argument(
        "--checkpoint",
        metavar="RUN",
        default=STARTER,
        help="run directory, one of its step folders, or an exported folder (starter, which comes with MyXTTS)",
    )
    add_prefer_option(parser)


def add_vocoder_option(group: argparse._ActionsContainer) -> None:
    """Adds `--vocoder`."""
    group.add_argument(
        "--vocoder",
        metavar="KIND",
        default="neural",
        help="what turns mels into sound: neural, griffin_lim, or a vocoder file or run (neural)",
    )


def _default(key: str, defaults: Resolved | None) -> str:
    if defaults is None:
        return ""
    source = defaults.source(key)
    origin = f", {source.layer}" if source.layer.startswith("level") else ""
    choices = LEAVES[key].accepts.choices
    listed = f"; one of {', '.join(choices)}" if choices else ""
    return f" ({plain(source.value)}{origin}{listed})"


def request_of(namespace: argparse.Namespace, problems: Sequence[str]) -> Request:
    """The parsed command line as a Request; `problems` are added to those of the layer."""
    sizes = [given for given in namespace.settings if given.key == _BATCH_SIZE]
    automatic = bool(sizes) and sizes[-1].value == _AUTOMATIC
    # those before it do not count, and the level's value takes its place
    ignored = sizes if automatic else [given for given in sizes if given.value == _AUTOMATIC]
    namespace.settings = [given for given in namespace.settings if not any(given is one for one in ignored)]
    return Request(
        layer_of(namespace, problems),
        namespace.config,
        tuple(namespace.explain),
        namespace.dry_run,
        namespace.fresh,
        namespace.init_from,
        automatic,
    )


def layer_of(namespace: argparse.Namespace, problems: Sequence[str]) -> Layer:
    """The settings on a command line; `problems` are added to its own."""
    return Layer(Rank.COMMAND_LINE, "command line", tuple(namespace.settings), (*problems, *namespace.problems))
