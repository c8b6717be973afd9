"""The page of a data set: numbers of the manifest, links that lead somewhere, names as text."""

import csv
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from frozen_trees import rows_of, tree_of
from page_reader import Page
from photos import draw_photo
from PIL import Image

from carscale import curate, data, images
from carscale.cli import main
from carscale.errors import ConfigError, DataError
from carscale.report import write_data_report

ODD = 'Audi "Quattro" <b>5'
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory) -> Path:
    """Three classes, one with markup for a name; dark photos, an equal pair, a near pair."""
    raw = tmp_path_factory.mktemp("page") / "raw"
    for label, name in enumerate((ODD, "BMW X5 2007", "Volvo 240 1993")):
        for number in range(30 - 8 * label):
            draw_photo(raw / name / f"{number:02d}.jpg", label, number, (96, 64))
    rng = np.random.default_rng(7)
    scene = Image.fromarray(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)).resize((180, 120))
    scene.save(raw / "BMW X5 2007" / "scene.png")
    scene.resize((120, 80)).save(raw / "Volvo 240 1993" / "small.jpg", quality=90)
    shutil.copy(raw / ODD / "00.jpg", raw / ODD / "twin.jpg")
    for number in range(2):
        dark = rng.integers(0, 12, (64, 96, 3)).astype(np.uint8)
        Image.fromarray(dark).save(raw / ODD / f"night{number}.png")
    (raw / ODD / "broken.jpg").write_bytes(b"no photo <i>")
    return data.freeze(raw, raw.parent / "cars").root


@pytest.fixture(scope="module")
def page(frozen):
    before = tree_of(frozen)
    path = write_data_report(frozen, frozen.with_name("cars-report"))
    assert tree_of(frozen) == before
    return Page(path)


def read_script(folder: Path) -> dict:
    text = (folder / "data" / "classes.js").read_text("ascii")
    return json.loads(text.split('["classes"] = ', 1)[1].removesuffix(";\n"))


def test_every_link_leads_somewhere_and_nowhere_else(page):
    assert page.missing() == []
    assert len(page.ids) == len(set(page.ids))


def test_numbers_are_those_of_the_manifest(page, frozen):
    rows = rows_of(frozen)
    assert f"{len(rows)} photos of 3 classes" in page.text
    assert str(len(rows)) in page.values
    told = {row["name"]: row["counts"] for row in read_script(page.folder)["classes"]}
    for name, counts in told.items():
        assert counts == [
            sum(row["class"] == name and row["split"] == split for row in rows)
            for split in ("train", "val", "test")
        ]
    with (page.folder / "tables" / "classes.csv").open(newline="") as file:
        sheet = list(csv.DictReader(file))
    assert sum(int(row[split]) for row in sheet for split in ("train", "val", "test")) == len(rows)
    card = data.read_card(frozen)
    for split in ("train", "val", "test"):
        assert card["hashes"][split][:16] in page.text


def test_names_are_text_never_markup(page):
    assert "<b>5" not in page.html
    assert "&lt;b&gt;5" in page.html
    assert "<i>" not in page.html
    assert "<b>" not in (page.folder / "data" / "classes.js").read_text("ascii")
    assert ODD in {row["name"] for row in read_script(page.folder)["classes"]}


def test_exact_and_near_duplicates_are_shown_with_their_splits(page, frozen):
    with (page.folder / "tables" / "duplicates.csv").open(newline="") as file:
        pairs = list(csv.DictReader(file))
    rows = {row["path"]: row for row in rows_of(frozen)}
    exact = [pair for pair in pairs if not pair["agreement"]]
    assert len(exact) == 1
    assert rows[exact[0]["path"]]["sha256"] == rows[exact[0]["other_path"]]["sha256"]
    near = {
        tuple(sorted(Path(pair[key]).name for key in ("path", "other_path")))
        for pair in pairs
        if pair["agreement"]
    }
    assert ("scene.png", "small.jpg") in near
    for pair in pairs:
        assert rows[pair["path"]]["split"] == pair["split"]
        assert rows[pair["other_path"]]["class"] == pair["other_class"]
    assert "two classes" in page.text


def test_flagged_photos_are_those_of_the_rules(page, frozen):
    flags = data.quality_flags(data.photo_stats(frozen))
    with (page.folder / "tables" / "flagged.csv").open(newline="") as file:
        found = [(row["flag"], row["path"]) for row in csv.DictReader(file)]
    paths_N = data.photo_stats(frozen).paths_N
    wanted = [(name, path) for name, mask_N in flags.items() for path in paths_N[mask_N]]
    assert sorted(found) == sorted(wanted)
    assert sum(name == "dark" for name, _ in found) == 2
    assert "1 file could not be frozen" in page.text


def test_further_rules_stand_beside_the_others(frozen, tmp_path, quick):
    mask_N = np.zeros(len(rows_of(frozen)), dtype=bool)
    mask_N[3] = True
    flags = {"red and blue <swapped>": (mask_N, "colours look exchanged")}
    path = write_data_report(frozen, tmp_path / "page", more_flags=flags)
    page = Page(path)
    assert "red and blue <swapped> colours look exchanged" in page.text
    assert "red and blue <swapped>" in (page.folder / "tables" / "flagged.csv").read_text()


def test_strips_hold_the_photos_that_they_link_to(page, frozen):
    for row in read_script(page.folder)["classes"]:
        strip = Image.open(page.folder / row["strip"])
        assert strip.size == (120 * len(row["links"]), 80)
        assert 0 < len(row["links"]) <= 4
        for place, link in enumerate(row["links"]):
            photo = Image.open(photo_at(page.folder, link)).convert("RGB")
            tile = np.asarray(strip.crop((120 * place, 0, 120 * place + 120, 80)), dtype=float)
            assert abs(tile.mean() - np.asarray(photo, dtype=float).mean()) < 12


def photo_at(folder: Path, link: str) -> Path:
    from urllib.parse import unquote

    return folder / unquote(link)


def test_a_strip_leaves_the_place_of_a_broken_photo_grey():
    sink = io.BytesIO()
    Image.new("RGB", (90, 30), (250, 10, 10)).save(sink, "PNG")
    strip = images.decode(images.photo_strip([sink.getvalue(), b"none"], width=30, height=20))
    assert strip.shape == (20, 60, 3)
    assert np.abs(strip[10, 10].astype(int) - (250, 10, 10)).max() < 12
    assert np.abs(strip[10, 50].astype(int) - 128).max() < 12


def test_a_merge_is_told(frozen, tmp_path, quick):
    for number in range(6):
        draw_photo(tmp_path / "more" / "Fiat Panda 2003" / f"{number}.jpg", 3, 70 + number)
    made = curate.merge_source(
        frozen,
        curate.Origin(str(tmp_path / "more"), licence="CC0 <x>"),
        tmp_path / "merged",
        targets_of=lambda names: {name: curate.ClassTarget("new", name) for name in names},
    )
    page = Page(write_data_report(made.root, tmp_path / "page"))
    assert "Made by a merge of more (CC0 <x>): 6 photos added to train" in page.text
    assert "from 2 sources" in page.text
    assert "carscale data diff" in page.text
    assert page.missing() == []


def test_a_pack_shows_small_copies(frozen, tmp_path, quick):
    packed = data.pack(frozen, tmp_path / "pack", data.PackRule(max_px=64)).root
    page = Page(write_data_report(packed, tmp_path / "page"))
    assert page.missing() == []
    assert any(link.startswith("thumbs/") for link in page.links)


def test_a_page_is_replaced_and_other_folders_are_not(frozen, tmp_path, quick):
    folder = tmp_path / "page"
    write_data_report(frozen, folder)
    (folder / "tables" / "old.csv").write_text("of the page of before")
    write_data_report(frozen, folder)
    assert not (folder / "tables" / "old.csv").exists()
    (folder / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match=r"holds other files than a page of ours \(mine.txt\)"):
        write_data_report(frozen, folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(ConfigError, match="holds other files"):
        write_data_report(frozen, tmp_path / "mine")
    for inside in (frozen, frozen / "page"):
        with pytest.raises(ConfigError, match="is frozen data"):
            write_data_report(frozen, inside)
    with pytest.raises(DataError, match="no frozen data"):
        write_data_report(tmp_path, tmp_path / "other")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_command_writes_beside_the_folder(frozen, monkeypatch, capsys, quick):
    monkeypatch.setattr(sys, "argv", ["carscale", "data", "report", str(frozen)])
    with pytest.raises(SystemExit) as caught:
        main.run()
    assert not caught.value.code
    assert capsys.readouterr().out == f"{frozen}-report/index.html\n"
    assert Path(f"{frozen}-report/index.html").is_file()


@pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"
)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_person_searches_and_looks_at_photos_by_keyboard(page, width, scheme):
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    complaints = []
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto((page.folder / "index.html").as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.locator("[data-strips] > li").count() == 3
        tab.fill("[data-search] [name=text]", "volvo 1993")
        assert tab.locator("[data-strips] > li").count() == 1
        assert tab.locator("[data-classes] tbody tr:visible").count() == 1
        assert "1 of 3 classes" in tab.locator("[data-told]").text_content()
        tab.locator(".tiles a").first.focus()
        tab.keyboard.press("Enter")
        assert tab.locator("#viewer").evaluate("node => node.open")
        tab.keyboard.press("ArrowRight")
        assert tab.locator("#viewer [role=status]").text_content().startswith("2 of ")
        tab.keyboard.press("Escape")
        assert not tab.locator("#viewer").evaluate("node => node.open")
        browser.close()
    assert complaints == []


def test_a_source_whose_red_and_blue_seem_swapped_is_named_first(
    frozen, tmp_path, monkeypatch, quick
):
    sign = curate.RgbSwap("raw", 40, 30, 28, 0.8, 0.98, "swapped")
    monkeypatch.setattr("carscale.report.data.sections.find_rgb_swaps", lambda *_: (sign,))
    text = write_data_report(frozen, tmp_path / "page").read_text()
    assert "Red and blue seem swapped in raw" in text
    assert "<b>red and blue seem swapped</b> (swapped)" in text
