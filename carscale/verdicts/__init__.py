"""Verdicts: does a change help, from the predictions of runs. Pure: nothing is trained here.

In: run folders, grouped into arms. Out: paired differences with intervals, and a verdict on each
arm: *helps*, *hurts*, *no difference beyond ±x points*, *inconclusive*.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
