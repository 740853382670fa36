"""What is written to stderr while TensorFlow is loaded is held back, unless it is needed."""

import os

import pytest

from myxtts.cli.quiet import quiet_loading


def test_chatter_is_held_back(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with quiet_loading():
        os.write(2, b"chatter\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"


def test_it_is_shown_where_loading_fails(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with pytest.raises(ImportError), quiet_loading():
        os.write(2, b"why it failed\n")
        raise ImportError
    assert capfd.readouterr().err == "why it failed\n"


def test_a_user_who_set_the_level_sees_all(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with quiet_loading():
        os.write(2, b"chatter\n")
    assert capfd.readouterr().err == "chatter\n"
