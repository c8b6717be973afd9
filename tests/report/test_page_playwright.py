"""What a person does on the page, in a real browser."""

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
from fake_analysis import fake_analysis
from fake_run import demo_classes, make_run
from PIL import Image

from carscale.report import write_overview, write_report

ODD = 'Audi "Quattro", 5 <b>'


def draw_photos(root, paths):
    """Small pictures, one a path."""
    for number, path in enumerate(paths):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        shade = (number * 37 % 255, number * 91 % 255, 120)
        Image.new("RGB", (60 + number % 3 * 20, 45), shade).save(file)


def write_page(
    folder, *, num_classes, num_samples, splits=("val", "test"), num_reviewed=12, names=None, **more
):
    rows = demo_classes(num_classes)
    for row, name in zip(rows, names or [rows[0]["name"], ODD], strict=False):
        row["name"] = name
        if names:
            row["make"] = name
    photos = folder / "photos"
    paths = [(i % num_classes, f"val/{i % num_classes}/p {i}#.jpg") for i in range(num_samples)]
    train = [(i % num_classes, f"train/{i}.jpg") for i in range(40)]
    draw_photos(photos, [path for _, path in paths[:150] + train])
    run = folder / "run"
    made = make_run(run, classes=rows, splits=splits, data_root=photos, paths=paths, **more)
    found = {
        split: fake_analysis(told, rows, split=split, train_paths=train, num_reviewed=num_reviewed)
        for split, told in made.items()
    }
    return write_report(run, data_root=photos, analyses=found), made, rows


@pytest.fixture(scope="module")
def twelve(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("twelve"), num_classes=12, num_samples=400)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("many"), num_classes=196, num_samples=3000)


def view_of(page):
    return [
        float(word) for word in page.locator("[data-map=val]").get_attribute("data-view").split()
    ]


def readout(page):
    return page.locator("[data-map=val] [data-readout]").text_content()


def focus_map(page):
    canvas = page.locator("[data-map=val] canvas")
    canvas.scroll_into_view_if_needed()
    canvas.focus()
    return canvas


def test_map_zooms_by_button_key_wheel_and_double_click(open_page, many):
    page = open_page(many[0])
    canvas = focus_map(page)
    assert view_of(page)[2:] == [196, 196]
    page.click("[data-map=val] [data-do=in]")
    assert view_of(page)[2] < 196
    page.keyboard.press("0")
    canvas.focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    width = view_of(page)[2]
    assert width < 100
    page.keyboard.press("-")
    assert view_of(page)[2] > width
    page.keyboard.press("0")
    assert view_of(page) == [0, 0, 196, 196]
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 200)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function(
        "document.querySelector('[data-map=val]').dataset.view.split(' ')[2] < 196"
    )
    before = view_of(page)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6 - 90, box["y"] + 120, steps=4)
    page.mouse.up()
    after = view_of(page)
    assert after[0] > before[0]
    assert after[1] > before[1]
    assert after[2:] == before[2:]
    page.click("[data-map=val] [data-do=whole]")
    canvas.dblclick(position={"x": box["width"] * 0.6, "y": 200})
    assert view_of(page)[2] == 98


def test_cells_are_told_by_pointer_and_by_key(open_page, twelve):
    page = open_page(twelve[0])
    canvas = focus_map(page)
    told, rows = twelve[1]["val"], twelve[2]
    page.keyboard.press("n")  # the largest mistake
    words = readout(page)
    counts_KK = np.zeros((12, 12), dtype=int)
    np.add.at(counts_KK, (told.labels_N, told.prediction_N), 1)
    np.fill_diagonal(counts_KK, 0)
    label, predicted = np.unravel_index(np.argmax(counts_KK), counts_KK.shape)
    assert words.startswith(f"{counts_KK.max()} × ")
    if (counts_KK == counts_KK.max()).sum() == 1:
        assert f"{rows[label]['name']} predicted as {rows[predicted]['name']}: " in words
    page.keyboard.press("ArrowRight")
    assert readout(page) != words
    box = canvas.bounding_box()
    side = box["width"] - 12 - np.clip(round(box["width"] * 0.27), 84, 210)
    page.mouse.move(box["x"] + box["width"] - 12 - side / 24, box["y"] + 4 + side - side / 24)
    assert "right: " in readout(page)  # the last cell of the diagonal


def test_block_totals_add_up_with_other(open_page, many):
    page = open_page(many[0])
    told = many[1]["val"]
    page.locator("[data-map=val] [data-go=make]").select_option(index=1)
    root = page.locator("[data-map=val]")
    assert root.get_attribute("data-scene") == "block"
    assert float(root.get_attribute("data-total")) == len(told)
    assert f"{len(told):,} photos" in page.locator("[data-map=val] [data-scene]").text_content()
    focus_map(page)
    page.keyboard.press("ArrowDown")  # puts the cursor down
    total, size = 0, round(view_of(page)[2])
    for _ in range(size):
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")
    for row in range(size):
        for col in range(size):
            total += int(readout(page).split(" ×")[0].replace(",", ""))
            if col < size - 1:
                page.keyboard.press("ArrowRight" if row % 2 == 0 else "ArrowLeft")
        page.keyboard.press("ArrowDown")
    assert total == len(told)
    page.keyboard.press("0")
    assert root.get_attribute("data-scene") == "whole"


def test_pressing_a_small_cell_opens_its_block(open_page, many):
    page = open_page(many[0])
    canvas = focus_map(page)
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 0.6, "y": box["width"] * 0.4})
    page.wait_for_selector("[data-map=val][data-scene=block]")


def test_a_cell_shows_its_photos(open_page, twelve):
    page = open_page(twelve[0])
    told = twelve[1]["val"]
    focus_map(page)
    page.keyboard.press("n")
    num = int(readout(page).split(" ×")[0])
    page.keyboard.press("Enter")
    gallery = page.locator("[data-gallery=val]")
    assert int(gallery.get_attribute("data-found")) == num
    label = int(gallery.locator("[name=label]").input_value())
    predicted = int(gallery.locator("[name=prediction]").input_value())
    assert ((told.labels_N == label) & (told.prediction_N == predicted)).sum() == num
    assert page.evaluate("document.activeElement.id") == "photos-val"


def test_a_cell_of_other_shows_its_photos(open_page, many):
    page = open_page(many[0])
    told = many[1]["val"]
    root = page.locator("[data-map=val]")
    root.locator("[data-go=make]").select_option(index=1)
    focus_map(page)
    page.keyboard.press("ArrowDown")
    size = round(view_of(page)[2])
    for _ in range(size):
        page.keyboard.press("ArrowDown")  # the row of "other"
        page.keyboard.press("ArrowLeft")
    for _ in range(size - 1):
        num = int(readout(page).split(" ×")[0])
        if num:
            break
        page.keyboard.press("ArrowRight")
    assert "any other class predicted as" in readout(page)
    assert num > 0
    page.keyboard.press("Enter")
    gallery = page.locator("[data-gallery=val]")
    predicted = int(gallery.locator("[name=prediction]").input_value())
    wrong = (told.prediction_N == predicted) & (told.labels_N != predicted)
    assert int(gallery.get_attribute("data-found")) == num <= wrong.sum()
    assert "true class of another make" in gallery.locator("[data-found]").text_content()
    gallery.locator("[type=reset]").click()
    total = (told.prediction_N != told.labels_N).sum()
    page.wait_for_function(f"document.querySelector('[data-gallery=val]').dataset.found == {total}")


def test_a_number_of_the_pair_table_shows_its_photos(open_page, twelve):
    page = open_page(twelve[0])
    link = page.locator("#confusion-val .jump").first
    num = int(link.text_content())
    link.click()
    assert int(page.locator("[data-gallery=val]").get_attribute("data-found")) == num


def test_filters_and_order(open_page, twelve):
    page = open_page(twelve[0])
    told = twelve[1]["val"]
    wrong = np.flatnonzero(told.prediction_N != told.labels_N)
    sure = told.prob_prediction_N[wrong]
    gallery = page.locator("[data-gallery=val]")

    def num():
        return int(gallery.get_attribute("data-found"))

    assert num() == len(wrong)
    assert gallery.locator(".card").count() == 24
    gallery.locator("[data-more]").click()
    assert gallery.locator(".card").count() == min(48, len(wrong))
    gallery.locator("[name=low]").fill("50")
    gallery.locator("[name=high]").fill("70")
    assert num() == ((sure >= 0.5) & (sure <= 0.7)).sum()
    gallery.locator("[name=sort]").select_option("sure")
    shown = [float(t.split()[-2]) for t in gallery.locator(".prediction").all_text_contents()]
    assert shown == sorted(shown, reverse=True)
    gallery.locator("[type=reset]").click()
    page.wait_for_function(
        f"document.querySelector('[data-gallery=val]').dataset.found == {len(wrong)}"
    )
    gallery.locator("[name=path]").fill("P 1")
    assert num() == sum("p 1" in path for path in told.paths_N[wrong])
    gallery.locator("[name=path]").fill("no such path")
    assert num() == 0
    assert "none is like that" in gallery.locator("[data-found]").text_content()
    button = page.locator("[data-filter=val][data-group='2']")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert f"{num():,}" in button.text_content()
    button.click()
    assert num() == len(wrong)


def test_large_view_by_keyboard(open_page, twelve):
    page = open_page(twelve[0])
    page.locator("[data-gallery=val] .card a.photo").first.focus()
    page.keyboard.press("Enter")
    count = page.locator("#viewer [role=status]")
    assert page.locator("#viewer").is_visible()
    assert count.text_content().startswith("1 of ")
    for key, start in (("ArrowRight", "2"), ("ArrowRight", "3"), ("ArrowLeft", "2")):
        page.keyboard.press(key)
        assert count.text_content().startswith(f"{start} of ")
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    focused = page.evaluate(
        "[...document.querySelectorAll('[data-gallery=val] .card')]"
        ".findIndex((card) => card.contains(document.activeElement))"
    )
    assert focused == 1


def test_labels_are_judged_by_key_and_saved(open_page, twelve, tmp_path):
    page = open_page(twelve[0], accept_downloads=True)
    names = [row["name"] for row in twelve[2]]
    samples = page.evaluate("carscale.val.reviews[0].samples")
    desk = page.locator("[data-review=val][data-number='0'] .desk")
    desk.focus()
    page.keyboard.press("w")
    page.keyboard.press("r")
    page.keyboard.press("u")
    page.keyboard.press("z")  # takes unsure back
    page.keyboard.press("u")
    desk.locator("select").select_option("leave out")
    desk.focus()
    page.keyboard.press("W")
    desk.locator("select").select_option(label=names[5] if samples[4]["label"] != 5 else names[6])
    desk.get_by_role("button", name="Wrong").click()
    page.keyboard.press("ArrowLeft")
    assert "5 of 12" in desk.text_content()
    with page.expect_download() as waiting:
        desk.get_by_role("button", name="Save CSV").click()
    assert waiting.value.suggested_filename == "decisions.csv"
    waiting.value.save_as(tmp_path / "decisions.csv")
    raw = (tmp_path / "decisions.csv").read_bytes()
    assert raw.startswith(b"id,path,label,decision,new_label\r\n")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8"), newline="")))
    assert [row["decision"] for row in rows] == ["wrong", "right", "unsure", "leave out", "wrong"]
    for row, sample in zip(rows, samples, strict=False):
        assert row["id"] == str(sample["id"])
        assert row["path"] == sample["path"]
        assert row["label"] == names[sample["label"]]
    assert ODD in {row["label"] for row in rows}  # quotes and commas survive
    assert rows[0]["new_label"] == names[samples[0]["suggested"]]
    assert [row["new_label"] for row in rows[1:4]] == ["", "", ""]
    assert rows[4]["new_label"] in names[5:7]
    page.reload()
    root = page.locator("[data-review=val][data-number='0']")
    assert root.get_attribute("data-decided") == "5"  # kept by the browser


def ms_to_open(open_page, path):
    """Return the milliseconds until a page can be used and shows something."""
    page = open_page(path)
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    times = page.evaluate(
        "[performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd,"
        " performance.getEntriesByName('first-contentful-paint')[0].startTime]"
    )
    page.close()
    return max(times)


def test_page_of_196_classes_opens_fast(open_page, many):
    """In two seconds; on a machine at work, in four times what its text without scripts takes."""
    bare = many[0].with_name("bare.html")
    bare.write_text(
        re.sub(r"<script.*?</script>", "", many[0].read_text("utf-8"), flags=re.S), "utf-8"
    )
    tries = [[ms_to_open(open_page, path) for path in (many[0], bare)] for _ in range(3)]
    ours, text_alone = np.min(tries, axis=0)
    assert ours < max(2000, 4 * text_alone), tries
    assert open_page(many[0]).locator("*").count() < 20_000  # a map of 196 x 196 is one canvas


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screen_and_colours(open_page, many, twelve, scheme):
    for made in (many, twelve):
        page = open_page(made[0], width=390, scheme=scheme, has_touch=True)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(246, 247, 249)", "dark": "rgb(18, 23, 29)"}[scheme]
        small = page.evaluate(
            "[...document.querySelectorAll('.map button, .filters button, .review button, .more')]"
            ".filter((one) => one.offsetParent && one.offsetHeight < 40).length"
        )
        assert small == 0


def test_names_are_text_and_make_no_elements(open_page, twelve):
    page = open_page(twelve[0])
    assert page.locator(".card b, .desk b").count() == 0
    assert page.locator("[data-gallery=val]").get_by_text("<b>").count() > 0


def test_without_scripts_the_page_tells_its_numbers(open_page, twelve):
    page = open_page(twelve[0], java_script_enabled=False)
    assert page.locator("#confusion-val figure img").is_visible()
    assert page.locator("#mistakes-val .card").count() == 12
    assert page.locator("#slices-val tbody tr").count() > 4
    assert page.locator("#review-val noscript li").count() > 0
    assert not page.locator("[data-map=val]").is_visible()


def test_paper_shows_the_figure_not_the_map(open_page, twelve):
    page = open_page(twelve[0])
    assert not page.locator("#confusion-val figure").is_visible()
    page.emulate_media(media="print")
    assert page.locator("#confusion-val figure").is_visible()
    assert not page.locator("[data-map=val]").is_visible()


def test_page_of_several_runs(open_page, twelve, tmp_path):
    run = twelve[0].parents[1]
    other = tmp_path / "other"
    shutil.copytree(run, other)
    env = json.loads((run / "env.json").read_text())
    assert env["data"]["hashes"]["val"]
    page = open_page(write_overview([run, other], tmp_path / "out", analyses=[{}, {}]), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("#changes tbody tr").count() == 2


def test_hostile_and_long_names_do_no_harm(open_page, tmp_path, quick):
    names = [
        "<img src=x onerror=alert(1)>",
        "</script><script>alert(2)</script>",
        "a\u2028b\u2029c # 100% ?",
        "very long " * 40,
        "W" * 300,
        "__proto__",
    ]
    made = write_page(tmp_path, num_classes=6, num_samples=90, names=names, accuracy=0.4)
    page = open_page(made[0], width=390)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    focus_map(page)
    for key in "nnnpb0":
        page.keyboard.press(key)
    page.locator("[data-gallery=val] .card a.photo").first.click()
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.keyboard.press("Escape")


@pytest.mark.parametrize("num_classes", [1, 3])
def test_no_mistake_at_all(open_page, tmp_path, quick, num_classes):
    made = write_page(
        tmp_path, num_classes=num_classes, num_samples=30, splits=("val",), accuracy=1
    )
    page = open_page(made[0])
    focus_map(page)
    for key in ("n", "ArrowDown", "+", "b", "Enter"):
        page.keyboard.press(key)
    assert " × " in readout(page)
    assert "every prediction is correct" in page.locator("#mistakes-val").text_content()


def test_two_fingers_zoom_the_map(open_page, many):
    page = open_page(many[0], width=390, has_touch=True)
    canvas = focus_map(page)
    box = canvas.bounding_box()
    wire = page.context.new_cdp_session(page)
    middle = {"x": box["x"] + box["width"] * 0.6, "y": box["y"] + box["height"] * 0.3}
    for step in range(6):
        fingers = [{**middle, "x": middle["x"] + side * (15 + 8 * step)} for side in (-1, 1)]
        kind = "touchStart" if step == 0 else "touchMove"
        wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    wire.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(100)
    assert view_of(page)[2] < 150
