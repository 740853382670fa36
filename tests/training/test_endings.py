"""However a training ends, by a defect, by a lost run directory or by a failing screen: its updates are saved."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import made_run
import pytest
import tensorflow as tf
from made_run import KeptTrainers, Screen, events, hashes, losses, records

from myxtts.errors import ConfigError, NonFiniteError, StorageError
from myxtts.storage.checkpoint import step_name
from myxtts.storage.find_checkpoint import find
from myxtts.storage.journal import Journal
from myxtts.storage.run_directory import NotOwnerError, RunDirectory

pytestmark = pytest.mark.usefixtures("quick_runs")
UPDATES = 6


@pytest.fixture(scope="module")
def unbroken(folder: Path, kept: KeptTrainers) -> Path:
    with kept.in_use():
        made_run.train(folder, "unbroken")
    return folder / "unbroken"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).translate(str.maketrans("[]/:.", "-----"))


class At(Screen):
    """Does something when an update is shown."""

    def __init__(self, update: int, do: Callable[[], object]) -> None:
        super().__init__()
        self.update, self.do = update, do

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        super().training(done, total, figures, line)
        if done == self.update:
            self.update = 0
            self.do()


def raising(error: BaseException) -> Callable[..., None]:
    def work(*_: object, **__: object) -> None:
        raise error

    return work


PLACES = {
    "made_run.Screen.training": RuntimeError("a defect"),
    "myxtts.data.loader.Loader.__next__": SystemExit(7),
    "myxtts.training.step.Step.micro": MemoryError("no room"),
    "myxtts.training.step.Step.update": KeyboardInterrupt(),
    "myxtts.training.recovery.ladder.Ladder.observe": RuntimeError("a defect"),
    "myxtts.training.examine.speaker_voices": MemoryError("no room"),
}


@pytest.mark.parametrize("place", PLACES)
def test_any_exception_saves_the_state_and_is_logged(
    folder: Path, unbroken: Path, name: str, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """After update 3, whose state no other save holds; the resumed run equals the uninterrupted one."""
    error = PLACES[place]
    kind = ConfigError if isinstance(error, MemoryError) else type(error)
    with monkeypatch.context() as patched:
        screen = At(3, lambda: patched.setattr(place, raising(error)))
        with pytest.raises(kind) as caught:
            made_run.train(folder, name, screen=screen)
    assert error in (caught.value, caught.value.__cause__)
    if kind is ConfigError:
        assert "memory ran out" in str(caught.value) and "training.batch_size (now 2)" in str(caught.value)
        assert "set training.recompute=true" in str(caught.value)
    made = 3 if "Loader" in place or "Step" in place else 4
    assert find(folder / name, "last").update == made
    message = events(folder / name, "failed")
    assert len(message) == 1 and type(error).__name__ in message[0]["message"] and message[0]["update"] == made
    made_run.train(folder, name)
    assert [update for update, _ in losses(folder / name)] == list(range(1, UPDATES + 1))
    if "Ladder" not in place:  # which did not see an update
        assert losses(folder / name) == losses(unbroken) and hashes(folder / name) == hashes(unbroken)


def test_a_defect_in_the_last_validation_costs_no_update(
    folder: Path, unbroken: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("myxtts.training.validation.validate", raising(ZeroDivisionError("surprise")))
        with pytest.raises(ZeroDivisionError):
            made_run.train(folder, name, training__max_updates=5)
    assert find(folder / name, "last").update == 5
    assert "ZeroDivisionError: surprise" in events(folder / name, "failed")[0]["message"]
    made_run.train(folder, name)
    assert losses(folder / name) == losses(unbroken) and hashes(folder / name) == hashes(unbroken)


def test_weights_that_differ_between_processes_are_not_saved_at_the_end(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ() -> None:
        monkeypatch.setattr("myxtts.training.step.Step.disagreement", lambda step: "process 1 of 2")

    screen = At(5, differ)
    with pytest.raises(NonFiniteError, match=r"the weights of process 1 of 2 differ .* nothing was saved"):
        made_run.train(folder, name, screen=screen, training__max_updates=5)
    assert find(folder / name, "last").update == 4
    assert "the state of update 5 is not saved" in "\n".join(screen.warnings)


def test_a_state_that_is_not_finite_is_not_saved(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.weights:3:nan")
    with pytest.raises(RuntimeError, match="the first"):
        made_run.train(folder, name, screen=At(3, raising(RuntimeError("the first"))))
    assert find(folder / name, "last").update == 2


def half_applied(step: Any) -> Callable[..., Any]:
    """An update in which TensorFlow fails after the first weight has changed."""
    first = step.weights[0].value

    @tf.function
    def broken(learning_rate: tf.Tensor, clip_norm: tf.Tensor) -> None:
        with tf.control_dependencies([first.assign(first + learning_rate)]):
            tf.debugging.Assert(clip_norm < 0.0, ["the device is gone"])

    return broken


@pytest.mark.parametrize("where", ["half of the weights", "after the weights", "a rollback"])
def test_weights_in_the_middle_of_a_change_are_never_saved(
    folder: Path, unbroken: Path, kept: KeptTrainers, name: str, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Update 4 or a rollback after update 3 fails; checkpoint 2 is the last."""
    with monkeypatch.context() as patched:

        def at_3() -> None:
            if where == "half of the weights":
                for made in kept.made():
                    patched.setattr(made.step, "_apply", half_applied(made.step))
            elif where == "after the weights":
                patched.setattr("myxtts.training.optimizers.LossScale.after_update", raising(MemoryError("no room")))
            else:
                patched.setattr("myxtts.training.optimizers.restore", raising(RuntimeError("the device is gone")))
                patched.setattr("myxtts.training.recovery.state.Recovery.trouble", lambda _: "trouble")

        screen = At(3, at_3)
        with pytest.raises((tf.errors.InvalidArgumentError, ConfigError, RuntimeError)):
            made_run.train(folder, name, screen=screen)
    assert find(folder / name, "last").update == 2 and not list((folder / name / "checkpoints").glob("replaced-*"))
    assert any("not saved" in line and "last checkpoint" in line for line in screen.warnings)
    made_run.train(folder, name)
    if where != "a rollback":
        assert losses(folder / name) == losses(unbroken) and hashes(folder / name) == hashes(unbroken)


# --- a run directory that is lost


def lost_in(folder: Path, name: str, do: Callable[[Path], object]) -> tuple[str, Screen]:
    """The error of a run whose directory something happens to after update 3."""
    screen = At(3, lambda: do(folder / name))
    with pytest.raises(NotOwnerError) as caught:
        made_run.train(folder, name, screen=screen)
    message = str(caught.value)
    assert caught.value.exit_code == 4 and "\n" not in message and repr(str(folder / name)) in message
    return message, screen


def test_a_moved_run_is_saved_where_it_is_now(folder: Path, unbroken: Path, name: str) -> None:
    moved = folder / f"{name}.moved"
    message, _ = lost_in(folder, name, lambda run: run.rename(moved))
    assert "was moved to" in message and f"--checkpoint-dir {moved}" in message
    assert not (folder / name).exists()
    assert find(moved, "last").update == 3 and "was moved" in events(moved, "failed")[0]["message"]
    made_run.train(folder, moved.name)
    assert losses(moved) == losses(unbroken) and hashes(moved) == hashes(unbroken)


def test_a_moved_run_writes_nothing_into_its_replacement(folder: Path, name: str) -> None:
    moved = folder / f"{name}.moved"
    begun: dict[Path, bytes] = {}

    def replace(run: Path) -> None:
        run.rename(moved)
        with RunDirectory(run).lock(), Journal(run / "metrics.jsonl") as journal:
            journal.write({"kind": "train", "update": 900})
        begun.update({path: path.read_bytes() for path in run.iterdir()})

    lost_in(folder, name, replace)
    assert {path: path.read_bytes() for path in (folder / name).iterdir()} == begun
    assert find(moved, "last").update == 3


def test_a_deleted_run_is_saved_beside_its_place(folder: Path, name: str) -> None:
    message, _ = lost_in(folder, name, shutil.rmtree)
    assert not (folder / name).exists()
    rescued = next(folder.glob(f"{name}.rescued-*"))
    assert "was deleted" in message and f"--checkpoint-dir {rescued}" in message
    assert find(rescued, "last").update == 3 and "was deleted" in events(rescued, "failed")[0]["message"]
    updates, screen = made_run.train(folder, rescued.name)
    assert updates == UPDATES and "update 3" in screen.text


def test_a_run_whose_lock_another_one_holds_is_saved_elsewhere(folder: Path, name: str) -> None:
    holders = []

    def take(run: Path) -> None:
        (run / "lock").unlink()
        holder = RunDirectory(run).lock()
        holder.__enter__()
        holders.append((holder, {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}))

    message, _ = lost_in(folder, name, take)
    holder, before = holders[0]
    after = {path: path.read_bytes() for path in (folder / name).rglob("*") if path.is_file()}
    holder.__exit__(None, None, None)
    changed = {path.name for path in after.keys() | before.keys() if after.get(path) != before.get(path)}
    assert all(changed_name.startswith("events.out.tfevents") for changed_name in changed)
    rescued = next(folder.glob(f"{name}.rescued-*"))
    assert "another process may own it" in message and find(rescued, "last").update == 3


def test_a_run_whose_lock_was_only_deleted_is_saved_in_place(folder: Path, unbroken: Path, name: str) -> None:
    message, _ = lost_in(folder, name, lambda run: (run / "lock").unlink())
    assert "'lock'" in message and "the same command continues" in message
    assert find(folder / name, "last").update == 3 and not list(folder.glob(f"{name}.rescued-*"))
    made_run.train(folder, name)
    assert losses(folder / name) == losses(unbroken) and hashes(folder / name) == hashes(unbroken)


# --- what a run says of itself


def test_an_armed_fault_is_reported(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "store.after_save:900:eio,step.loss.mel:800:nan")
    _, screen = made_run.train(folder, name, training__max_updates=2)
    message = events(folder / name, "faults_armed")[0]["message"]
    assert all(word in message for word in ("MYXTTS_FAULT", "store.after_save", "step.loss.mel", "unset"))
    assert message in screen.warnings
    monkeypatch.delenv("MYXTTS_FAULT")
    _, screen = made_run.train(folder, name, training__max_updates=3)
    assert len(events(folder / name, "faults_armed")) == 1 and not screen.warnings


def test_a_resume_reports_the_lines_that_it_moved(folder: Path, name: str) -> None:
    made_run.train(folder, name, training__max_updates=4)
    run = folder / name
    shutil.rmtree(run / "checkpoints" / step_name(4))
    with (run / "events.jsonl").open("ab") as file:
        file.write(b'{"event":"tor')
    before = (run / "metrics.jsonl").read_text().splitlines()
    _, screen = made_run.train(folder, name)
    cut = [line for line in before if '"update":3' in line or '"update":4' in line]
    assert (run / "incidents" / "resume-metrics.jsonl").read_text().splitlines() == cut
    assert (run / "incidents" / "resume-events.jsonl").read_text() == '{"event":"tor\n'
    message = {e["message"] for e in events(run, "lines_moved")}
    for words in (
        (str(len(cut)), "metrics.jsonl", "resume-metrics.jsonl"),
        ("1", "events.jsonl", "resume-events.jsonl"),
    ):
        assert any(all(word in message for word in words) for message in message)
    assert message <= set(screen.lines)


def test_foreign_files_in_a_checkpoint_are_reported_and_left_alone(folder: Path, unbroken: Path, name: str) -> None:
    made_run.train(folder, name, training__max_updates=3)
    step = folder / name / "checkpoints" / step_name(3)
    (step / ".DS_Store").write_bytes(b"x")
    _, screen = made_run.train(folder, name)
    message = events(folder / name, "foreign_files")[0]["message"]
    assert step.name in message and ".DS_Store" in message and message in screen.lines
    assert losses(folder / name) == losses(unbroken) and hashes(folder / name) == hashes(unbroken)
    kept = [path.read_bytes() for path in (folder / name).rglob(".DS_Store")]
    assert kept == [b"x"]


def test_lost_output_is_logged_once(folder: Path, name: str) -> None:
    class Losing(Screen):
        failures = ("stdout takes no more lines (Broken pipe)",)

        def lost(self) -> list[str]:
            new, self.failures = list(self.failures), ()
            return new

    updates, _ = made_run.train(folder, name, screen=Losing())
    assert updates == UPDATES
    assert [e["message"].partition(";")[0] for e in events(folder / name, "output_lost")] == list(Losing.failures)


@pytest.mark.parametrize("path", ["events.jsonl", "metrics.jsonl", "lock"])
def test_a_link_in_the_run_directory_leads_nowhere(folder: Path, name: str, path: str) -> None:
    run, outside = folder / name, folder / f"{name}.outside"
    run.mkdir()
    (run / path).symlink_to(outside)
    with pytest.raises(StorageError, match=rf"{path}.* link|locking"):
        made_run.train(folder, name)
    assert not outside.exists()


def test_a_journal_that_fails_at_the_end_does_not_hide_how_the_run_ended(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "journal.write:5+:enospc")
    with pytest.raises(RuntimeError, match="the first"):
        made_run.train(folder, name, screen=At(3, raising(RuntimeError("the first"))))
    assert records(folder / name / "events.jsonl")
