"""YAML that people edit and that holds names: every scalar is text, no key stands twice."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from carscale.errors import ConfigError


class UniqueKeys(yaml.constructor.BaseConstructor):
    """Refuses a mapping in which a key stands twice; for a loader to inherit."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping, each key once."""
        seen: set[Hashable] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if isinstance(name, Hashable):
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{name!r} stands twice", key.start_mark
                    )
                seen.add(name)
        return super().construct_mapping(node, deep)


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
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _TextLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error


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
