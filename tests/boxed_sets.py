"""Write photos with boxes as the tools of this field do: COCO, VOC, YOLO, devkits, tables."""

import csv
import json
from pathlib import Path

import numpy as np
from numpy.lib.recfunctions import repack_fields
from PIL import Image
from scipy import io as scipy_io

SIZE = (120, 80)
NAMES = ["Audi A4 Sedan 2012", "BMW M3 Coupe 2012"]


def boxes(num_photos, *, split_at=None):
    """Return name, label, box ``(left, top, right, bottom)`` and split of photos, one box each."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(num_photos):
        left, top = (int(n) for n in rng.integers(0, 40, 2))
        right, bottom = left + int(rng.integers(30, 80)), top + int(rng.integers(20, 40))
        split = "" if split_at is None else "train" if number < split_at else "test"
        rows.append((f"{number:03d}.png", number % 2, (left, top, right, bottom), split))
    return rows


def draw(path: Path, seed: int, size=SIZE):
    """Write noise that no two photos share."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def draw_all(folder: Path, rows):
    for name in {name for name, *_ in rows}:
        draw(folder / name, int(Path(name).stem))


def write_coco(root: Path, rows, *, photos="images", file="annotations/instances.json", size=SIZE):
    draw_all(root / photos, rows)
    names = sorted({name for name, *_ in rows})
    images = [
        {"id": n, "file_name": name, "width": size[0], "height": size[1]}
        for n, name in enumerate(names)
    ]
    annotations = [
        {
            "id": n,
            "image_id": names.index(name),
            "category_id": 10 + label,
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "iscrowd": 0,
        }
        for n, (name, label, box, _) in enumerate(rows)
    ]
    categories = [{"id": 10 + k, "name": name} for k, name in enumerate(NAMES)]
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(tree))
    return root


def voc_xml(name, objects, size=SIZE):
    """Return an annotation; boxes as VOC counts them."""
    text = "".join(
        f"<object><name>{NAMES[label]}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for label, (left, top, right, bottom) in objects
    )
    return (
        f"<annotation><filename>{name}</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height><depth>3</depth></size>{text}</annotation>"
    )


def write_voc(root: Path, rows):
    draw_all(root / "JPEGImages", rows)
    (root / "Annotations").mkdir()
    for name in {name for name, *_ in rows}:
        objects = [(label, box) for other, label, box, _ in rows if other == name]
        (root / "Annotations" / f"{Path(name).stem}.xml").write_text(voc_xml(name, objects))
    for split in {split for *_, split in rows} - {""}:
        path = root / "ImageSets/Main" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{Path(n).stem}\n" for n, _, _, s in rows if s == split))
    return root


def write_yolo(root: Path, rows):
    lines = {}
    for name, label, (left, top, right, bottom), split in rows:
        place = f"{split or 'all'}/images/{name}"
        x, y = (left + right) / 2 / SIZE[0], (top + bottom) / 2 / SIZE[1]
        width, height = (right - left) / SIZE[0], (bottom - top) / SIZE[1]
        lines.setdefault(place, []).append(f"{label} {x!r} {y!r} {width!r} {height!r}")
    for place, text in lines.items():
        draw(root / place, int(Path(place).stem))
        path = root / place.replace("/images/", "/labels/").replace(".png", ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(text) + "\n")
    (root / "data.yaml").write_text(f"train: ../train/images\nnc: 2\nnames: {json.dumps(NAMES)}\n")
    return root


def write_stanford(root: Path, rows):
    """Write flat folders and the devkit: corners count from 1."""
    (root / "devkit").mkdir(parents=True)
    names = np.array(NAMES, dtype=object)
    scipy_io.savemat(root / "devkit/cars_meta.mat", {"class_names": names})
    kind = [(side, object) for side in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class")]
    for split in sorted({split for *_, split in rows}):
        folder, file = (f"cars_{split}", f"cars_{split}_annos") if split else ("cars", "cars_annos")
        own = [row for row in rows if row[3] == split]
        draw_all(root / folder, own)
        records = [
            (left + 1, top + 1, right, bottom, label + 1, name)
            for name, label, (left, top, right, bottom), _ in own
        ]
        array = np.array(records, dtype=[*kind, ("fname", object)])
        if split == "test":
            bare = repack_fields(array[[*dict(kind[:4]), "fname"]])
            scipy_io.savemat(root / f"devkit/{file}.mat", {"annotations": bare})
            file = f"{file}_withlabels"
        scipy_io.savemat(root / f"devkit/{file}.mat", {"annotations": array})
    return root


def write_comp_cars(root: Path, rows):
    for name, label, (left, top, right, bottom), _ in rows:
        below = f"{78 + label}/{label + 1}/2012/{name}"
        draw(root / "image" / below, int(Path(name).stem))
        path = (root / "label" / below).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"-1\n1\n{left + 1} {top + 1} {right} {bottom}\n")
    makes = np.array([""] * 77 + ["Audi", "BMW"], dtype=object)
    models = np.array(["A4 Sedan", "M3 Coupe"], dtype=object)
    (root / "misc").mkdir()
    scipy_io.savemat(
        root / "misc/make_model_name.mat", {"make_names": makes, "model_names": models}
    )
    return root


def write_table(
    root: Path, rows, *, sides=("xmin", "ymin", "xmax", "ymax"), sizes=(), share=False, sep=","
):
    """Write a table beside the photos; ``sizes`` names columns of the photo's width and height."""
    draw_all(root, rows)
    path = root / "boxes.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=sep)
        writer.writerow(["filename", *sizes, "class", *sides])
        for name, label, (left, top, right, bottom), _ in rows:
            are_corners = sides[2].lower().strip("_ ")[0] not in "w"
            cells = [left, top, right, bottom]
            cells = cells if are_corners else [left, top, right - left, bottom - top]
            if share:
                cells = [cell / side for cell, side in zip(cells, (*SIZE, *SIZE), strict=True)]
            writer.writerow([name, *(SIZE if sizes else ()), NAMES[label], *cells])
    return path
