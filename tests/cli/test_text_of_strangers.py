"""What a run of a stranger is called, and calls its classes and photos, is only text."""

import ast
import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import carscale
from fake_strangers import run_with

from carscale import workflows
from carscale.runs import RunFolder

CLI = Path(__file__).resolve().parents[2] / "carscale" / "cli"
EVIL = "a\x1b[31mb\u202e=c"
SHOWN = r"a\x1b[31mb\u202e=c"
SHOWN_IN_JSON = r"a\u001b[31mb\u202e=c"


def is_clean(answer):
    text = answer.stdout + answer.stderr
    return all(c.isprintable() or c == "\n" for c in text)


def test_predict_shows_names_of_photos_and_classes_as_text(monkeypatch):
    top = [{"class": EVIL, "prob": 0.5}]
    rows = [
        {"path": EVIL, "error": None, "abstains": None, "top5": top},
        {"path": "b", "error": EVIL, "abstains": None, "top5": []},
    ]
    monkeypatch.setattr(workflows, "predict", lambda *_, **__: SimpleNamespace(rows=rows))
    for words in ([], ["--json"]):
        answer = carscale("predict", "run", "photo", *words, code=0)
        assert is_clean(answer)
        assert answer.stdout.count(SHOWN if not words else SHOWN_IN_JSON) == 3


def test_runs_shows_names_of_runs_and_their_settings_as_text(tmp_path):
    run = run_with(tmp_path / "runs" / EVIL)
    env = run.environment() | {"started": f"2026 {EVIL}", "recipe": EVIL}
    run.environment_file.write_text(json.dumps(env))
    for words in ([], ["--json"]):
        answer = carscale("runs", tmp_path / "runs", *words, code=0)
        assert is_clean(answer)
        assert (SHOWN_IN_JSON if words else SHOWN) in answer.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("errors", EVIL),
        ("report", EVIL),
        ("evaluate", EVIL),
        ("folds", EVIL),
        ("compare", EVIL, "b"),
        ("data", "check", EVIL),
        ("study", EVIL),
        ("train", EVIL),
    ],
)
def test_errors_show_names_as_text(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    answer = carscale(*words, code=2)
    assert is_clean(answer)
    assert SHOWN in answer.stderr


def test_an_error_of_a_file_shows_what_it_holds_as_text(tmp_path):
    run = run_with(tmp_path / "run")
    run.settings_file.write_text('"optim.\\e[2J\\u202E": 1\n')
    assert is_clean(carscale("errors", run, code=2))


HOSTILE = "x; touch gone"


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("folds",), ["carscale", "folds", "{run}", "--recipe", HOSTILE + ".py"]),
        (("report",), None),
        (("errors", "--split", "test"), None),
    ],
)
def test_commands_of_errors_are_quoted(tmp_path, tiny, words, command):
    run = run_with(tmp_path / HOSTILE, data_root=tiny)
    run.environment_file.write_text(
        json.dumps(run.environment() | {"command": [f"{HOSTILE}.py", "seed=1"]})
    )
    said = carscale(words[0], run, *words[1:]).stderr
    for line in said.splitlines():
        if ": carscale " in line:
            assert "touch" not in shlex.split(line.partition(": carscale ")[2])
    if command is not None:
        asked = said.partition("trust: ")[2].strip()
        assert shlex.split(asked) == [word.format(run=run) for word in command]


def test_a_command_that_does_not_parse_names_no_recipe(tmp_path):
    run = run_with(tmp_path / "run")
    run.environment_file.write_text(json.dumps(run.environment() | {"command": "it's broken"}))
    assert RunFolder(run).recipe_file is None


def test_the_command_line_prints_by_one_door():
    """What is printed elsewhere would pass by it."""
    wrong = [
        f"{path.name}:{node.lineno}"
        for path in CLI.rglob("*.py")
        if path.name != "output.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "sys.stderr.write", "rich.print")
    ]
    assert wrong == []
