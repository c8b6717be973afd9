"""Start recipes in forks of a process that has torch loaded: 1 s a run in place of 9 s.

``ForkedLaunch`` stands in for ``studies.run.Launch`` where a test is not about ``accelerate
launch``. Its command is a real process (``fork_server.py``), whose output, exit code and death by a
signal are those of the recipe.
"""

import os
import subprocess
import sys
from pathlib import Path

from carscale.cli import main
from carscale.studies import run

SERVER = Path(__file__).with_name("fork_server.py")
PRELOAD = [
    *("torch", "torch.testing", "torch.distributed", "torch._dynamo", "timm", "accelerate"),
    *("sklearn.metrics", "pyarrow.parquet", "pytest", "carscale.world.run", "carscale.data"),
    *("carscale.models.factory", "carscale.models.weights", "carscale.loaders.build"),
    *("carscale.loaders.torch_backend", "carscale.training.loop", "carscale.training.learner"),
    *("carscale.evaluation.prediction", "carscale.evaluation.metrics", "carscale.balance.losses"),
    *("carscale.config.schema", "carscale.config.load", "carscale.data.frozen.reader"),
]
"""What training needs; loaded once, then forked."""


class ForkedLaunch(run.Launch):
    """How recipes are started by a server.

    Args:
        address: Where it listens.
    """

    def __init__(self, address: Path) -> None:
        super().__init__()
        self.address = address

    def command(self, recipe: Path, words: list[str]) -> list[str]:
        """Return the command as a process takes it."""
        return [sys.executable, "-SE", str(SERVER), "ask", str(self.address), str(recipe), *words]


def start_server(address: Path) -> subprocess.Popen:
    """Start the process that forks; it ends when its stdin is closed."""
    return subprocess.Popen(
        [sys.executable, str(SERVER), "serve", str(address), *PRELOAD], stdin=subprocess.PIPE
    )


def command_line(words: list[str], address: Path, out: Path) -> None:
    """Be the command line whose launches fork, for ``ranks.start_process``.

    It prints into the file ``out``, and what goes to stderr into another one beside it.
    """
    for number, path in ((1, out), (2, out.with_suffix(".stderr"))):
        with path.open("w") as file:
            os.dup2(file.fileno(), number)
    run.Launch = lambda options=(): ForkedLaunch(address)
    sys.argv = ["carscale", *words]
    main.run()
