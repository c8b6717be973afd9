"""What a text of carscale tells people to type exists: commands, their options, settings."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import typer

from carscale import config
from carscale.cli.main import UsageError, app
from carscale.errors import ConfigError

Command = typer.core.TyperCommand
ROOT = Path(__file__).resolve().parents[1]
ANY = "ANY"
"""Stands for what is only known when the text is made; so do other words in capitals."""
SHELL_CALLS = ("outgoing.command", "command")
COMMAND = re.compile(r"\bcarscale ((?:data|benchmark) )?([A-Za-z]+)\b")
IS_WHOLE = re.compile(r"(?:^|: +|; |`|&& |#   |<code[^>]*>)$")
END = re.compile(r"[;`\n)<]|, | && | or (?=[a-z])|: | ?\.\.\.|\.$| > ")
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
EXTRA = re.compile(r"\bcarscale\[(\w+)\]")
PACKAGED = re.compile(r"(?:carscale recipes |--config_file )([a-z][\w./]*\w)")
SETTING = re.compile(r"(?<![\w./{])((?:[a-z_]+\.)?[a-z_]+)=(\S*)")


def rendered(node: ast.AST) -> str | None:
    """Return the text that an expression makes; ``None`` where it makes none that can be read."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr():
            return "".join(rendered(part) or ANY for part in node.values)
        case ast.FormattedValue():
            return rendered(node.value)
        case ast.BinOp(op=ast.Add()):
            sides = rendered(node.left), rendered(node.right)
            return None if sides == (None, None) else "".join(side or ANY for side in sides)
        case ast.Call() if ast.unparse(node.func) in SHELL_CALLS:
            return " ".join(rendered(word) or ANY for word in node.args)
        case ast.Call(args=[ast.List() as words]) if ast.unparse(node.func) == "shlex.join":
            return " ".join(rendered(word) or ANY for word in words.elts)
    return None


def texts_of(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the lines and texts of a module but for its docstrings."""
    text = rendered(node)
    if text is not None:
        yield node.lineno, text
        return
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from texts_of(child)


@cache
def texts() -> list[tuple[str, str]]:
    """Return every text of carscale and where it stands."""
    found = [
        (f"{path.relative_to(ROOT)}:{line}", text)
        for path in sorted((ROOT / "carscale").rglob("*.py"))
        for line, text in texts_of(ast.parse(path.read_text()))
    ]
    for path in sorted((ROOT / "carscale" / "report").rglob("*.j2")):
        filled = re.sub(r"{%.*?%}", "", re.sub(r"{{.*?}}", ANY, path.read_text()))
        found += [(f"{path.name}:{n}", line) for n, line in enumerate(filled.split("\n"), 1)]
    assert len(found) > 3000
    return found


@cache
def commands() -> dict[str, Command]:
    """Return every command by its words."""
    root = typer.main.get_command(app)
    found = {}
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        found |= (
            {f"{name} {word}": one for word, one in inner.items()} if inner else {name: command}
        )
    return found


def options_of(command: Command) -> set[str]:
    return {
        "--help",
        *(name for one in command.params for name in (*one.opts, *one.secondary_opts)),
    }


def problem_of(command: Command, words: list[str]) -> str | None:
    """Return why a command does not take words; a stand-in for a number or choice becomes one."""
    try:
        command.make_context("", list(words))
    except UsageError as error:
        said = error.format_message()
        wrong = re.search(r"'([A-Z_:]+)' is not (?:one of '(\w+)')?", said)
        if wrong is None or wrong[1] not in words:
            return said
        better = wrong[2] or "1"
        return problem_of(command, [better if word == wrong[1] else word for word in words])
    return None


def wrong_commands(text: str) -> Iterator[str]:
    """Yield what is wrong with the commands that a text names."""
    for found in COMMAND.finditer(text):
        name = f"{found[1] or ''}{found[2]}"
        words = END.split(text[found.end() :], maxsplit=1)[0]
        is_whole = IS_WHOLE.search(text[: found.start()])
        command = commands().get(name)
        if command is None:
            if is_whole and found[2] != ANY:
                yield f"no command {name}"
        elif is_whole and words.strip():
            if wrong := problem_of(command, shlex.split(words)):
                yield f"carscale {name}{words}: {wrong}"
        else:
            yield from (
                f"carscale {name} has no {option}"
                for option in OPTION.findall(words)
                if option not in options_of(command)
            )


FILES = ("model.onnx", "model.xml", "model.bin", "model.safetensors")
"""What looks like a setting, and is a file of an export."""


def wrong_settings(text: str) -> Iterator[str]:
    """Yield what is wrong with the settings that a text names."""
    known = config.flat(config.Recipe().model_dump())
    sections = {key.split(".")[0] for key in known if "." in key}
    bare = rf"(?<![\w./-])((?:{'|'.join(sections)})\.[a-z_]+)\b(?![(.\w])"
    known_or_file = {*known, *FILES}
    yield from (f"no setting {key}" for key in re.findall(bare, text) if key not in known_or_file)
    for key, value in SETTING.findall(text):
        if key.split(".")[0] not in sections or "." not in key:
            continue
        if key not in known:
            yield f"no setting {key}"
            continue
        value = re.split(r"[,;:)`'\"<]|\.\.|\.$", value)[0]
        if value and value.lower() == value:
            try:
                config.resolve(config.Recipe(), [f"{key}={value}"])
            except ConfigError as error:
                if "should be" in str(error):
                    yield str(error)


def test_commands_that_texts_name_exist_and_take_what_is_said():
    wrong = [f"{where}: {one}" for where, text in texts() for one in wrong_commands(text)]
    assert wrong == []


def test_options_that_texts_name_exist():
    from accelerate.commands.launch import launch_command_parser

    known = {name for one in launch_command_parser()._actions for name in one.option_strings}
    known |= {name for command in commands().values() for name in options_of(command)}
    wrong = [
        f"{where}: {option}"
        for where, text in texts()
        for option in OPTION.findall(text)
        if option not in known and ANY not in option and ".py:" in where  # pages name colours so
    ]
    assert wrong == []


def test_settings_that_texts_name_exist_and_take_the_value():
    wrong = [
        f"{where}: {one}"
        for where, text in texts()
        if text != "model.json"
        for one in wrong_settings(text)
    ]
    assert wrong == []


def test_files_that_texts_name_come_with_carscale():
    named = {name for _, text in texts() for name in PACKAGED.findall(text)}
    assert {"effnet_baseline", "gpu2.yaml"} <= named
    assert [name for name in named if config.packaged(name) is None] == []


def test_extras_that_texts_name_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = {name for _, text in texts() for name in EXTRA.findall(text)}
    assert "dali" in named
    assert named - {ANY} <= extras.keys()
