"""From a source to frozen splits: decode, measure, assign splits, write, publish."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carscale import files, outgoing
from carscale.data.freezing.write import lay_out
from carscale.data.frozen import split_assignment as rules
from carscale.data.frozen.layout import Frozen
from carscale.data.photos.decode import DecodedFiles, bytes_to_freeze, decode_files
from carscale.data.photos.near_groups import group_near
from carscale.data.photos.quality import keep_stats
from carscale.data.photos.sample import Sample
from carscale.data.sources.open_source import local_paths, open_source
from carscale.data.sources.reading import check_reading
from carscale.data.sources.rows import Reading
from carscale.data.sources.scan import Scan, SourceFile
from carscale.errors import ConfigError, DataError

FRACTIONS = (0.7, 0.15, 0.15)
READ = (
    *("split_folders", "class_depth", "class_from", "alike", "crop", "box_margin", "attributes"),
)
"""Parts of a rule that a card names only where they were given."""


@dataclass(frozen=True)
class FreezeRule:
    """How photos are split.

    Attributes:
        fractions: Of train, val and test; sum to 1.
        seed: Of the draw.
        group_by: A regular expression searched in a photo's relative path; photos with the same
            match (its first group if it has one) stay in one split.
        long_tail: Most and least train photos of a class; train is cut to that.
        keep_splits: Take train, val and test from the source: folders, a column ``split``, the
            splits of a set, words in names of shards. Val and test stay as given; what is in train
            too, or in a group with them, leaves train.
        val_fraction: Of a kept train, drawn as val where the source has none.
        split_folders: Where splits aren't kept, what folders called train and test are:
            ``together`` leaves them out of classes, ``classes`` takes them for classes, ``ask``
            stops.
        class_depth: Of class folders: how many folders from the top are the class.
        class_from: Of class folders: the parts of paths that are the class, as a template
            (``{make}/{model}/*``) or a regular expression with named groups.
        alike: What classes are whose names differ in case, accents or separators alone: ``join``
            makes them one, ``apart`` leaves them, ``ask`` stops.
        crop: Of annotations with boxes: ``boxes`` makes each a photo, ``none`` takes whole photos,
            ``ask`` stops where a photo has boxes of several classes. Boxes of one photo stay in
            one split.
        box_margin: What is kept around a box, as a share of its sides.
        attributes: Names and regular expressions; what they find in a photo's relative path goes
            into the manifest, and slices use it.
        link: ``copy``, or ``hard`` to share bytes with the source's files where they are kept.
        near_duplicates: ``group`` keeps photos that are nearly the same in one split, ``ignore``
            does not look.
    """

    fractions: tuple[float, float, float] = FRACTIONS
    seed: int = 0
    group_by: str | None = None
    long_tail: tuple[int, int] | None = None
    keep_splits: bool = False
    val_fraction: float | None = None
    split_folders: str = "ask"
    class_depth: int | None = None
    class_from: str | None = None
    alike: str = "ask"
    crop: str = "ask"
    box_margin: float = 0.0
    attributes: tuple[tuple[str, str], ...] = ()
    link: str = "copy"
    near_duplicates: str = "ignore"

    def check(self) -> None:
        """Raise ``ConfigError`` when the rule makes no sense."""
        is_whole = abs(sum(self.fractions) - 1) <= 1e-6  # false for NaN
        if not is_whole or min(self.fractions) < 0 or self.fractions[0] <= 0:
            raise ConfigError(
                f"--fractions {self.fractions}: must be three shares that sum to 1, train above 0",
                "for example: --fractions 0.7,0.15,0.15",
            )
        if self.long_tail and not 1 <= self.long_tail[1] <= self.long_tail[0]:
            most, least = self.long_tail
            raise ConfigError(f"--long-tail {most}:{least}: must be MOST:LEAST, MOST >= LEAST >= 1")
        self._check_kept()
        if self.link not in ("copy", "hard"):
            raise ConfigError(f"--link {self.link}: must be copy or hard")
        if self.near_duplicates not in ("group", "ignore"):
            raise ConfigError(f"--near-duplicates {self.near_duplicates}: must be group or ignore")
        check_reading(self.reading())
        try:
            re.compile(self.group_by or "")
        except re.error as error:
            raise ConfigError(
                f"--group-by {self.group_by!r}: is no regular expression: {error}"
            ) from error

    def reading(self) -> Reading:
        """Return the part that says how the source is read."""
        return Reading(**{name: getattr(self, name) for name in ("keep_splits", *READ)})

    def _check_kept(self) -> None:
        """Raise where splits are kept and drawn at once."""
        if self.long_tail and self.keep_splits:
            raise ConfigError("--long-tail: can't cut splits that --keep-splits keeps; give one")
        if self.keep_splits and self.fractions != FRACTIONS:
            raise ConfigError(
                f"--fractions {self.fractions}: --keep-splits draws no splits",
                "to draw a val from train: --keep-splits --val-fraction 0.1",
            )
        if self.val_fraction is None:
            return
        if not self.keep_splits:
            raise ConfigError(
                "--val-fraction: is of the train that --keep-splits keeps",
                "without kept splits: --fractions 0.7,0.15,0.15",
            )
        if not 0 < self.val_fraction < 1:  # false for NaN
            raise ConfigError(
                f"--val-fraction {self.val_fraction}: must be above 0 and below 1",
                "for example: --val-fraction 0.1",
            )


def freeze(
    source: Path | str,
    out: Path,
    rule: FreezeRule | None = None,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    follow_links: bool = False,
    force: bool = False,
    advance: Callable[[int], None] = lambda total: None,
) -> Frozen:
    """Freeze a source's photos into train, val and test.

    Every file is decoded once, fully. Odd ones are converted, broken ones go to
    ``quarantine.jsonl``. Killed and started again, a freeze goes on where it was; the folder
    appears whole or not at all; the same input and rule give the same bytes.

    Args:
        source: Class folders, a table, an archive, shards or a set of ``datasets``, as
            ``sources.open_source`` takes it; a class is a label or any path below the root.
        out: The frozen folder to make.
        rule: How to split.
        image_column: Where the source has columns: of paths or photos.
        label_column: Where the source has columns: of classes.
        follow_links: Take photos too that links, or paths in a table, name outside of the source.
        force: Replace a frozen folder at ``out``.
        advance: Called after each file with the number of all files.

    Returns:
        The card, and lines a person should read.

    Raises:
        ConfigError: The rule makes no sense.
        DataError: The source holds no classes, no photo can be read, or ``out`` is there already.
        DiskError: There is no room for the photos.
        RunError: Another process freezes into ``out``.
    """
    rule = rule or FreezeRule()
    rule.check()
    check_out(source, out, force)
    if (Path(source) / "card.json").is_file():
        raise DataError(
            f"{source}: is frozen already; its splits and classes are settled",
            "add its photos to another set: "
            f"carscale data map BASE {outgoing.command(source)} --out map.yaml",
            "or draw other splits from what it was frozen of",
        )
    place = out.resolve()
    columns: dict[str, Any] = {"image_column": image_column, "label_column": label_column}
    with open_source(
        source,
        rule.reading(),
        **columns,
        follow_links=follow_links,
        scratch=next(folder for folder in place.parents if folder.is_dir()),
    ) as found:
        _check_kept(found.files, place, out)
        num_bytes = bytes_to_freeze(found.files, source, rule.link)
        with files.resumable_folder(out, "freezing", num_bytes=num_bytes) as folder:
            decoded = decode_files(
                found.files,
                folder.parent / "decoded",
                spec=source,
                plan=json.dumps(columns | {"follow_links": follow_links}),
                link=rule.link,
                advance=advance,
            )
            frozen = _freeze_decoded(decoded, found, folder, rule, source)
    keep_stats(out, decoded.samples, decoded.stats_N)
    frozen.root = out
    return frozen


def check_out(source: Path | str, out: Path, force: bool) -> None:
    """Raise when the result may not be written where it is to go."""
    place = out.resolve()
    for path in local_paths(source):
        if place.is_relative_to(path.resolve()):
            raise DataError(f"{out}: lies inside the source {source}", "choose a folder outside it")
        if path.resolve().is_relative_to(place):
            raise DataError(
                f"{out}: the source {source} lies inside it", "choose a folder outside it"
            )
    if not out.exists():
        return
    is_frozen = (out / "card.json").exists()
    if out.is_dir() and not is_frozen and any(out.iterdir()):
        raise DataError(f"{out}: holds no frozen data, and other files", "give another folder")
    if not force:
        raise DataError(
            f"{out}: is there already; frozen data stay as they are",
            "give another folder, or replace it with: --force",
        )
    if not out.is_dir():
        raise DataError(f"{out}: is a file", "give another folder")


def _check_kept(files: list[SourceFile], place: Path, out: Path) -> None:
    """Raise when a table lists photos of the folder that is to be replaced."""
    if not place.exists():
        return
    for file in files:
        if file.path and file.path.absolute().is_relative_to(place):
            raise DataError(
                f"{out}: the source takes {file.relative} from it", "give another folder"
            )


def _freeze_decoded(
    decoded: DecodedFiles, found: Scan, folder: Path, rule: FreezeRule, source: Path | str
) -> Frozen:
    """Write the frozen folder of a decoded source into an empty folder."""
    samples = decoded.samples
    if not samples:
        first, reason = decoded.refused[0]
        raise DataError(
            f"{source}: none of {len(decoded.refused)} files is a photo; "
            f"the first: {first}: {reason}"
        )
    found.refused = sorted(found.refused + decoded.refused)
    if rule.link == "hard" and any(sample.file.path is None for sample in samples):
        found.notes.append("--link hard: photos that are no files of their own were copied")
    samples = _grouped(samples, rule, source)
    if rule.near_duplicates == "group":
        samples, notes = group_near(samples, decoded.stats_N)
        found.notes.extend(notes)
    if rule.keep_splits:
        samples = _without_leaks(samples, found, source)
    splits_N = _kept(samples, rule, found, source) if rule.keep_splits else _drawn(samples, rule)
    settings: dict[str, Any] = {
        "fractions": list(rule.fractions),
        "group_by": rule.group_by,
        "long_tail": rule.long_tail and list(rule.long_tail),
        "keep_splits": rule.keep_splits,
        "near_duplicates": rule.near_duplicates,
    }
    plain = FreezeRule()
    for name in ("val_fraction", *READ):
        if getattr(rule, name) != getattr(plain, name):
            settings[name] = getattr(rule, name)
    return lay_out(
        samples, splits_N, found, folder, source_name=found.name, seed=rule.seed, rule=settings
    )


def _grouped(samples: list[Sample], rule: FreezeRule, source: Path | str) -> list[Sample]:
    """Return samples with the group that the rule's expression finds in their paths."""
    if not rule.group_by:
        return samples
    pattern = re.compile(rule.group_by)
    found = [pattern.search(sample.file.relative) for sample in samples]
    if not any(found):
        raise DataError(
            f"{source}: --group-by {rule.group_by!r} matches none of {len(samples)} paths "
            f"(first: {samples[0].file.relative})"
        )
    return [
        replace(sample, group_name=match[1] if match.re.groups and match[1] else match[0])
        if match
        else sample
        for sample, match in zip(samples, found, strict=True)
    ]


def _groups(samples: list[Sample]) -> list[int]:
    """Return the number of each sample's group: of one photo, or content, or by the rule."""
    return rules.components(
        [
            [f"sha256 {sample.sha256}", f"photo {sample.original_sha256}"]
            + ([f"group {sample.group_name}"] if sample.group_name else [])
            for sample in samples
        ]
    )


def _labels(samples: list[Sample]) -> list[int]:
    """Return the number of each sample's class."""
    classes = {name: k for k, name in enumerate(sorted({s.file.class_name for s in samples}))}
    return [classes[sample.file.class_name] for sample in samples]


def _given(samples: list[Sample]) -> list[int]:
    """Return the split that the source gives each sample."""
    return [rules.SPLITS.index(sample.file.split) for sample in samples]


def _without_leaks(samples: list[Sample], found: Scan, source: Path | str) -> list[Sample]:
    """Return samples without those of train that are in val or test too; they are refused."""
    given_N = _given(samples)
    leaks = rules.leaks(given_N, _groups(samples))
    if leaks and len(leaks) == given_N.count(rules.TRAIN):
        raise DataError(
            f"{source}: all {len(leaks)} photos of train leaked from val or test: none is left",
            "draw other splits: without --keep-splits",
        )
    for row, other in leaks.items():
        where = f"{rules.SPLITS[given_N[other]]}: {samples[other].file.relative}"
        is_same = samples[row].sha256 == samples[other].sha256
        reason = f"leak: {'the same photo' if is_same else 'its group'} is in {where}"
        found.refused.append((samples[row].file.relative, reason))
    found.refused.sort()
    if leaks:
        row, other = next(iter(leaks.items()))
        found.notes.append(
            f"{len(leaks)} photos of train leaked from val or test and are left out of train, into "
            f"quarantine.jsonl: {samples[row].file.relative} is of {samples[other].file.relative}"
        )
    return [sample for row, sample in enumerate(samples) if row not in leaks]


def _kept(samples: list[Sample], rule: FreezeRule, found: Scan, source: Path | str) -> list[int]:
    """Return the splits that the source gives, with a val drawn from train where that is asked."""
    given_N = _given(samples)
    num_val = given_N.count(rules.VAL)
    if rule.val_fraction is not None and num_val:
        raise DataError(
            f"{source}: has a val of {num_val} photos, and given splits are never changed",
            "leave --val-fraction out",
        )
    if rules.TEST not in given_N:
        found.notes.append("test is empty: the source has none; evaluate with: --split val")
    if rule.val_fraction is None:
        if not num_val:
            found.notes.append(
                "val is empty and training needs one; draw it from train: --keep-splits "
                "--val-fraction 0.1"
            )
        return given_N
    names_N = [sample.file.relative for sample in samples]
    return rules.draw_val(
        _labels(samples), _groups(samples), given_N, names_N,
        fraction=rule.val_fraction, seed=rule.seed,
    )  # fmt: skip


def _drawn(samples: list[Sample], rule: FreezeRule) -> list[int]:
    """Return each sample's split as the rule draws it."""
    labels_N, groups_N = _labels(samples), _groups(samples)
    names_N = [sample.file.relative for sample in samples]
    splits_N = rules.assign(labels_N, groups_N, names_N, fractions=rule.fractions, seed=rule.seed)
    if rule.long_tail is None:
        return splits_N
    return rules.cut_long_tail(
        labels_N, groups_N, splits_N, names_N, most_and_least=rule.long_tail, seed=rule.seed
    )
