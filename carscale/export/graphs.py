"""Graphs of a classifier: a program of torch, ONNX, OpenVINO.

B pictures, H, W their sides, K classes.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from carscale import models
from carscale.errors import CarscaleError, MissingExtraError, ModelError
from carscale.export.facts import OPSET

if TYPE_CHECKING:
    from carscale.export.facts import Facts

INPUT, OUTPUTS = "images", ("probs", "logits")
INSTALL = {"onnx": "onnx", "onnxscript": "onnx", "onnxruntime": "onnx", "openvino": "openvino"}


class Served(nn.Module):
    """A classifier as it is served: pictures as bytes in, probabilities out.

    Args:
        model: The classifier.
        temperature: What logits are divided by.
    """

    def __init__(self, model: models.Classifier, temperature: float = 1.0) -> None:
        super().__init__()
        self.model = model.eval()
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and logits, float32 ``[B, K]``, for uint8 ``[B, H, W, 3]``."""
        logits_BK = self.model(images.permute(0, 3, 1, 2)).float() / self.temperature
        return logits_BK.softmax(dim=-1), logits_BK


def library(name: str) -> Any:  # noqa: ANN401 - a module
    """Return an optional library.

    Raises:
        MissingExtraError: It is not installed; says how to.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: is not installed", f"pip install 'carscale[{INSTALL[name]}]'"
        ) from error


def save_pt2(served: Served, path: Path, image_px: int, *, num_images: int | None = None) -> None:
    """Write a program that ``torch.export.load`` opens.

    Args:
        served: On the CPU.
        path: File to write.
        image_px: Side of the pictures.
        num_images: Of each call; any number when ``None``.

    Raises:
        ModelError: The exporter refuses the network; names what it stumbled over.
    """
    content = io.BytesIO()
    with _explained(served):
        torch.export.save(_program(served, image_px, num_images), content)
    path.write_bytes(content.getbuffer())  # here, so that a full disk is not the network's fault


def save_onnx(served: Served, path: Path, image_px: int, *, num_images: int | None = None) -> None:
    """Write an ONNX file, all weights inside.

    Args:
        served: On the CPU.
        path: File to write.
        image_px: Side of the pictures.
        num_images: Of each call; any number when ``None``.

    Raises:
        MissingExtraError: ``onnx`` or ``onnxscript`` is not installed.
        ModelError: The exporter refuses the network; names what it stumbled over.
    """
    for name in ("onnx", "onnxscript"):
        library(name)
    with _explained(served):
        made = torch.onnx.export(
            _program(served, image_px, num_images),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            verbose=False,
        )
        assert made is not None
        content = made.model_proto.SerializeToString()
    path.write_bytes(content)


def tag_onnx(path: Path, facts: Facts) -> None:
    """Store in an ONNX file what it is, under the key ``carscale`` of its metadata."""
    onnx = library("onnx")
    graph = onnx.load(path)
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {"carscale": json.dumps(facts.to_dict())})
    onnx.save(graph, path)


def save_openvino(onnx_file: Path, folder: Path) -> None:
    """Convert an ONNX file to ``model.xml`` and ``model.bin``, in float32.

    Raises:
        MissingExtraError: ``openvino`` is not installed.
        ModelError: OpenVINO can't read the graph.
    """
    openvino = library("openvino")
    with library_errors("OpenVINO", onnx_file, "take another --format"):
        graph = openvino.convert_model(onnx_file)
        openvino.save_model(graph, folder / "model.xml", compress_to_fp16=False)


@contextmanager
def library_errors(name: str, graph: Path, *next_steps: str) -> Iterator[None]:
    """Turn what a library of C++ says of a graph into an error of ours.

    It does not tell a full disk from a graph that it can't read: room for another graph beside it
    is asked of the disk first.

    Raises:
        ModelError: The library refuses the graph.
        OSError: The disk is full.
    """
    try:
        yield
    except (CarscaleError, OSError):
        raise
    except Exception as error:  # its own, which are no RuntimeErrors
        room = graph.with_name("room")
        try:
            room.write_bytes(bytes(graph.stat().st_size))
        finally:
            room.unlink(missing_ok=True)
        text = f"{graph.name}: {name} refuses the graph: {_first(error)}"
        raise ModelError(text, *next_steps) from error


def _program(served: Served, image_px: int, num_images: int | None) -> torch.export.ExportedProgram:
    """Return the program of a forward pass."""
    images_BHWC = torch.zeros((num_images or 2, image_px, image_px, 3), dtype=torch.uint8)
    batch = None if num_images else ({0: torch.export.Dim("batch", min=1)},)
    with torch.no_grad(), models.as_timm_has_it(served.model.net):
        return torch.export.export(served, (images_BHWC,), dynamic_shapes=batch)


@contextmanager
def _explained(served: Served) -> Iterator[None]:
    """Turn what an exporter says of a network into an error of ours, and keep its notes quiet."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RuntimeError, TypeError, ValueError, AssertionError, NotImplementedError) as error:
        name = type(served.model.net).__name__
        raise ModelError(
            f"{name}: the exporter refuses the network: {_first(error)}",
            "take another --format, or another model.name",
        ) from error
    finally:
        log.setLevel(level)


def _first(error: BaseException) -> str:
    """Return the line of an error, or of what caused it, that says most."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
