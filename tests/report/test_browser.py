import re

import pytest
from browser import dump_dom
from study_sample import make_study

from carscale.report import write_study


@pytest.fixture(scope="module")
def pages(run12, tmp_path_factory):
    """A run's page, a study's page."""
    study = write_study(tmp_path_factory.mktemp("study"), make_study())
    return {"run": run12[0] / "report" / "index.html", "study": study}


@pytest.mark.parametrize(("name", "num_hovers", "num_tables"), [("run", 1, 6), ("study", 1, 3)])
def test_page_loads_in_a_browser_without_errors(pages, tmp_path, name, num_hovers, num_tables):
    page = pages[name]
    (nonce,) = re.findall("nonce-([0-9a-f]+)", page.read_text(encoding="utf-8"))
    # a copy that presses every heading and moves over every figure
    poke = (
        f"<script nonce={nonce}>"
        "for (const b of document.querySelectorAll('thead button')) b.click();"
        "for (const p of document.querySelectorAll('[data-hover]')) {"
        "const r = p.querySelector('img').getBoundingClientRect();"
        "for (let i = 0; i < 900; i++) p.dispatchEvent("
        "new PointerEvent('pointermove', {clientX: r.left + r.width * (i % 30) / 30,"
        " clientY: r.top + r.height * Math.floor(i / 30) / 30}));"
        "if (document.getElementById('tip').textContent) p.dataset.told = 'yes'; }"
        "document.body.dataset.wide = document.documentElement.scrollWidth > innerWidth;"
        "</script></body>"
    )
    probe = page.with_name("probe.html")
    probe.write_text(page.read_text(encoding="utf-8").replace("</body>", poke), encoding="utf-8")
    try:
        shown = dump_dom(probe, tmp_path / "profile")
    finally:
        probe.unlink()
    console = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    assert shown.stdout.count('data-told="yes"') >= num_hovers
    assert 'data-wide="false"' in shown.stdout
    assert len(re.findall("<th [^>]*aria-sort=", shown.stdout)) == num_tables  # one each
    assert shown.stdout.count('class="copier"') == shown.stdout.count('class="copy"')
