"""Models by name. B batch, C channels, H height, W width, K classes."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Literal

import timm
import torch
import torch.nn.functional as F
from timm.models import group_parameters
from torch import Tensor, nn

from carscale.errors import ConfigError, ModelError
from carscale.models.attention import Gated, add_attention, holds_attention
from carscale.models.cpu_speed import speed_up_cpu
from carscale.models.positions import fit_positions
from carscale.models.weights import (
    fill_from,
    load_state,
    pretrained_state,
    stored_classes,
    stored_state,
)
from carscale.types import CarClass, View

if TYPE_CHECKING:
    from carscale import config


class Classifier(nn.Module):
    """A timm network behind a layer that normalises bytes.

    Args:
        net: Any timm classifier.
        view: Gives mean and std.

    Attributes:
        net: The network; its state dict has timm's names.
        weights_from: Where its first weights came from, in words.
    """

    mean_C11: Tensor
    factor_C11: Tensor

    def __init__(self, net: nn.Module, view: View, weights_from: str = "random") -> None:
        super().__init__()
        self.net = net
        self.weights_from = weights_from
        mean, std = torch.tensor(view.mean), torch.tensor(view.std)
        self.register_buffer("mean_C11", 255 * mean[:, None, None], persistent=False)
        self.register_buffer("factor_C11", 1 / (255 * std[:, None, None]), persistent=False)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return logits ``[B, K]`` for uint8 ``[B, C, H, W]``."""
        return self.net((images_BCHW.float() - self.mean_C11) * self.factor_C11)

    def around(self, net: nn.Module) -> Classifier:
        """Return the same classifier with another network; nothing is copied.

        What Accelerate wraps around ``forward`` stays behind: it calls this one.
        """
        other = Classifier.__new__(Classifier)
        nn.Module.__init__(other)
        other.net, other.weights_from = net, self.weights_from
        other.register_buffer("mean_C11", self.mean_C11, persistent=False)
        other.register_buffer("factor_C11", self.factor_C11, persistent=False)
        return other.eval()

    def head_parameters(self) -> set[int]:
        """Return the ids of the classifier layer's parameters."""
        head = self.net.get_classifier()  # type: ignore[operator]
        return {id(parameter) for parameter in head.parameters()}

    def linear_head(self) -> nn.Linear:
        """Return the classifier layer.

        Raises:
            ModelError: It is no linear layer with a bias, or there is more than one.
        """
        head = self.net.get_classifier()  # type: ignore[operator]
        if isinstance(head, nn.Linear) and head.bias is not None:
            return head
        raise ModelError(
            f"{type(self.net).__name__}: its classifier is {type(head).__name__}, no linear layer "
            "with a bias, so it can't be exchanged",
            "take another model.name",
        )

    def class_maps(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        """Return the class activation map of each picture's class, at the picture's size.

        Args:
            images_BCHW: uint8.
            labels_B: Classes.

        Returns:
            float32 ``[B, H, W]``, its smallest value 0.

        Reference:
            Zhou et al. 2016, https://arxiv.org/abs/1512.04150, eq. 2.
        """
        maps_BHW = self._evidence(images_BCHW, labels_B)[:, None]
        large_BHW = F.interpolate(maps_BHW, images_BCHW.shape[2:], mode="bilinear")[:, 0]
        return large_BHW - large_BHW.amin(dim=(1, 2), keepdim=True)

    def feature_cells(self, images_BCHW: Tensor) -> Tensor:
        """Return what the network's last two sizes of feature maps hold at each place.

        Args:
            images_BCHW: uint8.

        Returns:
            float32 ``[B, h, w, D]``, at the finer of both sizes.

        Raises:
            ModelError: The network tells no feature maps.
        """
        pixels_BCHW = (images_BCHW.float() - self.mean_C11) * self.factor_C11
        try:
            every = self.net.forward_intermediates(  # type: ignore[operator]
                pixels_BCHW, intermediates_only=True, output_fmt="NCHW"
            )
            sizes = sorted({one.shape[2] for one in every})[:2]
            coarse, fine = (
                [one for one in every if one.shape[2] == size][-1] for size in (sizes[0], sizes[-1])
            )
        except (AttributeError, TypeError, ValueError, AssertionError, IndexError) as error:
            raise ModelError(
                f"{type(self.net).__name__}: tells no feature maps of {images_BCHW.shape[-1]} px: "
                f"{error}",
                "give masks: --masks FOLDER; or a run of EfficientNet, ResNeXt or ConvNeXt",
            ) from error
        if coarse is fine:  # all of one size, as in a ViT
            return fine.float().permute(0, 2, 3, 1)
        coarse = F.interpolate(coarse.float(), fine.shape[2:], mode="nearest")
        return torch.cat([fine.float(), coarse], dim=1).permute(0, 2, 3, 1)

    def check_class_maps(self, image_px: int) -> None:
        """Raise unless the mean of a map, and the bias, are what the network says of the class.

        Raises:
            ModelError: There is more between its feature maps and its linear layer than a mean, or
                there are no feature maps.
        """
        name, was_training = type(self.net).__name__, self.training
        device = self.mean_C11.device
        pixels = torch.arange(3 * image_px**2, device=device) % 251
        image_1CHW = pixels.reshape(1, 3, image_px, image_px).to(torch.uint8)
        self.eval()
        try:
            with torch.no_grad():
                label_1 = torch.zeros(1, dtype=torch.int64, device=device)
                told = self._evidence(image_1CHW, label_1).mean() + self.linear_head().bias[0]
                is_all = torch.allclose(told, self(image_1CHW)[0, 0].float(), atol=1e-3, rtol=1e-3)
            reason = None
        except torch.OutOfMemoryError:
            raise
        except (ModelError, RuntimeError, IndexError) as error:
            is_all, reason = False, error
        finally:
            self.train(was_training)
        if not is_all:
            raise ModelError(
                f"augment.policy=snapmix: {name} has no class activation maps: between its feature "
                "maps and a linear classifier is more than a mean, or there are none",
                "take augment.policy=cutmix, or a network such as EfficientNet or ResNeXt",
            ) from reason

    def _evidence(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        """Return what each place says for each picture's class, float32 ``[B, h, w]``."""
        pixels_BCHW = (images_BCHW.float() - self.mean_C11) * self.factor_C11
        features_BDhw = self.net.forward_features(pixels_BCHW).float()  # type: ignore[operator]
        weight_BD = self.linear_head().weight.float()[labels_B]
        return (features_BDhw * weight_BD[:, :, None, None]).sum(dim=1)  # no product is cast down

    def new_modules(self) -> list[nn.Module]:
        """Return what no pretrained weights exist for: the classifier layer, added attention."""
        head = self.net.get_classifier()  # type: ignore[operator]
        return [head, *(module for module in self.net.modules() if isinstance(module, Gated))]

    def layer_numbers(self) -> dict[str, int]:
        """Return each parameter's layer by timm's grouping: 0 at the input, the highest last.

        Added attention layers, which are new as the classifier is, count as the last.

        Raises:
            ConfigError: timm groups no layers of this network.
        """
        if not hasattr(self.net, "group_matcher"):
            raise ConfigError(
                f"optim.layer_decay: timm does not number the layers of {type(self.net).__name__}",
                "set optim.layer_decay=1",
            )
        matcher = self.net.group_matcher(coarse=False)  # type: ignore[operator]
        groups: dict[str, int] = group_parameters(self.net, matcher, reverse=True)
        gates = [module for module in self.net.modules() if isinstance(module, Gated)]
        added = {id(parameter) for gate in gates for parameter in gate.parameters()}
        named = list(self.net.named_parameters())
        own = sorted({groups[name] for name, parameter in named if id(parameter) not in added})
        return {
            f"net.{name}": own.index(own[-1] if id(parameter) in added else groups[name])
            for name, parameter in named
        }

    def undecayed_names(self) -> set[str]:
        """Return names that timm keeps from weight decay (position embeddings)."""
        names: set[str] = getattr(self.net, "no_weight_decay", set)()
        return {f"net.{name}" for name in names}


def preprocessing(cfg: config.Model, data: config.Data) -> View:
    """Return how photos become this model's input: size and fit are the data's, the rest its own.

    Raises:
        ConfigError: timm knows no such model.
    """
    _check_name(cfg.name)
    try:
        pretrained = timm.get_pretrained_cfg(cfg.name)
    except RuntimeError as error:  # a tag after the dot that timm does not know
        raise ConfigError(f"model.name={cfg.name}: {error}") from error
    known: dict[str, Any] = pretrained.to_dict() if pretrained is not None else {}
    mean, std = known.get("mean", (0.485, 0.456, 0.406)), known.get("std", (0.229, 0.224, 0.225))
    interpolation: Literal["bilinear", "bicubic"] = (
        "bicubic" if known.get("interpolation") == "bicubic" else "bilinear"
    )
    return View(
        image_px=data.image_px,
        fit=data.fit,
        interpolation=interpolation,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
    )


def build(
    cfg: config.Model, view: View, classes: tuple[CarClass, ...], *, with_weights: bool = True
) -> Classifier:
    """Build a classifier for a class list, ``channels_last``.

    Args:
        cfg: Name, weights, attention, dropout.
        view: Size, mean and std of the input.
        classes: The head's classes, in order.
        with_weights: Whether to fill in ``cfg.weights`` or pretrained ones; a checkpoint follows
            otherwise.

    Raises:
        ConfigError: timm knows no such model, or it has no such knob.
        ModelError: Weights that can't be had or do not fit; says what was tried.
    """
    _check_name(cfg.name)
    net = _create(cfg, view, len(classes))
    speed_up_cpu(net)
    num_stored = 0
    origin, new = "random", list[str]()
    if with_weights and cfg.weights:
        state, where = stored_state(cfg.weights)
        if cfg.attention != "none" and holds_attention(state):
            num_stored = add_attention(net, cfg, view.image_px)
        names = stored_classes(cfg.weights)
        is_same_task = names is None or names == [one.name for one in classes]
        origin, new = fill_from(net, state, where, is_same_task=is_same_task)
    elif with_weights and cfg.pretrained:
        origin, new = _fill_pretrained(net, cfg), ["classifier"]
    if cfg.attention != "none" and not num_stored:  # after the weights: they know no such names
        num_new = add_attention(net, cfg, view.image_px)
        new += [f"{num_new} attention layers ({cfg.attention})"] if origin != "random" else []
    weights_from = f"{origin}; new: {', '.join(new)}" if new else origin
    return Classifier(net, view, weights_from).to(memory_format=torch.channels_last)


def _fill_pretrained(net: Any, cfg: config.Model) -> str:  # noqa: ANN401 - timm's
    """Load pretrained weights into all but the classifier layer; return where from, in words."""
    state, origin = pretrained_state(cfg.name)
    head = {f"{net.default_cfg['classifier']}.{part}" for part in ("weight", "bias")}
    backbone = {name: tensor for name, tensor in state.items() if name not in head}
    backbone, change = fit_positions(net, backbone)
    load_state(net, {**net.state_dict(), **backbone}, f"model.name={cfg.name}: {origin}")
    return f"{origin}; {change}" if change else origin


def _create(cfg: config.Model, view: View, num_classes: int) -> Any:  # noqa: ANN401 - timm returns any module
    """Create the network, telling it the input's size when it wants to know."""
    wanted: dict[str, Any] = {"drop_rate": cfg.drop_rate, "drop_path_rate": cfg.drop_path_rate}
    asked = {name: value for name, value in wanted.items() if value}
    refusal: TypeError | None = None
    # with the size for those that want it; without; without dropout of 0 that it does not know
    for knobs in ({**wanted, "img_size": view.image_px}, wanted, asked):
        try:
            return timm.create_model(cfg.name, num_classes=num_classes, **knobs)
        except TypeError as error:
            refusal = error
        except (RuntimeError, ValueError, AssertionError) as error:
            raise ModelError(f"model.name={cfg.name}: can't be built: {error}") from error
    raise ConfigError(
        f"model.name={cfg.name}: does not take these settings: {refusal}",
        "try model.drop_rate=0 model.drop_path_rate=0",
    ) from refusal


def _check_name(name: str) -> None:
    """Raise when timm knows no such model."""
    if timm.is_model(name.split(".")[0]):
        return
    near = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ConfigError(
        f"model.name={name}: timm {timm.__version__} knows no such model{hint}",
        "list names with: python -c \"import timm; print(*timm.list_models('*efficientnet*'))\"",
    )
