"""A copy of a classifier that scores sooner: what speeds training up is in the way there.

Chosen: which convolution feeds which norm is watched in one pass of a picture, so it holds for
every network of timm, and whatever else happens to a map leaves its norm as it is. Rejected: rules
by the names of timm's blocks, which differ by family; tracing and freezing, which copies buffers,
loses the classifier layer that embeddings are taken at, and takes seconds; compiling: tens of them.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from carscale.models.cpu_speed import CONVOLUTIONS, write_in_place
from carscale.models.probe import run_once

if TYPE_CHECKING:
    from carscale.models.factory import Classifier

NORMS = (nn.BatchNorm2d, BatchNormAct2d)


def for_scoring(model: Classifier, image_px: int) -> Classifier:
    """Return a model with the same logits up to rounding, for inference on a CPU.

    Batch norms that are fed by one convolution alone, and alone, are folded into it (in float64,
    then rounded to float32); activations write in place, as timm has it. The model stays as it
    is, and shares all other tensors with the copy, so this is done anew when weights change. On
    a GPU the model itself is returned.

    Args:
        model: From ``build``, on its device.
        image_px: Side of the input.
    """
    if model.mean_C11.device.type != "cpu":
        return model
    shared = {id(tensor): tensor for tensor in (*model.net.parameters(), *model.net.buffers())}
    net = copy.deepcopy(model.net, shared).eval()
    names = {module: name for name, module in net.named_modules()}
    for conv, norm in _pairs(net, image_px):
        _fold(conv, norm)
        parent, _, child = names[norm].rpartition(".")
        act = norm.act if isinstance(norm, BatchNormAct2d) else nn.Identity()
        setattr(net.get_submodule(parent), child, act)
    write_in_place(net)
    return model.around(net)


class _Uses(TorchFunctionMode):
    """Counts the calls that make a tensor of a watched one.

    Attributes:
        made: The watched tensors by id, each with the convolution that made it; they stay alive,
            or a later tensor could have the same id.
        counts: Calls by id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, tuple[Tensor, nn.Conv2d]] = {}
        self.counts: Counter[int] = Counter()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's protocol
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - what the function returns
        """Call a function of torch, and count it where it gives a tensor: a shape is no use."""
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if any(isinstance(one, Tensor) for one in tree_leaves(output)):
            given = {id(one) for one in tree_leaves((args, kwargs))}
            self.counts.update(given & self.made.keys())
        return output


def _pairs(net: nn.Module, image_px: int) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return convolutions, each with the norm that is all that its maps go into."""
    uses, calls = _Uses(), Counter[nn.Module]()
    fed: dict[nn.BatchNorm2d, int] = {}

    def keep_output(conv: Any, _: Any, maps_BCHW: Tensor) -> None:  # noqa: ANN401 - a hook
        calls[conv] += 1
        uses.made[id(maps_BCHW)] = maps_BCHW, conv

    def keep_input(norm: Any, given: tuple[Tensor, ...]) -> None:  # noqa: ANN401 - a hook
        calls[norm] += 1
        if id(given[0]) in uses.made:  # asked now: a tensor that dies leaves its id to others
            fed[norm] = id(given[0])

    modules = [module for module in net.modules() if not _has_hooks(module)]
    norms = [module for module in modules if type(module) in NORMS and _is_fixed(module)]
    handles = [norm.register_forward_pre_hook(keep_input) for norm in norms]
    if norms:
        convs = [module for module in modules if type(module) in CONVOLUTIONS]
        handles += [conv.register_forward_hook(keep_output) for conv in convs]
        with uses:
            run_once(net, image_px)
    for handle in handles:
        handle.remove()
    found = [(uses.made[key][1], norm, uses.counts[key]) for norm, key in fed.items()]
    return [
        (conv, norm)
        for conv, norm, num_uses in found
        if num_uses == calls[conv] == calls[norm] == 1
    ]


def _has_hooks(module: nn.Module) -> bool:
    """Tell whether somebody else looks at what goes through a layer, or changes it."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _is_fixed(norm: nn.Module) -> bool:
    """Tell whether a batch norm is an affine map of its own when it does not train."""
    return norm.running_mean is not None and norm.weight is not None


@torch.no_grad()
def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Give a convolution the weights that have it do what its norm does to its maps."""
    mean_C, var_C = norm.running_mean, norm.running_var
    assert mean_C is not None
    assert var_C is not None
    factor_C = norm.weight.double() / torch.sqrt(var_C.double() + norm.eps)
    weight = (conv.weight.double() * factor_C[:, None, None, None]).to(conv.weight.dtype)
    bias_C = norm.bias.double() - mean_C.double() * factor_C
    if conv.bias is not None:
        bias_C += conv.bias.double() * factor_C
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(bias_C.to(conv.weight.dtype), requires_grad=False)
