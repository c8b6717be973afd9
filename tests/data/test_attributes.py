"""What paths say beside the class: attributes in the manifest, slices by them."""

import numpy as np
import pytest
from command_line import carscale
from frozen_trees import rows_of
from photos import draw_photo

from carscale import analysis, data, tables
from carscale.data.sources.open_source import open_source
from carscale.errors import ConfigError, DataError

COLOURS = ["Black", "Racing Red", "Blue"]
RULE = data.FreezeRule(
    class_depth=1,
    attributes=(("colour", "/([^/]+)/[^/]+$"), ("year", r"/(\d{4})/")),
    group_by=r"listing(\d+)",
)


@pytest.fixture(scope="module")
def porsches(tmp_path_factory):
    """Photos as ``variant/year/colour/listing7_1.jpg``."""
    root = tmp_path_factory.mktemp("porsches") / "raw"
    for label, variant in enumerate(["911 Carrera", "Cayman S"]):
        for n in range(24):
            folder = root / variant / str(2012 + n % 2) / COLOURS[n % 3]
            draw_photo(folder / f"listing{n // 2}_{n % 2}.jpg", label, n)
    return root


@pytest.fixture(scope="module")
def frozen(porsches):
    return data.freeze(porsches, porsches.parent / "frozen", RULE).root


def test_attributes_go_into_the_manifest_and_leave_the_class(frozen):
    stored = tables.read_manifest(frozen / "manifest.parquet", ["source", "attributes", "class"])
    for source, text, name in zip(*stored.values(), strict=True):
        variant, year, colour, _ = source.split("/")
        assert name == variant
        assert text == f'{{"colour": "{colour}", "year": "{year}"}}'


def test_attributes_are_columns_by_id(frozen):
    columns = data.attributes(frozen)
    assert set(columns) == {"colour", "year", "group"}
    rows = rows_of(frozen)
    for row in rows:
        assert columns["colour"][row["id"]] == row["source"].split("/")[2]
        assert columns["group"][row["id"]] == row["group"] != ""


def test_slices_use_attributes(frozen, monkeypatch):
    monkeypatch.setattr("carscale.analysis.slices.MIN_SAMPLES", 5)
    colours_N = data.attributes(frozen)["colour"]
    correct_N = colours_N != "Blue"
    factor = analysis.slices._text_factor("colour", colours_N)
    worst = analysis.slices.cut_slices(correct_N, [factor])[0]
    assert (worst.attribute, worst.value, worst.accuracy) == ("colour", "Blue", 0.0)
    assert worst.num_samples == np.sum(colours_N == "Blue")


def test_an_evaluated_run_is_sliced_by_attributes(frozen, tmp_path, monkeypatch):
    import jobs

    import carscale as api

    monkeypatch.setattr("carscale.analysis.slices.MIN_SAMPLES", 2)
    run = api.pipeline.run(
        "effnet_focal", jobs.recipe(frozen, tmp_path / "run", "train.num_epochs=1")
    )
    found = api.analyse(run.path).analysis
    assert {"colour", "year"} <= {one.attribute for one in found.slices}


def test_groups_that_freeze_made_of_same_photos_are_no_attribute(tiny):
    assert data.attributes(tiny) == {}


def test_photos_without_an_attribute_have_none(porsches, tmp_path):
    rule = data.FreezeRule(class_depth=1, attributes=(("red", "(Red)"),))
    root = data.freeze(porsches, tmp_path / "out", rule).root
    values = data.attributes(root)["red"]
    assert sorted(set(values)) == ["", "Red"]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ((("colour", "("),), r"--attribute colour=\(: is no regular expression"),
        ((("a", "x"), ("a", "y")), "--attribute a: is given twice"),
    ],
)
def test_wrong_attributes_are_refused(porsches, tmp_path, attributes, said):
    with pytest.raises(ConfigError, match=said):
        data.freeze(porsches, tmp_path / "out", data.FreezeRule(attributes=attributes))


def test_an_attribute_that_no_path_has_is_refused(porsches, tmp_path):
    rule = data.FreezeRule(class_depth=1, attributes=(("engine", r"(\d)\.(\d)l"),))
    with pytest.raises(DataError, match="matches none of 48 paths; the first: 911 Carrera/2012"):
        data.freeze(porsches, tmp_path / "out", rule)


def test_the_command_takes_attributes_and_repeats_them_in_its_answers(porsches, tmp_path):
    options = ["--class-depth", 1, "--attribute", "colour=([^/]+)/[^/]+$", "--attribute"]
    carscale("data", "freeze", porsches, tmp_path / "out", *options, r"year=/(\d{4})/", code=0)
    assert set(data.attributes(tmp_path / "out")) == {"colour", "year"}
    wrong = carscale("data", "freeze", porsches, tmp_path / "x", "--attribute", "colour", code=2)
    assert "--attribute 'colour': must be NAME=REGEX" in wrong.stderr
    split = tmp_path / "split"
    for place in ("train", "test"):
        for n in range(4):
            draw_photo(split / place / "Audi A4" / "Red" / f"{place}{n}.jpg", 0, n)
            draw_photo(split / place / "BMW M3" / "Red" / f"{place}{n}.jpg", 1, n)
    asked = carscale("data", "freeze", split, tmp_path / "y", *options, "x=(Red)", code=2)
    again = "--class-depth 1 --attribute 'colour=([^/]+)/[^/]+$' --attribute 'x=(Red)'"
    assert f"{again} --keep-splits" in asked.stderr


def test_stored_attributes_of_strangers_are_refused(frozen, tmp_path):
    import shutil

    for text in ("[1]", '{"a": 1}', "{", "[" * 5000):
        root = tmp_path / str(len(text))
        shutil.copytree(frozen, root)
        columns = tables.read_manifest(root / "manifest.parquet")
        columns["attributes"][0] = text
        schema = tables.MANIFEST_SCHEMA
        (root / "manifest.parquet").write_bytes(tables.table_bytes(columns, schema))
        with pytest.raises(DataError, match=r"manifest\.parquet: attributes"):
            data.attributes(root)


def test_versions_keep_attributes_and_merges_add_them(frozen, porsches, tmp_path):
    more = tmp_path / "more"
    for n in range(6):
        draw_photo(more / "911 Carrera" / "2014" / "Green" / f"new{n}.jpg", 3, 100 + n)
    options = ["--class-depth", 1]
    mapped = carscale("data", "map", frozen, more, "-o", tmp_path / "map.yaml", *options, code=0)
    assert f"--map {tmp_path / 'map.yaml'} --class-depth 1 OUT" in mapped.stderr
    carscale(
        *("data", "merge", frozen, more, tmp_path / "out", "--map", tmp_path / "map.yaml"),
        *options,
        *("--attribute", "colour=([^/]+)/[^/]+$", "--near-train", "keep"),
        code=0,
    )
    joined = data.attributes(tmp_path / "out")["colour"]
    assert set(joined) == {*COLOURS, "Green"}
    assert len(joined) == 54
    carscale("data", "pack", tmp_path / "out", tmp_path / "packed", code=0)
    assert data.attributes(tmp_path / "packed")["colour"].tolist() == joined.tolist()
    compared = carscale("data", "compare", frozen, more, "--class-from", "{make}/*/*", code=0)
    assert "median" in compared.stdout.lower()


def test_a_source_is_read_alike_by_every_command(porsches):
    how = data.Reading(class_from="{model}/{year}/*")
    with open_source(porsches, how, split_folders="together") as found:
        names = {file.class_name for file in found.files}
    with data.source_classes(porsches, how) as classes:
        assert (
            set(classes)
            == names
            == {
                f"{variant} {year}"
                for variant in ("911 Carrera", "Cayman S")
                for year in (2012, 2013)
            }
        )
