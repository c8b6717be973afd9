"""Annotations that no tool should write, and files that are none: told in words, never a crash."""

import json
import struct

import boxed_sets as sets
import numpy as np
import pytest
from frozen_trees import refused_of, rows_of
from scipy import io as scipy_io

from carscale import data
from carscale.data.photos.decode import bytes_to_freeze, decode_files
from carscale.data.sources.boxes import box_rows
from carscale.data.sources.boxes.box_rows import BoxRow, PhotoIndex
from carscale.data.sources.boxes.columns import box_columns
from carscale.data.sources.open_source import open_source
from carscale.data.sources.scan import SourceFile
from carscale.errors import ConfigError, DataError
from carscale.images import BadBoxError, Box

CROP = data.FreezeRule(crop="boxes")
ROWS = sets.boxes(8)
LONG = "9" * 5000


def rename(tree, name):
    tree["images"][0]["file_name"] = name


COCO = {
    "a side without end": (
        lambda tree: tree["annotations"][0].update(bbox=[0, 0, 10**400, 50]),
        "its bbox is not four numbers",
    ),
    "sides as text": (
        lambda tree: tree["annotations"][0].update(bbox=["0", "0", "50", "50"]),
        "its bbox is not four numbers",
    ),
    "a photo's id twice": (
        lambda tree: tree["images"].append({"id": 0, "file_name": "001.png"}),
        "its image_id 0 is given to two",
    ),
    "a photo without an id": (
        lambda tree: [tree["images"][0].pop("id"), tree["annotations"][0].pop("image_id")],
        "its image_id None is none of the file's",
    ),
    "half a letter": (lambda tree: rename(tree, "\ud800.png"), "no such photo"),
    "no class": (
        lambda tree: tree["annotations"][0].update(category_id=[[]]),
        "its category_id [[]] is none of the file's",
    ),
    "a crowd": (lambda tree: tree["annotations"][0].update(iscrowd=1), "a crowd"),
}


def write_coco(root, edit):
    sets.write_coco(root, ROWS)
    path = root / "annotations/instances.json"
    tree = json.loads(path.read_text())
    edit(tree)
    path.write_text(json.dumps(tree))
    return root


@pytest.mark.parametrize("kind", COCO)
def test_an_odd_annotation_of_coco_is_refused_and_the_others_stay(tmp_path, kind):
    edit, reason = COCO[kind]
    data.freeze(write_coco(tmp_path / "set", edit), tmp_path / "out", CROP)
    assert len(rows_of(tmp_path / "out")) == len(ROWS) - 1
    assert any(reason in said for said in refused_of(tmp_path / "out").values())


def test_a_class_whose_id_is_given_to_two_is_refused(tmp_path):
    root = write_coco(
        tmp_path / "set", lambda tree: tree["categories"].append({"id": 10, "name": "Other"})
    )
    data.freeze(root, tmp_path / "out", CROP)
    assert {row["class"] for row in rows_of(tmp_path / "out")} == {sets.NAMES[1]}


@pytest.mark.parametrize("size", [0, -1, "wide", None, [], 10**400, 1e300, True, float("nan")])
def test_a_size_that_no_photo_has_counts_for_nothing(tmp_path, size):
    root = write_coco(
        tmp_path / "set", lambda tree: tree["images"][0].update(width=size, height=size)
    )
    data.freeze(root, tmp_path / "out", CROP)
    assert len(rows_of(tmp_path / "out")) == len(ROWS)


def test_a_size_as_text_counts(tmp_path):
    root = write_coco(
        tmp_path / "set", lambda tree: tree["images"][0].update(width="300", height="80.0")
    )
    data.freeze(root, tmp_path / "out", CROP)
    assert "box of a photo of 300 x 80" in refused_of(tmp_path / "out")["images/000.png"]


@pytest.mark.parametrize("names", ["true", "5", "Audi", "{a: b}", f"{{'{LONG}': a}}", "[" * 3000])
def test_names_of_yolo_that_name_nothing_are_none(tmp_path, names):
    root = sets.write_yolo(tmp_path / "set", ROWS)
    (root / "data.yaml").write_text(f"names: {names}\n")
    with open_source(root) as found:
        assert not any(file.box for file in found.files)
    (root / "classes.txt").write_text("\n".join(sets.NAMES))  # another file that does
    with open_source(root, crop="boxes") as found:
        assert len(found.files) == len(ROWS)


def test_splits_of_yolo_are_the_longest_paths(tmp_path):
    root = sets.write_yolo(tmp_path / "set", ROWS)
    for split, photos in (("train", ROWS[:6]), ("val", ROWS[6:])):
        for name, *_ in photos:
            for kind in ("images", "labels"):
                stem = name if kind == "images" else name.replace(".png", ".txt")
                target = root / kind / split / stem
                target.parent.mkdir(parents=True, exist_ok=True)
                (root / "all" / kind / stem).rename(target)
    listed = json.dumps(sets.NAMES)
    (root / "data.yaml").write_text(f"names: {listed}\ntrain: images\nval: ./images/val/\n")
    with open_source(root, crop="boxes", keep_splits=True) as found:
        assert [file.split for file in found.files] == ["train"] * 6 + ["val"] * 2


def test_numbers_too_long_to_read_are_no_classes_and_no_sizes(tmp_path):
    root = sets.write_yolo(tmp_path / "yolo", ROWS)
    (root / "all/labels/000.txt").write_text(f"{LONG} 0.5 0.5 0.5 0.5")
    data.freeze(root, tmp_path / "out", CROP)
    assert "is none of the 2 names" in refused_of(tmp_path / "out")["all/images/000.png"]
    path = sets.write_table(tmp_path / "table", ROWS, sizes=("width", "height"))
    path.write_text(path.read_text().replace(",120,80,", f",{LONG},80,", 1))
    data.freeze(path, tmp_path / "more", CROP)
    assert len(rows_of(tmp_path / "more")) == len(ROWS)  # such a size counts for nothing


def nested(depth):
    """Return a file of MATLAB with a cell in a cell in a cell."""
    size, parts = 0, []
    for level in range(depth):
        name = b"annotations" if level == depth - 1 else b""
        kind = 1 if level else 6
        head = struct.pack("<IIII", 6, 8, kind, 0) + struct.pack("<IIii", 5, 8, level > 0, 1)
        head += struct.pack("<II", 1, len(name)) + name.ljust(-(-len(name) // 8) * 8, b"\0")
        head += b"" if level else struct.pack("<II", 9, 0)
        parts.append(struct.pack("<II", 14, len(head) + size) + head)
        size += len(parts[-1])
    start = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    return start + b"".join(reversed(parts))


def test_a_mat_file_of_cells_in_cells_ends_no_process(tmp_path):
    root = sets.write_stanford(tmp_path / "set", ROWS)
    assert scipy_io.whosmat(root / "devkit/cars_annos.mat")
    (root / "devkit/few_annos.mat").write_bytes(nested(3))
    (root / "devkit/more_annos.mat").write_bytes(nested(100_000))  # scipy ends by SIGSEGV
    data.freeze(root, tmp_path / "out", CROP)
    refused = refused_of(tmp_path / "out")
    assert "holds no annotations" in refused["devkit/few_annos.mat"]
    assert "cells and structs" in refused["devkit/more_annos.mat"]
    assert len(rows_of(tmp_path / "out")) == len(ROWS)


def test_lists_where_a_devkit_has_numbers_are_refused(tmp_path):
    root = sets.write_stanford(tmp_path / "set", ROWS)
    row = dict(zip(("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"), (1, 1, 40, 40), strict=True))
    for number, odd in enumerate(({"test": np.array([0, 1])}, {"class": np.array([1, 2])})):
        stored = row | {"class": 1, "fname": "000.png"} | odd
        scipy_io.savemat(root / f"devkit/odd{number}_annos.mat", {"annotations": stored})
    data.freeze(root, tmp_path / "out", CROP)
    assert len(rows_of(tmp_path / "out")) == len(ROWS)
    assert len((tmp_path / "out/quarantine.jsonl").read_text().splitlines()) == 2


STRAY = {
    "notes beside a list of classes": {
        "classes.txt": "Audi\nBMW\n",
        "Audi A4 Sedan 2012/0.txt": "a car from the side\n",
    },
    "lists without a box": {
        "a.json": '{"images": [], "annotations": [{"bbox": 1}], "categories": []}'
    },
    "a folder with a telling name": {"annos/settings.mat": "none"},
    "XML of another kind": {"note.xml": "<annotation><author>me</author></annotation>"},
}


@pytest.mark.parametrize("kind", STRAY)
def test_files_that_only_look_like_annotations_leave_class_folders_alone(tmp_path, kind):
    for label, class_name in enumerate(sets.NAMES):
        for n in range(4):
            sets.draw(tmp_path / "set" / class_name / f"{n}.png", 10 * label + n)
    for name, text in STRAY[kind].items():
        path = tmp_path / "set" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    data.freeze(tmp_path / "set", tmp_path / "out")
    assert {row["class"] for row in rows_of(tmp_path / "out")} == set(sets.NAMES)
    assert len(rows_of(tmp_path / "out")) == 8


def write_xml(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    for name, label, box, _ in rows:
        (folder / name.replace(".png", ".xml")).write_text(sets.voc_xml(name, [(label, box)]))


def test_xml_lies_beside_its_photo_or_in_a_tree_like_that_of_photos(tmp_path):
    sets.draw_all(tmp_path / "flat", ROWS)
    write_xml(tmp_path / "flat", ROWS)
    with open_source(tmp_path / "flat", crop="boxes") as found:
        assert len(found.files) == len(ROWS)
    for scene in ("one", "two"):
        sets.draw_all(tmp_path / "trees/JPEGImages" / scene, ROWS)
        write_xml(tmp_path / "trees/Annotations" / scene, ROWS)
    with open_source(tmp_path / "trees", crop="boxes") as found:
        assert len(found.files) == 2 * len(ROWS)


def file_of(relative):
    return SourceFile(None, relative, "", read=bytes)


def test_the_photo_beside_an_annotation_is_meant_and_its_whole_name_counts():
    photos = PhotoIndex(map(file_of, ["a/1.jpg", "a/more/1.jpg", "b/2.jpg", "b/2.jpg.png"]))
    assert photos.find(BoxRow("", "1.jpg", beside="a")).relative == "a/1.jpg"
    assert photos.find(BoxRow("", "2.jpg", beside="c")).relative == "b/2.jpg"


def test_frames_of_many_scenes_are_not_all_looked_at_for_each_annotation(monkeypatch):
    num_scenes, num_calls = 300, 0
    names = [f"{top}/scene{n}/{k}.jpg" for top in "ab" for n in range(num_scenes) for k in range(3)]
    photos = PhotoIndex(map(file_of, names))
    ranked = box_rows._shared

    def counted(file, folder):
        nonlocal num_calls
        num_calls += 1
        return ranked(file, folder)

    monkeypatch.setattr(box_rows, "_shared", counted)
    for n in range(num_scenes):
        beside = f"a/scene{n}"
        for row in (
            BoxRow("", "1.jpg", beside=beside),
            BoxRow("", "1.jpg", beside=f"{beside}/boxes"),
            BoxRow("", "1", beside=f"{beside}/boxes"),
            BoxRow("", f"scene{n}/1.jpg", beside="a/boxes"),
        ):
            assert photos.find(row).relative == f"{beside}/1.jpg"
    assert num_calls < 10 * num_scenes


def test_where_all_photos_are_of_several_classes_none_is_whole(tmp_path):
    rows = [(f"{n}.png", k, (50 * k, 0, 50 * k + 40, 40), "") for n in range(4) for k in (0, 1)]
    root = sets.write_coco(tmp_path / "set", rows)
    with pytest.raises(DataError, match=r"all 4 photos .* several classes\n.*--crop boxes"):
        data.freeze(root, tmp_path / "out", data.FreezeRule(crop="none"))


def test_another_margin_begins_anew_where_a_freeze_was_killed(tmp_path):
    root = sets.write_coco(tmp_path / "set", ROWS)
    made = []
    for margin in (0.0, 0.25):
        with open_source(root, crop="boxes", box_margin=margin) as found:
            done = decode_files(found.files, tmp_path / "scratch", spec=root)
        made.append([sample.photo.width for sample in done.samples])
    assert sum(made[1]) > 1.2 * sum(made[0])


def test_room_for_crops_is_that_of_their_photos_once(tmp_path):
    rows = [("0.png", k % 2, (k, 0, k + 40, 40), "") for k in range(20)]
    root = sets.write_coco(tmp_path / "set", rows)
    size = (root / "images/0.png").stat().st_size
    with open_source(root, crop="boxes") as found:
        assert bytes_to_freeze(found.files, root) == size
        assert bytes_to_freeze(found.files, root, "hard") == size  # crops share no bytes


def test_photos_of_comp_cars_keep_names_of_their_own(tmp_path):
    root = sets.write_comp_cars(tmp_path / "set", ROWS)
    models = np.array(["A4", "A4", "A4"], dtype=object)
    names = {"make_names": np.array(["Audi"] * 79, dtype=object), "model_names": models}
    scipy_io.savemat(root / "misc/make_model_name.mat", names)
    for model in (2, 3):
        sets.draw(root / f"image/78/{model}/2012/000.png", 70 + model)
    sets.draw(root / "image/top.png", 80)
    sets.draw(root / "part/1/light.png", 81)
    with open_source(root, crop="none") as found:
        assert len(found.files) == len(ROWS) + 2
        assert len({file.relative for file in found.files}) == len(ROWS) + 2
        refused = dict(found.refused)
    assert refused == {
        "top.png": "lies in no class folder",
        "part/1/light.png": "lies outside of image/",
    }


def test_the_least_boxes_that_are_cut():
    assert Box(0, 0, 16, 16).edges((100, 100)) == (0, 0, 16, 16)
    assert Box(-20, 0, 20, 40).edges((100, 100)) == (0, 0, 20, 40)  # half of it is inside
    for box, said in ((Box(0, 0, 16, 15.9), "tiny"), (Box(-21, 0, 20, 40), "outside")):
        with pytest.raises(BadBoxError, match=said):
            box.edges((100, 100))


def test_an_annotation_that_names_another_photo_than_its_own_is_refused(tmp_path):
    root = sets.write_voc(tmp_path / "set", ROWS)
    path = root / "Annotations/000.xml"
    path.write_text(path.read_text().replace("000.png", "001.png"))
    with open_source(root, crop="boxes") as found:
        assert len(found.files) == len(ROWS) - 1
        assert "names 001.png, but is called like JPEGImages/000.png" in str(found.refused)


def test_photos_in_no_split_are_told_where_splits_are_kept(tmp_path):
    rows = [(*row[:3], "train") for row in ROWS]
    root = sets.write_voc(tmp_path / "set", rows)
    path = root / "ImageSets/Main/train.txt"
    path.write_text(path.read_text().replace("000\n", ""))
    with open_source(root, crop="boxes", keep_splits=True) as found:
        assert len(found.files) == len(ROWS) - 1
        assert ("JPEGImages/000.png", "is in no split") in found.refused


def test_a_box_that_two_files_hold_is_one_photo(tmp_path):
    root = sets.write_coco(tmp_path / "set", ROWS)
    sets.write_coco(root, ROWS, file="annotations/again.json")
    with open_source(root, crop="boxes") as found:
        assert len(found.files) == len(ROWS)


def test_width_and_height_of_a_box_are_no_size_of_its_photo():
    columns = box_columns(["path", "x", "y", "width", "height"])
    assert columns.photo_size == ()
    box = columns.box_of({"x": "1", "y": "2", "width": "30", "height": "40"})
    assert box == Box(1, 2, 31, 42)


@pytest.mark.parametrize("margin", [-0.1, 2.1, float("nan"), float("inf")])
def test_margins_that_make_no_sense_are_refused(tmp_path, margin):
    with pytest.raises(ConfigError, match="--box-margin"):
        data.freeze(tmp_path, tmp_path / "out", data.FreezeRule(crop="boxes", box_margin=margin))


def test_a_margin_without_boxes_that_are_cut_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="of boxes that are cut out"):
        data.freeze(tmp_path, tmp_path / "out", data.FreezeRule(box_margin=0.1))
