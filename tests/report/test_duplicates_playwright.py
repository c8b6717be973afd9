"""Answers on the page of duplicates, in a real browser, and what becomes of them."""

import csv
import io
import shutil

import numpy as np
import pytest
from frozen_trees import rows_of, save
from PIL import Image

from carscale import curate, data, outgoing
from carscale.data.frozen.answers import read_answers
from carscale.report import write_gallery

NAMES = (
    '=1+1, "Škoda" \' RS',
    "</script><script>alert(1)</script>",
    "<b>O'Neil</b> & {{ 7*7 }} `x`",
    "@sum(A1);'",
    "車 Ünïcode " + "very-long-" * 15,
    "'-2+3",
)
FILES = ("=a, 'b' \"c\".jpg", "<script>alert(2)<_script>.jpg", "車\n\u2028.jpg", "-1+1;.jpg")
LOADED = (
    "Promise.all([...document.images].map((image) => image.complete"
    " || new Promise((done) => { image.onload = image.onerror = done; })))"
)
WORDS = ("same one", "same other", "different", "leave out")


def patches(seed):
    """A picture with many details, so that a copy of it is told from all others."""
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 18, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((180, 120), Image.Resampling.BICUBIC)


def make_set(place, *, seed=0):
    """Freeze classes with hostile names and four pairs, each in two of them; write the page."""
    rows = []
    for label, name in enumerate(NAMES):
        save(place / "raw" / f"{label}.jpg", patches(seed + 50 + label), "JPEG", quality=90)
        rows.append([f"{label}.jpg", name])
    for number, file in enumerate(FILES):
        for side, quality in enumerate((90, 60)):
            path = f"{number}{side}/{file}"
            save(place / "raw" / path, patches(seed + number), "JPEG", quality=quality)
            rows.append([path, NAMES[number + side]])
    shutil.copy(place / "raw" / "30" / FILES[3], place / "raw" / "31" / FILES[3])  # exact
    with (place / "raw" / "cars.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "label"], *rows])
    rule = data.FreezeRule(fractions=(1, 0, 0), near_duplicates="ignore")
    root = data.freeze(place / "raw" / "cars.csv", place / "cars", rule).root
    found = curate.find_duplicates(root)
    return root, write_gallery(place / "page", found, command="carscale data dedupe cars")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("hostile"))


def open_whole(open_page, path, **options):
    """Open a page so high that all photos load, and wait: none is cut off by what comes next."""
    page = open_page(path, height=4000, **options)
    page.evaluate(LOADED)
    return page


def load(page, path):
    """Open another page, or the same again."""
    page.goto(path.as_uri())
    page.evaluate(LOADED)


def pressed(page):
    return page.eval_on_selector_all("[aria-pressed=true]", "nodes => nodes.map((n) => n.value)")


def told(page):
    return page.locator("[role=status]").text_content()


def test_answers_are_kept_saved_and_become_a_version(open_page, made, tmp_path):
    root, path = made
    page = open_whole(open_page, path, accept_downloads=True)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    questions = page.locator("fieldset")
    assert questions.count() == 4
    assert told(page) == "0 of 4 answered."
    pairs = [page.evaluate("node => JSON.parse(node.dataset.pair)", one)
             for one in questions.element_handles()]  # fmt: skip
    assert {photo["label"] for pair in pairs for photo in pair} == set(NAMES[:5])
    buttons = [questions.nth(n).locator(f"[value='{word}']") for n, word in enumerate(WORDS)]
    exact = page.locator("article", has=page.get_by_text("exact", exact=True))
    assert exact.locator("[value=different]").all_text_contents() == ["Both labels are right"]
    assert page.get_by_text("Different cars").count() == 3
    for button in buttons:
        button.click()
    buttons[0].click()  # takes it back
    assert pressed(page) == list(WORDS[1:])
    assert told(page) == "3 of 4 answered."
    questions.nth(0).locator("[value=different]").click()
    buttons[0].click()  # another answer in place of it
    load(page, path)
    assert pressed(page) == list(WORDS)
    assert told(page) == "4 of 4 answered."
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save answers.csv").click()
    assert waiting.value.suggested_filename == "answers.csv"
    answers = tmp_path / "answers.csv"
    waiting.value.save_as(answers)
    lines = list(csv.reader(io.StringIO(answers.read_bytes().decode("utf-8"), newline="")))
    assert [line[3] for line in lines] == ["decision", "same", "same", "different", "leave out"]
    assert not [cell for line in lines for cell in line if cell[:1] in tuple("=+-@\t\r\n")]

    version = data.relabel(root, answers, tmp_path / "new")
    assert (version.num_relabelled, version.num_left_out, version.num_answers) == (2, 2, 3)
    before = {row["id"]: row for row in rows_of(root)}
    after = {row["key"]: row["class"] for row in rows_of(version.root)}
    keys = [[before[photo["id"]]["key"] for photo in pair] for pair in pairs]
    classes = [[after.get(key) for key in pair] for pair in keys]
    labels = [[photo["label"] for photo in pair] for pair in pairs]
    assert classes == [[labels[0][0]] * 2, [labels[1][1]] * 2, labels[2], [None, None]]
    said = {frozenset((one.one, one.other)): one.is_same for one in read_answers(version.root)}
    assert said == dict(zip(map(frozenset, keys), (True, True, False), strict=False))
    data.verify(version.root, mode="full")
    again = write_gallery(tmp_path / "page", curate.find_duplicates(version.root))
    assert open_page(again).locator("fieldset, [data-answers]").count() == 0


def test_any_text_becomes_a_cell_as_python_writes_it(open_page, made, tmp_path):
    texts = ["a\nb", '"', "a,b", "\n=1", "\r", "=1+1", "＝1", "-1e3", "-", "+.5", "'=1", " "]
    page = open_page(made[1], accept_downloads=True)
    with page.expect_download() as waiting:
        page.evaluate("texts => carscaleCsv.saveCsv('x.csv', [texts, texts])", texts)
    waiting.value.save_as(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [[outgoing.csv_cell(text) for text in texts]] * 2


def test_answers_on_another_set_of_the_same_name_are_not_taken(open_page, made, tmp_path):
    page = open_whole(open_page, made[1])
    page.locator("fieldset button").first.click()
    assert told(page) == "1 of 4 answered."
    _, other = make_set(tmp_path, seed=200)
    load(page, other)
    assert told(page) == "0 of 4 answered."
    load(page, made[1])
    assert told(page) == "1 of 4 answered."
    for stored in ("localStorage[key].replace('same one', 'x')", "'[1]'", "'null'", "'{'"):
        page.evaluate(f"for (const key of Object.keys(localStorage)) localStorage[key] = {stored}")
        load(page, made[1])
        assert told(page) == "0 of 4 answered."


def test_keys_go_from_group_to_group(open_page, made):
    page = open_page(made[1])

    def focused():
        return page.evaluate(
            "[...document.querySelectorAll('article')]"
            ".findIndex((one) => one.contains(document.activeElement))"
        )

    places = []
    for key in ("k", "j", "J", "j", "Control+j", "j", "j", "K", "k"):
        page.keyboard.press(key)
        places.append(focused())
    assert places == [-1, 0, 1, 2, 2, 3, 3, 2, 1]
    top = page.evaluate("document.activeElement.getBoundingClientRect().top")
    assert top >= page.evaluate("document.querySelector('nav').getBoundingClientRect().bottom")
    page.locator("article").nth(2).locator("button").first.focus()
    page.keyboard.press("j")
    assert focused() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_narrow_screen_nothing_is_wider_and_nothing_covered(open_page, made, scheme):
    page = open_page(made[1], width=390, height=800, scheme=scheme, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    wide = "[...document.querySelectorAll('body *')].filter((node) => !node.closest('nav'))"
    wide += ".filter((node) => node.getBoundingClientRect().right > 390).length"
    assert page.evaluate(wide) == 0
    buttons = page.locator("button")
    heights = buttons.evaluate_all("nodes => nodes.map((node) => node.offsetHeight)")
    assert len(heights) == 4 * 4 + 1
    assert min(heights) >= 40
    bar = page.locator("[data-answers]").bounding_box()
    assert bar["y"] + bar["height"] == 800
    assert bar["height"] < 130
    bottoms = []
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.question button')"):
            bottoms.append(page.evaluate("document.activeElement.getBoundingClientRect().bottom"))
    assert len(bottoms) == 4 * 4
    assert max(bottoms) <= bar["y"]  # tabbed to, a button is not below the bar


def test_on_paper_nothing_asks(open_page, made):
    page = open_page(made[1])
    page.emulate_media(media="print")
    assert not page.locator("fieldset").first.is_visible()
    assert not page.locator("[data-answers]").is_visible()
    assert page.locator("article img").first.is_visible()
