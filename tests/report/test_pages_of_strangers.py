"""Pages of a stranger's run show photos of its data set, and are written to its folder, alone."""

import os
from pathlib import Path

import pytest
from fake_run import write_analysed
from fake_strangers import run_with
from page_reader import Page
from photos import draw_photo
from strangers import no_longer_than, said_of

from carscale import data

LIMIT_S = 20


@pytest.fixture
def secret(tmp_path) -> Path:
    """A picture of this machine that no page may show."""
    draw_photo(tmp_path / "secret" / "me.jpg", 1, 1)
    return tmp_path / "secret" / "me.jpg"


def pictures_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in (".jpg", ".png")]


@pytest.mark.parametrize("kind", ["absolute", "above", "link", "zero", "fifo", "nul"])
def test_photos_outside_of_the_data_are_not_copied(tmp_path, tiny, secret, kind):
    photos = tmp_path / "photos"
    photos.mkdir()
    path = {
        "absolute": str(secret),
        "above": "../secret/me.jpg",
        "zero": "/dev/zero",
        "nul": "a\0b",
    }
    if kind == "link":
        (photos / "me.jpg").symlink_to(secret)
    if kind == "fifo":
        os.mkfifo(photos / "me.jpg")
    run = run_with(tmp_path / "run", paths=[path.get(kind, "me.jpg")] * 2, data_root=photos)
    with no_longer_than(LIMIT_S):
        page = Page(write_analysed(run.path, data_root=photos))
    assert pictures_of(page.folder / "thumbs") == []
    assert not [a for tag, a in page.tags if "me.jpg" in a.get("href", "") and tag == "a"]
    data_text = "".join(p.read_text() for p in (page.folder / "data").glob("*.js"))
    assert '"thumb":null' in data_text.replace(" ", "")


def test_a_folder_that_the_settings_name_is_no_source_of_pictures(tmp_path, secret):
    run = run_with(tmp_path / "run", paths=["me.jpg", "me.jpg"], data_root=secret.parent)
    page = Page(write_analysed(run.path))
    assert pictures_of(page.folder / "thumbs") == []
    assert "holds no frozen data (no card.json)" in page.text
    asked = Page(write_analysed(run.path, data_root=secret.parent))
    assert len(pictures_of(asked.folder / "thumbs")) == 4


def test_photos_of_frozen_data_are_shown(tmp_path, tiny):
    paths = data.read_splits(tiny).val.paths_N[:2].tolist()
    page = Page(write_analysed(run_with(tmp_path / "run", paths=paths, data_root=tiny).path))
    assert len(pictures_of(page.folder / "thumbs")) == 4


@pytest.mark.parametrize("name", ["report", "predictions", "saliency"])
def test_a_page_is_not_written_or_read_through_a_link(tmp_path, secret, name):
    run = run_with(tmp_path / "run")
    place = run.path / name
    if place.exists():
        place.rename(tmp_path / "moved")
    place.symlink_to(secret.parent, target_is_directory=True)
    said = said_of(lambda: write_analysed(run.path))
    assert f"{place}: is a link" in said
    assert [path.name for path in secret.parent.iterdir()] == ["me.jpg"]


def test_a_saliency_picture_that_is_a_link_is_not_copied(tmp_path, secret):
    run = run_with(tmp_path / "run")
    run.saliency_folder.mkdir()
    picture = run.saliency_folder / "val-0.png"
    picture.symlink_to(secret)
    assert "val-0.png: is a link" in said_of(lambda: write_analysed(run.path))
    picture.unlink()
    picture.write_bytes(b"short")
    assert "val-0.png: is no PNG" in said_of(lambda: write_analysed(run.path))


@pytest.mark.parametrize("text", ["a: [", "a: &a [*a]", "data: 3", "data: {root: [1]}", "3"])
def test_odd_settings_are_an_error_in_words_or_none(tmp_path, text):
    run = run_with(tmp_path / "run")
    run.settings_file.write_text(text)
    said = said_of(lambda: write_analysed(run.path))
    assert said == "" or "is no YAML" in said
