"""`fix_nan_loss.py`: finds causes of NaN in settings, data, runs, checkpoints and logs, and fixes what it can."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.arguments import OneLineParser, unknown_options
from myxtts.cli.runtime import program_path, python_command
from myxtts.cli.screen import Screen, error_lines, guarded, print_errors
from myxtts.errors import EXIT_DONE, ConfigError, MyXTTSError
from myxtts.messages import quoted

if TYPE_CHECKING:
    from myxtts.doctor.findings import Report
    from myxtts.doctor.messages import Message

PROGRAM = "fix_nan_loss.py"
_PROGRAMS = (PROGRAM, "train_main.py", "train_stable.py")
_USAGE = """python3 fix_nan_loss.py [--language fa]
       python3 fix_nan_loss.py check TARGET... [--language fa]
       python3 fix_nan_loss.py fix --config FILE [--out FILE] [--apply]
       python3 fix_nan_loss.py fix --run DIR [--reset] [--apply]"""
_ABOUT = (
    "Without arguments, examines the usual places and says what to run next. check: ranks the causes of NaN in a "
    "settings file (older key names are understood), a data root, a run directory, a checkpoint or a log. fix: writes "
    "stable settings or repairs a run; it shows the changes, and makes them with --apply. It writes only to the path "
    "that you name."
)


class Speaker:
    """Prints messages of the repair tool in one language."""

    def __init__(self, screen: Screen, language: str) -> None:
        self.screen, self.language = screen, language
        self._python = shlex.quote(python_command())

    def text(self, key: str | Message, /, **values: object) -> str:
        """A message by its key and values, or as given."""
        from myxtts.doctor.messages import message, render

        text = render(message(key, **values) if isinstance(key, str) else key, self.language, self._python)
        for program in _PROGRAMS:  # messages name the programs as in the repository
            path = shlex.quote(program_path(program))
            text = text.replace(f"{self._python} {program}", f"{self._python} {path}")
        return text

    def say(self, key: str | Message, indent: int = 0, /, **values: object) -> None:
        """Prints a message."""
        self.screen.say(" " * indent + self.text(key, **values))

    def command(self, program: str, *words: str) -> str:
        """A command line as a user would type it."""
        return shlex.join([python_command(), program_path(program), *words])


def main(argv: Sequence[str] | None = None) -> int:
    """Does what `argv` (the arguments without the program) asks for; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _run(words))


def _run(argv: list[str]) -> int:
    parser = _parser()
    namespace, rest = parser.parse_known_intermixed_args(argv)
    if namespace.help:
        Screen().say(parser.format_help().rstrip())
        return EXIT_DONE
    flags = [flag for action in parser._actions for flag in action.option_strings]
    problems = [*unknown_options(rest, flags), *_problems(namespace)]
    if problems:
        raise ConfigError(problems)
    speaker = Speaker(Screen(), namespace.language)
    command, *targets = namespace.words or [""]
    try:
        if command == "check":
            return _check(speaker, [Path(target) for target in targets])
        if command == "fix" and namespace.run:
            return _fix_run(speaker, Path(namespace.run), namespace.apply, namespace.reset)
        if command == "fix":
            out = Path(namespace.out) if namespace.out else None
            return _fix_settings(speaker, Path(namespace.config), out, namespace.apply)
        return _usual(speaker)
    finally:
        speaker.screen.close()


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=_USAGE,
        description=_ABOUT,
        allow_abbrev=False,
        add_help=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=110),
    )
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="check TARGET... or fix; none: the usual places")
    parser.add_argument("--config", metavar="FILE", help="fix: the settings to make stable")
    parser.add_argument("--out", metavar="FILE", help="fix --config: where the stable settings are written")
    parser.add_argument("--run", metavar="DIR", help="fix: the run directory to repair")
    parser.add_argument("--reset", action="store_true", help="fix --run: also where nothing shows that it diverged")
    parser.add_argument("--apply", action="store_true", help="fix: write; without it nothing is changed")
    parser.add_argument("--language", default="en", choices=("en", "fa"), help="language of the advice (en)")
    parser.add_argument("-h", "--help", action="store_true", help="print this")
    return parser


def _problems(options: argparse.Namespace) -> list[str]:
    """What in a command line does not fit together, one line each."""
    command, *targets = options.words or [""]
    if command not in ("", "check", "fix"):
        return [f"unknown command {quoted(command)}; there are: check TARGET..., fix --config FILE, fix --run DIR"]
    if command != "fix":
        given = [n for n in ("config", "out", "run", "reset", "apply") if getattr(options, n)]
        lines = [f"--{name} belongs to `fix`; {PROGRAM} fix --help tells more" for name in given]
        if command == "check" and not targets:
            lines.append("check needs a target: a settings file, a data root, a run directory, a checkpoint or a log")
        return lines
    lines = [f"unexpected argument {quoted(target)}; fix takes --config FILE or --run DIR" for target in targets]
    if bool(options.config) == bool(options.run):
        lines.append("fix takes one of --config FILE and --run DIR")
    if options.out and not options.config:
        lines.append("--out belongs to fix --config FILE")
    if options.reset and not options.run:
        lines.append("--reset belongs to fix --run DIR")
    if options.apply and options.config and not options.out:
        lines.append("--apply needs --out FILE, the file for the stable settings")
    return lines


def report_on(path: Path, screen: Screen) -> Report:
    """What is found at `path`, whatever it is. Raises MyXTTSError."""
    from myxtts.doctor.dataset import check_dataset
    from myxtts.doctor.metrics import check_log
    from myxtts.doctor.run.checkpoints import check_checkpoint
    from myxtts.doctor.run.look import check_run
    from myxtts.doctor.settings.check import check_settings
    from myxtts.doctor.targets import kind_of

    kind = kind_of(path)
    try:
        if kind == "settings":
            return check_settings(path)
        if kind == "checkpoint":
            return check_checkpoint(path)
        look = {"dataset": check_dataset, "run": check_run, "log": check_log}[kind]
        return look(path, screen.progress)
    finally:
        screen.close()


def _check(speaker: Speaker, targets: list[Path]) -> int:
    code = EXIT_DONE
    for index, target in enumerate(targets):
        if index:
            speaker.screen.say("")
        try:
            report = report_on(target, speaker.screen)
        except MyXTTSError as error:
            print_errors(*error_lines(error))
            code = code or error.exit_code
            continue
        _show(speaker, report)
    return code


def _show(speaker: Speaker, report: Report) -> None:
    """A report: facts, then the causes with place and advice."""
    speaker.say("head", target=report.target, kind=speaker.text(f"kind_{report.kind}"))
    for fact in report.facts:
        speaker.say(fact, 2)
    if not report.findings:
        speaker.say("no_causes", 2)
        return
    speaker.say("causes", 2)
    for finding in report.ranked():
        rank = speaker.text(f"rank_{finding.certainty.name.lower()}")
        speaker.say("cause", 4, rank=rank, what=finding.what)
        speaker.say("where", 8, where=finding.where)
        speaker.say("do", 8, do=finding.do)


def _usual(speaker: Speaker) -> int:
    """What there is at the usual places, and what to run next."""
    from myxtts.doctor.findings import Certainty
    from myxtts.doctor.targets import USUAL, USUAL_DATA, usual_places

    found = list(usual_places(Path()))
    if not found:
        places = [*(f"./{name}" for name in USUAL), "./config*.yaml", *USUAL_DATA]
        speaker.say("usual_none", places=", ".join(places))
        speaker.say("next_head")
        speaker.say("next_train", 2)
        speaker.say("next_any", 2)
        return EXIT_DONE
    speaker.say("usual_head")
    troubled: list[tuple[Path, str]] = []
    for path, kind in found:
        try:
            report = report_on(path, speaker.screen)
        except MyXTTSError as error:
            speaker.say("usual_unreadable", 2, target=str(path), problem=str(error).partition("\n")[0])
            continue
        counts = {rank.name.lower(): sum(f.certainty == rank for f in report.findings) for rank in Certainty}
        speaker.say("usual_line", 2, target=str(path), kind=speaker.text(f"kind_{kind}"), **counts)
        if report.findings:
            troubled.append((path, kind))
            worst = report.ranked()[0]
            speaker.say("usual_first", 4, rank=speaker.text(f"rank_{worst.certainty.name.lower()}"), what=worst.what)
    _next(speaker, troubled)
    return EXIT_DONE


def _next(speaker: Speaker, troubled: list[tuple[Path, str]]) -> None:
    """Commands that follow from what was seen."""
    speaker.say("next_head")
    if not troubled:
        speaker.say("next_train", 2)
    else:
        speaker.say("next_check", 2, targets=shlex.join(str(path) for path, _ in troubled))
    for path, kind in troubled:
        if kind == "run":
            speaker.say("next_fix_run", 2, target=shlex.quote(str(path)))
        elif kind == "settings":
            out = path.with_name(f"{path.stem}_stable.yaml")
            speaker.say("next_fix_config", 2, target=shlex.quote(str(path)), out=shlex.quote(str(out)))
    speaker.say("next_any", 2)


def _fix_settings(speaker: Speaker, path: Path, out: Path | None, apply: bool) -> int:
    """Shows stable settings line by line, and writes them with --apply."""
    from myxtts.doctor.settings.fix import holds_already, repair_settings, write_settings

    repaired = repair_settings(path)
    already = out is not None and holds_already(out, repaired, path)
    for change in repaired.changes:
        if change is repaired.changes[0]:
            speaker.say("changes_head", count=len(repaired.changes))
        values = {"key": change.key, "before": change.before, "after": change.after}
        if change.written == change.key:
            speaker.say("change_same", 2, **values)
        else:
            speaker.say("change", 2, written=change.written, **values)
        speaker.say("where", 6, where=change.where)
        if change.reason:
            speaker.say("because", 6, reason=change.reason)
        else:
            speaker.say("because_level", 6)
    if not repaired.changes:
        speaker.say("changes_none")
    if repaired.added:
        speaker.say("fix_added", count=repaired.added)
    if repaired.kept:
        speaker.say("fix_kept", names=", ".join(repaired.kept))
    for left in repaired.left_out:
        speaker.say(left)
    if out is None or not (apply or already):
        speaker.say("dry_run" if out is not None else "dry_run_no_out")
        return EXIT_DONE
    written = write_settings(out, repaired, source=path)
    speaker.say("settings_written" if written else "settings_already", path=str(out))
    speaker.say("settings_train", path=shlex.quote(str(out)))
    return EXIT_DONE


def _fix_run(speaker: Speaker, run: Path, apply: bool, reset: bool) -> int:
    """Shows how a run is repaired, and repairs it with --apply."""
    from myxtts.doctor.run.fix import plan_lines, repair_run
    from myxtts.doctor.run.plan import make_plan

    backup = None
    if apply:
        plan, backup = repair_run(run, speaker.screen.progress, reset)
    else:
        plan = make_plan(run, speaker.screen.progress, reset)
    speaker.screen.close()
    if plan.empty:
        speaker.say("plan_empty", run=str(run), name=plan.good.path.name)
    else:
        for line in plan_lines(plan):
            speaker.say(line)
        if backup is not None:
            speaker.say("plan_done", backup=str(backup))
            speaker.say("plan_undo", command=shlex.join(["cp", "-a", f"{backup}/.", str(run)]))
    command = speaker.command(plan.program, "--config", str(run / "config.yaml"), "--checkpoint-dir", str(run))
    if plan.empty or apply:
        speaker.say("plan_go_on", command=command)
    else:
        speaker.say("dry_run")
    return EXIT_DONE
