"""Imports point down, no file is in a circle, each library has one door, heavy ones wait."""

import ast
import importlib
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "carscale"

# From the ground up: a module imports only from rooms that stand in lines above its own.
LAYERS = [
    ["errors"],
    ["contained", "file_kinds", "outgoing", "shapes"],
    ["types"],
    ["progress", "threads", "stats", "images", "config", "car_names"],
    ["disk", "tables"],
    ["locks"],
    ["files"],
    ["runs", "demo"],
    ["data.frozen"],
    ["data.sources"],
    ["data.photos"],
    ["data.freezing"],
    ["data.versions"],
    ["data"],
    ["augment", "balance", "models", "world"],
    ["loaders"],
    ["training", "evaluation"],
    ["analysis", "curate"],
    ["synth", "export"],
    ["pipeline"],
    ["recipes"],
    ["verdicts"],
    ["report.page"],
    ["report.run", "report.data", "report.study"],
    ["report"],
    ["studies", "benchmark", "refine"],
    ["workflows"],
    ["cli"],
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

DOORS = {
    "pydantic": {"config"},
    "yaml": {"config"},
    "pyarrow": {"tables"},
    "PIL": {"images", "export"},  # export: files are read as users of an export read them
    "pi_heif": {"images"},
    "cv2": {"images"},
    "simplejpeg": {"images"},
    "scipy": {"stats", "data.sources"},  # data.sources: MATLAB files
    "rich": {"progress", "cli"},
    "accelerate": {"world"},
    "timm": {"models"},
    "matplotlib": {"report.page", "report.run", "report.data", "report.study"},
    "jinja2": {"report.page"},
    "typer": {"cli"},
    "datasets": {"data.sources", "data.versions"},
    "faiss": {"data.photos"},
    "nvidia": {"loaders"},
    "captum": {"evaluation"},
    "diffusers": {"synth"},
    "onnxruntime": {"export"},
    "sklearn": {"analysis", "curate"},  # curate: can a classifier tell two sets apart?
}
TORCH = ("torch", "torchvision", "timm", "accelerate")
MAY_TORCH = {
    *("balance", "models", "world", "loaders", "training", "evaluation", "pipeline"),
    *("benchmark", "refine", "workflows", "cli"),  # cli: is there a GPU?
    "export",
    "synth",  # for a pipeline of diffusers alone
}
MAX_FILES = 16  # of a folder, without its __init__

FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.pyi"))


def name_of(path: Path) -> str:
    """Return ``carscale.data.frozen.lock`` of a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def room_of(module: str) -> str:
    """Return the room of a module: ``data.frozen``, ``loaders``."""
    parts = module.split(".")[1:]
    two = ".".join(parts[:2])
    return two if two in LEVEL else (parts or [""])[0]


def exports() -> dict[tuple[str, str], str]:
    """Return the module behind each name that a room exports."""
    return {
        (name_of(stub), alias.name): f"{name_of(stub)}.{node.module}"
        for stub in PACKAGE.rglob("__init__.pyi")
        for node in ast.parse(stub.read_text()).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def imports_of(tree: ast.AST) -> list[str]:
    """Return what a tree imports: modules, and ``module.name`` of names."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def at_run_time(path: Path) -> ast.AST:
    """Return a file's tree without its ``if TYPE_CHECKING:`` blocks, which import nothing."""

    class Drop(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            is_guard = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            return None if is_guard else self.generic_visit(node)

    return Drop().visit(ast.parse(path.read_text()))


def target_of(imported: str) -> str | None:
    """Return the module of ours that an import asks for; through a room's door, the one behind."""
    if imported in MODULES:
        return imported
    package, _, name = imported.rpartition(".")
    behind = exports_of.get((package, name))
    return behind or (package if package in MODULES else None)


exports_of = exports()


def test_every_module_has_a_level():
    rooms = {room_of(name) for name in MODULES} - {"", "__main__"}
    assert rooms <= set(LEVEL), rooms - set(LEVEL)


def test_imports_point_down():
    wrong = []
    for name, path in MODULES.items():
        room = room_of(name)
        if room in ("", "__main__"):
            continue
        for imported in imports_of(at_run_time(path)):
            other = room_of(target_of(imported) or "")
            if other and other != room and LEVEL[other] >= LEVEL[room]:
                wrong.append(f"{name} may not import {imported}")
    assert not wrong, "\n".join(wrong)


def test_no_file_is_in_a_circle():  # imports for types count too
    graph = {
        name: {
            target
            for imported in imports_of(ast.parse(path.read_text()))
            if (target := target_of(imported)) and target != name
        }
        for name, path in MODULES.items()
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_libraries_have_one_door():
    wrong = [
        f"{name} imports {imported}"
        for name, path in MODULES.items()
        for imported in imports_of(at_run_time(path))
        if room_of(name) not in DOORS.get(imported.split(".")[0], {room_of(name)})
    ]
    assert not wrong, "\n".join(wrong)


def test_rooms_without_torch_import_none():
    wrong = [
        f"{name} imports {imported}"
        for name, path in MODULES.items()
        if room_of(name) not in MAY_TORCH
        for imported in imports_of(at_run_time(path))
        if imported.split(".")[0] in TORCH
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_a_recipe_or_the_cli_loads_no_torch():
    code = (
        "import sys; from carscale.recipes import effnet_focal; import carscale.cli.main;"
        "print([m for m in ('torch', 'timm', 'accelerate', 'datasets', 'scipy', 'matplotlib')"
        " if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", ROOMS, ids=[folder.name for folder in ROOMS])
def test_what_a_room_exports_is_there(folder):
    room = importlib.import_module(name_of(folder / "__init__.py"))
    for name in room.__all__:
        assert getattr(room, name) is not None
    with pytest.raises(AttributeError):
        room.no_such_name  # noqa: B018
    modules = {path.stem for path in folder.glob("*.py")}
    assert modules.isdisjoint(room.__all__), "importing the module would replace the name"


def test_folders_modules_and_functions_stay_small():
    wrong = [
        f"{folder}: {count} files"
        for folder, count in Counter(path.parent for path in FILES).items()
        if count - 1 > MAX_FILES
    ]
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
