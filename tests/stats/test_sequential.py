"""Boundaries against the published tables and against walks that are drawn."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale import stats

FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]


def obrien_fleming(fraction, alpha):
    """Each side spends half, by the function of one side."""
    return 4 * scipy.stats.norm.sf(scipy.stats.norm.isf(alpha / 4) / np.sqrt(fraction))


def pocock(fraction, alpha):
    return alpha * np.log(1 + (np.e - 1) * fraction)


@pytest.mark.parametrize(
    ("spend", "bounds"),
    [
        (obrien_fleming, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        (pocock, [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ],
)
def test_bounds_are_those_of_lan_and_demets(spend, bounds):
    """Five looks at 5 %, two-sided, as Reboussin, DeMets, Kim and Lan 2000 print them."""
    levels = stats.nominal_levels(FIFTHS, 0.05, spend)
    assert scipy.stats.norm.isf(np.array(levels) / 2) == pytest.approx(bounds, abs=3e-3)


@settings(deadline=None)
@given(st.lists(st.floats(0.05, 1), min_size=1, max_size=6, unique=True))
def test_levels_spend_no_more_than_said(fractions):
    fractions = [*sorted(round(one, 2) for one in set(fractions) if one < 0.99), 1.0]
    fractions = sorted(set(fractions))
    levels = stats.nominal_levels(fractions)
    assert all(0 < level <= 0.05 + 1e-9 for level in levels)
    assert sum(levels) >= 0.05 - 1e-9  # looks overlap: no less than one look a time would spend
    assert levels[0] == pytest.approx(stats.spent(fractions[0]), rel=1e-6)


def test_walks_pass_the_bounds_as_often_as_said():
    """100,000 walks of five steps: four standard errors."""
    steps = np.random.default_rng(0).standard_normal((100_000, 5)) * np.sqrt(0.2)
    z = steps.cumsum(axis=1) / np.sqrt(FIFTHS)
    bounds = scipy.stats.norm.isf(np.array(stats.nominal_levels(FIFTHS)) / 2)
    passed = (np.abs(z) > bounds).any(axis=1).mean()
    assert passed == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 100_000))


@pytest.mark.parametrize("fractions", [[0.2, 0.201, 0.202, 1.0], [0.05, 0.5, 0.503, 0.98, 1.0]])
def test_looks_close_together_spend_no_more(fractions):
    """100,000 walks: four standard errors."""
    widths = np.sqrt(np.diff(fractions, prepend=0.0))
    steps = np.random.default_rng(1).standard_normal((100_000, len(fractions))) * widths
    z = steps.cumsum(axis=1) / np.sqrt(fractions)
    bounds = scipy.stats.norm.isf(np.array(stats.nominal_levels(fractions)) / 2)
    passed = (np.abs(z) > bounds).any(axis=1).mean()
    assert passed == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 100_000))


@pytest.mark.parametrize("wrong", [[0.0, 1.0], [0.5, 0.5], [0.7, 0.2], [0.5, 0.5 + 1e-9]])
def test_looks_that_do_not_rise_are_refused(wrong):
    with pytest.raises(ValueError, match="must rise"):
        stats.nominal_levels(wrong)
