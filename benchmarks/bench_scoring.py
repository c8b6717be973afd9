"""How fast photos are scored, against timm's bare network on the same machine at the same time.

    python benchmarks/bench_scoring.py data/lt66 --image-px 224 --photos 128 --rounds 7

Rounds go through the arms in turn, in one process, so each ratio is of the same round. Prints
medians, and the smallest and largest of the rounds.

Arms: ``timm`` the network as timm makes it, ``channels_last``, on float batches that lie ready, as
many photos at once as ``evaluate`` decodes; ``timm-4`` the same, four photos at once;
``copy`` the network that ``models.for_scoring`` makes of it, on bytes that lie ready; ``predict``
all that ``carscale evaluate`` does from JPEG files to predictions; ``before`` the same with the
network that trains, a whole batch at once, as it was until 2026-11.
"""

import argparse
import dataclasses
import statistics
import time
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from carscale.world import open_world  # isort: skip - sets how OpenMP waits; torch reads it

import timm
import torch

from carscale import config, data, evaluation, loaders, models
from carscale.evaluation import prediction
from carscale.evaluation.in_parts import Seen, in_parts

AGAINST = "timm"


def first(split, num_photos: int):
    """Return the first photos of a split."""
    names = [one.name for one in dataclasses.fields(split) if one.name.endswith(("_N", "_N2"))]
    parts = {name: getattr(split, name)[:num_photos] for name in names}
    return dataclasses.replace(split, **parts)


@contextmanager
def whole(model, world, seen):
    """Stand in for ``in_parts``: a batch at once, every layer on all cores."""
    yield model


def with_statistics(net: torch.nn.Module) -> None:
    """Give batch norms statistics and factors of their own, as training does."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.7, 1.3)


def read_options() -> argparse.Namespace:
    """Return what the command line asks for."""
    options = argparse.ArgumentParser()
    options.add_argument("root", type=Path)
    options.add_argument("--name", default="tf_efficientnet_lite0")
    options.add_argument("--image-px", type=int, default=224)
    options.add_argument("--photos", type=int, default=128)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--threads", type=int, default=0, help="decoding threads; 0: the cores")
    return options.parse_args()


def main() -> None:
    """Time the arms and print a table."""
    asked = read_options()
    cfg = config.Recipe(
        data=config.Data(root=str(asked.root), image_px=asked.image_px),
        model=config.Model(name=asked.name, pretrained=False),
        loader=config.Loader(num_threads=asked.threads),
    )
    with open_world(precision="fp32") as world:
        splits = data.load(cfg.data)
        split = first(splits.val, asked.photos)
        view = models.preprocessing(cfg.model, cfg.data)
        loader = loaders.eval_loader(cfg.loader, split, view, world)
        model = models.build(cfg.model, view, splits.classes).eval()
        with_statistics(model.net)
        bare = timm.create_model(asked.name, num_classes=len(splits.classes)).eval()
        bare.load_state_dict(model.net.state_dict())
        bare = bare.to(memory_format=torch.channels_last)
        images = [batch.images_BCHW for batch in loader]
        floats = [(one.float() - model.mean_C11) * model.factor_C11 for one in images]
        quick = models.for_scoring(model, asked.image_px)

        def timm_arm(at_once: int) -> None:
            for batch in floats:
                for part in torch.split(batch, at_once):
                    bare(part)

        def before() -> None:
            same = mock.patch.object(models, "for_scoring", lambda model, image_px: model)
            with same, mock.patch.object(prediction, "in_parts", whole):
                evaluation.predict(model, loader, world)

        def copy_arm() -> None:
            with in_parts(quick, world, Seen()) as logits:
                for batch in images:
                    logits(batch)

        arms = {
            "timm": lambda: timm_arm(10**6),
            "timm-4": lambda: timm_arm(4),
            "copy": copy_arm,
            "before": before,
            "predict": lambda: evaluation.predict(model, loader, world),
        }
        with torch.inference_mode():
            pairs = [(bare(f), quick(i)) for f, i in zip(floats, images, strict=True)]
            off = max(float((one - other).abs().max()) for one, other in pairs)
            size = max(float(one.abs().max()) for one, _ in pairs)
            rates = timed(arms, len(split), asked.rounds)
        num_threads = torch.get_num_threads()
    print(f"{asked.name} at {asked.image_px} px, {len(split)} photos, {num_threads} threads")
    print(f"largest difference of a logit: {off:.1e} (largest logit {size:.1f})")
    show(rates)


def show(rates: dict[str, list[float]]) -> None:
    """Print the table."""
    print(f"{'arm':8}  photos/s (least to most)   over {AGAINST} of the same round")
    for name, values in rates.items():
        ratios = [one / other for one, other in zip(values, rates[AGAINST], strict=True)]
        print(
            f"{name:8}  {statistics.median(values):6.1f} ({min(values):.1f} to {max(values):.1f})"
            f"   {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def timed(arms, num_photos: int, rounds: int) -> dict[str, list[float]]:
    """Return photos per second by arm and round, the first round left out."""
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name, arm in arms.items():
            begin = time.perf_counter()
            arm()
            if number:
                rates[name].append(num_photos / (time.perf_counter() - begin))
    return rates


if __name__ == "__main__":
    main()
