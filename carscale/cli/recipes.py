"""``carscale recipes``: which there are, and what each is for; or the text of one."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Json
from carscale.cli.output import print_json, print_table

PACKAGED = Path(__file__).parents[1] / "recipes"


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(help="Print this one: effnet_focal, studies/balance.yaml; or a folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List recipes and studies, each with what it is for; with a name, print it to change it.

    Example: carscale recipes effnet_focal
    """
    from carscale.errors import ConfigError

    file = None if name is None else _file(name)
    if file is not None:
        print(file.read_text(encoding="utf-8"), end="")
        return
    folder = PACKAGED if name is None else Path(name)
    rows = [(path, _purpose(path)) for path in sorted(folder.glob("[a-z]*.py"))]
    rows += [(path, _about(path)) for path in sorted(folder.glob("studies/*.yaml"))]
    if not rows:
        raise ConfigError(f"{folder}: holds no recipes", "list those of carscale: carscale recipes")
    named = [
        (path.relative_to(folder).as_posix() if name is None else path.as_posix(), purpose)
        for path, purpose in rows
    ]
    if as_json:
        print_json([{"path": path, "purpose": purpose} for path, purpose in named])
        return
    print_table(("", ""), named)
    print("\nchange one:  carscale recipes effnet_focal > my_recipe.py")
    print("train:       carscale train my_recipe.py data.root=data/cars")
    print("study:       carscale recipes studies/balance.yaml > balance.yaml")
    print("             carscale study balance.yaml data.root=data/cars")


def _file(name: str) -> Path | None:
    """Return the packaged file of a name; ``None`` where there is none."""
    if ".." in Path(name).parts or Path(name).is_absolute():
        return None
    wanted = (PACKAGED / name, PACKAGED / f"{name}.py", PACKAGED / "studies" / f"{name}.yaml")
    return next((path for path in wanted if path.is_file()), None)


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
