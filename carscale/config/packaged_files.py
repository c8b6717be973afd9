"""The recipes, studies and presets that come with carscale, by name."""

from __future__ import annotations

from pathlib import Path

RECIPES = Path(__file__).parents[1] / "recipes"


def packaged(name: str | Path) -> Path | None:
    """Return the recipe, study or preset of a name, or ``None``.

    Args:
        name: With or without its folder and ending: ``effnet_focal``, ``studies/balance.yaml``,
            ``recipes/presets/vit.yaml``.

    Example:
        >>> packaged("balance").relative_to(RECIPES).as_posix()
        'studies/balance.yaml'
    """
    bare = str(name).removeprefix("recipes/")
    for candidate in (bare, f"{bare}.py", f"studies/{bare}.yaml", f"presets/{bare}.yaml"):
        path = RECIPES / candidate
        if path.is_file() and ".." not in path.parts and path.stem != "__init__":
            return path
    return None
