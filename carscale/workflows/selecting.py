"""What ``carscale select`` does: train samples that resemble what goes wrong, on a page too."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carscale import disk, files, progress, tables
from carscale.data import read_splits
from carscale.errors import CarscaleError, ConfigError
from carscale.refine.select import Selection, check_rule
from carscale.refine.select import select as choose
from carscale.runs import RunFolder
from carscale.workflows.errors import analyse_run


@dataclass(frozen=True, eq=False)
class Selected:
    """A selection on disk.

    Attributes:
        path: The Parquet file: ``id``, ``key``, ``path``, ``class``, ``reason``, ``rival``
            (the class that photos like it are taken for), ``weight``.
        page: Where its photos are shown.
        selection: What was selected.
    """

    path: Path
    page: Path
    selection: Selection

    def to_table(self) -> Any:  # noqa: ANN401 - an Arrow table
        """Return the table."""
        return tables.arrow_table(tables.read_columns(self.path, COLUMNS))


COLUMNS = ["id", "key", "path", "class", "reason", "rival", "weight"]


def select(
    run: RunFolder | Path | str,
    out: Path | str,
    *,
    by: str,
    size: int = 500,
    data_root: Path | str | None = None,
    force: bool = False,
) -> Selected:
    """Select samples of train that resemble what goes wrong on val: ``carscale select``.

    They are made diverse by their embeddings; those whose label is probably wrong are left out.

    Args:
        run: Run folder; val has to be predicted.
        out: A ``.parquet`` file to write; its page is a folder of that name without the ending.
        by: ``hard``, ``uncertain`` (both need ``carscale folds``), ``forgotten`` (needs
            ``train.log_dynamics``), ``confused-pairs``, ``low-recall``, ``group:NAME`` of an error
            group or ``near:IDS`` of val photos (these need embeddings); or ``random``.
        size: How many, at most.
        data_root: Where the photos lie now; the run's ``data.root`` when ``None``.
        force: Replace a selection.

    Raises:
        ConfigError: No such rule, group or id; a path that is taken, or that does not end so.
        DataError: What the rule needs was not made yet; says the command.
        RunError: No such run.
    """
    from carscale.report import check_page_folder, write_selection

    folder, path = RunFolder.open(run), Path(out)
    page = path.with_suffix("")
    if path.suffix != ".parquet":
        raise ConfigError(f"{out}: must end in .parquet", f"write: {path.name}.parquet")
    check_rule(by)
    if size < 1:
        raise ConfigError(f"--size {size}: must be 1 or more")
    if path.exists() and not force:
        raise ConfigError(f"{path}: is there already", "replace it with: --force")
    check_page_folder(page, "selection")
    root = None if data_root is None else Path(data_root)
    with progress.bar("select", None) as advance:
        found = analyse_run(folder, "val", data_root=root, advance=lambda step: advance(1, step))
        selection = _named(folder, lambda: choose(found, by, size))
        advance(1, "writing")
        splits = read_splits(root or Path(folder.settings().data.root))
        train, rows = splits.train, selection.rows_S
        names = np.array([one.name for one in splits.classes], dtype=object)
        columns = {
            "id": train.ids_N[rows],
            "key": train.keys_N[rows],
            "path": train.paths_N[rows],
            "class": names[train.labels_N[rows]],
            "reason": np.array(selection.reasons, dtype=object),
            "rival": np.array(selection.rivals, dtype=object),
            "weight": np.ones(len(rows)),
        }
        disk.make_folder(path.absolute().parent)
        words = ["carscale", "select", str(run), str(out), "--by", by, "--size", str(size)]
        index = write_selection(
            page,
            columns,
            data_root=train.root,
            command=shlex.join(words),
            about={
                "run": str(folder),
                "by": by,
                "num_suspects": selection.num_suspects,
                "is_reviewed": selection.is_reviewed,
                "is_diverse": selection.is_diverse,
                "num_train": len(train),
            },
        )
        files.write_atomic(path, tables.table_bytes(columns))
    return Selected(path, index, selection)


def _named(run: RunFolder, call: Any) -> Selection:  # noqa: ANN401
    """Return what a call returns; its error names the run in the commands to type."""
    try:
        return call()
    except CarscaleError as error:
        where = shlex.quote(str(run))
        raise type(error)(
            *(re.sub(r"\bRUN\b", lambda _: where, line) for line in error.lines)
        ) from None
