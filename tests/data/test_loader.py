import threading
import time

import numpy as np
import pytest

from myxtts.data.loader import Loader
from myxtts.data.plan import Bucket, PlannedBatch


class Source:
    """Three batches an epoch; a batch holds (epoch, row)."""

    def __init__(self, fail_at=None, seconds=0.0):
        self.fail_at, self.seconds, self.made = fail_at, seconds, 0

    def plan(self, epoch):
        return [PlannedBatch(Bucket(16, 16), (row,)) for row in range(3)]

    def build(self, planned, epoch):
        time.sleep(self.seconds)
        if (epoch, planned.rows[0]) == self.fail_at:
            raise OSError("the disk is gone")
        self.made += 1
        return {"utterance_B": np.array([epoch, planned.rows[0]])}


def take(loader, count):
    return [(item.epoch, item.index) for _, item in zip(range(count), loader, strict=False)]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "myxtts-loader"]


def test_batches_in_order_from_any_place():
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
    with Loader(Source(seconds=0.05)) as loader:
        next(loader)
        assert 0.03 < loader.take_waited_seconds() < 1.0
        assert loader.take_waited_seconds() == 0.0


def test_closing_ends_the_thread_whatever_it_does():
    for seconds in (0.0, 0.05):
        loader = Loader(Source(seconds=seconds), ahead=1)
        next(loader)
        loader.close()
        loader.close()
        assert threads() == []
        assert list(loader) == []


def test_an_empty_plan_is_an_error_and_no_endless_loop():
    source = Source()
    source.plan = lambda epoch: []
    with Loader(source) as loader, pytest.raises(ValueError, match="has no batch"):
        next(loader)
