"""Photos as bytes and as pixels; the door to Pillow, simplejpeg and OpenCV. No torch.

In: the bytes of a file. Out: its verdict (kept, made plain, refused), or uint8 RGB ``[H, W, 3]``.

- ``codec``: what a frozen file is, strict decode, encode, smaller copies.
- ``pixels``: scaled decode, antialiased resize of a region, one warp, colour: what backends on the
  CPU render with.
- ``canvas``: a drawing surface for the demo photos.

Chosen for JPEG: simplejpeg (libjpeg-turbo, releases the GIL) at 1/1, 1/2, 1/4 or 1/8, then Pillow's
antialiased ``resize(box=)``, which takes a box of fractions of a pixel. Rejected: 5/8 and the like
(their IDCT has no SIMD: 0.34 ms against 0.28 ms for the whole 328x192 photo), OpenCV's
``INTER_AREA`` (faster, but another filter than every other backend's).
"""

from carscale.images.codec import (
    BadPhotoError,
    Photo,
    encode_png,
    is_photo_name,
    quiet_decoders,
    read_photo,
    shrink,
    thumbnail,
)
from carscale.images.pixels import change_colour, decode, decode_scaled, resize_box, warp

__all__ = [
    "BadPhotoError",
    "Photo",
    "change_colour",
    "decode",
    "decode_scaled",
    "encode_png",
    "is_photo_name",
    "quiet_decoders",
    "read_photo",
    "resize_box",
    "shrink",
    "thumbnail",
    "warp",
]
