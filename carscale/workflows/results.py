"""What calls on runs return: metrics, errors, predictions of photos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import analysis, tables

if TYPE_CHECKING:
    from pyarrow import Table


@dataclass(frozen=True)
class Metrics:
    """The metrics of a predicted split, with 95 % intervals.

    Attributes:
        split: ``val``, ``test`` ...
        values: As ``metrics.json`` has them.

    Example:
        >>> metrics = Metrics("val", {"top1": {"value": 0.9, "low": 0.8, "high": 0.95}})
        >>> metrics["top1"], metrics.interval("top1")
        (0.9, (0.8, 0.95))
    """

    split: str
    values: dict[str, Any]

    def __getitem__(self, name: str) -> float:
        """Return a metric: ``top1``, ``top5``, ``macro_f1``, ``balanced_accuracy``, ``ece``."""
        return float(self.values[name]["value"])

    def interval(self, name: str) -> tuple[float, float]:
        """Return a metric's 95 % interval."""
        return float(self.values[name]["low"]), float(self.values[name]["high"])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return self.values


@dataclass(frozen=True)
class Errors:
    """The mistakes of a split, sorted by cause.

    Attributes:
        analysis: All that was found; ``actions`` says what to do.
        path: The Parquet file with a row a mistake.
    """

    analysis: analysis.Analysis
    path: Path

    def to_table(self) -> Table:
        """Return a row a mistake, as an Arrow table."""
        return tables.arrow_table(analysis.mistake_columns(self.analysis))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return analysis.as_dict(self.analysis)


@dataclass(frozen=True)
class PhotoPredictions:
    """The five likeliest classes of each photo.

    Attributes:
        rows: One a photo: ``path``, ``top5`` (``class`` and ``prob``), ``abstains``, ``error``;
            the last two may be ``None``.
    """

    rows: list[dict[str, Any]]

    def to_dict(self) -> list[dict[str, Any]]:
        """Return a row a photo."""
        return self.rows

    def to_table(self) -> Table:
        """Return an Arrow table: ``path``, ``error``, ``abstains``, ``top5``, ``top5_prob``."""
        return tables.arrow_table(
            {
                "path": [row["path"] for row in self.rows],
                "error": [row["error"] for row in self.rows],
                "abstains": [row["abstains"] for row in self.rows],
                "top5": [[top["class"] for top in row["top5"]] for row in self.rows],
                "top5_prob": [[top["prob"] for top in row["top5"]] for row in self.rows],
            }
        )
