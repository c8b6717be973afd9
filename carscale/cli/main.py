"""``carscale``: all commands, and what becomes of an error."""

from __future__ import annotations

import os
import sys

import typer

from carscale.cli import compare, errors, evaluate, folds, predict, recipes, report, runs, study
from carscale.cli.benchmark.loaders import app as benchmark_app
from carscale.cli.data.app import app as data_app
from carscale.errors import CarscaleError

app = typer.Typer(
    name="carscale",
    help="Train car make/model classifiers, evaluate them exactly, see why they err.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.add_typer(data_app, name="data")
app.add_typer(benchmark_app, name="benchmark")
app.command("evaluate")(evaluate.evaluate)
app.command("errors")(errors.errors)
app.command("folds")(folds.folds)
app.command("report")(report.report)
app.command("study")(study.study)
app.command("compare")(compare.compare)
app.command("runs")(runs.list_runs)
app.command("recipes")(recipes.recipes)
app.command("predict")(predict.predict)


def run() -> None:
    """Run the command line; print an error of ours in its own words."""
    try:
        app()
    except CarscaleError as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # carscale ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
