"""The recipes, studies, presets and launch files that come with carscale, by name."""

from __future__ import annotations

from pathlib import Path

RECIPES = Path(__file__).parents[1] / "recipes"
LAUNCH_FILES = Path(__file__).parents[1] / "accelerate_configs"


def packaged(name: str | Path) -> Path | None:
    """Return the recipe, study, preset or launch file of a name, or ``None``.

    Args:
        name: With or without its folder and ending: ``effnet_focal``, ``studies/balance.yaml``,
            ``recipes/presets/vit.yaml``; ``cpu2.yaml``, ``accelerate_configs/cpu2.yaml``.

    Example:
        >>> packaged("balance").relative_to(RECIPES).as_posix()
        'studies/balance.yaml'
    """
    bare = str(name).removeprefix("recipes/")
    named = (bare, f"{bare}.py", f"studies/{bare}.yaml", f"presets/{bare}.yaml")
    launch_file = LAUNCH_FILES / str(name).removeprefix("accelerate_configs/")
    for path in (*(RECIPES / candidate for candidate in named), launch_file):
        if path.is_file() and ".." not in path.parts and path.stem != "__init__":
            return path
    return None
