"""Where a run's frozen folder lies, from whatever folder a command is typed in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carscale import config


def data_places(run: Path, root: Path | str) -> dict[str, str]:
    """Return where a frozen folder lies, as ``env.json`` stores it.

    Args:
        run: The run folder.
        root: As it was typed.

    Returns:
        ``root`` as typed, ``absolute_root``, and ``root_from_run``, which holds when both are
        moved together.
    """
    absolute = Path(root).resolve()
    return {
        "root": str(root),
        "absolute_root": str(absolute),
        "root_from_run": os.path.relpath(absolute, run.resolve()),
    }


def with_found_data(cfg: config.Recipe, run: Path, environment: Mapping[str, Any]) -> config.Recipe:
    """Return settings whose ``data.root`` leads to the run's data from here, as typed if it does.

    Args:
        cfg: The run's settings.
        run: The run folder.
        environment: Of its ``env.json``, where ``data`` holds what ``data_places`` returned.
    """
    typed, stored = Path(cfg.data.root), environment.get("data") or {}
    is_here = typed.is_absolute() and (typed / "card.json").is_file()
    if is_here or stored.get("root") != cfg.data.root:
        return cfg
    places = [
        run.resolve() / stored.get("root_from_run", ""),
        Path(stored.get("absolute_root", "")),
    ]
    found = [place.resolve() for place in places if (place / "card.json").is_file()]
    if not found or typed.resolve() == found[0]:
        return cfg
    return cfg.model_copy(update={"data": cfg.data.model_copy(update={"root": str(found[0])})})
