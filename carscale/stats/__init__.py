"""Intervals, paired tests, corrections; the door to scipy.

In: counts, or differences between two models on the same photos. Out: bounds and p-values.

- ``intervals``: of one proportion, a median, resampled statistics.
- ``paired``: a t-interval; McNemar; corrections for many tests: Holm, Dunnett.
- ``sequential``: look while data come in.
- ``counts``: is a count higher, a share lower, a group apart?
- ``two_samples``: do two groups differ, by a number or by vectors?
- ``grouping``: what pairs join; average linkage.
- ``ordering``: what is similar side by side.

Chosen: Dunnett's correction for arms against one baseline. Rejected: Holm's. Why: differences
from one baseline are alike, and Holm's takes them for strangers.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
