"""Imports point down, each library has one door, heavy libraries wait, names are listed."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "carscale"

# One line a layer; a room imports only from lines above its own.
LAYERS = [
    {"errors", "types"},
    {"config", "runs", "tables", "images", "stats", "progress"},
    {"world", "data", "augment", "balance", "models"},
    {"loaders"},
    {"train", "evaluate"},
    {"analysis", "curate"},
    {"report"},
    {"experiment"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

DOORS = {
    "pydantic": {"config"},
    "yaml": {"config", "report"},  # report: an old run's settings, whatever they hold
    "pyarrow": {"tables"},
    "PIL": {"images"},
    "cv2": {"images"},
    "simplejpeg": {"images"},
    "scipy": {"stats"},
    "rich": {"progress", "cli"},
    "accelerate": {"world"},
    "timm": {"models"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "typer": {"cli"},
    "datasets": {"data"},
    "faiss": {"data"},
    "nvidia": {"loaders"},
    "captum": {"evaluate"},
    "sklearn": {"analysis", "curate"},  # curate: can a classifier tell two sets apart?
}
NO_TORCH = {"errors", "config", "runs", "tables", "images", "stats", "progress", "data", "augment"}
NO_TORCH |= {"report", "analysis", "curate"}

FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted({p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in FILES} - {"__init__"})


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(tree: ast.AST) -> set[str]:
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def without_type_checking(tree: ast.Module) -> ast.Module:
    """Drop ``if TYPE_CHECKING:`` blocks: they import nothing at run time."""

    class Drop(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            is_guard = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            return None if is_guard else self.generic_visit(node)

    return Drop().visit(tree)


def test_imports_point_down():
    wrong = []
    for path in FILES:
        room = room_of(path)
        if room in ("__init__", "__main__"):
            continue
        for module in imported_modules(without_type_checking(ast.parse(path.read_text()))):
            other = module.split(".")[1] if module.startswith("carscale.") else room
            if other != room and other in LEVEL and LEVEL[other] >= LEVEL[room]:
                wrong.append(f"{path} may not import carscale.{other}")
    assert not wrong, "\n".join(wrong)


def test_every_room_has_a_level():
    assert set(ROOMS) - {"__main__"} <= set(LEVEL)


def test_libraries_have_one_door():
    wrong = [
        f"{path} imports {module}"
        for path in FILES
        for module in imported_modules(without_type_checking(ast.parse(path.read_text())))
        if room_of(path) not in DOORS.get(module.split(".")[0], {room_of(path)})
    ]
    assert not wrong, "\n".join(wrong)


def test_rooms_without_torch_import_none():
    wrong = [
        f"{path} imports {module}"
        for path in FILES
        if room_of(path) in NO_TORCH
        for module in imported_modules(without_type_checking(ast.parse(path.read_text())))
        if module.split(".")[0] in ("torch", "torchvision", "timm", "accelerate")
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_a_recipe_or_the_cli_loads_no_torch():
    code = (
        "import sys; sys.path.insert(0, 'recipes'); import effnet_focal, carscale.cli.main;"
        "print([m for m in ('torch', 'timm', 'accelerate', 'datasets', 'scipy', 'matplotlib')"
        " if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in ("__main__", "cli")])
def test_all_resolves(room):  # ruff keeps it sorted (RUF022)
    module = importlib.import_module(f"carscale.{room}")
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_unknown_names_of_rooms_raise_attribute_errors():
    missing = "no_such_name"
    for room in ("data", "loaders", "models", "train", "evaluate", "balance", "curate"):
        with pytest.raises(AttributeError, match=missing):
            getattr(importlib.import_module(f"carscale.{room}"), missing)


def test_modules_and_functions_stay_small():
    wrong = []
    for path in FILES:
        text = path.read_text()
        if text.count("\n") > 400:
            wrong.append(f"{path}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if length > 60:
                    wrong.append(f"{path}: {node.name} has {length} lines")
    assert not wrong, "\n".join(wrong)
