"""The recipes, studies, presets and launch files that come with carscale, by name."""

from __future__ import annotations

import os
from pathlib import Path

from carscale import contained
from carscale.errors import UnsafePathError

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
    whole = Path(name).as_posix()
    if not contained.is_plain(whole):  # an absolute path would be taken as it is
        return None
    bare = whole.removeprefix("recipes/")
    named = (bare, f"{bare}.py", f"studies/{bare}.yaml", f"presets/{bare}.yaml")
    launch_file = LAUNCH_FILES / whole.removeprefix("accelerate_configs/")
    for path in (*(RECIPES / candidate for candidate in named), launch_file):
        if path.is_file() and path.stem != "__init__":
            return path
    return None


def is_packaged(path: Path) -> bool:
    """Tell whether a file is one that came with carscale, by whichever path."""
    return not contained.leads_out(str(path), os.path.realpath(RECIPES))


def beside_a_study(study: Path, name: str) -> Path | None:
    """Return the recipe or preset that a study file names, or ``None`` where it may not be taken.

    A study may come from anybody, and a recipe is code: it is one that came with carscale, by path
    or by name, or lies below the study's own folder or the working folder, without a link between.

    Args:
        study: The study file.
        name: As it stands there; starts at the study file.
    """
    near = Path(os.path.normpath(study.parent / name))
    if not near.exists():  # a copied study finds what came with carscale
        return packaged(name.removeprefix("../"))
    if is_packaged(near):
        return near
    for folder in (study.parent, Path.cwd()):
        relative = os.path.relpath(near.absolute(), folder.absolute())
        if contained.is_plain(relative) and _is_file(folder, relative):
            return near
    return None


def _is_file(folder: Path, relative: str) -> bool:
    """Tell whether a regular file lies below a folder, without a link between."""
    try:
        return contained.inside(folder, relative, "file").is_file()
    except UnsafePathError:
        return False
