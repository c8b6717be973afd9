"""Near duplicates: how long, how much memory, how many are found, how many are none.

    python benchmarks/bench_near.py million
    python benchmarks/bench_near.py photos data/stanford    # a cold cache, hashing included
    python benchmarks/bench_near.py labelled OUT            # made by benchmarks/near_set.py

``million``: smooth random pictures, one in a hundred with a copy: noise of a few grey levels, other
light, or 3 % cut off at each side. ``labelled``: each folder of the labelled set as a whole; false
are pairs that show two photos, found are pairs of a photo and its changed copy.
"""

import argparse
import os
import resource
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from near_set import MAKERS, ORIGINALS, Truth, read_truth, web_bases, web_labels

from carscale import data, images

CHUNK = 10_000
KINDS = ("noise of 6 grey levels", "other light", "3 % cut off each side")
MOST_ON_SHEET = 48
"""Pairs of each sort; more are drawn from."""
CELL_HW = (150, 230)


def find_pairs(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Search photos; return pairs of rows ``[P, 2]``, and how alike each is ``[P]``."""
    measured = [images.measure(path.read_bytes()) for path in paths]
    hashes = np.array([each.phash for each in measured], np.uint64)
    signatures = np.stack([each.signature for each in measured])
    return search(hashes, signatures, lambda row: paths[row].read_bytes())


def search(
    hashes: np.ndarray, signatures: np.ndarray, read: Callable[[int], bytes]
) -> tuple[np.ndarray, np.ndarray]:
    """Call the search; nothing else here does."""
    found = data.near_pairs(hashes, signatures, read)
    return found.rows_P2, found.agreements_P


# Time and memory


def textures(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return smooth random pictures, uint8 ``[N, 32, 32]``."""
    made = np.empty((count, 32, 32), np.uint8)
    for start in range(0, count, CHUNK):
        part = made[start : start + CHUNK]
        coarse = rng.normal(0, 1, (len(part), 8, 8)).astype(np.float32)
        wide = coarse.repeat(4, axis=1).repeat(4, axis=2)
        smooth = images.crop_signatures(wide, down=(0.1, 0.9), across=(0.1, 0.9))
        part[:] = (128 + 40 * smooth).clip(0, 255)
    return made


def copies(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return each picture as it might be stored elsewhere: noisy, lighter, or cut at its sides."""
    noisy = pictures + rng.normal(0, 6, pictures.shape)
    lighter = 20 + 0.85 * pictures.astype(np.float32)
    cut = images.crop_signatures(pictures, down=(0.03, 0.97), across=(0.03, 0.97))
    kinds = dict(zip(KINDS, (noisy, lighter, cut), strict=True))
    made = np.stack([kinds[KINDS[n % len(KINDS)]][n] for n in range(len(pictures))])
    return made.clip(0, 255).astype(np.uint8)


def million(count: int) -> None:
    """Search synthetic hashes."""
    rng = np.random.default_rng(0)
    signatures = textures(count, rng)
    rows = rng.permutation(count)[: 2 * (count // 100)].reshape(-1, 2)
    signatures[rows[:, 1]] = copies(signatures[rows[:, 0]], rng)
    start = time.perf_counter()
    hashes = np.concatenate(
        [images.perceptual_hashes(signatures[n : n + CHUNK]) for n in range(0, count, CHUNK)]
    )

    proposed: list[tuple[float, float]] = []

    def read(row: int) -> bytes:
        """Return a picture as a photo of it would be; the first is read when all are proposed."""
        proposed.append((time.perf_counter(), time.process_time()))
        large = cv2.resize(signatures[row], (128, 128), interpolation=cv2.INTER_CUBIC)
        return images.encode_png(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB))

    hashed, began = time.perf_counter(), time.process_time()
    pairs, _ = search(hashes, signatures, read)
    took, worked = time.perf_counter() - hashed, time.process_time() - began
    found = {tuple(pair) for pair in pairs.tolist()}
    made = [tuple(sorted(pair)) for pair in rows.tolist()]
    print(
        f"{count:,} hashes: pairs proposed in {proposed[0][0] - hashed:.1f} s "
        f"({proposed[0][1] - began:.1f} s of cores), decided after {took:.1f} s, "
        f"{worked:.1f} s of cores (hashing the grey copies "
        f"{hashed - start:.1f} s), peak {peak_gib():.2f} GiB; {len(found - set(made)):,} pairs "
        "beside those planted"
    )
    for number, name in enumerate(KINDS):
        part = made[number :: len(KINDS)]
        print(f"{name}: {sum(pair in found for pair in part):,} of {len(part):,} found")


def photos(root: Path) -> None:
    """Measure and search a frozen folder, with nothing cached."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        start = time.perf_counter()
        measured = data.photo_stats(root)
        looked = time.perf_counter()
        read = data.photo_reader(root)
        pairs, _ = search(
            measured.phashes_N,
            measured.signatures_NSS,
            lambda row: read(str(measured.paths_N[row])),
        )
        took = time.perf_counter()
    print(
        f"{len(measured):,} photos: {took - start:.1f} s (measuring {looked - start:.1f} s, search "
        f"{took - looked:.1f} s), peak {peak_gib():.2f} GiB; {len(pairs)} pairs"
    )


# Right and wrong


class Pair(NamedTuple):
    """Two files that the search showed, or missed.

    Attributes:
        one, other: Rows of the truth.
        score: How alike the search calls them; NaN where missed.
    """

    one: int
    other: int
    score: float


def labelled(out: Path, kinds: list[str], sheet: Path | None) -> None:
    """Search each folder of the labelled set as a whole; print what was right."""
    for kind in kinds:
        truth = read_truth(out / kind)
        start, began = time.perf_counter(), time.process_time()
        rows, scores = find_pairs([out / kind / row.path for row in truth])
        took, worked = time.perf_counter() - start, time.process_time() - began
        shown = [Pair(*pair, score) for pair, score in zip(rows.tolist(), scores, strict=True)]
        num_bases = len({row.base for row in truth})
        print(
            f"{kind}: {len(truth):,} files of {num_bases:,} photos; {took:.1f} s, "
            f"{worked:.1f} s of cores"
        )
        judged = judge(shown, truth, web_judge(truth) if kind == "web" else made_judge(truth))
        print_shown(judged, truth)
        wanted = wanted_pairs(truth, out / kind)
        found = {(pair.one, pair.other) for pair in shown}
        print_recall(wanted, found)
        if sheet:
            missed = [Pair(*pair, np.nan) for group in wanted.values() for pair in group - found]
            sorts = {**judged, "missed": missed}
            place = sheet.with_name(f"{sheet.stem}-{kind}{sheet.suffix}")
            write_sheet(sorts, truth, out / kind, place)


def made_judge(truth: list[Truth]) -> Callable[[int, int], str]:
    """Return what tells pairs of a made set: all is known."""
    return lambda one, other: "true" if truth[one].base == truth[other].base else "false"


def web_judge(truth: list[Truth]) -> Callable[[int, int], str]:
    """Return what tells pairs of the web: what was labelled, and what follows from that."""
    bases, known = web_bases(), {}
    for one, other, answer in web_labels():
        key = frozenset((bases.get(one, one), bases.get(other, other)))
        known[key] = {"1": "true", "0": "false"}.get(answer, "unsure")

    def told(one: int, other: int) -> str:
        """Return true, false, unsure or unlabelled."""
        paths = truth[one].path, truth[other].path
        key = frozenset(bases.get(path, path) for path in paths)
        return "true" if len(key) == 1 else known.get(key, "unlabelled")

    return told


def judge(
    shown: list[Pair], truth: list[Truth], told: Callable[[int, int], str]
) -> dict[str, list[Pair]]:
    """Return the pairs by what they are."""
    judged: dict[str, list[Pair]] = defaultdict(list)
    for pair in shown:
        judged[told(pair.one, pair.other)].append(pair)
    return judged


def print_shown(judged: dict[str, list[Pair]], truth: list[Truth]) -> None:
    """Print how many pairs were shown, and how many of them are none."""
    num_true, num_false = len(judged["true"]), len(judged["false"])
    low, high = wilson(num_false, num_true + num_false)
    share = num_false / max(num_true + num_false, 1)
    print(
        f"  shown {sum(map(len, judged.values())):,} pairs: {num_true:,} true, {num_false:,} "
        f"false: {share:.2%} ({low:.2%} to {high:.2%})"
    )
    if judged["false"]:
        sorts = Counter(
            sort_of_false(truth[one], truth[other]) for one, other, _ in judged["false"]
        )
        scenes = {
            frozenset((truth[one].base, truth[other].base)) for one, other, _ in judged["false"]
        }
        told = ", ".join(f"{count:,} {sort}" for sort, count in sorts.most_common())
        print(f"  false: {told}; {len(scenes):,} pairs of photos, the rest with their copies")
    for sort in ("unsure", "unlabelled"):
        for one, other, score in judged[sort]:
            print(f"  {sort}: {truth[one].path} | {truth[other].path} ({score:.3f})")


def sort_of_false(one: Truth, other: Truth) -> str:
    """Return what two photos that were taken for one have in common."""
    cars = {row.base.removesuffix("-colour") for row in (one, other)}
    if len(cars) == 1:
        return "of one car in another colour"
    classes = {row.base.rpartition("/")[0] for row in (one, other)}
    return "of one class" if len(classes) == 1 else "of two classes"


def wanted_pairs(truth: list[Truth], root: Path) -> dict[str, set[tuple[int, int]]]:
    """Return the pairs that ought to be found: a photo and its copies, by change.

    Photos that were the same before are told apart by whether their bytes are.
    """
    rows_of = defaultdict(list)
    for row, each in enumerate(truth):
        rows_of[each.base].append(row)
    wanted: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for rows in rows_of.values():
        for one, other in combinations(rows, 2):
            is_original = [truth[row].change in ORIGINALS for row in (one, other)]
            if all(is_original):
                encoded = [(root / truth[row].path).read_bytes() for row in (one, other)]
                wanted["the same bytes" if encoded[0] == encoded[1] else "as found"].add(
                    (one, other)
                )
            elif any(is_original):
                copy, original = sorted(
                    (truth[one], truth[other]), key=lambda each: not each.change
                )
                if copy.path.startswith(f"{original.path.removesuffix('.jpg')}-"):
                    wanted[copy.change].add((one, other))
    return wanted


def print_recall(wanted: dict[str, set[tuple[int, int]]], found: set[tuple[int, int]]) -> None:
    """Print how many pairs were found, by change."""
    for change in sorted(wanted, key=lambda change: (change.count("+"), change)):
        hits, count = len(wanted[change] & found), len(wanted[change])
        low, high = wilson(hits, count)
        print(
            f"  {change:24} {hits:4,} of {count:4,}  {hits / count:6.1%} ({low:.0%} to {high:.0%})"
        )
    hits, count = (
        sum(map(len, groups)) for groups in ([w & found for w in wanted.values()], wanted.values())
    )
    print(f"  {'all':24} {hits:4,} of {count:4,}  {hits / max(count, 1):6.1%}")


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Reference:
        Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
    """
    if not count:
        return 0.0, 1.0
    share, z = hits / count, 1.96
    middle = share + z * z / (2 * count)
    reach = z * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    whole = 1 + z * z / count
    return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)


def write_sheet(sorts: dict[str, list[Pair]], truth: list[Truth], root: Path, place: Path) -> None:
    """Draw pairs that are wrong or not known side by side, three in a row."""
    rng = np.random.default_rng(0)
    cells = []
    for sort, pairs in sorts.items():
        if sort == "true":
            continue
        picked = rng.permutation(len(pairs))[:MOST_ON_SHEET]
        cells += [cell(sort, pairs[number], truth, root) for number in sorted(picked)]
    if not cells:
        return
    cells += [np.zeros_like(cells[0])] * (-len(cells) % 3)
    rows = [np.hstack(cells[start : start + 3]) for start in range(0, len(cells), 3)]
    cv2.imwrite(str(place), np.vstack(rows))
    print(f"  drawn: {place}")


def cell(sort: str, pair: Pair, truth: list[Truth], root: Path) -> np.ndarray:
    """Return two photos beside each other, with what they are above."""
    height, width = CELL_HW
    made = np.full((height + 18, 2 * width + 12, 3), 70, np.uint8)
    made[:16] = 255
    rows = truth[pair.one], truth[pair.other]
    words = f"{sort} {pair.score:.3f} " + " | ".join(f"{row.path[-26:]}" for row in rows)
    cv2.putText(made, words, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    for number, row in enumerate(rows):
        pixels = cv2.imread(str(root / row.path))
        share = min(height / pixels.shape[0], width / pixels.shape[1])
        small = cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        left = number * (width + 4)
        part = made[16 : 16 + height, left : left + width]
        part[: small.shape[0], : small.shape[1]] = small[:height, :width]
    return made


def peak_gib() -> float:
    """Return the most memory this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["million", "photos", "labelled"])
    parser.add_argument("root", type=Path, nargs="?", help="frozen folder, or the labelled set")
    parser.add_argument("--count", type=int, default=1_000_000, help="hashes of million")
    parser.add_argument("--kind", choices=list(MAKERS), help="one part of the labelled set")
    parser.add_argument("--sheet", type=Path, help="PNG of false and missed pairs; one a part")
    words = parser.parse_args()
    if words.what == "million":
        million(words.count)
    elif words.root is None:
        parser.error(f"{words.what} needs a folder")
    elif words.what == "photos":
        photos(words.root)
    else:
        labelled(words.root, [words.kind] if words.kind else list(MAKERS), words.sheet)


if __name__ == "__main__":
    main()
