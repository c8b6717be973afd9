"""The silhouettes of the body styles, in metres.

Places along a car run from -1 (tail) to 1 (nose). To add a body style: one entry in ``BODIES``, and
one more name for each make in ``makes.MODELS``.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Body:
    """The silhouette of a body style: metres, and places from -1 (tail) to 1 (nose)."""

    length_m: float
    width_m: float
    height_m: float
    nose_m: float  # height of the bonnet's front edge
    belt_m: float  # height of the window line
    tail_m: float  # height of the rear deck
    cowl: float  # where the windscreen starts
    roof_front: float
    roof_rear: float
    rear_base: float  # where the rear window ends
    sill_m: float = 0.24
    wheel_m: float = 0.33
    roof_share: float = 0.74  # width of the roof / width of the car
    doors: int = 4
    roof: str = "closed"  # closed, open, bed


BODIES = {
    "Sedan": Body(4.65, 1.82, 1.46, 0.74, 0.94, 0.97, 0.42, 0.08, -0.40, -0.74),
    "Hatchback": Body(3.95, 1.76, 1.50, 0.76, 0.95, 0.96, 0.52, 0.16, -0.62, -0.92),
    "Coupe": Body(
        4.45, 1.86, 1.30, 0.68, 0.87, 0.90, 0.34, -0.04, -0.34, -0.90, sill_m=0.2, doors=2
    ),
    "SUV": Body(
        4.60, 1.90, 1.76, 0.98, 1.12, 1.12, 0.46, 0.20, -0.76, -0.92, sill_m=0.32, wheel_m=0.385
    ),
    "Wagon": Body(4.90, 1.82, 1.50, 0.74, 0.94, 0.96, 0.40, 0.10, -0.72, -0.93),
    "Van": Body(
        4.75, 1.90, 1.98, 0.90, 1.10, 1.10, 0.78, 0.46, -0.90, -0.93, roof_share=0.84, doors=4
    ),
    "Pickup": Body(
        5.35,
        1.92,
        1.84,
        1.02,
        1.14,
        1.14,
        0.46,
        0.26,
        -0.14,
        -0.20,
        sill_m=0.38,
        wheel_m=0.4,
        roof="bed",
    ),
    "Convertible": Body(
        4.25,
        1.80,
        1.28,
        0.70,
        0.88,
        0.90,
        0.34,
        0.04,
        -0.30,
        -0.62,
        sill_m=0.2,
        doors=2,
        roof="open",
    ),
}
MICROVAN = Body(
    3.05, 1.50, 1.88, 0.86, 1.02, 1.02, 0.90, 0.66, -0.88, -0.91, wheel_m=0.26, roof_share=0.88
)
