"""How a study starts recipes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


class Launch:
    """How recipes are started.

    Args:
        options: Words for ``accelerate launch``, before the recipe.
    """

    def __init__(self, options: tuple[str, ...] = ()) -> None:
        self.options = options

    def command(self, recipe: Path, words: list[str]) -> list[str]:
        """Return the command as a process takes it."""
        file = str(recipe.absolute())  # a name that begins with - would be an option
        start = [sys.executable, "-P", "-m", "carscale", "train", file, *words]
        return [*start, "--launch", shlex.join(self.options)] if self.options else start

    def prepare(self) -> None:
        """Do what is done once for all runs, so that the first takes no longer than the others."""

    def shown(self, recipe: Path, words: list[str]) -> str:
        """Return the command as a person types it."""
        options = ["--launch", shlex.join(self.options)] if self.options else []
        return shlex.join(["carscale", "train", str(recipe), *words, *options])
