"""The page of duplicates: every group, links that exist, names escaped, other files kept."""

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from frozen_trees import with_copy
from page_reader import Page
from photos import draw_photo

from carscale import curate, data
from carscale.errors import ConfigError
from carscale.report import write_gallery

NASTY = 'Audi <script>alert("x")</script> & Co'


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Photos of a class that is called like a script; one lies in train and in test."""
    folder = tmp_path_factory.mktemp("duplicates")
    for label, name in enumerate((NASTY, "BMW #1 50% off")):
        for number in range(10):
            draw_photo(folder / "made" / name.replace("/", "-") / f"{number}.jpg", label, number)
        shutil.copy(
            folder / "made" / name.replace("/", "-") / "0.jpg",
            folder / "made" / name.replace("/", "-") / "0 again.jpg",
        )
    frozen = data.freeze(folder / "made", folder / "frozen").root
    split = data.read_splits(frozen).train
    other = next(car.folder for car in split.classes if car.folder not in str(split.paths_N[-1]))
    held = str(split.paths_N[-1])
    with_copy(frozen, folder / "leaky", of=held, split="test", class_name=other)
    return curate.find_duplicates(folder / "leaky")


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    return write_gallery(tmp_path_factory.mktemp("page") / "out #1", found, command="carscale <x>")


def test_every_group_is_there_with_photos_that_open(found, page):
    read = Page(page)
    assert read.missing() == []
    assert len(found.groups) >= 3
    articles = [attrs for tag, attrs in read.tags if tag == "article"]
    assert len(articles) == len(found.groups)
    for group in found.groups:
        for path in group.paths:
            assert path in read.text
    thumbs = [attrs for tag, attrs in read.tags if tag == "img"]
    assert len(thumbs) == sum(len(group.rows) for group in found.groups)
    assert all(attrs["alt"] and attrs["src"].startswith("thumbs/") for attrs in thumbs)


def test_leaks_stand_first_then_labels_then_the_rest(page):
    html = page.read_text()
    places = [html.index(f'<section id="{name}">') for name in ("leaks", "labels", "rest")]
    assert places == sorted(places)
    leak = html[places[0] : places[1]]
    assert "test + train" in leak
    assert "2 classes" in leak
    assert "<article" not in html[places[1] : places[2]]
    assert html[places[2] :].count("<article") == 2


def test_answers_on_photos_of_test_are_taken_by_the_command_as_it_stands(page):
    assert "answers.csv NEW_FOLDER --any-split</code>" in page.read_text()


def test_names_are_escaped_and_nothing_asks_the_network(page):
    html = page.read_text()
    assert "<script>alert" not in html
    assert "carscale &lt;x&gt;" in html
    assert html.count("<script nonce=") == 1
    assert "http" not in html.replace("http-equiv", "")


def test_the_table_has_every_photo(found, page):
    with (page.parent / "tables" / "duplicates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [
        path for group in found.every() for path in group.paths
    ]
    assert {row["leak"] for row in rows} == {"0", "1"}


def test_a_page_of_before_is_replaced_and_other_files_are_not(found, tmp_path):
    folder = tmp_path / "page"
    first = write_gallery(folder, found).read_text()
    assert write_gallery(folder, found).read_text() == first
    (folder / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"holds other files than a page of ours \(mine.txt\)"):
        write_gallery(folder, found)
    assert (folder / "mine.txt").read_text() == "x"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text("<h1>mine</h1>")
    with pytest.raises(ConfigError, match="holds other files"):
        write_gallery(tmp_path / "other", found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "page"]


def test_a_photo_that_is_gone_is_told_and_none_at_all_is_a_page_too(found, tmp_path):
    root = tmp_path / "gone"
    shutil.copytree(found.root, root)
    (root / found.groups[0].paths[0]).unlink()
    again = curate.find_duplicates(root)
    assert "No picture: the photo is not there" in write_gallery(tmp_path / "a", again).read_text()
    nothing = replace(found, root=root, groups=found.groups[:0])
    assert "None among" in write_gallery(tmp_path / "b", nothing).read_text()


def test_thousands_of_groups_are_cut_and_the_table_has_all(found, tmp_path, monkeypatch):
    from carscale.report.data import duplicates_page

    monkeypatch.setattr(duplicates_page, "MAX_GROUPS", 1)
    page = write_gallery(tmp_path / "page", found)
    assert "The first 1 of 2" in page.read_text()
    with (page.parent / "tables" / "duplicates.csv").open() as file:
        assert len(np.unique([row["group"] for row in csv.DictReader(file)])) == len(found.groups)


def test_a_large_group_shows_each_class_and_asks_of_what_it_shows(tmp_path, monkeypatch):
    from carscale.report.data import duplicates_page

    for name in ("a/0.jpg", "a/1.jpg", "a/2.jpg", "a/3.jpg", "z/0.jpg"):
        draw_photo(tmp_path / "raw" / name, 0, 0)
    rule = data.FreezeRule(fractions=(1, 0, 0))
    found = curate.find_duplicates(data.freeze(tmp_path / "raw", tmp_path / "cars", rule).root)
    monkeypatch.setattr(duplicates_page, "MAX_PHOTOS", 3)
    monkeypatch.setattr(duplicates_page, "MAX_QUESTIONS", 1)
    html = write_gallery(tmp_path / "page", found).read_text()
    assert "And 2 more.</p>" in html
    asked = re.findall(r"Photos (\d) and (\d): which", html)
    assert asked == [("1", "3")]
    assert "And 1 more pairs of two classes" in html
    assert "answers.csv NEW_FOLDER</code>" in html
    (shown,) = re.findall(r"data-pair='([^']*)'", html)
    assert [photo["path"] for photo in json.loads(shown)] == ["train/a/0.jpg", "train/z/0.jpg"]
    answered = replace(found, settled_P2=np.array([[1, 4]]))
    assert "<fieldset" not in write_gallery(tmp_path / "again", answered).read_text()
