"""timm's own loader, as a peer in benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from timm.data import ImageDataset, create_loader


def timm_batches(
    folder: Path,
    *,
    image_px: int,
    local_batch_size: int,
    num_workers: int,
    crop_scale_min: float,
    trains: bool,
) -> Iterator[int]:
    """Yield the sizes of batches that timm's loader makes, uint8, without end.

    Training: random resized crop and flip; else resize and centre crop. timm collates uint8 and
    normalises on the device; the normalising is left out, as in every other arm.

    Args:
        folder: Class folders.
        image_px: Side of the input.
        local_batch_size: Samples a batch, on this one process.
        num_workers: Worker processes.
        crop_scale_min: Smallest share of the area that a crop keeps.
        trains: Which of the two.
    """
    import torch

    prefetcher = create_loader(
        ImageDataset(str(folder)),
        input_size=(3, image_px, image_px),
        batch_size=local_batch_size,
        is_training=trains,
        scale=(crop_scale_min, 1.0),
        color_jitter=0.0,
        interpolation="bilinear",
        crop_pct=1.0,
        num_workers=num_workers,
        device=torch.device("cpu"),
        use_prefetcher=True,
        persistent_workers=True,
    )
    while True:
        for images, _ in prefetcher.loader:
            assert images.dtype == torch.uint8
            yield len(images)
