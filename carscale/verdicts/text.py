"""How differences and p-values are written."""

from __future__ import annotations

from collections.abc import Sequence


def points(share: float, *, digits: int = 1) -> str:
    """Return a difference in points, with its sign.

    Example:
        >>> points(0.0213), points(-0.004), points(-0.0001)
        ('+2.1', '-0.4', '0.0')
    """
    shown = f"{100 * share:+.{digits}f}"
    return shown[1:] if float(shown) == 0 else shown


def name_of_intervals(looks: Sequence[float]) -> str:
    """Return what the intervals of a comparison are, by the looks that it had.

    Example:
        >>> name_of_intervals(()), name_of_intervals((0.5, 1.0))
        ('95 % intervals', '95 % intervals over all looks')
    """
    return "95 % intervals over all looks" if looks else "95 % intervals"


def metric_text(value: float | None, metric: str) -> str:
    """Return a metric as people read it: percent; of log loss the loss itself; empty without one.

    Example:
        >>> metric_text(0.731, "top1"), metric_text(-0.8517, "log_loss")
        ('73.1 %', '0.852')
    """
    if value is None:
        return ""
    return f"{-value:.3f}" if metric == "log_loss" else f"{100 * value:.1f} %"


def p_text(p: float) -> str:
    """Return a p-value as text; none is 0.

    Example:
        >>> p_text(0.03), p_text(0.2), p_text(1e-9)
        ('0.030', '0.200', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
