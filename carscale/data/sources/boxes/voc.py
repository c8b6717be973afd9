"""Pascal VOC: an XML file a photo; splits in ``ImageSets/Main``.

Reference:
    Everingham et al., VOC2012 development kit. Pixels count from 1 and both corners belong to the
    box, so 1 is taken off the first, as detectron2 and torchvision's references do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from carscale import images
from carscale.data.sources.boxes.box_rows import BoxRow, folder_of, split_in
from carscale.data.sources.rows import BadRowError
from carscale.data.sources.scan import SourceFile
from carscale.data.sources.split_folders import split_word

NUM_LOOKED_AT = 5
MAX_BYTES = 4 << 20


def read(files: list[SourceFile]) -> Iterator[BoxRow] | None:
    """Yield the boxes of all VOC files of a source; ``None`` where there are none."""
    named = [file for file in files if file.relative.lower().endswith(".xml")]
    if not any(map(_is_annotation, named[:NUM_LOOKED_AT])):
        return None
    splits = _splits(files)
    return (row for file in named for row in _rows(file, splits))


def parse_xml(content: bytes) -> Element:
    """Return the root of an XML text that declares nothing of its own: no entities, no files.

    Raises:
        BadRowError: It is too large, declares something, or is no XML.
    """
    if len(content) > MAX_BYTES:
        raise BadRowError(f"has {len(content)} bytes; at most {MAX_BYTES} are read")
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise BadRowError("declares a document type; write it without one")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise BadRowError(f"is no XML: {error}") from error
    return builder.close()


def _is_annotation(file: SourceFile) -> bool:
    """Tell whether a file is VOC's."""
    try:
        root = parse_xml(file.read_bytes())
        return root.tag == "annotation" and bool(root.findall("object") + root.findall("filename"))
    except (OSError, BadRowError):
        return False


def _splits(files: list[SourceFile]) -> dict[str, str]:
    """Return the split of each photo, by its name without suffix, that lists in ImageSets say."""
    found: dict[str, str] = {}
    lists = [file for file in files if "/ImageSets/" in f"/{file.relative}"]
    for file in sorted(lists, key=lambda one: PurePosixPath(one.relative).stem == "trainval"):
        path = PurePosixPath(file.relative)
        split = split_word(path.stem) if path.suffix == ".txt" and "_" not in path.stem else None
        if split is None:  # one a class: car_train.txt
            continue
        try:
            lines = file.read_bytes().decode("utf-8", "replace").splitlines()
        except OSError:
            continue
        for line in filter(str.strip, lines):
            found.setdefault(PurePosixPath(line.split()[0]).stem, split)
    return found


def _rows(file: SourceFile, splits: dict[str, str]) -> Iterator[BoxRow]:
    """Yield a file's boxes."""
    stem, beside = PurePosixPath(file.relative).stem, folder_of(file)
    split = splits.get(stem, "" if splits else split_in(beside))
    try:
        root = parse_xml(file.read_bytes())
    except (OSError, BadRowError) as error:
        yield BoxRow(file.relative, stem, problem=str(error))
        return
    objects = root.findall("object")
    stated = images.photo_size(root.findtext("size/width"), root.findtext("size/height"))
    name = (root.findtext("filename") or "").strip()
    photo = name if images.is_photo_name(name) else stem
    plain = BoxRow(file.relative, photo, split=split, beside=beside, other=stem)
    if not objects:
        yield replace(plain, problem="no box")
    for number, one in enumerate(objects):
        sides = [_number(one.find(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
        row = replace(plain, where=f"{file.relative}: object {number}", label=one.findtext("name"))
        if None in sides:
            yield replace(row, problem="its bndbox is not four numbers")
            continue
        left, top, right, bottom = (side or 0.0 for side in sides)
        box = images.Box(left - 1, top - 1, right, bottom, photo_size=stated)
        yield replace(row, box=box)


def _number(element: Element | None) -> float | None:
    """Return the number in an element; ``None`` where there is none that is finite."""
    try:
        value = float((element.text or "") if element is not None else "")
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None
