"""A frozen folder's manifest: the one way to read it, its paths checked.

N photos.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import contained, tables
from carscale.errors import DataError
from carscale.shapes import problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

MADE_GROUPS = ("sha256:", "photo:", "near:")
"""Groups of photos that are the same, or of one photo: freeze and merge make them."""


def manifest_file(root: Path) -> Path:
    """Return the path of a frozen folder's manifest; a link there is refused."""
    return contained.inside(root, "manifest.parquet", "file")


def read_manifest(root: Path, names: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """Read columns of a frozen folder's or pack's manifest.

    Args:
        root: The folder.
        names: Of the columns; all but a pack's own by default.

    Raises:
        DataError: The file is missing or broken, ids are not the numbers from 0 on, or a path is
            not ``split/folder/file`` of its row's split.
    """
    path = manifest_file(root)
    wanted = list(names or tables.MANIFEST_SCHEMA.names)
    needed = [*wanted, *(["split"] if "path" in wanted else [])]
    columns = tables.read_manifest(path, list(dict.fromkeys(needed)))
    if "id" in columns:
        _check_ids(path, columns["id"])
    if "path" in columns:
        _check_paths(path, columns["path"], columns["split"])
    return {name: columns[name] for name in wanted}


def attributes(root: Path) -> dict[str, NDArray[Any]]:
    """Return what a manifest says of its photos beside their classes, for slices.

    Args:
        root: A frozen folder or pack.

    Returns:
        Texts ``[N]`` by name, in the order of ids, empty where nothing is known: ``source`` where
        photos are of several, ``group`` where photos were grouped by a rule, ``synthetic_method``
        where photos are synthetic (``real`` for the others), and those of ``--attribute``.

    Raises:
        DataError: As ``read_manifest``; or attributes are no mappings of texts.
    """
    names = ["origin", "group", "attributes", "synthetic_method"]
    columns = read_manifest(root, ["id", *names])
    order_N = np.argsort(columns["id"])
    texts = {name: columns[name][order_N] for name in names}
    found: dict[str, NDArray[Any]] = {}
    if len(set(texts["origin"])) > 1:
        found["source"] = texts["origin"]
    groups = ["" if text.startswith(MADE_GROUPS) else text for text in texts["group"]]
    if any(groups):
        found["group"] = np.array(groups, dtype=object)
    if any(texts["synthetic_method"]):
        methods = [text or "real" for text in texts["synthetic_method"]]
        found["synthetic_method"] = np.array(methods, dtype=object)
    parsed = {text: _attributes(root, text) for text in set(texts["attributes"])}
    rows = [parsed[text] for text in texts["attributes"]]
    for name in sorted({name for one in parsed.values() for name in one}):
        found[name] = np.array([one.get(name, "") for one in rows], dtype=object)
    return found


def made_of(text: str) -> tuple[str, ...]:
    """Return the keys of the photos that a synthetic one was made of, that of its car first.

    Args:
        text: Of the manifest's column ``synthetic``.

    Raises:
        DataError: It is no JSON of that shape.

    Example:
        >>> made_of('{"parents": ["0a-0", "1b-0"], "seed": 7}')
        ('0a-0', '1b-0')
    """
    try:
        found = json.loads(text or '{"parents": []}')
    except (ValueError, RecursionError) as error:
        raise DataError(f"the manifest's column synthetic holds {text[:80]!r}: no JSON") from error
    if wrong := problem(found, {"parents": [str]}):
        raise DataError(f"the manifest's column synthetic holds {text[:80]!r}: {wrong}")
    return tuple(found["parents"])


def cars_of(keys_N: NDArray[Any], synthetic_N: NDArray[Any]) -> NDArray[Any]:
    """Return whose car each photo shows: of a synthetic one the key of its first parent.

    Args:
        keys_N: Of the photos.
        synthetic_N: The manifest's column.
    """
    pairs = zip(keys_N.tolist(), synthetic_N.tolist(), strict=True)
    return np.array([(*made_of(text)[:1], key)[0] if text else key for key, text in pairs], object)


def synthetic_ids(root: Path) -> NDArray[np.bool_]:
    """Tell which photos of a frozen folder or pack no camera took, by manifest id.

    Raises:
        DataError: As ``read_manifest``.
    """
    columns = read_manifest(root, ["id", "synthetic_method"])
    found_I: NDArray[np.bool_] = columns["synthetic_method"][np.argsort(columns["id"])] != ""
    return found_I


def _attributes(root: Path, text: str) -> dict[str, str]:
    """Return what one photo's column holds."""
    try:
        found: dict[str, str] = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{manifest_file(root)}: attributes {text[:80]!r} are no JSON") from error
    if wrong := problem(found, {str: str}):
        raise DataError(f"{manifest_file(root)}: attributes {text[:80]!r}: {wrong}")
    return found


def _check_ids(path: Path, ids_N: NDArray[Any]) -> None:
    """Raise unless every number from 0 on is the id of one photo."""
    if not np.array_equal(np.sort(ids_N), np.arange(len(ids_N))):
        raise DataError(f"{path}: ids are not the numbers from 0 to {len(ids_N) - 1}, each once")


def _check_paths(path: Path, paths_N: NDArray[Any], splits_N: NDArray[Any]) -> None:
    """Raise unless every photo lies in a folder of its split, and nowhere else."""
    for photo, split in zip(paths_N.tolist(), splits_N.tolist(), strict=True):
        parts = photo.split("/")
        if len(parts) != 3 or parts[0] != split or not contained.is_plain(photo):
            raise DataError(
                f"{path}: the path {photo[:160]!r} of a photo of {split[:80]!r} is not "
                "SPLIT/CLASS/FILE"
            )
