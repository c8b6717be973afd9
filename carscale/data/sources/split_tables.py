"""A table in each split's folder, beside its photos, as annotation tools export them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from carscale import images
from carscale.data.sources.class_folders import METADATA
from carscale.data.sources.csv_parquet import scan_table
from carscale.data.sources.rows import Reading
from carscale.data.sources.scan import Scan, SourceFile, check_train
from carscale.data.sources.split_folders import find_split_folders, leave_splits

SUFFIXES = (".csv", ".tsv")


def scan_split_tables(found: Scan, where: Path, how: Reading) -> Scan | None:
    """Read ``train/_annotations.csv``, ``valid/_annotations.csv`` and so on.

    Args:
        found: All files of a folder.
        where: The folder.
        how: Columns, splits.

    Returns:
        Samples of all tables; ``None`` where photos lie in class folders, where not each split has
        one table, and where somebody said what folders are.

    Raises:
        DataError: A table can't be read, or has no row that can be used.
        QuestionError: Nothing says whether the splits are kept.
    """
    is_said = how.class_from or how.class_depth or how.split_folders == "classes"
    tables = {} if is_said else _tables(found.files)
    if not tables:
        return None
    whole = Scan()
    for folder, split in tables.items():
        one = scan_table(where / folder, replace(how, keep_splits=False, split_folders="together"))
        above = folder.rpartition("/")[0]
        whole.files += [_below(file, above, split) for file in one.files]
        whole.refused += [(f"{above}/{name}", why) for name, why in one.refused]
        whole.notes += [note for note in one.notes if note not in whole.notes]
        for name, written in one.spellings.items():
            whole.spellings.setdefault(name, set()).update(written)
    whole.notes.insert(0, f"classes are those of tables: {', '.join(tables)}")
    if how.keep_splits:
        check_train(whole, where, "a table in a folder train")
    else:
        leave_splits(whole, where, tables.values(), how.split_folders, "the folders of its tables")
    return whole


def _tables(files: list[SourceFile]) -> dict[str, str]:
    """Return the tables of split folders and their splits; none where that is not all there is."""
    photos = {_folder(file) for file in files if images.is_photo_name(file.relative)}
    splits = find_split_folders(photos)
    if len(splits) < 2 or photos - {*splits}:
        return {}
    tables = defaultdict(list)
    for file in files:
        name = file.relative.rpartition("/")[2].lower()
        if name.endswith(SUFFIXES) and name not in METADATA:
            tables[_folder(file)].append(file.relative)
    if not all(len(tables[folder]) == 1 for folder in splits):
        return {}
    return {tables[folder][0]: split for folder, split in splits.items()}


def _folder(file: SourceFile) -> str:
    """Return a file's folder; empty at the top."""
    return file.relative.rpartition("/")[0]


def _below(file: SourceFile, folder: str, split: str) -> SourceFile:
    """Return a sample of a table in a folder by its name in the source."""
    return replace(
        file,
        relative=f"{folder}/{file.relative}",
        photo=f"{folder}/{file.photo}",
        split=split,
    )
