"""Sets of ``datasets``: from the hub, saved to disk, or files that it opens; a door to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import datasets
from datasets import Dataset, DatasetDict, Image, Value
from huggingface_hub import constants

from carscale import tables
from carscale.data.sources.hub_folder import check_folder
from carscale.data.sources.labels import clean_name, name_class, named, schema_names
from carscale.data.sources.rows import (
    IMAGE_NAMES,
    LABEL_NAMES,
    BadRowError,
    FreeNames,
    Reading,
    check_any,
    check_file,
    choose_column,
    locate,
    split_of,
)
from carscale.data.sources.scan import Scan, SourceFile, check_train
from carscale.data.sources.split_folders import leave_splits, split_word
from carscale.errors import DataError

BATCH = 1000
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*){0,2}")


@dataclass(frozen=True)
class _Part:
    """A split of a set on its way into samples.

    Attributes:
        dataset: Its rows.
        image: Column of photos.
        label: Column of classes.
        names: Of classes, by the numbers that the column holds; empty where it holds names.
        split: Column of splits, where they are kept and a column tells.
        folder: Where relative paths start; ``None``: paths may lead to the hub's cache only.
        follow_links: Whether they may lead out of the folder.
    """

    dataset: Dataset
    image: str
    label: str
    names: list[str]
    split: str | None
    folder: Path | None
    follow_links: bool


def scan_hub(name: str, split: str, how: Reading) -> Scan:
    """Read a set from the hub, or a path that ``load_dataset`` opens.

    Args:
        name: ``owner/name``, ``owner/name/config``, or a path of this machine.
        split: One split, as ``load_dataset`` takes it; empty: all.
        how: Columns, and whether splits are kept.

    Raises:
        DataError: There is no such set, or it has no column of photos or labels.
    """
    path = Path(name)
    where = f"hf://{name}:{split}" if split else f"hf://{name}"
    if path.exists():
        folder = path if path.is_dir() else path.parent
        parts = _parts(_load_local(path, split, how), split, where)
        if all(part.column_names == ["image"] for part in parts.values()):
            raise DataError(
                f"{where}: datasets gives photos no labels: folders of several depths, or one",
                f"read them as class folders, without hf://: {path}",
            )
        found = _scan(parts, where, folder, how)
        found.name = path.resolve().name
        return found
    found = _scan(_parts(_load_remote(name, split), split, where), where, None, how)
    found.name = name
    return found


def scan_saved(folder: Path, how: Reading) -> Scan:
    """Read a folder that ``save_to_disk`` wrote.

    Raises:
        DataError: It can't be opened, or has no column of photos or labels.
    """
    parts = _parts(_load_local(folder, "", how), "", str(folder))
    return _scan(parts, str(folder), folder, how)


def scan_parquet(path: Path, how: Reading) -> Scan:
    """Read a Parquet file that holds photos.

    Raises:
        DataError: It can't be opened, or has no column of labels.
    """
    parts = _parts(_load_local(path, "", how), "", str(path))
    (dataset,) = parts.values()
    return _scan({"": dataset}, str(path), path.parent, how, path)  # it says nothing of splits


def _load_local(path: Path, split: str, how: Reading) -> Dataset | DatasetDict:
    """Open what lies here."""
    if path.is_file() and path.suffix.lower() != ".parquet":
        raise DataError(f"{path}: only Parquet files are opened by hf://", f"try: {path}")
    if path.is_dir():
        check_folder(path, follow_links=how.follow_links)
    else:
        tables.check_table(path)
    with _clear_errors(str(path)):
        if path.is_file():
            return datasets.load_dataset("parquet", data_files=str(path), split=split or None)
        if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
            return datasets.load_from_disk(str(path))
        return datasets.load_dataset(str(path.resolve()), split=split or None)


def _load_remote(name: str, split: str) -> Dataset | DatasetDict:
    """Download from the hub, or take what was downloaded before."""
    if not HUB_NAME.fullmatch(name):
        raise DataError(
            f"hf://{name}: no such path, and no name on the hub", "for example: hf://owner/name"
        )
    words = name.split("/")
    with _clear_errors(f"hf://{name}"):
        return datasets.load_dataset("/".join(words[:2]), *words[2:], split=split or None)


def _parts(loaded: Dataset | DatasetDict, split: str, where: str) -> dict[str, Dataset]:
    """Return splits by name."""
    if isinstance(loaded, Dataset):
        return {split: loaded}
    if not split:
        return dict(loaded)
    if split not in loaded:
        raise DataError(f"{where}: has no split {split}", f"there are: {', '.join(loaded)}")
    return {split: loaded[split]}


def _scan(
    parts: dict[str, Dataset],
    where: str,
    folder: Path | None,
    how: Reading,
    file: Path | None = None,
) -> Scan:
    """Read the rows of splits; only paths and labels are read, photos when they are wanted."""
    how.refuse_paths(where)
    found, names, classes = Scan(), FreeNames(), set()
    for name, dataset in parts.items():
        split_column = "split" if how.keep_splits and "split" in dataset.column_names else None
        if how.keep_splits and not split_column and not name:
            raise DataError(f"{where}: --keep-splits wants splits, or a column split")
        image = _image_column(dataset, where, how.image_column)
        label = choose_column(where, dataset.column_names, LABEL_NAMES, how.label_column, "label")
        label_names = getattr(dataset.features[label], "names", None)
        label_names = label_names or (schema_names(file, label) if file else [])
        part = _Part(
            dataset,
            image,
            label,
            label_names,
            split_column if len(parts) == 1 else None,
            folder,
            how.follow_links,
        )
        classes |= set(map(clean_name, label_names))
        try:
            split = split_of(name) if how.keep_splits and not part.split else ""
        except BadRowError:
            found.refused.append((name, "is none of train, validation, test"))
            continue
        prefix = f"{name}/" if len(parts) > 1 else ""
        _add_rows(part, found, names, prefix=prefix, split=split)
    check_any(found, where, "rows")
    found.empty_classes += classes - {file.class_name for file in found.files}
    if how.keep_splits:
        check_train(found, where, "a split train")
    else:
        leave_splits(found, where, filter(None, map(split_word, parts)), how.split_folders)
    return found


def _image_column(dataset: Dataset, where: str, given: str | None) -> str:
    """Return the column of photos."""
    pictures = [name for name in dataset.column_names if _is_picture(dataset.features[name])]
    if given is None and not any(name.casefold() in IMAGE_NAMES for name in pictures):
        choose_column(
            where, dataset.column_names, ("image",), None, "image"
        )  # says which there are
    column = choose_column(
        where, pictures if given is None else dataset.column_names, IMAGE_NAMES, given, "image"
    )
    if column not in pictures:
        raise DataError(
            f"{where}: column {column} holds no photos but {dataset.features[column]}",
            f"columns with photos: {', '.join(pictures) or 'none'}",
        )
    return column


def _is_picture(feature: object) -> bool:
    """Tell whether a column may hold photos."""
    if isinstance(feature, dict):
        return feature.keys() == {"bytes", "path"}
    is_binary = isinstance(feature, Value) and feature.dtype in ("binary", "large_binary")
    return is_binary or isinstance(feature, Image)


def _add_rows(part: _Part, found: Scan, names: FreeNames, *, prefix: str, split: str) -> None:
    """Add a split's rows as samples ``<class>/<file>``; a row without a name has its number."""
    pictures = part.dataset.select_columns([part.image])
    pictures = pictures.cast_column(part.image, Image(decode=False))
    lock = Lock()
    for index, (path, has_bytes, label, given) in enumerate(_rows(part, pictures)):
        try:
            class_name = name_class(found, named(label, part.names))
            own_split = split_of(given) if part.split else split
            if not has_bytes and not path:
                raise BadRowError("no photo")
            file = None if has_bytes else _file_of(part, path)
        except BadRowError as error:
            found.refused.append((f"{prefix}row {index}", str(error)))
            continue
        last = re.split(r"[\\/]", path)[-1] if path else ""
        relative = names.take(f"{prefix}{class_name}/{last or f'{index:08d}'}")
        read = partial(_read, pictures, lock, part.image, index) if has_bytes else None
        found.files.append(SourceFile(file, relative, class_name, own_split, read))


def _rows(part: _Part, pictures: Dataset) -> Iterator[tuple[str, bool, object, object]]:
    """Yield each row's path, whether it has bytes, its label and its split; bytes stay unread."""
    columns = [part.label, *([part.split] if part.split else [])]
    words = part.dataset.select_columns(columns).with_format("arrow")
    views = pictures.with_format("arrow")
    for start in range(0, len(pictures), BATCH):
        stop = min(start + BATCH, len(pictures))
        view = views[start:stop].column(part.image).combine_chunks()
        fields = dict(zip((f.name for f in view.type), view.flatten(), strict=True))
        batch = words[start:stop]
        splits = batch.column(part.split).to_pylist() if part.split else [""] * (stop - start)
        yield from zip(
            (path or "" for path in fields["path"].to_pylist()),
            fields["bytes"].is_valid().to_pylist(),
            batch.column(part.label).to_pylist(),
            splits,
            strict=True,
        )


def _file_of(part: _Part, path: str) -> Path:
    """Return a photo's file; a set from the hub may not point elsewhere on this machine."""
    file, _ = locate(part.folder or Path(), path)
    if part.folder is None and not any(
        file.resolve().is_relative_to(Path(cache).resolve())
        for cache in (
            *(datasets.config.HF_DATASETS_CACHE, datasets.config.DOWNLOADED_DATASETS_PATH),
            constants.HF_HUB_CACHE,
        )
    ):
        raise BadRowError("points to a file of this machine")
    check_file(file, None if part.follow_links else part.folder)
    return file


def _read(pictures: Dataset, lock: Lock, column: str, index: int) -> bytes:
    """Read a row's photo; one row at a time, since nothing says that rows may be read at once."""
    try:
        with lock:
            return bytes(pictures[index][column]["bytes"])
    except Exception as error:  # what a damaged Arrow file raises shares no class
        raise OSError(str(error)) from error


@contextmanager
def _clear_errors(where: str) -> Iterator[None]:
    """Turn what ``datasets`` and the hub raise into one error, and keep their bars away."""
    off: Any = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # errors of datasets, the hub and their networks share no class
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{where}: can't be loaded: {lines[0][:300]}") from error
    finally:
        if not off:
            datasets.enable_progress_bars()
