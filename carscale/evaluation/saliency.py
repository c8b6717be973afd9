"""Saliency: Grad-CAM. B photos, C channels, H height, W width, K classes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from carscale.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def grad_cam(model: nn.Module, images_BCHW: Tensor, classes_B: Tensor) -> NDArray[Any]:
    """Return how much each place of a photo raises the score of a class.

    Taken at the last layer that still has feature maps.

    Args:
        model: A ``Classifier``.
        images_BCHW: uint8.
        classes_B: The class to ask for, int64.

    Returns:
        Float32 ``[B, H, W]`` in [0, 1], the strongest place of each photo 1; all 0 where
        nothing raises it.

    Raises:
        ModelError: The network has no feature maps at its end (a transformer of tokens).

    Reference:
        Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, eq. 1 and 2; by captum.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    model.eval()
    layer = _last_maps(model, images_BCHW[:1])
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.filterwarnings("ignore", category=UserWarning, module="captum")
        maps_B1hw = LayerGradCam(model, layer).attribute(
            images_BCHW.float(), target=classes_B, relu_attributions=True
        )
        heat_B1HW = LayerAttribution.interpolate(
            maps_B1hw, tuple(images_BCHW.shape[2:]), interpolate_mode="bilinear"
        )
    heat_BHW = heat_B1HW.detach().squeeze(1).float()
    most_B11 = heat_BHW.amax(dim=(1, 2), keepdim=True)
    found: NDArray[Any] = (heat_BHW / most_B11.clamp_min(1e-12)).cpu().numpy()
    return found


def _last_maps(model: nn.Module, image_1CHW: Tensor) -> nn.Module:
    """Return the module whose output is the last with height and width, before no tokens."""
    seen: list[nn.Module] = []

    def keep(module: nn.Module, given: Any, made: Any) -> None:  # noqa: ANN401 - any module's
        if isinstance(made, Tensor) and made.ndim == 3:
            seen.clear()  # tokens: what was a map before says nothing of the class
        elif isinstance(made, Tensor) and made.ndim == 4 and min(made.shape[2:]) > 1:
            seen.append(module)

    handles = [module.register_forward_hook(keep) for module in model.net.modules()]  # type: ignore[union-attr]
    try:
        with torch.inference_mode():
            model(image_1CHW)
    finally:
        for handle in handles:
            handle.remove()
    if not seen or getattr(model.net, "output_fmt", "NCHW") != "NCHW":  # Swin: channels last
        raise ModelError(
            f"{type(model.net).__name__}: has no feature maps, so Grad-CAM shows nothing of it",
            "take a convolutional network, or leave --saliency out",
        )
    return seen[-1]
