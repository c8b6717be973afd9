"""``carscale recipes``: which there are, what each is for, and the text of one to copy."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Json
from carscale.cli.output import print_json, say


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(help="Print this recipe, study or preset; of a folder, list its recipes."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List recipes, studies and presets, each with what it is for; or print one to copy.

    Example: carscale recipes effnet_focal
    """
    from carscale import config
    from carscale.errors import ConfigError

    folder = config.RECIPES if name is None else Path(name)
    if name is not None and not folder.is_dir():
        found = config.packaged(name)
        if found is None:
            raise ConfigError(f"{name}: no such recipe", "list them with: carscale recipes")
        sys.stdout.write(found.read_text(encoding="utf-8"))
        return
    rows = [(path, _purpose(path)) for path in sorted(folder.glob("[!_]*.py"))]
    rows += [(path, _about(path)) for path in sorted(folder.glob("studies/*.yaml"))]
    rows += [(path, _comment(path)) for path in sorted(folder.glob("presets/*.yaml"))]
    if not rows:
        raise ConfigError(f"{folder}: holds no recipes", "list those of carscale: carscale recipes")
    _print(folder, rows, as_json=as_json)


def _print(folder: Path, rows: list[tuple[Path, str]], *, as_json: bool) -> None:
    """Print names and purposes, and what to type with a name."""
    from carscale.cli.output import print_table

    named = [(path.relative_to(folder).as_posix(), path, purpose) for path, purpose in rows]
    if as_json:
        print_json([{"name": n, "path": str(path), "purpose": why} for n, path, why in named])
        return
    print_table(("", ""), [(n.removesuffix(".py"), purpose) for n, _, purpose in named])
    say("\ntrain:   carscale train NAME data.root=data/cars")
    say("change:  carscale recipes NAME > my_recipe.py; carscale train my_recipe.py ...")
    say("study:   carscale study NAME data.root=data/cars")
    say("preset:  carscale train NAME config=presets/NAME.yaml ...")


def _purpose(path: Path) -> str:
    """Return the first line of a script's docstring, without running it."""
    try:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError) as error:
        return f"(can't be read: {error})"
    return (text or "(no docstring)").splitlines()[0]


def _about(path: Path) -> str:
    """Return a study's sentence."""
    from carscale import config
    from carscale.errors import ConfigError

    try:
        return config.read_study(path).about
    except ConfigError as error:
        return f"(no study: {str(error).splitlines()[0]})"


def _comment(path: Path) -> str:
    """Return a preset's first line, which is a comment."""
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
