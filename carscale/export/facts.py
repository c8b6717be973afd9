"""What an exported model says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from unicodedata import category

from carscale import files
from carscale.errors import ModelError
from carscale.types import Fit, View

FORMAT = 1
OPSET = 20
"""Version of ONNX' operators that graphs are written in."""
FACTS_FILE = "carscale.json"
Kind = Literal["hub", "onnx", "openvino", "pt2"]
BREAKS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of controls, halves of letters, and breaks of lines and paragraphs."""
MAX_PX = 8192
"""Side of a picture that a network is asked of."""
MAX_NAME = 1000
"""Characters of a class name; a label of a picture is shorter."""


@dataclass(frozen=True)
class Facts:
    """What an exported model is, stored beside it; in an ONNX file, inside.

    Attributes:
        kind: Its format.
        classes: Names, in the order of its outputs.
        view: How a photo becomes its input.
        temperature: What its logits were divided by; 1 leaves them.
        int8: Whether weights and activations have eight bits.
        min_energy: Photos below are none of the classes; ``None`` where val was not looked at.
        unknown_rule: What ``min_energy`` keeps of val, and how often that is wrong, in words.
        run: Name of the run.
        checkpoint: Its weights.
    """

    kind: Kind
    classes: tuple[str, ...]
    view: View
    temperature: float = 1.0
    int8: bool = False
    min_energy: float | None = None
    unknown_rule: str = ""
    run: str = ""
    checkpoint: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it, with the colour around photos."""
        return {"format": FORMAT, "opset": OPSET, **asdict(self), "fill": list(self.view.fill)}

    @classmethod
    def of(cls, tree: Any, where: str) -> Facts:  # noqa: ANN401 - JSON holds anything
        """Return facts that were stored.

        Raises:
            ModelError: They are none, or of another version.
        """
        try:
            if tree["format"] != FORMAT:
                raise ModelError(
                    f"{where}: was exported in format {tree['format']}, wanted {FORMAT}",
                    "export the run again: carscale export RUN OUT",
                )
            view = dict(tree["view"])
            view |= {"mean": tuple(view["mean"]), "std": tuple(view["std"])}
            rest = {
                key: tree[key] for key in cls.__dataclass_fields__ if key not in ("view", "classes")
            }
            _check_kinds(tree, view)
            return cls(view=View(**view), classes=tuple(tree["classes"]), **rest)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{where}: says nothing that carscale reads of its classes and view ({error!r})",
                "export the run again: carscale export RUN OUT",
            ) from error

    def write(self, folder: Path) -> None:
        """Store them in a folder."""
        files.write_json(folder / FACTS_FILE, self.to_dict())


def _check_kinds(tree: dict[str, Any], view: dict[str, Any]) -> None:
    """Raise ``ValueError`` where a stored fact is of another kind than it has to be."""
    names, side = tree["classes"], view["image_px"]
    for is_good, what in (
        (tree["kind"] in get_args(Kind), f"kind {tree['kind']!r}"),
        (isinstance(names, list) and all(isinstance(one, str) for one in names), "classes"),
        (type(side) is int and 0 < side <= MAX_PX, f"image_px {side!r}"),
        (view["fit"] in get_args(Fit), f"fit {view['fit']!r}"),
        (view["interpolation"] in ("bilinear", "bicubic"), "interpolation"),
        (len(view["mean"]) == len(view["std"]) == 3, "mean, std"),
        (all(type(one) in (int, float) for one in (*view["mean"], *view["std"])), "mean, std"),
        (type(tree["min_energy"]) in (int, float, type(None)), "min_energy"),
        (type(tree["temperature"]) in (int, float), "temperature"),
    ):
        if not is_good:
            raise ValueError(what[:100])


def check_names(names: Sequence[str]) -> None:
    """Raise where a class name can't be a label.

    Raises:
        ModelError: One of several lines, or too long.
    """
    for name in names:
        is_one_line = name.strip() and not any(category(c) in BREAKS for c in name)
        if len(name) > MAX_NAME or not is_one_line:
            what = f"{len(name):,} characters" if len(name) > MAX_NAME else "no single line of text"
            raise ModelError(
                f"class {name[:60]!r}: its name has {what}; labels of other tools can't hold it",
                f"take at most {MAX_NAME:,} characters without line breaks: rename its folder of "
                "photos, freeze them again (carscale data freeze PHOTOS OUT) and train on that",
            )
