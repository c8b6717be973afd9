"""YAML with limits, and YAML that holds names: every scalar is text, no key stands twice.

Chosen: the nodes of a file are counted, an alias as all that it stands for, before any value is
made. Rejected: no aliases at all (people share settings between arms by them).
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from carscale import contained, file_kinds
from carscale.errors import ConfigError, UnsafePathError

MAX_BYTES = 8 << 20
"""Of a file: a map of 10,000 classes is 2 MB."""
MAX_NODES = 500_000
"""Of a file with its aliases filled in: a map of 10,000 classes has 200,000."""
MAX_DEPTH = 20
"""Of a file: the levels of a crossed study are 5."""
TEXT_TAG, MERGE_TAG = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
SHOWN = 160
"""Letters of a wrong value that a message shows."""


class UniqueKeys(yaml.constructor.BaseConstructor):
    """Refuses a mapping in which a key stands twice; for a loader to inherit."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping, each key once."""
        seen: set[Hashable] = set()
        for key, _ in node.value:
            if key.tag == MERGE_TAG:  # may stand twice, and is no key
                continue
            name = self.construct_object(key, deep=True)
            if isinstance(name, Hashable):
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{name!r} stands twice", key.start_mark
                    )
                seen.add(name)
        return super().construct_mapping(node, deep)


class SettingsLoader(UniqueKeys, yaml.SafeLoader):
    """Reads settings as YAML 1.2 does: ``no``, ``off`` and dates are text, and so is every key."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping whose keys are names: ``0.5: {}`` names ``0.5``."""
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE_TAG:
                key.tag = TEXT_TAG
        return super().construct_mapping(node, deep)


OF_YAML_1_1 = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
SettingsLoader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag not in OF_YAML_1_1]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
SettingsLoader.add_implicit_resolver(
    OF_YAML_1_1[0], re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


class _TextLoader(UniqueKeys, yaml.BaseLoader):
    """Reads ``no``, ``2012`` and ``1e3`` as they stand."""


class _ShortListDumper(yaml.SafeDumper):
    """Writes mappings as blocks and lists on one line."""


_ShortListDumper.add_representer(
    list,
    lambda dumper, values: dumper.represent_sequence(
        "tag:yaml.org,2002:seq", values, flow_style=True
    ),
)

_ShortListDumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str",
        text,
        style=None if text.isprintable() else '"',  # a line break in single quotes may be lost
    ),
)


def read_plain_yaml(path: Path) -> Any:  # noqa: ANN401 - lists, mappings, text
    """Read a YAML file; scalars stay text, so that no class called ``no`` becomes false.

    Raises:
        ConfigError: The file is missing, no UTF-8, no YAML, or a key stands twice.
    """
    return load_yaml(path, _TextLoader)[1]


def load_yaml(path: Path, kind: type[Any] = SettingsLoader) -> tuple[str, Any]:
    """Read a YAML file that may be anybody's.

    Args:
        path: The file; what a link names, where it is one.
        kind: A loader of PyYAML that makes plain values alone.

    Returns:
        The text, and what it says.

    Raises:
        ConfigError: The file is missing, no UTF-8, no YAML, too large or too deep; or its aliases
            stand for too much.
    """
    try:
        data = contained.read_named(path, max_bytes=MAX_BYTES)
        text = data.decode(file_kinds.encoding_of(data)).removeprefix("\ufeff")
    except UnsafePathError as error:
        raise ConfigError(*error.lines) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: can't be read: {error}", "save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error}") from error
    return text, parse_yaml(text, path, kind)


def parse_yaml(text: str, path: Path, kind: type[Any] = SettingsLoader) -> Any:  # noqa: ANN401
    """Return what YAML says, as ``load_yaml`` does.

    Raises:
        ConfigError: It is no YAML, too deep, or its aliases stand for too much.
    """
    try:
        loader = kind(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _count(node, {}, 1)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is no YAML: {shown_text(str(error))}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: is no YAML: it is nested too deeply") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ConfigError(  # PyYAML's own, for a date or a number that is none
            f"{path}: is no YAML: a value can't be read: {shown_text(str(error))}"
        ) from error


def _count(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Return how many nodes one stands for; 0 in ``known`` marks those that are being counted."""
    if depth > MAX_DEPTH:
        raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} levels deep")
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        if not known[id(node)]:
            raise yaml.YAMLError("an alias stands inside of what it names")
        return known[id(node)]
    known[id(node)] = 0
    total = 1
    for part in node.value:
        for inner in part if isinstance(part, tuple) else (part,):
            total += _count(inner, known, depth + 1)
            if total > MAX_NODES:
                raise yaml.YAMLError(f"with its aliases it holds more than {MAX_NODES} values")
    known[id(node)] = total
    return total


def shown(value: object) -> str:
    """Return a wrong value for a message, however large it is.

    Example:
        >>> shown("gpu"), len(shown("x" * 1000)) <= SHOWN
        ("'gpu'", True)
    """
    short = reprlib.Repr()
    short.maxstring = short.maxother = SHOWN
    try:
        return shown_text(short.repr(value))
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a number of thousands of digits"


def shown_text(text: str) -> str:
    """Return a text for a message on one line, however long it is."""
    line = " ".join(text[: 10 * SHOWN].split())
    return line if len(line) <= 3 * SHOWN else f"{line[: 3 * SHOWN]}..."


def to_plain_yaml(tree: dict[str, Any]) -> str:
    """Return YAML that ``read_plain_yaml`` reads back: keys in their order, lists on one line.

    Example:
        >>> print(to_plain_yaml({"a: b": {"to": "no", "of": [1, "2"]}}), end="")
        'a: b':
          to: 'no'
          of: [1, '2']
    """
    return yaml.dump(
        tree, Dumper=_ShortListDumper, sort_keys=False, allow_unicode=True, width=float("inf")
    )
