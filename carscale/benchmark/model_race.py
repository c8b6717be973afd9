"""What models cost here: one process a model, one after the other."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from carscale import config, models, threads
from carscale.errors import OutOfMemoryError
from carscale.types import CarClass, View
from carscale.world import name_out_of_memory, open_world, peak_memory_gib
from carscale.world.processes import resolve_precision

NUM_ROUNDS = 5
ROUND_S = 0.3
"""A round takes at least this long, and one step."""


@dataclass(frozen=True)
class ModelRule:
    """What is measured, with random weights: speed does not depend on them.

    Attributes:
        image_px: Side of the input.
        local_batch_size: Samples a step.
        num_classes: Of the classifier.
        attention: As ``model.attention``.
        num_threads: Threads of a CPU's arithmetic; 0 takes all cores.
        precision: As ``train.precision``.
    """

    image_px: int = 224
    local_batch_size: int = 32
    num_classes: int = 196
    attention: str = "none"
    num_threads: int = 0
    precision: str = "auto"


def measure_models(
    names: tuple[str, ...],
    rule: ModelRule,
    *,
    advance: Callable[[int, str], None] = lambda count, text: None,
) -> list[dict[str, Any]]:
    """Return a row a model: its size, and its speed and memory in training and prediction.

    Args:
        names: timm's.
        rule: How.
        advance: Called with the number of models done, 0 or 1, and what comes or came.

    Returns:
        ``name``, ``num_parameters``, ``gmacs``, ``image_px``, ``device``; for ``predict`` and
        ``train`` images/s ``{median, low, high}`` over rounds and the process's peak memory, GiB
        (the GPU's where there is one; on a CPU it has torch in it, about 0.5).

    Raises:
        ConfigError: timm knows no such model, or it takes no attention.
        OutOfMemoryError: A batch does not fit; says what to type.
    """
    rows = []
    for name in names:
        settings = {"name": name, "pretrained": False, "attention": rule.attention}
        models.preprocessing(config.Model.model_validate(settings), config.Data())
    for name in names:
        advance(0, name)
        rows.append(_alone(name, rule))
        advance(1, name)
    return rows


def _alone(name: str, rule: ModelRule) -> dict[str, Any]:
    """Measure a model in a process of its own, whose peak memory is the model's."""
    try:
        with threads.SpawnedPool(1) as pool:
            return pool.submit(_measure, name, rule).result()
    except BrokenProcessPool as error:
        raise OutOfMemoryError(
            f"{name}: the system ended its process, as it does when memory runs out",
            _smaller(rule),
        ) from error


def _measure(name: str, rule: ModelRule) -> dict[str, Any]:
    """Measure a model in this process: prediction first, which takes less memory."""
    settings = {"name": name, "pretrained": False, "attention": rule.attention}
    cfg = config.Model.model_validate(settings)
    view = models.preprocessing(cfg, config.Data(image_px=rule.image_px))
    classes = tuple(CarClass(str(k), str(k)) for k in range(rule.num_classes))
    num_threads = rule.num_threads or threads.num_cores()
    precision = resolve_precision(rule.precision)
    with open_world(precision=precision, num_cpu_threads=num_threads) as world:
        model = models.build(cfg, view, classes)
        row: dict[str, Any] = {"name": name, **models.card(model, rule.image_px)}
        model.to(world.device)
        load = f"{rule.local_batch_size} samples at once of {name} at {rule.image_px} px"
        with name_out_of_memory(world, load, _smaller(rule)):
            for kind, trains in (("predict", False), ("train", True)):
                row[kind] = _speed(
                    model, view, world, num_images=rule.local_batch_size, trains=trains
                )
        return row | {"device": str(world.device), "precision": precision}


def _speed(
    model: models.Classifier,
    view: View,
    world: Any,  # noqa: ANN401 - typed where it is opened
    *,
    num_images: int,
    trains: bool,
) -> dict[str, float]:
    """Return images/s over some rounds, and the peak memory so far."""
    step = models.stepper(
        model,
        num_images=num_images,
        image_px=view.image_px,
        device=world.device,
        trains=trains,
        autocast=world.accelerator.autocast,
    )
    first = models.images_per_s(step, num_images=num_images, num_warmups=1, num_timed=1)
    num_timed = max(1, math.ceil(ROUND_S * first / num_images))
    rounds = [
        models.images_per_s(step, num_images=num_images, num_warmups=0, num_timed=num_timed)
        for _ in range(NUM_ROUNDS)
    ]
    return {
        "median": statistics.median(rounds),
        "low": min(rounds),
        "high": max(rounds),
        "memory_gib": peak_memory_gib(world.device),
    }


def _smaller(rule: ModelRule) -> str:
    """Return what to type for a smaller load."""
    return f"take fewer at once: --local-batch-size {max(2, rule.local_batch_size // 2)}"
