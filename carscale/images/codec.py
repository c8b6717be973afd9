"""What a file is, and its bytes as every reader understands them."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from carscale import file_kinds
from carscale.images.box import BadBoxError, Box
from carscale.images.pixels import FORMATS, decode, size_problem

if TYPE_CHECKING:
    from numpy.typing import NDArray


ORIENTATION = 0x0112  # EXIF tag
ICO_START = b"\0\0\1\0"
PNG_START = b"\x89PNG\r\n\x1a\n"
_SUFFIXES = "avif bmp gif heic heif hif ico jfif jp2 jpe jpeg jpg mpo pgm png ppm tga tif tiff webp"
PHOTO_SUFFIXES = frozenset(f".{kind}" for kind in _SUFFIXES.split())
STANDARD_LUMA_SUM = 3688
"""Of the 64 steps of table K.1 in ITU-T T.81."""
LOSSY_FORMATS = frozenset({"JPEG", "MPO", "WEBP", "AVIF", "HEIF", "JPEG2000"})
SUBFILE, SUBFOLDERS, DNG_VERSION = 254, 330, 50706  # TIFF tags


class BadPhotoError(Exception):
    """A file that can't be used as a photo; the text is the reason for the quarantine list."""


@dataclass(frozen=True)
class Photo:
    """One photo as it will be frozen.

    Attributes:
        content: The frozen bytes: baseline or progressive JPEG, or PNG; 8-bit RGB or grey; upright.
        suffix: ``.jpg`` or ``.png``, by content.
        width, height: Upright pixels.
        original_mode: Pillow's name of the original's pixels.
        original_orientation: EXIF orientation, 1 to 8.
        normalised: Why ``content`` is not the original's bytes; empty when it is.
    """

    content: bytes
    suffix: str
    width: int
    height: int
    original_mode: str
    original_orientation: int
    normalised: str


def is_photo_name(name: str) -> bool:
    """Tell whether a file's name ends like a photo's."""
    return Path(name).suffix.lower() in PHOTO_SUFFIXES


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Silence warnings about odd metadata while many files are read.

    Put it around the pool, not in a thread.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_photo(data: bytes, box: Box | None = None) -> Photo:
    """Decode a file's bytes fully and strictly, and convert what would trip a reader.

    Kept byte for byte: 8-bit grey or YCbCr JPEG and 8-bit grey or RGB PNG, upright, without alpha
    or animation.
    All else becomes that: EXIF orientation is applied, CMYK, 16-bit, palette and alpha (on white)
    become RGB, an animation its first frame; lossy formats become JPEG of quality 95 without chroma
    subsampling, others PNG. So does what is cut out.

    Args:
        data: The bytes.
        box: What is cut out of the upright photo.

    Raises:
        BadPhotoError: The bytes are empty, no picture, cut short, or too large; or no such box can
            be cut out.
    """
    if not data:
        raise BadPhotoError("empty file")
    try:
        _check_sums(data)
        with _opened(data) as image:
            orientation, exif_is_whole = _orientation(image)
            reason = _why_convert(image, data, orientation, exif_is_whole)
            if not reason:
                reason = _strict_decode(image, data)
            if not reason and box is None:
                suffix = ".png" if image.format == "PNG" else ".jpg"
                return Photo(data, suffix, *image.size, image.mode, orientation, "")
            return _converted(image, orientation, reason, box)
    except BadPhotoError:
        raise
    except BadBoxError as error:
        raise BadPhotoError(str(error)) from error
    except MemoryError:
        raise
    except (
        Exception
    ) as error:  # hostile bytes raise anything: struct.error, IndexError, SyntaxError
        raise BadPhotoError(_reason(error, data)) from error


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open a picture, of which only the header is read, unless it is too large to decode."""
    for size in _icon_sizes(data):
        if problem := size_problem(*size):
            raise BadPhotoError(problem)
    with Image.open(io.BytesIO(data), formats=_formats(data)) as image:
        if image.format == "TIFF" and _is_raw(image):
            raise BadPhotoError(str(file_kinds.RAW))
        if problem := size_problem(*image.size):
            raise BadPhotoError(problem)
        yield image


def _formats(data: bytes) -> tuple[str, ...]:
    """Return the formats that a file may have; HEIC, which Pillow does not read, by an extra."""
    if file_kinds.kind_of(data) is not file_kinds.HEIC:
        return (*FORMATS, "ICO")
    try:
        import pi_heif
    except ImportError as error:
        raise BadPhotoError(str(file_kinds.HEIC)) from error
    pi_heif.register_heif_opener()
    return ("HEIF",)


def _is_raw(image: Any) -> bool:  # noqa: ANN401 - Pillow's TIFF, which its types don't name
    """Tell whether a TIFF is a camera's raw file, of which only a small preview can be read."""
    is_preview = bool(image.tag_v2.get(SUBFILE, 0) & 1)
    return DNG_VERSION in image.tag_v2 or (is_preview and SUBFOLDERS in image.tag_v2)


def _icon_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the sizes of the pictures in an icon, which Pillow decodes as it opens it."""
    if not data.startswith(ICO_START) or len(data) < 6:
        return
    for number in range(struct.unpack_from("<H", data, 4)[0]):
        entry = data[6 + 16 * number :][:16]
        if len(entry) < 16:
            return
        head = data[struct.unpack_from("<I", entry, 12)[0] :][:24]
        if head.startswith(PNG_START) and len(head) == 24:
            yield struct.unpack_from(">II", head, 16)
        elif len(head) == 24:  # a bitmap; twice as high, for its mask
            width, height = struct.unpack_from("<ii", head, 4)
            yield abs(width), abs(height) // 2


def encode_png(pixels_HWC: NDArray[np.uint8]) -> bytes:
    """Return RGB pixels as the bytes of a PNG."""
    sink = io.BytesIO()
    Image.fromarray(pixels_HWC).save(sink, "PNG")
    return sink.getvalue()


def shrink(data: bytes, max_px: int, *, quality: int) -> tuple[bytes, int, int]:
    """Return a frozen photo as a JPEG whose longer side is ``max_px``, its width and its height.

    Lanczos after decoding at the smallest scale of at least three times the size: within 53 dB of
    decoding in full, and twice as fast. Grey stays grey; metadata are left behind.

    Args:
        data: A plain photo, as ``read_photo`` returns it, with a longer side above ``max_px``.
        max_px: Longer side of the result.
        quality: Of the JPEG, 1 to 100; colour is kept at full resolution.

    Raises:
        BadPhotoError: The bytes can't be decoded.
    """
    try:
        with _opened(data) as image:
            image.thumbnail((max_px, max_px), Image.Resampling.LANCZOS, reducing_gap=3.0)
            sink = io.BytesIO()
            image.save(sink, "JPEG", quality=quality, subsampling=0, comment=b"")
            return sink.getvalue(), image.width, image.height
    except MemoryError:
        raise
    except Exception as error:  # as in read_photo
        raise BadPhotoError(_reason(error, data)) from error


def thumbnail(data: bytes, max_px: int) -> bytes:
    """Return any picture as a small upright JPEG, longer side at most ``max_px``.

    Raises:
        BadPhotoError: The bytes can't be read as a photo.
    """
    try:
        with _opened(data) as image:
            image.draft("RGB", (max_px, max_px))
            upright = ImageOps.exif_transpose(image).convert("RGB")
            upright.thumbnail((max_px, max_px))
            sink = io.BytesIO()
            upright.save(sink, "JPEG", quality=85)
            return sink.getvalue()
    except BadPhotoError:
        raise
    except Exception as error:  # as in read_photo
        raise BadPhotoError(_reason(error, data)) from error


def jpeg_quality(data: bytes) -> float | None:
    """Return about how strongly a JPEG was compressed, as libjpeg counts quality; 100 is least.

    From the mean of its luma quantisation table against that of libjpeg's standard table; an
    encoder of other tables gets the number that is as coarse on average.

    Returns:
        0 to 100; ``None`` for what is no JPEG.

    Example:
        >>> jpeg_quality(b"no photo") is None
        True
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            table = getattr(image, "quantization", {}).get(0)
    except MemoryError:
        raise
    except Exception:  # as in read_photo
        return None
    if not table:
        return None
    scale = 100 * sum(table) / STANDARD_LUMA_SUM
    return max(0.0, 100 - scale / 2 if scale <= 100 else 5000 / scale)


def photo_strip(photos: Sequence[bytes], *, width: int, height: int) -> bytes:
    """Return pictures side by side as one small JPEG, each cut at its sides to fill its place.

    Args:
        photos: Any pictures; one that can't be read leaves its place grey.
        width: Of a place, pixels.
        height: Of all, pixels.
    """
    strip = Image.new("RGB", (max(1, len(photos)) * width, height), (128, 128, 128))
    for place, content in enumerate(photos):
        try:
            strip.paste(_filling(content, width, height), (place * width, 0))
        except MemoryError:
            raise
        except Exception:  # as in read_photo; the place stays grey
            continue
    sink = io.BytesIO()
    strip.save(sink, "JPEG", quality=80)
    return sink.getvalue()


def _filling(content: bytes, width: int, height: int) -> Image.Image:
    """Return a picture cut and shrunk to a size."""
    with _opened(content) as image:
        image.draft("RGB", (2 * width, 2 * height))
        return ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), (width, height))


def _reason(error: Exception, data: bytes) -> str:
    """Return one line that says why a file is refused: what it is, where that is known."""
    if isinstance(error, UnidentifiedImageError):
        kind = file_kinds.kind_of(data)
        if kind is file_kinds.HEIC:  # its reader is there
            return f"can't be decoded: {kind.name}, damaged or cut short"
        return f"no image: {kind}" if kind else "no image"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"can't be decoded: {text[:160]}"


def _orientation(image: Image.Image) -> tuple[int, bool]:
    """Return the EXIF orientation, and whether the EXIF block could be read at all."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # broken EXIF raises anything
        return 1, False
    return (value, True) if value in range(1, 9) else (1, value in (None, 0))


def _why_convert(image: Image.Image, data: bytes, orientation: int, exif_is_whole: bool) -> str:
    """Say from the header what would trip a reader; empty when nothing would."""
    if not exif_is_whole:
        return "broken EXIF"
    if orientation != 1:
        return f"EXIF orientation {orientation}"
    if image.format not in ("JPEG", "PNG"):
        return f"format {image.format}"
    if image.mode not in ("RGB", "L"):
        return f"mode {image.mode}"
    if image.format == "JPEG":
        return ""
    if getattr(image, "is_animated", False):
        return "animation"
    if "transparency" in image.info:
        return "transparent colour"
    return "" if data[24] == 8 else f"{data[24]} bits a channel"  # IHDR bit depth


def _check_sums(data: bytes) -> None:
    """Raise when a PNG's check sums are wrong: libpng minds, Pillow's decoder does not."""
    if data.startswith(PNG_START):
        with _opened(data) as image:
            image.verify()


def _strict_decode(image: Image.Image, data: bytes) -> str:
    """Decode every pixel; return why the strict reader objects where the lenient one does not."""
    if image.format == "PNG":
        image.load()
        return ""
    try:
        _, _, colour, _ = simplejpeg.decode_jpeg_header(data)
        if colour not in ("YCbCr", "Gray"):
            return f"JPEG colours {colour}"
        simplejpeg.decode_jpeg(data)
    except ValueError as error:
        image.load()  # raises when the file is cut short
        return f"JPEG warning: {' '.join(str(error).split())[:80]}"
    return ""


def _converted(image: Image.Image, orientation: int, reason: str, box: Box | None) -> Photo:
    """Return an upright 8-bit RGB copy of a picture's first frame, or of a box in it."""
    mode, source_format = image.mode, image.format
    image.seek(0)
    image.load()
    upright = ImageOps.exif_transpose(image) if orientation != 1 else image
    pixels = _to_rgb(upright)
    if box is not None:
        pixels = pixels.crop(box.edges(pixels.size, orientation))
        reason = ", ".join(filter(None, ("cropped to its box", reason)))
    suffix = ".jpg" if source_format in LOSSY_FORMATS else ".png"
    return Photo(_encoded(pixels, suffix), suffix, *pixels.size, mode, orientation, reason)


def _encoded(pixels: Image.Image, suffix: str) -> bytes:
    """Return the bytes of a picture that was read back; without metadata if it can't be with them.

    A colour profile or comment may be larger than a writer writes or a reader reads.

    Raises:
        ValueError: It can't be read back.
    """
    options = {"quality": 95, "subsampling": 0} if suffix == ".jpg" else {}
    bare = pixels.copy()
    bare.info.clear()
    for picture in (pixels, bare):
        sink = io.BytesIO()
        try:
            picture.save(sink, "JPEG" if suffix == ".jpg" else "PNG", **options)
            height, width, _ = decode(sink.getvalue()).shape
        except (OSError, ValueError, struct.error):
            if picture is bare:
                raise
            continue
        if (width, height) == picture.size:
            return sink.getvalue()
    raise ValueError("what was written can't be read back")


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB pixels; alpha lies on white, 16 bits lose the lower 8."""
    if image.mode.startswith("I"):
        values: NDArray[Any] = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise BadPhotoError("32-bit pixels without a stated range")
        shift = 8 if image.mode != "I" or values.max() > 255 else 0
        return Image.fromarray((values.astype(np.int64) >> shift).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise BadPhotoError("float pixels without a stated range")
    has_alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if not has_alpha:
        pixels = image.convert("RGB")
        if image.mode == "LAB":
            pixels.info.pop("icc_profile", None)  # made on the spot, with the time in it
        return pixels
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
