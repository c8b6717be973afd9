"""Photos as bytes and as pixels; the door to Pillow, simplejpeg and OpenCV. No torch.

In: the bytes of a file. Out: its verdict (kept, converted, refused), or uint8 RGB ``[H, W, 3]``.

- ``box``: around a car in a photo, from an annotation to whole pixels.
- ``codec``: what a frozen file is, strict decode, encode, smaller copies.
- ``pixels``: scaled decode and one warp: what backends on the CPU render with.
- ``effects``: colour and the ops of op lists.
- ``photo_stats``: light, sharpness, information of a photo; ``phash``: perceptual hashes;
  ``overlay``: do two photos show the same?
- ``composite``: a car cut out, put on another ground; ``viewpoint``: a camera turned.
- ``canvas``: a drawing surface for the demo photos.

Chosen for JPEG: simplejpeg (libjpeg-turbo, releases the GIL) at 1/1, 1/2, 1/4 or 1/8. Rejected: 5/8
and the like (their IDCT has no SIMD: 0.34 ms against 0.28 ms for the whole 328x192 photo).
Rejected: decoding only a region. Huffman decoding of all that lies before it remains: with crops of
30 to 100 % nvImageCodec's region took 0.67 ms a 537x272 photo against 0.70 ms for simplejpeg's
whole one, and 8.2 ms like the other for large ones; libjpeg-turbo's own crop has no maintained
wrapper in wheels (PyTurboJPEG crops files, not pixels): benchmarks/decoders_cpu2_2026-11.md.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
