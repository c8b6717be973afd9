"""Call the command line in this process: no 3 s of imports."""

import contextlib
import io
import os
import subprocess
import sys
from unittest import mock

from carscale.cli import main


def carscale(*words: object, code: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command; return exit code, stdout and stderr as a process would; check the code."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["carscale", *map(str, words)]
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.dict(os.environ, COLUMNS="200"),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main.run()
        except SystemExit as end:
            ended = int(end.code or 0)
        else:
            raise AssertionError("a command ends by SystemExit")
    answer = subprocess.CompletedProcess(argv, ended, out.getvalue(), err.getvalue())
    assert code is None or ended == code, answer.stderr
    return answer
