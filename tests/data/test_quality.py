"""Flags against the demo's truth, on odd sets, and the cache's rules."""

import json
import os
import shutil

import numpy as np
import pytest

from carscale import data, images, tables
from carscale.data.frozen.cache import cache_file
from carscale.data.photos import quality


def made(**columns):
    """Attributes of photos that are plain but for some columns."""
    count = len(next(iter(columns.values())))
    usual = {"brightness": 110, "shadow": 20, "highlight": 200, "contrast": 50, "sharpness": 0.8}
    usual |= {"information": 7, "saturation": 20, "red": 110, "green": 110, "blue": 110}
    usual |= {"usual_hues": 0.02, "mirror_hues": 0, "width": 300, "height": 200}
    stats_N = images.empty_stats(count)
    for name, value in (usual | columns).items():
        stats_N[name] = value
    ids_N = np.arange(count)
    paths_N = np.array([f"train/a/{n}.jpg" for n in ids_N])
    return data.StatsTable(ids_N, paths_N, stats_N, {})


def flagged(**columns):
    flags = data.quality_flags(made(**columns))
    assert flags.keys() == data.QUALITY_RULES.keys()
    return {name: np.flatnonzero(mask).tolist() for name, mask in flags.items() if mask.any()}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_dark_and_blurred_photos_of_the_demo_are_found(drawn_demo, seed):
    raw, root = drawn_demo(seed)
    truth = json.loads((raw / "truth.json").read_text())
    sources = tables.read_columns(root / "manifest.parquet", ["source"])["source"]
    flags = data.quality_flags(data.photo_stats(root))
    for name in ("dark", "blurred"):
        assert len(truth[name]) >= 4
        assert set(sources[flags[name]]) == set(truth[name])
    assert not flags["bright"].any()
    assert not flags["tiny"].any()


def test_each_rule_flags_what_it_says_and_nothing_else():
    usual = np.linspace(90, 130, 20)
    assert flagged(brightness=usual) == {}
    assert flagged(brightness=[*usual, 20], highlight=[*[200] * 20, 60]) == {"dark": [20]}
    assert flagged(brightness=[*usual, 20], highlight=[*[200] * 20, 240]) == {}  # a night shot
    assert flagged(brightness=[*usual, 230], shadow=[*[20] * 20, 180]) == {"bright": [20]}
    assert flagged(brightness=[*usual, 230], shadow=[*[20] * 20, 5]) == {}  # a white background
    assert flagged(sharpness=[*[0.8, 0.9] * 9, 0.2]) == {"blurred": [18]}
    assert flagged(information=[*[7, 7.2] * 9, 3]) == {"low information": [18]}
    sizes = {"width": [*[300] * 9, 40], "height": [*[200] * 9, 30]}
    assert flagged(**sizes) == {"tiny": [9]}
    sizes = {"width": [*[300] * 9, 900, 200], "height": [*[200] * 9, 200, 300]}
    assert flagged(**sizes) == {"odd aspect": [9, 10]}


def test_a_set_that_is_dark_soft_or_small_throughout_is_not_flagged_whole():
    rng = np.random.default_rng(0)
    night = rng.normal(30, 5, 200)
    assert len(flagged(brightness=night, highlight=night * 2).get("dark", [])) < 6
    assert len(flagged(sharpness=rng.normal(0.3, 0.05, 200)).get("blurred", [])) < 6
    assert flagged(width=[40] * 50, height=[30] * 50) == {}
    assert flagged(brightness=[20.0], highlight=[30.0]) == {}  # alone, there is no usual


def test_unreadable_photos_are_nan_and_named_and_tried_again(tiny, tmp_path):
    root = tmp_path / "frozen"
    shutil.copytree(tiny, root)
    paths = tables.read_columns(root / "manifest.parquet", ["path"])["path"]
    whole = (root / paths[3]).read_bytes()
    (root / paths[3]).write_bytes(whole[:200])
    (root / paths[5]).unlink()
    found = data.photo_stats(root)
    assert set(found.unreadable) == {paths[3], paths[5]}
    assert "No such file" in found.unreadable[paths[5]]
    assert np.flatnonzero(np.isnan(found.values["sharpness"])).tolist() == [3, 5]
    assert not any(mask[[3, 5]].any() for mask in data.quality_flags(found).values())

    (root / paths[3]).write_bytes(whole)
    calls = []
    again = data.photo_stats(root, calls.append)
    assert calls == [2, 2]
    assert set(again.unreadable) == {paths[5]}
    assert not np.isnan(again.values["sharpness"][3])


def test_columns_are_those_of_each_photo_in_folder_and_pack(tiny, tmp_path):
    found = data.photo_stats(tiny)
    assert found.ids_N.tolist() == list(range(len(found)))
    columns = tables.read_columns(tiny / "manifest.parquet", ["path", "width", "height"])
    assert found.paths_N.tolist() == columns["path"].tolist()
    assert (found.values["width"] == columns["width"]).all()
    for n in (0, 17, len(found) - 1):
        alone = images.measure((tiny / found.paths_N[n]).read_bytes())
        assert found.values["sharpness"][n] == np.float32(alone.sharpness)
        assert found.phashes_N[n] == alone.phash
        assert (found.signatures_NSS[n] == alone.signature).all()
    packed = data.photo_stats(data.pack(tiny, tmp_path / "pack").root)
    assert (packed.phashes_N == found.phashes_N).all()
    assert all((packed.values[name] == found.values[name]).all() for name in found.values)


def test_the_cache_is_used_and_thrown_away_when_it_should(tiny, tmp_path, monkeypatch):
    root = tmp_path / "frozen"
    shutil.copytree(tiny, root)
    calls = []
    first = data.photo_stats(root, calls.append)
    assert calls == [len(first)] * len(first)
    calls.clear()
    second = data.photo_stats(root, calls.append)
    assert calls == []
    assert all((first.values[name] == second.values[name]).all() for name in first.values)
    assert (first.signatures_NSS == second.signatures_NSS).all()

    cache = cache_file(root, "photo_stats")
    content = cache.read_bytes()
    for broken in (content[:1000], b"", content[: len(content) // 2] + b"x" * 1000):
        cache.write_bytes(broken)
        calls.clear()
        data.photo_stats(root, calls.append)
        assert len(calls) == len(first)
    assert [path.name for path in cache.parent.iterdir() if path.name.startswith(".")] == []

    monkeypatch.setattr(images, "MEASURE_VERSION", images.MEASURE_VERSION + 1)
    calls.clear()
    data.photo_stats(root, calls.append)
    assert len(calls) == len(first)


def test_other_photos_at_the_same_place_are_measured_anew(tiny, raw, tmp_path):
    root = tmp_path / "frozen"
    shutil.copytree(tiny, root)
    data.photo_stats(root)
    shutil.rmtree(root)
    shutil.copytree(data.freeze(raw, tmp_path / "other").root, root)
    calls = []
    found = data.photo_stats(root, calls.append)
    assert len(calls) == len(found) == 33


def test_what_freeze_and_versions_measured_is_not_measured_again(raw, tmp_path, monkeypatch):
    root = data.freeze(raw, tmp_path / "cars").root
    left_out = data.drop_photos(root, tmp_path / "fewer", {0: "x"}, entry={}).root
    measure, calls = images.measure, []
    monkeypatch.setattr(images, "measure", lambda content: calls.append(1) or measure(content))
    found, fewer = data.photo_stats(root), data.photo_stats(left_out)
    assert calls == []
    assert len(found) == len(fewer) + 1 == 33
    for table, folder in ((found, root), (fewer, left_out)):
        for n in (0, 5, len(table) - 1):
            alone = measure((folder / table.paths_N[n]).read_bytes())
            assert table.values["sharpness"][n] == np.float32(alone.sharpness)
            assert table.phashes_N[n] == alone.phash
            assert (table.signatures_NSS[n] == alone.signature).all()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_costs_only_time(tiny, monkeypatch, tmp_path):
    (tmp_path / "shut").mkdir(mode=0o500)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shut"))
    assert len(data.photo_stats(tiny)) == 56


def test_stanford_has_few_flags(stanford, tmp_path):
    rows = []
    for path in sorted(stanford.rglob("*.jpg"))[::16]:
        rows.append(images.measure(path.read_bytes()))
    columns = {name: [getattr(row, name) for row in rows] for name in quality.NUMBERS}
    flags = data.quality_flags(made(**columns))
    assert len(rows) > 400
    assert {name: int(mask.sum()) for name, mask in flags.items() if mask.mean() > 0.01} == {}
