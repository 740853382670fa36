import threading
import time

import numpy as np
import pytest

from myxtts import faults
from myxtts.data.loader import Loader
from myxtts.data.plan import FILL_ROW, Bucket, PlannedBatch
from myxtts.errors import DataError


class Source:
    """Three batches an epoch; a batch holds (epoch, row)."""

    def __init__(self, fail_at=None, seconds=0.0, stuck_at=(), empty=()):
        self.fail_at, self.seconds, self.made = fail_at, seconds, 0
        self.stuck_at, self.empty = list(stuck_at), set(empty)
        self.free = threading.Event()

    def plan(self, epoch):
        return [PlannedBatch(Bucket(16, 16), (FILL_ROW if row in self.empty else row,)) for row in range(3)]

    def build(self, planned, epoch):
        time.sleep(self.seconds)
        if (epoch, planned.rows[0]) in self.stuck_at:
            self.stuck_at.remove((epoch, planned.rows[0]))
            self.free.wait(60)
        if (epoch, planned.rows[0]) == self.fail_at:
            raise OSError("the disk is gone")
        self.made += 1
        return {"utterance_B": np.array([epoch, planned.rows[0]])}


def take(loader, count):
    return [(item.epoch, item.index) for _, item in zip(range(count), loader, strict=False)]


@pytest.fixture(autouse=True)
def before():
    """Threads of loaders that other tests in this process left stuck on purpose."""
    _OTHERS[:] = [thread for thread in threading.enumerate() if thread.name == "myxtts-loader"]


_OTHERS = []


def threads():
    return [t for t in threading.enumerate() if t.name == "myxtts-loader" and t not in _OTHERS]


def test_batches_in_order_from_any_position():
    with Loader(Source()) as loader:
        assert take(loader, 7) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]
    with Loader(Source(), epoch=4, index=2) as loader:
        first = next(loader)
        assert (first.epoch, first.index, first.last_of_epoch) == (4, 2, True)
        assert first.batch["utterance_B"].tolist() == [4, 2]
        assert take(loader, 2) == [(5, 0), (5, 1)]
    with Loader(Source(), epoch=4, index=3) as loader:
        assert take(loader, 1) == [(5, 0)]


def test_only_a_few_are_made_ahead():
    source = Source()
    with Loader(source, ahead=2) as loader:
        next(loader)
        time.sleep(0.3)
        assert source.made <= 5


def test_an_error_reaches_the_consumer_after_the_batches_before_it():
    loader = Loader(Source(fail_at=(1, 1)))
    assert take(loader, 4) == [(0, 0), (0, 1), (0, 2), (1, 0)]
    with pytest.raises(OSError, match="the disk is gone"):
        next(loader)
    assert threads() == []


def test_waiting_is_measured():
    begun = time.perf_counter()
    with Loader(Source(seconds=0.2)) as loader:
        called = time.perf_counter()
        next(loader)
        waited = loader.take_waited_seconds()
        assert begun + 0.2 - called - 0.02 < waited <= time.perf_counter() - begun, "the source takes 0.2 s"
        assert loader.take_waited_seconds() == 0.0


def test_closing_ends_the_thread_whatever_it_does():
    for seconds in (0.0, 0.05):
        loader = Loader(Source(seconds=seconds), ahead=1)
        next(loader)
        loader.close()
        loader.close()
        assert threads() == []
        assert list(loader) == []


def test_an_empty_plan_is_an_error():
    source = Source()
    source.plan = lambda epoch: []
    with Loader(source) as loader, pytest.raises(DataError, match=r"epoch 0 has no batch.*quarantine"):
        next(loader)


def test_batches_without_a_clip_are_skipped():
    with Loader(Source(empty={1})) as loader:
        assert [(i.epoch, i.index, i.last_of_epoch) for i in (next(loader), next(loader), next(loader))] == [
            (0, 0, False), (0, 2, True), (1, 0, False)]  # fmt: skip
    source = Source(empty={2})
    with Loader(source) as loader:
        assert [(i.index, i.last_of_epoch) for i in (next(loader), next(loader))] == [(0, False), (1, True)]
    with Loader(source, index=2) as loader:
        assert take(loader, 1) == [(1, 0)]
    with Loader(Source(empty={0, 1, 2})) as loader, pytest.raises(DataError, match="epoch 0 has no batch"):
        next(loader)


def test_a_restart_discards_batches_made_ahead():
    source = Source()
    with Loader(source) as loader:
        assert take(loader, 2) == [(0, 0), (0, 1)]
        time.sleep(0.05)  # batches of the old place wait in the queue
        source.empty = {1}
        loader.restart(0, 1)
        assert take(loader, 2) == [(0, 2), (1, 0)]
        loader.restart(7, 0)
        assert take(loader, 2) == [(7, 0), (7, 2)]
    with pytest.raises(ValueError, match="closed"):
        loader.restart(0, 0)


def test_no_batch_of_the_old_position_after_a_restart_by_another_thread():
    with Loader(Source(seconds=0.0005), ahead=2) as loader:
        reached = 0

        def restart_often():
            nonlocal reached
            for epoch in range(1000, 60_000, 1000):
                loader.restart(epoch, 1)
                reached = epoch
                time.sleep(0.01)

        thread = threading.Thread(target=restart_often)
        thread.start()
        places = []
        while thread.is_alive():
            at_least = reached
            item = next(loader)
            time.sleep(0.002)  # so that batches wait in the queue
            assert item.epoch >= at_least
            places.append((item.epoch, item.index))
        thread.join()
    assert places == sorted(places) and len({epoch // 1000 for epoch, _ in places}) > 5


def test_a_stuck_thread_is_replaced_once_and_its_stacks_are_written(tmp_path):
    source, messages, stacks = Source(stuck_at=[(0, 1)]), [], tmp_path / "stacks.txt"
    with Loader(
        source, hang_seconds=0.5, on_hang=messages.append, stacks_path=stacks, clip_name="clip-{}".format
    ) as loader:
        assert take(loader, 5) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
        (message,) = [message for message in messages if "batch 1 of epoch 0" in message]
        assert "\n" not in message
        for words in ("no batch for 0.5 s", "'clip-1'", str(stacks), "restarted"):
            assert words in message
        text = stacks.read_text()
        assert "in build" in text and "in __next__" in text and "batch 1 of epoch 0" in text
        source.free.set()  # batches of the stuck thread must be discarded
        assert take(loader, 2) == [(1, 2), (2, 0)]
    for thread in threads():  # the stuck thread ends by itself once it is released
        thread.join(10.0)
    assert threads() == []


def test_stuck_twice_at_one_position_is_an_error_of_one_line(tmp_path):
    source = Source(stuck_at=[(0, 1)] * 2 + [(1, 0)])
    messages = []
    loader = Loader(source, hang_seconds=0.5, on_hang=messages.append, stacks_path=tmp_path / "no" / "stacks")
    assert take(loader, 1) == [(0, 0)]
    with pytest.raises(
        DataError, match=r"same position again.*batch 1 of epoch 0, clips '1'.*data.hang_seconds"
    ) as caught:
        next(loader)
    assert "\n" not in str(caught.value) and "could not be written" in messages[0]
    assert list(loader) == []
    loader.close()
    assert threads(), "it did not wait for the stuck ones"
    source.free.set()


def test_stuck_at_two_positions_continues():
    source, messages = Source(stuck_at=[(0, 1), (0, 2), (1, 1)]), []
    with Loader(source, hang_seconds=0.5, on_hang=messages.append) as loader:
        assert take(loader, 6) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    for epoch, index in ((0, 1), (0, 2), (1, 1)):
        assert sum(f"batch {index} of epoch {epoch}" in message for message in messages) == 1
    source.free.set()


def test_closing_does_not_wait_for_a_stuck_thread(monkeypatch):
    monkeypatch.setattr("myxtts.data.loader.CLOSE_SECONDS", 0.2)
    source = Source(stuck_at=[(0, 1)])
    loader = Loader(source)
    next(loader)
    loader.close()
    assert threads(), "it did not wait for the stuck one"
    source.free.set()


def test_the_fail_point_stops_the_loader(monkeypatch):
    monkeypatch.setattr("myxtts.data.loader.CLOSE_SECONDS", 0.2)
    faults.arm("data.build_batch:2:sleep=30")
    try:
        messages = []
        with Loader(Source(), hang_seconds=0.5, on_hang=messages.append) as loader:
            assert take(loader, 3) == [(0, 0), (0, 1), (0, 2)]
        assert messages
    finally:
        faults.disarm()
