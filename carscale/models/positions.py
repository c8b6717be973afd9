"""Position embeddings of another input size, resampled as timm does it."""

from __future__ import annotations

import math
import sys
import warnings

from torch import Tensor, nn

NAMES = ("pos", "attention_biases")
"""Parts of timm's names of tables that grow with the input: pos_embed, rel_pos, ..."""


def fit_positions(net: nn.Module, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Resample stored position embeddings to a network's input size, by timm's own filter.

    Args:
        net: The network to fill.
        state: Its weights, perhaps of another input size; the classifier layer may be missing.

    Returns:
        The weights, and what was done in words. As they came and "" where all fits, where other
        tensors differ too, and where timm can't resample.
    """
    own = net.state_dict()
    unlike = [name for name in own if name in state and state[name].shape != own[name].shape]
    filter_state = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    are_positions = all(any(part in name for part in NAMES) for name in unlike)
    if not unlike or filter_state is None or not are_positions:
        return state, ""
    try:
        with warnings.catch_warnings():  # timm 1.0.31 indexes in ways that torch 2.14 warns of
            warnings.filterwarnings("ignore", category=UserWarning, module=r"timm\.")
            fitted = filter_state(dict(state), net)
    except (RuntimeError, ValueError, IndexError):  # a grid that is no square
        return state, ""
    if fitted.keys() != state.keys():
        return state, ""
    before, after = state[unlike[0]], own[unlike[0]]
    return fitted, f"position embedding resampled from {_grid(before)} to {_grid(after)}"


def _grid(table: Tensor) -> str:
    """Return ``AxA``; a class token beside the square does not change its side."""
    side = math.isqrt(table.shape[1] if table.ndim == 3 else table.shape[0])
    return f"{side}x{side}"
