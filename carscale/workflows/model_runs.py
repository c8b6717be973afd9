"""Runs: train, evaluate, analyse, report, predict; what ``carscale train`` and others call."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from carscale import analysis, config, disk, files, progress, tables
from carscale.errors import ConfigError, Stopped, TrainingError
from carscale.runs import RunFolder
from carscale.workflows.results import Errors, Metrics, PhotoPredictions

Run = RunFolder | Path | str
EVALUATION_KEYS = (
    *("data.root=", "data.verify=", "loader."),
    *("train.precision=", "train.num_cpu_threads="),
)
"""Settings that may differ between training and evaluation."""


def train(
    recipe: Path | str,
    settings: Mapping[str, object] | Sequence[str] = (),
    *,
    config_file: Path | str | None = None,
    launch: Sequence[str] = (),
    restarts: int = 0,
) -> RunFolder:
    """Train a recipe on the processes that Accelerate's settings name: ``carscale train``.

    Its progress goes to stderr. Called again, it goes on where it was stopped (``resume=auto``).

    Args:
        recipe: A recipe's file, or the name of one that comes with carscale: ``effnet_focal``.
        settings: By dotted key, ``{"data.root": "data/cars"}``, or as ``key=value`` words.
        config_file: Of ``accelerate launch``: which processes on which devices. A file, or the
            name of one that comes with carscale: ``gpu8.yaml``.
        launch: Further words for ``accelerate launch``.
        restarts: How often all processes are started again after one of them died.

    Returns:
        The run folder.

    Raises:
        ConfigError: No such recipe, or a setting that can't be used.
        Stopped: A signal came; the step was finished and saved.
        TrainingError: The training failed; what it said stands on stderr.
    """
    from carscale import world

    path = recipe_file(recipe)
    words = settings if not isinstance(settings, Mapping) else _as_words(settings)
    cfg = config.resolve(config.read_recipe(path), list(words))  # a wrong word stops here
    options = [] if config_file is None else ["--config_file", str(_launch_file(config_file))]
    name = cfg.run.name or path.stem
    file = str(path.absolute() if str(path).startswith("-") else path)
    command = [sys.executable, file, *words, f"run.name={name}"]
    code = world.run_ranks(command, [*options, *launch], restarts=restarts)
    folder = Path(cfg.run.dir) / name
    if code in (129, 130, 143):
        raise Stopped(code - 128, f"{folder}: stopped; the same call goes on")
    if code:
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        next_steps = ["the same call goes on from the last checkpoint"] if code < 0 else []
        error = TrainingError(f"{folder}: the training ended {how}; see above", *next_steps)
        error.exit_code = max(code, 1)
        raise error
    return RunFolder.open(folder)


def _launch_file(name: Path | str) -> Path:
    """Return a file of ``accelerate launch``'s settings, by path or by the name of one of ours."""
    return Path(name) if Path(name).is_file() else config.packaged(name) or Path(name)


def recipe_file(recipe: Path | str) -> Path:
    """Return the file of a recipe, by path or by the name of one that comes with carscale.

    Raises:
        ConfigError: There is none; lists the names.
    """
    path = Path(recipe)
    found = path if path.is_file() else config.packaged(recipe)
    if found is None or found.suffix != ".py":
        names = sorted(file.stem for file in config.RECIPES.glob("[a-z]*.py"))
        raise ConfigError(f"{recipe}: no such recipe", f"recipes: {', '.join(names)}; or a file")
    return found


def _as_words(settings: Mapping[str, object]) -> list[str]:
    """Return ``key=value`` words; YAML's ``true`` and ``null`` for Python's."""
    names = {True: "true", False: "false", None: "null"}
    return [
        f"{key}={names[value] if value is None or isinstance(value, bool) else value}"
        for key, value in settings.items()
    ]


def evaluate(
    run: Run,
    *,
    split: str = "val",
    settings: Sequence[str] = (),
    probs: bool | None = None,
    embeddings: bool = False,
    flip: bool | None = None,
    temperature: bool | None = None,
    command: Sequence[str] = ("evaluate",),
) -> Metrics | None:
    """Predict a split once with the run's best weights; write metrics: ``carscale evaluate``.

    Under ``accelerate launch`` every process calls it; all but rank 0 get ``None``.

    Args:
        run: Run folder.
        split: ``val``, ``test``, ``train`` or a ``test_...`` of the data; evaluations on test are
            written down.
        settings: Words that may change here: ``data.root=...``, ``loader....=...``.
        probs: Keep all probabilities of each photo; up to 10 million when ``None``.
        embeddings: Keep the penultimate-layer embeddings, of train too.
        flip: Average each photo with its mirror image; the run's setting when ``None``.
        temperature: Scale confidence by a temperature fitted on val; the run's when ``None``.
        command: Words that the list of evaluations on test names.

    Raises:
        ConfigError: A split or setting that can't be used.
        DataError: The photos do not match their lock.
        ModelError: The run has no result yet, or one of another class list.
        RunError: No such run.
    """
    check_split(split, ("train", "val", "test"))
    folder = RunFolder.open(run)
    from carscale.workflows.evaluation_run import evaluate_run

    values = evaluate_run(
        folder,
        evaluation_settings(folder, settings, flip=flip, temperature=temperature),
        split=split,
        keep_probs=probs,
        command=list(command),
        keep_embeddings=embeddings,
    )
    return None if values is None else Metrics(split, values)


def evaluation_settings(
    run: RunFolder,
    settings: Sequence[str],
    *,
    flip: bool | None = None,
    temperature: bool | None = None,
) -> config.Recipe:
    """Return a run's settings with those of an evaluation."""
    wrong = [word for word in settings if not word.startswith(EVALUATION_KEYS)]
    if wrong:
        raise ConfigError(
            f"command line: {wrong[0]!r} can't change in an evaluation",
            f"these can: {', '.join(EVALUATION_KEYS)}",
        )
    words = [*settings, *([] if flip is None else [f"evaluate.flip={flip}"])]
    if temperature is not None:
        words.append(f"evaluate.temperature={'val' if temperature else 'none'}")
    return config.resolve(run.settings(), words)


def draw_saliency(
    run: Run, ids: Sequence[int], *, split: str = "val", settings: Sequence[str] = ()
) -> list[Path]:
    """Draw where a model sees the classes of photos: ``carscale evaluate RUN --saliency 12,40``.

    Args:
        run: Run folder.
        ids: Manifest ids of photos of that split.
        split: ``val``, ``test`` or ``train``; it has to be predicted.
        settings: Words that may change here: ``data.root=...``.

    Returns:
        The PNGs, in the order of the ids.

    Raises:
        ConfigError: An id is not in the split.
        DataError: The split is not predicted, or other photos were.
        LaunchError: Several processes were started.
    """
    from carscale.workflows.saliency import draw_photos

    check_split(split, ("train", "val", "test"))
    folder = RunFolder.open(run)
    return draw_photos(folder, evaluation_settings(folder, settings), split, list(ids))


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


def analyse(run: Run, *, split: str = "val", data_root: Path | str | None = None) -> Errors:
    """Sort the mistakes of a predicted split by cause, into RUN/errors: ``carscale errors``.

    Args:
        run: Run folder.
        split: ``val``, ``test`` or a ``test_...`` of the data; it has to be predicted.
        data_root: Where the photos lie now; the run's ``data.root`` when ``None``.

    Raises:
        ConfigError: No such split.
        DataError: No predictions, of another class list, or not finite.
        RunError: No such run, or one without a class list.
    """
    from carscale.workflows.errors import analyse_run

    check_split(split, ("val", "test"))
    folder = RunFolder.open(run)
    with progress.bar("errors", None) as advance:
        found = analyse_run(
            folder,
            split,
            data_root=None if data_root is None else Path(data_root),
            advance=lambda step: advance(1, step),
        )
    out = folder.errors_folder
    disk.make_folder(out)
    columns = analysis.mistake_columns(found)
    files.write_atomic(out / f"{split}.parquet", tables.table_bytes(columns))
    files.write_json(out / f"actions-{split}.json", list(found.actions))
    return Errors(found, out / f"{split}.parquet")


def write_report(run: Run, *, data_root: Path | str | None = None) -> Path:
    """Write a run's page, every predicted split analysed; return its path: ``carscale report``.

    Args:
        run: Run folder.
        data_root: Where the photos lie now; the run's ``data.root`` when ``None``.

    Raises:
        DataError: Predictions, metrics and class list do not belong together.
        RunError: No such run, or nothing in it to report.
    """
    return write_reports([run], data_root=data_root)[0]


def write_reports(
    runs: Iterable[Run], *, data_root: Path | str | None = None, out: Path | str | None = None
) -> list[Path]:
    """Write a page a run and, of several, one that sets them side by side; return their paths.

    Args:
        runs: Run folders.
        data_root: Where the photos lie now.
        out: Folder of the page of several runs; ``report/`` beside them when ``None``.

    Raises:
        ConfigError: ``out`` holds something else.
        DataError: Predictions, metrics and class list do not belong together.
        RunError: No such run, or nothing in it to report.
    """
    from carscale import report
    from carscale.workflows.errors import analyse_run

    folders = list(dict.fromkeys(RunFolder.open(run) for run in runs))
    root = None if data_root is None else Path(data_root)
    overview = Path(out) if out is not None else _common_parent(folders) / "report"
    if len(folders) > 1:
        report.check_page_folder(overview, "runs")
    pages, found = [], []
    for folder in folders:
        with progress.bar(f"report {folder.name}", None) as advance:
            tell: Callable[[str], None] = partial(advance, 1)
            found.append(
                {
                    split: analyse_run(folder, split, data_root=root, advance=tell)
                    for split in folder.predicted_splits
                }
            )
            pages.append(
                report.write_report(folder.path, data_root=root, analyses=found[-1], advance=tell)
            )
        _track(folder, pages[-1].parent)
    if len(folders) > 1:
        pages.append(report.write_overview([one.path for one in folders], overview, analyses=found))
    return pages


def _track(run: RunFolder, page_folder: Path) -> None:
    """Hand the page's figures to the run's tracker, where it has one."""
    tracker = run.settings().train.tracker
    if tracker == "none":
        return
    from carscale import images
    from carscale.world import track_pictures

    figures = sorted((page_folder / "figures").glob("*.png"))
    pictures = {f"report/{file.stem}": images.decode(file.read_bytes()) for file in figures}
    project = run.environment().get("recipe", run.name)
    if not track_pictures(tracker, run, str(project), pictures):
        progress.note(f"train.tracker={tracker} takes no pictures; they are in {page_folder}")


def _common_parent(folders: Sequence[RunFolder]) -> Path:
    """Return the folder that all runs lie in."""
    return Path(os.path.commonpath([folder.path.absolute().parent for folder in folders]))


def predict(
    run: Run, photos: Iterable[Path | str], *, above: float = 0.0, unknown: bool = False
) -> PhotoPredictions:
    """Predict the five likeliest classes of photos: ``carscale predict``.

    An unreadable file gets a row that says why.

    Args:
        run: Run folder, or what ``carscale export`` made of one: a folder, or its ONNX file.
        photos: Files, and folders of photos.
        above: Below this probability a row says that the model abstains.
        unknown: So it does of photos that resemble no class: of less energy than all but 5 % of val
            (Liu et al. 2020, https://arxiv.org/abs/2010.03759).

    Raises:
        ConfigError: ``above`` is no probability.
        DataError: A path that does not exist, folders without a photo, or a val without embeddings.
        ModelError: The run has no result yet, or an export can't be opened.
        RunError: No such run.
    """
    from carscale import export
    from carscale.workflows.photo_predictions import PhotoRule, predict_exported, predict_photos

    paths, rule = [Path(path) for path in photos], PhotoRule(above, unknown)
    rule.check()
    if export.is_exported(Path(run)):
        return PhotoPredictions(predict_exported(export.open_exported(Path(run)), paths, rule))
    folder = RunFolder.open(run)
    return PhotoPredictions(predict_photos(folder, folder.settings(), paths, rule))
