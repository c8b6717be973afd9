"""Photos as bytes and as pixels; the door to Pillow, simplejpeg and OpenCV. No torch.

In: the bytes of a file. Out: its verdict (kept, made plain, refused), or uint8 RGB ``[H, W, 3]``.

- ``codec``: what a frozen file is, strict decode, encode, smaller copies.
- ``pixels``: scaled decode and one warp: what backends on the CPU render with.
- ``effects``: colour and the ops of op lists.
- ``attributes``: light, sharpness, information, what a photo is like; ``looks``: perceptual hashes.
- ``canvas``: a drawing surface for the demo photos.

Chosen for JPEG: simplejpeg (libjpeg-turbo, releases the GIL) at 1/1, 1/2, 1/4 or 1/8. Rejected: 5/8
and the like (their IDCT has no SIMD: 0.34 ms against 0.28 ms for the whole 328x192 photo).
Rejected: decoding only a region. Huffman decoding of all that lies before it remains: with crops of
30 to 100 % nvImageCodec's region took 0.67 ms a 537x272 photo against 0.70 ms for simplejpeg's
whole one, and 8.2 ms like the other for large ones; libjpeg-turbo's own crop has no maintained
wrapper in wheels (PyTurboJPEG crops files, not pixels): benchmarks/decoders_cpu2_2026-11.md.
"""

from carscale.images.attributes import (
    MEASURE_VERSION,
    SIGNATURE_PX,
    Attributes,
    measure,
)
from carscale.images.codec import (
    BadPhotoError,
    Photo,
    encode_png,
    is_photo_name,
    jpeg_quality,
    photo_strip,
    quiet_decoders,
    read_photo,
    shrink,
    thumbnail,
)
from carscale.images.effects import (
    add_noise,
    blur,
    change_colour,
    colour_matrix,
    jpeg,
    noise_plate,
    posterize,
    sharpen,
    solarize,
)
from carscale.images.looks import cut_each, cut_looks, hash_looks
from carscale.images.pixels import decode, decode_scaled, mirror, warp

__all__ = [
    "MEASURE_VERSION",
    "SIGNATURE_PX",
    "Attributes",
    "BadPhotoError",
    "Photo",
    "add_noise",
    "blur",
    "change_colour",
    "colour_matrix",
    "cut_each",
    "cut_looks",
    "decode",
    "decode_scaled",
    "encode_png",
    "hash_looks",
    "is_photo_name",
    "jpeg",
    "jpeg_quality",
    "measure",
    "mirror",
    "noise_plate",
    "photo_strip",
    "posterize",
    "quiet_decoders",
    "read_photo",
    "sharpen",
    "shrink",
    "solarize",
    "thumbnail",
    "warp",
]
