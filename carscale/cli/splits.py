"""Names of splits on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from carscale.errors import ConfigError


def check_split(name: str, known: Sequence[str]) -> None:
    """Raise where a word names no split.

    Args:
        name: The word.
        known: What it may be, beside a test of its own, ``test_...``, that merges add.

    Raises:
        ConfigError: It is neither.
    """
    if name in known or (name.startswith("test_") and name.isidentifier()):
        return
    listed = ", ".join(known[:-1])
    raise ConfigError(
        f"--split {name}: must be {listed} or {known[-1]}, or a test_... that a merge added"
    )
