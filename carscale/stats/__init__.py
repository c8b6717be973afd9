"""Intervals, paired tests, corrections; the door to scipy.

In: counts, or differences between two models on the same photos. Out: bounds and p-values.

- ``intervals``: of one proportion, a median, resampled statistics.
- ``paired``: of a difference: over seeds, over photos; McNemar, Holm.
- ``counts``: is a count higher, a share lower, a group apart?
- ``two_samples``: do two groups differ, by a number or by vectors?
- ``grouping``: what pairs join; average linkage.
- ``ordering``: what is similar side by side.

Chosen: a photo bootstrap that draws how often each distinct value comes (a difference takes a
handful of values). Rejected: drawing row numbers. Why: the same distribution, far less to draw.
Chosen: draws of one photo fewer than the class has, and noise of one photo. Rejected: the plain
bootstrap. Why: that is too sure of classes with few photos, and quite sure of two models that never
disagreed.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
