"""``carscale data map BASE SOURCE``: which base class is each source class?"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carscale.cli.terminal import shown

if TYPE_CHECKING:
    from carscale.curate import Proposal
    from carscale.data import SourcePhoto


def map_classes(
    base: Annotated[Path, typer.Argument(help="Frozen folder or pack to grow.")],
    source: Annotated[
        str, typer.Argument(help="What carscale data freeze takes, or another frozen folder.")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="YAML to write and edit.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder: also ask what its model sees in the photos.")
    ] = None,
    num_photos: Annotated[
        int, typer.Option(min=1, help="Most photos of a source class that the run looks at.")
    ] = 40,
    image_column: Annotated[
        str | None, typer.Option(help="Column of paths or photos, where its name is unusual.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of classes, where its name is unusual.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file at --out.")] = False,
) -> None:
    """Propose which base class each source class is, as a file to read, edit and merge by.

    Example: carscale data map data/cars more-photos -o map.yaml
    """
    from carscale import curate, data, data, progress, files, runs
    from carscale.errors import ConfigError

    if out is not None and out.exists() and not force:
        raise ConfigError(
            f"--out {out}: is there already, perhaps edited", "replace it: --force; or name another"
        )
    if out is not None and not out.parent.is_dir():
        raise ConfigError(f"--out {out}: can't be written: no folder {out.parent}")
    names = [car.name for car in data.read_splits(base).classes]
    columns = {"image_column": image_column, "label_column": label_column}
    with data.source_classes(source, **columns) as classes:
        proposals = curate.propose_map(names, list(classes))
        if run is not None:
            seen = _seen_by(runs.find_run(run), names, classes, num_photos)
            proposals = curate.with_predictions(proposals, seen)
        counts = {name: len(photos) for name, photos in classes.items()}
    if out is not None:
        text = curate.map_text(proposals, names, counts, base=str(base), source=str(source))
        try:
            files.write_atomic(out, text)
        except OSError as error:
            raise ConfigError(f"--out {out}: can't be written: {error.strerror}") from error
    if as_json:
        rows = [asdict(one) | {"photos": counts[one.source]} for one in proposals]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        _print_table(proposals)
    num_of = Counter(one.outcome for one in proposals)
    told = ", ".join(f"{num_of[outcome]} {outcome}" for outcome in curate.OUTCOMES)
    progress.note(f"{len(proposals)} source classes: {told}")
    if out is None:
        progress.note("note: nothing was written; write the map: --out map.yaml")
        return
    if num_of["ambiguous"]:
        progress.note(f"choose in {out} for each 'ambiguous', then:")
    words = ["carscale", "data", "merge", str(base), str(source), "--map", str(out), "OUT"]
    progress.note(f"next: {shlex.join(words)}")


def _seen_by(
    folder: Path,
    base_names: Sequence[str],
    classes: Mapping[str, Sequence[SourcePhoto]],
    num_photos: int,
) -> dict[str, Counter[str]]:
    """Return, by source class, how many photos a run's model takes for each base class."""
    from carscale import config, curate, data, progress, files, runs
    from carscale.errors import ModelError

    cfg = config.from_yaml(folder / "config.yaml")
    known = {entry["name"] for entry in files.read_json(folder / "classes.json")["classes"]}
    shared = known.intersection(base_names)
    if not shared:
        raise ModelError(
            f"{folder}: knows none of the base's {len(base_names)} classes",
            "take a run that was trained on the base",
        )
    if len(shared) < len(base_names):
        progress.note(
            f"note: the run knows {len(shared)} of the base's {len(base_names)} classes; "
            "it never sees the others"
        )
    chosen = {name: data.evenly(photos, num_photos) for name, photos in classes.items()}
    owners = [name for name, photos in chosen.items() for _ in photos]
    photos = [(photo.where, photo.read) for group in chosen.values() for photo in group]

    from carscale.workflows.predict import predict_readable

    seen: dict[str, Counter[str]] = {name: Counter() for name in classes}
    rows = predict_readable(folder, cfg, photos)
    for name, row in zip(owners, rows, strict=True):
        if row["error"] is None:
            seen[name][row["top5"][0]["class"]] += 1
    num_unread = sum(row["error"] is not None for row in rows)
    if num_unread:
        progress.note(f"note: {num_unread} of {len(rows)} files are no photos that can be read")
    progress.note(f"note: {curate.EVIDENCE_RULE}")
    return seen


def _print_table(proposals: Sequence[Proposal]) -> None:
    """Print a line a source class, what is to choose first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from carscale.curate import OUTCOMES

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("source class", "outcome", "becomes"):
        table.add_column(heading, overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("reason", overflow="fold")
    order = sorted(proposals, key=lambda one: (OUTCOMES.index(one.outcome), one.score, one.source))
    for one in order:
        is_open = one.outcome == "ambiguous"
        becomes = " or ".join(one.candidates) if is_open else str(one.target)
        table.add_row(
            Text(shown(one.source)),
            Text(one.outcome, style="yellow" if is_open else ""),
            Text(shown(becomes), style="dim" if is_open else ""),
            "" if one.outcome == "new" else f"{one.score:.2f}",
            Text(shown("; ".join(part for part in (one.reason, one.note) if part))),
        )
    Console().print(table)
