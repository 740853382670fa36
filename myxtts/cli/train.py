"""The training command: options -> settings -> audited data -> training. TensorFlow is imported last."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from myxtts.cli.arguments import Request, request_of, training_parser
from myxtts.cli.launch import gpus_here, launch, leave, process_count, watch_launcher
from myxtts.cli.places import run_directory_problems
from myxtts.cli.runtime import program_path, python_command, quiet_loading
from myxtts.cli.screen import Nowhere, Screen, guarded, optional, settings_table
from myxtts.cli.source_run import SourceRun, cold_start, source_run
from myxtts.config.document import explain
from myxtts.config.fields import LEAVES
from myxtts.config.files import load_file
from myxtts.config.resolve import Layer, Resolved, built_in_corpus_layer, epochs_layer, program_layer, resolve
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.training.members import ALONE, Member, member_of

if TYPE_CHECKING:
    from myxtts.cli.plan import RunPlan
    from myxtts.data.identity import KnownClips
    from myxtts.data.prepare import PreparedData

_SHOWN_WORDS = 8
_LENGTH_KEYS = ("training.epochs", "training.max_updates")


def main(
    argv: Sequence[str] | None = None,
    *,
    program: str = "myxtts train",
    pinned_level: str | None = None,
    default_checkpoint_dir: str | None = None,
) -> int:
    """Trains with the options in `argv` (the arguments without the program); returns the exit code.

    `pinned_level` is the only optimization level that this program accepts; `default_checkpoint_dir` is the default of
    training.checkpoint_dir.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    entry: dict[str, object] = {}
    if pinned_level:
        entry["optimization_level"] = pinned_level
    if default_checkpoint_dir:
        entry["training.checkpoint_dir"] = default_checkpoint_dir
    members: list[Member] = []
    code = guarded(lambda: _train(words, program_layer(program, entry), pinned_level, members))
    if members:
        leave(code)
    return code


def _train(words: list[str], entry: Layer, pinned_level: str | None, members: list[Member]) -> int:
    """Train; a process that is one of several is added to `members` before it meets the others."""
    screen = Screen()
    if "--help" in words or "-h" in words:
        screen.say(training_parser(entry.name, resolve([entry])).format_help().rstrip())
        return EXIT_DONE
    request = request_of(*training_parser(entry.name, None).parse_known(words))
    layers = _given_layers(request, entry)
    trains_voice = pinned_level != "vocoder"
    source = source_run(request, layers) if trains_voice else None
    resolved, built_in = _resolve(layers, source, entry, pinned_level)
    if request.explain:
        for key in request.explain:
            screen.say(*explain(resolved, key))
        return EXIT_DONE
    if problems := run_directory_problems(resolved.config, request):
        raise ConfigError(problems)
    launched, gpus = watch_launcher(), gpus_here()
    member = ALONE if request.dry_run else member_of(os.environ)
    processes = process_count(resolved.config.training.devices, gpus) if member.size == 1 else 1
    several = member.size > 1
    if request.automatic_batch and (several or processes > 1):
        one = "" if several else "add --devices 1, or "
        raise ConfigError(
            f"--batch-size auto is for one process: {one}name the clips of a micro-batch, which all share"
        )
    if several:
        members.append(member)
    if not request.dry_run:
        screen.go_on_without_output()
    nowhere = cast(TextIO, Nowhere())
    quiet = Screen(nowhere, nowhere)
    screen = screen if member.chief else quiet
    early = quiet if launched else screen  # the launcher has shown all this
    base = None if source is None else source.corpus()
    with _meeting(member, resolved, request) as agree_on_data:
        early.say(*settings_table(resolved))
        if trains_voice and (warning := cold_start(resolved, source, fresh=request.fresh)):
            early.warn(warning)
        # Before TensorFlow is imported, so that the worker processes fork a small program.
        from myxtts.data.prepare import prepare

        known = None if request.fresh else _known_clips(resolved)
        prepared = prepare(
            resolved.config, early.progress, named=resolved.named, base=base, known=known, shared=several
        )
        agree_on_data(prepared)
    early.close()
    early.say("", *prepared.notes, *prepared.audit.table(), "")
    if request.dry_run:
        if trains_voice:
            _print_plan(screen, resolved, prepared)
        return EXIT_DONE
    command = resume_command(words, entry.name)
    early.say(*_length_lines(resolved, prepared))
    if trains_voice:
        screen.expect_speed(_plan(resolved, prepared).frames_per_second)
    if processes > 1:
        del prepared  # the processes have their own
        own = [sys.executable, *_program_words(entry.name), *words]
        return launch(own, processes, gpus, resolved.config.training.threads, command)
    if launched and gpus:
        _require_gpu()
    updates = _run(request, resolved, prepared, screen, command, member)
    if built_in and trains_voice:
        screen.say(*first_run_lines(resolved, updates, command))
    elif trains_voice:
        screen.say(*end_lines(resolved, prepared, updates, command))
    return EXIT_DONE


@contextmanager
def _meeting(member: Member, resolved: Resolved, request: Request) -> Iterator[Callable[[PreparedData], None]]:
    """A context in which the other processes are there and have the same settings; gives the check of the data."""
    if member.size == 1:
        yield lambda prepared: None
        return
    from myxtts.training import meeting

    config = resolved.config
    with meeting.Meeting(member, config.training.join_seconds) as met:
        facts = meeting.settings_facts(config, fresh=request.fresh, init_from=request.init_from)
        met.agree(facts, meeting.SETTINGS_ADVICE)
        met.check_folder(Path(config.training.checkpoint_dir).expanduser().absolute(), meeting.FOLDER_ADVICE)
        yield lambda prepared: met.agree(meeting.data_facts(prepared), meeting.DATA_ADVICE)


def _known_clips(resolved: Resolved) -> KnownClips | None:
    """The clips of the run that this command resumes; None if there is none."""
    from myxtts.data.identity import read_known
    from myxtts.storage.run_directory import RunDirectory

    run = RunDirectory(Path(resolved.config.training.checkpoint_dir).expanduser())
    return read_known(run.clips_path, run.corpus_path)


def resolve_request(request: Request, entry: Layer, pinned_level: str | None) -> tuple[Resolved, bool]:
    """The configuration, and whether the built-in corpus replaces the data.

    Raises ConfigError; CheckpointError if the settings of the run of --init-from cannot be read.
    """
    layers = _given_layers(request, entry)
    return _resolve(layers, source_run(request, layers), entry, pinned_level)


def _given_layers(request: Request, entry: Layer) -> list[Layer]:
    """The layers of the program, the command line and the settings file."""
    layers = [entry, request.layer]
    if request.config_file is not None:
        layers.append(load_file(request.config_file))
    return layers


def _resolve(
    given: Sequence[Layer], source: SourceRun | None, entry: Layer, pinned_level: str | None
) -> tuple[Resolved, bool]:
    layers = [*given] if source is None else [*given, source.layer]
    train_path = str(LEAVES["data.train_path"].default)
    built_in = not Path(train_path).expanduser().exists() and not any(layer.sets("data.train_path") for layer in layers)
    if built_in and not any(layer.sets(*_LENGTH_KEYS) for layer in layers):
        layers.append(built_in_corpus_layer())
    if any(layer.sets("training.epochs") for layer in given):
        layers.append(epochs_layer())
    pinned = {}
    if pinned_level:
        advice = f"{entry.name} trains only at this level; for others use `python3 {program_path('train_main.py')}`"
        pinned["optimization_level"] = (pinned_level, advice)
    return resolve(layers, pinned), built_in


def resume_command(words: Sequence[str], program: str) -> str:
    """The command line that resumes the run that `words` started: the same without --fresh and --init-from."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word == "--fresh":
            skip = False
        elif word == "--init-from":
            skip = True
        elif not word.startswith("--init-from="):
            kept.append(word)
    return shlex.join([python_command(), *_program_words(program), *kept])


def _program_words(program: str) -> list[str]:
    """The words after Python on the command line of a program."""
    return ["-m", *program.split()] if program.startswith("myxtts ") else [program_path(program)]


def _print_plan(screen: Screen, resolved: Resolved, prepared: PreparedData) -> None:
    from myxtts.cli.plan import plan_lines

    plan = _plan(resolved, prepared)
    screen.say("Plan (estimates; nothing was trained or written to the run directory):")
    screen.table(plan_lines(plan, resolved.config))
    screen.say(*_length_lines(resolved, prepared))


def _plan(resolved: Resolved, prepared: PreparedData) -> RunPlan:
    from myxtts.cli.plan import make_plan

    text_lengths, mel_lengths = prepared.train.lengths
    return make_plan(
        resolved.config, text_lengths, mel_lengths, len(prepared.validation), len(prepared.corpus.speakers)
    )


def end_lines(resolved: Resolved, prepared: PreparedData, updates: int, command: str) -> list[str]:
    """What to expect of a run on the user's data after `updates` updates, and what to type next."""
    from myxtts.cli.plan import words_expected

    run = resolved.config.training.checkpoint_dir
    sentence = prepared.validation.utterances[0]
    words = [python_command(), "-m", "myxtts"]
    speak = [*words, "speak", f"--text={_beginning(sentence.text)}", "--checkpoint", run, "--out", "hello.wav"]
    if len(prepared.corpus.languages) > 1:
        speak += ["--language", sentence.language]
    lines = [words_expected(updates, resolved.config)]
    if lines[0]:
        lines.append(f"To train longer, raise --epochs or --max-updates: {command}")
    return [line for line in (*lines, f"Listen to it: {shlex.join(speak)}") if line]


def _beginning(text: str) -> str:
    """The first words of a text, for a command to copy."""
    words = text.split()
    return " ".join(words[:_SHOWN_WORDS]) + (" ..." if len(words) > _SHOWN_WORDS else "")


def _length_lines(resolved: Resolved, prepared: PreparedData) -> list[str]:
    """Why a run is longer than its epochs, and whether it would end within its warmup; nothing if all is well."""
    from myxtts.cli.plan import floor_words, little_speech_words, warmup_words
    from myxtts.data.plan import batches_per_epoch

    config, plan = resolved.config, _plan(resolved, prepared)
    batches = max(1, batches_per_epoch(plan.clips, config.training.batch_size))
    lines = [floor_words(config, batches)]
    if plan.updates < config.schedule.warmup_updates and not plan.ends_by_time:
        lines.append(f"This run {warmup_words(plan.updates, config)}.")
    lines.append(little_speech_words(plan, config))
    return [line for line in lines if line]


def first_run_lines(resolved: Resolved, updates: int, command: str) -> list[str]:
    """What to expect of a run on the built-in corpus after `updates` updates, and how to continue."""
    warmup, rate = resolved.config.schedule.warmup_updates, resolved.config.optimizer.learning_rate
    lines = [f"This run used the built-in corpus (voices of eSpeak NG), {updates} updates."]
    if updates < warmup:
        lines.append(
            f"The learning rate has reached {updates / warmup:.0%} of {rate:g} (the warmup lasts {warmup} updates): "
            "expect no intelligible speech yet. The run shows that everything works from data to audio."
        )
    if resolved.source("training.max_minutes").layer == "built-in corpus":
        epochs = resolved.config.training.epochs
        minutes = resolved.config.training.max_minutes
        lines.append(f"It ended after {minutes:g} minutes by design. To continue: {command} --epochs {epochs}")
    if updates < warmup:
        lines.append("For a first audible voice: make demo")
    return lines


def _run(
    request: Request, resolved: Resolved, prepared: PreparedData, screen: Screen, command: str, member: Member
) -> int:
    """Trains, and returns the number of updates that the run has now."""
    with quiet_loading():
        from myxtts.training.run import train
    from myxtts.storage.run_directory import NotOwnerError

    init_from = Path(request.init_from) if request.init_from else None
    if request.automatic_batch:
        from myxtts.training.batch_size import with_automatic_batch

        resolved = with_automatic_batch(resolved, prepared, screen.say, fresh=request.fresh)
    run, owned = Path(resolved.config.training.checkpoint_dir).expanduser(), member.chief
    try:
        updates: int = train(
            resolved,
            prepared,
            fresh=request.fresh,
            init_from=init_from,
            command=command,
            screen=screen,
            lost_output=screen.lost,
            member=member,
        )
    except NotOwnerError:
        owned = False  # the report would be written into the run of another process
        raise
    finally:
        screen.close()
        if owned:
            again = shlex.join([python_command(), "-m", "myxtts", "report", str(run)])
            optional(screen, lambda: _report(screen, run), "no report page", again)
    return updates


def _require_gpu() -> None:
    """Raises ConfigError if TensorFlow cannot use the GPU that this process was started for."""
    with quiet_loading():
        from myxtts.training.gpu import require_gpu
    require_gpu()


def _report(screen: Screen, run: Path) -> None:
    """Writes the report of the run."""
    from myxtts.report import write_report
    from myxtts.storage.run_directory import RunDirectory

    if RunDirectory(run).metrics_path.exists():  # otherwise nothing was trained here
        screen.say(f"Report: {write_report(run)}")
