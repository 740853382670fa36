"""The page of an evaluation: every figure and player, and nothing that a text could run."""

from html.parser import HTMLParser
from typing import Any

from myxtts.report.evaluation import render_evaluation

FIGURE = {"title": "mel cepstral distortion, dB", "better": "lower", "digits": 2}


class Page(HTMLParser):
    """Gathers the tags that could load or run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "data")]


def result(**changes: Any) -> dict[str, Any]:
    clip = {
        "id": "ann/1",
        "text": "Hello <script>alert(1)</script> there.",
        "speaker": "ann",
        "language": "en-us",
        "source": "m:1",
        "reference": "ann/2",
        "own_reference": False,
        "files": {who: f"audio/001-{who}.wav" for who in ("spoken", "recording", "reference")},
        "seconds": {"spoken": 1.5, "recording": 1.25, "reference": 4.0},
        "figures": {"spoken": {"mcd_db": 6.125, "wer": 0.25}, "recording": {}},
        "recognized": {"spoken": "", "recording": "hello there"},
        "notes": ["a token was cut"],
    }
    own = {**clip, "id": "bob/1", "own_reference": True, "reference": "bob/1"}
    return {
        "format": 1,
        "made": "2026-01-02 03:04 UTC",
        "version": "0",
        "checkpoint": "run/step-1",
        "update": 2050,
        "data": "../root",
        "data_name": "root",
        "split": "val",
        "seed": 1,
        "judge": None,
        "notes": ["1 clips are their own reference"],
        "legend": {"mcd_db": FIGURE, "wer": {"title": "word error rate", "better": "lower", "digits": 3}},
        "who": {"spoken": "model", "recording": "recordings"},
        "figures": {"spoken": {"mcd_db": {"mean": 6.125, "median": 5.5, "clips": 2}}, "recording": {}},
        "speakers": {
            "same_mean": 0.9, "other_mean": None, "equal_error_rate": 0.125, "same_pairs": 3, "other_pairs": 0,
            "pairs": "recordings", "recordings": 4,
        },
        "clips": [clip, own],
        **changes,
    }  # fmt: skip


def test_figures_players_and_words() -> None:
    page = render_evaluation(result())
    assert "root, update 2,050" in page and "2 of split val" in page and 'Judge</dt><dd dir="auto">none' in page
    assert '<td>mel cepstral distortion, dB</td><td class="num">6.12</td><td class="num">5.50</td>' in page
    assert "<td>word error rate</td>" in page  # a figure of the clips, though there is no summary of it
    assert "<dt>mel cepstral distortion, dB</dt><dd>6.12</dd>" in page
    assert "1 clips are their own reference" in page and "a token was cut" in page and "12.5%" in page
    assert "recognized, model:</span> (nothing)" in page and "hello there" in page
    sources = Page(page).sources
    assert sources[:3] == ["audio/001-recording.wav", "audio/001-reference.wav", "audio/001-spoken.wav"]
    assert len(sources) == 5 and "ann/2, 4.0 s" in page and "also the reference of the voice" in page


def test_nothing_is_loaded_or_run() -> None:
    page = render_evaluation(result())
    assert "script" not in Page(page).tags and "&lt;script&gt;" in page
    assert "default-src 'none'" in page and "http://" not in page and "https://" not in page


def test_who_judged_is_named() -> None:
    page = render_evaluation(result(judge={"recognizer": "/models/tiny.en", "packages": {}}))
    assert "/models/tiny.en" in page
