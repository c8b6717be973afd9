"""What ``carscale data synth`` does: plan, make, filter, write a new version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from carscale import curate, data, progress, synth
from carscale.augment.draws import generator
from carscale.errors import DataError
from carscale.workflows.synthetic.judging import Filters
from carscale.workflows.synthetic.masks import Masks, car_masks, counted

if TYPE_CHECKING:
    from carscale.types import Split

MAX_PARENT = 0.97
"""Agreement of a photo's details with its parent's above which it is the parent again."""
NUM_GROUNDS = 600
"""Photos of train, at most, whose grounds may be used."""


@dataclass(frozen=True)
class SynthHow:
    """What photos are made with, and how they come to the version.

    Attributes:
        run: Finds cars and judges what was made; ``None`` leaves that out.
        masks: Folder of masks of cars.
        generator: Of ``generate``.
        by_class: Whether a model must see a photo's class.
        link: ``hard`` shares bytes with the data set.
        force: Replace a frozen folder at the new version's place.
    """

    run: Path | None = None
    masks: Path | None = None
    generator: synth.Generator | None = None
    by_class: bool = True
    link: Literal["copy", "hard"] = "copy"
    force: bool = False


def synthesise(
    root: Path | str, out: Path | str, rule: synth.SynthRule, how: SynthHow | None = None
) -> curate.Merged:
    """Add synthetic photos to train, in a new version: ``carscale data synth``.

    Val and test stay byte for byte. Every photo that was made joins, or stands in ``merge.jsonl``
    with a reason. Started again after a kill, it goes on where it was.

    Args:
        root: Frozen folder; it stays as it is.
        out: New version to make.
        rule: How many photos of which classes, and how.
        how: With what.

    Raises:
        ConfigError: A class that is none, no masks and no run, no run to judge classes by.
        DataError: No frozen folder, or no photo can be made.
        ModelError: The model of ``generate`` is no pipeline.
    """
    base, place, how = Path(root), Path(out), how or SynthHow()
    rule.check()
    data.read_parent(base, "photos are added", "make photos in the folder it was made of")
    data.check_out(base, place, how.force)
    splits = data.read_splits(base)
    wanted = synth.wanted_photos(splits.train, rule)
    filters = Filters.of(base, how.run, by_class=how.by_class)
    made = how.generator.open() if how.generator is not None else None
    masks = _masks(splits.train, rule, wanted, how)
    usable = sorted(masks.found) if rule.method == "background" else None
    planned = synth.plan_photos(splits.train, rule, wanted, usable)
    if rule.method == "background":
        planned = synth.choose_grounds(splits.train, rule, planned, masks.found)
    if not planned:
        raise DataError(
            f"{base}: no photo can be made: {len(masks.refused)} of "
            f"{len(masks.refused) + len(masks.found)} masks do not hold "
            f"({counted(masks.refused)})",
            "give masks: --masks FOLDER; or take another --method",
        )
    maker = synth.Maker(splits.train, rule, masks.found, made, _licences(base))
    origin = curate.Origin(
        spec=str(base / "card.json"),
        name=f"synthetic {rule.method}",
        made=curate.MadePhotos(
            maker.scan(planned), _about(rule, planned), _num_bytes(splits.train, planned)
        ),
        judge=filters.judge,
    )
    targets = {
        splits.classes[label].name: curate.ClassTarget("match", splits.classes[label].name, number)
        for label, number in wanted.items()
    }
    with progress.stages(**data.NEAR_UNITS) as advance:
        merged = curate.merge_source(
            base,
            origin,
            place,
            targets_of=lambda names: {name: targets[name] for name in names},
            rule=curate.MergeRule(max_parent=MAX_PARENT, seed=rule.seed),
            link=how.link,
            force=how.force,
            advance=advance,
        )
    if masks.refused:
        total = len(masks.refused) + len(masks.found)
        merged.warnings.append(
            f"{len(masks.refused)} of {total} masks do not hold: {counted(masks.refused)}"
        )
    merged.warnings += _short(splits.train, wanted, merged)
    return merged


def _licences(root: Path) -> dict[str, str]:
    """Return the licence of each photo that has one, by key."""
    columns = data.read_manifest(root, ["key", "licence"])
    pairs = zip(columns["key"].tolist(), columns["licence"].tolist(), strict=True)
    return {key: licence for key, licence in pairs if licence}


def _masks(train: Split, rule: synth.SynthRule, wanted: dict[int, int], how: SynthHow) -> Masks:
    """Return the masks that ``background`` needs: of all parents, and of a draw of grounds."""
    if rule.method != "background":
        return Masks()
    parents_N = np.isin(train.labels_N, list(wanted))
    others = np.flatnonzero(~parents_N)
    drawn = generator(rule.seed, "synth grounds").permutation(others)[:NUM_GROUNDS]
    rows = sorted({*np.flatnonzero(parents_N).tolist(), *drawn.tolist()})
    return car_masks(train, rows, run=how.run, folder=how.masks)


def _about(rule: synth.SynthRule, planned: Iterable[synth.PlannedPhoto]) -> dict[str, Any]:
    """Return what decides on the photos, for the card."""
    lines = json.dumps([asdict(photo) for photo in planned], sort_keys=True).encode()
    return asdict(rule) | {"plan_sha256": hashlib.sha256(lines).hexdigest()}


def _num_bytes(train: Split, planned: list[synth.PlannedPhoto]) -> int:
    """Return about how many bytes the photos will have: a third of a byte a pixel."""
    rows = [photo.ground if photo.ground >= 0 else photo.row for photo in planned]
    return int(train.sizes_N2[rows].prod(axis=1).sum()) // 3


def _short(train: Split, wanted: dict[int, int], merged: curate.Merged) -> list[str]:
    """Return a line on classes that got fewer photos than wanted."""
    joined = data.read_splits(merged.root).train
    before = {car.name: int(n) for car, n in zip(train.classes, train.counts_K, strict=True)}
    after = {car.name: int(n) for car, n in zip(joined.classes, joined.counts_K, strict=True)}
    names = [train.classes[label].name for label in wanted]
    got = {name: after[name] - before[name] for name in names}
    short = [name for label, name in zip(wanted, names, strict=True) if got[name] < wanted[label]]
    if not short:
        return []
    shown = "; ".join(f"{name} {got[name]}" for name in short[:5])
    more = f" and {len(short) - 5} more" if len(short) > 5 else ""
    return [f"{len(short)} of {len(wanted)} classes got fewer photos than wanted: {shown}{more}"]
