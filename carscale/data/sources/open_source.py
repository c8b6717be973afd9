"""Where photos come from: one way in for every kind of source.

In: a folder, file, pattern or address. Out: a ``Scan`` of samples that can be read while the source
is open.

To add a kind: a module that makes a ``Scan``, and a line in ``_scan``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from carscale import contained, file_kinds
from carscale.data.sources import csv_parquet
from carscale.data.sources.alike_names import settle_alike
from carscale.data.sources.boxes.scan_boxes import scan_boxes, settle_crops
from carscale.data.sources.class_folders import settle_folders
from carscale.data.sources.csv_parquet import TABLE_SUFFIXES
from carscale.data.sources.packed import archives, webdataset
from carscale.data.sources.packed.zip_and_tar import (
    ARCHIVE_SUFFIXES,
    TAR_SUFFIXES,
    Spool,
    open_members,
)
from carscale.data.sources.reading import check_reading, note_attributes
from carscale.data.sources.rows import Reading
from carscale.data.sources.scan import LEADS_OUT, Scan, walk
from carscale.data.sources.split_tables import scan_split_tables
from carscale.errors import DataError


@contextmanager
def open_source(
    spec: str | Path,
    how: Reading | None = None,
    *,
    scratch: Path | None = None,
    **options: Any,  # noqa: ANN401 - those of Reading
) -> Iterator[Scan]:
    """Open a source and list its samples; they can be read inside the block.

    Args:
        spec: What ``carscale data freeze`` takes:

            - class folders, or a zip or tar of them;
            - the same with boxes: COCO, Pascal VOC, YOLO, Stanford's devkit, CompCars;
            - CSV, TSV or Parquet with a path and a label in each row;
            - ``hf://owner/name[:split]``, ``hf://`` and a path that ``datasets.load_dataset``
              opens, a folder that ``save_to_disk`` wrote, Parquet with photos in it;
            - WebDataset shards: a pattern (``cars-{000..009}.tar``), a folder of tars, or one.
        how: Columns, splits, classes, boxes, links.
        scratch: A folder with room for what a compressed tar holds; the system's if not given.
        **options: Fields of ``Reading`` that differ from ``how``.

    Yields:
        Samples in order of their names, what was refused, classes without photos, a short name.

    Raises:
        ConfigError: An option makes no sense, or none for this source.
        DataError: There is no such source, it can't be read, or none of it has a label.
        QuestionError: It can be read in two ways, and nothing says which is meant.

    Example:
        >>> with open_source("photos.zip") as source:  # doctest: +SKIP
        ...     data = source.files[0].read_bytes()
    """
    how = replace(how or Reading(), **options)
    check_reading(how)
    with ExitStack() as stack:
        spool = Spool(scratch or Path(tempfile.gettempdir()))
        stack.callback(spool.close)
        found = _scan(spec, how, spool, stack)
        found.name = found.name or Path(spec).resolve().name
        settle_crops(found, spec, how)
        found.put_in_order()
        settle_alike(found, spec, how.alike)
        note_attributes(found, spec, how)
        yield found


def local_paths(spec: str | Path) -> list[Path]:
    """Return the files and folders of this machine that a source is."""
    text = str(spec)
    if address := _hub_address(text):
        return [Path(address[0])] if Path(address[0]).exists() else []
    if not Path(spec).exists() and webdataset.is_pattern(text):
        return webdataset.expanded(text)
    return [Path(spec)]


def _scan(spec: str | Path, how: Reading, spool: Spool, stack: ExitStack) -> Scan:
    """Choose by what the source is."""
    text, path = str(spec), Path(spec)
    if address := _hub_address(text):
        from carscale.data.sources import hub

        return hub.scan_hub(*address, how)
    if "://" in text:
        raise DataError(
            f"{text}: can't be read from there", "download it first, or give: hf://owner/name"
        )
    if path.is_dir():
        return _scan_folder(path, how, spool, stack)
    if path.is_file():
        return _scan_file(path, how, spool, stack)
    if not path.exists() and webdataset.is_pattern(text):
        return _scan_shards(webdataset.expanded(text), text, how, spool, stack)
    kind = "file" if path.name.lower().endswith((*TABLE_SUFFIXES, *ARCHIVE_SUFFIXES)) else "folder"
    raise DataError(f"{path}: no such {kind}")


def _scan_folder(path: Path, how: Reading, spool: Spool, stack: ExitStack) -> Scan:
    """Scan a saved set, shards or class folders."""
    if _is_saved(path):
        from carscale.data.sources import hub

        return hub.scan_saved(path, how)
    if shards := webdataset.shards_in(path):
        root = os.path.realpath(path)
        for shard in shards:
            if not how.follow_links and contained.leads_out(str(shard), root):
                raise DataError(f"{shard}: {LEADS_OUT}")
        return _scan_shards(shards, str(path), how, spool, stack)
    found = walk(path, follow_links=how.follow_links)
    if not scan_boxes(found, path, how):
        if whole := scan_split_tables(found, path, how):
            return whole
        how.refuse_columns(path)
        settle_folders(found, path, how)
    return found


def _scan_file(path: Path, how: Reading, spool: Spool, stack: ExitStack) -> Scan:
    """Scan a table, an archive of class folders or a shard."""
    name = path.name.lower()
    with path.open("rb") as file:
        kind = file_kinds.kind_of(file.read(file_kinds.HEAD_BYTES))
    if kind and kind not in file_kinds.CONTAINERS:
        raise DataError(f"{path}: is {kind.name}", kind.remedy)
    if name.endswith(TABLE_SUFFIXES):
        return csv_parquet.scan_table(path, how)
    if not name.endswith(ARCHIVE_SUFFIXES):
        raise DataError(
            f"{path}: no such folder, and no file of a known kind",
            f"known are: {' '.join((*TABLE_SUFFIXES, *ARCHIVE_SUFFIXES))}",
        )
    members = stack.enter_context(open_members(path, spool))
    if name.endswith(TAR_SUFFIXES) and webdataset.is_shard(members):
        return webdataset.scan_shards([(path, members)], path, how)
    return archives.scan_members(members, path, how)


def _scan_shards(
    paths: list[Path], where: str, how: Reading, spool: Spool, stack: ExitStack
) -> Scan:
    """Scan several shards."""
    shards = [(path, stack.enter_context(open_members(path, spool))) for path in paths]
    return webdataset.scan_shards(shards, where, how)


def _hub_address(text: str) -> tuple[str, str] | None:
    """Return the name or path and the split of an ``hf://`` source.

    Example:
        >>> _hub_address("hf://owner/cars:train"), _hub_address("cars")
        (('owner/cars', 'train'), None)
    """
    if not text.startswith("hf:/"):  # a Path makes one slash of two
        return None
    rest = text[len("hf://") :] if text.startswith("hf://") else text[len("hf:/") :]
    if Path(rest).exists():
        return rest, ""
    name, _, split = rest.partition(":")
    return name, split


def _is_saved(path: Path) -> bool:
    """Tell whether ``save_to_disk`` wrote a folder."""
    is_one = (path / "state.json").exists() and (path / "dataset_info.json").exists()
    return is_one or (path / "dataset_dict.json").exists()
