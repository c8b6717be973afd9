"""Make photos of which it is known which show the same photo: to measure a search for near copies.

    python benchmarks/near_set.py ../shared/cars OUT

The same photo: stored anew, resized, cropped, mirrored, with a logo or text, in another light. Not
the same: two cars of one model before one wall, one car in another colour or from another moment.

- ``OUT/photos``: whole classes, among them those that look alike, and two changed copies of each.
- ``OUT/studio``: cars cut out and put at one place, in one size, before a backdrop: grey, white or
  bricks; a changed copy of each; the same car in another colour, which is another photo.
- ``OUT/web``: photos of the web as they are; pairs were labelled by eye, in
  ``near_web_labels.csv``.

Each has a ``truth.csv``: path, base (the photo it shows), change. Files of one base are one photo.
Nothing is downloaded; the same seed makes the same files.
Axes: H height, W width, C channels (blue, green, red).
"""

import argparse
import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from near_changes import CHANGES, as_jpeg, changed
from near_studio import brick_wall, car_mask, grey_studio, pasted, recoloured, white_studio

LABELS = Path(__file__).with_name("near_web_labels.csv")
PHOTO_CLASSES = (
    "Aston Martin V8 Vantage Convertible 2012",
    "Aston Martin V8 Vantage Coupe 2012",
    "Aston Martin Virage Convertible 2012",
    "Aston Martin Virage Coupe 2012",
    "Audi A5 Coupe 2012",
    "Audi S4 Sedan 2007",
    "Audi S4 Sedan 2012",
    "Audi S5 Convertible 2012",
    "Audi S5 Coupe 2012",
    "Audi S6 Sedan 2011",
    "BMW 3 Series Sedan 2012",
    "BMW ActiveHybrid 5 Sedan 2012",
    "BMW M5 Sedan 2010",
    "Ferrari 458 Italia Coupe 2012",
    "Lamborghini Aventador Coupe 2012",
)
STUDIO_CLASSES = (
    "Aston Martin Virage Coupe 2012",
    "Audi A5 Coupe 2012",
    "Audi S4 Sedan 2012",
    "Audi S5 Coupe 2012",
    "Audi S6 Sedan 2011",
    "Audi TT RS Coupe 2012",
    "BMW 3 Series Sedan 2012",
    "BMW ActiveHybrid 5 Sedan 2012",
    "BMW M3 Coupe 2012",
    "BMW M5 Sedan 2010",
    "Bentley Continental GT Coupe 2012",
    "Chevrolet Corvette ZR1 2012",
    "Dodge Challenger SRT8 2011",
    "Ferrari 458 Italia Coupe 2012",
    "Ford F-150 Regular Cab 2012",
    "Honda Accord Sedan 2012",
    "Hyundai Sonata Sedan 2012",
    "Lamborghini Aventador Coupe 2012",
    "Nissan Juke Hatchback 2012",
    "Rolls-Royce Ghost Sedan 2012",
    "Toyota Camry Sedan 2012",
    "Toyota Corolla Sedan 2012",
    "Volvo C30 Hatchback 2012",
)
SAME_PHOTO = (
    ("Aston Martin V8 Vantage Convertible 2012/01331", "Aston Martin V8 Vantage Coupe 2012/03732"),
    ("Aston Martin V8 Vantage Convertible 2012/01483", "Aston Martin V8 Vantage Coupe 2012/02378"),
    (
        "Aston Martin V8 Vantage Convertible 2012/04247",
        "Aston Martin Virage Convertible 2012/04386",
    ),
    ("Aston Martin V8 Vantage Coupe 2012/00634", "Aston Martin Virage Coupe 2012/02921"),
    ("Aston Martin Virage Convertible 2012/02484", "Aston Martin Virage Convertible 2012/03854"),
    ("Aston Martin Virage Convertible 2012/02484", "Aston Martin Virage Convertible 2012/06485"),
    ("Audi A5 Coupe 2012/05353", "Audi S5 Coupe 2012/03848"),
    ("Audi A5 Coupe 2012/05587", "Audi S5 Coupe 2012/05426"),
    ("Audi TT RS Coupe 2012/02009", "Audi TT RS Coupe 2012/05886"),
    ("Audi TT RS Coupe 2012/02009", "Audi TT RS Coupe 2012/06169"),
    ("BMW 3 Series Sedan 2012/00070", "BMW 3 Series Sedan 2012/03722"),
    ("Lamborghini Aventador Coupe 2012/01586", "Lamborghini Aventador Coupe 2012/02955"),
)
"""Photos of the classes above that are the same, found by eye."""
LEFT_OUT = ("Audi S5 Convertible 2012/06793", "Audi S5 Coupe 2012/01094")
"""One photo of the set before another background: neither the same nor another."""

OTHER_COLOUR = "other colour"
"""No change of a photo: another photo, and its own base."""
ORIGINALS = ("", OTHER_COLOUR)
"""What stands as change where nothing was changed."""
COPIES_OF_A_PHOTO = 2

BACKDROPS = ("grey", "grey", "grey", "grey", "white", "wall")
"""Taken in turn."""


class Truth(NamedTuple):
    """A file and what it shows.

    Attributes:
        path: Under the folder of its set.
        base: The photo it shows.
        change: What was done to that photo; empty of itself.
    """

    path: str
    base: str
    change: str


def make_photos(cars: Path, out: Path, seed: int) -> Iterator[Truth]:
    """Write photos as they are, and changed copies of each."""
    bases = same_bases(SAME_PHOTO)
    paths = [path for name in PHOTO_CLASSES for path in photos_of(cars, name)]
    for number, path in enumerate(paths):
        rng = np.random.default_rng((seed, 0, number))
        name = f"{path.parent.name}/{path.stem}"
        base = bases.get(name, name)
        encoded, pixels_HWC = path.read_bytes(), cv2.imread(str(path))
        yield Truth(stored(encoded, f"{name}.jpg", out), base, "")
        for copy in range(COPIES_OF_A_PHOTO):  # each change of equally many photos
            change = CHANGES[(COPIES_OF_A_PHOTO * number + copy) % len(CHANGES)]
            encoded = changed(pixels_HWC, change, rng)
            yield Truth(stored(encoded, f"{name}-{change}.jpg", out), base, change)


def make_studio(cars: Path, out: Path, seed: int) -> Iterator[Truth]:
    """Write cut-out cars before one backdrop, changed copies, and the cars in other colours."""
    backdrops = {"grey": grey_studio(), "white": white_studio(), "wall": brick_wall(seed)}
    for number, (shown, car_HWC, mask_HW) in enumerate(cut_out(cars)):
        rng = np.random.default_rng((seed, 1, number))
        backdrop = BACKDROPS[number % len(BACKDROPS)]
        change = CHANGES[number % len(CHANGES)]
        name = f"{backdrop}/{shown}"
        scene_HWC = pasted(car_HWC, mask_HW, backdrops[backdrop])
        yield Truth(stored(as_jpeg(scene_HWC), f"{name}.jpg", out), name, "")
        encoded = changed(scene_HWC, change, rng)
        yield Truth(stored(encoded, f"{name}-{change}.jpg", out), name, change)
        if number // len(BACKDROPS) % 2:
            continue
        other_HWC = recoloured(car_HWC, mask_HW, rng)
        if other_HWC is not None:
            encoded = as_jpeg(pasted(other_HWC, mask_HW, backdrops[backdrop]))
            base = f"{name}-colour"
            yield Truth(stored(encoded, f"{base}.jpg", out), base, OTHER_COLOUR)


def make_web(cars: Path, out: Path, seed: int) -> Iterator[Truth]:
    """Write the photos of the web; those that the labels call the same get one base."""
    del seed  # nothing is drawn
    bases = web_bases()
    source = cars / "makes9"
    for path in sorted(source.rglob("*.jpg")):
        name = path.relative_to(source).as_posix()
        yield Truth(stored(path.read_bytes(), name, out), bases.get(name, name), "")


def cut_out(cars: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the cars whose mask is plausible, each photo once: its name, its pixels, its mask."""
    bases = same_bases(SAME_PHOTO)
    for path in (path for name in STUDIO_CLASSES for path in photos_of(cars, name)):
        name = f"{path.parent.name}/{path.stem}"
        if bases.get(name, name) != name:
            continue
        car_HWC = cv2.imread(str(path))
        mask_HW = car_mask(car_HWC)
        if mask_HW is not None:
            yield name, car_HWC, mask_HW


def read_truth(folder: Path) -> list[Truth]:
    """Return the files of one set and what they show.

    Those of the web get their base from the labels, which may be newer.
    """
    with (folder / "truth.csv").open(newline="", encoding="utf-8") as file:
        truth = [Truth(**row) for row in csv.DictReader(file)]
    if folder.name != "web":
        return truth
    bases = web_bases()
    return [row._replace(base=bases.get(row.path, row.path)) for row in truth]


def web_labels() -> list[tuple[str, str, str]]:
    """Return labelled pairs: one path, the other, and ``1``, ``0`` or ``unsure``."""
    if not LABELS.exists():
        return []
    with LABELS.open(newline="", encoding="utf-8") as file:
        return [(row["one"], row["other"], row["same"]) for row in csv.DictReader(file)]


def web_bases() -> dict[str, str]:
    """Return a name for each photo of the web that is labelled the same as another."""
    return same_bases((one, other) for one, other, answer in web_labels() if answer == "1")


def same_bases(groups: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Return a name for each of those that are the same, directly or through others."""
    bases: dict[str, str] = {}
    for group in groups:
        names = {bases.get(name, name) for name in group}
        first = min(names)
        bases |= {name: first for name, base in bases.items() if base in names}
        bases |= dict.fromkeys(group, first)
    return bases


def photos_of(cars: Path, name: str) -> list[Path]:
    """Return the photos of one class, in order."""
    paths = sorted((cars / "stanford" / name).glob("*.jpg"))
    if not paths:
        raise SystemExit(
            f"{cars / 'stanford' / name}: no photos; give the folder that has stanford"
        )
    return [path for path in paths if f"{name}/{path.stem}" not in LEFT_OUT]


def stored(encoded: bytes, name: str, out: Path) -> str:
    """Write a file; return its path under ``out``."""
    place = out / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(encoded)
    return name


MAKERS = {"photos": make_photos, "studio": make_studio, "web": make_web}


def main() -> None:
    """Read the command line; make the three sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cars", type=Path, help="folder that has stanford and makes9")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(MAKERS), help="one of the three")
    words = parser.parse_args()
    for kind in [words.only] if words.only else list(MAKERS):
        out = words.out / kind
        if out.exists():
            raise SystemExit(f"{out} is there already; remove it, or name another folder")
        rows = list(MAKERS[kind](words.cars, out, words.seed))
        with (out / "truth.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([Truth._fields, *rows])
        num_bases = len({row.base for row in rows})
        print(f"{out}: {len(rows):,} files of {num_bases:,} photos")


if __name__ == "__main__":
    main()
