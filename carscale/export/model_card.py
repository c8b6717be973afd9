"""The README.md of an exported model, as the hub reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from carscale.export.facts import OPSET, Facts
from carscale.outgoing import one_line

LISTED_CLASSES, LISTED_LICENCES = 50, 20
METRICS = {
    "top1": ("accuracy", "Top-1 accuracy"),
    "balanced_accuracy": ("balanced_accuracy", "Balanced accuracy"),
    "macro_f1": ("f1", "Macro F1"),
}
"""The hub's name of a metric, and ours."""

USE = {
    "hub": """```python
import timm
net = timm.create_model("local-dir:.", pretrained=True).eval()

from transformers import pipeline
pipeline("image-classification", ".")("photo.jpg")
```""",
    "onnx": """```sh
pip install onnxruntime pillow numpy
python predict_onnx.py photo.jpg
```""",
    "openvino": """```python
import openvino
model = openvino.compile_model("model.xml")  # uint8 [B, H, W, 3] -> probs, logits
```""",
    "pt2": """```python
import torch
model = torch.export.load("model.pt2").module()  # uint8 [B, H, W, 3] -> probs, logits
```""",
}
"""What opens each format, from its folder."""


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside what the model says of itself.

    Attributes:
        name: Of the model.
        architecture: timm's name.
        data: Name of the data set.
        counts: Photos a split.
        hashes: Of each split and the class list.
        licences: Photos a licence; ``None`` where the data are not at hand.
        metrics: By split: metric to ``value``, ``low``, ``high``.
        verified: As ``verify.json`` has it; ``None`` if it was not.
        command: That trained it.
        settings: What it was trained with, as YAML.
        weights_from: Where its first weights came from.
    """

    name: str
    architecture: str
    data: str
    counts: Mapping[str, int] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    licences: Mapping[str, int] | None = None
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    verified: Mapping[str, Any] | None = None
    command: str = ""
    settings: str = ""
    weights_from: str = ""


def card_text(facts: Facts, about: CardFacts) -> str:
    """Return a model card: metadata with a ``model-index``, then what a person asks of a model.

    Args:
        facts: What the model says of itself.
        about: The rest.
    """
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type="imagefolder",
            dataset_name=about.data,
            dataset_split=split,
            metric_type=METRICS[key][0],
            metric_name=METRICS[key][1],
            metric_value=round(float(found[key]["value"]), 4),
        )
        for split, found in about.metrics.items()
        for key in METRICS
        if key in found
    ]
    data = ModelCardData(
        library_name="timm" if facts.kind == "hub" else facts.kind,
        pipeline_tag="image-classification",
        tags=["image-classification", "carscale", about.architecture],
        model_name=about.name,
        eval_results=results or None,
    )
    parts = [
        f"---\n{data.to_yaml()}\n---\n# {one_line(about.name)}",
        f"Names the make and model of a car in a photo: one of {len(facts.classes)} classes. "
        f"{about.architecture}, trained by carscale and exported as `{facts.kind}`.",
        "## Use\n\n" + USE[facts.kind] + "\n\n" + _view_text(facts),
        "## How good it is\n\n" + _metrics_text(about),
        "## Verification\n\n" + _verified_text(about.verified),
        "## Data\n\n" + _data_text(facts, about),
        "## Training\n\n" + _training_text(about),
        "## Intended use and limits\n\nPhotos that show one car, framed as those it was trained "
        "on. Its classes are all it knows: a car of none gets one of their names, unless "
        "probabilities are held against a threshold. Rare classes are worse than the average says; "
        "measure on photos of your own before you decide by it.",
    ]
    return "\n\n".join(parts) + "\n"


def _view_text(facts: Facts) -> str:
    """Say how a photo becomes the input."""
    view = facts.view
    how = {
        "squash": "stretched over the square",
        "pad": f"fitted inside the square, centred on the colour {view.fill}",
        "crop": "made to cover the square, what sticks out cut off on both sides",
    }[view.fit]
    lines = [
        f"A photo is turned upright, made RGB, {how}: {view.image_px} x {view.image_px} px, "
        f"{view.interpolation} with antialiasing. Mean {view.mean}, standard deviation {view.std}"
        + ("." if facts.kind == "hub" else ", which the graph applies itself.")
    ]
    if facts.kind == "onnx":
        lines.append(f"ONNX opset {OPSET}; outputs `probs` and `logits`.")
    if facts.temperature != 1:
        lines.append(f"Logits are divided by {facts.temperature:.4g}, a temperature fitted on val.")
    if facts.min_energy is not None:
        lines.append(
            f"A photo whose logits have a log-sum-exp below {facts.min_energy:.4g} is of no known "
            f"class: that {facts.unknown_rule}."
        )
    return "\n\n".join(lines)


def _metrics_text(about: CardFacts) -> str:
    """Return the table of metrics."""
    if not about.metrics:
        return "Not measured."
    lines = ["| split | " + " | ".join(name for _, name in METRICS.values()) + " |"]
    lines.append("|" + "---|" * (len(METRICS) + 1))
    for split, found in about.metrics.items():
        cells = [_interval(found[key]) if key in found else "not measured" for key in METRICS]
        lines.append(f"| {split} | {' | '.join(cells)} |")
    lines.append("\nPercent, with 95 % intervals over photos; of the run, before it was exported.")
    return "\n".join(lines)


def _interval(found: Mapping[str, Any]) -> str:
    """Return a value with its interval."""
    value, low, high = (100 * float(found[key]) for key in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def _verified_text(verified: Mapping[str, Any] | None) -> str:
    """Say what verification found."""
    if verified is None:
        return "Not verified."
    equal, from_files = verified["equal_input"], verified["from_files"]
    return (
        f"All {equal['num_photos']:,} photos of {verified['split']}: the same first class as the "
        f"run for {equal['same']:.2%} on equal input and {from_files['same']:.2%} from files; "
        f"probabilities differ by {equal['max_difference']:.1g} at most, "
        f"{equal['mean_difference']:.1g} on average. Accuracy from files "
        f"{from_files['accuracy']:.1%} ({from_files['low']:.1%} to {from_files['high']:.1%}). "
        f"{verified['images_per_s']:.0f} images/s on {verified['device']} "
        f"(PyTorch: {verified['images_per_s_torch']:.0f})."
    )


def _data_text(facts: Facts, about: CardFacts) -> str:
    """Say what it was trained and measured on."""
    counts = ", ".join(f"{n:,} {name}" for name, n in about.counts.items())
    lines = [f"{_code(about.data)}: {counts or 'not at hand when this was exported'}."]
    lines.append(f"Licence of the photos: {_licence_text(about.licences)}.")
    lines += [f"- hash of {name}: `{value}`" for name, value in about.hashes.items()]
    shown = [_code(name) for name in facts.classes[:LISTED_CLASSES]]
    more = len(facts.classes) - len(shown)
    lines.append("Classes: " + ", ".join(shown) + (f" and {more} more" if more else "") + ".")
    return "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:-1]) + "\n\n" + lines[-1]


def _licence_text(licences: Mapping[str, int] | None) -> str:
    """Return the commonest licences."""
    if licences is None:
        return "not looked at: the photos were not at hand"
    if not licences:
        return "not stored; ask who made the data set"
    shown = [f"{_code(name)} ({n:,} photos)" for name, n in licences.items()][:LISTED_LICENCES]
    more = len(licences) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _code(text: str) -> str:
    """Return anyone's text as code, which Markdown reads as text."""
    return "`" + one_line(text).replace("`", "'") + "`"


def _training_text(about: CardFacts) -> str:
    """Say how it was trained."""
    return (
        f"First weights: {about.weights_from or 'not stored'}.\n\n```sh\n{about.command}\n```\n\n"
        f"<details><summary>All settings</summary>\n\n```yaml\n{about.settings.strip()}\n```\n\n"
        "</details>"
    )
