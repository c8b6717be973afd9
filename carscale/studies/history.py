"""All runs on a data set over time: best so far, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carscale import config
from carscale.errors import CarscaleError, RunError
from carscale.progress import note
from carscale.runs import RunFolder
from carscale.verdicts.run_predictions import FREE


@dataclass(frozen=True)
class RunEntry:
    """One run of the index.

    Attributes:
        folder: The run folder.
        name: The same, from where runs were looked for.
        started: When it was made, ISO 8601, UTC.
        recipe: The recipe's name, ``None`` when not stored.
        seed: Its seed.
        state: ``done``, or how far it is: ``at step 120``, ``not begun``.
        val: Val metrics of the epoch that is its result; empty before the first.
        test_top1: Of the last evaluation on test; ``None`` if never.
        is_best: Whether no earlier run of these data did better.
        changes: ``key: old -> new`` from the run that was trained before; of a run that is made of
            others, how and of which.
    """

    folder: str
    name: str
    started: str
    recipe: str | None
    seed: int
    state: str
    val: dict[str, float]
    test_top1: float | None
    is_best: bool = False
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Read:
    """A run's row, its settings, the hashes of its data, and what it is made of."""

    entry: RunEntry
    cfg: config.Recipe
    hashes: Mapping[str, str]
    made_of: str


@dataclass(frozen=True)
class DataHistory:
    """The runs that were scored on the same val photos, oldest first.

    Attributes:
        root: Where the last of them read its photos.
        val_hash: Of the val photos; ``None`` for runs that did not begin.
        runs: By time.
    """

    root: str
    val_hash: str | None
    runs: tuple[RunEntry, ...]


def find_runs(folder: Path) -> list[Path]:
    """Return run folders below a folder, at any depth; runs do not lie in runs.

    Raises:
        RunError: There is no such folder, or no run in it.
    """
    if not folder.is_dir():
        raise RunError(
            f"{folder}: no such folder", "name the folder of your runs: carscale runs runs"
        )
    found = list(_below(folder))
    if not found:
        raise RunError(
            f"{folder}: holds no run", "train one with: carscale train RECIPE data.root=FOLDER"
        )
    return found


def _below(folder: Path) -> Iterator[Path]:
    """Yield run folders, not looking into hidden ones."""
    if RunFolder(folder).has_settings:
        yield folder
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            yield from _below(path)


def histories(
    folders: Sequence[Path], *, base: Path | None = None, metric: str = "top1"
) -> list[DataHistory]:
    """Return runs by data set, the data set of the newest run last.

    A folder that can't be read is noted and left out.

    Args:
        folders: From ``find_runs``.
        base: Where names start; whole paths when absent.
        metric: A val metric of the log: ``top1``, ``balanced_accuracy``, ``macro_f1``.
    """
    read = []
    for folder in folders:
        try:
            read.append(_read(folder, base))
        except (CarscaleError, ValueError, KeyError, OSError) as error:
            note(f"{folder}: left out: {str(error).splitlines()[0]}")
    read.sort(key=lambda run: (run.entry.started, run.entry.folder))
    groups: dict[str | None, list[_Read]] = {}
    for run in read:
        groups.setdefault(run.hashes.get("val"), []).append(run)
    ordered = sorted(groups.items(), key=lambda group: group[1][-1].entry.started)
    return [
        DataHistory(group[-1].cfg.data.root, val_hash, _entries(group, metric))
        for val_hash, group in ordered
    ]


def _entries(group: Sequence[_Read], metric: str) -> tuple[RunEntry, ...]:
    """Return rows with what changed and what was best so far."""
    entries: list[RunEntry] = []
    best, before = float("-inf"), None
    for run in group:
        score = run.entry.val.get(metric)
        is_best = score is not None and score > best
        best = best if score is None else max(best, score)
        if run.made_of:
            changes: tuple[str, ...] = (run.made_of,)
        else:
            changes, before = () if before is None else _changes(before, run), run
        entries.append(replace(run.entry, is_best=is_best, changes=changes))
    return tuple(entries)


def _changes(before: _Read, run: _Read) -> tuple[str, ...]:
    """Return what differs between neighbours, the seed too."""
    free = tuple(key for key in FREE if key != "seed")
    changed = config.differences(before.cfg, run.cfg, ignore=free)
    if before.entry.recipe != run.entry.recipe:
        changed.insert(0, f"recipe: {before.entry.recipe} -> {run.entry.recipe}")
    if before.hashes.get("train") != run.hashes.get("train"):
        changed.append("train photos")
    return tuple(changed)


def _read(folder: Path, base: Path | None) -> _Read:
    """Read what the index shows of a run folder."""
    run = RunFolder.open(folder)
    env, best, steps = run.environment(), run.best_epoch, run.steps_done
    evaluations, cfg = run.test_evaluations(), run.settings()
    made = datetime.fromtimestamp(run.settings_file.stat().st_mtime, UTC)
    entry = RunEntry(
        folder=str(folder),
        name=str(folder if base is None else folder.relative_to(base)),
        started=env.get("started") or made.isoformat(timespec="seconds"),
        recipe=env.get("recipe"),
        seed=cfg.seed,
        state="done" if run.log("end") else f"at step {steps}" if steps else "not begun",
        val=best["val"] if best else {},
        test_top1=evaluations[-1].get("top1") if evaluations else None,
    )
    return _Read(entry, cfg, run.hashes, _made_of(env.get("refined") or {}))


def _made_of(refined: Mapping[str, Any]) -> str:
    """Return how a run is made of others, and of which; nothing for one that was trained."""
    names = [Path(one).name for one in refined.get("from") or ()]
    method = f" ({refined['method']})" if refined.get("method") else ""
    return f"{refined['how']}{method} of {', '.join(names)}" if names else ""
