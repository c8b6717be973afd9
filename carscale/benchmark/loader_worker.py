"""The process of one arm of ``carscale benchmark loaders``: makes batches on command.

Reads a round a line from stdin (JSON: images to skip, images to time), answers with a line; ends
when stdin does. Run as ``python -m carscale.benchmark.loader_worker SPEC``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil

from carscale import config
from carscale.errors import CarscaleError

Spec = dict[str, Any]

ON_GPU = ("dali_gpu", "dali-stock-gpu", "model")
"""Arms that use a GPU where there is one."""

FAR = 10**9
"""Steps that no benchmark reaches."""


def main() -> None:
    """Answer rounds until stdin ends; say an error of ours in its own words."""
    try:
        _serve()
    except CarscaleError as error:
        sys.exit(f"{type(error).__name__}: {error}")


def _serve() -> None:
    """Answer rounds until stdin ends."""
    spec = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may chat
    gpu_before_gib = _gpu_memory_gib(spec)
    start = time.perf_counter()
    batches = ARMS[spec["arm"]](spec)
    next(batches)
    first_batch_s = time.perf_counter() - start
    gpu_memory_gib = max(0.0, _gpu_memory_gib(spec) - gpu_before_gib)
    _answer(answers, first_batch_s=first_batch_s, gpu_memory_gib=gpu_memory_gib)
    for line in sys.stdin:
        wanted = json.loads(line)
        _take(batches, wanted["num_skipped"])
        cpu_s, start = _cpu_s(), time.perf_counter()
        num_images = _take(batches, wanted["num_images"])
        elapsed_s = time.perf_counter() - start
        _answer(
            answers,
            num_images=num_images,
            elapsed_s=elapsed_s,
            cpu_s=_cpu_s() - cpu_s,
            memory_gib=_memory_gib(),
        )


def _answer(stream: Any, **facts: float) -> None:  # noqa: ANN401 - a text stream
    """Write a line to the parent."""
    stream.write(json.dumps(facts) + "\n")
    stream.flush()


def _take(batches: Iterator[int], num_images: int) -> int:
    """Take batches of at least so many images; return how many they held."""
    num_taken = 0
    while num_taken < num_images:
        num_taken += next(batches)
    return num_taken


def _family() -> list[psutil.Process]:
    """Return this process and its workers."""
    mine = psutil.Process()
    return [mine, *mine.children(recursive=True)]


def _cpu_s() -> float:
    """Return the seconds of CPU that this process and its workers took."""
    times = [process.cpu_times() for process in _family()]
    return sum(spent.user + spent.system for spent in times)


def _memory_gib() -> float:
    """Return the memory of this process and its workers; shared pages count once."""
    infos = [process.memory_full_info() for process in _family()]
    return sum(getattr(info, "pss", info.rss) for info in infos) / 2**30


def _gpu_memory_gib(spec: Spec) -> float:
    """Return the memory in use on the GPU, all processes together; 0 for arms that need none.

    Arms start one after the other, so the growth until the first batch is the arm's own.
    """
    if spec["arm"] not in ON_GPU:
        return 0.0
    import torch

    if not torch.cuda.is_available():
        return 0.0
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 2**30


def _carscale(spec: Spec) -> Iterator[int]:
    """Yield batch sizes of one of our backends, policy ``simple`` or the plain view."""
    from carscale import augment, data, loaders
    from carscale.types import View
    from carscale.world import open_world

    view = View(spec["image_px"], fit=spec["fit"])
    split = data.read_splits(Path(spec["root"])).train
    cfg = config.Loader(
        backend=spec["arm"],
        global_batch_size=spec["local_batch_size"],
        eval_batch_size=spec["local_batch_size"],
        num_threads=spec["num_threads"],
    )
    with open_world(num_cpu_threads=spec["num_threads"]) as world:
        if spec["view"] == "plain":
            loader = loaders.eval_loader(cfg, split, view, world)
            while True:
                yield from (len(batch.ids_B) for batch in loader)
        policy = augment.policy(_augment(spec), view)
        batches = loaders.train_loader(cfg, split, policy, world, seed=0).batches(0, FAR, 1)
        yield from (len(batch.ids_B) for batch in batches)


def _augment(spec: Spec) -> config.Augment:
    """Return what all arms do to train photos: a random resized crop and a flip."""
    return config.Augment(policy="simple", crop_scale_min=spec["crop_scale_min"])


def _torchvision(spec: Spec) -> Iterator[int]:
    """Yield batch sizes of torchvision's folder and transforms in a ``DataLoader``."""
    import torch
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    side = spec["image_px"]
    if spec["view"] == "plain":
        steps = [v2.Resize(side), v2.CenterCrop(side)]
    else:
        scale = (spec["crop_scale_min"], 1.0)
        steps = [v2.RandomResizedCrop(side, scale=scale), v2.RandomHorizontalFlip()]
    loader = torch.utils.data.DataLoader(
        ImageFolder(_train_folder(spec), v2.Compose([*steps, v2.PILToTensor()])),
        batch_size=spec["local_batch_size"],
        shuffle=spec["view"] == "train",
        num_workers=spec["num_threads"],
        persistent_workers=True,
    )
    while True:
        yield from (len(labels) for _, labels in loader)


def _timm(spec: Spec) -> Iterator[int]:
    """Yield batch sizes of timm's loader."""
    from carscale.models.stock_loader import timm_batches

    return timm_batches(
        Path(_train_folder(spec)),
        image_px=spec["image_px"],
        local_batch_size=spec["local_batch_size"],
        num_workers=spec["num_threads"],
        crop_scale_min=spec["crop_scale_min"],
        trains=spec["view"] == "train",
    )


def _dali(spec: Spec) -> Iterator[int]:
    """Yield batch sizes of DALI's own reader and operators."""
    from carscale.loaders.dali_stock import dali_batches

    return dali_batches(
        Path(_train_folder(spec)),
        image_px=spec["image_px"],
        local_batch_size=spec["local_batch_size"],
        num_threads=spec["num_threads"],
        crop_scale_min=spec["crop_scale_min"],
        trains=spec["view"] == "train",
        device_id=0 if spec["arm"] == "dali-stock-gpu" else None,
    )


def _floor(spec: Spec) -> Iterator[int]:
    """Yield batch sizes of libjpeg-turbo alone: whole photos from memory, on all cores."""
    from carscale import data

    split = data.read_splits(Path(spec["root"])).train
    encoded = [split.read_bytes(row) for row in range(min(len(split), spec["num_in_memory"]))]
    size = spec["local_batch_size"]
    chunks = cycle([encoded[at : at + size] for at in range(0, len(encoded), size)])
    with ThreadPoolExecutor(spec["num_threads"]) as pool:
        ahead = [pool.submit(_decode_all, next(chunks)) for _ in range(2 * spec["num_threads"])]
        while True:
            done = ahead.pop(0)
            ahead.append(pool.submit(_decode_all, next(chunks)))
            yield done.result()


def _decode_all(encoded: list[bytes]) -> int:
    """Decode photos and drop them."""
    from carscale import images

    for photo in encoded:
        images.decode(photo)
    return len(encoded)


def _model(spec: Spec) -> Iterator[int]:
    """Yield batch sizes of the model on images that lie ready: a train step, or a forward pass."""
    from carscale import models
    from carscale.types import CarClass, View
    from carscale.world import open_world

    cfg = config.Model(name=spec["model"], pretrained=False)
    view = View(spec["image_px"])
    classes = tuple(CarClass(f"class {k}", f"class {k}") for k in range(spec["num_classes"]))
    with open_world(precision="auto", num_cpu_threads=spec["num_threads"]) as world:
        step = models.stepper(
            models.build(cfg, view, classes).to(world.device),
            num_images=spec["local_batch_size"],
            image_px=spec["image_px"],
            device=world.device,
            trains=spec["view"] == "train",
            autocast=world.accelerator.autocast,
        )
        while True:
            step()
            yield spec["local_batch_size"]


def _train_folder(spec: Spec) -> str:
    """Return the class folders that peers read."""
    return str(Path(spec["root"]) / "train")


ARMS: dict[str, Callable[[Spec], Iterator[int]]] = {
    "torch": _carscale,
    "dali_cpu": _carscale,
    "dali_gpu": _carscale,
    "torchvision": _torchvision,
    "timm": _timm,
    "dali-stock": _dali,
    "dali-stock-gpu": _dali,
    "floor": _floor,
    "model": _model,
}
"""What can run: our backends, peers, the decoder alone, the model alone."""


if __name__ == "__main__":
    main()
