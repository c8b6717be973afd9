"""A study's page holds what its results hold, and is replaced whole."""

import csv
import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from page_reader import Page
from study_sample import WORDS, make_study

from carscale.errors import ConfigError
from carscale.report import check_page_folder, write_study
from carscale.report.page.theme import LIGHT
from carscale.report.study import plots
from carscale.report.study.rows import Effect
from carscale.verdicts.text import points

NASTY = '<script>alert("$x_1$")</script>\x00'


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    study = make_study()
    return write_study(tmp_path_factory.mktemp("study"), study, **WORDS), study


def sheet(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_page_holds_every_number_and_sentence(written):
    page, study = Page(written[0]), written[1]
    told = {float(value) for value in page.values if value}
    for arm in study.arms:
        assert arm.value is None or arm.value in told
        for run in arm.runs:
            assert run.command in page.text
            assert run.folder in page.text
            assert {run.value, run.train_s} <= told
        if not arm.verdict:
            continue
        assert arm.verdict.sentence in page.text
        assert arm.settings[0] in page.text
        if arm.verdict.difference:
            interval = arm.verdict.difference.interval
            wanted = {arm.verdict.difference.value, interval.low, interval.high}
            assert wanted | {one.mcnemar_p for one in arm.verdict.seeds} <= told
    for words in ("sampler helps.", "focal hurts.", "runs/unfinished-0: no predictions of val yet",
                  "corrected for 4 arms (Dunnett, step-down)", study.interactions[0].sentence,
                  WORDS["command"], "d" * 64, "not known", WORDS["intro"]):  # fmt: skip
        assert words in page.text


def test_tables_and_json_hold_the_results(written):
    folder, study, words = written[0].parent, written[1], WORDS
    assert json.loads((folder / "results.json").read_text()) == json.loads(
        json.dumps(words | study.as_dict())
    )
    rows = sheet(folder / "results.csv")
    assert [row["arm"] for row in rows] == [arm.name for arm in study.arms]
    for row, arm in zip(rows[1:4], study.arms[1:4], strict=True):
        found = arm.verdict.difference
        assert float(row["difference"]) == found.value
        assert float(row["low"]) == found.interval.low
        assert float(row["p_adjusted"]) == arm.verdict.p_adjusted
        assert row["word"] == arm.verdict.word
    assert rows[4]["difference"] == ""
    assert rows[4]["word"] == "no finished run"
    rows = sheet(folder / "runs.csv")
    assert [float(row["value"]) for row in rows] == [
        run.value for arm in study.arms for run in arm.runs
    ]
    assert len(sheet(folder / "classes.csv")) == 3 * 12


def test_every_link_leads_to_a_file_and_ids_are_unique(written):
    page = Page(written[0])
    assert page.missing() == []
    assert len(page.ids) == len(set(page.ids))
    assert "http://" not in page.html
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 3
    assert all(attrs["alt"] for attrs in images)


@pytest.mark.parametrize("num_classes", [2, 12, 196])
def test_figures_say_what_the_results_say(tmp_path, num_classes):
    study = make_study(num_classes=num_classes)
    page = Page(write_study(tmp_path, study))
    svgs = {path.name.split("-")[1]: path for path in tmp_path.glob("figures/*-light.svg")}
    texts = {
        name: " ".join(" ".join(node.itertext()) for node in ET.parse(path).iter())
        for name, path in svgs.items()
    }
    for arm in study.arms[1:4]:
        change = points(arm.verdict.difference.value)
        assert f"{change}  {arm.verdict.word}" in texts["forest"]
        assert arm.name in texts["heat"]
        assert arm.name in texts["costs"]
    assert ("Make M0 2012" in texts["heat"]) == (num_classes <= 40)
    hover = json.loads(re.search(r'id="hover-study-heat[^>]*>(.*?)</script>', page.html)[1])
    assert len(hover["points"]) == 3 * num_classes
    assert all(0 < x < 1 and 0 < y < 1 for x, y, _ in hover["points"])
    row = study.arms[2].verdict.classes[-1]
    words = f"Make M{row.label} 2012, focal: {points(row.difference)} points"
    assert words in {text for _, _, text in hover["points"]}


def test_forest_draws_the_intervals():
    effects = [
        Effect("a", "helps", 0.02, 0.01, 0.03, per_seed=(0.01, 0.03), train_s=None),
        Effect("b", "inconclusive", 0.0, -0.02, 0.02, per_seed=(0.0,), train_s=None),
    ]
    axes = plots.draw_forest(LIGHT, effects, margin=0.01).axes[0]
    drawn = [bar.get_segments()[0][:, 0].tolist() for bar in axes.collections]
    assert drawn == [[-2, 2], [1, 3]]  # the best on top, drawn last
    seeds = [line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "."]
    np.testing.assert_allclose(np.concatenate(seeds), [0, 1, 3])


def test_hostile_names_are_escaped_everywhere(tmp_path):
    study = make_study(rename=lambda name: f"{name} {NASTY}")
    words = {name: f"{word} {NASTY}" for name, word in WORDS.items()}
    html = write_study(tmp_path, study, **words).read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    for path in tmp_path.glob("figures/*.svg"):
        ET.parse(path)
        assert "<script>" not in path.read_text(encoding="utf-8")
    wanted = json.loads(json.dumps(words | study.as_dict()))
    assert json.loads((tmp_path / "results.json").read_text()) == wanted


def test_a_page_of_nothing_finished_and_of_one_seed(tmp_path):
    study = replace(make_study(gains={}, with_costs=False), interactions=[])
    page = Page(write_study(tmp_path / "none", study))
    assert "unfinished has no finished run to compare." in page.text
    assert page.missing() == []
    assert not any(tag == "img" for tag, _ in page.tags)
    one = make_study(num_seeds=1, with_costs=False)
    page = Page(write_study(tmp_path / "one", one))
    assert "inconclusive: needs at least 1 more seed" in page.text.lower()
    assert page.missing() == []
    uncounted = replace(one, classes=[replace(each, train_count=None) for each in one.classes])
    assert Page(write_study(tmp_path / "uncounted", uncounted)).missing() == []


def test_runs_beside_the_page_stay_and_old_figures_go(tmp_path, quick):
    (tmp_path / "runs" / "a-0").mkdir(parents=True)
    (tmp_path / "runs" / "a-0" / "config.yaml").write_text("seed: 0\n")
    (tmp_path / "logs").mkdir()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "mine.svg").write_text("<svg/>")
    write_study(tmp_path, make_study())
    first = set(tmp_path.glob("figures/study-*"))
    write_study(tmp_path, make_study(num_photos=600))
    page = Page(tmp_path / "index.html")
    assert page.missing() == []
    assert not first & set(tmp_path.glob("figures/study-*"))
    assert (tmp_path / "figures" / "mine.svg").exists()
    assert (tmp_path / "runs" / "a-0" / "config.yaml").read_text() == "seed: 0\n"
    wanted = {"runs", "logs", "figures", "index.html", "results.json", "results.csv", "runs.csv",
              "classes.csv"}  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == wanted


@pytest.mark.parametrize("stop_at", range(6))
def test_a_stop_at_any_write_leaves_a_whole_page(tmp_path, quick, monkeypatch, stop_at):
    write_study(tmp_path, make_study())
    old = (tmp_path / "index.html").read_text()
    done = []

    def count(path, *rest):
        if len(done) == stop_at:
            raise KeyboardInterrupt
        done.append(path.name)
        write(path, *rest)

    from carscale import files

    write = files.write_atomic
    monkeypatch.setattr(files, "write_atomic", count)
    new = make_study(num_photos=600)
    if stop_at < 5:
        with pytest.raises(KeyboardInterrupt):
            write_study(tmp_path, new)
        assert (tmp_path / "index.html").read_text() == old
    else:
        write_study(tmp_path, new)
        assert done[-1] == "index.html"
    assert Page(tmp_path / "index.html").missing() == []
    json.loads((tmp_path / "results.json").read_text())
    assert not list(tmp_path.glob(".*"))


def test_the_same_results_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_study(tmp_path / name, make_study())
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) > 8
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_where_a_page_can_not_go(tmp_path, quick):
    check_page_folder(tmp_path / "new", "study", replaces=False)
    check_page_folder(tmp_path, "study", replaces=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is no folder"):
        check_page_folder(tmp_path / "file", "study", replaces=True)
    write_study(tmp_path / "page", make_study())
    with pytest.raises(ConfigError, match=r"holds a page already \(index.html\)"):
        check_page_folder(tmp_path / "page", "study", replaces=False)
    check_page_folder(tmp_path / "page", "study", replaces=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("")
    with pytest.raises(ConfigError, match="is a run folder"):
        check_page_folder(tmp_path / "run", "study", replaces=True)


def test_costs_name_every_arm_where_there_is_room():
    costs = [
        plots.Cost(f"arm {i}", 60.0 + 20 * (i % 3), Effect(
            f"arm {i}", "helps", 0.01 * i, 0.01 * i - 0.01, 0.01 * i + 0.01, (), None
        ))
        for i in range(6)
    ]  # fmt: skip
    figure = plots.draw_costs(LIGHT, costs, metric="top-1")
    assert isinstance(figure, Figure)
    assert {text.get_text() for text in figure.axes[0].texts} == {f"arm {i}" for i in range(6)}
    assert all(math.isfinite(x) for text in figure.axes[0].texts for x in text.xy)
