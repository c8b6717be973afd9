"""The page of one run, its sections in the order a person asks for them."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import files, outgoing
from carscale.report.page.checks import SplitResult, finite, printable
from carscale.report.page.place import place_of
from carscale.report.page.templating import TEMPLATES, count_text, page_html
from carscale.report.run.classes_section import build_data
from carscale.report.run.error_groups_section import write_actions
from carscale.report.run.gather import RunRecord, gather
from carscale.report.run.split_section import build_split
from carscale.report.run.training_section import build_training
from carscale.runs import RunFolder

if TYPE_CHECKING:
    from carscale.analysis.result import Analysis
    from carscale.report.page.place import Place


SCRIPTS = (
    "matrix_scenes.js",
    "matrix_paint.js",
    "matrix.js",
    "gallery.js",
    "csv.js",
    "review.js",
)  # in this order
HEADLINE = (
    ("top1", "Top-1", "accuracy"),
    ("top5", "Top-5", "true class among the five most probable"),
    ("macro_f1", "Macro F1", "mean F1 of the classes"),
    ("balanced_accuracy", "Balanced accuracy", "mean recall of the classes"),
    ("ece", "Calibration error", "gap between confidence and accuracy; lower is better"),
)


def write_report(
    run_dir: Path,
    *,
    analyses: Mapping[str, Analysis],
    data_root: Path | None = None,
    advance: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write ``RUN/report/`` and return the path of its ``index.html``.

    The page is made beside the old one and renamed: a kill leaves a whole report.

    Args:
        run_dir: The run folder.
        analyses: Of every predicted split, by name.
        data_root: Folder that the photos' paths start from; ``None`` takes ``data.root`` of the
            run's settings.
        advance: Told what comes next, in a few words, for a progress bar.

    Raises:
        RunError: There is no such run folder, or nothing in it to report.
        DataError: Predictions, metrics and class list do not belong together.
        ValueError: A predicted split has no analysis.
    """
    advance("reading the run")
    record = gather(run_dir, data_root=data_root)
    final = RunFolder(record.folder).report_folder
    with files.staged_folder(final, "tmp") as staging:
        _build(record, analyses, place_of(record.data_root, staging, final), advance)
        advance("putting it in place")
    return final / "index.html"


def _build(
    record: RunRecord,
    analyses: Mapping[str, Analysis],
    place: Place,
    advance: Callable[[str], None],
) -> None:
    """Write ``index.html`` and all it shows."""
    folder = place.build_folder
    advance("drawing the training curves")
    training = build_training(record, folder)
    parts: list[dict[str, Any]] = []
    for name in sorted(record.splits, key=_split_order):
        advance(f"drawing {name}")
        split, analysis = record.splits[name], analyses.get(name)
        parts.append(build_split(record, split, analysis, place, with_train=not parts))
    advance("writing the page")
    (folder / "scripts").mkdir()
    for name in SCRIPTS:
        shutil.copyfile(TEMPLATES / name, folder / "scripts" / name)
    leading = analyses.get(parts[0]["name"]) if parts else None
    context = {
        "name": record.name,
        "notes": _notes(record, analyses),
        "headlines": [headline_of(split) for split in record.splits.values()],
        "about_data": build_data(record, analyses, folder),
        "training": training,
        "parts": parts,
        "scripts": SCRIPTS,
        "actions": write_actions(leading, folder) if leading else [],
        "test_evaluations": [_evaluation(row) for row in record.test_evaluations],
        **_provenance(record),
    }
    text = page_html("index.html.j2", record.folder.parent, context | {"nav": _nav(context)})
    (folder / "index.html").write_bytes(text.encode("utf-8", "replace"))


def _split_order(name: str) -> tuple[int, str]:
    """Return a split's place: val, which is for studying mistakes, then test, then other tests."""
    return ("val", "test").index(name) if name in ("val", "test") else 2, name


def _notes(record: RunRecord, analyses: Mapping[str, Analysis]) -> list[str]:
    """Return what is missing: in the run, then in the analyses, each thing once."""
    notes = [*record.notes, *(note for one in analyses.values() for note in one.notes)]
    return [printable(note) for note in dict.fromkeys(notes)]


def _nav(context: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the anchors and titles of the sections that are there."""
    parts = context["parts"]
    first = parts[0] if parts else {}
    split = first.get("name", "")
    sections = [
        ("overview", "Overview", True),
        ("data", "Data", context["about_data"]),
        ("training", "Training", context["training"]["figures"]),
        (f"classes-{split}", "Classes", first.get("classes")),
        (f"confusion-{split}", "Confusions", first.get("confusion")),
        (f"mistakes-{split}", "Error groups", first.get("mistakes")),
        (f"slices-{split}", "Slices", first.get("slices")),
        (f"calibration-{split}", "Calibration", first.get("calibration")),
        (f"review-{split}", "Label review", first.get("reviews")),
        ("actions", "Actions", context["actions"]),
        *((f"on-{part['name']}", f"On {part['name']}", True) for part in parts[1:]),
        ("test-evaluations", "Test evaluations", True),
        ("provenance", "Provenance", True),
    ]
    return [(anchor, title) for anchor, title, is_there in sections if is_there]


def headline_of(split: SplitResult) -> dict[str, Any]:
    """Return a split's numbers with their intervals."""
    metrics = split.metrics
    entries = []
    for key, label, meaning in HEADLINE:
        stored = metrics.get(key)
        whole = stored if isinstance(stored, dict) else {"value": stored}
        low, high = finite(whole.get("low")), finite(whole.get("high"))
        value = finite(whole.get("value"))
        if value is None and key not in metrics:
            continue
        entries.append(
            {
                "key": key,
                "label": label,
                "meaning": meaning,
                "value": value,
                "low": low,
                "high": high,
            }
        )
    return {
        "split": split.name,
        "num_samples": finite(metrics.get("num_samples")),
        "entries": entries,
    }


def _evaluation(row: dict[str, Any]) -> dict[str, Any]:
    """Return one line of the list of evaluations on test."""
    words = {key: printable(row.get(key) or "–") for key in ("time", "command", "checkpoint")}
    return {**words, "top1": finite(row.get("top1"))}


def _provenance(record: RunRecord) -> dict[str, Any]:
    """Return what made the run, and how to reproduce it."""
    env = record.env
    data, model = _mapping(env, "data"), _mapping(env, "model")
    counts = _mapping(data, "counts")
    facts = [
        ("Command", _command_text(env.get("command"))),
        ("Model", model.get("name") or _setting(record, "model", "name")),
        (
            "Parameters",
            count_text(model["num_parameters"]) if model.get("num_parameters") else None,
        ),
        ("Weights from", model.get("weights_from")),
        ("Made by", _refined_text(_mapping(env, "refined"))),
        ("Data", data.get("root") or _setting(record, "data", "root")),
        ("Photos", ", ".join(f"{name} {count_text(n)}" for name, n in counts.items()) or None),
        ("Input", _with_unit(_setting(record, "data", "image_px"), "px")),
        ("Device", env.get("device")),
        ("Processes", env.get("world_size")),
        ("CPU threads", env.get("num_cpu_threads")),
        ("Precision", env.get("precision") or _setting(record, "train", "precision")),
        ("Loader", env.get("backend") or _setting(record, "loader", "backend")),
        ("Reason for this loader", env.get("backend_why")),
        *((f"Predictions of {name}", _made_by(split)) for name, split in record.splits.items()),
        ("Seed", record.config.get("seed")),
        ("Commit", env.get("git_commit")),
    ]
    return {
        "facts": [(term, printable(value)) for term, value in facts if value not in (None, "")],
        "versions": [(printable(k), printable(v)) for k, v in _mapping(env, "versions").items()],
        "hashes": [(printable(k), printable(v)) for k, v in _mapping(data, "hashes").items()],
        "config_text": record.config_text,
        "again": _again(record),
        "folder": printable(record.folder),
        "run": shlex.quote(printable(record.folder)),
        "data_root": printable(
            shlex.quote(str(record.data_root or _setting(record, "data", "root") or "DATA_ROOT"))
        ),
    }


def _refined_text(refined: dict[str, Any]) -> str | None:
    """Return how a run was made of others, and what chose it; ``None`` for one that was trained."""
    if not refined:
        return None
    words = [f"carscale {refined.get('how')}"]
    words += [str(refined[key]) for key in ("method", "members") if refined.get(key)]
    words += [
        f"{key} {refined[key]:g}" for key in ("strength", "share") if finite(refined.get(key))
    ]
    words.append(f"chosen by {refined.get('metric')} on {refined.get('chosen_on')}")
    value, before = finite(refined.get("value")), finite(refined.get("as_trained"))
    if value is not None:
        words.append(f"which is {value:.3f} on the parts that did not choose")
    if before is not None:
        words.append(f"as trained {before:.3f}")
    return ", ".join(words)


def _made_by(split: SplitResult) -> str | None:
    """Return what predicted a split: loader backend, precision, checkpoint."""
    if split.predictions is None:
        return None
    about = split.predictions.about
    parts = [about.get(key) for key in ("backend", "precision", "checkpoint")]
    return ", ".join(str(part) for part in parts if part) or None


def _mapping(tree: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a mapping inside a mapping; empty when it is missing or something else."""
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def _setting(record: RunRecord, section: str, key: str) -> Any:  # noqa: ANN401
    """Return one setting, or ``None``."""
    return _mapping(record.config, section).get(key)


def _with_unit(value: object, unit: str) -> str | None:
    """Return a value with its unit."""
    return None if value is None else f"{value} {unit}"


def _command_text(command: object) -> str | None:
    """Return a command line as one text."""
    return outgoing.stored_command(command)


def _again(record: RunRecord) -> list[str]:
    """Return the commands that reproduce this run and this page."""
    run = shlex.quote(printable(record.folder))
    if "refined" in record.env:
        made = _command_text(record.env.get("command")) or "carscale"
        return [f"{made} --force", f"carscale evaluate {run} --split val", f"carscale report {run}"]
    recipe = RunFolder(record.folder).recipe_file or "RECIPE.py"
    config = shlex.quote(f"config={printable(RunFolder(record.folder).settings_file)}")
    name = shlex.quote(f"run.name={record.name}-again")
    return [
        f"accelerate launch {outgoing.command(recipe)} {config} {name}",
        f"carscale evaluate {run} --split val",
        f"carscale report {run}",
    ]
