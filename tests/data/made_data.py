"""Settings for preparing a small data set, and its ids and speakers."""

from myxtts.config.schema import Config, DataConfig, TextConfig, TrainingConfig


def settings(tmp_path, **data):
    values = {"cache_path": str(tmp_path / "cache"), "num_workers": 1, **data}
    return Config(
        text=TextConfig(symbols="characters"), data=DataConfig(**values), training=TrainingConfig(batch_size=4)
    )


def ids(store):
    return [utterance.id for utterance in store.utterances]


def speakers_of(store):
    return set(store.speakers)
