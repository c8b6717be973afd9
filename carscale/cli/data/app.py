"""``carscale data``: its commands, one file each."""

from __future__ import annotations

import typer

from carscale.cli.data.check import check
from carscale.cli.data.compare import compare
from carscale.cli.data.dedupe import dedupe
from carscale.cli.data.demo import demo
from carscale.cli.data.diff import diff
from carscale.cli.data.freeze import freeze
from carscale.cli.data.map import map_classes
from carscale.cli.data.merge import merge
from carscale.cli.data.pack import pack
from carscale.cli.data.preview import preview
from carscale.cli.data.refine import refine
from carscale.cli.data.relabel import relabel
from carscale.cli.data.report import report
from carscale.cli.data.synth import synth

app = typer.Typer(
    help="Draw, freeze, check, relabel, refine, dedupe, pack, map, merge, make and compare photos.",
    no_args_is_help=True,
)
for name, command in (
    ("demo", demo),
    ("freeze", freeze),
    ("check", check),
    ("relabel", relabel),
    ("refine", refine),
    ("dedupe", dedupe),
    ("pack", pack),
    ("preview", preview),
    ("map", map_classes),
    ("merge", merge),
    ("synth", synth),
    ("diff", diff),
    ("report", report),
    ("compare", compare),
):
    app.command(name)(command)
