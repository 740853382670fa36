"""Settings files: strict YAML, lines, hostile input."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from myxtts.config.files import MOST_BYTES, config_of_file, config_yaml, load_file, provenance_json
from myxtts.config.resolve import Resolved, resolve
from myxtts.errors import ConfigError


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "x.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def resolved_of(folder: Path, text: str | bytes) -> Resolved:
    return resolve([load_file(write(folder, text))])


def problems_of(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolved_of(folder, text)
    return caught.value.problems


def test_values_keep_their_line(tmp_path: Path) -> None:
    resolved = resolved_of(tmp_path, "# one\nmodel_size: small\noptimizer:\n  learning_rate: 1e-05\n  beta_1: '0.8'\n")
    assert resolved.config.optimizer.learning_rate == 1e-5  # PyYAML alone would give the text '1e-05'
    assert resolved.config.optimizer.beta_1 == 0.8
    assert resolved.source("optimizer.learning_rate").layer == f"file {tmp_path}/x.yaml:4"
    assert resolved.named == {"model_size", "optimizer.learning_rate", "optimizer.beta_1"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "training:\n", "null\n"])
def test_a_file_without_settings_sets_nothing(tmp_path: Path, text: str) -> None:
    assert resolved_of(tmp_path, text).named == frozenset()


def test_bom_crlf_and_utf16_are_read(tmp_path: Path) -> None:
    assert resolved_of(tmp_path, b"\xef\xbb\xbftraining:\r\n  seed: 7\r\n").config.training.seed == 7
    assert resolved_of(tmp_path, "training:\n  seed: 8\n".encode("utf-16")).config.training.seed == 8


def test_norway_stays_a_language(tmp_path: Path) -> None:
    assert resolved_of(tmp_path, "text:\n  language: no\n").config.text.language == "no"


def test_duplicate_keys_are_an_error_with_both_lines(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "training:\n  seed: 1\n  epochs: 3\n  seed: 2\n")
    assert problem == f"{tmp_path}/x.yaml:4: duplicate key 'training.seed', first on line 2; keep one"
    (problem,) = problems_of(tmp_path, "loss:\n  mel_weight: 1\nloss:\n  kl_weight: 1\n")
    assert ":3: duplicate key 'loss', first on line 1" in problem


def test_unknown_keys_have_a_line_the_nearest_and_the_list(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, "optimiser:\n  lr: 1\noptimizer:\n  learning_rat: 1\n")
    assert problems[0].startswith(
        f"{tmp_path}/x.yaml:1: unknown key 'optimiser'; the nearest is optimizer; the top level has"
    )
    assert problems[1].startswith(
        f"{tmp_path}/x.yaml:4: unknown key 'optimizer.learning_rat'; the nearest is optimizer.learn"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("training: 3\n", ":1: training is a section"),
        ("- 1\n- 2\n", ":1: expected settings"),
        ("just words\n", ":1: expected settings"),
        ("training:\n  seed: [1, 2]\n", ":2: training.seed takes one value"),
        ("training:\n  seed:\n", ":2: training.seed has no value"),
        ("training:\n  seed: ~\n", ":2: training.seed has no value"),
        ("? [a, b]\n: 1\n", ":1: a key must be a name"),
        ("a: &a [x, x]\nb: [*a, *a]\n", ":2: not valid YAML: aliases (*name)"),
        ("training: {<<: *base}\n", "aliases"),
        ("training:\n  seed: !!python/object/apply:os.system ['true']\n", ":2: training.seed takes one value"),
        ("training:\n  seed: !!python/name:os.system\n", ":2: training.seed has the tag"),
        ("training:\n  seed: 1\n bad\n", ": not valid YAML"),
        ("training:\n\tseed: 1\n", ":2: not valid YAML"),
        ("a: 1\n---\nb: 2\n", ":2: not valid YAML"),
        ("[" * 20_000, ":1: not valid YAML: nested too deeply"),
        ('"\\UFFFFFFFF": 1\n', "not valid YAML"),
        (b"training:\n  seed: \xff\xfe\n", "x.yaml:2: not valid YAML"),
        (b"training:\n  seed: \x00\n", "x.yaml:2: not valid YAML"),
        ("%YAML " + "9" * 5_000 + ".1\n---\na: 1\n", "not valid YAML"),
        (b"#" * (MOST_BYTES + 1), "too large"),
    ],
)
def test_what_is_not_a_settings_file_is_one_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    problems = problems_of(tmp_path, text)
    assert words in problems[0]
    assert all("\n" not in problem and len(problem) < 500 for problem in problems)


def test_the_line_of_a_control_character_behind_persian_text(tmp_path: Path) -> None:
    (problem,) = problems_of(
        tmp_path, "# \u0633\u0644\u0627\u0645\n# \u0633\u0644\u0627\u0645\ntraining:\n  seed: 4\x01\n"
    )
    assert "x.yaml:4: not valid YAML" in problem


def test_numbers_with_persian_digits(tmp_path: Path) -> None:
    config = resolved_of(
        tmp_path, "training: {epochs: \u06f5\u06f0}\noptimizer:\n  learning_rate: \u06f0\u066b\u06f0\u06f1\n"
    ).config
    assert (config.training.epochs, config.optimizer.learning_rate) == (50, 0.01)


def test_an_alias_bomb_costs_nothing(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (problem,) = problems_of(tmp_path, "\n".join(rows))
    assert ":2: not valid YAML: aliases" in problem


def test_files_that_are_none(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, words in ((tmp_path / "gone.yaml", "No such file"), (tmp_path, "irectory"), (fifo, "not a regular file")):
        with pytest.raises(ConfigError, match=words) as caught:
            resolve([load_file(path)])
        assert str(path) in caught.value.problems[0]


def test_config_yaml_loads_back_to_the_same_configuration(tmp_path: Path) -> None:
    text = "optimization_level: experimental\nmodel_size: big\n"
    text += 'data:\n  train_path: "a \\"b\\" \\\\ می\u200cشود \U0001f600 # x"\n'
    resolved = resolved_of(tmp_path, text)
    assert resolved.config.data.train_path.endswith("# x")
    written = config_yaml(resolved)
    assert config_of_file(write(tmp_path, written)) == resolved.config
    assert "  learning_rate: 0.0002  # level experimental" in written


def test_provenance_json_has_every_chain(tmp_path: Path) -> None:
    import json

    resolved = resolved_of(tmp_path, "optimization_level: basic\ntraining:\n  seed: 3\n")
    chains = json.loads(provenance_json(resolved))
    assert chains["training.seed"][0] == {"layer": f"file {tmp_path}/x.yaml:3", "value": 3, "reason": ""}
    assert [row["layer"] for row in chains["optimizer.clip_norm"]] == ["level basic", "default"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=80), st.text(alphabet="ab:-{}[]&*!|>'\"%@`#,? \n\t01.e~\\U", max_size=80)))
def test_any_bytes_give_settings_or_problems_of_one_line(tmp_path: Path, content: bytes | str) -> None:
    try:
        resolved_of(tmp_path, content if isinstance(content, bytes) else content.encode())
    except ConfigError as error:
        assert error.problems and all("\n" not in problem for problem in error.problems)
