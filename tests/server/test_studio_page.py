"""The page of the studio in a real Chromium: the main path of each tab, a reload in the middle, both languages."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_model
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api")

from myxtts.synthesis import Synthesizer  # noqa: E402
from tests.data.made_recordings import make_root  # noqa: E402
from tests.server.made_studio import TOKEN, MadeStudio, open_studio  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH"),
    pytest.mark.filterwarnings("default"),
]
OPTIONS = (
    "--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
WAIT_MS = 120_000
"""Only ends a test that hangs; nothing depends on it."""
BAD_REQUEST = "the server responded with a status of 400"
"""The browser logs an error where a test makes an invalid request."""
TABS = ("speak", "voices", "data", "train", "runs")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeStudio]:
    synthesizer = Synthesizer.load(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved()))
    with open_studio(tmp_path_factory.mktemp("studio"), synthesizer) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser(studio: MadeStudio) -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser: Any, studio: MadeStudio) -> Iterator[Any]:
    """Opens pages in a window of their own; in the end none of them has an error on its console."""
    contexts, said = [], []

    def note(message: Any) -> None:
        if message.type in ("error", "warning") and BAD_REQUEST not in message.text:
            said.append(message.text)

    def open_page(width: int = 1280, locale: str = "en-US") -> Any:
        viewport = {"width": width, "height": 850}
        context = browser.new_context(viewport=viewport, locale=locale, permissions=["microphone"])
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", note)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{studio.url}/?token={TOKEN}")
        ready(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def ready(page: Any) -> None:
    page.wait_for_selector("body[data-ready]")


def reload(page: Any) -> None:
    page.reload()
    ready(page)


def shown(page: Any, selector: str) -> Any:
    return page.wait_for_selector(f"{selector}:not([hidden])")


def has(page: Any, selector: str, text: Any) -> None:
    """Waits for a text; the page's policy allows no expression that Playwright would evaluate again and again."""
    playwright.expect(page.locator(selector)).to_contain_text(text, timeout=WAIT_MS)


def test_speak(new_page: Any) -> None:
    page = new_page()
    text = "A good day to all. And one more sentence for you."
    page.fill("#speak-text", text)
    page.select_option("#speak-voice", "bob")
    page.click("#speak-options summary")
    page.fill("#option-speed", "0.5")
    page.click("#speak-go")
    page.wait_for_selector("#speak-words .now", state="attached")
    reload(page)  # in the middle: what is computed is followed, and the form is as it was
    shown(page, "#speak-download")
    assert page.input_value("#speak-text").startswith("A good day") and page.input_value("#option-speed") == "0.5"
    assert page.inner_text("#speak-words").split() == text.split()
    with page.expect_download() as download:
        page.click("#speak-download")
    assert Path(download.value.path()).read_bytes()[:4] == b"RIFF"
    page.click("#history li button:first-of-type")
    page.wait_for_selector("#speak-words .now", state="attached")
    page.fill("#speak-text", "...")
    page.click("#speak-go")
    assert "can be spoken" in shown(page, "#message").inner_text()


def test_voices(new_page: Any, studio: MadeStudio, tmp_path: Path) -> None:
    page = new_page()
    page.click("#tab-voices")
    page.click("#record")
    has(page, "#clock", re.compile("[2-9] s"))
    page.click("#record")
    shown(page, "#kept")
    page.set_input_files("#file", made_model.save_recording(tmp_path / "me.wav", seconds=4.0))
    has(page, "#kept-figures", re.compile("Recorded *4 s"))
    reload(page)
    shown(page, "#kept")
    page.fill("#voice-name", "anna")
    page.fill("#consent-by", "Ann Example")
    page.check("#accept-problem")
    page.click("#voice-form .main")
    page.wait_for_selector("#voice-list strong:text-is('anna')")
    assert "Consent: Ann Example" in page.inner_text("#voice-list")
    shown(page, "#hear-audio")
    page.select_option("#mix-a", "anna")
    page.select_option("#mix-b", "bob")
    page.fill("#mix-name", "half")
    page.click("#mix-form button:text-is('Save the mixture')")
    page.wait_for_selector("#voice-list strong:text-is('half')")
    page.click("#voice-list li:has(strong:text-is('half')) button:text-is('Rename')")
    page.fill("#ask-input", "نیمه")
    page.click("#ask .main")
    page.wait_for_selector("#voice-list strong:text-is('نیمه')")
    page.click("#voice-list li:has(strong:text-is('نیمه')) button:text-is('Delete')")
    page.click("#ask .main")
    page.wait_for_selector("#voice-list strong:text-is('نیمه')", state="detached")
    assert [path.stem for path in studio.voices.glob("*.voice")] == ["anna"]
    assert len(list((studio.voices / "trash").iterdir())) == 1


def test_data(new_page: Any, studio: MadeStudio) -> None:
    root = make_root(studio.folder / "data", clips=8)
    with (root / "metadata.csv").open("a") as table:
        table.write("gone|Nothing here.|s0\n")
    page = new_page()
    page.click("#tab-data")
    page.fill("#data-folder", str(root))
    page.click("#data-form .main")
    shown(page, "#audit")
    reload(page)  # in the middle: the check continues
    page.wait_for_selector("#clips tbody tr")
    assert page.locator("#clips tbody tr").count() == 8
    finding = page.locator("#findings .finding").first
    finding.locator("summary").click()
    assert "Recording is missing" in finding.inner_text() and "Fix:" in finding.inner_text()
    page.click("#clips tbody tr:first-child button")
    page.wait_for_selector("#clip-audio")
    while not page.evaluate("document.getElementById('clip-audio').duration > 0.9"):  # ends with the test's time
        page.wait_for_timeout(100)
    page.click("#audit-train")
    shown(page, "#train")
    assert page.input_value("#train-data") == str(root)


def test_train_and_runs(new_page: Any, studio: MadeStudio) -> None:
    page = new_page()
    page.click("#tab-train")
    page.fill("#train-data", str(studio.folder))
    for name in ("first", "second"):
        page.fill("#train-name", name)
        page.select_option("#train-base", "")
        page.click("#train-plan")
        page.wait_for_selector("#plan-rows tr")
        page.click("#train-start")
        has(page, "#watch-command", re.compile(f"/{name} "))
        reload(page)  # in the middle: the training continues, and is shown
        page.wait_for_selector("#samples audio", state="attached")
        assert page.input_value("#train-run") == name and page.locator("#charts svg").count() >= 2
        assert "update 3 was skipped" in page.inner_text("#ladder")
        assert page.inner_text("#health strong") and "myxtts train --train-data" in page.inner_text("#watch-command")
        page.click("#watch-stop")
        shown(page, "#watch-continue")
        assert page.inner_text("#watch-state") == "stopped"
    page.click("#tab-runs")
    page.click("#runs-table button:text-is('first')")
    report = page.frame_locator("#run-report")
    report.locator("h1:text-is('first')").wait_for()
    page.click("#run-tasks summary:text-is('Doctor')")
    page.click("#run-tasks details:has(summary:text-is('Doctor')) button:text-is('Start')")
    page.wait_for_selector("#run-tasks pre:has-text('doctor of')")
    page.select_option("#compare-a", "first")
    page.select_option("#compare-b", "second")
    page.wait_for_selector("#pairs audio", state="attached")
    assert page.locator("#pairs audio").count() == 2
    page.check("#blind")
    page.click("#reveal")
    assert {"first", "second"} <= set(page.inner_text("#pairs").replace("·", " ").split())
    reload(page)
    has(page, "#run-title", "first")


@pytest.mark.parametrize(("locale", "direction"), [("en-US", "ltr"), ("fa-IR", "rtl")])
def test_each_tab_in_both_directions_on_a_phone_and_for_axe(new_page: Any, locale: str, direction: str) -> None:
    axe = pytest.importorskip("axe_playwright_python")
    script = Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    page = new_page(390, locale)
    assert page.evaluate("document.documentElement.dir") == direction
    page.evaluate(script)
    page.focus("#tab-speak")
    for tab in TABS:
        shown(page, f"#{tab}")
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{tab} is {wide} pixels wider than a phone"
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        found = page.evaluate("axe.run(document, {iframes: false})")["violations"]
        serious = [
            (one["id"], [node["html"][:120] for node in one["nodes"]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], tab
        page.focus(f"#tab-{tab}")
        page.keyboard.press("ArrowLeft" if direction == "rtl" else "ArrowRight")
    page.click("#language")
    page.wait_for_selector(f"html:not([dir={direction}])")
    reload(page)
    assert page.evaluate("document.documentElement.dir") != direction, "the choice of the language is kept"


def test_an_error_is_shown_in_persian_with_the_original(new_page: Any) -> None:
    page = new_page(1280, "fa-IR")
    page.click("#tab-train")
    page.fill("#train-data", "/none/at/all")
    page.fill("#train-name", "x")
    page.click("#train-plan")
    has(page, "#message", "پوشهٔ دادهٔ '/none/at/all' نیست")
    assert page.inner_text("#message .original").startswith("the data folder '/none/at/all' does not exist")
    page.click("#tab-runs")
    page.wait_for_selector("#message", state="hidden")


@pytest.mark.slow
def test_evaluate_and_export_with_the_real_commands(browser: Any, tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx")
    root, run = make_root(tmp_path / "data", clips=4), tmp_path / "runs" / "small"
    made_model.save_run(run, made_model.resolved(data__train_path=str(root)))
    shutil.copy(next(run.glob("checkpoints/step-*/config.yaml")), run / "config.yaml")
    program = (sys.executable, "-m", "myxtts")
    with open_studio(tmp_path, Synthesizer.load(run), program=program) as studio:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(3 * WAIT_MS)
        page.goto(f"{studio.url}/?token={TOKEN}")
        ready(page)
        page.click("#tab-runs")
        page.click("#runs-table button:text-is('small')")
        for task in ("Evaluate", "Export"):
            details = f"#run-tasks details:has(summary:text-is('{task}'))"
            page.click(f"#run-tasks summary:text-is('{task}')")
            page.click(f"{details} button:text-is('Start')")
            page.wait_for_selector(f"{details} [role=status]:text-matches('^(done|failed)$')")
            assert page.inner_text(f"{details} [role=status]") == "done", page.inner_text(f"{details} pre")
        context.close()
    assert (next((run / "evaluation").iterdir()) / "evaluation.json").is_file()
    assert Synthesizer.load(run.with_name("small-onnx")).opened.update == 10


def test_an_address_without_its_key(browser: Any, studio: MadeStudio) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(studio.url)
    assert "myxtts studio" in page.inner_text("body")
    context.close()
