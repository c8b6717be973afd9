"""What ``carscale gate`` does once its words are checked. N photos."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from carscale import config, progress
from carscale.analysis import slice_rows
from carscale.errors import CarscaleError, ConfigError, DataError
from carscale.runs import RunFolder
from carscale.types import Predictions
from carscale.verdicts.gate import GateResult, PhotoGroup, class_groups, judge_gate
from carscale.verdicts.run_predictions import (
    FREE,
    changes,
    check_comparable,
    merged_classes,
    read_run_predictions,
)
from carscale.workflows.errors import gather_evidence
from carscale.workflows.model_runs import check_split
from carscale.workflows.refined_runs import beside, is_continued

MAX_SEEDS = 8
"""Further seeds of the old run's recipe that are read."""


@dataclass(frozen=True, eq=False)
class Gate:
    """What a gate found, and of what.

    Attributes:
        old, new: The runs.
        split: Whose photos.
        result: The judgement.
        seeds: Other seeds of the old run's recipe.
        is_continued: Whether the new run starts from the old one's weights.
        max_class_drop: Drop of a class or slice that was allowed, as a share.
        notes: What could not be looked at: slices of photos that are not at hand.
        page: Where the photos that flipped are shown; ``None`` where no page was asked for.
    """

    old: RunFolder
    new: RunFolder
    split: str
    result: GateResult
    seeds: tuple[RunFolder, ...]
    is_continued: bool
    max_class_drop: float
    notes: tuple[str, ...] = ()
    page: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what was found as JSON holds it."""
        flips = self.result.flips
        return {
            "has_passed": self.result.has_passed,
            "old": str(self.old),
            "new": str(self.new),
            "split": self.split,
            "class_shift": asdict(self.result.shift),
            "is_blind": self.result.is_blind,
            "num_tested": self.result.num_tested,
            "groups": [{**asdict(one), "drop": one.drop} for one in self.result.groups],
            "flips": {**asdict(flips), "share": flips.share},
            "seeds": [str(one) for one in self.seeds],
            "is_continued": self.is_continued,
            "max_class_drop": self.max_class_drop,
            "notes": list(self.notes),
            "page": None if self.page is None else str(self.page),
        }


def gate(
    old: RunFolder | Path | str,
    new: RunFolder | Path | str,
    *,
    split: str = "val",
    max_class_drop: float = 0.05,
    max_negative_flips: float = 0.02,
    out: Path | str | None = None,
    data_root: Path | str | None = None,
) -> Gate:
    """Tell whether a new run became worse than an old one anywhere: ``carscale gate``.

    Args:
        old: Run folder of what is in use.
        new: Run folder of what may replace it.
        split: Predicted by both.
        max_class_drop: Drop of a class or slice that is allowed, as a share.
        max_negative_flips: Share of what was right that may be wrong now, beyond what another seed
            of the old recipe loses; not judged where no such run lies beside the old one and the
            new one does not start from its weights.
        out: Folder of a page with the photos that flipped; ``None`` writes none.
        data_root: Where the photos lie now; the old run's ``data.root`` when ``None``.

    Raises:
        ConfigError: One run twice, a share that is none, or a folder that holds something else.
        DataError: A run has no predictions of the split, or of other photos or classes.
        RunError: No such run.
    """
    check_split(split, ("val", "test"))
    _check_shares(max_class_drop=max_class_drop, max_negative_flips=max_negative_flips)
    runs = RunFolder.open(old), RunFolder.open(new)
    if runs[0].path.resolve() == runs[1].path.resolve():
        raise ConfigError(f"{old}: is given twice", "name the old run, then the new one")
    if out is not None:
        from carscale.report import check_page_folder

        check_page_folder(Path(out), "gate")
    with progress.bar("gate", None) as advance:
        read = [read_run_predictions(run.path, split) for run in runs]
        if merged_classes(read) is not None:
            raise DataError(
                f"{new}: its data have the classes of {old}, merged; a gate is of one class list",
                f"carscale compare scores both: carscale compare {shlex.quote(str(old))} "
                f"{shlex.quote(str(new))} --split {split}",
            )
        check_comparable(read, split)
        before = runs[0].predictions(split)
        after = _in_order(runs[1].predictions(split), before)
        seeds = _seeds(runs[0], runs[1], split)
        root = None if data_root is None else Path(data_root)
        evidence, notes = gather_evidence(
            runs[0], split, data_root=root, advance=lambda step: advance(1, step)
        )
        names = [one.name for one in evidence.classes]
        slices = [PhotoGroup("slice", name, is_in_N) for name, is_in_N in slice_rows(evidence)]
        continued = is_continued(*runs)
        result = judge_gate(
            before.labels_N,
            _correct(before),
            _correct(after),
            [*class_groups(before.labels_N, names), *slices],
            max_class_drop=max_class_drop,
            max_negative_flips=max_negative_flips,
            seeds_SN=_seeds_correct(seeds, split, before),
            is_continued=continued,
        )
        found = Gate(*runs, split, result, tuple(seeds), continued, max_class_drop, tuple(notes))
        if out is None:
            return found
        advance(1, "writing the page")
        from carscale.report import write_gate

        command = ["carscale", "gate", str(old), str(new), "--split", split]
        command += ["--max-class-drop", f"{max_class_drop:g}"]
        command += ["--max-negative-flips", f"{max_negative_flips:g}", "--out", str(out)]
        words = shlex.join(command)
        page = write_gate(
            Path(out),
            found.to_dict(),
            before,
            after,
            class_names=names,
            data_root=root or Path(runs[0].settings().data.root),
            command=words,
        )
    return replace(found, page=page)


def _check_shares(**shares: float) -> None:
    """Raise where a limit is no share."""
    for name, value in shares.items():
        if not 0 <= value < 1:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} {value:g}: must be a share from 0 to 1, as 0.05")


def _correct(predictions: Predictions) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return whether each photo is predicted correctly, by id."""
    return predictions.prediction_N == predictions.labels_N


def _seeds(old: RunFolder, new: RunFolder, split: str) -> list[RunFolder]:
    """Return runs beside the old one that differ from it by the seed alone."""
    mine = read_run_predictions(old.path, split)
    found = []
    for path in sorted(old.path.resolve().parent.iterdir()):
        run = RunFolder(path)
        if path in (old.path.resolve(), new.path.resolve()) or not run.has_settings:
            continue
        try:
            if not run.has_predictions(split) or config.differences(
                mine.cfg, run.settings(), ignore=FREE
            ):
                continue
            other = read_run_predictions(path, split)
            check_comparable([mine, other], split)
        except CarscaleError:  # what can't be read, or is of other photos, is no seed of it
            continue
        if not changes(mine, other) and other.cfg.seed != mine.cfg.seed:
            found.append(RunFolder(beside(old) / path.name))
    return found[:MAX_SEEDS]


def _seeds_correct(
    seeds: list[RunFolder], split: str, before: Predictions
) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    """Return what other seeds predict correctly, in the order of the old run's photos."""
    rows = [_correct(_in_order(run.predictions(split), before)) for run in seeds]
    return np.stack(rows) if rows else None


def _in_order(predictions: Predictions, wanted: Predictions) -> Predictions:
    """Return predictions in the order of others of the same photos: ids differ by version."""
    row_N = np.empty(len(wanted), np.int64)
    row_N[np.argsort(wanted.keys_N.astype(str))] = np.argsort(predictions.keys_N.astype(str))
    columns: dict[str, Any] = {
        name: value[row_N]
        for name in Predictions.__dataclass_fields__
        if isinstance(value := getattr(predictions, name), np.ndarray)
    }
    return replace(predictions, **columns)
