"""``carscale recipes``: which there are, and what each is for."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated

import typer


def recipes(
    folder: Annotated[Path, typer.Argument(help="Where recipes lie.")] = Path("recipes"),
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """List recipes and studies, each with what it is for.

    Example: carscale recipes
    """
    from carscale.errors import ConfigError

    rows = [(path, _purpose(path)) for path in sorted(folder.glob("*.py"))]
    rows += [(path, _about(path)) for path in sorted(folder.glob("studies/*.yaml"))]
    if not rows:
        raise ConfigError(
            f"{folder}: holds no recipes", "name their folder: carscale recipes path/to/recipes"
        )
    if as_json:
        import json

        entries = [{"path": path.as_posix(), "purpose": purpose} for path, purpose in rows]
        print(json.dumps(entries, indent=1, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for path, purpose in rows:
        table.add_row(escape(path.as_posix()), escape(purpose))
    console = Console(highlight=False)
    console.print(table)
    console.print("\ntrain:  accelerate launch recipes/NAME.py data.root=data/cars")
    console.print("study:  carscale study recipes/studies/NAME.yaml data.root=data/cars")


def _purpose(path: Path) -> str:
    """Return the first line of a script's docstring, without running it."""
    try:
        told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError) as error:
        return f"(can't be read: {error})"
    return (told or "(no docstring)").splitlines()[0]


def _about(path: Path) -> str:
    """Return a study's sentence."""
    from carscale import config
    from carscale.errors import ConfigError

    try:
        return config.read_study(path).about
    except ConfigError as error:
        return f"(no study: {str(error).splitlines()[0]})"
