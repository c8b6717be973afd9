"""From class folders to frozen splits: decode, make plain, assign, write beside, rename."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from carscale import images, runs
from carscale.data import splits as rules
from carscale.data.layout import Frozen, Sample, lay_out
from carscale.data.pooled import in_order
from carscale.data.scan import IGNORED, Scan, SourceFile, scan, walk
from carscale.errors import ConfigError, DataError

__all__ = ["FreezeRule", "check_out", "decode_file", "freeze"]

AHEAD = 256
"""Files in flight; bounds memory."""

GIVEN_SPLITS = {
    **dict.fromkeys(("train", "training"), rules.TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), rules.VAL),
    **dict.fromkeys(("test", "testing"), rules.TEST),
}


@dataclass(frozen=True)
class FreezeRule:
    """How photos are split.

    Attributes:
        fractions: Of train, val and test; sum to 1.
        seed: Of the draw.
        group_by: A regular expression searched in a photo's relative path; photos with the same
            match (its first group if it has one) stay in one split.
        long_tail: Most and least train photos of a class; train is cut to that.
        keep_splits: Take train, val and test from the source's top folders.
        link: ``copy``, or ``hard`` to share bytes with the source where they are kept.
    """

    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    seed: int = 0
    group_by: str | None = None
    long_tail: tuple[int, int] | None = None
    keep_splits: bool = False
    link: str = "copy"

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
        if self.long_tail and self.keep_splits:
            raise ConfigError("--long-tail: can't cut splits that --keep-splits keeps; give one")
        if self.link not in ("copy", "hard"):
            raise ConfigError(f"--link {self.link}: must be copy or hard")
        try:
            re.compile(self.group_by or "")
        except re.error as error:
            raise ConfigError(
                f"--group-by {self.group_by!r}: is no regular expression: {error}"
            ) from error


def freeze(
    source: Path,
    out: Path,
    rule: FreezeRule | None = None,
    *,
    force: bool = False,
    advance: Callable[[int], None] = lambda total: None,
) -> Frozen:
    """Freeze class folders into train, val and test.

    Every file is decoded once, fully. Odd ones are made plain, broken ones go to
    ``quarantine.jsonl``. The folder appears whole or not at all; the same input and rule give the
    same bytes.

    Args:
        source: Class folders; a class is any path below it.
        out: The frozen folder to make.
        rule: How to split.
        force: Replace a frozen folder at ``out``.
        advance: Called after each file with the number of all files.

    Returns:
        The card, and lines a person should read.

    Raises:
        ConfigError: The rule makes no sense.
        DataError: The source holds no classes, no photo can be read, or ``out`` is there already.
    """
    rule = rule or FreezeRule()
    rule.check()
    check_out(source, out, force)
    found = _scan_given(source) if rule.keep_splits else scan(source)
    place = out.resolve()  # a link at out is kept
    beside = place.with_name(f".{place.name}.{os.getpid()}.freezing")
    try:
        shutil.rmtree(beside, ignore_errors=True)  # of a killed freeze with our process number
        beside.mkdir(parents=True)
        samples, quarantine = _decode_all(found.files, beside / "staged", rule.link, advance)
        if not samples:
            raise DataError(
                f"{source}: none of {len(quarantine)} files is a photo; "
                f"the first: {quarantine[0][0]}: {quarantine[0][1]}"
            )
        found.refused = sorted(found.refused + quarantine)
        samples = _grouped(samples, rule, source)
        splits_N = _assigned(samples, rule)
        settings = {
            "fractions": list(rule.fractions),
            "group_by": rule.group_by,
            "long_tail": rule.long_tail and list(rule.long_tail),
            "keep_splits": rule.keep_splits,
        }
        frozen = lay_out(
            samples,
            splits_N,
            found,
            beside,
            source_name=source.resolve().name,
            seed=rule.seed,
            rule=settings,
        )
        shutil.rmtree(beside / "staged")
        runs.replace_folder(beside, place)
    except OSError as error:
        raise DataError(f"{out}: can't be written: {error}", "nothing was changed there") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    frozen.root = out
    return frozen


def check_out(source: Path, out: Path, force: bool) -> None:
    """Raise when the result may not be written where it is to go."""
    if out.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{out}: lies inside the source {source}", "choose a folder beside it")
    if source.resolve().is_relative_to(out.resolve()):
        raise DataError(f"{out}: the source {source} lies inside it", "choose a folder beside it")
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


def _scan_given(source: Path) -> Scan:
    """Scan a source whose top folders are splits."""
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    whole = Scan()
    for top in sorted(source.iterdir()):
        if top.name.startswith(".") or top.name in IGNORED:
            continue
        if top.name.lower() not in GIVEN_SPLITS or not top.is_dir():
            whole.refused.append((top.name, "lies in no split folder"))
            continue
        part = walk(top)
        whole.files += [
            SourceFile(file.path, f"{top.name}/{file.relative}", file.class_name)
            for file in part.files
        ]
        whole.refused += [(f"{top.name}/{path}", reason) for path, reason in part.refused]
        whole.empty_classes += [f"{top.name}/{path}" for path in part.empty_classes]
    tops = {file.relative.split("/")[0].lower() for file in whole.files}
    if not any(GIVEN_SPLITS[top] == rules.TRAIN for top in tops):
        raise DataError(
            f"{source}: --keep-splits wants a folder train that holds photos in class folders",
            "without it: carscale data freeze draws the splits",
        )
    return whole


def _decode_all(
    files: list[SourceFile], staged: Path, link: str, advance: Callable[[int], None]
) -> tuple[list[Sample], list[tuple[str, str]]]:
    """Decode every file and put its frozen bytes aside.

    Return samples and refused files, in order.
    """
    samples: list[Sample] = []
    refused: list[tuple[str, str]] = []
    for part in range(0, len(files), 1000):
        (staged / str(part)).mkdir(parents=True)

    def decode(index: int) -> Sample | str:
        return decode_file(files[index], staged / str(index // 1000 * 1000) / str(index), link)

    with (
        images.quiet_decoders(),
        ThreadPoolExecutor(runs.num_cores(), "carscale-freeze") as pool,
    ):
        for index, result in enumerate(in_order(pool, decode, range(len(files)), ahead=AHEAD)):
            if isinstance(result, str):
                refused.append((files[index].relative, result))
            else:
                samples.append(result)
            advance(len(files))
    return samples, refused


def decode_file(file: SourceFile, place: Path, link: str) -> Sample | str:
    """Return a sample whose frozen bytes lie at a place, or why there is none.

    Args:
        file: Of a source.
        place: Where its frozen bytes are put.
        link: ``copy``, or ``hard`` to share bytes with the source where they are kept.
    """
    try:
        data = file.path.read_bytes()
    except OSError as error:
        return f"can't be read: {error.strerror}"
    try:
        photo = images.read_photo(data)
    except images.BadPhotoError as error:
        return str(error)
    content = photo.content
    original = hashlib.sha256(data).hexdigest()
    frozen = hashlib.sha256(content).hexdigest() if photo.normalised else original
    if link == "hard" and not photo.normalised:
        place.hardlink_to(file.path.resolve())
    else:
        place.write_bytes(content)
    lean = replace(photo, content=b"")
    return Sample(file, place, lean, frozen, original, len(content))


def _grouped(samples: list[Sample], rule: FreezeRule, source: Path) -> list[Sample]:
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


def _assigned(samples: list[Sample], rule: FreezeRule) -> list[int]:
    """Return each sample's split."""
    classes = {name: k for k, name in enumerate(sorted({s.file.class_name for s in samples}))}
    labels_N = [classes[sample.file.class_name] for sample in samples]
    names_N = [sample.file.relative for sample in samples]
    links = [
        [f"sha256 {sample.sha256}"] + ([f"group {sample.group_name}"] if sample.group_name else [])
        for sample in samples
    ]
    groups_N = rules.components(links)
    if rule.keep_splits:
        given = [GIVEN_SPLITS[name.split("/")[0].lower()] for name in names_N]
        best = dict.fromkeys(groups_N, 0)
        for group, split in zip(
            groups_N, given, strict=True
        ):  # a photo in train and test counts as test
            best[group] = max(best[group], split)
        return [best[group] for group in groups_N]
    splits_N = rules.assign(labels_N, groups_N, names_N, fractions=rule.fractions, seed=rule.seed)
    if rule.long_tail is None:
        return splits_N
    return rules.cut_long_tail(
        labels_N, groups_N, splits_N, names_N, most_and_least=rule.long_tail, seed=rule.seed
    )
