"""An hour of trouble: a training at level basic with bombs, bad clips and kills, compared with a clean one.

train_stable.py runs in separate processes. In one of a hundred updates, a gradient or a loss is multiplied by 1e3 to
1e30, NaN or Inf (fail points, with another seed for each process); 3% of the rows are recordings or texts that the
audit must reject; every two to five minutes the process group gets SIGKILL, and the same command continues. Then the
validation is compared with that of a clean run at the same update: same seed and settings, without bombs, bad rows and
kills. The clean run exists (--clean RUN) or is trained in the second half of the time.

Rejected rows never reach the training, so both runs have the same corpus; this is checked. `--nasty` adds a few bad
recordings that pass the audit (clipped, noise with a text, DC); then the data differ, and the comparison shows the
effect of these clips.

All files are in WORK. Ctrl-C saves, and the same command continues.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import results, soak_data, soak_table
from bench.soak_run import Scan, Served, bombs, moment_of_kill, serve, validations
from bench.stepping import built_in_corpus
from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.screen import Screen, guarded
from myxtts.cli.train import resolve_request
from myxtts.config.fields import LEAVES
from myxtts.config.files import config_of_file
from myxtts.config.resolve import Resolved, program_layer
from myxtts.config.schema import Config
from myxtts.errors import EXIT_DEFECT, EXIT_DONE, EXIT_STOPPED, ConfigError, DataError
from myxtts.storage.run_directory import RunDirectory

MANY = "1000000"
PROGRAM = "train_stable.py"
MAY_DIFFER = (
    "data.train_path", "data.val_path", "data.cache_path", "data.max_rejected_share", "data.num_workers",
    "data.hang_seconds", "training.checkpoint_dir", "training.epochs", "training.max_updates", "training.max_minutes",
    "training.log_every_updates", "training.hot_checkpoint_seconds", "training.checkpoint_every_updates",
    "training.keep_checkpoints", "training.candidate_every_updates", "training.validation_every_updates",
    "training.early_stopping_validations", "training.early_stopping_min_delta", "training.threads",
)  # fmt: skip
"""Settings that change no update, or not more than the number of threads does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Soaks as `argv` says; returns the exit code: 1 if a promise was not kept."""
    made = results.parser("soak", "A training with bombs, bad clips and kills, compared with a clean one.")
    made.add_argument("--data", metavar="ROOT", type=Path, help="data root (the built-in corpus)")
    made.add_argument("--work", metavar="DIR", type=Path, default=Path("soak"), help="folder for everything (./soak)")
    made.add_argument("--minutes", metavar="N", type=float, default=60.0, help="in all (60)")
    made.add_argument(
        "--clean", metavar="RUN", type=Path, help="a clean run; without it, half of the time is used to train one"
    )
    made.add_argument("--bombs", metavar="SHARE", type=float, default=0.01, help="share of bombed updates (0.01)")
    made.add_argument(
        "--kill-minutes",
        metavar="N",
        type=float,
        nargs=2,
        default=[2.0, 5.0],
        help="minimum and maximum between kills (2 5)",
    )
    made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--language", metavar="CODE", default="en-us", help="of rows that name none (en-us)")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting")
    made.add_argument("--seed", metavar="N", type=int, default=0, help="of bombs, kills and bad clips (0)")
    made.add_argument("--nasty", action="store_true", help="add bad recordings that pass the audit")
    given = made.parse_args(argv)
    return guarded(lambda: Soak(given).run())


class Soak:
    """One soak in its folder, which can be continued."""

    def __init__(self, given: Namespace) -> None:
        _check(given)
        self.given, self.screen = given, Screen()
        self.work = given.work.resolve()
        self.dirty, self.clean = self.work / "run", (given.clean or self.work / "clean").resolve()
        self.budget = 60.0 * given.minutes * (1.0 if given.clean else 0.5)
        self.path = self.work / "soak.json"
        self.state: dict[str, Any] = {"given": self._own(), "processes": [], "clean": [], "data": {}, "end_update": 0}
        if self.path.is_file():
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            if stored["given"] != self._own():
                raise ConfigError(f"--work {str(given.work)!r} holds a soak with other options; take another folder")
            self.state = stored
        self.scan = Scan(self.state.get("scan"))

    def _own(self) -> dict[str, Any]:
        """The options that must stay the same; the time may be longer."""
        names = ("bombs", "kill_minutes", "size", "language", "set", "seed", "nasty")
        places = {"data": str(self.given.data), "clean": str(self.given.clean)}
        return {**places, **{name: getattr(self.given, name) for name in names}}

    def run(self) -> int:
        """Both runs and the table."""
        source = self.given.data or built_in_corpus(self.screen)
        root = soak_data.make_root(
            source,
            self.work / "data",
            self.given.language,
            nasty=self.given.nasty,
            seed=self.given.seed,
            progress=self.screen.progress,
        )
        resolved = self.resolved(root.path, self.dirty, root.settings)
        self._same_data(source, root, resolved)
        code = self._soak(root, resolved.config)
        if code == EXIT_DONE and self.given.clean is None:
            code = self._finish(root) or self._clean(str(source))
        self.screen.close()
        failures = self._show(resolved.config, code)
        return code or (EXIT_DEFECT if failures else EXIT_DONE)

    # --- settings and data

    def words(self, root: str, run: Path, more: Sequence[str], updates: str = MANY) -> list[str]:
        """A training command; every update gets a line, by which updates are counted."""
        words = ["--train-data", root, "--val-data", root, "--checkpoint-dir", str(run), "--model-size"]
        words += [self.given.size, "--epochs", MANY, "--max-updates", updates]
        fixed = [
            f"text.language={self.given.language}",
            f"training.early_stopping_validations={MANY}",
            "training.log_every_updates=1",
        ]
        for setting in (*fixed, *more, *self.given.set):
            words += ["--set", setting]
        return words

    def resolved(self, root: str, run: Path, more: Sequence[str]) -> Resolved:
        """The settings of such a command. Raises ConfigError."""
        entry = program_layer(PROGRAM, {"optimization_level": "basic"})
        words = self.words(root, run, more)
        return resolve_request(request_of(*training_parser(PROGRAM, None).parse_known(words)), entry, "basic")[0]

    def _same_data(self, source: Path, root: soak_data.SoakRoot, resolved: Resolved) -> None:
        """Verifies that every bad row is rejected and the corpus is the one of the clean run; computes the features.

        Raises DataError or ConfigError otherwise.
        """
        from myxtts.data.prepare import prepare

        if self.state["data"]:
            return
        own = prepare(resolved.config, self.screen.progress, named=resolved.named)
        clean_settings = self.resolved(str(source), self.clean, [])
        clean = prepare(clean_settings.config, self.screen.progress, named=clean_settings.named)
        rejected = len(own.audit.rejections) - len(clean.audit.rejections)
        passed = [u.id for u in own.train.utterances if u.id.startswith("soak-bad/")]
        if passed:
            raise DataError(f"the audit let bad recordings pass: {', '.join(passed[:5])}; that is a defect")
        corpus = json.dumps(own.corpus.to_json(), sort_keys=True)
        same = corpus == json.dumps(clean.corpus.to_json(), sort_keys=True)
        if not same and not self.given.nasty:
            raise DataError(f"bad rows changed the corpus of {source}, although all were rejected; that is a defect")
        if self.given.clean is not None:
            self._same_run(corpus, resolved.config)
        self.state["data"] = {"clips": len(own.train), "bad": root.bad, "kinds": root.kinds, "rejected": rejected}
        self._write()

    def _same_run(self, corpus: str, config: Config) -> None:
        """Raises ConfigError if this soak cannot be compared with the given clean run."""
        directory = RunDirectory(self.clean)
        try:
            stored = json.dumps(json.loads(directory.corpus_path.read_text(encoding="utf-8")), sort_keys=True)
            theirs = config_of_file(directory.config_path)
        except OSError as error:
            raise ConfigError(f"--clean {str(self.clean)!r}: no run is there ({error.strerror})") from error
        if stored != corpus and not self.given.nasty:
            raise ConfigError(f"--clean {str(self.clean)!r} was trained on other data than --data names")
        differ = [
            f"{key} is {theirs_value!r} there, {own!r} here"
            for key in LEAVES
            if key not in MAY_DIFFER and (theirs_value := _value(theirs, key)) != (own := _value(config, key))
        ]
        if differ:
            raise ConfigError(f"--clean {str(self.clean)!r} has other settings: {'; '.join(differ[:5])}")

    # --- the runs

    def _soak(self, root: soak_data.SoakRoot, config: Config) -> int:
        """Processes with bombs, one after another, until the time is over; the exit code of one that failed, else 0."""
        words = self.words(root.path, self.dirty, root.settings)
        while (used := self._used()) < self.budget and not self.state["end_update"]:
            number = len(self.state["processes"])
            kill = moment_of_kill(self.given.seed, number, *self.given.kill_minutes)
            left = self.budget - used
            text = bombs(self.given.bombs, config.training.grad_accum, 1_000 * self.given.seed + number)
            served = Served(number, text)
            code = self._serve(
                "processes", served, words, self.dirty, kill if kill < left else None, None if kill < left else left
            )
            if code not in (EXIT_DONE, EXIT_STOPPED):
                return code
        return EXIT_DONE

    def _finish(self, root: soak_data.SoakRoot) -> int:
        """One more update, and the validation at the end; without bombs and kills."""
        if not self.state["end_update"]:
            self.state["end_update"] = self.state["processes"][-1]["saved"] + 1
            self._write()
        if self.state["end_update"] in validations(self.dirty):
            return EXIT_DONE
        words = self.words(root.path, self.dirty, root.settings, str(self.state["end_update"]))
        return self._serve("processes", Served(len(self.state["processes"]), ""), words, self.dirty, None, None)

    def _clean(self, source: str) -> int:
        """The clean run, up to the same update."""
        if self.state["end_update"] in validations(self.clean):
            return EXIT_DONE
        self.screen.close()
        words = self.words(source, self.clean, [], str(self.state["end_update"]))
        return self._serve("clean", Served(len(self.state["clean"]), ""), words, self.clean, None, None)

    def _serve(
        self, kind: str, served: Served, words: list[str], run: Path, kill: float | None, stop: float | None
    ) -> int:
        """One process; its exit code if the soak must stop at it, else 0."""
        log = self.work / "logs" / f"{kind}-{served.number:03d}.log"
        used = self._used()

        def tick(update: int, seconds: float) -> None:
            if kind == "clean" or self.state["end_update"]:
                self.screen.progress(f"{kind}: updates", update, max(update, self.state["end_update"]))
            else:
                self.screen.progress("soak: seconds", min(int(used + seconds), int(self.budget)), int(self.budget))

        try:
            serve(words, run, log, served, self.scan, kill_after=kill, stop_after=stop, tick=tick)
        finally:
            self.state[kind].append(asdict(served))
            self._write()
        self.screen.say(
            f"{kind} {served.number}: {served.end} after {served.seconds:.0f} s, updates {served.start} to "
            f"{served.made}, saved {served.saved}"
        )
        if served.end == "ended" and served.code != EXIT_DONE:
            self.screen.warn(f"the training ended with exit code {served.code}; its output is in {log}")
            return served.code if served.code > 0 else 128 - served.code
        return EXIT_DONE

    def _used(self) -> float:
        return sum(float(p["seconds"]) for p in self.state["processes"])

    def _write(self) -> None:
        self.state["scan"] = self.scan.to_json()
        results.write_json(self.path, self.state)

    # --- the table

    def _show(self, config: Config, code: int) -> list[str]:
        found = soak_table.figures(self.state, self.scan, self.dirty, self.clean, config)
        failures = soak_table.failed(found) if not code else [f"the training ended with exit code {code}"]
        title = f"Soak: size {self.given.size}, level basic, {found.get('clips', 0)} clips"
        own = {"given": self._own(), "figures": found, "failures": failures}
        results.show(title, soak_table.rows(found), own, self.given.json or self.work / "figures.json", heads=False)
        for line in failures:
            print(f"NOT KEPT: {line}")
        return failures


def _check(given: Namespace) -> None:
    """Raises ConfigError for invalid options."""
    problems = []
    if given.minutes <= 0:
        problems.append(f"--minutes is {given.minutes:g}, expected more than 0")
    if not 0.0 <= given.bombs < 1.0:
        problems.append(f"--bombs is {given.bombs:g}, expected 0 to 1")
    least, most = given.kill_minutes
    if not 0 < least <= most:
        problems.append(f"--kill-minutes are {least:g} and {most:g}, expected the least and the most, over 0")
    if given.data is not None and not given.data.is_dir():
        problems.append(f"--data {str(given.data)!r} is no folder; name a data root")
    if problems:
        raise ConfigError(problems)


def _value(config: Config, key: str) -> object:
    section, _, name = key.rpartition(".")
    return getattr(getattr(config, section) if section else config, name)


if __name__ == "__main__":
    sys.exit(main())
