"""docs/reference/configuration.md is what the schema says. tests/test_readme.py checks that it is up to date."""

from myxtts.cli.arguments import OPTION_OF_KEY
from myxtts.config.document import document, meanings
from myxtts.config.fields import LEAVES
from myxtts.config.schema import SECTIONS
from myxtts.messages import plain


def test_every_setting_and_section_has_a_meaning() -> None:
    assert set(meanings()) >= set(LEAVES) | set(SECTIONS)
    assert all(len(meaning) > 10 for meaning in meanings().values())


def test_the_page_names_every_setting_its_option_and_the_reasons() -> None:
    text = document(OPTION_OF_KEY)
    assert all(f"| `{key}`" in text for key in LEAVES)
    assert (
        "| `optimizer.learning_rate` `--lr` | `1e-05` | number over 0 and at most 1 | Learning rate at the end" in text
    )
    assert "| `optimizer.clip_norm` | 0.3 | 0.3 | 0.8 let single clips move the weights too far |" in text
    assert "0.0007 at small" in text


def test_plain_values() -> None:
    assert [plain(value) for value in (True, 1e-05, 3.0, 16, "x")] == ["true", "1e-05", "3.0", "16", "x"]
