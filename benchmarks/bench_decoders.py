"""What decodes and shrinks fastest on one CPU thread: the libraries that were tried.

    python benchmarks/bench_decoders.py data/cars

Milliseconds a photo over the train split, median of some passes in turns, with the smallest and the
largest. Libraries that are not installed are left out; none but simplejpeg, Pillow, OpenCV and
torch is needed by carscale.
"""

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch
from PIL import Image

from carscale import data, images

SIDE = 224
Way = Callable[[int], object]


def decoders(encoded: list[bytes], boxes: list[tuple[int, int, int, int]]) -> dict[str, Way]:
    """Ways to decode photo ``i``."""
    ways: dict[str, Way] = {
        "simplejpeg": lambda i: simplejpeg.decode_jpeg(encoded[i]),
        "simplejpeg, fast DCT and upsampling": lambda i: simplejpeg.decode_jpeg(
            encoded[i], fastdct=True, fastupsample=True
        ),
    }
    for by in (2, 4, 8):
        ways[f"simplejpeg at 1/{by}"] = lambda i, by=by: images.decode_scaled(
            encoded[i], denominator=by
        )
    ways["OpenCV"] = lambda i: cv2.imdecode(
        np.frombuffer(encoded[i], np.uint8), cv2.IMREAD_COLOR_RGB
    )
    ways["Pillow"] = lambda i: np.asarray(Image.open(io.BytesIO(encoded[i])).convert("RGB"))
    ways["Pillow, draft to 448 px"] = lambda i: np.asarray(_draft(encoded[i]))
    for add in (_torchvision, _torchcodec, _spdl, _pyturbojpeg, _nvimgcodec):
        try:
            ways |= add(encoded, boxes)
        except Exception as error:  # not installed, or it wants a library that is not here
            print(f"{add.__name__[1:]}: {type(error).__name__}: {error}", file=sys.stderr)
    return ways


def _draft(photo: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(photo))
    image.draft("RGB", (2 * SIDE, 2 * SIDE))
    return image.convert("RGB")


def _torchvision(encoded, boxes) -> dict[str, Way]:
    from torchvision.io import decode_jpeg

    tensors = [torch.frombuffer(bytearray(photo), dtype=torch.uint8) for photo in encoded]
    return {"torchvision": lambda i: decode_jpeg(tensors[i])}


def _torchcodec(encoded, boxes) -> dict[str, Way]:
    from torchcodec.decoders import decode_image

    tensors = [torch.frombuffer(bytearray(photo), dtype=torch.uint8) for photo in encoded]
    decode_image(tensors[0])
    return {"torchcodec": lambda i: decode_image(tensors[i])}


def _spdl(encoded, boxes) -> dict[str, Way]:
    import spdl.io

    def decode(i: int) -> object:
        packets = spdl.io.demux_image(encoded[i])
        frames = spdl.io.decode_packets(packets, filter_desc="format=pix_fmts=rgb24")
        return spdl.io.to_numpy(spdl.io.convert_frames(frames))

    decode(0)
    return {"SPDL": decode}


def _pyturbojpeg(encoded, boxes) -> dict[str, Way]:
    from turbojpeg import TJPF_RGB, TurboJPEG

    codec = TurboJPEG()
    return {"PyTurboJPEG": lambda i: codec.decode(encoded[i], pixel_format=TJPF_RGB)}


def _nvimgcodec(encoded, boxes) -> dict[str, Way]:
    from nvidia import nvimgcodec as nv

    decoder = nv.Decoder(
        device_id=nv.NVIMGCODEC_DEVICE_CPU_ONLY,
        max_num_cpu_threads=1,
        backends=[nv.Backend(nv.BackendKind.CPU_ONLY)],
    )
    params = nv.DecodeParams(allow_any_depth=False, apply_exif_orientation=False)

    def whole(i: int) -> object:
        return np.asarray(decoder.decode(nv.CodeStream(encoded[i]), params=params).cpu())

    def region(i: int) -> object:
        left, top, right, bottom = boxes[i]
        part = nv.CodeStream(encoded[i]).get_sub_code_stream(
            region=nv.Region(top, left, bottom, right)
        )
        return np.asarray(decoder.decode(part, params=params).cpu())

    region(0)
    return {"nvImageCodec": whole, "nvImageCodec, region of 30 to 100 %": region}


def shrinkers(pixels: list[np.ndarray]) -> dict[str, Way]:
    """Ways to shrink decoded photo ``i``, and what follows at the output's size."""
    resize = torch.ops.aten._upsample_bilinear2d_aa
    squares = [cv2.resize(photo, (SIDE, SIDE)) for photo in pixels]
    turn_23 = np.array([[1.1, 0.05, 3], [-0.05, 1.1, 3.0]])
    grey_34 = np.full((3, 4), 0.3, np.float32)
    flags = cv2.WARP_INVERSE_MAP

    def torch_way(i: int) -> object:
        images_1CHW = torch.from_numpy(pixels[i])[None].permute(0, 3, 1, 2)
        return resize(images_1CHW, [SIDE, SIDE], False, None, None)

    def planar_way(i: int) -> object:
        images_1CHW = torch.from_numpy(pixels[i]).permute(2, 0, 1)[None]
        out = resize(images_1CHW, [SIDE, SIDE], False, None, None)
        return np.ascontiguousarray(out[0].permute(1, 2, 0).numpy())

    return {
        "torch, antialiased, uint8": torch_way,
        "the same through strides that look like NCHW": planar_way,
        "Pillow resize": lambda i: np.asarray(
            Image.fromarray(pixels[i]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        ),
        "OpenCV INTER_AREA": lambda i: cv2.resize(
            pixels[i], (SIDE, SIDE), interpolation=cv2.INTER_AREA
        ),
        "OpenCV INTER_LINEAR, not antialiased": lambda i: cv2.resize(pixels[i], (SIDE, SIDE)),
        "warp, linear": lambda i: cv2.warpAffine(
            squares[i], turn_23, (SIDE, SIDE), flags=cv2.INTER_LINEAR | flags
        ),
        "warp, cubic": lambda i: cv2.warpAffine(
            squares[i], turn_23, (SIDE, SIDE), flags=cv2.INTER_CUBIC | flags
        ),
        "colour matrix": lambda i: cv2.transform(squares[i], grey_34),
    }


def measure(ways: dict[str, Way], count: int, num_passes: int) -> dict[str, list[float]]:
    """Milliseconds a photo of each way, a pass after the other."""
    taken = {name: [] for name in ways}
    for number in range(num_passes + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            for i in range(count):
                way(i)
            if number:
                taken[name].append((time.perf_counter() - start) / count * 1e3)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", help="frozen folder")
    parser.add_argument("--most", type=int, default=300, help="photos")
    parser.add_argument("--passes", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    split = data.read_splits(Path(args.root)).train
    count = min(args.most, len(split))
    encoded = [split.read_bytes(row) for row in range(count)]
    rng = np.random.default_rng(0)
    boxes = []
    for width, height in split.sizes_N2[:count].tolist():
        share = np.sqrt(rng.uniform(0.3, 1))
        w, h = int(width * share), int(height * share)
        left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
        boxes.append((left, top, left + w, top + h))
    ways = decoders(encoded, boxes)
    pixels = [simplejpeg.decode_jpeg(photo) for photo in encoded]
    print(f"{count} photos, median {np.median(split.sizes_N2[:count], axis=0).tolist()} px")
    print("| way | ms a photo | min to max |\n|---|---|---|")
    for kind in (ways, shrinkers(pixels)):
        for name, values in measure(kind, count, args.passes).items():
            print(
                f"| {name} | {statistics.median(values):.3f} "
                f"| {min(values):.3f} to {max(values):.3f} |"
            )


if __name__ == "__main__":
    main()
