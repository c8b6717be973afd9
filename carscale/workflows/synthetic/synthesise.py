"""What ``carscale data synth`` does: plan, make, filter, write a new version."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from carscale import curate, data, progress, synth
from carscale.augment.draws import generator
from carscale.errors import DataError
from carscale.images.composite import LARGEST_PX
from carscale.workflows.synthetic.judging import Filters
from carscale.workflows.synthetic.masks import Masks, car_masks, check_source, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Split

TRIED_PARENTS, MAX_PARENTS = 5, 100
"""Photos whose cars are cut out, for each that is wanted; and of a class at most."""
PARENT_LIMITS: dict[synth.Method, float] = {"degrade": 1.0}
"""It changes light, noise and sharpness, which the agreement with a parent does not see."""
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
    with a reason. Started again after a kill, it goes on where it was; masks are kept in
    ``how.masks`` alone.

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
    data.verify(base)
    splits = data.read_splits(base)
    is_made_N = data.synthetic_ids(base)[splits.train.ids_N]
    if rule.method == "background":
        check_source(how.run, how.masks)
    if not rule.is_for_uniform:  # what is typed wrong, before what takes time
        synth.wanted_photos(splits.train, rule, is_made_N)
    filters = Filters.of(base, how.run, by_class=how.by_class)
    uniform = _uniform(base, splits.train, ~is_made_N) if rule.is_for_uniform else []
    wanted = synth.wanted_photos(splits.train, rule, is_made_N, uniform)
    pipeline = how.generator.open() if how.generator is not None else None
    real_rows = np.flatnonzero(~is_made_N)
    masks = _masks(splits.train, real_rows, rule, wanted, how)
    usable = sorted(masks.found) if rule.method == "background" else real_rows.tolist()
    planned = synth.plan_photos(splits.train, rule, wanted, usable)
    if rule.method == "background":
        planned = synth.choose_grounds(splits.train, rule, planned, masks.found)
    if not planned:
        raise _none_can_be_made(base, masks)
    maker = synth.Maker(splits.train, rule, masks.found, pipeline, _licences(base))
    origin = curate.Origin(
        spec=str(base / "card.json"),
        name=f"synthetic {rule.method}",
        made=curate.MadePhotos(
            maker.scan(planned),
            asdict(rule) | {"photos_sha256": maker.digest(planned)},
            _num_bytes(splits.train, planned),
        ),
        judge=filters.judge,
        judged_by=filters.about,
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
            rule=_merge_rule(rule),
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


def _none_can_be_made(base: Path, masks: Masks) -> DataError:
    """Return the error of a plan without photos."""
    why = f"{len(masks.refused)} of {len(masks.refused) + len(masks.found)} masks do not hold"
    if masks.refused:
        why += f" ({counted(masks.refused)})"
    return DataError(
        f"{base}: no photo can be made: {why}, and no car covers that of another photo",
        "give masks: --masks FOLDER; or take another --method",
    )


def _uniform(base: Path, train: Split, is_real_N: NDArray[np.bool_]) -> list[int]:
    """Return the classes whose real photos are all of one kind, and say which."""
    with progress.stages() as advance:
        measured = data.photo_stats(base, lambda total: advance("measure", total))
    columns, ids_M = measured.values, train.ids_N[is_real_N]
    measured_MF = np.stack([columns[name][ids_M] for name in synth.APPEARANCE], axis=1)
    found = synth.uniform_classes(train.labels_N[is_real_N], measured_MF)
    if found:
        names = ", ".join(train.classes[label].name for label in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        progress.note(f"photos all of one kind: {names}{more}")
    return found


def _merge_rule(rule: synth.SynthRule) -> curate.MergeRule:
    """Return what of the photos that were made may join."""
    limit = PARENT_LIMITS.get(rule.method, curate.MergeRule.max_parent)
    return curate.MergeRule(seed=rule.seed, max_parent=limit)


def _licences(root: Path) -> dict[str, str]:
    """Return the licence of each photo that has one, by key."""
    columns = data.read_manifest(root, ["key", "licence"])
    pairs = zip(columns["key"].tolist(), columns["licence"].tolist(), strict=True)
    return {key: licence for key, licence in pairs if licence}


def _masks(
    train: Split,
    real_rows: NDArray[np.int64],
    rule: synth.SynthRule,
    wanted: dict[int, int],
    how: SynthHow,
) -> Masks:
    """Return the masks that ``background`` needs: of some parents, and of a draw of grounds."""
    if rule.method != "background":
        return Masks()
    drawn_N = generator(rule.seed, "synth masks").permutation(real_rows)
    rows = set(drawn_N[:NUM_GROUNDS].tolist())
    for label, number in wanted.items():
        most = min(MAX_PARENTS, TRIED_PARENTS * number)
        rows |= set(drawn_N[train.labels_N[drawn_N] == label][:most].tolist())
    return car_masks(train, sorted(rows), run=how.run, folder=how.masks)


def _num_bytes(train: Split, planned: list[synth.PlannedPhoto]) -> int:
    """Return about how many bytes the photos will have: a third of a byte a pixel."""
    rows = [photo.ground if photo.ground >= 0 else photo.row for photo in planned]
    sizes = np.maximum(1, train.sizes_N2[rows].astype(np.float64))
    is_composed = np.array([photo.ground >= 0 for photo in planned])
    longer = np.where(is_composed, synth.LONGER_PX, LARGEST_PX)
    shares = np.minimum(1, longer / sizes.max(axis=1))
    return int((sizes.prod(axis=1) * shares**2).sum()) // 3


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
