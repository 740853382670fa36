"""D2: plan and loader give every utterance once per epoch, across kills, resumes and quarantines."""

import numpy as np
import pytest

from myxtts.config.schema import Config, DataConfig, TrainingConfig
from myxtts.data.batches import Batches, buckets_of
from myxtts.data.corpus import measure_corpus
from myxtts.data.loader import Loader
from myxtts.data.plan import FILL_ROW, choose_buckets, epoch_plan, without


class Source:
    """A plan of many clips; batches hold only the rows."""

    def __init__(self, clips, batch_size, seed):
        random = np.random.default_rng(seed)
        self.text, self.mel = random.integers(5, 200, clips), random.integers(20, 900, clips)
        self.buckets = choose_buckets(self.text, self.mel, 5)
        self.clips, self.batch_size, self.seed = clips, batch_size, seed
        self.quarantined = frozenset()

    def plan(self, epoch):
        planned = epoch_plan(self.text, self.mel, self.buckets, self.batch_size, self.seed, epoch)
        return without(planned, self.quarantined)

    def build(self, planned, epoch):
        return {"utterance_B": np.array(planned.rows)}


class Run:
    """A run that trains batches, saves its position, is killed and resumes. `trained`: rows its weights have seen."""

    def __init__(self, source):
        self.source, self.position, self.trained = source, (0, 0), []
        self.saved = (self.position, [])
        self.loader = Loader(source)

    def step(self):
        item = next(self.loader)
        rows = [int(row) for row in item.batch["utterance_B"] if row != FILL_ROW]
        self.trained.append((item.epoch, rows))
        self.position = (item.epoch + 1, 0) if item.last_of_epoch else (item.epoch, item.index + 1)

    def save(self):
        self.saved = (self.position, list(self.trained))

    def die(self):
        """What was made ahead and what was not saved is lost."""
        self.loader.close()
        self.position, self.trained = self.saved[0], list(self.saved[1])
        self.loader = Loader(self.source, *self.position)

    def rows_of(self, epoch):
        return sorted(row for at, rows in self.trained if at == epoch for row in rows)


@pytest.mark.parametrize(("clips", "batch_size"), [(1, 4), (16, 4), (37, 4), (101, 16)])
def test_a_resume_at_every_batch_of_an_epoch(clips, batch_size):
    source = Source(clips, batch_size, seed=3)
    for index in range(len(source.plan(2)) + 1):
        with Loader(source, 2, 0) as before:
            taken = [next(before) for _ in range(index)]
        with Loader(source, 2, index) as after:
            while not taken or not taken[-1].last_of_epoch:
                taken.append(next(after))
        rows = [int(row) for item in taken for row in item.batch["utterance_B"] if row != FILL_ROW]
        assert sorted(rows) == list(range(clips)) and {item.epoch for item in taken} == {2}


@pytest.mark.parametrize("seed", range(4))
def test_kills_anywhere_repeat_and_lose_nothing(seed):
    random = np.random.default_rng(seed)
    run = Run(Source(53, 4, seed))
    kills = 0
    while run.saved[0] < (4, 0):
        chance = random.random()
        if chance < 0.12:
            run.die()
            kills += 1
        elif chance < 0.3:
            run.save()
        else:
            run.step()
    run.loader.close()
    assert kills > 3
    assert [run.rows_of(epoch) for epoch in range(4)] == [list(range(53))] * 4


@pytest.mark.parametrize("seed", range(4))
def test_quarantine_excludes_one_clip_only(seed):
    random = np.random.default_rng(100 + seed)
    run = Run(Source(41, 4, seed))
    taken_at = {}
    while run.position < (4, 0):
        if random.random() < 0.25 and len(taken_at) < 12:
            row = int(random.integers(41))
            taken_at.setdefault(row, run.position)
            run.source.quarantined = frozenset(taken_at)
            run.loader.restart(*run.position)
        if random.random() < 0.05:
            run.save()
            run.die()
        run.step()
    run.loader.close()
    assert len(taken_at) > 2
    for epoch in range(4):
        rows = run.rows_of(epoch)
        assert len(rows) == len(set(rows)), "no clip twice"
        assert set(range(41)) - set(taken_at) <= set(rows), "every good clip"
        assert not {row for row, (at, index) in taken_at.items() if (at, index) <= (epoch, 0)} & set(rows)


def test_a_batch_of_quarantined_clips_is_skipped():
    source = Source(20, 4, seed=1)
    last = source.plan(0)[-1]
    source.quarantined = frozenset(row for row in last.rows if row != FILL_ROW)
    with Loader(source) as loader:
        taken = [next(loader) for _ in range(4)]
    assert [item.last_of_epoch for item in taken] == [False, False, False, True] and taken[-1].index < 4


def test_real_batches_with_a_clip_in_quarantine(store):
    config = Config(data=DataConfig(length_buckets=3), training=TrainingConfig(batch_size=2, seed=1))
    batches = Batches(store, measure_corpus(store, {}, ""), buckets_of([store], 3), config)
    batches.quarantined = frozenset({4})
    rows = []
    with Loader(batches) as loader:
        for item in loader:
            rows += [int(row) for row in item.batch["utterance_B"] if row >= 0]
            if item.last_of_epoch:
                break
    assert sorted(rows) == [0, 1, 2, 3, 5, 6, 7, 8]
