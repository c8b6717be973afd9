"""Attention layers for networks that have none. B batch, C channels, H height, W width.

Chosen: layers of timm behind a factor that starts at 0, added once the weights are in: the network
starts as the pretrained one, bit for bit, and its own names stay timm's. Rejected: timm's
``block_args=dict(attn_layer=...)``: only some families know it, and the new layers, drawn at
random, scale every feature of the pretrained network down at the first step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from timm.layers import create_attn
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from carscale.errors import ConfigError
from carscale.models.probe import run_once

if TYPE_CHECKING:
    from carscale import config


NAME = "attn"
"""What an added layer is called in its stage; in a residual block timm's ``se`` is free."""

INNER = ".gated."
"""Part of the names of an added layer's tensors; no network of timm has it."""


class Gated(nn.Module):
    """A layer that comes in gradually: ``x + alpha * (gated(x) - x)``, with ``alpha`` from 0.

    Args:
        gated: Any layer that keeps its input's shape.

    Attributes:
        alpha: Learnable scalar; at 0 the input passes unchanged, at 1 the layer acts in full.

    Reference:
        Bachlechner et al. 2020, https://arxiv.org/abs/2003.04887, eq. 2 (ReZero). Differs: fades
        from the identity to the layer, where ReZero adds the layer to it.

    Example:
        >>> Gated(nn.ReLU())(torch.tensor([-1.0, 2.0])).tolist()
        [-1.0, 2.0]
    """

    def __init__(self, gated: nn.Module) -> None:
        super().__init__()
        self.gated = gated
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return maps of the same shape."""
        return maps_BCHW + self.alpha * (self.gated(maps_BCHW) - maps_BCHW)


def add_attention(net: nn.Module, cfg: config.Model, image_px: int) -> int:
    """Add attention layers to a network, behind factors of 0: its outputs stay as they are.

    Residual blocks of timm's ResNet family get one each, before the sum; other networks one after
    each stage. All other names of the state dict stay.

    Args:
        net: From timm, weights loaded.
        cfg: ``attention``: ``se`` (https://arxiv.org/abs/1709.01507), ``eca``
            (https://arxiv.org/abs/1910.03151), ``cbam`` (https://arxiv.org/abs/1807.06521) or
            ``gc`` (https://arxiv.org/abs/1904.11492); ``name`` for errors.
        image_px: Side of the input.

    Returns:
        The number of layers added.

    Raises:
        ConfigError: The network has no feature maps, or attention in its blocks already.
    """
    blocks = [module for module in net.modules() if isinstance(module, (BasicBlock, Bottleneck))]
    if blocks:
        return _add_to_blocks(blocks, cfg)
    stages = _stages(net)
    channels = _channels(net, stages, image_px)
    if not channels:
        raise ConfigError(
            f"model.attention={cfg.attention}: {cfg.name} has no stages of feature maps "
            "to attend to",
            "take a convolutional network, such as model.name=tf_efficientnet_lite0, "
            "resnext50_32x4d or convnext_tiny; or model.attention=none",
        )
    for name, num_channels in channels.items():
        stages[name].add_module(NAME, _layer(cfg.attention, num_channels))
    layers = {f"{name}.{NAME}": stages[name].get_submodule(NAME) for name in channels}
    runs_by_itself = _shapes(net, layers, image_px)  # a Sequential runs all its children
    for name in channels:
        if f"{name}.{NAME}" not in runs_by_itself:
            stages[name].register_forward_hook(_attend)
    return len(channels)


def holds_attention(names: Iterable[str]) -> bool:
    """Tell whether tensors of layers that ``add_attention`` added are among stored ones."""
    return any(INNER in name for name in names)


def _attend(stage: nn.Module, args: Any, maps_BCHW: Tensor) -> Tensor:  # noqa: ANN401 - torch's hook
    """Pass a stage's output through its attention layer."""
    return getattr(stage, NAME)(maps_BCHW)


def _add_to_blocks(blocks: list[Any], cfg: config.Model) -> int:
    """Add a layer to each residual block that has none."""
    free = [block for block in blocks if block.se is None]
    if not free:
        raise ConfigError(
            f"model.attention={cfg.attention}: the blocks of {cfg.name} have attention already",
            "set model.attention=none, or take a network without, such as "
            "model.name=resnext50_32x4d",
        )
    for block in free:
        last = block.conv3 if isinstance(block, Bottleneck) else block.conv2
        block.se = _layer(cfg.attention, last.out_channels)
    return len(free)


def _layer(kind: str, num_channels: int) -> Gated:
    """Return one new attention layer."""
    return Gated(create_attn(kind, num_channels))


def _stages(net: nn.Module) -> dict[str, nn.Module]:
    """Return the stages that timm names as sources of features, and siblings of the same kind.

    timm names only the last stage of each resolution. Stems are left out.
    """
    modules = dict(net.named_modules())
    named = [info.get("module", "") for info in getattr(net, "feature_info", ())]
    stages: dict[str, nn.Module] = {}
    for name in named:
        parent = name.rpartition(".")[0]
        is_list = parent and isinstance(modules.get(name), nn.Sequential)
        siblings = modules[parent].named_children() if is_list else ()
        alike = [f"{parent}.{child}" for child, module in siblings if type(module) is nn.Sequential]
        for stage_name in alike or [name]:
            if stage_name in modules and _is_stage(stage_name, modules[stage_name]):
                stages[stage_name] = modules[stage_name]
    return stages


def _is_stage(name: str, module: nn.Module) -> bool:
    """Tell a stage, which has several layers, from a stem or an activation."""
    num_layers = sum(parameter.ndim > 1 for parameter in module.parameters())
    return num_layers > 1 and "stem" not in name and not isinstance(module, nn.ModuleDict)


def _channels(net: nn.Module, stages: dict[str, nn.Module], image_px: int) -> dict[str, int]:
    """Return the channels of each stage's maps ``[B, C, H, W]``; nothing when one gives no maps."""
    known: dict[str, int] = {
        info.get("module", ""): info["num_chs"] for info in getattr(net, "feature_info", ())
    }
    shapes = _shapes(net, stages, image_px)
    are_maps = all(
        len(shape) == 4 and shape[1] == known.get(name, shape[1]) for name, shape in shapes.items()
    )
    return {name: shape[1] for name, shape in shapes.items()} if are_maps else {}


def _shapes(
    net: nn.Module, modules: dict[str, nn.Module], image_px: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of modules' outputs, of those that run; ``()`` for other than a tensor."""
    shapes: dict[str, tuple[int, ...]] = {}

    def watch(name: str) -> Any:  # noqa: ANN401 - a hook
        def keep(module: nn.Module, args: Any, output: Any) -> None:  # noqa: ANN401 - torch's hook
            shapes[name] = tuple(output.shape) if isinstance(output, Tensor) else ()

        return keep

    handles = [module.register_forward_hook(watch(name)) for name, module in modules.items()]
    try:
        run_once(net, image_px)
    finally:
        for handle in handles:
            handle.remove()
    return shapes
