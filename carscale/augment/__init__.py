"""Augmentation as functions from random numbers and photo sizes to parameters; no pixels here.

In: a seed, a range of stream positions, widths and heights. Out: ``Params``, dense arrays that any
backend renders.
To add a policy: one function in ``policies.py``, one line in its ``POLICIES``, one word in
``config.Augment.policy``.

Chosen: each random number has a fixed column, so that ``simple`` and ``standard`` crop the same
photo alike and arms are paired. Chosen: a crop larger than the photo shrinks, aspect kept.
Rejected: torchvision's ten tries and a fallback: the number of random numbers it takes depends on
the photo.
"""

from carscale.augment.draws import generator, uniforms
from carscale.augment.policies import POLICIES, Params, Policy, plain, policy

__all__ = ["POLICIES", "Params", "Policy", "generator", "plain", "policy", "uniforms"]
