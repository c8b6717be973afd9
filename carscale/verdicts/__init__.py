"""Verdicts: does a change help, from the predictions of runs. Pure: nothing is trained here.

In: run folders, grouped into arms. Out: paired differences with intervals, and a verdict on each
arm: *helps*, *hurts*, *no difference beyond ±x points*, *inconclusive*.

- ``run_predictions``, ``results``, ``arms``: from folders to a ``study_result``.
- ``metrics``: a metric as a sum over photos. To add one: its terms, its name in ``METRICS``.
- ``variance``: the error of a difference, by seeds and by photos. ``verdict``: the rule.
- ``power``, ``forecast``: what more runs or photos would bring.
- ``looks``: a comparison that is looked at while it runs.
- ``interactions``: two changes together.

Chosen: what a look settles stays settled, and an arm that is given up may still be judged at the
end. Rejected: letting later looks take verdicts back. Why: the error of each look is spent once.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
