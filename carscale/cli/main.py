"""``carscale``: all commands, and what becomes of an error."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from carscale import disk, outgoing
from carscale.cli import (
    compare,
    errors,
    evaluate,
    export,
    folds,
    predict,
    recipes,
    report,
    runs,
    study,
    train,
)
from carscale.cli.benchmark.loaders import app as benchmark_app
from carscale.cli.data.app import app as data_app
from carscale.cli.refine import blend, gate, rebalance, select
from carscale.errors import CarscaleError, ConfigError
from carscale.progress import note

app = typer.Typer(
    name="carscale",
    help="Train car make/model classifiers, evaluate them exactly, see why they err.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.add_typer(data_app, name="data")
app.add_typer(benchmark_app, name="benchmark")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("errors")(errors.errors)
app.command("folds")(folds.folds)
app.command("select")(select.select)
app.command("rebalance")(rebalance.rebalance)
app.command("blend")(blend.blend)
app.command("soup")(blend.soup)
app.command("report")(report.report)
app.command("study")(study.study)
app.command("compare")(compare.compare)
app.command("gate")(gate.gate)
app.command("runs")(runs.list_runs)
app.command("recipes")(recipes.recipes)
app.command("predict")(predict.predict)
app.command("export")(export.export)


INTERRUPTED = 130  # what shells give for Ctrl-C
UsageError: Any = typer.BadParameter.__bases__[0]
"""A command line that does not fit; typer exports only its children."""


def run() -> None:
    """Run the command line; print an error of ours in its own words."""
    for stream in (sys.stdout, sys.stderr):
        outgoing.replace_letters(stream)
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()  # here its disk may be full, not when all has ended
        sys.exit(code)
    except CarscaleError as error:
        _fail(error)
    except UsageError as error:
        _fail(_wrong_choice(error))
    except (typer.Abort, KeyboardInterrupt):
        if os.environ.get("LOCAL_RANK", "0") == "0":
            note("stopped; type the same command again to go on")
        sys.exit(INTERRUPTED)
    except UnicodeEncodeError as error:
        _fail(_locale_error(error))
    except BrokenPipeError:  # carscale ... | head
        _drop_stdout()
        sys.exit(1)
    except OSError as error:
        if disk.fault_of(error) is None:
            raise
        _drop_stdout()
        _fail(disk.disk_error(error, _written(error)))


def _locale_error(error: UnicodeEncodeError) -> ConfigError:
    """Return the error of a name that the locale's encoding can't write; raise any other."""
    if error.encoding == "utf-8":
        raise error
    return ConfigError(
        f"environment: its locale writes names of files as {error.encoding}, which has no "
        f"{error.object[error.start : error.end]!r}",
        "type before: export PYTHONUTF8=1",
    )


def _written(error: OSError) -> Path | str:
    """Return what could not be written; what has no name is what a shell took from us."""
    return Path(error.filename) if error.filename else "standard output"


def _drop_stdout() -> None:
    """Let what was printed but can't be written go, or the interpreter says so once more."""
    with suppress(OSError, ValueError):  # a stream without a descriptor, in a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: Any) -> None:  # noqa: ANN401 - ours or typer's
    """Print an error, once for all processes, and exit with its code."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        if isinstance(error, CarscaleError):
            note(f"{type(error).__name__}: {error}")
        else:
            error.show()
    sys.exit(error.exit_code)


def _wrong_choice(error: Any) -> Any:  # noqa: ANN401 - typer's, or ours
    """Return the error of a word that is none of an option's choices as a library call says it."""
    found = re.search(r"'(.*?)' is not one of (.+?)\.?$", error.message)
    param = getattr(error, "param", None)
    if not (found and param and param.opts):
        return error
    *most, last = re.findall(r"'(.*?)'", found[2])
    return ConfigError(
        f"{param.opts[0]} {found[1]}: must be {' or '.join([', '.join(most), last])}"
    )
