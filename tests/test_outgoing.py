"""Text that leaves is only text: for a terminal, a table, a shell, a page."""

import ast
import csv
import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from carscale import outgoing
from carscale.cli import output
from carscale.report.page.csv import csv_text

FORMULAS = [
    '=HYPERLINK("http://x","click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "-",
    "+٣",  # a digit that Python's \d knows
    "-1e5x",
    "=",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_table_is_a_formula(text, capsys):
    output.print_csv(["a", text], [[1, text]])
    printed = capsys.readouterr().out
    for table in (printed, csv_text(["a", text], [[1, text]])):
        for row in csv.reader(io.StringIO(table, newline="")):
            assert row[1] == f"'{text}"


@pytest.mark.parametrize("value", ["-0.5", "+1", "-1e-05", -0.5, 3, "Audi A4", "a=b", "", "'x"])
def test_numbers_and_other_text_stay_as_they_are(value):
    assert outgoing.csv_cell(value) == value


CONTROLS = {
    "escape": "\x1b[2J",
    "title": "\x1b]0;evil\x07",
    "right to left": "\u202egnp.exe",
    "isolate": "\u2066a\u2069",
    "one byte CSI": "\x9b31m",
    "delete": "\x7f",
    "return": "good\rbad",
    "backspace": "a\b\b",
    "zero width": "a\u200bb",
    "tag letters": "a\U000e0041",
    "half a surrogate": "\udc80",
    "line separator": "a\u2028b",
    "byte order mark": "\ufeff",
    "next line": "a\x85b",
}


@pytest.mark.parametrize("text", CONTROLS.values(), ids=CONTROLS)
def test_a_terminal_and_a_page_get_no_control(text, capsys):
    output.say(f"one {text}\ntwo")
    output.print_json({"name": text})
    output.print_table(["name"], [[text]])
    said = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in said)
    assert said.startswith("one ")
    assert "\ntwo\n" in said
    assert all(c.isprintable() for c in outgoing.page_text(text))


def test_json_says_the_same_after_its_controls_are_escaped(capsys):
    import json

    tree = {name: text for name, text in CONTROLS.items() if name != "half a surrogate"}
    output.print_json(tree | {"Škoda": "\U0001f697"})
    printed = capsys.readouterr().out
    assert json.loads(printed) == tree | {"Škoda": "\U0001f697"}
    assert "Škoda" in printed


@pytest.mark.parametrize("name", ["a; touch x", "$(id)", "a b", "-n", "it's", "`id`", "*", "~", ""])
def test_a_command_gives_a_shell_the_words_it_was_made_of(name):
    assert shlex.split(outgoing.command("carscale", name)) == ["carscale", name]
    assert outgoing.words_of(outgoing.stored_command([name])) == [name]


def test_a_stored_command_is_words_whatever_it_was():
    assert outgoing.stored_command("r.py seed=1; curl x | sh") == "r.py 'seed=1;' curl x '|' sh"
    assert outgoing.stored_command("it's no command") == "'it'\"'\"'s no command'"
    assert outgoing.stored_command(None) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/tmp/a/runs/x", "x"),
        ("/tmp/a/runs/-x", "./-x"),
        ("config=/tmp/a/runs/x/config.yaml", "config=x/config.yaml"),
        ("carscale report '/tmp/a/runs/my run'", "carscale report 'my run'"),
        ("in /tmp/a/data (from /tmp/b).", "in ../data (from ../../b)."),
        ("https://example.org/a", "https://example.org/a"),
        ("A / B and and/or", "A / B and and/or"),
        ("/5 is a class", "/5 is a class"),
        ("root: /tmp/a\nrun: /tmp/a/runs", "root: ..\nrun: ."),
    ],
)
def test_paths_start_at_a_folder(text, said):
    assert outgoing.relative(text, Path("/tmp/a/runs")) == said


NAMES = ["Лада Веста", "比亚迪 秦", "Škoda Octavia", "file\udcff"]
PRINT = """
import sys
from carscale import outgoing, progress
from carscale.cli import main, output
names = ["Лада Веста", "比亚迪 秦", "Škoda Octavia", "file\\udcff"]
def command():
    for name in names:
        output.say(name)
        progress.note(name)
    output.print_table(("class",), [(name,) for name in names])
    output.print_csv(("class",), [(name,) for name in names])
    output.print_json(names, indent=None)
main.app = lambda standalone_mode: command()
main.run()
"""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437", "utf-8", "utf-16"])
def test_no_letter_ends_a_command(encoding):
    done = subprocess.run(
        [sys.executable, "-c", PRINT],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    out = done.stdout.decode(encoding)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert json.loads(out.splitlines()[-1]) == NAMES
    for place in out.splitlines()[::4][:2], done.stderr.decode(encoding).splitlines()[:1]:
        assert place[0].rstrip() in (
            NAMES[0],
            NAMES[0].encode("ascii", "backslashreplace").decode(),
        )


def test_commands_run_in_the_plainest_locale(tmp_path):
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for words in (["--help"], ["data", "freeze", "--help"], ["predict", "Лада", "比亚迪.jpg"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "carscale", *words],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, **plain},
        )
        assert b"Traceback" not in done.stderr
        assert done.stdout if "--help" in words else b"Error: " in done.stderr


def test_a_locale_that_can_not_name_a_file_is_one_clear_error():
    code = (
        "import os; from carscale.cli import main\n"
        "main.app = lambda **_: os.stat('\\u0160')\n"
        "main.run()"
    )
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, env={**os.environ, **plain}
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"ConfigError: environment: its locale writes names of files as ")
    assert b"export PYTHONUTF8=1" in done.stderr


def test_files_are_utf8_whatever_the_locale():
    wrong = []
    for path in Path(outgoing.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
            given = "utf-8" in texts or any(k.arg == "encoding" for k in node.keywords)
            is_text = node.func.attr in ("read_text", "write_text") or (
                node.func.attr == "open" and texts and texts[0] in ("r", "w", "a", "x", "r+", "w+")
            )
            if is_text and not given:
                wrong.append(f"{path.name}:{node.lineno}")
    assert not wrong
