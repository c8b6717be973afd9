"""What ``carscale export`` does: write a format, prove it, describe it, send it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE

from carscale import config, data, export, files, models, outgoing, progress, threads
from carscale.augment.draws import generator
from carscale.errors import ConfigError, DataError, LaunchError, RunError
from carscale.export.exported import SCRIPT, by_torch
from carscale.export.graphs import Served, library
from carscale.runs import RunFolder
from carscale.workflows.calibration import stored_temperature
from carscale.workflows.evaluation_run import check_classes, load_result
from carscale.workflows.exporting.verify import Verified, verified
from carscale.workflows.model_runs import Run, evaluation_settings
from carscale.workflows.photo_predictions import view_of
from carscale.world import open_world

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Split, View

ExportFormat = Literal["hub", "onnx", "openvino", "pt2"]
LIBRARIES = {"hub": (), "onnx": ("onnx", "onnxscript", "onnxruntime"), "pt2": ()}
LIBRARIES["openvino"] = (*LIBRARIES["onnx"], "openvino")
WRITTEN = (
    *("README.md", "carscale.json", "verify.json", "config.json", SAFETENSORS_SINGLE_FILE),
    *("model.onnx", "predict_onnx.py", "model.xml", "model.bin", "model.pt2"),
)
"""All that an export writes; a folder that holds more is not replaced."""
CALIBRATED_ON, AT_ONCE = 512, 16
"""Photos of train whose activations set the ranges of eight bits, and how many at a time."""


@dataclass(frozen=True)
class ExportRule:
    """What is written.

    Attributes:
        format: ``hub``: a folder that timm and transformers open; ``onnx``, ``openvino``: graphs;
            ``pt2``: a program of ``torch.export``.
        int8: Eight bits for weights and activations, of ``onnx`` and ``openvino``.
        temperature: Divide logits by the temperature that was fitted on val.
        verify: Whether every photo of val has to get the run's answer.
        fixed_batch: Pictures of each call of a graph; any number when ``None``.
    """

    format: ExportFormat = "hub"
    int8: bool = False
    temperature: bool = False
    verify: bool = True
    fixed_batch: int | None = None

    def check(self) -> None:
        """Raise where parts don't go together, or a library is missing.

        Raises:
            ConfigError: No such format; eight bits or a fixed batch of one that has neither; eight
                bits that nobody would verify.
            MissingExtraError: Says what to install.
        """
        if self.format not in LIBRARIES:
            raise ConfigError(f"--format {self.format}: must be one of {', '.join(LIBRARIES)}")
        if self.int8 and not self.verify:
            raise ConfigError("--int8: is kept by what it loses on val", "leave out --verify none")
        if self.int8 and self.format not in ("onnx", "openvino"):
            raise ConfigError(f"--int8: not of --format {self.format}", "take --format onnx")
        if self.fixed_batch is not None and self.format == "hub":
            raise ConfigError(
                "--fixed-batch: a folder for the hub takes any number of pictures",
                "leave it out, or take --format onnx",
            )
        for name in LIBRARIES[self.format]:
            library(name)


def export_run(
    run: Run,
    out: Path | str,
    rule: ExportRule | None = None,
    *,
    settings: Sequence[str] = (),
    push: str | None = None,
    force: bool = False,
) -> Path:
    """Write a run's result as others open it, verified: ``carscale export``.

    Beside the weights or graph lie ``carscale.json`` (classes, view, temperature), ``verify.json``
    and README.md, a model card.

    Args:
        run: Run folder.
        out: Folder to make.
        rule: What is written.
        settings: Words: where data lie and how they are loaded.
        push: Repository of the hub, ``OWNER/NAME``, that the folder is sent to in the end.
        force: Replace what was exported there before.

    Raises:
        ConfigError: Parts that don't go together, or another word for a repository.
        DataError: The photos do not match their lock.
        LaunchError: There are several processes.
        MissingExtraError: A library is not installed.
        ModelError: No result, or a network that can't be exported so.
        RunError: No such run, OUT is there, or no temperature was fitted.
        VerificationError: The export answers otherwise; nothing is written.
    """
    folder, place, rule = RunFolder.open(run), Path(out), rule or ExportRule()
    rule.check()
    if push is not None:
        export.check_repo(push)
    _check_out(place, force)
    cfg = evaluation_settings(folder, settings)
    with open_world(precision="fp32", num_cpu_threads=cfg.train.num_cpu_threads) as world:
        if world.size > 1:
            command = outgoing.command("carscale", "export", folder, place)
            raise LaunchError("carscale export: runs in one process", f"type: {command}")
        model, view, card, where = load_result(folder, cfg.model)
        names = tuple(str(entry["name"]) for entry in card["classes"])
        export.check_names(names)
        if rule.format == "hub":
            models.check_rebuildable(model)
        facts = export.Facts(
            rule.format,
            names,
            view,
            temperature=_temperature(folder, cfg, where.name) if rule.temperature else 1.0,
            int8=rule.int8,
            run=folder.path.resolve().name,
            checkpoint=where.name,
        )
        splits = None
        if rule.verify:
            splits = data.load(cfg.data.model_copy(update={"partial": "leave"}))
            check_classes(card, splits, where)
        with files.staged_folder(place, "export") as staging:
            with progress.bar(f"export {rule.format}", None):
                train = None if splits is None else splits.train
                _write(staging, model, facts, rule, train)
                facts.write(staging)
            proof = None
            if splits is not None:
                torch_model = models.for_scoring(model.eval(), view.image_px)  # on the CPU, as all
                proof = verified(
                    by_torch(Served(torch_model, facts.temperature)),
                    export.open_exported(staging),
                    splits.val,
                    cfg.loader,
                    world,
                )
                proof.check(int8=rule.int8)
                progress.note(proof.summary)
                facts = replace(facts, min_energy=proof.min_energy, unknown_rule=proof.unknown_rule)
                files.write_json(staging / "verify.json", proof.to_dict())
            _describe(staging, folder, cfg, facts, proof)
            _check_out(place, force)  # again: it took minutes
    if push is not None:
        _send(place, push)
    return place


def race_runtimes(run: Run, *, num_threads: int = 0) -> list[dict[str, Any]]:
    """Measure a run's network in each runtime that is here: ``carscale benchmark models --run``.

    Args:
        run: Run folder.
        num_threads: Of the CPU; 0 takes all cores.

    Returns:
        As ``benchmark.race_runtimes`` has it.

    Raises:
        ModelError: The run has no result yet.
        RunError: No such run.
    """
    from carscale import benchmark

    folder = RunFolder.open(run)
    cores = num_threads or threads.num_cores()
    with open_world(precision="fp32", num_cpu_threads=cores):
        model, view, _, _ = load_result(folder, folder.settings().model)
        with progress.bar("benchmark", 6 * len(benchmark.BATCHES), unit="steps") as advance:
            return benchmark.race_runtimes(model, view, advance=advance)


def _check_out(out: Path, force: bool) -> None:
    """Raise where something lies that may not be replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not export.is_exported(out) or out.is_file():
        raise RunError(f"{out}: is there, and no export", "name another folder")
    if others := sorted({path.name for path in out.iterdir()} - set(WRITTEN)):
        raise RunError(f"{out}: holds more than an export ({others[0]})", "name another folder")
    if not force:
        raise RunError(f"{out}: holds an export", "replace it: --force; or name another folder")


def _temperature(run: RunFolder, cfg: config.Recipe, checkpoint: str) -> float:
    """Return the temperature that was fitted for a checkpoint, without mirror images."""
    plain = cfg.evaluate.model_copy(update={"flip": False})
    found = stored_temperature(run, plain, checkpoint)
    if found is None:
        command = outgoing.command("carscale", "evaluate", run, "--temperature", "--no-flip")
        raise RunError(f"{run}: no temperature was fitted for {checkpoint}", f"fit it: {command}")
    return found


def _write(
    folder: Path,
    model: models.Classifier,
    facts: export.Facts,
    rule: ExportRule,
    train: Split | None,
) -> None:
    """Write the weights or the graph."""
    side = facts.view.image_px
    if rule.format == "hub":
        names, heat = facts.classes, facts.temperature
        models.save_hub_folder(model, folder, facts.view, names, temperature=heat)
        return
    served = Served(model, facts.temperature)
    if rule.format == "pt2":
        export.save_pt2(served, folder / "model.pt2", side, num_images=rule.fixed_batch)
        return
    graph = folder / "model.onnx"
    export.save_onnx(served, graph, side, num_images=rule.fixed_batch)
    if rule.int8:
        assert train is not None
        eight = folder / "int8.onnx"
        export.quantise(graph, eight, _pictures(train, facts.view, rule.fixed_batch or AT_ONCE))
        eight.replace(graph)
    if rule.format == "openvino":
        export.save_openvino(graph, folder)
        graph.unlink()
        return
    export.tag_onnx(graph, facts)
    shutil.copyfile(SCRIPT, folder / "predict_onnx.py")


def _pictures(train: Split, view: View, at_once: int) -> Iterator[NDArray[np.uint8]]:
    """Yield batches of train photos as the network sees them, the same at every call."""
    rows = generator(0, "export int8").permutation(len(train))[:CALIBRATED_ON].tolist()
    rows = rows[: max(at_once, len(rows) - len(rows) % at_once)]
    for start in range(0, len(rows), at_once):
        part = (rows[start : start + at_once] * at_once)[:at_once]
        seen = [view_of(partial(train.read_bytes, row), view) for row in part]
        if broken := next((one for one in seen if isinstance(one, str)), None):
            raise DataError(f"train: a photo can't be read: {broken}", "carscale data check ROOT")
        yield np.stack([one for one in seen if not isinstance(one, str)])


def _describe(
    folder: Path,
    run: RunFolder,
    cfg: config.Recipe,
    facts: export.Facts,
    proof: Verified | None,
) -> None:
    """Store what the model is, for programs and for people."""
    facts.write(folder)
    if facts.kind == "onnx":
        export.tag_onnx(folder / "model.onnx", facts)
    environment = run.environment()
    root = Path(cfg.data.root)
    card = data.read_card(root) if data.is_frozen(root) else {}
    hashes = card.get("hashes") or {}
    if any(hashes.get(name) != value for name, value in run.hashes.items()):
        card, hashes = {}, run.hashes  # not there any more, or other photos
    counts = card.get("counts") or {}
    metrics = {
        name: found
        for name, found in run.metrics().items()
        if (about := found.get("about") or {}).get("checkpoint") == facts.checkpoint
        and not about.get("flip")
    }
    words = outgoing.words_of(outgoing.stored_command(environment.get("command")) or "")
    names = ["train", "val", *sorted(name for name in hashes if name.startswith("test"))]
    about = export.CardFacts(
        name=run.path.resolve().name,
        architecture=cfg.model.name,
        data=root.name,
        counts={name: int(counts[name]) for name in names if name in counts},
        hashes=hashes,
        licences=_licences(root) if card else None,
        metrics={name: metrics[name] for name in names if name in metrics},
        verified=None if proof is None else proof.to_dict(),
        command=outgoing.command(*map(_placeless, words)),
        settings=config.to_plain_yaml(_placeless_tree(run.settings().model_dump())),
        weights_from=_placeless((environment.get("model") or {}).get("weights_from", "")),
    )
    files.write_atomic(folder / "README.md", export.card_text(facts, about))


def _placeless(word: str) -> str:
    """Return a word, ``key=value`` or not, whose path outside of the working folder is a name.

    Example:
        >>> _placeless("config=/tmp/jane doe/cars/config.yaml"), _placeless("data.root=data/cars")
        ('config=.../config.yaml', 'data.root=data/cars')
    """
    key, sign, value = word.rpartition("=")
    below = outgoing.relative(value, Path.cwd()) if value.startswith("/") else value
    if not below.startswith(("/", "../", "~")):
        return f"{key}{sign}{below}"
    return f"{key}{sign}.../{Path(value).name}"


def _placeless_tree(tree: Any) -> Any:  # noqa: ANN401 - YAML holds anything
    """Return settings all of whose texts are placeless."""
    if isinstance(tree, dict):
        return {key: _placeless_tree(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_placeless_tree(value) for value in tree]
    return _placeless(tree) if isinstance(tree, str) else tree


def _licences(root: Path) -> dict[str, int]:
    """Return the photos of each stored licence."""
    counts = Counter(data.read_manifest(root, ["licence"])["licence"].tolist())
    return {str(name): number for name, number in counts.most_common() if name}


def _send(folder: Path, name: str) -> None:
    """Say what is sent to the hub, and send it."""
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    listed = ", ".join(f"{one} ({num / 1e6:.1f} MB)" for one, num in sizes.items())
    progress.note(f"sends to {name} on the hub, private if it is new: {listed}")
    progress.note(f"sent: {export.push(folder, name)}")
