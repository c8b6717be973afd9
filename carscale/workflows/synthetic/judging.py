"""What speaks against synthetic photos, asked of a run and its folds. M photos that came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from carscale import curate, data, outgoing, progress, synth
from carscale.errors import ConfigError
from carscale.runs import RunFolder
from carscale.workflows.embed import embed_readable
from carscale.workflows.photo_predictions import predict_readable

if TYPE_CHECKING:
    from carscale.types import Split

REAL_PHOTOS = 2000
"""Of train at most, that embeddings are compared with."""


@dataclass(frozen=True)
class Filters:
    """Which filters can be asked.

    Attributes:
        root: The frozen folder that the photos are to join.
        run: Its model judges classes and embeddings; ``None`` leaves both out.
        by_class: Whether a model must see the class.
        folds: Folds of the run that did not train on a parent, by fold number; empty without.
    """

    root: Path
    run: RunFolder | None = None
    by_class: bool = True
    folds: Mapping[int, RunFolder] | None = None

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
            return cls(root, None, by_class=False)
        folder = RunFolder.open(run)
        names = [car.name for car in folder.classes()]
        if names != [car.name for car in data.read_splits(root).classes]:
            raise ConfigError(
                f"--run {folder}: has other classes than {root}",
                "give a run that was trained on this data",
            )
        folds = _folds(folder) if by_class else {}
        if by_class and not folds:
            command = outgoing.command("carscale", "folds", folder, "--keep-weights")
            progress.note(
                "classes are judged by the run itself, which has seen the parents; by models that "
                f"have not: {command}"
            )
        return cls(root, folder, by_class, folds)

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
        if self.run is not None:
            asked.append(("outlier", partial(self._outliers, decoded)))
        return asked

    def _low_quality(self, decoded: data.DecodedFiles, rows: Sequence[int]) -> dict[int, str]:
        """Return which photos are hard to see."""
        with progress.bar("measure", 1, unit="photos") as advance:
            real = data.photo_stats(self.root, lambda total: advance(0))
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
            keys = data.made_of(dict(decoded.samples[row].file.known).get("synthetic", ""))
            by_run[fold_of.get(keys[0], -1) if keys else -1].append(row)
        top: dict[int, list[str]] = {}
        for number, part in sorted(by_run.items()):
            run = (self.folds or {}).get(number, self.run)
            photos = [
                (decoded.samples[row].file.relative, decoded.samples[row].staged.read_bytes)
                for row in part
            ]
            told = predict_readable(run, run.settings(), photos)
            top |= {
                row: [one["class"] for one in said["top5"]]
                for row, said in zip(part, told, strict=True)
                if said["error"] is None
            }
        return synth.class_reasons(top, names)

    def _outliers(self, decoded: data.DecodedFiles, rows: Sequence[int]) -> dict[int, str]:
        """Return which photos lie far from all real ones."""
        if self.run is None:
            return {}
        train = data.read_splits(self.root).train
        rng = np.random.Generator(np.random.Philox(0))
        chosen = np.sort(rng.permutation(len(train))[:REAL_PHOTOS]).tolist()
        reads = [partial(train.read_bytes, row) for row in chosen]
        cfg = self.run.settings()
        real = synth.NearestPhotos.of(embed_readable(self.run, cfg, reads))
        made = [decoded.samples[row].staged.read_bytes for row in rows]
        found = synth.outlier_reasons(real, embed_readable(self.run, cfg, made))
        return {rows[place]: reason for place, reason in found.items()}

    def _fold_of_key(self) -> dict[str, int]:
        """Return the fold that held a photo out, by its key."""
        train: Split = data.read_splits(self.root).train
        numbers_N = data.fold_numbers(train, len(self.folds or {}))
        return dict(zip(train.keys_N.tolist(), numbers_N.tolist(), strict=True))


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
    return replace(origin, synthetic="imported", judge=filters.judge)


def _folds(run: RunFolder) -> dict[int, RunFolder]:
    """Return a run's folds, by number, where all have kept their weights."""
    found: dict[int, RunFolder] = {}
    while (fold := run.fold(f"fold_{len(found)}")).path.is_dir():
        if not fold.checkpoints("best"):
            return {}
        found[len(found)] = fold
    if found and found[0].settings().data.num_folds != len(found):
        return {}
    return found
