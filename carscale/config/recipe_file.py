"""The settings that a recipe's file states: by running it, or by reading it alone.

Chosen: calls of the settings' own classes on plain values are evaluated from the syntax tree, which
is what a recipe is made of. Rejected: running it in a process of its own (it would still run).
"""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from carscale import contained
from carscale.config import schema
from carscale.config.load import vary
from carscale.config.packaged_files import RECIPES
from carscale.config.schema import Recipe
from carscale.errors import ConfigError

MAX_BYTES = 1 << 20
CALLABLE: dict[str, Any] = {
    name: part
    for name, part in {**vars(schema), "vary": vary}.items()
    if part is vary or (isinstance(part, type) and issubclass(part, schema.Section))
}
"""What a recipe may call and still be read."""


class _OnlyByRunningError(Exception):
    """An expression that is more than settings."""


def read_recipe(path: Path) -> Recipe:
    """Return a recipe's settings; runs the file, but trains nothing.

    Raises:
        ConfigError: The file states no ``RECIPE``.
    """
    found = runpy.run_path(str(path), run_name="carscale.recipe").get("RECIPE")
    if not isinstance(found, Recipe):
        raise ConfigError(
            f"{path}: states no RECIPE", "see one with: carscale recipes effnet_baseline"
        )
    return found


def stated_recipe(path: Path) -> Recipe:
    """Return a recipe's settings without running the file.

    Raises:
        ConfigError: The file states no ``RECIPE``, or one that only running it would tell.
    """
    try:
        tree = ast.parse(contained.read_named(path, max_bytes=MAX_BYTES))
        names: dict[str, Any] = {}
        for statement in tree.body:
            _take(statement, names)
        found = names.get("RECIPE")
    except (OSError, SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{path}: can't be read: {error}") from error
    if isinstance(found, Recipe):
        return found
    raise ConfigError(
        f"{path}: states no RECIPE that can be read without running the file",
        "write config.Recipe(...) of plain values; see one with: carscale recipes effnet_baseline",
    )


def _take(statement: ast.stmt, names: dict[str, Any]) -> None:
    """Keep what a statement imports from carscale or assigns; a name that can't be read is lost."""
    if isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            names[alias.asname or alias.name] = _imported(statement.module or "", alias.name)
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        try:
            value = _value(statement.value, names) if statement.value else None
        except _OnlyByRunningError:
            value = None
        names.update({target.id: value for target in targets if isinstance(target, ast.Name)})
    elif not isinstance(statement, ast.Expr | ast.FunctionDef | ast.Import | ast.If):
        names.clear()  # it may change anything


def _imported(module: str, name: str) -> Any:  # noqa: ANN401 - a namespace, a class, a function
    """Return what an import of carscale's settings or recipes stands for; ``None`` for others."""
    if (module, name) == ("carscale", "config"):
        return SimpleNamespace(**CALLABLE)
    if module == "carscale.config":
        return CALLABLE.get(name)
    if module == "carscale.recipes" and (RECIPES / f"{name}.py").is_file():
        return SimpleNamespace(RECIPE=read_recipe(RECIPES / f"{name}.py"))
    return None


def _value(node: ast.expr, names: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever a setting is
    """Return what an expression of plain values, settings and names stands for."""
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [_value(one, names) for one in node.elts]
        case ast.Dict() if None not in node.keys:
            keys = [_value(key, names) for key in node.keys if key is not None]
            return dict(zip(keys, [_value(one, names) for one in node.values], strict=True))
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Name() if names.get(node.id) is not None:
            return names[node.id]
        case ast.Attribute(value=ast.Name(id=owner)) if isinstance(
            names.get(owner), SimpleNamespace
        ):
            return getattr(names[owner], node.attr, None)
        case ast.Call():
            called = _value(node.func, names)
            keywords = {one.arg: _value(one.value, names) for one in node.keywords if one.arg}
            if called in CALLABLE.values() and len(keywords) == len(node.keywords):
                return called(*[_value(one, names) for one in node.args], **keywords)
    raise _OnlyByRunningError
