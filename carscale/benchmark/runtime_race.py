"""One network in several runtimes on this machine, in turns. B pictures a call."""

from __future__ import annotations

import copy
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from carscale import export, models
from carscale.benchmark.model_race import NUM_ROUNDS, ROUND_S
from carscale.errors import CarscaleError
from carscale.export.exported import by_torch
from carscale.export.graphs import Served

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from carscale.types import View

Ask = Callable[["NDArray[np.uint8]"], Any]
BATCHES = (1, 32)
TORCH = "PyTorch"


def race_runtimes(
    model: models.Classifier,
    view: View,
    *,
    advance: Callable[[int, str], None] = lambda count, text: None,
) -> list[dict[str, Any]]:
    """Return a row a runtime and batch size: images/s, and the ratio to PyTorch's.

    Every round asks each runtime in turn, so that what else the machine does meets all alike.

    Args:
        model: The network.
        view: Gives the pictures' side.
        advance: Called with the number of measurements done and what comes.

    Returns:
        ``runtime``, ``num_images``, ``images_per_s`` and ``ratio`` ``{median, low, high}`` over
        rounds, or ``skipped`` with the reason.
    """
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        asks, skipped = _open_all(model, view, Path(scratch), advance)
        for num_images in BATCHES:
            images_BHWC = np.random.default_rng(0).integers(
                0, 256, (num_images, view.image_px, view.image_px, 3), dtype=np.uint8
            )
            ready: dict[str, Ask] = {}
            for name, ask in list(asks.items()):
                advance(1, f"{name}, {num_images} at once")
                try:
                    ask(images_BHWC)  # compiles, allocates
                    ready[name] = ask
                except Exception as error:  # of torch.compile: no compiler, say
                    if name == TORCH:
                        raise
                    why = f"{type(error).__name__}: {str(error).strip()[:200]}"
                    skipped[name] = f"{num_images} at once: {why}"
                    del asks[name]
            speeds = _rounds(ready, images_BHWC)
            for name, found in speeds.items():
                ratios = [one / base for one, base in zip(found, speeds[TORCH], strict=True)]
                rows.append(
                    {
                        "runtime": name,
                        "num_images": num_images,
                        "images_per_s": _spread(found),
                        "ratio": _spread(ratios),
                    }
                )
    return rows + [{"runtime": name, "skipped": why} for name, why in skipped.items()]


class _Contiguous(Served):
    """A network as torch holds it unless told otherwise: channels before rows and columns."""

    def __init__(self, model: models.Classifier) -> None:
        super().__init__(model.to(memory_format=torch.contiguous_format))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and logits, as ``Served`` does."""
        logits_BK = self.model(images.permute(0, 3, 1, 2).contiguous())
        return logits_BK.softmax(dim=-1), logits_BK


def _open_all(
    model: models.Classifier, view: View, folder: Path, advance: Callable[[int, str], None]
) -> tuple[dict[str, Ask], dict[str, str]]:
    """Return what asks each runtime, and why others can't be asked.

    All but ``carscale evaluate`` run the network as timm has it.
    """
    model = model.eval().to(memory_format=torch.channels_last)
    with models.as_timm_has_it(model.net):
        plain = copy.deepcopy(model)
    graph, side = folder / "model.onnx", view.image_px
    with torch.inference_mode():
        num_classes = plain(torch.zeros((1, 3, side, side), dtype=torch.uint8)).shape[1]
    names = tuple(map(str, range(num_classes)))
    facts = export.Facts("onnx", names, view)

    def onnx() -> Ask:
        export.save_onnx(Served(plain), graph, side)
        export.tag_onnx(graph, facts)
        return export.open_exported(graph).answer

    def openvino() -> Ask:
        if not graph.exists():
            export.save_onnx(Served(plain), graph, side)
        export.save_openvino(graph, folder)
        export.Facts("openvino", names, view).write(folder)
        return export.open_exported(folder).answer

    def compiled() -> Ask:
        served = Served(copy.deepcopy(plain))
        served.compile(dynamic=False)
        return by_torch(served)

    makers: dict[str, Callable[[], Ask]] = {
        "ONNX Runtime": onnx,
        "OpenVINO": openvino,
        TORCH: lambda: by_torch(_Contiguous(copy.deepcopy(plain))),
        "channels_last": lambda: by_torch(Served(plain)),
        "carscale evaluate": lambda: by_torch(Served(models.for_scoring(model, side))),
        "torch.compile": compiled,
    }
    asks: dict[str, Ask] = {}
    skipped: dict[str, str] = {}
    for name, make in makers.items():
        advance(0, f"open {name}")
        try:
            asks[name] = make()
        except CarscaleError as error:
            skipped[name] = "; ".join(error.lines)
    return asks, skipped


def _rounds(asks: dict[str, Ask], images_BHWC: NDArray[np.uint8]) -> dict[str, list[float]]:
    """Return images/s of each runtime, round by round."""
    num_calls = {}
    for name, ask in asks.items():
        num_calls[name] = max(1, math.ceil(ROUND_S / _seconds(ask, images_BHWC, 1)))
    speeds: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(NUM_ROUNDS):
        for name, ask in asks.items():
            spent = _seconds(ask, images_BHWC, num_calls[name])
            speeds[name].append(num_calls[name] * len(images_BHWC) / spent)
    return speeds


def _seconds(ask: Ask, images_BHWC: NDArray[np.uint8], num_calls: int) -> float:
    """Return the seconds of some calls."""
    start = time.perf_counter()
    for _ in range(num_calls):
        ask(images_BHWC)
    return time.perf_counter() - start


def _spread(values: list[float]) -> dict[str, float]:
    """Return median, lowest and highest."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}
