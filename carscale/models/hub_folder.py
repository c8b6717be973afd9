"""A folder that timm and transformers open: ``config.json`` and ``model.safetensors``."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE
from safetensors import SafetensorError
from torch import Tensor, nn

from carscale.errors import ModelError
from carscale.models.attention import holds_attention

if TYPE_CHECKING:
    from carscale.models.factory import Classifier
    from carscale.types import View

CROP_MODES = {"squash": "squash", "pad": "border", "crop": "center"}
"""timm's word for each ``data.fit``."""


def check_rebuildable(model: Classifier) -> None:
    """Raise where timm can't build a network from its name and arguments.

    Raises:
        ModelError: Attention layers were added to it.
    """
    if holds_attention(model.net.state_dict()):
        raise ModelError(
            f"{type(model.net).__name__}: has attention layers (model.attention) that no name of "
            "timm stands for, so nobody could open the folder",
            "export a graph, which needs no name: --format onnx",
        )


def save_hub_folder(
    model: Classifier, folder: Path, view: View, names: Sequence[str], *, temperature: float = 1.0
) -> None:
    """Write what ``timm.create_model("local-dir:FOLDER")`` and transformers open.

    Args:
        model: On the CPU.
        folder: It is there.
        view: What photos become; ``crop_pct`` is 1, so nothing is cut beyond it.
        names: Of the classes, in label order.
        temperature: The classifier layer is divided by it.

    Raises:
        ModelError: Attention layers were added, or there is no linear layer to divide.
    """
    check_rebuildable(model)
    net = copy.deepcopy(model.net).eval().to(memory_format=torch.contiguous_format)
    if temperature != 1.0:
        try:
            layer = model.around(net).linear_head()
        except ModelError as error:
            raise ModelError(
                f"{error.lines[0]}; nor can --temperature divide it",
                "leave out --temperature; or export a graph, which divides logits: --format onnx",
            ) from error
        with torch.no_grad():
            layer.weight.div_(temperature)
            layer.bias.div_(temperature)
    try:
        _save(net, folder, view, names)
    except SafetensorError as error:  # its own, of a disk
        raise OSError(str(error)) from error


def _save(net: nn.Module, folder: Path, view: View, names: Sequence[str]) -> None:
    """Have timm write a folder."""
    timm.models.save_for_hf(
        net,
        str(folder),
        model_config={"label_names": list(names)},
        safe_serialization=True,
        data_config={
            "input_size": (3, view.image_px, view.image_px),
            "interpolation": view.interpolation,
            "mean": view.mean,
            "std": view.std,
            "crop_pct": 1.0,
            "crop_mode": CROP_MODES[view.fit],
        },
    )
    _drop_num_classes(folder / "config.json")
    mode = (folder / "config.json").stat().st_mode
    (folder / SAFETENSORS_SINGLE_FILE).chmod(mode)  # safetensors writes for the owner alone


def _drop_num_classes(path: Path) -> None:
    """Leave the number of classes where it stands once: transformers takes no second."""
    stored = json.loads(path.read_text("utf-8"))
    stored.get("model_args", {}).pop("num_classes", None)
    path.write_text(json.dumps(stored, indent=2, ensure_ascii=False), "utf-8")


def open_hub_folder(folder: Path) -> nn.Module:
    """Return the network of a folder, as anyone with timm gets it.

    Raises:
        ModelError: It can't be built.
    """
    try:
        return timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    except Exception as error:  # of timm, JSON, safetensors
        raise ModelError(
            f"{folder}: timm can't open it: {str(error)[:300]}",
            "export the run again: carscale export RUN OUT",
        ) from error


def eval_transform(net: nn.Module) -> Callable[[Any], Tensor]:
    """Return timm's own way from a Pillow photo to a network's input, as its folder says."""
    data_config = timm.data.resolve_model_data_config(net)
    made: Callable[[Any], Tensor] = timm.data.create_transform(**data_config, is_training=False)
    return made
