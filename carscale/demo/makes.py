"""How each invented make, model and body looks, and which classes a demo set has.

A ``CarStyle`` is all that sets one class apart from another; colour, light and viewpoint are the
photo's own (``scene.py``). The numbers on top set how hard the classes are to tell apart.
"""

from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.random import Generator

from carscale.demo.bodies import BODIES, MICROVAN, Body

# how hard the set is: larger differences and smaller variation make classes easier to tell apart
LOOK_ALIKE_DIFFERENCES = (0.8, 0.6)  # facelift between the two of a pair; 0 is none
HARD_DIFFERENCE = 0.3  # facelift between the scarce and hard class and the common class near it
LOOK_VARIATION = 0.01  # spread of every proportion between photos of one class, as a share of it
HARD_LOOK_VARIATION = 0.03  # the same in the scarce and hard class
TAIL_RATIO = 5.0  # photos in the most common class / in the least common one


@dataclass(frozen=True)
class CarStyle:
    """All that sets a class apart. Places on the front and rear: u 0..1 outward, v 0..1 upward."""

    body: str
    shape: Body
    grille: str
    lamp: str
    tail: str
    badge: str
    rim: str
    spokes: int = 5
    grille_bars: int = 4
    grille_w: float = 0.42
    grille_h: float = 0.30
    grille_v: float = 0.62
    lamp_u: float = 0.74
    lamp_v: float = 0.74
    lamp_w: float = 0.20
    lamp_h: float = 0.14
    lamp_tilt: float = 0.0
    tail_w: float = 0.18
    tail_h: float = 0.26
    tail_v: float = 0.72
    fog: float = 0.0  # size of the fog lamps
    running_light: float = 0.0  # brightness of the strip under the lamp
    crease: float = 0.72
    cladding: float = 0.0  # height of the unpainted sill
    rim_grey: float = 178.0
    roof: str = "body"  # body, or one of scene.ROOFS
    frame: str = "black"  # trim around the side windows: black, chrome
    two_tone: bool = False


# each make's own face; the model's body, rim and proportions come on top
MAKES: dict[str, dict[str, Any]] = {
    "Arvo": {
        "grille": "trapezoid", "lamp": "tear", "tail": "wedge", "badge": "ring", "grille_w": 0.4,
        "lamp_tilt": 0.25,
    },
    "Bestra": {
        "grille": "kidneys", "lamp": "double", "tail": "ell", "badge": "disc", "grille_v": 0.66,
        "grille_h": 0.34,
        "frame": "chrome", "lamp_w": 0.25, "lamp_h": 0.18,
    },
    "Corvane": {
        "grille": "slot", "lamp": "slit", "tail": "bar", "badge": "wing", "grille_w": 0.6,
        "grille_h": 0.12, "grille_v": 0.6, "lamp_h": 0.09, "lamp_w": 0.25, "tail_h": 0.1,
        "lamp_v": 0.8, "roof": "black",
    },
    "Dunmere": {
        "grille": "slats", "lamp": "round", "tail": "block", "badge": "shield", "grille_w": 0.46,
        "grille_h": 0.34, "grille_bars": 9, "lamp_w": 0.17, "lamp_h": 0.26, "lamp_v": 0.7,
        "tail_w": 0.12,
        "cladding": 0.25,
    },
    "Halvik": {
        "grille": "bars", "lamp": "block", "tail": "tower", "badge": "ring", "grille_w": 0.52,
        "grille_h": 0.26, "grille_v": 0.68, "lamp_w": 0.21, "lamp_h": 0.22, "tail_w": 0.1,
        "tail_h": 0.44,
        "frame": "chrome",
    },
    "Norrik": {
        "grille": "hexagon", "lamp": "boomerang", "tail": "cee", "badge": "diamond",
        "grille_h": 0.52, "grille_v": 0.5, "grille_w": 0.44, "lamp_h": 0.2,
        "cladding": 0.14,
    },
    "Ostara": {
        "grille": "oval", "lamp": "stack", "tail": "rounds", "badge": "diamond", "grille_w": 0.34,
        "grille_h": 0.26, "grille_v": 0.42, "lamp_h": 0.28, "lamp_w": 0.15,
        "roof": "silver", "cladding": 0.3,
    },
    "Quillon": {
        "grille": "shield", "lamp": "wedge", "tail": "slim", "badge": "wing", "grille_w": 0.26,
        "grille_h": 0.58, "grille_v": 0.52, "lamp_tilt": 0.4, "tail_h": 0.12, "tail_w": 0.26,
        "frame": "chrome",
    },
}  # fmt: skip
MODELS = {
    "Arvo": "Lirin Sorel Tavit Brusco Midra Kelvo Ordane Alissa",
    "Bestra": "Velt Piko Rasant Hochen Kombe Trago Lastra Sommra",
    "Corvane": "Astir Nuvo Zeral Ridgen Lontra Carrus Haulon Briza",
    "Dunmere": "Ashby Wren Tarrow Moorlan Fenwick Cotter Drayhorn Lark",
    "Halvik": "Norden Liten Snarra Fjalla Herga Vogna Lassa Sola",
    "Norrik": "Kessa Tupi Vauhti Karhu Pitka Laatik Kuorma Tuula",
    "Ostara": "Primel Avia Serin Montar Largo Familo Portane Cielo",
    "Quillon": "Regis Demi Saber Bastion Estra Vasto Ferren Azur",
}
RIMS = ("five", "ten", "wye", "disc", "mesh", "turbine")


@dataclass(frozen=True)
class CarClass:
    """One class of the demo set: its name in parts, its look, its number of files, its role."""

    make: str
    model: str
    body: str
    year: int
    style: CarStyle
    count: int = 0
    role: str = "plain"  # plain, look_alike_1, look_alike_2, scarce_hard, scarce_easy

    @property
    def name(self) -> str:
        """Return the folder's name, ``make model body year``."""
        return f"{self.make} {self.model} {self.body} {self.year}"


def build_classes(num_classes: int, num_images: int) -> list[CarClass]:
    """Return the classes of a demo set, the most common first.

    Args:
        num_classes: 6..60: two look-alike pairs, a scarce hard and a scarce easy class, the rest
            plain.
        num_images: Files over all classes; counts fall off geometrically by ``TAIL_RATIO``.

    Returns:
        Classes with counts that sum to ``num_images``; the last two are scarce.

    Raises:
        ValueError: ``num_classes`` is outside 6..60.

    Example:
        >>> classes = build_classes(12, 720)
        >>> len({car.name for car in classes}), sum(car.count for car in classes)
        (12, 720)
    """
    if not 6 <= num_classes <= 60:
        raise ValueError(f"num_classes must be 6..60, got {num_classes}")
    pairs = [_pair("Arvo", "Sedan", 1), _pair("Halvik", "SUV", 2)]
    near = _model("Norrik", "Wagon", 2015) if num_classes > 6 else pairs[0][0]
    hard = replace(_facelift(near, HARD_DIFFERENCE, years=4), role="scarce_hard")
    plain_cells = _unlike_cells([*pairs[0], *pairs[1], near])
    free = [_model(*cell, 2010 + sum(map(len, cell)) % 9) for cell in plain_cells]
    plain = ([near] if num_classes > 6 else []) + free[: max(0, num_classes - 7)]
    ranked = [*plain[:1], *pairs[0], *pairs[1], *plain[1:], hard, _microvan()]
    counts_K = _tail_counts(num_classes, num_images)
    return [replace(car, count=n) for car, n in zip(ranked, counts_K, strict=True)]


def vary_style(car: CarClass, rng: Generator) -> CarStyle:
    """Return the class's look with each proportion changed a little, as trims of a model do."""
    spread = HARD_LOOK_VARIATION if car.role == "scarce_hard" else LOOK_VARIATION
    style = car.style
    changed = {
        field.name: getattr(style, field.name) * (1 + spread * float(rng.uniform(-1.7, 1.7)))
        for field in fields(style)
        if isinstance(getattr(style, field.name), float)
        and field.name not in ("lamp_u", "crease", "rim_grey")
    }
    shape = style.shape
    height_m = shape.height_m * (1 + 0.25 * spread * float(rng.uniform(-1.7, 1.7)))
    return replace(style, shape=replace(shape, height_m=height_m), **changed)


def _model(make: str, body: str, year: int) -> CarClass:
    """Return a make's model in one body style, with that model's own rim and proportions."""
    number = list(BODIES).index(body)
    name = MODELS[make].split()[number]
    pick = list(MAKES).index(make) + 2 * number
    shape = BODIES[body]
    # makes differ a little in stance too: longer, lower, wider
    stance = 1 + 0.03 * ((pick % 3) - 1)
    shape = replace(shape, length_m=shape.length_m * stance, height_m=shape.height_m / stance**0.5)
    style = CarStyle(
        body=body,
        shape=shape,
        rim=RIMS[pick % len(RIMS)],
        rim_grey=(205.0, 150.0, 70.0)[(pick + number) % 3],
        spokes=5 + pick % 3,
        **MAKES[make],
    )
    return CarClass(make, name, body, year, style)


def _unlike_cells(taken: list[CarClass]) -> list[tuple[str, str]]:
    """Return the other makes and bodies, each next one as unlike those before as can be."""
    uses = Counter(word for car in taken for word in (car.make, car.body))
    used = {(car.make, car.body) for car in taken}
    cells = [(make, body) for make in MAKES for body in BODIES if (make, body) not in used]
    found = []
    while cells:
        cell = min(cells, key=lambda pair: uses[pair[0]] + uses[pair[1]])
        cells.remove(cell)
        uses.update(cell)
        found.append(cell)
    return found


def _pair(make: str, body: str, number: int) -> tuple[CarClass, CarClass]:
    """Return a model and its facelift, the two of look-alike pair ``number`` (1 or 2)."""
    car = replace(_model(make, body, 2012 + 2 * number), role=f"look_alike_{number}")
    return car, _facelift(car, LOOK_ALIKE_DIFFERENCES[number - 1], years=3)


def _facelift(car: CarClass, difference: float, *, years: int) -> CarClass:
    """Return the same model some years later: flatter lamps, taller grille, another light strip."""
    style = car.style
    facelift = replace(
        style,
        lamp_h=style.lamp_h * (1 - 0.22 * difference),
        lamp_w=style.lamp_w * (1 + 0.12 * difference),
        grille_h=style.grille_h * (1 + 0.20 * difference),
        grille_w=style.grille_w * (1 + 0.08 * difference),
        tail_h=style.tail_h * (1 - 0.16 * difference),
        tail_w=style.tail_w * (1 + 0.30 * difference),
        fog=0.06 * difference,
        running_light=min(1.0, 0.7 * difference),
        spokes=style.spokes + round(2 * difference),
    )
    return replace(car, year=car.year + years, style=facelift)


def _microvan() -> CarClass:
    """Return the class that no one mistakes: a tiny two-tone van of a make of its own."""
    style = CarStyle(
        body="Microvan",
        shape=MICROVAN,
        grille="none",
        lamp="round",
        tail="rounds",
        badge="vee",
        rim="disc",
        lamp_u=0.62,
        lamp_v=0.52,
        lamp_w=0.24,
        lamp_h=0.26,
        two_tone=True,
        roof="cream",
    )
    return CarClass("Pimlo", "Bubu", "Microvan", 2019, style, role="scarce_easy")


def _tail_counts(num_classes: int, num_images: int) -> list[int]:
    """Return counts from many to few that sum to ``num_images``, a geometric tail."""
    weights_K = TAIL_RATIO ** -np.linspace(0, 1, num_classes)
    ends_K = np.rint(np.cumsum(weights_K) / weights_K.sum() * num_images).astype(int)
    return sorted(np.diff(ends_K, prepend=0).tolist(), reverse=True)
