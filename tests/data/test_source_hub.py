"""Sets of ``datasets`` without a network: local files, saved folders, a hub that is away."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frozen_trees import refused_of, rows_of
from photos import draw_classes
from PIL import Image

from carscale import data
from carscale.data.sources import hub
from carscale.data.sources.open_source import open_source
from carscale.errors import DataError

NAMES = ["Tesla", "Audi A4", "BMW"]


@pytest.fixture(autouse=True)
def own_hub_cache(tmp_path, monkeypatch):
    """Keep what ``datasets`` prepares out of the home folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def png(seed: int) -> bytes:
    sink = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def made(labels: list, *, seed: int = 0, paths: list | None = None, **names) -> datasets.Dataset:
    """Return a set of drawn photos; ``ClassLabel`` where labels are numbers."""
    image, label = names.get("image", "image"), names.get("label", "label")
    is_number = all(isinstance(value, int | None) for value in labels)
    paths = paths or [f"{number}.png" for number in range(len(labels))]
    photos = [{"bytes": png(seed + n), "path": path} for n, path in enumerate(paths)]
    features = {
        image: datasets.Image(decode=False),
        label: datasets.ClassLabel(names=NAMES) if is_number else datasets.Value("string"),
    }
    return datasets.Dataset.from_dict(
        {image: photos, label: labels}, features=datasets.Features(features)
    )


def saved(dataset: datasets.Dataset | datasets.DatasetDict, place: Path) -> Path:
    dataset.save_to_disk(place)
    return place


def test_classes_are_those_of_the_features(tmp_path):
    frozen = data.freeze(saved(made([2, 0, 2, 0]), tmp_path / "saved"), tmp_path / "out")
    assert [car.name for car in data.read_splits(frozen.root).classes] == ["BMW", "Tesla"]
    assert frozen.card["notes"]["empty_classes"] == ["Audi A4"]
    assert frozen.card["source"] == "saved"
    assert {row["source"] for row in rows_of(frozen.root)} == {
        "BMW/0.png",
        "BMW/2.png",
        "Tesla/1.png",
        "Tesla/3.png",
    }


def test_labels_may_be_words(tmp_path):
    with open_source(saved(made(["Audi", " VW ", "", None]), tmp_path / "saved")) as found:
        assert [file.class_name for file in found.files] == ["Audi", "VW"]
        assert found.refused == [("row 2", "no label"), ("row 3", "no label")]
        assert [file.read_bytes() for file in found.files] == [png(0), png(1)]


def test_rows_without_a_photo_or_a_class_are_refused(tmp_path):
    dataset = made([0, -1, None, 1])
    photos = dataset[:]["image"]
    photos[3] = None
    dataset = dataset.remove_columns("image").add_column(
        "image", photos, feature=datasets.Image(decode=False)
    )
    with open_source(saved(dataset, tmp_path / "saved")) as found:
        assert [file.class_name for file in found.files] == ["Tesla"]
        assert found.refused == [
            ("row 1", "label -1 stands for no class"),
            ("row 2", "no label"),
            ("row 3", "no photo"),
        ]


def test_a_test_set_without_labels_is_one_clear_error(tmp_path):
    source = saved(made([-1, -1]), tmp_path / "saved")
    with pytest.raises(DataError, match="none of 2 rows can be used; the first: row 0: label -1"):
        data.freeze(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            {},
            r"no column for the image: none is called image\n.*photo, make\n.*--image-column",
        ),
        (
            {"image_column": "photo"},
            r"no column for the label: .*\n  there are: photo, make\n.*--label-column",
        ),
        (
            {"image_column": "make"},
            r"column make holds no photos but .*\n  columns with photos: photo",
        ),
        ({"image_column": "img"}, r"--image-column img: no such column\n  there are: photo, make"),
    ],
)
def test_features_of_other_names_are_named(tmp_path, columns, says):
    source = saved(made([0, 1, 0, 1], image="photo", label="make"), tmp_path / "saved")
    with pytest.raises(DataError, match=says):
        data.freeze(source, tmp_path / "out", **columns)
    frozen = data.freeze(source, tmp_path / "out", image_column="photo", label_column="make")
    assert frozen.card["counts"]["classes"] == 2


def test_names_that_meet_are_numbered_and_missing_ones_are_rows(tmp_path):
    dataset = made([0, 0, 1, 0, 0], paths=["x/a.png", "y/a.png", "C:\\z\\a.png", None, ""])
    with open_source(saved(dataset, tmp_path / "saved")) as found:
        assert [file.relative for file in found.files] == [
            "Audi A4/a.png",
            "Tesla/00000003",
            "Tesla/00000004",
            "Tesla/a.png",
            "Tesla/a~2.png",
        ]


# --- imagefolder and Parquet -------------------------------------------------------------------


def test_an_imagefolder_is_read_as_files(tmp_path):
    root = draw_classes(tmp_path / "photos", [6, 5])
    wanted = data.freeze(root, tmp_path / "wanted")
    frozen = data.freeze(f"hf://{root}", tmp_path / "out", data.FreezeRule(link="hard"))
    assert rows_of(frozen.root) == rows_of(wanted.root)
    assert frozen.card["hashes"] == wanted.card["hashes"]
    for row in rows_of(frozen.root):
        assert (frozen.root / row["path"]).samefile(root / row["source"])


def test_folders_that_datasets_gives_no_labels_are_sent_elsewhere(tmp_path):
    root = draw_classes(tmp_path / "photos", [3, 2])
    (root / "Nested").mkdir()
    (root / "Make0 Model").rename(root / "Nested" / "Make0 Model")
    with pytest.raises(DataError, match=r"gives photos no labels: .*\n.*without hf://: .*photos$"):
        data.freeze(f"hf://{root}", tmp_path / "out")
    assert data.freeze(root, tmp_path / "out").card["counts"]["classes"] == 2


def test_a_split_of_an_imagefolder_can_be_chosen(tmp_path):
    draw_classes(tmp_path / "photos" / "train", [3, 2])
    draw_classes(tmp_path / "photos" / "test", [1, 2])
    spec = f"hf://{tmp_path}/photos"
    with open_source(f"{spec}:test") as found:
        assert len(found.files) == 3
        assert found.name == "photos"
        assert found.files[0].relative == "Make0 Model/000.jpg"
    with open_source(f"{spec}:train[:2]") as found:
        assert len(found.files) == 2
    with open_source(spec, keep_splits=True) as found:
        assert sorted(file.split for file in found.files) == ["test"] * 3 + ["train"] * 5
        assert found.files[0].relative == "test/Make0 Model/000.jpg"
    with pytest.raises(DataError, match="can't be loaded: Unknown split"):
        data.freeze(f"{spec}:nope", tmp_path / "out")


def test_a_split_of_a_saved_set_can_be_chosen(tmp_path):
    both = datasets.DatasetDict(train=made([0, 1]), test=made([2], seed=9), extra=made([1], seed=7))
    source = saved(both, tmp_path / "saved")
    with open_source(f"hf://{source}:test") as found:
        assert [file.read_bytes() for file in found.files] == [png(9)]
    with pytest.raises(DataError, match=r"has no split nope\n  there are: train, test, extra"):
        data.freeze(f"hf://{source}:nope", tmp_path / "out")
    with open_source(source, keep_splits=True) as found:
        assert found.refused == [("extra", "is none of train, validation, test")]
        assert len(found.files) == 3


def test_parquet_of_photos_needs_no_features(tmp_path):
    photos = [{"bytes": png(n), "path": f"{n}.png"} for n in range(3)]
    columns = {"image": photos, "label": ["Audi", "BMW", "Audi"], "split": ["train", "dev", "no"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with open_source(tmp_path / "a.parquet") as found:
        assert [file.relative for file in found.files] == ["Audi/0.png", "Audi/2.png", "BMW/1.png"]
    with open_source(tmp_path / "a.parquet", keep_splits=True) as found:
        assert [(f.relative, f.split) for f in found.files] == [
            ("Audi/0.png", "train"),
            ("BMW/1.png", "val"),
        ]
        assert found.refused == [("row 2", "split 'no' is none of train, val, test")]
    pq.write_table(
        pa.table({"image": [png(0), png(1)], "label": ["A", "B"]}), tmp_path / "b.parquet"
    )
    with open_source(tmp_path / "b.parquet") as found:
        assert [file.read_bytes() for file in found.files] == [png(0), png(1)]


def test_rows_that_point_to_files_are_read_from_the_folder(tmp_path):
    root = draw_classes(tmp_path / "photos", [2])
    paths = [
        "Make0 Model/000.jpg",
        "../secret.png",
        "gone.jpg",
        os.fspath(root / "Make0 Model/001.jpg"),
    ]
    (tmp_path / "secret.png").write_bytes(png(0))
    photos = pa.array(
        [*({"bytes": None, "path": path} for path in [*paths, None]), None],
        pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    )
    pq.write_table(pa.table({"image": photos, "label": list("aaaaaa")}), root / "cars.parquet")
    with open_source(f"hf://{root}/cars.parquet") as found:
        assert [file.path for file in found.files] == [
            root / "Make0 Model" / "000.jpg",
            root / "Make0 Model" / "001.jpg",
        ]
        assert found.refused == [
            ("row 1", "leads out of the source; to take it all the same: --follow-links"),
            ("row 2", "no such file"),
            ("row 4", "no photo"),
            ("row 5", "no photo"),
        ]


def test_a_set_of_the_hub_may_not_point_to_own_files(tmp_path, monkeypatch):
    (tmp_path / "secret.png").write_bytes(png(0))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mine.png").write_bytes(png(1))
    paths = [os.fspath(tmp_path / "secret.png"), os.fspath(tmp_path / "cache" / "mine.png")]
    photos = [{"bytes": None, "path": path} for path in paths]
    features = datasets.Features(image=datasets.Image(decode=False), label=datasets.Value("string"))
    dataset = datasets.Dataset.from_dict({"image": photos, "label": ["a", "a"]}, features=features)
    asked = []

    def load(*words, split):
        asked.append((*words, split))
        return dataset

    monkeypatch.setattr(hub.datasets, "load_dataset", load)
    with open_source("hf://owner/cars/big:train") as found:
        assert [file.path for file in found.files] == [Path(paths[1])]
        assert found.refused == [("row 0", "points to a file of this machine")]
        assert found.name == "owner/cars/big"
    assert asked == [("owner/cars", "big", "train")]


# --- what can't be loaded ----------------------------------------------------------------------


def test_a_hub_that_is_not_there_is_one_clear_error(tmp_path):
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": os.fspath(tmp_path / "home")}
    answer = subprocess.run(
        [
            sys.executable,
            "-m",
            "carscale",
            "data",
            "freeze",
            "hf://owner/cars:train",
            tmp_path / "out",
        ],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "DataError: hf://owner/cars: can't be loaded: Couldn't reach 'owner/cars'"
    )
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "out").exists()


def test_folders_that_are_no_sets_are_one_clear_error(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "dataset_dict.json").write_text("{}")
    (tmp_path / "cars.csv").write_text("path,label\n")
    for spec, says in [
        (f"hf://{tmp_path}/empty", "empty: can't be loaded: "),
        (tmp_path / "broken", "dataset_dict.json: splits: is missing"),
        (f"hf://{tmp_path}/cars.csv", "only Parquet files are opened by hf://"),
    ]:
        with pytest.raises(DataError, match=says):
            data.freeze(spec, tmp_path / "out")


def test_a_damaged_photo_goes_to_quarantine(tmp_path):
    dataset = made([0, 1, 2])
    photos = dataset[:]["image"]
    photos[1]["bytes"] = photos[1]["bytes"][:60]
    dataset = dataset.remove_columns("image").add_column(
        "image", photos, feature=datasets.Image(decode=False)
    )
    frozen = data.freeze(saved(dataset, tmp_path / "saved"), tmp_path / "out")
    assert list(refused_of(frozen.root)) == ["Audi A4/1.png"]
    assert datasets.are_progress_bars_disabled() is False


# --- folders of a stranger ---------------------------------------------------------------------


SETTINGS = {
    "absolute": "configs:\n- config_name: default\n  data_files: {secret}/*.jpg\n",
    "above": "configs:\n- config_name: default\n  data_files: ../secret/*.jpg\n",
    "in a list": "configs:\n- config_name: default\n  data_files: [train/*, ../secret/1.jpg]\n",
    "by split": "configs:\n- data_files:\n  - split: train\n    path: ../secret/1.jpg\n",
    "an address": "configs:\n- data_files: http://127.0.0.1:9/a.parquet\n",
    "a chain": "configs:\n- data_files: zip://a::../secret/a.zip\n",
    "of the hub": "configs:\n- data_files: hf://datasets/owner/cars/a.parquet\n",
    "a folder": "configs:\n- data_dir: ../secret\n",
    "home": "configs:\n- data_files: ~/photos/*.jpg\n",
    "aliases": "a: &a [x, x]\nconfigs: [&b [*a, *a], *b]\nc:\n- data_files: &c [../secret/1.jpg]\n",
}


@pytest.mark.parametrize("file", ["README.md", ".huggingface.yaml"])
@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_that_name_other_places_are_refused(tmp_path, kind, file):
    root = draw_classes(tmp_path / "photos", [3, 2])
    secret = draw_classes(tmp_path / "secret", [3])
    text = SETTINGS[kind].replace("{secret}", str(secret))
    (root / file).write_text(f"---\n{text}---\n# Cars\n" if file == "README.md" else text)
    with pytest.raises(DataError, match=rf"{file}: names .* outside of the folder"):
        data.freeze(f"hf://{root}", tmp_path / "out")


@pytest.mark.parametrize("text", ["a: [" * 5000, "a: !!python/object:os.system {}", "a: &a [*a]"])
def test_settings_that_are_no_yaml_are_refused(tmp_path, text):
    root = draw_classes(tmp_path / "photos", [3, 2])
    (root / "README.md").write_text(f"---\n{text}\n---\n")
    with pytest.raises(DataError, match=r"README\.md: is no YAML"):
        data.freeze(f"hf://{root}", tmp_path / "out")


def test_settings_that_stay_inside_are_followed(tmp_path):
    root = draw_classes(tmp_path / "photos", [3, 2])
    text = "license: mit\nconfigs:\n- config_name: default\n  data_files: Make*/*.jpg\n"
    (root / "README.md").write_text(f"---\n{text}---\n")
    frozen = data.freeze(f"hf://{root}", tmp_path / "out")
    assert sum(frozen.card["counts"][name] for name in ("train", "val", "test")) == 5


def test_links_out_of_a_set_are_followed_on_demand(tmp_path):
    root = draw_classes(tmp_path / "photos", [3, 2])
    secret = draw_classes(tmp_path / "secret", [3])
    (root / "Linked").symlink_to(secret / "Make0 Model", target_is_directory=True)
    with pytest.raises(DataError, match=r"Linked: leads out of the source; .*--follow-links"):
        data.freeze(f"hf://{root}", tmp_path / "out")
    frozen = data.freeze(f"hf://{root}", tmp_path / "out", follow_links=True)
    assert frozen.card["counts"]["train"] >= 3


def test_rows_that_point_out_of_their_set_are_refused(tmp_path):
    mine = tmp_path / "mine.png"
    mine.write_bytes(png(1))
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    photos = pa.array([{"bytes": None, "path": str(mine)}] * 2, kind)
    (tmp_path / "set").mkdir()
    table = tmp_path / "set" / "cars.parquet"
    pq.write_table(pa.table({"image": photos, "label": ["a", "b"]}), table)
    with pytest.raises(DataError, match="leads out of the source"):
        data.freeze(table, tmp_path / "out")
    assert data.freeze(table, tmp_path / "out", follow_links=True).card["counts"]["classes"] == 2


@pytest.mark.parametrize("name", ["../../secret/data.arrow", "/tmp/x.arrow", "http://h/x.arrow"])
@pytest.mark.parametrize("kind", ["one", "several"])
def test_saved_sets_that_name_other_files_are_refused(tmp_path, name, kind):
    root = saved(made([0, 1]), tmp_path / "set" / "saved")
    if kind == "several":
        state, listing = root, root / "dataset_dict.json"
        listing.write_text(json.dumps({"splits": [name]}))
    else:
        state = root / "state.json"
        stored = json.loads(state.read_text())
        stored["_data_files"] = [{"filename": name}]
        state.write_text(json.dumps(stored))
    with pytest.raises(DataError, match=r"\.json: names .* outside of the folder"):
        data.freeze(root, tmp_path / "out")


def test_a_set_whose_state_is_odd_is_refused(tmp_path):
    root = saved(made([0, 1]), tmp_path / "saved")
    for text in ("3", '{"_data_files": 3}', '{"_data_files": [{"filename": 3}]}', "[" * 100_000):
        (root / "state.json").write_text(text)
        with pytest.raises(DataError, match=r"state\.json: "):
            data.freeze(root, tmp_path / "out")
