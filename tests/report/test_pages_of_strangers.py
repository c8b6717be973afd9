"""Pages of a stranger's run show photos of its data set, and are written to its folder, alone."""

import html
import json
import os
import re
import shlex
from pathlib import Path

import pytest
from browser import dump_dom
from fake_run import write_analysed
from fake_strangers import run_with
from page_reader import Page
from photos import draw_photo
from strangers import no_longer_than, said_of

from carscale import data
from carscale.report.page.templating import TEMPLATES

LIMIT_S = 20
pytestmark = pytest.mark.usefixtures("quick")


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
    fifo = photos / "me.jpg" if kind == "fifo" else None
    with no_longer_than(LIMIT_S, fifo=fifo):
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


NONCE = re.compile(r"script-src 'nonce-([0-9a-f]{32})'")


@pytest.fixture
def shared(tmp_path, tiny):
    """The page of a run with a name and settings of a stranger, and what made it."""
    folder = tmp_path / "home of somebody" / "runs" / "x\u202e; <script>alert(1)"
    run = run_with(folder, data_root=tiny)
    env = run.environment() | {
        "command": "/tmp/nobody/r.py; rm x",
        "git_commit": "\x1b[31m",
        "device": f"at {tmp_path}/secret",
        "started": str(tmp_path),
    }
    run.environment_file.write_text(json.dumps(env))
    with run.settings_file.open("a", encoding="utf-8") as settings:
        settings.write("# \u202e\u2066\n")
    write_analysed(run.path)
    return run, run.report_folder / "index.html"


def test_a_page_says_no_place_outside_of_what_it_is_about(shared, tmp_path):
    run, page = shared
    assert str(tmp_path.parent) not in page.read_text(encoding="utf-8")
    assert str(Path.home()) + "/" not in page.read_text(encoding="utf-8")
    assert str(tmp_path.parent) in run.settings_file.read_text()  # files store whole paths


def test_a_page_holds_no_control_and_turns_no_direction(shared):
    text = shared[1].read_text(encoding="utf-8")
    assert not set(text) & set("\x1b\u202e\u2066\x9b")
    assert all(c.isprintable() or c in "\n\t\xa0" for c in text)


def test_only_scripts_of_ours_may_run_on_a_page(shared):
    text = shared[1].read_text(encoding="utf-8")
    (nonce,) = NONCE.findall(text)
    scripts = [attrs for tag, attrs in Page(shared[1]).tags if tag == "script"]
    assert scripts
    assert all(
        one.get("nonce") == nonce or one.get("type") == "application/json" for one in scripts
    )
    assert "default-src 'none'" in text.partition("<title>")[0]


def test_the_nonce_of_a_page_is_another_where_the_page_is(shared):
    run, page = shared
    before = page.read_text(encoding="utf-8")
    write_analysed(run.path)
    assert page.read_text(encoding="utf-8") == before
    run.environment_file.write_text(json.dumps(run.environment() | {"device": "other"}))
    write_analysed(run.path)
    assert NONCE.findall(page.read_text(encoding="utf-8")) != NONCE.findall(before)


def test_commands_of_a_page_are_quoted(shared):
    text = html.unescape(shared[1].read_text(encoding="utf-8"))
    assert "r.py;' rm x" in text
    assert "\ncarscale report 'x\ufffd; <script>alert(1)'" in text
    named = [shlex.split(one) for one in re.findall("<code[^>]*>(carscale .*?)</code>", text)]
    runs = [words[2] for words in named if words[1] == "evaluate"]
    assert set(runs) == {"x\ufffd; <script>alert(1)"}


def test_the_recipe_of_a_command_is_quoted(shared):
    run, page = shared
    env = run.environment() | {"command": ["r; rm x.py", "seed=1"]}
    run.environment_file.write_text(json.dumps(env))
    write_analysed(run.path)
    again = re.search("accelerate launch [^<\n]*", page.read_text(encoding="utf-8"))[0]
    assert shlex.split(html.unescape(again))[2] == "r; rm x.py"


@pytest.mark.parametrize("name", sorted(path.name for path in TEMPLATES.glob("*.html.j2")))
def test_every_whole_page_has_the_policy(name):
    text = (TEMPLATES / name).read_text()
    if "<html" not in text:
        assert "<script defer" not in text
        return
    assert '{% include "policy.html.j2" %}' in text.partition("<title>")[0]
    assert all(
        'nonce="{{ nonce }}"' in tag or "application/json" in tag
        for tag in re.findall("<script[^>]*>", text)
    )


def test_a_browser_runs_no_script_that_got_into_a_page(shared, tmp_path):
    page = shared[1]
    text = page.read_text(encoding="utf-8")
    evil = (
        "<script>document.documentElement.dataset.evil = 1</script>"
        '<img src=x onerror="document.documentElement.dataset.evil = 1"><script src=evil.js>'
        "</script><base href=https://example.org>"
    )
    page.with_name("evil.js").write_text("document.documentElement.dataset.evil = 1")
    probe = page.with_name("probe.html")
    probe.write_text(text.replace("<h1>", evil + "<h1>"), encoding="utf-8")
    assert "data-evil" not in dump_dom(probe, tmp_path / "profile").stdout
    without = re.sub("<meta http-equiv[^>]*>", "", probe.read_text(encoding="utf-8"))
    probe.write_text(without, encoding="utf-8")
    assert "data-evil" in dump_dom(probe, tmp_path / "profile").stdout  # the policy is what helps
