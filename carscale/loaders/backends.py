"""Which backends run here, and which can render a policy."""

from __future__ import annotations

from importlib.metadata import distributions
from typing import TYPE_CHECKING

from carscale.augment import slot_ops
from carscale.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from carscale import config
    from carscale.world import World


def has_dali() -> bool:
    """Tell whether DALI can be imported."""
    try:
        import nvidia.dali  # noqa: F401
    except ImportError:
        return False
    return True


def check_backend(name: str, world: World, policy: config.Augment | None) -> None:
    """Raise when a backend can't run here or can't render a policy.

    Args:
        name: Of ``config.Loader.backend``.
        world: The device.
        policy: What train photos go through; ``None`` for the evaluation view.

    Raises:
        ConfigError: No GPU, a driver too old, or an op that the backend lacks.
        MissingExtraError: DALI is not installed.
    """
    if name in ("auto", "torch"):
        return
    if not has_dali():
        raise MissingExtraError(
            f"loader.backend={name}: DALI is not installed",
            "install it with: pip install 'carscale[dali]' (Linux)",
            "or take the one that runs everywhere: loader.backend=torch",
        )
    if name == "dali_gpu":
        if world.device.type != "cuda":
            raise ConfigError(
                f"loader.backend=dali_gpu: needs a GPU; this process computes on {world.device}",
                "take loader.backend=torch, or dali_cpu",
            )
        import torch

        for flavour in _flavours():
            check_driver(flavour, torch._C._cuda_getDriverVersion())  # type: ignore[attr-defined]
    if policy is not None:
        _check_ops(policy)


def check_driver(flavour: str, driver: int) -> None:
    """Raise when a DALI wheel is for a newer CUDA than the driver knows.

    Args:
        flavour: The end of the wheel's name: ``130`` of ``nvidia-dali-cuda130``.
        driver: CUDA version of the driver, as CUDA counts: 12040 is 12.4.

    Raises:
        ConfigError: The driver is too old.
    """
    wanted, known = int(flavour) // 10, driver // 1000
    if wanted > known:
        raise ConfigError(
            f"loader.backend=dali_gpu: nvidia-dali-cuda{flavour} needs a driver for CUDA {wanted}, "
            f"this one is for {known}.{driver % 1000 // 10}",
            f"install the other: pip uninstall nvidia-dali-cuda{flavour}; "
            f"pip install nvidia-dali-cuda{known}0",
            "or take loader.backend=torch",
        )


def _check_ops(policy: config.Augment) -> None:
    """Raise when DALI can't render an op of a policy."""
    from carscale.loaders.dali_graph import RENDERS

    missing = [name for name in slot_ops(policy) if name not in RENDERS]
    if missing:
        raise ConfigError(
            f"augment.policy={policy.policy}: DALI can't render {', '.join(missing)}",
            "these backends can: torch",
        )


def _flavours() -> list[str]:
    """Return which CUDA the installed DALI wheels are for: ``130``."""
    prefix = "nvidia-dali-cuda"
    names = {(found.metadata["Name"] or "").lower() for found in distributions()}
    return sorted(n.removeprefix(prefix) for n in names if n.startswith(prefix))
