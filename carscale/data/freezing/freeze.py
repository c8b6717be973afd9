"""From a source to frozen splits: decode, measure, assign splits, write, publish."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from carscale import files, outgoing
from carscale.data.freezing.near import group_near, near_samples, spare_samples
from carscale.data.freezing.rule import READ, FreezeRule
from carscale.data.freezing.write import lay_out
from carscale.data.frozen import split_assignment as rules
from carscale.data.frozen.layout import Frozen
from carscale.data.photos.decode import DecodedFiles, bytes_to_freeze, decode_files
from carscale.data.photos.near_duplicates import NearPairs
from carscale.data.photos.near_folder import keep_near
from carscale.data.photos.quality import keep_stats
from carscale.data.photos.sample import Sample
from carscale.data.sources.open_source import local_paths, open_source
from carscale.data.sources.scan import Scan, SourceFile
from carscale.errors import DataError


def freeze(
    source: Path | str,
    out: Path,
    rule: FreezeRule | None = None,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    follow_links: bool = False,
    force: bool = False,
    advance: Callable[[str, int], None] = lambda what, total: None,
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
        advance: Told what is done and how much of it there is.

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
                advance=lambda total: advance("decode", total),
            )
            if not decoded.samples:
                raise _no_photo_error(source, decoded)
            samples = _grouped(decoded.samples, rule, found, source)
            pairs = None
            if rule.near_duplicates != "ignore":
                pairs = near_samples(samples, decoded.stats_N, advance)
            found.refused = sorted(found.refused + decoded.refused)
            frozen = _freeze_decoded(samples, pairs, found, folder, rule=rule, source=source)
    keep_stats(out, decoded.samples, decoded.stats_N)
    if pairs is not None:
        keep_near(out, [sample.sha256 for sample in decoded.samples], pairs)
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


def _no_photo_error(source: Path | str, decoded: DecodedFiles) -> DataError:
    """Return the error for a source without a photo."""
    first, reason = decoded.refused[0]
    return DataError(
        f"{source}: none of {len(decoded.refused)} files is a photo; the first: {first}: {reason}"
    )


def _freeze_decoded(
    samples: list[Sample],
    pairs: NearPairs | None,
    found: Scan,
    folder: Path,
    *,
    rule: FreezeRule,
    source: Path | str,
) -> Frozen:
    """Write the frozen folder of a decoded source into an empty folder."""
    if rule.link == "hard" and any(sample.file.path is None for sample in samples):
        found.notes.append("--link hard: photos that are no files of their own were copied")
    near_notes: list[str] = []
    if pairs is not None:
        spare = spare_samples(samples, pairs) if rule.near_duplicates == "drop" else {}
        samples, near_notes = group_near(samples, pairs, spare)
        samples = _without_spare(samples, spare, found)
    if rule.keep_splits:
        samples = _without_leaks(samples, found, source)
    splits_N = _kept(samples, rule, found, source) if rule.keep_splits else _drawn(samples, rule)
    empty = [name for number, name in enumerate(rules.SPLITS) if number not in splits_N]
    if empty and not rule.keep_splits and min(rule.fractions) > 0:
        found.notes.append(
            f"{' and '.join(empty)} got no photo: there are too few, or one group holds most"
        )
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
    frozen = lay_out(
        samples, splits_N, found, folder, source_name=found.name, seed=rule.seed, rule=settings
    )
    frozen.warnings.extend(near_notes)
    return frozen


def _without_spare(samples: list[Sample], spare: dict[int, int], found: Scan) -> list[Sample]:
    """Return samples without the duplicates that are dropped; they are refused."""
    if spare:
        row, best = next(iter(spare.items()))
        found.notes.append(
            f"{len(spare)} photos that are duplicates of larger ones are left out, into "
            f"quarantine.jsonl: {samples[row].file.relative} is {samples[best].file.relative}"
        )
    reasons = {}
    for row, best in spare.items():
        is_same = samples[row].sha256 == samples[best].sha256
        how = "same bytes as" if is_same else "near duplicate of"
        reasons[row] = f"{how} {samples[best].file.relative}, which is kept"
    return _refuse(samples, reasons, found)


def _refuse(samples: list[Sample], reasons: dict[int, str], found: Scan) -> list[Sample]:
    """Return samples without some, which are listed with the reason."""
    found.refused += [(samples[row].file.relative, reason) for row, reason in reasons.items()]
    found.refused.sort()
    return [sample for row, sample in enumerate(samples) if row not in reasons]


def _grouped(
    samples: list[Sample], rule: FreezeRule, found: Scan, source: Path | str
) -> list[Sample]:
    """Return samples with the group that the rule's expression finds in their paths."""
    if not rule.group_by:
        return samples
    pattern = re.compile(rule.group_by)
    matches = [pattern.search(sample.file.relative) for sample in samples]
    if not any(matches):
        raise DataError(
            f"{source}: --group-by {rule.group_by!r} matches none of {len(samples)} paths "
            f"(first: {samples[0].file.relative})"
        )
    names = [
        "" if match is None else match[1] if match.re.groups and match[1] else match[0]
        for match in matches
    ]
    sizes = Counter(filter(None, names))
    largest, size = max(sizes.items(), key=lambda one: (one[1], one[0]))
    found.notes.append(
        f"--group-by: {len(sizes)} groups; the largest, {largest!r}, has {size} of {len(samples)} "
        f"photos; {names.count('')} are in none"
    )
    return [
        replace(sample, group_name=name) if name else sample
        for sample, name in zip(samples, names, strict=True)
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
    reasons = {}
    for row, other in leaks.items():
        where = f"{rules.SPLITS[given_N[other]]}: {samples[other].file.relative}"
        is_same = samples[row].sha256 == samples[other].sha256
        reasons[row] = f"leak: {'the same photo' if is_same else 'its group'} is in {where}"
    if leaks:
        row, other = next(iter(leaks.items()))
        found.notes.append(
            f"{len(leaks)} photos of train leaked from val or test and are left out of train, into "
            f"quarantine.jsonl: {samples[row].file.relative} is of {samples[other].file.relative}"
        )
    return _refuse(samples, reasons, found)


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
