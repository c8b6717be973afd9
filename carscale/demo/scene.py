"""Draw the random circumstances of one photo: viewpoint, light, place, paint, and take the picture.

Everything comes from one generator, so that a photo is a pure function of (seed, photo number,
class).
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from carscale.demo.backdrop import BACKDROPS, add_texture
from carscale.demo.brush import Brush, Light
from carscale.demo.camera import Camera
from carscale.demo.car import Paint, draw_car
from carscale.demo.makes import CarClass, CarStyle, vary_style
from carscale.demo.skin import Skin
from carscale.images.canvas import Canvas, blur_pixels

# how hard the photos are
VIEW_SHARES = {
    "front_quarter": 0.88,
    "side": 0.05,
    "front": 0.04,
    "rear_quarter": 0.02,
    "rear": 0.01,
}
NEAR_WIDTHS = (0.84, 0.97)  # width of a car that isn't far / width of the photo
FAR_SHARE = 0.02  # photos where the car is small
HARD_FAR_SHARE = 0.15  # the same in the scarce and hard class
HARD_DIM_SHARE = 0.15  # photos of the scarce and hard class taken in little light
MIN_GREY, HARD_MIN_GREY = 62.0, 48.0  # the least mean grey of a photo that isn't planted as dark
ELEVATIONS_DEG = (5.0, 11.0)
DISTANCES_M = (7.0, 11.0)
BACKDROP_BLUR = (0.003, 0.012)  # radius / width of the photo: out of focus is easier
BACKDROP_TEXTURE = (1.0, 5.0)  # blotches, grey levels
NOISE_LEVELS = (1.0, 5.0)  # standard deviation of sensor noise, grey levels

AZIMUTHS_DEG = {
    "front_quarter": (32, 48),
    "side": (72, 104),
    "front": (-12, 12),
    "rear_quarter": (112, 158),
    "rear": (166, 194),
}
ASPECTS = (1.33, 1.33, 1.33, 1.33, 1.5, 1.5, 1.5, 1.5, 1.6, 1.6, 1.78, 1.25, 1.0, 0.75)
PAINTS = [
    (232, 232, 228), (26, 27, 30), (176, 180, 185), (92, 95, 100), (176, 24, 30), (34, 62, 128),
    (72, 118, 172), (28, 78, 58), (108, 64, 40), (196, 178, 140), (204, 96, 28), (226, 188, 52),
    (84, 34, 60), (58, 62, 52), (140, 30, 44), (120, 150, 130),
]  # fmt: skip
PAINT_WEIGHTS = np.array([5, 4, 5, 4, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1], float)
TWO_TONES = [(236, 176, 24), (232, 96, 44), (84, 196, 190), (240, 120, 150), (150, 204, 70)]
ROOFS = {
    "cream": (244.0, 240.0, 226.0),
    "black": (22.0, 23.0, 25.0),
    "silver": (198.0, 202.0, 206.0),
}
SHORT_PX, LONG_PX = 200, 900


@dataclass(frozen=True)
class Frame:
    """The format of a picture and the place of the car in it."""

    width_px: int
    height_px: int
    share: float  # of the width that the car may fill


def take_photo(car: CarClass, rng: Generator) -> NDArray[np.uint8]:
    """Return one photo of a car of a class.

    Args:
        car: The class; its role decides how adverse the circumstances are.
        rng: Source of everything random in the photo.

    Returns:
        uint8 ``[H, W, 3]``, the long side 200..900 px.

    Example:
        >>> from carscale.demo.makes import build_classes
        >>> photo = take_photo(build_classes(6, 120)[0], np.random.default_rng(0))
        >>> 200 <= max(photo.shape) <= 900
        True
    """
    is_hard = car.role == "scarce_hard"
    style = vary_style(car, rng)
    frame = _draw_frame(rng, is_hard)
    camera = _draw_camera(frame, style, rng)
    light = _draw_light(rng, is_hard)
    ground = Canvas(_paint_backdrop(frame, camera, rng))
    _cast_shadow(ground, camera, style, light)
    canvas = Canvas(ground.pixels(), supersample=3 if frame.width_px < 420 else 2)
    draw_car(Brush(canvas, camera, light), style, _draw_paint(style, rng))
    return _develop(canvas.pixels(), rng, HARD_MIN_GREY if is_hard else MIN_GREY)


def _draw_frame(rng: Generator, is_hard: bool) -> Frame:
    """Return a size, long side log-uniform, and how much of it the car fills."""
    long_px = round(float(np.exp(rng.uniform(np.log(SHORT_PX + 20), np.log(LONG_PX)))))
    aspect = ASPECTS[int(rng.integers(len(ASPECTS)))] * float(rng.uniform(0.96, 1.04))
    short_px = round(long_px * min(aspect, 1 / aspect))
    width, height = (long_px, short_px) if aspect >= 1 else (short_px, long_px)
    is_far = rng.random() < (HARD_FAR_SHARE if is_hard else FAR_SHARE)
    share = float(rng.uniform(0.32, 0.52) if is_far else rng.uniform(*NEAR_WIDTHS))
    return Frame(width, height, share)


def _draw_camera(frame: Frame, style: CarStyle, rng: Generator) -> Camera:
    """Return a viewpoint, zoomed onto the car."""
    shares = np.array(list(VIEW_SHARES.values()))
    view = list(VIEW_SHARES)[int(rng.choice(len(shares), p=shares / shares.sum()))]
    azimuth = float(rng.uniform(*AZIMUTHS_DEG[view])) * (1 if rng.random() < 0.5 else -1)
    camera = Camera(
        azimuth_deg=azimuth,
        elevation_deg=float(rng.uniform(*ELEVATIONS_DEG)),
        distance_m=float(rng.uniform(*DISTANCES_M)),
        roll_deg=float(rng.normal(0, 1.2)),
    )
    width, height = frame.width_px, frame.height_px
    room_px = max(0.03, (1 - frame.share) / 2) * width
    x = width / 2 + float(rng.uniform(-0.7, 0.7)) * room_px
    y = height * float(rng.uniform(0.50, 0.62))
    size = {"width_px": frame.share * width, "height_px": min(0.74, frame.share) * height}
    return camera.fitted(Skin(style.shape).outline(), **size, center_px=(x, y))


def _draw_light(rng: Generator, is_hard: bool) -> Light:
    """Return sunlight, an overcast sky or dusk."""
    angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.6)
    sun_3 = (float(np.cos(angle)), float(np.sin(angle)), float(height))
    kind = rng.choice(3, p=[0.5, 0.35, 0.15])
    sun, ambient = ((0.55, 0.70), (0.15, 0.95), (0.35, 0.60))[int(kind)]
    if is_hard and rng.random() < HARD_DIM_SHARE:
        sun, ambient = 0.08, 0.36
    sky = np.array([205, 222, 240]) * rng.uniform(0.85, 1.06, 3)
    return Light(
        sun_3=sun_3,
        sun=sun,
        ambient=ambient * float(rng.uniform(0.9, 1.1)),
        sky=(float(sky[0]), float(sky[1]), float(sky[2])),
    )


def _draw_paint(style: CarStyle, rng: Generator) -> Paint:
    """Return paint and plate of one car."""
    weights = PAINT_WEIGHTS / PAINT_WEIGHTS.sum()
    base = np.array(PAINTS[int(rng.choice(len(PAINTS), p=weights))], float)
    if style.two_tone:
        base = np.array(TWO_TONES[int(rng.integers(len(TWO_TONES)))], float)
    colour = np.clip(base * rng.uniform(0.9, 1.1) + rng.normal(0, 5, 3), 6, 246)
    body = (float(colour[0]), float(colour[1]), float(colour[2]))
    letters = "".join(chr(65 + int(n)) for n in rng.integers(0, 26, 3))
    rim = style.rim_grey * float(rng.uniform(0.92, 1.08))
    return Paint(
        colour=body,
        roof=ROOFS.get(style.roof, body),
        gloss=float(rng.uniform(0.18, 0.42)),
        rim=(rim, rim, rim * 1.02),
        wheel_turn=float(rng.uniform(0, 6.28)),
        plate=f"{letters} {int(rng.integers(100, 1000))}",
        is_tinted=bool(rng.random() < 0.2),
    )


def _paint_backdrop(frame: Frame, camera: Camera, rng: Generator) -> NDArray[np.uint8]:
    """Return the place without the car."""
    canvas = Canvas(np.full((frame.height_px, frame.width_px, 3), 128, np.uint8))
    names = list(BACKDROPS)
    horizon_px = float(np.clip(camera.horizon_px(), 0.12 * frame.height_px, 0.7 * frame.height_px))
    BACKDROPS[names[int(rng.integers(len(names)))]](canvas, horizon_px, rng)
    blurred = blur_pixels(canvas.pixels(), frame.width_px * float(rng.uniform(*BACKDROP_BLUR)))
    return add_texture(blurred, rng, float(rng.uniform(*BACKDROP_TEXTURE)))


def _cast_shadow(canvas: Canvas, camera: Camera, style: CarStyle, light: Light) -> None:
    """Darken the ground below and beside the car."""
    footprint = Skin(style.shape).footprint()
    metre_px = camera.focal_px / camera.distance_m
    sun = np.asarray(light.sun_3)
    slide = -sun / sun[2] * 0.55 * np.array([1, 1, 0])
    if light.sun > 0.2:
        far = camera.project(footprint * np.array([1.0, 1.0, 0]) + slide)
        canvas.shadow(far, darkness=0.45, blur_px=0.05 * metre_px)
    canvas.shadow(camera.project(footprint * 1.02), darkness=0.6, blur_px=0.10 * metre_px)
    canvas.shadow(camera.project(footprint * 0.94), darkness=0.7, blur_px=0.04 * metre_px)


def _develop(pixels_HWC: NDArray[np.uint8], rng: Generator, min_grey: float) -> NDArray[np.uint8]:
    """Return the photo as a camera would give it: exposure, tint, vignette, noise."""
    height, width = pixels_HWC.shape[:2]
    gain = float(rng.uniform(0.92, 1.26)) * (1 + rng.normal(0, 0.025, 3))
    photo = pixels_HWC.astype(np.float32) * gain
    contrast = float(rng.uniform(0.85, 1.12))
    photo = (photo - 120) * contrast + 120
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    photo *= (1 - float(rng.uniform(0, 0.2)) * (x**2 + y**2) / 2)[..., None]
    noise = rng.standard_normal((height, width, 1), dtype=np.float32)
    photo += float(rng.uniform(*NOISE_LEVELS)) * noise
    photo = np.clip(photo, 0, 255)
    if photo.mean() < min_grey:
        photo = np.clip(photo * (min_grey / photo.mean()), 0, 255)
    return photo.astype(np.uint8)
