"""Read a frozen folder or a pack of one. N samples, K classes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import contained
from carscale.data.frozen.folds import hold_out
from carscale.data.frozen.layout import PACK_FORMAT, is_frozen, read_card, read_classes
from carscale.data.frozen.lock import verify
from carscale.data.frozen.manifest import read_manifest
from carscale.data.frozen.pack_reader import Shards
from carscale.data.frozen.split_assignment import PARTIAL, SPLITS, split_names
from carscale.errors import ConfigError, DataError
from carscale.types import Split, Splits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale import config


COLUMNS = ["id", "key", "path", "split", "width", "height"]
PACK_COLUMNS = ["shard", "offset", "num_bytes"]


def load(cfg: config.Data) -> Splits:
    """Check the lock, once on each machine, and return the splits.

    Args:
        cfg: ``root`` of a frozen folder or pack; ``verify`` is ``fast`` or ``full``; with
            ``num_folds``, train is cut as ``folds.hold_out`` does; with ``partial="use"``, train
            holds the photos of which only the make is known too.

    Raises:
        DataError: No frozen folder, or photos were added, removed or changed; names them. Or there
            are no photos of which only the make is known.
    """
    root = Path(cfg.root)
    if os.environ.get("LOCAL_RANK", "0") == "0":
        verify(root, mode=cfg.verify)
    return cut_splits(cfg)


def cut_splits(cfg: config.Data) -> Splits:
    """Return the splits as ``load`` does; the lock is not checked."""
    splits = read_splits(Path(cfg.root))
    splits = hold_out(splits, cfg.num_folds, cfg.fold) if cfg.num_folds else splits
    return with_partial(splits) if cfg.partial == "use" else splits


def with_partial(splits: Splits) -> Splits:
    """Return splits whose train holds the photos of which only the make is known too.

    Their labels are ``K + m``; see ``Split.class_sets``. Train's hash becomes another, so that
    comparisons name it.

    Raises:
        DataError: There are none.
    """
    train, partial = splits.train, splits.extra.get(PARTIAL)
    if partial is None:
        raise DataError(
            f"{train.root}: has no photos of which only the make is known (data.partial=use)",
            "leave that out, or keep some: carscale data merge ... --make-only keep",
        )

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(train, name), getattr(partial, name)])

    digest = hashlib.sha256(f"{train.hash} {partial.hash}".encode()).hexdigest()
    whole = replace(
        train,
        ids_N=joined("ids_N"),
        keys_N=joined("keys_N"),
        paths_N=joined("paths_N"),
        labels_N=joined("labels_N"),
        sizes_N2=joined("sizes_N2"),
        hash=digest,
        class_sets=partial.class_sets,
    )
    card = splits.card | {"hashes": splits.card["hashes"] | {"train": digest}}
    return replace(splits, train=whole, card=card)


def read_splits(root: Path) -> Splits:
    """Return the splits of a frozen folder or pack without checking its photos.

    Raises:
        DataError: No frozen folder, or one of another format.
    """
    card = read_card(root)
    classes = read_classes(root)
    columns = read_manifest(root, COLUMNS)
    makes = card.get("makes") or []
    unknown = sorted(set(columns["split"].tolist()) - set(split_names(card)))
    if unknown:
        raise DataError(f"{root}/manifest.parquet: {unknown[0][:80]!r} is no split of its card")
    numbers = {car_class.folder: k for k, car_class in enumerate(classes)}
    partial = {make["folder"]: len(classes) + m for m, make in enumerate(makes)}
    try:
        class_sets = tuple(tuple(numbers[folder] for folder in make["classes"]) for make in makes)
        labels_N = np.array(
            [
                (partial if split == PARTIAL else numbers)[path.split("/")[1]]
                for path, split in zip(columns["path"], columns["split"], strict=True)
            ],
            dtype=np.int64,
        )
    except KeyError as error:
        raise DataError(f"{root}/classes.json: lacks the class of folder {error}") from error
    sizes_N2 = np.stack([columns["width"], columns["height"]], axis=1).astype(np.int64)
    store = _open_shards(root, card)
    made = {}
    for name in split_names(card):
        rows = np.flatnonzero(columns["split"] == name)
        made[name] = Split(
            name=name,
            root=root,
            ids_N=columns["id"][rows].astype(np.int64),
            keys_N=columns["key"][rows],
            paths_N=columns["path"][rows],
            labels_N=labels_N[rows],
            sizes_N2=sizes_N2[rows],
            classes=classes,
            hash=card["hashes"][name],
            store=store,
            class_sets=class_sets if name == PARTIAL else (),
        )
    train, val, test = (made.pop(name) for name in SPLITS)
    return Splits(train, val, test, classes, card, extra=made)


def named_split(splits: Splits, name: str) -> Split:
    """Return the split of a name.

    Raises:
        ConfigError: There is none of that name.
    """
    for split in splits.every:
        if split.name == name:
            return split
    names = ", ".join(split.name for split in splits.every)
    raise ConfigError(f"--split {name}: {splits.train.root} has no such split; it has {names}")


def photo_reader(root: Path) -> Callable[[str], bytes]:
    """Return what reads photos by their paths: from a pack, or files below any folder.

    It raises ``FileNotFoundError`` when there is no such photo.
    """
    if not is_frozen(root) or read_card(root)["format"] != PACK_FORMAT:
        return lambda path: contained.read_inside(root, path)
    splits = read_splits(root)
    places = {
        path: (split, row) for split in splits.every for row, path in enumerate(split.paths_N)
    }

    def read(path: str) -> bytes:
        if path not in places:
            raise FileNotFoundError(f"{root}: holds no photo {path}")
        split, row = places[path]
        return split.read_bytes(row)

    return read


def _open_shards(root: Path, card: dict[str, Any]) -> Shards | None:
    """Return what reads a pack's photos; ``None`` for a frozen folder."""
    if card["format"] != PACK_FORMAT:
        return None
    columns = read_manifest(root, PACK_COLUMNS)
    names = tuple(shard["path"] for shard in card["shards"])
    shard_N, offset_N, num_bytes_N = (columns[name] for name in PACK_COLUMNS)
    if len(shard_N) and not (
        0 <= shard_N.min() <= shard_N.max() < len(names)
        and offset_N.min() >= 0
        and 0 <= num_bytes_N.min() <= num_bytes_N.max() <= contained.MAX_PHOTO_BYTES
    ):
        raise DataError(f"{root}/manifest.parquet: places photos outside of the card's shards")
    return Shards(root, names, shard_N, offset_N, num_bytes_N)
