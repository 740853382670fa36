"""Options of a synthesis: one definition for library, documentation and command line."""

import inspect

import pytest

from myxtts.cli import speak
from myxtts.errors import ConfigError
from myxtts.models.generate import Generator
from myxtts.synthesis.options import SPEAK_OPTIONS, SpeakOptions, option_problems
from myxtts.synthesis.synthesizer import Synthesizer


@pytest.mark.parametrize("method", [Synthesizer.speak, Synthesizer.stream])
def test_signatures_have_the_options_and_defaults(method: object) -> None:
    found = {name: one for name, one in inspect.signature(method).parameters.items() if name in SPEAK_OPTIONS}  # type: ignore[arg-type]
    assert {name: one.default for name, one in found.items()} == {n: o.default for n, o in SPEAK_OPTIONS.items()}
    assert all(one.kind is inspect.Parameter.KEYWORD_ONLY for one in found.values())


def test_the_model_has_the_same_defaults() -> None:
    found = inspect.signature(Generator.generate_mel).parameters
    names = SPEAK_OPTIONS.keys() & found.keys() - {"language"}
    assert {"speed", "seed", "temperature", "steps"} <= names
    assert [found[name].default for name in names] == [SPEAK_OPTIONS[name].default for name in names]


def test_descriptions_and_ranges_are_in_the_docstring_and_in_the_help() -> None:
    docstring = " ".join(str(inspect.getdoc(Synthesizer.speak)).split())
    help_text = " ".join(speak._parser().format_help().split())
    for name, option in SPEAK_OPTIONS.items():
        meaning = f"{option.description}; {option.range}" if option.range else option.description
        assert f"{name}: {meaning}" in docstring, name
        assert f"--{name.replace('_', '-')} " in help_text and f"{meaning} ({option.default_text})" in help_text, name


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("speed", 9.0, "speed is 9.0, expected 0.25 to 4 times"),
        ("speed", "fast", "speed is 'fast', expected a number, 0.25 to 4 times"),
        ("pitch", float("nan"), "pitch is nan, expected -24 to 24 semitones"),
        ("seed", 1.5, "seed is 1.5, expected a whole number, 0 to 2147483647"),
        ("steps", 201, "steps is 201, expected 0 to 200 steps"),
        ("language", 3, "language is 3, expected text"),
        ("speed", None, "speed is None, expected a number, 0.25 to 4 times"),
    ],
)
def test_values_that_are_not_allowed(name: str, value: object, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SpeakOptions(**{name: value})  # type: ignore[arg-type]
    assert caught.value.problems == (expected,) or list(caught.value.problems) == [expected]


def test_all_problems_at_once_under_the_name_of_the_command_line_option() -> None:
    assert option_problems({"pitch_range": 9.0, "vary": -1, "steps": None}, prefix="--") == [
        "--pitch-range is 9.0, expected 0 to 4 times",
        "--vary is -1, expected 0 to 2",
    ]
