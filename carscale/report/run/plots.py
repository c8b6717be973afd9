"""Figures of training, recall and calibration: numbers in, a matplotlib figure out; no pyplot.

Axes: S steps, K classes, R bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from carscale.report.page.checks import finite
from carscale.report.page.theme import Theme, shorten, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from carscale.analysis.result import Reliability


SIZE_IN = (6.2, 3.7)
MAX_POINTS = 3000
MAX_NAMES = 7
VAL_SHARES = {
    "top1": ("top-1", "blue"),
    "macro_f1": ("macro F1", "orange"),
    "balanced_accuracy": ("balanced accuracy", "green"),
}


def column(rows: Sequence[dict[str, Any]], key: str) -> NDArray[np.float64]:
    """Return one number of each row; NaN where it is missing."""
    values = [finite(row.get(key)) for row in rows]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def smooth(values_S: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the mean over ``window`` values around each; NaN stays only where nothing else is.

    Example:
        >>> smooth(np.array([1.0, 3.0, np.nan, 5.0]), 3).tolist()
        [2.0, 2.0, 4.0, 5.0]
    """
    ok_S = np.isfinite(values_S)
    kernel = np.ones(min(window, len(values_S)))
    total_S = np.convolve(np.where(ok_S, values_S, 0.0), kernel, mode="same")
    count_S = np.convolve(ok_S.astype(np.float64), kernel, mode="same")
    mean_S = np.full(len(values_S), np.nan)
    np.divide(total_S, count_S, out=mean_S, where=count_S > 0.5)
    return mean_S


def draw_loss(
    theme: Theme, steps: Sequence[dict[str, Any]], epochs: Sequence[dict[str, Any]], window: int
) -> Figure:
    """Draw the training loss by step, raw and smoothed, and the val loss where it was scored."""
    figure, axes = _figure()
    step_S, loss_S = column(steps, "step"), column(steps, "loss")
    stride = max(1, len(step_S) // MAX_POINTS)
    axes.plot(step_S[::stride], loss_S[::stride], color=theme.blue, alpha=0.3, linewidth=1)
    smooth_S = smooth(loss_S, window)
    axes.plot(step_S[::stride], smooth_S[::stride], color=theme.blue, linewidth=2.2, label="train")
    rows = [{**(row.get("val") or {}), "step": row.get("step")} for row in epochs]
    val_E = column(rows, "loss")
    if np.isfinite(val_E).any():
        axes.plot(column(rows, "step"), val_E, "o-", color=theme.orange, markersize=4, label="val")
        axes.legend(loc="upper right", fontsize=9.5)
    if len(step_S) == 1:
        axes.plot(step_S, loss_S, "o", color=theme.blue)
    tidy(axes, title="Loss", x="step", y="loss (nats)")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylim(bottom=min(0.0, float(np.nanmin(loss_S))) if np.isfinite(loss_S).any() else 0)
    return figure


def draw_val(theme: Theme, epochs: Sequence[dict[str, Any]], chosen: float | None) -> Figure:
    """Draw the val metrics by epoch and mark the chosen one."""
    figure, axes = _figure()
    number_E = column(epochs, "epoch")
    rows = [row["val"] if isinstance(row.get("val"), dict) else {} for row in epochs]
    for key, (label, colour) in VAL_SHARES.items():
        values_E = column(rows, key)
        if np.isfinite(values_E).any():
            axes.plot(
                number_E, values_E, "o-", markersize=4, label=label, color=getattr(theme, colour)
            )
    if chosen is not None:
        axes.axvline(chosen, color=theme.ink, linestyle=(0, (4, 3)), linewidth=1.2, zorder=1)
        label = f"chosen: epoch {chosen:.0f} "
        place = axes.get_xaxis_transform()
        early = chosen < (number_E[0] + number_E[-1]) / 2
        axes.text(
            chosen, 0.03, f" {label}", transform=place, ha="left" if early else "right", fontsize=10
        )
    tidy(axes, title="Val by epoch", x="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower left", ncols=3, fontsize=9.5)
    return figure


def draw_series(
    theme: Theme, rows: Sequence[dict[str, Any]], key: str, *, title: str, y: str
) -> Figure:
    """Draw one number by step."""
    figure, axes = _figure((6.2, 2.6))
    step_S, value_S = column(rows, "step"), column(rows, key)
    stride = max(1, len(step_S) // MAX_POINTS)
    dots = "o-" if len(step_S) == 1 else "-"
    axes.plot(step_S[::stride], value_S[::stride], dots, color=theme.orange, linewidth=1.8)
    tidy(axes, title=title, x="step", y=y)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylim(bottom=0)
    return figure


def draw_recall(theme: Theme, rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw each class's recall with its interval against its train photos; low recall stands out.

    Args:
        theme: Colours.
        rows: ``per_class`` with a train count and a recall, the worst first.
    """
    figure, axes = _figure((9.6, 4.6))
    shown = [row for row in rows if finite(row.get("recall")) is not None]
    for is_low, colour, marker, label in (
        (False, theme.blue, "o", "other classes"),
        (True, theme.bad, "D", "low recall"),
    ):
        part = [row for row in shown if bool(row["has_low_recall"]) is is_low]
        if not part:
            continue
        x_K, recall_K = column(part, "train_count"), column(part, "recall")
        low_K, high_K = column(part, "recall_low"), column(part, "recall_high")
        faint = 0.75 if is_low else float(np.clip(14 / len(shown), 0.05, 0.5))
        axes.vlines(x_K, low_K, high_K, color=colour, alpha=faint, linewidth=1.4)
        size = 26 if len(shown) > 60 else 44
        axes.scatter(x_K, recall_K, s=size, color=colour, marker=marker, label=label, linewidths=0)
    counts = column(shown, "train_count")
    if len(shown) and np.nanmax(counts) > 12 * max(1.0, np.nanmin(counts)):
        axes.set_xscale("symlog", linthresh=1) if np.nanmin(counts) < 1 else axes.set_xscale("log")
        ticks = [m * 10**e for e in range(7) for m in (1, 2, 5)]
        inside = [n for n in ticks if np.nanmin(counts) * 0.8 <= n <= np.nanmax(counts) * 1.2]
        axes.set_xticks(inside, [f"{n:g}" for n in inside])
        axes.set_xticks([], minor=True)
    tidy(axes, x="train photos of the class", y="recall")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(-0.03, 1.03)
    axes.margins(x=0.06)
    figure.legend(loc="outside lower left", ncols=2, fontsize=9.5)
    _name_worst(axes, [row for row in shown if row["has_low_recall"]], theme)
    return figure


def _name_worst(axes: Axes, rows: Sequence[dict[str, Any]], theme: Theme) -> None:
    """Write names beside the worst classes where they cover neither a mark nor another name."""
    axes.figure.canvas.draw()  # places are known only after the layout
    pairs = np.column_stack([column(rows, "train_count"), column(rows, "recall")]).reshape(-1, 2)
    marks = axes.transData.transform(pairs)
    px = axes.figure.dpi / 72
    (left, _), (right, _) = axes.transAxes.transform([(0, 0), (1, 0)])
    taken: list[tuple[float, float, float]] = []  # left, right, middle height of a name
    for row, pair, (x, y) in zip(rows, pairs, marks, strict=True):
        text = shorten(row["class"], 32)
        width = 5.8 * px * len(text)
        for side in (1, -1):
            start = x + 8 * px if side > 0 else x - 8 * px - width
            stop = start + width
            covers = (marks[:, 0] > start) & (marks[:, 0] < stop) & (abs(marks[:, 1] - y) < 8 * px)
            crosses = any(start < v and u < stop and abs(y - w) < 13 * px for u, v, w in taken)
            if covers.any() or crosses or start < left or stop > right or len(taken) >= MAX_NAMES:
                continue
            taken.append((start, stop, y))
            align = "left" if side > 0 else "right"
            place: dict[str, Any] = {"xytext": (7 * side, 0), "textcoords": "offset points"}
            axes.annotate(
                text,
                (pair[0], pair[1]),
                **place,
                ha=align,
                va="center",
                fontsize=9,
                color=theme.ink,
            )
            break


def draw_reliability(theme: Theme, bins: Reliability) -> Figure:
    """Draw accuracy by confidence, with intervals, over the number of samples of each bin."""
    figure = Figure(figsize=(6.2, 4.9), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    num_bins = len(bins.counts_R)
    middle_R = (np.arange(num_bins) + 0.5) / num_bins
    has_R = bins.counts_R > 0
    axes.plot([0, 1], [0, 1], color=theme.muted, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.text(0.02, 0.09, "perfect calibration", color=theme.muted, fontsize=9.5)
    axes.bar(middle_R[has_R], bins.accuracy_R[has_R], 0.9 / num_bins, color=theme.blue, alpha=0.35)
    axes.vlines(
        middle_R[has_R], bins.low_R[has_R], bins.high_R[has_R], color=theme.blue, linewidth=1.6
    )
    axes.plot(bins.confidence_R[has_R], bins.accuracy_R[has_R], "o", color=theme.blue, markersize=5)
    tidy(axes, title="Reliability diagram", y="accuracy")
    below.bar(middle_R, bins.counts_R, 0.9 / num_bins, color=theme.muted, alpha=0.6)
    tidy(below, x="confidence", y="photos")
    below.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    for each in (axes, below):
        each.set_xlim(0, 1)
        each.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(0, 1.02)
    return figure


def _figure(size_in: tuple[float, float] = SIZE_IN) -> tuple[Figure, Axes]:
    """Return a figure with one set of axes."""
    figure = Figure(figsize=size_in, layout="constrained")
    return figure, figure.subplots()
