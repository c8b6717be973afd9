"""Join a source to a frozen folder, as a new version that names both."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from carscale import data, disk, files, outgoing
from carscale.car_names import parse_name
from carscale.curate.merge_rules import (
    BasePhotos,
    ClassTarget,
    Decision,
    Judge,
    MergeRule,
    SourcePhotos,
    decide,
)
from carscale.data.sources.photos import open_photos
from carscale.errors import ConfigError, DataError

MERGE_LIST = "merge.jsonl"
"""A line for each photo of the source that the new version does not have: path and reason."""

Advance = Callable[[str, int], None]


@dataclass(frozen=True)
class MadePhotos:
    """Photos that are made while they are read.

    Attributes:
        scan: The files; each makes its bytes.
        about: All that decides on them, for the card.
        num_bytes: About how many there will be.
    """

    scan: data.Scan
    about: dict[str, Any]
    num_bytes: int


@dataclass(frozen=True)
class Origin:
    """What is known of a source.

    Attributes:
        spec: As ``data.open_source`` takes it.
        name: That its photos carry; the source's own when empty.
        licence: Of its photos, as text.
        reading: Columns, classes, boxes, links.
        made: What makes the photos, where they are in no source.
        synthetic: How its photos were made, where no camera took them.
        judge: Says which photos are not good enough, given all that were decoded.
        judged_by: What it asks, for the card.
    """

    spec: str
    name: str = ""
    licence: str = ""
    reading: data.Reading = field(default_factory=data.Reading)
    made: MadePhotos | None = None
    synthetic: str = ""
    judge: Callable[[data.DecodedFiles], Judge] | None = None
    judged_by: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def opened(self, scratch: Path) -> Iterator[data.Scan]:
        """Open the source."""
        if self.made is not None:
            yield self.made.scan
            return
        with open_photos(self.spec, self.reading, scratch=scratch) as found:
            if self.synthetic:
                found.files = [_said_synthetic(file, self.synthetic) for file in found.files]
            yield found

    @property
    def plan(self) -> dict[str, Any]:
        """Return what decides on the photos, as JSON holds it."""
        told = {name: getattr(self, name) for name in ("spec", "name", "licence", "synthetic")}
        return told | {"reading": asdict(self.reading), "made": self.made and self.made.about}


def _said_synthetic(file: data.SourceFile, method: str) -> data.SourceFile:
    """Return a file of which is known that its photo was made; how, where nothing else tells."""
    known = dict(file.known)
    if known.get("synthetic_method"):
        return file
    known |= {"synthetic_method": method, "synthetic": json.dumps({"parents": []})}
    return replace(file, known=tuple(known.items()))


def _refuse_synthetic(found: data.Scan) -> None:
    """Leave out photos that no camera took: they may be trained on, not tested on."""
    is_made = [bool(dict(file.known).get("synthetic_method")) for file in found.files]
    pairs = list(zip(found.files, is_made, strict=True))
    found.refused += [(file.relative, "synthetic: not for a test") for file, made in pairs if made]
    found.files = [file for file, made in pairs if not made]


@dataclass
class Merged:
    """What a merge did.

    Attributes:
        root: The new version.
        card: Its card.
        counts: Photos that joined by split, and that were left out by cause.
        warnings: Lines a person should read.
    """

    root: Path
    card: dict[str, Any]
    counts: dict[str, dict[str, int]]
    warnings: list[str] = field(default_factory=list)


def merge_source(
    base: Path,
    origin: Origin,
    out: Path,
    *,
    targets_of: Callable[[Sequence[str]], Mapping[str, ClassTarget]],
    rule: MergeRule | None = None,
    link: str = "copy",
    force: bool = False,
    advance: Advance = lambda what, total: None,
) -> Merged:
    """Make a new version of a frozen folder with a source's photos.

    The base, and the bytes, paths and keys of its photos, stay as they are. Every photo of the
    source joins, or stands in ``merge.jsonl`` or ``quarantine.jsonl`` with a reason. Killed and
    started again, a merge goes on where it was; the version appears whole or not at all.

    Args:
        base: A frozen folder that matches its lock.
        origin: The source.
        out: The frozen folder to make.
        targets_of: What the map says of the source's classes, given their names.
        rule: What may join.
        link: ``copy``, or ``hard`` to share bytes with the base.
        force: Replace a frozen folder at ``out``.
        advance: Called after each photo with what is done and the number of all.

    Returns:
        What joined, and what did not.

    Raises:
        ConfigError: The rule or the map makes no sense.
        DataError: ``base`` is a pack or does not match its lock, the source can't be read, ``out``
            is there already or can't be written.
        DiskError: There is no room for the version.
        RunError: Another process merges into ``out``.
    """
    rule = rule or MergeRule()
    rule.check()
    if link not in ("copy", "hard"):
        raise ConfigError(f"--link {link}: must be copy or hard")
    parent = data.read_parent(
        base,
        "photos are added",
        "merge into the folder it was made of, then: "
        f"carscale data pack NEW {outgoing.command(out)}",
    )
    data.check_out(base, out, force)
    for path in data.local_paths(origin.spec):
        data.check_out(path, out, force)
    data.verify(base)
    with files.resumable_folder(out, "merging") as folder:
        job = _Job(base, parent, origin, folder, rule, link, advance, out)
        made, decoded = _merge(job, targets_of)
        data.check_out(base, out, force)  # may have come meanwhile
    data.keep_stats(out, decoded.samples, decoded.stats_N, parent=base)
    made.root = out
    return made


@dataclass(frozen=True)
class _Job:
    """What a merge is asked for; the version is made in ``folder``."""

    base: Path
    parent: dict[str, Any]
    origin: Origin
    folder: Path
    rule: MergeRule
    link: str
    advance: Advance
    out: Path

    def check_room(self, files: Sequence[data.SourceFile]) -> None:
        """Raise where copies of the base and of what the source holds would not fit."""
        columns = data.read_manifest(self.base, ["num_bytes"])
        of_base = 0 if self.link == "hard" else int(columns["num_bytes"].sum())
        made = self.origin.made
        of_source = made.num_bytes if made else data.bytes_to_freeze(files, self.origin.spec)
        needed = of_base + of_source
        disk.check_room(self.out, needed - disk.bytes_in(self.folder.parent), "merging")


def _merge(
    job: _Job, targets_of: Callable[[Sequence[str]], Mapping[str, ClassTarget]]
) -> tuple[Merged, data.DecodedFiles]:
    """Decode, choose, and write the version into the staging folder."""
    origin, advance = job.origin, job.advance
    with origin.opened(job.folder.parent) as found:
        if job.rule.as_split != "train":
            _refuse_synthetic(found)
        job.check_room(found.files)
        targets = targets_of(sorted({data.as_text(file.class_name) for file in found.files}))
        plan = json.dumps([job.parent["lock"]["card.json"], origin.plan])
        decoded = data.decode_files(
            found.files,
            job.folder.parent / "decoded",
            spec=origin.spec,
            plan=plan,
            advance=lambda n: advance("decode", n),
        ).measured()
    refused = sorted(found.refused + decoded.refused)
    if not decoded.samples:
        raise DataError(f"{origin.spec}: none of {len(refused)} files is a photo")
    name = origin.name or found.name
    base = _present(job.base, job.rule, advance)
    judge = origin.judge(decoded) if origin.judge else None
    decisions = decide(base, _incoming(decoded), targets, job.rule, judge=judge, advance=advance)
    entry = {
        "source": data.as_text(name),
        "licence": data.as_text(origin.licence),
        "rule": asdict(job.rule),
        **({"made": origin.made.about} if origin.made else {}),
        **({"filters": dict(origin.judged_by)} if origin.judge else {}),
        **_map_entry(targets),
        **_counted(decisions, len(refused)),
    }
    card = _write(job, name, decoded, decisions, refused=refused, entry=entry)
    counts = {part: entry[part] for part in ("joined", "left_out")}
    warnings = [*found.notes, *_warnings(job.parent, card, entry)]
    num_made = sum(bool(dict(one.file.known).get("synthetic_method")) for one in decoded.samples)
    if num_made and origin.judge is None:
        warnings.append(
            f"{num_made} photos are synthetic and were not filtered: --synthetic --run RUN does"
        )
    return Merged(job.folder, card, counts, warnings), decoded


def _write(
    job: _Job,
    name: str,
    decoded: data.DecodedFiles,
    decisions: Sequence[Decision],
    *,
    refused: Sequence[tuple[str, str]],
    entry: dict[str, Any],
) -> dict[str, Any]:
    """Write the version; return its card."""
    licence = job.origin.licence
    new_photos = [
        data.NewPhoto(
            sample,
            decision.split,
            decision.class_name,
            sample.file.origin or name,
            licence,
            decision.group,
        )
        for sample, decision in zip(decoded.samples, decisions, strict=True)
        if decision.split
    ]
    named = data.quarantine_lines([(f"{name}/{path}", why) for path, why in refused])
    lists = {
        "quarantine.jsonl": data.read_list(job.base, "quarantine.jsonl") + named,
        MERGE_LIST: _left_out(decoded, name, decisions),
    }
    return data.add_photos(
        job.base,
        job.folder,
        new_photos,
        make_of=lambda text: parse_name(text).make_key,
        entries={"merged": entry},
        lists=lists,
        link=job.link,
        advance=lambda n: job.advance("write", n),
    )


def _present(base: Path, rule: MergeRule, advance: Advance) -> BasePhotos:
    """Return what the base holds."""
    measured = data.photo_stats(base, lambda total: advance("measure the base", total))
    names = ["path", "split", "class", "sha256", "original_sha256", "box", "key", "group"]
    names.append("synthetic")
    columns, read = data.read_manifest(base, names), data.photo_reader(base)
    # another car of a photo of train may join train; none of a photo may join another split
    may_join = rule.as_split == "train"
    is_crop_N = (columns["box"] != "") & (columns["split"] == "train") & may_join
    return BasePhotos(
        paths_N=columns["path"],
        splits_N=columns["split"],
        classes_N=columns["class"],
        content_N=columns["sha256"],
        originals_N=np.where(is_crop_N, columns["sha256"], columns["original_sha256"]),
        keys_N=columns["key"],
        cars_N=data.cars_of(columns["key"], columns["synthetic"]),
        groups_N=columns["group"],
        hashes_N=measured.phashes_N,
        signatures_NSS=measured.signatures_NSS,
        read=lambda row: read(str(columns["path"][row])),
    )


def _incoming(decoded: data.DecodedFiles) -> SourcePhotos:
    """Return what the source holds."""
    samples = decoded.samples
    return SourcePhotos(
        paths_M=[sample.file.relative for sample in samples],
        classes_M=[data.as_text(sample.file.class_name) for sample in samples],
        content_M=[sample.sha256 for sample in samples],
        originals_M=[sample.original_sha256 for sample in samples],
        hashes_M=decoded.stats_N["phash"],
        signatures_MSS=decoded.stats_N["signature"],
        read=lambda row: samples[row].staged.read_bytes(),
        parents_M=[
            data.made_of(dict(sample.file.known).get("synthetic", "")) for sample in samples
        ],
    )


def _map_entry(targets: Mapping[str, ClassTarget]) -> dict[str, Any]:
    """Return what the card says of the map."""
    entries = {key: asdict(target) for key, target in sorted(targets.items())}
    lines = json.dumps(entries, sort_keys=True).encode()
    return {"classes": entries, "map_sha256": hashlib.sha256(lines).hexdigest()}


def _counted(decisions: Sequence[Decision], num_refused: int) -> dict[str, dict[str, int]]:
    """Return how many photos joined, by split, and were left out, by cause."""
    causes = Counter(decision.cause for decision in decisions if not decision.split)
    causes["no photo"] = num_refused
    return {
        "joined": dict(Counter(decision.split for decision in decisions if decision.split)),
        "left_out": dict(+causes),
    }


def _left_out(decoded: data.DecodedFiles, name: str, decisions: Sequence[Decision]) -> bytes:
    """Return a line for each photo that did not join."""
    lines = [
        {"path": data.as_text(f"{name}/{sample.file.relative}"), "reason": decision.reason}
        for sample, decision in zip(decoded.samples, decisions, strict=True)
        if not decision.split
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def _warnings(parent: dict[str, Any], card: dict[str, Any], entry: dict[str, Any]) -> list[str]:
    """Return what a person should know."""
    lines = []
    if not entry["joined"]:
        lines.append("no photo joined: the new version holds what the base holds")
    num_new = card["counts"]["classes"] - parent["counts"]["classes"]
    if num_new:
        lines.append(
            f"{num_new} new classes: a run on the base can't be evaluated on this version, since "
            "its class list is another"
        )
    by_class = Counter(
        target["name"] for target in entry["classes"].values() if target["kind"] in ("match", "new")
    )
    shared = sorted(name for name, count in by_class.items() if count > 1)
    if shared:
        lines.append(f"several source classes became one: {'; '.join(shared[:5])}")
    return lines
