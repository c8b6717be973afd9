"""The run folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from carscale.errors import RunError


def recipe_of(env: dict[str, Any]) -> str | None:
    """Return the recipe that a run was started by, as it was typed.

    Args:
        env: What ``env.json`` holds.

    Example:
        >>> recipe_of({"command": ["recipes/effnet_focal.py", "seed=3"]})
        'recipes/effnet_focal.py'
    """
    command = env.get("command") or []
    words = shlex.split(command) if isinstance(command, str) else map(str, command)
    return next((word for word in words if word.endswith(".py")), None)


def find_run(path: Path) -> Path:
    """Return a run folder, checked.

    Raises:
        RunError: There is no such folder, or it holds no run; says which runs lie in or beside it.
    """
    if (path / "config.yaml").is_file():
        return path
    folder, names = path, sorted(p.parent.name for p in path.glob("*/config.yaml"))
    if not names:
        folder = path.parent
        names = sorted(p.parent.name for p in folder.glob("*/config.yaml"))
    beside = f"runs in {folder}: {', '.join(names)}" if names else f"no run lies in {folder}"
    kind = "holds no run (no config.yaml)" if path.exists() else "no such run folder"
    raise RunError(f"{path}: {kind}", beside)
