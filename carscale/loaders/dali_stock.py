"""DALI's own reader and random crop, as a peer in benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from nvidia.dali import fn, pipeline_def, types


def dali_batches(
    folder: Path,
    *,
    image_px: int,
    local_batch_size: int,
    num_threads: int,
    crop_scale_min: float,
    trains: bool,
    device_id: int | None,
) -> Iterator[int]:
    """Yield the sizes of batches of ``readers.file`` and DALI's own operators, uint8, without end.

    Training: ``image_random_crop``, resize, coin flip, as in DALI's ImageNet example; else resize
    of the short side and centre crop.

    Args:
        folder: Class folders.
        image_px: Side of the input.
        local_batch_size: Samples a batch.
        num_threads: CPU threads.
        crop_scale_min: Smallest share of the area that a crop keeps.
        trains: Which of the two.
        device_id: A GPU, or ``None`` for the CPU.
    """
    pipe = _stock(
        str(folder),
        image_px,
        crop_scale_min,
        trains,
        "cpu" if device_id is None else "mixed",
        batch_size=local_batch_size,
        num_threads=num_threads,
        device_id=device_id,
    )
    pipe.build()
    while True:
        squares, _ = pipe.run()
        yield len(torch.from_dlpack(squares.as_tensor()))


@pipeline_def
def _stock(
    folder: str, image_px: int, crop_scale_min: float, trains: bool, device: str
) -> tuple[Any, Any]:
    """State the pipeline."""
    encoded, labels = fn.readers.file(file_root=folder, random_shuffle=trains)
    if not trains:
        pixels = fn.decoders.image(encoded, device=device, output_type=types.RGB)
        pixels = fn.resize(pixels, resize_shorter=image_px)
        return fn.crop(pixels, crop=(image_px, image_px)), labels
    pixels = fn.decoders.image_random_crop(
        encoded,
        device=device,
        output_type=types.RGB,
        random_area=[crop_scale_min, 1.0],
        random_aspect_ratio=[3 / 4, 4 / 3],
    )
    pixels = fn.resize(pixels, size=[image_px, image_px])
    return fn.flip(pixels, horizontal=fn.random.coin_flip()), labels
