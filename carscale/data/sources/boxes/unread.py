"""Files that may say what photos show, where no reader takes them and folders say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from carscale import images, outgoing
from carscale.data.sources.rows import Reading
from carscale.data.sources.scan import SourceFile
from carscale.errors import DataError, QuestionError

TABLES = (".csv", ".tsv", ".parquet")
SPREADSHEETS = (".xlsx", ".xls", ".ods")
ANNOTATIONS = (".json", ".jsonl", ".xml", ".mat", ".labels", ".pkl", *SPREADSHEETS)
ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".tgz", ".gz")
PACKED = {"tfrecord": "TFRecord", "mdb": "LMDB", "beton": "FFCV", "h5": "HDF5", "npz": "NumPy"}
"""Photos packed in ways that are not read, by what their files' names hold after a dot."""
NUM_NAMED = 3
_LIST = re.compile(r"(train|val|test|label|class|anno|list|image|split)", re.IGNORECASE)
_READ = "COCO, Pascal VOC, YOLO and the devkit of Stanford Cars are read"


def label_files(files: Iterable[SourceFile]) -> list[str]:
    """Return the names of tables and annotations among a source's files.

    Example:
        >>> names = ["images/1.jpg", "train.txt", "README.txt", "labels.csv"]
        >>> label_files([SourceFile(None, name, "") for name in names])
        ['labels.csv', 'train.txt']
    """
    return sorted(file.relative for file in files if _is_label_file(file.relative))


def check_labels(
    before: list[SourceFile], files: Iterable[SourceFile], where: Path | str, how: Reading
) -> None:
    """Raise where folders tell no classes apart and files may say what photos show.

    Args:
        before: All files of the source.
        files: Those that lie in class folders.
        where: The source, for messages.
        how: With a class depth or template, somebody said what the classes are.

    Raises:
        QuestionError: All photos lie in one folder.
        DataError: They lie in none, or are packed in other files.
    """
    if not any(images.is_photo_name(file.relative) for file in before):
        if len({file.class_name for file in files}) <= 1:  # more are classes, of photos unnamed
            _check_packed(before, where)
        return
    names = label_files(before)
    classes = {file.class_name for file in files if images.is_photo_name(file.relative)} - {""}
    if not names or len(classes) > 1 or how.class_depth or how.class_from:
        return
    more = f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else ""
    shown = f"{', '.join(names[:NUM_NAMED])}{more}"
    steps = _steps(names, where)
    if not classes:
        raise DataError(f"{where}: its photos lie in no class folders, beside {shown}", *steps)
    (only,) = classes
    raise QuestionError(
        f"{where}: all photos lie in one folder, {only}, and {shown} may say what they show",
        *steps,
        answers={f"{only} is a class": f"--class-depth {only.count('/') + 1}"},
    )


def _check_packed(files: list[SourceFile], where: Path | str) -> None:
    """Raise where photos may be inside of the files that there are."""
    names = label_files(files)
    for file in files:
        for part, kind in PACKED.items():
            if re.search(rf"\.{part}s?(-\d+-of-\d+|\.gz)?$", file.relative, re.IGNORECASE):
                raise DataError(
                    f"{where}: holds {kind}, which is not read; the first: {file.relative}",
                    "write its photos into a folder a class, or WebDataset shards of .jpg and .cls",
                )
    suffixes = {PurePosixPath(name).suffix.lower() for name in names}
    if suffixes & {*ARCHIVES}:
        first = next(name for name in names if PurePosixPath(name).suffix.lower() in ARCHIVES)
        raise DataError(
            f"{where}: holds archives and no photos; the first: {first}",
            "unpack them into one folder and freeze that; parts of one set belong together",
        )
    if ".parquet" in suffixes and Path(where).is_dir():
        read = outgoing.command("carscale", "data", "freeze", f"hf://{where}", "OUT")
        raise DataError(f"{where}: holds Parquet and no photos", f"for photos in it: {read}")


def _is_label_file(name: str) -> bool:
    """Tell whether a file may say what photos show."""
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    is_list = suffix == ".txt" and _LIST.match(path.stem) is not None
    return suffix in (*TABLES, *ANNOTATIONS, *ARCHIVES) or is_list


def _steps(names: list[str], where: Path | str) -> list[str]:
    """Return what to do with such files."""
    tables = [name for name in names if PurePosixPath(name).suffix.lower() in (*TABLES, ".txt")]
    if any(PurePosixPath(name).suffix.lower() in SPREADSHEETS for name in names):
        return ["save the spreadsheet as CSV with columns path and label, and freeze that"]
    if not tables:
        return [f"{_READ}: export one of them, or list photos in a table path,label"]
    if not Path(where).is_dir():
        return ["unpack it and give the table: carscale data freeze TABLE.csv OUT"]
    largest = max((Path(where) / name for name in tables), key=lambda path: path.stat().st_size)
    read = outgoing.command("carscale", "data", "freeze", largest, "OUT")
    splits = "; of several, put them together with a column split" if len(tables) > 1 else ""
    return [f"for the labels in a table: {read}{splits}"]
