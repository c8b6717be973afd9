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
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

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
    ("BMW 3 Series Sedan 2012/00070", "BMW 3 Series Sedan 2012/03722"),
    ("Lamborghini Aventador Coupe 2012/01586", "Lamborghini Aventador Coupe 2012/02955"),
)
"""Photos of the classes above that are the same, found by eye."""
LEFT_OUT = ("Audi S5 Convertible 2012/06793", "Audi S5 Coupe 2012/01094")
"""One photo of the set before another background: neither the same nor another."""

CHANGES = (
    "quality",
    "resize",
    "crop5",
    "crop10",
    "crop15",
    "mirror",
    "text",
    "watermark",
    "phone",
    "exposure",
    "gamma",
    "contrast",
    "warm",
    "crop5+mirror",
    "crop5+watermark",
    "crop10+quality",
    "mirror+warm",
    "resize+text",
    "resize+exposure+quality",
)
"""What is done to a photo, one thing after the other."""
OTHER_COLOUR = "other colour"
"""No change of a photo: another photo, and its own base."""
ORIGINALS = ("", OTHER_COLOUR)
"""What stands as change where nothing was changed."""
COPIES_OF_A_PHOTO = 2

PLAIN_QUALITY, LEAST_QUALITY, MOST_QUALITY = 90, 30, 75
GRABCUT_PX = 128
"""Height at which a car is cut out."""
CANVAS_HW, CAR_HW, FLOOR_PX = (240, 360), (165, 300), 205
"""The backdrop, the most a car may take, and where its wheels stand."""
BACKDROPS = ("grey", "grey", "grey", "grey", "white", "wall")
"""Taken in turn."""
LEAST_RECOLOURED = 20
"""Grey levels of a channel, in the mean over a car."""
FONT = cv2.FONT_HERSHEY_SIMPLEX


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
        yield Truth(kept(path, out / f"{name}.jpg", out), base, "")
        for copy in range(COPIES_OF_A_PHOTO):  # each change of equally many photos
            change = CHANGES[(COPIES_OF_A_PHOTO * number + copy) % len(CHANGES)]
            made = out / f"{name}-{change}.jpg"
            yield Truth(changed(cv2.imread(str(path)), change, rng, made, out), base, change)


def make_studio(cars: Path, out: Path, seed: int) -> Iterator[Truth]:
    """Write cut-out cars before one backdrop, changed copies, and the cars in other colours."""
    bases = same_bases(SAME_PHOTO)
    backdrops = {"grey": grey_studio(), "white": white_studio(), "wall": brick_wall(seed)}
    number = 0
    for path in (path for name in STUDIO_CLASSES for path in photos_of(cars, name)):
        shown = f"{path.parent.name}/{path.stem}"
        car_HWC = cv2.imread(str(path))
        mask_HW = car_mask(car_HWC)
        if mask_HW is None or bases.get(shown, shown) != shown:
            continue
        rng = np.random.default_rng((seed, 1, number))
        backdrop = BACKDROPS[number % len(BACKDROPS)]
        name = f"{backdrop}/{shown}"
        scene_HWC = pasted(car_HWC, mask_HW, backdrops[backdrop])
        yield Truth(stored(scene_HWC, out / f"{name}.jpg", out), name, "")
        change = CHANGES[number % len(CHANGES)]
        made = out / f"{name}-{change}.jpg"
        yield Truth(changed(scene_HWC, change, rng, made, out), name, change)
        if number // len(BACKDROPS) % 2 == 0:
            other_HWC = recoloured(car_HWC, mask_HW, rng)
            if other_HWC is not None:
                scene_HWC = pasted(other_HWC, mask_HW, backdrops[backdrop])
                made = out / f"{name}-colour.jpg"
                yield Truth(stored(scene_HWC, made, out), f"{name}-colour", OTHER_COLOUR)
        number += 1


def make_web(cars: Path, out: Path, seed: int) -> Iterator[Truth]:
    """Write the photos of the web; those that the labels call the same get one base."""
    del seed  # nothing is drawn
    same = [(one, other) for one, other, answer in web_labels() if answer == "1"]
    bases = same_bases(same)
    source = cars / "makes9"
    for path in sorted(source.rglob("*.jpg")):
        name = path.relative_to(source).as_posix()
        yield Truth(kept(path, out / name, out), bases.get(name, name), "")


def read_truth(folder: Path) -> list[Truth]:
    """Return the files of one set and what they show.

    Those of the web get their base from the labels, which may be newer.
    """
    with (folder / "truth.csv").open(newline="", encoding="utf-8") as file:
        truth = [Truth(**row) for row in csv.DictReader(file)]
    if folder.name != "web":
        return truth
    bases = same_bases((one, other) for one, other, answer in web_labels() if answer == "1")
    return [row._replace(base=bases.get(row.path, row.path)) for row in truth]


def web_labels() -> list[tuple[str, str, str]]:
    """Return labelled pairs: one path, the other, and ``1``, ``0`` or ``unsure``."""
    if not LABELS.exists():
        return []
    with LABELS.open(newline="", encoding="utf-8") as file:
        return [(row["one"], row["other"], row["same"]) for row in csv.DictReader(file)]


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


# Writing


def kept(source: Path, made: Path, out: Path) -> str:
    """Copy a file as it is; return its path under ``out``."""
    made.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, made)
    return made.relative_to(out).as_posix()


def stored(pixels_HWC: np.ndarray, made: Path, out: Path, quality: int = PLAIN_QUALITY) -> str:
    """Write a JPEG; return its path under ``out``."""
    made.parent.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(".jpg", pixels_HWC, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    made.write_bytes(encoded.tobytes())
    return made.relative_to(out).as_posix()


# Changes: they leave a photo the same photo


def changed(
    pixels_HWC: np.ndarray, change: str, rng: np.random.Generator, made: Path, out: Path
) -> str:
    """Write a changed copy; return its path under ``out``."""
    steps = change.split("+")
    for step in steps:
        if step != "quality":
            pixels_HWC = STEPS[step](pixels_HWC, rng)
    drawn = int(rng.integers(LEAST_QUALITY, MOST_QUALITY + 1))
    quality = drawn if "quality" in steps else PLAIN_QUALITY
    return stored(pixels_HWC, made, out, quality)


def resized(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return 35 to 70 % of the size."""
    share = rng.uniform(0.35, 0.7)
    return cv2.resize(pixels_HWC, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)


def cropped(pixels_HWC: np.ndarray, rng: np.random.Generator, *, cut: float) -> np.ndarray:
    """Cut a share off height and width, anywhere."""
    height, width = (round((1 - cut) * side) for side in pixels_HWC.shape[:2])
    top = int(rng.integers(0, pixels_HWC.shape[0] - height + 1))
    left = int(rng.integers(0, pixels_HWC.shape[1] - width + 1))
    return np.ascontiguousarray(pixels_HWC[top : top + height, left : left + width])


def mirrored(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exchange left and right."""
    del rng
    return cv2.flip(pixels_HWC, 1)


def with_banner(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay a band with text over the top or the bottom."""
    made_HWC = pixels_HWC.copy()
    height, width = made_HWC.shape[:2]
    band = round(rng.uniform(0.05, 0.14) * height)
    top = int(rng.choice([0, height - band]))
    colour = [(160, 40, 20), (20, 20, 200), (20, 20, 20), (255, 255, 255)][rng.integers(4)]
    made_HWC[top : top + band] = colour
    ink = (0, 0, 0) if sum(colour) > 600 else (255, 255, 255)
    written(made_HWC, "CITY CARS  best prices", (round(0.03 * width), top + band), band, ink)
    return made_HWC


def with_watermark(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay a half transparent logo over a corner."""
    height, width = pixels_HWC.shape[:2]
    laid_HWC = pixels_HWC.copy()
    radius = round(0.09 * height)
    x = int(rng.choice([2 * radius, width - 2 * radius]))
    y = int(rng.choice([2 * radius, height - 2 * radius]))
    cv2.circle(laid_HWC, (x, y), radius, (255, 255, 255), -1, cv2.LINE_AA)
    written(laid_HWC, "AutoX", (x - 2 * radius + 2, y + radius // 2), radius, (60, 60, 60))
    alpha = rng.uniform(0.4, 0.7)
    return cv2.addWeighted(laid_HWC, alpha, pixels_HWC, 1 - alpha, 0)


def with_phone(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Write a phone number across the photo, as advertisements have it."""
    made_HWC = pixels_HWC.copy()
    height, width = made_HWC.shape[:2]
    tall = round(rng.uniform(0.1, 0.16) * height)
    place = round(rng.uniform(0.02, 0.3) * width), round(rng.uniform(0.2, 0.95) * height)
    number = f"Call 0171 {rng.integers(10**6, 10**7)}"
    written(made_HWC, number, place, tall, (0, 0, 0), thickness=4)
    written(made_HWC, number, place, tall, (0, 230, 255))
    return made_HWC


def written(
    pixels_HWC: np.ndarray,
    text: str,
    place: tuple[int, int],
    tall_px: int,
    ink: tuple[int, int, int],
    *,
    thickness: int = 1,
) -> None:
    """Write text into pixels, its foot a little above the place."""
    foot = place[0], place[1] - max(1, tall_px // 4)
    cv2.putText(pixels_HWC, text, foot, FONT, tall_px / 36, ink, thickness, cv2.LINE_AA)


def exposed(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lighten or darken by a third or so, with clipping."""
    gain = rng.choice([rng.uniform(0.6, 0.85), rng.uniform(1.15, 1.5)])
    return cv2.convertScaleAbs(pixels_HWC, alpha=gain)


def bent(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Apply a gamma."""
    gamma = rng.choice([rng.uniform(0.55, 0.8), rng.uniform(1.25, 1.7)])
    table = (255 * (np.arange(256) / 255) ** gamma).round().astype(np.uint8)
    return cv2.LUT(pixels_HWC, table)


def contrasted(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move grey levels away from their mean or towards it."""
    factor = rng.choice([rng.uniform(0.6, 0.8), rng.uniform(1.2, 1.5)])
    moved_HWC = pixels_HWC.mean() + factor * (pixels_HWC.astype(np.float32) - pixels_HWC.mean())
    return moved_HWC.clip(0, 255).astype(np.uint8)


def warmed(pixels_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tint all of it: less blue, more red."""
    share = rng.uniform(0.05, 0.15)
    tinted_HWC = pixels_HWC.astype(np.float32) * (1 - share, 1, 1 + share)
    return tinted_HWC.clip(0, 255).astype(np.uint8)


STEPS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "resize": resized,
    "crop5": partial(cropped, cut=0.05),
    "crop10": partial(cropped, cut=0.1),
    "crop15": partial(cropped, cut=0.15),
    "mirror": mirrored,
    "text": with_banner,
    "watermark": with_watermark,
    "phone": with_phone,
    "exposure": exposed,
    "gamma": bent,
    "contrast": contrasted,
    "warm": warmed,
}


# The studio


def car_mask(pixels_HWC: np.ndarray) -> np.ndarray | None:
    """Return where the car is, uint8 of 0 and 255; ``None`` where that is not plausible."""
    height, width = pixels_HWC.shape[:2]
    if height < GRABCUT_PX or not 1.2 <= width / height <= 2.6:
        return None
    small_HWC = cv2.resize(
        pixels_HWC, (round(width * GRABCUT_PX / height), GRABCUT_PX), interpolation=cv2.INTER_AREA
    )
    mask_HW = np.full(small_HWC.shape[:2], cv2.GC_PR_BGD, np.uint8)
    height, width = mask_HW.shape
    middle = width // 2, round(0.55 * height)
    for across, down, kind in ((0.48, 0.44, cv2.GC_PR_FGD), (0.32, 0.24, cv2.GC_FGD)):
        cv2.ellipse(
            mask_HW, middle, (round(across * width), round(down * height)), 0, 0, 360, kind, -1
        )
    mask_HW[:3] = mask_HW[-3:] = cv2.GC_BGD
    mask_HW[:, :3] = mask_HW[:, -3:] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small_HWC, mask_HW, None, *models, 4, cv2.GC_INIT_WITH_MASK)
    car_HW = solid(np.isin(mask_HW, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    if not is_plausible(car_HW):
        return None
    large_HW = cv2.resize(255 * car_HW, pixels_HWC.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.GaussianBlur(large_HW, (0, 0), 1.2)


def solid(mask_HW: np.ndarray) -> np.ndarray:
    """Return the largest part of a mask, smoothed, without holes or bays: windows look like sky."""
    small, large = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (px, px)) for px in (7, 61))
    opened_HW = cv2.morphologyEx(mask_HW, cv2.MORPH_OPEN, small)
    ringed_HW = cv2.copyMakeBorder(opened_HW, *4 * (61,), cv2.BORDER_CONSTANT, value=0)
    opened_HW = cv2.morphologyEx(ringed_HW, cv2.MORPH_CLOSE, large)[61:-61, 61:-61].copy()
    outlines, _ = cv2.findContours(opened_HW, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled_HW = np.zeros_like(mask_HW)
    if outlines:
        cv2.drawContours(filled_HW, [max(outlines, key=cv2.contourArea)], -1, 1, -1)
    return filled_HW


def is_plausible(mask_HW: np.ndarray) -> bool:
    """Tell whether a mask may be a car: large, central, in one piece, as wide as the photo."""
    if not 0.4 <= mask_HW.mean() <= 0.78:
        return False
    rows, columns = np.nonzero(mask_HW)
    height, width = mask_HW.shape
    is_wide = np.ptp(columns) >= 0.85 * width and np.ptp(rows) >= 0.75 * height
    outline = cv2.findContours(mask_HW, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0]
    hull = cv2.contourArea(cv2.convexHull(outline))
    return bool(is_wide and cv2.contourArea(outline) >= 0.9 * hull)


def pasted(car_HWC: np.ndarray, mask_HW: np.ndarray, backdrop_HWC: np.ndarray) -> np.ndarray:
    """Return the backdrop with the car at its place, in its size."""
    rows, columns = np.nonzero(mask_HW > 127)
    part = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    height, width = mask_HW[part].shape
    share = min(CAR_HW[0] / height, CAR_HW[1] / width)
    size = round(share * width), round(share * height)
    car_HWC = cv2.resize(car_HWC[part], size, interpolation=cv2.INTER_AREA)
    alpha_HW1 = cv2.resize(mask_HW[part], size, interpolation=cv2.INTER_AREA)[..., None] / 255
    made_HWC = backdrop_HWC.astype(np.float32)
    top, left = FLOOR_PX - size[1], (CANVAS_HW[1] - size[0]) // 2
    place_HWC = made_HWC[top : top + size[1], left : left + size[0]]
    place_HWC[:] = alpha_HW1 * car_HWC + (1 - alpha_HW1) * place_HWC
    return made_HWC.round().astype(np.uint8)


def grey_studio() -> np.ndarray:
    """Return a light grey wall that turns into a floor, with a soft shadow."""
    return with_shadow(graded((230, 232, 233), (203, 206, 208), horizon=0.62))


def white_studio() -> np.ndarray:
    """Return a white backdrop with a faint shadow."""
    return with_shadow(graded((255, 255, 255), (246, 246, 246), horizon=0.9))


def brick_wall(seed: int) -> np.ndarray:
    """Return a wall of bricks, each of its own grey, with a door and a pavement."""
    rng = np.random.default_rng((seed, 2))
    height, width = CANVAS_HW
    wall_HWC = np.full((height, width, 3), (150, 160, 165), np.uint8)
    for row, top in enumerate(range(0, height, 10)):
        for left in range(-12 * (row % 2), width, 24):
            shade = rng.integers(-25, 25)
            corner, other = (left + 1, top + 1), (left + 22, top + 8)
            colour = tuple(int(level + shade) for level in (70, 90, 150))
            cv2.rectangle(wall_HWC, corner, other, colour, -1)
    cv2.rectangle(wall_HWC, (24, 20), (84, 150), (60, 70, 40), -1)
    cv2.rectangle(wall_HWC, (32, 28), (76, 80), (190, 170, 150), -1)
    cv2.putText(wall_HWC, "GARAGE 12", (170, 34), FONT, 0.8, (235, 235, 235), 2, cv2.LINE_AA)
    floor = 160
    wall_HWC[floor:] = rng.integers(95, 125, (height - floor, width, 1))
    return with_shadow(wall_HWC)


def graded(wall: tuple[int, ...], floor: tuple[int, ...], *, horizon: float) -> np.ndarray:
    """Return wall and floor, the one turning softly into the other."""
    down_H = np.linspace(0, 1, CANVAS_HW[0])[:, None]
    share_H1 = 1 / (1 + np.exp(-(down_H - horizon) / 0.03))
    light_H1 = 1 - 0.12 * np.abs(down_H - horizon)
    rows_HC = light_H1 * ((1 - share_H1) * np.array(wall) + share_H1 * np.array(floor))
    made_HWC = np.repeat(rows_HC[:, None], CANVAS_HW[1], axis=1)
    return made_HWC.clip(0, 255).astype(np.uint8)


def with_shadow(backdrop_HWC: np.ndarray) -> np.ndarray:
    """Return a backdrop with the shadow that every car throws."""
    shade_HW = np.zeros(CANVAS_HW, np.float32)
    middle, radii = (CANVAS_HW[1] // 2, FLOOR_PX - 4), (150, 14)
    cv2.ellipse(shade_HW, middle, radii, 0, 0, 360, 0.55, -1)
    shade_HW = cv2.GaussianBlur(shade_HW, (0, 0), 7)
    return (backdrop_HWC * (1 - shade_HW[..., None])).round().astype(np.uint8)


def recoloured(
    car_HWC: np.ndarray, mask_HW: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Return the car in another colour: paint turned in hue, grey paint dyed or darkened.

    ``None`` where that is hard to see, as of a car in the dark.
    """
    hsv_HWC = cv2.cvtColor(car_HWC, cv2.COLOR_BGR2HSV).astype(np.int32)
    hue_HW, vivid_HW, light_HW = np.moveaxis(hsv_HWC, 2, 0)
    is_car_HW = mask_HW > 127
    is_paint_HW = is_car_HW & (vivid_HW > 100) & (light_HW > 40)
    middle = np.median(light_HW[is_car_HW])
    if is_paint_HW.sum() >= 0.3 * is_car_HW.sum():
        hue_HW[is_paint_HW] = (hue_HW[is_paint_HW] + rng.integers(50, 130)) % 180
    elif middle > 110 and rng.random() < 0.5:
        light_HW[is_car_HW] = light_HW[is_car_HW] * 2 // 5
    else:
        is_grey_HW = is_car_HW & (light_HW > min(45, middle / 2))
        hue_HW[is_grey_HW] = rng.choice([0, 12, 60, 110])  # red, orange, green, blue
        vivid_HW[is_grey_HW] = 190
        if middle < 80:  # black paint shows no colour
            light_HW[is_grey_HW] = 50 + light_HW[is_grey_HW] * 3 // 4
    made_HWC = np.stack([hue_HW, vivid_HW, light_HW], axis=2).astype(np.uint8)
    made_HWC = cv2.cvtColor(made_HWC, cv2.COLOR_HSV2BGR)
    change_HWC = np.abs(made_HWC.astype(np.int32) - car_HWC)
    return made_HWC if change_HWC[is_car_HW].mean() >= LEAST_RECOLOURED else None


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
