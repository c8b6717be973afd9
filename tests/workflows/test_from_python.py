"""The README's section "From Python", as a script and in Jupyter's kernel; errors of calls."""

import re
import subprocess
import sys
from pathlib import Path

import jobs
import pytest

import carscale
from carscale.errors import CarscaleError

README = Path(__file__).resolve().parents[2] / "README.md"
SCRIPT = re.search(r"```python\n(import carscale\n.*?)```", README.read_text(), re.DOTALL)[1]


DRAWN = """
import inspect, shutil

def draw_demo(*words, signature=inspect.signature(carscale.draw_demo)):
    shutil.copytree({raw!r}, signature.bind(*words).arguments["out"])

carscale.draw_demo = draw_demo
"""


def made_small(script: str, raw: Path) -> str:
    """Return the script with a small demo set, drawn before, and a training of seconds."""
    settings = dict(word.split("=") for word in [*jobs.SMALL, "train.max_steps=3"])
    small = script.replace('"data.image_px": 128}', f"**{settings!r}}}")
    assert small.count("train.max_steps") == small.count("carscale.draw_demo(") == 1
    return small.replace("import carscale\n", f"import carscale\n{DRAWN.format(raw=str(raw))}", 1)


@pytest.mark.launch
@pytest.mark.slow
def test_the_section_of_the_readme_runs_in_jupyters_kernel(demo_of_command, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="Jupyter's kernel is for development only")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.chdir(tmp_path)
    script = made_small(SCRIPT, demo_of_command[0])
    cells = [nbformat.v4.new_code_cell(part) for part in script.split("\n\n")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    printed = "".join(one.get("text", "") for one in outputs if one.get("name") == "stdout")
    lines = printed.splitlines()
    assert re.fullmatch(r"0\.\d+ \(0\.\d+, 0\.\d+\)|1\.0 .*|0\.0 .*", lines[0])
    assert re.fullmatch(r"\d+ mistakes", lines[1])
    assert Path(lines[2]).name == "index.html"
    assert Path(lines[2]).is_file()
    assert "path: string" in printed


def test_importing_it_loads_no_torch():
    code = "import carscale, sys; carscale.freeze; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


def test_functions_stay_functions_when_every_module_is_imported():
    import importlib
    import pkgutil

    for module in pkgutil.walk_packages(carscale.__path__, "carscale."):
        if not module.name.endswith(("__main__", "dali_backend", "dali_graph", "dali_stock")):
            importlib.import_module(module.name)
    for name in ("freeze", "train", "evaluate", "analyse", "write_report", "predict", "merge"):
        assert callable(getattr(carscale, name)), name


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: carscale.evaluate("no/run"), "no/run: no such run folder"),
        (lambda: carscale.evaluate("no/run", split="dev"), "--split dev: must be"),
        (lambda: carscale.train("no_such_recipe"), "no_such_recipe: no such recipe"),
        (lambda: carscale.train("effnet_focal", {"data.rot": 1}), "unknown key 'data.rot'"),
        (lambda: carscale.freeze("no/photos", "out"), "no/photos"),
        (lambda: carscale.freeze(".", "out", carscale.FreezeRule(link="soft")), "--link soft"),
    ],
)
def test_wrong_calls_raise_what_the_commands_print(call, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CarscaleError, match=re.escape(text)):
        call()
