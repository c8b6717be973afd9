import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browser import CHROMIUM
from fake_run import make_run, write_analysed


@pytest.fixture(scope="session")
def run12(tmp_path_factory):
    """A run of 12 classes with its report, and its predictions by split."""
    run = tmp_path_factory.mktemp("runs") / "twelve"
    made = make_run(run)
    write_analysed(run)
    return run, made


@pytest.fixture(scope="session")
def run196(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "many"
    made = make_run(run, num_classes=196, num_samples=3000, splits=("val",), with_logs=False)
    write_analysed(run)
    return run, made


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as play:
        # never the network: the page asks for nothing, and the browser may not either
        browser = play.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Open a page; at the end there must be nothing on the console."""
    complaints, contexts = [], []

    def open_it(path, *, width=1280, height=900, scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []
