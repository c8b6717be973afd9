"""Boxes around cars: found in the formats of this field, cut out once, never in two splits."""

import hashlib
import io
import json
import shutil
import zipfile

import boxed_sets as sets
import numpy as np
import pytest
from command_line import carscale
from frozen_trees import refused_of, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy import io as scipy_io

from carscale import data
from carscale.data.sources.open_source import open_source
from carscale.errors import ConfigError, DataError, QuestionError
from carscale.images import BadBoxError, Box

CROP = data.FreezeRule(crop="boxes")
ROWS = sets.boxes(12)
SPLIT = sets.boxes(16, split_at=12)

FORMATS = {
    "coco": sets.write_coco,
    "voc": sets.write_voc,
    "yolo": sets.write_yolo,
    "stanford": sets.write_stanford,
    "table": sets.write_table,
    "table of the devkit": lambda root, rows: sets.write_table(
        root, rows, sides=("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
    ),
    "table of tensorflow": lambda root, rows: sets.write_table(
        root, rows, sizes=("width", "height")
    ),
    "table of sizes": lambda root, rows: sets.write_table(
        root, rows, sides=("x", "y", "w", "h"), sep=";"
    ),
    "table of shares": lambda root, rows: sets.write_table(
        root, rows, sides=("XMin", "YMin", "XMax", "YMax"), share=True
    ),
}


def crops_of(root):
    """Return class and pixels of the frozen photos, by the hash of the whole photo and the box."""
    return {
        (row["original_sha256"], row["box"]): (
            row["class"],
            np.array(Image.open(root / row["path"])),
        )
        for row in rows_of(root)
    }


@pytest.mark.parametrize("kind", FORMATS)
def test_each_box_becomes_a_photo_of_its_class(tmp_path, kind):
    source = FORMATS[kind](tmp_path / "set", ROWS)
    frozen = data.freeze(source, tmp_path / "out", CROP)
    assert frozen.card["counts"]["quarantined"] == 0, refused_of(tmp_path / "out")
    found = crops_of(tmp_path / "out")
    assert len(found) == len(ROWS)
    for name, label, (left, top, right, bottom), _ in ROWS:
        (file,) = (tmp_path / "set").rglob(name)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        (class_name, pixels) = next(found[key] for key in found if key[0] == sha256)
        assert class_name == sets.NAMES[label]
        whole = np.array(Image.open(file))
        assert np.array_equal(pixels, whole[top:bottom, left:right])


def test_comp_cars_are_class_folders_with_boxes(tmp_path):
    root = sets.write_comp_cars(tmp_path / "set", ROWS)
    rule = data.FreezeRule(crop="boxes", class_from="{make}/{model}/{year}/*")
    frozen = data.freeze(root, tmp_path / "out", rule)
    assert frozen.card["counts"]["quarantined"] == 0
    assert {row["class"] for row in rows_of(tmp_path / "out")} == set(sets.NAMES)
    for name, _, (left, top, right, bottom), _ in ROWS:
        (file,) = (root / "image").rglob(name)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        row = next(row for row in rows_of(tmp_path / "out") if row["original_sha256"] == sha256)
        assert (row["width"], row["height"]) == (right - left, bottom - top)
    depth = data.FreezeRule(class_depth=1)
    data.freeze(root, tmp_path / "makes", depth)
    assert {row["class"] for row in rows_of(tmp_path / "makes")} == {"Audi", "BMW"}


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo", "stanford"])
def test_splits_of_annotations_are_asked_about_and_kept(tmp_path, kind):
    root = tmp_path / "set"
    if kind == "coco":
        for split in ("train", "test"):
            own = [row for row in SPLIT if row[3] == split]
            sets.write_coco(root, own, photos=split, file=f"{split}/_annotations.coco.json")
    else:
        FORMATS[kind](root, SPLIT)
    with pytest.raises(QuestionError, match="is split already: test, train") as asked:
        data.freeze(root, tmp_path / "asked", CROP)
    assert set(asked.value.answers.values()) == {"--keep-splits", "--split-folders together"}
    assert not (tmp_path / "asked").exists()
    kept = data.freeze(root, tmp_path / "out", data.FreezeRule(crop="boxes", keep_splits=True))
    assert kept.card["counts"]["quarantined"] == 0
    assert kept.card["counts"]["train"] == 12
    assert kept.card["counts"]["test"] == 4
    wanted = {name: split for name, _, _, split in SPLIT}
    assert {r["source"].rpartition("/")[2]: r["split"] for r in rows_of(tmp_path / "out")} == wanted
    drawn = data.FreezeRule(crop="boxes", split_folders="together")
    assert data.freeze(root, tmp_path / "drawn", drawn).card["counts"]["val"] > 0


def several(tmp_path):
    """Write a set of ten photos: five with a box of either class, five with two of one."""
    rows = []
    for number in range(10):
        second = 1 if number < 5 else 0
        rows.append((f"{number:03d}.png", 0, (0, 0, 40, 40), ""))
        rows.append((f"{number:03d}.png", second, (50, 10, 110, 60), ""))
    return sets.write_coco(tmp_path / "set", rows)


def test_photos_of_several_classes_are_asked_about(tmp_path):
    root = several(tmp_path)
    answer = carscale("data", "freeze", root, tmp_path / "out", code=2)
    assert "5 of 10 photos have boxes of several classes" in answer.stderr
    assert f"carscale data freeze {root} {tmp_path / 'out'} --crop boxes" in answer.stderr
    assert f"carscale data freeze {root} {tmp_path / 'out'} --crop none" in answer.stderr
    whole = data.freeze(root, tmp_path / "whole", data.FreezeRule(crop="none"))
    assert len(rows_of(tmp_path / "whole")) == 5
    assert whole.card["counts"]["quarantined"] == 10
    assert any("--crop boxes" in note for note in whole.warnings)


def test_map_merge_and_compare_take_boxes_too(tmp_path):
    base = tmp_path / "base"
    data.freeze(sets.write_coco(tmp_path / "set", ROWS), base, CROP)
    (tmp_path / "more").mkdir()
    more = several(tmp_path / "more")
    for path in (more / "images").iterdir():
        sets.draw(path, 100 + int(path.stem))
    mapped = tmp_path / "map.yaml"
    for words in (
        ("map", base, more, "--out", mapped),
        ("compare", base, more),
    ):
        asked = carscale("data", *words, code=2)
        assert f"each box becomes a photo: carscale data {words[0]} {base} {more}" in asked.stderr
        carscale("data", *words, "--crop", "boxes", code=0)
    merge = ("data", "merge", base, more, tmp_path / "out", "--map", mapped)
    assert "--crop none" in carscale(*merge, code=2).stderr
    carscale(*merge, "--crop", "boxes", "--box-margin", 0.1, "--near-train", "keep", code=0)
    joined = [row for row in rows_of(tmp_path / "out") if row["box_margin"] == "0.1"]
    assert len(joined) == 20
    assert len({row["original_sha256"] for row in joined}) == 10
    carscale("data", "check", tmp_path / "out", code=0)


def test_boxes_of_one_photo_lie_in_one_split(tmp_path):
    root = several(tmp_path)
    for seed in range(4):
        out = tmp_path / f"out{seed}"
        data.freeze(root, out, data.FreezeRule(crop="boxes", seed=seed))
        splits = {}
        for row in rows_of(out):
            splits.setdefault(row["original_sha256"], set()).add(row["split"])
            assert row["group"] == f"photo:{row['original_sha256'][:16]}"
        assert data.attributes(out) == {}
        assert len(splits) == 10
        assert all(len(names) == 1 for names in splits.values())
        assert len(rows_of(out)) == 20


def test_a_margin_is_kept_around_boxes_and_noted(tmp_path):
    source = sets.write_coco(tmp_path / "set", [("000.png", 0, (20, 30, 60, 50), ""), *ROWS[1:]])
    rule = data.FreezeRule(crop="boxes", box_margin=0.25)
    frozen = data.freeze(source, tmp_path / "out", rule)
    row = next(r for r in rows_of(tmp_path / "out") if r["source"].endswith("000.png"))
    assert (row["width"], row["height"]) == (60, 30)
    assert (row["box"], row["box_margin"]) == ("20,30,60,50", "0.25")
    assert row["normalised"] == "cropped to its box"
    assert frozen.card["rule"]["crop"] == "boxes"
    assert frozen.card["rule"]["box_margin"] == 0.25


BAD = {
    "outside": ((200, 10, 260, 60), "lies outside of the photo"),
    "mostly outside": ((90, 10, 290, 60), "lies outside of the photo of 120 x 80 by 85%"),
    "empty": ((10, 10, 10, 60), "empty box"),
    "tiny": ((10, 10, 18, 60), "tiny box of 8 x 50 px; at least 16 a side"),
    "flipped": ((60, 10, 10, 60), "flipped box: its right side 10 lies left of 60"),
    "upside down": ((10, 60, 60, 10), "flipped box: its lower side 10 lies above 60"),
    "endless": ((0, 0, float("inf"), 60), "its box holds 'inf', no number"),
    "nowhere": ((float("nan"), 0, 40, 60), "its box holds 'nan', no number"),
    "huge": ((-1e300, -1e300, 1e300, 1e300), "lies outside of the photo"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_box_goes_to_the_quarantine_with_its_reason(tmp_path, kind):
    box, reason = BAD[kind]
    source = sets.write_table(tmp_path / "set", [*ROWS, ("012.png", 0, box, "")])
    data.freeze(source, tmp_path / "out", CROP)
    (refused,) = refused_of(tmp_path / "out").items()
    assert refused[0] == "012.png"
    assert reason in refused[1]


@pytest.mark.parametrize("kind", ["table", "coco"])
def test_photos_that_stay_whole_lose_nothing_to_odd_boxes(tmp_path, kind):
    odd = [(f"{12 + n:03d}.png", n % 2, box, "") for n, (box, _) in enumerate(BAD.values())]
    source = FORMATS[kind](tmp_path / "set", [*ROWS, *odd])
    frozen = data.freeze(source, tmp_path / "out")
    assert frozen.card["counts"]["quarantined"] == 0, refused_of(tmp_path / "out")
    assert len(rows_of(tmp_path / "out")) == len(ROWS) + len(BAD)


def test_a_box_that_stands_out_by_a_little_is_cut(tmp_path):
    source = sets.write_coco(tmp_path / "set", [*ROWS, ("012.png", 0, (-1, 50, 60, 83), "")])
    data.freeze(source, tmp_path / "out", CROP)
    row = next(r for r in rows_of(tmp_path / "out") if r["source"].endswith("012.png"))
    assert (row["width"], row["height"]) == (60, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_follow_photos_that_are_turned_upright(orientation):
    marked = np.zeros((40, 60), np.uint8)
    marked[5:25, 20:50] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    sink = io.BytesIO()
    Image.fromarray(marked).save(sink, "PNG", exif=exif)
    upright = np.array(ImageOps.exif_transpose(Image.open(sink)))
    rows, columns = np.nonzero(upright)
    size = upright.shape[::-1]
    seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    if orientation > 4:  # of a photo that turns by a quarter, the stated size tells
        assert Box(20, 5, 50, 25, photo_size=(60, 40)).edges(size, orientation) == seen
    assert Box(*map(float, seen), photo_size=size).edges(size, orientation) == seen
    assert Box(*map(float, seen)).edges(size, orientation) == seen


def test_photos_that_were_resized_since_keep_their_boxes():
    assert Box(20, 30, 120, 110, photo_size=(200, 150)).edges((400, 300)) == (40, 60, 240, 220)
    assert Box(20, 30, 120, 110, photo_size=(200, 150)).edges((133, 100)) == (13, 20, 80, 74)
    with pytest.raises(BadBoxError, match="box of a photo of 200 x 150, and this one is 200 x 200"):
        Box(20, 30, 120, 110, photo_size=(200, 150)).edges((200, 200))


number = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-50, 250).map(float)
side = st.integers(1, 300)


@settings(max_examples=300)
@given(
    st.tuples(number, number, number, number),
    st.tuples(side, side),
    st.none() | st.tuples(side, side),
    st.integers(1, 8),
    st.booleans(),
    st.floats(0, 2),
)
def test_any_box_is_cut_inside_its_photo_or_refused(sides, size, stated, turn, share, margin):
    try:
        left, top, right, bottom = Box(*sides, share, stated, margin).edges(size, turn)
    except BadBoxError:
        return
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]


def test_a_zip_made_on_a_mac_is_read_like_the_folder(tmp_path):
    root = sets.write_coco(tmp_path / "cars", ROWS)
    data.freeze(root, tmp_path / "folder", CROP)
    with zipfile.ZipFile(tmp_path / "cars.zip", "w") as archive:
        for file in sorted(root.rglob("*.*")):
            archive.write(file, f"cars/{file.relative_to(root)}")
            archive.writestr(f"__MACOSX/cars/._{file.name}", b"\0\5\x16\7")
        archive.writestr("cars/.DS_Store", b"Bud1")
    data.freeze(tmp_path / "cars.zip", tmp_path / "zip", CROP)

    def content(out):
        return sorted((row["class"], row["sha256"], row["box"]) for row in rows_of(out))

    assert content(tmp_path / "zip") == content(tmp_path / "folder")


def test_without_boxes_a_crop_is_refused(tmp_path):
    for label, name in enumerate(sets.NAMES):
        for n in range(4):
            sets.draw(tmp_path / "set" / name / f"{n}.png", 10 * label + n)
    with pytest.raises(ConfigError, match=r"--crop boxes: .*set has no boxes"):
        data.freeze(tmp_path / "set", tmp_path / "out", CROP)


STRAY = {
    "notes.json": '{"images": [], "annotations": "none", "categories": []}',
    "licence.xml": "<licence><name>MIT</name></licence>",
    "dataset.yaml": "name: cars\nsource: web\n",
    "Audi A4 Sedan 2012/0.txt": "a car from the side",
    "classes.txt": "Audi A4 Sedan 2012\nBMW M3 Coupe 2012\n",
    "meta.mat": "no file of MATLAB",
}


@pytest.mark.parametrize("name", STRAY)
def test_class_folders_with_a_stray_file_stay_class_folders(tmp_path, name):
    for label, class_name in enumerate(sets.NAMES):
        for n in range(5):
            sets.draw(tmp_path / "set" / class_name / f"{n}.png", 10 * label + n)
    (tmp_path / "set" / name).write_text(STRAY[name])
    if name.startswith("Audi"):  # beside class names it may be YOLO, whose lines are then read
        (tmp_path / "set" / "data.yml").write_text("path: here\n")
    frozen = data.freeze(tmp_path / "set", tmp_path / "out")
    assert sum(frozen.card["counts"][name] for name in ("train", "val", "test")) == 10
    assert {row["class"] for row in rows_of(tmp_path / "out")} == set(sets.NAMES)


def test_two_formats_in_one_folder_are_refused(tmp_path):
    root = sets.write_coco(tmp_path / "set", ROWS)
    (root / "images/000.xml").write_text(sets.voc_xml("000.png", [(0, ROWS[0][2])]))
    with pytest.raises(DataError, match="holds boxes of several kinds: COCO and Pascal VOC"):
        data.freeze(root, tmp_path / "out", CROP)


def test_annotations_reach_no_file_outside(tmp_path):
    (tmp_path / "secret.png").write_bytes(sets.draw(tmp_path / "x.png", 1).tobytes())
    shutil.copy(tmp_path / "x.png", tmp_path / "secret.png")
    names = ["../secret.png", str(tmp_path / "secret.png"), "..\\secret.png", "", "a\0b.png", ".."]
    root = sets.write_coco(tmp_path / "set", ROWS)
    path = root / "annotations/instances.json"
    tree = json.loads(path.read_text())
    for n, name in enumerate(names):
        tree["images"].append({"id": f"x{n}", "file_name": name, "width": 120, "height": 80})
        box = {"image_id": f"x{n}", "category_id": 10, "bbox": [0, 0, 40, 40]}
        tree["annotations"].append(box)
    path.write_text(json.dumps(tree))
    data.freeze(root, tmp_path / "out", CROP)
    assert len(rows_of(tmp_path / "out")) == len(ROWS)
    assert len((tmp_path / "out/quarantine.jsonl").read_text().splitlines()) == len(names)


def test_xml_declares_nothing(tmp_path):
    root = sets.write_voc(tmp_path / "set", ROWS)
    bomb = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "x" * 10}">' for n in range(9))
    for n, head in enumerate(
        (f"<!DOCTYPE a [{bomb}]>", '<!DOCTYPE a SYSTEM "file:///etc/passwd">')
    ):
        sets.draw(root / f"JPEGImages/b{n}.png", 90 + n)
        text = sets.voc_xml(f"b{n}.png", [(0, (0, 0, 40, 40))]).replace("Audi", "&a8;")
        (root / f"Annotations/b{n}.xml").write_text(head + text)
    data.freeze(root, tmp_path / "out", CROP)
    refused = refused_of(tmp_path / "out")
    assert {name: "declares a document type" in why for name, why in refused.items()} == {
        "b0": True,
        "b1": True,
    }


def test_a_mat_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("carscale.data.sources.boxes.mat_files.MAX_BYTES", 16 << 20)
    root = sets.write_stanford(tmp_path / "set", ROWS)
    bomb = {"class_names": np.zeros((4_000, 5_000), np.uint8)}
    scipy_io.savemat(root / "devkit/more_annos.mat", bomb, do_compression=True)
    assert (root / "devkit/more_annos.mat").stat().st_size < 1_000_000
    data.freeze(root, tmp_path / "out", CROP)
    assert "unpacks to more than 16 MB" in refused_of(tmp_path / "out")["devkit/more_annos.mat"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("7 0.5 0.5 0.5 0.5", "class 7 is none of the 2 names"),
        ("0 60 40 30 30", "no shares of the photo"),
        ("0 0.5 0.5 0.5", "has 3 numbers"),
        ("0 a b c d", "holds words"),
        ("", "no box"),
    ],
)
def test_a_line_of_yolo_that_says_no_box_is_refused(tmp_path, line, said):
    root = sets.write_yolo(tmp_path / "set", ROWS)
    (root / "all/labels/000.txt").write_text(line)
    data.freeze(root, tmp_path / "out", CROP)
    assert said in refused_of(tmp_path / "out")["all/images/000.png"]
    (root / "all/labels/000.txt").write_text("1 0.25 0.25 0.75 0.25 0.75 0.75 0.5 0.9\n")  # outline
    data.freeze(root, tmp_path / "more", CROP)
    row = next(r for r in rows_of(tmp_path / "more") if r["source"].endswith("000.png"))
    assert (row["class"], row["width"], row["height"]) == (sets.NAMES[1], 60, 52)


def test_photos_of_one_name_are_told_by_folder(tmp_path):
    root = tmp_path / "set"
    for folder in ("front", "rear"):
        sets.write_coco(root, ROWS, photos=f"{folder}/images", file=f"{folder}/boxes.json")
    with open_source(root, crop="boxes") as found:
        assert len(found.files) == 2 * len(ROWS)
        assert {file.photo.split("/")[0] for file in found.files} == {"front", "rear"}
    shutil.move(root / "rear/boxes.json", root / "boxes.json")
    with open_source(root, crop="boxes") as found:
        assert len(found.files) == len(ROWS)
        assert "may mean front/images/000.png or rear/images/000.png" in str(found.refused)


def test_the_lists_of_voc_say_splits_and_trainval_is_both(tmp_path):
    root = sets.write_voc(tmp_path / "set", SPLIT)
    lists = root / "ImageSets/Main"
    names = (lists / "train.txt").read_text().splitlines()
    (lists / "train.txt").write_text("\n".join(names[:8]))
    (lists / "val.txt").write_text("\n".join(names[8:]))
    (lists / "trainval.txt").write_text("\n".join(names))
    (lists / "car_train.txt").write_text("\n".join(f"{name} -1" for name in names[8:]))
    data.freeze(root, tmp_path / "out", data.FreezeRule(crop="boxes", keep_splits=True))
    splits = {row["source"].rpartition("/")[2]: row["split"] for row in rows_of(tmp_path / "out")}
    assert [splits[f"{name}.png"] for name in names] == ["train"] * 8 + ["val"] * 4


def test_yolo_may_say_how_sure_a_model_was(tmp_path):
    root = sets.write_yolo(tmp_path / "set", ROWS)
    data.freeze(root, tmp_path / "plain", CROP)
    for path in root.rglob("0*.txt"):
        path.write_text("".join(f"{line} 0.93\n" for line in path.read_text().splitlines()))
    data.freeze(root, tmp_path / "sure", CROP)
    assert rows_of(tmp_path / "sure") == rows_of(tmp_path / "plain")


def test_cars_of_one_photo_are_no_duplicates(tmp_path):
    data.freeze(several(tmp_path), tmp_path / "out", CROP)
    found = carscale("data", "dedupe", tmp_path / "out", "--json", code=0)
    assert json.loads(found.stdout)["groups"] == []
