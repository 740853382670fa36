"""`fix_nan_loss.py`: finds causes of NaN in settings, data, runs, checkpoints and logs, and fixes settings and runs."""

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


class MessagePrinter:
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

    def print(self, key: str | Message, indent: int = 0, /, **values: object) -> None:
        """Prints a message."""
        self.screen.say(" " * indent + self.text(key, **values))

    def command(self, program: str, *words: str) -> str:
        """A command line as a user would type it."""
        return shlex.join([python_command(), program_path(program), *words])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `fix_nan_loss.py` with `argv` (the arguments without the program); returns the exit code."""
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
    printer = MessagePrinter(Screen(), namespace.language)
    command, *targets = namespace.words or [""]
    try:
        if command == "check":
            return _check(printer, [Path(target) for target in targets])
        if command == "fix" and namespace.run:
            return _fix_run(printer, Path(namespace.run), namespace.apply, namespace.reset)
        if command == "fix":
            out = Path(namespace.out) if namespace.out else None
            return _fix_settings(printer, Path(namespace.config), out, namespace.apply)
        return _usual(printer)
    finally:
        printer.screen.close()


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        usage=_USAGE,
        description=_ABOUT,
        add_help=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=110),
    )
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="check TARGET... or fix; none: the usual places")
    parser.add_argument("--config", metavar="FILE", help="fix: the settings to make stable")
    parser.add_argument("--out", metavar="FILE", help="fix --config: where the stable settings are written")
    parser.add_argument("--run", metavar="DIR", help="fix: the run directory to repair")
    parser.add_argument("--reset", action="store_true", help="fix --run: even if nothing shows that it diverged")
    parser.add_argument("--apply", action="store_true", help="fix: write; without it nothing is changed")
    parser.add_argument("--language", default="en", choices=("en", "fa"), help="language of the advice (en)")
    parser.add_argument("-h", "--help", action="store_true", help="print this")
    return parser


def _problems(options: argparse.Namespace) -> list[str]:
    """Options that contradict each other, one line each."""
    command, *targets = options.words or [""]
    if command not in ("", "check", "fix"):
        return [f"unknown command {quoted(command)}; commands: check TARGET..., fix --config FILE, fix --run DIR"]
    if command != "fix":
        given = [n for n in ("config", "out", "run", "reset", "apply") if getattr(options, n)]
        lines = [f"--{name} belongs to `fix`; see {PROGRAM} --help" for name in given]
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
    """The report on `path`, whatever kind it is. Raises MyXTTSError."""
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
        check = {"dataset": check_dataset, "run": check_run, "log": check_log}[kind]
        return check(path, screen.progress)
    finally:
        screen.close()


def _check(printer: MessagePrinter, targets: list[Path]) -> int:
    code = EXIT_DONE
    for index, target in enumerate(targets):
        if index:
            printer.screen.say("")
        try:
            report = report_on(target, printer.screen)
        except MyXTTSError as error:
            print_errors(*error_lines(error))
            code = code or error.exit_code
            continue
        _show(printer, report)
    return code


def _show(printer: MessagePrinter, report: Report) -> None:
    """Prints a report: facts, then the causes with location and advice."""
    printer.print("head", target=report.target, kind=printer.text(f"kind_{report.kind}"))
    for fact in report.facts:
        printer.print(fact, 2)
    if not report.findings:
        printer.print("no_causes", 2)
        return
    printer.print("causes", 2)
    for finding in report.ranked():
        certainty = printer.text(f"rank_{finding.certainty.name.lower()}")
        printer.print("cause", 4, certainty=certainty, what=finding.what)
        printer.print("where", 8, where=finding.where)
        printer.print("do", 8, do=finding.do)


def _usual(printer: MessagePrinter) -> int:
    """Checks what exists in the usual places, and says what to run next."""
    from myxtts.doctor.findings import Certainty
    from myxtts.doctor.targets import USUAL, USUAL_DATA, usual_places

    found = list(usual_places(Path()))
    if not found:
        places = [*(f"./{name}" for name in USUAL), "./config*.yaml", *USUAL_DATA]
        printer.print("usual_none", places=", ".join(places))
        printer.print("next_head")
        printer.print("next_train", 2)
        printer.print("next_any", 2)
        return EXIT_DONE
    printer.print("usual_head")
    with_findings: list[tuple[Path, str]] = []
    for path, kind in found:
        try:
            report = report_on(path, printer.screen)
        except MyXTTSError as error:
            printer.print("usual_unreadable", 2, target=str(path), problem=str(error).partition("\n")[0])
            continue
        counts = {level.name.lower(): sum(f.certainty == level for f in report.findings) for level in Certainty}
        printer.print("usual_line", 2, target=str(path), kind=printer.text(f"kind_{kind}"), **counts)
        if report.findings:
            with_findings.append((path, kind))
            worst = report.ranked()[0]
            certainty = printer.text(f"rank_{worst.certainty.name.lower()}")
            printer.print("usual_first", 4, certainty=certainty, what=worst.what)
    _next(printer, with_findings)
    return EXIT_DONE


def _next(printer: MessagePrinter, targets: list[tuple[Path, str]]) -> None:
    """Prints the commands to run next."""
    printer.print("next_head")
    if not targets:
        printer.print("next_train", 2)
    else:
        printer.print("next_check", 2, targets=shlex.join(str(path) for path, _ in targets))
    for path, kind in targets:
        if kind == "run":
            printer.print("next_fix_run", 2, target=shlex.quote(str(path)))
        elif kind == "settings":
            out = path.with_name(f"{path.stem}_stable.yaml")
            printer.print("next_fix_config", 2, target=shlex.quote(str(path)), out=shlex.quote(str(out)))
    printer.print("next_any", 2)


def _fix_settings(printer: MessagePrinter, path: Path, out: Path | None, apply: bool) -> int:
    """Shows stable settings line by line, and writes them with --apply."""
    from myxtts.doctor.settings.fix import holds_already, repair_settings, write_settings

    repaired = repair_settings(path)
    already = out is not None and holds_already(out, repaired, path)
    for change in repaired.changes:
        if change is repaired.changes[0]:
            printer.print("changes_head", count=len(repaired.changes))
        values = {"key": change.key, "before": change.before, "after": change.after}
        if change.written == change.key:
            printer.print("change_same", 2, **values)
        else:
            printer.print("change", 2, written=change.written, **values)
        printer.print("where", 6, where=change.where)
        if change.reason:
            printer.print("because", 6, reason=change.reason)
        else:
            printer.print("because_level", 6)
    if not repaired.changes:
        printer.print("changes_none")
    if repaired.added:
        printer.print("fix_added", count=repaired.added)
    if repaired.kept:
        printer.print("fix_kept", names=", ".join(repaired.kept))
    for left in repaired.left_out:
        printer.print(left)
    if out is None or not (apply or already):
        printer.print("dry_run" if out is not None else "dry_run_no_out")
        return EXIT_DONE
    written = write_settings(out, repaired, source=path)
    printer.print("settings_written" if written else "settings_already", path=str(out))
    printer.print("settings_train", path=shlex.quote(str(out)))
    return EXIT_DONE


def _fix_run(printer: MessagePrinter, run: Path, apply: bool, reset: bool) -> int:
    """Shows how a run is repaired, and repairs it with --apply."""
    from myxtts.doctor.run.fix import plan_lines, repair_run
    from myxtts.doctor.run.plan import make_plan

    backup = None
    if apply:
        plan, backup = repair_run(run, printer.screen.progress, reset)
    else:
        plan = make_plan(run, printer.screen.progress, reset)
    printer.screen.close()
    if plan.empty:
        printer.print("plan_empty", run=str(run), name=plan.good.path.name)
    else:
        for line in plan_lines(plan):
            printer.print(line)
        if backup is not None:
            printer.print("plan_done", backup=str(backup))
            printer.print("plan_undo", command=shlex.join(["cp", "-a", f"{backup}/.", str(run)]))
    command = printer.command(plan.program, "--config", str(run / "config.yaml"), "--checkpoint-dir", str(run))
    if plan.empty or apply:
        printer.print("plan_go_on", command=command)
    else:
        printer.print("dry_run")
    return EXIT_DONE
