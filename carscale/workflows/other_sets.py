"""Photos of other sets: map their classes, compare them with yours, merge them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from carscale import curate, data, files, progress
from carscale.errors import ConfigError, ModelError
from carscale.runs import RunFolder
from carscale.workflows.data_sets import write_result


@dataclass(frozen=True)
class ClassProposals:
    """Which base class each class of a source is.

    Attributes:
        proposals: A row a source class.
        num_photos: Of each source class.
        text: The map, as YAML to edit.
        notes: Lines to read.
    """

    proposals: tuple[curate.Proposal, ...]
    num_photos: dict[str, int]
    text: str
    notes: tuple[str, ...] = ()

    @property
    def outcomes(self) -> Counter[str]:
        """How many classes match, are new, only a make, or ambiguous."""
        return Counter(one.outcome for one in self.proposals)

    def to_dict(self) -> list[dict[str, Any]]:
        """Return a row a source class."""
        return [asdict(one) | {"photos": self.num_photos[one.source]} for one in self.proposals]


def map_classes(
    base: Path | str,
    source: Path | str,
    out: Path | str | None = None,
    *,
    run: Path | str | None = None,
    num_photos: int = 40,
    force: bool = False,
    **reading: Any,  # noqa: ANN401 - fields of data.Reading
) -> ClassProposals:
    """Propose which base class each source class is: ``carscale data map``.

    Args:
        base: Frozen folder or pack to grow.
        source: What ``freeze`` takes, or another frozen folder.
        out: YAML to write, for a person to edit; nothing is written when ``None``.
        run: Run folder: also ask what its model sees in the photos.
        num_photos: Most photos of a source class that the run predicts.
        force: Replace the file at ``out``.
        **reading: How the source is read, as fields of ``data.Reading``: ``label_column="car"``,
            ``class_from="{make}/{model}/*"``, ``crop="boxes"``, ``follow_links=True``.

    Raises:
        ConfigError: ``out`` is there already, or can't be written.
        DataError: No frozen folder, no such source.
        ModelError: The run knows none of the base's classes.
    """
    place = None if out is None else Path(out)
    if place is not None and place.exists() and not force:
        raise ConfigError(
            f"--out {place}: is there already, perhaps edited",
            "replace it: --force; or name another",
        )
    if place is not None and not place.parent.is_dir():
        raise ConfigError(f"--out {place}: can't be written: no folder {place.parent}")
    names = [car.name for car in data.read_splits(Path(base)).classes]
    how = data.Reading(**reading)
    notes: list[str] = []
    with data.source_classes(source, how) as classes:
        proposals = curate.propose_map(names, list(classes))
        if run is not None:
            seen = _predicted_classes(RunFolder.open(run), names, classes, num_photos, notes)
            proposals = curate.with_predictions(proposals, seen)
        counts = {name: len(photos) for name, photos in classes.items()}
    text = curate.map_text(proposals, names, counts, base=str(base), source=str(source))
    if place is not None:
        write_result(place, text)
    return ClassProposals(tuple(proposals), counts, text, tuple(notes))


def _predicted_classes(
    run: RunFolder,
    base_names: Sequence[str],
    classes: Mapping[str, Sequence[data.SourcePhoto]],
    num_photos: int,
    notes: list[str],
) -> dict[str, Counter[str]]:
    """Return, by source class, how many photos a run predicts as each base class."""
    from carscale.workflows.photo_predictions import predict_readable

    known = {car_class.name for car_class in run.classes()}
    shared = known.intersection(base_names)
    if not shared:
        raise ModelError(
            f"{run}: knows none of the base's {len(base_names)} classes",
            "take a run that was trained on the base",
        )
    if len(shared) < len(base_names):
        notes.append(
            f"the run knows {len(shared)} of the base's {len(base_names)} classes; it never "
            "predicts the others"
        )
    chosen = {name: data.evenly(photos, num_photos) for name, photos in classes.items()}
    owners = [name for name, photos in chosen.items() for _ in photos]
    photos = [(photo.where, photo.read) for group in chosen.values() for photo in group]
    rows = predict_readable(run, run.settings(), photos)
    seen: dict[str, Counter[str]] = {name: Counter() for name in classes}
    for name, row in zip(owners, rows, strict=True):
        if row["error"] is None:
            seen[name][row["top5"][0]["class"]] += 1
    num_unread = sum(row["error"] is not None for row in rows)
    if num_unread:
        notes.append(f"{num_unread} of {len(rows)} files can't be decoded")
    notes.append(curate.EVIDENCE_RULE)
    return seen


def merge(
    base: Path | str,
    source: curate.Origin | Path | str,
    out: Path | str,
    class_map: Path | str,
    rule: curate.MergeRule | None = None,
    *,
    link: Literal["copy", "hard"] = "copy",
    force: bool = False,
) -> curate.Merged:
    """Add another set's photos, in a new version: ``carscale data merge``.

    The base's val and test stay byte for byte. Started again after a kill, it goes on where it was.

    Args:
        base: Frozen folder; it stays as it is.
        source: What ``freeze`` takes, or another frozen folder; an ``Origin`` names its licence.
        out: New version to make.
        class_map: YAML of ``map_classes``: what becomes of each source class.
        rule: Which photos join; see ``MergeRule``.
        link: ``hard`` shares bytes with ``base``.
        force: Replace a frozen folder at ``out``.

    Raises:
        ConfigError: A map that does not fit.
        DataError: No frozen folder, no such source.
    """
    base_names = [car.name for car in data.read_splits(Path(base)).classes]
    notes: list[str] = []

    def targets_of(names: Iterable[str]) -> dict[str, curate.ClassTarget]:
        classes = curate.read_map(Path(class_map), base_names, list(names))
        notes.extend(classes.notes)
        return classes.targets()

    origin = source if isinstance(source, curate.Origin) else curate.Origin(str(source))
    with progress.stages(**data.NEAR_UNITS) as advance:
        merged = curate.merge_source(
            Path(base),
            origin,
            Path(out),
            targets_of=targets_of,
            rule=rule,
            link=link,
            force=force,
            advance=advance,
        )
    merged.warnings[:0] = notes
    return merged


def compare_sets(
    a: Path | str,
    b: Path | str,
    *,
    run: Path | str | None = None,
    num_photos: int = 500,
    max_photos: int = 20_000,
    seed: int = 0,
    **reading: Any,  # noqa: ANN401 - fields of data.Reading
) -> curate.Gap:
    """Measure how another set's photos differ from yours: ``carscale data compare``.

    Args:
        a: Frozen folder or pack.
        b: What ``freeze`` takes, or a frozen folder.
        run: Run folder: also compare the embeddings of its model.
        num_photos: Most photos a side that are embedded.
        max_photos: Most photos a side that are measured; by a draw.
        seed: Of all draws.
        **reading: How ``b`` is read, as fields of ``data.Reading``.

    Raises:
        DataError: No frozen folder, no such source, fewer than three photos.
    """
    data.read_card(Path(a))  # a wrong folder is a wrong input
    folder = None if run is None else RunFolder.open(run)
    how = data.Reading(**reading)
    with ExitStack() as stack:
        advance = stack.enter_context(progress.stages(**data.NEAR_UNITS))

        def measured(spec: Path | str, seed: int) -> curate.MeasuredPhotos:
            return stack.enter_context(
                curate.measure_photos(spec, most=max_photos, seed=seed, how=how, advance=advance)
            )

        sides = measured(Path(a), seed), measured(b, seed + 1)
        embedded = None
        if folder is not None:
            one, other = (_embed(folder, side, num_photos, seed) for side in sides)
            embedded = one, other
        gap = curate.find_gap(*sides, embeddings=embedded, seed=seed)
        advance("compare", 1)
        return gap


def _embed(run: RunFolder, photos: curate.MeasuredPhotos, num_photos: int, seed: int) -> Any:  # noqa: ANN401 - an array; numpy waits
    """Return the embeddings of some photos of a set."""
    import numpy as np

    from carscale.workflows.embed import embed_readable

    rng = np.random.Generator(np.random.Philox(seed))
    chosen = np.sort(rng.permutation(len(photos))[:num_photos])
    reads = [photos.photos[row].read for row in chosen.tolist()]
    return embed_readable(run, run.settings(), reads)[0]


def write_gap(gap: curate.Gap, out: Path | str) -> None:
    """Write a comparison as ``gap.json`` and ``attributes.csv`` into a folder that is there.

    Args:
        gap: Of ``compare_sets``.
        out: The folder.
    """
    from carscale.report.page.csv import write_csv

    found = gap.as_dict()
    files.write_json(Path(out) / "gap.json", found)
    rows = found["attributes"]
    write_csv(Path(out) / "attributes.csv", list(rows[0]), (list(row.values()) for row in rows))
