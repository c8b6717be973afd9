"""Draw on a small supersampled surface and encode it: what the demo's renderer knows of Pillow.

Comes in: points in pixels, colours, pixels as arrays. Goes out: uint8 ``[H, W, 3]`` arrays and
encoded bytes. Every function is deterministic for one Pillow version: no installed fonts, no global
random state.

Shape legend: H, W pixels of the picture; P points; Q quadrilaterals; 2 is (x, y); C colour
channels.
"""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour = Sequence[float] | NDArray[np.floating]
Points = NDArray[np.floating] | Sequence[Sequence[float]]
Pixels = NDArray[np.uint8]

ORIENTATION_TAG = 0x0112
# how to store an upright picture so that a viewer that honours the tag turns it upright again
STORED_TURN = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


class Canvas:
    """Hold one picture that is drawn at ``supersample`` times its size and read back antialiased.

    Coordinates are in pixels of the final picture; a fourth colour value is opacity, 0..255.

    Args:
        pixels_HWC: The picture to draw on, uint8 ``[H, W, 3]``; it is copied.
        supersample: Subpixels along a side of a pixel, ``>= 1``.

    Example:
        >>> canvas = Canvas(np.zeros((4, 4, 3), np.uint8), supersample=2)
        >>> canvas.polygon([(1, 1), (3, 1), (3, 3), (1, 3)], (255, 255, 255))
        >>> int(canvas.pixels()[2, 2, 0])
        255
    """

    def __init__(self, pixels_HWC: Pixels, *, supersample: int = 1) -> None:
        self.height_px, self.width_px = pixels_HWC.shape[:2]
        self.supersample = supersample
        image = Image.fromarray(pixels_HWC)
        if supersample > 1:
            size_px = (self.width_px * supersample, self.height_px * supersample)
            image = image.resize(size_px, Image.Resampling.NEAREST)
        self._image = image
        self._draw = ImageDraw.Draw(image, "RGBA")

    def pixels(self) -> Pixels:
        """Return the picture, uint8 ``[H, W, 3]``, averaged over the subpixels."""
        if self.supersample == 1:
            return np.array(self._image)
        return np.array(self._image.reduce(self.supersample))

    def polygon(self, points_P2: Points, colour: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon(self._flat(points_P2), fill=_ink(colour))

    def quads(self, points_Q42: NDArray[np.floating], colours_QC: NDArray[np.floating]) -> None:
        """Fill quadrilaterals in order, the later over the earlier."""
        flat_Q8 = (points_Q42 * self.supersample).reshape(len(points_Q42), 8).tolist()
        inks_QC = np.clip(colours_QC, 0, 255).astype(int).tolist()
        for corners, ink in zip(flat_Q8, inks_QC, strict=True):
            self._draw.polygon(corners, fill=tuple(ink))

    def ellipse(self, box_px: Sequence[float], colour: Colour) -> None:
        """Fill the ellipse that touches ``(left, top, right, bottom)``."""
        self._draw.ellipse([v * self.supersample for v in box_px], fill=_ink(colour))

    def rectangle(self, box_px: Sequence[float], colour: Colour, *, radius_px: float = 0) -> None:
        """Fill ``(left, top, right, bottom)``, with round corners where ``radius_px > 0``."""
        left, top, right, bottom = (v * self.supersample for v in box_px)
        if right <= left or bottom <= top:
            return
        radius = min(radius_px * self.supersample, (right - left) / 2, (bottom - top) / 2)
        self._draw.rounded_rectangle([left, top, right, bottom], radius, fill=_ink(colour))

    def line(self, points_P2: Points, colour: Colour, *, width_px: float) -> None:
        """Draw joined segments, never thinner than one subpixel."""
        width = max(1, round(width_px * self.supersample))
        self._draw.line(self._flat(points_P2), fill=_ink(colour), width=width, joint="curve")

    def gradient(self, top_px: float, bottom_px: float, first: Colour, last: Colour) -> None:
        """Fill full-width rows from ``top_px`` to ``bottom_px``, blending from first to last."""
        top = max(0, round(top_px * self.supersample))
        bottom = min(self._image.height, round(bottom_px * self.supersample))
        if bottom <= top:
            return
        share_H1 = np.linspace(0, 1, bottom - top)[:, None]
        rows_HC = np.asarray(first[:3]) * (1 - share_H1) + np.asarray(last[:3]) * share_H1
        strip = Image.fromarray(np.clip(rows_HC, 0, 255).astype(np.uint8)[:, None])
        strip = strip.resize((self._image.width, bottom - top), Image.Resampling.NEAREST)
        self._image.paste(strip, (0, top))

    def shadow(self, points_P2: Points, *, darkness: float, blur_px: float) -> None:
        """Darken a soft-edged polygon by the share ``darkness`` in ``[0, 1]``."""
        small = 4  # the edge is soft, so a quarter of the resolution is enough
        mask = Image.new("L", (self.width_px // small + 1, self.height_px // small + 1))
        flat = [(x / small, y / small) for x, y in np.asarray(points_P2).tolist()]
        ImageDraw.Draw(mask).polygon(flat, fill=round(255 * darkness))
        mask = mask.filter(ImageFilter.GaussianBlur(blur_px / small))
        mask = mask.resize(self._image.size, Image.Resampling.BILINEAR)
        self._image.paste((8, 8, 12), (0, 0), mask)

    def blur(self, radius_px: float) -> None:
        """Blur all that was drawn so far."""
        image = self._image.filter(ImageFilter.GaussianBlur(radius_px * self.supersample))
        self._image.paste(image)

    def text(self, center_px: Sequence[float], text: str, colour: Colour, *, px: float) -> None:
        """Write ``text`` about ``center_px`` in Pillow's built-in font, ``px`` high."""
        font = ImageFont.load_default(size=max(6, px * self.supersample))
        x, y = (v * self.supersample for v in center_px)
        self._draw.text((x, y), text, fill=_ink(colour), font=font, anchor="mm")

    def paste_tile(self, tile_HWC: Pixels, corners_42: Points) -> None:
        """Paste a picture in perspective onto four corners: top left, then clockwise."""
        corners = np.asarray(corners_42, float) * self.supersample
        low, high = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int)
        width, height = (int(v) for v in high - low + 1)
        if width < 2 or height < 2:
            return
        tile = Image.fromarray(tile_HWC)
        matrix = _perspective(corners - low, tile.width, tile.height)
        if matrix is None:
            return  # seen edge on: nothing to see
        args = ((width, height), Image.Transform.PERSPECTIVE, matrix, Image.Resampling.BILINEAR)
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).polygon((corners - low).ravel().tolist(), fill=255)
        self._image.paste(tile.transform(*args), (int(low[0]), int(low[1])), mask)

    def _flat(self, points_P2: Points) -> list[float]:
        """Return ``x0, y0, x1, ...`` in subpixels."""
        return (np.asarray(points_P2, float) * self.supersample).ravel().tolist()


def blur_pixels(pixels_HWC: Pixels, radius_px: float) -> Pixels:
    """Return the picture under a Gaussian blur of ``radius_px``."""
    return np.array(Image.fromarray(pixels_HWC).filter(ImageFilter.GaussianBlur(radius_px)))


def resize_pixels(pixels_HWC: Pixels, width_px: int, height_px: int) -> Pixels:
    """Return the picture at another size, antialiased."""
    image = Image.fromarray(pixels_HWC)
    return np.array(image.resize((width_px, height_px), Image.Resampling.BICUBIC))


def crop_pixels(pixels_HWC: Pixels, share: float) -> Pixels:
    """Return the picture without a border of ``share`` of its sides, ``0 <= share < 0.5``."""
    height, width = pixels_HWC.shape[:2]
    top, left = round(height * share), round(width * share)
    return np.ascontiguousarray(pixels_HWC[top : height - top, left : width - left])


def join_tiles(tiles: Sequence[Pixels], *, num_columns: int, tile_px: int = 200) -> Pixels:
    """Return a contact sheet: each picture fitted into a square tile, row by row.

    Args:
        tiles: Pictures, uint8 ``[H, W, 3]``.
        num_columns: Tiles in a row.
        tile_px: Side of a tile.

    Returns:
        uint8 ``[rows * tile_px, num_columns * tile_px, 3]``.

    Example:
        >>> join_tiles([np.zeros((30, 40, 3), np.uint8)] * 3, num_columns=2).shape
        (400, 400, 3)
    """
    num_rows = -(-len(tiles) // num_columns)
    sheet = Image.new("RGB", (num_columns * tile_px, num_rows * tile_px), (32, 32, 32))
    for number, tile in enumerate(tiles):
        image = Image.fromarray(tile)
        image.thumbnail((tile_px - 4, tile_px - 4))
        row, column = divmod(number, num_columns)
        left = column * tile_px + (tile_px - image.width) // 2
        sheet.paste(image, (left, row * tile_px + (tile_px - image.height) // 2))
    return np.array(sheet)


def encode_jpeg(pixels_HWC: Pixels, *, quality: int, orientation: int = 1) -> bytes:
    r"""Return a JPEG file; ``orientation`` other than 1 stores it turned, with the EXIF tag.

    Args:
        pixels_HWC: The upright picture, uint8 ``[H, W, 3]``.
        quality: 1..95, as Pillow counts.
        orientation: EXIF orientation 1, 3, 6 or 8.

    Returns:
        The bytes of the file; a viewer that honours the tag shows ``pixels_HWC``.

    Raises:
        ValueError: ``orientation`` is not 1, 3, 6 or 8.

    Example:
        >>> encode_jpeg(np.zeros((8, 8, 3), np.uint8), quality=80)[:2]
        b'\xff\xd8'
    """
    image = Image.fromarray(pixels_HWC)
    buffer = io.BytesIO()
    if orientation == 1:
        image.save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()
    if orientation not in STORED_TURN:
        raise ValueError(f"orientation must be 1, 3, 6 or 8, got {orientation}")
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    image.transpose(STORED_TURN[orientation]).save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def encode_png(pixels_HWC: Pixels) -> bytes:
    """Return a PNG file of the picture, uint8 ``[H, W, 3]``."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, "PNG")
    return buffer.getvalue()


def _ink(colour: Colour) -> tuple[int, ...]:
    """Return a colour as Pillow wants it."""
    return tuple(min(255, max(0, round(float(v)))) for v in colour)


def _perspective(
    corners_42: NDArray[np.floating], width: int, height: int
) -> tuple[float, ...] | None:
    """Return the eight numbers that map the corners back to a tile; None where they are flat."""
    rows, wanted = [], []
    tile_corners = [(0, 0), (width, 0), (width, height), (0, height)]
    for (x, y), (u, v) in zip(corners_42.tolist(), tile_corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    matrix_88 = np.array(rows)
    if abs(np.linalg.det(matrix_88 / np.abs(matrix_88).max())) < 1e-30:
        return None
    return tuple(np.linalg.solve(matrix_88, np.array(wanted, float)).tolist())
