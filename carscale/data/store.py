"""Read a frozen folder. N samples, K classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import runs, tables
from carscale.data.layout import FORMAT
from carscale.data.lock import verify
from carscale.data.splits import SPLITS
from carscale.errors import DataError, RunError
from carscale.types import CarClass, Split, Splits

if TYPE_CHECKING:
    from carscale import config

__all__ = ["load", "read_splits"]

COLUMNS = ["id", "key", "path", "split", "width", "height"]


def load(cfg: config.Data) -> Splits:
    """Check the lock, once on each machine, and return the splits.

    Args:
        cfg: ``root`` of a frozen folder; ``verify`` is ``fast`` or ``full``.

    Raises:
        DataError: No frozen folder, or photos were added, removed or changed; names them.
    """
    root = Path(cfg.root)
    if os.environ.get("LOCAL_RANK", "0") == "0":
        verify(root, mode=cfg.verify)
    return read_splits(root)


def read_splits(root: Path) -> Splits:
    """Return the splits of a frozen folder without checking its photos.

    Raises:
        DataError: No frozen folder, or one of another format.
    """
    card = read_card(root)
    try:
        listed = runs.read_json(root / "classes.json")["classes"]
        classes = tuple(CarClass(**entry) for entry in listed)
    except (RunError, KeyError, TypeError) as error:
        raise DataError(f"{root}/classes.json: can't be used: {error}") from error
    columns = tables.read_columns(root / "manifest.parquet", COLUMNS)
    number = {car_class.folder: k for k, car_class in enumerate(classes)}
    try:
        labels_N = np.array([number[p.split("/")[1]] for p in columns["path"]], dtype=np.int64)
    except KeyError as error:
        raise DataError(f"{root}/classes.json: lacks the class of folder {error}") from error
    sizes_N2 = np.stack([columns["width"], columns["height"]], axis=1).astype(np.int64)
    made = {}
    for name in SPLITS:
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
        )
    return Splits(made["train"], made["val"], made["test"], classes, card)


def read_card(root: Path) -> dict[str, Any]:
    """Return a frozen folder's card.

    Raises:
        DataError: No frozen folder, or one of another format.
    """
    if not (root / "card.json").is_file():
        raise DataError(
            f"{root}: holds no frozen data (no card.json)",
            "freeze class folders with: carscale data freeze FOLDER " + str(root),
            "or try the demo: carscale data demo data/demo-raw",
        )
    try:
        card = runs.read_json(root / "card.json")
    except RunError as error:
        raise DataError(str(error)) from error
    stored = card.get("format") if isinstance(card, dict) else None
    if stored != FORMAT:
        raise DataError(f"{root}/card.json: format {stored}, this carscale reads {FORMAT}")
    return card
