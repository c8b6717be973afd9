"""Predict once, exactly; then numbers from the table.

In: a model, a plain loader, the world; or a ``Predictions`` table. Out: ``Predictions``, metrics
with intervals.

- ``prediction``: whole batches dealt to ranks, no collective inside the loop, one gather, every id
  exactly once.
- ``metrics``: pure functions of integer counts and arrays; numpy only.
- ``saliency``: where in a photo a class is seen; the door to captum.
- ``temperature``: confidence scaled by one number that val decides; several models averaged.

Chosen: the batch a sample is predicted in depends on ``loader.eval_batch_size`` alone, so 1, 2 and
3 processes write the same bytes. Rejected: padding to equal lengths (counts photos twice), metrics
averaged over ranks (another number).
Chosen: intervals from a bootstrap that keeps each class's size, since a frozen split's class sizes
are fixed.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
