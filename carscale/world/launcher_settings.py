"""What the launcher asks for through the environment, and what becomes of it.

``accelerate launch`` hands on the settings of its file, which may lie in the home folder and be
meant for another program. What would change a result in silence is not taken: carscale has settings
of its own for it. All that is not taken is said in one line.
"""

from __future__ import annotations

import os
from typing import Any

from carscale.errors import LaunchError

OTHER_ENGINES = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism config",
}
PRECISIONS = ("bf16", "fp16")


def check_engine() -> None:
    """Raise where the launcher asks for another engine than DDP.

    Raises:
        LaunchError: Names it, and what to type.
    """
    asked = [name for key, name in OTHER_ENGINES.items() if _is_true(os.environ.get(key, ""))]
    if asked:
        raise LaunchError(
            f"the launcher asks for {' and '.join(asked)}; recipes train by DDP alone",
            "launch with a file that asks for nothing else: carscale train RECIPE "
            "--config_file gpu2.yaml, or unset "
            + " ".join(key for key in OTHER_ENGINES if _is_true(os.environ.get(key, ""))),
        )


def precision_asked() -> str | None:
    """Return the precision that the launcher asks for; ``None`` where it asks for none we have."""
    asked = os.environ.get("ACCELERATE_MIXED_PRECISION", "no").lower()
    return asked if asked in PRECISIONS else None


def plugins() -> dict[str, Any]:
    """Return arguments of ``Accelerator`` that leave nothing to the environment."""
    from accelerate.utils import GradientAccumulationPlugin, TorchDynamoPlugin

    return {
        "gradient_accumulation_plugin": GradientAccumulationPlugin(
            num_steps=1, sync_with_dataloader=False
        ),
        "dynamo_plugin": TorchDynamoPlugin(backend="no"),
    }


def told(precision: str) -> str:
    """Return a line on what the launcher asked for; empty where that was nothing.

    Args:
        precision: What is used: ``fp32``, ``bf16`` or ``fp16``.
    """
    parts = []
    asked = os.environ.get("ACCELERATE_MIXED_PRECISION", "no").lower()
    if asked != "no":
        use = "taken" if asked == precision else f"not taken, train.precision={precision}"
        parts.append(f"mixed_precision={asked} ({use})")
    steps = os.environ.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "1")
    if steps != "1":
        parts.append(f"gradient_accumulation_steps={steps} (not taken, train.accumulate_steps is)")
    backend = os.environ.get("ACCELERATE_DYNAMO_BACKEND", "no").lower()
    if backend != "no":
        parts.append(f"dynamo_backend={backend} (not taken, models are not compiled)")
    return f"the launcher asked for {', '.join(parts)}" if parts else ""


def _is_true(text: str) -> bool:
    """Read a flag as Accelerate does."""
    return text.lower() in ("1", "true", "yes", "y", "t", "on")
