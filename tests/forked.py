"""Start recipes in forks of a process that has torch loaded: 1 s a run in place of 9 s.

``ForkedLaunch`` stands in for ``studies.launching.Launch`` where a test is not about ``accelerate
launch``. It is what studies do themselves on Linux, with one server for all tests.
"""

import os
import sys
from pathlib import Path

from carscale.cli import main
from carscale.studies import launching
from carscale.studies.warm import asked


class ForkedLaunch(launching.Launch):
    """How recipes are started by a server.

    Args:
        address: Where it listens.
    """

    def __init__(self, address: Path) -> None:
        super().__init__()
        self.address = address

    def command(self, recipe: Path, words: list[str]) -> list[str]:
        """Return the command as a process takes it."""
        return asked(self.address, super().command(recipe, words))


def command_line(words: list[str], address: Path, out: Path) -> None:
    """Be the command line whose launches fork, for ``ranks.start_process``.

    It prints into the file ``out``, and what goes to stderr into another one beside it.
    """
    for number, path in ((1, out), (2, out.with_suffix(".stderr"))):
        with path.open("w") as file:
            os.dup2(file.fileno(), number)
    launching.Launch = lambda options=(): ForkedLaunch(address)
    sys.argv = ["carscale", *words]
    main.run()
