"""Predict every sample once; then compute metrics from the table.

In: a model, an eval loader, the world; or a ``Predictions`` table. Out: ``Predictions``, metrics
with intervals.

- ``prediction``: whole batches dealt to ranks, no collective inside the loop, one gather, every id
  exactly once.
- ``metrics``: pure functions of integer counts and arrays; numpy only.
- ``saliency``: Grad-CAM; the only user of captum.
- ``temperature``: temperature scaling fitted on val; averaging several models.

Chosen: the batch a sample is predicted in depends on ``loader.eval_batch_size`` alone, so 1, 2 and
3 processes write the same bytes. Rejected: padding to equal lengths (counts photos twice), metrics
averaged over ranks (another number).
Chosen: intervals from a bootstrap that keeps each class's size, since a frozen split's class sizes
are fixed.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
