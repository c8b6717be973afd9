"""What stored JSON has to look like before it is used: its keys and the types of their values.

Chosen: a shape is plain data beside the code that reads the file, and the answer names the place.
Rejected: a ``try`` around every use (each forgets another error); pydantic models (a run's files
hold more keys than anybody lists).
"""

from __future__ import annotations

from typing import Any

NUMBER = (int, float)
NUMBER_OR_NONE = (int, float, type(None))

_WORDS: dict[type, str] = {
    **{str: "a text", int: "a whole number", float: "a number", bool: "true or false"},
    **{dict: "a mapping", list: "a list", type(None): "null"},
}


def problem(value: object, shape: Any, where: str = "") -> str | None:  # noqa: ANN401 - a grammar
    """Return where and how a value differs from its shape; ``None`` when it does not.

    Args:
        value: From JSON.
        shape: A type, or a tuple of them; ``[shape]``, a list of such; ``{"key": shape}``, a
            mapping with that key, ``"key?"`` where it may be absent or null; ``{str: shape}``, any
            keys.
        where: What leads to the value, for the answer.

    Example:
        >>> problem({"data": {"hashes": {"val": 3}}}, {"data?": {"hashes": {str: str}}})
        'data.hashes.val: is a whole number, wanted a text'
        >>> problem({"epoch": 1}, {"epoch": NUMBER, "val?": dict}) is None
        True
    """
    if isinstance(shape, type | tuple):
        return _type_problem(value, shape if isinstance(shape, tuple) else (shape,), where)
    wanted = type(shape)
    if not isinstance(value, wanted):
        return _type_problem(value, (wanted,), where)
    if isinstance(shape, list):
        inner = (problem(one, shape[0], f"{where}[{n}]") for n, one in enumerate(value))
        return next(filter(None, inner), None)
    for key, part in shape.items():
        if key is str:
            found = (problem(one, part, _below(where, name)) for name, one in value.items())
            wrong = next(filter(None, found), None)
        elif value.get(key.rstrip("?")) is None and key.endswith("?"):
            continue
        elif key.rstrip("?") not in value:
            wrong = f"{_below(where, key)}: is missing"
        else:
            wrong = problem(value[key.rstrip("?")], part, _below(where, key.rstrip("?")))
        if wrong:
            return wrong
    return None


def _type_problem(value: object, types: tuple[type, ...], where: str) -> str | None:
    """Return that a value is of none of some types; true and false are no numbers."""
    is_right = isinstance(value, types) and (not isinstance(value, bool) or bool in types)
    if is_right:
        return None
    wanted = " or ".join(dict.fromkeys(_WORDS[one] for one in types))
    found = f"is {_WORDS.get(type(value), 'something else')}, wanted {wanted}"
    return f"{where}: {found}" if where else found


def _below(where: str, key: str) -> str:
    """Return a dotted place, short whatever the key is."""
    return f"{where}.{key[:80]}" if where else key[:80]
