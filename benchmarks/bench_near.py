"""Near duplicates: how long, how much memory, how many of those that were planted.

    python benchmarks/bench_near.py million
    python benchmarks/bench_near.py photos data/stanford      # a cold cache, hashing included
    python benchmarks/bench_near.py planted data/stanford     # what is found, and what else

``million``: smooth random pictures, one in a hundred with a copy: noise of a few grey levels, other
light, or 3 % cut off at each side. ``planted``: copies of 400 photos of the set: the same bytes,
stored anew at quality 70, at 60 % of the size, 10 % cut off height and width at a random place.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from carscale import data, images

CHUNK = 10_000
NUM_PLANTED = 400
QUALITY = 70
KINDS = ("noise of 6 grey levels", "other light", "3 % cut off each side")


def textures(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return smooth random pictures, uint8 ``[N, 32, 32]``."""
    made = np.empty((count, 32, 32), np.uint8)
    for start in range(0, count, CHUNK):
        part = made[start : start + CHUNK]
        coarse = rng.normal(0, 1, (len(part), 8, 8)).astype(np.float32)
        wide = coarse.repeat(4, axis=1).repeat(4, axis=2)
        smooth = images.crop_hashes(wide, down=(0.1, 0.9), across=(0.1, 0.9))
        part[:] = (128 + 40 * smooth).clip(0, 255)
    return made


def copies(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return each picture as it might be stored elsewhere: noisy, lighter, or cut at its sides."""
    noisy = pictures + rng.normal(0, 6, pictures.shape)
    lighter = 20 + 0.85 * pictures.astype(np.float32)
    cut = images.crop_hashes(pictures, down=(0.03, 0.97), across=(0.03, 0.97))
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
    hashed, began = time.perf_counter(), time.process_time()
    pairs = data.near_pairs(hashes, signatures)
    took, worked = time.perf_counter() - hashed, time.process_time() - began
    found = {tuple(pair) for pair in pairs.rows_P2.tolist()}
    made = [tuple(sorted(pair)) for pair in rows.tolist()]
    print(
        f"{count:,} hashes: search {took:.1f} s, {worked:.1f} s of cores (hashing the grey copies "
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
        pairs = data.near_pairs(measured.phashes_N, measured.signatures_NSS)
        took = time.perf_counter()
    print(
        f"{len(measured):,} photos: {took - start:.1f} s (measuring {looked - start:.1f} s, search "
        f"{took - looked:.1f} s), peak {peak_gib():.2f} GiB; {len(pairs.rows_P2)} pairs"
    )


def planted(root: Path, seed: int) -> None:
    """Find copies of the set's own photos among them."""
    measured = data.photo_stats(root)
    base = measured.signatures_NSS
    own = {tuple(pair) for pair in data.near_pairs(measured.phashes_N, base).rows_P2.tolist()}
    print(f"{len(base):,} photos alone: {len(own)} pairs")
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(base), NUM_PLANTED, replace=False)
    read = data.photo_reader(root)
    for name, change in CHANGES.items():
        looks = [
            images.measure(change(read(str(measured.paths_N[row])), rng)).signature for row in rows
        ]
        every = np.concatenate([base, np.stack(looks)])
        found = data.near_pairs(images.perceptual_hashes(every), every).rows_P2
        across = found[(found[:, 0] < len(base)) & (found[:, 1] >= len(base))]
        source = rows[across[:, 1] - len(base)]
        hits = len(set(across[across[:, 0] == source, 1].tolist()))
        # other photos of a pair that the set has itself are no mistake
        false = sum(
            tuple(sorted(pair)) not in own
            for pair in zip(across[:, 0].tolist(), source.tolist(), strict=True)
            if pair[0] != pair[1]
        )
        print(f"{name}: {hits} of {len(rows)} found ({hits / len(rows):.1%}), {false} false pairs")


def stored_anew(pixels: np.ndarray) -> bytes:
    """Return pixels as a JPEG of middling quality."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def resized(encoded: bytes, rng: np.random.Generator) -> bytes:
    """Store a photo anew at 60 % of its size."""
    pixels = images.decode(encoded)
    small = cv2.resize(pixels, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    return stored_anew(small)


def cropped(encoded: bytes, rng: np.random.Generator) -> bytes:
    """Cut a tenth off height and width, anywhere."""
    pixels = images.decode(encoded)
    height, width = (round(0.9 * side) for side in pixels.shape[:2])
    top = int(rng.integers(0, pixels.shape[0] - height + 1))
    left = int(rng.integers(0, pixels.shape[1] - width + 1))
    return stored_anew(np.ascontiguousarray(pixels[top : top + height, left : left + width]))


CHANGES = {
    "the same bytes": lambda encoded, rng: encoded,
    "stored anew, quality 70": lambda encoded, rng: stored_anew(images.decode(encoded)),
    "stored anew at 60 % of the size": resized,
    "a tenth cut off height and width": cropped,
}


def peak_gib() -> float:
    """Return the most memory this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", decisions=["million", "photos", "planted"])
    parser.add_argument("root", type=Path, nargs="?", help="frozen folder, for photos and planted")
    parser.add_argument("--count", type=int, default=1_000_000, help="hashes of million")
    parser.add_argument("--seed", type=int, default=5, help="of planted")
    words = parser.parse_args()
    if words.what == "million":
        million(words.count)
    elif words.root is None:
        parser.error(f"{words.what} needs a frozen folder")
    elif words.what == "photos":
        photos(words.root)
    else:
        planted(words.root, words.seed)


if __name__ == "__main__":
    main()
