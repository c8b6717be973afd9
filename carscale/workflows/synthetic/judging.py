"""What speaks against synthetic photos, asked of a run and its folds. M photos that came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import curate, data, outgoing, progress, synth
from carscale.errors import ConfigError
from carscale.runs import RunFolder, run_of_weights
from carscale.workflows.embed import embed_readable
from carscale.workflows.photo_predictions import predict_readable

if TYPE_CHECKING:
    from carscale.types import Split, Splits

REAL_PHOTOS = 2000
"""Train photos at most that embeddings are compared with; half show classes that get photos."""
MIN_REAL = 20
"""Fewer real photos tell no outlier."""


@dataclass(frozen=True)
class Filters:
    """Which filters can be asked.

    Attributes:
        root: The frozen folder that the photos are to join.
        run: Its model judges classes and embeddings; ``None`` leaves both out.
        by_class: Whether a model must see the class.
        folds: Folds of the run that did not train on a parent, by fold number; empty without.
        by_outlier: Whether there are real photos enough to tell an outlier.
    """

    root: Path
    run: RunFolder | None = None
    by_class: bool = True
    folds: Mapping[int, RunFolder] | None = None
    by_outlier: bool = False

    @classmethod
    def of(cls, root: Path, run: Path | RunFolder | None, *, by_class: bool) -> Filters:
        """Return the filters that a run, or its folds, allow; says what is left out.

        Raises:
            ConfigError: No run, though a model must see the class; or a run of other classes.
        """
        if run is None:
            if by_class:
                raise ConfigError(
                    "no run is given that could see whether a photo shows its class",
                    "give one: --run RUN, best one with folds: carscale folds RUN --keep-weights",
                    "or do without: --no-class-filter",
                )
            progress.note("no --run: outliers among embeddings are not looked for")
            return cls(root, None, by_class=False)
        folder, splits = RunFolder.open(run), data.read_splits(root)
        names = [car.name for car in folder.classes()]
        if names != [car.name for car in splits.classes]:
            raise ConfigError(
                f"--run {folder}: has other classes than {root}",
                "give a run that was trained on this data",
            )
        folds, why = _folds(folder, splits) if by_class else ({}, "")
        if why:
            progress.note(
                f"classes are judged by the run itself, which has seen the parents: {why}"
            )
        num_real = int((~data.synthetic_ids(root)[splits.train.ids_N]).sum())
        if num_real < MIN_REAL:
            progress.note(f"{num_real} real photos of train tell no outlier: none is looked for")
        return cls(root, folder, by_class, folds, num_real >= MIN_REAL)

    @property
    def about(self) -> dict[str, Any]:
        """Return which filters are asked of what, for the card."""
        if self.run is None:
            return {"quality": True, "class": None, "outlier": None}
        weights = f"{self.run.path.name}/{self.run.best_checkpoint.name}"
        by_class = f"{len(self.folds)} folds of {weights}" if self.folds else weights
        return {
            "quality": True,
            "class": by_class if self.by_class else None,
            "outlier": weights if self.by_outlier else None,
        }

    def judge(self, decoded: data.DecodedFiles) -> curate.Judge:
        """Return the judge of photos that were decoded."""

        def judged(names: Mapping[int, str]) -> dict[int, tuple[str, str]]:
            found: dict[int, tuple[str, str]] = {}
            for cause, asked in self._questions(decoded, names):
                left = [row for row in names if row not in found]
                if left:
                    found |= {row: (cause, reason) for row, reason in asked(left).items()}
            return found

        return judged

    def _questions(
        self, decoded: data.DecodedFiles, names: Mapping[int, str]
    ) -> list[tuple[str, Callable[[Sequence[int]], dict[int, str]]]]:
        """Return cause and question of each filter, the cheap ones first."""
        asked: list[tuple[str, Callable[[Sequence[int]], dict[int, str]]]] = [
            ("low quality", partial(self._low_quality, decoded))
        ]
        if self.run is not None and self.by_class:
            asked.append(("class", partial(self._not_its_class, decoded, names)))
        if self.run is not None and self.by_outlier:
            asked.append(("outlier", partial(self._outliers, decoded, names)))
        return asked

    def _low_quality(self, decoded: data.DecodedFiles, rows: Sequence[int]) -> dict[int, str]:
        """Return which photos are hard to see."""
        real = data.photo_stats(self.root)  # measured by then, and kept
        found = synth.quality_reasons(real, decoded.stats_N[list(rows)])
        return {rows[place]: reason for place, reason in found.items()}

    def _not_its_class(
        self, decoded: data.DecodedFiles, names: Mapping[int, str], rows: Sequence[int]
    ) -> dict[int, str]:
        """Return which photos no model takes for their class that has not seen the parent.

        Nothing is said of classes that the run does not know.
        """
        if self.run is None:
            return {}
        known = {car.name for car in self.run.classes()}
        rows = [row for row in rows if names[row] in known]
        by_run: dict[int, list[int]] = defaultdict(list)  # -1: the run itself
        fold_of = self._fold_of_key() if self.folds else {}
        for row in rows:
            keys = _parents(decoded, row)
            by_run[fold_of.get(keys[0], -1) if keys else -1].append(row)
        top: dict[int, list[str]] = {}
        unread: dict[int, str] = {}
        for number, part in sorted(by_run.items()):
            run = (self.folds or {}).get(number, self.run)
            photos = [
                (decoded.samples[row].file.relative, decoded.samples[row].staged.read_bytes)
                for row in part
            ]
            predicted = predict_readable(run, run.settings(), photos)
            for row, said in zip(part, predicted, strict=True):
                if said["error"] is None:
                    top[row] = [one["class"] for one in said["top5"]]
                else:
                    unread[row] = f"can't be read: {said['error']}"
        return synth.class_reasons(top, names, len(known)) | unread

    def _outliers(
        self, decoded: data.DecodedFiles, names: Mapping[int, str], rows: Sequence[int]
    ) -> dict[int, str]:
        """Return which photos lie far from real ones: of their classes, and of a draw of all."""
        if self.run is None:
            return {}
        train = data.read_splits(self.root).train
        chosen = self._reference(train, set(names.values()))
        cfg = self.run.settings()
        reads = [partial(train.read_bytes, row) for row in chosen]
        real_ND, is_read_N = embed_readable(self.run, cfg, reads)
        if len(real_ND) < MIN_REAL:  # the others can't be read
            return {}
        kept = [row for row, is_read in zip(chosen, is_read_N.tolist(), strict=True) if is_read]
        row_of = {str(train.keys_N[row]): place for place, row in enumerate(kept)}
        made = [decoded.samples[row].staged.read_bytes for row in rows]
        made_MD, is_read_M = embed_readable(self.run, cfg, made)
        good = [row for row, is_read in zip(rows, is_read_M.tolist(), strict=True) if is_read]
        parents = [[row_of[key] for key in _parents(decoded, row) if key in row_of] for row in good]
        found = synth.outlier_reasons(synth.NearestPhotos.of(real_ND), made_MD, parents)
        return {good[place]: reason for place, reason in found.items()}

    def _reference(self, train: Split, names: set[str]) -> list[int]:
        """Return real photos of train: some of each of these classes, then of all."""
        rng = np.random.Generator(np.random.Philox(0))
        is_real_N = ~data.synthetic_ids(self.root)[train.ids_N]
        labels = [label for label, car in enumerate(train.classes) if car.name in names]
        drawn_N = rng.permutation(np.flatnonzero(is_real_N))
        is_asked_N = np.isin(train.labels_N[drawn_N], labels)
        most = REAL_PHOTOS // 2
        rows = [*drawn_N[is_asked_N][:most].tolist(), *drawn_N[~is_asked_N].tolist()]
        return sorted(rows[:REAL_PHOTOS])

    def _fold_of_key(self) -> dict[str, int]:
        """Return the fold that held a photo out, by its key.

        Not of classes that one fold holds out whole: its model knows nothing of them.
        """
        train: Split = data.read_splits(self.root).train
        numbers_N = data.fold_numbers(train, len(self.folds or {}))
        first: dict[int, int] = {}
        is_alone = dict.fromkeys(range(len(train.classes)), True)
        for label, number in zip(train.labels_N.tolist(), numbers_N.tolist(), strict=True):
            if first.setdefault(label, number) != number:
                is_alone[label] = False
        rows = zip(train.keys_N.tolist(), train.labels_N.tolist(), numbers_N.tolist(), strict=True)
        return {key: number for key, label, number in rows if not is_alone.get(label, True)}


def _parents(decoded: data.DecodedFiles, row: int) -> tuple[str, ...]:
    """Return the keys of what a photo was made of."""
    return data.made_of(dict(decoded.samples[row].file.known).get("synthetic", ""))


def as_synthetic(
    origin: curate.Origin, base: Path | str, run: Path | None, *, by_class: bool = True
) -> curate.Origin:
    """Return a source whose photos no camera took, to be merged through the filters.

    Args:
        origin: The source.
        base: Frozen folder that it is merged into.
        run: Judges classes and embeddings; its folds judge parents' photos.
        by_class: Whether a model must see a photo's class.

    Raises:
        ConfigError: No run, though a model must see the class; or a run of other classes.
    """
    filters = Filters.of(Path(base), run, by_class=by_class)
    return replace(origin, synthetic="imported", judge=filters.judge, judged_by=filters.about)


def _folds(run: RunFolder, splits: Splits) -> tuple[dict[int, RunFolder], str]:
    """Return a run's folds, by number, or why they can't be asked and what to do about it."""
    make = outgoing.command("carscale", "folds", run, "--keep-weights")
    weights = run.settings().model.weights
    if run_of_weights(weights) is not None:
        return {}, f"it began with {weights}, which has seen them too; give a run that did not"
    found: dict[int, RunFolder] = {}
    while (fold := run.fold(f"fold_{len(found)}")).path.is_dir():
        found[len(found)] = fold
    if len(found) < 2:
        return {}, f"by models that have not: {make}"
    if not all(fold.is_finished for fold in found.values()):
        return {}, f"its folds are not finished; go on: {make}"
    if not all(fold.checkpoints("best") for fold in found.values()):
        remove = outgoing.command("rm", "-r", run.folds_folder)
        return {}, f"its folds kept no weights; make them again: {remove}; {make}"
    for number, fold in found.items():
        held_out = data.hold_out(splits, len(found), number).val.hash
        is_its = fold.environment().get("data", {}).get("hashes", {}).get("val") == held_out
        if not is_its or fold.settings().data.num_folds != len(found):
            return {}, "its folds left out other photos; give a run with folds of this data"
    return found, ""
