"""Pictures of the worst mistakes: small copies beside the page, links to the photos themselves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from carscale import data, images
from carscale.report.checks import finite, printable
from carscale.report.findings import worst_mistakes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from carscale.types import CarClass, Predictions

__all__ = ["MAX_MISTAKES", "Mistake", "hang", "link_to"]

MAX_MISTAKES = 48
THUMBNAIL_PX = 360


@dataclass(frozen=True)
class Mistake:
    """One wrong prediction as the page shows it.

    Attributes:
        path: Of the photo, from the data root.
        label, prediction: Class names.
        prob_label, prob_prediction: What the model gave them.
        loss: Cross-entropy in nats.
        top5: Class names with their probabilities, best first; the flag tells the true one.
        thumbnail: Link to the small copy; ``None`` without one.
        photo: Link to the photo, or to its small copy when it is no file of its own; ``None``
            when it is not on this machine.
        trouble: Why there is no picture; empty when there is one.
    """

    path: str
    label: str
    prediction: str
    prob_label: float | None
    prob_prediction: float | None
    loss: float | None
    top5: tuple[tuple[str, float | None, bool], ...]
    thumbnail: str | None
    photo: str | None
    trouble: str


def link_to(target: Path, page_folder: Path) -> str:
    """Return a link from a page in ``page_folder`` to a file, percent-encoded.

    Relative, so that a project moved as a whole keeps its links; a ``file:`` address when there is
    no such path.

    Example:
        >>> link_to(Path("/data/a#1/50%.jpg"), Path("/runs/r/report"))
        '../../../data/a%231/50%25.jpg'
    """
    try:
        relative = os.path.relpath(target, page_folder)
    except ValueError:  # another drive
        return Path(target).absolute().as_uri()
    return quote(os.fsencode(Path(relative).as_posix()), safe="/")


def hang(
    predictions: Predictions,
    classes: Sequence[CarClass],
    *,
    split: str,
    data_root: Path | None,
    page_folder: Path,
    build_folder: Path,
) -> list[Mistake]:
    """Return the worst mistakes and write their thumbnails.

    Args:
        predictions: Of one split.
        classes: The class list.
        split: Its name, for the files.
        data_root: Where the photos lie; ``None`` makes no pictures.
        page_folder: Where the page will lie; links to photos start there.
        build_folder: Where it is built; thumbnails go to ``thumbs/`` in it.
    """
    read = None if data_root is None else data.photo_reader(data_root)
    mistakes = []
    for row in worst_mistakes(predictions, MAX_MISTAKES).tolist():
        path = str(predictions.paths_N[row])
        label = int(predictions.labels_N[row])
        thumbnail, trouble = None, "the photos are not on this machine"
        if read is not None:
            name = f"thumbs/{split}-{int(predictions.ids_N[row])}.jpg"
            thumbnail, trouble = _shrink(read, path, build_folder / name, link=name)
        file = None if data_root is None else data_root / path
        mistakes.append(
            Mistake(
                path=printable(path),
                label=classes[label].name,
                prediction=classes[int(predictions.prediction_N[row])].name,
                prob_label=finite(predictions.prob_label_N[row]),
                prob_prediction=finite(predictions.prob_prediction_N[row]),
                loss=finite(predictions.loss_N[row]),
                top5=_top5(predictions, classes, row),
                thumbnail=thumbnail,
                photo=link_to(file, page_folder) if file and file.is_file() else thumbnail,
                trouble=trouble,
            )
        )
    return mistakes


def _shrink(
    read: Callable[[str], bytes], path: str, file: Path, *, link: str
) -> tuple[str | None, str]:
    """Write a thumbnail and return its link, or why there is none."""
    try:
        content = images.thumbnail(read(path), THUMBNAIL_PX)
    except FileNotFoundError:
        return None, "the photo is not there"
    except (OSError, images.BadPhotoError) as error:
        return None, printable(f"the photo: {error}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return link, ""


def _top5(
    predictions: Predictions, classes: Sequence[CarClass], row: int
) -> tuple[tuple[str, float | None, bool], ...]:
    """Return the best classes of one row."""
    numbers: list[Any] = predictions.top5_NT[row].tolist()
    label = int(predictions.labels_N[row])
    return tuple(
        (classes[number].name, finite(prob), number == label)
        for number, prob in zip(numbers, predictions.top5_prob_NT[row].tolist(), strict=True)
    )
